"""Synthesis of a model measured by pYIN: run `python bench/synthesis.py MODEL ...`.

Prints, for a model of one instrument: whether pYIN finds the pitch of every note from C4 to C7 at
three dynamics (notes that it misreads in the sound font's own rendering are listed and left out),
whether levels rise with dynamics, a tune synthesised from MIDI and transcribed by pYIN and by the
model, clicks, speed, and how evenly a morphing moves.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import librosa
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo import note_f1, tune
from lt.audio.io import read_audio, write_audio
from lt.audio.soundfont import SoundFont, embedded_font
from lt.config import PlayOptions, SynthesisConfig
from lt.inference.latent_paths import spline_path
from lt.inference.play import play_audio, play_midi
from lt.inference.synthesis import (
    classes_to_events,
    decode_magnitudes,
    decode_probabilities,
    events_to_audio,
)
from lt.labels import DYNAMICS_NAMES, number_to_note_name, parse_symbols
from lt.midi import INSTRUMENTS, Note, Track, dynamics_to_velocity, write_midi
from lt.models.runs import Run, load_run

RATE = 22050
LOWEST, HIGHEST = 60, 96
DYNAMICS = (0, 2, 4)
NOTE_SECONDS = 1.0
CENTS = 50


# --- measures of sounds ---------------------------------------------------------------------------


def pyin_number(audio: np.ndarray, note_number: int) -> float:
    """Median pitch of `audio` (samples,) by pYIN as a fractional MIDI number; NaN if unvoiced."""
    low, high = librosa.midi_to_hz([note_number - 12, note_number + 3])
    pitch, voiced, _ = librosa.pyin(audio, fmin=low, fmax=high, sr=RATE, frame_length=2048)
    return float(librosa.hz_to_midi(np.median(pitch[voiced]))) if voiced.any() else float("nan")


def level_db(audio: np.ndarray) -> float:
    """Root mean square, dB relative to full scale."""
    return 10 * np.log10(np.mean(audio.astype(np.float64) ** 2) + 1e-12)


def is_in_tune(audio: np.ndarray, note_number: int) -> bool:
    """Whether pYIN reads a note within 50 cents."""
    return abs(pyin_number(audio, note_number) - note_number) < CENTS / 100


def clicks(
    audio: np.ndarray, borders: np.ndarray, seconds: float = 0.005, excess: float = 4.0
) -> int:
    """Number of `borders` (samples) with a jump |x[n] - 2 x[n-1] + x[n-2]| beyond `excess` times
    the 99th percentile of jumps in the 20 ms before and after.
    """
    jumps = np.abs(np.diff(audio.astype(np.float64), 2))
    width, found = round(seconds * RATE), 0
    for border in np.asarray(borders, dtype=int):
        near = jumps[max(border - width, 0) : border + width]
        around = np.concatenate(
            [
                jumps[max(border - 5 * width, 0) : max(border - width, 0)],
                jumps[border + width : border + 5 * width],
            ]
        )
        if len(near) and len(around) and near.max() > excess * max(np.percentile(around, 99), 1e-5):
            found += 1
    return found


@dataclass(frozen=True)
class PitchScores:
    """Notes played by the font and by the model, as pYIN reads them.

    Attributes:
        n_notes: all notes. n_readable: those read right in the font's rendering; n_right: of these,
            in the model's.
        missed, misread: names of notes read wrong in the model's, in the font's rendering.
        rising: fraction of pitches whose level rises with dynamics.
    """

    n_notes: int
    n_readable: int
    n_right: int
    missed: tuple[str, ...]
    misread: tuple[str, ...]
    rising: float


def score_pitches(run: Run, config: SynthesisConfig, instrument: str) -> PitchScores:
    """Every note from C4 to C7 at three dynamics."""
    notes = [(number, dynamics) for number in range(LOWEST, HIGHEST + 1) for dynamics in DYNAMICS]
    names = [
        f"{number_to_note_name(number)}:{DYNAMICS_NAMES[dynamics]}" for number, dynamics in notes
    ]
    events = classes_to_events(parse_symbols(names, run.space), NOTE_SECONDS)
    audio = events_to_audio(run, events, config)[: round(len(notes) * NOTE_SECONDS * RATE)]
    sounds = np.split(audio, len(notes))
    font = SoundFont(embedded_font())
    program = INSTRUMENTS[instrument].program
    missed, misread = [], []
    for (number, dynamics), name, sound in zip(notes, names, sounds):
        velocity = int(dynamics_to_velocity(dynamics))
        reference = font.render_note(program, number, velocity, NOTE_SECONDS, 0.0)
        if not is_in_tune(reference, number):
            misread.append(name)
        elif not is_in_tune(sound, number):
            missed.append(name)
    # joins to the neighbours are included
    levels = np.array([level_db(sound) for sound in sounds]).reshape(-1, len(DYNAMICS))
    return PitchScores(
        n_notes=len(notes),
        n_readable=len(notes) - len(misread),
        n_right=len(notes) - len(misread) - len(missed),
        missed=tuple(missed),
        misread=tuple(misread),
        rising=float((np.diff(levels, axis=1) > 0).all(axis=1).mean()),
    )


@dataclass(frozen=True)
class MorphingScores:
    """A linear morphing from one symbol to another.

    Attributes:
        largest_step: spectral distance between neighbouring frames, maximum over mean.
        notes_right, all_right: whether octave and pitch, or all labels, go from first to last.
    """

    largest_step: float
    notes_right: bool
    all_right: bool


@torch.no_grad()
def score_morphing(run: Run, first: str, last: str, n_frames: int = 500) -> MorphingScores:
    """Morph from symbol `first` to symbol `last`."""
    classes = parse_symbols([first, last], run.space)
    mean = run.model.encode_symbol(torch.from_numpy(classes).to(run.device)).top.mean
    z = torch.from_numpy(spline_path(mean.cpu().numpy(), n_frames, 1)).float()
    magnitudes = decode_magnitudes(run, z).cpu().numpy()
    decibels = 20 * np.log10(np.maximum(magnitudes / magnitudes.max(), 1e-3))
    steps = np.sqrt((np.diff(decibels, axis=0) ** 2).mean(axis=1))
    predicted = np.stack([group.argmax(axis=1) for group in decode_probabilities(run, z)], axis=1)
    right = predicted[[0, -1]] == classes.reshape(2, -1)
    return MorphingScores(
        float(steps.max() / steps.mean()), bool(right[:, :2].all()), bool(right.all())
    )


# --- a tune through the model ---------------------------------------------------------------------


@dataclass(frozen=True)
class PlayedTune:
    """The demo's tune synthesised from MIDI: sound file, notes, and seconds it took."""

    sound: Path
    notes: list[Note]
    seconds: float


