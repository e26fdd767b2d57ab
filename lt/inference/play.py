"""Actions of `lt_play.py`: recordings, MIDI, symbols or latent paths to sound, labels and figures.

Each function takes a run, an input, and the path of the outputs without suffix (`base`) or their
folder; it writes whole files and returns their paths. Remarks for the user are logged.

Names: `classes: (groups, instruments, labels)`, `z: (frames, latent)` of the top layer.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from lt.audio.features import audio_to_magnitudes
from lt.audio.io import to_peak, write_audio
from lt.audio.phase import magnitudes_to_audio
from lt.config import FRAMES_PER_PATH, FRAMES_PER_SYMBOL, PlayOptions, SynthesisConfig
from lt.inference.figures import plot_sound
from lt.inference.latent_paths import TRAJECTORIES, occupied_region, spline_path
from lt.inference.note_decoding import posteriors_to_tracks
from lt.inference.posteriors import analyse_recording, write_labels_csv
from lt.inference.synthesis import (
    classes_to_events,
    decode_magnitudes,
    decode_probabilities,
    event_probabilities,
    events_to_audio,
    reconstruct_magnitudes,
    slow_noise,
    tracks_to_events,
)
from lt.inference.tracks import arrange
from lt.labels import LabelSpace, set_dynamics, transpose
from lt.midi import Note, Track, read_midi, write_midi
from lt.models.runs import Run

LONGEST_NAME = 60  # characters of a file name made of classes
SUFFIXES = {"midi": (".png",), "audio": (".mid", ".csv", ".png")}  # of the files beside the sound

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlayedFile:
    """Files written for one input; None where a kind was not asked for or does not apply."""

    sound: Path
    midi: Path | None = None
    labels: Path | None = None
    figure: Path | None = None


def synthesis_config(options: PlayOptions) -> SynthesisConfig:
    """The options that concern synthesis."""
    return SynthesisConfig(options.griffinlim_iters, options.seed, bool(options.latent_sample))


# --- files to files -------------------------------------------------------------------------------


def play_audio(run: Run, path: Path, base: Path, options: PlayOptions) -> PlayedFile:
    """Reconstruct and transcribe a sound file: sound, MIDI, CSV of labels, figure.

    Raises:
        FileNotFoundError, ValueError: as `lt.audio.io.stream_audio`. OSError: a file cannot be
        written.
    """
    config = synthesis_config(options)
    analysis = analyse_recording(run, path)
    magnitudes, tuning = analysis.spectra.magnitudes, analysis.spectra.tuning
    tracks = posteriors_to_tracks(analysis.posteriors)
    reconstruction = reconstruct_magnitudes(run, magnitudes, tuning, config)
    audio = magnitudes_to_audio(reconstruction, run.front_end, config, run.device)
    spectra = {path.name: magnitudes, "reconstruction": reconstruction}
    files = write_sound(run, audio, base, options, spectra, tracks)
    return replace(
        files,
        midi=_write_transcription(run, tracks, base, path.name),
        labels=_write_labels(run, analysis.posteriors.probabilities, base),
    )


def play_midi(run: Run, path: Path, base: Path, options: PlayOptions) -> PlayedFile:
    """Synthesise a MIDI file: sound and figure.

    Raises:
        FileNotFoundError, ValueError: unreadable, no notes but drums, or none that the model can
        play.
    """
    arrangement = arrange(read_midi(path), run.space, options, path.name)
    for remark in arrangement.remarks:
        logger.info("%s: %s", path.name, remark)
    events = tracks_to_events(arrangement.tracks, run.space)
    audio = events_to_audio(run, events, synthesis_config(options))
    return write_sound(run, audio, base, options, {path.name: None}, arrangement.tracks)


# --- symbols and latent paths to files ------------------------------------------------------------


def play_sequence(run: Run, classes: np.ndarray, folder: Path, options: PlayOptions) -> PlayedFile:
    """Synthesise classes (groups, instruments, labels) one group after another: sound and figure.

    Raises:
        ValueError: the transposition or the dynamics do not suit them.
    """
    classes = _transformed(classes, run.space, options)
    seconds = (options.n_steps or FRAMES_PER_SYMBOL) * run.front_end.frame_seconds
    events = classes_to_events(classes, seconds)
    config = synthesis_config(options)
    return write_sound(
        run,
        events_to_audio(run, events, config),
        folder / f"sequence_{classes_name(classes)}",
        options,
        {"sequence": None},
        _classes_to_tracks(classes, run.space, seconds),
        event_probabilities(run, events, config),
    )


@torch.no_grad()
def play_morphing(run: Run, classes: np.ndarray, folder: Path, options: PlayOptions) -> PlayedFile:
    """Move through the latent distributions of classes (groups, instruments, labels) along a
    spline: sound and figure.

    Raises:
        ValueError: fewer groups than the order of the spline needs; as `play_sequence`.
    """
    classes = _transformed(classes, run.space, options)
    n_frames = options.n_steps or FRAMES_PER_PATH
    top = run.model.encode_symbol(torch.from_numpy(classes).to(run.device)).top
    mean, stddev = (
        torch.from_numpy(spline_path(points.cpu().numpy(), n_frames, options.interp_order)).float()
        for points in (top.mean, top.stddev)
    )
    noise = slow_noise(run, n_frames, synthesis_config(options))
    z = mean if noise is None else mean + stddev.clamp_min(0) * noise[-1].cpu()
    base = folder / f"sequence_{classes_name(classes)}"
    return _play_path(run, z, base, options, "morphing", decode_probabilities(run, z))


def play_trajectory(
    run: Run, kind: str, number: int, folder: Path, options: PlayOptions
) -> PlayedFile:
    """Move along the `number`-th trajectory of a kind, through the region that the data occupy:
    sound, CSV of labels, figure.
    """
    region = occupied_region(run)
    n_frames = options.n_steps or FRAMES_PER_PATH
    path = TRAJECTORIES[kind](n_frames, len(region.axes), options.seed, number)
    z = torch.from_numpy(region.to_latent(path)).float()
    probabilities = decode_probabilities(run, z)
    base = folder / f"{kind}_{number}"
    files = _play_path(run, z, base, options, f"{kind} {number}", probabilities)
    return replace(files, labels=_write_labels(run, probabilities, base))


def _play_path(
    run: Run,
    z: Tensor,
    base: Path,
    options: PlayOptions,
    title: str,
    probabilities: Sequence[np.ndarray],
) -> PlayedFile:
    """Decode top latents (frames, latent): sound and figure."""
    magnitudes = decode_magnitudes(run, z)
    audio = magnitudes_to_audio(magnitudes, run.front_end, synthesis_config(options), run.device)
    return write_sound(
        run, audio, base, options, {title: magnitudes.cpu()}, probabilities=probabilities
    )


def classes_name(classes: np.ndarray) -> str:
    """Class indices joined by `-`; a long name is cut and ends in 8 hex digits of the SHA-256 of
    the whole.
    """
    name = "-".join(str(value) for value in classes.ravel())
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _transformed(classes: np.ndarray, space: LabelSpace, options: PlayOptions) -> np.ndarray:
    """Classes transposed and with replaced dynamics."""
    return set_dynamics(transpose(classes, options.transposition, space), options.dynamics, space)


def _classes_to_tracks(classes: np.ndarray, space: LabelSpace, seconds: float) -> list[Track]:
    """Classes (groups, instruments, labels), each for `seconds` -> tracks, for a figure."""
    tracks = []
    for name, labels in zip(space.instruments, space.to_labels(classes)):
        notes = [
            Note(at * seconds, (at + 1) * seconds, int(number), 64)
            for at, number in enumerate(labels.note_number)
            if number >= 0
        ]
        tracks.append(Track(name, 0, tuple(notes)))
    return tracks


# --- files ----------------------------------------------------------------------------------------


def beside(base: Path, suffix: str) -> Path:
    """`base` with a suffix added; a dot in its name does not begin one."""
    return base.parent / (base.name + suffix)


def write_sound(
    run: Run,
    audio: np.ndarray,
    base: Path,
    options: PlayOptions,
    spectra: Mapping[str, Tensor | None],
    tracks: Sequence[Track] | None = None,
    probabilities: Sequence[np.ndarray] = (),
) -> PlayedFile:
    """Write a sound and, with `options.graphs`, its figure.

    Args:
        audio: (samples,); attenuated only where its peak would pass -1 dBFS, so that levels
            compare across files.
        spectra, tracks, probabilities: as `lt.inference.figures.plot_sound`; magnitudes that are
            None are those of the audio.
    """
    sound = beside(base, f".{options.format}")
    write_audio(sound, to_peak(audio), run.front_end.sample_rate)
    if not options.graphs:
        return PlayedFile(sound)
    panels = {
        title: (_magnitudes(run, audio) if magnitudes is None else magnitudes).numpy()
        for title, magnitudes in spectra.items()
    }
    path = beside(base, ".png")
    plot_sound(path, panels, run.front_end, tracks, probabilities, run.space)
    return PlayedFile(sound, figure=path)


def _magnitudes(run: Run, audio: np.ndarray) -> Tensor:
    """Magnitudes (frames, bins) of audio (samples,), on the CPU."""
    on_device = torch.from_numpy(audio).to(run.device)
    return audio_to_magnitudes(on_device, run.front_end).cpu()


def _write_labels(run: Run, probabilities: Sequence[np.ndarray], base: Path) -> Path:
    """Write class probabilities (frames, classes) per group as CSV."""
    path = beside(base, ".csv")
    write_labels_csv(path, probabilities, run.space, run.front_end.frame_seconds)
    return path


def _write_transcription(run: Run, tracks: Sequence[Track], base: Path, name: str) -> Path | None:
    """Write a transcription as MIDI, unless the model has no label pitch."""
    if "pitch" not in run.space.labels:
        logger.info("%s: this model has no label pitch, so no MIDI is written", name)
        return None
    if "octave" not in run.space.labels:
        logger.info("%s: this model has no label octave, so all notes are in octave 4", name)
    path = beside(base, ".mid")
    write_midi(path, tracks)
    return path
