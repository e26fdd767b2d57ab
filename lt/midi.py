"""MIDI files, and the conversion between notes in seconds and labels on a grid of frames.

Frame n covers [n, n + 1) * frame_seconds and has the label of the note at its centre; where notes
overlap, of the latest. `lt.smf` reads the bytes and mido writes them; which notes they mean is
decided here: pairs of note-on and note-off, pedals, programs, notes that never end.

Names: `onset` and `offset` in seconds, `note_number` and `program` 0-127, `velocity` 1-127, ticks
as in MIDI.
"""

from __future__ import annotations

import io
import itertools
import logging
import math
from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lt import smf
from lt.config import LABELS, SpectralConfig
from lt.files import write_bytes
from lt.html import html_table
from lt.labels import (
    SILENCE,
    NoteLabels,
    age_class,
    is_in_range,
    number_to_note_name,
)
from lt.messages import counted

if TYPE_CHECKING:
    import mido

FRAME_SECONDS = SpectralConfig().frame_seconds
TICKS_PER_BEAT = 960  # half a millisecond at 120 beats per minute
DRUM_CHANNEL = 9
SUSTAIN, SOSTENUTO = 64, 66  # controllers
PEDAL_DOWN = 64  # and above; half pedals are up or down
CONTROLLERS = {  # number (None: no controller, but a message of its own) and default value
    "volume (CC 7)": (7, 100),
    "expression (CC 11)": (11, 127),
    "pitch bend": (None, 0x2000),
}
DYNAMICS_VELOCITIES = (13, 39, 64, 90, 115)  # MIDI velocity of pp p mf f ff

