"""The command `python3 -m lt.pretrained`: list the models that come with the package, or make them.

Imports nothing heavy before it runs, so that `--help` is fast.
"""

from __future__ import annotations

from pathlib import Path

import click

from lt import cli

EXAMPLE = """python3 -m lt.pretrained list
python3 -m lt.pretrained build
python3 -m lt.pretrained build --names flute --runs saves/results_0__Flute"""


@cli.command(
    "list: the models that come with the package, with range and accuracy. build: train them anew "
    "(about five minutes each on two cores), or take trained runs, and write their weights in half "
    "precision into the package.",
    example=EXAMPLE,
)
@click.argument("action", metavar="ACTION", type=click.Choice(["list", "build"]))
@cli.option("--names", help="models to make", default=(), default_text="all", at_least=1)
@cli.option(
    "--runs",
    help="folders of trained runs, one for each of --names",
    type=cli.PATH,
    default=(),
    at_least=1,
)
@cli.option("--dbroot", help="data set", default_text="the embedded one")
@cli.option("--output", help="folder of the models", type=cli.PATH, default_text="in the package")
@click.pass_context
def main(
    ctx: click.Context,
    action: str,
    names: tuple[str, ...],
    runs: tuple[Path, ...],
    dbroot: str | None,
    output: Path | None,
) -> None:
    if runs and len(runs) != len(names):
        raise click.UsageError("--runs needs a folder for each of --names.")
    if action == "list":
        cli.refuse_given(ctx, ["names", "runs", "dbroot", "output"], "the action list")
        show()
        return
    from lt.models.pretrained import FOLDER
    from lt.pretrained.build import build

    settings = {"dbroot": dbroot} if dbroot else {}
    build(names, dict(zip(names, runs)), settings, output or FOLDER, cli.progress)


def show() -> None:
    """Print a line a model: instruments, range, voices, and accuracy (of chords: F1)."""
    from lt.labels import number_to_note_name
    from lt.models.pretrained import FOLDER, pretrained_names, read_card
    from lt.models.runs import read_settings

    line = "{:<14}{:<14}{:<10}{:<15}{}"
    click.echo(line.format("model", "instruments", "range", "notes at once", "held-out notes"))
    for name in pretrained_names():
        settings = read_settings(FOLDER / name)
        keys = [key for table in settings.learnt.values() for key in table]
        measure, value = list(read_card(FOLDER / name)["figures"].items())[-1]
        click.echo(
            line.format(
                name,
                " ".join(settings.config.instruments),
                f"{number_to_note_name(min(keys))}-{number_to_note_name(max(keys))}",
                " ".join(map(str, settings.config.voices)),
                f"{measure} {value:.3f}",
            )
        )


if __name__ == "__main__":
    main(prog_name="python3 -m lt.pretrained")
