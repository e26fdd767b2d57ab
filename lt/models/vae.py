"""The signal VAE, the symbol VAE, and transfers between them.

A `VAE` is hierarchical where `dims` has several entries: the posterior is q(z_1|x) q(z_2|z_1) ...,
the generative model p(x|z_1) p(z_1|z_2) ... with a standard normal on top. With one entry it is the
usual VAE. `CrossModalVAE` has one VAE for each modality; their top latents are matched by the loss,
so that each modality can be decoded from the other.

Tuples over layers are bottom first. `noise` has a standard normal tensor (batch, latent) for each
layer; None takes means instead of samples. Axes: `batch, features, latent, groups`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from lt.labels import FIRST_NOTE_NUMBER, FIRST_RELEASE_AGE, N_KEYS, SEMITONES, LabelSpace
from lt.models.networks import (
    HarmonicFront,
    HarmonicOutput,
    NormalNetwork,
    SymbolNetwork,
    Symbols,
    one_hot,
    start_with_saliences,
)

Noise = Sequence[Tensor] | None
N_CANDIDATES = 4  # notes between which a harmonic decoder cross-fades


@dataclass(frozen=True)
class Posterior:
    """q(z|x): distribution and sample of each layer, bottom first."""

    qz: tuple[Normal, ...]
    z: tuple[Tensor, ...]

    @property
    def top(self) -> Normal:
        """Distribution of the top layer, whose space both modalities share."""
        return self.qz[-1]


@dataclass(frozen=True)
class VAEOutput:
    """Forward pass of a VAE.

    Attributes:
        posterior: of every layer.
        pz: prior of every layer given the sample above it, bottom first.
        px: p(x|z).
    """

    posterior: Posterior
    pz: tuple[Normal, ...]
    px: Normal | Symbols


@dataclass(frozen=True)
class CrossModalOutput:
    """Forward pass of both VAEs, and each modality decoded from the top latent of the other.

    Attributes:
        signal, symbol: of a batch of frames and their symbols.
        signal_from_symbol: decoded from the symbols of the batch, or from other ones.
        symbol_from_signal: decoded from the signals of the batch.
        combined: of other combinations of symbols, where they were given.
    """

    signal: VAEOutput
    symbol: VAEOutput
    signal_from_symbol: Normal | None = None
    symbol_from_signal: Symbols | None = None
    combined: VAEOutput | None = None

    @property
    def has_transfer(self) -> bool:
        """Whether the transfers were computed."""
        return self.signal_from_symbol is not None


@dataclass(frozen=True)
class VAESize:
    """Latent dimensions, hidden width and number of hidden layers, for each stochastic layer.

    The last width and number are repeated where there are fewer than latent layers.

    Raises:
        ValueError: more values than latent layers, none, or one below 1.
    """

    dims: tuple[int, ...]
    hidden_dims: tuple[int, ...]
    hidden_num: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("hidden_dims", "hidden_num"):
            values = getattr(self, name)
            if not 1 <= len(values) <= len(self.dims):
                raise ValueError(
                    f"{len(self.dims)} latent layers, but {len(values)} values of {name}"
                )
            repeated = values + values[-1:] * (len(self.dims) - len(values))
            object.__setattr__(self, name, repeated)
        if min(self.dims + self.hidden_dims + self.hidden_num) < 1:
            raise ValueError("layer sizes and numbers must be at least 1")

    @property
    def bottom(self) -> tuple[int, int, int]:
        """Latent dimensions, hidden width and number of hidden layers of the bottom layer."""
        return self.dims[0], self.hidden_dims[0], self.hidden_num[0]


def sample(q: Normal, noise: Tensor | None) -> Tensor:
    """A reparameterised sample mean + scale * noise, or the mean."""
    return q.mean if noise is None else q.mean + q.stddev * noise


def sample_noise(
    dims: tuple[int, ...], n_frames: int, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Standard normal noise (n_frames, latent) for each layer, on the generator's device."""
    return tuple(
        torch.randn(n_frames, dim, generator=generator, device=generator.device) for dim in dims
    )


