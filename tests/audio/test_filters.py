"""The high-pass removes what is below the lowest notes and keeps what is above, in any blocks; the
spectrum of a soft note under low-frequency noise is that of the note.
"""

import math

import numpy as np
import pytest
import torch
from builder_helpers import run, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from lt.audio.features import audio_to_magnitudes
from lt.audio.filters import high_pass, high_pass_blocks
from lt.build.extract import extract
from lt.build.notes import Recording, SourceNote
from lt.config import SpectralConfig
from lt.data.dataset import read_data_set

CONFIG = SpectralConfig()
TIMES = np.arange(2 * CONFIG.sample_rate) / CONFIG.sample_rate


def sine(hertz, level=0.5, phase=0.0):
    return (level * np.sin(2 * np.pi * hertz * TIMES + phase)).astype(np.float32)


@pytest.mark.parametrize(
    "hertz, gain_db", [(5, -70), (15, -70), (25, -70), (40, -6), (56, 0), (110, 0), (10000, 0)]
)
def test_what_is_below_goes_and_what_is_above_stays(hertz, gain_db):
    inner = slice(4000, -4000)
    power = (
        np.square(high_pass(sine(hertz), CONFIG)[inner]).mean()
        / np.square(sine(hertz)[inner]).mean()
    )
    if gain_db > -70:
        assert 10 * np.log10(power) == pytest.approx(gain_db, abs=0.1)
    else:
        assert 10 * np.log10(power) < gain_db


@pytest.mark.parametrize("hertz, click_db", [(2, -60), (12, -30), (18, -22), (25, -15)])
@pytest.mark.parametrize("phase", [0.0, 0.8, np.pi / 2, 2.5])
def test_noise_that_begins_or_ends_with_the_recording_leaves_a_soft_click(hertz, phase, click_db):
    peak = np.abs(high_pass(sine(hertz, 1.0, phase), CONFIG)).max()
    assert 20 * np.log10(peak) < click_db


def test_time_stays():
    click = np.zeros(50000, np.float32)
    click[31234] = 1
    found = high_pass(click, CONFIG)
    assert found.argmax() == 31234 and found[31234] == pytest.approx(1, abs=0.01)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 70000), min_size=1, max_size=6))
def test_blocks_put_together_are_the_whole(lengths):
    audio = np.random.default_rng(0).standard_normal(sum(lengths)).astype(np.float32)
    blocks = list(high_pass_blocks(np.split(audio, np.cumsum(lengths)[:-1]), CONFIG))
    whole = high_pass(audio, CONFIG)
    assert whole.dtype == np.float32 and whole.shape == audio.shape
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-5)


def test_silence_stays_silent():
    assert not high_pass(np.zeros(100000, np.float32), CONFIG).any()


def test_a_front_end_that_cuts_nothing_leaves_the_sound_as_it_is():
    audio = sine(5)
    np.testing.assert_array_equal(high_pass(audio, SpectralConfig(rumble=0.0)), audio)


def test_a_soft_note_beneath_rumble_is_seen_as_without_it():
    note, rumble = sine(880, 0.01), sine(12, 0.3) + sine(23, 0.1)
    alone, beneath = (
        audio_to_magnitudes(torch.from_numpy(high_pass(audio, CONFIG)))[5:-5]
        for audio in (note, note + rumble)
    )
    torch.testing.assert_close(beneath, alone, atol=1e-3 * float(alone.max()), rtol=0)
    assert (
        audio_to_magnitudes(torch.from_numpy(note + rumble))[30].argmax() == 0
    )  # which uncut is not


def test_notes_of_a_data_set_are_trimmed_and_tuned_without_rumble(tmp_path):
    import soundfile

    path = tone(tmp_path / "a.wav", "A4", seconds=0.5, level=0.01, silence=1.0)
    audio, rate = soundfile.read(path)
    soundfile.write(
        tmp_path / "b.wav",
        audio + 0.1 * np.sin(2 * np.pi * 15 * np.arange(len(audio)) / rate),
        rate,
    )
    clean, noisy = (
        extract([SourceNote(name, name, Recording(tmp_path / name), "Flute", 69, 2, "x")], CONFIG)
        for name in ("a.wav", "b.wav")
    )
    assert noisy.notes[0].n_frames == pytest.approx(clean.notes[0].n_frames, rel=0.03, abs=1)
    assert noisy.notes[0].cents == pytest.approx(clean.notes[0].cents, abs=1)


def test_a_data_set_says_what_was_cut_from_it_and_is_not_merged_with_others(tmp_path):
    tone(tmp_path / "s" / "flute_A4_1_forte_normal.wav", "A4")
    for rumble in (0, 40):
        code, _, stderr = run(
            tmp_path / "s", "--output", tmp_path / f"{rumble}.npz", "--rumble", rumble
        )
        assert code == 0, stderr
        assert read_data_set(tmp_path / f"{rumble}.npz").config == SpectralConfig(rumble=rumble)
    code, _, stderr = run(tmp_path / "0.npz", "--output", tmp_path / "x.npz")
    assert code == 1 and "other front-end settings" in stderr
    assert run(tmp_path / "0.npz", "--output", tmp_path / "x.npz", "--rumble", 0)[0] == 0


@pytest.mark.parametrize("rumble", [-1.0, 11000.0, math.nan])
def test_a_front_end_that_cuts_everything_is_none(rumble):
    with pytest.raises(ValueError, match="rumble"):
        SpectralConfig(rumble=rumble)
