"""Layouts: published collections of single notes whose file names say what is played.

TinySOL and OrchideaSOL: `<Family>/<Instrument>/ordinario/Fl-ord-C4-mf-N-T14d.wav`, folds in
TinySOL_metadata.csv. Philharmonia: `flute_As4_05_forte_normal.mp3`; crescendi and phrases among
them are no notes of one dynamic.

A reader of names gives `Words` or raises ValueError with the reason why the file is not used.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lt.build.notes import (
    BuildConfig,
    Recording,
    Skipped,
    Survey,
    Take,
    dynamics_class,
    instrument_name,
    note_number_of,
)
from lt.data.pairs import Folder, not_a_sound

TINYSOL_METADATA = "TinySOL_metadata.csv"
MOST_FOLDS = 1_000_000
_TINYSOL = re.compile(
    r"([A-Za-z]+(?:\+[A-Za-z]+)*)-([A-Za-z_+.]+)-([A-G][#b]?-?\d+)-([a-z]+)-([^-]+)-([^-]+)"
)
_PHILHARMONIA = re.compile(r"([a-z][a-z -]*)_([A-G]s?\d+)_([^_]+)_([^_]+)_([^_]+)")
_PLAIN_ARTICULATIONS = ("normal", "arco-normal")


@dataclass(frozen=True)
class Words:
    """What a name or a row of an index says of a note, as written there."""

    instrument: str
    note: str
    dynamics: str


def take_from(
    folder: Folder,
    file: str,
    words: Words,
    config: BuildConfig,
    fold: int = -1,
    onset: float = 0.0,
    offset: float | None = None,
) -> Take:
    """The take that words about a file of a folder make.

    Raises:
        ValueError: a word that is not understood; the reason to skip the file.
    """
    name = folder.name(file)
    source = name + (f"@{onset:.3f}" if onset > 0 or offset is not None else "")
    return Take(
        source,
        name,
        Recording(folder.root / file, onset, offset),
        instrument_name(words.instrument or config.instrument),
        note_number_of(words.note),
        dynamics_class(words.dynamics, config.default_dynamics),
        folder.collection,
        fold,
    )


def refuse_endless(path: Path) -> None:
    """Make sure that a file that says what others are is one: a link may lead to a pipe or a
    device.

    Raises:
        ValueError: it is not.
    """
    if not path.is_file():
        raise ValueError(f"{path} is no file")


def survey_names(
    folder: Folder,
    words_of: Callable[[str], Words],
    config: BuildConfig,
    folds: dict[str, int] | None = None,
    indexes: Iterable[str] = (),
) -> Survey:
    """Every file of a folder, read by its name."""
    takes, skips, indexes = [], [], tuple(indexes)
    for file in folder.files:
        if file in indexes:
            continue
        try:
            if reason := not_a_sound(file):
                raise ValueError(reason)
            fold = (folds or {}).get(Path(file).name, -1)
            takes.append(take_from(folder, file, words_of(file), config, fold))
        except ValueError as reason:
            skips.append(Skipped(folder.name(file), str(reason)))
    return Survey(
        tuple(takes),
        tuple(skips),
        tuple(folder.name(index) for index in indexes),
        tuple(folder.root / index for index in indexes),
    )


# --- TinySOL, OrchideaSOL -------------------------------------------------------------------------


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
        raise ValueError(
            f"{path} does not give each file (Path) its Fold; take the publisher's, or remove it"
        ) from error


# --- Philharmonia ---------------------------------------------------------------------------------


def survey_philharmonia(folder: Folder, config: BuildConfig) -> Survey:
    """A folder of the Philharmonia's sound samples."""
    return survey_names(folder, philharmonia_words, config)


def philharmonia_words(file: str) -> Words:
    """`flute_As4_05_forte_normal.mp3` -> Words.

    Raises:
        ValueError: a phrase, dynamics that change, another articulation than normal, or no such
        name.
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
