#!/usr/bin/env python3
"""Transcribe recordings with trained models, and compare the result with aligned MIDI."""

from __future__ import annotations

from pathlib import Path

import click

from lt import cli
from lt.config import CrossConfig

EXAMPLE = """python3 lt_midi.py --models flute \\
    --dataroot flute-audio-labelled-database-AMT/Recordings \\
    --midiroot flute-audio-labelled-database-AMT/Aligned_files/mid_files > results.txt"""


@cli.command(
    "Transcribe recordings with trained models, and compare the result with aligned MIDI.\n\n"
    "Prints a table for each model, and one that compares them; writes transcriptions "
    "(MIDI and CSV), results, sound and figures into the output folder. STEM.wav goes with "
    "STEM-lined.mid or STEM.mid.",
    example=EXAMPLE,
)
@cli.option(
    "-m",
    "--models",
    help="folders that lt_train.py wrote, or names of models that come with the package",
    type=cli.PATH,
    required=True,
    at_least=1,
)
@cli.option(
    "-o",
    "--output",
    help="results folder; for several models, one for each, and comparison.csv",
    type=cli.PATH,
    default_text="MODEL/midi_results",
)
@cli.option(
    "--dataroot",
    help="folder of recordings (wav, flac, mp3, ogg, aiff), searched recursively",
    type=cli.PATH,
    required=True,
)
@cli.option(
    "--midiroot",
    help="folder of aligned MIDI files, searched recursively",
    type=cli.PATH,
    required=True,
)
@cli.options(CrossConfig)
@cli.cuda_option()
def main(
    models: tuple[Path, ...],
    output: Path | None,
    dataroot: Path,
    midiroot: Path,
    cuda: int,
    **flags: object,
) -> None:
    config = CrossConfig(**flags)
    from lt.devices import device
    from lt.evaluation.comparison import comparison, grouped, write_comparison
    from lt.evaluation.corpus import evaluate_corpus
    from lt.evaluation.ground_truth import find_pairs
    from lt.evaluation.results import Results, text
    from lt.files import unique_names
    from lt.models.pretrained import output_path, run_path
    from lt.models.runs import RunSettings, load_run

    paths = [run_path(path) for path in models]
    names = unique_names(path.resolve().name for path in paths)
    found = device(cuda)
    folders = [
        output / name
        if output and len(models) > 1
        else output or output_path(path) / "midi_results"
        for path, name in zip(paths, names)
    ]
    pairs = find_pairs(dataroot, midiroot, folders)

    def evaluate(index: int) -> tuple[str, RunSettings, Results | None]:
        run = load_run(paths[index], device=found)
        corpus = evaluate_corpus(run, pairs, folders[index], config, progress=cli.progress)

        def check(stem: str) -> None:
            if stem in corpus.failures:
                raise corpus.failures[stem]

        cli.for_each([pair.stem for pair in pairs], check)
        if corpus.results:
            click.echo(text(corpus.results) + "\n")
        return names[index], run.settings, corpus.results

    done = [entry for entry in cli.for_each(range(len(models)), evaluate) if entry[2]]
    if len(done) > 1:
        groups = grouped(done)
        click.echo(comparison(groups))
        first = folders[names.index(done[0][0])]
        write_comparison((output or first) / "comparison.csv", groups)


if __name__ == "__main__":
    main()
