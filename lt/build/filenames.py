"""Collections of single notes whose file names carry the labels.

TinySOL and OrchideaSOL: `<Family>/<Instrument>/ordinario/Fl-ord-C4-mf-N-T14d.wav`, folds in
TinySOL_metadata.csv. Philharmonia: `flute_As4_05_forte_normal.mp3`. Sampled instruments: by note
and velocity layer, `D#4v8.mp3`. Others: a note, with an instrument before it, dynamics and the
number of a take behind it where they are known: `C4.wav`, `cello_C4_mf_2.wav`.

A parser of names returns a `NoteDescription`, or raises ValueError with the reason why the file is
not used.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lt.build.notes import Indexer, Manifest, NoteDescription
from lt.files import same_form
from lt.labels import DYNAMICS_NAMES
from lt.midi import velocity_to_dynamics

TINYSOL_METADATA = "TinySOL_metadata.csv"
MAX_FOLDS = 1_000_000
TINYSOL_NAME = re.compile(
    r"([A-Za-z]+(?:\+[A-Za-z]+)*)-([A-Za-z_+.]+)-([A-G][#b]?-?\d+)-([a-z]+)-([^-]+)-([^-]+)"
)
PHILHARMONIA_NAME = re.compile(r"([a-z][a-z -]*)_([A-G]s?\d+)_([^_]+)_([^_]+)_([^_]+)")
LAYER_NAME = re.compile(
    r"(?:(?P<instrument>.+?)[ _-]+)?(?P<note>[A-Ga-g](?:#|b|s)?-?\d)[ _-]?v(?:el)?"
    r"(?P<layer>\d{1,3})(?:[ _-]*rr\d+)?"
)
NOTE_NAME = re.compile(
    r"(?:(?P<instrument>.+?)[ _-]+)?(?P<note>[A-Ga-g](?:#|b|s)?-?\d)"
    r"(?:[ _-]+(?P<dynamics>p{1,3}|m[pf]|f{1,3}))?(?:[ _-]+\(?\d{1,3}\)?)?"
)
MOST_LAYERS = 32  # of sampled instruments; greater numbers are MIDI velocities
_PLAIN_ARTICULATIONS = ("normal", "arco-normal")


def index_names(
    indexer: Indexer,
    parse: Callable[[str], NoteDescription],
    folds: Mapping[str, int] | None = None,
    index_files: Sequence[str] = (),
) -> Manifest:
    """Index every file of a folder by its name; `folds`: file name -> fold."""
    for file in indexer.folder.files:
        if file not in index_files:
            with indexer.skipping(file):
                if reason := indexer.folder.why_no_sound(file):
                    raise ValueError(reason)
                indexer.add(file, parse(file), (folds or {}).get(same_form(Path(file).name), -1))
    return indexer.manifest(index_files)


def refuse_special_file(path: Path) -> None:
    """Raise ValueError unless `path` is a regular file: reading a pipe or device may never end."""
    if not path.is_file():
        raise ValueError(f"{path} is no file")


# --- TinySOL, OrchideaSOL -------------------------------------------------------------------------


def index_tinysol(indexer: Indexer) -> Manifest:
    """Index TinySOL or OrchideaSOL as unpacked."""
    files = indexer.folder.files
    metadata = [file for file in files if Path(file).name == TINYSOL_METADATA][:1]
    folds = _read_folds(indexer.folder.root / metadata[0]) if metadata else {}
    return index_names(indexer, parse_tinysol, folds, metadata)


def parse_tinysol(file: str) -> NoteDescription:
    """Describe a note named like `Winds/Flute/ordinario/Fl-ord-C#4-mf-N-T14d.wav`.

    Raises:
        ValueError: another technique than ordinario, a mute, or another kind of name.
    """
    match = TINYSOL_NAME.fullmatch(Path(file).stem)
    if not match:
        raise ValueError("its name is not INSTRUMENT-TECHNIQUE-PITCH-DYNAMICS-INSTANCE-TUNING")
    instrument, technique, pitch, dynamics, *_ = match.groups()
    if technique != "ord":
        raise ValueError("a technique other than ordinario")
    if "+" in instrument:
        raise ValueError("played with a mute")
    return NoteDescription(instrument, pitch, dynamics)


def _read_folds(path: Path) -> dict[str, int]:
    """File name -> fold, from TinySOL_metadata.csv.

    Raises:
        ValueError: the columns Path and Fold are missing, or a fold is no number.
    """
    refuse_special_file(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            folds = {same_form(Path(row["Path"]).name): int(row["Fold"]) for row in rows}
        if not all(0 <= fold < MAX_FOLDS for fold in folds.values()):
            raise ValueError("fold out of range")
        return folds
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(
            f"{path} does not give each file (Path) its Fold; take the publisher's, or remove it"
        ) from error


# --- Philharmonia ---------------------------------------------------------------------------------


def index_philharmonia(indexer: Indexer) -> Manifest:
    """Index a folder of the Philharmonia Orchestra's sound samples."""
    return index_names(indexer, parse_philharmonia)


