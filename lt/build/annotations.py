"""Collections whose labels are in a file of their own.

A CSV (`file,instrument,note,dynamics[,onset,offset][,fold]`), good-sounds (sounds.json and
takes.json, or database.sqlite), or a loader of mirdata. A row that is not understood is skipped
with its reason.
"""

from __future__ import annotations

import csv
import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lt.build.filenames import MAX_FOLDS, refuse_special_file
from lt.build.notes import LATEST_SECONDS, Indexer, Manifest, NoteDescription
from lt.data.folders import find_file
from lt.files import same_form

CSV_COLUMNS = ("file", "instrument", "note", "dynamics")
CSV_TIMES = ("onset", "offset")
GOOD_SOUNDS = (("sounds.json", "takes.json"), ("database.sqlite",))
NOT_IN_FOLDER = "in the index, but not in the folder"


# --- a folder with a CSV --------------------------------------------------------------------------


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV (`,`, or `;` and decimal commas) with the columns CSV_COLUMNS, each with its
    line number in `line`.

    Raises:
        ValueError: a column is missing, or the file is not regular or not UTF-8.
        OSError: it cannot be read.
    """
    refuse_special_file(path)
    rows = []
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            header = stream.readline()
            stream.seek(0)
            delimiter = ";" if header.count(";") > header.count(",") else ","
            reader = csv.DictReader(stream, delimiter=delimiter)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            for row in reader:  # values beyond the last column are in a list under the key None
                values = {name: (value or "").strip() for name, value in row.items() if name}
                if delimiter == ";":  # as spreadsheets write where 0,5 is a half
                    values |= {name: values.get(name, "").replace(",", ".") for name in CSV_TIMES}
                rows.append(values | {"line": str(reader.line_num)})
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV in UTF-8 ({error})") from error
    if missing := [name for name in CSV_COLUMNS if name not in reader.fieldnames]:
        raise ValueError(
            f"{path} lacks the column {', '.join(missing)} (expected file,instrument,note,dynamics"
            "[,onset,offset][,fold] in its first line)"
        )
    return rows


def index_csv(indexer: Indexer, index_file: str) -> Manifest:
    """Index a folder by its CSV; file names are relative to the CSV."""
    for row in read_csv(indexer.folder.root / index_file):
        relative = Path(index_file).parent / row["file"].replace("\\", "/")
        file = find_file(indexer.folder.root, str(relative))
        with indexer.skipping(file, f"line {row['line']}: "):
            _add_csv_row(indexer, file, row)
    return indexer.manifest([index_file], "not named in the CSV")


def _add_csv_row(indexer: Indexer, file: str, row: Mapping[str, str]) -> None:
    if not row["file"]:
        raise ValueError("no file named")
    if not (indexer.folder.root / file).is_file():
        raise ValueError("no such file")
    onset = _number(row, "onset", float, LATEST_SECONDS, 0.0)
    offset = _number(row, "offset", float, LATEST_SECONDS, None)
    if offset is not None and offset <= onset:
        raise ValueError("the offset is not after the onset")
    fold = _number(row, "fold", int, MAX_FOLDS, -1)
    description = NoteDescription(row["instrument"], row["note"], row["dynamics"])
    indexer.add(file, description, fold, onset, offset)


def _number(
    row: Mapping[str, str], column: str, parse: Callable[[str], Any], limit: float, default: Any
) -> Any:
    """A number of a row, from 0 to below `limit`; `default` where it is empty."""
    text = row.get(column)
    if not text:
        return default
    try:
        number = parse(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < limit:
        raise ValueError(f"'{text}' is no {column}")
    return number


# --- good-sounds ----------------------------------------------------------------------------------


def index_good_sounds(indexer: Indexer) -> Manifest:
    """Index good-sounds: its single notes that are called good.

    Raises:
        ValueError: the index is missing or damaged.
    """
    folder = indexer.folder
    files = defaultdict(list)  # by name, without folders
    for file in folder.files:
        files[same_form(Path(file).name)].append(file)
    index_files = next(
        ([files[name][0] for name in names] for names in GOOD_SOUNDS if all(map(files.get, names))),
        None,
    )
    if not index_files:
        raise ValueError(
            f"{folder.root} has no index of good-sounds (sounds.json and takes.json, or "
            "database.sqlite)"
        )
    paths = [folder.root / file for file in index_files]
    try:
        recordings = _read_good_sounds(paths)
    except (
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        RecursionError,
        sqlite3.Error,
    ) as error:
        raise ValueError(f"{paths[0]} is no index of good-sounds, or damaged ({error})") from error
    for path, sound in recordings:
        ending = same_form("/" + path.lstrip("/"))
        named = files[same_form(Path(path).name)]
        found = [file for file in named if same_form("/" + file).endswith(ending)]
        file = found[0] if found else path
        with indexer.skipping(file):
            if not found:
                raise ValueError(NOT_IN_FOLDER)
            indexer.add(file, describe_good_sound(sound))
    return indexer.manifest(index_files, "not in the index")


def describe_good_sound(sound: Any) -> NoteDescription:
    """Describe the note of a sound's entry in the index.

    Raises:
        ValueError: it is a scale, is not called good, or the entry is damaged.
    """
    if not isinstance(sound, dict):
        raise ValueError("its entry in the index is damaged")
    klass = str(sound.get("klass") or "")
    if "scale" in klass:
        raise ValueError("a scale, not a note")
    if not klass.startswith("good"):
        raise ValueError("not called a good sound in the index")
    return NoteDescription(
        str(sound.get("instrument") or ""),
        f"{sound.get('note')}{sound.get('octave')}",
        str(sound.get("dynamics") or ""),
    )


def _read_good_sounds(paths: Sequence[Path]) -> list[tuple[str, Any]]:
    """(path of the recording, its sound's entry) of every recording in the index."""
    for path in paths:
        refuse_special_file(path)
    if len(paths) == 2:
        sounds, takes = (json.loads(path.read_text("utf-8")) for path in paths)
        takes = takes.values()
    else:
        sounds, takes = _read_database(paths[0])
    sounds = {str(number): sound for number, sound in sounds.items()}
    return [(str(take["filename"]), sounds.get(str(take["sound_id"]))) for take in takes]


def _read_database(path: Path) -> tuple[dict[int, dict], list[dict]]:
    """Sounds by number, and takes, of database.sqlite."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not {"sounds", "takes"} <= {row["name"] for row in tables}:  # a view may never end
            raise ValueError("it has no tables sounds and takes")
        sounds, takes = (
            [dict(row) for row in database.execute(f"SELECT * FROM {table} ORDER BY id")]
            for table in ("sounds", "takes")
        )
        return {sound["id"]: sound for sound in sounds}, takes


# --- mirdata --------------------------------------------------------------------------------------


def index_mirdata(indexer: Indexer, loader: str) -> Manifest:
    """Index a data set of single notes by its mirdata loader.

    Raises:
        ImportError: mirdata is not installed.
        ValueError: it has no such loader.
    """
    try:
        import mirdata
    except ImportError as error:
        raise ImportError(
            f"--kind mirdata:{loader} needs mirdata; install it: pip install mirdata"
        ) from error
    if loader not in mirdata.list_datasets():
        raise ValueError(f"mirdata has no loader '{loader}'")
    root = indexer.folder.root
    tracks = mirdata.initialize(loader, data_home=str(root)).load_tracks()
    for _, track in sorted(tracks.items()):
        path = Path(track.audio_path)
        file = (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
        with indexer.skipping(file):
            if not path.is_file():
                raise ValueError(NOT_IN_FOLDER)
            fold = getattr(track, "fold", None)
            indexer.add(file, describe_track(track), -1 if fold is None else int(fold))
    return indexer.manifest([], f"not in mirdata's index of {loader}")


def describe_track(track: object) -> NoteDescription:
    """Describe the note of a track of any mirdata loader.

    Raises:
        ValueError: the track is no single note.
    """
    sound = getattr(track, "sound_info", None)
    if isinstance(sound, dict):
        return describe_good_sound(sound)
    if getattr(track, "technique_abbr", "ord") != "ord":
        raise ValueError("a technique other than ordinario")

    def first(*names: str) -> str:
        values = (getattr(track, name, None) for name in names)
        return next((str(value) for value in values if value is not None), "")

    note = first("pitch_id", "midinote", "pitch", "note_name")
    if not note:
        raise ValueError("its mirdata loader names no single note")
    return NoteDescription(first("instrument_full", "instrument"), note, first("dynamics"))
