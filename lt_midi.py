#!/usr/bin/env python3
"""Hear recordings with trained models, and compare what they hear with aligned MIDI."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click

from lt import cli
from lt.config import CrossConfig

EXAMPLE = """python3 lt_midi.py --models saves/flute__Flute \\
    --dataroot flute-audio-labelled-database-AMT/Recordings \\
    --midiroot flute-audio-labelled-database-AMT/Aligned_files/mid_files > results.txt"""


def flag(name: str, help: str, type=cli.SWITCH):
    """A flag whose default is CrossConfig's field of that name."""
    return cli.option(f"--{name}", of=CrossConfig, help=help, type=type)


@cli.command(
    "Hear recordings with trained models, and compare what they hear with aligned MIDI.\n\n"
    "Prints a table a model; writes transcriptions (MIDI and CSV), results, sound and pictures "
    "into the "
    "output folder. STEM.wav goes with STEM-lined.mid or STEM.mid.",
    example=EXAMPLE,
)
@cli.option(
    "--models", help="folders that lt_train.py wrote", type=cli.PATH, required=True, at_least=1
)
@cli.option(
    "--output",
    help="results folder; of several models, one folder each in it",
    type=cli.PATH,
    default_text="MODEL/midi_results",
)
@cli.option(
    "--dataroot",
    help="folder of recordings (wav, flac, mp3, ogg, aiff), searched in depth",
    type=cli.PATH,
    required=True,
)
@cli.option(
    "--midiroot",
    help="folder of aligned MIDI files, searched in depth",
    type=cli.PATH,
    required=True,
)
@flag("plot", "1: draw pictures")
@flag("losses", "1: judge the model: table, results.json, results.csv")
@flag("resynthesize", "1: write reconstructions, and sound made from the MIDI's symbols")
@flag("classifier", "1: judge the baseline in MODEL/test_classifier.t7, which lt_analyze.py trains")
@flag("griffinlim_iters", "iterations of phase retrieval", cli.NOT_NEGATIVE)
@flag("jobs", "recordings worked on at once; 0: as many as there are cores", cli.NOT_NEGATIVE)
@cli.seed_option()
@cli.cuda_option()
def main(
    models: tuple[Path, ...],
    output: Path | None,
    dataroot: Path,
    midiroot: Path,
    cuda: int | str,
    **flags: object,
) -> None:
    config = CrossConfig(**{field.name: flags[field.name] for field in fields(CrossConfig)})
    from lt.devices import device
    from lt.evaluation.corpus import cross
    from lt.evaluation.ground_truth import find_pairs
    from lt.evaluation.results import comparison, text
    from lt.files import unique_names

    chosen, names = device(cuda), unique_names(path.resolve().name for path in models)
    folders = [
        output / name if output and len(models) > 1 else output or path / "midi_results"
        for path, name in zip(models, names)
    ]
    pairs = find_pairs(dataroot, midiroot, folders, cli.note)

    def one(index: int) -> tuple[str, dict]:
        results = cross(models[index], pairs, folders[index], config, chosen)
        if results:
            click.echo(text(results) + "\n")
        return names[index], results

    done = [found for found in cli.for_each(range(len(models)), one) if found[1]]
    if len(done) > 1:
        click.echo(comparison([results for _, results in done], [name for name, _ in done]))


if __name__ == "__main__":
    main()
