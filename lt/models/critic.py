"""Adversarial critic: a network that tells real spectra from decoded ones (`--adversarial 1`).

Non-saturating losses (Goodfellow et al. 2014) with a gradient penalty on real data, which keeps
them stable (R1; Mescheder et al. 2018, equation 9). Fakes are reconstructions and transfers alike.

Instance noise (Sønderby et al. 2017, "Amortised MAP inference for image super-resolution"; Arjovsky
and Bottou 2017, "Towards principled methods for training GANs"): a decoded mean is smoother than
any real spectrum, so a critic that compares them directly always wins, whatever the decoder does.
Gaussian noise of the same scale is therefore added to both, and their densities overlap. The scale
is that of the reconstruction's px: what the likelihood declares to be uncertain is not held against
the mean, and the noise shrinks as the decoder learns. No gradient goes through the scale, or the
decoder could hide its fakes in noise.
"""

from __future__ import annotations

from typing import NamedTuple, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from lt.models.networks import mlp
from lt.models.vae import CrossModalOutput

R1_WEIGHT = 1.0
N_NOISE = 3  # noise tensors of a batch: for real spectra, reconstructions, transfers


class Critic(nn.Module):
    """Features (batch, features) -> logit of being real (batch,)."""

    def __init__(self, n_features: int, width: int, n_hidden: int) -> None:
        super().__init__()
        self.hidden = mlp(n_features, width, n_hidden)
        self.logit = nn.Linear(width, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.logit(self.hidden(features)).squeeze(-1).float()


class CriticBatch(NamedTuple):
    """Input of the critic.

    Attributes:
        real: (batch, features), without a gradient.
        fake: (2 * batch, features), reconstructions, then transfers.
    """

    real: Tensor
    fake: Tensor


def critic_batch(target: Tensor, output: CrossModalOutput, noise: Sequence[Tensor]) -> CriticBatch:
    """Real and decoded spectra with instance noise of one scale.

    Args:
        target: real features, (batch, features).
        output: of the model, with transfers.
        noise: N_NOISE standard normal tensors, each (batch, features).
    """
    scale = output.signal.px.stddev.detach()
    for_real, for_reconstruction, for_transfer = (scale * sample for sample in noise)
    fake = torch.cat(
        [output.signal.px.mean + for_reconstruction, output.signal_from_symbol.mean + for_transfer]
    )
    return CriticBatch((target + for_real).detach(), fake)


def critic_loss(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """Loss of the critic: -log p(real) - log p(not fake) + R1, a scalar.

    Args:
        real: (batch, features). fake: (fakes, features).
    """
    real = real.detach().requires_grad_(True)
    real_logits = critic(real)
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    penalty = 0.5 * R1_WEIGHT * gradient.square().sum(dim=-1).mean()
    return softplus(-real_logits).mean() + softplus(critic(fake.detach())).mean() + penalty


def decoder_loss(critic: Critic, fake: Tensor) -> Tensor:
    """Adversarial loss of the decoder: -log p(real) of its fakes (fakes, features), a scalar."""
    return softplus(-critic(fake)).mean()
