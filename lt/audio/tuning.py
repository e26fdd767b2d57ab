"""Tuning: the deviation of a recording, or of one note, from equal temperament at A = 440 Hz.

The tuning of a recording is the circular mean, over its loud frames, of the deviation of the
loudest partial from the nearest semitone (a semitone is a full turn). The frequency of the partial
is interpolated between bins by a parabola through the logarithms of the peak and its neighbours.
The circular mean of a vibrato of A semitones is J0(2 pi A), negative from 0.38 to 0.88: half a
semitone off. So it is measured also in power averaged over a period of vibrato, as the centroid
around the partial, and the mean of the deviations that agree more (the longer resultant) is taken;
those of single frames agree in a trill, whose average lies between its notes.

librosa measures the mode instead of the mean: with `librosa.pitch_tuning` of the same frequencies
note F1 changes by -0.012 for recordings of a trumpet, -0.004 for a flute and +0.005 for a piano;
with `librosa.estimate_tuning`, which needs another transform, by -0.015, -0.008 and +0.005.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lt.config import SpectralConfig

LOWEST_HZ = 180.0  # below, bins of neighbouring partials overlap
HIGHEST_HZ = 4000.0  # above, partials of strings are sharp
QUIETEST_DB = -30.0  # frames further below the loudest are not measured
VIBRATO_SECONDS = 0.29  # a period of the slowest vibrato, 4 Hz, and more
VIBRATO_SEMITONES = 1.5  # to either side: a vibrato of a semitone, and the width of its partials


def estimate_tuning(magnitudes: Tensor, config: SpectralConfig) -> float:
    """Semitones in [-0.5, 0.5) by which a recording is above A = 440 Hz; 0 for silence.

    Args:
        magnitudes: (frames, bins) of the whole recording.
    """
    n_frames = max(1, round(VIBRATO_SECONDS / config.frame_seconds))
    means = [_mean_deviation(magnitudes, _parabola_peaks, config)]
    if len(magnitudes) >= n_frames:
        windows = magnitudes.unfold(0, n_frames, math.ceil(n_frames / 4))
        averaged = torch.linalg.vector_norm(windows, dim=-1)
        means.append(_mean_deviation(averaged, _centroids, config))
    return cmath.phase(max(means, key=abs)) / (2 * math.pi)


def _mean_deviation(
    magnitudes: Tensor,
    position: Callable[[Tensor, Tensor, Tensor, SpectralConfig], Tensor],
    config: SpectralConfig,
) -> complex:
    """Circular mean of the deviations from the nearest semitone, a full turn; 0 for silence.

    Args:
        position: of the partials at the given `frames: (n,)` and `bins: (n,)`, (n,) in bins.
    """
    low, high = (
        int(config.bins_per_octave * np.log2(hertz / config.fmin))
        for hertz in (LOWEST_HZ, HIGHEST_HZ)
    )
    peaks, bins = magnitudes[:, low:high].max(dim=1)
    loud = peaks > max(float(peaks.max()) * 10 ** (QUIETEST_DB / 20), 1e-9)
    if not loud.any():
        return 0j
    origin = config.bins_per_octave * np.log2(440.0 / config.fmin)
    bins = position(magnitudes, loud.nonzero()[:, 0], bins[loud] + low, config)
    semitones = (bins - origin).double() / bins_per_semitone(config)
    return complex(torch.exp(2j * torch.pi * semitones).mean())


def _parabola_peaks(
    magnitudes: Tensor, frames: Tensor, bins: Tensor, config: SpectralConfig
) -> Tensor:
    before, peak, after = (
        magnitudes[frames, bins + step].clamp_min(1e-12).log() for step in (-1, 0, 1)
    )
    curvature = before - 2 * peak + after
    offset = torch.where(curvature < 0, 0.5 * (before - after) / curvature, 0.0).clamp(-0.5, 0.5)
    return bins + offset


def _centroids(magnitudes: Tensor, frames: Tensor, bins: Tensor, config: SpectralConfig) -> Tensor:
    """Twice, since the loudest bin may be at an extreme of the vibrato."""
    reach = round(VIBRATO_SEMITONES * bins_per_semitone(config))
    around = torch.arange(-reach, reach + 1, device=magnitudes.device)
    centroids = bins
    for _ in range(2):
        bins = centroids.round().long()
        index = (bins[:, None] + around).clamp(0, magnitudes.shape[1] - 1)
        power = magnitudes[frames[:, None], index].square()
        centroids = bins + power @ around.to(power.dtype) / power.sum(dim=1)
    return centroids


def tune(magnitudes: Tensor, semitones: float, config: SpectralConfig) -> Tensor:
    """Frames (frames, bins) moved up by so many semitones."""
    if not semitones:
        return magnitudes
    shift = torch.full(
        (len(magnitudes),), semitones * bins_per_semitone(config), device=magnitudes.device
    )
    return shift_bins(magnitudes, shift)


def bins_per_semitone(config: SpectralConfig) -> int:
    """Whole bins to a semitone: 4 at the defaults."""
    return config.bins_per_octave // 12


def shift_bins(magnitudes: Tensor, shift: Tensor) -> Tensor:
    """Move frames (batch, ..., bins) up by `shift` (batch,) bins, interpolated linearly; zeros come
    in.
    """
    n_bins = magnitudes.shape[-1]
    shift = shift.view(-1, *[1] * (magnitudes.ndim - 1))
    position = torch.arange(n_bins, device=magnitudes.device) - shift
    below = position.floor()
    weight = (position - below).to(magnitudes.dtype)
    # a zero on either side, to which all that is outside leads, takes less time than masks
    padded = torch.nn.functional.pad(magnitudes, (1, 1))
    lower, upper = (
        padded.gather(-1, (below.long() + step).clamp(0, n_bins + 1).expand_as(magnitudes))
        for step in (1, 2)
    )
    return (1 - weight) * lower + weight * upper
