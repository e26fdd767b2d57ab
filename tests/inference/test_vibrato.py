"""Vibrato is one note of its middle pitch; trills, scales and detached notes stay as they are."""

from itertools import pairwise

import numpy as np
import pytest

from lt.inference.onsets import OnsetDetector, Region, partial_bands
from lt.inference.posteriors import Posteriors
from lt.inference.vibrato import join_vibrato
from lt.labels import LabelSpace

STEP = 128 / 22050
N_BANDS, FMIN = 102, 30.0
SPACE = LabelSpace(instruments=("Flute",))


def detector(notes):
    """Of a sound whose bands follow the notes."""
    bands = np.full((notes[-1].end + 50, N_BANDS), 1e-5)
    for note in notes:
        partials = partial_bands(note.note_number, FMIN, N_BANDS, 8)
        bands[note.start : note.end, partials] = 0.1
    level_db = np.full(len(bands), -20.0)
    groups = tuple(np.full((len(bands) // 5, size), 1 / size) for size in SPACE.group_sizes)
    bands = bands.astype(np.float16)
    return OnsetDetector(Posteriors(SPACE, groups, 5 * STEP, STEP, level_db, level_db, bands, FMIN))


def one_after_another(numbers, seconds, pause=0.0):
    length, gap = round(seconds / STEP), round(pause / STEP)
    starts = 20 + np.arange(len(numbers)) * (length + gap)
    return [Region(number, int(at), int(at) + length) for number, at in zip(numbers, starts)]


@pytest.mark.fault("odd input")
@pytest.mark.parametrize(
    "numbers, middle",
    [([72, 73] * 5 + [72], 72), ([71, 72, 73, 72] * 3, 72), ([76, 75, 76, 76, 75], 76)],
)
@pytest.mark.parametrize("seconds", [0.06, 0.1])
def test_a_quick_alternation_is_one_note(numbers, middle, seconds):
    notes = one_after_another(numbers, seconds)
    [note] = join_vibrato(notes, detector(notes))
    assert (note.start, note.end) == (notes[0].start, notes[-1].end)
    assert note.note_number == middle


@pytest.mark.fault("odd input")
@pytest.mark.parametrize(
    "numbers, seconds, pause",
    [
        ([72, 73] * 4, 0.125, 0.0),  # trills of 8 and of 4 notes a second
        ([72, 74] * 4, 0.125, 0.0),
        ([72, 73] * 4, 0.25, 0.0),
        ([72, 73, 74, 75, 76, 77], 0.08, 0.0),  # scale
        ([72, 72, 72, 72], 0.08, 0.0),  # repeated
        ([72, 73] * 4, 0.08, 0.08),  # detached
        ([72, 76] * 4, 0.08, 0.0),  # tremolo of a third
    ],
)
def test_what_is_no_vibrato_stays(numbers, seconds, pause):
    notes = one_after_another(numbers, seconds, pause)
    assert join_vibrato(notes, detector(notes)) == notes


def test_a_note_with_vibrato_leaves_its_neighbours():
    notes = one_after_another([72, 73] * 5, 0.08)
    before = Region(67, 0, notes[0].start)
    after = Region(76, notes[-1].end, notes[-1].end + 60)
    joined = join_vibrato([before, *notes, after], detector([before, *notes, after]))
    assert [note.note_number for note in joined] in ([67, 72, 76], [67, 73, 76])
    assert all(one.end <= other.start for one, other in pairwise(joined))
