"""Loss of two VAEs whose latent spaces are matched (Chemla-Romeu-Santos et al. 2019, section III).

    total = -log p(signal|z_signal) + symbol_weight (-log p(symbol|z_symbol))
            + beta_1 KL(q_signal || prior) + beta_2 KL(q_symbol || prior)
            + cross_1 D(q_signal, q_symbol) + cross_2 D(q_symbol, q_signal)
            + transfer_1 (-log p(signal|z_symbol)) + transfer_2 (-log p(symbol|z_signal)) + critic

D is the Kullback-Leibler divergence (`kld`) or the squared distance of the means (`l2`), of the top
latents. `symbol_weight` and the transfer terms are not in the article; their defaults are 1 and 0.
One decoder of symbols serves both latents: where transfer_2 outweighs symbol_weight, it learns how
ambiguous the latents of signals are, and symbols are no longer reconstructed. All terms are in nats
per frame: summed over bins, classes and latent dimensions, averaged over the batch.

A new term is a field of `RunConfig` for its weight, a field of `LossTerms`, a line in
`loss_weights`, and a line in `loss_terms`; history, figures and resuming follow from these.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor
from torch.distributions import Normal, kl_divergence

from lt.config import RunConfig
from lt.models.networks import Symbols
from lt.models.vae import CrossModalOutput, VAEOutput


class LossTerms(NamedTuple):
    """A value for each term of the loss, in the order of the columns of history.csv.

    The values are scalar tensors (the terms of one batch) or floats (weights, means over an epoch).
    Terms that a run does not use are zero.
    """

    signal_nll: Tensor | float
    symbol_nll: Tensor | float
    signal_kl: Tensor | float
    symbol_kl: Tensor | float
    cross_1: Tensor | float
    cross_2: Tensor | float
    transfer_1: Tensor | float
    transfer_2: Tensor | float
    critic: Tensor | float


TERMS = LossTerms._fields


class Targets(NamedTuple):
    """What the decoders are to give.

    Attributes:
        signal: (batch, features) decoded from the signals.
        classes: (batch, instruments, labels) of the batch.
        played: (batch, features) decoded from symbols.
        combinations: (batch, instruments, labels) that the symbol VAE reconstructs.
        played_weight: factor of the term of the played symbols.
        keys, combined_keys: (batch, chordal instruments, keys) that sound in `classes` and in
            `combinations`; None where each instrument has one voice.
    """

    signal: Tensor
    classes: Tensor
    played: Tensor
    combinations: Tensor
    played_weight: float = 1.0
    keys: Tensor | None = None
    combined_keys: Tensor | None = None


def loss_weights(config: RunConfig) -> LossTerms:
    """The weight of each term for a run."""
    return LossTerms(
        signal_nll=1.0,
        symbol_nll=config.symbol_weight,
        signal_kl=config.beta_1,
        symbol_kl=config.beta_2,
        cross_1=config.cross_1,
        cross_2=config.cross_2,
        transfer_1=config.transfer_1,
        transfer_2=config.transfer_2,
        critic=float(config.adversarial),
    )


def needs_transfer(weights: LossTerms) -> bool:
    """Whether a term decodes one modality from the latent of the other."""
    return any((weights.transfer_1, weights.transfer_2, weights.critic))


def total_loss(terms: LossTerms, weights: LossTerms) -> Tensor | float:
    """The weighted sum; terms of weight 0 are left out, so that their NaN stays there."""
    return sum(weight * term for term, weight in zip(terms, weights) if weight)


def loss_terms(
    output: CrossModalOutput,
    targets: Targets,
    regularization_type: str,
    subframes: int = 1,
    group_weights: Tensor | None = None,
    key_weight: float = 1.0,
    critic: Tensor | None = None,
) -> LossTerms:
    """Every term of the loss for a batch.

    Args:
        output: of the model.
        targets: of its decoders.
        regularization_type: the divergence D, "kld" or "l2".
        subframes: spectra in a frame of the decoder, over which the signal's terms are averaged.
        group_weights: (groups,) of the labels in the transfer from signal to symbols; None: 1.
        key_weight: of the keys in it.
        critic: the adversarial loss of the signal decoder, a scalar.
    """
    labels = targets.classes.flatten(1)
    zero = targets.signal.new_zeros(())
    q_signal, q_symbol = output.signal.posterior.top, output.symbol.posterior.top
    own = output.combined or output.symbol
    transfer_1 = transfer_2 = zero
    if output.has_transfer:
        # The scale is learnt from the signals alone: symbols of the training notes are played with
        # errors smaller than those of other notes.
        played = output.signal_from_symbol
        nll = mean_nll(Normal(played.mean, played.stddev.detach()), targets.played)
        transfer_1 = targets.played_weight / subframes * nll
        transfer_2 = mean_nll(output.symbol_from_signal, labels, group_weights)
        transfer_2 = transfer_2 + key_weight * _key_nll(output.symbol_from_signal, targets.keys)
    return LossTerms(
        signal_nll=mean_nll(output.signal.px, targets.signal) / subframes,
        symbol_nll=mean_nll(own.px, targets.combinations.flatten(1))
        + _key_nll(own.px, targets.combined_keys),
        signal_kl=sum(kl.sum(dim=-1).mean() for kl in prior_kl(output.signal)),
        symbol_kl=sum(kl.sum(dim=-1).mean() for kl in prior_kl(own)),
        cross_1=divergence(q_signal, q_symbol, regularization_type).mean(),
        cross_2=divergence(q_symbol, q_signal, regularization_type).mean(),
        transfer_1=transfer_1,
        transfer_2=transfer_2,
        critic=zero if critic is None else critic,
    )


def mean_nll(px: Normal | Symbols, x: Tensor, weights: Tensor | None = None) -> Tensor:
    """-log p(x), summed over features or groups, averaged over the batch: a scalar.

    Args:
        px: distribution over (batch, features) or (batch, groups). x: of the same shape.
        weights: (features,) or (groups,) in the sum; None: 1.
    """
    nll = _normal_nll(px, x) if isinstance(px, Normal) else -px.log_prob(x)
    return (nll if weights is None else nll * weights).sum(dim=-1).mean()


def _key_nll(px: Symbols, keys: Tensor | None) -> Tensor | float:
    """-log p(keys), summed over keys, averaged over the batch; 0 where there are none."""
    return 0.0 if keys is None else -px.key_log_prob(keys).mean()


def _normal_nll(px: Normal, x: Tensor) -> Tensor:
    """`-px.log_prob(x)`, in half the time where all rows share a scale: its square and logarithm
    are computed once.
    """
    scale = px.stddev
    if scale.stride(0) == 0:
        scale = scale[:1]
    return 0.5 * ((x - px.mean) / scale).square() + (scale.log() + 0.5 * math.log(2 * math.pi))


def prior_kl(output: VAEOutput) -> tuple[Tensor, ...]:
    """KL(q(z_l|.) || p(z_l|z_{l+1})) per dimension: (batch, latent) a layer, bottom first."""
    return tuple(kl_divergence(q, p) for q, p in zip(output.posterior.qz, output.pz))


def divergence(q: Normal, p: Normal, regularization_type: str) -> Tensor:
    """D(q, p), summed over the latent dimensions: (batch,)."""
    if regularization_type == "l2":
        return (q.mean - p.mean).square().sum(dim=-1)
    return kl_divergence(q, p).sum(dim=-1)
