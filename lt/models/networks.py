"""Networks: multilayer perceptrons, and networks that return distributions.

Hidden layers are Linear, LayerNorm, SiLU. LayerNorm normalises each frame by itself, so a result
does not depend on how a batch is divided (batch normalisation, which the article uses, would). SiLU
(Elfwing et al. 2018) has a gradient without jumps: at a ReLU's kink, another order of summation
(two workers, or two threads for one) switches a unit on for a frame, and losses part by a hundredth
within a few epochs.

Axes: `batch, features, latent, hidden`; `groups` are the labels of all instruments in order, and
`classes` (batch, groups) holds an index for each. Names of submodules are keys of the checkpoints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional

from lt.labels import (
    FIRST_NOTE_NUMBER,
    LAST_NOTE_NUMBER,
    N_KEYS,
    SEMITONES,
    note_number_to_hz,
)

# Adam moves a parameter by its learning rate a step, whatever the gradient: too slowly for a scale
# that is to fall by an order of magnitude within an epoch.
SCALE_RATE = 10.0
MIN_SCALE = 0.05  # of features with unit variance: keeps a likelihood of constant frames finite
# the harmonic front: partials of a candidate f0 that are read, as ratios to it; the first two tell
# whether the candidate is itself the third or second partial of a lower note
HARMONICS = (1 / 3, 1 / 2, 1, 2, 3, 4, 5, 6, 7, 8)
# semitones to candidates that share partials (ratios 4, 3, 2, 3:2, 4:3, 5:4), and to itself
RELATED = (-24, -19, -12, -7, -5, -4, 0, 4, 5, 7, 12, 19, 24)
EVIDENCE_WIDTH, N_EVIDENCE = 64, 8  # hidden width and outputs of the first network
SALIENCE_WIDTH, N_SALIENCE = 32, 4  # of the second


SILENT_KEY = -4.0  # initial log-odds of a key: two of 108 sound
KEY_GAIN = 4.0  # initial log-odds of a key for each standard deviation of its coordinate's prior
OTHER_KEYS = 0.1  # initial scale of the weights from other semitones and coordinates
N_BASIS = 128  # spectra relative to the fundamental of which a harmonic decoder combines all


def mlp(n_in: int, width: int, n_hidden: int) -> nn.Sequential:
    """`n_hidden` hidden layers of `width` units: (batch, n_in) -> (batch, width)."""
    layers: list[nn.Module] = []
    for index in range(n_hidden):
        layers += [nn.Linear(width if index else n_in, width), nn.LayerNorm(width), nn.SiLU()]
    return nn.Sequential(*layers)


class NormalNetwork(nn.Module):
    """MLP with a diagonal normal as output: (batch, n_in) -> Normal over (batch, n_out).

    Args:
        n_in, width, n_hidden, n_out: sizes; `n_hidden` layers of `width` units.
        shared_scale: one learnt scale for each output, the same for all inputs. Where the scale may
            follow the input, it grows at the partials, which then hardly weigh in the likelihood,
            and their means are badly learnt.
        n_direct: so many of the last inputs also reach the mean by a linear map. A chord is a sum
            of notes, which hidden layers have to learn for every combination.
    """

    def __init__(
        self,
        n_in: int,
        width: int,
        n_hidden: int,
        n_out: int,
        shared_scale: bool = False,
        n_direct: int = 0,
    ) -> None:
        super().__init__()
        self.hidden = mlp(n_in, width, n_hidden)
        self.mean = nn.Linear(width, n_out)
        self.scale = nn.Parameter(torch.zeros(n_out)) if shared_scale else nn.Linear(width, n_out)
        self.direct = nn.Linear(n_direct, n_out, bias=False) if n_direct else None

    def forward(self, x: Tensor) -> Normal:
        hidden = self.hidden(x)
        mean = self.mean(hidden)
        if self.direct is not None:
            mean = mean + self.direct(x[:, -self.direct.in_features :])
        # float32 even under bf16 autocast: likelihoods sum over hundreds of bins
        return _normal(mean.float(), self.scale, hidden)


def _normal(mean: Tensor, scale: Tensor | nn.Linear, hidden: Tensor) -> Normal:
    """A normal distribution with a learnt scale, shared by all inputs or following them."""
    raw = SCALE_RATE * scale if isinstance(scale, Tensor) else scale(hidden)
    stddev = functional.softplus(raw.float()) + MIN_SCALE
    return Normal(mean, stddev.expand_as(mean), validate_args=False)


class HarmonicOutput(nn.Module):
    """Output of a decoder whose spectra are relative to the fundamental: (batch, n_in) and notes
    (batch, instruments, candidates) -> Normal over (batch, subframes * bins) log-magnitudes.

    On a logarithmic frequency axis another note is nearly a shift of the spectrum. An MLP combines
    spectra of a small basis, on an axis that is relative to the fundamental: from as far below it
    as the highest note's spectrum reaches to as far above as the lowest note's does. The result is
    moved to the note. So it learns from all notes where partials are and how timbre changes with
    pitch, and plays keys between those that it learnt. Powers of instruments, and of candidates
    with their weights, add.

    Args:
        n_in, width, n_hidden: of the MLP.
        n_instruments: spectra that are summed.
        n_subframes, n_bins: of the output.
        bins_per_semitone: of the frequency axis.
        nats: natural logarithm of the power ratio that a feature of 1 stands for.
        shared_scale: as `NormalNetwork`.
    """

    def __init__(
        self,
        n_in: int,
        width: int,
        n_hidden: int,
        n_instruments: int,
        n_subframes: int,
        n_bins: int,
        bins_per_semitone: int,
        nats: float,
        shared_scale: bool,
    ) -> None:
        super().__init__()
        self.shape = n_instruments, n_subframes
        self.n_bins, self.bins_per_semitone, self.nats = n_bins, bins_per_semitone, nats
        n_relative = n_bins + bins_per_semitone * (LAST_NOTE_NUMBER - FIRST_NOTE_NUMBER)
        self.hidden = mlp(n_in, width, n_hidden)
        self.mean = nn.Sequential(
            nn.Linear(width, N_BASIS),
            nn.Linear(N_BASIS, n_instruments * n_subframes * n_relative),
        )
        n_out = n_subframes * n_bins
        self.scale = nn.Parameter(torch.zeros(n_out)) if shared_scale else nn.Linear(width, n_out)

    def forward(self, x: Tensor, notes: Tensor, weights: Tensor | None = None) -> Normal:
        """The spectrum of notes.

        Args:
            x: (batch, n_in).
            notes: (batch, instruments, candidates) MIDI numbers.
            weights: (batch, instruments, candidates) of their powers; None: 1.
        """
        hidden = self.hidden(x)
        relative = self.mean(hidden).float().unflatten(1, (*self.shape, -1))
        first = self.bins_per_semitone * (LAST_NOTE_NUMBER - notes)
        index = first[..., None, None] + torch.arange(self.n_bins, device=x.device)
        n_candidates = notes.shape[2]
        moved = (
            relative[:, :, None]
            .expand(-1, -1, n_candidates, -1, -1)
            .gather(-1, index.expand(-1, -1, -1, self.shape[1], -1))
        )
        if weights is not None:
            floor = torch.finfo(weights.dtype).tiny
            moved = moved + weights.clamp_min(floor).log()[..., None, None] / self.nats
        spectra = moved.flatten(1, 2)
        one = spectra.shape[1] == 1
        mean = spectra[:, 0] if one else (self.nats * spectra).logsumexp(dim=1) / self.nats
        return _normal(mean.flatten(1), self.scale, hidden)


class HarmonicFront(nn.Module):
    """Input layer of an encoder: appends to the features a salience of each semitone as an f0.

    A first network, `judge`, maps the bins around the partials of a candidate f0 to evidence for
    it. A second, `weigh`, maps the evidence of the candidate and of those that share partials with
    it to its salience: a partial that one note explains is no evidence for another (explaining
    away). Both networks are shared by all semitones, so what is learnt about one note holds for
    all, and a soft note is found between the partials of a loud one.

    Args:
        n_features: width of the input; its first `n_bins` are bins of a logarithmic frequency axis.
        n_bins: see above.
        bins_per_octave: of that axis.
        fmin: hertz of its first bin.
    Attributes:
        first_key: key of the first candidate, counted from C0.
    """

    def __init__(self, n_features: int, n_bins: int, bins_per_octave: int, fmin: float) -> None:
        super().__init__()
        step = max(1, bins_per_octave // 12)
        self.n_bins = n_bins
        octaves = math.log2(fmin / note_number_to_hz(FIRST_NOTE_NUMBER))
        self.first_key = round(SEMITONES * (octaves + (step // 2) / bins_per_octave))
        partials = torch.tensor([round(bins_per_octave * math.log2(ratio)) for ratio in HARMONICS])
        # around each partial, up to the neighbouring semitones
        offsets = (partials[:, None] + torch.arange(1 - step, step)).flatten()
        candidates = torch.arange(step // 2, n_bins, step)
        at = _or_padding(candidates[:, None] + offsets, n_bins)
        related = torch.arange(len(at))[:, None] + torch.tensor(RELATED)
        padding = torch.full_like(at[:1], n_bins)  # a candidate beyond the axis
        self.register_buffer("at", torch.cat([at, padding]), persistent=False)
        self.register_buffer("related", _or_padding(related, len(at)), persistent=False)
        self.judge = nn.Sequential(
            mlp(len(offsets), EVIDENCE_WIDTH, 1), nn.Linear(EVIDENCE_WIDTH, N_EVIDENCE)
        )
        self.weigh = nn.Sequential(
            nn.Linear(len(RELATED) * N_EVIDENCE, SALIENCE_WIDTH),
            nn.SiLU(),
            nn.Linear(SALIENCE_WIDTH, N_SALIENCE),
        )
        self.n_candidates, self.n_salience = len(at), len(at) * N_SALIENCE
        self.n_out = n_features + self.n_salience

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_features) -> (batch, n_out)."""
        bins = x[:, : self.n_bins]
        padding = bins.amin(dim=1, keepdim=True)  # beyond the axis: the least of the frame
        evidence = self.judge(_gather(torch.cat([bins, padding], dim=1), self.at))
        salience = self.weigh(_gather(evidence, self.related).flatten(2))
        return torch.cat([x, salience.flatten(1).to(x.dtype)], dim=1)


