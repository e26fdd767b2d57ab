"""Building data sets from sound fonts and recordings.

    python3 -m lt.builders SOURCE --output data/my_set.npz

The embedded set is every instrument of `lt.soundfonts.INSTRUMENTS`, over its range, at five dynamics.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, Sequence

import numpy as np
import torch

from lt.config import SpectralConfig
from lt.datasets import NoteTable, write_data_set
from lt.labels import DYNAMICS_VELOCITIES, NoteLabels
from lt.soundfonts import INSTRUMENTS, SoundFont, embedded_font
from lt.spectra import audio_to_spectra

NOTE_SECONDS = 1.5  # held
RELEASE_SECONDS = 0.5


@dataclass(frozen=True)
class FontNote:
    """One note that a sound font shall render."""
    instrument: str
    program: int
    note_number: int
    dynamics: int


def font_notes(instruments: Sequence[str] = tuple(INSTRUMENTS)) -> list[FontNote]:
    """Every note of the instruments' ranges at every dynamic, in order."""
    return [FontNote(name, INSTRUMENTS[name].program, number, dynamics)
            for name in instruments
            for number in range(INSTRUMENTS[name].lowest, INSTRUMENTS[name].highest + 1)
            for dynamics in range(len(DYNAMICS_VELOCITIES))]


def build_from_font(path: Path | str, font: SoundFont, notes: Sequence[FontNote],
                    on_note: Callable[[], None] = lambda: None, config: SpectralConfig = SpectralConfig()) -> None:
    """Render notes and write them as a data set, byte for byte the same each time.

    Args:
        on_note: told after each note.
    Raises:
        ImportError, FileNotFoundError, ValueError: as `SoundFont.render_note`. OSError: it cannot be written.
    """
    n_samples = round(NOTE_SECONDS * config.sample_rate) + round(RELEASE_SECONDS * config.sample_rate)
    n_frames = -(-n_samples // config.frame_hop)

    def blocks() -> Iterator[np.ndarray]:
        for note in notes:
            audio = font.render_note(note.program, note.note_number, DYNAMICS_VELOCITIES[note.dynamics],
                                     NOTE_SECONDS, RELEASE_SECONDS)
            yield audio_to_spectra(torch.from_numpy(audio), config).magnitudes.numpy()
            on_note()

    table = _font_table(font, notes)
    built_from = {"kind": "sound font", "font": font.path.name, "brightness": font.brightness,
                  "note_seconds": NOTE_SECONDS, "release_seconds": RELEASE_SECONDS}
    write_data_set(path, blocks(), np.arange(len(notes) + 1) * n_frames, table, config, built_from)


def _font_table(font: SoundFont, notes: Sequence[FontNote]) -> NoteTable:
    """The note table of rendered notes; each is a group of its own."""
    names = tuple(dict.fromkeys(note.instrument for note in notes))
    labels = NoteLabels.from_notes(np.array([note.note_number for note in notes]),
                                   np.array([note.dynamics for note in notes]))
    sources = [f"{font.path.name}:{note.program}:{note.note_number}:{DYNAMICS_VELOCITIES[note.dynamics]}"
               for note in notes]
    return NoteTable(labels.table(), np.array([names.index(note.instrument) for note in notes]), names,
                     np.arange(len(notes)), np.full(len(notes), -1), np.array(sources))


def build_embedded_set(path: Path | str, on_note: Callable[[], None] = lambda: None) -> None:
    """The set that `lt_train.py` trains on unless told otherwise, from the font that pretty_midi carries."""
    build_from_font(path, SoundFont(embedded_font()), font_notes(), on_note)
