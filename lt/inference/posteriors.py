"""Analysis of a recording: class posteriors of model frames, sound levels and semitone bands.

A recording is decoded, high-passed and transformed once (`analyse_recording`). Everything else is
computed from the result: notes, CSV of labels, reconstructions, plots, evaluation.

There are two grids in time. Posteriors are computed on model frames (32 ms), by the symbol decoder
at the signal encoder's posterior mean. Levels and semitone bands, from which onsets and offsets are
read, are on a fine grid (5.8 ms). Posteriors on the fine grid too would need the encoder 5.5 times
as often and find the same notes: on nine recordings each of flute, piano, violin and trumpet the
note F1 is equal, and the accuracy of frames differs by 0.0008 at most.

Names: `probabilities: (model frames, classes)`, one per group of `LabelSpace.group_sizes`;
`level_db: (fine frames,)`; `bands: (fine frames, bands)`; times in seconds.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import tee
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import avg_pool1d, pad

from lt.audio.features import nsgt, semitone_bands
from lt.audio.filters import high_pass_blocks
from lt.audio.io import audio_seconds, check_audio, stream_audio
from lt.audio.tuning import estimate_tuning, tune
from lt.config import SpectralConfig
from lt.files import write_csv
from lt.inference.symbol_spectra import SymbolSpectra, symbol_spectra
from lt.labels import REST, SEMITONES, SILENCE, LabelSpace, number_to_note_name
from lt.messages import counted
from lt.models.runs import Run
from lt.progress import Progress, silent

FINE_HOP = 128  # samples from one fine frame to the next, 5.8 ms, rounded to whole coefficients
BLOCK_FRAMES = 64  # model frames that are encoded or decoded at once


def stride(config: SpectralConfig) -> int:
    """Coefficients from one fine frame to the next."""
    return max(1, round(FINE_HOP / config.hop))


@dataclass(frozen=True)
class Posteriors:
    """What note decoding needs to know about a recording.

    Attributes:
        space: the labels.
        probabilities: (model frames, classes) of each group, as `LabelSpace.group_sizes`. Model
            frame n covers the time from n * frame_seconds to (n + 1) * frame_seconds.
        frame_seconds: duration of a model frame.
        step: seconds from one fine frame to the next; fine frame n is centred at n * step.
        level_db: (fine frames,) level of the sound, relative to full scale.
        clear_db: (fine frames,) the same after the high-pass: low-frequency noise would fill the
            dips between soft notes.
        bands: (fine frames, bands) float16, magnitudes of semitone-wide bands from `fmin` hertz up,
            each the mean over the duration of a model frame.
        fmin: lower edge of the first band in hertz, in a recording at A = 440 Hz.
        symbols: spectra of each instrument's symbols, which tell velocities and whether it is
            struck; none where there are none (see `symbol_spectra`).
        keys: (model frames, chordal instruments, keys) probability that each key sounds, from C0
            on; None where each instrument has one voice.
    """

    space: LabelSpace
    probabilities: tuple[np.ndarray, ...]
    frame_seconds: float
    step: float
    level_db: np.ndarray
    clear_db: np.ndarray
    bands: np.ndarray
    fmin: float
    symbols: tuple[SymbolSpectra, ...] = ()
    keys: np.ndarray | None = None

    def __repr__(self) -> str:
        n_frames = len(self.probabilities[0])
        seconds, names = n_frames * self.frame_seconds, ", ".join(self.space.instruments)
        return f"Posteriors({names}: {counted(n_frames, 'frame')}, {seconds:.1f} s)"

    def _repr_html_(self) -> str:
        """For notebooks: the class probabilities over time."""
        from lt.inference.figures import plot_posteriors
        from lt.plotting import figure_html

        return figure_html(plot_posteriors(self.probabilities, self.space, self.frame_seconds))

    def __len__(self) -> int:
        """Number of fine frames."""
        return len(self.level_db)

    @cached_property
    def times(self) -> np.ndarray:
        """(fine frames,) centre of each fine frame in seconds."""
        return np.arange(len(self)) * self.step

    @cached_property
    def model_frames(self) -> np.ndarray:
        """(fine frames,) index of the model frame in which the centre of each fine frame is."""
        frames = (self.times / self.frame_seconds + 1e-6).astype(int)
        return frames.clip(max=len(self.probabilities[0]) - 1)

    @property
    def interpolation(self) -> csr_array:
        """(fine frames, model frames) weights that interpolate model frames linearly in time."""
        last = len(self.probabilities[0]) - 1
        position = (self.times / self.frame_seconds - 0.5).clip(0, last)
        below = position.astype(int)
        weight = (position - below).astype(np.float32)
        frames = np.concatenate([below, np.minimum(below + 1, last)])
        fine = np.tile(np.arange(len(self)), 2)
        weights = np.concatenate([1 - weight, weight])
        return csr_array((weights, (fine, frames)), shape=(len(self), last + 1))

    def groups(self, instrument: int) -> dict[str, np.ndarray]:
        """Label -> (model frames, classes) of one instrument."""
        labels = self.space.labels
        first = instrument * len(labels)
        return dict(zip(labels, self.probabilities[first : first + len(labels)]))


@dataclass(frozen=True)
class RecordingSpectra:
    """The spectra of a recording.

    Attributes:
        magnitudes: (model frames, bins) on the CPU, as recorded (not retuned).
        tuning: semitones above A = 440 Hz by which the run has to retune the magnitudes: as given,
            or as found; 0 for a run without `--retune 1`.
    """

    magnitudes: Tensor
    tuning: float

    def __repr__(self) -> str:
        frames = counted(len(self.magnitudes), "frame")
        return f"RecordingSpectra({frames}, tuning {self.tuning:+.2f} semitones)"


@dataclass(frozen=True)
class RecordingAnalysis:
    """A recording, transformed once: its spectra, the posteriors of the retuned ones, and levels
    and bands.
    """

    spectra: RecordingSpectra
    posteriors: Posteriors


# --- analysis -------------------------------------------------------------------------------------


def analyse_recording(
    run: Run, path: Path | str, progress: Progress = silent, tuning: float | None = None
) -> RecordingAnalysis:
    """Decode a sound file and analyse it: spectra, and the posteriors of its symbols. An hour takes
    0.4 GB.

    Args:
        tuning: hertz of its A4; None: found where the run has `--retune 1`, else 440.

    Raises:
        FileNotFoundError, ValueError: as `lt.audio.io.stream_audio`.

    Example:
        >>> run = lt.load_run("saves/flute__Flute")
        >>> lt.analyse_recording(run, "recording.wav").posteriors.groups(0)["pitch"].shape
        (32, 13)
    """
    blocks = stream_audio(path, run.front_end.sample_rate)
    return analyse_audio(run, blocks, audio_seconds(path), progress, tuning)


def analyse_audio(
    run: Run,
    blocks: Iterable[np.ndarray],
    seconds: float | None = None,
    progress: Progress = silent,
    tuning: float | None = None,
) -> RecordingAnalysis:
    """Analyse audio that comes in `blocks: (samples,)`, in one pass.

    Args:
        seconds: duration, for the progress bar.
        tuning: hertz of its A4; None: found where the run has `--retune 1`, else 440.

    Raises:
        ValueError: there are no samples.
    """
    config = run.front_end
    transformed = _transform(run, blocks, seconds, progress)
    spectra = _spectra(run, transformed.magnitudes, tuning)
    symbols = symbol_probabilities(run, spectra.magnitudes, spectra.tuning, progress)
    bands = transformed.bands
    posteriors = Posteriors(
        run.space,
        tuple(group.numpy() for group in symbols.groups),
        config.frame_seconds,
        stride(config) * config.hop / config.sample_rate,
        _level_db(transformed.power, stride(config), len(bands)),
        _level_db(transformed.clear_power, stride(config), len(bands)),
        bands,
        config.fmin * 2 ** (-spectra.tuning / SEMITONES),
        symbol_spectra(run),
        None if symbols.keys is None else symbols.keys.numpy(),
    )
    return RecordingAnalysis(spectra, posteriors)


def audio_spectra(run: Run, audio: np.ndarray, progress: Progress = silent) -> RecordingSpectra:
    """The spectra of audio (samples,) at the run's sample rate.

    Raises:
        ValueError: as `lt.audio.io.check_audio`.
    """
    audio = check_audio(audio)
    seconds = len(audio) / run.front_end.sample_rate
    return _spectra(run, _transform(run, [audio], seconds, progress).magnitudes)


@torch.no_grad()
def encode(run: Run, audio: np.ndarray, progress: Progress = silent) -> np.ndarray:
    """Latent representation of a sound: the signal encoder's posterior means, top layer.

    Args:
        audio: (samples,) at the run's sample rate, mono, of any floating-point type, full scale at
            1.
        progress: like `tqdm.tqdm`; total in frames.

    Returns:
        (model frames, latent) float32; frame n begins at n * run.front_end.frame_seconds.

    Raises:
        ValueError: integers, more than one axis, no samples, or samples that are NaN, infinite or
            far beyond full scale.

    Example:
        >>> run = lt.load_run("saves/flute__Flute")
        >>> lt.encode(run, np.zeros(22050, np.float32)).shape
        (32, 3)
    """
    spectra = audio_spectra(run, audio, progress)
    return encode_magnitudes(run, spectra.magnitudes, spectra.tuning, progress).mean.numpy()


@torch.no_grad()
def encode_magnitudes(
    run: Run, magnitudes: Tensor, tuning: float = 0.0, progress: Progress = silent
) -> Normal:
    """The signal encoder's posterior of the top layer, (frames, latent) on the CPU.

    Args:
        magnitudes: (frames, bins) of a sound that is `tuning` semitones above A = 440 Hz.
        progress: like `tqdm.tqdm`; total in frames.
    """
    features = _feature_blocks(run, magnitudes, tuning, progress)
    posteriors = [run.model.encode_signal(block).top for block in features]
    return Normal(
        torch.cat([posterior.mean.cpu() for posterior in posteriors]),
        torch.cat([posterior.stddev.cpu() for posterior in posteriors]),
        validate_args=False,
    )


@dataclass(frozen=True)
class _Transformed:
    """A recording after the transform, before the networks: magnitudes and bands as in
    `RecordingAnalysis`, and blocks of the mean squares of hops, as recorded and after the
    high-pass.
    """

    magnitudes: Tensor
    bands: np.ndarray
    power: Sequence[np.ndarray]
    clear_power: Sequence[np.ndarray]


def _transform(
    run: Run, blocks: Iterable[np.ndarray], seconds: float | None, progress: Progress
) -> _Transformed:
    config = run.front_end
    # Blocks of half a slice: the transform gives the coefficients of one for each that it takes.
    half, frame_hop = config.slice_length // 2, config.frame_hop
    audio, to_filter = tee(_rechunk(blocks, half))
    clear, to_transform = tee(_rechunk(high_pass_blocks(to_filter, config), half))
    padded = (np.pad(block, (0, -len(block) % frame_hop)) for block in to_transform)
    on_device = (torch.from_numpy(block).to(run.device) for block in padded)
    transformed = nsgt(config, run.device).stream_magnitude_frames(on_device, config.hop)
    width = config.frame_hop // config.hop
    recent = torch.zeros(config.n_bins, width // 2, device=run.device)
    # Bytes grow in place: small arrays that are kept between larger ones that are not would leave
    # 1.2 GB of gaps in the heap for an hour.
    magnitudes, bands = io.BytesIO(), io.BytesIO()
    power, clear_power = [], []
    n_frames = None if seconds is None else math.ceil(seconds * config.frame_rate)
    with progress(total=n_frames, desc="transforming", unit="frame") as bar:
        for block, samples, clear_samples in zip(transformed, audio, clear):
            coefficients = block.T.contiguous()
            frames = coefficients.view(config.n_bins, -1, width) @ block.new_full(
                (width,), 1 / width
            )
            magnitudes.write(frames.T.contiguous().cpu().numpy())
            recent = torch.cat([recent, coefficients], dim=1)
            block_bands = _semitone_bands(recent, config)
            bands.write(block_bands)
            recent = recent[:, stride(config) * len(block_bands) :]
            power.append(_mean_power(samples, config.hop))
            clear_power.append(_mean_power(clear_samples, config.hop))
            bar.update(frames.shape[1])
    last_bands = _semitone_bands(pad(recent, (0, width - 1 - width // 2)), config)
    bands.write(last_bands)
    return _Transformed(
        torch.frombuffer(magnitudes.getbuffer(), dtype=torch.float32).view(-1, config.n_bins),
        np.frombuffer(bands.getbuffer(), np.float16).reshape(-1, last_bands.shape[1]),
        power,
        clear_power,
    )


def _spectra(run: Run, magnitudes: Tensor, hertz: float | None = None) -> RecordingSpectra:
    if hertz is not None:
        return RecordingSpectra(magnitudes, SEMITONES * math.log2(hertz / 440.0))
    tuning = estimate_tuning(magnitudes, run.front_end) if run.config.retune else 0.0
    return RecordingSpectra(magnitudes, tuning)


class SymbolProbabilities(NamedTuple):
    """Probabilities of symbols, on the CPU.

    Attributes:
        groups: (frames, classes) for each group of `run.space.group_sizes`.
        keys: (frames, chordal instruments, keys) that each key sounds; None where each instrument
            has one voice.
    """

    groups: tuple[Tensor, ...]
    keys: Tensor | None


@torch.no_grad()
def symbol_probabilities(
    run: Run, magnitudes: Tensor, tuning: float = 0.0, progress: Progress = silent
) -> SymbolProbabilities:
    """Probabilities at the posterior mean.

    Args:
        magnitudes: (frames, bins) of a recording that is `tuning` semitones above A = 440 Hz.
    """
    n_frames, wholes = len(magnitudes), []
    for number, block in enumerate(_feature_blocks(run, magnitudes, tuning, progress)):
        symbols = run.model.signal_to_symbol(block)
        parts = [*symbols.probabilities()]
        if run.space.chordal:
            parts.append(symbols.key_logits.sigmoid())
        # small tensors that are kept would leave gaps in the heap, of half a gigabyte for an hour
        wholes = wholes or [torch.empty(n_frames, *part.shape[1:]) for part in parts]
        for whole, part in zip(wholes, parts):
            whole[number * BLOCK_FRAMES :][: len(part)] = part
    if not run.space.chordal:
        return SymbolProbabilities(tuple(wholes), None)
    *groups, keys = wholes
    for part, own in zip(run.space.chordal, keys.unbind(dim=1)):
        columns = slice(*(len(run.space.labels) * n for n in (part.voices.start, part.voices.stop)))
        groups[columns] = voices_of_keys(own, groups[columns], run.space)
    return SymbolProbabilities(tuple(groups), keys)


def voices_of_keys(keys: Tensor, groups: Sequence[Tensor], space: LabelSpace) -> list[Tensor]:
    """Class probabilities (frames, classes) of the voices of one instrument from those of its keys:
    a voice has one of the most probable keys, the lowest first, and is silent where that is not
    probable. Its other labels are as they were.

    Args:
        keys: (frames, keys) that each key sounds.
        groups: (frames, classes) for each label of each voice.
    """
    n_labels, rows = len(space.labels), torch.arange(len(keys))
    probable = keys.topk(len(groups) // n_labels, dim=1)
    place = probable.indices.where(probable.values > 0.5, torch.tensor(keys.shape[1]))
    order = place.argsort(dim=1, stable=True)
    index, sounds = probable.indices.gather(1, order), probable.values.gather(1, order)
    result = []
    for number, group in enumerate(groups):
        column, voice = number % n_labels, number // n_labels
        own = group.clone()
        if column in space.note_columns:
            classes = (index // SEMITONES, index % SEMITONES)[space.note_columns.index(column)]
            own.zero_()
            own[rows, classes[:, voice]] = 1.0
        own[:, -1] = 0.0
        total = own.sum(dim=1, keepdim=True).clamp_min(torch.finfo(own.dtype).tiny)
        own = own / total * sounds[:, voice, None]
        own[:, -1] = 1 - sounds[:, voice]
        result.append(own)
    return result


def _feature_blocks(
    run: Run, magnitudes: Tensor, tuning: float, progress: Progress
) -> Iterator[Tensor]:
    """The encoder's input (frames, features), block by block."""
    with progress(total=len(magnitudes), desc="encoding", unit="frame") as bar:
        for block in magnitudes.split(BLOCK_FRAMES):
            yield run.scaler.apply(tune(block.to(run.device), -tuning, run.front_end))
            bar.update(len(block))


