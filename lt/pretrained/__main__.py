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
    "list: the models that come with the package, with figures. build: train them anew (about five "
    "minutes each on two cores), or take runs that are trained, and write their weights in half "
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
    """Print the models and their figures."""
    from lt.models.pretrained import FOLDER, pretrained_names, read_card

    for name in pretrained_names():
        figures = read_card(FOLDER / name)["figures"]
        click.echo(f"{name}: " + ", ".join(f"{what} {value}" for what, value in figures.items()))


if __name__ == "__main__":
    main(prog_name="python3 -m lt.pretrained")
