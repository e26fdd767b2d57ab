"""Pitch of a single note: its deviation in cents from the note that its label names.

The period is read from the normalised square difference function (NSDF) of McLeod and Wyvill, "A
smarter way to find pitch" (ICMC 2005), with the expected period as prior knowledge.

Measured against librosa 0.11 on 458 real flute notes, trimmed, with the peak of the fundamental in
a zero-padded FFT as the reference: 1.1 % of the notes off by more than half a semitone and 0.7 %
without a clear pitch, median difference 1.8 cents, in 1.0 s. `librosa.yin`: 2.2 %, 3.2 cents, 0.6 s
(at four times the sample rate 2.4 %, 2.0 cents, 2.7 s); `librosa.pyin`: 2.4 %, 3.8 cents, 111 s.
"""

from __future__ import annotations

import numpy as np

from lt.labels import note_number_to_hz

STEADY_SECONDS = 0.5  # of a note that are measured
CLEAR_PITCH = 0.7  # least NSDF of a period, 1 at best
OVERSAMPLING = 4  # lags a sample: at 4 kHz a period is 5.5 samples


def detuning_cents(audio: np.ndarray, sample_rate: int, note_number: int) -> float:
    """Deviation of a note's pitch from its label.

    It is measured where the note is loudest, or right after that, where the attack is over.

    Args:
        audio: (samples,).
    Returns:
        Cents, or NaN where the sound has no clear pitch.
    """
    expected = sample_rate * OVERSAMPLING / note_number_to_hz(note_number)  # period in lags
    n_samples = round(STEADY_SECONDS * sample_rate)
    start = _loudest(audio, n_samples)
    for begin in (start, start + n_samples):
        part = audio[begin : begin + n_samples]
        if len(part) > n_samples // 8:
            period = _period(part - part.mean(), expected)
            if period:
                return float(1200 * np.log2(expected / period))
    return float("nan")


def _period(audio: np.ndarray, expected: float) -> float | None:
    """Period in lags, or None where there is none that is clear.

    The peak near the expected period is taken unless another is much better: twice a period is a
    period as well, and half a period nearly so for sounds with weak odd partials.
    """
    nsdf = _nsdf(audio, round(2.6 * expected))
    semitone = 2 ** (1 / 12)
    near = slice(int(expected / semitone), min(int(expected * semitone) + 2, len(nsdf)))
    other = _first_high_peak(nsdf)
    if near.stop - near.start < 3 or other is None or nsdf[other] < CLEAR_PITCH:
        return None
    own = near.start + int(np.argmax(nsdf[near]))
    much_better = nsdf[own] < 0.7 * nsdf[other] or (
        other < own and 1 - nsdf[own] > 0.5 * (1 - nsdf[other])
    )
    apart = abs(np.log2(other / own)) > 1 / 24
    return _parabola_maximum(nsdf, other if apart and much_better else own)


def _loudest(audio: np.ndarray, n_samples: int) -> int:
    """First sample of the `n_samples` with the most energy."""
    energy = np.append(0.0, np.cumsum(audio.astype(np.float64) ** 2))
    n_starts = max(len(audio) - n_samples + 1, 1)
    return int(np.argmax(energy[-n_starts:] - energy[:n_starts]))


def _nsdf(audio: np.ndarray, max_lag: int) -> np.ndarray:
    """(lags,) normalised square difference function, OVERSAMPLING lags a sample."""
    n_samples = len(audio)
    size = 1 << (2 * n_samples - 1).bit_length()
    power = np.abs(np.fft.rfft(audio, size)) ** 2
    n_lags = min(max_lag, (n_samples - 2) * OVERSAMPLING)
    correlation = np.fft.irfft(power, size * OVERSAMPLING)[:n_lags] * OVERSAMPLING
    energy = np.append(0.0, np.cumsum(audio.astype(np.float64) ** 2))
    lags = np.arange(n_lags) / OVERSAMPLING
    samples = np.arange(n_samples + 1)
    first = np.interp(n_samples - lags, samples, energy)
    last = energy[-1] - np.interp(lags, samples, energy)
    return 2 * correlation / np.maximum(first + last, 1e-20)


def _first_high_peak(nsdf: np.ndarray) -> int | None:
    """Lag of the first peak, once the function was negative, of at least 0.93 of the highest."""
    negative = np.flatnonzero(nsdf < 0)
    inner = nsdf[1:-1]
    peaks = 1 + np.flatnonzero((inner >= nsdf[:-2]) & (inner > nsdf[2:]))
    peaks = peaks[peaks > negative[0]] if len(negative) else negative
    return int(peaks[np.argmax(nsdf[peaks] >= 0.93 * nsdf[peaks].max())]) if len(peaks) else None


def _parabola_maximum(nsdf: np.ndarray, lag: int) -> float:
    """Maximum of the parabola through a peak and its neighbours."""
    if not 0 < lag < len(nsdf) - 1:
        return float(lag)
    left, centre, right = nsdf[lag - 1 : lag + 2]
    curvature = left - 2 * centre + right
    return lag + (0.5 * (left - right) / curvature if curvature < 0 else 0.0)
