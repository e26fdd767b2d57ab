"""Building data sets from sound fonts and recordings.

    python3 -m lt.builders SOURCE --output data/my_set.npz

A survey finds the notes (`lt.surveys`), parts hold their frames (`lt.cutting`, `lt.parts`), the data set is
written whole, and `lt.accounts` says what became of every file. The embedded set is the five instruments of
`lt.soundfonts.EMBEDDED`, each over its range, at five dynamics.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from lt import cli
from lt.accounts import Account, Outcome, print_account, write_account
from lt.cutting import Part
from lt.datafiles import write_data_set
from lt.datasets import NoteTable
from lt.files import fsync_path, refuse_overwriting_inputs
from lt.labels import NoteLabels
from lt.parts import FEW_JOBS, Job, do_jobs, jobs_of, parts_folder, read_magnitudes, start_processes
from lt.soundfonts import check_font, embedded_font
from lt.surveys import KINDS, MIRDATA, survey_font, survey_sources
from lt.takes import (BuildConfig, Rendering, Survey, Take, choose, dynamics_class, instrument_name,
                      note_number_of)

ACCOUNT_SUFFIX = ".files.csv"
EXAMPLE = """python3 -m lt.builders recordings/flute --output data/flute.npz
python3 -m lt.builders FluidR3_GM.sf2 --instruments Flute Oboe --output data/winds.npz
python3 -m lt.builders TinySOL --dry_run 1"""


@dataclass(frozen=True)
class Chosen:
    """The takes that become notes, in order: `outcomes` of those, and where in which job's part their frames lie."""
    outcomes: tuple[Outcome, ...]
    jobs: tuple[Job, ...]
    starts: np.ndarray


def build(survey: Survey, output: Path, config: BuildConfig, built_from: dict[str, object], processes: int = 0,
          on_note: Callable[[], None] = lambda: None) -> Account:
    """Build a data set from what a survey found; equal sources give equal bytes.

    Args:
        processes: 0: one a core. on_note: told of each note.
    Raises:
        ValueError: no note can be used, or what was read would be replaced, also by the account beside the output.
        IsADirectoryError: a folder is in the way of either. ImportError: fonts cannot be rendered. OSError: it cannot
        be written.
    """
    def on_job(job: Job) -> None:
        for _ in job.takes:
            on_note()

    outputs = output, output.with_suffix(ACCOUNT_SUFFIX)
    refuse_overwriting_inputs(outputs, {*(take.sound.path for take in survey.takes), *survey.read})
    if folders := [path for path in outputs if path.is_dir()]:  # known before the work and not after
        raise IsADirectoryError(f"{folders[0]} is a folder, not a file that can be replaced; choose another output")
    for font in dict.fromkeys(take.sound.path for take in survey.takes if isinstance(take.sound, Rendering)):
        if font != embedded_font():
            check_font(font)
    processes = processes or _n_cores()
    with parts_folder(output) as folder:
        if len(survey.takes) >= 2 * FEW_JOBS:
            start_processes(processes)
        jobs = jobs_of(survey.takes, folder, config.front_end)
        outcomes, chosen = _outcomes(jobs, do_jobs(jobs, config.front_end, processes, on_job), config)
        account = Account(tuple(outcomes), survey.skipped, survey.indexes)
        if chosen.outcomes:
            starts = np.concatenate([[0], np.cumsum([one.n_frames for one in chosen.outcomes])])
            whole = folder / f"whole-{output.name}"  # among the parts, so that what a kill leaves goes with them
            write_data_set(whole, _frames(chosen, config), starts, note_table(chosen.outcomes), config.front_end,
                           built_from)
            os.replace(whole, output)
            fsync_path(output.parent)
    if not chosen.outcomes:  # of which nothing is kept
        raise ValueError(f"none of the {account.n_files} files gives a note ({account.main_reason})")
    return account


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _outcomes(jobs: Sequence[Job], parts: dict[Path, Part], config: BuildConfig) -> tuple[list[Outcome], Chosen]:
    """What became of every take, and those that become notes."""
    every, chosen, origins, places = [], [], [], []
    for job in jobs:
        part, at = parts[job.path], 0
        for take, length, cents, reason in zip(job.takes, part.lengths, part.cents, part.reasons, strict=True):
            if not reason and config.max_detuning and abs(cents) > config.max_detuning:
                reason = f"off by {cents:+.0f} cents (--max_detuning {config.max_detuning:g})"
            every.append(Outcome(take, int(length), float(cents), str(reason)))
            if not reason:
                chosen.append(every[-1])
                origins.append(job)
                places.append(at)
            at += int(length)
    return every, Chosen(tuple(chosen), tuple(origins), np.array(places, np.int64))


def _frames(chosen: Chosen, config: BuildConfig) -> Iterator[np.ndarray]:
    """The frames of each note, each part read once."""
    at, magnitudes = None, np.zeros((0, 0))
    for outcome, job, start in zip(chosen.outcomes, chosen.jobs, chosen.starts, strict=True):
        if job is not at:
            at, magnitudes = job, read_magnitudes(job, config.front_end)
        yield magnitudes[start:start + outcome.n_frames]


