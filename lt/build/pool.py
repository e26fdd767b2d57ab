"""Feature extraction by several processes, with one cache file per job.

The cache is a hidden folder beside the output. A cache file is named by a hash of what its content
depends on (path, size and time of the source file, the notes, the front end), so a build that was
killed continues where it stopped. Each job is computed by one thread from its own file alone: the
result does not depend on the number of processes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import signal
import threading
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from pathlib import Path

import numpy as np

from lt import __version__
from lt.build.extract import ExtractedNote, extract
from lt.build.notes import DataSetNote, FontNote, SourceNote
from lt.config import SpectralConfig
from lt.files import make_folder
from lt.progress import Progress, silent

try:
    import fcntl
except ImportError:  # Windows: no lock
    fcntl = None

logger = logging.getLogger(__name__)

JOBS_PER_PROCESS = 16  # at least: starting a process takes seconds
DATA_SET_NOTES = 64  # notes of another data set in one job, since it may be larger than memory
_DAMAGE = (OSError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile)

Result = tuple[Path, tuple[ExtractedNote, ...]]


@dataclass(frozen=True)
class Job:
    """Notes of one file, and the cache file of their features."""

    notes: tuple[SourceNote, ...]
    path: Path


def make_jobs(notes: Sequence[SourceNote], folder: Path, config: SpectralConfig) -> list[Job]:
    """Group notes by file and speed (of fonts by program and note number), in order of first
    appearance.
    """
    groups: dict[object, list[SourceNote]] = {}
    for note in notes:
        key: tuple[object, ...] = note.collection, note.location.path
        if isinstance(note.location, FontNote):
            key += note.location.bank, note.location.program, note.note_number
        elif isinstance(note.location, DataSetNote):
            key += (note.location.index // DATA_SET_NOTES,)
        else:
            key += (note.location.playback.cents,)
        groups.setdefault(key, []).append(note)
    paths = {note.location.path for note in notes}
    status = {path: os.stat(path) for path in paths if path.exists()}  # else extract reports it
    jobs = []
    for group in groups.values():
        source = status.get(group[0].location.path)
        changed = (source.st_size, source.st_mtime_ns) if source else ()
        digest = hashlib.sha256(repr((__version__, config, changed, group)).encode()).hexdigest()
        jobs.append(Job(tuple(group), folder / f"{digest[:32]}.npz"))
    return jobs


@contextmanager
def cache_folder(output: Path) -> Iterator[Path]:
    """The locked cache folder of an output, removed once the output is written.

    Raises:
        BlockingIOError: another process builds the same output.
        OSError: the folder or its lock is a link, which may lead to files that are not ours.
    """
    folder = make_folder(output.parent / f".{output.name}.parts")
    if folder.is_symlink():
        raise OSError(f"{folder} is a link, and what it leads to may not be ours; remove it")
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(folder / "lock", flags, 0o666), "r+") as lock:
        try:
            if fcntl:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise BlockingIOError(
                f"another process is building {output}; wait for it, or choose another output"
            ) from None
        except OSError as error:  # some network disks
            logger.warning(
                "the disk of %s has no locks (%s): make sure that nothing else builds it",
                output,
                error.strerror,
            )
        done = False
        try:
            yield folder
            done = True
        finally:
            if done or len(os.listdir(folder)) == 1:  # nothing but the lock to continue from
                shutil.rmtree(folder, ignore_errors=True)


# --- running the jobs -----------------------------------------------------------------------------


def run_jobs(
    jobs: Sequence[Job], config: SpectralConfig, processes: int, progress: Progress = silent
) -> dict[Path, tuple[ExtractedNote, ...]]:
    """Write the cache file of every job that has none.

    Returns:
        Cache file -> the job's notes. There is no cache file where the source cannot be read, and
        the notes have the reason.
    Raises:
        ImportError: tinysoundfont, which renders fonts, is not installed.
        ChildProcessError: a process was killed.
    """
    extracted = {}
    n_notes = sum(len(job.notes) for job in jobs)
    with progress(total=n_notes, desc="extracting features", unit="note") as bar:
        for path, notes in _results(jobs, config, processes):
            extracted[path] = notes
            bar.update(len(notes))
    return extracted


def _results(jobs: Sequence[Job], config: SpectralConfig, processes: int) -> Iterator[Result]:
    missing = []
    for job in jobs:
        if notes := _read_notes(job):
            yield job.path, notes
        else:
            missing.append(job)
    processes = min(processes, len(missing) // JOBS_PER_PROCESS)
    if processes < 2:
        yield from (run_job(job, config) for job in missing)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _watch_parent) as pool:
        try:
            futures = _submit(pool, missing, config)
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise ChildProcessError(
                "a process of the build was killed (out of memory?), or cannot be started (by a "
                'script without `if __name__ == "__main__":`); the same command continues where '
                "it stopped, a single one needs the least memory"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, jobs: Sequence[Job], config: SpectralConfig) -> list[Future]:
    """Submit jobs with Ctrl-C blocked: processes inherit that, so this one alone handles it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        return [pool.submit(run_job, job, config) for job in jobs]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return [pool.submit(run_job, job, config) for job in jobs]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _watch_parent() -> None:
    """End this process with the first one, also if that is killed; the pool does not see to it."""

    def watch() -> None:
        connection.wait([parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_job(job: Job, config: SpectralConfig) -> Result:
    """Extract the features of a job into its cache file, which is written whole or not at all."""
    try:
        features = extract(job.notes, config)
    except (ValueError, OSError) as error:
        reason = str(error).replace(str(job.notes[0].location.path), "it")
        unknown = 3 * (np.nan,)
        return job.path, tuple(ExtractedNote(note, 0, *unknown, reason) for note in job.notes)
    rows = [tuple(vars(note).values())[1:] for note in features.notes]  # without its source
    temporary = job.path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as stream:
            np.savez(stream, magnitudes=features.magnitudes, notes=json.dumps(rows))
        os.replace(temporary, job.path)
    except OSError as error:  # a full disk: it shall not stay full of half a file
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror or str(error), str(job.path)) from error
    return job.path, features.notes


# --- reading the cache ----------------------------------------------------------------------------


def _read_notes(job: Job) -> tuple[ExtractedNote, ...]:
    """The notes of a job by its cache file; none where that is missing or damaged."""
    try:
        with np.load(job.path, allow_pickle=False) as members:
            rows = json.loads(str(members["notes"]))
        return tuple(ExtractedNote(n, *row) for n, row in zip(job.notes, rows, strict=True))
    except _DAMAGE:
        return ()


def read_magnitudes(job: Job, config: SpectralConfig) -> np.ndarray:
    """(frames, subframes, bins) of a job; computed again where a crash damaged its cache file.

    Raises:
        ValueError, OSError: the source, which could be read before, cannot be read now.
    """
    try:
        with np.load(job.path, allow_pickle=False) as members:
            return members["magnitudes"]
    except _DAMAGE:
        return extract(job.notes, config).magnitudes
