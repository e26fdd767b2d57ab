"""The modes of `lt_play.py`: from MIDI, sound, label lists or the latent space to files a musician
can use.

Each `play_*` takes a run, one input, and where to write; each writes whole files and returns the
path of its sound. `say` is told, a sentence at a time, what the user should know.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from lt.audio.features import stream_spectra
from lt.audio.io import to_peak, write_audio
from lt.audio.phase import frames_to_sound
from lt.audio.tuning import tune
from lt.config import PlayOptions
from lt.inference.figures import plot_sound
from lt.inference.latent_paths import TRAJECTORIES, occupied_region, spline_path
from lt.inference.note_decoding import transcribe
from lt.inference.posteriors import (
    audio_blocks,
    file_tuning,
    hear,
    magnitude_blocks,
    symbol_probabilities,
    write_labels_csv,
)
from lt.inference.synthesis import (
    Rendering,
    classes_to_events,
    decode_path,
    draw_slowly,
    event_labels,
    events_to_audio,
    notes_to_events,
    reconstruct,
)
from lt.inference.tracks import Say, arrange
from lt.labels import LabelSpace, set_dynamics, transpose
from lt.midi import Note, Track, read_midi, write_midi
from lt.models.runs import Run
from lt.plotting import Thinned
from lt.rows import Rows

FRAMES_A_LABEL = 50  # of a sequence
FRAMES_IN_ALL = 500  # of a morphing or a trajectory
LONGEST_NAME = 60  # characters of a name made of classes
SUFFIXES = {
    "midi": (".png",),
    "audio": (".mid", ".csv", ".png"),
}  # of what a file's sound gets beside it


def classes_name(classes: np.ndarray) -> str:
    """Class indices joined by `-`; a long name is cut and ends in 8 hex digits of the SHA-256 of
    the whole.
    """
    name = "-".join(str(value) for value in classes.ravel())
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def rendering(options: PlayOptions) -> Rendering:
    """The part of the options that sound is made by."""
    return Rendering(options.griffinlim_iters, options.seed, bool(options.latent_sample))


# --- audio ----------------------------------------------------------------------------------------


def play_audio(run: Run, path: Path, base: Path, options: PlayOptions, say: Say) -> Path:
    """Hear a sound file: its reconstruction, transcription as MIDI and CSV, and a picture. Sound
    passes by in blocks, several times, so that an hour needs little more memory than a minute.

    Raises:
        FileNotFoundError, ValueError: as `lt.audio.io.stream_audio`. OSError: a file cannot be
        written.
    """
    config, sharp = run.front_end, file_tuning(run, path)
    tracks = transcribe(hear(run, audio_blocks(run, path), sharp))
    probabilities = [Rows() for _ in run.space.group_sizes]
    for magnitudes in magnitude_blocks(run, path):
        for gathered, group in zip(probabilities, symbol_probabilities(run, magnitudes, sharp)):
            gathered.add(group.numpy())
    n_frames = len(probabilities[0])
    original, remade = Thinned(n_frames), Thinned(n_frames)
    blocks = remade.watch(
        _reconstructed(run, original.watch(magnitude_blocks(run, path)), sharp, n_frames, options)
    )
    sound = write_sound(
        run,
        frames_to_sound(config, blocks, options.griffinlim_iters, options.seed, run.device),
        base,
        options,
    )
    _write_tracks(run, tracks, beside(base, ".mid"), path.name, say)
    write_labels_csv(
        beside(base, ".csv"),
        [gathered.array() for gathered in probabilities],
        run.space,
        config.frame_seconds,
    )
    if options.graphs:
        plot_sound(
            {path.name: original.rows.array(), "reconstruction": remade.rows.array()},
            original.grid(config),
            beside(base, ".png"),
            tracks,
        )
    return sound


def _reconstructed(
    run: Run, blocks: Iterable[Tensor], sharp: float, n_frames: int, options: PlayOptions
) -> Iterator[Tensor]:
    """Blocks of magnitudes -> the model's idea of them, under one slow draw; it hears them moved to
    its tuning.
    """
    noise, first = None, 0
    if options.latent_sample:
        noise = [
            draw_slowly(n_frames, dim, run, options.seed, layer, 0)
            for layer, dim in enumerate(run.model.dims)
        ]
    for block in blocks:
        own = (
            None
            if noise is None
            else [layer[first : first + len(block)].to(run.device) for layer in noise]
        )
        yield tune(
            reconstruct(run, tune(block, -sharp, run.front_end), own).cpu(), sharp, run.front_end
        )
        first += len(block)


def _write_tracks(run: Run, tracks: Sequence[Track], path: Path, name: str, say: Say) -> None:
    """The transcription as MIDI, unless the model knows no pitch."""
    if "pitch" not in run.space.labels:
        say(f"{name}: this model has no label pitch, so no MIDI is written")
        return
    if "octave" not in run.space.labels:
        say(f"{name}: this model has no label octave, so all notes are written in octave 4")
    write_midi(path, tracks)


# --- midi -----------------------------------------------------------------------------------------


def play_midi(run: Run, path: Path, base: Path, options: PlayOptions, say: Say) -> Path:
    """Play a MIDI file.

    Raises:
        FileNotFoundError, ValueError: unreadable, no notes but drums, or none that the model can
        play.
    """
    tracks = arrange(read_midi(path), run.space, options, path.name, say)
    events = [
        event
        for instrument, track in enumerate(tracks)
        for event in notes_to_events(track.notes, run.space, instrument)
    ]
    audio = events_to_audio(run, sorted(events, key=lambda event: event.onset), rendering(options))
    sound = write_sound(run, audio, base, options)
    if options.graphs:
        plot_sound(
            {path.name: _magnitudes(run, audio)}, run.front_end, beside(base, ".png"), tracks
        )
    return sound


def _magnitudes(run: Run, audio: np.ndarray) -> np.ndarray:
    """What is drawn of audio (samples,), part by part."""
    blocks = torch.from_numpy(audio).split(10 * run.front_end.sample_rate)
    return torch.cat(
        [
            spectra.magnitudes.cpu()
            for spectra in stream_spectra(iter(blocks), run.front_end, run.device)
        ]
    ).numpy()


# --- label lists ----------------------------------------------------------------------------------


def play_sequence(run: Run, classes: np.ndarray, folder: Path, options: PlayOptions) -> Path:
    """Play classes (groups, instruments, labels), one group after another.

    Raises:
        ValueError: the transposition or the dynamics do not suit them.
    """
    classes = _changed(run, classes, options)
    base = folder / f"sequence_{classes_name(classes)}"
    seconds = (options.n_steps or FRAMES_A_LABEL) * run.front_end.frame_seconds
    events = classes_to_events(classes, seconds)
    audio = events_to_audio(run, events, rendering(options))
    sound = write_sound(run, audio, base, options)
    if options.graphs:
        tracks = [
            Track(name, 0, tuple(_class_notes(classes[:, index], run.space, seconds)))
            for index, name in enumerate(run.space.instruments)
        ]
        labels = event_labels(run, events, rendering(options))
        plot_sound(
            {"sequence": _magnitudes(run, audio)},
            run.front_end,
            beside(base, ".png"),
            tracks,
            labels,
            run.space,
        )
    return sound


def _changed(run: Run, classes: np.ndarray, options: PlayOptions) -> np.ndarray:
    return set_dynamics(
        transpose(classes, options.transposition, run.space), options.dynamics, run.space
    )


def _class_notes(classes: np.ndarray, space: LabelSpace, seconds: float) -> Iterator[Note]:
    """Notes, for a picture, of one instrument's classes (groups, labels)."""
    labels = LabelSpace(space.labels, space.instruments[:1], space.silence).to_labels(
        classes[:, None]
    )[0]
    for at, number in enumerate(labels.note_number):
        if number >= 0:
            yield Note(at * seconds, (at + 1) * seconds, int(number), 64)


