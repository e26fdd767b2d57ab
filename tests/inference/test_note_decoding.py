"""Transcription: posteriors that are certain give back their notes, edges are where the sound's
are.
"""

import warnings
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lt.config import DecoderConfig
from lt.inference.evidence import note_probabilities
from lt.inference.note_decoding import (
    decode_states,
    explained_notes,
    posteriors_to_notes,
    posteriors_to_tracks,
)
from lt.inference.onsets import OnsetDetector, Region, partial_bands
from lt.inference.posteriors import Posteriors
from lt.inference.symbol_spectra import SymbolSpectra
from lt.labels import N_CLASSES, LabelSpace, NoteLabels
from lt.midi import Note, notes_to_labels

RATE = 22050
STEP = 128 / RATE
FRAME = 704 / RATE
CONFIG = DecoderConfig()
# of an instrument whose notes fall by 20 dB while they are held
STRUCK = SymbolSpectra(
    np.array([69]),
    np.array([30, 100]),
    np.array([0.0, 1.0]),
    np.array([1.0, 0.1])[:, None] * np.ones((1, 2, 1, 102)),
)


def certain(notes, seconds, space=LabelSpace(instruments=("Flute",)), certainty=0.9):
    """Posteriors that are nearly certain of `notes`, with a level that follows them."""
    n_frames = int(seconds / FRAME) + 1
    labels = notes_to_labels(notes, n_frames, FRAME)
    classes = space.to_classes(
        [labels] + [NoteLabels.of_silence(n_frames)] * (len(space.instruments) - 1)
    )
    groups = []
    for column, size in zip(classes.reshape(n_frames, -1).T, space.group_sizes):
        group = np.full((n_frames, size), (1 - certainty) / (size - 1))
        group[np.arange(n_frames), column] = certainty
        groups.append(group)
    times = np.arange(max(1, int(seconds / STEP))) * STEP
    level_db = np.full(len(times), -80.0)
    bands = np.full((len(times), 102), 1e-4, np.float16)
    for note in notes:
        held = (times >= note.onset) & (times < note.offset - 0.02)
        level_db[held] = -20.0
        bands[np.ix_(held, partial_bands(note.note_number, 30.0, 102, 8))] = 0.1
    return Posteriors(space, tuple(groups), FRAME, STEP, level_db, level_db, bands, 30.0)


