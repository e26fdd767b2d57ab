"""Augmentation of the encoder's input: the same note by another player, instrument, room or
microphone.

Only the encoder sees augmented frames; the decoder's target stays clean (a denoising VAE), because
decoders trained on augmented targets synthesise washed-out sound. Transposition by whole semitones
is the exception: it moves input, target and labels together. Each source of a mixture is augmented
by itself (pitch, ringing of neighbouring notes, the room's tails, timbre and level); noise is added
to the mixture.

Magnitudes are (batch, bins) on a logarithmic frequency axis, where a change of pitch is a shift and
the response of a room or a microphone a smooth gain. Random numbers are sampled for a whole batch
at once, in a fixed order. Strengths (`transpose`, `detune`, `ring`, `reverb`, `tilt`, `equalise`,
`gain`, `noise_floor`) are flags of `RunConfig`, where 0 switches an augmentation off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from lt.audio.features import audio_to_magnitudes, db_to_amplitude
from lt.config import AugmentationConfig, RunConfig, SpectralConfig
from lt.labels import FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER
from lt.seeds import torch_rng

NOISE_FRAMES = 2048  # of white noise, a minute of which is made once


@dataclass(frozen=True)
class Augmentation:
    """The augmentation of a run.

    Attributes:
        strengths: the run's settings.
        front_end: of the magnitudes.
        reference: magnitude of 0 dB for the noise of rooms, the largest of the data.
        device: of the batches.
    """

    strengths: RunConfig
    front_end: SpectralConfig
    reference: float
    device: torch.device | str = "cpu"
    constants: AugmentationConfig = AugmentationConfig()

    @cached_property
    def white_noise(self) -> Tensor:
        """Frames of white noise (frames, bins), each bin relative to its mean."""
        rng = torch_rng(self.strengths.seed, "augment", device=self.device)
        n_samples = NOISE_FRAMES * self.front_end.frame_hop
        noise = torch.randn(n_samples, generator=rng, device=rng.device)
        magnitudes = audio_to_magnitudes(noise, self.front_end)
        return magnitudes / magnitudes.mean(dim=0)

    def shifts(self, note_numbers: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random transposition and detuning of chords (batch, notes), whose intervals stay.

        Returns:
            (batch,) whole semitones that keep each note within C0-B8, and (batch,) fractions of a
            semitone that leave the labels as they are.
        """
        most, shape = self.strengths.transpose, note_numbers.shape[:1]
        steps = torch.randint(-most, most + 1, shape, generator=rng, device=rng.device)
        uniform = torch.rand(shape, generator=rng, device=rng.device)
        lowest, highest = note_numbers.amin(dim=1), note_numbers.amax(dim=1)
        steps = steps.clamp(FIRST_NOTE_NUMBER - lowest, LAST_NOTE_NUMBER - highest)
        return steps, self.strengths.detune * (2 * uniform - 1)

    def add_ringing(self, magnitudes: Tensor, neighbours: Tensor, rng: torch.Generator) -> Tensor:
        """Sources (batch, bins) with what leaks into them from the notes before or after.

        A band answers a step with the normal distribution function, the more slowly the lower it
        is. Silent sources stay silent.

        Args:
            neighbours: (batch, bins) magnitudes of the notes before or after.
        """
        if not self.strengths.ring:
            return magnitudes
        n_rows, n_bins = magnitudes.shape
        distance = _uniform(n_rows, self.constants.neighbour_seconds, rng)
        chance = torch.rand(n_rows, 1, generator=rng, device=rng.device)
        rings = (chance < self.strengths.ring) & (_peak(magnitudes) > 0)
        octaves = torch.arange(n_bins, device=rng.device) / self.front_end.bins_per_octave
        cycles = distance * self.front_end.fmin * 2**octaves
        leak = 0.5 * torch.erfc(cycles / (math.sqrt(2) * self.constants.ringing_cycles))
        return (magnitudes.square() + (neighbours * leak * rings).square()).sqrt()

    def add_reverb(
        self, magnitudes: Tensor, before: Sequence[Tensor], rng: torch.Generator
    ) -> Tensor:
        """Sources (batch, bins) with the tails that a room keeps of other notes. A tail is a copy
        of a note that is softer than the source and coloured at random. Silent sources stay silent:
        one frame does not tell whether a soft note is a tail.

        Args:
            before: (batch, bins) magnitudes of notes, each array in another order.
        """
        if not self.strengths.reverb:
            return magnitudes
        n_rows, n_bins = magnitudes.shape
        chance = torch.rand(n_rows, 1, generator=rng, device=rng.device)
        level = _peak(magnitudes) * (chance < self.strengths.reverb)
        power = magnitudes.square()
        for note in before:
            colour_db = self.constants.reverb_colour_db * self.smooth_curves(n_rows, n_bins, rng)
            gain_db = colour_db + _uniform(n_rows, self.constants.reverb_db, rng)
            scale = level / _peak(note).clamp_min(self.constants.silent)
            power = power + (scale * note * db_to_amplitude(gain_db)).square()
        return power.sqrt()

    def change_timbre(self, magnitudes: Tensor, rng: torch.Generator) -> Tensor:
        """Sources (batch, bins) with another brightness, equalisation and level."""
        curve_db = torch.zeros_like(magnitudes)
        if self.strengths.tilt:
            curve_db = curve_db + self._tilt_db(magnitudes, rng)
        if self.strengths.equalise:
            curve_db = curve_db + self.strengths.equalise * self.smooth_curves(
                *magnitudes.shape, rng
            )
        changed = magnitudes * db_to_amplitude(curve_db)
        # another partial may be the loudest now, but no louder: the level carries the dynamics
        level = _peak(magnitudes) / _peak(changed).clamp_min(self.constants.silent)
        gain = torch.randn(len(changed), 1, generator=rng, device=rng.device)
        return changed * (level * db_to_amplitude(self.strengths.gain * gain))

    def add_noise(self, magnitudes: Tensor, rng: torch.Generator) -> Tensor:
        """Mixtures (batch, bins) with noise of rooms, microphones and breath; where nothing sounds,
        breath is as loud as beneath the loudest note, so that noise alone is learnt as silence.
        """
        if not self.strengths.noise_floor:
            return magnitudes
        peak = _peak(magnitudes)
        reference = torch.full_like(peak, self.reference)
        peak = peak.where(peak > 0, reference)
        room = self._noise(reference, magnitudes.shape[1], self.constants.room_noise_db, rng)
        breath = self._noise(peak, magnitudes.shape[1], self.constants.breath_noise_db, rng)
        return (magnitudes.square() + room.square() + breath.square()).sqrt()

    def smooth_curves(self, n_rows: int, n_bins: int, rng: torch.Generator) -> Tensor:
        """Random smooth functions of frequency with unit variance: (n_rows, n_bins).

        Their finest waves are narrow enough that neighbouring partials of a note can differ, as
        they do between instruments.
        """
        waves = _waves(self.constants.n_waves, n_bins, rng.device)
        return torch.randn(n_rows, len(waves), generator=rng, device=rng.device) @ waves

    def _tilt_db(self, magnitudes: Tensor, rng: torch.Generator) -> Tensor:
        """Random slopes (batch, bins) above each row's loudest partial.

        A note played softly, or whose upper partials have not begun or have died away, may be
        little more than that partial, and must not be mistaken for the octave below.
        """
        n_rows, n_bins = magnitudes.shape
        brighter = self.constants.brighter
        uniform = torch.rand(n_rows, 1, generator=rng, device=rng.device)
        slope = self.strengths.tilt * ((1 + brighter) * uniform - brighter)
        above = torch.arange(n_bins, device=rng.device) - magnitudes.argmax(dim=1, keepdim=True)
        return -slope * above.clamp_min(0) / self.front_end.bins_per_octave

    def _noise(
        self, reference: Tensor, n_bins: int, range_db: tuple[float, float], rng: torch.Generator
    ) -> Tensor:
        """Coloured noise (batch, bins), `range_db` relative to `reference` (batch, 1); 0 in rows
        without noise.
        """
        n_rows = len(reference)
        uniform = torch.rand(n_rows, 2, generator=rng, device=rng.device)
        colour_db = self.constants.noise_colour_db * self.smooth_curves(n_rows, n_bins, rng)
        frame = torch.randint(len(self.white_noise), (n_rows,), generator=rng, device=rng.device)
        level_db = range_db[0] + (range_db[1] - range_db[0]) * uniform[:, :1]
        shape = self.white_noise[frame] * db_to_amplitude(colour_db)
        noisy = uniform[:, 1:] < self.strengths.noise_floor
        return reference * db_to_amplitude(level_db) * shape * noisy


@lru_cache(maxsize=4)
def _waves(n_waves: int, n_bins: int, device: torch.device) -> Tensor:
    """Cosines and sines of up to `n_waves` half periods, (2 n_waves, n_bins), made once: five times
    a batch they took a twentieth of its time.
    """
    angle = torch.outer(
        torch.arange(1, n_waves + 1, device=device),
        torch.linspace(0, math.pi, n_bins, device=device),
    )
    return torch.cat([angle.cos(), angle.sin()]) / math.sqrt(n_waves)


def _uniform(n_rows: int, interval: tuple[float, float], rng: torch.Generator) -> Tensor:
    low, high = interval
    return low + (high - low) * torch.rand(n_rows, 1, generator=rng, device=rng.device)


def _peak(magnitudes: Tensor) -> Tensor:
    """Each row's largest magnitude: (batch, 1)."""
    return magnitudes.amax(dim=1, keepdim=True)
