"""Decoding of chords: keys over time to notes that overlap."""

import itertools
import logging
from dataclasses import replace

import numpy as np
import pytest

from lt.config import ChordConfig
from lt.inference.chord_decoding import chord_notes, sounding_keys
from lt.inference.onsets import partial_bands
from lt.inference.posteriors import Posteriors
from lt.inference.symbol_spectra import SymbolSpectra
from lt.labels import FIRST_NOTE_NUMBER, N_KEYS, LabelSpace, note_number_to_hz

STEP, FRAME = 0.0058, 0.032
FMIN, N_BANDS = 30.0, 102
SPACE = LabelSpace.of_voices(("octave", "pitch"), ("Piano",), (3,))


def heard(notes, seconds, space=SPACE, levels=None):
    """Posteriors of notes (onset, offset, number) that are struck, decay and are damped.

    Args:
        levels: magnitude of each note; all 1 by default.
    """
    times = np.arange(round(seconds / STEP)) * STEP
    power = np.full((len(times), N_BANDS), 1e-12)
    middles = (np.arange(round(seconds / FRAME)) + 0.5) * FRAME
    keys = np.full((len(middles), 1, N_KEYS), 0.01)
    for (onset, offset, number), level in zip(notes, levels or [1.0] * len(notes)):
        course = np.where(times < onset, 0.0, np.exp(-2 * (times - onset)))
        course = course * np.where(times > offset, np.exp(-80 * (times - offset)), 1.0)
        bands = partial_bands(number, FMIN, N_BANDS, 8)
        power[:, bands] += np.square(level * course)[:, None] / np.arange(1, len(bands) + 1)
        keys[(middles >= onset) & (middles < offset), 0, number - FIRST_NOTE_NUMBER] = 0.99
    level_db = 10 * np.log10(power.sum(axis=1))
    silent = tuple(
        np.full((len(middles), size), 1 / size, np.float32) for size in space.group_sizes
    )
    bands = np.sqrt(power).astype(np.float16)
    return Posteriors(space, silent, FRAME, STEP, level_db, level_db, bands, FMIN, keys=keys)


def assert_notes(found, expected, onset=0.03, offset=0.08):
    found = sorted(found, key=lambda note: (round(note.onset, 1), note.note_number))
    assert [note.note_number for note in found] == [number for *_, number in expected]
    for note, (start, end, _) in zip(found, expected):
        assert note.onset == pytest.approx(start, abs=onset)
        assert note.offset == pytest.approx(end, abs=offset)


def test_a_key_follows_the_most_probable_of_all_paths():
    rng = np.random.default_rng(0)
    probabilities, config = rng.random((9, 5)), ChordConfig(change=1.0)
    found = sounding_keys(probabilities, config)
    odds = np.log(probabilities / (1 - probabilities)).clip(
        -config.most_evidence, config.most_evidence
    )

    def score(path, own):
        changes = np.abs(np.diff(np.concatenate([[0], path]))).sum()
        return np.dot(path, own) - config.change * changes

    for key in range(5):
        paths = np.array(list(itertools.product([0, 1], repeat=9)))
        best = max(paths, key=lambda path: score(path, odds[:, key]))
        assert found[:, key].tolist() == best.astype(bool).tolist()


def test_a_chord_and_a_melody_above_a_held_note():
    notes = [(0.3, 1.9, 48), (0.3, 0.9, 64), (0.3, 0.9, 67), (1.0, 1.6, 65)]
    assert_notes(chord_notes(heard(notes, 2.4), 0), notes)


def test_a_held_note_is_not_broken_by_new_ones():
    notes = [(0.2, 2.2, 48), (0.7, 1.1, 60), (1.2, 1.6, 67)]
    assert_notes(chord_notes(heard(notes, 2.6), 0), notes)


def test_a_repeated_note_is_struck_twice():
    notes = [(0.2, 0.8, 60), (0.8, 1.4, 60)]
    assert_notes(chord_notes(heard(notes, 1.8), 0), notes)


def test_a_soft_low_note_does_not_begin_with_a_loud_one_that_shares_its_partials():
    notes = [(0.3, 1.9, 48), (0.5, 0.9, 64)]  # E5 is a partial of both
    posteriors = heard(notes, 2.4)
    later = np.arange(len(posteriors)) * STEP >= 0.5
    posteriors.bands[np.ix_(later, partial_bands(64, FMIN, N_BANDS, 8))] *= 8
    found = chord_notes(posteriors, 0)
    assert found[0].note_number == 48 and found[0].onset == pytest.approx(0.3, abs=0.03)


def test_a_note_whose_strongest_partials_beat_is_struck_once():
    notes = [(0.2, 2.2, 60)]
    posteriors = heard(notes, 2.6)
    times = np.arange(len(posteriors)) * STEP
    strongest = partial_bands(60, FMIN, N_BANDS, 8)[:3]
    posteriors.bands[:, strongest] *= 0.05 + np.abs(np.cos(8 * np.pi * times))[:, None]
    assert_notes(chord_notes(posteriors, 0), notes)


