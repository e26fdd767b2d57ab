"""MIDI files from bytes, and a generator of odd files that knows their notes."""

import struct
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np

from lt.midi import Note

TICKS = 480  # a beat, and with 120 beats a minute half a second
SMPTE_25_40 = 0x10000 - (25 << 8) + 40  # 25 frames of 40 ticks: milliseconds
END_OF_TRACK = bytes.fromhex("ff2f00")
KINDS = (
    "bytes over 127",
    "RMID",
    "other chunks",
    "fewer tracks",
    "cut off",
    "type 2",
    "SMPTE",
    "programs elsewhere",
    "a part on two tracks",
    "overlap",
    "hung",
)
FLUTE, VIOLIN = (0, 73), (1, 40)  # channel and program


def number(value):
    """A number of variable length."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))


def chunk(kind, body):
    return kind + struct.pack(">I", len(body)) + body


def track_chunk(*messages):
    """Messages (tick, bytes) in the order of ticks -> a track with its end."""
    ticks = [0, *(tick for tick, _ in messages)]
    deltas = np.diff(ticks).tolist()
    body = b"".join(number(delta) + data for delta, (_, data) in zip(deltas, messages))
    return chunk(b"MTrk", body + b"\0" + END_OF_TRACK)


def midi_bytes(*tracks, kind=1, n_tracks=None, division=TICKS):
    """Chunks of tracks -> a file."""
    n_tracks = len(tracks) if n_tracks is None else n_tracks
    return chunk(b"MThd", struct.pack(">HHH", kind, n_tracks, division)) + b"".join(tracks)


def on(key, velocity=64, channel=0):
    return bytes([0x90 | channel, key, velocity])


def off(key, channel=0):
    return bytes([0x80 | channel, key, 0])


def control(number, value, channel=0):
    return bytes([0xB0 | channel, number, value])


def program(number, channel=0):
    return bytes([0xC0 | channel, number])


def name(text):
    return b"\xff\x03" + number(len(text)) + text


def rmid(content):
    """A file wrapped as RIFF, with a title before it."""
    parts = b"LIST" + struct.pack("<I", 6) + b"INFO\0\0" + b"data" + struct.pack("<I", len(content))
    return b"RIFF" + struct.pack("<I", 4 + len(parts) + len(content)) + b"RMID" + parts + content


# --- files whose notes are known ------------------------------------------------------------------


@dataclass
class Voice:
    """A track: notes (tick, tick or None where it never ends, key, velocity) and other messages."""

    channel: int
    program: int
    notes: list = field(default_factory=list)
    setup: list = field(default_factory=list)

    def messages(self):
        """(tick, bytes, index of the note, whether it begins), in the order of the file."""
        ends = [
            (end, 0, off(key, self.channel), index, False)
            for index, (_, end, key, _) in enumerate(self.notes)
            if end is not None
        ]
        begins = [
            (begin, 1, on(key, velocity, self.channel), index, True)
            for index, (begin, _, key, velocity) in enumerate(self.notes)
        ]
        ordered = sorted(ends + begins, key=lambda message: message[:2])
        return [(0, data, None, None) for data in self.setup] + [
            (tick, data, index, begins) for tick, _, data, index, begins in ordered
        ]


def melody(rng, n_notes):
    """Notes one after another, each of its own pitch."""
    starts = np.cumsum(rng.integers(100, 400, n_notes)).tolist()
    lengths = rng.integers(40, 100, n_notes).tolist()
    keys = (60 + rng.permutation(24)[:n_notes]).tolist()
    levels = rng.integers(1, 128, n_notes).tolist()
    return [(a, a + b, key, level) for a, b, key, level in zip(starts, lengths, keys, levels)]


def odd_file(kinds, seed):
    """A file with oddities -> its bytes, and its notes by program."""
    rng = np.random.default_rng(seed)
    voices = [Voice(0, 0), *(Voice(*part, melody(rng, 6)) for part in (FLUTE, VIOLIN))]
    conductor, flute, violin = voices
    conductor.setup = [bytes.fromhex("ff51 03 07a120")]
    for voice in (flute, violin):
        owner = conductor if "programs elsewhere" in kinds else voice
        owner.setup.append(program(voice.program, voice.channel))
    if "overlap" in kinds:
        flute.notes += [(2500, 2900, 50, 70), (2600, 3000, 50, 80), (2700, 2950, 51, 90)]
    if "hung" in kinds:
        flute.notes.append((1000, None, 40, 66))
    if "bytes over 127" in kinds:
        flute.setup.append(control(10, 200))
        flute.notes[1] = (*flute.notes[1][:3], 213)
    if "a part on two tracks" in kinds:
        voices.append(replace(flute, notes=flute.notes[1::2], setup=list(flute.setup)))
        flute.notes = flute.notes[::2]
    written = [voice.messages() for voice in voices]
    cut = None
    if "cut off" in kinds:
        cut = int(rng.integers(4, len(written[-1]) - 1))
        data = track_chunk(*(message[:2] for message in written[-1]))
        kept = track_chunk(*(message[:2] for message in written[-1][:cut]))
        written[-1] = written[-1][:cut]
    chunks = [track_chunk(*(message[:2] for message in messages)) for messages in written]
    if cut is not None:  # after the first byte of the next message
        chunks[-1] = data[: len(kept) - len(END_OF_TRACK)]
    if "other chunks" in kinds:
        chunks.insert(1, chunk(b"XFIH", b"\xff\x00\x01 harmony"))
    content = midi_bytes(
        *chunks,
        kind=2 if "type 2" in kinds else 1,
        n_tracks=len(voices) + ("fewer tracks" in kinds),
        division=SMPTE_25_40 if "SMPTE" in kinds else TICKS,
    )
    if "RMID" in kinds:
        content = rmid(content)
    return content, known_notes(voices, written, kinds)


def known_notes(voices, written, kinds):
    """The notes of messages that were written, by program; a tick is 1 / 960 s or a millisecond."""
    seconds = 1e-3 if "SMPTE" in kinds else 0.5 / TICKS
    lasts = [messages[-1][0] for messages in written]
    if "type 2" in kinds:
        ends = list(accumulate(lasts))
        starts = [0, *ends[:-1]]
    else:
        ends, starts = [max(lasts)] * len(voices), [0] * len(voices)
    found = {}
    for voice, messages, start, end in zip(voices, written, starts, ends):
        ticks = {(index, begins): tick for tick, _, index, begins in messages}
        for index, (_, _, key, velocity) in enumerate(voice.notes):
            if (index, True) in ticks:
                onset = start + ticks[index, True]
                offset = start + ticks.get((index, False), end - start)
                note = Note(onset * seconds, max(offset, onset + 1) * seconds, key, velocity)
                own = found.setdefault(voice.program, [])
                own.append(replace(note, velocity=min(velocity, 127)))
    return {program: sorted(notes) for program, notes in found.items()}
