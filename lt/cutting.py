"""Cutting: the sound of takes -> frames of spectra, silence trimmed, level kept, tuning measured.

A note is looked for by its level in blocks of 6 ms. What lies more than 50 dB below the loudest block is
silence; in a noisy recording, what lies less than 6 dB above its floor. Up to 0.15 s of silence stays on
either side, so that models meet attacks and ends; not in noise, which the data set would take for the note.
Levels are left as they are: dynamics live there.

Names: `audio: (samples,)` float32; cents are of the sound relative to its label.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Sequence

import numpy as np

from lt.config import SpectralConfig
from lt.datafiles import read_data_set
from lt.datasets import DataSet
from lt.rumble import read_without_rumble, without_rumble
from lt.soundfonts import open_font
from lt.takes import Recording, Rendering, Stored, Take

BLOCK = 128  # samples of a level
SILENCE_DB, FLOOR_MARGIN_DB = -50.0, 6.0
LOUDEST_FLOOR_DB = -30.0  # above this the quietest blocks are music, not noise
PAD_SECONDS = 0.15
FADE_SECONDS = 0.005  # where a note is cut out of others
SHORTEST_SECONDS = 0.1
SILENT_PEAK = 1e-4  # of full scale
STEADY_SECONDS = 0.5  # of a note, for its tuning
CLEAR_PITCH = 0.7  # of the normalised square difference function, 1 at best
OVERSAMPLING = 4  # of lags: at 4 kHz a period is 5.5 samples


@dataclass(frozen=True)
class Sound:
    """A take heard: `audio` (samples,) without the silence around it, `cents` from its label, or the reason why it is
    left out."""
    audio: np.ndarray
    cents: float
    reason: str


@dataclass(frozen=True)
class Part:
    """The frames of some takes, one after another.

    Attributes:
        magnitudes: (frames, bins) float32. lengths: (takes,) frames, 0 for those left out.
        cents: (takes,) deviation from the label, NaN where none could be measured.
        reasons: (takes,) why a take is left out, or nothing.
    """
    magnitudes: np.ndarray
    lengths: np.ndarray
    cents: np.ndarray
    reasons: np.ndarray


def cut_takes(takes: Sequence[Take], config: SpectralConfig, sounds: Sequence[Sound] = ()) -> Part:
    """The part that takes of one file make; `sounds` are the takes, where they have been heard before.

    Raises:
        ValueError, OSError, ImportError: the file cannot be read, or a font not be used.
    """
    pieces, cents, reasons = [], [], []
    for index, take in enumerate(takes):
        magnitudes, deviation, reason = np.zeros((0, config.n_bins), np.float32), np.nan, ""
        if isinstance(take.sound, Stored):
            magnitudes, deviation = _stored(take.sound)
        else:
            sound = sounds[index] if sounds else hear_take(take, config)
            deviation, reason = sound.cents, sound.reason
            if not reason:
                magnitudes = _spectra(sound.audio, config)
        pieces.append(magnitudes)
        cents.append(deviation)
        reasons.append(reason)
    return Part(np.concatenate(pieces), np.array([len(piece) for piece in pieces]), np.array(cents), np.array(reasons))


def hear_take(take: Take, config: SpectralConfig) -> Sound:
    """The half of cutting a take, of a recording or a font, that needs no torch. Raises as `cut_takes`."""
    audio, reason = _audio(take, config)
    return Sound(audio, np.nan if reason else detuning_cents(audio, config.sample_rate, take.note_number), reason)


def _spectra(audio: np.ndarray, config: SpectralConfig) -> np.ndarray:
    """(frames, bins), computed by one thread wherever it runs."""
    import torch  # two seconds, which `--help` does not have
    from lt.spectra import audio_to_spectra
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return audio_to_spectra(torch.from_numpy(audio), config).magnitudes.numpy()
    finally:
        torch.set_num_threads(threads)


def _stored(sound: Stored) -> tuple[np.ndarray, float]:
    """A note's frames and cents, as the other data set has them."""
    data = _data_set(sound.path, sound.path.stat().st_mtime_ns)
    frames = data.magnitudes[data.starts[sound.index]:data.starts[sound.index + 1]]
    return np.asarray(frames), float(data.notes.cents[sound.index])


@lru_cache(maxsize=2)
def _data_set(path: Path, changed: int) -> DataSet:
    """A data set, opened and checked once."""
    return read_data_set(path)


def _audio(take: Take, config: SpectralConfig) -> tuple[np.ndarray, str]:
    """The sound of a note, and the reason if it is none."""
    sound = take.sound
    if isinstance(sound, Rendering):
        audio = open_font(sound.path, config.sample_rate, sound.brightness).render_note(
            sound.program, take.note_number, sound.velocity, sound.seconds, sound.release_seconds)
        return without_rumble(audio, config), "" if np.abs(audio).max() > 0 else "the font renders silence"
    audio = _read(sound.path, config, sound.path.stat().st_mtime_ns)
    if sound.onset * config.sample_rate >= len(audio):
        return audio[:0], "it begins after the end of its file"
    return trim(_stretch(audio, sound, config.sample_rate), config.sample_rate)


