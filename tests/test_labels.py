"""Labels: numbers, names and classes are the same thing in other words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lt.config import LABELS
from lt.labels import (
    ANY_AGE,
    FIRST_LEAD_AGE,
    FIRST_NOTE_NUMBER,
    LAST_NOTE_NUMBER,
    N_CLASSES,
    ONSET_AGES,
    SILENCE,
    LabelSpace,
    NoteLabels,
    age_class,
    note_name_to_number,
    note_number_to_octave_pitch,
    number_to_note_name,
    octave_pitch_to_note_number,
    parse_symbols,
)
from lt.midi import dynamics_to_velocity, velocity_to_dynamics

numbers = st.integers(FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER)


@given(numbers)
def test_note_numbers_octaves_and_names_go_there_and_back(number):
    assert octave_pitch_to_note_number(*note_number_to_octave_pitch(number)) == number
    assert note_name_to_number(number_to_note_name(number)) == number


def test_c4_is_60_and_names_are_read_in_every_spelling():
    assert tuple(map(int, note_number_to_octave_pitch(60))) == (4, 0)
    for name, number in {
        "C4": 60,
        "a4": 69,
        "C#5": 73,
        "Db5": 73,
        "B♭3": 58,
        "B##3": 61,
        "Cb4": 59,
    }.items():
        assert note_name_to_number(name) == number


@pytest.mark.parametrize("name", ["H4", "B###9", "A", "4", "", "A4:mf", "C-3", "C9"])
def test_what_is_no_name_is_an_error(name):
    with pytest.raises(ValueError):
        note_name_to_number(name)


def test_velocities_and_dynamics():
    np.testing.assert_array_equal(
        velocity_to_dynamics(dynamics_to_velocity(np.arange(5))), np.arange(5)
    )
    np.testing.assert_array_equal(dynamics_to_velocity(np.arange(5)), [13, 39, 64, 90, 115])
    np.testing.assert_array_equal(velocity_to_dynamics(np.array([1, 26, 27, 127])), [0, 0, 1, 4])


note_labels = st.lists(
    st.tuples(st.one_of(st.just(SILENCE), numbers), st.integers(0, 4)), min_size=1, max_size=20
).map(
    lambda rows: NoteLabels.from_notes(
        np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    )
)


@given(note_labels)
def test_classes_go_there_and_back(labels):
    space = LabelSpace(instruments=("Flute",))
    (back,) = space.to_labels(space.to_classes([labels]))
    np.testing.assert_array_equal(back.table(), labels.table())


def test_silence_is_the_last_class_of_each_label():
    space = LabelSpace(instruments=("Piano", "Violin"))
    classes = space.to_classes(
        [NoteLabels.of_silence(2), NoteLabels.from_notes(np.array([69, 60]), np.array([2, 4]))]
    )
    assert space.sizes == (10, 13, 6) and space.width == 58
    np.testing.assert_array_equal(classes[0], [[9, 12, 5], [4, 9, 2]])
    assert space.columns == (
        "Piano.octave",
        "Piano.pitch",
        "Piano.dynamics",
        "Violin.octave",
        "Violin.pitch",
        "Violin.dynamics",
    )


def test_a_space_without_silence_refuses_it():
    with pytest.raises(ValueError, match="without a silence class"):
        LabelSpace(instruments=("Flute",), silence=False).to_classes([NoteLabels.of_silence(1)])


@pytest.mark.parametrize(
    "labels, instruments, words",
    [
        (("octave", "timbre"), ("Flute",), "unknown label timbre; known: octave, pitch, dynamics"),
        (("octave", "octave"), ("Flute",), "given twice"),
        (("pitch",), ("Flute", "Flute"), "given twice"),
        ((), ("Flute",), "none given"),
        (("pitch",), (), "at least one instrument"),
    ],
)
def test_impossible_spaces_are_errors(labels, instruments, words):
    with pytest.raises(ValueError, match=words):
        LabelSpace(labels, instruments)


def test_a_value_outside_its_classes_is_an_error():
    with pytest.raises(ValueError, match="outside its classes"):
        LabelSpace(instruments=("Flute",)).to_classes(
            [NoteLabels.from_table(np.array([[9, 0, 0]]))]
        )


def test_ages_widen_with_time_and_start_again_at_note_off():
    frames = np.arange(200) * 0.032 + 0.016
    ages = age_class(frames)
    assert ages[0] == 0 and (np.diff(ages) >= 0).all() and ages[-1] == len(ONSET_AGES) - 1
    widths = np.bincount(ages)[:-1]
    assert (np.diff(widths) >= 0).all() and widths[0] == 1
    released = age_class(frames, frames - 1.0)
    np.testing.assert_array_equal(released[frames < 1], ages[frames < 1])
    assert released[frames >= 1][0] == len(ONSET_AGES)
    before = age_class(np.array([-9.0, -0.2, -0.1, -0.05, -0.01, 0.0]))
    lead = [*range(FIRST_LEAD_AGE, N_CLASSES["age"])]
    assert before.tolist() == [lead[0], *lead, 0]


def test_numbers_hold_no_age_and_names_can():
    space = LabelSpace(LABELS, ("Flute",))
    free = parse_symbols(["4", "9", "2", "9", "12", "5"], space)
    np.testing.assert_array_equal(free[:, 0], [[4, 9, 2, ANY_AGE], space.silence_classes])
    np.testing.assert_array_equal(parse_symbols(["A4:mf", "rest"], space), free)
    assert parse_symbols(["A4:mf:age=3"], space)[0, 0, 3] == 3
    assert space.to_labels(free)[0].age.tolist() == [ANY_AGE, SILENCE]


@pytest.mark.parametrize("token", ["A4:mf:age=31", "A4:mf:age=-1", "A4:mf:age=x", "A4:mf:age="])
def test_ages_out_of_range_are_errors(token):
    with pytest.raises(ValueError, match="age"):
        parse_symbols([token], LabelSpace(LABELS, ("Flute",)))
    with pytest.raises(ValueError, match="no label age"):
        parse_symbols(["A4:mf:age=3"], LabelSpace(LABELS[:3], ("Flute",)))


def test_voices_are_parts_of_their_instruments():
    space = LabelSpace.of_voices(("octave", "pitch"), ("Piano", "Flute", "Horn"), (2, 1, 3))
    assert [(part.name, part.n_voices) for part in space.parts] == [
        ("Piano", 2),
        ("Flute", 1),
        ("Horn", 3),
    ]
    assert [part.name for part in space.chordal] == ["Piano", "Horn"]
    assert space.instrument_of("Horn.3") == "Horn" and space.instrument_of("Flute") == "Flute"
    assert LabelSpace.of_voices(("pitch",), ("Piano",), (1,)) == LabelSpace(("pitch",), ("Piano",))


@given(st.lists(numbers, max_size=3, unique=True))
def test_voices_rise_and_silent_ones_are_last(notes):
    space = LabelSpace.of_voices(("octave", "pitch", "dynamics"), ("Piano",), (3,))
    voices = np.array(notes + [SILENCE] * (3 - len(notes)))
    classes = space.to_classes([NoteLabels.from_notes([number], [2]) for number in voices[::-1]])
    ordered = [int(own.note_number[0]) for own in space.to_labels(space.in_voice_order(classes))]
    assert ordered == sorted(notes) + [SILENCE] * (3 - len(notes))