def play_tune(run: Run, instrument: str, folder: Path, options: PlayOptions) -> PlayedTune:
    """Write `tune.mid` and its synthesis in a folder."""
    notes, midi = tune(), folder / "tune.mid"
    write_midi(midi, [Track(instrument, INSTRUMENTS[instrument].program, tuple(notes))])
    started = time.perf_counter()
    sound = play_midi(run, midi, folder / "tune", options).sound
    return PlayedTune(sound, notes, time.perf_counter() - started)


def n_notes_in_tune(sound: Path, notes: list[Note]) -> int:
    """Number of notes that pYIN reads within 50 cents, each over its own time."""
    audio = read_audio(sound)
    return sum(
        is_in_tune(audio[round(note.onset * RATE) : round(note.offset * RATE)], note.note_number)
        for note in notes
    )


def measure(model: str) -> None:
    """Print all measures of a model."""
    run = load_run(model)
    instrument = run.space.instruments[0]
    print(f"{model}: {instrument}, epoch {run.epoch}")
    for sample in (1, 0):
        scores = score_pitches(run, SynthesisConfig(sample=bool(sample)), instrument)
        print(
            f"latent_sample {sample}: {scores.n_right} of {scores.n_readable} notes within {CENTS} "
            f"cents = {scores.n_right / scores.n_readable:.3f} (misread in the font's own: "
            f"{' '.join(scores.misread) or 'none'}; missed: {' '.join(scores.missed) or 'none'}); "
            f"levels rise for {scores.rising:.3f} of the notes"
        )
    with tempfile.TemporaryDirectory() as name:
        measure_tune(run, instrument, Path(name))
    for pair in (("C4:mf", "G4:mf"), ("A4:pp", "A5:ff"), ("E5:f", "F5:f")):
        morphing = score_morphing(run, *pair)
        print(
            f"morphing {' to '.join(pair)}: largest step {morphing.largest_step:.1f} x the mean, "
            f"notes {'right' if morphing.notes_right else 'WRONG'}, with dynamics "
            f"{'right' if morphing.all_right else 'WRONG'}"
        )


def measure_tune(run: Run, instrument: str, folder: Path) -> None:
    """Print how the tune comes back from the model's sound, and from the font's."""
    options = PlayOptions(graphs=0)
    played = play_tune(run, instrument, folder, options)
    audio = read_audio(played.sound)
    length = len(audio) / RATE
    in_tune = n_notes_in_tune(played.sound, played.notes)
    print(
        f"tune: {in_tune} of {len(played.notes)} notes by pYIN; "
        f"{length:.1f} s made in {played.seconds:.1f} s = {length / played.seconds:.1f} x real time"
    )
    transcription = play_audio(run, played.sound, folder / "transcribed", options).midi
    score = note_f1(folder / "tune.mid", transcription)
    print(f"tune: MIDI -> midi -> audio -> MIDI note F1 {score:.3f}")
    borders = [time * RATE for note in played.notes for time in (note.onset, note.offset)]
    print(f"tune: {clicks(audio, np.array(borders))} clicks at {len(borders)} borders")
    rendered = SoundFont(embedded_font()).render_tune(played.notes, INSTRUMENTS[instrument].program)
    write_audio(folder / "rendered.wav", rendered)
    transcription = play_audio(run, folder / "rendered.wav", folder / "rendered", options).midi
    print(f"rendered tune: note F1 {note_f1(folder / 'tune.mid', transcription):.3f}")


@click.command(help=__doc__.splitlines()[0])
@click.argument("models", nargs=-1, required=True)
def main(models: tuple[str, ...]) -> None:
    for model in models:
        measure(model)


if __name__ == "__main__":
    main()
