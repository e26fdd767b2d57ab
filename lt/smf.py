"""Standard MIDI Files: bytes -> the channel messages of all tracks, in ticks, and the tempo map.

A file is read as far as it can be, and what was mended is said in remarks: wrappers (RMID,
MacBinary) are taken off, data bytes over 127 count as 127, chunks of other kinds are skipped, wrong
lengths of chunks and numbers of tracks do no harm, and of what is cut off or damaged the messages
before the damage are read.

Reference: MIDI Manufacturers Association 1996, "The Complete MIDI 1.0 Detailed Specification", part
"Standard MIDI Files 1.0".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from lt.messages import counted

NOTE_OFF, NOTE_ON, CONTROL_CHANGE, PROGRAM_CHANGE, PITCH_BEND = 0x80, 0x90, 0xB0, 0xC0, 0xE0
N_CHANNELS = 16  # of a port
LARGEST_DATA = 127
MICROSECONDS_PER_BEAT = 500_000  # until the first tempo of a file: 120 beats per minute
FRAMES_PER_SECOND = {24: 24.0, 25: 25.0, 29: 30 / 1.001, 30: 30.0}  # of SMPTE time
LONGEST_PREFIX = 1024  # bytes before the header; MacBinary has 128
LONGEST_NUMBER = 5  # bytes of a number of variable length; four by the standard

ONE_BYTE = (0xC0, 0xD0)  # channel messages with one data byte, the others have two
N_SYSTEM_DATA = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # system messages, which do not belong in files
SYSTEM_EXCLUSIVE, META = (0xF0, 0xF7), 0xFF
TRACK_NAME, PORT, END_OF_TRACK, TEMPO = 0x03, 0x21, 0x2F, 0x51


class Event(NamedTuple):
    """A channel message.

    Attributes:
        tick: from the start of the file.
        track: index of its track.
        status: kind of message, such as `NOTE_ON`.
        channel: 0 to 15; on further ports 16 and more.
        first, second: data, 0 to 127; 0 for one that the message does not have.
    """

    tick: int
    track: int
    status: int
    channel: int
    first: int
    second: int


@dataclass(frozen=True)
class TempoMap:
    """From each of `ticks` on, a tick lasts `seconds_per_tick`.

    Attributes:
        ticks, seconds, seconds_per_tick: (tempo changes,).
    """

    ticks: np.ndarray
    seconds: np.ndarray
    seconds_per_tick: np.ndarray

    @classmethod
    def of(cls, seconds_per_tick: Mapping[int, float]) -> TempoMap:
        """From the lengths of a tick, by the tick from which on they hold; the first is 0."""
        ticks = np.array(sorted(seconds_per_tick))
        lengths = np.array([seconds_per_tick[tick] for tick in ticks.tolist()])
        seconds = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * lengths[:-1])])
        return cls(ticks, seconds, lengths)

    def at(self, tick: int) -> float:
        """Seconds from the start of the file to `tick`."""
        last = np.searchsorted(self.ticks, tick, side="right") - 1
        return float(self.seconds[last] + (tick - self.ticks[last]) * self.seconds_per_tick[last])


@dataclass(frozen=True)
class MidiEvents:
    """The channel messages of a file.

    Attributes:
        names: of the tracks.
        ends: for each track, the tick of the last event of the file; in type 2, of its sequence.
        events: sorted by tick; those of one tick by track, then as in the file.
        tempo: ticks to seconds.
        remarks: what was mended, a phrase each.
    """

    names: tuple[str, ...]
    ends: tuple[int, ...]
    events: tuple[Event, ...]
    tempo: TempoMap
    remarks: tuple[str, ...]


def parse(content: bytes) -> MidiEvents:
    """Read a file of type 0, 1 or 2.

    The sequences of type 2 follow one another on the same instruments: tempo and programs hold on
    until a sequence sets its own.

    Raises:
        ValueError: there is no header, or it does not say how time is counted.
    """
    content = _unwrapped(content)
    kind, n_tracks, division = (int.from_bytes(content[at : at + 2], "big") for at in (8, 10, 12))
    tracks, remarks = _read_tracks(content)
    if len(tracks) != n_tracks:
        remarks.append(f"{counted(len(tracks), 'track')} where the header says {n_tracks}")
    if kind == 2 and len(tracks) > 1:
        remarks.append(f"of type 2: its {len(tracks)} sequences are taken one after another")
        ends = list(accumulate(track.end for track in tracks))
        starts = [0, *ends]
    else:
        ends = [max((track.end for track in tracks), default=0)] * len(tracks)
        starts = [0] * len(tracks)
    tick_seconds = {0: _tick_seconds(division, MICROSECONDS_PER_BEAT)}
    events = []
    for track, start in zip(tracks, starts):
        for tick, microseconds in track.tempi:
            tick_seconds[start + tick] = _tick_seconds(division, microseconds)
        events += [Event(start + tick, track.index, *message) for tick, *message in track.events]
    return MidiEvents(
        tuple(track.name for track in tracks),
        tuple(ends),
        tuple(sorted(events, key=lambda event: event.tick)),
        TempoMap.of(tick_seconds),
        tuple(remarks),
    )


def _unwrapped(content: bytes) -> bytes:
    """A file from its header on.

    Raises:
        ValueError: there is no header.
    """
    if content[:4] == b"RIFF" and content[8:12] == b"RMID":
        at = 12
        while at + 8 <= len(content) and content[at : at + 4] != b"data":
            size = int.from_bytes(content[at + 4 : at + 8], "little")
            at += 8 + size + size % 2
        content = content[at + 8 :][: int.from_bytes(content[at + 4 : at + 8], "little")]
    start = content.find(b"MThd", 0, LONGEST_PREFIX)
    if start < 0:
        raise ValueError("it has no header (MThd)")
    content = content[start:]
    if len(content) < 14 or content[4:8] < b"\0\0\0\6" or content[8:10] > b"\0\2":
        raise ValueError("its header is damaged")
    return content


def _tick_seconds(division: int, microseconds: int) -> float:
    """Length of a tick: a part of a beat of `microseconds`, or of a SMPTE frame.

    Raises:
        ValueError: `division` has neither.
    """
    if 0 < division < 0x8000:
        return microseconds * 1e-6 / division
    frames, ticks = 256 - (division >> 8), division & 0xFF
    if frames not in FRAMES_PER_SECOND or ticks == 0:
        raise ValueError("its header does not say how time is counted")
    return 1 / (FRAMES_PER_SECOND[frames] * ticks)


# --- tracks ---------------------------------------------------------------------------------------


class _Damaged(ValueError):
    """The bytes that follow are no event."""


@dataclass
class _Track:
    """A track, in ticks from its own start.

    Attributes:
        name: the first. events: (tick, status, channel, data, data). tempi: (tick, microseconds).
        end: tick of the last event. complete: whether the end of the track was read.
        at: position of the byte to be read next, before `stop`.
        n_clamped: data bytes over 127.
    """

    index: int
    content: bytes
    at: int
    stop: int
    name: str = ""
    events: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    tempi: list[tuple[int, int]] = field(default_factory=list)
    end: int = 0
    complete: bool = False
    n_clamped: int = 0

    def read(self) -> None:
        """Read all events.

        Raises:
            _Damaged: in the middle of them; those before have been read.
        """
        tick = status = port = 0
        while self.at < self.stop and not self.complete:
            tick += self._number()
            if self._peek() > LARGEST_DATA:
                byte = self._byte()
            elif status:
                byte = status  # running status
            else:
                raise _Damaged
            if byte < SYSTEM_EXCLUSIVE[0]:
                status = byte
                kind, channel = status & 0xF0, port * N_CHANNELS + (status & 0x0F)
                first = self._data()
                self.events.append(
                    (tick, kind, channel, first, 0 if kind in ONE_BYTE else self._data())
                )
            elif byte in SYSTEM_EXCLUSIVE:
                self._block()
            elif byte == META:
                kind, text = self._byte(), self._block()
                if kind == TRACK_NAME and not self.name:
                    self.name = _decoded(text)
                elif kind == PORT and text:
                    port = text[0]
                elif kind == TEMPO and any(text):
                    self.tempi.append((tick, int.from_bytes(text[:3], "big")))
                self.complete = kind == END_OF_TRACK
            else:
                for _ in range(N_SYSTEM_DATA.get(byte, 0)):
                    self._byte()
            self.end = tick

    def _peek(self) -> int:
        if self.at >= self.stop:
            raise _Damaged
        return self.content[self.at]

    def _byte(self) -> int:
        value = self._peek()
        self.at += 1
        return value

    def _data(self) -> int:
        value = self._byte()
        self.n_clamped += value > LARGEST_DATA
        return min(value, LARGEST_DATA)

    def _number(self) -> int:
        """A number of variable length: seven bits a byte, the last one's highest bit is 0."""
        value = 0
        for _ in range(LONGEST_NUMBER):
            byte = self._byte()
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise _Damaged

    def _block(self) -> bytes:
        """Bytes with their number before them."""
        size = self._number()
        if self.at + size > self.stop:
            raise _Damaged
        self.at += size
        return self.content[self.at - size : self.at]