def parse_philharmonia(file: str) -> NoteDescription:
    """Describe a note named like `flute_As4_05_forte_normal.mp3`.

    Raises:
        ValueError: a phrase, changing dynamics, an articulation other than normal, or another kind
            of name.
    """
    match = PHILHARMONIA_NAME.fullmatch(Path(file).stem)
    if not match:
        raise ValueError("its name is not INSTRUMENT_NOTE_LENGTH_DYNAMICS_ARTICULATION")
    instrument, note, length, dynamics, articulation = match.groups()
    if "phrase" in (length, articulation):
        raise ValueError("a phrase, not a note")
    if "cresc" in dynamics or "cresc" in articulation:
        raise ValueError("its dynamics change (crescendo, decrescendo)")
    if articulation not in _PLAIN_ARTICULATIONS:
        raise ValueError("an articulation other than normal")
    return NoteDescription(instrument, note, dynamics)


# --- sampled instruments --------------------------------------------------------------------------


def index_layers(indexer: Indexer) -> Manifest:
    """Index a folder of samples named by note and velocity layer (`Piano A4v8.wav`, `D#4v8.mp3`).

    Layers divide the dynamics evenly, from 0 or 1 to the highest number in the folder; where that
    is above MOST_LAYERS, the numbers are MIDI velocities.
    """
    matches = (LAYER_NAME.fullmatch(Path(file).stem) for file in indexer.folder.files)
    numbers = [int(match["layer"]) for match in matches if match]
    first, last = min([1, *numbers]), max([1, *numbers])

    def parse(file: str) -> NoteDescription:
        match = LAYER_NAME.fullmatch(Path(file).stem)
        if not match:
            raise ValueError("its name is not NOTEvLAYER (D#4v8)")
        number = int(match["layer"])
        if number > 127:
            raise ValueError(f"no velocity is {number}")
        dynamics = (2 * (number - first) + 1) * len(DYNAMICS_NAMES) // (2 * (last + 1 - first))
        if last > MOST_LAYERS:
            dynamics = int(velocity_to_dynamics(max(number, 1)))
        instrument = match["instrument"] or indexer.instrument(file)
        return NoteDescription(instrument, match["note"], DYNAMICS_NAMES[dynamics])

    return index_names(indexer, parse)


# --- others ---------------------------------------------------------------------------------------


def index_note_names(indexer: Indexer) -> Manifest:
    """Index a folder of recordings named by their notes (`C4.wav`, `cello_C4_mf_2.wav`)."""

    def parse(file: str) -> NoteDescription:
        match = NOTE_NAME.fullmatch(Path(file).stem)
        if not match:
            raise ValueError("its name is not NOTE or INSTRUMENT_NOTE_DYNAMICS (C4, cello_C4_mf)")
        instrument = match["instrument"] or indexer.instrument(file)
        return NoteDescription(instrument, match["note"], match["dynamics"] or "")

    return index_names(indexer, parse)
