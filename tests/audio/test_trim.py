"""Trimming: silence is cut but for a little, noise entirely, and what is no note has a reason."""

from dataclasses import fields

import numpy as np
import pytest

from lt.audio.trim import trim
from lt.config import SpectralConfig, TrimConfig

RATE, CONFIG = SpectralConfig.sample_rate, TrimConfig()


def note(seconds, before=0.0, after=0.0, noise_db=None):
    """A tone with silence around it, and noise at a level relative to its amplitude."""
    lengths = [round(part * RATE) for part in (before, seconds, after)]
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(lengths[1]) / RATE)
    audio = np.concatenate([np.zeros(lengths[0]), tone, np.zeros(lengths[2])])
    if noise_db is not None:
        noise = np.random.default_rng(0).standard_normal(len(audio))
        audio += 0.5 * 10 ** (noise_db / 20) * noise
    return audio.astype(np.float32)


def test_a_little_silence_stays_on_either_side():
    trimmed, reason = trim(note(0.5, 1.0, 2.0), RATE)
    assert not reason
    assert len(trimmed) / RATE == pytest.approx(0.5 + 2 * CONFIG.pad_seconds, abs=0.013)


def test_no_noise_stays():
    trimmed, reason = trim(note(0.5, 1.0, 2.0, noise_db=-45), RATE)
    assert not reason and len(trimmed) / RATE == pytest.approx(0.5, abs=0.013)


def test_a_note_without_silence_stays_whole():
    audio = note(0.5)
    assert len(trim(audio, RATE)[0]) == len(audio)


@pytest.mark.parametrize(
    "audio, reason",
    [
        (np.zeros(0, np.float32), "silent"),
        (np.zeros(RATE, np.float32), "silent"),
        (np.full(RATE, 0.5, np.float32), "silent"),
        (note(0.05, 0.5, 0.5), "shorter than 0.1 s"),
    ],
)
def test_no_note(audio, reason):
    assert trim(audio, RATE)[1] == reason


def test_every_constant_has_a_unit_and_an_origin():
    for field in fields(TrimConfig):
        assert field.metadata["unit"] and field.metadata["origin"], field.name
