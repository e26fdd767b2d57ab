"""Splits: three parts without overlap, groups whole, the same each time, the test part never
trained on.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_helpers import NOTE_FRAMES, as_subframes, tiny_magnitudes, tiny_notes, write_tiny_set

from lt.config import RunConfig, SpectralConfig
from lt.data.dataset import read_data_set, write_data_set
from lt.data.splits import PARTS, Split, split_data
from lt.labels import octave_pitch_to_note_number

KINDS = ("note", "pitch", "frame")
CONFIG = RunConfig(frames=(), instruments=("Flute", "Violin"))


@pytest.fixture(scope="module")
def data(tiny_set):
    return read_data_set(tiny_set)


def frames_of(split):
    return {part: np.concatenate(split.frames[part]) for part in PARTS}


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 99), fold=st.integers(-1, 3))
@settings(max_examples=10, deadline=None)
def test_parts_are_disjoint_whole_and_not_empty(data, kind, seed, fold):
    split = split_data(data, replace(CONFIG, split=kind, seed=seed, fold=fold, n_folds=4))
    frames = frames_of(split)
    assert sorted(np.concatenate(list(frames.values()))) == list(range(len(data.magnitudes)))
    assert all(len(rows) for part in PARTS for rows in split.frames[part])


def groups(data, frames, kind):
    note = data.note_of_frame[frames]
    if kind == "note":
        return set(data.notes.group[note])
    labels = data.notes.labels[note]
    return set(
        zip(data.notes.instrument[note], octave_pitch_to_note_number(labels[:, 0], labels[:, 1]))
    )


@pytest.mark.parametrize("kind", ["note", "pitch"])
@pytest.mark.parametrize("fold", [-1, 2])
def test_what_belongs_together_stays_together(data, kind, fold):
    split = split_data(data, replace(CONFIG, split=kind, fold=fold))
    train, valid, test = (groups(data, rows, kind) for rows in frames_of(split).values())
    assert not train & valid and not train & test and not valid & test


def test_repeated_notes_share_a_group_in_the_tiny_set(data):
    assert len(set(data.notes.group)) == 40 < len(data.notes.group)


def test_frames_of_a_note_may_part_under_frame(data):
    split = split_data(data, replace(CONFIG, split="frame"))
    train, valid, _ = (groups(data, rows, "note") for rows in frames_of(split).values())
    assert train & valid


def test_shares(data):
    split = split_data(data, replace(CONFIG, split="frame"))
    assert [len(rows) for rows in frames_of(split).values()] == [288, 36, 36]


def test_each_fold_tests_once(data):
    tested = [
        frames_of(split_data(data, replace(CONFIG, fold=fold, n_folds=4)))["test"]
        for fold in range(4)
    ]
    assert sorted(np.concatenate(tested)) == list(range(len(data.magnitudes)))


def test_the_publishers_folds_are_kept(tmp_path):
    notes = replace(tiny_notes(), fold=np.arange(60) % 3)
    data = read_data_set(write_tiny_set(tmp_path / "folds.npz", notes=notes))
    split = split_data(data, replace(CONFIG, fold=1, n_folds=3))
    assert {part: set(data.notes.fold[split.notes[part]]) for part in PARTS} == {
        "train": {0},
        "valid": {2},
        "test": {1},
    }


@pytest.mark.parametrize("frames, expected", [((), 0), ((5,), 2), ((4, 99), 1)])
def test_notes_without_a_frame_in_range_are_counted(tmp_path, frames, expected):
    notes, starts = tiny_notes(), np.arange(61) * NOTE_FRAMES
    starts[1:] -= 3  # the first note has 3 frames
    starts[2:] -= 1  # the second 5
    magnitudes = tiny_magnitudes(notes)[: starts[-1]]
    write_data_set(
        tmp_path / "x.npz", [as_subframes(magnitudes)], starts, notes, SpectralConfig(), {}
    )
    split = split_data(read_data_set(tmp_path / "x.npz"), replace(CONFIG, frames=frames))
    assert split.notes_without_frames == expected


def stored(split, config):
    """A split as `config.json` gives it back."""
    return json.loads(json.dumps(split.to_stored(config)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fold", [-1, 2])
def test_a_stored_split_comes_back(data, kind, fold):
    config = replace(CONFIG, split=kind, fold=fold)
    split = split_data(data, config)
    again = Split.from_stored(data, config, stored(split, config))
    for part in PARTS:
        assert all(map(np.array_equal, again.frames[part], split.frames[part]))
        assert np.array_equal(again.notes[part], split.notes[part])
    assert (again.kind, again.notes_without_frames) == (kind, 0)


def test_the_stored_notes_count_however_notes_are_assigned_today(data):
    other = split_data(data, replace(CONFIG, seed=1))
    again = Split.from_stored(data, CONFIG, stored(other, CONFIG))
    assert not np.array_equal(other.notes["test"], split_data(data, CONFIG).notes["test"])
    assert np.array_equal(again.notes["test"], other.notes["test"])
    assert np.array_equal(again.frames["train"][1], other.frames["train"][1])


@pytest.mark.fault("malformed input")
@pytest.mark.parametrize(
    "notes", [{"train": [0]}, {"train": [0], "valid": [1], "test": [60]}, {"train": "A4"}, [1]]
)
def test_a_damaged_stored_split_is_refused(data, notes):
    with pytest.raises(ValueError, match="split in the config.json of the run is damaged"):
        Split.from_stored(data, CONFIG, {"notes": notes})


def test_a_seed_gives_one_split(data):
    first, same, other = (
        frames_of(split_data(data, replace(CONFIG, seed=seed)))["train"] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same) and not np.array_equal(first, other)


def test_without_a_silence_class_silent_frames_are_left_out(data):
    split = split_data(data, replace(CONFIG, zero_extra_class=0))
    assert data.sounding[np.concatenate(list(frames_of(split).values()))].all()


def test_frames_outside_every_note(data):
    with pytest.raises(
        ValueError, match="no frame of Flute is in the range --frames 6 9; its longest note has 6"
    ):
        split_data(data, replace(CONFIG, frames=(6, 9)))


def test_too_few_notes(data, tmp_path):
    few = read_data_set(
        write_tiny_set(tmp_path / "few.npz", notes=tiny_notes(("Flute",), n_pitches=1))
    )
    with pytest.raises(ValueError, match="too few for train, valid and test"):
        split_data(few, replace(CONFIG, instruments=("Flute",)))
    with pytest.raises(ValueError, match="by 50 folds"):
        split_data(data, replace(CONFIG, split="pitch", fold=0, n_folds=50))
