"""Networks: multilayer perceptrons, and heads that return distributions.

Hidden layers are Linear, LayerNorm, SiLU. LayerNorm looks at one frame at a time, so a result does not depend on
how a batch is divided (batch normalisation, which the article uses, would). SiLU (Elfwing et al. 2018) has a gradient
without jumps: at a ReLU's kink, another order of summation (two workers, or two threads for one) switches a unit on
for a frame, and losses part by a hundredth within a few epochs.

Axes: `batch, features, latent, hidden, instruments, labels`; `groups` are the labels of all instruments in order.
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
JUDGE_WIDTH, N_JUDGEMENTS = 64, 4  # of the network that judges a fundamental, and what it says of each
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
        # in float32 whatever the precision of the matrix products: likelihoods sum over hundreds of bins
        scale = functional.softplus(self.scale(hidden).float()) + MIN_SCALE
        return Normal(self.mean(hidden).float(), scale, validate_args=False)


class HarmonicFront(nn.Module):
    """What is looked at before an encoder: features x, and beside them the judgement of one small network on each
    semitone as a fundamental, which sees the bins around its harmonics (and around those notes of which it would itself
    be the second or third). The network is the same for all semitones: what it learns of one note it knows of all, so
    that a soft note is found between the partials of a loud one.

    Args:
        n_features: of x. n_bins: of these, the bins of a logarithmic frequency axis, which come first.
        bins_per_octave: of that axis.
    """

    def __init__(self, n_features: int, n_bins: int, bins_per_octave: int) -> None:
        super().__init__()
        step, self.n_bins = max(1, bins_per_octave // 12), n_bins
        offsets = torch.tensor([round(bins_per_octave * math.log2(harmonic)) for harmonic in HARMONICS])
        around = offsets[:, None] + torch.arange(1 - step, step)  # up to the neighbouring semitones
        at = torch.arange(step // 2, n_bins, step)[:, None] + around.flatten()
        self.register_buffer("at", at.where((at >= 0) & (at < n_bins), torch.tensor(n_bins)), persistent=False)
        narrow = JUDGE_WIDTH // 2
        self.judge = nn.Sequential(mlp(at.shape[1], JUDGE_WIDTH, 1), nn.Linear(JUDGE_WIDTH, narrow), nn.SiLU(),
                                   nn.Linear(narrow, N_JUDGEMENTS))
        self.n_out = n_features + len(at) * N_JUDGEMENTS

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_features) -> (batch, n_out)."""
        bins = x[:, :self.n_bins]
        outside = bins.amin(dim=1, keepdim=True)  # beyond the axis there is as little as anywhere
        judged = self.judge(torch.cat([bins, outside], dim=1)[:, self.at])
        return torch.cat([x, judged.flatten(1).to(x.dtype)], dim=1)


class SharedScaleNetwork(nn.Module):
    """An MLP for the mean, and for each output a learnt scale of its own, the same for all inputs.

    Where the scale may follow the input, it grows at the partials, which then hardly weigh in the likelihood, and their
    means are badly learnt.
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


SIGNAL_SCALES = {"frame": NormalNetwork, "bin": SharedScaleNetwork}  # by what the decoded scale depends on


@dataclass(frozen=True)
class CategoricalSymbols:
    """A categorical distribution for each group (label of an instrument), independent given the latent.

    Attributes:
        logits: one (batch, classes) a group.
    """
    logits: tuple[Tensor, ...]

    def log_prob(self, classes: Tensor) -> Tensor:
        """Log-probability of classes (batch, groups), in nats, a column a group: (batch, groups)."""
        columns = [-functional.cross_entropy(logits, classes[:, group], reduction="none")
                   for group, logits in enumerate(self.logits)]
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
        """Log-probability of the one-hot vectors of classes (batch, groups), summed over a group's entries."""
        columns = []
        for group, logits in enumerate(self.logits):
            target = functional.one_hot(classes[:, group], logits.shape[-1]).to(logits.dtype)
            entries = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
            columns.append(-entries.sum(dim=-1))
        return torch.stack(columns, dim=1)

    def probabilities(self) -> tuple[Tensor, ...]:
        """One (batch, classes) a group: the Bernoulli probabilities conditioned on exactly one entry being set."""
        # p(entry k alone) is proportional to the odds exp(logit_k), so the softmax is that conditional
        return tuple(logits.softmax(dim=-1) for logits in self.logits)


Symbols = CategoricalSymbols | BinarySymbols


class SymbolNetwork(nn.Module):
    """An MLP with a distribution over symbols on top: (batch, n_in) -> Symbols over (batch, groups)."""

    def __init__(self, n_in: int, width: int, n_hidden: int, group_sizes: tuple[int, ...], label_type: str) -> None:
        super().__init__()
        self.hidden = mlp(n_in, width, n_hidden)
        self.logits = nn.Linear(width, sum(group_sizes))
        self.group_sizes = list(group_sizes)
        self.distribution = {"categorical": CategoricalSymbols, "binary": BinarySymbols}[label_type]

    def forward(self, x: Tensor) -> Symbols:
        return self.distribution(self.logits(self.hidden(x)).float().split(self.group_sizes, dim=-1))


def one_hot(classes: Tensor, group_sizes: tuple[int, ...]) -> Tensor:
    """Classes (batch, groups) -> concatenated one-hot vectors (batch, sum of group_sizes), float32."""
    columns = [functional.one_hot(classes[:, group], size) for group, size in enumerate(group_sizes)]
    return torch.cat(columns, dim=-1).float()
