"""Symbols as typed: lists and names mean the same classes, mistakes are named."""

import csv

import numpy as np
import pytest

from lt.inference.posteriors import write_labels_csv
from lt.labels import LabelSpace, parse_symbols, set_dynamics, transpose

FLUTE = LabelSpace(instruments=("Flute",))
DUO = LabelSpace(instruments=("Piano", "Violin"))


def test_numbers_and_names_mean_the_same():
    names = parse_symbols(["A4:mf", "C5:f", "rest"], FLUTE)
    numbers = parse_symbols("4 9 2 5 0 3 9 12 5".split(), FLUTE)
    np.testing.assert_array_equal(names, numbers)
    assert names.shape == (3, 1, 3)


def test_names_fill_the_instruments_in_order():
    np.testing.assert_array_equal(
        parse_symbols(["A4:mf", "rest", "C5", "D5:pp"], DUO),
        [[[4, 9, 2], [9, 12, 5]], [[5, 0, 2], [5, 2, 0]]],
    )


@pytest.mark.parametrize(
    "tokens, words",
    [
        (["4", "9"], "do not fill"),
        (["4", "12", "7"], "dynamics 7 is out of range"),
        (["H4"], "no note name"),
        (["-1", "0", "0"], "octave -1 is out of range"),
        (["A4:fff"], "no dynamic"),
        (["A4:5"], "no dynamic"),
        (["A4", "4"], "mixed"),
    ],
)
def test_mistakes_are_named(tokens, words):
    with pytest.raises(ValueError, match=words):
        parse_symbols(tokens, FLUTE)


def test_groups_of_mixtures_must_be_full():
    with pytest.raises(ValueError, match="do not fill groups of 2"):
        parse_symbols(["A4", "C5", "D5"], DUO)


def test_a_model_without_silence_plays_no_rest():
    with pytest.raises(ValueError, match="rest"):
        parse_symbols(["rest"], LabelSpace(instruments=("Flute",), silence=False))


def test_transposition_moves_notes_there_and_back_and_leaves_silence():
    classes = parse_symbols(["B4:mf", "rest", "C4:ff"], FLUTE)
    np.testing.assert_array_equal(
        transpose(classes, 1, FLUTE), parse_symbols(["C5:mf", "rest", "C#4:ff"], FLUTE)
    )
    np.testing.assert_array_equal(transpose(transpose(classes, 14, FLUTE), -14, FLUTE), classes)
    with pytest.raises(ValueError, match="leaves C0-B8"):
        transpose(classes, 60, FLUTE)
    with pytest.raises(ValueError, match="octave and pitch"):
        transpose(np.zeros((1, 1, 1), int), 1, LabelSpace(labels=("pitch",)))


@pytest.mark.parametrize("word, expected", [("mp", "mf"), ("4", "ff"), ("FF", "ff"), ("", "mf")])
def test_dynamics_as_a_sign_or_a_class(word, expected):
    assert (parse_symbols([f"C4:{word}"], FLUTE) == parse_symbols([f"C4:{expected}"], FLUTE)).all()


def test_dynamics_zero_is_a_dynamic():
    classes = set_dynamics(parse_symbols(["A4:ff", "rest"], FLUTE), 0, FLUTE)
    np.testing.assert_array_equal(classes[:, 0, 2], [0, 5])


def test_csv_has_a_row_a_frame_with_class_and_probability(tmp_path):
    groups = [np.array([[0.1, 0.9], [0.7, 0.3]])] * 3
    write_labels_csv(tmp_path / "x.csv", groups, FLUTE, 0.5)
    rows = list(csv.DictReader(open(tmp_path / "x.csv")))
    assert list(rows[0]) == [
        "time",
        "octave",
        "octave_p",
        "pitch",
        "pitch_p",
        "dynamics",
        "dynamics_p",
        "note",
    ]
    assert [(row["time"], row["pitch"], row["pitch_p"], row["note"]) for row in rows] == [
        ("0.0000", "1", "0.9000", "C#1"),
        ("0.5000", "0", "0.7000", "C0"),
    ]


@pytest.mark.parametrize(
    "space, names, notes",
    [
        (FLUTE, ["note"], ["A4", "rest"]),
        (DUO, ["Piano.note", "Violin.note"], ["A4", "rest", "D5", "A4"]),
        (LabelSpace(labels=("pitch",), instruments=("Flute",)), ["note"], ["A4", "rest"]),
        (LabelSpace(labels=("octave", "dynamics"), instruments=("Flute",)), [], []),
    ],
)
def test_csv_names_the_note_of_each_instrument_after_the_classes(tmp_path, space, names, notes):
    tokens = ["A4", "D5", "rest", "A4"] if space is DUO else ["A4", "rest"]
    classes = parse_symbols(tokens, space).reshape(2, -1)
    groups = [np.eye(size)[column] for size, column in zip(space.group_sizes, classes.T)]
    write_labels_csv(tmp_path / "x.csv", groups, space, 0.5)
    rows = list(csv.DictReader(open(tmp_path / "x.csv")))
    classes_and_probabilities = 1 + 2 * len(space.columns)
    assert list(rows[0])[classes_and_probabilities:] == names
    assert [row[name] for name in names for row in rows] == notes


CHOIR = LabelSpace.of_voices(("octave", "pitch", "dynamics"), ("Piano", "Violin"), (3, 1))


def test_a_chord_fills_the_voices_from_the_lowest_note_on():
    rest = [9, 12, 5]
    np.testing.assert_array_equal(
        parse_symbols(["G4:f+C4", "A5:pp", "rest", "rest"], CHOIR),
        [[[4, 0, 2], [4, 7, 3], rest, [5, 9, 0]], [rest] * 4],
    )


def test_class_numbers_of_a_chord_are_put_in_order():
    numbers = "9 12 5 4 7 3 4 0 2 5 9 0".split()
    np.testing.assert_array_equal(
        parse_symbols(numbers, CHOIR), parse_symbols(["C4+G4:f", "A5:pp"], CHOIR)
    )


@pytest.mark.parametrize(
    "token, words",
    [
        ("C4+E4+G4+B4", "4 notes at once"),
        ("C4+C4:f", "given twice"),
        ("C4:f+", "'C4:f\\+': a note is missing"),
    ],
)
def test_chords_that_cannot_be_played_are_named(token, words):
    with pytest.raises(ValueError, match=words):
        parse_symbols([token, "A4"], CHOIR)


def test_a_model_of_one_voice_takes_no_chord():
    with pytest.raises(ValueError, match="2 notes at once, but Flute has 1"):
        parse_symbols(["C4+E4"], FLUTE)


def test_a_csv_has_a_column_for_each_voice(tmp_path):
    probabilities = [np.eye(size)[[0, size - 1]] for size in CHOIR.group_sizes]
    write_labels_csv(tmp_path / "labels.csv", probabilities, CHOIR, 0.032)
    with open(tmp_path / "labels.csv", encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head[1] == "Piano.1.octave" and head[-4:] == [
        "Piano.1.note",
        "Piano.2.note",
        "Piano.3.note",
        "Violin.note",
    ]
    assert rows[1][-1] == "rest"
