"""Hearing: what a run makes of a recording, frame by frame: class probabilities, levels, and what
changes are heard by.

Frames are heard at a grid finer than the model's hop: each is still the mean over a whole model
frame, but they start every `STRIDE` coefficients, so that a note's edges are known to a few
milliseconds. Probabilities come from the symbol decoder at the signal's posterior mean.

Names: `probabilities: (frames, classes)`, one a group; `level_db: (frames,)`; times in seconds.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from lt.audio.features import nsgt, stream_magnitudes
from lt.audio.filters import cut_rumble
from lt.audio.io import stream_audio
from lt.audio.tuning import TuningMeter, tune
from lt.config import SpectralConfig
from lt.files import write_text
from lt.labels import (
    SEMITONES,
    LabelSpace,
)
from lt.models.runs import Run
from lt.rows import Rows

STRIDE = 2  # coefficients between heard frames: 128 samples, 5.8 ms
BATCH = 4096  # frames encoded at once


@dataclass(frozen=True)
class Hearing:
    """What a run hears in a recording, frame by frame.

    Attributes:
        space: the labels. probabilities: one (frames, classes) a group, as
            `LabelSpace.group_sizes`.
        level_db: (frames,) of the sound around each frame's centre, relative to full scale.
        times: (frames,) centre of each frame in seconds. frame_seconds: how much sound each is the
            mean of.
        bands: (frames, bands) float16 magnitudes a semitone wide, from `fmin` hertz up; None where
            they are not known.
        clear_db: (frames,) as level_db, without rumble, which fills the dips between soft notes;
            level_db unless given.
    """

    space: LabelSpace
    probabilities: tuple[np.ndarray, ...]
    level_db: np.ndarray
    times: np.ndarray
    frame_seconds: float
    bands: np.ndarray | None = None
    fmin: float = 0.0
    clear_db: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.clear_db is None:
            object.__setattr__(self, "clear_db", self.level_db)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def step(self) -> float:
        """Seconds from frame to frame."""
        return self.times[1] - self.times[0] if len(self) > 1 else self.frame_seconds

    @property
    def weight(self) -> float:
        """How much of a model frame each frame is worth as evidence."""
        return min(1.0, self.step / self.frame_seconds)

    @property
    def classes(self) -> np.ndarray:
        """(frames, instruments, labels) most probable classes."""
        best = np.stack([group.argmax(axis=1) for group in self.probabilities], axis=1)
        return best.reshape(len(best), len(self.space.instruments), len(self.space.labels))

    def spectra(self, instrument: int) -> np.ndarray:
        """(frames, anything) by which a change is heard: the bands of a single instrument; in
        mixtures, where a loud one covers the others' changes, the instrument's own probabilities.
        """
        if self.bands is not None and len(self.space.instruments) == 1:
            return self.bands
        n_labels = len(self.space.labels)
        return np.concatenate(
            self.probabilities[instrument * n_labels : (instrument + 1) * n_labels], axis=1
        )

    def part(self, rows: slice) -> Hearing:
        """Some of the frames."""
        return Hearing(
            self.space,
            tuple(group[rows] for group in self.probabilities),
            self.level_db[rows],
            self.times[rows],
            self.frame_seconds,
            None if self.bands is None else self.bands[rows],
            self.fmin,
            self.clear_db[rows],
        )


# --- spectra to frames of probabilities -----------------------------------------------------------


@torch.no_grad()
def symbol_probabilities(run: Run, magnitudes: Tensor, sharp: float = 0.0) -> tuple[Tensor, ...]:
    """Magnitudes (frames, bins) of a recording `sharp` semitones above its nominal pitch -> one
    (frames, classes) a group, by the posterior mean.
    """
    tuned = (tune(block.to(run.device), -sharp, run.front_end) for block in magnitudes.split(BATCH))
    blocks = [
        run.model.signal_to_symbol(run.scaler.apply(block)).probabilities() for block in tuned
    ]
    return tuple(torch.cat(groups).cpu() for groups in zip(*blocks))


def hear(run: Run, blocks: Iterable[Tensor], sharp: float = 0.0) -> Hearing:
    """Blocks of audio (samples,), `sharp` semitones above its nominal pitch -> Hearing on the fine
    grid, in memory bounded but for the result.
    """
    groups, bands = tuple(Rows() for _ in run.space.group_sizes), Rows()
    meter, clear_meter = (LevelMeter(STRIDE * run.front_end.hop) for _ in range(2))
    clear = clear_meter.watch(_without_rumble(meter.watch(blocks), run.front_end))
    for frames in fine_frames(clear, run.front_end, run.device):
        for rows, group in zip(groups, symbol_probabilities(run, frames, sharp)):
            rows.add(group.numpy())
        bands.add(_semitones(frames, run.front_end).cpu().numpy())
    level_db = meter.level_db(len(bands))
    hop_seconds = STRIDE * run.front_end.hop / run.front_end.sample_rate
    return Hearing(
        run.space,
        tuple(rows.array() for rows in groups),
        level_db,
        np.arange(len(level_db)) * hop_seconds,
        run.front_end.frame_seconds,
        bands.array(),
        run.front_end.fmin,
        clear_meter.level_db(len(bands)),
    )


def _semitones(frames: Tensor, config: SpectralConfig) -> Tensor:
    """Frames (frames, bins) -> (frames, bands) float16: the root of the power within each semitone."""
    width = config.bins_per_octave // SEMITONES
    whole = frames[:, : frames.shape[1] // width * width].unflatten(1, (-1, width))
    return whole.square().sum(dim=2).sqrt().clamp_max(torch.finfo(torch.half).max).half()


class LevelMeter:
    """The level of a sound that passes by, a value every `hop` samples.

    Edges of notes are read from it: a band of the constant-Q scale rings for up to a quarter of a
    second, the sound itself does not. The window is two hops wide on either side (triangular, 23 ms
    at the defaults).
    """

    def __init__(self, hop: int) -> None:
        self._hop, self._rest, self._powers = hop, torch.zeros(0), Rows()

    def watch(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Pass blocks (samples,) on, measuring them."""
        for block in blocks:
            samples = torch.cat([self._rest, block.cpu()])
            n_whole = len(samples) // self._hop * self._hop
            self._powers.add(samples[:n_whole].view(-1, self._hop).square().mean(dim=1).numpy())
            self._rest = samples[n_whole:]
            yield block

    def level_db(self, n_frames: int) -> np.ndarray:
        """(n_frames,) levels centred at each hop, in dB relative to full scale."""
        last = self._rest.square().sum().reshape(1) / self._hop
        power = np.concatenate([self._powers.array(), last.numpy()]).astype(np.float64)
        power = np.pad(power, 2)[: n_frames + 4]
        power = np.pad(power, (0, n_frames + 4 - len(power)))
        around = (power[:-3] + 3 * power[1:-2] + 3 * power[2:-1] + power[3:]) / 8
        return 10 * np.log10(np.maximum(around[:n_frames], 1e-12))


