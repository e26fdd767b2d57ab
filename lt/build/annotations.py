"""Indexes: collections whose labels stand in a file of their own.

A CSV (`file,instrument,note,dynamics[,onset,offset][,fold]`), good-sounds (sounds.json and
takes.json, or database.sqlite), or a loader of mirdata. A row of an index that is not understood is
skipped with its reason.
"""

from __future__ import annotations

import csv
import json
import math
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from lt.build.filenames import MOST_FOLDS, Words, refuse_endless, take_from
from lt.build.notes import BuildConfig, Skipped, Survey, Take
from lt.data.pairs import Folder, not_a_sound

CSV_COLUMNS = ("file", "instrument", "note", "dynamics")
GOOD_SOUNDS = (("sounds.json", "takes.json"), ("database.sqlite",))
LATEST_SECONDS = 1e6  # that an onset can be


def account(
    folder: Folder,
    takes: Iterable[Take],
    skips: Iterable[Skipped],
    indexes: Iterable[str],
    unnamed: str,
) -> Survey:
    """A survey in which a sound that the index names twice is used once, or not at all where it is
    called by different names, and files that no row named are skipped, with the reason `unnamed`.
    """
    takes, contradictions = _agreed(takes)
    skips, indexes = (*skips, *contradictions), tuple(indexes)
    known = (
        {take.file for take in takes}
        | {skip.file for skip in skips}
        | {folder.name(one) for one in indexes}
    )
    rest = tuple(
        Skipped(folder.name(file), not_a_sound(file) or unnamed)
        for file in folder.files
        if folder.name(file) not in known
    )
    return Survey(
        takes,
        skips + rest,
        tuple(folder.name(one) for one in indexes),
        tuple(folder.root / one for one in indexes),
    )


def _agreed(takes: Iterable[Take]) -> tuple[tuple[Take, ...], list[Skipped]]:
    """Takes in their order, each stretch of sound once; and those of a stretch that is called by
    different names.
    """
    takes = list(dict.fromkeys(takes))
    chosen, skips = set(), []
    for alike in _of_one_sound(takes):
        if len({(take.instrument, take.note_number, take.dynamics) for take in alike}) == 1:
            chosen.add(max(alike, key=lambda take: take.fold))
        else:
            skips += [
                Skipped(take.file, "contradictory labels in the index", take.words)
                for take in alike
            ]
    return tuple(take for take in takes if take in chosen), skips


def _of_one_sound(takes: Sequence[Take]) -> Iterator[list[Take]]:
    """Takes of one file together where one shares more than half of the shorter one's stretch with
    another.
    """
    alike: list[Take] = []
    latest = shortest = 0.0
    for take in sorted(takes, key=lambda take: (take.file, take.sound.onset)):
        end = LATEST_SECONDS if take.sound.offset is None else take.sound.offset
        length = end - take.sound.onset
        shared = min(latest, end) - take.sound.onset
        if alike and alike[0].file == take.file and shared > min(shortest, length) / 2:
            alike.append(take)
            latest, shortest = max(latest, end), min(shortest, length)
            continue
        if alike:
            yield alike
        alike, latest, shortest = [take], end, length
    if alike:
        yield alike


# --- a folder with a CSV --------------------------------------------------------------------------


