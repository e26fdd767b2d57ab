"""Layouts: published collections of single notes whose file names say what is played.

TinySOL and OrchideaSOL: `<Family>/<Instrument>/ordinario/Fl-ord-C4-mf-N-T14d.wav`, folds in TinySOL_metadata.csv.
Philharmonia: `flute_As4_05_forte_normal.mp3`; crescendi and phrases among them are no notes of one dynamic.

A reader of names gives `Words` or raises ValueError with the reason why the file is not used.
"""
from __future__ import annotations

import csv
import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lt.audio import READABLE
from lt.takes import BuildConfig, Recording, Skipped, Survey, Take, dynamics_class, instrument_name, note_number_of

TINYSOL_METADATA = "TinySOL_metadata.csv"
MOST_FOLDS = 1_000_000
_TINYSOL = re.compile(r"([A-Za-z]+(?:\+[A-Za-z]+)*)-([A-Za-z_+.]+)-([A-G][#b]?-?\d+)-([a-z]+)-([^-]+)-([^-]+)")
_PHILHARMONIA = re.compile(r"([a-z][a-z -]*)_([A-G]s?\d+)_([^_]+)_([^_]+)_([^_]+)")
_PLAIN_ARTICULATIONS = ("normal", "arco-normal")


@dataclass(frozen=True)
class Words:
    """What a name or a row of an index says of a note, as written there."""
    instrument: str
    note: str
    dynamics: str


@dataclass(frozen=True)
class Folder:
    """A source on disk: its files in order, below its root, and what they are called in the account."""
    root: Path
    collection: str
    files: tuple[str, ...]

    @classmethod
    def of(cls, root: Path, collection: str) -> Folder:
        """All files below `root`, sorted; separators are / everywhere. Pipes and devices, which could be waited for
        for ever, are no files; links to folders are, so that they are accounted for, and are not followed.

        Raises:
            OSError: a folder may not be read.
        """
        found = (os.path.join(folder, name) for folder, folders, names in os.walk(root, onerror=_raise)
                 for name in (*folders, *names))
        return cls(root, collection, tuple(sorted(os.path.relpath(path, root).replace(os.sep, "/") for path in found
                                                  if _may_be_read(path))))

    def name(self, file: str) -> str:
        """What a file is called in the account."""
        return f"{self.collection}/{file}"

    def sounds(self) -> tuple[str, ...]:
        """The files that may be sound, by suffix."""
        return tuple(file for file in self.files if not not_a_sound(file))

    def take(self, file: str, words: Words, config: BuildConfig, fold: int = -1, onset: float = 0.0,
             offset: float | None = None) -> Take:
        """The take that words about a file make.

        Raises:
            ValueError: a word that is not understood; the reason to skip the file.
        """
        source = self.name(file) + (f"@{onset:.3f}" if onset > 0 or offset is not None else "")
        return Take(source, self.name(file), Recording(self.root / file, onset, offset),
                    instrument_name(words.instrument or config.instrument), note_number_of(words.note),
                    dynamics_class(words.dynamics, config.default_dynamics), self.collection, fold)


def refuse_endless(path: Path) -> None:
    """Make sure that a file that says what others are is one: a link may lead to a pipe or a device.

    Raises:
        ValueError: it is not.
    """
    if not path.is_file():
        raise ValueError(f"{path} is no file")


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


def survey_names(folder: Folder, words_of: Callable[[str], Words], config: BuildConfig,
                 folds: dict[str, int] | None = None, indexes: Iterable[str] = ()) -> Survey:
    """Every file of a folder, read by its name."""
    takes, skips, indexes = [], [], tuple(indexes)
    for file in folder.files:
        if file in indexes:
            continue
        try:
            if reason := not_a_sound(file):
                raise ValueError(reason)
            fold = (folds or {}).get(Path(file).name, -1)
            takes.append(folder.take(file, words_of(file), config, fold))
        except ValueError as reason:
            skips.append(Skipped(folder.name(file), str(reason)))
    return Survey(tuple(takes), tuple(skips), tuple(folder.name(index) for index in indexes),
                  tuple(folder.root / index for index in indexes))


# --- TinySOL, OrchideaSOL ---------------------------------------------------------------------------------

def survey_tinysol(folder: Folder, config: BuildConfig) -> Survey:
    """TinySOL or OrchideaSOL as unpacked."""
    metadata = [file for file in folder.files if Path(file).name == TINYSOL_METADATA]
    folds = _folds(folder.root / metadata[0]) if metadata else {}
    return survey_names(folder, tinysol_words, config, folds, metadata[:1])


def tinysol_words(file: str) -> Words:
    """`Winds/Flute/ordinario/Fl-ord-C#4-mf-N-T14d.wav` -> Words.

    Raises:
        ValueError: another technique than ordinario, a mute, or no such name.
    """
    match = _TINYSOL.fullmatch(Path(file).stem)
    if not match:
        raise ValueError("its name is not INSTRUMENT-TECHNIQUE-PITCH-DYNAMICS-INSTANCE-TUNING")
    instrument, technique, pitch, dynamics, *_ = match.groups()
    if technique != "ord":
        raise ValueError("a technique other than ordinario")
    if "+" in instrument:
        raise ValueError("played with a mute")
    return Words(instrument, pitch, dynamics)


def _folds(path: Path) -> dict[str, int]:
    """File name -> fold, from TinySOL_metadata.csv.

    Raises:
        ValueError: without the columns Path and Fold, or a fold that is no number.
    """
    refuse_endless(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            folds = {Path(row["Path"]).name: int(row["Fold"]) for row in csv.DictReader(stream)}
        if not all(0 <= fold < MOST_FOLDS for fold in folds.values()):
            raise ValueError("no such fold")
        return folds
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{path} does not give each file (Path) its Fold; take the publisher's, or remove it") \
            from error


# --- Philharmonia -----------------------------------------------------------------------------------------

def survey_philharmonia(folder: Folder, config: BuildConfig) -> Survey:
    """A folder of the Philharmonia's sound samples."""
    return survey_names(folder, philharmonia_words, config)


def philharmonia_words(file: str) -> Words:
    """`flute_As4_05_forte_normal.mp3` -> Words.

    Raises:
        ValueError: a phrase, dynamics that change, another articulation than normal, or no such name.
    """
    match = _PHILHARMONIA.fullmatch(Path(file).stem)
    if not match:
        raise ValueError("its name is not INSTRUMENT_NOTE_LENGTH_DYNAMICS_ARTICULATION")
    instrument, note, length, dynamics, articulation = match.groups()
    if "phrase" in (length, articulation):
        raise ValueError("a phrase, not a note")
    if "cresc" in dynamics or "cresc" in articulation:
        raise ValueError("its dynamics change (crescendo, decrescendo)")
    if articulation not in _PLAIN_ARTICULATIONS:
        raise ValueError("an articulation other than normal")
    return Words(instrument, note, dynamics)
