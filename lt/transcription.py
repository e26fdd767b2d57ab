"""Transcription: what a run hears in spectra, and the notes in it.

The ladder: magnitudes -> `Hearing` (class probabilities a frame, from the symbol decoder at the signal's posterior
mean) -> notes (a hidden Markov model over silence and every note, librosa's Viterbi) -> tracks of a file. Frames
are heard at a grid finer than the model's hop: each is still the mean over a whole model frame, but they start
every `STRIDE` coefficients, so that a note's edges are known to a few milliseconds.

Names: `probabilities: (frames, classes)`, one a group; `level_db: (frames,)`; times in seconds.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from lt.audio import stream_audio
from lt.config import SpectralConfig
from lt.labels import (DEFAULT_DYNAMICS, DEFAULT_OCTAVE, N_CLASSES, SILENCE, LabelSpace, NoteLabels,
                       dynamics_to_velocity, octave_pitch_to_note_number)
from lt.midi import Note, Track
from lt.runs import Run
from lt.soundfonts import INSTRUMENTS
from lt.spectra import nsgt, stream_spectra
from lt.tuning import TuningMeter, tune

STRIDE = 2  # coefficients between heard frames: 128 samples, 5.8 ms
BATCH = 4096  # frames encoded at once
CHANGE_SECONDS = 0.35  # mean time between changes of state that the hidden Markov model expects
SHORTEST_SECONDS = 0.05  # of a note
ONSET_DB, OFFSET_DB = -12.0, -18.0  # a note begins and ends where its level passes these, relative to its peak
DIP_DB = 12.0  # a note whose level falls by this much and quickly rises again was struck twice
RISE_SECONDS = 0.08  # how quickly
REPEAT_SECONDS = 0.1  # between strokes of one note at least
EDGE_SECONDS = 0.12  # how far from a change of state the level's dip is looked for
SNAP_DB = 3.0  # and how deep it must be
QUIETEST_DB = -60.0  # below the loudest frame of a recording nothing is heard


@dataclass(frozen=True)
class Hearing:
    """What a run hears in a recording, frame by frame.

    Attributes:
        space: the labels. probabilities: one (frames, classes) a group, as `LabelSpace.group_sizes`.
        level_db: (frames,) of the sound around each frame's centre, relative to full scale.
        times: (frames,) centre of each frame in seconds. frame_seconds: how much sound each is the mean of.
    """
    space: LabelSpace
    probabilities: tuple[np.ndarray, ...]
    level_db: np.ndarray
    times: np.ndarray
    frame_seconds: float

    def __len__(self) -> int:
        return len(self.times)

    @property
    def step(self) -> float:
        """Seconds from frame to frame."""
        return self.times[1] - self.times[0] if len(self) > 1 else 1.0

    @property
    def weight(self) -> float:
        """How much of a model frame each frame is worth as evidence."""
        return min(1.0, self.step / self.frame_seconds)

    @property
    def classes(self) -> np.ndarray:
        """(frames, instruments, labels) most probable classes."""
        best = np.stack([group.argmax(axis=1) for group in self.probabilities], axis=1)
        return best.reshape(len(best), len(self.space.instruments), len(self.space.labels))

    def every(self, stride: int) -> Hearing:
        """Every so many frames."""
        return Hearing(self.space, tuple(group[::stride] for group in self.probabilities), self.level_db[::stride],
                       self.times[::stride], self.frame_seconds)


# --- spectra to frames of probabilities -------------------------------------------------------------------

@torch.no_grad()
def symbol_probabilities(run: Run, magnitudes: Tensor, sharp: float = 0.0) -> tuple[Tensor, ...]:
    """Magnitudes (frames, bins) of a recording `sharp` semitones above its nominal pitch -> one (frames, classes) a
    group, by the posterior mean."""
    tuned = (tune(block.to(run.device), -sharp, run.front_end) for block in magnitudes.split(BATCH))
    blocks = [run.model.signal_to_symbol(run.scaler.apply(block)).probabilities() for block in tuned]
    return tuple(torch.cat(groups).cpu() for groups in zip(*blocks))


def hear(run: Run, blocks: Iterable[Tensor], sharp: float = 0.0) -> Hearing:
    """Blocks of audio (samples,), `sharp` semitones above its nominal pitch -> Hearing on the fine grid, in memory
    bounded but for the result."""
    probabilities: list[tuple[Tensor, ...]] = []
    meter = LevelMeter(STRIDE * run.front_end.hop)
    for frames in fine_frames(meter.watch(blocks), run.front_end, run.device):
        probabilities.append(symbol_probabilities(run, frames, sharp))
    groups = tuple(torch.cat(group).numpy() for group in zip(*probabilities))
    level_db = meter.level_db(len(groups[0]))
    hop_seconds = STRIDE * run.front_end.hop / run.front_end.sample_rate
    return Hearing(run.space, groups, level_db, np.arange(len(level_db)) * hop_seconds, run.front_end.frame_seconds)


class LevelMeter:
    """The level of a sound that passes by, a value every `hop` samples.

    Edges of notes are read from it: a band of the constant-Q scale rings for up to a quarter of a second, the sound
    itself does not. The window is two hops wide on either side (triangular, 23 ms at the defaults).
    """

    def __init__(self, hop: int) -> None:
        self._hop, self._rest, self._powers = hop, torch.zeros(0), []

    def watch(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Pass blocks (samples,) on, measuring them."""
        for block in blocks:
            samples = torch.cat([self._rest, block.cpu()])
            n_whole = len(samples) // self._hop * self._hop
            self._powers.append(samples[:n_whole].view(-1, self._hop).square().mean(dim=1))
            self._rest = samples[n_whole:]
            yield block

    def level_db(self, n_frames: int) -> np.ndarray:
        """(n_frames,) levels centred at each hop, in dB relative to full scale."""
        last = self._rest.square().sum().reshape(1) / self._hop
        power = torch.cat([*self._powers, last]).double().numpy()
        power = np.pad(power, 2)[:n_frames + 4]
        power = np.pad(power, (0, n_frames + 4 - len(power)))
        around = (power[:-3] + 3 * power[1:-2] + 3 * power[2:-1] + power[3:]) / 8
        return 10 * np.log10(np.maximum(around[:n_frames], 1e-12))


