"""A reference that was moved is found where it was moved to; unrelated melodies do not fit."""

import numpy as np
import pytest

from lt.evaluation.alignment import Fit, find_fit
from lt.evaluation.metrics import note_scores
from lt.midi import Note


def melody(rng, n_notes):
    """A random walk on the white keys."""
    degrees = 35 + np.clip(np.cumsum(rng.integers(-2, 3, n_notes)), -10, 10)
    numbers = 12 + 12 * (degrees // 7) + np.array([0, 2, 4, 5, 7, 9, 11])[degrees % 7]
    onsets = np.cumsum(rng.choice([0.25, 0.5], n_notes))
    return [Note(at, at + 0.2, int(number), 64) for at, number in zip(onsets, numbers)]


def transcribed(rng, notes):
    """Onsets are 10 ms off, one in ten notes is missing, one in ten is an octave too high."""
    found = []
    for note in notes:
        onset = max(note.onset + rng.normal(0, 0.01), 0)
        octave = 12 * (rng.random() < 0.1)
        if rng.random() > 0.1:
            found.append(Note(onset, onset + 0.2, note.note_number + octave, 64))
    return found


@pytest.mark.parametrize("n_notes", [8, 40, 200])
@pytest.mark.parametrize(
    "moved",
    [
        Fit(shift=0.35),
        Fit(shift=20.0),
        Fit(shift=-1.2),
        Fit(semitones=2),
        Fit(shift=0.1, semitones=-12),
        Fit(stretch=1.1),
        Fit(shift=3.0, stretch=0.8),
        Fit(shift=1.0, stretch=1.27, semitones=5),
    ],
    ids=str,
)
def test_a_reference_is_found_where_it_was_moved_to(moved, n_notes):
    rng = np.random.default_rng(n_notes)
    reference = melody(rng, n_notes)
    estimated = transcribed(rng, moved.apply(reference))
    fit = find_fit(reference, estimated)
    assert fit.semitones == moved.semitones and fit.same_tempo == moved.same_tempo
    onsets = np.array([0, reference[-1].onset])
    np.testing.assert_allclose(
        fit.stretch * onsets + fit.shift, moved.stretch * onsets + moved.shift, atol=0.05
    )
    assert fit.f1 == note_scores(reference, estimated).f1
    after = note_scores(fit.apply(reference), estimated).f1
    assert after >= fit.best_f1 > fit.f1 + 0.1 and (after == fit.best_f1 or fit.shift < 0)


def test_what_fits_is_left_alone():
    rng = np.random.default_rng(0)
    reference = melody(rng, 40)
    assert find_fit(reference, transcribed(rng, reference)) is None


@pytest.mark.parametrize("seed", range(20))
def test_unrelated_melodies_do_not_fit(seed):
    rng = np.random.default_rng(seed)
    reference, other = (melody(rng, int(rng.integers(5, 60))) for _ in range(2))
    assert find_fit(reference, other) is None


def test_too_few_notes_fit_nothing():
    few = [Note(0, 1, 60, 64), Note(1, 2, 62, 64)]
    assert find_fit(few, Fit(shift=0.5).apply(few)) is None
    assert find_fit(few, []) is None and find_fit([], few) is None


def test_notes_before_the_recording_are_left_out():
    notes = [Note(0, 1, 60, 64), Note(1, 3, 62, 64), Note(4, 5, 64, 64)]
    moved = Fit(shift=-2.0).apply(notes)
    assert moved == (Note(0, 1, 62, 64), Note(2, 3, 64, 64))


def test_a_fit_says_what_it_changes():
    fit = Fit(0.5, -2, 1.25, f1=0.1, best_f1=0.925)
    assert str(fit) == (
        "at 0.800 of its tempo and transposed by -2 semitones and shifted by +0.50 s: note F1 0.10 "
        "before, 0.93 after"
    )
