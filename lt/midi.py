"""MIDI files, and the conversion between notes in seconds and labels on a grid of frames.

Frame n covers [n, n + 1) * frame_seconds and has the label of the note at its centre; where notes
overlap, of the latest. mido reads and writes the bytes; tempo, pairing and order are handled here,
so that files of any program read alike: tempo changes in any track, repeated notes, notes that
never end or have no length.

Names: `onset` and `offset` in seconds, `note_number` and `program` 0-127, `velocity` 1-127, ticks
as in MIDI.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lt.config import SpectralConfig
from lt.files import write_bytes
from lt.labels import (
    SILENCE,
    NoteLabels,
    age_class,
    is_in_range,
)

if TYPE_CHECKING:
    import mido


FRAME_SECONDS = SpectralConfig().frame_seconds
TICKS_PER_BEAT = 960  # half a millisecond at 120 beats per minute
DRUM_CHANNEL = 9
DYNAMICS_VELOCITIES = (13, 39, 64, 90, 115)  # MIDI velocity of pp p mf f ff


@dataclass(frozen=True, order=True)
class Note:
    """A note from `onset` to `offset` (seconds), sorted by onset.

    Attributes:
        note_number: MIDI number, 0 to 127. velocity: 1 to 127.

    Example:
        >>> lt.Note(onset=0.5, offset=1.0, note_number=69, velocity=64)
        Note(onset=0.5, offset=1.0, note_number=69, velocity=64)
    """

    onset: float
    offset: float
    note_number: int
    velocity: int


@dataclass(frozen=True)
class Track:
    """The notes of one instrument of a MIDI file, sorted by onset.

    Attributes:
        program: General MIDI program, counted from 0.

    Example:
        >>> lt.Track("Flute", 73, (lt.Note(0.5, 1.0, 69, 64),)).notes[0].note_number
        69
    """

    name: str
    program: int
    notes: tuple[Note, ...]


# --- reading --------------------------------------------------------------------------------------


def read_midi(path: str | Path, drums: bool = False) -> list[Track]:
    """Read a MIDI file -> a Track for each track, channel and program that has notes.

    A note that is repeated before its end ends there; a note that never ends lasts to the end of
    its track; a note of no length gets one tick.

    Args:
        path: of the file.
        drums: read only the drums (channel 10), which are left out otherwise.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: the path cannot be read.
        ValueError: not a MIDI file, or a damaged one.

    Example:
        >>> [(track.name, len(track.notes)) for track in lt.read_midi("tune.mid")]
        [('Flute', 1)]
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"the MIDI file {path} does not exist; check its path")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a MIDI file; name a file in it")
    if not path.is_file():
        raise ValueError(f"{path} is a pipe or a device, not a MIDI file")
    content = path.read_bytes()
    import mido  # a tenth of a second

    try:
        file = mido.MidiFile(file=io.BytesIO(content))
    except Exception as error:  # mido raises errors of any kind on damaged files
        raise ValueError(
            f"{path} is not a MIDI file that can be read, or is damaged: "
            f"{str(error) or 'it ends too early'}"
        ) from None
    if file.ticks_per_beat <= 0:
        raise ValueError(
            f"the MIDI file {path} counts time in film frames (SMPTE), which is not supported"
        )
    try:
        clock = _Clock.of(file)
        return [track for messages in file.tracks for track in _tracks(messages, clock, drums)]
    except OverflowError:
        raise ValueError(f"the MIDI file {path} is damaged: its times are too large") from None


@dataclass(frozen=True)
class _Clock:
    """The tempo map: from each of `ticks` on, a tick lasts `seconds_per_tick`.

    Attributes:
        ticks, seconds, seconds_per_tick: (tempo changes,).
    """

    ticks: np.ndarray
    seconds: np.ndarray
    seconds_per_tick: np.ndarray

    @classmethod
    def of(cls, file: mido.MidiFile) -> _Clock:
        """From the tempo changes of all tracks; 120 beats per minute until the first."""
        changes = {0: 500_000}  # microseconds per beat
        for track in file.tracks:
            tick = 0
            for message in track:
                tick += message.time
                if message.type == "set_tempo":
                    changes[tick] = message.tempo
        ticks = np.array(sorted(changes))
        seconds_per_tick = np.array([changes[tick] for tick in ticks]) * 1e-6 / file.ticks_per_beat
        seconds = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * seconds_per_tick[:-1])])
        return cls(ticks, seconds, seconds_per_tick)

    def at(self, tick: int) -> float:
        """Seconds from the start of the file to `tick`."""
        last = np.searchsorted(self.ticks, tick, side="right") - 1
        return float(self.seconds[last] + (tick - self.ticks[last]) * self.seconds_per_tick[last])


