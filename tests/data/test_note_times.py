"""Estimated times of notes: what is let go is released, what decays or is cut off is not."""

import numpy as np
import pytest

from lt.data.note_times import estimate_onset, estimate_release

SILENT_DB = -60.0


def peaks(*parts, flutter_db=0.0, before=0, after=0):
    """Peaks of frames: level lines (frames, first dB, last dB), one after another, with noise of
    the level, between frames of digital silence.
    """
    levels = np.concatenate([np.linspace(first, last, n) for n, first, last in parts])
    levels = levels + flutter_db * np.random.default_rng(0).standard_normal(len(levels))
    return np.pad(0.3 * 10 ** (levels / 20), (before, after)).astype(np.float32)


def release_of(envelope, onset=0):
    return estimate_release(envelope, onset, 0.032, SILENT_DB)


HELD = (30, 0, -1)
ATTACK = (3, -30, 0)


@pytest.mark.parametrize("flutter_db", [0.0, 1.0])
@pytest.mark.parametrize("after", [0, 5])
@pytest.mark.parametrize(
    "parts, expected",
    [
        ([HELD, (10, -4, -50)], 30),
        ([ATTACK, HELD, (10, -4, -50)], 33),
        ([ATTACK, HELD, (6, -6, -36), (20, -37, -57)], 33),  # the tail of a room
        ([ATTACK, (40, 0, -20), (6, -26, -58)], 43),  # a piano note that is damped
        ([(30, -15, 0), (8, -6, -50)], 30),  # louder until it is let go
    ],
    ids=["held", "attack", "room", "damped", "crescendo"],
)
def test_a_note_that_is_let_go_is_released(parts, expected, after, flutter_db):
    envelope = peaks(*parts, flutter_db=flutter_db, after=after)
    assert release_of(envelope) == pytest.approx(expected, abs=1.5)


@pytest.mark.parametrize("flutter_db", [0.0, 1.0])
@pytest.mark.parametrize(
    "parts",
    [
        [HELD],
        [ATTACK, HELD],
        [(60, 0, -60)],
        [ATTACK, (60, 0, -55)],
        [ATTACK, (10, 0, -20), (60, -20, -55)],
        [(12, -2, 0), (47, 0, -15)],
        [(20, 0, -5), (40, -5, -25)],
        [(60, -60, 0)],
        [(60, -60, 0), (1, -50, -50)],
        [(1, 0, 0)],
        [(2, 0, -20)],
    ],
    ids=(
        "held attack decay struck double swelling beating reversed reversed-cut 1-frame 2-frames"
    ).split(),
)
def test_a_note_that_decays_or_is_cut_off_is_not_released(parts, flutter_db):
    assert release_of(peaks(*parts, flutter_db=flutter_db)) == np.inf


def test_a_release_within_one_frame_is_found():
    assert release_of(peaks(HELD, after=5)) == pytest.approx(30, abs=1)
    assert release_of(peaks(HELD, (1, -20, -20), after=5)) == pytest.approx(30, abs=1)


def test_silence_has_no_times():
    assert release_of(np.zeros(20, np.float32)) == np.inf
    assert release_of(np.zeros(0, np.float32)) == np.inf
    assert estimate_onset(np.zeros(20, bool)) == 0


def test_times_count_from_the_first_frame_whatever_comes_before_the_note():
    envelope = peaks(HELD, (10, -4, -50), before=7, after=3)
    assert estimate_onset(envelope > 0.003) == 7
    assert release_of(envelope, 7) == pytest.approx(37, abs=1)


@pytest.mark.parametrize("scale", [1e-6, 1e3])
def test_levels_count_relative_to_the_loudest(scale):
    envelope = peaks(HELD, (10, -4, -50))
    assert release_of(scale * envelope) == pytest.approx(release_of(envelope))


@pytest.mark.parametrize("n_frames", range(1, 12))
def test_short_envelopes_have_no_time_for_four_lines(n_frames):
    assert release_of(peaks((n_frames, 0, -3), flutter_db=0.1)) == np.inf


def test_long_envelopes_are_averaged():
    envelope = peaks((1500, 0, -1), (50, -1, -55), after=5)
    assert release_of(envelope) == pytest.approx(1500, abs=8)
