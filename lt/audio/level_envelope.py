"""Level envelopes of notes, sharper than the windows of the transform.

A band of the transform sees a note for as long as its window is, which at C4 is a quarter of a
second: magnitudes rise before the onset and long after it, and so does the audio that is made of
them. That the note is silent before its onset and how long each band sees it are known, so the
power that it had is found by Richardson-Lucy deconvolution (Richardson 1972, Lucy 1974) of the
power in its frames, from that of the audio on, and the audio is brought to it.

Names: `magnitudes: (frames, bins)`, `power: (frames,)`, `audio: (samples,)`; `kernel: (2 * lags +
1,)` is the power of an impulse in the frames around it, of sum 1.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

from lt.audio.features import audio_to_magnitudes, nsgt
from lt.config import SpectralConfig, SynthesisConfig

_FLOOR = 1e-6  # of the largest power: a level below says nothing; 1e-4 and 1e-8 change nothing
_SILENT = 1e-20


def at_level(
    audio: np.ndarray,
    magnitudes: Tensor,
    n_lead: int,
    front_end: SpectralConfig,
    config: SynthesisConfig = SynthesisConfig(),
) -> np.ndarray:
    """Audio (samples,) of a note with the level envelope that its magnitudes tell of.

    Args:
        audio: (frames * frame_hop,) made of `magnitudes`, with phases that need not fit.
        n_lead: frames before the onset, which show how far the windows reach; without any, the
            envelope is that of the magnitudes.
        front_end: of the frames.
    """
    magnitudes = magnitudes.cpu()
    own = torch.from_numpy(audio).view(len(magnitudes), -1).square().mean(dim=1)
    power = magnitudes.square()
    wanted = power.sum(dim=1) * rms_of_unit_norm(front_end) ** 2
    floor = _FLOOR * wanted.max() + _SILENT
    if n_lead and wanted.any():
        kernel = power.sum(dim=0) @ band_kernels(front_end, config.window_seconds)
        first = own.clone()
        first[:n_lead] = 0
        wanted = deconvolved(wanted, kernel / kernel.sum(), first, config.deconvolution_iter)
    gain = ((wanted + floor) / (own + floor)).sqrt()
    gain = gain.clamp(1 / config.highest_gain, config.highest_gain)
    centres = (np.arange(len(gain)) + 0.5) * front_end.frame_hop
    return audio * np.interp(np.arange(len(audio)), centres, gain.numpy()).astype(np.float32)


def deconvolved(power: Tensor, kernel: Tensor, first: Tensor, n_iter: int) -> Tensor:
    """Power (frames,), not negative, whose convolution with a symmetric `kernel: (lags,)` is near
    `power: (frames,)`, after `n_iter` iterations from `first: (frames,)`; zeros stay zeros.
    """
    floor = _FLOOR * power.max() + _SILENT
    seen = _blurred(torch.ones_like(power), kernel)
    result = first
    for _ in range(n_iter):
        ratio = (power + floor) / (_blurred(result, kernel) + floor)
        result = result * _blurred(ratio, kernel) / seen
    return result


def _blurred(power: Tensor, kernel: Tensor) -> Tensor:
    padded = pad(power[None, None], (len(kernel) // 2, len(kernel) // 2))
    return conv1d(padded, kernel[None, None])[0, 0]


@lru_cache(maxsize=4)
def band_kernels(front_end: SpectralConfig, reach: float) -> Tensor:
    """(bins, 2 * lags + 1): power of an impulse in each band, in the frames up to `reach` seconds
    before and after its own.
    """
    design = nsgt(front_end).design
    length, factor = design.n_coefficients, front_end.frame_hop // front_end.hop
    n_lags = math.ceil(reach / front_end.frame_seconds)
    lags = (np.arange(-n_lags, n_lags + 1)[:, None] * factor + np.arange(factor)) % length
    responses = np.stack([np.fft.fft(window, length) for window in design.frame.windows])
    power = (np.abs(responses) ** 2)[:, lags - factor // 2].sum(axis=2)
    power += power[:, ::-1]
    return torch.from_numpy(power / power.sum(axis=1, keepdims=True)).float()


@lru_cache(maxsize=4)
def rms_of_unit_norm(front_end: SpectralConfig) -> float:
    """Root mean square of a steady sine whose frames of magnitudes have the Euclidean norm 1."""
    rate, frames = front_end.sample_rate, round(1 / front_end.frame_seconds)
    sine = torch.sin(2 * torch.pi * 440 / rate * torch.arange(2 * rate))
    norms = audio_to_magnitudes(sine, front_end)[frames // 2 : 3 * frames // 2].norm(dim=1)
    return float(0.5**0.5 / norms.mean())
