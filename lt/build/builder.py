"""Building data sets from sound fonts and recordings.

    python3 -m lt.builders SOURCE --output data/my_set.npz

A survey finds the notes (`lt.build.discover`), parts hold their frames (`lt.build.extract`,
`lt.build.pool`), the data set is written whole, and `lt.build.summary` says what became of every
file. The embedded set is the five instruments of `lt.audio.soundfont.EMBEDDED`, each over its
range, at five dynamics.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lt.audio.soundfont import check_font, embedded_font
from lt.build.discover import survey_font
from lt.build.extract import Part
from lt.build.notes import (
    BuildConfig,
    Rendering,
    Survey,
    Take,
)
from lt.build.pool import (
    FEW_JOBS,
    Job,
    do_jobs,
    jobs_of,
    parts_folder,
    read_magnitudes,
    start_processes,
)
from lt.build.summary import Account, Outcome
from lt.data.dataset import NoteTable, write_data_set
from lt.files import fsync_path, refuse_overwriting_inputs
from lt.labels import NoteLabels

ACCOUNT_SUFFIX = ".files.csv"


@dataclass(frozen=True)
class Chosen:
    """The takes that become notes, in order: `outcomes` of those, and where in which job's part
    their frames lie.
    """

    outcomes: tuple[Outcome, ...]
    jobs: tuple[Job, ...]
    starts: np.ndarray


def build(
    survey: Survey,
    output: Path,
    config: BuildConfig,
    built_from: dict[str, object],
    processes: int = 0,
    on_note: Callable[[], None] = lambda: None,
) -> Account:
    """Build a data set from what a survey found; equal sources give equal bytes.

    Args:
        processes: 0: one a core. on_note: told of each note.
    Raises:
        ValueError: no note can be used, or what was read would be replaced, also by the account
        beside the output. IsADirectoryError: a folder is in the way of either. ImportError: fonts
        cannot be rendered. OSError: it cannot be written.
    """

    def on_job(job: Job) -> None:
        for _ in job.takes:
            on_note()

    outputs = output, output.with_suffix(ACCOUNT_SUFFIX)
    refuse_overwriting_inputs(outputs, {*(take.sound.path for take in survey.takes), *survey.read})
    if folders := [
        path for path in outputs if path.is_dir()
    ]:  # known before the work and not after
        raise IsADirectoryError(
            f"{folders[0]} is a folder, not a file that can be replaced; choose another output"
        )
    for font in dict.fromkeys(
        take.sound.path for take in survey.takes if isinstance(take.sound, Rendering)
    ):
        if font != embedded_font():
            check_font(font)
    processes = processes or _n_cores()
    with parts_folder(output) as folder:
        if len(survey.takes) >= 2 * FEW_JOBS:
            start_processes(processes)
        jobs = jobs_of(survey.takes, folder, config.front_end)
        outcomes, chosen = _outcomes(
            jobs, do_jobs(jobs, config.front_end, processes, on_job), config
        )
        account = Account(tuple(outcomes), survey.skipped, survey.indexes)
        if chosen.outcomes:
            starts = np.concatenate([[0], np.cumsum([one.n_frames for one in chosen.outcomes])])
            whole = (
                folder / f"whole-{output.name}"
            )  # among the parts, so that what a kill leaves goes with them
            write_data_set(
                whole,
                _frames(chosen, config),
                starts,
                note_table(chosen.outcomes),
                config.front_end,
                built_from,
            )
            os.replace(whole, output)
            fsync_path(output.parent)
    if not chosen.outcomes:  # of which nothing is kept
        raise ValueError(
            f"none of the {account.n_files} files gives a note ({account.main_reason})"
        )
    return account


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _outcomes(
    jobs: Sequence[Job], parts: dict[Path, Part], config: BuildConfig
) -> tuple[list[Outcome], Chosen]:
    """What became of every take, and those that become notes."""
    every, chosen, origins, places = [], [], [], []
    for job in jobs:
        part, at = parts[job.path], 0
        for take, length, cents, reason in zip(
            job.takes, part.lengths, part.cents, part.reasons, strict=True
        ):
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
        yield magnitudes[start : start + outcome.n_frames]


def note_table(outcomes: Sequence[Outcome]) -> NoteTable:
    """The note table of takes that became notes, in their order."""
    takes = [outcome.take for outcome in outcomes]
    names = tuple(dict.fromkeys(take.instrument for take in takes))
    groups = {
        group: index for index, group in enumerate(dict.fromkeys(take.group for take in takes))
    }
    labels = NoteLabels.from_notes(
        np.array([take.note_number for take in takes]), np.array([take.dynamics for take in takes])
    )
    return NoteTable(
        labels.table(),
        np.array([names.index(take.instrument) for take in takes]),
        names,
        np.array([groups[take.group] for take in takes]),
        np.array([take.fold for take in takes]),
        np.array([take.source for take in takes]),
        np.array([outcome.cents for outcome in outcomes]),
    )


# --- the embedded set -----------------------------------------------------------------------------


def font_notes(instruments: Sequence[str] = ()) -> tuple[Take, ...]:
    """Every note that the embedded font gives at its five instruments, or at others."""
    return survey_font(embedded_font(), BuildConfig(instruments=tuple(instruments))).takes


def build_embedded_set(path: Path | str, on_note: Callable[[], None] = lambda: None) -> None:
    """The set that `lt_train.py` trains on unless told otherwise, from the font that pretty_midi
    carries.
    """
    config = BuildConfig(kind="font")
    build(
        Survey(font_notes()),
        Path(path),
        config,
        _built_from([embedded_font()], config),
        on_note=on_note,
    )


def _built_from(sources: Sequence[Path], config: BuildConfig) -> dict[str, object]:
    """What the data set says of its making; no folders, dates or machines, so that equal sets have
    equal bytes.
    """
    settings = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(config).items()
    }
    return {
        **settings,
        "midiroot": Path(config.midiroot).name,
        "sources": [Path(os.path.abspath(source)).name for source in sources],
    }
