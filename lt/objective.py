"""The objective as modules: each takes features and gives its loss in one forward pass, which is the pass that
DistributedDataParallel watches. The model's and the critic's are apart, as their optimisers are.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from lt.critic import Critic, critic_loss, decoder_loss
from lt.losses import LossTerms, LossWeights, loss_terms
from lt.vae import CrossModalOutput, CrossModalVAE, Noise


class Objective(nn.Module):
    """The model and its loss. The critic judges here but is no part: its parameters are not this module's."""

    def __init__(self, model: CrossModalVAE, weights: LossWeights, regularization_type: str,
                 critic: Critic | None) -> None:
        super().__init__()
        self.model, self.weights, self.regularization_type = model, weights, regularization_type
        self._critic = (critic,)  # in a tuple, where nn.Module does not see it

    def forward(self, heard: Tensor, target: Tensor, classes: Tensor,
                noise: dict[str, Noise]) -> tuple[Tensor, Tensor, Tensor]:
        """What is heard and what is to be decoded (batch, features), and classes -> the weighted total, the terms
        (terms,), and the fakes (fakes, features); only the total carries a gradient."""
        output = self.model(heard, classes, noise["signal"], noise["symbol"], self.weights.need_transfer)
        fake = _fakes(output).detach() if self._critic[0] else target.new_zeros((0, target.shape[1]))
        terms = self.terms(output, target, classes)
        return self.weights.total(terms), terms.stack().detach(), fake

    def terms(self, output: CrossModalOutput, target: Tensor, classes: Tensor) -> LossTerms:
        """Every term by name; the critic's needs an output with transfers."""
        critic, = self._critic
        return loss_terms(output, target, classes, self.regularization_type,
                          decoder_loss(critic, _fakes(output)) if critic else None)


class CriticObjective(nn.Module):
    """The critic and its own loss."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """Real and fake features (batch, features) -> the critic's loss."""
        return critic_loss(self.critic, real, fake)


def _fakes(output: CrossModalOutput) -> Tensor:
    """What the critic shall tell from real spectra: decoded means, reconstructed and transferred."""
    return torch.cat([output.signal.px.mean, output.signal_from_symbol.mean])
