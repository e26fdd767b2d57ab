"""Ages of a data set's notes: at what times the frames of each class of age were, which is how
synthesis knows where in a note to place what is decoded for a class.

Names: `seconds: (frames,)` since the onset, or since note-off; `times: (classes,)`.
"""

from __future__ import annotations

import numpy as np

from lt.data.dataset import DataSet
from lt.labels import (
    AGE_MIDDLES,
    FIRST_LEAD_AGE,
    FIRST_RELEASE_AGE,
    AgeTimes,
)

HELD, RELEASED, LEAD = np.split(AGE_MIDDLES, [FIRST_RELEASE_AGE, FIRST_LEAD_AGE])  # s


def age_times(data: DataSet, notes: np.ndarray, frames: tuple[int, ...] = ()) -> AgeTimes:
    """Mean age in each class of the frames of `notes: (notes,)` in a range, as
    `DataSet.frames_in_range`. A note that died away has all later ages too, in which
    it goes on decaying.

    Raises:
        ValueError: no frame in the range is between onset and note-off.
    """
    used = np.zeros(len(data.peaks), bool)
    used[data.frames_in_range(notes, frames)] = True
    held, released, lead, note_off = [], [], [], []
    for note in notes:
        rows = data.rows(note)
        onset, release = data.notes.onset[note], data.notes.release[note]
        position = np.flatnonzero(used[rows])
        seconds = (position + 0.5) * data.config.frame_seconds
        age = data.age[rows][position]
        is_lead, is_held = age >= FIRST_LEAD_AGE, age < FIRST_RELEASE_AGE
        is_released = ~is_lead & ~is_held
        died = bool(data.silent[rows][position[-1:]].any())
        died_held = died and not is_released.any()
        held.append(_class_means(age[is_held], seconds[is_held] - onset, HELD, died_held))
        if is_released.any():
            ages = age[is_released] - FIRST_RELEASE_AGE
            since = seconds[is_released] - release
            released.append(_class_means(ages, since, RELEASED, died))
            note_off.append(release - onset)
        ages = age[is_lead] - FIRST_LEAD_AGE
        lead.append(_class_means(ages, seconds[is_lead] - onset, LEAD, False))
    if np.isnan(held).all():
        raise ValueError("the label age needs frames between the onset and the end of the notes")
    if 2 * len(released) < len(notes):
        released, note_off = [], [0.0]
    return AgeTimes(
        _common_times(held), _common_times(released), _common_times(lead), float(np.mean(note_off))
    )


def _class_means(
    ages: np.ndarray, seconds: np.ndarray, middles: np.ndarray, died: bool
) -> np.ndarray:
    """Mean of a note's `seconds` in each class of age, NaN for classes without frames; for those
    after the last, where the note died away, the middle of the class.
    """
    counts = np.bincount(ages, minlength=len(middles))
    sums = np.bincount(ages, seconds, minlength=len(middles))
    means = np.divide(sums, counts, out=np.full(len(middles), np.nan), where=counts > 0)
    if died and len(ages):
        later = np.arange(len(middles)) > ages.max()
        means[later] = middles[later]
    return means


def _common_times(means: list[np.ndarray]) -> tuple[float, ...]:
    """Means over the notes for a sequence of classes, from the first that at least half of the
    notes have, or as many as any, to the last before one that fewer have.
    """
    if not means or np.isnan(means).all():
        return ()
    share = 1 - np.isnan(means).mean(axis=0)
    is_common = share >= min(0.5, share.max())
    first = int(is_common.argmax())
    n_classes = int(np.append(is_common[first:], False).argmin())
    return tuple(np.nanmean(np.array(means)[:, first : first + n_classes], axis=0).tolist())