logger = logging.getLogger(__name__)


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
        has_program: whether the file sets the program, which is 0 otherwise.

    Example:
        >>> lt.Track("Flute", 73, (lt.Note(0.5, 1.0, 69, 64),)).notes[0].note_number
        69
    """

    name: str
    program: int
    notes: tuple[Note, ...]
    has_program: bool = True

    def _repr_html_(self) -> str:
        rows = (
            (
                number_to_note_name(note.note_number),
                f"{note.onset:.3f}",
                f"{note.offset:.3f}",
                note.velocity,
            )
            for note in self.notes
        )
        return html_table(self.name, rows, ("", "onset (s)", "offset (s)", "velocity"))


# --- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Performance:
    """What a MIDI file plays.

    Attributes:
        tracks: one for each track, channel and program that has notes, drums (channel 10) left out.
        drums: the same of the drums.
        remarks: what was mended to read it, and which notes were given an end, a phrase each.
        controllers: names of those that change how its notes sound; `tracks` do not hold them.
    """

    tracks: tuple[Track, ...]
    drums: tuple[Track, ...]
    remarks: tuple[str, ...]
    controllers: tuple[str, ...]

    @property
    def n_drums(self) -> int:
        """Number of drum notes."""
        return sum(len(track.notes) for track in self.drums)


def read_midi(path: str | Path, drums: bool = False, pedal: bool = True) -> list[Track]:
    """Read the notes of a MIDI file -> a Track for each track, channel and program that has some.

    Of notes of one pitch that overlap, the first ends first; a note that never ends lasts until the
    last event; a note of no length gets one tick. What was mended is logged.

    Args:
        path: of the file.
        drums: read only the drums (channel 10), which are left out otherwise.
        pedal: whether the sustain and the sostenuto pedal lengthen notes.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: the path cannot be read.
        ValueError: not a MIDI file, or one so damaged that no note is left.

    Example:
        >>> [(track.name, len(track.notes)) for track in lt.read_midi("tune.mid")]
        [('Flute', 1)]
    """
    performance = read_performance(path, pedal)
    if performance.remarks:
        logger.info("%s: %s", path, "; ".join(performance.remarks))
    return list(performance.drums if drums else performance.tracks)


def read_performance(path: str | Path, pedal: bool = True) -> Performance:
    """Read a MIDI file as `read_midi` does, and return what was mended instead of logging it."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"the MIDI file {path} does not exist; check its path")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a MIDI file; name a file in it")
    if not path.is_file():
        raise ValueError(f"{path} is a pipe or a device, not a MIDI file")
    try:
        file = smf.parse(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not a MIDI file, or is damaged: {error}") from None
    reader = _NoteReader(file, pedal)
    remarks = (*file.remarks, *reader.remarks())
    if remarks and not reader.notes:
        raise ValueError(f"{path} is damaged and has no notes: {'; '.join(remarks)}")
    drums = [group for group in reader.notes if group.is_drums]
    others = [group for group in reader.notes if not group.is_drums]
    return Performance(
        reader.tracks(others), reader.tracks(drums), remarks, reader.controllers(others)
    )


class _Group(NamedTuple):
    """What the notes of a `Track` have in common: numbers of track and channel, and the program."""

    track: int
    channel: int
    program: int

    @property
    def is_drums(self) -> bool:
        return self.channel % smf.N_CHANNELS == DRUM_CHANNEL


@dataclass
class _Begun:
    """A note that sounds; `held` if the sostenuto pedal went down while its key was down."""

    tick: int
    note_number: int
    velocity: int
    group: _Group
    held: bool = False


class _NoteReader:
    """Pairs note-ons with note-offs, and lengthens notes by the pedals.

    A note-off ends the first of the notes that sound of its track, channel and pitch. Thereafter
    the sustain pedal of the channel holds the note until the pedal goes up or the pitch is played
    again; the sostenuto pedal does so for notes whose keys were down when it went down.

    Attributes:
        notes: by group, in the order in which the groups begin.
    """

    def __init__(self, file: smf.MidiEvents, pedal: bool) -> None:
        self.file = file
        self.notes: dict[_Group, list[Note]] = {}
        self._with_program: set[_Group] = set()
        self._given_end: Counter[str] = Counter()  # numbers of notes, by reason
        # notes whose key is down: channel -> (track, note number) -> notes; those whose key is up
        self._keys: dict[int, dict[tuple[int, int], deque[_Begun]]] = defaultdict(dict)
        self._released: dict[int, list[_Begun]] = defaultdict(list)
        self._down: dict[int, set[int]] = {SUSTAIN: set(), SOSTENUTO: set()}  # pedal -> channels
        self._own_programs: dict[tuple[int, int], int] = {}  # (track, channel) -> program
        self._programs: dict[int, list[tuple[int, int]]] = defaultdict(list)  # (tick, program)
        for event in file.events:
            if event.status == smf.PROGRAM_CHANGE:
                self._programs[event.channel].append((event.tick, event.first))
        for event in file.events:
            if event.status == smf.NOTE_ON and event.second:
                self._press(event)
            elif event.status in (smf.NOTE_ON, smf.NOTE_OFF):
                self._release(event)
            elif event.status == smf.PROGRAM_CHANGE:
                self._own_programs[event.track, event.channel] = event.first
            elif pedal and event.status == smf.CONTROL_CHANGE and event.first in self._down:
                self._move_pedal(event)
        for keys in self._keys.values():
            for note in chain(*keys.values()):
                self._end(note, file.ends[note.group.track], "without an end")
        for note in chain(*self._released.values()):
            self._end(note, file.ends[note.group.track], "under a pedal that never goes up")

    def tracks(self, groups: Iterable[_Group]) -> tuple[Track, ...]:
        """The notes of the groups, in the order of the file's tracks."""
        return tuple(
            Track(
                self.file.names[group.track],
                group.program,
                tuple(sorted(self.notes[group])),
                group in self._with_program,
            )
            for group in sorted(groups, key=lambda group: group.track)
        )

    def remarks(self) -> tuple[str, ...]:
        """How many notes were given an end, a phrase for each reason."""
        return tuple(f"{counted(n, 'note')} {reason}" for reason, n in self._given_end.items())

    def controllers(self, groups: Iterable[_Group]) -> tuple[str, ...]:
        """Names of the `CONTROLLERS` that leave their defaults on a channel of the groups."""
        channels = {group.channel for group in groups}
        values = set()
        for event in self.file.events:
            if event.channel in channels and event.status == smf.PITCH_BEND:
                values.add((None, event.first | event.second << 7))
            elif event.channel in channels and event.status == smf.CONTROL_CHANGE:
                values.add((event.first, event.second))
        return tuple(
            name
            for name, (number, default) in CONTROLLERS.items()
            if any(own == number and value != default for own, value in values)
        )

    def _press(self, event: smf.Event) -> None:
        """A key goes down: begin a note."""
        self._end_released(event, lambda note: note.note_number == event.first)
        program = self._program(event)
        group = _Group(event.track, event.channel, program or 0)
        self.notes.setdefault(group, [])
        if program is not None:
            self._with_program.add(group)
        keys = self._keys[event.channel].setdefault((event.track, event.first), deque())
        keys.append(_Begun(event.tick, event.first, event.second, group))

    def _program(self, event: smf.Event) -> int | None:
        """The program that the track sets on its channel, else that which another track sets."""
        own = self._own_programs.get((event.track, event.channel))
        changes = self._programs[event.channel]
        n_before = bisect_right(changes, event.tick, key=lambda change: change[0])
        return changes[n_before - 1][1] if own is None and n_before else own

    def _release(self, event: smf.Event) -> None:
        """A key goes up: its first note ends, unless a pedal holds it."""
        if keys := self._keys[event.channel].get((event.track, event.first)):
            self._released[event.channel].append(keys.popleft())
            self._end_silent(event)

    def _move_pedal(self, event: smf.Event) -> None:
        channel, pedal = event.channel, event.first
        down, was_down = event.second >= PEDAL_DOWN, channel in self._down[pedal]
        (self._down[pedal].add if down else self._down[pedal].discard)(channel)
        if pedal == SOSTENUTO and down != was_down:
            keys = chain(*self._keys[channel].values())
            for note in keys if down else (*keys, *self._released[channel]):
                note.held = down
        self._end_silent(event)

    def _end_silent(self, event: smf.Event) -> None:
        """End the notes of a channel whose keys are up and that no pedal holds."""
        if event.channel not in self._down[SUSTAIN]:
            self._end_released(event, lambda note: not note.held)

    def _end_released(self, event: smf.Event, which: Callable[[_Begun], bool]) -> None:
        """End those of the notes of a channel whose keys are up."""
        released = self._released[event.channel]
        self._released[event.channel] = [note for note in released if not which(note)]
        for note in filter(which, released):
            self._end(note, event.tick)

    def _end(self, note: _Begun, tick: int, reason: str = "") -> None:
        """Add a note that ends at `tick`; `reason` says why the last event of the file ends it."""
        if reason:
            reason += ", taken to last until the last event"
        elif tick <= note.tick:
            reason = "of no length, taken as one tick long"
        if reason and not note.group.is_drums:
            self._given_end[reason] += 1
        onset, offset = map(self.file.tempo.at, (note.tick, max(tick, note.tick + 1)))
        self.notes[note.group].append(Note(onset, offset, note.note_number, note.velocity))


# --- quantisation ---------------------------------------------------------------------------------


def quantise(tracks: Sequence[Track], tempo: float, division: int) -> list[Track]:
    """Notes with onsets and offsets on a metrical grid. All are moved so that the first begins on a
    beat; each lasts one step of the grid at least; of notes of one pitch that fall on one onset the
    longest is kept.

    Args:
        tempo: quarter notes a minute.
        division: steps of the grid to a whole note: 16 for sixteenths, 12 for triplets of eighths.
    """
    beat, step = 60 / tempo, 240 / tempo / division
    first = min((note.onset for track in tracks for note in track.notes), default=0.0)
    shift = round(first / beat) * beat

    def on_grid(note: Note) -> Note:
        onset, offset = (round((time - first) / step) for time in (note.onset, note.offset))
        times = (shift + step * position for position in (onset, max(offset, onset + 1)))
        return Note(*times, note.note_number, note.velocity)

    quantised = []
    for track in tracks:
        longest: dict[tuple[float, int], Note] = {}
        for note in map(on_grid, track.notes):
            key = note.onset, note.note_number
            longest[key] = max(longest.get(key, note), note, key=lambda own: own.offset)
        quantised.append(replace(track, notes=tuple(sorted(longest.values()))))
    return quantised


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


def most_at_once(notes: Iterable[Note], overlap: float = 0.0) -> int:
    """The largest number of notes that sound at the same time.

    Args:
        overlap: seconds by which each note is taken to end earlier: joined notes are no chord.
    """
    ends = [(note.offset - overlap, -1) for note in notes if note.offset - note.onset > overlap]
    starts = [(note.onset, 1) for note in notes if note.offset - note.onset > overlap]
    return max(accumulate((change for _, change in sorted(ends + starts)), initial=0))


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


def notes_to_voices(
    notes: Iterable[Note], n_voices: int, n_frames: int, frame_seconds: float = FRAME_SECONDS
) -> list[NoteLabels]:
    """Notes -> labels of `n_frames` frames for each of `n_voices`, the lowest note of a frame
    first. Of more notes at once, the loudest are kept. Otherwise as `notes_to_labels`.
    """
    if n_voices == 1:
        return [notes_to_labels(notes, n_frames, frame_seconds)]
    by_key: dict[int, list[Note]] = {}
    for note in notes:
        by_key.setdefault(note.note_number, []).append(note)
    silent = NoteLabels.of_silence(n_frames).table()
    keys = [by_key[key] for key in sorted(by_key)]
    tables = np.stack(
        [notes_to_labels(own, n_frames, frame_seconds).table() for own in keys]
        + [silent] * n_voices
    )
    pitch, dynamics = LABELS.index("pitch"), LABELS.index("dynamics")
    loudest = np.argsort(-tables[:, :, dynamics], axis=0, kind="stable")[:n_voices]
    chosen = np.take_along_axis(tables, np.sort(loudest, axis=0)[:, :, None], axis=0)
    silent_last = np.argsort(chosen[:, :, pitch] == SILENCE, axis=0, kind="stable")
    voices = np.take_along_axis(chosen, silent_last[:, :, None], axis=0)
    return [NoteLabels.from_table(voice) for voice in voices]


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
