"""Transcription: posteriors that are certain give back their notes, edges are where the sound's
are.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lt.audio.features import audio_to_magnitudes
from lt.config import SpectralConfig
from lt.inference.note_decoding import (
    decode_states,
    hearing_to_notes,
    note_probabilities,
    transcribe,
)
from lt.inference.onsets import N_PARTIALS, ONSET_DB, QUICK_HERTZ, Segmenter, Voice, partial_bands
from lt.inference.posteriors import Hearing, LevelMeter, _semitones, fine_frames
from lt.labels import N_CLASSES, LabelSpace, NoteLabels
from lt.midi import Note, notes_to_labels

RATE = 22050
STEP = 128 / RATE


def certain(notes, seconds, space=LabelSpace(instruments=("Flute",)), certainty=0.9):
    """The Hearing of a listener who is nearly certain of `notes`, with a level that follows them."""
    n_frames = int(seconds / STEP)
    labels = notes_to_labels(notes, n_frames, STEP)
    classes = space.to_classes(
        [labels] + [NoteLabels.of_silence(n_frames)] * (len(space.instruments) - 1)
    )
    groups = []
    for column, size in zip(classes.reshape(n_frames, -1).T, space.group_sizes):
        group = np.full((n_frames, size), (1 - certainty) / (size - 1))
        group[np.arange(n_frames), column] = certainty
        groups.append(group)
    level_db = np.full(n_frames, -80.0)
    times = np.arange(n_frames) * STEP
    for note in notes:
        held = (times >= note.onset) & (times < note.offset - 0.02)
        level_db[held] = -20.0
    return Hearing(space, tuple(groups), level_db, times, 704 / RATE)


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
    heard = hearing_to_notes(certain(notes, notes[-1].offset + 0.3))
    assert [note.note_number for note in heard] == [note.note_number for note in notes]
    assert [note.velocity for note in heard] == [note.velocity for note in notes]
    for reference, estimated in zip(notes, heard):
        assert abs(reference.onset - estimated.onset) < 0.03
        assert abs(reference.offset - estimated.offset) < 0.05


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([("Flute",), ("Piano", "Violin"), ("Piano", "Violin", "Flute")]),
    st.booleans(),
    st.booleans(),
)
@example(14, ("Piano", "Violin"), True, True)
def test_whatever_is_heard_notes_are_in_order_and_those_of_one_number_apart(
    seed, instruments, few, deaf
):
    """Edges come from levels that know nothing of the segments, here of `few` notes: they may
    cross.
    """
    random, space = np.random.default_rng(seed), LabelSpace(instruments=instruments)
    n_frames, lengths = 400, random.integers(6, 40, 60)
    kept = np.repeat(np.arange(60), lengths)[:n_frames]  # states that last a little
    groups = [random.dirichlet(np.full(size, 0.05), 60) for size in space.group_sizes]
    if few:
        groups = [group[random.integers(0, 3, 60)] for group in groups]
    groups = tuple(group[kept] for group in groups)
    bands = random.gamma(0.3, 1.0, (60, 100))[np.roll(kept, 7)].astype(np.float16)
    clear_db = 10 * np.log10(np.square(bands.astype(float)).sum(axis=1)) - 40
    if deaf:
        bands, clear_db = np.zeros_like(bands), np.repeat(random.uniform(-90, 0, 60), 10)[:n_frames]
    rumble_db = random.uniform(-60, -20)
    hearing = Hearing(
        space,
        groups,
        np.maximum(clear_db, rumble_db),
        np.arange(n_frames) * STEP,
        704 / RATE,
        bands,
        30.0,
        clear_db,
    )
    for track in transcribe(hearing):
        assert all(note.onset < note.offset for note in track.notes) and list(
            track.notes
        ) == sorted(track.notes)
        for number in {note.note_number for note in track.notes}:
            same = [note for note in track.notes if note.note_number == number]
            assert all(one.offset <= two.onset + 1e-9 for one, two in zip(same, same[1:]))


@pytest.mark.parametrize("number", [21, 40, 60, 81, 108])
def test_a_notes_own_level_is_read_from_bands_that_are_quick(number):
    indices = partial_bands(number, 30.0, 102, N_PARTIALS, QUICK_HERTZ)
    hertz = 30.0 * 2 ** (indices / 12)  # lower edges
    frequency = 440.0 * 2 ** ((number - 69) / 12)
    assert len(indices) and (np.diff(indices) > 0).all()
    assert (
        hertz.max() <= 8 * frequency
        and hertz.min() > min(QUICK_HERTZ, 4.8 * frequency) * 2 ** (-1 / 12) * 0.999
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
    groups = tuple(np.full((n_frames, size), 1 / size) for size in space.group_sizes)
    hearing = Hearing(
        space, groups, np.zeros(n_frames), np.arange(n_frames) * STEP, 704 / RATE, bands, 30.0
    )
    level_db = Voice(hearing, [heard]).level_db(60, 100, 300)
    assert np.ptp(level_db[100:]) == 0 and level_db[99] < level_db[100] - 60
    assert np.ptp(Voice(hearing, [np.full(n_frames, -1)]).level_db(60, 100, 300)[100:]) > 10


@pytest.mark.parametrize("again, n_notes", [(0.0, 1), (0.1, 2)])
def test_a_note_that_dies_away_is_not_heard_as_the_octave_below(again, n_notes):
    space, n_frames = LabelSpace(instruments=("Piano", "Violin")), 300
    bands = np.zeros((n_frames, 102), np.float16)
    bands[50:, partial_bands(60, 30.0, 102, 8)] = 0.1
    bands[150:, partial_bands(60, 30.0, 102, 8)] = 0.01
    bands[150:, partial_bands(48, 30.0, 102, 8)] += again
    groups = tuple(np.full((n_frames, size), 1 / size) for size in space.group_sizes)
    hearing = Hearing(
        space, groups, np.zeros(n_frames), np.arange(n_frames) * STEP, 704 / RATE, bands, 30.0
    )
    voice = Voice(hearing, [np.full(n_frames, -1)])
    assert len(voice.join_decays([(60, 50, 150), (48, 150, 250)])) == n_notes
    assert len(voice.join_decays([(60, 50, 150), (48, 160, 250)])) == 2  # there was a rest
    assert len(voice.join_decays([(60, 50, 150), (53, 150, 250)])) == 2  # no octave


def frames(seconds):
    return round(seconds / STEP)


def level_of(*steps):
    """A level in dB (frames,) of (seconds, dB) steps."""
    return np.concatenate([np.full(frames(seconds), float(level)) for seconds, level in steps])


@pytest.mark.parametrize("heard_until, onset", [(0.0, 0.5), (0.57, 0.57)])
def test_noise_of_an_attack_belongs_to_its_note_unless_another_is_heard(heard_until, onset):
    # a rest, a puff as of a flute, and the tone, from where on the note is heard
    level_db = level_of((0.5, -90), (0.04, -30), (0.03, -45), (0.5, -20))
    segmenter = Segmenter(np.ones((len(level_db), 102), np.float16), level_db, STEP)
    begun, beneath = segmenter.onset(
        level_db, frames(0.57), len(level_db), since=frames(heard_until)
    )
    assert beneath == (heard_until > 0) and begun == pytest.approx(frames(onset), abs=1)


def test_a_note_does_not_begin_in_the_release_of_the_one_before():
    """The bands of low notes ring before the note, so that it seems to begin while the other is
    still dying away.
    """
    level_db = level_of((0.3, -20), (0.1, -50), (0.1, -53), (0.1, -56), (0.5, -20))
    bands = np.zeros((len(level_db), 102), np.float16)
    bands[: frames(0.35), 40], bands[frames(0.35) :, 45] = 1.0, 1.0
    begun, _ = Segmenter(bands, level_db, STEP).onset(
        level_db, frames(0.35), len(level_db), since=frames(0.35)
    )
    assert begun == pytest.approx(frames(0.6), abs=1)


def test_a_slow_attack_beneath_another_note_begins_at_a_quarter_of_its_peak():
    n_frames, begins = frames(1.2), frames(0.5)
    bands = np.zeros((n_frames, 102), np.float32)
    bands[:, 40], bands[begins:, 47] = (
        1.0,
        np.minimum(np.arange(n_frames - begins) / frames(0.28), 1.0),
    )
    level_db = np.zeros(n_frames)  # the other covers it
    begun, beneath = Segmenter(bands, level_db, STEP).onset(
        level_db, begins, n_frames, since=begins
    )
    assert beneath and begun == pytest.approx(begins + 10 ** (ONSET_DB / 20) * frames(0.28), abs=2)


def ringing(level_db):
    """A hearing of A4 from 0.2 to 0.9 s and D5, of level_db, from 0.7 to 1.4 s, which is told from
    A4 only when that has ended; their level, and their bands.
    """
    first, second = Note(0.2, 0.9, 69, 64), Note(0.7, 1.4, 74, 64)
    hearing = certain([first, replace(second, onset=0.9)], 1.7)
    level, bands = np.full(len(hearing), -80.0), np.zeros((len(hearing), 80), np.float16)
    for note, band, own_db in ((first, 40, -20.0), (second, 45, level_db)):
        held = (hearing.times >= note.onset) & (hearing.times < note.offset - 0.02)
        level[held], bands[held, band] = np.maximum(level[held], own_db), 10 ** (own_db / 20)
    return [first, second], replace(hearing, level_db=level, clear_db=level, bands=bands, fmin=30.0)


@pytest.mark.parametrize("level_db", [-20.0, -32.0, -45.0])
def test_a_note_that_begins_beneath_the_one_before_is_heard_from_its_beginning_to_its_end(level_db):
    notes, hearing = ringing(level_db)
    heard = hearing_to_notes(hearing)
    assert [note.note_number for note in heard] == [69, 74]
    for reference, estimated in zip(notes, heard):
        assert abs(reference.onset - estimated.onset) < 0.03
        assert abs(reference.offset - estimated.offset) < 0.05


def test_a_click_is_no_note():
    assert hearing_to_notes(certain([Note(0.0, 1.0, 69, 64)], STEP)) == []


def test_silence_has_no_notes():
    assert hearing_to_notes(certain([], 1.0)) == []


def test_a_repeated_note_is_struck_twice_and_a_vibrato_is_not():
    one = Note(0.2, 1.2, 69, 64)
    hearing = certain([one], 1.5)
    dipped, trembling = hearing.level_db.copy(), hearing.level_db.copy()
    at = int(0.7 / STEP)
    dipped[at - 3 : at + 3] -= 15
    trembling[40:180] += 3 * np.sin(2 * np.pi * 5 * hearing.times[40:180])
    for level, count in ((hearing.level_db, 1), (dipped, 2), (trembling, 1)):
        again = Hearing(
            hearing.space, hearing.probabilities, level, hearing.times, hearing.frame_seconds
        )
        assert len(hearing_to_notes(again)) == count


def test_rumble_does_not_fill_the_dip_between_two_strokes():
    hearing = certain([Note(0.2, 1.2, 69, 64)], 1.5)
    at = int(0.7 / STEP)
    clear = hearing.level_db.copy()
    clear[at - 3 : at + 3] -= 15
    beneath = replace(hearing, level_db=np.maximum(clear, -28.0), clear_db=clear)
    assert len(hearing_to_notes(beneath)) == 2
    assert len(hearing_to_notes(replace(beneath, clear_db=beneath.level_db))) == 1


def test_a_note_whose_segment_begins_in_silence_is_heard():
    """Digital silence of 20 ms between two notes: the segment's first frame is silent, the segment
    is not.
    """
    notes = [Note(0.2, 0.7, 69, 64), Note(0.7, 1.2, 72, 64)]
    hearing = certain(notes, 1.5)
    hearing.level_db[(hearing.times >= 0.69) & (hearing.times < 0.71)] = -120.0
    bands = np.zeros((len(hearing), 80), np.float16)
    bands[hearing.times < 0.67, 20] = bands[hearing.times >= 0.67, 23] = (
        1.0  # heard to change a little earlier
    )
    heard = hearing_to_notes(replace(hearing, bands=bands, fmin=30.0))
    assert [note.note_number for note in heard] == [69, 72]


def test_flickering_frames_do_not_break_a_note():
    hearing = certain([Note(0.2, 1.2, 69, 64)], 1.5)
    pitch = hearing.probabilities[1].copy()
    pitch[80:84] = np.roll(pitch[80:84], 5, axis=1)
    groups = (hearing.probabilities[0], pitch, hearing.probabilities[2])
    flickering = Hearing(
        hearing.space, groups, hearing.level_db, hearing.times, hearing.frame_seconds
    )
    assert [note.note_number for note in hearing_to_notes(flickering)] == [69]


def test_note_probabilities_are_a_distribution_over_silence_and_every_note():
    hearing = certain([Note(0.1, 0.4, 60, 64)], 0.5)
    numbers, states = note_probabilities(hearing, 0)
    assert numbers[0] == -1 and len(numbers) == 1 + N_CLASSES["octave"] * N_CLASSES["pitch"]
    np.testing.assert_allclose(states.sum(axis=1), 1)
    assert numbers[states[int(0.25 / STEP)].argmax()] == 60


@pytest.mark.parametrize("labels, number", [(("pitch",), 60 + 9), (("octave", "pitch"), 81)])
def test_models_with_fewer_labels_still_transcribe(labels, number):
    space = LabelSpace(labels=labels, instruments=("Flute",))
    notes = hearing_to_notes(certain([Note(0.2, 0.8, 81, 64)], 1.0, space))
    assert [note.note_number for note in notes] == [number]


def test_a_model_without_pitch_hears_no_notes():
    space = LabelSpace(labels=("octave", "dynamics"), instruments=("Flute",))
    assert hearing_to_notes(certain([Note(0.2, 0.8, 81, 64)], 1.0, space)) == []


def test_mixtures_give_a_track_an_instrument():
    space = LabelSpace(instruments=("Piano", "Violin"))
    tracks = transcribe(certain([Note(0.2, 0.8, 62, 64)], 1.0, space))
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


def test_sound_far_above_full_scale_is_heard_in_finite_bands():
    loud = torch.full((2, 410), 1e5)
    assert torch.isfinite(_semitones(loud, SpectralConfig())).all()


def test_a_note_that_begins_as_the_sound_ends_begins_there():
    bands = np.random.default_rng(0).random((200, 8)).astype(np.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (
            196 <= Segmenter(bands, np.zeros(200), STEP).onset(np.zeros(200), 196, 200, 0)[0] < 200
        )


def test_fine_frames_are_means_over_a_model_frame_around_every_second_coefficient():
    rng = np.random.default_rng(0)
    audio = torch.from_numpy(rng.standard_normal(30000).astype(np.float32)) * 0.1
    config = SpectralConfig()
    fine = torch.cat(list(fine_frames(iter(audio.split(7000)), config, torch.device("cpu"))))
    # model frame n covers coefficients 11n to 11n + 10, whose centre is 11n + 5: an even one where
    # n is odd
    whole = audio_to_magnitudes(audio, config)
    for frame in range(1, len(whole) - 1, 2):
        torch.testing.assert_close(fine[(11 * frame + 5) // 2], whole[frame], rtol=1e-4, atol=1e-6)


def test_the_level_is_that_of_the_sound_whatever_the_blocks():
    times = np.arange(RATE) / RATE
    audio = torch.from_numpy(
        (0.1 * np.sin(2 * np.pi * 440 * times) * (times > 0.5)).astype(np.float32)
    )
    levels = []
    for size in (RATE, 1000, 77):
        meter = LevelMeter(128)
        assert sum(len(block) for block in meter.watch(iter(audio.split(size)))) == RATE
        levels.append(meter.level_db(len(audio) // 128))
    np.testing.assert_allclose(levels[0], levels[1], atol=1e-3)
    np.testing.assert_allclose(levels[0], levels[2], atol=1e-3)
    assert levels[0][:80].max() < -100
    np.testing.assert_allclose(levels[0][92:-4], 20 * np.log10(0.1 / np.sqrt(2)), atol=1.0)
