"""Batches: frames of one or several instruments drawn, weighed and mixed, with their labels.

Sources are independent, so their powers add: mixture = sqrt(sum of (weight * magnitude)^2). A
source of weight 0 is silent and carries the silence class; where a model has none, it keeps its
note's labels (the article's way). Every random choice is drawn for the whole batch from one
generator, so any number of workers sees the same batch.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lt.audio.tuning import bins_per_semitone, shift_bins
from lt.config import RunConfig
from lt.data.augment import Augmentation, add_noise, add_ringing, recolour
from lt.data.dataset import DataSet
from lt.labels import (
    FIRST_NOTE_NUMBER,
    LAST_NOTE_NUMBER,
    N_CLASSES,
    LabelSpace,
    octave_pitch_to_note_number,
)
from lt.seeds import seed_of, torch_rng

RANDOM_MODES = ("constant", "bernoulli")
MOST_SHARP = 1.0  # semitones; a larger deviation was misread
CPU_POOL_BYTES = 1 << 30  # larger pools stay on disk and are read by the batch


@dataclass(frozen=True)
class Batch:
    """A batch of mixtures.

    Attributes:
        mixture: (batch, bins) magnitudes that the decoder should give.
        heard: (batch, bins) magnitudes that the encoder hears: the mixture, disturbed where a run
            augments.
        classes: (batch, instruments, labels) indices.
        weights: (batch, instruments) of the sources.
    """

    mixture: Tensor
    heard: Tensor
    classes: Tensor
    weights: Tensor

    def part(self, rows: slice) -> Batch:
        """The batch's rows in a slice, for one worker."""
        return Batch(self.mixture[rows], self.heard[rows], self.classes[rows], self.weights[rows])


@dataclass(frozen=True)
class Source:
    """One instrument's frames of a part.

    Attributes:
        rows: (n,) indices of frames in the pool, where the pool is: on the device, or on the CPU
            for one on disk.
        note_number, dynamics: (n,) int16 labels. silent: (n,) bool.
        sharp: (n,) float32 semitones by which the sound is above its label; 0 where it is not
            known.
    """

    rows: Tensor
    note_number: Tensor
    dynamics: Tensor
    silent: Tensor
    sharp: Tensor


