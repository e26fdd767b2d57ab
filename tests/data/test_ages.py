"""Times of the classes of age, from the frames of a data set."""

from dataclasses import replace

import numpy as np
import pytest
from training_helpers import tiny_notes, write_ageing_set

from lt.config import SpectralConfig
from lt.data.ages import age_times
from lt.data.dataset import read_data_set, write_data_set
from lt.labels import ONSET_AGES, RELEASE_AGES, age_class

FINE = SpectralConfig(hop=44, subframes=4)


def test_mean_ages_reach_as_far_as_the_notes(tmp_path):
    data = read_data_set(write_ageing_set(tmp_path / "x.npz"))
    step, all_notes = data.config.frame_seconds, np.arange(6)
    times = age_times(data, all_notes)
    n_held = age_class(np.array([13.5 * step - 0.004]))[0] + 1
    assert len(times.held) == n_held and times.held[0] == pytest.approx(
        0.5 * step - 0.004, abs=1e-3
    )
    assert times.note_off == pytest.approx(14 * step - 0.004, abs=1e-3)
    assert (age_class(np.array(times.held)) == np.arange(n_held)).all()
    assert len(times.released) == len(RELEASE_AGES), "silent after they died away"
    released = age_class(np.zeros(len(times.released)), np.array(times.released))
    np.testing.assert_array_equal(released, len(ONSET_AGES) + np.arange(len(RELEASE_AGES)))
    notes = replace(data.notes, release=np.full(6, np.inf))
    never_released = age_times(replace(data, notes=notes), all_notes)
    assert never_released.released == () and len(never_released.held) == len(ONSET_AGES)
    some = replace(data.notes, release=np.where(all_notes < 2, data.notes.release, np.inf))
    assert age_times(replace(data, notes=some), all_notes).released == ()


def test_mean_ages_of_notes_of_one_frame(tmp_path):
    n_notes = 60
    magnitudes = np.ones((n_notes, 4, 410), np.float32)
    path = tmp_path / "x.npz"
    write_data_set(path, [magnitudes], np.arange(n_notes + 1), tiny_notes(), FINE, {})
    times = age_times(read_data_set(path), np.arange(n_notes))
    assert len(times.held) == 1 and times.released == ()


@pytest.mark.parametrize("frames", [(), (5,), (4, 12), (10, 25)])
def test_times_are_those_of_consecutive_classes_in_the_range(tmp_path, frames):
    data = read_data_set(write_ageing_set(tmp_path / "x.npz"))
    times = age_times(data, np.arange(6), frames)
    used = data.frames_in_range(np.arange(6), frames)
    expected = np.unique(data.age[used])
    assert set(expected) <= set(times.classes.tolist())
    assert (np.diff(age_class(np.array(times.held))) == 1).all()
    assert age_class(np.array(times.held))[0] == expected.min()


def test_a_range_without_held_frames_is_refused(tmp_path):
    data = read_data_set(write_ageing_set(tmp_path / "x.npz"))
    with pytest.raises(ValueError, match="between the onset and the end"):
        age_times(data, np.arange(6), (16, 20))
