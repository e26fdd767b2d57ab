"""Files: written whole or not at all, never over an input, under names that do not collide.

A file is first made under its own name in a hidden folder beside its destination, flushed to the
disk, and then moved over the destination in one step. The hidden folder, rather than a temporary
file name, keeps the final name in formats that write their own name into the file (torch's zip
archives), and the suffix that others go by.

Names: `path` is where a file shall end up, a `stem` its name without folder and suffix.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def make_folder(folder: str | Path) -> Path:
    """Make `folder` and those above it where they are missing.

    Raises:
        NotADirectoryError: a file is in the way.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise NotADirectoryError(
            f"the folder {folder} cannot be made: a file is in the way; choose another output"
        ) from None
    return folder


def check_folder(folder: str | Path) -> None:
    """Make sure that `folder` is there or can be made, without making it: long work is not done in
    vain.

    Raises:
        NotADirectoryError: a file is in the way. PermissionError: nothing may be written there.
    """
    there = next(
        path
        for path in (Path(folder).absolute(), *Path(folder).absolute().parents)
        if path.exists()
    )
    if not there.is_dir():
        raise NotADirectoryError(
            f"the folder {folder} cannot be made: {there} is a file; choose another output"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"the folder {there} may not be written; choose another output")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a path to write to; on success it becomes `path`, on any failure it vanishes.

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
    workplace = Path(tempfile.mkdtemp(prefix=".lt-", suffix=".tmp", dir=folder))
    try:
        yield workplace / path.name
        fsync_path(workplace / path.name)
        os.replace(workplace / path.name, path)
        fsync_path(folder)
    except OSError as error:
        if (
            error.filename is None and error.strerror
        ):  # a full disk: the system does not say at which file
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def fsync_path(path: Path) -> None:
    """fsync of a file or of a folder's entries (which some systems, Windows among them, do not
    offer).
    """
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
    """Write `content` to `path` as UTF-8 with `\\n` line ends, whole or not at all; what is no text
    (names of files in another encoding) is written as escapes.
    """
    write_bytes(path, content.encode("utf-8", "backslashreplace"))


def write_json(path: str | Path, content: object) -> None:
    """Write `content` as indented JSON, keys in their own order; NaN and infinities become null."""
    write_text(
        path, json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )


def plain(content: object) -> object:
    """Dataclasses, tuples, paths, arrays and array scalars -> what JSON knows; NaN and infinities
    -> None.

    Raises:
        ValueError: something else.
    """
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        return {
            field.name: plain(getattr(content, field.name)) for field in dataclasses.fields(content)
        }
    if isinstance(content, dict):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(value) for value in content]
    if isinstance(content, float):
        return float(content) if math.isfinite(content) else None
    if content is None or isinstance(content, (bool, int, str)):
        return content
    if isinstance(content, Path):
        return str(content)
    if hasattr(content, "tolist"):
        return plain(content.tolist())
    raise ValueError(f"{type(content).__name__} cannot be written as JSON")


def unique_names(names: Iterable[str]) -> list[str]:
    """The same names in the same order; the second of one name becomes `NAME_2`, the third
    `NAME_3`.
    """
    result: list[str] = []
    for name in names:
        candidate, count = name, 1
        while candidate in result:
            count += 1
            candidate = f"{name}_{count}"
        result.append(candidate)
    return result


def unique_stems(paths: Iterable[str | Path]) -> list[str]:
    """The stems of `paths` in the same order; the second of one stem becomes `STEM_2`."""
    return unique_names(Path(path).stem for path in paths)


def refuse_overwriting_inputs(outputs: Iterable[str | Path], inputs: Iterable[str | Path]) -> None:
    """Make sure that no output is one of the inputs, also by way of another spelling or link of
    either.

    Raises:
        ValueError: one is; nothing has been written then.
    """
    there = [output for output in outputs if Path(output).exists()]
    known = {_identity(path): path for path in inputs if Path(path).exists()} if there else {}
    for output in there:
        if _identity(output) in known:
            raise ValueError(
                f"the output {output} would replace the input {known[_identity(output)]}; "
                "choose another output folder"
            )


def _identity(path: str | Path) -> tuple[int, int]:
    """Device and inode: equal for every name of one file, links followed."""
    status = os.stat(path)
    return status.st_dev, status.st_ino