def fine_frames(blocks: Iterable[Tensor], config: SpectralConfig, device: torch.device) -> Iterator[Tensor]:
    """Blocks of audio -> blocks of frames (frames, bins): means over a model frame, centred at every
    STRIDE-th coefficient; beyond the recording's ends there is silence."""
    width = config.frame_hop // config.hop
    before, after = width // 2, width - 1 - width // 2
    rest = torch.zeros(before, config.n_bins, device=device)
    for coefficients in _ended(nsgt(config, device).stream_magnitude_frames(blocks, config.hop), after):
        rest = torch.cat([rest, coefficients.to(device)])
        n_frames = (len(rest) - width) // STRIDE + 1
        if n_frames > 0:
            sums = torch.cat([rest.new_zeros(1, config.n_bins, dtype=torch.float64), rest.double().cumsum(dim=0)])
            starts = torch.arange(n_frames, device=device) * STRIDE
            yield ((sums[starts + width] - sums[starts]) / width).clamp_min(0).float()
            rest = rest[n_frames * STRIDE:]


def _ended(blocks: Iterable[Tensor], n_zeros: int) -> Iterator[Tensor]:
    """Blocks (rows, bins), then rows of zeros."""
    n_bins = 0
    for block in blocks:
        n_bins = block.shape[1]
        yield block
    yield torch.zeros(n_zeros, n_bins)


# --- frames to notes --------------------------------------------------------------------------------------

