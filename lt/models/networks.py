"""Networks: multilayer perceptrons, and heads that return distributions.

Hidden layers are Linear, LayerNorm, SiLU. LayerNorm looks at one frame at a time, so a result does
not depend on how a batch is divided (batch normalisation, which the article uses, would). SiLU
(Elfwing et al. 2018) has a gradient without jumps: at a ReLU's kink, another order of summation
(two workers, or two threads for one) switches a unit on for a frame, and losses part by a hundredth
within a few epochs.

Axes: `batch, features, latent, hidden, instruments, labels`; `groups` are the labels of all
instruments in order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional

MIN_SCALE = 0.05  # of features with unit variance: keeps a likelihood of constant frames finite
HARMONICS = (1 / 3, 1 / 2, 1, 2, 3, 4, 5, 6, 7, 8)  # of a fundamental that are judged together
RELATED = (
    -24,
    -19,
    -12,
    -7,
    -5,
    -4,
    0,
    4,
    5,
    7,
    12,
    19,
    24,
)  # semitones: ratios 4, 3, 2, 3:2, 4:3, 5:4 and 1
JUDGE_WIDTH, N_FIRST = (
    64,
    8,
)  # of the network that judges a fundamental by itself, and what it says of each
WEIGH_WIDTH, N_JUDGEMENTS = 32, 4  # of the one that weighs it against those related to it
LABEL_TYPES = ("categorical", "binary")


def mlp(n_in: int, width: int, n_hidden: int) -> nn.Sequential:
    """`n_hidden` hidden layers of `width` units: (batch, n_in) -> (batch, width)."""
    layers: list[nn.Module] = []
    for index in range(n_hidden):
        layers += [nn.Linear(n_in if index == 0 else width, width), nn.LayerNorm(width), nn.SiLU()]
    return nn.Sequential(*layers)


class NormalNetwork(nn.Module):
    """An MLP with a diagonal normal on top: (batch, n_in) -> Normal over (batch, n_out)."""

    def __init__(self, n_in: int, width: int, n_hidden: int, n_out: int) -> None:
        super().__init__()
        self.hidden = mlp(n_in, width, n_hidden)
        self.mean = nn.Linear(width, n_out)
        self.scale = nn.Linear(width, n_out)

    def forward(self, x: Tensor) -> Normal:
        hidden = self.hidden(x)
        # in float32 whatever the precision of the matrix products: likelihoods sum over hundreds of
        # bins
        scale = functional.softplus(self.scale(hidden).float()) + MIN_SCALE
        return Normal(self.mean(hidden).float(), scale, validate_args=False)


class HarmonicFront(nn.Module):
    """What is looked at before an encoder: features x, and beside them a judgement of each semitone
    as a fundamental.

    One small network judges each by the bins around its harmonics (and around those notes of which
    it would itself be the second or third); another weighs that against the judgements of the
    fundamentals with which it shares partials, since what one note explains speaks for no other.
    Both are the same for all semitones: what they learn of one note they know of all, so that a
    soft note is found between the partials of a loud one.

    Args:
        n_features: of x. n_bins: of these, the bins of a logarithmic frequency axis, which come
            first.
        bins_per_octave: of that axis.
    """

    def __init__(self, n_features: int, n_bins: int, bins_per_octave: int) -> None:
        super().__init__()
        step, self.n_bins = max(1, bins_per_octave // 12), n_bins
        offsets = torch.tensor(
            [round(bins_per_octave * math.log2(harmonic)) for harmonic in HARMONICS]
        )
        around = (
            offsets[:, None] + torch.arange(1 - step, step)
        ).flatten()  # up to the neighbouring semitones
        at = _inside(torch.arange(step // 2, n_bins, step)[:, None] + around, n_bins)
        related = torch.arange(len(at))[:, None] + torch.tensor(RELATED)
        nowhere = torch.full_like(at[:1], n_bins)  # a fundamental beyond the axis
        self.register_buffer("at", torch.cat([at, nowhere]), persistent=False)
        self.register_buffer("related", _inside(related, len(at)), persistent=False)
        self.judge = nn.Sequential(
            mlp(len(around), JUDGE_WIDTH, 1), nn.Linear(JUDGE_WIDTH, N_FIRST)
        )
        self.weigh = nn.Sequential(
            nn.Linear(len(RELATED) * N_FIRST, WEIGH_WIDTH),
            nn.SiLU(),
            nn.Linear(WEIGH_WIDTH, N_JUDGEMENTS),
        )
        self.n_out = n_features + len(at) * N_JUDGEMENTS

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_features) -> (batch, n_out)."""
        bins = x[:, : self.n_bins]
        outside = bins.amin(dim=1, keepdim=True)  # beyond the axis there is as little as anywhere
        judged = self.judge(_gathered(torch.cat([bins, outside], dim=1), self.at))
        weighed = self.weigh(_gathered(judged, self.related).flatten(2))
        return torch.cat([x, weighed.flatten(1).to(x.dtype)], dim=1)