def test_a_held_note_is_not_struck_by_the_noise_of_another_stroke():
    notes = [(0.2, 2.2, 48), (1.2, 1.8, 64)]
    posteriors = heard(notes, 2.6)
    times = np.arange(len(posteriors)) * STEP
    noise = np.where(times < 1.2, 0.0, 0.5 * np.exp(-40 * (times - 1.2)))
    posteriors.bands[:] = np.hypot(posteriors.bands, noise[:, None])
    assert_notes(chord_notes(posteriors, 0), notes)


def test_a_note_that_is_damped_slowly_ends_where_it_is_released():
    notes = [(0.2, 1.0, 60)]
    posteriors = heard(notes, 2.0)
    times = np.arange(len(posteriors)) * STEP
    fading = np.exp(60 * (times - 1.0).clip(0, 0.2))[:, None]  # of 80 a second, 20 are left
    posteriors.bands[:] = posteriors.bands * fading
    later = slice(round(1.0 / FRAME), round(1.3 / FRAME))
    posteriors.keys[later, 0, 60 - FIRST_NOTE_NUMBER] = 0.99
    assert_notes(chord_notes(posteriors, 0), notes, offset=0.03)


@pytest.mark.parametrize("number", [36, 48])
def test_a_low_note_that_is_heard_before_it_is_struck_begins_where_it_is_struck(number):
    posteriors = heard([(0.8, 1.6, number)], 2.0)
    early = 0.7 * ChordConfig().ringing_cycles / note_number_to_hz(number)
    frames = slice(round((0.8 - early) / FRAME), round(0.8 / FRAME) + 1)
    posteriors.keys[frames, 0, number - FIRST_NOTE_NUMBER] = 0.9
    assert_notes(chord_notes(posteriors, 0), [(0.8, 1.6, number)])


@pytest.mark.parametrize("probability, n_notes", [(0.6, 1), (0.9, 2)])
def test_a_partial_that_swells_above_a_sounding_note_must_be_sure(probability, n_notes):
    posteriors = heard([(0.2, 1.8, 60)], 2.2)
    posteriors.keys[20:45, 0, 72 - FIRST_NOTE_NUMBER] = probability
    later = np.arange(len(posteriors)) * STEP >= 20 * FRAME
    posteriors.bands[np.ix_(later, partial_bands(72, FMIN, N_BANDS, 8))] *= 3
    assert len(chord_notes(posteriors, 0)) == n_notes


def test_a_key_that_is_heard_without_a_rise_is_no_note():
    posteriors = heard([(0.2, 1.8, 60)], 2.2)
    posteriors.keys[20:45, 0, 72 - FIRST_NOTE_NUMBER] = 0.9
    assert_notes(chord_notes(posteriors, 0), [(0.2, 1.8, 60)])


def test_a_chord_that_sounds_from_the_first_frame_is_heard():
    notes = [(0.0, 0.8, 60), (0.0, 0.8, 64)]
    assert {note.note_number for note in chord_notes(heard(notes, 1.2), 0)} == {60, 64}


def test_a_note_that_is_lost_for_a_moment_goes_on():
    posteriors = heard([(0.2, 1.6, 60)], 2.0)
    posteriors.keys[22:26] = 0.01
    assert_notes(chord_notes(posteriors, 0), [(0.2, 1.6, 60)])


def test_of_more_notes_than_voices_the_loudest_are_kept_and_it_is_said_once(caplog):
    caplog.set_level(logging.INFO)
    notes = [(0.2 + 0.4 * index, 3.0, 48 + 5 * index) for index in range(5)]
    found = chord_notes(heard(notes, 3.4), 0)
    for time in np.arange(0.1, 3.4, 0.05):
        assert sum(note.onset <= time < note.offset for note in found) <= 3
    assert len(found) >= 3 and caplog.text.count("more than 3 notes at once") == 1


@pytest.mark.parametrize("gain", [0.03, 1.0])
def test_a_soft_voice_beneath_a_loud_one_is_soft_at_any_gain(gain):
    """Each voice alone would be of the middle velocity."""
    velocities, keys, times = np.array([13, 39, 64, 90, 115]), np.arange(48, 85), np.arange(3) / 2
    bands = np.zeros((len(keys), len(velocities), len(times), N_BANDS))
    for index, number in enumerate(keys):
        own = partial_bands(number, FMIN, N_BANDS, 8)
        courses = velocities[:, None] / 127 * np.exp(-2 * times)
        bands[index][:, :, own] = courses[..., None] / np.sqrt(np.arange(1, len(own) + 1))
    notes = [(at, at + 0.5, base + up) for at, base in ((0.2, 60), (0.9, 62)) for up in (0, 16)]
    levels = [gain * velocity / 127 for _ in range(2) for velocity in (30, 100)]
    posteriors = heard(notes, 1.8, levels=levels)
    symbols = SymbolSpectra(keys, velocities, times, bands)
    found = chord_notes(replace(posteriors, symbols=(symbols,) * 3), 0)
    assert_notes(found, notes)
    soft, loud = (
        [note.velocity for note in found if (note.note_number > 70) == high] for high in (0, 1)
    )
    assert min(loud) - max(soft) > 40 and np.ptp(soft) < 15 and np.ptp(loud) < 15


def test_silence_has_no_notes():
    assert chord_notes(heard([], 1.0), 0) == []
