"""Paths in the latent space pass where they should, close where they should, and repeat by seed."""

import numpy as np
import pytest

from lt.inference.latent_paths import TRAJECTORIES, spline_path

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