def fine_frames(
    blocks: Iterable[Tensor], config: SpectralConfig, device: torch.device
) -> Iterator[Tensor]:
    """Blocks of audio -> blocks of frames (frames, bins): means over a model frame, centred at
    every STRIDE-th coefficient; beyond the recording's ends there is silence.
    """
    width = config.frame_hop // config.hop
    before, after = width // 2, width - 1 - width // 2
    rest = torch.zeros(before, config.n_bins, device=device)
    for coefficients in _ended(
        nsgt(config, device).stream_magnitude_frames(blocks, config.hop), after
    ):
        rest = torch.cat([rest, coefficients.to(device)])
        n_frames = (len(rest) - width) // STRIDE + 1
        if n_frames > 0:
            sums = torch.cat(
                [rest.new_zeros(1, config.n_bins, dtype=torch.float64), rest.double().cumsum(dim=0)]
            )
            starts = torch.arange(n_frames, device=device) * STRIDE
            yield ((sums[starts + width] - sums[starts]) / width).clamp_min(0).float()
            rest = rest[n_frames * STRIDE :]


def _ended(blocks: Iterable[Tensor], n_zeros: int) -> Iterator[Tensor]:
    """Blocks (rows, bins), then rows of zeros."""
    n_bins = 0
    for block in blocks:
        n_bins = block.shape[1]
        yield block
    yield torch.zeros(n_zeros, n_bins)


# --- files ----------------------------------------------------------------------------------------


def hear_file(run: Run, path: Path | str) -> Hearing:
    """A sound file -> Hearing on the fine grid. Raises as `lt.audio.io.stream_audio`."""
    return hear(run, audio_blocks(run, path), file_tuning(run, path))


def file_tuning(run: Run, path: Path | str) -> float:
    """Semitones by which a recording is sharp, for a run that hears tuned sound (`--retune 1`);
    else 0.
    """
    if not run.config.retune:
        return 0.0
    meter = TuningMeter(run.front_end)
    for magnitudes in magnitude_blocks(run, path):
        meter.add(magnitudes)
    return meter.semitones


def audio_blocks(run: Run, path: Path | str) -> Iterator[Tensor]:
    """A sound file's samples, block by block, at the run's rate. Raises as
    `lt.audio.io.stream_audio`.
    """
    return (torch.from_numpy(block) for block in stream_audio(path, run.front_end.sample_rate))


def magnitude_blocks(run: Run, path: Path | str) -> Iterator[Tensor]:
    """Magnitudes (frames, bins) of a sound file's model frames, block by block, on the CPU. Raises
    as `lt.audio.io.stream_audio`.
    """
    for magnitudes in stream_magnitudes(
        _without_rumble(audio_blocks(run, path), run.front_end), run.front_end, run.device
    ):
        yield magnitudes.cpu()


def _without_rumble(blocks: Iterable[Tensor], config: SpectralConfig) -> Iterator[Tensor]:
    """Blocks of audio (samples,) on the CPU without rumble."""
    return map(torch.from_numpy, cut_rumble((block.numpy() for block in blocks), config))


def write_labels_csv(
    path: Path | str, probabilities: Sequence[np.ndarray], space: LabelSpace, frame_seconds: float
) -> None:
    """Class probabilities, one (frames, classes) a group -> a row a frame: time, then class and
    probability a label.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["time", *(name for column in space.columns for name in (column, f"{column}_p"))]
    )
    best = [group.argmax(axis=1) for group in probabilities]
    for frame in range(len(best[0])):
        cells = [
            cell
            for classes, group in zip(best, probabilities)
            for cell in (int(classes[frame]), f"{group[frame, classes[frame]]:.4f}")
        ]
        writer.writerow([f"{frame * frame_seconds:.4f}", *cells])
    write_text(path, text.getvalue())
