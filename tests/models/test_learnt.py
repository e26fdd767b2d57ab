"""The notes that a run learnt: stored, read back, described, and missed where they lack."""

import json

import numpy as np
import pytest

from lt.labels import NoteLabels
from lt.models.learnt import (
    describe_learnt,
    learnt_table,
    name_spans,
    read_tables,
    remark_on_unlearnt,
)
from lt.models.runs import read_settings

TABLES = {"Flute": {60: (0, 2), 61: (2,), 65: (2,)}}


def notes(*pairs):
    numbers, dynamics = zip(*pairs)
    return NoteLabels.from_notes(np.array(numbers), np.array(dynamics))


def test_a_table_has_each_note_once_with_its_dynamics():
    table = learnt_table(np.array([61, 60, 60, 65, 60]), np.array([2, 2, 0, 2, 2]))
    assert table == TABLES["Flute"] and list(table) == [60, 61, 65]
    assert read_tables(json.loads(json.dumps(TABLES))) == TABLES


@pytest.mark.parametrize(
    "values",
    [[], {"Flute": [60]}, {"Flute": {"C4": [0]}}, {"Flute": {"60": [9]}}, {"F": {"5": [0]}}],
)
def test_no_table_is_an_error(values):
    with pytest.raises((AttributeError, TypeError, ValueError)):
        read_tables(values)


def test_spans_show_gaps():
    assert name_spans([65, 60, 61]) == "C4-C#4 F4"
    assert describe_learnt(TABLES) == ["Flute: 3 keys, C4-C#4 F4", "  pp  C4", "  mf  C4-C#4 F4"]


@pytest.mark.parametrize(
    "asked, said",
    [
        ([(60, 0), (65, 2), (-1, -1)], None),
        ([(62, 2)], "Flute never learnt D4 (it learnt C4-C#4 F4)"),
        ([(60, 4), (60, 1)], "Flute never learnt C4 p ff (it learnt C4 pp mf)"),
        ([(-1, -1)], None),
        ([(60, -1), (65, 2)], "Flute never learnt notes of which some labels are silence"),
    ],
)
def test_a_remark_names_what_was_never_learnt_and_what_was(asked, said):
    assert remark_on_unlearnt(TABLES, "Flute", notes(*asked)) == said


def test_remarks_stay_short_and_need_a_record():
    many = {"Flute": {number: (2,) for number in range(40, 90)}}
    remark = remark_on_unlearnt(many, "Flute", notes(*((number, 0) for number in range(40, 90))))
    assert remark.endswith("dynamics of 46 more keys") and len(remark) < 250
    assert remark_on_unlearnt(TABLES, "Flute", notes((60, 4)), with_dynamics=False) is None


def test_a_trained_run_records_its_training_notes(lt_train, tiny_set, tmp_path, no_figures):
    from lt.data.dataset import read_data_set

    assert lt_train("--epochs 1 --split pitch").exit_code == 0
    [folder] = (tmp_path / "saves").iterdir()
    settings = read_settings(folder)
    data = read_data_set(tiny_set)
    octave, pitch, dynamics = data.notes.labels[settings.split["notes"]["train"], :3].T
    assert settings.learnt == {"Flute": learnt_table(12 * (octave + 1) + pitch, dynamics)}
    every = data.notes.labels[data.notes_of("Flute")]
    assert len(settings.learnt["Flute"]) < len(np.unique(every[:, :2], axis=0))