def csv_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV with the columns CSV_COLUMNS, by column, and `line`, their number in the
    file; `;` between columns is understood too.

    Raises:
        ValueError: a column is missing, or it is no UTF-8, or no file that ends. OSError: it cannot
        be read.
    """
    refuse_endless(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            header = stream.readline()
            stream.seek(0)
            reader = csv.DictReader(
                stream, delimiter=";" if header.count(";") > header.count(",") else ","
            )
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            rows = [
                {
                    key: (value or "").strip()
                    for key, value in row.items()
                    if key and not isinstance(value, list)
                }
                | {"line": str(reader.line_num)}
                for row in reader
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV in UTF-8 ({error})") from error
    if missing := [name for name in CSV_COLUMNS if name not in reader.fieldnames]:
        raise ValueError(
            f"{path} lacks the column {', '.join(missing)} (expected file,instrument,note,dynamics"
            "[,onset,offset][,fold] in its first line)"
        )
    return rows


def survey_csv(folder: Folder, index: str, config: BuildConfig) -> Survey:
    """A folder by its CSV; files are named relative to the CSV."""
    takes, skips = [], []
    base = Path(index).parent
    for row in csv_rows(folder.root / index):
        file = Path(os.path.normpath(base / row["file"].replace("\\", "/"))).as_posix()
        try:
            takes.append(_csv_take(folder, file, row, config))
        except (ValueError, OSError) as reason:  # OSError: a name that no file can have
            skips.append(Skipped(folder.name(file), f"line {row['line']}: {reason}"))
    return account(folder, takes, skips, [index], "not named in the CSV")


def _csv_take(folder: Folder, file: str, row: dict[str, str], config: BuildConfig) -> Take:
    """The take of one row. Raises ValueError with the reason if there is none."""
    if not row["file"]:
        raise ValueError("no file named")
    if not (folder.root / file).is_file():
        raise ValueError("no such file")
    onset, offset = (_seconds(row.get(name, ""), name) for name in ("onset", "offset"))
    if offset is not None and offset <= (onset or 0.0):
        raise ValueError("the offset is not after the onset")
    fold = row.get("fold", "")
    if fold and not (fold.isdecimal() and len(fold) < 7 and int(fold) < MOST_FOLDS):
        raise ValueError(f"'{fold}' is no fold")
    words = Words(row["instrument"], row["note"], row["dynamics"])
    return take_from(folder, file, words, config, int(fold) if fold else -1, onset or 0.0, offset)


def _seconds(text: str, name: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < LATEST_SECONDS:
        raise ValueError(f"'{text}' is no {name} in seconds")
    return seconds


# --- good-sounds ----------------------------------------------------------------------------------


def survey_good_sounds(folder: Folder, config: BuildConfig) -> Survey:
    """good-sounds by its index: the single notes that their players called good.

    Raises:
        ValueError: the index is damaged.
    """
    for names in GOOD_SOUNDS:
        indexes = [
            next((file for file in folder.files if Path(file).name == name), None) for name in names
        ]
        if all(indexes):
            break
    else:
        raise ValueError(
            f"{folder.root} has no index of good-sounds (sounds.json and takes.json, or "
            "database.sqlite)"
        )
    try:
        sounds, recordings = _read_good_sounds([folder.root / index for index in indexes])
        pairs = [
            (str(recording["filename"]), sounds.get(str(recording["sound_id"])))
            for recording in recordings
        ]
    except (
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        RecursionError,
        sqlite3.Error,
    ) as error:
        raise ValueError(
            f"{folder.root / indexes[0]} is no index of good-sounds, or damaged ({error})"
        ) from error
    takes, skips, by_name = [], [], defaultdict(list)
    for file in folder.files:
        by_name[Path(file).name].append(file)
    for filename, sound in pairs:
        named = "/" + filename.lstrip("/")
        file = next(
            (one for one in by_name[Path(filename).name] if ("/" + one).endswith(named)), None
        )
        try:
            if file is None:
                raise ValueError("in the index, but not in the folder")
            takes.append(take_from(folder, file, good_sounds_words(sound), config))
        except ValueError as reason:
            skips.append(Skipped(folder.name(file or filename), str(reason)))
    return account(folder, takes, skips, indexes, "not in the index")


def good_sounds_words(sound: dict[str, object]) -> Words:
    """A sound's entry in the index -> Words. Raises ValueError: a scale, or not called good."""
    if not isinstance(sound, dict):
        raise ValueError("its entry in the index is damaged")
    klass = str(sound.get("klass") or "")
    if "scale" in klass:
        raise ValueError("a scale, not a note")
    if not klass.startswith("good"):
        raise ValueError("not called a good sound in the index")
    return Words(
        str(sound.get("instrument") or ""),
        f"{sound.get('note')}{sound.get('octave')}",
        str(sound.get("dynamics") or ""),
    )


def _read_good_sounds(indexes: list[Path]) -> tuple[dict[str, dict], list[dict]]:
    """Sounds by their number, and the recordings of them."""
    for index in indexes:
        refuse_endless(index)
    if len(indexes) == 2:
        sounds, recordings = (json.loads(index.read_text("utf-8")) for index in indexes)
        return {str(key): sound for key, sound in sounds.items()}, list(recordings.values())
    with closing(sqlite3.connect(f"{indexes[0].resolve().as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        tables = {
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        if not tables >= {"sounds", "takes"}:  # a view could be a query without an end
            raise ValueError("it has no tables sounds and takes")
        sounds = {
            str(row["id"]): dict(row)
            for row in database.execute("SELECT * FROM sounds ORDER BY id")
        }
        return sounds, [dict(row) for row in database.execute("SELECT * FROM takes ORDER BY id")]


# --- mirdata --------------------------------------------------------------------------------------


def survey_mirdata(folder: Folder, loader: str, config: BuildConfig) -> Survey:
    """A data set of single notes by its mirdata loader.

    Raises:
        ImportError: mirdata is not installed. ValueError: it has no such loader, or one without
        single notes.
    """
    try:
        import mirdata
    except ImportError as error:
        raise ImportError(
            f"--kind mirdata:{loader} needs mirdata; install it: pip install mirdata"
        ) from error
    if loader not in mirdata.list_datasets():
        raise ValueError(f"mirdata has no loader '{loader}'")
    tracks = mirdata.initialize(loader, data_home=str(folder.root)).load_tracks()
    takes, skips = [], []
    for _, track in sorted(tracks.items()):
        path = Path(track.audio_path)
        file = (
            path.relative_to(folder.root).as_posix()
            if path.is_relative_to(folder.root)
            else path.as_posix()
        )
        try:
            if not path.is_file():
                raise ValueError("in the index, but not in the folder")
            fold = getattr(track, "fold", None)
            takes.append(
                take_from(
                    folder, file, mirdata_words(track), config, -1 if fold is None else int(fold)
                )
            )
        except ValueError as reason:
            skips.append(Skipped(folder.name(file), str(reason)))
    return account(folder, takes, skips, [], f"not in mirdata's index of {loader}")


def mirdata_words(track: object) -> Words:
    """What a track of any loader says of its one note -> Words. Raises ValueError: it is not of one
    note.
    """
    sound = getattr(track, "sound_info", None)
    if isinstance(sound, dict):
        return good_sounds_words(sound)
    if getattr(track, "technique_abbr", "ord") != "ord":
        raise ValueError("a technique other than ordinario")
    found = {
        what: next(
            (str(getattr(track, name)) for name in names if getattr(track, name, None) is not None),
            "",
        )
        for what, names in (
            ("instrument", ("instrument_full", "instrument")),
            ("dynamics", ("dynamics",)),
            ("note", ("pitch_id", "midinote", "pitch", "note_name")),
        )
    }
    if not found["note"]:
        raise ValueError("its mirdata loader names no single note")
    return Words(found["instrument"], found["note"], found["dynamics"])
