"""Paths in the latent space: splines between points, and trajectories through the region that the
data occupies.

A model uses few of its latent dimensions, so most of the prior is void: a random direction in it
leads away from every sound. Trajectories are therefore drawn in coordinates in which the data's own
latents are a standard normal (`Region`); of so many dimensions, nearly all of that lies near a
sphere of radius sqrt(dimensions), and they stay on or inside it. Paths are (frames, latent),
reproducible by seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import make_interp_spline

from lt.labels import N_CLASSES
from lt.models.runs import Run
from lt.seeds import numpy_rng

HELIX_TURNS = 4
RADIUS_SHARE = 0.8  # of the typical radius
VARIANCE_SHARE = 0.95  # of the data's variance that a region keeps


@dataclass(frozen=True)
class Region:
    """Where data lie: around `mean` (latent,), along `axes` (dimensions, latent), each a standard
    deviation long.
    """

    mean: np.ndarray
    axes: np.ndarray

    @classmethod
    def around(cls, points: np.ndarray) -> Region:
        """The fewest principal axes of points (points, latent) that hold VARIANCE_SHARE of their
        variance.
        """
        mean = points.mean(axis=0)
        _, lengths, axes = np.linalg.svd(points - mean, full_matrices=False)
        share = np.cumsum(lengths**2) / max(float((lengths**2).sum()), 1e-30)
        n_axes = min(int(np.searchsorted(share, VARIANCE_SHARE)) + 1, len(lengths))
        # the sign of an axis is the library's whim: its largest entry is made positive
        signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
        return cls(mean, (axes * (signs * lengths / np.sqrt(len(points)))[:, None])[:n_axes])

    @property
    def dimensions(self) -> int:
        """Of the coordinates that `to_latent` takes."""
        return len(self.axes)

    def to_latent(self, path: np.ndarray) -> np.ndarray:
        """Coordinates (frames, dimensions), a standard normal where the data lie -> (frames,
        latent).
        """
        return self.mean + path @ self.axes


def spline_path(points: np.ndarray, n_frames: int, order: int) -> np.ndarray:
    """Points (groups, latent) -> a spline (n_frames, latent) of order 0 (hold), 1 (linear), 2 or 3
    through them.

    Raises:
        ValueError: fewer points than the order needs (order + 1).
    """
    n_points = len(points)
    if n_points <= order or not n_points:
        raise ValueError(
            f"a spline of order {order} needs at least {order + 1} labels, got {n_points}"
        )
    at = np.linspace(0, n_points - 1, n_frames)
    if order == 0:  # each point is held for an equal share of the frames
        return points[np.arange(n_frames) * n_points // n_frames]
    return make_interp_spline(np.arange(n_points), points, k=order)(at)


def _directions(n_directions: int, latent: int, seed: int, *where: int) -> np.ndarray:
    """Random orthonormal directions (n_directions, latent); fewer dimensions than directions repeat
    them.
    """
    chosen = numpy_rng(seed, "latent", *where)
    basis, _ = np.linalg.qr(chosen.standard_normal((latent, min(n_directions, latent))))
    return np.stack([basis[:, index % basis.shape[1]] for index in range(n_directions)])


def line(n_frames: int, latent: int, seed: int, number: int) -> np.ndarray:
    """A straight line through the region from one side to the other, past the origin."""
    along, aside = _directions(2, latent, seed, 1, number)
    radius = RADIUS_SHARE * np.sqrt(latent)
    reach = np.linspace(-1, 1, n_frames)[:, None]
    return radius * (np.sqrt(0.75) * reach * along + 0.5 * aside)


def circle(n_frames: int, latent: int, seed: int, number: int) -> np.ndarray:
    """A great circle, closed: the frame after the last would be the first."""
    first, second = _directions(2, latent, seed, 2, number)
    angle = 2 * np.pi * np.arange(n_frames)[:, None] / n_frames
    return RADIUS_SHARE * np.sqrt(latent) * (np.cos(angle) * first + np.sin(angle) * second)


def helix(n_frames: int, latent: int, seed: int, number: int) -> np.ndarray:
    """Turns around an axis while moving along it, on the region's sphere."""
    first, second, axis = _directions(3, latent, seed, 3, number)
    angle = 2 * np.pi * HELIX_TURNS * np.linspace(0, 1, n_frames)[:, None]
    reach = np.linspace(-0.8, 0.8, n_frames)[:, None]
    turning = np.cos(angle) * first + np.sin(angle) * second
    return RADIUS_SHARE * np.sqrt(latent) * (reach * axis + np.sqrt(1 - reach**2) * turning)


TRAJECTORIES = {"line": line, "circle": circle, "helix": helix}


REGION_CLASSES = 2000  # drawn to see where the latents of sounds lie


@torch.no_grad()
def occupied_region(run: Run) -> Region:
    """Where the latents of sounds lie: around those of the symbols that the run, playing them,
    hears as such.

    Other symbols (octaves that it never learnt) say nothing; where it hears hardly any right, all
    are taken.
    """
    chosen, space = numpy_rng(0, "latent", 2), run.space
    sizes = [N_CLASSES[label] for label in space.labels] * len(space.instruments)
    drawn = torch.from_numpy(chosen.integers(0, sizes, (REGION_CLASSES, len(sizes)))).to(run.device)
    points = run.model.encode_symbol(
        drawn.view(REGION_CLASSES, len(space.instruments), -1)
    ).top.mean
    heard = run.model.signal_to_symbol(run.model.signal.decode(points).mean).probabilities()
    notes = [
        column
        for column in range(len(sizes))
        if space.labels[column % len(space.labels)] != "dynamics"
    ]
    right = torch.stack(
        [heard[column].argmax(dim=1) == drawn[:, column] for column in notes or [0]]
    ).all(dim=0)
    points = points.cpu().numpy()
    known = right.cpu().numpy()
    return Region.around(points[known] if known.sum() >= 2 * points.shape[1] else points)
