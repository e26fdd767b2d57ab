"""The objective as modules: each takes features and gives its loss in one forward pass, which is the pass that
DistributedDataParallel watches. The model's and the critic's are apart, as their optimisers are.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from lt.critic import N_DRAWS, Critic, Shown, critic_loss, decoder_loss, show
from lt.losses import LossTerms, LossWeights, loss_terms
from lt.vae import CrossModalOutput, CrossModalVAE, Noise, draw_noise


class Objective(nn.Module):
    """The model and its loss. The critic judges here but is no part: its parameters are not this module's."""

    def __init__(self, model: CrossModalVAE, weights: LossWeights, regularization_type: str,
                 critic: Critic | None) -> None:
        super().__init__()
        self.model, self.weights, self.regularization_type = model, weights, regularization_type
        self._critic = (critic,)  # in a tuple, where nn.Module does not see it

    def draw_noise(self, n_rows: int, rows: slice, chosen: torch.Generator) -> dict[str, Noise]:
        """Standard normal draws for the global batch, and of them these rows: `signal` and `symbol` (rows, latent)
        a layer, and for the critic, where there is one, `critic` (rows, features) each."""
        critic, = self._critic
        widths = {"signal": self.model.dims, "symbol": self.model.dims,
                  "critic": (critic.n_features,) * N_DRAWS if critic else ()}
        return {what: tuple(z[rows] for z in draw_noise(width, n_rows, chosen)) for what, width in widths.items()}

    def forward(self, heard: Tensor, target: Tensor, classes: Tensor,
                noise: dict[str, Noise]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What is heard and what is to be decoded (batch, features), and classes -> the weighted total, the terms
        (terms,), and what the critic shall learn from: real (batch, features) and fake (fakes, features); only the
        total carries a gradient."""
        output = self.model(heard, classes, noise["signal"], noise["symbol"], self.weights.need_transfer)
        terms, shown = self.judge(output, target, classes, noise)
        return self.weights.total(terms), terms.stack().detach(), shown.real, shown.fake.detach()

    def judge(self, output: CrossModalOutput, target: Tensor, classes: Tensor,
              noise: dict[str, Noise]) -> tuple[LossTerms, Shown]:
        """Every term by name, and what the critic was shown; where there is one, the output must hold transfers."""
        critic, = self._critic
        if critic is None:
            nothing = target.new_zeros((0, target.shape[1]))
            return loss_terms(output, target, classes, self.regularization_type), Shown(nothing, nothing)
        shown = show(target, output, noise["critic"])
        critic_term = decoder_loss(critic, shown.fake)
        return loss_terms(output, target, classes, self.regularization_type, critic_term), shown


class CriticObjective(nn.Module):
    """The critic and its own loss."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """Real and fake features (batch, features) -> the critic's loss."""
        return critic_loss(self.critic, real, fake)
