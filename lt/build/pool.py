"""Parts: the frames of each source file, computed by several processes and kept until the data set
is written.

They lie in a hidden folder beside the output, under names made of what they depend on (the file's
path, size and time, the takes, the front end), so that a build that was killed goes on where it
was. A lock keeps two builds of one output apart. Each part is computed by one thread from its own
file alone: the data set is the same whatever the number of processes.

The processes are forked, where that is safe (Linux), from one that imports torch once for all of
them, while this one sees what there is to do and hears the first files: what a build that goes on
pays a second time is little.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from multiprocessing import connection, forkserver, get_context, parent_process, resource_tracker
from pathlib import Path
from typing import IO

import numpy as np

from lt import __version__, cli
from lt.build.extract import Part, Sound, cut_takes, hear_take
from lt.build.notes import Recording, Rendering, Stored, Take
from lt.config import SpectralConfig
from lt.files import make_folder

try:
    import fcntl
except ImportError:  # Windows: no lock
    fcntl = None

FEW_JOBS = 16  # are done sooner by this process alone: another takes seconds to start
STORED_NOTES = 64  # of another data set that make one job
_FIELDS = ("lengths", "cents", "reasons")
MOST_AHEAD, SMALL_BYTES = (
    256,
    1 << 21,
)  # jobs whose sound this process may hold, and their files' size
_DAMAGE = (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile)
_UNREAD = np.zeros((0, 0), np.float32)  # magnitudes that stay in their file
_FORKED = (
    sys.platform == "linux"
)  # elsewhere a process that has loaded the system's own libraries may not fork


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
    if folder.is_symlink():
        raise OSError(f"{folder} is a link, and what it leads to may not be ours; remove it")
    with _open_lock(folder / "lock") as lock:
        try:
            if fcntl:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise BlockingIOError(
                f"another process is building {output}; wait for it, or choose another --output"
            ) from None
        except OSError as error:  # some network disks
            cli.note(
                f"the disk of {output} has no locks ({error.strerror}): see to it that nothing "
                "else builds it"
            )
        done = False
        try:
            yield folder
            done = True
        finally:
            if done or len(list(folder.iterdir())) == 1:  # the lock alone: nothing to go on from
                shutil.rmtree(folder, ignore_errors=True)


def _open_lock(path: Path) -> IO[str]:
    """A lock file, open; never by way of a link, which would lead to a file that is not ours."""
    return os.fdopen(
        os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666), "r+"
    )


def jobs_of(takes: Sequence[Take], folder: Path, config: SpectralConfig) -> list[Job]:
    """Takes together by file, of fonts by program and note, of data sets by STORED_NOTES; in order
    of first appearance.
    """
    groups: dict[tuple[object, ...], list[Take]] = {}
    for take in takes:
        note: tuple[int, ...] = ()
        if isinstance(take.sound, Rendering):
            note = take.sound.program, take.note_number
        elif isinstance(take.sound, Stored):  # a data set may be larger than memory
            note = (take.sound.index // STORED_NOTES,)
        groups.setdefault((take.collection, take.sound.path, *note), []).append(take)
    identities = {path: _identity(path) for path in {take.sound.path for take in takes}}
    front_end = asdict(config)
    return [
        Job(tuple(group), folder / f"{_key(group, identities[group[0].sound.path], front_end)}.npz")
        for group in groups.values()
    ]


def _identity(path: Path) -> list[object]:
    """What a file is known by: path, size and time of its last change."""
    try:
        status = os.stat(path)
    except OSError:  # reading it will say so
        return [str(path)]
    return [os.path.abspath(path), status.st_size, status.st_mtime_ns]


def _key(takes: Sequence[Take], identity: list[object], front_end: dict[str, object]) -> str:
    what = [
        __version__,
        front_end,
        identity,
        [[take.note_number, {**vars(take.sound), "path": ""}] for take in takes],
    ]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


# --- doing the jobs -------------------------------------------------------------------------------


def start_processes(processes: int) -> None:
    """Begin to import what so many processes will need, in another process that ends with this one;
    returns at once, and does nothing when called again.
    """
    if not _FORKED or processes < 2:
        return
    get_context("forkserver").set_forkserver_preload(["lt.build.preload"])
    resource_tracker.ensure_running()  # which would unblock Ctrl-C
    # Ctrl-C is this process's affair: the other inherits what is blocked.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def do_jobs(
    jobs: Sequence[Job],
    config: SpectralConfig,
    processes: int,
    on_job: Callable[[Job], None] = lambda job: None,
) -> dict[Path, Part]:
    """See to it that every job's part is there -> the parts by path, without their magnitudes; of a
    file that cannot be read there is no file of its part, and every take is left out.

    Raises:
        ImportError: what fonts need is not installed. ChildProcessError: a process was killed.
    """
    parts, todo = {}, []
    for job in jobs:
        part = _part_there(job)
        if part is None:
            todo.append(job)
        else:
            parts[job.path] = part
            on_job(job)
    done = (
        _done_here(todo, config)
        if min(processes, len(todo) // FEW_JOBS) < 2
        else _done_by(todo, config, processes)
    )
    for job, part in done:
        parts[job.path] = part
        on_job(job)
    return parts


def _done_here(jobs: Sequence[Job], config: SpectralConfig) -> Iterator[tuple[Job, Part]]:
    for job in jobs:
        yield job, do_job(job, config)


def _done_by(
    jobs: Sequence[Job], config: SpectralConfig, processes: int
) -> Iterator[tuple[Job, Part]]:
    """Jobs and parts as they are done; a few wait in line, so that little is under way at any time."""
    context = get_context("forkserver" if _FORKED else "spawn")
    with ProcessPoolExecutor(processes, context, _prepare_process) as pool:
        waiting, under_way, n_done = iter(jobs), {}, 0
        try:
            with ThreadPoolExecutor(1) as starter:
                first, ahead = starter.submit(pool.submit, do_job, next(waiting), config), []
                while not first.done() and len(ahead) < min(MOST_AHEAD, len(jobs) - 1):
                    job = next(
                        waiting
                    )  # until the processes are there, this one does what needs no torch
                    ahead.append((job, _heard_ahead(job, config)))
            under_way[first.result()] = jobs[0]
            for job, sounds in ahead:
                under_way[pool.submit(do_job, job, config, sounds)] = job
            while under_way:
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    part, n_done = future.result(), n_done + 1
                    yield under_way.pop(future), part
                for job in islice(waiting, max(0, 4 * processes - len(under_way))):
                    under_way[pool.submit(do_job, job, config)] = job
        except BrokenProcessPool:
            if (
                not n_done
            ):  # they cannot start: the main module cannot be imported again (a script on stdin)
                yield from _done_here(jobs, config)
                return
            raise ChildProcessError(
                "a process of the build was killed (out of memory?); the same command goes on "
                "where it was, --jobs 1 needs the least memory"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _heard_ahead(job: Job, config: SpectralConfig) -> tuple[Sound, ...]:
    """The sound of a small file with one take; of others nothing, and of those that cannot be read."""
    take = job.takes[0]
    try:
        if (
            len(job.takes) == 1
            and isinstance(take.sound, Recording)
            and take.sound.path.stat().st_size < SMALL_BYTES
        ):
            return (hear_take(take, config),)
    except (ValueError, OSError):  # the job's process will say so
        pass
    return ()


def _prepare_process() -> None:
    """One thread; Ctrl-C is the first process's affair; without that process, an end."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    connection.wait([parent_process().sentinel])
    os._exit(1)


