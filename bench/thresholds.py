#!/usr/bin/env python3
"""What the thresholds of notes and of their edges bring: those in STEPS a little lower and higher,
on recordings.

    python3 bench/thresholds.py saves/demo__Flute SET_DIR [SET_DIR ...]

The model is one of a single instrument. SET_DIR is laid out as the Cantos flute set;
`bench/make_tunes.py` makes some. Each recording is heard once and read anew for each row; rows are
printed as they come. Figures are those of `lt_midi.py`, but for the times of MIDI files, which that
rounds.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lt import cli
from lt.evaluation.ground_truth import find_pairs, read_reference
from lt.evaluation.metrics import frame_counts, note_scores, pooled_note_figures
from lt.files import unique_names
from lt.inference import note_decoding as transcription
from lt.inference import onsets as segments
from lt.inference.note_decoding import hearing_to_notes
from lt.inference.posteriors import Hearing, hear_file
from lt.models.runs import Run, load_run

STEPS = {  # one lower and one higher than what stands in lt/segments.py and lt/transcription.py
    "ONSET_DB": (-14.0, -10.0),
    "OFFSET_DB": (-24.0, -16.0),
    "REST_DB": (10.0, 18.0),
    "DEEP_DB": (5.0, 10.0),
    "QUIET_DB": (24.0, 36.0),
    "HALF": (0.35, 0.55),
    "NEW": (1.5, 3.0),
    "DIP_DB": (12.0, 20.0),
    "RISE_DB": (6.0, 11.0),
    "NEAR_DB": (9.0, 16.0),
    "NOVELTY": (0.03, 0.06),
    "FULL_NOVELTY": (0.2, 0.5),
    "CHANGE": (0.03, 0.3),
    "DOUBT": (0.001, 0.01),
    "QUIETEST_DB": (-70.0, -50.0),
    "BEFORE_SECONDS": (0.08, 0.16),
    "AFTER_SECONDS": (0.04, 0.1),
    "OVERLAP_SECONDS": (0.3, 0.5),
    "EARLIER": (10, 40),
    "ATTACK_SECONDS": (0.2, 0.4),
}
FIGURES = ("f1", "f1_with_offsets", "frame_note", "frame_false_alarm")
Heard = list[tuple[Hearing, tuple]]


def hear_set(run: Run, folder: Path) -> Heard:
    """What the run hears in each recording of a set, and the notes that were played."""
    pairs = find_pairs(
        folder / "Recordings", folder / "Aligned_files" / "mid_files", (), lambda sentence: None
    )
    return [
        (hear_file(run, pair.audio), read_reference(pair.midi, run.space).notes) for pair in pairs
    ]


def figures(heard: Heard, clear: bool = False) -> list[float]:
    """The FIGURES of a set; `clear`: also edges are read from the level without rumble."""
    scores, counts = [], []
    for hearing, truth in heard:
        notes = hearing_to_notes(replace(hearing, level_db=hearing.clear_db) if clear else hearing)
        scores.append(note_scores(truth, notes))
        counts.append(frame_counts(truth, notes))
    pooled = pooled_note_figures(scores, counts)
    return [pooled[name] for name in FIGURES]


def print_row(name: str, sets: list[Heard], clear: bool = False) -> None:
    click.echo(
        ",".join([name, *(f"{figure:.4f}" for heard in sets for figure in figures(heard, clear))])
    )


@cli.command(
    __doc__.splitlines()[0], example="python3 bench/thresholds.py saves/demo__Flute SET_DIR"
)
@click.argument("model", type=cli.PATH)
@click.argument("sets", type=cli.PATH, nargs=-1, required=True)
def main(model: Path, sets: tuple[Path, ...]) -> None:
    run = load_run(model, tag="best")
    if len(run.space.instruments) > 1:
        raise ValueError(
            f"{model} is a model of several instruments; one of a single instrument is needed"
        )
    heard, names = (
        [hear_set(run, folder) for folder in sets],
        unique_names(folder.name for folder in sets),
    )
    click.echo(",".join(["row", *(f"{name}_{figure}" for name in names for figure in FIGURES)]))
    print_row("as it is", heard)
    print_row("edges clear of rumble", heard, clear=True)
    for name, values in STEPS.items():
        for value in values:
            with ExitStack() as stack:
                for room in (segments, transcription):
                    if hasattr(room, name):
                        stack.enter_context(patch.object(room, name, value))
                print_row(f"{name} {value:g}", heard)


if __name__ == "__main__":
    main()
