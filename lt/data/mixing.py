"""Batches: frames of one or several instruments, sampled, weighted and mixed, with their labels.

Sources are independent, so their powers add: mixture = sqrt(sum of (weight * magnitude)^2). A
source of weight 0 is silent and carries the silence class; where a model has none, it keeps the
labels of its note (as in the article). Random numbers of a batch come from one generator named by
(seed, stream, key), sampled for the whole batch at once, so that any number of workers has the same
batch.

Names: `positions: (batch, instruments)` index each source's frames; the pool holds the magnitudes
of all sources, on the device where they fit, else in the mapped file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from lt.audio.tuning import bins_per_semitone, shift_bins
from lt.config import RunConfig
from lt.data.augment import Augmentation
from lt.data.dataset import DataSet
from lt.labels import N_CLASSES, LabelSpace, octave_pitch_to_note_number
from lt.seeds import torch_rng

LARGEST_TUNING = 1.0  # semitones; a larger deviation from the label is a wrong measurement
CPU_POOL_BYTES = 1 << 30  # larger pools stay on disk and are read batch by batch


@dataclass(frozen=True)
class Batch:
    """A batch of mixtures.

    Attributes:
        mixture: (batch, bins) clean magnitudes, the target of the decoder.
        augmented: (batch, bins) magnitudes for the encoder; the mixture itself without
            augmentation.
        classes: (batch, instruments, labels) indices.
        weights: (batch, instruments) of the sources.
    """

    mixture: Tensor
    augmented: Tensor
    classes: Tensor
    weights: Tensor

    def __getitem__(self, rows: slice) -> Batch:
        """Some rows of the batch, for one worker."""
        return Batch(*(tensor[rows] for tensor in vars(self).values()))


@dataclass(frozen=True)
class Source:
    """One instrument's frames of a part of a split.

    Attributes:
        frames: (frames,) indices into the pool, on the pool's device.
        note_number, dynamics: (frames,) int16 labels.
        silent: (frames,) bool.
        tuning: (frames,) float32 semitones of the sound above its label; 0 where it is unknown, or
            the run does not correct it.
    """

    frames: Tensor
    note_number: Tensor
    dynamics: Tensor
    silent: Tensor
    tuning: Tensor


class Mixer:
    """Batches of mixtures of the frames of one part of a split.

    Args:
        frames: one array of indices of frames an instrument.
        augmentation: of the encoder's input; None for none.
    """

    def __init__(
        self,
        data: DataSet,
        frames: Sequence[np.ndarray],
        space: LabelSpace,
        config: RunConfig,
        device: torch.device,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.space, self.config, self.device = space, config, device
        self.augmentation = augmentation
        used = np.unique(np.concatenate(frames))
        self._pool = _pool(data, used, device)
        self.resident = isinstance(self._pool, Tensor)
        self.sources = [self._source(data, of_source, used) for of_source in frames]
        self._bins_per_semitone = bins_per_semitone(data.config)

    def _source(self, data: DataSet, frames: np.ndarray, used: np.ndarray) -> Source:
        note = data.note_of_frame[frames]
        octave, pitch, dynamics = data.notes.labels[note].T
        numbers = octave_pitch_to_note_number(octave, pitch)
        tuning = np.nan_to_num(data.notes.cents[note] / 100) * bool(self.config.retune)
        tuning = tuning.clip(-LARGEST_TUNING, LARGEST_TUNING)
        in_pool = torch.from_numpy(np.searchsorted(used, frames) if self.resident else frames)
        return Source(
            in_pool.to(self.device) if self.resident else in_pool,
            torch.from_numpy(numbers.astype(np.int16)).to(self.device),
            torch.from_numpy(dynamics.astype(np.int16)).to(self.device),
            torch.from_numpy(data.silent[frames]).to(self.device),
            torch.from_numpy(tuning.astype(np.float32)).to(self.device),
        )

    @property
    def n_frames(self) -> int:
        """Frames of an epoch: those of the instrument that has most."""
        return max(len(source.frames) for source in self.sources)

    def order(self, seed: int, *key: int) -> Tensor:
        """Positions of a shuffled epoch: (n_frames, instruments); shorter sources are repeated.

        They are on the device of the sources' `frames`, so that reading a batch does not
        synchronise with it.
        """
        columns = []
        for index, source in enumerate(self.sources):
            rng = torch_rng(seed, "order", index, *key)
            n_rounds = -(-self.n_frames // len(source.frames))
            rounds = [torch.randperm(len(source.frames), generator=rng) for _ in range(n_rounds)]
            columns.append(torch.cat(rounds)[: self.n_frames])
        return torch.stack(columns, dim=1).to(self.sources[0].frames.device)

    def batch(self, positions: Tensor, seed: int, *key: int, stream: str = "mixture") -> Batch:
        """The batch at `positions: (batch, instruments)`, its random numbers named by (seed,
        stream, key).
        """
        rng = torch_rng(seed, stream, *key, device=self.device)
        weights = self._weights(len(positions), rng)
        sources = [
            self._sample(source, positions[:, index], weights[:, index], rng)
            for index, source in enumerate(self.sources)
        ]
        clean, augmented, classes = zip(*sources)
        mixture = encoded = _mix(clean)
        if self.augmentation:
            encoded = self.augmentation.add_noise(_mix(augmented), rng)
        return Batch(mixture, encoded, torch.stack(classes, dim=1), weights)

    def _weights(self, n_rows: int, rng: torch.Generator) -> Tensor:
        """(n_rows, instruments) weights of the sources: 1, or 0 at random for rests and silence."""
        rest, silence = torch.rand(2, n_rows, len(self.sources), generator=rng, device=rng.device)
        weights = torch.ones_like(rest)
        if self.config.random_mode == "bernoulli":
            weights = (rest < 1 - self.config.rest_share).float()
        if self.space.silence:
            weights = weights * (silence >= self.config.silence_share)
        return weights

    def _sample(
        self, source: Source, positions: Tensor, weights: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Clean and augmented magnitudes (batch, bins) of one source, and its classes (batch,
        labels).
        """
        frames = self._read(source.frames[positions])
        magnitudes = frames * weights[:, None]
        positions = positions.to(self.device, non_blocking=True)
        numbers, dynamics = source.note_number[positions].long(), source.dynamics[positions].long()
        silent = source.silent[positions] | (weights == 0)
        shift = -source.tuning[positions]
        if self.augmentation is None:
            clean = self._shifted(magnitudes, shift) if self.config.retune else magnitudes
            return clean, clean, self._classes(numbers, dynamics, silent)
        steps, detuning = self.augmentation.shifts(numbers, rng)
        shift = shift + steps
        augmented = self._shifted(magnitudes, shift + detuning)
        augmented = self.augmentation.add_ringing(augmented, frames.roll(1, dims=0), rng)
        augmented = self.augmentation.change_timbre(augmented, rng)
        classes = self._classes(numbers + steps, dynamics, silent)
        return self._shifted(magnitudes, shift), augmented, classes

    def _shifted(self, magnitudes: Tensor, semitones: Tensor) -> Tensor:
        return shift_bins(magnitudes, semitones * self._bins_per_semitone)

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

    def _read(self, frames: Tensor) -> Tensor:
        """Magnitudes (batch, bins) of the pool's `frames: (batch,)`, on the device."""
        if self.resident:
            return self._pool[frames]
        magnitudes = torch.from_numpy(self._pool.frames(frames.numpy()))
        if self.device.type == "cuda":
            magnitudes = magnitudes.pin_memory()
        return magnitudes.to(self.device, non_blocking=True)

    def note_numbers(self, positions: Tensor) -> Tensor:
        """MIDI numbers (batch,) of the first instrument's frames at `positions: (batch,
        instruments)`, before transposition.
        """
        return self.sources[0].note_number[positions[:, 0].to(self.device)]


def _mix(sources: Sequence[Tensor]) -> Tensor:
    """Magnitudes of the sum of independent sources, (batch, bins) each."""
    return sum(source.square() for source in sources).sqrt()


def _pool(data: DataSet, used: np.ndarray, device: torch.device) -> Tensor | DataSet:
    """Model frames in use as a tensor on the device where they fit, else the mapped data set."""
    n_bytes = len(used) * data.config.n_bins * 4
    free = torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else CPU_POOL_BYTES
    if n_bytes > free:
        return data
    return torch.from_numpy(data.frames(used)).to(device)
