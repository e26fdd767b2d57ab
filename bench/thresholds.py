#!/usr/bin/env python3
"""Sensitivity of note decoding: figures with each of its constants a step lower and higher.

    python3 bench/thresholds.py saves/demo__Flute SET_DIR [SET_DIR ...] [--fields onset_db]

The constants are the fields of `DecoderConfig`; without `--fields` all are swept. The model is one
of a single instrument. SET_DIR is laid out as the Cantos flute set; `bench/make_tunes.py` makes
some. Each recording is analysed once and decoded again for each row; rows are printed as they come.
Figures are those of `lt_midi.py`, but for the times of MIDI files, which that rounds.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lt import cli
from lt.config import DecoderConfig
from lt.evaluation.ground_truth import find_pairs, read_reference
from lt.evaluation.metrics import frame_counts, note_scores, pooled_note_figures
from lt.files import unique_names
from lt.inference.note_decoding import posteriors_to_notes
from lt.inference.posteriors import Posteriors, analyse_recording
from lt.midi import Note
from lt.models.runs import Run, load_run

STEP = 0.25  # relative to the value; fields with other steps are in VALUES
VALUES: dict[str, tuple[float, float]] = {
    "onset_db": (-14.0, -10.0),
    "offset_db": (-24.0, -16.0),
    "quietest_db": (-70.0, -50.0),
    "silent_db": (-102.0, -84.0),
    "novelty_height": (0.03, 0.06),
    "full_novelty": (0.2, 0.5),
    "change_odds": (0.03, 0.3),
    "least_probability": (0.001, 0.01),
    "earlier_percentile": (10.0, 40.0),
    "new_ratio": (1.5, 3.0),
}
FIGURES = ("f1", "f1_with_offsets", "frame_note", "frame_false_alarm")


@dataclass(frozen=True)
class Example:
    """An analysed recording and the notes played in it."""

    posteriors: Posteriors
    notes: tuple[Note, ...]


def analyse_set(run: Run, folder: Path) -> list[Example]:
    """Analyse every recording of a set."""
    pairs = find_pairs(folder / "Recordings", folder / "Aligned_files" / "mid_files")
    return [
        Example(
            analyse_recording(run, pair.audio).posteriors,
            read_reference(pair.midi, run.space).notes,
        )
        for pair in pairs
    ]


def figures(examples: list[Example], config: DecoderConfig) -> list[float]:
    """The FIGURES of a set."""
    decoded = [posteriors_to_notes(example.posteriors, 0, config) for example in examples]
    pairs = [(example.notes, notes) for example, notes in zip(examples, decoded)]
    pooled = pooled_note_figures(
        [note_scores(*pair) for pair in pairs], [frame_counts(*pair) for pair in pairs]
    )
    return [pooled[name] for name in FIGURES]


def neighbours(name: str) -> tuple:
    """A lower and a higher value of a field, of the field's type."""
    default = getattr(DecoderConfig, name)
    if isinstance(default, tuple):
        return tuple(tuple(value * factor for value in default) for factor in (1 - STEP, 1 + STEP))
    low, high = VALUES.get(name, sorted((default * (1 - STEP), default * (1 + STEP))))
    return type(default)(low), type(default)(high)


def print_row(name: str, sets: list[list[Example]], config: DecoderConfig) -> None:
    values = [figure for examples in sets for figure in figures(examples, config)]
    click.echo(",".join([name, *(f"{value:.4f}" for value in values)]))


def clear(example: Example) -> Example:
    """The same recording, onsets and offsets being read from the level after the high-pass."""
    posteriors = replace(example.posteriors, level_db=example.posteriors.clear_db)
    return replace(example, posteriors=posteriors)


@cli.command(
    __doc__.splitlines()[0], example="python3 bench/thresholds.py saves/demo__Flute SET_DIR"
)
@click.argument("model", type=cli.PATH)
@click.argument("sets", type=cli.PATH, nargs=-1, required=True)
@cli.option(
    "--fields",
    help="of DecoderConfig that are swept",
    default=tuple(field.name for field in dataclasses.fields(DecoderConfig)),
    default_text="all",
    at_least=1,
)
def main(model: Path, sets: tuple[Path, ...], fields: tuple[str, ...]) -> None:
    run, config = load_run(model, tag="best"), DecoderConfig()
    if len(run.space.instruments) > 1:
        raise ValueError(
            f"{model} is a model of several instruments; one of a single instrument is needed"
        )
    examples = [analyse_set(run, folder) for folder in sets]
    names = unique_names(folder.name for folder in sets)
    click.echo(",".join(["row", *(f"{name}_{figure}" for name in names for figure in FIGURES)]))
    print_row("defaults", examples, config)
    print_row("onsets clear of noise", [list(map(clear, own)) for own in examples], config)
    for name in fields:
        for value in neighbours(name):
            print_row(f"{name} {value}", examples, replace(config, **{name: value}))


if __name__ == "__main__":
    main()