def start_with_saliences(
    encoder: NormalNetwork, front: HarmonicFront, output: SymbolNetwork
) -> None:
    """Initialise the linear maps from saliences to a latent and from it to keys so that a key is
    decoded from the salience of its semitone by way of one coordinate. What both maps learn about
    one key then holds for all from the first step, where random maps are learnt key by key.

    Args:
        encoder: with the saliences as its direct input.
        output: of the symbol VAE. Keys without a coordinate keep random maps.
    """
    saliences, keys = encoder.direct.weight, output.keys.weight
    n_dims, width = len(saliences), keys.shape[1] - len(saliences)
    with torch.no_grad():
        for weight in (saliences, keys):
            weight.mul_(OTHER_KEYS)
        for coordinate in range(min(n_dims, output.n_chordal * N_KEYS)):
            instrument, key = divmod(coordinate, N_KEYS)
            candidate = key - front.first_key
            if 0 <= candidate < front.n_candidates:
                saliences[coordinate, candidate * N_SALIENCE + instrument % N_SALIENCE] = 1.0
                keys[coordinate, width + coordinate] = KEY_GAIN


def _or_padding(index: Tensor, size: int) -> Tensor:
    """Indices, with those outside [0, size) replaced by `size`, the index of the padding."""
    return index.where((index >= 0) & (index < size), torch.tensor(size))