def note_probabilities(hearing: Hearing, instrument: int) -> tuple[np.ndarray, np.ndarray]:
    """One instrument's states: their note numbers (states,), `SILENCE` first, and probabilities (frames, states).

    Octave and pitch are independent given the latent, so a note's probability is their product; labels that the
    model lacks are taken as octave 4.
    """
    labels = hearing.space.labels
    groups = dict(zip(labels, hearing.probabilities[instrument * len(labels):(instrument + 1) * len(labels)]))
    pitch = groups["pitch"][:, :N_CLASSES["pitch"]]
    if "octave" in groups:
        octave, octaves = groups["octave"][:, :N_CLASSES["octave"]], np.arange(N_CLASSES["octave"])
    else:
        octave, octaves = np.ones((len(hearing), 1)), np.array([DEFAULT_OCTAVE])
    notes = (octave[:, :, None] * pitch[:, None, :]).reshape(len(hearing), -1)
    silence = np.zeros((len(hearing), 1))
    if hearing.space.silence:
        silence = np.prod([groups[label][:, -1:] for label in ("octave", "pitch") if label in groups], axis=0)
    numbers = octave_pitch_to_note_number(octaves[:, None], np.arange(N_CLASSES["pitch"])[None]).ravel()
    states = np.concatenate([silence, notes], axis=1) + 1e-6
    return np.concatenate([[SILENCE], numbers]), states / states.sum(axis=1, keepdims=True)


def decode_states(probabilities: np.ndarray, stay: float) -> np.ndarray:
    """Most probable path (frames,) through states that last: probabilities (frames, states), chance to stay."""
    from librosa.sequence import transition_loop, viterbi
    n_states = probabilities.shape[1]
    if n_states == 1 or not len(probabilities):
        return np.zeros(len(probabilities), np.int64)
    return viterbi(probabilities.T, transition_loop(n_states, stay))


def hearing_to_notes(hearing: Hearing, instrument: int = 0) -> list[Note]:
    """Hearing -> the notes of one instrument."""
    if "pitch" not in hearing.space.labels or not len(hearing):
        return []
    dynamics, notes = _dynamics(hearing, instrument), []
    for number, start, end in _strokes(_heard_numbers(hearing, instrument), hearing):
        start, end = _edges(hearing.level_db, start, end)
        onset, offset = hearing.times[start], hearing.times[end - 1] + hearing.step
        if offset - onset >= SHORTEST_SECONDS:
            notes.append(Note(float(onset), float(offset), int(number), _velocity(dynamics[start:end])))
    return notes


def _heard_numbers(hearing: Hearing, instrument: int) -> np.ndarray:
    """(frames,) the note number of the most probable path, `SILENCE` where nothing sounds."""
    numbers, probabilities = note_probabilities(hearing, instrument)
    # states that may be heard at all: the others cost time and change nothing
    used = np.flatnonzero(probabilities.max(axis=0) > 1e-3)
    used = used if 0 in used else np.concatenate([[0], used])
    # neighbouring frames share most of their samples: together they weigh as much as one model frame
    evidence = probabilities[:, used] ** hearing.weight
    path = used[decode_states(evidence / evidence.sum(axis=1, keepdims=True), np.exp(-hearing.step / CHANGE_SECONDS))]
    quiet = hearing.level_db < hearing.level_db.max() + QUIETEST_DB
    return np.where(quiet, SILENCE, numbers[path])


def _strokes(heard: np.ndarray, hearing: Hearing) -> Iterator[tuple[int, int, int]]:
    """Runs of one number (number, start, end), split where the level dips: the note was struck again."""
    n_edge, n_rise, n_shortest = (round(seconds / hearing.step)
                                  for seconds in (EDGE_SECONDS, RISE_SECONDS, REPEAT_SECONDS))
    bounds = _snap(np.flatnonzero(np.diff(heard)) + 1, hearing.level_db, n_edge)
    middles = (np.array([0, *bounds]) + np.array([*bounds, len(heard)])) // 2
    for middle, start, end in zip(middles, [0, *bounds], [*bounds, len(heard)]):
        if end <= start or heard[middle] == SILENCE:
            continue
        dips = _dips(hearing.level_db[start:end], n_rise, n_shortest)
        for first, last in zip([0, *dips], [*dips, end - start]):
            yield heard[middle], start + first, start + last


