"""Indexing of sources: which kind a path is, and the manifest of the notes of several sources.

A source is a sound font, an SFZ instrument, a folder (with a CSV, SFZ instruments, good-sounds'
index, aligned MIDI, or file names that carry the labels), or another data set file. Nothing here
reads audio.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from lt.audio.soundfont_file import find_presets
from lt.build.aligned_midi import index_midi
from lt.build.annotations import (
    CSV_COLUMNS,
    GOOD_SOUNDS,
    index_csv,
    index_good_sounds,
    index_mirdata,
    read_csv,
)
from lt.build.embedded_set import EMBEDDED
from lt.build.filenames import (
    LAYER_NAME,
    NOTE_NAME,
    PHILHARMONIA_NAME,
    TINYSOL_NAME,
    index_layers,
    index_note_names,
    index_philharmonia,
    index_tinysol,
)
from lt.build.notes import (
    DataSetNote,
    FontNote,
    Indexer,
    Manifest,
    Skipped,
    SourceNote,
    joined,
)
from lt.build.sfz import SUFFIX as SFZ
from lt.build.sfz import find_instruments, index_sfz
from lt.build.vocabulary import instrument_name, note_number_of
from lt.config import BuildConfig
from lt.data.dataset import read_data_set
from lt.data.folders import MIDI_SUFFIXES, Folder, midi_pairs
from lt.files import unique_names
from lt.labels import octave_pitch_to_note_number
from lt.messages import counted
from lt.midi import DYNAMICS_VELOCITIES, INSTRUMENTS, GeneralMidiInstrument

FONTS = (".sf2", ".sf3")
IN_FOLDER = (".csv", SFZ)  # files that name others beside them
INDEXERS = {
    "csv": lambda indexer: index_csv(indexer, _find_csv(indexer.folder)),
    "sfz": lambda indexer: index_sfz(indexer, find_instruments(indexer.folder.files)),
    "tinysol": index_tinysol,
    "orchideasol": index_tinysol,
    "philharmonia": index_philharmonia,
    "layers": index_layers,
    "notes": index_note_names,
    "good-sounds": index_good_sounds,
    "midi": index_midi,
}
KINDS = ("auto", "font", "set", *INDEXERS)
MIRDATA = "mirdata:"  # followed by the name of the loader


def index_sources(sources: Sequence[Path], config: BuildConfig) -> Manifest:
    """Index all sources, in their order; a note that two of them hold is listed once.

    Raises:
        FileNotFoundError: a source is missing.
        ValueError: a source is of no known kind, or a value of the config is not understood.
        ImportError: a source needs a library that is not installed.
    """
    for source in sources:
        if not source.exists():
            raise FileNotFoundError(f"no file or folder at {source}")
    absolute = [Path(os.path.abspath(source)) for source in sources]
    collections = unique_names(
        (path.parent if path.suffix.lower() in IN_FOLDER else path).name for path in absolute
    )
    manifests = [
        _index_source(source, collection, config)
        for source, collection in zip(sources, collections, strict=True)
    ]
    manifest = _without_duplicates(joined([Manifest(), *manifests]))
    return replace(manifest, sources=tuple(path.name for path in absolute))


def _without_duplicates(manifest: Manifest) -> Manifest:
    """Skip notes listed before by another path, or in a data set and in what it was built from.

    Such a note would be in two groups, so that a model could be trained and tested on it.
    """
    by_audio: dict[object, SourceNote] = {}
    by_name: dict[object, SourceNote] = {}
    kept: list[SourceNote] = []
    repeated: list[Skipped] = []
    real_folder = cache(os.path.realpath)
    for note in manifest.notes:
        path = note.location.path
        folder = real_folder(path.parent)
        real = os.path.realpath(path) if path.is_symlink() else os.path.join(folder, path.name)
        rendered = note.labels if isinstance(note.location, FontNote) else ()
        first = by_audio.setdefault((replace(note.location, path=real), rendered), note)
        named = by_name.setdefault((note.source, note.labels), note)
        from_data_set = DataSetNote in (type(named.location), type(note.location))
        if first is note and from_data_set and named.location.path != path:
            first = named
        if first is note:
            kept.append(note)
        else:
            repeated.append(note.skipped(f"the same recording as {first.source}"))
    return replace(manifest, notes=tuple(kept), skipped=(*manifest.skipped, *repeated))


def _index_source(source: Path, collection: str, config: BuildConfig) -> Manifest:
    suffix = source.suffix.lower()
    kind = config.kind
    if source.is_file():
        if suffix in FONTS and kind in ("auto", "font"):
            return index_font(source, config)
        if suffix == ".npz" and kind in ("auto", "set"):
            return index_data_set(source, collection, config)
        if suffix in IN_FOLDER and kind in ("auto", suffix[1:]):
            indexer = Indexer(Folder.of(source.parent, collection), config)
            if suffix == SFZ:
                return index_sfz(indexer, [source.name])
            return index_csv(indexer, source.name)
    else:
        folder = Folder.of(source, collection)
        if kind.startswith(MIRDATA):
            return index_mirdata(Indexer(folder, config), kind.removeprefix(MIRDATA))
        kind = recognise(folder, config) if kind == "auto" else kind
        if kind in INDEXERS:
            return INDEXERS[kind](Indexer(folder, config))
    raise ValueError(
        f"{source} is no source of kind {kind} (expected a folder of recordings, .sf2, .sf3, .sfz, "
        ".csv or .npz)"
    )


def recognise(folder: Folder, config: BuildConfig) -> str:
    """The kind of a folder, by its index or by most of its file names.

    Raises:
        ValueError: it is of no known kind.
    """
    names = {Path(file).name for file in folder.files}
    if any(names.issuperset(index_files) for index_files in GOOD_SOUNDS):
        return "good-sounds"
    try:
        _find_csv(folder)
        return "csv"
    except ValueError as error:
        no_csv = error
    if find_instruments(folder.files):
        return "sfz"
    stems = [Path(file).stem for file in folder.sounds()]
    patterns = {"tinysol": TINYSOL_NAME, "philharmonia": PHILHARMONIA_NAME, "layers": LAYER_NAME}
    counts = {
        kind: sum(bool(pattern.fullmatch(stem)) for stem in stems)
        for kind, pattern in patterns.items()
    }
    kind = max(counts, key=counts.get)
    if counts[kind]:
        return kind
    if config.midiroot or midi_pairs(folder, folder):
        return "midi"
    if any(map(NOTE_NAME.fullmatch, stems)):
        return "notes"
    if not folder.files:
        raise ValueError(f"{folder.root} holds no files")
    has_midi = any(file.lower().endswith(MIDI_SUFFIXES) for file in folder.files)
    files = counted(len(folder.files), "file")
    raise ValueError(
        f"{folder.root}: its kind cannot be recognised from its {files}"
        f"{', MIDI files' if has_midi else ''} ({no_csv}); name the "
        "files by their notes (C4.wav), add a CSV (file,instrument,note,dynamics), or name the "
        "kind: --kind KIND"
    )


def _find_csv(folder: Folder) -> str:
    """The CSV of a folder with the columns of an index, the shallowest first.

    Raises:
        ValueError: there is none; why the first CSV is none, if there is a CSV.
    """
    files = [file for file in folder.files if file.lower().endswith(".csv")]
    reasons = []
    for file in sorted(files, key=lambda file: (file.count("/"), file)):
        if not Path(file).name.startswith("."):
            try:
                read_csv(folder.root / file)
                return file
            except (ValueError, OSError) as error:
                reasons.append(str(error))
    raise ValueError(reasons[0] if reasons else f"no CSV with the columns {','.join(CSV_COLUMNS)}")


# --- sound fonts ----------------------------------------------------------------------------------


def index_font(path: Path, config: BuildConfig) -> Manifest:
    """Index a font: every note of the instruments' ranges at every dynamic, in the order
    instrument, note, dynamic. Notes that it has no sample for are skipped.

    Raises:
        OSError, ValueError: the font cannot be read, or lacks an instrument's program.
    """
    asked = [parse_instrument(text) for text in dict.fromkeys(config.instruments or EMBEDDED)]
    presets = find_presets(path, config.bank, {about.program: name for name, about in asked})
    notes: list[SourceNote] = []
    skipped: list[Skipped] = []
    for name, about in asked:
        for number in range(about.lowest, about.highest + 1):
            for dynamics, velocity in enumerate(DYNAMICS_VELOCITIES):
                place = FontNote(
                    path,
                    config.bank,
                    about.program,
                    velocity,
                    config.note_seconds,
                    config.release_seconds,
                    config.brightness,
                )
                bank = f"{config.bank}:" * (config.bank > 0)
                source = f"{path.name}:{bank}{about.program}:{number}:{velocity}"
                note = SourceNote(
                    source, path.name, place, name, number, dynamics, collection=path.name
                )
                if presets[about.program].can_render(number, velocity):
                    notes.append(note)
                else:
                    skipped.append(note.skipped("the font has no sample for it"))
    return Manifest(tuple(notes), tuple(skipped))


def parse_instrument(text: str) -> tuple[str, GeneralMidiInstrument]:
    """`Flute`, `Marimba:12` or `Marimba:12:C3-C6` -> its name, program (from 0) and range.

    Raises:
        ValueError: no such instrument, program or range.
    """
    match = re.fullmatch(r"([^:]+)(?::(\d{1,3})(?::([^-]+)-([^-]+))?)?", text)
    if not match:
        raise ValueError(f"instrument '{text}' is not NAME or NAME:PROGRAM:LOWEST-HIGHEST")
    name = instrument_name(match[1])
    if not match[2] and name not in INSTRUMENTS:
        raise ValueError(
            f"unknown instrument '{text}' (known: {', '.join(INSTRUMENTS)}; any other by its "
            "General MIDI program and range: Marimba:12:C3-C6)"
        )
    known = INSTRUMENTS.get(name, GeneralMidiInstrument(0, 36, 96))
    program = int(match[2] or known.program)
    lowest = note_number_of(match[3]) if match[3] else known.lowest
    highest = note_number_of(match[4]) if match[4] else known.highest
    if program > 127 or lowest > highest:
        raise ValueError(f"instrument '{text}': no such program (0-127) or range")
    return name, GeneralMidiInstrument(program, lowest, highest)


# --- other data sets ------------------------------------------------------------------------------


def index_data_set(path: Path, collection: str, config: BuildConfig) -> Manifest:
    """Index the notes of another data set; their groups and folds are kept.

    Raises:
        ValueError: it is damaged, or its front end differs from the configured one.
    """
    data = read_data_set(path)
    if data.config != config.front_end:
        theirs = asdict(data.config)
        differences = ", ".join(
            f"{name} {theirs[name]:g}, here {value:g}"
            for name, value in asdict(config.front_end).items()
            if theirs[name] != value
        )
        raise ValueError(
            f"{path} was built with other front-end settings ({differences}), so it cannot be "
            "merged"
        )
    table = data.notes
    numbers = octave_pitch_to_note_number(table.labels[:, 0], table.labels[:, 1])
    notes = [
        SourceNote(
            str(table.sources[n]),
            collection,
            DataSetNote(path, n),
            table.instruments[table.instrument[n]],
            int(numbers[n]),
            int(table.labels[n, 2]),
            f"{collection}#{table.group[n]}",
            int(table.fold[n]),
        )
        for n in range(len(numbers))
    ]
    return Manifest(tuple(notes), () if notes else (Skipped(collection, "holds no notes"),))
