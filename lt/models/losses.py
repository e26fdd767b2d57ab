"""The loss of two VAEs whose latents are made to match (Chemla-Romeu-Santos et al. 2019, section
III).

    total = -log p(signal|z_signal) - log p(symbol|z_symbol)
            + beta_1 KL(q_signal || prior) + beta_2 KL(q_symbol || prior)
            + cross_1 D(q_signal, q_symbol) + cross_2 D(q_symbol, q_signal)
            + transfer_1 (-log p(signal|z_symbol)) + transfer_2 (-log p(symbol|z_signal)) + critic

D is the Kullback-Leibler divergence (`kld`) or the squared distance of the means (`l2`), of the top
latents. The transfer terms are ours (weight 0 gives the article). All terms are nats a frame:
summed over bins, classes and latent dimensions, averaged over the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from lt.config import RunConfig
from lt.models.vae import CrossModalOutput, VAEOutput

REGULARIZATIONS = ("kld", "l2")


@dataclass(frozen=True)
class LossTerms:
    """The terms of the loss by name, each a scalar tensor; terms that a run does not use are zero."""

    signal_nll: Tensor
    symbol_nll: Tensor
    signal_kl: Tensor
    symbol_kl: Tensor
    cross_1: Tensor
    cross_2: Tensor
    transfer_1: Tensor
    transfer_2: Tensor
    critic: Tensor

    def stack(self) -> Tensor:
        """(terms,) in the order of TERMS."""
        return torch.stack([getattr(self, name) for name in TERMS])


TERMS = tuple(field.name for field in fields(LossTerms))


@dataclass(frozen=True)
class LossWeights:
    """One weight a term, by the term's name."""

    signal_nll: float = 1.0
    symbol_nll: float = 1.0
    signal_kl: float = 1.0
    symbol_kl: float = 1.0
    cross_1: float = 10.0
    cross_2: float = 0.0
    transfer_1: float = 0.0
    transfer_2: float = 0.0
    critic: float = 0.0

    @classmethod
    def of(cls, config: RunConfig) -> LossWeights:
        """The weights that a run's flags ask for."""
        return cls(
            signal_kl=config.beta_1,
            symbol_kl=config.beta_2,
            cross_1=config.cross_1,
            cross_2=config.cross_2,
            transfer_1=config.transfer_1,
            transfer_2=config.transfer_2,
            critic=float(config.adversarial),
        )

    @property
    def need_transfer(self) -> bool:
        """Whether a term decodes one modality from the other's latent."""
        return any((self.transfer_1, self.transfer_2, self.critic))

    def stack(self, device: torch.device | str = "cpu") -> Tensor:
        """(terms,) in the order of TERMS."""
        return torch.tensor([getattr(self, name) for name in TERMS], device=device)

    def total(self, terms: LossTerms) -> Tensor:
        """The weighted sum, a scalar. A term of weight 0 is left out, so that it cannot spoil the
        sum.
        """
        return sum(
            weight * getattr(terms, name) for name in TERMS if (weight := getattr(self, name))
        )


def prior_kl(output: VAEOutput) -> tuple[Tensor, ...]:
    """KL(q(z_l|.) || p(z_l|z_{l+1})) of each layer, bottom first, by dimension: (batch, latent)
    each.
    """
    return tuple(kl_divergence(q, p) for q, p in zip(output.posterior.qz, output.pz))


def divergence(q: Normal, p: Normal, regularization_type: str) -> Tensor:
    """D(q, p), summed over the latent: (batch,)."""
    if regularization_type == "l2":
        return (q.mean - p.mean).square().sum(dim=-1)
    return kl_divergence(q, p).sum(dim=-1)


def loss_terms(
    output: CrossModalOutput,
    target: Tensor,
    classes: Tensor,
    regularization_type: str,
    critic: Tensor | None = None,
) -> LossTerms:
    """Every term for a batch.

    Args:
        output: of the model. target: features to be reconstructed (batch, features).
        classes: (batch, instruments, labels). critic: the decoder's adversarial loss, a scalar.
    """
    groups, zero = classes.flatten(1), target.new_zeros(())
    q_signal, q_symbol = output.signal.posterior.top, output.symbol.posterior.top

    def nll(px, x: Tensor) -> Tensor:
        return zero if px is None else -px.log_prob(x).sum(dim=-1).mean()

    return LossTerms(
        signal_nll=nll(output.signal.px, target),
        symbol_nll=nll(output.symbol.px, groups),
        signal_kl=sum(kl.sum(dim=-1).mean() for kl in prior_kl(output.signal)),
        symbol_kl=sum(kl.sum(dim=-1).mean() for kl in prior_kl(output.symbol)),
        cross_1=divergence(q_signal, q_symbol, regularization_type).mean(),
        cross_2=divergence(q_symbol, q_signal, regularization_type).mean(),
        transfer_1=nll(output.signal_from_symbol, target),
        transfer_2=nll(output.symbol_from_signal, groups),
        critic=zero if critic is None else critic,
    )
