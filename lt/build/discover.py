"""Surveys: what kind of source a path is, and all the takes that several sources hold together.

A source is a sound font, a folder (with a CSV, good-sounds' index, aligned MIDI, or names like
those of TinySOL or the Philharmonia), or another data set file. Nothing here reads sound.
"""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Sequence

from lt.audio.soundfont import EMBEDDED
from lt.build.aligned_midi import survey_midi
from lt.build.annotations import (
    CSV_COLUMNS,
    GOOD_SOUNDS,
    csv_rows,
    survey_csv,
    survey_good_sounds,
    survey_mirdata,
)
from lt.build.filenames import (
    philharmonia_words,
    survey_philharmonia,
    survey_tinysol,
    tinysol_words,
)
from lt.build.notes import (
    BuildConfig,
    Rendering,
    Skipped,
    Stored,
    Survey,
    Take,
    instrument_name,
    note_number_of,
)
from lt.data.pairs import MIDI_SUFFIXES, Folder, midi_pairs
from lt.files import unique_names
from lt.labels import DYNAMICS_VELOCITIES, octave_pitch_to_note_number
from lt.midi import INSTRUMENTS, GeneralMidiInstrument

FONTS = (".sf2", ".sf3")
KINDS = (
    "auto",
    "font",
    "set",
    "csv",
    "tinysol",
    "orchideasol",
    "philharmonia",
    "good-sounds",
    "midi",
)
MIRDATA = "mirdata:"  # and the loader's name


def survey_sources(sources: Sequence[Path], config: BuildConfig) -> Survey:
    """The surveys of all sources, one after another.

    Raises:
        FileNotFoundError, ValueError, ImportError: a source is missing, or of no kind that is
        known.
    """
    for source in sources:
        if not source.exists():
            raise FileNotFoundError(f"no file or folder at {source}")
    homes = (Path(os.path.abspath(source)) for source in sources)
    collections = unique_names(
        (home.parent if home.suffix.lower() == ".csv" else home).name for home in homes
    )
    survey = Survey()
    for source, collection in zip(sources, collections, strict=True):
        survey += _survey(source, collection, config)
    return _each_once(survey)


def _each_once(survey: Survey) -> Survey:
    """A survey in which no note is used twice, be it by another path, or from a data set and what
    that was built from: it would be in two groups, and could be learnt from and tested on.
    """
    sounds: dict[object, Take] = {}
    names: dict[object, Take] = {}  # what else is known of notes in data sets
    takes, skips, real_folder = [], list(survey.skipped), cache(os.path.realpath)
    for take in survey.takes:
        path = take.sound.path
        real = (
            os.path.realpath(path)
            if path.is_symlink()
            else os.path.join(real_folder(path.parent), path.name)
        )
        note = take.instrument, take.note_number, take.dynamics
        rendered = note if isinstance(take.sound, Rendering) else ()
        first = sounds.setdefault((replace(take.sound, path=real), rendered), take)
        named = names.setdefault((take.source, note), take)
        if (
            first is take
            and named.sound.path != take.sound.path
            and Stored in (type(named.sound), type(take.sound))
        ):
            first = named
        if first is take:
            takes.append(take)
        else:
            skips.append(Skipped(take.file, f"the same recording as {first.source}", take.words))
    return replace(survey, takes=tuple(takes), skipped=tuple(skips))


def _survey(source: Path, collection: str, config: BuildConfig) -> Survey:
    """The survey of one source."""
    if source.is_file():
        return _survey_file(source, collection, config)
    folder = Folder.of(source, collection)
    if config.kind.startswith(MIRDATA):
        return survey_mirdata(folder, config.kind.removeprefix(MIRDATA), config)
    kind = recognise(folder, config) if config.kind == "auto" else config.kind
    if kind in ("font", "set"):
        raise ValueError(f"{source} is a folder; --kind {kind} takes files")
    if kind == "csv":
        return survey_csv(folder, _index(folder), config)
    return {
        "tinysol": survey_tinysol,
        "orchideasol": survey_tinysol,
        "philharmonia": survey_philharmonia,
        "good-sounds": survey_good_sounds,
        "midi": survey_midi,
    }[kind](folder, config)


def _survey_file(source: Path, collection: str, config: BuildConfig) -> Survey:
    """A source that is a file: a font, a data set or a CSV, by its suffix."""
    suffix = source.suffix.lower()
    if suffix in FONTS and config.kind in ("auto", "font"):
        return survey_font(source, config)
    if suffix == ".npz" and config.kind in ("auto", "set"):
        return survey_set(source, collection, config)
    if suffix == ".csv" and config.kind in ("auto", "csv"):
        return survey_csv(Folder.of(source.parent, collection), source.name, config)
    raise ValueError(
        f"{source} is no source of kind {config.kind} (expected a folder, .sf2, .sf3, .csv or .npz)"
    )