def do_job(job: Job, config: SpectralConfig, sounds: Sequence[Sound] = ()) -> Part:
    """Write a job's part, unless its file cannot be read -> the part without its magnitudes;
    `sounds` as in `lt.build.extract.cut_takes`.
    """
    try:
        part = cut_takes(job.takes, config, sounds)
    except (ValueError, OSError) as error:
        n_takes, reason = len(job.takes), str(error).replace(str(job.takes[0].sound.path), "it")
        return Part(
            _UNREAD, np.zeros(n_takes, np.int64), np.full(n_takes, np.nan), np.full(n_takes, reason)
        )
    temporary = job.path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as stream:
            np.savez(stream, magnitudes=part.magnitudes, takes=_table(part))
        os.replace(temporary, job.path)
    except OSError as error:  # a full disk must not stay full of a half part
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror or str(error), str(job.path)) from error
    return replace(part, magnitudes=_UNREAD)


# --- reading parts --------------------------------------------------------------------------------


def _table(part: Part) -> np.ndarray:
    """What is known about a part's takes as one array, which is read three times as fast as three."""
    return np.rec.fromarrays([getattr(part, name) for name in _FIELDS], names=list(_FIELDS))


def _part_there(job: Job) -> Part | None:
    """A job's part without its magnitudes, where it is there; whether those are whole shows when
    they are read.
    """
    if not job.path.exists():
        return None
    try:
        with zipfile.ZipFile(job.path) as archive:
            table = np.lib.format.read_array(archive.open("takes.npy"))
        return (
            Part(_UNREAD, *(table[name] for name in _FIELDS))
            if len(table) == len(job.takes)
            else None
        )
    except _DAMAGE:
        return None


def read_magnitudes(job: Job, config: SpectralConfig) -> np.ndarray:
    """The magnitudes (frames, bins) of a job's part; the job is done again where a crash of the
    machine left the file without its content.

    Raises:
        ValueError, OSError: its sound, which could be read before, cannot be now.
    """
    try:
        return _stored_magnitudes(job.path)
    except _DAMAGE:
        return cut_takes(job.takes, config).magnitudes


def _stored_magnitudes(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as members:
        return members["magnitudes"]