# --- the latent space -----------------------------------------------------------------------------


@torch.no_grad()
def play_morphing(run: Run, classes: np.ndarray, folder: Path, options: PlayOptions) -> Path:
    """Move through the latent distributions of classes (groups, instruments, labels) along a
    spline.

    Raises:
        ValueError: fewer groups than the spline's order needs; as `play_sequence`.
    """
    classes = _changed(run, classes, options)
    n_frames = options.n_steps or FRAMES_IN_ALL
    top = run.model.encode_symbol(torch.from_numpy(classes).to(run.device)).top
    mean, scale = (
        torch.from_numpy(spline_path(values.cpu().numpy(), n_frames, options.interp_order)).float()
        for values in (top.mean, top.stddev)
    )
    if options.latent_sample:
        mean = mean + scale.clamp_min(0) * draw_slowly(
            n_frames, mean.shape[1], run, options.seed, len(run.model.dims) - 1, 0
        )
    return _play_path(
        run, mean, folder / f"sequence_{classes_name(classes)}", options, "morphing", False
    )


def play_trajectory(run: Run, kind: str, number: int, folder: Path, options: PlayOptions) -> Path:
    """One of the trajectories of a kind, through the region that sounds occupy."""
    region = occupied_region(run)
    path = TRAJECTORIES[kind](
        options.n_steps or FRAMES_IN_ALL, region.dimensions, options.seed, number
    )
    z = torch.from_numpy(region.to_latent(path)).float()
    return _play_path(run, z, folder / f"{kind}_{number}", options, f"{kind} {number}", True)


def _play_path(
    run: Run, z: Tensor, base: Path, options: PlayOptions, title: str, table: bool
) -> Path:
    """Decode top latents (frames, latent) to sound, picture and (for trajectories) a table of
    labels.
    """
    magnitudes, probabilities = decode_path(run, z)
    sound = write_sound(
        run,
        frames_to_sound(
            run.front_end, [magnitudes], options.griffinlim_iters, options.seed, run.device
        ),
        base,
        options,
    )
    if table:
        write_labels_csv(
            beside(base, ".csv"), probabilities, run.space, run.front_end.frame_seconds
        )
    if options.graphs:
        plot_sound(
            {title: magnitudes.cpu().numpy()},
            run.front_end,
            beside(base, ".png"),
            None,
            probabilities,
            run.space,
        )
    return sound


# --- files ----------------------------------------------------------------------------------------


def beside(base: Path, suffix: str) -> Path:
    """`base` with a suffix added; a dot in its name is not one."""
    return base.parent / (base.name + suffix)


def write_sound(run: Run, audio: np.ndarray, base: Path, options: PlayOptions) -> Path:
    """Write sound at the level it was learnt at, turned down only where its peak would pass -1
    dBFS.
    """
    path = beside(base, f".{options.format}")
    write_audio(path, to_peak(audio), run.front_end.sample_rate)
    return path
