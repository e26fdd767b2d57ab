#!/usr/bin/env python3
"""Draw recorded and played notes side by side, into docs/.

    python3 bench/spectrograms.py saves/results_0__Flute saves/results_0__Piano \
        saves/results_0__Violin --output docs/played_notes.png

A row for each run: a note of the test part of its stored split, and what the model plays for its
symbol, from the onset to half a second after note-off; both panels show 70 dB below the peak of the
recorded note. `--notes` names them (`A4:mf`), one a run; unless given, the middle one.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from librosa.display import specshow

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import bench.compared_notes as notes_of
from bench.sound_measures import RATE, magnitudes
from bench.synthesis import Subject, open_subject
from lt import cli
from lt.plotting import RANGE_DB, SPECTRUM_MAP, new_figure, save_figure

N_FFT, HOP = 1024, 128  # samples
AFTER = 0.5  # s after note-off
LOWEST = 50  # Hz
SIZE = 4.5, 2.6  # inches of a panel


@dataclass(frozen=True)
class NotePair:
    """A held-out note of a run and what the run plays for it."""

    title: str
    recorded: notes_of.NoteSound
    played: notes_of.NoteSound


def pair_of(subject: Subject, name: str = "") -> NotePair:
    """The held-out note of that name, or the middle one.

    Raises:
        ValueError: no held-out note has that name.
    """
    data = subject.data
    notes = notes_of.held_out_notes(data, subject.split, subject.instrument, len(data.lengths))
    by_name = {str(notes_of.symbol_of(data, note)): note for note in notes}
    if name and name not in by_name:
        raise ValueError(
            f"{subject.run.folder.path}: {name} is no held-out note (there are: "
            f"{' '.join(by_name)})"
        )
    note = by_name[name] if name else notes[len(notes) // 2]
    symbol = notes_of.symbol_of(data, note)
    recorded = notes_of.recorded_note(data, note, subject.folders)
    played = notes_of.play_note(subject.run, symbol, recorded.held)
    return NotePair(f"{subject.instrument} {symbol}", recorded, played)


def decibels(sound: notes_of.NoteSound, seconds: float) -> np.ndarray:
    """(bins, frames) magnitudes of the first seconds of a sound, in decibels."""
    return 20 * np.log10(np.maximum(magnitudes(sound.during(seconds), N_FFT, HOP), 1e-9))


def draw(pairs: list[NotePair], path: Path) -> None:
    """Write the figure: a row a pair, recorded on the left."""
    width, height = SIZE
    figure = new_figure(2 * width, height * len(pairs))
    axes = figure.subplots(len(pairs), 2, squeeze=False)
    for row, pair in zip(axes, pairs):
        seconds = pair.recorded.held + AFTER
        panels = [decibels(sound, seconds) for sound in (pair.recorded, pair.played)]
        loudest = panels[0].max()
        for panel, levels, which in zip(row, panels, ("recorded", "played")):
            specshow(
                levels,
                sr=RATE,
                hop_length=HOP,
                x_axis="s",
                y_axis="log",
                cmap=SPECTRUM_MAP,
                vmin=loudest - RANGE_DB,
                vmax=loudest,
                ax=panel,
            )
            panel.set(ylim=(LOWEST, RATE / 2), xlabel="time (s)", ylabel="frequency (Hz)")
            panel.set_title(f"{pair.title}, {which}", loc="left", fontsize=9)
    save_figure(figure, path)


@cli.command(
    "Draw recorded and played notes side by side.",
    example="python3 bench/spectrograms.py saves/results_0__Flute saves/results_0__Piano",
)
@click.argument("models", nargs=-1, required=True, type=cli.PATH)
@cli.option("--notes", help="held-out notes, one a model", default=(), at_least=0)
@cli.option("--sources", help="folders of the recordings", default=(), type=cli.PATH, at_least=0)
@cli.option("--output", help="a .png", default=Path("docs/played_notes.png"), type=cli.PATH)
def main(
    models: tuple[Path, ...], notes: tuple[str, ...], sources: tuple[Path, ...], output: Path
) -> None:
    if notes and len(notes) != len(models):
        raise click.UsageError(f"{len(notes)} --notes for {len(models)} models; give one each.")
    names = notes or [""] * len(models)
    subjects = [open_subject(str(model), None, sources) for model in models]
    draw([pair_of(subject, name) for subject, name in zip(subjects, names)], output)


if __name__ == "__main__":
    main()