def _read_tracks(content: bytes) -> tuple[list[_Track], list[str]]:
    """The tracks of a file, and what was mended."""
    tracks: list[_Track] = []
    remarks: list[str] = []
    n_other = 0
    at = 0
    while at + 8 <= len(content):
        declared = at + 8 + int.from_bytes(content[at + 4 : at + 8], "big")
        end = declared if _begins_chunk(content, declared) else _next_track(content, at + 8)
        if content[at : at + 4] == b"MTrk":
            track = _Track(len(tracks), content, at + 8, end)
            tracks.append(track)
            name = f"track {len(tracks)}"
            try:
                track.read()
            except _Damaged:
                cut = track.stop == len(content) < declared
                remarks.append(f"cut off in {name}" if cut else f"{name} is damaged at its end")
            if track.complete and end != declared != track.at:
                remarks.append(f"{name} has another length than it says")
        n_other += content[at : at + 4] not in (b"MThd", b"MTrk")
        at = end
    if n_clamped := sum(track.n_clamped for track in tracks):
        remarks.append(f"{counted(n_clamped, 'data byte')} over 127 taken as 127")
    if n_other:
        remarks.append(f"{counted(n_other, 'chunk')} of another kind than tracks skipped")
    return tracks, remarks


def _begins_chunk(content: bytes, at: int) -> bool:
    """Whether a chunk begins here, or the file ends."""
    return at == len(content) or content[at : at + 4].isalnum() and at + 8 <= len(content)


def _next_track(content: bytes, at: int) -> int:
    """Where the next track begins, or the file ends."""
    found = content.find(b"MTrk", at)
    return found if found >= 0 else len(content)


def _decoded(text: bytes) -> str:
    """A name: UTF-8 where it is that, else Latin-1."""
    try:
        return text.decode("utf-8")
    except UnicodeError:
        return text.decode("latin-1")
