"""Source notes: the index of the notes that a data set is built from, before any audio is read.

Indexing a source (a folder, a table of labels, a sound font) gives a `SourceNote` for every usable
note and a `Skipped` with the reason for every other file; together they are its `Manifest`.

Names: `collection` is the name of a source; `file` is a path below a source, the collection first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lt.build.vocabulary import (
    dynamics_class,
    instrument_in,
    instrument_name,
    note_number_of,
)
from lt.config import BuildConfig
from lt.data.folders import Folder
from lt.files import same_form
from lt.labels import DYNAMICS_NAMES, number_to_note_name

LATEST_SECONDS = 1e6  # the latest onset a note can have


@dataclass(frozen=True)
class Playback:
    """How a sampler plays a sample: `cents` higher, by playing it faster, and `gain_db` louder.

    `str` gives what the name of a source ends with, such as `~+100.0c-6.02dB`.
    """

    cents: float = 0.0
    gain_db: float = 0.0

    @property
    def speed(self) -> float:
        """2: an octave higher, in half the time."""
        return 2 ** (self.cents / 1200)

    @property
    def gain(self) -> float:
        """Factor of the samples."""
        return 10 ** (self.gain_db / 20)

    def __str__(self) -> str:
        return f"~{self.cents:+.1f}c{self.gain_db:+.2f}dB" if self != Playback() else ""


@dataclass(frozen=True)
class Recording:
    """A part of a sound file, in seconds (as it is played).

    Attributes:
        onset: where the note begins, at the earliest.
        offset: its note-off; None: not known, and the note lasts until `until`.
        until: the latest end of its release, at or after `offset`; None: the end of the file.
    """

    path: Path
    onset: float = 0.0
    offset: float | None = None
    until: float | None = None
    playback: Playback = Playback()


@dataclass(frozen=True)
class FontNote:
    """A note that a sound font renders; times in seconds."""

    path: Path
    bank: int
    program: int
    velocity: int
    seconds: float
    release_seconds: float
    brightness: float


@dataclass(frozen=True)
class DataSetNote:
    """Note number `index` of another data set file."""

    path: Path
    index: int


@dataclass(frozen=True)
class SourceNote:
    """Labels of one note and the location of its audio.

    Attributes:
        source: where the note comes from, as the data set stores it.
        file: the file it is listed under in the summary.
        location: of its audio or, for a note of a data set, its spectra.
        fold: the publisher's, or -1.
    """

    source: str
    file: str
    location: Recording | FontNote | DataSetNote
    instrument: str
    note_number: int
    dynamics: int
    collection: str
    fold: int = -1

    @property
    def labels(self) -> tuple[str, int, int]:
        """(instrument, note number, dynamics)."""
        return self.instrument, self.note_number, self.dynamics

    @property
    def text(self) -> str:
        """`Flute A4 mf`, followed by `@1.250` where the note is cut out of a longer file."""
        place = self.source.removeprefix(self.file) if self.source.startswith(self.file) else ""
        return (
            f"{self.instrument} {number_to_note_name(self.note_number)} "
            f"{DYNAMICS_NAMES[self.dynamics]}{place}"
        )

    @property
    def group(self) -> tuple[str, str, int, int]:
        """Equal for recordings of the same note of a collection: a split keeps them together."""
        return self.collection, *self.labels

    def skipped(self, reason: str) -> Skipped:
        """This note as one that is not used."""
        return Skipped(self.file, reason, self.text)


@dataclass(frozen=True)
class Skipped:
    """A file, or a note in it (`note`), that is not used."""

    file: str
    reason: str
    note: str = ""


@dataclass(frozen=True)
class Manifest:
    """Index of one or more sources.

    Attributes:
        notes, skipped: what is used and what is not.
        index_files: names of the files that labels were read from.
        inputs: paths, besides the audio of `notes`, that no output may replace.
        sources: names of the sources.
    """

    notes: tuple[SourceNote, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    index_files: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
    sources: tuple[str, ...] = ()


def joined(manifests: Sequence[Manifest]) -> Manifest:
    """One manifest of several."""
    columns = zip(*(vars(manifest).values() for manifest in manifests), strict=True)
    return Manifest(*(sum(column, ()) for column in columns))


# --- indexing a folder ----------------------------------------------------------------------------


@dataclass(frozen=True)
class NoteDescription:
    """Instrument, note and dynamics as a file name or a table row spells them."""

    instrument: str
    note: str
    dynamics: str


class Indexer:
    """Gathers the source notes of a folder, and for each other file the reason why it is skipped.

    Example::

        for file in indexer.folder.files:
            with indexer.skipping(file):
                indexer.add(file, describe(file))
    """

    def __init__(self, folder: Folder, config: BuildConfig) -> None:
        self.folder = folder
        self.config = config
        self.notes: list[SourceNote] = []
        self.skipped: list[Skipped] = []

    @contextmanager
    def skipping(self, file: str, prefix: str = "") -> Iterator[None]:
        """Turn a ValueError or OSError into the reason why `file` is skipped."""
        try:
            yield
        except (ValueError, OSError) as error:
            reason = prefix + str(error).replace(str(self.folder.root / file), "the file")
            self.skipped.append(Skipped(self.folder.name(file), reason))

    def instrument(self, file: str, default: str = "") -> str:
        """Instrument of a file that names none itself: as configured, or by its path.

        Raises:
            ValueError: neither names one, and there is no `default`.
        """
        found = self.config.instrument or instrument_in(self.folder.name(file)) or default
        if not found:
            raise ValueError("no instrument is named; name it: --instrument Flute")
        return found

    def add(
        self,
        file: str,
        description: NoteDescription,
        fold: int = -1,
        onset: float = 0.0,
        offset: float | None = None,
        until: float = np.inf,
        playback: Playback = Playback(),  # noqa: B008
    ) -> None:
        """Add a note of a file, from `onset` to `offset` in seconds; it, or its release, ends
        before `until`.

        Raises:
            ValueError: a word of the description is not understood.
        """
        name = self.folder.name(file)
        if offset is not None:
            until = max(offset, min(until, offset + self.config.release_seconds))
        place = f"@{onset:.3f}" if onset > 0 or offset is not None else ""
        end = None if np.isinf(until) else until
        note = SourceNote(
            f"{name}{place}{playback}",
            name,
            Recording(self.folder.root / file, onset, offset, end, playback),
            instrument_name(description.instrument or self.config.instrument),
            note_number_of(description.note),
            dynamics_class(description.dynamics, self.config.default_dynamics),
            self.folder.collection,
            fold,
        )
        self.notes.append(note)

    def manifest(self, index_files: Sequence[str] = (), unlisted: str = "") -> Manifest:
        """The manifest of the folder.

        A recording listed twice is used once, or skipped if its labels contradict each other. Files
        neither added nor skipped nor among `index_files` are skipped with the reason `unlisted`.
        """
        notes, contradictory = _distinct(_before_the_next(self.notes))
        skipped = [*self.skipped, *contradictory]
        name = self.folder.name
        listed = {*(entry.file for entry in (*notes, *skipped)), *map(name, index_files)}
        listed = set(map(same_form, listed))
        skipped += [
            Skipped(name(file), self.folder.why_no_sound(file) or unlisted)
            for file in self.folder.files
            if same_form(name(file)) not in listed
        ]
        return Manifest(
            tuple(notes),
            tuple(skipped),
            tuple(map(name, index_files)),
            tuple(self.folder.root / file for file in index_files),
        )


def _before_the_next(notes: Sequence[SourceNote]) -> list[SourceNote]:
    """The notes, their releases not longer than to the next onset in the file."""
    onsets: dict[str, list[float]] = {}
    for note in notes:
        onsets.setdefault(note.file, []).append(note.location.onset)
    for of_file in onsets.values():
        of_file.sort()
    ended = []
    for note in notes:
        location = note.location
        if location.offset is not None:
            following = onsets[note.file][bisect_right(onsets[note.file], location.onset) :]
            until = max(location.offset, min(location.until, *following[:1], np.inf))
            note = replace(note, location=replace(location, until=until))
        ended.append(note)
    return ended


def _distinct(notes: Iterable[SourceNote]) -> tuple[list[SourceNote], list[Skipped]]:
    """Each recording once, in the order of `notes`; recordings with contradictory labels."""
    notes = list(dict.fromkeys(notes))
    kept: set[SourceNote] = set()
    contradictory: list[Skipped] = []
    for same in _of_one_recording(notes):
        if len({note.labels for note in same}) == 1:
            kept.add(max(same, key=lambda note: note.fold))
        else:
            contradictory += [note.skipped("contradictory labels in the index") for note in same]
    return [note for note in notes if note in kept], contradictory


def _of_one_recording(notes: Iterable[SourceNote]) -> list[list[SourceNote]]:
    """Notes of one file, played alike, grouped where the shorter one shares more than half of its
    time.
    """
    groups: list[list[SourceNote]] = []
    latest = shortest = 0.0
    for note in sorted(notes, key=lambda note: (*_played(note), note.location.onset)):
        onset, end = note.location.onset, LATEST_SECONDS
        if note.location.offset is not None:
            end = note.location.offset
        elif note.location.until is not None:
            end = note.location.until
        shared = min(latest, end) - onset
        alike = groups and _played(groups[-1][0]) == _played(note)
        if alike and shared > min(shortest, end - onset) / 2:
            groups[-1].append(note)
            latest = max(latest, end)
            shortest = min(shortest, end - onset)
        else:
            groups.append([note])
            latest = end
            shortest = end - onset
    return groups


def _played(note: SourceNote) -> tuple[str, float, float]:
    """What recordings of one file have in common that sound alike."""
    playback = note.location.playback
    return note.file, playback.cents, playback.gain_db


# --- selecting ------------------------------------------------------------------------------------


def select(manifest: Manifest, config: BuildConfig) -> Manifest:
    """Keep the notes of the configured instruments, range and dynamics; the others are skipped.

    Raises:
        ValueError: no source has a configured instrument, or a limit is no note.
    """
    lowest = note_number_of(config.lowest)
    highest = note_number_of(config.highest)
    dynamics = {dynamics_class(word) for word in config.dynamics}
    wanted = {instrument_name(text.partition(":")[0]) for text in config.instruments}
    present = {note.instrument for note in manifest.notes}
    if unknown := sorted(wanted - present):
        raise ValueError(
            f"no source has the instrument {', '.join(unknown)} "
            f"(there are: {', '.join(sorted(present)) or 'none'})"
        )
    kept: list[SourceNote] = []
    dropped: list[Skipped] = []
    for note in manifest.notes:
        if wanted and note.instrument not in wanted:
            dropped.append(note.skipped("another instrument than --instruments names"))
        elif not lowest <= note.note_number <= highest:
            dropped.append(note.skipped(f"outside {config.lowest} to {config.highest}"))
        elif note.dynamics not in dynamics:
            dropped.append(note.skipped("other dynamics than --dynamics names"))
        else:
            kept.append(note)
    return replace(
        manifest,
        notes=tuple(kept),
        skipped=(*manifest.skipped, *dropped),
        inputs=(*manifest.inputs, *{note.location.path for note in manifest.notes}),
    )
