"""Files below a folder, and sound files paired with their aligned MIDI (`STEM.wav` with
`STEM-lined.mid` or `STEM.mid`).
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from lt.audio.io import READABLE


@dataclass(frozen=True)
class Folder:
    """A source on disk: its files in order, below its root, and what they are called in the
    account.
    """

    root: Path
    collection: str
    files: tuple[str, ...]

    @classmethod
    def of(cls, root: Path, collection: str) -> Folder:
        """All files below `root`, sorted; separators are / everywhere. Pipes and devices, which
        could be waited for for ever, are no files; links to folders are, so that they are accounted
        for, and are not followed.

        Raises:
            OSError: a folder may not be read.
        """
        found = (
            os.path.join(folder, name)
            for folder, folders, names in os.walk(root, onerror=_raise)
            for name in (*folders, *names)
        )
        return cls(
            root,
            collection,
            tuple(
                sorted(
                    os.path.relpath(path, root).replace(os.sep, "/")
                    for path in found
                    if _may_be_read(path)
                )
            ),
        )

    def name(self, file: str) -> str:
        """What a file is called in the account."""
        return f"{self.collection}/{file}"

    def sounds(self) -> tuple[str, ...]:
        """The files that may be sound, by suffix."""
        return tuple(file for file in self.files if not not_a_sound(file))


def _may_be_read(path: str) -> bool:
    """Whether a path is a file or a link; a disk that does not say will say why when it is read."""
    try:
        return os.path.islink(path) or stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True


def _raise(error: OSError) -> None:
    raise error


def not_a_sound(file: str) -> str:
    """Why a file cannot be a recording, by its name alone; or nothing."""
    if any(part.startswith(".") or part == "__MACOSX" for part in file.split("/")):
        return "a hidden file"
    return "" if file.lower().endswith(READABLE) else f"not a sound file ({', '.join(READABLE)})"


MIDI_SUFFIXES = (".mid", ".midi")


def midi_pairs(folder: Folder, midi: Folder) -> dict[str, str]:
    """Sound file -> its MIDI file: `STEM-lined.mid` before `STEM.mid`, the nearest folder first."""
    by_stem = defaultdict(list)
    for file in midi.files:
        if file.lower().endswith(MIDI_SUFFIXES):
            by_stem[Path(file).stem].append(file)

    def distance(sound: str, file: str) -> tuple[int, str]:
        shared = sum(
            one == other for one, other in zip(Path(sound).parts, Path(file).parts, strict=False)
        )
        return -shared, file

    pairs = {}
    for sound in folder.sounds():
        stem = Path(sound).stem
        found = by_stem[stem + "-lined"] or by_stem[stem]
        if found:
            pairs[sound] = min(found, key=lambda file, sound=sound: distance(sound, file))
    return pairs
