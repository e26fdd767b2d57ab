#!/usr/bin/env python3
"""Evaluate trained models: tables, figures, sound examples and an HTML report."""

from __future__ import annotations

from pathlib import Path

import click

from lt import cli
from lt.config import AnalysisConfig

EXAMPLE = """python3 lt_analyze.py -m flute > results.txt
python3 lt_analyze.py -m saves/flute__Flute saves/piano__Piano -o comparison --nb_passes 4"""


@cli.command(
    "Evaluate trained models on notes that they were not trained on, beside simpler methods.\n\n"
    "Prints a table for each model, and one that compares them, with means over models that differ "
    "in seed or fold alone, and paired differences; writes results, figures, sound "
    "examples and report.html into the output folder.",
    example=EXAMPLE,
)
@cli.option(
    "-d",
    "--dbroot",
    help="data set",
    type=cli.PATH,
    default_text="the one that the model was trained on",
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
    default_text="MODEL/analysis",
)
@cli.option(
    "--sources",
    help="folders of the notes' recordings or fonts, for pYIN and the original sounds",
    type=cli.PATH,
    at_least=1,
    default=(),
    default_text="beside the data set",
)
@cli.options(AnalysisConfig)
@cli.cuda_option("-c")
def main(
    dbroot: Path | None,
    models: tuple[Path, ...],
    output: Path | None,
    sources: tuple[Path, ...],
    cuda: int,
    **flags: object,
) -> None:
    config = AnalysisConfig(**flags)
    from lt.devices import device
    from lt.evaluation.analyze import analyse_run
    from lt.evaluation.comparison import comparison, grouped, write_comparison
    from lt.evaluation.results import Results, text
    from lt.files import unique_names
    from lt.models.pretrained import output_path, run_path
    from lt.models.runs import RunSettings, load_run

    paths = [run_path(path) for path in models]
    names = unique_names(path.resolve().name for path in paths)
    found = device(cuda)

    def evaluate(index: int) -> tuple[str, RunSettings, Results]:
        folder = output / names[index] if output and len(models) > 1 else output
        run = load_run(paths[index], device=found)
        results = analyse_run(run, folder, dbroot, sources, config, cli.progress)
        click.echo(text(results) + "\n")
        return names[index], run.settings, results

    done = cli.for_each(range(len(models)), evaluate)
    if len(done) > 1:
        groups = grouped(done)
        click.echo(comparison(groups))
        first = output_path(paths[names.index(done[0][0])])
        write_comparison((output or first / "analysis") / "comparison.csv", groups)


if __name__ == "__main__":
    main()
