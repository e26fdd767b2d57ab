"""Splits: the frames for training, for validation (which selects the model) and for the test.

`note` keeps all source notes of a group in one part, `pitch` all notes of a pitch; `frame` splits
single frames as in the article, so that neighbouring frames of a note are in different parts. Parts
have 80, 10 and 10 % of the units of an instrument, at least one each; or one fold is the test part,
the next one validation and the others training.

The random assignment is our own rather than `sklearn.model_selection.GroupShuffleSplit`, which
would change the split of every seed, needs two passes for three parts, and saves no statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

import numpy as np

from lt.config import RunConfig
from lt.data.dataset import DataSet
from lt.labels import octave_pitch_to_note_number
from lt.seeds import numpy_rng

PARTS = ("train", "valid", "test")
TRAIN, VALID, TEST = range(3)
HELD_OUT = 0.1  # fraction of the units for validation, and for the test


@dataclass(frozen=True)
class Split:
    """Frames of each part, for each instrument of a run.

    Attributes:
        kind: `note`, `pitch` or `frame`.
        frames: part -> one array of indices of frames an instrument.
        notes: part -> the notes of those frames.
        notes_without_frames: number of notes without a frame in range.
    """

    kind: str
    frames: Mapping[str, tuple[np.ndarray, ...]]
    notes: Mapping[str, np.ndarray]
    notes_without_frames: int

    def to_stored(self, config: RunConfig) -> dict[str, Any]:
        """Plain values for `config.json`. Single frames are too many to list: under `frame` they
        follow from the seed.
        """
        stored: dict[str, Any] = {
            "kind": self.kind,
            "seed": config.seed,
            "fold": config.fold,
            "n_folds": config.n_folds,
            "frames": {part: sum(map(len, self.frames[part])) for part in PARTS},
        }
        if self.kind != "frame":
            stored["notes"] = {part: self.notes[part].tolist() for part in PARTS}
        return stored

    @classmethod
    def from_stored(cls, data: DataSet, config: RunConfig, stored: Mapping[str, Any]) -> Split:
        """The split of a run as its `config.json` has it, however `split_data` assigns notes now;
        the split of `split_data` where no notes are stored.

        Raises:
            ValueError: as `split_data`, or the stored notes cannot be those of `data`.
        """
        notes = stored.get("notes")
        if not notes:
            return split_data(data, config)
        part_of_note = np.full(len(data.lengths), len(PARTS))
        try:
            for index, part in enumerate(PARTS):
                part_of_note[np.asarray(notes[part], dtype=np.int64)] = index
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"the split in the config.json of the run is damaged ({error})"
            ) from error
        frames = [_usable_frames(data, instrument, config) for instrument in config.instruments]
        parts = [part_of_note[data.note_of_frame[of_instrument]] for of_instrument in frames]
        return _collect(data, config, frames, parts)


def split_data(data: DataSet, config: RunConfig) -> Split:
    """The split of a run: a function of the data, the instruments, the frame range, the kind and
    the seed.

    Raises:
        ValueError: an unknown instrument, no frame in range, or too few notes for three parts.
    """
    frames = [_usable_frames(data, instrument, config) for instrument in config.instruments]
    parts = [
        _assign(data, of_instrument, config, instrument)
        for instrument, of_instrument in zip(config.instruments, frames)
    ]
    return _collect(data, config, frames, parts)


def _usable_frames(data: DataSet, instrument: str, config: RunConfig) -> np.ndarray:
    """An instrument's frames in range that sound or, for models with a silence class, are
    silent.
    """
    notes = data.notes_of(instrument)
    frames = data.frames_in_range(notes, config.frames)
    clear = data.sounding | data.silent if config.zero_extra_class else data.sounding
    frames = frames[clear[frames]]
    if not len(frames):
        range_ = " ".join(map(str, config.frames))
        raise ValueError(
            f"no frame of {instrument} is in the range --frames {range_}; its longest note has "
            f"{data.lengths[notes].max()} (--frames alone takes all)"
        )
    return frames


def _assign(data: DataSet, frames: np.ndarray, config: RunConfig, instrument: str) -> np.ndarray:
    """(frames,) index into PARTS: the publisher's folds where they are as many as asked for, else
    units in random order.
    """
    units, inverse = np.unique(_units(data, frames, config.split), return_inverse=True)
    by_folds = config.fold >= 0
    if len(units) < max(3, config.n_folds if by_folds else 0):
        raise ValueError(
            f"{instrument}: --split {config.split} has {len(units)} units, too few for train, "
            "valid and test" + (f" by {config.n_folds} folds" if by_folds else "")
        )
    rank = np.argsort(numpy_rng(config.seed, "split").permutation(len(units)))[inverse]
    if not by_folds:
        n_held_out = max(1, round(HELD_OUT * len(units)))
        return np.maximum(TEST - rank // n_held_out, TRAIN)
    folds = data.notes.fold[data.note_of_frame[frames]]
    n_published = len(np.unique(data.notes.fold))
    if config.split != "note" or n_published != config.n_folds or (folds < 0).any():
        folds = rank % config.n_folds
    following = (config.fold + 1) % config.n_folds
    return np.select([folds == config.fold, folds == following], [TEST, VALID], TRAIN)


def _units(data: DataSet, frames: np.ndarray, kind: str) -> np.ndarray:
    """(frames,) what stays in one part: the note's group, its pitch, or the frame itself."""
    note = data.note_of_frame[frames]
    if kind == "note":
        return data.notes.group[note]
    if kind == "pitch":
        return octave_pitch_to_note_number(data.notes.labels[note, 0], data.notes.labels[note, 1])
    return frames


def _collect(
    data: DataSet, config: RunConfig, frames: Sequence[np.ndarray], parts: Sequence[np.ndarray]
) -> Split:
    """The split of each instrument's `frames` by `parts`, their indices into PARTS."""
    for instrument, indices in zip(config.instruments, parts):
        missing = sorted(set(range(len(PARTS))) - set(indices.tolist()))
        if missing:
            raise ValueError(
                f"{instrument}: no frame is left for the {PARTS[missing[0]]} part with --fold "
                f"{config.fold}"
            )
    by_part = {
        part: tuple(rows[indices == index] for rows, indices in zip(frames, parts))
        for index, part in enumerate(PARTS)
    }
    notes = {
        part: np.unique(data.note_of_frame[np.concatenate(rows)]) for part, rows in by_part.items()
    }
    of_instruments = np.concatenate([data.notes_of(name) for name in config.instruments])
    with_frames = data.note_of_frame[data.frames_in_range(of_instruments, config.frames)]
    n_without = len(np.setdiff1d(of_instruments, with_frames))
    return Split(config.split, by_part, notes, n_without)