def _rechunk(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Audio in blocks of `size` samples; the last one may be shorter."""
    waiting = np.zeros(0, np.float32)
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        n_whole = len(waiting) // size * size
        yield from waiting[:n_whole].reshape(-1, size)
        waiting = waiting[n_whole:]
    if len(waiting):
        yield waiting


def _semitone_bands(coefficients: Tensor, config: SpectralConfig) -> np.ndarray:
    """Magnitudes (bins, coefficients) -> (fine frames, bands) float16: the root of the power within
    each semitone, of means over the duration of a model frame.
    """
    means = avg_pool1d(coefficients, config.frame_hop // config.hop, stride(config))
    bands = semitone_bands(means.T, config).clamp_max(torch.finfo(torch.half).max)
    return bands.half().contiguous().cpu().numpy()


def _mean_power(audio: np.ndarray, hop: int) -> np.ndarray:
    """Audio (samples,) -> (ceil(samples / hop),) mean square of each hop."""
    padded = np.pad(audio, (0, -len(audio) % hop))
    return np.square(padded).reshape(-1, hop).mean(axis=1)


def _level_db(power: Sequence[np.ndarray], stride: int, n_frames: int) -> np.ndarray:
    """Mean squares of hops, in blocks -> (n_frames,) level around the start of each `stride` hops.

    The window is triangular and two fine frames wide on either side (23 ms). Onsets and offsets are
    read from it: a band of the constant-Q scale rings for up to a quarter of a second, the sound
    does not.
    """
    hops = np.concatenate(power).astype(np.float64)
    hops = np.pad(hops, (0, -len(hops) % stride)).reshape(-1, stride).mean(axis=1)
    hops = np.pad(hops, (2, n_frames + 1 - len(hops)))  # silence around the recording
    around = (hops[:-3] + 3 * hops[1:-2] + 3 * hops[2:-1] + hops[3:]) / 8
    return 10 * np.log10(np.maximum(around, 1e-12))


# --- files ----------------------------------------------------------------------------------------


def write_labels_csv(
    path: Path | str, probabilities: Sequence[np.ndarray], space: LabelSpace, frame_seconds: float
) -> None:
    """Write one row per model frame: time, then class and probability of each label, then for a
    model with pitch the note's name for each instrument (`C4`, `rest`).

    Args:
        probabilities: (frames, classes) of each group of `space.group_sizes`.
    """
    n_frames = len(probabilities[0])
    names = ["time", *(name for column in space.columns for name in (column, f"{column}_p"))]
    columns = [[f"{frame * frame_seconds:.4f}" for frame in range(n_frames)]]
    for group in probabilities:
        columns += [group.argmax(axis=1), [f"{value:.4f}" for value in group.max(axis=1)]]
    if "pitch" in space.labels:
        several = len(space.instruments) > 1
        names += [f"{name}.note" if several else "note" for name in space.instruments]
        columns += _note_names(probabilities, space)
    write_csv(path, [names, *zip(*columns)])


def _note_names(probabilities: Sequence[np.ndarray], space: LabelSpace) -> list[list[str]]:
    """Names (frames,) of the most probable note, for each instrument."""
    classes = np.stack([group.argmax(axis=1) for group in probabilities], axis=1)
    per_instrument = classes.reshape(len(classes), len(space.instruments), len(space.labels))
    return [
        [REST if number == SILENCE else number_to_note_name(number) for number in numbers]
        for numbers in (labels.note_number for labels in space.to_labels(per_instrument))
    ]
