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
from lt.labels import note_number_to_hz
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


STEADY_SECONDS = 0.5  # of a note, for its tuning
CLEAR_PITCH = 0.7  # of the normalised square difference function, 1 at best
OVERSAMPLING = 4  # of lags: at 4 kHz a period is 5.5 samples


# --- tuning ---------------------------------------------------------------------------------------


def detuning_cents(audio: np.ndarray, sample_rate: int, note_number: int) -> float:
    """Deviation of a note from its label, NaN where the sound has no clear pitch.

    Measured where the note is loudest, or right after, where an attack of other frequencies has
    passed.
    """
    period = sample_rate * OVERSAMPLING / note_number_to_hz(note_number)  # in lags
    n_samples = round(STEADY_SECONDS * sample_rate)
    start = _loudest(audio, n_samples)
    for begin in (start, start + n_samples):
        stretch = audio[begin : begin + n_samples]
        found = _period(stretch - stretch.mean(), period) if len(stretch) > n_samples // 8 else None
        if found:
            return float(1200 * np.log2(period / found))
    return float("nan")


def _period(audio: np.ndarray, period: float) -> float | None:
    """The period of a sound that should have `period`, in lags; None if it has none that is clear.

    It is read from the normalised square difference function (McLeod and Wyvill 2005). Its peak
    near the expected period is believed unless another is much better: a period twice as long is as
    good for every sound, and one half as long nearly so for sounds of weak odd partials.
    """
    nsdf, semitone = _nsdf(audio, round(2.6 * period)), 2 ** (1 / 12)
    near = slice(int(period / semitone), min(int(period * semitone) + 2, len(nsdf)))
    other = _first_high_peak(nsdf)
    if near.stop - near.start < 3 or other is None or nsdf[other] < CLEAR_PITCH:
        return None
    own = near.start + int(np.argmax(nsdf[near]))
    apart = abs(np.log2(other / own)) > 1 / 24
    better = nsdf[own] < 0.7 * nsdf[other] or (
        other < own and 1 - nsdf[own] > 0.5 * (1 - nsdf[other])
    )
    return _summit(nsdf, other if apart and better else own)


def _loudest(audio: np.ndarray, n_samples: int) -> int:
    """Where the stretch of greatest energy begins."""
    if len(audio) <= n_samples:
        return 0
    energy = np.concatenate([[0.0], np.cumsum(audio.astype(np.float64) ** 2)])
    return int(np.argmax(energy[n_samples:] - energy[:-n_samples]))


def _nsdf(audio: np.ndarray, max_lag: int) -> np.ndarray:
    """(lags,) normalised square difference function, at OVERSAMPLING lags a sample."""
    n_samples = len(audio)
    size = 1 << (2 * n_samples - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(audio, size)) ** 2
    n_lags = min(max_lag, (n_samples - 2) * OVERSAMPLING)
    correlation = np.fft.irfft(spectrum, size * OVERSAMPLING)[:n_lags] * OVERSAMPLING
    energy = np.concatenate([[0.0], np.cumsum(audio.astype(np.float64) ** 2)])
    lags = np.arange(n_lags) / OVERSAMPLING
    at = np.arange(n_samples + 1)
    shared = np.interp(n_samples - lags, at, energy) + energy[-1] - np.interp(lags, at, energy)
    return 2 * correlation / np.maximum(shared, 1e-20)


def _first_high_peak(nsdf: np.ndarray) -> int | None:
    """The first peak after a descent below zero that comes near the highest one."""
    negative = np.flatnonzero(nsdf < 0)
    if not len(negative):
        return None
    inner = nsdf[1:-1]
    peaks = 1 + np.flatnonzero((inner >= nsdf[:-2]) & (inner > nsdf[2:]))
    peaks = peaks[peaks > negative[0]]
    return int(peaks[np.argmax(nsdf[peaks] >= 0.93 * nsdf[peaks].max())]) if len(peaks) else None


def _summit(nsdf: np.ndarray, lag: int) -> float:
    """Where the parabola through a peak and its neighbours is highest."""
    if not 0 < lag < len(nsdf) - 1:
        return float(lag)
    left, centre, right = nsdf[lag - 1 : lag + 2]
    bend = left - 2 * centre + right
    return lag + (0.5 * (left - right) / bend if bend < 0 else 0.0)
