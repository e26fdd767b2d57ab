"""Randomness without state: each random number generator is made from (seed, stream, key).

`stream` says what is sampled ("noise", "order", ...), `key` where (epoch, step, ...). Resuming
needs no saved state: epoch 7, step 12 samples the same numbers whether or not epochs 1-6 ran in
this process, and each worker of a data-parallel run can sample the numbers of the global batch.
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
    "notes",
    "played",
    "combinations",
    "chords",
)  # the position is part of the seed: append only


def seed_of(seed: int, stream: str, *key: int) -> int:
    """A 63-bit seed for one stream at one key."""
    entropy = (seed, STREAMS.index(stream), *key)
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)


def torch_rng(
    seed: int, stream: str, *key: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A torch generator for one stream at one key."""
    return torch.Generator(device=device).manual_seed(seed_of(seed, stream, *key))


def numpy_rng(seed: int, stream: str, *key: int) -> np.random.Generator:
    """A NumPy generator for one stream at one key."""
    return np.random.default_rng(seed_of(seed, stream, *key))
