"""Trimming: silence is cut but for a little, noise entirely, and what is no note has a reason."""

from dataclasses import fields

import numpy as np
import pytest

from lt.audio.trim import end_of_release, find_note, next_attack
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


def trim(audio, rate):
    """The note with the silence that is kept, and the reason if there is none."""
    span, reason = find_note(audio, rate)
    return audio[span.begin : span.end], reason


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


# --- onsets and releases --------------------------------------------------------------------------


@pytest.mark.parametrize("noise_db", [None, -70, -45])
@pytest.mark.parametrize("before", [0.0, 0.05, 0.7])
def test_the_onset_is_found_within_a_block(before, noise_db):
    span, reason = find_note(note(0.5, before, 0.5, noise_db), RATE)
    assert not reason and span.onset == pytest.approx(before * RATE, abs=CONFIG.block)


def test_breath_is_before_the_onset():
    tone, breath = note(0.5), 0.01 * np.random.default_rng(0).standard_normal(RATE // 5)
    span, _ = find_note(
        np.concatenate([np.zeros(RATE // 2), breath, tone]).astype(np.float32), RATE
    )
    assert span.onset == pytest.approx(0.7 * RATE, abs=CONFIG.block)
    assert span.begin == pytest.approx((0.5 - CONFIG.pad_seconds) * RATE, abs=CONFIG.block)


def test_a_slow_rise_begins_with_the_sound():
    span, _ = find_note(np.concatenate([np.zeros(RATE // 2), decaying(2.0, 25.0)[::-1]]), RATE)
    assert span.onset == pytest.approx(0.5 * RATE, abs=0.02 * RATE)


def decaying(seconds, fall_db):
    """A tone that falls by so many decibels a second."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * 440 * time) * 10 ** (-fall_db * time / 20)).astype(np.float32)


def test_a_release_ends_where_it_is_silent():
    held, release = note(1.0), decaying(2.0, 100.0)
    end = end_of_release(np.concatenate([held, release]), len(held), RATE)
    assert end / RATE == pytest.approx(1.0 + 0.6 + CONFIG.pad_seconds, abs=0.02)
    slow = np.concatenate([held, decaying(2.0, 10.0)])
    assert end_of_release(slow, len(held), RATE) == len(slow)
    assert end_of_release(decaying(2.0, 100.0), RATE, RATE) / RATE == pytest.approx(1.15, abs=0.02)


def test_a_release_is_not_louder_than_its_note():
    parts = [note(1.0), decaying(0.5, 100.0), note(0.5)]
    audio, note_off = np.concatenate(parts), len(parts[0])
    assert next_attack(audio, note_off, RATE) / RATE == pytest.approx(1.5, abs=0.02)
    audio = audio[: note_off + len(parts[1])]
    assert next_attack(audio, note_off, RATE) == len(audio)
    assert next_attack(audio, len(audio), RATE) == len(audio)
    assert next_attack(audio, 0, RATE) == len(audio)
