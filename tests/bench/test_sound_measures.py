"""Measures of sounds (bench/sound_measures.py): each gives what its signal was made with."""

import numpy as np
import pytest

from bench import sound_measures as sm
from bench.sound_measures import RATE

HELD = 1.5


def seconds(duration):
    return np.arange(round(duration * RATE)) / RATE


def tone(frequency=440.0, duration=HELD, amplitude=0.3):
    return amplitude * np.sin(2 * np.pi * frequency * seconds(duration))


def noise(duration=HELD, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(round(duration * RATE))


def decaying(db_per_second, duration=HELD):
    return tone(duration=duration) * 10 ** (db_per_second * seconds(duration) / 20)


def test_a_sound_begins_and_ends_within_40_db_of_its_peak():
    quiet = 10 ** (-50 / 20) * tone(duration=0.5)
    span = sm.sounding_span(np.concatenate([quiet, tone(), 0.02 * tone(duration=0.5), quiet]))
    assert span.start / RATE == pytest.approx(0.5, abs=0.006)
    assert span.stop / RATE == pytest.approx(1.0 + HELD, abs=0.006)
    assert sm.sounding_span(np.zeros(0)) == slice(0, 0)


# --- the course of a note -------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [-11.0, 0.0, 4.0])
def test_slope_is_that_of_the_decay(rate):
    assert sm.slope_db_per_second(decaying(rate), HELD) == pytest.approx(rate, abs=0.05)


def test_peak_minus_end_is_what_a_note_loses():
    fall = 10 * (HELD - 0.025 - 0.005)  # from the middle of the first 10 ms to that of the last 50
    assert sm.peak_minus_end_db(decaying(-10), HELD) == pytest.approx(fall, abs=0.1)


def test_flutter_is_the_depth_of_a_slow_modulation_whatever_the_slope():
    swing = 10 ** (3 * np.cos(2 * np.pi * 2.5 * (seconds(HELD) - 0.8)) / 20)  # 6 dB peak to peak
    assert sm.flutter_db(tone() * swing, HELD) == pytest.approx(6, abs=0.2)
    assert sm.flutter_db(decaying(-11) * swing, HELD) == pytest.approx(6, abs=0.2)
    assert sm.flutter_db(decaying(-11), HELD) < 0.1


@pytest.mark.parametrize("rise", [0.0, 0.03, 0.2])
def test_attack_ends_where_half_the_power_is_reached(rise):
    ramp = np.minimum(seconds(HELD) / max(rise, 1e-9), 1)
    found = sm.attack_seconds(tone(2000) * ramp)
    assert found == pytest.approx(rise * np.sqrt(0.5), abs=0.003)


@pytest.mark.parametrize("release", [0.05, 0.3])
def test_release_is_the_time_to_minus_40_db(release):
    after = seconds(release + 0.5)
    sound = np.concatenate([tone(), tone(440, release + 0.5) * 10 ** (-40 * after / release / 20)])
    assert sm.release_seconds(sound, HELD) == pytest.approx(release, abs=0.006)


def test_a_release_that_is_cut_off_has_no_end():
    assert sm.release_seconds(np.concatenate([tone(), tone(duration=0.2)]), HELD) == np.inf
    assert sm.release_seconds(np.concatenate([tone(), np.zeros(RATE)]), HELD) < 0.006


def test_what_a_short_note_cannot_show_is_nan():
    assert np.isnan(sm.slope_db_per_second(tone(duration=0.8), 0.8))
    assert np.isnan(sm.flutter_db(tone(duration=0.8), 0.8))
    assert np.isnan(sm.peak_minus_end_db(tone(duration=0.1), 0.1))


# --- level and colour -----------------------------------------------------------------------------


def test_levels_are_those_of_sines():
    assert sm.level_db(tone(amplitude=1.0)) == pytest.approx(-3.01, abs=0.01)
    assert sm.loudest_db(np.concatenate([tone(amplitude=0.1), tone(amplitude=1.0)])) == (
        pytest.approx(-3.01, abs=0.1)
    )
    assert sm.peak_dbfs(tone(amplitude=0.5)) == pytest.approx(-6.02, abs=0.01)


def test_colour_of_two_partials():
    both = tone(1000, amplitude=0.3) + tone(6000, amplitude=0.1)
    assert sm.centroid_hz(both) == pytest.approx((3 * 1000 + 6000) / 4, rel=0.02)
    assert sm.high_energy_db(both) == pytest.approx(10 * np.log10(0.01 / 0.10), abs=0.1)


# --- distances ------------------------------------------------------------------------------------

DISTANCES = [sm.log_spectral_distance_db, sm.multi_scale_distance, sm.envelope_distance_db]


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_sound_is_at_no_distance_from_itself_at_any_level(distance):
    sound = noise() * 10 ** (-8 * seconds(HELD) / 20)
    assert distance(sound, sound) == 0
    assert distance(sound, 0.1 * sound) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_distance_grows_with_what_is_added(distance):
    sound = noise()
    burst = np.where(seconds(HELD) < 0.5, noise(seed=1), 0)
    near, far = (distance(sound, sound + share * burst) for share in (0.3, 3.0))
    assert 0 < near < far


def test_log_spectral_distance_of_a_filter_is_its_gain():
    """White noise, its spectrum above 5.5 kHz 6 dB higher, levels matched: half of the bins differ
    by g, half by g - 6 dB.
    """
    spectrum = np.fft.rfft(noise())
    lifted = np.fft.irfft(spectrum * np.where(np.arange(len(spectrum)) > len(spectrum) / 2, 2, 1))
    sound = noise()[: len(lifted)]
    gain = 10 * np.log10(2.5)  # that matching takes away
    expected = np.sqrt((gain**2 + (20 * np.log10(2) - gain) ** 2) / 2)
    assert sm.log_spectral_distance_db(sound, lifted) == pytest.approx(expected, rel=0.05)


def test_envelope_distance_of_two_decays():
    """A straight line of 12 dB a second over 1.5 s has the standard deviation 18 / sqrt(12)."""
    found = sm.envelope_distance_db(tone(2000), tone(2000) * 10 ** (-12 * seconds(HELD) / 20))
    assert found == pytest.approx(18 / np.sqrt(12), rel=0.02)


def test_envelopes_are_floored_40_db_below_their_peak():
    rest = np.concatenate([tone(), 1e-3 * tone()])  # 60 dB below
    deeper = np.concatenate([tone(), 1e-5 * tone()])
    assert sm.envelope_distance_db(rest, deeper) == pytest.approx(0, abs=1e-3)


# --- pitch, joins, rests --------------------------------------------------------------------------


@pytest.mark.parametrize("number", [28, 45, 69, 90])
def test_pitch_of_a_tone(number):
    frequency = 440 * 2 ** ((number - 69) / 12)
    sound = sum(tone(frequency * k, 0.7) / k for k in (1, 2, 3))
    assert sm.is_in_tune(sound, number)
    assert not sm.is_in_tune(sound, number + 1)


def test_a_click_is_found_where_it_is():
    joined = np.concatenate([tone(), tone(amplitude=0.2) + 0.2])
    assert sm.clicks(joined, np.array([len(tone())])) == 1
    assert sm.clicks(tone(duration=3), np.array([len(tone())])) == 0


def test_contrast_is_the_level_of_rests():
    sound = np.concatenate([tone(duration=1), 0.1 * tone(duration=1)])
    assert sm.contrast_db(sound, np.array([[0.0, 1.0]])) == pytest.approx(20, abs=0.1)
    assert sm.contrast_db(np.concatenate([tone(), np.zeros(RATE)]), np.array([[0.0, HELD]])) == (
        pytest.approx(60, abs=0.2)
    )
    assert np.isnan(sm.contrast_db(tone(), np.array([[0.0, HELD]])))
