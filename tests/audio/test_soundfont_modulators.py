"""Modulators: filters that a font opens with velocity are open, all else stays as it was."""

import struct

import numpy as np
import pytest
from font_helpers import RATE, chunk, font
from hypothesis import given, settings
from hypothesis import strategies as st

from lt.audio.soundfont import SoundFont, embedded_font
from lt.audio.soundfont_modulators import CUTOFF, ENVELOPE_TO_CUTOFF, at_full_velocity

VELOCITY, FALLING_VELOCITY, KEY = 0x0002, 0x0102, 0x0003


def brightness(content, folder):
    """The share of a rendered note's power that lies above 2 kHz."""
    (folder / "x.sf2").write_bytes(content)
    audio = SoundFont(folder / "x.sf2", RATE, brightness=0.0).render_note(0, 57, 100, 0.5, 0.1)
    power = np.abs(np.fft.rfft(audio[:8192])) ** 2
    return power[np.fft.rfftfreq(8192, 1 / RATE) > 2000].sum() / power.sum()


SHUT = dict(shared=((CUTOFF, 6237),))  # 300 Hz


@pytest.mark.parametrize("where", ["modulators", "preset_modulators"])
@pytest.mark.parametrize("target", [CUTOFF, ENVELOPE_TO_CUTOFF])
def test_a_filter_that_velocity_opens_is_open(tmp_path, where, target):
    sustained = ((29, 0),)  # the envelope that moves the filter stays at its top
    shut = brightness(font(**SHUT, instrument=sustained), tmp_path)
    opened = brightness(
        font(**SHUT, instrument=sustained, **{where: ((VELOCITY, target, 6000),)}), tmp_path
    )
    assert opened > 20 * shut


@pytest.mark.parametrize(
    "parts",
    [
        {},
        SHUT,
        dict(modulators=((FALLING_VELOCITY, CUTOFF, -2400),)),
        dict(modulators=((KEY, CUTOFF, 2400),)),
        dict(modulators=((VELOCITY, 48, 700),)),
        dict(modulators=((VELOCITY, CUTOFF, 0),)),
    ],
)
def test_other_fonts_stay_as_they_are(parts):
    content = font(**parts)
    assert at_full_velocity(content) is content


def test_the_embedded_font_stays_as_it_is():
    content = embedded_font().read_bytes()
    assert at_full_velocity(content) is content


def test_a_zones_own_generator_is_added_to_and_ranges_stay_first():
    changed = at_full_velocity(
        font(
            shared=((CUTOFF, 6000),),
            instrument=((43, 0x7F00), (CUTOFF, 5000)),
            modulators=((VELOCITY, CUTOFF, 1000),),
        )
    )
    assert changed == font(
        shared=((CUTOFF, 6000),),
        instrument=((43, 0x7F00), (CUTOFF, 6000)),
        modulators=((VELOCITY, CUTOFF, 1000),),
    )


@pytest.mark.fault("malformed input")
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_fonts_are_left_to_the_synthesiser(data):
    content = bytearray(font(**SHUT, preset_modulators=((VELOCITY, CUTOFF, 3000),)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    assert isinstance(at_full_velocity(cut), bytes)


def test_zones_that_overlap_are_not_unfolded():
    """A file of a megabyte, each of whose zones claims all generators: copied, they would fill any
    memory.
    """
    content = font(**SHUT, modulators=((VELOCITY, CUTOFF, 3000),) * 2)
    at = content.index(b"ibag")
    bags = chunk(b"ibag", struct.pack("<4H", 0, 0, 60000, 0) * 20000)
    generators = chunk(b"igen", bytes(4 * 60000))
    start = content.index(b"pdta") - 8
    pdta = (
        content[start + 8 : at]
        + bags
        + generators
        + content[content.index(b"imod") : content.index(b"igen")]
    )
    hostile = content[:start] + chunk(b"LIST", pdta)
    assert at_full_velocity(hostile) is hostile
