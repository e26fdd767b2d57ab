"""Parts: the frames of each source file, computed by several processes and kept until the data set is written.

They lie in a hidden folder beside the output, under names made of what they depend on (the file's path, size
and time, the takes, the front end), so that a build that was killed goes on where it was. A lock keeps two
builds of one output apart. Each part is computed by one thread from its own file alone: the data set is the
same whatever the number of processes.
"""
from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import connection, get_context, parent_process
from pathlib import Path

import numpy as np

from lt import __version__
from lt.config import SpectralConfig
from lt.cutting import Part, cut_takes
from lt.files import make_folder
from lt.takes import Take

try:
    import fcntl
except ImportError:  # Windows: no lock
    fcntl = None

FEW_JOBS = 16  # are done sooner by this process alone: another takes seconds to start
_FIELDS = ("magnitudes", "lengths", "cents", "reasons")


@dataclass(frozen=True)
class Job:
    """The takes of one file, and where their part lies."""
    takes: tuple[Take, ...]
    path: Path


@contextmanager
def parts_folder(output: Path) -> Iterator[Path]:
    """The folder of an output's parts, locked; it goes when the output has been written.

    Raises:
        BlockingIOError: another process builds the same output.
    """
    folder = make_folder(output.parent / f".{output.name}.parts")
    with open(folder / "lock", "w") as lock:
        try:
            if fcntl:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BlockingIOError(f"another process is building {output}; wait for it, "
                                  "or choose another --output") from None
        done = False
        try:
            yield folder
            done = True
        finally:
            if done or len(list(folder.iterdir())) == 1:  # the lock alone: nothing to go on from
                shutil.rmtree(folder, ignore_errors=True)


def jobs_of(takes: Sequence[Take], folder: Path, config: SpectralConfig) -> list[Job]:
    """Takes together by file, or for fonts by program and note; in order of first appearance."""
    groups: dict[tuple[object, ...], list[Take]] = {}
    for take in takes:
        note = (take.sound.program, take.note_number) if hasattr(take.sound, "program") else ()
        groups.setdefault((take.collection, take.sound.path, *note), []).append(take)
    identities = {path: _identity(path) for path in {take.sound.path for take in takes}}
    return [Job(tuple(group), folder / f"{_key(group, identities[group[0].sound.path], config)}.npz")
            for group in groups.values()]


def _identity(path: Path) -> list[object]:
    """What a file is known by: path, size and time of its last change."""
    try:
        status = os.stat(path)
    except OSError:  # reading it will say so
        return [str(path)]
    return [os.path.abspath(path), status.st_size, status.st_mtime_ns]


def _key(takes: Sequence[Take], identity: list[object], config: SpectralConfig) -> str:
    what = [__version__, asdict(config), identity,
            [[take.note_number, {**asdict(take.sound), "path": ""}] for take in takes]]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


# --- doing the jobs ---------------------------------------------------------------------------------------

def do_jobs(jobs: Sequence[Job], config: SpectralConfig, processes: int,
            on_job: Callable[[Job], None] = lambda job: None) -> dict[Path, str]:
    """See to it that every job's part is there -> by part, why it is not, for those that cannot be.

    Raises:
        ImportError: what fonts need is not installed. ChildProcessError: a process was killed.
    """
    failures: dict[Path, str] = {}
    todo = []
    for job in jobs:
        if job.path.exists() and _intact(job.path):
            on_job(job)
        else:
            todo.append(job)
    done = _done_here(todo, config) if min(processes, len(todo) // FEW_JOBS) < 2 else _done_by(todo, config, processes)
    for job, failure in done:
        if failure:
            failures[job.path] = failure
        on_job(job)
    return failures


def _done_here(jobs: Sequence[Job], config: SpectralConfig) -> Iterator[tuple[Job, str]]:
    for job in jobs:
        yield job, do_job(job, config)


def _done_by(jobs: Sequence[Job], config: SpectralConfig, processes: int) -> Iterator[tuple[Job, str]]:
    """Jobs and failures as they are done; a few wait in line, so that little is under way at any time."""
    with ProcessPoolExecutor(processes, get_context("spawn"), _prepare_process) as pool:
        waiting, under_way, n_done = iter(jobs), {}, 0
        try:
            while True:
                for job in waiting:
                    under_way[pool.submit(do_job, job, config)] = job
                    if len(under_way) >= 4 * processes:
                        break
                if not under_way:
                    return
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    failure, n_done = future.result(), n_done + 1
                    yield under_way.pop(future), failure
        except BrokenProcessPool:
            if not n_done:  # they cannot start: the main module cannot be imported again (a script on stdin)
                yield from _done_here(jobs, config)
                return
            raise ChildProcessError("a process of the build was killed (out of memory?); the same command goes on "
                                    "where it was, --jobs 1 needs the least memory") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _prepare_process() -> None:
    """One thread; Ctrl-C is the first process's affair; without that process, an end."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    connection.wait([parent_process().sentinel])
    os._exit(1)


def do_job(job: Job, config: SpectralConfig) -> str:
    """Write a job's part -> why it could not be, or nothing."""
    try:
        part = cut_takes(job.takes, config)
    except (ValueError, OSError) as error:
        return str(error).replace(str(job.takes[0].sound.path), "it")
    temporary = job.path.with_suffix(f".{os.getpid()}.tmp")
    with open(temporary, "wb") as stream:
        np.savez(stream, **{name: getattr(part, name) for name in _FIELDS})
    os.replace(temporary, job.path)
    return ""


# --- reading parts ----------------------------------------------------------------------------------------

def _intact(path: Path) -> bool:
    """Whether a part is whole: a crash of the machine may leave the file without its content."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def read_part(path: Path, magnitudes: bool = False) -> Part:
    """A part; its magnitudes only where asked for."""
    with np.load(path, allow_pickle=False) as members:
        return Part(members["magnitudes"] if magnitudes else np.zeros((0, 0), np.float32),
                    *(members[name] for name in _FIELDS[1:]))
