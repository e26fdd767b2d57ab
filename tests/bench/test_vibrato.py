"""The vibrato that bench/vibrato.py makes, and what it counts as one note and as a joined trill."""

import numpy as np
import pytest

from bench import vibrato
from lt.midi import Note

RATE = vibrato.SAMPLE_RATE


@pytest.mark.parametrize("cents", [20, 100])
def test_vibrato_swings_as_far_as_it_is_deep(cents):
    """The phase of a sine advances at 1 kHz times 2^(+-cents / 1200)."""
    time = np.arange(RATE // 2) / RATE
    swinging = vibrato.with_vibrato(np.sin(2 * np.pi * 1000 * time).astype(np.float32), cents, 4.0)
    before = np.flatnonzero(np.diff(np.signbit(swinging)))
    crossings = before + swinging[before] / (swinging[before] - swinging[before + 1])
    hertz = 10 * RATE / (crossings[20:] - crossings[:-20])
    octaves = np.log2([hertz.min(), hertz.max()]) - np.log2(1000)
    np.testing.assert_allclose(1200 * octaves, [-cents, cents], atol=1)


def test_a_note_is_one_if_it_alone_begins_there_in_its_pitch():
    note = Note(1.0, 2.0, 72, 90)
    assert vibrato.is_one(note, [Note(1.02, 1.9, 72, 64), Note(2.2, 2.5, 74, 64)])
    assert not vibrato.is_one(note, [Note(1.02, 1.9, 73, 64)])
    assert not vibrato.is_one(note, [Note(1.02, 1.5, 72, 64), Note(1.5, 2.0, 72, 64)])
    assert not vibrato.is_one(note, [])


def test_a_trill_is_joined_if_most_of_its_notes_are_missing():
    starts = np.arange(8) / 4
    trill = [Note(start, start + 0.25, 72 + i % 2, 90) for i, start in enumerate(starts)]
    assert not vibrato.is_joined(trill, trill[::2])
    assert vibrato.is_joined(trill, [Note(0.0, 2.0, 72, 90)])
