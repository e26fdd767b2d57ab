"""The tuning of a recording: how far its semitones lie from those of A = 440 Hz, read from its
spectra.

The loudest partial of each frame lies near a semitone; its distance from there is measured between
bins, by the parabola through the logarithms of the peak and its neighbours. Distances are angles (a
semitone is a full turn), so their mean is a circular one.
"""

from __future__ import annotations

from typing import Iterable

import numpy as np
import torch
from torch import Tensor

from lt.config import SpectralConfig
from lt.rows import Rows

REFERENCE_HZ = 440.0
LOWEST_HZ, HIGHEST_HZ = (
    180.0,
    4000.0,
)  # below, bins of neighbouring partials overlap; above, partials stretch
QUIETEST_DB = -30.0  # frames further below the loudest are not measured


class TuningMeter:
    """Gathers the tuning from blocks of spectra that pass by."""

    def __init__(self, config: SpectralConfig) -> None:
        self._config, self._deviations, self._peaks = config, Rows(), Rows()

    def add(self, magnitudes: Tensor) -> None:
        """Measure frames (frames, bins)."""
        config = self._config
        low, high = (
            int(config.bins_per_octave * np.log2(hertz / config.fmin))
            for hertz in (LOWEST_HZ, HIGHEST_HZ)
        )
        peak, at = magnitudes[:, low:high].max(dim=1)
        at = at + low
        around = torch.stack(
            [magnitudes.gather(1, (at + step)[:, None])[:, 0] for step in (-1, 0, 1)]
        )
        before, middle, after = around.clamp_min(1e-12).log()
        curve = before - 2 * middle + after
        offset = torch.where(
            curve < 0, 0.5 * (before - after) / curve, torch.zeros_like(curve)
        ).clamp(-0.5, 0.5)
        origin = config.bins_per_octave * np.log2(REFERENCE_HZ / config.fmin)
        self._deviations.add(((at + offset - origin) / bins_per_semitone(config)).cpu().numpy())
        self._peaks.add(peak.cpu().numpy())

    def watch(self, blocks: Iterable[Tensor]) -> Iterable[Tensor]:
        """Pass blocks (frames, bins) on, measuring them."""
        for block in blocks:
            self.add(block)
            yield block

    @property
    def semitones(self) -> float:
        """The deviation in semitones, within half a semitone; 0 where nothing sounded."""
        peaks, deviations = (
            torch.from_numpy(rows.array()) for rows in (self._peaks, self._deviations)
        )
        loud = (
            peaks > max(float(peaks.max()) * 10 ** (QUIETEST_DB / 20), 1e-9)
            if len(peaks)
            else peaks > 0
        )
        if not loud.any():
            return 0.0
        turns = torch.exp(2j * torch.pi * deviations[loud].double())
        return float(turns.mean().angle() / (2 * torch.pi))


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
    """Move each row up by `shift` (batch,) bins, fractions by linear interpolation; zeros come in."""
    n_bins = magnitudes.shape[-1]
    position = torch.arange(n_bins, device=magnitudes.device) - shift[:, None]
    below = position.floor()
    weight = (position - below).to(magnitudes.dtype)
    return (1 - weight) * _gather_bins(magnitudes, below.long()) + weight * _gather_bins(
        magnitudes, below.long() + 1
    )


def _gather_bins(magnitudes: Tensor, index: Tensor) -> Tensor:
    inside = (index >= 0) & (index < magnitudes.shape[-1])
    return magnitudes.gather(1, index.clamp(0, magnitudes.shape[-1] - 1)) * inside
