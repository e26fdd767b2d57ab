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
from typing import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from lt.labels import LabelSpace
from lt.models.networks import (
    HarmonicFront,
    NormalNetwork,
    SymbolNetwork,
    Symbols,
    one_hot,
)

Noise = Sequence[Tensor] | None


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
    """Forward pass of both VAEs, and each modality decoded from the top latent of the other."""

    signal: VAEOutput
    symbol: VAEOutput
    signal_from_symbol: Normal | None = None
    symbol_from_signal: Symbols | None = None

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
    """

    def __init__(
        self,
        n_in: int,
        size: VAESize,
        output: NormalNetwork | SymbolNetwork,
        front: HarmonicFront | None = None,
    ) -> None:
        super().__init__()
        self.dims = size.dims
        self.front = front or nn.Identity()
        inputs = (front.n_out if front else n_in, *size.dims)
        self.encoders = nn.ModuleList(
            NormalNetwork(*layer)
            for layer in zip(inputs, size.hidden_dims, size.hidden_num, size.dims)
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

    def decode(self, z_top: Tensor, noise: Noise = None) -> Normal | Symbols:
        """Top latent (batch, latent) -> p(x|z), by ancestral sampling through the priors."""
        z = z_top
        for index in reversed(range(len(self.priors))):
            z = sample(self.priors[index](z), None if noise is None else noise[index])
        return self.output(z)

    def forward(self, x: Tensor, noise: Noise = None) -> VAEOutput:
        posterior = self.encode(x, noise)
        return VAEOutput(posterior, self.prior(posterior.z), self.output(posterior.z[0]))


class CrossModalVAE(nn.Module):
    """The signal VAE and the symbol VAE of a run.

    Args:
        n_features: width of the signal's features.
        space: labels and instruments of the symbols.
        label_type: distribution of the symbols, "categorical" or "binary".
        signal, symbol: sizes of the two VAEs.
        signal_scale: scale of the decoded spectrum, one for each "frame" or for each "bin".
        front: input layer of the signal encoder.
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
    ) -> None:
        super().__init__()
        if signal.dims != symbol.dims:
            raise ValueError(f"latent dimensions differ: {signal.dims} and {symbol.dims}")
        self.space = space
        self.n_features = n_features
        self.dims = signal.dims

        shared_scale = {"frame": False, "bin": True}[signal_scale]
        signal_output = NormalNetwork(*signal.bottom, n_features, shared_scale)
        self.signal = VAE(n_features, signal, signal_output, front)
        symbol_output = SymbolNetwork(*symbol.bottom, space.group_sizes, label_type)
        self.symbol = VAE(space.width, symbol, symbol_output)

    def encode_signal(self, features: Tensor, noise: Noise = None) -> Posterior:
        """Features (batch, features) -> q(z|signal)."""
        return self.signal.encode(features, noise)

    def encode_symbol(self, classes: Tensor, noise: Noise = None) -> Posterior:
        """Classes (batch, instruments, labels) -> q(z|symbol)."""
        return self.symbol.encode(one_hot(classes.flatten(1), self.space.group_sizes), noise)

    def signal_to_symbol(self, features: Tensor) -> Symbols:
        """Transcribe: features (batch, features) -> p(symbol|z) at the posterior mean."""
        return self.symbol.decode(self.encode_signal(features).top.mean)

    def symbol_to_signal(self, classes: Tensor, noise: Noise = None) -> Normal:
        """Synthesise: classes (batch, instruments, labels) -> p(signal|z), z from q(z|symbol)."""
        return self.signal.decode(self.encode_symbol(classes, noise).z[-1])

    def forward(
        self,
        features: Tensor,
        classes: Tensor,
        noise_signal: Noise = None,
        noise_symbol: Noise = None,
        transfer: bool = True,
    ) -> CrossModalOutput:
        signal = self.signal(features, noise_signal)
        symbol = self.symbol(one_hot(classes.flatten(1), self.space.group_sizes), noise_symbol)
        if not transfer:
            return CrossModalOutput(signal, symbol)
        return CrossModalOutput(
            signal,
            symbol,
            signal_from_symbol=self.signal.decode(symbol.posterior.z[-1], noise_signal),
            symbol_from_signal=self.symbol.decode(signal.posterior.z[-1], noise_symbol),
        )
