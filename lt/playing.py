"""The modes of `lt_play.py`: from MIDI, sound, label lists or the latent space to files a musician can use.

Each `play_*` takes a run, one input, and where to write; each writes whole files and returns the path of its sound.
"""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Callable, Sequence

import numpy as np
import torch

from lt.audio import stream_audio, to_peak, write_audio
from lt.config import PlayOptions
from lt.generation import (Event, classes_to_events, decode_path, events_to_audio, frames_to_sound, latent_drift,
                           notes_to_events, reconstruct)
from lt.labels import FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER, LabelSpace, dynamics_to_velocity
from lt.latent import TRAJECTORIES, spline_path
from lt.midi import Note, Track, read_midi, write_midi
from lt.plotting_sound import plot_labelled_sound, plot_transcription
from lt.runs import Run
from lt.spectra import audio_to_spectra, stream_spectra
from lt.symbols import set_dynamics, transpose, write_labels_csv
from lt.transcription import hear_file, symbol_probabilities, transcribe

FRAMES_A_LABEL = 50  # of a sequence
FRAMES_IN_ALL = 500  # of a morphing or a trajectory
LONGEST_NAME = 60  # characters of a name made of classes


def classes_name(classes: np.ndarray) -> str:
    """Class indices joined by `-`; a long name is cut and ends in 8 hex digits of the SHA-256 of the whole."""
    name = "-".join(str(value) for value in classes.ravel())
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


# --- audio ------------------------------------------------------------------------------------------------

def play_audio(run: Run, path: Path, stem: str, folder: Path, options: PlayOptions) -> Path:
    """Hear a sound file: its reconstruction, transcription as MIDI and CSV, and a picture.

    Raises:
        FileNotFoundError, ValueError: as `lt.audio.stream_audio`. OSError: a file cannot be written.
    """
    config = run.front_end
    blocks = (torch.from_numpy(block) for block in stream_audio(path, config.sample_rate))
    parts = [spectra.magnitudes.cpu() for spectra in stream_spectra(blocks, config, run.device)]
    original = torch.cat(parts)
    tracks = transcribe(hear_file(run, path))
    probabilities = [group.numpy() for group in symbol_probabilities(run, original)]
    reconstruction = torch.cat([reconstruct(run, part, options.seed if options.latent_sample else None).cpu()
                                for part in parts])
    sound = write_sound(run, frames_to_sound(run, reconstruction, options.griffinlim_iters, options.seed),
                        folder / stem, options)
    write_midi(folder / f"{stem}.mid", tracks)
    write_labels_csv(folder / f"{stem}.csv", probabilities, run.space, config.frame_seconds)
    if options.graphs:
        plot_transcription(original.numpy(), reconstruction.numpy(), tracks, config, folder / f"{stem}.png",
                           title=path.name)
    return sound


# --- midi -------------------------------------------------------------------------------------------------

def play_midi(run: Run, path: Path, stem: str, folder: Path, options: PlayOptions,
              say: Callable[[str], None]) -> Path:
    """Play a MIDI file; what was matched, moved or left out goes to `say`.

    Raises:
        FileNotFoundError, ValueError: unreadable, no notes but drums, or none that the model can play.
    """
    tracks = read_midi(path)
    if not any(track.notes for track in tracks):
        raise ValueError(f"{path} has no notes (drums are left out)")
    events: list[Event] = []
    played: list[Track] = []
    for instrument, track in enumerate(match_tracks(tracks, run.space, path.name, say)):
        notes = fit_notes(track.notes, options, path.name, say)
        events += notes_to_events(notes, run.space, instrument)
        played.append(Track(run.space.instruments[instrument], track.program, tuple(notes)))
    if not events:
        raise ValueError(f"{path}: no note is left to play")
    return _play_events(run, sorted(events, key=lambda event: event.onset), played, folder / stem, options, path.name)


def match_tracks(tracks: Sequence[Track], space: LabelSpace, name: str, say: Callable[[str], None]) -> list[Track]:
    """One track an instrument of the model: all of them for one instrument, else by name, program, or order."""
    if len(space.instruments) == 1:
        notes = sorted(note for track in tracks for note in track.notes)
        return [Track(space.instruments[0], tracks[0].program, tuple(notes))]
    from lt.soundfonts import INSTRUMENTS
    left = list(tracks)
    matched = []
    for instrument in space.instruments:
        program = INSTRUMENTS[instrument].program if instrument in INSTRUMENTS else None
        found = next((track for track in left if track.name.lower() == instrument.lower()), None) \
            or next((track for track in left if track.program == program), None) or (left[0] if left else None)
        if found is not None:
            left.remove(found)
            say(f"{name}: {instrument} plays the track '{found.name}' (program {found.program})")
        matched.append(found or Track(instrument, program or 0, ()))
    if left:
        say(f"{name}: {len(left)} tracks have no instrument in this model and are left out")
    return matched