def _snap(bounds: np.ndarray, level_db: np.ndarray, n_edge: int) -> list[int]:
    """Changes of state moved to the quietest frame within n_edge, where the level dips there by SNAP_DB; the bands
    of low notes ring, so that a change is heard too late or too early, but the sound itself shows it."""
    snapped: list[int] = []
    for bound in bounds:
        first, last = max(bound - n_edge, snapped[-1] if snapped else 0), min(bound + n_edge, len(level_db))
        around = level_db[first:last]
        at = int(around.argmin())
        deep = min(around[:at + 1].max(), around[at:].max()) - around[at] >= SNAP_DB
        snapped.append(first + at if deep else max(int(bound), first))
    return snapped


def _edges(level_db: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """The frames in which a stroke sounds: from where it passes ONSET_DB to where it falls below OFFSET_DB."""
    own = level_db[start:end]
    peak = own.max()
    before_peak = np.flatnonzero(own >= peak + ONSET_DB)
    return start + int(before_peak[0]), start + int(np.flatnonzero(own >= peak + OFFSET_DB)[-1]) + 1


def _dips(level_db: np.ndarray, n_rise: int, n_shortest: int) -> list[int]:
    """Frames at the bottom of each dip: the level falls by DIP_DB, and rises by as much within n_rise frames; strokes
    shorter than n_shortest frames are one note's uneven attack."""
    dips, peak, bottom, at = [], -np.inf, np.inf, 0
    for index, level in enumerate(level_db):
        if level <= bottom:
            bottom, at = level, index
        if min(level, peak) > bottom + DIP_DB:
            quick = level - level_db[max(index - n_rise, 0):index].min() > DIP_DB
            if quick and at - (dips[-1] if dips else 0) >= n_shortest:
                dips.append(at)
            peak, bottom = level, level
        elif level > peak:
            peak, bottom = level, level
    return dips


def _dynamics(hearing: Hearing, instrument: int) -> np.ndarray:
    """(frames,) dynamics heard; mf from a model without them."""
    labels = hearing.space.labels
    if "dynamics" not in labels:
        return np.full(len(hearing), DEFAULT_DYNAMICS)
    group = hearing.probabilities[instrument * len(labels) + labels.index("dynamics")]
    return group[:, :N_CLASSES["dynamics"]].argmax(axis=1)


def _velocity(dynamics: np.ndarray) -> int:
    return int(dynamics_to_velocity(int(np.bincount(dynamics).argmax())))


# --- files ------------------------------------------------------------------------------------------------

def hear_file(run: Run, path: Path | str) -> Hearing:
    """A sound file -> Hearing on the fine grid. Raises as `lt.audio.stream_audio`."""
    return hear(run, _blocks(run, path), file_tuning(run, path))


def file_tuning(run: Run, path: Path | str) -> float:
    """Semitones by which a recording is sharp, for a run that hears tuned sound (`--retune 1`); else 0."""
    if not run.config.retune:
        return 0.0
    meter = TuningMeter(run.front_end)
    for spectra in stream_spectra(_blocks(run, path), run.front_end, run.device):
        meter.add(spectra.magnitudes)
    return meter.semitones


def _blocks(run: Run, path: Path | str) -> Iterator[Tensor]:
    return (torch.from_numpy(block) for block in stream_audio(path, run.front_end.sample_rate))


def transcribe(hearing: Hearing) -> list[Track]:
    """Hearing -> one track an instrument, named and with its General MIDI program where that is known."""
    return [Track(name, INSTRUMENTS[name].program if name in INSTRUMENTS else 0,
                  tuple(hearing_to_notes(hearing, index))) for index, name in enumerate(hearing.space.instruments)]


def transcribe_file(run: Run, path: Path | str) -> list[Track]:
    """A sound file -> one track an instrument. Raises as `lt.audio.stream_audio`."""
    return transcribe(hear_file(run, path))


def hearing_to_labels(hearing: Hearing) -> list[NoteLabels]:
    """The most probable labels of each frame, one NoteLabels an instrument."""
    return hearing.space.to_labels(hearing.classes)
