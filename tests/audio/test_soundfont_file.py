"""Presets of a sound font: found by bank and program, with the keys that they have samples for."""

import numpy as np
import pytest
from font_helpers import RATE, font
from hypothesis import given, settings
from hypothesis import strategies as st

from lt.audio.soundfont import SoundFont, embedded_font
from lt.audio.soundfont_file import KEYS, VELOCITIES, find_presets, read_presets


def written(path, content):
    path.write_bytes(content)
    return path


def span(low, high):
    return low | high << 8


def test_presets_are_listed_by_bank_and_program(tmp_path):
    presets = ((128, 0, b"Kit"), (8, 73, b"Flute 2"), (0, 73, b"Flute"))
    found = read_presets(written(tmp_path / "x.sf2", font(presets=presets)))
    assert [(preset.bank, preset.program, preset.name) for preset in found] == [
        (0, 73, "Flute"),
        (8, 73, "Flute 2"),
        (128, 0, "Kit"),
    ]


@pytest.mark.fault("odd input")
@pytest.mark.parametrize(
    "presets, words",
    [
        (((0, 0, b"Fl"),), "no program 73 (Flute) in bank 0; it has 0 Fl (--instruments Flute:0)"),
        (((8, 73, b"Fl"), (8, 0, b"P")), "it has 73 Fl in bank 8 (--bank 8)"),
        (((8, 0, b"P"),), "it has 0 P in bank 8 (--bank 8 --instruments Flute:0)"),
        (((0, 0, b"P"), (0, 40, b"Vn")), "it has 0 P, 40 Vn (--instruments NAME:PROGRAM)"),
        (((128, 0, b"Kit"),), "it has 0 Kit in bank 128 (--bank 128 "),
        (tuple((0, n, b"P") for n in range(70)), "7 P and 62 more ("),
        ((), "it has no presets at all"),
    ],
)
def test_a_missing_program_is_named_with_what_there_is_instead(tmp_path, presets, words):
    path = written(tmp_path / "x.sf2", font(presets=presets))
    with pytest.raises(ValueError) as error:
        find_presets(path, 0, {73: "Flute"})
    assert f"{path} has no program 73 (Flute) in bank 0" in str(error.value)
    assert words in str(error.value)
    with pytest.raises(ValueError, match="no program 73"):
        SoundFont(path).render_note(73, 60, 64, 0.1)


def test_keys_and_velocities_are_those_of_preset_and_instrument_together(tmp_path):
    content = font(
        preset=((KEYS, span(40, 70)),),
        shared=((VELOCITIES, span(0, 100)),),
        instrument=((KEYS, span(60, 80)),),
    )
    path = written(tmp_path / "x.sf2", content)
    (preset,) = read_presets(path)
    expected = np.zeros((128, 128), bool)
    expected[60:71, :101] = True
    np.testing.assert_array_equal(preset.plays, expected)
    synthesiser = SoundFont(path, RATE, 0.0)
    for key, velocity in ((58, 64), (59, 64), (65, 64), (71, 64), (72, 64), (65, 115)):
        sounds = synthesiser.render_note(0, key, velocity, 0.05, 0.0).any()
        assert sounds == preset.can_render(key, velocity), (key, velocity)


def test_the_bank_that_is_asked_for_is_rendered(tmp_path):
    path = written(tmp_path / "x.sf2", font(presets=((8, 5, b"Saw"),)))
    assert SoundFont(path, bank=8).render_note(5, 57, 64, 0.1).any()


@pytest.mark.fault("odd input")
def test_channels_that_cancel_are_rendered_at_the_level_of_one(tmp_path):
    one, both = (
        SoundFont(written(tmp_path / f"{inverted}.sf2", font(inverted=inverted)), RATE, 0.0)
        for inverted in (False, True)
    )
    single, stereo = (f.render_note(0, 57, 100, 0.2, 0.0) for f in (one, both))
    level = np.sqrt(np.mean(stereo**2) / np.mean(single**2))
    assert 0.7 < level < 1.5  # one of two hard-panned channels beside one in the middle


def test_what_is_no_font_is_said_to_be_none(tmp_path):
    path = written(tmp_path / "x.sf2", b"RIFF")
    with pytest.raises(ValueError, match="x.sf2 is not a sound font"):
        read_presets(path)


@pytest.mark.fault("malformed input")
@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_fonts_are_read_or_refused(tmp_path_factory, data):
    content = bytearray(font(presets=((0, 0, b"a"), (1, 2, b"b"))))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("font") / "x.sf2"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        presets = read_presets(path)
    except ValueError:
        return
    assert all(preset.plays.shape == (128, 128) for preset in presets)


def test_all_of_the_embedded_set_is_in_the_embedded_font():
    for preset in find_presets(embedded_font(), 0, {73: "Flute", 65: "Alto-Sax"}).values():
        assert all(preset.can_render(key, 64) for key in range(50, 80))