@dataclass(frozen=True)
class _NoteOn:
    """A note that has begun, and the program at its onset."""

    tick: int
    velocity: int
    program: int


def _tracks(messages: mido.MidiTrack, clock: _Clock, drums: bool) -> list[Track]:
    """The notes of one track of the file, a Track for each channel and program, in order of
    appearance.
    """
    name = ""
    programs: dict[int, int] = {}  # channel -> program
    held: dict[tuple[int, int], _NoteOn] = {}  # (channel, note number) -> the note that sounds
    repeated: dict[tuple[int, int], int] = {}  # -> tick of a repetition: a note-off may follow it
    notes: dict[tuple[int, int], list[Note]] = {}  # (channel, program) -> notes

    def end(key: tuple[int, int], tick: int) -> None:
        channel, note_number = key
        begun = held.pop(key)
        offset = clock.at(max(tick, begun.tick + 1))
        note = Note(clock.at(begun.tick), offset, note_number, begun.velocity)
        notes.setdefault((channel, begun.program), []).append(note)

    tick = 0
    for message in messages:
        tick += message.time
        if message.type == "track_name" and not name:
            name = _text(message.name)
        elif message.type == "program_change":
            programs[message.channel] = message.program
        elif message.type in ("note_on", "note_off") and (message.channel == DRUM_CHANNEL) == drums:
            key = (message.channel, message.note)
            if message.type == "note_on" and message.velocity > 0:
                if key in held:
                    end(key, tick)
                    repeated[key] = tick
                held[key] = _NoteOn(tick, message.velocity, programs.get(message.channel, 0))
            elif key in held and repeated.pop(key, None) != tick:
                end(key, tick)
    for key in list(held):
        end(key, tick)
    return [Track(name, program, tuple(sorted(own))) for (_, program), own in notes.items()]


def _text(name: str) -> str:
    """A track name, which mido decodes as Latin-1, decoded as UTF-8 where it is that."""
    try:
        return name.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return name


# --- writing --------------------------------------------------------------------------------------


def write_midi(path: str | Path, tracks: Sequence[Track], tempo: float = 120.0) -> None:
    """Write a MIDI file with tempo, track names and programs; equal input gives equal bytes.

    Onsets and offsets are rounded to ticks: half a millisecond at 120 beats per minute.

    Raises:
        ValueError: a note that ends before it begins, or a number that MIDI cannot express.
        OSError: the file cannot be written.

    Example:
        >>> lt.write_midi("tune.mid", [lt.Track("Flute", 73, (lt.Note(0.5, 1.0, 69, 64),))])
    """
    import mido

    microseconds = round(60e6 / tempo)
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT, charset="utf-8")
    file.tracks.append(
        mido.MidiTrack(
            [
                mido.MetaMessage("set_tempo", tempo=microseconds),
                mido.MetaMessage("time_signature", numerator=4, denominator=4),
            ]
        )
    )
    channels = itertools.cycle(channel for channel in range(16) if channel != DRUM_CHANNEL)
    ticks_per_second = TICKS_PER_BEAT * 1e6 / microseconds
    for track, channel in zip(tracks, channels):
        file.tracks.append(_messages(track, channel, ticks_per_second))
    buffer = io.BytesIO()
    file.save(file=buffer)
    write_bytes(path, buffer.getvalue())


def _messages(track: Track, channel: int, ticks_per_second: float) -> mido.MidiTrack:
    """One track as MIDI messages with delta times."""
    import mido

    events = []
    for note in track.notes:
        _check(note)
        onset = round(note.onset * ticks_per_second)
        offset = max(round(note.offset * ticks_per_second), onset + 1)
        events.append((onset, 1, note.note_number, note.velocity))
        # 0 sorts first: a note ends before the next begins
        events.append((offset, 0, note.note_number, 0))
    messages = mido.MidiTrack(
        [
            mido.MetaMessage("track_name", name=track.name),
            mido.Message("program_change", channel=channel, program=track.program),
        ]
    )
    before = 0
    for tick, begins, note_number, velocity in sorted(events):
        messages.append(
            mido.Message(
                "note_on" if begins else "note_off",
                channel=channel,
                note=note_number,
                velocity=velocity,
                time=tick - before,
            )
        )
        before = tick
    return messages


