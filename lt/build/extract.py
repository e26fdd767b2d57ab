"""Feature extraction: source notes -> spectra of the trimmed notes, and their tuning.

`lt.audio.trim` finds the note in its recording. Levels are left as they are, since dynamics depend
on them.

Names: `audio: (samples,)` float32; `cents` is the deviation of the pitch from the label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from lt.audio.filters import high_pass, read_high_passed
from lt.audio.pitch import detuning_cents
from lt.audio.soundfont import open_font
from lt.audio.trim import trim
from lt.build.notes import DataSetNote, Recording, SourceNote
from lt.config import SpectralConfig
from lt.data.dataset import DataSet, read_data_set

FADE_SECONDS = 0.005  # where a note is cut out of a longer recording


@dataclass(frozen=True)
class ExtractedNote:
    """A source note with its number of frames and its `cents` (NaN where they are not known), or
    with the reason why it is left out.
    """

    source: SourceNote
    n_frames: int
    cents: float
    reason: str = ""


@dataclass(frozen=True)
class Features:
    """Spectra of some notes.

    Attributes:
        magnitudes: (frames, subframes, bins) float32, one note after another.
        notes: with their numbers of frames.
    """

    magnitudes: np.ndarray
    notes: tuple[ExtractedNote, ...]


def extract(notes: Sequence[SourceNote], config: SpectralConfig) -> Features:
    """Features of notes whose audio is in one file.

    Raises:
        ValueError, OSError: the file cannot be read.
        ImportError: tinysoundfont, which renders fonts, is not installed.
    """
    location = notes[0].location
    whole = read_high_passed(location.path, config) if type(location) is Recording else None
    blocks = []
    extracted = []
    for note in notes:
        magnitudes = np.zeros((0, config.subframes, config.n_bins), np.float32)
        cents = np.nan
        reason = ""
        if isinstance(note.location, DataSetNote):
            magnitudes, cents = _from_data_set(note.location)
        else:
            if whole is None:
                audio = render(note, config.sample_rate)
                reason = "" if audio.any() else "the font renders silence"
                audio = high_pass(audio, config)
            else:
                audio, reason = _cut(whole, note, config)
            if not reason:
                cents = detuning_cents(audio, config.sample_rate, note.note_number)
                magnitudes = _magnitudes(audio, config)
        blocks.append(magnitudes)
        extracted.append(ExtractedNote(note, len(magnitudes), float(cents), reason))
    return Features(np.concatenate(blocks), tuple(extracted))


def _magnitudes(audio: np.ndarray, config: SpectralConfig) -> np.ndarray:
    """(frames, subframes, bins), computed by one thread: the result shall not depend on the
    machine.
    """
    import torch  # takes two seconds, too long for `--help`

    from lt.audio.features import nsgt

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = np.pad(audio, (0, -len(audio) % config.frame_hop))
        frames = nsgt(config).magnitude_frames(torch.from_numpy(whole), config.subframe_hop)
        return frames.numpy().reshape(-1, config.subframes, config.n_bins)
    finally:
        torch.set_num_threads(n_threads)


def _from_data_set(location: DataSetNote) -> tuple[np.ndarray, float]:
    """Frames (frames, subframes, bins) and cents of a note of another data set."""
    data = _open_data_set(location.path, location.path.stat().st_mtime_ns)
    return np.asarray(data.magnitudes[data.rows(location.index)]), data.notes.cents[location.index]


@lru_cache(maxsize=2)
def _open_data_set(path: Path, mtime_ns: int) -> DataSet:
    """A data set, checked once; a changed file is another one."""
    return read_data_set(path)


def render(note: SourceNote, sample_rate: int) -> np.ndarray:
    """Audio (samples,) of a font's note. Raises as `lt.audio.soundfont.SoundFont.render_note`."""
    location = note.location
    return open_font(location.path, sample_rate, location.brightness).render_note(
        location.program,
        note.note_number,
        location.velocity,
        location.seconds,
        location.release_seconds,
    )


def _cut(whole: np.ndarray, note: SourceNote, config: SpectralConfig) -> tuple[np.ndarray, str]:
    """Audio of a note of a recording, faded where it is cut and trimmed, and the reason if it
    cannot be used.
    """
    begin = round(note.location.onset * config.sample_rate)
    offset = note.location.offset
    end = len(whole) if offset is None else min(round(offset * config.sample_rate), len(whole))
    if note.location.onset * config.sample_rate >= len(whole):
        return whole[:0], "it begins after the end of its file"
    audio = whole[begin : max(begin, end)].copy()
    n_fade = min(round(FADE_SECONDS * config.sample_rate), len(audio))
    ramp = np.linspace(0, 1, n_fade, endpoint=False, dtype=np.float32)
    if begin > 0:
        audio[:n_fade] *= ramp
    if end < len(whole):
        audio[len(audio) - n_fade :] *= ramp[::-1]
    return trim(audio, config.sample_rate)
