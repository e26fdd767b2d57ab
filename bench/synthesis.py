"""How well a model plays, by a tracker that knows nothing of it: run `python bench/synthesis.py
MODEL`.

Prints, for a model of one instrument: the pitch of every note from C4 to C7 at three dynamics by
pYIN (notes of which it misreads the font's own rendering are reported and left out), whether levels
rise with dynamics, a tune played from MIDI and read back by pYIN and by the model itself, clicks,
speed, and how evenly a morphing moves.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo import note_f1, tune
from lt.audio.io import read_audio, write_audio
from lt.audio.soundfont import SoundFont, embedded_font
from lt.config import PlayOptions
from lt.inference.latent_paths import spline_path
from lt.inference.play import play_audio, play_midi
from lt.inference.synthesis import Rendering, classes_to_events, decode_path, events_to_audio
from lt.labels import DYNAMICS_NAMES, dynamics_to_velocity, number_to_note_name, parse_symbols
from lt.midi import INSTRUMENTS, Note, Track, write_midi
from lt.models.runs import Run, load_run

RATE = 22050
LOWEST, HIGHEST = 60, 96
DYNAMICS = (0, 2, 4)
NOTE_SECONDS = 1.0
CENTS = 50


# --- measures, each of sounds alone ---------------------------------------------------------------


def heard_number(audio: np.ndarray, note_number: int) -> float:
    """The median pitch of `audio` (samples,) by pYIN, as a fractional MIDI number; NaN where
    nothing is voiced.
    """
    low, high = librosa.midi_to_hz([note_number - 12, note_number + 3])
    pitch, voiced, _ = librosa.pyin(audio, fmin=low, fmax=high, sr=RATE, frame_length=2048)
    return float(librosa.hz_to_midi(np.median(pitch[voiced]))) if voiced.any() else float("nan")


def level_db(audio: np.ndarray) -> float:
    """Root mean square, dB relative to full scale."""
    return 10 * np.log10(np.mean(audio.astype(np.float64) ** 2) + 1e-12)


def clicks(
    audio: np.ndarray, borders: np.ndarray, seconds: float = 0.005, excess: float = 4.0
) -> int:
    """How many of `borders` (samples) have a jump between samples beyond `excess` times the largest
    jump around.

    A jump is |x[n] - 2 x[n-1] + x[n-2]|, which a smooth sound keeps small; `around` is 20 ms on both sides.
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
class Pitches:
    """Of notes asked for: how many the tracker reads right in the font's rendering, and of those in
    ours.
    """

    asked: int
    readable: int
    right: int
    missed: tuple[str, ...]
    misread: tuple[str, ...]
    rising: float


def pitches(run: Run, sampling: Rendering, instrument: str) -> Pitches:
    """Every note from C4 to C7 at three dynamics."""
    asked = [(number, dynamics) for number in range(LOWEST, HIGHEST + 1) for dynamics in DYNAMICS]
    names = [
        f"{number_to_note_name(number)}:{DYNAMICS_NAMES[dynamics]}" for number, dynamics in asked
    ]
    audio = events_to_audio(
        run, classes_to_events(parse_symbols(names, run.space), NOTE_SECONDS), sampling
    )
    n_note = round(NOTE_SECONDS * RATE)
    played = [audio[index * n_note : (index + 1) * n_note] for index in range(len(asked))]
    font = SoundFont(embedded_font())
    levels = np.array([level_db(one) for one in played]).reshape(
        -1, len(DYNAMICS)
    )  # joins to the neighbours included
    missed, misread = [], []
    for (number, dynamics), name, one in zip(asked, names, played):
        reference = font.render_note(
            INSTRUMENTS[instrument].program,
            number,
            int(dynamics_to_velocity(dynamics)),
            NOTE_SECONDS,
            0.0,
        )
        if not abs(heard_number(reference, number) - number) < CENTS / 100:
            misread.append(name)
        elif not abs(heard_number(one, number) - number) < CENTS / 100:
            missed.append(name)
    readable = len(asked) - len(misread)
    return Pitches(
        len(asked),
        readable,
        readable - len(missed),
        tuple(missed),
        tuple(misread),
        float((np.diff(levels, axis=1) > 0).all(axis=1).mean()),
    )


