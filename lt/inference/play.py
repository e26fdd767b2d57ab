"""Actions of `lt_play.py`: recordings, MIDI, symbols or latent paths to sound, labels and figures.

Each function takes a run, an input, and the path of the outputs without suffix (`base`) or their
folder; it writes whole files and returns their paths. Remarks for the user are logged.

Names: `classes: (groups, instruments, labels)`, `z: (frames, latent)` of the top layer.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lt.audio.containers import READABLE
from lt.audio.features import audio_to_magnitudes
from lt.audio.io import to_peak, write_audio
from lt.config import FRAMES_PER_PATH, FRAMES_PER_SYMBOL, PlayOptions, SynthesisConfig
from lt.files import refuse_overwriting_inputs, write_bytes
from lt.inference.decoding import (
    decode_magnitudes,
    decode_probabilities,
    decode_subframes,
    matching_gain,
    reconstruct_magnitudes,
)
from lt.inference.figures import plot_sound
from lt.inference.latent_paths import TRAJECTORIES, occupied_region, read_points, spline_path
from lt.inference.morphing import RecordingPoint, SymbolPoint, morph
from lt.inference.note_decoding import posteriors_to_tracks
from lt.inference.posteriors import analyse_recording, encode_magnitudes, write_labels_csv
from lt.inference.synthesis import (
    classes_to_events,
    event_probabilities,
    events_to_audio,
    playing_gain,
    subframes_to_audio,
    tracks_to_events,
)
from lt.inference.tracks import arrange
from lt.labels import REST, LabelSpace, NoteLabels, parse_symbols, set_dynamics, transpose
from lt.messages import counted
from lt.midi import Note, Track, quantise, read_performance, write_midi
from lt.models.learnt import remark_on_unlearnt
from lt.models.runs import Run

LONGEST_NAME = 60  # characters of a file name made of labels
LATENTS = "_latents.npy"
# of the files beside the sound
SUFFIXES = {"midi": (".png",), "audio": (".mid", ".csv", ".png", LATENTS)}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlayedFile:
    """Files written for one input; None where a kind was not asked for or does not apply."""

    sound: Path
    midi: Path | None = None
    labels: Path | None = None
    figure: Path | None = None
    latents: Path | None = None


def synthesis_config(options: PlayOptions) -> SynthesisConfig:
    """The options that concern synthesis."""
    return SynthesisConfig(
        options.griffinlim_iters, options.seed, bool(options.latent_sample), options.phase
    )


# --- files to files -------------------------------------------------------------------------------


def play_audio(run: Run, path: Path, base: Path, options: PlayOptions) -> PlayedFile:
    """Reconstruct and transcribe a sound file: sound, MIDI, CSV of labels, figure; with
    `options.latents` also its latents (frames, latent), as `lt.encode` gives them.

    Raises:
        FileNotFoundError, ValueError: as `lt.audio.io.stream_audio`. OSError: a file cannot be
        written.
    """
    config = synthesis_config(options)
    analysis = analyse_recording(run, path, tuning=options.tuning)
    magnitudes, tuning = analysis.spectra.magnitudes, analysis.spectra.tuning
    tracks = posteriors_to_tracks(analysis.posteriors)
    if not any(track.notes for track in tracks):
        logger.info("%s: no notes in it", path.name)
    reconstruction = reconstruct_magnitudes(run, magnitudes, tuning, config)
    audio = subframes_to_audio(run, reconstruction, config)
    spectra = {path.name: magnitudes, "reconstruction": reconstruction.mean(dim=1)}
    files = write_sound(run, audio, base, options, spectra, tracks)
    return replace(
        files,
        midi=_write_transcription(run, tracks, base, path.name, options),
        labels=_write_labels(run, analysis.posteriors.probabilities, base),
        latents=_write_latents(run, magnitudes, tuning, base) if options.latents else None,
    )


def play_midi(run: Run, path: Path, base: Path, options: PlayOptions) -> PlayedFile:
    """Synthesise a MIDI file: sound and figure.

    Raises:
        FileNotFoundError, ValueError: unreadable, no notes but drums, or none that the model can
        play.
    """
    performance = read_performance(path, bool(options.pedal))
    if performance.remarks:
        logger.info("%s: %s", path.name, "; ".join(performance.remarks))
    arrangement = arrange(performance.tracks, run.space, options, path.name)
    for remark in arrangement.remarks:
        logger.info("%s: %s", path.name, remark)
    if performance.n_drums:
        logger.info("%s: %s left out", path.name, counted(performance.n_drums, "drum note"))
    if performance.controllers:
        logger.info("%s: not rendered: %s", path.name, ", ".join(performance.controllers))
    events = tracks_to_events(arrangement.tracks, run.space)
    _say_what_was_never_learnt(run, np.stack([event.classes for event in events]), path.name)
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
    _say_what_was_never_learnt(run, classes, "sequence")
    return write_sound(
        run,
        events_to_audio(run, events, config),
        folder / f"sequence_{classes_name(classes, run.space)}",
        options,
        {"sequence": None},
        _classes_to_tracks(classes, run.space, seconds),
        event_probabilities(run, events, config),
    )


def play_morphing(
    run: Run, inputs: Sequence[str], folder: Path, options: PlayOptions
) -> PlayedFile:
    """Morph through labels and recordings along a spline: sound and figure.

    Args:
        inputs: labels as `parse_symbols` takes them, sound files, or both.
    Raises:
        FileNotFoundError, ValueError: a recording or a label cannot be read, the transposition or
            the dynamics do not suit; as `lt.inference.morphing.morph`.
    """
    points = _read_points_of_morphing(run, inputs, options)
    recorded = [point for point in points if isinstance(point, RecordingPoint)]
    symbols = [point.classes for point in points if isinstance(point, SymbolPoint)]
    names = [
        Path(point.name).stem
        if isinstance(point, RecordingPoint)
        else group_name(point.classes, run.space)
        for point in points
    ]
    base = folder / f"morphing_{shortened('_'.join(names))}"
    paths = [Path(token) for token in inputs if is_recording(token)]
    refuse_overwriting_inputs([beside(base, f".{options.format}"), beside(base, ".png")], paths)
    n_frames = options.n_steps or max(
        (len(point.magnitudes) for point in recorded), default=FRAMES_PER_PATH
    )
    config = synthesis_config(options)
    morphing = morph(run, points, n_frames, options.interp_order, bool(options.glide), config)
    if options.glide:
        logger.info("morphing: glide, the pitch passes through the notes between")
    else:
        logger.info("morphing: cross-fade, one sound fades into the next (--glide 1 moves pitch)")
    if recorded and options.dynamics is not None:
        logger.info("morphing: --dynamics replaces those of labels, not of recordings")
    if symbols:
        _say_what_was_never_learnt(run, np.stack(symbols), "morphing")
    probabilities = decode_probabilities(run, morphing.z)
    return _write_path(run, morphing.magnitudes[:, None], base, options, "morphing", probabilities)


def is_recording(token: str) -> bool:
    """Whether an input of a morphing is a sound file: by its suffix, or as it is a path."""
    return Path(token).suffix.lower() in READABLE or len(Path(token).parts) > 1


def _read_points_of_morphing(
    run: Run, inputs: Sequence[str], options: PlayOptions
) -> list[SymbolPoint | RecordingPoint]:
    """The points in order; labels between two recordings are one list."""
    points: list[SymbolPoint | RecordingPoint] = []
    for recorded, tokens in groupby(inputs, is_recording):
        if recorded:
            for token in tokens:
                analysis = analyse_recording(run, token)
                name = Path(token).name
                points.append(RecordingPoint.of(name, analysis, run, options.transposition))
        else:
            classes = parse_symbols(split_lists(tokens), run.space)
            points += map(SymbolPoint, _transformed(classes, run.space, options))
    return points


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
    magnitudes, probabilities = decode_magnitudes(run, z), decode_probabilities(run, z)
    base = folder / f"{kind}_{number}"
    files = _write_path(run, magnitudes[:, None], base, options, f"{kind} {number}", probabilities)
    return replace(files, labels=_write_labels(run, probabilities, base))


def play_points(run: Run, path: Path, folder: Path, options: PlayOptions) -> PlayedFile:
    """Move through latent points (points, latent) of a `.npy` file: sound, CSV of labels, figure.

    Without `options.n_steps`, each point is a frame, so that the latents of a recording have its
    course. They are played at A = 440 Hz.

    Raises:
        FileNotFoundError, ValueError: as `lt.inference.latent_paths.read_points`; fewer points than
            the order of the spline needs; or points so far away that they have no sound.
    """
    points = read_points(path, run)
    if options.n_steps not in (None, len(points)):
        points = spline_path(points, options.n_steps, options.interp_order, "points")
    z = torch.from_numpy(points).float()
    magnitudes = decode_subframes(run, z)
    if not torch.isfinite(magnitudes).all():
        raise ValueError(f"{path} has points too far from those of sounds")
    base = folder / path.stem
    suffixes = (f".{options.format}", ".png", ".csv")
    refuse_overwriting_inputs([beside(base, suffix) for suffix in suffixes], [path])
    probabilities = decode_probabilities(run, z)
    files = _write_path(run, magnitudes, base, options, path.name, probabilities)
    return replace(files, labels=_write_labels(run, probabilities, base))


def _write_path(
    run: Run,
    magnitudes: Tensor,
    base: Path,
    options: PlayOptions,
    title: str,
    probabilities: Sequence[np.ndarray],
) -> PlayedFile:
    """Magnitudes (frames, subframes, bins) of a path: sound and figure."""
    audio = subframes_to_audio(run, magnitudes, synthesis_config(options))
    audio *= np.float32(playing_gain(run))
    pictures = {title: magnitudes.mean(dim=1).cpu()}
    return write_sound(run, audio, base, options, pictures, probabilities=probabilities)


def split_lists(tokens: Iterable[str]) -> list[str]:
    """Labels as typed, quoted lists (`"A4:mf C5:f"`) split into their labels."""
    return [label for token in tokens for label in token.split()]


def classes_name(classes: np.ndarray, space: LabelSpace) -> str:
    """Classes (groups, instruments, labels) as part of a file name: `C4-p_E4-mf_rest`."""
    return shortened("_".join(group_name(group, space) for group in classes))


def group_name(classes: np.ndarray, space: LabelSpace) -> str:
    """Classes (instruments, labels) as in the name of a file: `C4-p`, of a mixture `C4-p+rest`, of
    a chord `C4-p+E4-p`.
    """
    names = []
    for part in space.parts:
        voices = [_symbol_name(own, space) for own in classes[part.voices]]
        names += [name for name in voices if name != REST] or [REST]
    return "+".join(names)


def _symbol_name(classes: np.ndarray, space: LabelSpace) -> str:
    """Classes (labels,) of one instrument: pitch and octave, dynamics, and an age that is held."""
    if (classes == space.silence_classes).all():
        return REST
    names = {
        label: f"age{index}" if label == "age" else space.class_names(label)[index]
        for label, index in zip(space.labels, classes)
        if index >= 0
    }
    note = names.pop("pitch", "") + names.pop("octave", "")
    return "-".join([*([note] if note else []), *names.values()])


def shortened(name: str) -> str:
    """A name of at most 60 characters; a longer one is cut and ends in 8 hex digits of the SHA-256
    of the whole.
    """
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _say_what_was_never_learnt(run: Run, classes: np.ndarray, name: str) -> None:
    """Log which notes of classes (groups, instruments, labels) the run was not trained on."""
    if not {"octave", "pitch"} <= set(run.space.labels):
        return
    with_dynamics = "dynamics" in run.space.labels
    voices = run.space.to_labels(classes)
    for part in run.space.parts:
        labels = NoteLabels.from_table(np.concatenate([own.table() for own in voices[part.voices]]))
        if remark := remark_on_unlearnt(run.settings.learnt, part.name, labels, with_dynamics):
            logger.info("%s: %s", name, remark)


def _transformed(classes: np.ndarray, space: LabelSpace, options: PlayOptions) -> np.ndarray:
    """Classes transposed and with replaced dynamics."""
    return set_dynamics(transpose(classes, options.transposition, space), options.dynamics, space)


def _classes_to_tracks(classes: np.ndarray, space: LabelSpace, seconds: float) -> list[Track]:
    """Classes (groups, instruments, labels), each for `seconds` -> tracks, for a figure."""
    voices, tracks = space.to_labels(classes), []
    for part in space.parts:
        notes = [
            Note(at * seconds, (at + 1) * seconds, int(number), 64)
            for labels in voices[part.voices]
            for at, number in enumerate(labels.note_number)
            if number >= 0
        ]
        tracks.append(Track(part.name, 0, tuple(sorted(notes))))
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


def _write_latents(run: Run, magnitudes: Tensor, tuning: float, base: Path) -> Path:
    """Write the latents (frames, latent) of magnitudes (frames, bins) with np.save."""
    path = beside(base, LATENTS)
    content = io.BytesIO()
    matched = matching_gain(run, magnitudes) * magnitudes  # as reconstructions are encoded
    np.save(content, encode_magnitudes(run, matched, tuning).mean.numpy())
    write_bytes(path, content.getvalue())
    return path


def _write_transcription(
    run: Run, tracks: Sequence[Track], base: Path, name: str, options: PlayOptions
) -> Path | None:
    """Write a transcription as MIDI, unless the model has no label pitch."""
    if "pitch" not in run.space.labels:
        logger.info("%s: this model has no label pitch, so no MIDI is written", name)
        return None
    if "octave" not in run.space.labels:
        logger.info("%s: this model has no label octave, so all notes are in octave 4", name)
    path = beside(base, ".mid")
    if options.quantise:
        tracks = quantise(tracks, options.tempo, options.quantise)
    write_midi(path, tracks, options.tempo)
    return path