def _gather(x: Tensor, index: Tensor) -> Tensor:
    """x (batch, n, ...) at index (rows, columns): (batch, rows, columns, ...).

    The same as x[:, index], but faster, in the backward pass too.
    """
    return x.index_select(1, index.flatten()).unflatten(1, index.shape)


@dataclass(frozen=True)
class Symbols:
    """Distribution over the classes of each group, independent given the latent.

    Attributes:
        logits: (batch, classes) for each group.
        key_logits: (batch, chordal instruments, keys) of whether each key sounds, from C0 on; None
            where each instrument has one voice.
    """

    logits: tuple[Tensor, ...]
    key_logits: Tensor | None = None

    def log_prob(self, classes: Tensor) -> Tensor:
        """Log-probability of classes (batch, groups) in nats, for each group: (batch, groups)."""
        columns = [
            self.group_log_prob(logits, classes[:, group])
            for group, logits in enumerate(self.logits)
        ]
        return torch.stack(columns, dim=1)

    def probabilities(self) -> tuple[Tensor, ...]:
        """(batch, classes) for each group, rows sum to 1.

        Of Bernoulli entries these are the probabilities given that exactly one entry is set: the
        probability of entry k alone is proportional to its odds exp(logit_k).
        """
        return tuple(logits.softmax(dim=-1) for logits in self.logits)

    def key_log_prob(self, keys: Tensor) -> Tensor:
        """Log-probability (batch,) of keys (batch, chordal instruments, keys), 1 where they
        sound.
        """
        entries = functional.binary_cross_entropy_with_logits(
            self.key_logits, keys, reduction="none"
        )
        return -entries.flatten(1).sum(dim=1)


