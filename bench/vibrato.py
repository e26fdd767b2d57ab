#!/usr/bin/env python3
"""Whether models transcribe a vibrato as one note, and a trill as a trill.

    python3 bench/vibrato.py saves/flute__Flute saves/piano__Piano

Notes of each model's instrument are rendered from the embedded font. For a vibrato the sound of a
steady note is read at a speed that varies as a sine. A row for each model and depth of vibrato, and
each width of trill:

    one note    share of the notes with vibrato that are one note of their pitch
    f1          note F1 (onsets within 50 ms) of the notes with vibrato, or of a trill's
    joined      share of the trills of which fewer than half of the notes are transcribed
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from scipy.ndimage import map_coordinates

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lt import cli
from lt.audio.io import SAMPLE_RATE
from lt.audio.soundfont import SoundFont, embedded_font
from lt.evaluation.metrics import note_scores
from lt.inference.note_decoding import posteriors_to_notes
from lt.inference.posteriors import analyse_audio
from lt.labels import SEMITONES
from lt.midi import INSTRUMENTS, Note
from lt.models.runs import Run, load_run

DEPTHS = (20, 40, 60, 80, 100)  # cents to either side
RATES = (4.0, 5.0, 6.5, 8.0)  # periods a second
WIDTHS = (1, 2)  # semitones of a trill
TRILL_RATES = (4, 5, 6, 7, 8)  # notes a second
VIBRATO_KEYS = (0.2, 0.4, 0.6, 0.8)  # of the instrument's range
TRILL_KEYS = (72, 75, 79)  # C5 and up
SECONDS, REST_SECONDS = 1.5, 0.5  # of each note or trill, and after it
VELOCITY, PEAK = 90, 0.5
BESIDE_SECONDS = 0.1  # an onset that early or late belongs to the note


def with_vibrato(audio: np.ndarray, cents: float, rate: float) -> np.ndarray:
    """A steady sound (samples,) whose pitch swings `cents` to either side, `rate` times a second:
    it is read at the speed 2^(cents / 1200 sin(2 pi rate t)).
    """
    time = np.arange(len(audio)) / SAMPLE_RATE
    speed = 2 ** (cents / (100 * SEMITONES) * np.sin(2 * np.pi * rate * time))
    at = np.concatenate([[0.0], np.cumsum(speed)[:-1]])
    return map_coordinates(audio, at[None], order=3, mode="constant").astype(np.float32)


def vibrato_notes(instrument: str, cents: float) -> tuple[np.ndarray, list[Note]]:
    """Notes of an instrument with vibrato of each rate: audio (samples,), and the notes."""
    about, font = INSTRUMENTS[instrument], SoundFont(embedded_font())
    keys = [round(about.lowest + share * (about.highest - about.lowest)) for share in VIBRATO_KEYS]
    parts, notes = [np.zeros(round(REST_SECONDS * SAMPLE_RATE), np.float32)], []
    for key in keys:
        note = font.render_note(about.program, key, VELOCITY, SECONDS, REST_SECONDS)
        for rate in RATES:
            onset = sum(map(len, parts)) / SAMPLE_RATE
            notes.append(Note(onset, onset + SECONDS, key, VELOCITY))
            parts.append(with_vibrato(note, cents, rate))
    return _normalised(np.concatenate(parts)), notes


def trills(instrument: str, width: int) -> tuple[np.ndarray, list[list[Note]]]:
    """Trills of an instrument at each rate: audio (samples,), and the notes of each trill."""
    about = INSTRUMENTS[instrument]
    onset, found = REST_SECONDS, []
    for key in TRILL_KEYS:
        for rate in TRILL_RATES:
            starts = onset + np.arange(round(SECONDS * rate)) / rate
            found.append(
                [
                    Note(start, start + 1 / rate, key + width * (index % 2), VELOCITY)
                    for index, start in enumerate(starts.tolist())
                ]
            )
            onset = found[-1][-1].offset + REST_SECONDS
    notes = [note for trill in found for note in trill]
    audio = SoundFont(embedded_font()).render_tune(notes, about.program, REST_SECONDS)
    return _normalised(audio), found


def _normalised(audio: np.ndarray) -> np.ndarray:
    return audio * np.float32(PEAK / np.abs(audio).max())


def is_one(note: Note, transcribed: Sequence[Note]) -> bool:
    """Whether a note is transcribed as one, of its pitch."""
    begin, end = note.onset - BESIDE_SECONDS, note.offset - BESIDE_SECONDS
    within = [other for other in transcribed if begin <= other.onset < end]
    return [other.note_number for other in within] == [note.note_number]


def is_joined(trill: Sequence[Note], transcribed: Sequence[Note]) -> bool:
    """Whether fewer than half of a trill's notes are transcribed."""
    begin, end = trill[0].onset - BESIDE_SECONDS, trill[-1].offset
    within = [note for note in transcribed if begin <= note.onset < end]
    return 2 * len(within) < len(trill)


def transcribe(run: Run, audio: np.ndarray) -> list[Note]:
    return posteriors_to_notes(analyse_audio(run, [audio]).posteriors)


@cli.command(__doc__.splitlines()[0], example="python3 bench/vibrato.py saves/flute__Flute")
@click.argument("models", type=cli.PATH, nargs=-1, required=True)
def main(models: tuple[Path, ...]) -> None:
    click.echo("model,sound,one note,joined,f1")
    for path, run in [(path, load_run(path)) for path in models]:
        [instrument] = run.space.instruments
        for cents in DEPTHS:
            audio, notes = vibrato_notes(instrument, cents)
            heard = transcribe(run, audio)
            one = np.mean([is_one(note, heard) for note in notes])
            f1 = note_scores(notes, heard).f1
            click.echo(f"{path.name},vibrato of {cents} cents,{one:.3f},,{f1:.3f}")
        for width in WIDTHS:
            audio, of_trills = trills(instrument, width)
            heard = transcribe(run, audio)
            joined = np.mean([is_joined(trill, heard) for trill in of_trills])
            f1 = note_scores([note for trill in of_trills for note in trill], heard).f1
            click.echo(f"{path.name},trill of {width} semitones,,{joined:.3f},{f1:.3f}")


if __name__ == "__main__":
    main()
