"""The deviation of a note from its label, in cents; noise has none."""

import numpy as np
import pytest

from lt.audio.pitch import detuning_cents

RATE = 22050


def tone(note_number, cents=0.0, weights=(1, 0.5, 0.3), seconds=0.7):
    times = np.arange(round(seconds * RATE)) / RATE
    hertz = 440 * 2 ** ((note_number - 69 + cents / 100) / 12)
    return sum(w * np.sin(2 * np.pi * hertz * (k + 1) * times) for k, w in enumerate(weights))


@pytest.mark.parametrize("note_number", [33, 60, 84, 101])
@pytest.mark.parametrize("cents", [-130, -20, 0, 7, 49])
def test_the_deviation_is_measured(note_number, cents):
    assert detuning_cents(tone(note_number, cents), RATE, note_number) == pytest.approx(
        cents, abs=1
    )


def test_an_octave_too_low_is_told_from_weak_odd_partials():
    assert detuning_cents(tone(60), RATE, 72) == pytest.approx(-1200, abs=1)
    weak_odd = tone(60, weights=(0.2, 1, 0.2, 0.5))
    assert detuning_cents(weak_odd, RATE, 60) == pytest.approx(0, abs=1)


def test_noise_silence_and_clicks_have_no_pitch():
    noise = np.random.default_rng(0).standard_normal(RATE)
    for audio in (noise, np.zeros(RATE), np.ones(3), np.zeros(0)):
        assert np.isnan(detuning_cents(audio, RATE, 69))
