"""Batches: frames of one or several instruments, sampled, weighted and mixed, with their labels.

Sources are independent, so their powers add: mixture = sqrt(sum of (weight * magnitude)^2). A
source of weight 0 is silent and carries the silence class; where a model has none, it keeps the
labels of its note (as in the article). Random numbers of a batch come from one generator named by
(seed, stream, key), sampled for the whole batch at once, so that any number of workers has the same
batch.

`Mixer` makes the batches of the encoder: frames as recordings have them. `NoteMixer` makes those of
the transfer from symbols to sound: each moment of each note equally often, without augmentation.

An instrument with several voices is as many sources, which play chords (`lt.data.chords`): its
voices have frames of one instrument, are transposed together, and are in the order of their notes.

Names: `positions: (batch, instruments)` index each source's frames, `ABSENT` for a voice that is
silent; the pool holds the magnitudes
of all sources, on the device where they fit, else in the mapped file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from lt.audio.tuning import bins_per_semitone, shift_bins
from lt.config import RunConfig
from lt.data.augment import Augmentation
from lt.data.chords import ABSENT, ChordSampler, in_voice_order, voice_order
from lt.data.dataset import DataSet
from lt.labels import (
    AGE_MIDDLES,
    FIRST_LEAD_AGE,
    FIRST_RELEASE_AGE,
    N_CLASSES,
    LabelSpace,
    is_in_range,
    octave_pitch_to_note_number,
)
from lt.seeds import numpy_rng, torch_rng

LARGEST_TUNING = 1.0  # semitones; a larger deviation from the label is a wrong measurement
CPU_POOL_BYTES = 1 << 30  # larger pools stay on disk and are read batch by batch
READ_FRAMES = 4096  # read at once


@dataclass(frozen=True)
class Batch:
    """A batch of mixtures.

    Attributes:
        target: (batch, subframes, bins) clean magnitudes for the decoder.
        encoder_input: (batch, bins) magnitudes; without augmentation, means of the target's.
        classes: (batch, instruments, labels) indices.
        weights: (batch, instruments) of the sources.
    """

    target: Tensor
    encoder_input: Tensor
    classes: Tensor
    weights: Tensor

    def __getitem__(self, rows: slice) -> Batch:
        """Some rows of the batch, for one worker."""
        return Batch(*(tensor[rows] for tensor in vars(self).values()))


class FramePool:
    """Magnitudes of the frames in use: a tensor on the device where they fit, else the mapped file.

    Args:
        used: (frames,) indices into the data set, without repetition.
        fine: keep the subframes of the data set; otherwise model frames, which have one each.
    """

    def __init__(
        self, data: DataSet, used: np.ndarray, device: torch.device, fine: bool = True
    ) -> None:
        self.device, self._data, self._fine = device, data, fine
        self._used = used = np.unique(used)
        shape = len(used), data.config.subframes if fine else 1, data.config.n_bins
        free = torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else CPU_POOL_BYTES
        self.resident = 4 * math.prod(shape) <= free
        if self.resident:
            self._magnitudes = torch.empty(shape, device=device)
            for start in range(0, len(used), READ_FRAMES):
                block = slice(start, start + READ_FRAMES)
                self._magnitudes[block] = torch.from_numpy(self._from_file(used[block])).to(device)

    def _from_file(self, frames: np.ndarray) -> np.ndarray:
        """Magnitudes (frames, subframes, bins)."""
        if not self._fine:
            return self._data.frames(frames)[:, None]
        return np.array(self._data.magnitudes[frames])

    def places(self, frames: np.ndarray) -> Tensor:
        """Where frames of the data set are in the pool: (frames,) on the pool's device."""
        if not self.resident:
            return torch.from_numpy(frames)
        return torch.from_numpy(np.searchsorted(self._used, frames)).to(self.device)

    def read(self, places: Tensor) -> Tensor:
        """Magnitudes (batch, subframes, bins) at `places: (batch,)`, on the device."""
        if self.resident:
            return self._magnitudes[places]
        magnitudes = torch.from_numpy(self._from_file(places.numpy()))
        if self.device.type == "cuda":
            magnitudes = magnitudes.pin_memory()
        return magnitudes.to(self.device, non_blocking=True)


