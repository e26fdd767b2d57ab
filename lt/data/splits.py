"""Splits: which frames are trained on, which choose the model, which are never looked at until the
end.

`note` keeps all takes of a note (one group) in one part, `pitch` all notes of a pitch, `frame`
splits single frames as the article did, so that neighbouring frames of one note stand on both
sides. Shares are 80/10/10, or one fold tests, the next validates and the others train.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lt.config import RunConfig
from lt.data.dataset import DataSet
from lt.labels import octave_pitch_to_note_number
from lt.seeds import numpy_rng

KINDS = ("note", "pitch", "frame")
PARTS = ("train", "valid", "test")
SHARES = (0.8, 0.1, 0.1)


@dataclass(frozen=True)
class Split:
    """Frames of each part, for each instrument of a run.

    Attributes:
        kind: one of KINDS.
        frames: part -> one index array into `DataSet.magnitudes` an instrument.
        notes: part -> the notes those frames come from.
        notes_without_frames: how many notes had no frame in range.
    """

    kind: str
    frames: dict[str, tuple[np.ndarray, ...]]
    notes: dict[str, np.ndarray]
    notes_without_frames: int


def split_data(data: DataSet, config: RunConfig) -> Split:
    """The split of a run: a function of the data, the instruments, the frame range, the kind and
    the seed.

    Raises:
        ValueError: an unknown instrument, no frame in range, or too few notes for three parts.
    """
    frames: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    without = 0
    for instrument in config.instruments:
        inside, missed = _frames_of(data, instrument, config)
        without += missed
        parts = _assign(
            _units(data, inside, config.split), _folds(data, inside, config), config, instrument
        )
        for index, part in enumerate(PARTS):
            frames[part].append(inside[parts == index])
            if not len(frames[part][-1]):
                raise ValueError(
                    f"{instrument}: no frame is left for the {part} part with --fold {config.fold}"
                )
    notes = {part: np.unique(data.note_of_frame[np.concatenate(frames[part])]) for part in PARTS}
    return Split(config.split, {part: tuple(frames[part]) for part in PARTS}, notes, without)


def _frames_of(data: DataSet, instrument: str, config: RunConfig) -> tuple[np.ndarray, int]:
    """An instrument's frames in range that sound or, for a model with a class for it, are silent."""
    inside, missed = data.frames_in_range(data.notes_of(instrument), config.frames)
    clear = data.sounding | data.silent if config.zero_extra_class else data.sounding
    inside = inside[clear[inside]]
    if not len(inside):
        longest = data.lengths[data.notes_of(instrument)].max()
        raise ValueError(
            f"no frame of {instrument} lies in the range --frames "
            f"{' '.join(map(str, config.frames))}; "
            f"its longest note has {longest}"
        )
    return inside, missed


def _units(data: DataSet, frames: np.ndarray, kind: str) -> np.ndarray:
    """(frames,) what must not be torn apart: the note's group, its pitch, or the frame itself."""
    note = data.note_of_frame[frames]
    if kind == "note":
        return data.notes.group[note]
    if kind == "pitch":
        return octave_pitch_to_note_number(data.notes.labels[note, 0], data.notes.labels[note, 1])
    return frames


def _folds(data: DataSet, frames: np.ndarray, config: RunConfig) -> np.ndarray | None:
    """(frames,) the publisher's folds, where the set has as many as asked for."""
    folds = data.notes.fold[data.note_of_frame[frames]]
    published = config.split == "note" and config.fold >= 0 and (folds >= 0).all()
    return folds if published and len(np.unique(data.notes.fold)) == config.n_folds else None


def _assign(
    units: np.ndarray, folds: np.ndarray | None, config: RunConfig, instrument: str
) -> np.ndarray:
    """(frames,) index into PARTS."""
    distinct, inverse = np.unique(units, return_inverse=True)
    if len(distinct) < max(3, config.n_folds if config.fold >= 0 else 0):
        raise ValueError(
            f"{instrument}: --split {config.split} finds {len(distinct)} of what it keeps "
            "together, too "
            "few to be parted into train, valid and test"
            + (f" by {config.n_folds} folds" if config.fold >= 0 else "")
        )
    if folds is None:
        order = numpy_rng(config.seed, "split").permutation(len(distinct))
        rank = np.empty(len(distinct), np.int64)
        rank[order] = np.arange(len(distinct))
        if config.fold < 0:
            return _part_of_rank(rank, len(distinct))[inverse]
        folds = (rank % config.n_folds)[inverse]
    return np.where(
        folds == config.fold, 2, np.where(folds == (config.fold + 1) % config.n_folds, 1, 0)
    )


def _part_of_rank(rank: np.ndarray, n_units: int) -> np.ndarray:
    """Shuffled ranks -> parts by SHARES, at least one unit each."""
    n_test, n_valid = (max(1, round(share * n_units)) for share in (SHARES[2], SHARES[1]))
    return np.where(rank < n_test, 2, np.where(rank < n_test + n_valid, 1, 0))
