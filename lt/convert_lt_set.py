"""The command `python3 -m lt.convert_lt_set`: `lt.build.published_set`."""

from __future__ import annotations

from pathlib import Path

import click

from lt import cli
from lt.messages import counted


@cli.command(
    "Convert the data set that the article's authors published to this project's format.",
    example="python3 -m lt.convert_lt_set lt_set.npz --output data/lt_article.npz",
)
@click.argument("source", type=cli.PATH)
@cli.option("--output", help="the data set", type=cli.PATH, required=True)
def main(source: Path, output: Path) -> None:
    from lt.build.published_set import convert

    cli.logger.info(f"wrote {output}: {counted(convert(source, output), 'note')}")


if __name__ == "__main__":
    main(prog_name="python3 -m lt.convert_lt_set")