def _inside(index: Tensor, size: int) -> Tensor:
    """Indices, those outside of [0, size) replaced by `size`, where what lies beyond an axis is
    kept.
    """
    return index.where((index >= 0) & (index < size), torch.tensor(size))


def _gathered(x: Tensor, index: Tensor) -> Tensor:
    """x (batch, n, ...) at index (rows, columns): (batch, rows, columns, ...)."""
    return x.index_select(1, index.flatten()).unflatten(
        1, index.shape
    )  # x[:, index], but quicker, backwards too


class SharedScaleNetwork(nn.Module):
    """An MLP for the mean, and for each output a learnt scale of its own, the same for all inputs.

    Where the scale may follow the input, it grows at the partials, which then hardly weigh in the
    likelihood, and their means are badly learnt.
    """

    def __init__(self, n_in: int, width: int, n_hidden: int, n_out: int) -> None:
        super().__init__()
        self.hidden = mlp(n_in, width, n_hidden)
        self.mean = nn.Linear(width, n_out)
        self.scale = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Tensor) -> Normal:
        mean = self.mean(self.hidden(x)).float()
        scale = functional.softplus(self.scale.float()) + MIN_SCALE
        return Normal(mean, scale.expand_as(mean), validate_args=False)


SIGNAL_SCALES = {
    "frame": NormalNetwork,
    "bin": SharedScaleNetwork,
}  # by what the decoded scale depends on


@dataclass(frozen=True)
class CategoricalSymbols:
    """A categorical distribution for each group (label of an instrument), independent given the
    latent.

    Attributes:
        logits: one (batch, classes) a group.
    """

    logits: tuple[Tensor, ...]

    def log_prob(self, classes: Tensor) -> Tensor:
        """Log-probability of classes (batch, groups), in nats, a column a group: (batch, groups)."""
        columns = [
            -functional.cross_entropy(logits, classes[:, group], reduction="none")
            for group, logits in enumerate(self.logits)
        ]
        return torch.stack(columns, dim=1)

    def probabilities(self) -> tuple[Tensor, ...]:
        """One (batch, classes) a group; rows sum to 1."""
        return tuple(logits.softmax(dim=-1) for logits in self.logits)


@dataclass(frozen=True)
class BinarySymbols:
    """A Bernoulli for each entry of the concatenated one-hot vectors (`--label_type binary`).

    Attributes:
        logits: one (batch, classes) a group.
    """

    logits: tuple[Tensor, ...]

    def log_prob(self, classes: Tensor) -> Tensor:
        """Log-probability of the one-hot vectors of classes (batch, groups), summed over a group's
        entries.
        """
        columns = []
        for group, logits in enumerate(self.logits):
            target = functional.one_hot(classes[:, group], logits.shape[-1]).to(logits.dtype)
            entries = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
            columns.append(-entries.sum(dim=-1))
        return torch.stack(columns, dim=1)

    def probabilities(self) -> tuple[Tensor, ...]:
        """One (batch, classes) a group: the Bernoulli probabilities conditioned on exactly one
        entry being set.
        """
        # p(entry k alone) is proportional to the odds exp(logit_k), so the softmax is that
        # conditional
        return tuple(logits.softmax(dim=-1) for logits in self.logits)


Symbols = CategoricalSymbols | BinarySymbols


class SymbolNetwork(nn.Module):
    """An MLP with a distribution over symbols on top: (batch, n_in) -> Symbols over (batch,
    groups).
    """

    def __init__(
        self, n_in: int, width: int, n_hidden: int, group_sizes: tuple[int, ...], label_type: str
    ) -> None:
        super().__init__()
        self.hidden = mlp(n_in, width, n_hidden)
        self.logits = nn.Linear(width, sum(group_sizes))
        self.group_sizes = list(group_sizes)
        self.distribution = {"categorical": CategoricalSymbols, "binary": BinarySymbols}[label_type]

    def forward(self, x: Tensor) -> Symbols:
        return self.distribution(
            self.logits(self.hidden(x)).float().split(self.group_sizes, dim=-1)
        )


def one_hot(classes: Tensor, group_sizes: tuple[int, ...]) -> Tensor:
    """Classes (batch, groups) -> concatenated one-hot vectors (batch, sum of group_sizes), float32."""
    columns = [
        functional.one_hot(classes[:, group], size) for group, size in enumerate(group_sizes)
    ]
    return torch.cat(columns, dim=-1).float()