def fit_notes(notes: Sequence[Note], options: PlayOptions, name: str, say: Callable[[str], None]) -> list[Note]:
    """Notes transposed, with replaced dynamics, inside C0-B8: others are moved by octaves or skipped, and counted."""
    fitted, odd = [], 0
    for note in notes:
        number = note.note_number + options.transposition
        if not FIRST_NOTE_NUMBER <= number <= LAST_NOTE_NUMBER:
            odd += 1
            if options.out_of_range == "skip":
                continue
            number = number % 12 + (FIRST_NOTE_NUMBER if number < FIRST_NOTE_NUMBER else LAST_NOTE_NUMBER - 11)
        velocity = note.velocity if options.dynamics is None else int(dynamics_to_velocity(options.dynamics))
        fitted.append(Note(note.onset, note.offset, number, velocity))
    if odd:
        say(f"{name}: {odd} notes outside C0-B8 were "
            + ("left out" if options.out_of_range == "skip" else "moved by octaves"))
    return fitted


# --- label lists ------------------------------------------------------------------------------------------

def play_sequence(run: Run, classes: np.ndarray, folder: Path, options: PlayOptions) -> Path:
    """Play classes (groups, instruments, labels), one group after another."""
    classes = set_dynamics(transpose(classes, options.transposition, run.space), options.dynamics, run.space)
    seconds = (options.n_steps or FRAMES_A_LABEL) * run.front_end.frame_seconds
    events = classes_to_events(classes, seconds)
    tracks = [Track(name, 0, tuple(_class_notes(classes[:, index], run.space, seconds)))
              for index, name in enumerate(run.space.instruments)]
    return _play_events(run, events, tracks, folder / f"sequence_{classes_name(classes)}", options, "sequence")


def _class_notes(classes: np.ndarray, space: LabelSpace, seconds: float) -> list[Note]:
    """Notes, for a picture, of one instrument's classes (groups, labels)."""
    labels = LabelSpace(space.labels, space.instruments[:1], space.silence).to_labels(classes[:, None])[0]
    return [Note(at * seconds, (at + 1) * seconds, int(number), 64)
            for at, number in enumerate(labels.note_number) if number >= 0]


def _play_events(run: Run, events: Sequence[Event], tracks: Sequence[Track], base: Path, options: PlayOptions,
                 title: str) -> Path:
    audio = events_to_audio(run, events, options.griffinlim_iters, options.seed, bool(options.latent_sample))
    sound = write_sound(run, audio, base, options)
    if options.graphs:
        spectra = audio_to_spectra(torch.from_numpy(audio), run.front_end)
        plot_transcription(spectra.magnitudes.numpy(), None, tracks, run.front_end, _beside(base, ".png"), title=title)
    return sound


# --- the latent space -------------------------------------------------------------------------------------

@torch.no_grad()
def play_morphing(run: Run, classes: np.ndarray, folder: Path, options: PlayOptions) -> Path:
    """Move through the latent distributions of classes (groups, instruments, labels) along a spline."""
    classes = set_dynamics(transpose(classes, options.transposition, run.space), options.dynamics, run.space)
    n_frames = options.n_steps or FRAMES_IN_ALL
    top = run.model.encode_symbol(torch.from_numpy(classes).to(run.device)).top
    mean, scale = (spline_path(values.cpu().numpy(), n_frames, options.interp_order)
                   for values in (top.mean, top.stddev))
    z = torch.from_numpy(mean).float()
    if options.latent_sample:
        drift = latent_drift(n_frames, z.shape[1], run, options.seed, 0)
        z = z + torch.from_numpy(np.maximum(scale, 0.0)).float() * drift
    return _play_path(run, z, folder / f"sequence_{classes_name(classes)}", options, "morphing", False)


def play_trajectories(run: Run, kinds: Sequence[str], folder: Path, options: PlayOptions) -> list[Path]:
    """`n_generations` trajectories of each kind through the latent space."""
    n_frames = options.n_steps or FRAMES_IN_ALL
    sounds = []
    for kind in kinds:
        for number in range(options.n_generations):
            z = TRAJECTORIES[kind](n_frames, run.model.dims[-1], options.seed, number)
            sounds.append(_play_path(run, torch.from_numpy(z).float(), folder / f"{kind}_{number}", options,
                                     f"{kind} {number}", True))
    return sounds


def _play_path(run: Run, z: torch.Tensor, base: Path, options: PlayOptions, title: str, table: bool) -> Path:
    """Decode top latents (frames, latent) to sound, picture and (for trajectories) a table of labels."""
    magnitudes, probabilities = decode_path(run, z)
    sound = write_sound(run, frames_to_sound(run, magnitudes, options.griffinlim_iters, options.seed), base, options)
    if table:
        write_labels_csv(_beside(base, ".csv"), probabilities, run.space, run.front_end.frame_seconds)
    if options.graphs:
        plot_labelled_sound(magnitudes.cpu().numpy(), probabilities, run.space, run.front_end, _beside(base, ".png"),
                            title)
    return sound


# --- files ------------------------------------------------------------------------------------------------

def _beside(base: Path, suffix: str) -> Path:
    return base.parent / (base.name + suffix)


def write_sound(run: Run, audio: np.ndarray, base: Path, options: PlayOptions) -> Path:
    """Write sound at the level it was learnt at, turned down only where its peak would pass -1 dBFS."""
    path = _beside(base, f".{options.format}")
    write_audio(path, to_peak(audio), run.front_end.sample_rate)
    return path
