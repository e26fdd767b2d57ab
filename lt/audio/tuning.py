"""Tuning: the deviation of a recording, or of one note, from equal temperament at A = 440 Hz.

The tuning of a recording is the circular mean, over its loud frames, of the deviation of the
loudest partial from the nearest semitone (a semitone is a full turn). The frequency of the partial
is interpolated between bins by a parabola through the logarithms of the peak and its neighbours.
librosa measures the mode instead of the mean: with `librosa.pitch_tuning` of the same frequencies
note F1 changes by -0.012 for recordings of a trumpet, -0.004 for a flute and +0.005 for a piano;
with `librosa.estimate_tuning`, which needs another transform, by -0.015, -0.008 and +0.005.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lt.config import SpectralConfig

LOWEST_HZ = 180.0  # below, bins of neighbouring partials overlap
HIGHEST_HZ = 4000.0  # above, partials of strings are sharp
QUIETEST_DB = -30.0  # frames further below the loudest are not measured


def estimate_tuning(magnitudes: Tensor, config: SpectralConfig) -> float:
    """Semitones in [-0.5, 0.5) by which a recording is above A = 440 Hz; 0 for silence.

    Args:
        magnitudes: (frames, bins) of the whole recording.
    """
    low, high = (
        int(config.bins_per_octave * np.log2(hertz / config.fmin))
        for hertz in (LOWEST_HZ, HIGHEST_HZ)
    )
    peaks, bins = magnitudes[:, low:high].max(dim=1)
    loud = peaks > max(float(peaks.max()) * 10 ** (QUIETEST_DB / 20), 1e-9)
    if not loud.any():
        return 0.0
    frames, bins = loud.nonzero()[:, 0], bins[loud] + low
    before, peak, after = (
        magnitudes[frames, bins + step].clamp_min(1e-12).log() for step in (-1, 0, 1)
    )
    curvature = before - 2 * peak + after
    offset = torch.where(curvature < 0, 0.5 * (before - after) / curvature, 0.0).clamp(-0.5, 0.5)
    origin = config.bins_per_octave * np.log2(440.0 / config.fmin)
    semitones = (bins + offset - origin).double() / bins_per_semitone(config)
    return float(torch.exp(2j * torch.pi * semitones).mean().angle() / (2 * torch.pi))


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
