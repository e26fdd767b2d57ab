"""Augmentation: one recording heard as other instruments, rooms and microphones would have given it.

Only the encoder hears it; the decoder's target stays clean (a denoising VAE), or synthesis washes out. Whole
semitones are the exception: they move sound, target and labels together. Magnitudes are (batch, bins) on a
logarithmic frequency axis, where a change of pitch is a shift and a room or a microphone a smooth gain.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lt.config import RunConfig, SpectralConfig

N_WAVES = 20  # in a random smooth curve over frequency
ROOM_NOISE_DB = (-110.0, -55.0)  # of a noise floor, relative to the loudest magnitude of the data
BREATH_NOISE_DB = (-60.0, -15.0)  # of noise that comes with the note, relative to the frame's peak
NOISE_COLOUR_DB = 12.0  # standard deviation of its smooth colour
NOISE_GRAIN_DB = 3.0  # standard deviation from bin to bin


@dataclass(frozen=True)
class Augmentation:
    """How far each disturbance goes; zero switches it off.

    Attributes:
        transpose: whole semitones up or down, labels moved along.
        detune: semitones up or down, labels kept (a quarter of a tone would be another note).
        equalise: standard deviation in dB of a random smooth gain over frequency.
        noise_floor: probability that a frame carries a noise floor.
        gain: standard deviation in dB of a random level.
    """
    transpose: int = 0
    detune: float = 0.0
    equalise: float = 0.0
    noise_floor: float = 0.0
    gain: float = 0.0

    @classmethod
    def of(cls, config: RunConfig) -> Augmentation:
        """What a run asks for; nothing without `--augment 1`."""
        if not config.augment:
            return cls()
        return cls(config.transpose, config.detune, config.equalise, config.noise_floor, config.gain)


def bins_per_semitone(config: SpectralConfig) -> int:
    """Whole bins to a semitone: 4 at the defaults."""
    return config.bins_per_octave // 12


def shift_bins(magnitudes: Tensor, shift: Tensor) -> Tensor:
    """Move each row up by `shift` (batch,) bins, fractions by linear interpolation; zeros come in."""
    n_bins = magnitudes.shape[-1]
    position = torch.arange(n_bins, device=magnitudes.device) - shift[:, None]
    below = position.floor()
    weight = (position - below).to(magnitudes.dtype)
    return (1 - weight) * _gather_bins(magnitudes, below.long()) + weight * _gather_bins(magnitudes, below.long() + 1)


def _gather_bins(magnitudes: Tensor, index: Tensor) -> Tensor:
    inside = (index >= 0) & (index < magnitudes.shape[-1])
    return magnitudes.gather(1, index.clamp(0, magnitudes.shape[-1] - 1)) * inside


def smooth_curves(n_rows: int, n_bins: int, generator: torch.Generator) -> Tensor:
    """Random smooth functions of frequency with unit variance: (n_rows, n_bins). The finest of their waves are so
    narrow that neighbouring partials of a note can differ: instruments do."""
    device = generator.device
    angle = torch.outer(torch.arange(1, N_WAVES + 1, device=device), torch.linspace(0, math.pi, n_bins, device=device))
    waves = torch.cat([angle.cos(), angle.sin()]) / math.sqrt(N_WAVES)
    return torch.randn(n_rows, 2 * N_WAVES, generator=generator, device=device) @ waves


def disturb(magnitudes: Tensor, augmentation: Augmentation, reference: float, generator: torch.Generator) -> Tensor:
    """What a microphone elsewhere would have heard: equalisation, gain and noise on (batch, bins).

    Args:
        reference: the magnitude of 0 dB for the noise of rooms, the data's largest.
    """
    n_rows, n_bins = magnitudes.shape
    loudest = magnitudes.amax(dim=1, keepdim=True)
    heard = magnitudes
    if augmentation.equalise:
        curve = torch.pow(10.0, augmentation.equalise / 20 * smooth_curves(n_rows, n_bins, generator))
        # the loudest partial may be another one now, but not louder: the level carries the dynamics
        heard = heard * curve
        heard = heard * (loudest / heard.amax(dim=1, keepdim=True).clamp_min(torch.finfo(heard.dtype).tiny))
    gain = torch.pow(10.0, augmentation.gain / 20 * torch.randn(n_rows, 1, generator=generator, device=heard.device))
    heard, loudest = heard * gain, loudest * gain
    if not augmentation.noise_floor:
        return heard
    room = _noise(torch.full_like(loudest, reference), n_bins, ROOM_NOISE_DB, augmentation, generator)
    breath = _noise(loudest, n_bins, BREATH_NOISE_DB, augmentation, generator)
    return (heard.square() + room.square() + breath.square()).sqrt()


def _noise(loudest: Tensor, n_bins: int, range_db: tuple[float, float], augmentation: Augmentation,
           generator: torch.Generator) -> Tensor:
    """Coloured noise magnitudes (n_rows, n_bins), `range_db` relative to `loudest` (n_rows, 1); rows without are 0."""
    n_rows, device = len(loudest), generator.device
    uniform = torch.rand(n_rows, 2, generator=generator, device=device)
    level_db = range_db[0] + (range_db[1] - range_db[0]) * uniform[:, :1]
    colour_db = NOISE_COLOUR_DB * smooth_curves(n_rows, n_bins, generator)
    grain_db = NOISE_GRAIN_DB * torch.randn(n_rows, n_bins, generator=generator, device=device)
    noise = loudest * torch.pow(10.0, (level_db + colour_db + grain_db) / 20)
    return noise * (uniform[:, 1:] < augmentation.noise_floor)
