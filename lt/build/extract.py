"""Cutting: the sound of takes -> frames of spectra, silence trimmed, level kept, tuning measured.

A note is looked for by its level in blocks of 6 ms. What lies more than 50 dB below the loudest
block is silence; in a noisy recording, what lies less than 6 dB above its floor. Up to 0.15 s of
silence stays on either side, so that models meet attacks and ends; not in noise, which the data set
would take for the note. Levels are left as they are: dynamics live there.

Names: `audio: (samples,)` float32; cents are of the sound relative to its label.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Sequence

import numpy as np

from lt.audio.filters import read_without_rumble, without_rumble
from lt.audio.soundfont import open_font
from lt.audio.trim import trim
from lt.audio.tuning import detuning_cents
from lt.build.notes import Recording, Rendering, Stored, Take
from lt.config import SpectralConfig
from lt.data.dataset import DataSet, read_data_set

FADE_SECONDS = 0.005  # where a note is cut out of others


@dataclass(frozen=True)
class Sound:
    """A take heard: `audio` (samples,) without the silence around it, `cents` from its label, or
    the reason why it is left out.
    """

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
    """The part that takes of one file make; `sounds` are the takes, where they have been heard
    before.

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
    return Part(
        np.concatenate(pieces),
        np.array([len(piece) for piece in pieces]),
        np.array(cents),
        np.array(reasons),
    )


def hear_take(take: Take, config: SpectralConfig) -> Sound:
    """The half of cutting a take, of a recording or a font, that needs no torch. Raises as
    `cut_takes`.
    """
    audio, reason = _audio(take, config)
    return Sound(
        audio,
        np.nan if reason else detuning_cents(audio, config.sample_rate, take.note_number),
        reason,
    )


def _spectra(audio: np.ndarray, config: SpectralConfig) -> np.ndarray:
    """(frames, bins), computed by one thread wherever it runs."""
    import torch  # two seconds, which `--help` does not have

    from lt.audio.features import audio_to_magnitudes

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return audio_to_magnitudes(torch.from_numpy(audio), config).numpy()
    finally:
        torch.set_num_threads(threads)


def _stored(sound: Stored) -> tuple[np.ndarray, float]:
    """A note's frames and cents, as the other data set has them."""
    data = _data_set(sound.path, sound.path.stat().st_mtime_ns)
    frames = data.magnitudes[data.starts[sound.index] : data.starts[sound.index + 1]]
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
            sound.program, take.note_number, sound.velocity, sound.seconds, sound.release_seconds
        )
        return without_rumble(audio, config), "" if np.abs(
            audio
        ).max() > 0 else "the font renders silence"
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
    piece = audio[begin : max(begin, end)].copy()
    n_fade = min(round(FADE_SECONDS * sample_rate), len(piece))
    ramp = np.linspace(0, 1, n_fade, endpoint=False, dtype=np.float32)
    if begin > 0:
        piece[:n_fade] *= ramp
    if end < len(audio):
        piece[len(piece) - n_fade :] *= ramp[::-1]
    return piece