def _check(note: Note) -> None:
    """Raise ValueError for a note that MIDI cannot express."""
    if not (0 <= note.onset <= note.offset < math.inf):
        raise ValueError(f"a note from {note.onset} s to {note.offset} s cannot be written")
    if not (0 <= note.note_number <= 127 and 1 <= note.velocity <= 127):
        raise ValueError(
            f"note number {note.note_number} with velocity {note.velocity} cannot be written"
        )


# --- velocity and dynamics ------------------------------------------------------------------------


def velocity_to_dynamics(velocity: int | np.ndarray) -> np.ndarray:
    """MIDI velocity 1-127 -> dynamics 0-4 (pp p mf f ff), in five equal steps, elementwise."""
    return (np.clip(velocity, 1, 127) - 1) * 5 // 127


def dynamics_to_velocity(dynamics: int | np.ndarray) -> np.ndarray:
    """Dynamics 0-4 -> the MIDI velocity in the middle of its step, elementwise."""
    return np.asarray(DYNAMICS_VELOCITIES)[np.asarray(dynamics)]


# --- notes and labels -----------------------------------------------------------------------------


def notes_in_range(notes: Iterable[Note]) -> list[Note]:
    """The notes that labels can express: C0 to B8."""
    return [note for note in notes if is_in_range(note.note_number)]


def last_offset(notes: Iterable[Note]) -> float:
    """End of the last note in seconds; 0 without notes."""
    return max((note.offset for note in notes), default=0.0)


def notes_to_labels(
    notes: Iterable[Note], n_frames: int, frame_seconds: float = FRAME_SECONDS
) -> NoteLabels:
    """Notes -> labels of `n_frames` frames: those of a note have their centre in [onset, offset).

    Where notes overlap, the note with the latest onset counts (of equal onsets, the higher note),
    and the earlier note again when it has ended.

    Raises:
        ValueError: a note outside C0 to B8 (see `notes_in_range`).
    """
    note_number = np.full(n_frames, SILENCE)
    dynamics = np.full(n_frames, SILENCE)
    age = np.full(n_frames, SILENCE)
    centres = (np.arange(n_frames) + 0.5) * frame_seconds
    for note in sorted(notes, key=lambda note: (note.onset, note.note_number)):
        if not is_in_range(note.note_number):
            raise ValueError(f"note number {note.note_number} is outside C0 to B8 (12 to 119)")
        edges = (max(math.ceil(t / frame_seconds - 0.5), 0) for t in (note.onset, note.offset))
        held = slice(*edges)
        note_number[held] = note.note_number
        dynamics[held] = velocity_to_dynamics(note.velocity)
        age[held] = age_class(centres[held] - note.onset)
    return replace(NoteLabels.from_notes(note_number, dynamics), age=age)


@dataclass(frozen=True)
class GeneralMidiInstrument:
    """An instrument's General MIDI program and playing range (MIDI numbers, both ends included)."""

    program: int
    lowest: int
    highest: int


INSTRUMENTS = {
    name: GeneralMidiInstrument(*numbers)
    for name, numbers in {
        "Flute": (73, 59, 101),
        "Piano": (0, 21, 108),
        "Alto-Sax": (65, 49, 81),
        "Trumpet-C": (56, 54, 86),
        "Violin": (40, 55, 100),
        "Viola": (41, 48, 88),
        "Violoncello": (42, 36, 76),
        "Contrabass": (43, 28, 67),
        "Horn": (60, 34, 77),
        "Trombone": (57, 40, 72),
        "Bass-Tuba": (58, 28, 62),
        "Oboe": (68, 58, 91),
        "English-Horn": (69, 52, 81),
        "Bassoon": (70, 34, 72),
        "Clarinet-Bb": (71, 50, 94),
        "Piccolo": (72, 74, 108),
        "Soprano-Sax": (64, 56, 87),
        "Tenor-Sax": (66, 44, 76),
        "Baritone-Sax": (67, 36, 69),
        "Accordion": (21, 34, 101),
        "Guitar": (24, 40, 83),
    }.items()
}