class Mixer:
    """Draws batches from the frames of one part of a split."""

    def __init__(
        self,
        data: DataSet,
        frames: tuple[np.ndarray, ...],
        space: LabelSpace,
        config: RunConfig,
        device: torch.device,
    ) -> None:
        used = np.unique(np.concatenate(frames))
        self._pool = _pool(data, used, device)
        self.resident = isinstance(self._pool, Tensor)
        self.sources = [
            _source(data, rows, np.searchsorted(used, rows) if self.resident else None, device)
            for rows in frames
        ]
        self.space, self.config, self.device = space, config, device
        self.augmentation, self.reference = Augmentation(), 1.0
        self._front_end, self._bins_per_semitone = data.config, bins_per_semitone(data.config)

    def with_augmentation(self, augmentation: Augmentation, reference: float) -> Mixer:
        """The same frames, heard through an augmentation; `reference` is the magnitude of 0 dB."""
        other = copy.copy(self)
        other.augmentation, other.reference = augmentation, reference
        return other

    @property
    def n_frames(self) -> int:
        """Frames of an epoch: those of the instrument that has most."""
        return max(len(source.rows) for source in self.sources)

    def order(self, seed: int, *where: int) -> Tensor:
        """A shuffled epoch: (n_frames, instruments) positions in each source, shorter ones begun
        again.

        They lie where the sources' `rows` do, so that reading a batch makes no device wait.
        """
        columns = []
        for index, source in enumerate(self.sources):
            rounds = -(-self.n_frames // len(source.rows))
            chosen = torch_rng(seed, "order", index, *where)
            shuffled = [torch.randperm(len(source.rows), generator=chosen) for _ in range(rounds)]
            columns.append(torch.cat(shuffled)[: self.n_frames])
        return torch.stack(columns, dim=1).to(self.sources[0].rows.device)

    def batch(self, positions: Tensor, seed: int, *where: int, stream: str = "mixture") -> Batch:
        """The batch at positions (batch, instruments), its draws named by (seed, stream, where)."""
        chosen = torch.Generator(self.device).manual_seed(seed_of(seed, stream, *where))
        weights = self._weights(len(positions), chosen)
        power, heard_power, classes = 0.0, 0.0, []
        for index, source in enumerate(self.sources):
            clean, heard, labels = self._draw(
                source, positions[:, index], weights[:, index], chosen
            )
            power, heard_power = power + clean.square(), heard_power + heard.square()
            classes.append(labels)
        mixture, heard = power.sqrt(), heard_power.sqrt()
        if self.augmentation != Augmentation():
            heard = add_noise(heard, self.augmentation, self.reference, chosen)
        return Batch(mixture, heard, torch.stack(classes, dim=1), weights)

    def _weights(self, n_rows: int, chosen: torch.Generator) -> Tensor:
        """(n_rows, instruments) weights of the sources: 1, or 0 and 1 by chance, or 0 for drawn
        silence.
        """
        uniform = torch.rand(2, n_rows, len(self.sources), generator=chosen, device=self.device)
        weights = torch.ones_like(uniform[0])
        if self.config.random_mode == "bernoulli":
            weights = (uniform[0] < 1 - self.config.rest_share).float()
        return (
            weights * (uniform[1] >= self.config.silence_share) if self.space.silence else weights
        )

    def _draw(
        self, source: Source, positions: Tensor, weights: Tensor, chosen: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Magnitudes (batch, bins) of one source, clean and as they are heard, and its classes
        (batch, labels).
        """
        frames = self._read(source.rows[positions])
        magnitudes = frames * weights[:, None]
        positions = positions.to(self.device, non_blocking=True)
        numbers, dynamics = source.note_number[positions].long(), source.dynamics[positions].long()
        silent = source.silent[positions] | (weights == 0)
        augmented = self.augmentation != Augmentation()
        if not (augmented or self.config.retune):
            return magnitudes, magnitudes, self._classes(numbers, dynamics, silent)
        steps, fine = self._shifts(numbers, chosen)
        move = steps - source.sharp[positions] * self.config.retune
        clean = heard = shift_bins(magnitudes, move * self._bins_per_semitone)
        if augmented:
            heard = shift_bins(magnitudes, (move + fine) * self._bins_per_semitone)
            heard = add_ringing(
                heard, frames.roll(1, dims=0), self.augmentation, self._front_end, chosen
            )
            heard = recolour(heard, self.augmentation, self._front_end.bins_per_octave, chosen)
        return clean, heard, self._classes(numbers + steps, dynamics, silent)

    def _shifts(self, numbers: Tensor, chosen: torch.Generator) -> tuple[Tensor, Tensor]:
        """Whole semitones that keep each note inside C0-B8, and a detuning in semitones: (batch,)
        each.
        """
        reach, shape = self.augmentation.transpose, numbers.shape
        steps = torch.randint(-reach, reach + 1, shape, generator=chosen, device=self.device)
        fine = self.augmentation.detune * (
            2 * torch.rand(shape, generator=chosen, device=self.device) - 1
        )
        moved = (numbers + steps).clamp(FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER)
        return moved - numbers, fine

    def _classes(self, numbers: Tensor, dynamics: Tensor, silent: Tensor) -> Tensor:
        """(batch, labels) in the order of the space's labels; silence is the last class, where
        there is one.
        """
        values = {"octave": numbers // 12 - 1, "pitch": numbers % 12, "dynamics": dynamics}
        columns = [
            values[label].masked_fill(silent & self.space.silence, N_CLASSES[label])
            for label in self.space.labels
        ]
        return torch.stack(columns, dim=1)

    def _read(self, rows: Tensor) -> Tensor:
        """Magnitudes of pool rows (batch,), from the device or from disk."""
        if self.resident:
            return self._pool[rows]
        magnitudes = torch.from_numpy(np.array(self._pool[rows.numpy()]))
        if self.device.type == "cuda":
            magnitudes = magnitudes.pin_memory()
        return magnitudes.to(self.device, non_blocking=True)

    def note_numbers(self, positions: Tensor) -> Tensor:
        """MIDI numbers of the first instrument's frames at positions (batch, instruments), before
        transposition.
        """
        return self.sources[0].note_number[positions[:, 0].to(self.device)]


def _pool(data: DataSet, used: np.ndarray, device: torch.device) -> Tensor | np.ndarray:
    """The frames in use as a tensor on the device where they fit, else the mapped file."""
    n_bytes = len(used) * data.config.n_bins * 4
    room = torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else CPU_POOL_BYTES
    if n_bytes > room:
        return data.magnitudes
    return torch.from_numpy(np.array(data.magnitudes[used])).to(device)


def _source(
    data: DataSet, frames: np.ndarray, rows: np.ndarray | None, device: torch.device
) -> Source:
    """Frames of the data set as a source; `rows` of a pool on the device, or none for the mapped
    file.
    """
    note = data.note_of_frame[frames]
    octave, pitch, dynamics = data.notes.labels.T
    numbers = octave_pitch_to_note_number(octave, pitch)
    sharp = np.nan_to_num(data.notes.cents / 100).clip(-MOST_SHARP, MOST_SHARP).astype(np.float32)
    columns = (
        numbers.astype(np.int16)[note],
        dynamics.astype(np.int16)[note],
        data.silent[frames],
        sharp[note],
    )
    where = torch.from_numpy(frames) if rows is None else torch.from_numpy(rows).to(device)
    return Source(where, *(torch.from_numpy(column).to(device) for column in columns))
