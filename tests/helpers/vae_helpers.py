"""Helpers of the tests of the networks: a small model, and inputs for it."""

import torch

from lt.labels import LabelSpace
from lt.models.vae import CrossModalVAE, VAESize, sample_noise

SPACE = LabelSpace(("octave", "pitch"), ("Flute", "Violin"))
BATCH, FEATURES = 7, 20


def model(dims=(4,), label_type="categorical", space=SPACE, seed=0, subframes=1):
    torch.manual_seed(seed)
    return CrossModalVAE(
        FEATURES,
        space,
        label_type,
        VAESize(dims, (16,), (2,)),
        VAESize(dims, (12,), (1,)),
        n_decoded=subframes * FEATURES,
    )


def inputs(seed=1, n=BATCH, dims=(4,)):
    rng = torch.Generator().manual_seed(seed)
    classes = torch.stack(
        [torch.randint(0, size, (n,), generator=rng) for size in SPACE.group_sizes], 1
    )
    noise = [sample_noise(dims, n, rng) for _ in range(2)]
    return torch.randn(n, FEATURES, generator=rng), classes.view(n, 2, 2), *noise
