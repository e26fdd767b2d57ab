"""Latents to magnitudes and class probabilities by the decoders of a run, and recordings through
the signal VAE.

Latent noise: notes of a piece share one sample of a fraction of the posterior's spread, around
which each note has a small deviation of its own, so that their levels compare.

Names: `z: (frames, latent)` of the top layer, `magnitudes: (frames, bins)` of model frames or
`(frames, subframes, bins)`, `features: (frames, features)` of the decoder.
"""

from __future__ import annotations

import numpy as np
import scipy
import torch
from torch import Tensor

from lt.audio.tuning import tune
from lt.config import SynthesisConfig
from lt.models.runs import Run
from lt.seeds import numpy_rng
from lt.threads import side_by_side

SILENT = 1e-9  # no level is below it
BLOCK_FRAMES = 1024  # decoded at once, by one thread


def slow_noise(
    run: Run, n_frames: int, config: SynthesisConfig, index: int = 0
) -> tuple[Tensor, ...] | None:
    """Latent noise of the `index`-th note of a piece: (n_frames, latent) per layer, of standard
    deviation `spread` at every frame. Most of it is constant over the piece, the rest a slow drift
    of the note's own. None, for posterior means, where `config.sample` is false.
    """
    if not config.sample:
        return None
    sigma = config.drift_seconds * run.front_end.frame_rate / 2
    padding = int(4 * sigma)
    noise = []
    for layer, dim in enumerate(run.model.dims):
        constant = numpy_rng(config.seed, "latent", 0, layer).standard_normal((1, dim))
        rng = numpy_rng(config.seed, "latent", 1, layer, index)
        drift = rng.standard_normal((n_frames + 2 * padding, dim))
        drift = scipy.ndimage.gaussian_filter1d(drift, sigma, axis=0)[padding : padding + n_frames]
        drift = drift * np.sqrt(2 * sigma * np.sqrt(np.pi))  # back to unit variance
        fraction = config.drift_fraction
        sample = config.spread * (np.sqrt(1 - fraction) * constant + np.sqrt(fraction) * drift)
        noise.append(torch.from_numpy(sample).float().to(run.device))
    return tuple(noise)


def features_to_magnitudes(run: Run, features: Tensor) -> Tensor:
    """Decoded features (frames, features) -> magnitudes (frames, subframes, bins), expanded
    downwards from the lowest level f that features resolve: m^3 / (m^2 + f^2). Hundreds of bins
    that a mean leaves a little above their floor would sum to an audible hiss; partials stay as
    they are.
    """
    scaler = run.decoder_scaler
    magnitudes = scaler.invert_to_subframes(features)
    top = magnitudes.amax(dim=-1, keepdim=True) if scaler.kind == "relative" else scaler.reference
    lowest = top * 10 ** (-scaler.range_db / 20)
    return magnitudes**3 / (magnitudes**2 + lowest**2 + torch.finfo(magnitudes.dtype).tiny)


@torch.no_grad()
def decode_subframes(run: Run, z: Tensor, classes: Tensor | None = None) -> Tensor:
    """Top latents (frames, latent) -> magnitudes (frames, subframes, bins), the mean of the signal
    decoder; `classes: (frames, instruments, labels)` where the notes are known.
    """
    return features_to_magnitudes(run, run.model.decode_signal(z.to(run.device), classes).mean)


def decode_magnitudes(run: Run, z: Tensor) -> Tensor:
    """Top latents (frames, latent) -> magnitudes (frames, bins) of model frames."""
    return decode_subframes(run, z).mean(dim=1)


@torch.no_grad()
def decode_probabilities(run: Run, z: Tensor) -> tuple[np.ndarray, ...]:
    """Top latents (frames, latent) -> the symbol decoder's probabilities (frames, classes) per
    group.
    """
    groups = run.model.symbol.decode(z.to(run.device)).probabilities()
    return tuple(group.cpu().numpy() for group in groups)


def matching_gain(run: Run, magnitudes: Tensor) -> float:
    """The gain that brings the loudest of magnitudes (frames, bins) to that of the data set."""
    return run.scaler.reference / max(float(magnitudes.max()), SILENT)


@torch.no_grad()
def reconstruct_magnitudes(
    run: Run, magnitudes: Tensor, tuning: float = 0.0, config: SynthesisConfig | None = None
) -> Tensor:
    """Magnitudes through the signal VAE: encoded and decoded, at the level of the data set's
    loudest frame in between.

    Args:
        magnitudes: (frames, bins) of a sound of any length.
        tuning: semitones above A = 440 Hz; the encoder's input is moved down by them, the result up
            again.
        config: with `sample`, latents have slow noise; None: posterior means.
    Returns:
        magnitudes: (frames, subframes, bins), on the same device.
    """
    config = config or SynthesisConfig(sample=False)
    gain = matching_gain(run, magnitudes)
    noise = slow_noise(run, len(magnitudes), config) or ()
    result = magnitudes.new_empty(len(magnitudes), run.settings.subframes, magnitudes.shape[1])

    def reconstruct(block: slice) -> None:
        own_noise = tuple(layer[block] for layer in noise)
        retuned = tune(gain * magnitudes[block].to(run.device), -tuning, run.front_end)
        posterior = run.model.encode_signal(run.scaler.apply(retuned), own_noise or None)
        px = run.model.signal_output(posterior.z[0], posterior.top.mean)
        decoded = features_to_magnitudes(run, px.mean)
        retuned = tune(decoded.flatten(0, 1).to(magnitudes.device), tuning, run.front_end)
        result[block] = retuned.view(-1, *result.shape[1:]) / gain

    starts = range(0, len(magnitudes), BLOCK_FRAMES)
    blocks = [slice(start, start + BLOCK_FRAMES) for start in starts]
    for _ in side_by_side(reconstruct, blocks, run.device):
        pass
    return result