class VAE(nn.Module):
    """A (hierarchical) VAE of vectors x (batch, n_in).

    Args:
        n_in: width of x.
        size: of the latents and hidden layers.
        output: network for p(x|z_1).
        front: input layer of the first encoder.
        direct: whether the saliences of `front` also reach the first latent by a linear map.
    """

    def __init__(
        self,
        n_in: int,
        size: VAESize,
        output: NormalNetwork | HarmonicOutput | SymbolNetwork,
        front: HarmonicFront | None = None,
        direct: bool = False,
    ) -> None:
        super().__init__()
        self.dims = size.dims
        self.front = front or nn.Identity()
        inputs = (front.n_out if front else n_in, *size.dims)
        n_direct = (front.n_salience if front and direct else 0, *(0 for _ in size.dims[1:]))
        self.encoders = nn.ModuleList(
            NormalNetwork(*layer, n_direct=own)
            for *layer, own in zip(inputs, size.hidden_dims, size.hidden_num, size.dims, n_direct)
        )
        self.priors = nn.ModuleList(
            NormalNetwork(*layer)
            for layer in zip(size.dims[1:], size.hidden_dims[1:], size.hidden_num[1:], size.dims)
        )
        self.output = output

    def encode(self, x: Tensor, noise: Noise = None) -> Posterior:
        """x (batch, n_in) -> posterior of every layer."""
        qz: list[Normal] = []
        z: list[Tensor] = []
        for index, encoder in enumerate(self.encoders):
            qz.append(encoder(z[-1] if z else self.front(x)))
            z.append(sample(qz[-1], None if noise is None else noise[index]))
        return Posterior(tuple(qz), tuple(z))

    def prior(self, z: tuple[Tensor, ...]) -> tuple[Normal, ...]:
        """Prior of each layer given the sample of the layer above; a standard normal on top."""
        top = Normal(torch.zeros_like(z[-1]), torch.ones_like(z[-1]), validate_args=False)
        return (*(prior(above) for prior, above in zip(self.priors, z[1:])), top)

    def descend(self, z_top: Tensor, noise: Noise = None) -> Tensor:
        """Top latent (batch, latent) -> bottom latent, by ancestral sampling through the priors."""
        z = z_top
        for index in reversed(range(len(self.priors))):
            z = sample(self.priors[index](z), None if noise is None else noise[index])
        return z

    def decode(self, z_top: Tensor, noise: Noise = None) -> Normal | Symbols:
        """Top latent (batch, latent) -> p(x|z)."""
        return self.output(self.descend(z_top, noise))

    def forward(self, x: Tensor, noise: Noise = None) -> VAEOutput:
        posterior = self.encode(x, noise)
        return VAEOutput(posterior, self.prior(posterior.z), self.output(posterior.z[0]))


