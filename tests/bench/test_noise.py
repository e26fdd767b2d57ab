"""The kinds of noise of bench/noise.py, and how it counts."""

import numpy as np
import pytest

from bench import noise
from lt.midi import Note

RATE = noise.SAMPLE_RATE


@pytest.mark.parametrize("kind", noise.KINDS)
def test_noise_has_the_level_that_was_asked_for_and_repeats(kind):
    first, again = (noise.make_noise(kind, 2 * RATE, 0.01) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(first) == 2 * RATE and np.isfinite(first).all()
    assert np.sqrt(np.square(first).mean()) == pytest.approx(0.01, rel=1e-3)
    assert not np.array_equal(first, noise.make_noise(kind, 2 * RATE, 0.01, seed=1))


def test_false_alarms_are_counted_in_rests_after_the_release():
    played = [Note(1.0, 2.0, 60, 64)]
    assert noise.false_alarms(played, played, 4.0) == 0
    assert noise.false_alarms(played, [Note(1.0, 2.2, 60, 64)], 4.0) == 0
    assert noise.false_alarms(played, [Note(0.0, 4.0, 60, 64)], 4.0) == 1
    assert noise.false_alarms([], [Note(0.0, 2.0, 60, 64)], 4.0) == pytest.approx(0.5, abs=0.01)
