#!/usr/bin/env python3
"""How fast everything is, in one table: `make bench`, or

    python3 bench/speed.py --model saves/demo__Flute  # without: the flute of the package
    python3 bench/speed.py --only phase transcription

Each row is a time relative to that of a peer, to real time or to a floor, measured in one run,
since the speed of a machine changes from run to run: pairs of short rows are taken in turn, and
their median is given with the least and the largest; rows that take long are taken once. Peers are
installed into an environment of their own (`.venv-bench`); what is missing is said. The CUDA rows
run where there is a device. All stages end within 20 minutes, each within 5: where a machine is too
slow or too busy, or a stage fails, the rows that are left are missing, and that is said.

Writes docs/benchmarks.json, and from it the tables of speed in README.md, docs/results.md and
docs/scaling.md. With `--only`, rows of other stages stay as they were measured; each stage names
its commit.
"""

from __future__ import annotations

import json
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from textwrap import fill

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lt import cli
from lt.files import write_json, write_text

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "benchmarks.json"
# what each gives: the rows that are marked as short, all, or those of a stage
DOCUMENTS = {"README.md": "short", "docs/results.md": "all", "docs/scaling.md": "growth"}
WIDTH = 120  # of their text
POLLED = 0.005  # s: how often a process is looked at
BUDGET, LONGEST = 1200.0, 300.0  # s, of all stages and of one
BEGIN, END = "<!-- speed: written by make bench -->", "<!-- end of speed -->"


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        stage, against: what was measured, and what it is relative to.
        value, unit: the result; a ratio has the unit "x".
        asked: the target; None where there is none.
        at_most: whether smaller is better.
        low, high: least and largest of several pairs; the value where there is one.
        note: how it was measured.
        short: whether it is in the README too.
    """

    stage: str
    against: str
    value: float
    asked: float | None = None
    unit: str = "x"
    at_most: bool = False
    low: float | None = None
    high: float | None = None
    note: str = ""
    short: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.asked is None or (self.value <= self.asked) == self.at_most

    @property
    def text(self) -> str:
        """The value with its spread."""
        spread = ""
        if self.low is not None and self.high is not None:
            spread = f" ({number(self.low)}-{number(self.high)})"
        return f"{number(self.value)}{spread} {self.unit}"

    @property
    def target(self) -> str:
        """The target as text."""
        if self.asked is None:
            return ""
        return f"{'<=' if self.at_most else '>='} {number(self.asked)}"


def number(value: float) -> str:
    """Three digits at most where there are no more before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


# --- measuring ------------------------------------------------------------------------------------


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@dataclass(frozen=True)
class Ratios:
    """Ratios of pairs of times, theirs to ours, taken in turn after one of each to warm up."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, theirs: Callable[[], object], ours: Callable[[], object], pairs: int = 5) -> Ratios:
        """Measure pairs."""
        theirs(), ours()
        found = [seconds(theirs) / seconds(ours) for _ in range(pairs)]
        return cls(median(found), min(found), max(found))


@dataclass(frozen=True)
class Process:
    """A process that has ended: seconds, those of processors among them, the peak of its memory in
    bytes, and what it printed.
    """

    seconds: float
    processor: float
    peak: int
    output: str


def run_process(*command: object, **environment: str) -> Process:
    """Run a Python program of the repository or `-c CODE` in this interpreter.

    Raises:
        RuntimeError: it failed; the last line of its stderr.
    """
    return run_python(sys.executable, *command, **environment)


def run_python(python: str | Path, *command: object, **environment: str) -> Process:
    """`run_process` in another interpreter."""
    import os

    started, before = time.perf_counter(), os.times()
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [str(python), *map(str, command)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=errors,
        )
        peak = 0
        try:
            while process.poll() is None:
                peak = max(peak, peak_memory(process.pid))
                time.sleep(POLLED)
        finally:
            process.terminate()  # where the stage took too long
        took, after = time.perf_counter() - started, os.times()
        processor = sum(after[2:4]) - sum(before[2:4])  # of children that have ended
        output.seek(0), errors.seek(0)
        if process.returncode:
            raise RuntimeError((errors.read().strip() or "it failed").splitlines()[-1])
        return Process(took, processor, peak, output.read())


def peak_memory(pid: int) -> int:
    """Peak of a process's memory in bytes; 0 where /proc does not say it. (What `wait4` says covers
    its parent's memory too.)
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return 1024 * int(found[1]) if found else 0


# --- the tables -----------------------------------------------------------------------------------