def recognise(folder: Folder, config: BuildConfig) -> str:
    """The kind of a folder, from its index or from most of its names.

    Raises:
        ValueError: it cannot be told.
    """
    names = {Path(file).name for file in folder.files}
    if any(names.issuperset(indexes) for indexes in GOOD_SOUNDS):
        return "good-sounds"
    complaint = ""
    try:
        _index(folder)
        return "csv"
    except ValueError as error:
        complaint = str(error)
    sounds = folder.sounds()
    counts = {
        kind: sum(_readable(reader, file) for file in sounds)
        for kind, reader in (("tinysol", tinysol_words), ("philharmonia", philharmonia_words))
    }
    kind = max(counts, key=lambda kind: counts[kind])
    if counts[kind]:
        return kind
    if config.midiroot or midi_pairs(folder, folder):
        return "midi"
    if not folder.files:
        raise ValueError(f"{folder.root} holds no files")
    midi = (
        ", MIDI files" if any(file.lower().endswith(MIDI_SUFFIXES) for file in folder.files) else ""
    )
    raise ValueError(
        f"{folder.root}: what kind of source it is cannot be told from its {len(folder.files)} "
        "files"
        f"{midi} ({complaint}); add a CSV (file,instrument,note,dynamics) or name it: --kind KIND"
    )


def _readable(reader: object, file: str) -> bool:
    try:
        reader(file)
        return True
    except ValueError as error:
        return "its name is not" not in str(error)


def _index(folder: Folder) -> str:
    """The one CSV in a folder that has the columns of an index, the shallowest first.

    Raises:
        ValueError: there is none; the reason why the first is none, where there is one.
    """
    tables = [
        file
        for file in folder.files
        if file.lower().endswith(".csv") and not Path(file).name.startswith(".")
    ]
    found = sorted(tables, key=lambda file: (file.count("/"), file))
    complaints = []
    for file in found:
        try:
            csv_rows(folder.root / file)
            return file
        except (ValueError, OSError) as error:
            complaints.append(str(error))
    raise ValueError(
        complaints[0] if complaints else f"no CSV with the columns {','.join(CSV_COLUMNS)}"
    )


# --- sound fonts ----------------------------------------------------------------------------------


def survey_font(path: Path, config: BuildConfig) -> Survey:
    """Every note of the instruments' ranges at every dynamic, in order: instrument, note, dynamics.

    Raises:
        ValueError: an instrument without a program.
    """
    takes = [
        Take(
            f"{path.name}:{instrument.program}:{number}:{velocity}",
            path.name,
            Rendering(
                path,
                instrument.program,
                velocity,
                config.note_seconds,
                config.release_seconds,
                config.brightness,
            ),
            name,
            number,
            dynamics,
            path.name,
        )
        for name, instrument in map(parse_instrument, dict.fromkeys(config.instruments or EMBEDDED))
        for number in range(instrument.lowest, instrument.highest + 1)
        for dynamics, velocity in enumerate(DYNAMICS_VELOCITIES)
    ]
    return Survey(tuple(takes))


def parse_instrument(text: str) -> tuple[str, GeneralMidiInstrument]:
    """`Flute`, `Marimba:12` or `Marimba:12:C3-C6` -> its name, program (from 0) and range.

    Raises:
        ValueError: no such instrument, program or range.
    """
    name, *numbers = text.split(":")
    name = instrument_name(name)
    if not numbers and name not in INSTRUMENTS:
        raise ValueError(
            f"unknown instrument '{text}' (known: {', '.join(INSTRUMENTS)}; any other by its "
            "General "
            "MIDI program and range: Marimba:12:C3-C6)"
        )
    known = INSTRUMENTS.get(name, GeneralMidiInstrument(0, 36, 96))
    try:
        program = int(numbers[0]) if numbers else known.program
        limits = (
            [note_number_of(one) for one in "-".join(numbers[1:]).split("-")]
            if numbers[1:]
            else [known.lowest, known.highest]
        )
    except ValueError as error:
        raise ValueError(f"instrument '{text}': {error}") from error
    if not 0 <= program <= 127 or len(numbers) > 2 or len(limits) != 2 or limits[0] > limits[1]:
        raise ValueError(
            f"instrument '{text}' is not NAME:PROGRAM:LOWEST-HIGHEST with a program of 0-127"
        )
    return name, GeneralMidiInstrument(program, *limits)


# --- other data sets ------------------------------------------------------------------------------


def survey_set(path: Path, collection: str, config: BuildConfig) -> Survey:
    """The notes of another data set, their groups and folds kept.

    Raises:
        ValueError: it is damaged, or its front end is not the one asked for.
    """
    from lt.data.dataset import read_data_set

    data = read_data_set(path)
    if data.config != config.front_end:
        other, ours = asdict(data.config), asdict(config.front_end)
        differences = ", ".join(
            f"{name} {other[name]:g}, here {number:g}"
            for name, number in ours.items()
            if other[name] != number
        )
        raise ValueError(
            f"{path} was built with other front-end settings ({differences}), so it cannot be "
            "merged"
        )
    notes = data.notes
    numbers = octave_pitch_to_note_number(notes.labels[:, 0], notes.labels[:, 1])
    takes = [
        Take(
            str(notes.sources[n]),
            collection,
            Stored(path, n),
            notes.instruments[notes.instrument[n]],
            int(numbers[n]),
            int(notes.labels[n, 2]),
            f"{collection}#{notes.group[n]}",
            int(notes.fold[n]),
        )
        for n in range(len(numbers))
    ]
    return Survey(tuple(takes), (Skipped(collection, "holds no notes"),) if not takes else ())
