"""Augmentation: one recording heard as other instruments, rooms and microphones would have given
it.

Only the encoder hears it; the decoder's target stays clean (a denoising VAE), or synthesis washes
out. Whole semitones are the exception: they move sound, target and labels together. Each source of
a mixture has a colour of its own (`recolour`: brightness, equalisation, level) and rings of its
notes before and after (`add_ringing`); noise belongs to the whole (`add_noise`). Magnitudes are
(batch, bins) on a logarithmic frequency axis, where a change of pitch is a shift, and a room or a
microphone a smooth gain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from lt.config import RunConfig, SpectralConfig

N_WAVES = 20  # in a random smooth curve over frequency
ROOM_NOISE_DB = (-110.0, -55.0)  # of a noise floor, relative to the loudest magnitude of the data
BREATH_NOISE_DB = (-60.0, -5.0)  # of noise that comes with the note, relative to the frame's peak
BRIGHTER = 0.25  # of the tilt, by which a sound may also be brighter than it was
RINGING_CYCLES = (
    29.4  # of a band's response in time, its standard deviation: 0.11 s at C4 (-6 dB after 0.13 s)
)
NEIGHBOUR_SECONDS = (
    0.08,
    0.48,
)  # how far away a note ends or begins that is still, or already, heard
SILENT = 1e-12  # magnitudes below are no sound; nothing is divided by less
NOISE_COLOUR_DB = 12.0  # standard deviation of its smooth colour
NOISE_GRAIN_DB = 3.0  # standard deviation from bin to bin


@dataclass(frozen=True)
class Augmentation:
    """How far each disturbance goes; zero switches it off.

    Attributes:
        transpose: whole semitones up or down, labels moved along.
        detune: semitones up or down, labels kept (a quarter of a tone would be another note).
        equalise: standard deviation in dB of a random smooth gain over frequency.
        tilt: dB an octave by which what lies above the loudest partial is weakened, at most.
        noise_floor: probability that a frame carries a noise floor.
        ring: probability that a sounding source also rings of a note before or after.
        gain: standard deviation in dB of a random level.
    """

    transpose: int = 0
    detune: float = 0.0
    equalise: float = 0.0
    tilt: float = 0.0
    noise_floor: float = 0.0
    ring: float = 0.0
    gain: float = 0.0

    @classmethod
    def of(cls, config: RunConfig) -> Augmentation:
        """What a run asks for; nothing without `--augment 1`."""
        if not config.augment:
            return cls()
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})


def smooth_curves(n_rows: int, n_bins: int, generator: torch.Generator) -> Tensor:
    """Random smooth functions of frequency with unit variance: (n_rows, n_bins). The finest of
    their waves are so narrow that neighbouring partials of a note can differ: instruments do.
    """
    device = generator.device
    angle = torch.outer(
        torch.arange(1, N_WAVES + 1, device=device),
        torch.linspace(0, math.pi, n_bins, device=device),
    )
    waves = torch.cat([angle.cos(), angle.sin()]) / math.sqrt(N_WAVES)
    return torch.randn(n_rows, 2 * N_WAVES, generator=generator, device=device) @ waves


def recolour(
    magnitudes: Tensor, augmentation: Augmentation, bins_per_octave: int, generator: torch.Generator
) -> Tensor:
    """What another player, instrument or microphone would have made of a source's magnitudes
    (batch, bins): its brightness, its equalisation, its level.
    """
    curve_db = torch.zeros_like(magnitudes)
    if augmentation.tilt:
        curve_db = curve_db + _tilt_db(magnitudes, augmentation.tilt, bins_per_octave, generator)
    if augmentation.equalise:
        curve_db = curve_db + augmentation.equalise * smooth_curves(*magnitudes.shape, generator)
    heard = magnitudes * _amplitude(curve_db)
    # the loudest partial may be another one now, but not louder: the level carries the dynamics
    level = _peak(magnitudes) / _peak(heard).clamp_min(SILENT)
    gain_db = augmentation.gain * torch.randn(
        len(heard), 1, generator=generator, device=heard.device
    )
    return heard * (level * _amplitude(gain_db))


def _tilt_db(
    magnitudes: Tensor, most: float, bins_per_octave: int, generator: torch.Generator
) -> Tensor:
    """Random slopes above each row's loudest partial: a note played softly, or one whose upper
    partials have not begun or have died away, may be hardly more than that partial, and must not be
    taken for the octave below.
    """
    n_rows, n_bins = magnitudes.shape
    slope = most * (
        (1 + BRIGHTER) * torch.rand(n_rows, 1, generator=generator, device=magnitudes.device)
        - BRIGHTER
    )
    above = torch.arange(n_bins, device=magnitudes.device) - magnitudes.argmax(dim=1, keepdim=True)
    return -slope * above.clamp_min(0) / bins_per_octave


def add_ringing(
    magnitudes: Tensor,
    others: Tensor,
    augmentation: Augmentation,
    config: SpectralConfig,
    generator: torch.Generator,
) -> Tensor:
    """Sources (batch, bins) with what is heard of the notes beside them in time, whose magnitudes
    are `others` (batch, bins): a band answers a step with the normal distribution function, the
    more slowly the lower it is.
    """
    if not augmentation.ring:
        return magnitudes
    uniform = [
        torch.rand(len(magnitudes), 1, generator=generator, device=magnitudes.device)
        for _ in range(2)
    ]
    seconds = NEIGHBOUR_SECONDS[0] + (NEIGHBOUR_SECONDS[1] - NEIGHBOUR_SECONDS[0]) * uniform[0]
    carried = (uniform[1] < augmentation.ring) & (_peak(magnitudes) > 0)
    octaves = torch.arange(magnitudes.shape[1], device=magnitudes.device) / config.bins_per_octave
    share = 0.5 * torch.erfc(seconds * config.fmin * 2**octaves / (math.sqrt(2) * RINGING_CYCLES))
    return (magnitudes.square() + (others * share * carried).square()).sqrt()


def add_noise(
    magnitudes: Tensor, augmentation: Augmentation, reference: float, generator: torch.Generator
) -> Tensor:
    """Noise that rooms, microphones and breath add to mixtures (batch, bins).

    Args:
        reference: the magnitude of 0 dB for the noise of rooms, the data's largest.
    """
    if not augmentation.noise_floor:
        return magnitudes
    loudest, n_bins = _peak(magnitudes), magnitudes.shape[1]
    room = _noise(
        torch.full_like(loudest, reference), n_bins, ROOM_NOISE_DB, augmentation, generator
    )
    breath = _noise(loudest, n_bins, BREATH_NOISE_DB, augmentation, generator)
    return (magnitudes.square() + room.square() + breath.square()).sqrt()


def _peak(magnitudes: Tensor) -> Tensor:
    """Each row's largest magnitude: (batch, 1)."""
    return magnitudes.amax(dim=1, keepdim=True)


def _amplitude(db: Tensor) -> Tensor:
    return torch.pow(10.0, db / 20)


def _between(range_db: tuple[float, float], uniform: Tensor) -> Tensor:
    """Amplitudes between two levels in dB, by a uniform draw."""
    return _amplitude(range_db[0] + (range_db[1] - range_db[0]) * uniform)


def _noise(
    loudest: Tensor,
    n_bins: int,
    range_db: tuple[float, float],
    augmentation: Augmentation,
    generator: torch.Generator,
) -> Tensor:
    """Coloured noise magnitudes (n_rows, n_bins), `range_db` relative to `loudest` (n_rows, 1);
    rows without are 0.
    """
    n_rows, device = len(loudest), generator.device
    uniform = torch.rand(n_rows, 2, generator=generator, device=device)
    colour_db = NOISE_COLOUR_DB * smooth_curves(n_rows, n_bins, generator)
    grain_db = NOISE_GRAIN_DB * torch.randn(n_rows, n_bins, generator=generator, device=device)
    noise = loudest * _between(range_db, uniform[:, :1]) * _amplitude(colour_db + grain_db)
    return noise * (uniform[:, 1:] < augmentation.noise_floor)