def note_table(outcomes: Sequence[Outcome]) -> NoteTable:
    """The note table of takes that became notes, in their order."""
    takes = [outcome.take for outcome in outcomes]
    names = tuple(dict.fromkeys(take.instrument for take in takes))
    groups = {group: index for index, group in enumerate(dict.fromkeys(take.group for take in takes))}
    labels = NoteLabels.from_notes(np.array([take.note_number for take in takes]),
                                   np.array([take.dynamics for take in takes]))
    return NoteTable(labels.table(), np.array([names.index(take.instrument) for take in takes]), names,
                     np.array([groups[take.group] for take in takes]), np.array([take.fold for take in takes]),
                     np.array([take.source for take in takes]), np.array([outcome.cents for outcome in outcomes]))


# --- the embedded set -------------------------------------------------------------------------------------

def font_notes(instruments: Sequence[str] = ()) -> tuple[Take, ...]:
    """Every note that the embedded font gives at its five instruments, or at others."""
    return survey_font(embedded_font(), BuildConfig(instruments=tuple(instruments))).takes


def build_embedded_set(path: Path | str, on_note: Callable[[], None] = lambda: None) -> None:
    """The set that `lt_train.py` trains on unless told otherwise, from the font that pretty_midi carries."""
    config = BuildConfig(kind="font")
    build(Survey(font_notes()), Path(path), config, _built_from([embedded_font()], config), on_note=on_note)


def _built_from(sources: Sequence[Path], config: BuildConfig) -> dict[str, object]:
    """What the data set says of its making; no folders, dates or machines, so that equal sets have equal bytes."""
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}
    return {**settings, "midiroot": Path(config.midiroot).name,
            "sources": [Path(os.path.abspath(source)).name for source in sources]}


# --- the command ------------------------------------------------------------------------------------------

class _Word(click.ParamType):
    """A word that `reader` understands; or none, where that is the default."""

    def __init__(self, name: str, reader: Callable[[str], object]) -> None:
        self.name, self.reader = name, reader

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            if value or not param or param.default != "":
                self.reader(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        return str(value)


NOTE, DYNAMICS, NAME = _Word("note", note_number_of), _Word("word", dynamics_class), _Word("name", instrument_name)


def flag(name: str, help: str, type: click.ParamType | type | None = None, at_least: int | None = None) -> Callable:
    """A flag whose default is BuildConfig's field of that name."""
    return cli.option(f"--{name}", of=BuildConfig, help=help, type=type, at_least=at_least,
                      default_text="none" if getattr(BuildConfig, name) in ("", ()) else None)


@cli.command("Build a data set for --dbroot from SOURCE: sound fonts, folders of recordings, data sets to be merged. "
             "Prints what became of every file; the whole list goes beside the output, to NAME.files.csv.",
             example=EXAMPLE)
@click.argument("source", nargs=-1, required=True, type=cli.PATH)
@cli.option("--output", help="the data set; needed but for a dry run", type=cli.PATH)
@cli.option("--dry_run", help="1: only say what would be used; no sound is read", default=0, type=cli.SWITCH)
@flag("kind", f"of the sources: {' '.join(KINDS)}, or {MIRDATA}LOADER", str)
@flag("instruments", "to keep; fonts: NAME or NAME:PROGRAM:LOWEST-HIGHEST (Marimba:12:C3-C6)",
      _Word("name", lambda text: instrument_name(text.partition(":")[0])), 0)
@flag("lowest", "lowest note to keep, by name or MIDI number", NOTE)
@flag("highest", "highest note to keep", NOTE)
@flag("dynamics", "dynamics to keep", DYNAMICS, 1)
@flag("note_seconds", "fonts: how long notes are held", cli.Number(min=0.1, max=60))
@flag("release_seconds", "fonts: how long they are heard after", cli.Number(min=0, max=60))
@flag("brightness", "fonts: how much velocity shapes brightness; 0: level alone", cli.Number(min=0, max=1))
@flag("instrument", "of recordings whose source names none", NAME)
@flag("default_dynamics", "of recordings whose source names none", DYNAMICS)
@flag("midiroot", "folder of aligned MIDI, where it is not the source", str)
@flag("max_detuning", "leave out notes further from their label, in cents; 0: none", cli.Number(min=0))
@flag("rumble", "cut what lies below, in hertz; 0: nothing", cli.Number(min=0, max=1000))
@cli.option("--jobs", help="processes; 0: one a core", default=0, type=cli.NOT_NEGATIVE)
@click.pass_context
def main(ctx: click.Context, source: tuple[Path, ...], output: Path | None, dry_run: int, jobs: int,
         **flags: object) -> None:
    config = BuildConfig(**flags)
    if config.kind not in KINDS and not config.kind.startswith(MIRDATA):
        raise click.UsageError(f"--kind '{config.kind}' is none of {' '.join(KINDS)}, {MIRDATA}LOADER.")
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
