"""Paths in the latent space pass where they should, close where they should, and repeat by seed."""

import numpy as np
import pytest
import torch
from playing_helpers import organ

from lt.config import TrajectoryConfig
from lt.inference.latent_paths import (
    TRAJECTORIES,
    Region,
    occupied_region,
    spline_path,
)
from lt.seeds import numpy_rng

POINTS = np.random.default_rng(0).standard_normal((4, 8))


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_a_spline_begins_and_ends_at_its_points(order):
    path = spline_path(POINTS, 100, order)
    assert path.shape == (100, 8)
    np.testing.assert_allclose(path[0], POINTS[0], atol=1e-12)
    np.testing.assert_allclose(path[-1], POINTS[-1], atol=1e-12)


def test_holding_steps_and_a_line_goes_straight():
    held = spline_path(POINTS, 100, 0)
    assert len(np.unique(held[:, 0])) == 4
    straight = spline_path(POINTS[:2], 11, 1)
    np.testing.assert_allclose(np.diff(straight, 2, axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("order, count", [(1, 1), (2, 2), (3, 3), (0, 0)])
def test_an_order_beyond_the_points_is_an_error(order, count):
    with pytest.raises(ValueError, match="needs at least"):
        spline_path(POINTS[:count], 10, order)


@pytest.mark.parametrize("kind", TRAJECTORIES)
@pytest.mark.parametrize("latent", [1, 2, 32])
def test_trajectories_stay_inside_the_region_and_repeat_by_seed(kind, latent):
    path = TRAJECTORIES[kind](50, latent, 0, 0)
    assert path.shape == (50, latent)
    assert np.linalg.norm(path, axis=1).max() <= 1.5 * np.sqrt(latent)
    np.testing.assert_array_equal(path, TRAJECTORIES[kind](50, latent, 0, 0))
    if latent > 1:  # in one dimension there is one direction
        assert not np.allclose(path, TRAJECTORIES[kind](50, latent, 0, 1))
        assert not np.allclose(path, TRAJECTORIES[kind](50, latent, 1, 0))


def test_a_circle_closes():
    path = TRAJECTORIES["circle"](64, 32, 0, 0)
    steps = np.linalg.norm(np.diff(path, axis=0, append=path[:1]), axis=1)
    np.testing.assert_allclose(steps, steps[0])
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), np.linalg.norm(path[0]))


# --- the region that the data occupy --------------------------------------------------------------


def test_a_region_is_where_its_points_are():
    rng = np.random.default_rng(0)
    axes = np.array([[3, 0, 0, 0], [0, 0.5, 0.5, 0]])
    points = rng.standard_normal((4000, 2)) @ axes + [1, 2, 3, 4]
    region = Region.around(points)
    np.testing.assert_allclose(region.mean, [1, 2, 3, 4], atol=0.2)
    assert len(region.axes) in (1, 2)
    np.testing.assert_allclose(np.linalg.norm(region.axes[0]), 3, rtol=0.1)
    outside = region.to_latent(rng.standard_normal((100, len(region.axes))))[:, 3]
    np.testing.assert_allclose(outside, 4, atol=1e-6)


def test_a_region_of_equal_points_is_a_point():
    region = Region.around(np.ones((10, 3)))
    np.testing.assert_allclose(region.to_latent(np.ones((2, len(region.axes)))), 1, atol=1e-6)


@pytest.mark.parametrize("kind", TRAJECTORIES)
def test_trajectories_sound_like_notes_that_the_model_has(kind):
    model = organ()
    model.model.signal_to_symbol = lambda features: KnownNotes()
    region = occupied_region(model)
    path = region.to_latent(TRAJECTORIES[kind](100, len(region.axes), 0, 0))
    octaves = path[:, 0]
    assert 2.0 < octaves.min() and octaves.max() < 7.0


class KnownNotes:
    """Predictions that are right for octaves 4 and 5 alone."""

    def probabilities(self):
        rng = numpy_rng(0, "latent", 2)
        classes = torch.from_numpy(rng.integers(0, (9, 12, 5), (TrajectoryConfig().n_symbols, 3)))
        known = (classes[:, 0] >= 4) & (classes[:, 0] <= 5)
        wrong = (classes + 1) % torch.tensor((9, 12, 5))
        predicted = torch.where(known[:, None], classes, wrong)
        return tuple(
            torch.nn.functional.one_hot(predicted[:, column], size + 1).float()
            for column, size in enumerate((9, 12, 5))
        )