class CategoricalSymbols(Symbols):
    """A categorical distribution for each group."""

    @staticmethod
    def group_log_prob(logits: Tensor, classes: Tensor) -> Tensor:
        """Logits (batch, classes), classes (batch,) -> log-probability (batch,)."""
        return -functional.cross_entropy(logits, classes, reduction="none")


class BinarySymbols(Symbols):
    """A Bernoulli for each entry of the concatenated one-hot vectors (`--label_type binary`)."""

    @staticmethod
    def group_log_prob(logits: Tensor, classes: Tensor) -> Tensor:
        """Log-probability of the one-hot vectors, summed over their entries: (batch,)."""
        target = functional.one_hot(classes, logits.shape[-1]).to(logits.dtype)
        entries = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return -entries.sum(dim=-1)


class SymbolNetwork(nn.Module):
    """MLP with a distribution over symbols as output: (batch, n_in) -> Symbols.

    Args:
        n_chordal: instruments of which each key is decoded by itself.
    """

    def __init__(
        self,
        n_in: int,
        width: int,
        n_hidden: int,
        group_sizes: tuple[int, ...],
        label_type: str,
        n_chordal: int = 0,
    ) -> None:
        super().__init__()
        self.hidden = mlp(n_in, width, n_hidden)
        self.logits = nn.Linear(width, sum(group_sizes))
        self.group_sizes = list(group_sizes)
        self.distribution = {"categorical": CategoricalSymbols, "binary": BinarySymbols}[label_type]
        self.n_chordal, self.keys = n_chordal, None
        if n_chordal:
            self.keys = nn.Linear(width + n_in, n_chordal * N_KEYS)
            nn.init.constant_(self.keys.bias, SILENT_KEY)

    def forward(self, x: Tensor) -> Symbols:
        hidden = self.hidden(x)
        logits = self.logits(hidden).float().split(self.group_sizes, dim=-1)
        if self.keys is None:
            return self.distribution(logits)
        keys = self.keys(torch.cat([hidden, x], dim=1)).float()
        return self.distribution(logits, keys.unflatten(1, (self.n_chordal, N_KEYS)))


def one_hot(classes: Tensor, group_sizes: tuple[int, ...]) -> Tensor:
    """Classes (batch, groups) -> concatenated one-hot vectors (batch, sum of group_sizes)."""
    columns = [
        functional.one_hot(classes[:, group], size) for group, size in enumerate(group_sizes)
    ]
    return torch.cat(columns, dim=-1).float()
