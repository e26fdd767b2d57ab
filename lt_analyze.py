#!/usr/bin/env python3
"""Judge trained models: tables, pictures, sound examples and a page to look at and listen to."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click

from lt import cli
from lt.config import AnalysisConfig

EXAMPLE = """python3 lt_analyze.py -m saves/scan_multi__Flute > results.txt
python3 lt_analyze.py -m saves/flute__Flute saves/piano__Piano -o comparison --classifier_epochs 200"""


def flag(
    name: str, help: str, type=cli.SWITCH, group: str = "What is done", short: tuple[str, ...] = ()
):
    """A flag whose default is AnalysisConfig's field of that name."""
    return cli.option(*short, f"--{name}", of=AnalysisConfig, help=help, type=type, group=group)


@cli.command(
    "Judge trained models on notes that they were not trained on, next to simpler methods.\n\n"
    "Prints a table a model, and one that compares them; writes results, pictures, sound examples "
    "and "
    "report.html into the output folder.",
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
    help="folders that lt_train.py wrote",
    type=cli.PATH,
    required=True,
    at_least=1,
)
@cli.option(
    "-o",
    "--output",
    help="results folder; of several models, one folder each in it",
    type=cli.PATH,
    default_text="MODEL/analysis",
)
@cli.option(
    "--sources",
    help="folders where the notes' recordings or fonts lie, for pYIN and the original sounds",
    type=cli.PATH,
    at_least=1,
    default=(),
    default_text="beside the data set",
)
@flag("partition", "part of the data that is judged", click.Choice(["train", "valid", "test"]))
@flag("nb_passes", "passes over it, in fresh mixtures and samples", cli.POSITIVE, short=("-n",))
@flag("make_losses", "1: judge the model")
@flag("make_figures", "1: draw pictures")
@flag(
    "make_classifier",
    "1: train the baseline classifier (PCA and MLP), kept in MODEL/test_classifier.t7",
)
@flag("evaluate_classifier", "1: judge the baselines: classifier, pYIN")
@flag("conv_classifier", "1: also train and judge a convolutional baseline, signal to symbols")
@flag("conv_synth", "1: also train and judge a convolutional baseline, symbols to signal")
@flag("generate_audio", "number of sound examples", cli.NOT_NEGATIVE)
@flag("n_samples", "latent samples an example", cli.NOT_NEGATIVE)
@flag("classifier_epochs", "training epochs of the baselines", cli.POSITIVE, "Baselines")
@flag("classifier_bs", "batch size of the baselines", cli.POSITIVE, "Baselines")
@cli.seed_option()
@cli.cuda_option("-c")
def main(
    dbroot: Path | None,
    models: tuple[Path, ...],
    output: Path | None,
    sources: tuple[Path, ...],
    cuda: int | str,
    **flags: object,
) -> None:
    config = AnalysisConfig(**{field.name: flags[field.name] for field in fields(AnalysisConfig)})
    from lt.devices import device
    from lt.evaluation.analyze import inspect
    from lt.evaluation.results import comparison, text
    from lt.files import unique_names

    names = unique_names(path.resolve().name for path in models)
    chosen = device(cuda)

    def one(index: int) -> tuple[str, dict]:
        folder = output / names[index] if output and len(models) > 1 else output
        results = inspect(models[index], folder, dbroot, sources, config, chosen)
        click.echo(text(results) + "\n")
        return names[index], results

    done = cli.for_each(range(len(models)), one)
    if len(done) > 1:
        click.echo(comparison([results for _, results in done], [name for name, _ in done]))


if __name__ == "__main__":
    main()