def morphing_jump(run: Run, first: str, last: str, n_frames: int = 500) -> tuple[float, bool, bool]:
    """Largest spectral distance between neighbouring frames over its mean, and whether the labels
    go from `first` to `last`: octave and pitch, and all of them.
    """
    import torch

    classes = parse_symbols([first, last], run.space)
    with torch.no_grad():
        mean = (
            run.model.encode_symbol(torch.from_numpy(classes).to(run.device)).top.mean.cpu().numpy()
        )
    magnitudes, groups = decode_path(run, torch.from_numpy(spline_path(mean, n_frames, 1)).float())
    decibels = 20 * np.log10(np.maximum(magnitudes.cpu().numpy() / float(magnitudes.max()), 1e-3))
    steps = np.sqrt((np.diff(decibels, axis=0) ** 2).mean(axis=1))
    found = [[int(group[at].argmax()) for group in groups] for at in (0, -1)]
    right = np.array(found) == classes.reshape(2, -1)
    return float(steps.max() / steps.mean()), bool(right[:, :2].all()), bool(right.all())


# --- a tune through the model ---------------------------------------------------------------------


def played_tune(
    run: Run, instrument: str, folder: Path, options: PlayOptions
) -> tuple[Path, list[Note], float]:
    """The demo's tune from MIDI: (sound, notes, seconds it took)."""
    notes = tune()
    write_midi(
        folder / "tune.mid", [Track(instrument, INSTRUMENTS[instrument].program, tuple(notes))]
    )
    started = time.perf_counter()
    sound = play_midi(run, folder / "tune.mid", folder / "tune", options, print)
    return sound, notes, time.perf_counter() - started


def tune_by_pyin(sound: Path, notes: list[Note]) -> int:
    """Of `notes`, how many pYIN hears within 50 cents, each over its own time."""
    audio = read_audio(sound)
    return sum(
        abs(
            heard_number(
                audio[round(note.onset * RATE) : round(note.offset * RATE)], note.note_number
            )
            - note.note_number
        )
        < CENTS / 100
        for note in notes
    )


def measure(model: str) -> None:
    run = load_run(model)
    instrument = run.space.instruments[0]
    say = print
    say(f"{model}: {instrument}, epoch {run.epoch}")
    for sample in (1, 0):
        found = pitches(run, Rendering(n_iter=30, seed=0, sample=bool(sample)), instrument)
        say(
            f"latent_sample {sample}: {found.right} of {found.readable} notes within {CENTS} "
            "cents = "
            f"{found.right / found.readable:.3f} (misread in the font's own: "
            f"{' '.join(found.misread) or 'none'}; "
            f"missed: {' '.join(found.missed) or 'none'}); levels rise for {found.rising:.3f} of "
            "the notes"
        )
    with tempfile.TemporaryDirectory() as name:
        folder, options = Path(name), PlayOptions(graphs=0)
        sound, notes, seconds = played_tune(run, instrument, folder, options)
        length = len(read_audio(sound)) / RATE
        say(
            f"tune: {tune_by_pyin(sound, notes)} of {len(notes)} notes by pYIN; {length:.1f} s "
            f"made in {seconds:.1f} s"
            f" = {length / seconds:.1f} x real time"
        )
        play_audio(run, sound, folder / "heard", options, print)
        say(
            "tune: MIDI -> midi -> audio -> MIDI note F1 "
            f"{note_f1(folder / 'tune.mid', folder / 'heard.mid'):.3f}"
        )
        borders = [at * RATE for note in notes for at in (note.onset, note.offset)]
        say(
            f"tune: {clicks(read_audio(sound), np.array(borders))} clicks at {len(borders)} borders"
        )
        audio = SoundFont(embedded_font()).render_tune(notes, INSTRUMENTS[instrument].program)
        write_audio(folder / "rendered.wav", audio)
        play_audio(run, folder / "rendered.wav", folder / "rendered_heard", options, print)
        say(
            "rendered tune: note F1 "
            f"{note_f1(folder / 'tune.mid', folder / 'rendered_heard.mid'):.3f}"
        )
    for pair in (("C4:mf", "G4:mf"), ("A4:pp", "A5:ff"), ("E5:f", "F5:f")):
        jump, notes_right, all_right = morphing_jump(run, *pair)
        say(
            f"morphing {' to '.join(pair)}: largest step {jump:.1f} x the mean, notes "
            f"{'right' if notes_right else 'WRONG'}, with dynamics "
            f"{'right' if all_right else 'WRONG'}"
        )


if __name__ == "__main__":
    for path in sys.argv[1:] or ["saves/demo__Flute"]:
        measure(path)
