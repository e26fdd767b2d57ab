"""The command `python3 -m lt.build` (also `python3 -m lt.builders`, `lt-build`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from lt import cli
from lt.build.builder import ACCOUNT_SUFFIX, _built_from, _n_cores, build
from lt.build.discover import KINDS, MIRDATA, survey_sources
from lt.build.notes import (
    BuildConfig,
    choose,
    dynamics_class,
    instrument_name,
    note_number_of,
)
from lt.build.pool import (
    start_processes,
)
from lt.build.summary import Account, print_account, write_account

EXAMPLE = """python3 -m lt.builders recordings/flute --output data/flute.npz
python3 -m lt.builders FluidR3_GM.sf2 --instruments Flute Oboe --output data/winds.npz
python3 -m lt.builders TinySOL --dry_run 1"""


# --- the command ----------------------------------------------------------------------------------


class _Word(click.ParamType):
    """A word that `reader` understands; or none, where that is the default."""

    def __init__(self, name: str, reader: Callable[[str], object]) -> None:
        self.name, self.reader = name, reader

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        try:
            if value or not param or param.default != "":
                self.reader(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        return str(value)


NOTE, DYNAMICS, NAME = (
    _Word("note", note_number_of),
    _Word("word", dynamics_class),
    _Word("name", instrument_name),
)


def flag(
    name: str, help: str, type: click.ParamType | type | None = None, at_least: int | None = None
) -> Callable:
    """A flag whose default is BuildConfig's field of that name."""
    return cli.option(
        f"--{name}",
        of=BuildConfig,
        help=help,
        type=type,
        at_least=at_least,
        default_text="none" if getattr(BuildConfig, name) in ("", ()) else None,
    )


@cli.command(
    "Build a data set for --dbroot from SOURCE: sound fonts, folders of recordings, data sets to "
    "be merged. "
    "Prints what became of every file; the whole list goes beside the output, to NAME.files.csv.",
    example=EXAMPLE,
)
@click.argument("source", nargs=-1, required=True, type=cli.PATH)
@cli.option("--output", help="the data set; needed but for a dry run", type=cli.PATH)
@cli.option(
    "--dry_run", help="1: only say what would be used; no sound is read", default=0, type=cli.SWITCH
)
@flag("kind", f"of the sources: {' '.join(KINDS)}, or {MIRDATA}LOADER", str)
@flag(
    "instruments",
    "to keep; fonts: NAME or NAME:PROGRAM:LOWEST-HIGHEST (Marimba:12:C3-C6)",
    _Word("name", lambda text: instrument_name(text.partition(":")[0])),
    0,
)
@flag("lowest", "lowest note to keep, by name or MIDI number", NOTE)
@flag("highest", "highest note to keep", NOTE)
@flag("dynamics", "dynamics to keep", DYNAMICS, 1)
@flag("note_seconds", "fonts: how long notes are held", cli.Number(min=0.1, max=60))
@flag("release_seconds", "fonts: how long they are heard after", cli.Number(min=0, max=60))
@flag(
    "brightness",
    "fonts: how much velocity shapes brightness; 0: level alone",
    cli.Number(min=0, max=1),
)
@flag("instrument", "of recordings whose source names none", NAME)
@flag("default_dynamics", "of recordings whose source names none", DYNAMICS)
@flag("midiroot", "folder of aligned MIDI, where it is not the source", str)
@flag(
    "max_detuning", "leave out notes further from their label, in cents; 0: none", cli.Number(min=0)
)
@flag("rumble", "cut what lies below, in hertz; 0: nothing", cli.Number(min=0, max=1000))
@cli.option("--jobs", help="processes; 0: one a core", default=0, type=cli.NOT_NEGATIVE)
@click.pass_context
def main(
    ctx: click.Context,
    source: tuple[Path, ...],
    output: Path | None,
    dry_run: int,
    jobs: int,
    **flags: object,
) -> None:
    config = BuildConfig(**flags)
    if config.kind not in KINDS and not config.kind.startswith(MIRDATA):
        raise click.UsageError(
            f"--kind '{config.kind}' is none of {' '.join(KINDS)}, {MIRDATA}LOADER."
        )
    if output is None and not dry_run:
        raise click.UsageError("--output is missing.")
    if output is not None and output.suffix != ".npz":
        raise click.UsageError(f"--output {output} does not end in .npz.")
    if not dry_run:
        start_processes(jobs or _n_cores())  # while the survey looks around
    survey = choose(survey_sources(source, config), config)
    if dry_run:
        print_account(Account.foreseen(survey))
        if not survey.takes:
            raise ValueError(f"nothing to build from ({Account.foreseen(survey).main_reason})")
        return
    with cli.progress(len(survey.takes), "hearing notes", unit="note") as bar:
        account = build(survey, output, config, _built_from(source, config), jobs, bar.update)
    files = output.with_suffix(ACCOUNT_SUFFIX)
    write_account(files, account)
    print_account(account)
    cli.note(f"wrote {output} and {files}")


if __name__ == "__main__":
    main()
