"""Notes beside what is played for them (bench/compared_notes.py)."""

import numpy as np
import pytest
from playing_helpers import organ, strongest_number

from bench import compared_notes as cn
from bench.sound_measures import RATE
from lt.audio.soundfont import embedded_font
from lt.build.builder import build_data_set
from lt.config import BuildConfig
from lt.data.dataset import read_data_set


@pytest.fixture(scope="module")
def font_set(tmp_path_factory):
    path = tmp_path_factory.mktemp("font") / "font.npz"
    config = BuildConfig(kind="font", instruments=("Piano",), lowest="A4", highest="A4")
    build_data_set([embedded_font()], path, config, processes=1)
    return read_data_set(path)


def notes_named(data, text):
    return [note for note in range(len(data.lengths)) if text in str(data.notes.sources[note])]


def test_a_recorded_note_begins_at_its_onset_and_has_its_length(data, folder):
    for text, seconds in (("C5_1_forte", 0.8), ("A4_15_forte", 1.2)):
        (note,) = notes_named(data, text)
        sound = cn.recorded_note(data, note, [folder])
        assert np.abs(sound.audio[: round(0.04 * RATE)]).max() > 0.1
        assert sound.held == pytest.approx(seconds, abs=0.065)  # two frames
        assert cn.own_length(sound) == pytest.approx(seconds, abs=0.04)


def test_a_source_is_found_where_it_was_and_named_where_it_is_missing(data, folder):
    (note,) = notes_named(data, "A4_15_forte")
    assert len(cn.recorded_note(data, note).audio)
    (source,) = folder.rglob("*A4_15_forte*")
    moved = source.rename(source.with_suffix(".moved"))
    try:
        with pytest.raises(FileNotFoundError, match="flute_A4_15_forte.*--sources"):
            cn.recorded_note(data, note)
    finally:
        moved.rename(source)


def test_a_rendered_note_has_its_release(font_set):
    sound = cn.recorded_note(font_set, 0)
    assert len(sound.audio) == round((1.5 + cn.FONT_RELEASE) * RATE)
    measures = cn.course(sound, cn.own_length(sound))
    assert measures["slope_db_per_second"] < -3
    assert 0 < measures["release_ms"] < 2000


def test_the_sampler_takes_the_nearest_key_then_dynamics_then_the_longest(data):
    every = np.arange(len(data.lengths))
    near = cn.nearest_training_note(data, every, cn.Symbol(70, 3))  # A#4, forte
    assert near == notes_named(data, "A4_15_forte")[0]
    near = cn.nearest_training_note(data, every, cn.Symbol(77, 0))  # F5, pianissimo
    assert near == notes_named(data, "E5_1_piano")[0]


def test_the_sampler_plays_the_pitch_length_and_level(data, folder):
    training = np.array(notes_named(data, "A4_"))
    quiet, loud = (
        cn.sample_note(data, training, cn.Symbol(71, dynamics), 0.7, [folder])
        for dynamics in (1, 3)
    )
    assert strongest_number(loud.during(0.7), 60, 80) == pytest.approx(71, abs=0.1)
    assert cn.own_length(loud) == pytest.approx(0.7, abs=0.02)
    difference = cn.course(loud, 0.7)["level_db"] - cn.course(quiet, 0.7)["level_db"]
    assert difference == pytest.approx(20 * np.log10(6), abs=0.5)


def test_the_sampler_of_the_note_itself_is_at_no_distance(data, folder):
    (note,) = notes_named(data, "C5_1_forte")
    sound = cn.recorded_note(data, note, [folder])
    symbol = cn.symbol_of(data, note)
    sampled = cn.sample_note(data, np.array([note]), symbol, sound.held, [folder])
    found = cn.distances(sound, sampled, sound.held - 0.02)
    assert max(found.values()) == pytest.approx(0, abs=0.02)


def test_what_a_model_plays_has_the_pitch_and_length_of_its_symbol():
    sound = cn.play_note(organ(), cn.Symbol(69, 3), 0.5)
    assert strongest_number(sound.during(0.5), 60, 80) == pytest.approx(69, abs=0.3)
    assert 0.5 <= cn.own_length(sound) < 0.7


def test_the_ceiling_is_near_the_note(data, folder):
    (note,) = notes_named(data, "C5_1_forte")
    sound = cn.recorded_note(data, note, [folder])
    found = cn.find_phases(sound, data.config)
    assert len(found.audio) == len(sound.audio)
    assert cn.distances(sound, found, 0.7)["envelope_distance_db"] < 3
    assert strongest_number(found.during(0.7), 65, 80) == pytest.approx(72, abs=0.1)


def test_takes_are_of_one_symbol(data):
    pairs = cn.takes_of_one_symbol(data, "Flute", 10)
    assert len(pairs) == 2  # A4 piano and forte
    for first, second in pairs:
        assert cn.symbol_of(data, first) == cn.symbol_of(data, second)
        assert first != second


def test_held_out_notes_are_the_test_part_in_order(data):
    split = {"notes": {"test": [0, 3, 5], "train": [1, 2]}}
    found = cn.held_out_notes(data, split, "Flute", 10)
    assert sorted(found) == [0, 3, 5]
    symbols = [cn.symbol_of(data, note) for note in found]
    assert symbols == sorted(symbols, key=lambda s: (s.note_number, s.dynamics))


def test_evenly_spaced_items_have_both_ends():
    assert cn.evenly(range(10), 4) == [0, 3, 6, 9]
    assert cn.evenly(range(3), 4) == [0, 1, 2]
