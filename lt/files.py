"""Files: written whole or not at all, never over an input, under names that do not collide.

A file is first written under its own name in a hidden folder beside its destination, flushed to the
disk, and then moved over the destination in one step. The hidden folder, rather than a temporary
file name, keeps the final name in formats that store the file's name (torch's zip archives), and
the suffix that other formats depend on.

Names: `path` is the destination of a file, `stem` its name without folder and suffix.
"""

from __future__ import annotations

import csv
import dataclasses
import errno
import io
import json
import math
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

NOT_WRITABLE = "the folder {} may not be written; choose another output"


def make_folder(folder: str | Path) -> Path:
    """Make `folder` and its parents where they are missing, and return it.

    Raises:
        NotADirectoryError: a file is in the way. PermissionError: it cannot be made there.
    """
    folder = Path(folder)
    try:
        with _permission_error_of(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise NotADirectoryError(
            f"the folder {folder} cannot be made: a file is in the way; choose another output"
        ) from None
    return folder


def check_folder(folder: str | Path) -> None:
    """Check that `folder` exists or can be made, without making it, before long work.

    Raises:
        NotADirectoryError: a file is in the way. PermissionError: nothing may be written there.
    """
    path = Path(folder).absolute()
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    if not existing.is_dir():
        raise NotADirectoryError(
            f"the folder {folder} cannot be made: {existing} is a file; choose another output"
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(NOT_WRITABLE.format(existing))


@contextmanager
def _permission_error_of(folder: Path) -> Iterator[None]:
    """Raise the system's refusals to write below `folder` as one PermissionError that names it."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise PermissionError(NOT_WRITABLE.format(folder)) from None
        raise


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write to; it becomes `path` on success and is removed on failure.

    Raises:
        IsADirectoryError: `path` is a folder.
        OSError: the folder cannot be made or written.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder, not a file that can be replaced; choose another output"
        )
    folder = make_folder(path.parent)
    with _permission_error_of(folder):
        temporary = Path(tempfile.mkdtemp(prefix=".lt-", suffix=".tmp", dir=folder)) / path.name
    try:
        yield temporary
        fsync_path(temporary)
        os.replace(temporary, path)
        fsync_path(folder)
    except OSError as error:
        if error.filename is None and error.strerror:  # a full disk: the error names no file
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        shutil.rmtree(temporary.parent, ignore_errors=True)


def fsync_path(path: Path) -> None:
    """Flush a file, or the entries of a folder (not on Windows), to the disk."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, content: str) -> None:
    """Write `content` to `path` as UTF-8 with `\\n` line ends, whole or not at all. Undecodable
    parts of file names are written as escapes.
    """
    write_bytes(path, content.encode("utf-8", "backslashreplace"))


def write_csv(path: str | Path, rows: Iterable[Sequence[object]]) -> None:
    """Write rows, the names of the columns first, as CSV with commas and `\\n` line ends."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def write_json(path: str | Path, content: object) -> None:
    """Write `content` as indented JSON, keys in their order; NaN and infinities become null."""
    write_text(
        path, json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )


def plain(content: object) -> object:
    """Dataclasses, tuples, paths and arrays -> types of JSON; NaN and infinities -> None.

    Raises:
        ValueError: a value of another type.
    """
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        return plain(dataclasses.asdict(content))
    if isinstance(content, dict):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    if content is None or isinstance(content, (bool, int, float, str)):
        return content
    if isinstance(content, Path):
        return str(content)
    if hasattr(content, "tolist"):
        return plain(content.tolist())
    raise ValueError(f"{type(content).__name__} cannot be written as JSON")


def same_form(name: str) -> str:
    """A name in the composed Unicode form (NFC), in which names are compared: macOS and some
    archives decompose letters (`é` is then `e` and an accent).
    """
    return unicodedata.normalize("NFC", name)


def unique_names(names: Iterable[str]) -> list[str]:
    """The names in order; the second of equal names becomes `NAME_2`, the third `NAME_3`."""
    result: list[str] = []
    for name in names:
        candidate, count = name, 1
        while candidate in result:
            count += 1
            candidate = f"{name}_{count}"
        result.append(candidate)
    return result


def unique_stems(paths: Iterable[str | Path]) -> list[str]:
    """The stems of `paths` in order; the second of equal stems becomes `STEM_2`."""
    return unique_names(Path(path).stem for path in paths)


def refuse_overwriting_inputs(outputs: Iterable[str | Path], inputs: Iterable[str | Path]) -> None:
    """Check that no output is one of the inputs, whatever the spelling and links of their paths.

    Raises:
        ValueError: an output is an input.
    """
    existing = {_identity(path): path for path in outputs if Path(path).exists()}
    for path in inputs if existing else ():
        if Path(path).exists() and _identity(path) in existing:
            raise ValueError(
                f"the output {existing[_identity(path)]} would replace the input {path}; "
                "choose another output folder"
            )


def _identity(path: str | Path) -> tuple[int, int]:
    """Device and inode: equal for all names of a file, links followed."""
    status = os.stat(path)
    return status.st_dev, status.st_ino