class CrossModalVAE(nn.Module):
    """The signal VAE and the symbol VAE of a run.

    Args:
        n_features: width of the signal's features, the encoder's input.
        space: labels and instruments of the symbols.
        label_type: distribution of the symbols, "categorical" or "binary".
        signal, symbol: sizes of the two VAEs.
        signal_scale: scale of the decoded spectrum, one for each "frame" or for each "bin".
        front: input layer of the signal encoder.
        n_decoded: width of the decoder's output; None: the same as the encoder's input.
        harmonic_output: maker of the decoder's output from (latent, width, hidden layers), for one
            that needs to know the notes.
    Raises:
        ValueError: the latent dimensions of the two sizes differ.
    """

    def __init__(
        self,
        n_features: int,
        space: LabelSpace,
        label_type: str,
        signal: VAESize,
        symbol: VAESize,
        signal_scale: str = "frame",
        front: HarmonicFront | None = None,
        n_decoded: int | None = None,
        harmonic_output: Callable[[int, int, int], HarmonicOutput] | None = None,
    ) -> None:
        super().__init__()
        if signal.dims != symbol.dims:
            raise ValueError(f"latent dimensions differ: {signal.dims} and {symbol.dims}")
        self.space = space
        self.n_decoded = n_decoded or n_features
        self.dims = signal.dims

        shared_scale = {"frame": False, "bin": True}[signal_scale]
        if harmonic_output:
            signal_output = harmonic_output(*signal.bottom)
        else:
            signal_output = NormalNetwork(*signal.bottom, self.n_decoded, shared_scale)
        self.signal = VAE(n_features, signal, signal_output, front, direct=bool(space.chordal))
        symbol_output = SymbolNetwork(
            *symbol.bottom, space.group_sizes, label_type, len(space.chordal)
        )
        self.symbol = VAE(space.width, symbol, symbol_output)
        if space.chordal and front:
            start_with_saliences(self.signal.encoders[0], front, symbol_output)

    def encode_signal(self, features: Tensor, noise: Noise = None) -> Posterior:
        """Features (batch, features) -> q(z|signal)."""
        return self.signal.encode(features, noise)

    def encode_symbol(self, classes: Tensor, noise: Noise = None) -> Posterior:
        """Classes (batch, instruments, labels) -> q(z|symbol)."""
        return self.symbol.encode(self._one_hot(classes), noise)

    def signal_to_symbol(self, features: Tensor) -> Symbols:
        """Transcribe: features (batch, features) -> p(symbol|z) at the posterior mean."""
        return self.symbol.decode(self.encode_signal(features).top.mean)

    def symbol_to_signal(self, classes: Tensor, noise: Noise = None) -> Normal:
        """Synthesise: classes (batch, instruments, labels) -> p(signal|z), z from q(z|symbol)."""
        return self.decode_signal(self.encode_symbol(classes, noise).z[-1], classes, noise)

    def decode_signal(
        self, z_top: Tensor, classes: Tensor | None = None, noise: Noise = None
    ) -> Normal:
        """Top latent (batch, latent) -> p(signal|z).

        Args:
            classes: (batch, instruments, labels) where the notes are known; a decoder that needs
                them takes otherwise those that the symbol decoder reads from the latent.
            noise: of the layers below.
        """
        return self.signal_output(self.signal.descend(z_top, noise), z_top, classes)

    def signal_output(
        self, z_bottom: Tensor, z_top: Tensor, classes: Tensor | None = None
    ) -> Normal:
        """Bottom latent (batch, latent) -> p(signal|z). Arguments as `decode_signal`."""
        if isinstance(self.signal.output, NormalNetwork):
            return self.signal.output(z_bottom)
        if classes is not None:
            return self.signal.output(z_bottom, self._notes(classes))
        return self.signal.output(z_bottom, *self._likely_notes(z_top))

    def sounding_keys(self, classes: Tensor) -> Tensor | None:
        """Classes (batch, instruments, labels) -> (batch, chordal instruments, keys), 1 where a
        voice holds the key, from its onset to its release as far as the space has ages; None where
        each instrument has one voice.
        """
        chordal = self.space.chordal
        if not chordal:
            return None
        column = self.space.note_columns[0]
        silent = classes[..., column] == int(self.space.silence_classes[column])
        if self.space.age_column is not None:
            silent = silent | (classes[..., self.space.age_column] >= FIRST_RELEASE_AGE)
        index = (self._notes(classes)[..., 0] - FIRST_NOTE_NUMBER).masked_fill(silent, N_KEYS)
        keys = torch.zeros(len(classes), len(chordal), N_KEYS + 1, device=classes.device)
        for own, part in zip(keys.unbind(dim=1), chordal):
            own.scatter_(1, index[:, part.voices], 1.0)
        return keys[..., :N_KEYS]

    def _notes(self, classes: Tensor) -> Tensor:
        """MIDI numbers (batch, instruments, 1); any for silence."""
        octave, pitch = (
            classes[..., column].clamp_max(int(self.space.silence_classes[column]) - 1)
            for column in self.space.note_columns
        )
        return (SEMITONES * (octave + 1) + pitch)[..., None]

    def _likely_notes(self, z_top: Tensor) -> tuple[Tensor, Tensor]:
        """The most probable notes and their probabilities: (batch, instruments, candidates)."""
        groups = self.symbol.decode(z_top).probabilities()
        n_labels = len(self.space.labels)
        octave, pitch = (
            torch.stack(groups[column::n_labels], dim=1)[..., : self.space.silence_classes[column]]
            for column in self.space.note_columns
        )
        joint = (octave[..., :, None] * pitch[..., None, :]).flatten(2)
        weights, index = joint.topk(N_CANDIDATES, dim=2)
        total = weights.sum(dim=2, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
        return index + FIRST_NOTE_NUMBER, weights / total

    def forward(
        self,
        features: Tensor,
        classes: Tensor,
        noise_signal: Noise = None,
        noise_symbol: Noise = None,
        transfer: bool = True,
        played: Tensor | None = None,
        noise_played: tuple[Noise, Noise] = (None, None),
        combinations: Tensor | None = None,
    ) -> CrossModalOutput:
        """Both VAEs and the transfers between them.

        Args:
            features: (batch, features). classes: (batch, instruments, labels).
            noise_signal, noise_symbol: of the posterior samples.
            transfer: compute the transfers.
            played: (played, instruments, labels) whose signal is decoded instead of that of
                `classes`.
            noise_played: of their posterior samples, and of the signal's layers below.
            combinations: (batch, instruments, labels) for which the symbol VAE is computed too.
        """
        posterior = self.signal.encode(features, noise_signal)
        # in training the decoder is told the notes; otherwise it takes those of the latent
        known = classes if self.training else None
        px = self.signal_output(posterior.z[0], posterior.z[-1], known)
        signal = VAEOutput(posterior, self.signal.prior(posterior.z), px)
        symbol = self.symbol(self._one_hot(classes), noise_symbol)
        combined = None
        if combinations is not None:
            combined = self.symbol(self._one_hot(combinations), noise_symbol)
        if not transfer:
            return CrossModalOutput(signal, symbol, combined=combined)
        z, known, own = symbol.posterior.z[-1], classes, noise_signal
        if played is not None:
            z, known, own = (
                self.encode_symbol(played, noise_played[0]).z[-1],
                played,
                noise_played[1],
            )
        return CrossModalOutput(
            signal,
            symbol,
            signal_from_symbol=self.decode_signal(z, known, own),
            symbol_from_signal=self.symbol.decode(signal.posterior.z[-1], noise_symbol),
            combined=combined,
        )

    def _one_hot(self, classes: Tensor) -> Tensor:
        return one_hot(classes.flatten(1), self.space.group_sizes)