def uniform(space, n_frames, bands):
    """Posteriors that know nothing but the bands of `n_frames` fine frames."""
    groups = tuple(np.full((n_frames // 5, size), 1 / size) for size in space.group_sizes)
    level_db = np.zeros(n_frames)
    return Posteriors(space, groups, FRAME, STEP, level_db, level_db, bands, 30.0)


def detector(bands, level_db, symbols=()):
    """An OnsetDetector of a single instrument with these bands and level."""
    posteriors = uniform(LabelSpace(instruments=("Flute",)), len(level_db), bands)
    return OnsetDetector(replace(posteriors, level_db=level_db, clear_db=level_db, symbols=symbols))


@st.composite
def melodies(draw):
    """Notes that do not overlap, at least 0.15 s long, pauses of at least 0.05 s."""
    notes, at = [], draw(st.floats(0.1, 0.5))
    for _ in range(draw(st.integers(1, 8))):
        length = draw(st.floats(0.15, 0.6))
        notes.append(
            Note(
                at,
                at + length,
                draw(st.integers(40, 100)),
                draw(st.sampled_from([13, 39, 64, 90, 115])),
            )
        )
        at += length + draw(st.floats(0.05, 0.3))
    return notes


@settings(max_examples=12, deadline=None)
@given(melodies())
@example(
    [Note(0.5, 1.0, 40, 13), Note(1.28125, 1.78125, 40, 13), Note(1.83203125, 2.33203125, 41, 13)]
)
def test_a_certain_posterior_gives_back_the_notes(notes):
    heard = posteriors_to_notes(certain(notes, notes[-1].offset + 0.3))
    assert [note.note_number for note in heard] == [note.note_number for note in notes]
    assert [note.velocity for note in heard] == [note.velocity for note in notes]
    for reference, estimated in zip(notes, heard):
        assert abs(reference.onset - estimated.onset) < 0.03
        assert abs(reference.offset - estimated.offset) < 0.05


@pytest.mark.parametrize("sounding, n_notes", [(69, 3), (74, 2)])
def test_a_repetition_is_no_attack_of_the_note_that_follows(sounding, n_notes):
    notes = [Region(69, 30, 100), Region(69, 120, 140), Region(74, 140, 220)]
    posteriors = undecided(69, 74, 0.5)
    bands = np.full_like(posteriors.bands, 1e-4)
    for number, start, end in [(69, 30, 100), (sounding, 120, 140), (74, 140, 220)]:
        bands[start:end, partial_bands(number, 30.0, 102, 8)] = 0.1
    found = explained_notes(notes, OnsetDetector(replace(posteriors, bands=bands)))
    assert len(found) == n_notes and found[-1] == notes[-1]


def undecided(first, second, share):
    """Posteriors of 2 s that give a `share` of the probability to one note (None: silence), the
    rest to another, and say no more.
    """
    posteriors = certain([Note(0.2, 1.8, second, 64)], 2.0)
    other = certain([Note(0.2, 1.8, first, 64)] if first else [], 2.0)
    groups = (posteriors.probabilities, other.probabilities)
    mixed = tuple((1 - share) * second + share * first for second, first in zip(*groups))
    return replace(posteriors, probabilities=mixed)


@pytest.mark.parametrize("octaves", [1, 2])
def test_a_note_is_not_the_octave_above_which_leaves_its_fundamental_unexplained(octaves):
    above = undecided(57, 57 + 12 * octaves, 0.4)
    bands = np.full_like(above.bands, 1e-4)
    bands[30:-30, partial_bands(57, 30.0, 102, 8)] = 0.1
    assert {note.note_number for note in posteriors_to_notes(replace(above, bands=bands))} == {57}


def test_noise_is_no_note_and_a_note_is_no_noise():
    posteriors = undecided(None, 69, 0.45)
    assert [note.note_number for note in posteriors_to_notes(posteriors)] == [69]
    noise = np.random.default_rng(0).rayleigh(0.1, posteriors.bands.shape).astype(np.float16)
    assert not posteriors_to_notes(replace(posteriors, bands=noise))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([("Flute",), ("Piano", "Violin"), ("Piano", "Violin", "Flute")]),
    st.booleans(),
    st.booleans(),
)
@example(14, ("Piano", "Violin"), True, True)
def test_whatever_is_heard_an_instruments_notes_are_in_order_and_one_at_a_time(
    seed, instruments, few, deaf
):
    """Edges come from levels that know nothing of the segments, here of `few` notes: they may
    cross.
    """
    random, space = np.random.default_rng(seed), LabelSpace(instruments=instruments)
    n_frames, lengths = 400, random.integers(6, 40, 60)
    kept = np.repeat(np.arange(60), lengths)[:n_frames]  # states that last a little
    model_kept = kept[:: round(FRAME / STEP)]
    groups = [random.dirichlet(np.full(size, 0.05), 60) for size in space.group_sizes]
    if few:
        groups = [group[random.integers(0, 3, 60)] for group in groups]
    groups = tuple(group[model_kept] for group in groups)
    bands = random.gamma(0.3, 1.0, (60, 100))[np.roll(kept, 7)].astype(np.float16)
    clear_db = 10 * np.log10(np.square(bands.astype(float)).sum(axis=1)) - 40
    if deaf:
        bands, clear_db = np.zeros_like(bands), np.repeat(random.uniform(-90, 0, 60), 10)[:n_frames]
    noise_db = random.uniform(-60, -20)
    level_db = np.maximum(clear_db, noise_db)
    posteriors = Posteriors(space, groups, FRAME, STEP, level_db, clear_db, bands, 30.0)
    for track in posteriors_to_tracks(posteriors):
        assert all(note.onset < note.offset for note in track.notes) and list(
            track.notes
        ) == sorted(track.notes)
        following = zip(track.notes, track.notes[1:])
        assert all(one.offset <= two.onset + 1e-9 for one, two in following)


@pytest.mark.parametrize("number", [21, 40, 60, 81, 108])
def test_a_notes_own_level_is_read_from_bands_that_are_quick(number):
    indices = partial_bands(number, 30.0, 102, CONFIG.n_partials, CONFIG.lowest_partial_hz)
    hertz = 30.0 * 2 ** (indices / 12)  # lower edges
    frequency = 440.0 * 2 ** ((number - 69) / 12)
    assert len(indices) and (np.diff(indices) > 0).all()
    assert (
        hertz.max() <= 8 * frequency
        and hertz.min() > min(CONFIG.lowest_partial_hz, 4.8 * frequency) * 2 ** (-1 / 12) * 0.999
    )
    partials = (
        hertz[:, None] * [[1, 2 ** (1 / 12)]] / frequency
    )  # each band holds a whole multiple of the fundamental
    assert all(np.floor(high) > low or np.isclose(round(low), low) for low, high in partials)


def test_a_notes_own_level_does_not_know_when_others_begin():
    space, n_frames = LabelSpace(instruments=("Piano", "Violin")), 300
    bands, heard = np.zeros((n_frames, 102), np.float16), np.full(n_frames, -1)
    bands[100:, partial_bands(60, 30.0, 102, 16)] = 0.1
    bands[150:, partial_bands(72, 30.0, 102, 16)] = (
        1.0  # an octave above: it shares every other partial
    )
    heard[150:] = 72
    posteriors = uniform(space, n_frames, bands)
    level_db = OnsetDetector(posteriors, others=[heard]).level_db(Region(60, 100, 300))
    alone = OnsetDetector(posteriors, others=[np.full(n_frames, -1)])
    assert np.ptp(level_db[100:]) == 0 and level_db[99] < level_db[100] - 60
    assert np.ptp(alone.level_db(Region(60, 100, 300))[100:]) > 10


@pytest.mark.parametrize("late", [-12, 0, 12])  # frames
def test_in_a_mixture_a_note_begins_where_its_own_bands_rise(late):
    space, n_frames = LabelSpace(instruments=("Piano", "Violin")), 300
    bands, heard = np.zeros((n_frames, 102), np.float16), np.full(n_frames, -1)
    bands[150:, partial_bands(64, 30.0, 102, 16)] = 0.1
    bands[100:150, partial_bands(59, 30.0, 102, 16)] = 0.5  # the note before
    other = partial_bands(76, 30.0, 102, 16)  # begins a little later, and louder
    bands[160:, other], heard[160:] = 1.0, 76
    detector = OnsetDetector(uniform(space, n_frames, bands), others=[heard])
    onset = detector.onset(Region(64, 150 + late, 300), Region(59, 100, 150 + late))
    assert onset == pytest.approx(150, abs=2)


@pytest.mark.parametrize("again, n_notes", [(0.0, 1), (0.1, 2)])
def test_a_note_that_dies_away_is_not_heard_as_the_octave_below(again, n_notes):
    space, n_frames = LabelSpace(instruments=("Piano", "Violin")), 300
    bands = np.zeros((n_frames, 102), np.float16)
    bands[50:, partial_bands(60, 30.0, 102, 8)] = 0.1
    bands[150:, partial_bands(60, 30.0, 102, 8)] = 0.01
    bands[150:, partial_bands(48, 30.0, 102, 8)] += again
    posteriors = uniform(space, n_frames, bands)
    levels = OnsetDetector(posteriors, others=[np.full(n_frames, -1)])
    upper = Region(60, 50, 150)
    assert len(levels.join_decays([upper, Region(48, 150, 250)])) == n_notes
    assert len(levels.join_decays([upper, Region(48, 160, 250)])) == 2  # there was a rest
    assert len(levels.join_decays([upper, Region(53, 150, 250)])) == 2  # no octave


def frames(seconds):
    return round(seconds / STEP)


def level_of(*steps):
    """A level in dB (frames,) of (seconds, dB) steps."""
    return np.concatenate([np.full(frames(seconds), float(level)) for seconds, level in steps])


@pytest.mark.parametrize("heard_until, begins", [(0.0, 0.5), (0.57, 0.57)])
def test_noise_of_an_attack_belongs_to_its_note_unless_another_is_heard(heard_until, begins):
    # a rest, a puff as of a flute, and the tone, from where on the note is heard
    level_db = level_of((0.5, -90), (0.04, -30), (0.03, -45), (0.5, -20))
    previous = Region(60, 0, frames(heard_until))
    region = Region(69, frames(0.57), len(level_db))
    onset = detector(np.ones((len(level_db), 102), np.float32), level_db).onset(region, previous)
    assert onset == pytest.approx(frames(begins), abs=1)


def test_a_note_does_not_begin_in_the_release_of_the_one_before():
    """The bands of low notes ring before the note, so that it seems to begin while the other is
    still dying away.
    """
    level_db = level_of((0.3, -20), (0.1, -50), (0.1, -53), (0.1, -56), (0.5, -20))
    bands = np.zeros((len(level_db), 102), np.float16)
    bands[: frames(0.35), 40], bands[frames(0.35) :, 45] = 1.0, 1.0
    onset = detector(bands, level_db).onset(
        Region(69, frames(0.35), len(level_db)), Region(60, 0, frames(0.35))
    )
    assert onset == pytest.approx(frames(0.6), abs=1)


def test_a_slow_attack_beneath_another_note_begins_at_a_quarter_of_its_peak():
    n_frames, begins = frames(1.2), frames(0.5)
    bands = np.zeros((n_frames, 102), np.float32)
    bands[:, 40], bands[begins:, 47] = (
        1.0,
        np.minimum(np.arange(n_frames - begins) / frames(0.28), 1.0),
    )
    level_db = np.zeros(n_frames)  # the other covers it
    onset = detector(bands, level_db).onset(Region(69, begins, n_frames), Region(60, 0, begins))
    quarter = 10 ** (CONFIG.onset_db / 20) * frames(0.28)
    assert onset == pytest.approx(begins + quarter, abs=2)


def test_a_string_is_struck_where_the_level_rises_though_low_bands_ring_before():
    begins = frames(0.5)
    level_db = np.concatenate([np.linspace(-20, -28, begins), np.linspace(-19, -27, begins)])
    bands = np.zeros((2 * begins, 102), np.float32)
    bands[: begins + frames(0.06), 12], bands[begins - frames(0.06) :, 14] = 0.1, 0.1
    region = Region(44, begins - frames(0.05), 2 * begins)
    struck = detector(bands, level_db, (STRUCK,))
    assert struck.onset(region, Region(42, 0, region.start)) == pytest.approx(begins, abs=1)


@pytest.mark.parametrize("softer_db, rest, n_notes", [(35, 0.2, 1), (35, 0.8, 2), (20, 0.2, 2)])
def test_what_sounds_shortly_after_a_much_louder_note_is_no_note(softer_db, rest, n_notes):
    level_db = level_of((0.5, -20), (rest, -90), (0.2, -20 - softer_db), (0.2, -90))
    later = frames(0.5) + frames(rest)
    notes = [Region(69, 0, frames(0.5)), Region(64, later, later + frames(0.2))]
    found = detector(np.ones((len(level_db), 102), np.float32), level_db)
    assert len(found.without_echoes(notes)) == n_notes


def ringing(level_db):
    """Posteriors of A4 from 0.2 to 0.9 s and of D5, at level_db, from 0.7 to 1.4 s, which is
    classified as D5 only once A4 has ended; their level and their bands.
    """
    first, second = Note(0.2, 0.9, 69, 64), Note(0.7, 1.4, 74, 64)
    posteriors = certain([first, replace(second, onset=0.9)], 1.7)
    level, bands = np.full(len(posteriors), -80.0), np.zeros((len(posteriors), 80), np.float16)
    for note, band, own_db in ((first, 46, -20.0), (second, 51, level_db)):
        held = (posteriors.times >= note.onset) & (posteriors.times < note.offset - 0.02)
        level[held], bands[held, band] = np.maximum(level[held], own_db), 10 ** (own_db / 20)
    return [first, second], replace(
        posteriors, level_db=level, clear_db=level, bands=bands, fmin=30.0
    )


@pytest.mark.parametrize("level_db", [-20.0, -32.0, -45.0])
def test_a_note_that_begins_beneath_the_one_before_is_heard_and_ends_that(level_db):
    (first, second), posteriors = ringing(level_db)
    heard = posteriors_to_notes(posteriors)
    assert [note.note_number for note in heard] == [69, 74]
    for reference, estimated in zip((replace(first, offset=second.onset), second), heard):
        assert abs(reference.onset - estimated.onset) < 0.03
        assert abs(reference.offset - estimated.offset) < 0.05


def offset_of(level_db):
    """The offset in seconds of a note that begins at 0.2 s, as OnsetDetector.offset has it."""
    found = detector(np.ones((len(level_db), 102), np.float32), level_db)
    return found.offset(level_db, frames(0.2), len(level_db)) * STEP


@pytest.mark.parametrize("decay", [0.0, 20.0])
@pytest.mark.parametrize("direct_db, reverberation", [(12.0, 0.9), (6.0, 0.5), (60.0, 0.3)])
def test_a_note_ends_where_it_is_released_and_not_with_the_rooms_sound(
    decay, direct_db, reverberation
):
    """It is held, or decays by some decibels a second; its release takes 30 ms."""
    times = np.arange(frames(2.0)) * STEP
    held = -20 - decay * (times - 0.2)
    after = np.maximum(times - 1.0, 0)
    fading = np.minimum(after / 0.03, 1) * direct_db
    level_db = np.where(times < 0.2, -90, held - fading - 60 / reverberation * after)
    assert offset_of(level_db) == pytest.approx(1.0, abs=0.04)


def test_a_note_that_dies_away_is_heard_until_a_fiftieth_of_its_peak():
    times = np.arange(frames(3.0)) * STEP
    level_db = np.where(times < 0.2, -90, -20 - 30 * (times - 0.2))
    assert offset_of(level_db) == pytest.approx(0.2 + 34 / 30, abs=0.02)


def test_a_click_is_no_note():
    assert posteriors_to_notes(certain([Note(0.0, 1.0, 69, 64)], STEP)) == []


def test_silence_has_no_notes():
    assert posteriors_to_notes(certain([], 1.0)) == []


def test_a_repeated_note_is_struck_twice_and_a_vibrato_is_not():
    one = Note(0.2, 1.2, 69, 64)
    posteriors = certain([one], 1.5)
    dipped, trembling = posteriors.level_db.copy(), posteriors.level_db.copy()
    at = int(0.7 / STEP)
    dipped[at - 3 : at + 3] -= 15
    trembling[40:180] += 3 * np.sin(2 * np.pi * 5 * posteriors.times[40:180])
    for level, count in ((posteriors.level_db, 1), (dipped, 2), (trembling, 1)):
        again = replace(posteriors, level_db=level, clear_db=level)
        assert len(posteriors_to_notes(again)) == count


@pytest.mark.parametrize("seconds, count", [(0.01, 2), (0.15, 1)])
def test_a_string_that_still_sounds_is_struck_again_where_its_level_rises_quickly(seconds, count):
    posteriors = certain([Note(0.2, 1.2, 69, 64)], 1.5)
    times = posteriors.times
    decays = -20 - 20 * (times - 0.2)
    again = np.clip((times - 0.7) / seconds, 0, 1) * 10
    level_db = np.where((times >= 0.2) & (times < 1.18), decays + again, -80)
    blown = replace(posteriors, level_db=level_db, clear_db=level_db)
    heard = posteriors_to_notes(replace(blown, symbols=(STRUCK,)))
    assert len(heard) == count and len(posteriors_to_notes(blown)) == 1
    assert count == 1 or heard[1].onset == pytest.approx(0.7, abs=0.02)


def test_an_instrument_is_struck_if_the_notes_that_were_learnt_decay():
    bands, level_db = np.ones((100, 102)), np.zeros(100)
    held = replace(STRUCK, bands=np.ones_like(STRUCK.bands))
    assert STRUCK.decay_db == pytest.approx(20) and held.decay_db == 0
    assert detector(bands, level_db, (STRUCK,)).is_struck
    assert not detector(bands, level_db, (held,)).is_struck


def test_rumble_does_not_fill_the_dip_between_two_strokes():
    posteriors = certain([Note(0.2, 1.2, 69, 64)], 1.5)
    at = int(0.7 / STEP)
    clear = posteriors.level_db.copy()
    clear[at - 3 : at + 3] -= 15
    beneath = replace(posteriors, level_db=np.maximum(clear, -25.0), clear_db=clear)
    assert len(posteriors_to_notes(beneath)) == 2
    assert len(posteriors_to_notes(replace(beneath, clear_db=beneath.level_db))) == 1


def test_a_note_whose_segment_begins_in_silence_is_heard():
    """Digital silence of 20 ms between two notes: the segment's first frame is silent, the segment
    is not.
    """
    notes = [Note(0.2, 0.7, 69, 64), Note(0.7, 1.2, 72, 64)]
    posteriors = certain(notes, 1.5)
    posteriors.level_db[(posteriors.times >= 0.69) & (posteriors.times < 0.71)] = -120.0
    bands = np.zeros((len(posteriors), 80), np.float16)
    bands[posteriors.times < 0.67, 46] = bands[posteriors.times >= 0.67, 49] = (
        1.0  # heard to change a little earlier
    )
    heard = posteriors_to_notes(replace(posteriors, bands=bands, fmin=30.0))
    assert [note.note_number for note in heard] == [69, 72]


def test_flickering_frames_do_not_break_a_note():
    posteriors = certain([Note(0.2, 1.2, 69, 64)], 1.5)
    pitch = posteriors.probabilities[1].copy()
    pitch[15] = np.roll(pitch[15], 5)
    groups = (posteriors.probabilities[0], pitch, posteriors.probabilities[2])
    flickering = replace(posteriors, probabilities=groups)
    assert [note.note_number for note in posteriors_to_notes(flickering)] == [69]


def test_note_probabilities_are_a_distribution_over_silence_and_every_note():
    posteriors = certain([Note(0.1, 0.4, 60, 64)], 0.5)
    numbers, states = note_probabilities(posteriors, 0)
    assert numbers[0] == -1 and len(numbers) == 1 + N_CLASSES["octave"] * N_CLASSES["pitch"]
    np.testing.assert_allclose(states.sum(axis=1), 1)
    assert numbers[states[int(0.25 / FRAME)].argmax()] == 60


@pytest.mark.parametrize("labels, number", [(("pitch",), 60 + 9), (("octave", "pitch"), 81)])
def test_models_with_fewer_labels_still_posteriors_to_tracks(labels, number):
    space = LabelSpace(labels=labels, instruments=("Flute",))
    notes = posteriors_to_notes(certain([Note(0.2, 0.8, 81, 64)], 1.0, space))
    assert [note.note_number for note in notes] == [number]


def test_a_model_without_pitch_hears_no_notes():
    space = LabelSpace(labels=("octave", "dynamics"), instruments=("Flute",))
    assert posteriors_to_notes(certain([Note(0.2, 0.8, 81, 64)], 1.0, space)) == []


def test_mixtures_give_a_track_an_instrument():
    space = LabelSpace(instruments=("Piano", "Violin"))
    tracks = posteriors_to_tracks(certain([Note(0.2, 0.8, 62, 64)], 1.0, space))
    assert [(track.name, track.program, len(track.notes)) for track in tracks] == [
        ("Piano", 0, 1),
        ("Violin", 40, 0),
    ]


def test_a_path_stays_where_it_is_unless_the_evidence_is_strong():
    states = np.full((100, 3), [0.8, 0.1, 0.1])
    states[50] = [0.1, 0.8, 0.1]
    assert (decode_states(states, 0.99) == 0).all()
    states[40:60] = [0.1, 0.8, 0.1]
    assert (decode_states(states, 0.99)[40:60] == 1).all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stay", [1 / 3, 0.9, 0.999])
def test_of_all_paths_the_most_probable_is_found(seed, stay):
    states = np.random.default_rng(seed).dirichlet(np.full(3, 0.3), 7)
    paths = np.array(list(product(range(3), repeat=7)))
    emitted = np.log(states[np.arange(7), paths]).sum(axis=1)
    stays = (np.diff(paths, axis=1) == 0).sum(axis=1)
    scores = emitted + stays * np.log(stay) + (6 - stays) * np.log((1 - stay) / 2)
    assert (decode_states(states, stay) == paths[scores.argmax()]).all()


def test_a_note_that_begins_as_the_sound_ends_begins_there():
    bands = np.random.default_rng(0).random((200, 8)).astype(np.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        onset = detector(bands, np.zeros(200)).onset(Region(69, 196, 200), Region(60, 0, 0))
    assert 196 <= onset < 200


def test_a_threshold_is_changed_by_another_config():
    posteriors = certain([Note(0.2, 0.8, 69, 64)], 1.0)
    assert len(posteriors_to_notes(posteriors)) == 1
    assert posteriors_to_notes(posteriors, 0, replace(CONFIG, shortest_note=0.7)) == []