@lru_cache(maxsize=1)
def _read(path: Path, config: SpectralConfig, changed: int) -> np.ndarray:
    """A whole file, kept for the other notes in it; `changed` makes it another file."""
    return read_without_rumble(path, config)


def _stretch(audio: np.ndarray, sound: Recording, sample_rate: int) -> np.ndarray:
    """The recording's part of a file, faded where it is cut."""
    begin = round(sound.onset * sample_rate)
    end = len(audio) if sound.offset is None else min(round(sound.offset * sample_rate), len(audio))
    piece = audio[begin:max(begin, end)].copy()
    n_fade = min(round(FADE_SECONDS * sample_rate), len(piece))
    ramp = np.linspace(0, 1, n_fade, endpoint=False, dtype=np.float32)
    if begin > 0:
        piece[:n_fade] *= ramp
    if end < len(audio):
        piece[len(piece) - n_fade:] *= ramp[::-1]
    return piece


# --- silence ----------------------------------------------------------------------------------------------

def trim(audio: np.ndarray, sample_rate: int) -> tuple[np.ndarray, str]:
    """The note in a recording, with at most PAD_SECONDS of silence on either side; and the reason if there is none."""
    if not len(audio) or np.abs(audio).max() < SILENT_PEAK:
        return audio, "silent"
    levels = _levels_db(audio)
    floor = np.percentile(levels, 5) + FLOOR_MARGIN_DB
    noisy = SILENCE_DB < floor < LOUDEST_FLOOR_DB
    loud = np.flatnonzero(levels > (floor if noisy else SILENCE_DB))
    if not len(loud):  # a constant
        return audio, "silent"
    begin, end = loud[0] * BLOCK, min((loud[-1] + 1) * BLOCK, len(audio))
    if end - begin < SHORTEST_SECONDS * sample_rate:
        return audio, f"shorter than {SHORTEST_SECONDS} s"
    pad = 0 if noisy else round(PAD_SECONDS * sample_rate)
    return audio[max(begin - pad, 0):end + pad], ""


def _levels_db(audio: np.ndarray) -> np.ndarray:
    """(blocks,) RMS in decibels below that of the loudest block."""
    blocks = np.pad(audio - np.median(audio), (0, -len(audio) % BLOCK)).astype(np.float64).reshape(-1, BLOCK)
    power = (blocks ** 2).mean(axis=1)
    return 10 * np.log10(np.maximum(power / max(power.max(), 1e-20), 1e-12))


# --- tuning -----------------------------------------------------------------------------------------------

def detuning_cents(audio: np.ndarray, sample_rate: int, note_number: int) -> float:
    """Deviation of a note from its label, NaN where the sound has no clear pitch.

    Measured where the note is loudest, or right after, where an attack of other frequencies has passed.
    """
    period = sample_rate * OVERSAMPLING / (440.0 * 2 ** ((note_number - 69) / 12))  # in lags
    n_samples = round(STEADY_SECONDS * sample_rate)
    start = _loudest(audio, n_samples)
    for begin in (start, start + n_samples):
        stretch = audio[begin:begin + n_samples]
        found = _period(stretch - stretch.mean(), period) if len(stretch) > n_samples // 8 else None
        if found:
            return float(1200 * np.log2(period / found))
    return float("nan")


def _period(audio: np.ndarray, period: float) -> float | None:
    """The period of a sound that should have `period`, in lags; None if it has none that is clear.

    It is read from the normalised square difference function (McLeod and Wyvill 2005). Its peak near the
    expected period is believed unless another is much better: a period twice as long is as good for every
    sound, and one half as long nearly so for sounds of weak odd partials.
    """
    nsdf, semitone = _nsdf(audio, round(2.6 * period)), 2 ** (1 / 12)
    near = slice(int(period / semitone), min(int(period * semitone) + 2, len(nsdf)))
    other = _first_high_peak(nsdf)
    if near.stop - near.start < 3 or other is None or nsdf[other] < CLEAR_PITCH:
        return None
    own = near.start + int(np.argmax(nsdf[near]))
    apart = abs(np.log2(other / own)) > 1 / 24
    better = nsdf[own] < 0.7 * nsdf[other] or (other < own and 1 - nsdf[own] > 0.5 * (1 - nsdf[other]))
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
    left, centre, right = nsdf[lag - 1:lag + 2]
    bend = left - 2 * centre + right
    return lag + (0.5 * (left - right) / bend if bend < 0 else 0.0)
