"""Decoding: latent points -> magnitudes and symbols, and the draws and the region that latent paths are made of.

What is drawn: the posterior of a symbol covers every moment of such notes, from attack to release. A draw of its own
for each note would be a lottery of moments, loud beside soft; so one draw, of a third of the spread, is shared by all
notes of a piece (a player's tone that day), and around it each note drifts a little.

Names: `z: (frames, latent)` top latent, `magnitudes: (frames, bins)`.
"""
from __future__ import annotations

from typing import Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from lt.labels import N_CLASSES
from lt.latent import Region
from lt.runs import Run
from lt.seeds import numpy_generator

SPREAD = 0.3  # of a draw, in standard deviations of the posterior: levels still rise with dynamics
DRIFT_SECONDS = 0.3  # correlation time of a note's drift
DRIFT_SHARE = 0.05  # of a draw's variance that drifts; the rest is the piece's own
REGION_CLASSES = 2000  # drawn to see where the latents of sounds lie


def draw_slowly(n_frames: int, dim: int, run: Run, seed: int, layer: int, index: int) -> Tensor:
    """Normal noise (n_frames, dim) of standard deviation SPREAD at every frame: the most of it the piece's own,
    drawn once a layer, the rest a slow drift of the `index`-th note's."""
    still = numpy_generator(seed, "latent", 0, layer).standard_normal((1, dim))
    sigma = DRIFT_SECONDS * run.front_end.frame_rate / 2
    padding = int(4 * sigma)
    drift = numpy_generator(seed, "latent", 1, layer, index).standard_normal((n_frames + 2 * padding, dim))
    drift = gaussian_filter1d(drift, sigma, axis=0)[padding:padding + n_frames]
    drift = drift * np.sqrt(2 * sigma * np.sqrt(np.pi))  # back to unit variance
    return torch.from_numpy(SPREAD * (np.sqrt(1 - DRIFT_SHARE) * still + np.sqrt(DRIFT_SHARE) * drift)).float()


def to_magnitudes(run: Run, features: Tensor) -> Tensor:
    """Decoded features (frames, features) -> magnitudes (frames, bins), expanded downwards from the lowest level f
    that the features resolve: m^3 / (m^2 + f^2). Hundreds of bins that a mean leaves a little above their floor
    would sum to an audible hiss; partials stay as they are."""
    magnitudes, scaler = run.scaler.invert(features), run.scaler
    top = magnitudes.amax(dim=-1, keepdim=True) if scaler.kind == "relative" else scaler.reference
    lowest = top * 10 ** (-scaler.range_db / 20)
    return magnitudes ** 3 / (magnitudes ** 2 + lowest ** 2 + torch.finfo(magnitudes.dtype).tiny)


@torch.no_grad()
def decode_path(run: Run, z: Tensor) -> tuple[Tensor, tuple[np.ndarray, ...]]:
    """Top latents (frames, latent) -> magnitudes (frames, bins) and class probabilities, one group each."""
    z = z.to(run.device)
    magnitudes = to_magnitudes(run, run.model.signal.decode(z).mean)
    return magnitudes, tuple(group.cpu().numpy() for group in run.model.symbol.decode(z).probabilities())


@torch.no_grad()
def occupied_region(run: Run) -> Region:
    """Where the latents of sounds lie: around those of the symbols that the run, playing them, hears as such.

    Other symbols (octaves that it never learnt) say nothing; where it hears hardly any right, all are taken.
    """
    chosen, space = numpy_generator(0, "latent", 2), run.space
    sizes = [N_CLASSES[label] for label in space.labels] * len(space.instruments)
    drawn = torch.from_numpy(chosen.integers(0, sizes, (REGION_CLASSES, len(sizes)))).to(run.device)
    points = run.model.encode_symbol(drawn.view(REGION_CLASSES, len(space.instruments), -1)).top.mean
    heard = run.model.signal_to_symbol(run.model.signal.decode(points).mean).probabilities()
    notes = [column for column in range(len(sizes)) if space.labels[column % len(space.labels)] != "dynamics"]
    right = torch.stack([heard[column].argmax(dim=1) == drawn[:, column] for column in notes or [0]]).all(dim=0)
    points = points.cpu().numpy()
    known = right.cpu().numpy()
    return Region.around(points[known] if known.sum() >= 2 * points.shape[1] else points)


@torch.no_grad()
def reconstruct(run: Run, magnitudes: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
    """Magnitudes (frames, bins) -> the signal VAE's own idea of them; `noise` (frames, latent), one a layer, draws
    the latents, None takes posterior means."""
    posterior = run.model.encode_signal(run.scaler.apply(magnitudes.to(run.device)), noise)
    return to_magnitudes(run, run.model.signal.output(posterior.z[0]).mean)
