"""Paths in the latent space: splines between points, and trajectories through the region that the
data occupy.

A model uses few of its latent dimensions, so a random direction of the prior mostly leads away from
every sound. Trajectories are therefore made in coordinates in which the latents of the data are a
standard normal (`Region`). In many dimensions nearly all of that lies near a sphere of radius
sqrt(dimensions); trajectories stay on it or inside. They are reproducible by seed.

Names: `path: (frames, dimensions)` in such coordinates, or `(frames, latent)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy
import torch

from lt.config import TrajectoryConfig
from lt.inference.decoding import decode_magnitudes
from lt.labels import N_CLASSES
from lt.models.runs import Run
from lt.seeds import numpy_rng


@dataclass(frozen=True)
class Region:
    """Where the latents of the data lie.

    Attributes:
        mean: (latent,).
        axes: (dimensions, latent) principal axes, each a standard deviation long.
    """

    mean: np.ndarray
    axes: np.ndarray

    @classmethod
    def around(cls, points: np.ndarray, config: TrajectoryConfig = TrajectoryConfig()) -> Region:
        """The fewest principal axes of points (points, latent) that hold most of their variance."""
        mean = points.mean(axis=0)
        _, lengths, axes = np.linalg.svd(points - mean, full_matrices=False)
        explained = np.cumsum(lengths**2) / max(float((lengths**2).sum()), 1e-30)
        n_dims = min(int(np.searchsorted(explained, config.variance_fraction)) + 1, len(lengths))
        # the sign of a singular vector is arbitrary: its largest entry is made positive
        signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
        return cls(mean, (axes * (signs * lengths / np.sqrt(len(points)))[:, None])[:n_dims])

    def to_latent(self, path: np.ndarray) -> np.ndarray:
        """Path (frames, dimensions) -> (frames, latent)."""
        return self.mean + path @ self.axes


@torch.no_grad()
def occupied_region(run: Run, config: TrajectoryConfig = TrajectoryConfig()) -> Region:
    """The region of latents of symbols that the run recognises in its own sound of them.

    Other symbols, such as octaves that it was not trained on, say nothing about where sounds lie;
    only if hardly any are recognised, all are taken.
    """
    sizes = [N_CLASSES[label] for label in run.space.labels] * len(run.space.instruments)
    rng = numpy_rng(0, "latent", 2)
    drawn = rng.integers(0, sizes, (config.n_symbols, len(sizes)))
    ordered = run.space.in_voice_order(
        drawn.reshape(len(drawn), len(run.space.instruments), len(run.space.labels))
    )
    per_instrument = torch.from_numpy(ordered).to(run.device)
    classes = per_instrument.flatten(1)
    points = run.model.encode_symbol(per_instrument).top.mean
    sounds = run.scaler.apply(decode_magnitudes(run, points))
    predicted = run.model.signal_to_symbol(sounds).probabilities()
    labels = run.space.labels * len(run.space.instruments)
    # dynamics and age are recognised less surely, and do not matter here; of a model without
    # others, the first column is taken
    unsure = ("dynamics", "age")
    columns = [column for column, label in enumerate(labels) if label not in unsure] or [0]
    recognised = torch.stack(
        [predicted[column].argmax(dim=1) == classes[:, column] for column in columns]
    ).all(dim=0)
    if recognised.sum() >= 2 * points.shape[1]:
        points = points[recognised]
    return Region.around(points.cpu().numpy(), config)


def spline_path(points: np.ndarray, n_frames: int, order: int, name: str = "labels") -> np.ndarray:
    """A spline through points.

    Args:
        points: (groups, latent).
        order: 0 holds each point for an equal number of frames, 1 is linear, 2, 3 cubic.
        name: what the error calls the points.
    Returns:
        path: (n_frames, latent).
    Raises:
        ValueError: fewer points than order + 1.
    """
    n_points = len(points)
    if n_points <= order:
        raise ValueError(
            f"a spline of order {order} needs at least {order + 1} {name}, got {n_points}"
        )
    if order == 0:
        return points[np.arange(n_frames) * n_points // n_frames]
    positions = np.linspace(0, n_points - 1, n_frames)
    return scipy.interpolate.make_interp_spline(np.arange(n_points), points, k=order)(positions)


def read_points(path: Path, run: Run) -> np.ndarray:
    """Points (points, latent) float32 from a `.npy` file, such as `lt_play.py audio --latents 1`
    writes. The file is not unpickled, so it cannot execute code.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it has no such array of finite
            numbers for the run's latent dimensions.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file of points at {path}; give an array as np.save writes it")
    try:  # mapped: the shape that a damaged header claims is not allocated
        points = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, OverflowError):
        raise ValueError(f"{path} is no array of numbers; write one with np.save") from None
    if not isinstance(points, np.ndarray) or points.dtype.kind not in "fiu":
        raise ValueError(f"{path} holds no array of real numbers; save one array with np.save")
    width = run.model.dims[-1]
    if points.ndim != 2 or points.shape[1] != width or not len(points):
        raise ValueError(f"{path} has the shape {points.shape}; this model needs (points, {width})")
    with np.errstate(over="ignore"):
        points = np.array(points, np.float32)  # a copy in memory
    if not np.isfinite(points).all():
        raise ValueError(f"{path} holds NaN, infinite or far too large numbers")
    return points


def line(
    n_frames: int,
    n_dims: int,
    seed: int,
    number: int,
    config: TrajectoryConfig = TrajectoryConfig(),
) -> np.ndarray:
    """A straight line through the region from one side to the other, past the origin."""
    along, aside = _directions(2, n_dims, seed, 1, number)
    position = np.linspace(-1, 1, n_frames)[:, None]
    return config.radius * np.sqrt(n_dims) * (np.sqrt(0.75) * position * along + 0.5 * aside)


def circle(
    n_frames: int,
    n_dims: int,
    seed: int,
    number: int,
    config: TrajectoryConfig = TrajectoryConfig(),
) -> np.ndarray:
    """A great circle, closed: the frame after the last would be the first."""
    first, second = _directions(2, n_dims, seed, 2, number)
    angle = 2 * np.pi * np.arange(n_frames)[:, None] / n_frames
    return config.radius * np.sqrt(n_dims) * (np.cos(angle) * first + np.sin(angle) * second)


def helix(
    n_frames: int,
    n_dims: int,
    seed: int,
    number: int,
    config: TrajectoryConfig = TrajectoryConfig(),
) -> np.ndarray:
    """Turns around an axis while moving along it, on a sphere."""
    first, second, axis = _directions(3, n_dims, seed, 3, number)
    angle = 2 * np.pi * config.helix_turns * np.linspace(0, 1, n_frames)[:, None]
    position = np.linspace(-0.8, 0.8, n_frames)[:, None]
    turn = np.cos(angle) * first + np.sin(angle) * second
    return config.radius * np.sqrt(n_dims) * (position * axis + np.sqrt(1 - position**2) * turn)


TRAJECTORIES = {"line": line, "circle": circle, "helix": helix}


def _directions(n_directions: int, n_dims: int, seed: int, *key: int) -> np.ndarray:
    """Random orthonormal directions (n_directions, n_dims), repeated if there are fewer
    dimensions.
    """
    rng = numpy_rng(seed, "latent", *key)
    basis, _ = np.linalg.qr(rng.standard_normal((n_dims, min(n_directions, n_dims))))
    return basis.T[np.arange(n_directions) % basis.shape[1]]