@dataclass(frozen=True)
class Source:
    """One instrument's frames of a part of a split.

    Attributes:
        places: (frames,) of the pool, on the pool's device.
        note_number, dynamics, age: (frames,) int16 labels.
        silent: (frames,) bool: labelled as silence.
        tuning: (frames,) float32 semitones of the sound above its label; 0 where it is unknown, or
            the run does not correct it.
    """

    places: Tensor
    note_number: Tensor
    dynamics: Tensor
    age: Tensor
    silent: Tensor
    tuning: Tensor


class Mixer:
    """Batches of mixtures of the frames of one part of a split.

    Args:
        frames: one index array into `data.magnitudes` an instrument, whatever its voices.
        augmentation: of the encoder's input; None for none.
        pool: that holds the frames, where there is one already.
    """

    def __init__(
        self,
        data: DataSet,
        frames: Sequence[np.ndarray],
        space: LabelSpace,
        config: RunConfig,
        device: torch.device,
        augmentation: Augmentation | None = None,
        pool: FramePool | None = None,
    ) -> None:
        self.space, self.config, self.device = space, config, device
        self.augmentation = augmentation
        self.pool = pool or FramePool(
            data, np.concatenate(frames), device, bool(config.decoder_range_db)
        )
        of_parts = [self._source(data, of_part) for of_part in frames]
        counts = [part.n_voices for part in space.parts]
        self.sources = [own for own, count in zip(of_parts, counts) for _ in range(count)]
        self._chords = [
            self._chord_sampler(own, count) if count > 1 else None
            for own, count in zip(of_parts, counts)
        ]
        self._part_of_source = torch.repeat_interleave(torch.tensor(counts)).to(device)
        self._bins_per_semitone = bins_per_semitone(data.config)

    def _source(self, data: DataSet, frames: np.ndarray) -> Source:
        note = data.note_of_frame[frames]
        octave, pitch, dynamics = data.notes.labels[note].T
        numbers = octave_pitch_to_note_number(octave, pitch)
        tuning = np.nan_to_num(data.notes.cents[note] / 100) * bool(self.config.retune)
        tuning = tuning.clip(-LARGEST_TUNING, LARGEST_TUNING)
        columns = (numbers, dynamics, data.age[frames])
        return Source(
            self.pool.places(frames),
            *(torch.from_numpy(column.astype(np.int16)).to(self.device) for column in columns),
            torch.from_numpy(data.silent[frames]).to(self.device),
            torch.from_numpy(tuning.astype(np.float32)).to(self.device),
        )

    def _chord_sampler(self, source: Source, n_voices: int) -> ChordSampler:
        return ChordSampler(source.note_number, source.dynamics, n_voices)

    @property
    def n_frames(self) -> int:
        """Frames of an epoch: those of the instrument that has most."""
        return max(len(source.places) for source in self.sources)

    def order(self, seed: int, *key: int) -> Tensor:
        """Positions of a shuffled epoch: (n_frames, instruments); shorter sources are repeated.

        They are on the device of the sources' `places`, so that reading a batch does not
        synchronise with it.
        """
        columns = []
        for index, (part, chords) in enumerate(zip(self.space.parts, self._chords)):
            if chords:
                rng = numpy_rng(seed, "chords", index, *key)
                columns.append(torch.from_numpy(chords.sample(self.n_frames, rng)))
                continue
            source = self.sources[part.voices.start]
            rng = torch_rng(seed, "order", index, *key)
            n_rounds = -(-self.n_frames // len(source.places))
            rounds = [torch.randperm(len(source.places), generator=rng) for _ in range(n_rounds)]
            columns.append(torch.cat(rounds)[: self.n_frames, None])
        return torch.cat(columns, dim=1).to(self.sources[0].places.device)

    def batch(self, positions: Tensor, seed: int, *key: int, stream: str = "mixture") -> Batch:
        """The batch at `positions: (batch, instruments)`, its random numbers named by (seed,
        stream, key).
        """
        rng = torch_rng(seed, stream, *key, device=self.device)
        weights = self._weights(len(positions), rng) * (positions != ABSENT).to(self.device)
        positions = positions.clamp_min(0)
        sources = []
        for part in self.space.parts:
            shifts = self._shifts(part.voices, positions, rng)
            for index in range(part.voices.start, part.voices.stop):
                own = positions[:, index], weights[:, index], shifts
                sources.append(self._sample(self.sources[index], *own, rng))
        clean, augmented, classes = zip(*sources)
        target = _mix(clean)
        if self.augmentation:
            encoder_input = self.augmentation.add_noise(_mix(augmented), rng)
        else:
            encoder_input = target.mean(dim=1)
        classes = torch.stack(classes, dim=1)
        if self.space.chordal:
            weights = weights.gather(1, voice_order(classes, self.space))
            classes = in_voice_order(classes, self.space)
        return Batch(target, encoder_input, classes, weights)

    def _shifts(
        self, voices: slice, positions: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor] | None:
        """Transposition and detuning of an instrument, the same for all of its voices."""
        if self.augmentation is None:
            return None
        source = self.sources[voices.start]
        numbers = source.note_number[positions[:, voices].to(self.device)].long()
        return self.augmentation.shifts(numbers, rng)

    def _weights(self, n_rows: int, rng: torch.Generator) -> Tensor:
        """(n_rows, instruments) weights of the sources: 1, or 0 at random for rests and silence."""
        n_parts = len(self.space.parts)
        rest, silence = torch.rand(2, n_rows, n_parts, generator=rng, device=rng.device)
        weights = torch.ones_like(rest)
        if self.config.random_mode == "bernoulli":
            weights = (rest < 1 - self.config.rest_share).float()
        if self.space.silence:
            weights = weights * (silence >= self.config.silence_share)
        return weights[:, self._part_of_source]

    def _sample(
        self,
        source: Source,
        positions: Tensor,
        weights: Tensor,
        shifts: tuple[Tensor, Tensor] | None,
        rng: torch.Generator,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Clean (batch, subframes, bins) and augmented (batch, bins) magnitudes of one source, and
        its classes (batch, labels).
        """
        subframes = self.pool.read(source.places[positions])
        clean = subframes * weights[:, None, None]
        positions = positions.to(self.device, non_blocking=True)
        numbers, dynamics = source.note_number[positions].long(), source.dynamics[positions].long()
        silent = source.silent[positions] | (weights == 0)
        shift = -source.tuning[positions]
        if self.augmentation is None:
            if self.config.retune:
                clean = self._shifted(clean, shift)
            return clean, None, self._classes(numbers, dynamics, source.age[positions], silent)
        steps, detuning = shifts
        shift = shift + steps
        frames = subframes.mean(dim=1)
        augmented = self._shifted(frames * weights[:, None], shift + detuning)
        others = [frames.roll(steps, dims=0) for steps in (1, 2)]
        augmented = self.augmentation.add_ringing(augmented, others[0], rng)
        augmented = self.augmentation.add_reverb(augmented, others, rng)
        augmented = self.augmentation.change_timbre(augmented, rng)
        classes = self._classes(numbers + steps, dynamics, source.age[positions], silent)
        return self._shifted(clean, shift), augmented, classes

    def _shifted(self, magnitudes: Tensor, semitones: Tensor) -> Tensor:
        return shift_bins(magnitudes, semitones * self._bins_per_semitone)

    def _classes(self, numbers: Tensor, dynamics: Tensor, age: Tensor, silent: Tensor) -> Tensor:
        """(batch, labels) in the order of the space's labels; silence is the last class, where
        there is one.
        """
        values = {
            "octave": numbers // 12 - 1,
            "pitch": numbers % 12,
            "dynamics": dynamics,
            "age": age.long(),
        }
        columns = [
            values[label].masked_fill(silent & self.space.silence, N_CLASSES[label])
            for label in self.space.labels
        ]
        return torch.stack(columns, dim=1)

    def note_numbers(self, positions: Tensor) -> Tensor:
        """MIDI numbers (batch,) of the first instrument's frames at `positions: (batch,
        instruments)`, before transposition.
        """
        return self.sources[0].note_number[positions[:, 0].clamp_min(0).to(self.device)]


@dataclass(frozen=True)
class Moments:
    """Moments of notes that one instrument can play, (moments,) each.

    Attributes:
        places: of the pool, on its device.
        note_number, dynamics, age: labels.
        shift: semitones by which the magnitudes are moved.
        gain: of the magnitudes: 1, less where the note has died away.
        weight: relative frequency at which a moment is sampled.
    """

    places: Tensor
    note_number: Tensor
    dynamics: Tensor
    age: Tensor
    shift: Tensor
    gain: Tensor
    weight: Tensor


class NoteMixer(Mixer):
    """Batches for the transfer from symbols to sound: every note of the training part, from its
    onset until it has died away.

    Frames of recordings show one attack to a hundred frames of a held note. Here each note and each
    class of its age are sampled equally often. A note that died away goes on decaying through all
    later ages: its last frame, scaled down at its own rate.
    Notes that the data lack (keys up to `--transpose` semitones away, dynamics of a key) are those
    of the nearest key, transposed.
    """

    def order(self, n_rows: int, seed: int, *key: int) -> Tensor:
        """Positions (n_rows, instruments) of a batch; of an instrument with several voices every
        other row is a single note.
        """
        columns = []
        for index, (part, chords) in enumerate(zip(self.space.parts, self._chords)):
            source = self.sources[part.voices.start]
            rng = torch_rng(seed, "notes", index, *key)
            single = torch.multinomial(source.weight, n_rows, True, generator=rng)
            columns.append(single[:, None])
            if chords:
                rows = chords.sample(n_rows, numpy_rng(seed, "chords", index, *key))
                rows[::2, 1:] = ABSENT
                rows[::2, 0] = single[::2]
                columns[-1] = torch.from_numpy(rows)
        return torch.cat(columns, dim=1)

    def _chord_sampler(self, source: Moments, n_voices: int) -> ChordSampler:
        return ChordSampler(source.note_number, source.dynamics, n_voices, source.weight)

    def _shifts(self, voices: slice, positions: Tensor, rng: torch.Generator) -> None:
        return None

    def _source(self, data: DataSet, frames: np.ndarray) -> Moments:
        """The moments of one instrument's notes in their `frames: (frames,)`."""
        frames = np.sort(frames)
        notes, first = np.unique(data.note_of_frame[frames], return_index=True)
        frames_of = dict(zip(notes.tolist(), np.split(frames, first[1:])))
        tuning = np.nan_to_num(data.notes.cents / 100) * bool(self.config.retune)
        tuning = tuning.clip(-LARGEST_TUNING, LARGEST_TUNING)
        octave, pitch, dynamics = data.notes.labels.T
        number = octave_pitch_to_note_number(octave, pitch)
        reach = self.config.transpose if self.config.augment else 0
        rows = []
        for note, steps in nearest_notes(notes, number[notes], dynamics[notes], reach):
            frames = frames_of[note]
            later, decay = _decayed(data, note, frames)
            age = np.concatenate([data.age[frames], later])
            gain = np.concatenate([np.ones(len(frames)), decay])
            frames = np.concatenate([frames, np.full(len(later), frames[-1])])
            per_class = np.bincount(age)
            rows.append(
                (
                    frames,
                    np.full(len(age), number[note] + steps),
                    np.full(len(age), dynamics[note]),
                    age,
                    np.full(len(age), steps - tuning[note]),
                    gain,
                    1 / per_class[age],
                )
            )
        frames, *columns = (np.concatenate(column) for column in zip(*rows))
        number, dynamics, age, shift, gain, weight = map(torch.from_numpy, columns)
        return Moments(
            self.pool.places(frames),
            number.to(self.device),
            dynamics.to(self.device),
            age.to(self.device),
            shift.float().to(self.device),
            gain.float().to(self.device),
            weight.double(),
        )

    def _sample(
        self,
        source: Moments,
        positions: Tensor,
        weights: Tensor,
        shifts: None,
        rng: torch.Generator,
    ) -> tuple[Tensor, None, Tensor]:
        subframes = self.pool.read(source.places[positions.to(source.places.device)])
        positions = positions.to(self.device, non_blocking=True)
        gain = weights * source.gain[positions]
        target = self._shifted(subframes * gain[:, None, None], source.shift[positions])
        columns = (source.note_number, source.dynamics, source.age)
        return target, None, self._classes(*(c[positions] for c in columns), weights == 0)


def nearest_notes(
    notes: np.ndarray, number: np.ndarray, dynamics: np.ndarray, reach: int
) -> list[tuple[int, int]]:
    """Notes and the semitones to transpose them by, such that every key and dynamic that is at most
    `reach` semitones from one of the same dynamic occurs: the notes themselves, and for what is
    missing the nearest ones (above and below, where they are equally near).

    Args:
        notes, number, dynamics: (notes,) indices, MIDI numbers, dynamics.
    """
    pairs = [(int(note), 0) for note in notes]
    for level in np.unique(dynamics):
        of_level = np.flatnonzero(dynamics == level)
        keys = np.unique(number[of_level])
        wanted = np.unique(keys[:, None] + np.arange(-reach, reach + 1))
        wanted = wanted[is_in_range(wanted)]
        for key in np.setdiff1d(wanted, keys):
            distance = np.abs(number[of_level] - key)
            nearest = of_level[distance == distance.min()]
            pairs += [(int(notes[index]), int(key - number[index])) for index in nearest]
    return pairs


def random_combinations(space: LabelSpace, n_rows: int, rng: torch.Generator) -> Tensor:
    """Classes (n_rows, instruments, labels) of random notes: every label uniform and independent of
    the others, but silence is in all labels of an instrument or in none. Of several voices any
    number sounds, each as often.
    """
    shape = (n_rows, len(space.instruments), 1)
    columns = [
        torch.randint(N_CLASSES[label], shape, generator=rng, device=rng.device)
        for label in space.labels
    ]
    classes = torch.cat(columns, dim=2)
    if not space.silence:
        return classes
    # silence is one class more among those of the label that has fewest
    chance = 1 / (1 + min(N_CLASSES[label] for label in space.labels))
    silent = torch.rand(shape, generator=rng, device=rng.device) < chance
    for part in space.chordal:
        n_notes = torch.randint(part.n_voices + 1, (n_rows, 1, 1), generator=rng, device=rng.device)
        silent[:, part.voices] = torch.arange(part.n_voices, device=rng.device)[:, None] >= n_notes
    silence = torch.from_numpy(space.silence_classes).to(rng.device)
    return in_voice_order(torch.where(silent, silence, classes), space)


def _decayed(data: DataSet, note: int, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The classes of age after the last of a note's `frames: (frames,)`, and the gains (classes,)
    of the last frame at the middles of these classes, if its level goes on falling as in the second
    half of the note, or of its release; 0 where there is but one frame to tell. Both are empty for
    a note that has not died away.
    """
    age = data.age[frames]
    released = age[-1] >= FIRST_RELEASE_AGE
    later = np.arange(age[-1] + 1, FIRST_LEAD_AGE if released else FIRST_RELEASE_AGE)
    if not data.silent[frames[-1]]:
        return later[:0], np.zeros(0)
    tail = frames[(age >= FIRST_RELEASE_AGE) == released]
    tail = tail[len(tail) // 2 :]
    seconds = (tail + 0.5 - data.starts[note]) * data.config.frame_seconds
    seconds -= (data.notes.release if released else data.notes.onset)[note]
    levels_db = 20 * np.log10(np.maximum(data.peaks[tail], np.finfo(np.float32).tiny))
    slope = np.polyfit(seconds, levels_db, 1)[0] if len(tail) > 1 else -np.inf
    return later, 10 ** (min(slope, 0.0) * (AGE_MIDDLES[later] - seconds[-1]) / 20)


def _mix(sources: Sequence[Tensor]) -> Tensor:
    """Magnitudes of the sum of independent sources, (batch, ..., bins) each."""
    return sum(source.square() for source in sources).sqrt()
