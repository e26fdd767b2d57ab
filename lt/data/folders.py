"""Folders of recordings: their files, and the sound files paired with aligned MIDI (`STEM.wav` with
`STEM-lined.mid` or `STEM.mid`).
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lt.audio.containers import READABLE
from lt.files import same_form

MIDI_SUFFIXES = (".mid", ".midi", ".rmi", ".kar")


@dataclass(frozen=True)
class Folder:
    """A folder and all files below it.

    Attributes:
        root: the folder.
        collection: its name in listings.
        files: sorted paths relative to `root`, with / between folders.
    """

    root: Path
    collection: str
    files: tuple[str, ...]

    @classmethod
    def of(cls, root: Path, collection: str) -> Folder:
        """List the files below `root`, of linked folders too.

        A linked folder that holds `root`, or whose files are listed already, is listed as a file:
        loops end. Pipes and devices, reading which may never end, are left out.

        Raises:
            OSError: a folder may not be read.
        """
        files = [os.path.relpath(path, root) for path in _walk(root) if _is_file_or_link(path)]
        return cls(root, collection, tuple(sorted(file.replace(os.sep, "/") for file in files)))

    def name(self, file: str) -> str:
        """Name of a file in listings: the collection, then its path."""
        return f"{self.collection}/{file}"

    def sounds(self) -> tuple[str, ...]:
        """The files that may be sound files, by their names."""
        return tuple(file for file in self.files if not not_a_sound(file))

    def why_no_sound(self, file: str) -> str:
        """Why one of `files` is no recording, as far as its name tells; empty if it may be one."""
        reason = not_a_sound(file)
        if reason and os.path.isdir(self.root / file):
            return "a link to a folder that is listed already, or holds this one"
        return reason


def _walk(root: Path) -> Iterator[str]:
    """Paths of the files below `root`, and of links to folders that are not followed."""
    listed = {_identity(folder) for folder in root.resolve().parents}
    links = [str(root)]
    for link in links:  # it grows: linked folders come after the real ones
        if _identity(link) in listed and link != str(root):
            yield link
            continue
        for folder, folders, names in os.walk(link, onerror=_raise):
            listed.add(_identity(folder))
            paths = [os.path.join(folder, name) for name in sorted(folders)]
            links += [path for path in paths if os.path.islink(path)]
            folders[:] = [os.path.basename(p) for p in paths if _identity(p) not in listed]
            yield from (os.path.join(folder, name) for name in names)


def _identity(folder: str | Path) -> tuple[int, int]:
    """Device and inode: equal for all names of a folder."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _is_file_or_link(path: str) -> bool:
    try:
        return os.path.islink(path) or stat.S_ISREG(os.stat(path).st_mode)
    except OSError:  # reported when it is read
        return True


def _raise(error: OSError) -> None:
    raise error


def find_file(root: Path, name: str) -> str:
    """A file by a name that another program wrote, relative to `root`: with the separators of
    Windows, in another Unicode form (macOS decomposes letters) or, where none is named so, in
    another case.

    Returns:
        The path as the disk has it, with / between folders; the name itself where there is none.
    """
    path = Path(os.path.normpath(name.replace("\\", "/")))
    if not os.path.isfile(root / path):
        found = Path()
        for part in path.parts:
            there = os.path.exists(root / found / part)
            found /= part if there else _entry(root / found, part)
        if os.path.isfile(root / found):
            path = found
    return path.as_posix()


def _entry(folder: Path, name: str) -> str:
    """The entry of a folder that is called `name` but for its Unicode form or its case."""
    try:
        by_form, by_case = _entries(str(folder), os.stat(folder).st_mtime_ns)
    except (OSError, ValueError):  # no such folder, or a name that no file can have
        return name
    name = same_form(name)
    return by_form.get(name) or by_case.get(name.casefold()) or name


@lru_cache(maxsize=64)
def _entries(folder: str, mtime_ns: int) -> tuple[dict[str, str], dict[str, str]]:
    """The entries of a folder, by their names in one form, and without case."""
    names = sorted(os.listdir(folder), reverse=True)
    by_form = {same_form(name): name for name in names}
    return by_form, {form.casefold(): name for form, name in by_form.items()}


def not_a_sound(file: str) -> str:
    """Why a file cannot be a recording by its name; empty if it can."""
    if any(part.startswith(".") or part == "__MACOSX" for part in file.split("/")):
        return "a hidden file"
    return "" if file.lower().endswith(READABLE) else f"not a sound file ({', '.join(READABLE)})"


def midi_pairs(folder: Folder, midi: Folder) -> dict[str, str]:
    """Sound file -> its MIDI file: `STEM-lined.mid` before `STEM.mid`, the nearest folder first."""
    by_stem = defaultdict(list)
    for file in midi.files:
        if file.lower().endswith(MIDI_SUFFIXES):
            by_stem[same_form(Path(file).stem)].append(file)
    pairs = {}
    for sound in folder.sounds():
        stem = same_form(Path(sound).stem)
        if found := by_stem[f"{stem}-lined"] or by_stem[stem]:
            pairs[sound] = min(found, key=lambda file, sound=sound: (-_n_shared(file, sound), file))
    return pairs


def _n_shared(file: str, other: str) -> int:
    """Number of equal path components at equal depth."""
    parts = zip(Path(same_form(file)).parts, Path(same_form(other)).parts, strict=False)
    return sum(part == other_part for part, other_part in parts)
