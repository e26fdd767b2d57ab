"""The critic: a network that tells real spectra from decoded ones, and whose judgement reaches the decoder.

Non-saturating adversarial losses (Goodfellow et al. 2014), with the gradient penalty on real data that keeps them
stable (R1; Mescheder et al. 2018, equation 9). The critic sees the decoder's means: fakes are reconstructions and
transfers alike.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lt.networks import mlp

R1_WEIGHT = 1.0


class Critic(nn.Module):
    """Features (batch, features) -> logit of being real (batch,)."""

    def __init__(self, n_features: int, width: int, n_hidden: int) -> None:
        super().__init__()
        self.hidden = mlp(n_features, width, n_hidden)
        self.logit = nn.Linear(width, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.logit(self.hidden(features)).squeeze(-1).float()


def critic_loss(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """The critic's own loss: real (batch, features) judged real, fake (fakes, features) judged fake, plus R1."""
    real = real.detach().requires_grad_(True)
    judged_real = critic(real)
    gradient, = torch.autograd.grad(judged_real.sum(), real, create_graph=True)
    penalty = 0.5 * R1_WEIGHT * gradient.square().sum(dim=-1).mean()
    return functional.softplus(-judged_real).mean() + functional.softplus(critic(fake.detach())).mean() + penalty


def decoder_loss(critic: Critic, fake: Tensor) -> Tensor:
    """What the decoder pays for fakes (fakes, features) that are recognised: -log of being judged real."""
    return functional.softplus(-critic(fake)).mean()
