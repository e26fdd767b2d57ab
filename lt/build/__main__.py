"""The command `python3 -m lt.build` (also `python3 -m lt.builders` and `lt-build`).

Imports nothing heavy before it runs, so that `--help` is fast and Ctrl-C always ends in one line.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from lt import cli
from lt.config import BuildConfig

EXAMPLE = """python3 -m lt.builders recordings/flute --output data/flute.npz
python3 -m lt.builders FluidR3_GM.sf2 --instruments Flute Oboe --output data/winds.npz
python3 -m lt.builders TinySOL --dry_run 1"""


def _checked(name: str, parse: Callable[[str], None]) -> cli.Value:
    """A kind of text, kept as written, that `parse` understands; or nothing."""

    def check(text: str) -> str:
        if text:
            parse(text)
        return text

    return cli.Value(name, check)


def _check_kind(kind: str) -> None:
    from lt.build.discover import KINDS, MIRDATA

    if kind not in KINDS and not kind.startswith(MIRDATA):
        raise ValueError(f"'{kind}' is none of {' '.join(KINDS)}, {MIRDATA}LOADER")


def _check_note(name: str) -> None:
    from lt.build.vocabulary import note_number_of

    note_number_of(name)


def _check_dynamics(word: str) -> None:
    from lt.build.vocabulary import dynamics_class

    dynamics_class(word)


def _check_instrument(name: str) -> None:
    from lt.build.vocabulary import instrument_name

    instrument_name(name.partition(":")[0])


VALUES = {
    **cli.KINDS,
    "source kind": _checked("kind", _check_kind),
    "note": _checked("note", _check_note),
    "dynamics": _checked("word", _check_dynamics),
    "instrument": _checked("name", _check_instrument),
}


@cli.command(
    "Build a data set for --dbroot from SOURCE: sound fonts, folders of recordings, data sets to "
    "be merged. Prints a summary of what is used and what is skipped; the list of all files goes "
    "beside the output, to NAME.files.csv.",
    example=EXAMPLE,
)
@click.argument("source", nargs=-1, required=True, type=cli.PATH)
@cli.option("--output", help="the data set; required but for a dry run", type=cli.PATH)
@cli.option(
    "--dry_run",
    help="1: only list what would be used, reading no audio",
    default=0,
    type=cli.SWITCH,
)
@cli.options(BuildConfig, VALUES)
@cli.option("--jobs", help="processes; 0: one per core", default=0, type=cli.interval("[0, inf)"))
def main(
    source: tuple[Path, ...], output: Path | None, dry_run: int, jobs: int, **flags: object
) -> None:
    from lt.build.builder import SUMMARY_SUFFIX, build_data_set
    from lt.build.discover import index_sources
    from lt.build.notes import select
    from lt.build.summary import BuildSummary

    config = BuildConfig(**flags)
    if dry_run:
        summary = BuildSummary.expected(select(index_sources(source, config), config))
        click.echo(summary)
        if not summary.notes:
            raise ValueError(f"nothing to build from ({summary.main_reason})")
        return
    if output is None:
        raise click.UsageError("--output is missing.")
    if output.suffix != ".npz":
        raise click.UsageError(f"--output {output} does not end in .npz.")
    click.echo(build_data_set(source, output, config, jobs, cli.progress))
    cli.logger.info(f"wrote {output} and {output.with_suffix(SUMMARY_SUFFIX)}")


if __name__ == "__main__":
    main(prog_name="python3 -m lt.build")
