"""The critic: a network that tells real spectra from decoded ones, and whose judgement reaches the
decoder.

Non-saturating adversarial losses (Goodfellow et al. 2014), with the gradient penalty on real data
that keeps them stable (R1; Mescheder et al. 2018, equation 9). Fakes are reconstructions and
transfers alike.

Instance noise (Sønderby et al. 2017, "Amortised MAP inference for image super-resolution"; Arjovsky
and Bottou 2017, "Towards principled methods for training GANs"): a decoded mean is smoother than
any real spectrum, so a critic of the two as they are wins with certainty, whatever the decoder
does. Both are therefore blurred by Gaussian noise of one law, under which their densities overlap
everywhere. Its scale is that of the reconstruction's px: what the likelihood declares to be
uncertain is not held against the mean, and the blur shrinks as the decoder learns. No gradient goes
through the scale, or the decoder could hide its fakes in noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lt.models.networks import mlp
from lt.models.vae import CrossModalOutput

R1_WEIGHT = 1.0
N_DRAWS = 3  # of noise: for real spectra, reconstructions, transfers


class Critic(nn.Module):
    """Features (batch, features) -> logit of being real (batch,)."""

    def __init__(self, n_features: int, width: int, n_hidden: int) -> None:
        super().__init__()
        self.n_features = n_features
        self.hidden = mlp(n_features, width, n_hidden)
        self.logit = nn.Linear(width, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.logit(self.hidden(features)).squeeze(-1).float()


@dataclass(frozen=True)
class Shown:
    """What the critic is shown.

    Attributes:
        real: (batch, features) without a gradient. fake: (2 * batch, features) reconstructions,
            then transfers.
    """

    real: Tensor
    fake: Tensor


def show(target: Tensor, output: CrossModalOutput, noise: Sequence[Tensor]) -> Shown:
    """Real and decoded spectra under the same blur.

    Args:
        target: real features (batch, features). output: with transfers. noise: N_DRAWS standard
            normal draws, each (batch, features).
    """
    scale = output.signal.px.stddev.detach()
    for_real, for_reconstruction, for_transfer = (scale * draw for draw in noise)
    fake = torch.cat(
        [output.signal.px.mean + for_reconstruction, output.signal_from_symbol.mean + for_transfer]
    )
    return Shown((target + for_real).detach(), fake)


def critic_loss(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """The critic's own loss: real (batch, features) judged real, fake (fakes, features) judged
    fake, plus R1.
    """
    real = real.detach().requires_grad_(True)
    judged_real = critic(real)
    (gradient,) = torch.autograd.grad(judged_real.sum(), real, create_graph=True)
    penalty = 0.5 * R1_WEIGHT * gradient.square().sum(dim=-1).mean()
    return (
        functional.softplus(-judged_real).mean()
        + functional.softplus(critic(fake.detach())).mean()
        + penalty
    )


def decoder_loss(critic: Critic, fake: Tensor) -> Tensor:
    """What the decoder pays for fakes (fakes, features) that are recognised: -log of being judged
    real.
    """
    return functional.softplus(-critic(fake)).mean()
