"""Data sets: frames of whole notes with their labels, and which of them sound. How they lie in a file is told in
`lt.datafiles`.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lt.config import SpectralConfig

SOUNDING_DB, SILENT_DB = -40.0, -60.0  # relative to their note's loudest frame; between them a note rings


@dataclass(frozen=True)
class NoteTable:
    """The notes of a data set, a row a note.

    Attributes:
        labels: (notes, 3) octave, pitch, dynamics.
        instrument: (notes,) index into `instruments`.
        instruments: names.
        group: (notes,) takes of one note share one. fold: (notes,) the publisher's, or -1.
        sources: (notes,) str.
        cents: (notes,) deviation of the sound from its label, NaN (also if not given) where it is not known.
    """
    labels: np.ndarray
    instrument: np.ndarray
    instruments: tuple[str, ...]
    group: np.ndarray
    fold: np.ndarray
    sources: np.ndarray
    cents: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.cents is None:
            object.__setattr__(self, "cents", np.full(len(self.labels), np.nan, np.float32))


@dataclass(frozen=True)
class DataSet:
    """A data set on disk; `magnitudes` stays there until it is read.

    Attributes:
        path: the file. magnitudes: (frames, bins) mapped. peaks: (frames,). starts: (notes + 1,). notes: NoteTable.
        config: the front end. fingerprint: of the content. settings: all of the file's JSON.
    """
    path: Path
    magnitudes: np.ndarray
    peaks: np.ndarray
    starts: np.ndarray
    notes: NoteTable
    config: SpectralConfig
    fingerprint: str
    settings: dict[str, object]

    @property
    def lengths(self) -> np.ndarray:
        """(notes,) frames of each note."""
        return np.diff(self.starts)

    @cached_property
    def sounding(self) -> np.ndarray:
        """(frames,) bool: not more than 40 dB below the note's loudest frame, and not digital silence."""
        return (self.peaks >= self._below_peak(SOUNDING_DB)) & (self.peaks > 0)

    @cached_property
    def silent(self) -> np.ndarray:
        """(frames,) bool: 60 dB or more below the note's loudest frame. Frames between the two ring: some call them
        the note, some silence, so they are neither learnt from nor judged."""
        return (self.peaks <= self._below_peak(SILENT_DB)) | (self.peaks == 0)

    def _below_peak(self, level_db: float) -> np.ndarray:
        """(frames,) magnitude so many dB from the loudest of each frame's note."""
        note_peaks = np.maximum.reduceat(self.peaks, self.starts[:-1])
        return np.repeat(note_peaks * 10 ** (level_db / 20), self.lengths)

    @cached_property
    def note_of_frame(self) -> np.ndarray:
        """(frames,) the note that each frame belongs to."""
        return np.repeat(np.arange(len(self.lengths), dtype=np.int32), self.lengths)

    def notes_of(self, instrument: str) -> np.ndarray:
        """Indices of an instrument's notes.

        Raises:
            ValueError: the data set has no such instrument.
        """
        if instrument not in self.notes.instruments:
            known = ", ".join(self.notes.instruments)
            raise ValueError(f"{self.path}: no instrument '{instrument}' (it has {known})")
        return np.flatnonzero(self.notes.instrument == self.notes.instruments.index(instrument))

    def frames_in_range(self, notes: np.ndarray, frames: tuple[int, ...]) -> tuple[np.ndarray, int]:
        """Frames of `notes` within a range: () all, (i,) that one, (a, b) half open.

        Returns:
            Indices into `magnitudes`, and the number of notes without a frame in range.
        """
        begin = frames[0] if frames else 0
        end = {0: np.inf, 1: begin + 1}.get(len(frames)) or frames[1]
        pieces = [self.starts[note] + np.arange(min(begin, length), min(end, length), dtype=np.int64)
                  for note, length in zip(notes, self.lengths[notes], strict=True)]
        return np.concatenate(pieces or [np.zeros(0, np.int64)]), sum(not len(piece) for piece in pieces)
