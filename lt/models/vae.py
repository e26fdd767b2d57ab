"""The two variational auto-encoders and what passes between them.

A `VAE` is hierarchical where `dims` has several entries: q(z_1|x) q(z_2|z_1) ... upwards, p(z_1|z_2) ... p(x|z_1)
downwards, a standard normal on top; with one entry it is the usual VAE. `CrossModalVAE` holds one for the signal
and one for the symbols whose top latents are made to match, so that either can be decoded by the other.

Tuples over layers are bottom first. `noise` is one standard normal draw (batch, latent) a layer, or
None for posterior means. Axes: `batch, features, latent, groups`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from lt.labels import LabelSpace
from lt.models.networks import (
    SIGNAL_SCALES,
    HarmonicFront,
    NormalNetwork,
    SharedScaleNetwork,
    SymbolNetwork,
    Symbols,
    one_hot,
)

Noise = Sequence[Tensor] | None


@dataclass(frozen=True)
class Posterior:
    """q(z|x): a normal and a draw a layer, bottom first."""

    qz: tuple[Normal, ...]
    z: tuple[Tensor, ...]

    @property
    def top(self) -> Normal:
        """The top layer's normal, the space that both modalities share."""
        return self.qz[-1]


@dataclass(frozen=True)
class VAEOutput:
    """One pass: posterior, the priors its draws were made under (bottom first), and p(x|z)."""

    posterior: Posterior
    pz: tuple[Normal, ...]
    px: Normal | Symbols


@dataclass(frozen=True)
class CrossModalOutput:
    """Both passes, and (where asked for) each modality decoded from the other's top latent."""

    signal: VAEOutput
    symbol: VAEOutput
    signal_from_symbol: Normal | None
    symbol_from_signal: Symbols | None


@dataclass(frozen=True)
class VAESize:
    """Latent dimensions, and hidden width and number of hidden layers, an entry a stochastic layer,
    bottom first.
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


def draw(q: Normal, noise: Tensor | None) -> Tensor:
    """A reparameterised draw mean + scale * noise, or the mean."""
    return q.mean if noise is None else q.mean + q.stddev * noise


class VAE(nn.Module):
    """A (hierarchical) VAE of vectors x: (batch, n_in), decoded by `output` from the bottom latent.
    The first encoder sees x through a `front`, where there is one.
    """

    def __init__(
        self,
        n_in: int,
        size: VAESize,
        output: NormalNetwork | SharedScaleNetwork | SymbolNetwork,
        front: HarmonicFront | None = None,
    ) -> None:
        super().__init__()
        self.dims, self.front = size.dims, front or nn.Identity()
        widths = (front.n_out if front else n_in, *size.dims)
        layers = list(zip(widths, size.hidden_dims, size.hidden_num, size.dims))
        self.encoders = nn.ModuleList(NormalNetwork(*layer) for layer in layers)
        self.priors = nn.ModuleList(
            NormalNetwork(above, width, number, below)
            for above, below, width, number in zip(
                size.dims[1:], size.dims, size.hidden_dims[1:], size.hidden_num[1:]
            )
        )
        self.output = output

    def encode(self, x: Tensor, noise: Noise = None) -> Posterior:
        """x (batch, n_in) -> posterior of every layer."""
        qz: list[Normal] = []
        z: list[Tensor] = []
        for index, encoder in enumerate(self.encoders):
            qz.append(encoder(z[-1] if z else self.front(x)))
            z.append(draw(qz[-1], None if noise is None else noise[index]))
        return Posterior(tuple(qz), tuple(z))

    def prior(self, z: tuple[Tensor, ...]) -> tuple[Normal, ...]:
        """The prior of each layer given the draw above it; a standard normal on top."""
        top = Normal(torch.zeros_like(z[-1]), torch.ones_like(z[-1]), validate_args=False)
        return (*(prior(above) for prior, above in zip(self.priors, z[1:])), top)

    def descend(self, z_top: Tensor, noise: Noise = None) -> Tensor:
        """Top latent (batch, latent) -> bottom latent, through the priors' draws or means."""
        z = z_top
        for index in reversed(range(len(self.priors))):
            z = draw(self.priors[index](z), None if noise is None else noise[index])
        return z

    def decode(self, z_top: Tensor, noise: Noise = None) -> Normal | Symbols:
        """Top latent (batch, latent) -> p(x|z)."""
        return self.output(self.descend(z_top, noise))

    def forward(self, x: Tensor, noise: Noise = None) -> VAEOutput:
        posterior = self.encode(x, noise)
        return VAEOutput(posterior, self.prior(posterior.z), self.output(posterior.z[0]))


class CrossModalVAE(nn.Module):
    """The signal VAE and the symbol VAE of one run.

    Args:
        signal_scale: whether the decoded spectrum's scale is each `frame`'s own or one a `bin`.
        front: of the signal's encoder.
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
        decoder = SIGNAL_SCALES[signal_scale]
        self.signal = VAE(
            n_features,
            signal,
            decoder(signal.dims[0], signal.hidden_dims[0], signal.hidden_num[0], n_features),
            front,
        )
        self.symbol = VAE(
            space.width,
            symbol,
            SymbolNetwork(
                symbol.dims[0],
                symbol.hidden_dims[0],
                symbol.hidden_num[0],
                space.group_sizes,
                label_type,
            ),
        )

    @property
    def dims(self) -> tuple[int, ...]:
        """Latent dimensions, bottom first."""
        return self.signal.dims

    def encode_signal(self, features: Tensor, noise: Noise = None) -> Posterior:
        """Features (batch, features) -> q(z|signal)."""
        return self.signal.encode(features, noise)

    def encode_symbol(self, classes: Tensor, noise: Noise = None) -> Posterior:
        """Classes (batch, instruments, labels) -> q(z|symbol)."""
        return self.symbol.encode(one_hot(classes.flatten(1), self.space.group_sizes), noise)

    def signal_to_symbol(self, features: Tensor) -> Symbols:
        """Transcribe: features (batch, features) -> p(symbol|z), through the signal's posterior
        mean.
        """
        return self.symbol.decode(self.encode_signal(features).top.mean)

    def symbol_to_signal(self, classes: Tensor, noise: Noise = None) -> Normal:
        """Synthesise: classes (batch, instruments, labels) -> p(signal|z), through the symbol's
        posterior.
        """
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
            return CrossModalOutput(signal, symbol, None, None)
        return CrossModalOutput(
            signal,
            symbol,
            signal_from_symbol=self.signal.decode(symbol.posterior.z[-1], noise_signal),
            symbol_from_signal=self.symbol.decode(signal.posterior.z[-1], noise_symbol),
        )


def draw_noise(
    dims: tuple[int, ...], n_frames: int, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """One standard normal draw (n_frames, latent) a layer, on the generator's device."""
    return tuple(
        torch.randn(n_frames, dim, generator=generator, device=generator.device) for dim in dims
    )