def table(rows: Sequence[Row]) -> str:
    """Rows as Markdown."""
    lines = ["| stage | against | asked | reached |", "|---|---|---|---|"]
    for row in rows:
        mark = "" if row.met else " (short of it)"
        lines.append(f"| {row.stage} | {row.against} | {row.target} | {row.text}{mark} |")
    return "\n".join(lines)


def sentence(rows: Sequence[Row]) -> str:
    """The rows that are marked as short, as running text."""
    return "; ".join(f"{row.stage}, {row.against}: {row.text}" for row in rows if row.short) + "."


def document(content: dict[str, object], part: str = "all") -> str:
    """The block of a document between its markers; `part` as in `DOCUMENTS`."""
    stages = [stage for name, stage in content["stages"].items() if part in ("short", "all", name)]
    rows = [Row(**row) for stage in stages for row in stage["rows"]]
    if not stages:
        return "\n".join([BEGIN, "Not measured yet.", END])
    if part == "short":
        return "\n".join([BEGIN, fill(sentence(rows), WIDTH, break_on_hyphens=False), END])
    commits = ", ".join(dict.fromkeys(stage["commit"] for stage in stages))
    about = [f"`make bench` at {commits} on {content['machine']}", *content["remarks"]]
    about += [line for stage in stages for line in stage["remarks"]]
    said = fill(". ".join(line[0].upper() + line[1:] for line in about) + ".", WIDTH)
    return "\n".join([BEGIN, table(rows), "", said, END])


def write_documents(content: dict[str, object]) -> None:
    """Put the tables between their markers."""
    for name, part in DOCUMENTS.items():
        path = ROOT / name
        pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
        block = document(content, part)
        write_text(path, pattern.sub(lambda _, block=block: block, path.read_text("utf-8")))


def stored() -> dict[str, object]:
    """docs/benchmarks.json."""
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def machine() -> str:
    """The machine in words."""
    import os

    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"
    return (
        f"{cores} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}, {name}"
    )


class TooLong(BaseException):
    """A stage is stopped; no handler of an Exception or OSError on the way may stop that."""


@contextmanager
def at_most(limit: float) -> Iterator[None]:
    """Raise `TooLong` in what takes longer than `limit` seconds."""

    def stop(*_: object) -> None:
        raise TooLong(f"stopped after {limit:g} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def measured(
    name: str, stage: Callable[[Path], Iterator[Row]], model: Path, limit: float = LONGEST
) -> dict[str, object]:
    """The rows of a stage that take at most `limit` seconds, as stored; where it cannot be
    measured, why.
    """
    from bench.results import current_commit

    click.echo(f"{name} ...", err=True)
    started = time.perf_counter()
    rows, remarks = [], []
    try:
        with at_most(limit):
            for row in stage(model):
                rows.append(asdict(row))
                click.echo(f"  {row.stage} | {row.against} | {row.target} | {row.text}", err=True)
    except (Exception, TooLong) as error:  # the others are measured whatever happens in one
        remarks.append(f"{name}: {error}")
        click.echo(f"  {error}", err=True)
    click.echo(f"  {time.perf_counter() - started:.0f} s", err=True)
    return {"commit": current_commit(), "remarks": remarks, "rows": rows}


@cli.command(
    "How fast everything is, in one table.",
    example="python3 bench/speed.py --only phase transcription",
)
@cli.option(
    "--model", help="a run of one instrument", type=cli.PATH, default=Path("lt/pretrained/flute")
)
@cli.option("--only", help="stages", default=(), at_least=0)
@cli.option("--remark", help="added to the table, such as what else ran", default="")
def main(model: Path, only: tuple[str, ...], remark: str) -> None:
    from bench.speed_stages import STAGES

    if unknown := sorted(set(only) - STAGES.keys()):
        raise click.UsageError(f"no stage {unknown[0]} (known: {', '.join(STAGES)})")
    if not (ROOT / model / "config.json").is_file():
        raise click.UsageError(f"no model at {model}: make demo trains one, or name one: --model")
    known = stored()["stages"] if only and RESULTS.is_file() else {}
    started = time.perf_counter()
    for name in only or STAGES:
        left = max(BUDGET - round(time.perf_counter() - started), 1)
        known[name] = measured(name, STAGES[name], (ROOT / model).resolve(), min(left, LONGEST))
        content = {
            "machine": machine(),
            "remarks": [remark] if remark else [],
            "stages": {name: known[name] for name in STAGES if name in known},
        }
        write_json(RESULTS, content)
    write_documents(content)
    click.echo(document(content))


if __name__ == "__main__":
    main()
