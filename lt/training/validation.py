"""Validation: what a model makes of the part that chooses it, with the same draws every time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lt.audio.features import Scaler
from lt.config import RunConfig
from lt.data.mixing import Mixer
from lt.models.checkpoints import HALVES
from lt.models.losses import TERMS, prior_kl
from lt.models.vae import CrossModalVAE
from lt.seeds import torch_rng
from lt.training.distributed import Workers
from lt.training.step import Objective

VALID_FRAMES = 20_000  # at most as many validation frames choose the model
SMALLEST_BATCH = 512  # nothing is learnt here, so batches can be larger
EXAMPLE_FRAMES = 128  # in the figure of reconstructions


@dataclass(frozen=True)
class Evaluation:
    """Losses of a part: the terms' means by name, and the prior KL by latent dimension.

    Attributes:
        terms: nats a frame. latent_kl: half -> one list (latent,) a layer, bottom first.
    """

    terms: dict[str, float]
    latent_kl: dict[str, list[list[float]]]


@dataclass(frozen=True)
class Examples:
    """Validation frames as the model hears and knows them, for figures.

    Attributes:
        original, reconstruction, transfer: magnitudes (frames, bins); the last two are decoded
            means, the transfer from the symbols' latent.
        classes: (frames, groups). reconstructed, transferred: probabilities (frames, classes), one
            a group; the transferred ones from the signal's latent.
    """

    original: Tensor
    reconstruction: Tensor
    transfer: Tensor
    classes: Tensor
    reconstructed: tuple[Tensor, ...]
    transferred: tuple[Tensor, ...]


@torch.no_grad()
def evaluate(
    objective: Objective, mixer: Mixer, scaler: Scaler, config: RunConfig, workers: Workers
) -> Evaluation:
    """Losses on a sample of the validation part (20,000 frames at most), shared out among the
    workers.
    """
    objective.eval()
    order = mixer.order(config.seed, 0)[:VALID_FRAMES]
    sums = torch.zeros(len(TERMS) + len(HALVES) * sum(objective.model.dims), device=mixer.device)
    for step, positions in enumerate(order.split(max(config.batch_size, SMALLEST_BATCH))):
        rows = workers.share(len(positions))
        if rows.stop > rows.start:
            sums += _sums(objective, mixer, scaler, config, positions, rows, step)
    means = (workers.sum(sums) / len(order)).tolist()
    terms, rest = dict(zip(TERMS, means, strict=False)), means[len(TERMS) :]
    latent_kl = {
        half: [[rest.pop(0) for _ in range(dim)] for dim in objective.model.dims] for half in HALVES
    }
    return Evaluation(terms, latent_kl)


def _sums(
    objective: Objective,
    mixer: Mixer,
    scaler: Scaler,
    config: RunConfig,
    positions: Tensor,
    rows: slice,
    step: int,
) -> Tensor:
    """Terms, then KL by half, layer and dimension, summed over this worker's rows of one batch."""
    batch = mixer.batch(positions, config.seed, step, stream="valid")[rows]
    chosen = torch_rng(config.seed, "noise", 0, step, device=mixer.device)
    noise = objective.draw_noise(len(positions), rows, chosen)
    target = scaler.apply(batch.mixture)
    output = objective.model(target, batch.classes, noise["signal"], noise["symbol"])
    terms = objective.judge(output, target, batch.classes, noise)[0].stack()
    latent = [kl.sum(dim=0) for half in HALVES for kl in prior_kl(getattr(output, half))]
    return torch.cat([terms * (rows.stop - rows.start), *latent])


@torch.no_grad()
def examples(model: CrossModalVAE, mixer: Mixer, scaler: Scaler, seed: int) -> Examples:
    """Some validation frames in order of pitch, and what the model makes of them."""
    model.eval()
    order = mixer.order(seed, 0)[:EXAMPLE_FRAMES]
    batch = mixer.batch(order, seed, 0, stream="valid")
    ranked = torch.argsort(mixer.note_numbers(order), stable=True)
    target, classes = scaler.apply(batch.mixture)[ranked], batch.classes[ranked]
    output = model(target, classes)
    magnitudes = [
        scaler.invert(features).cpu()
        for features in (target, output.signal.px.mean, output.signal_from_symbol.mean)
    ]
    return Examples(
        *magnitudes,
        classes.flatten(1).cpu(),
        tuple(rows.cpu() for rows in output.symbol.px.probabilities()),
        tuple(rows.cpu() for rows in output.symbol_from_signal.probabilities()),
    )
