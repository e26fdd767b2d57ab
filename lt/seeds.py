"""Randomness without state: every draw comes from a generator named by (seed, what, where).

Nothing has to be saved to resume: epoch 7, step 12 draws the same numbers whether or not epochs 1-6
ran in this process, and every worker of a data-parallel run can draw the global batch's numbers by
itself.
"""

from __future__ import annotations

import numpy as np
import torch

STREAMS = (
    "init",
    "split",
    "order",
    "mixture",
    "noise",
    "valid",
    "phase",
    "latent",
    "scaler",
    "augment",
    "analysis",
    "baseline",
    "recording",
)


def seed_of(seed: int, stream: str, *where: int) -> int:
    """A 63-bit seed for one stream of draws at one place (epoch, step, ...)."""
    entropy = (seed, STREAMS.index(stream), *where)
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)


def generator(
    seed: int, stream: str, *where: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A torch generator for one stream of draws at one place."""
    return torch.Generator(device=device).manual_seed(seed_of(seed, stream, *where))


def numpy_generator(seed: int, stream: str, *where: int) -> np.random.Generator:
    """A NumPy generator for one stream of draws at one place."""
    return np.random.default_rng(seed_of(seed, stream, *where))
