"""Data sets of bench/measuring_sets.py, and the notes that are read again from them."""

import numpy as np
import pytest
from builder_helpers import build_at, labels_of, tone

from bench import compared_notes as cn
from bench import measuring_sets
from bench.sound_measures import levels_db
from lt.data.dataset import read_data_set


def test_reversed_notes_swell_and_stop(tmp_path):
    folder = tmp_path / "reversed_piano"
    measuring_sets.write_reversed_piano(folder, range(69, 71), (13, 115))
    data = read_data_set(build_at(folder, tmp_path))
    assert sorted(labels_of(data.path).values()) == [
        ("Reversed-Piano", 4, pitch, dynamics) for pitch in (9, 10) for dynamics in (0, 4)
    ]
    for note in range(4):
        sound = cn.recorded_note(data, note)
        levels = levels_db(sound.during(cn.own_length(sound)), 0.05, 0.05)
        assert levels.argmax() >= len(levels) - 3
        assert np.polyfit(np.arange(len(levels)) * 0.05, levels, 1)[0] > 5  # dB a second


def test_layers_of_a_piano_are_its_dynamics(tmp_path):
    for name in ("A3v4", "A3v8", "D#4v10", "D#4v13", "readme"):
        tone(tmp_path / "piano" / f"{name}.wav", "A4")
    measuring_sets.link_layered_piano(tmp_path / "piano", tmp_path / "linked")
    output = build_at(tmp_path / "linked", tmp_path)
    assert sorted(labels_of(output).values()) == [
        ("Piano", 3, 9, 1),
        ("Piano", 3, 9, 2),
        ("Piano", 4, 3, 3),
        ("Piano", 4, 3, 4),
    ]
    assert len(cn.recorded_note(read_data_set(output), 0).audio)


def test_a_folder_of_other_names_is_refused(tmp_path):
    tone(tmp_path / "piano" / "a.wav", "A4")
    with pytest.raises(FileNotFoundError, match="D#4v8.mp3"):
        measuring_sets.link_layered_piano(tmp_path / "piano", tmp_path / "linked")
