"""Modulators: what a sound font says of how velocity opens a voice's filter, for a synthesiser that
does not read it.

tinysoundfont applies a font's generators, and none of its modulators. A font whose filters are
nearly shut until velocity opens them (the piano of MuseScore_General) would sound as if through a
wall. So its filters are written into the generators as they stand at full velocity; softer notes
are darkened by `lt.audio.soundfont`, as of any font.

Chunks and records are those of the SoundFont 2.04 specification, sections 7 and 8. A zone is a list
of generators and modulators; the first of a preset or an instrument may be global: what its other
zones do not say themselves.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

CUTOFF, ENVELOPE_TO_CUTOFF = 8, 11  # generators, in cents: initialFilterFc, modEnvToFilterFc
OPEN_CENTS = 13500  # an instrument's cutoff where it says nothing
MOST_CENTS = {CUTOFF: 13500, ENVELOPE_TO_CUTOFF: 12000}
RANGES = (43, 44)  # of keys and velocities: generators that come first in a zone
LAST = {
    b"p": 41,
    b"i": 53,
}  # the generator that ends a zone that is not global: its instrument, its sample
VELOCITY, KIND, FALLING = (
    2,
    0x00FF,
    0x0100,
)  # a modulator's source: which it is, whether 127 counts as 0
MOST_RECORDS = 0xFFFF  # that a zone's index can reach
_HEADERS = {
    b"p": (b"phdr", 38, 24),
    b"i": (b"inst", 22, 20),
}  # chunk, bytes a record, where its first zone stands
_BAG = np.dtype([("generator", "<u2"), ("modulator", "<u2")])
_GENERATOR = np.dtype([("kind", "<u2"), ("amount", "<i2")])
_MODULATOR = np.dtype(
    [("source", "<u2"), ("target", "<u2"), ("amount", "<i2"), ("by", "<u2"), ("transform", "<u2")]
)

Zone = dict[int, int]  # cents by generator


def at_full_velocity(font: bytes) -> bytes:
    """A font file's content with its filters as velocity 127 sets them; the same object where
    velocity opens none, or where it is no font as the specification describes (the synthesiser says
    what is wrong with it).
    """
    try:
        head, chunks, tail = _pdta(font)
        changed = {
            name: chunk for level in _HEADERS for name, chunk in _opened(level, chunks).items()
        }
    except (KeyError, IndexError, ValueError, struct.error):
        return font
    if not changed:
        return font
    content = b"pdta" + b"".join(
        _chunk(name, changed.get(name, chunk)) for name, chunk in chunks.items()
    )
    body = head[8:] + _chunk(b"LIST", content) + tail
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _opened(level: bytes, chunks: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """The chunks of bags and generators of one level (presets or instruments) that change, by name."""
    header, size, at = _HEADERS[level]
    bags = np.frombuffer(chunks[level + b"bag"], _BAG)
    generators = np.frombuffer(chunks[level + b"gen"], _GENERATOR)
    modulators = np.frombuffer(chunks[level + b"mod"], _MODULATOR)
    firsts = [
        int.from_bytes(chunks[header][row + at : row + at + 2], "little")
        for row in range(0, len(chunks[header]), size)
    ]
    if (np.diff(firsts) < 0).any() or (np.diff(bags["generator"].astype(int)) < 0).any():
        raise ValueError("zones that overlap")  # a small file could ask for any amount of memory
    lists = [
        generators[one["generator"] : two["generator"]].tolist() for one, two in zip(bags, bags[1:])
    ]
    ways = [
        _by_velocity(modulators[one["modulator"] : two["modulator"]])
        for one, two in zip(bags, bags[1:])
    ]
    before = [list(one) for one in lists]
    for first, end in zip(firsts, firsts[1:]):
        has_global = first < end and (not lists[first] or lists[first][-1][0] != LAST[level])
        shared, shared_way = (dict(lists[first]), ways[first]) if has_global else ({}, {})
        for zone in range(first + has_global, end):
            default = {CUTOFF: OPEN_CENTS if level == b"i" else 0} | shared
            lists[zone] = _with(lists[zone], shared_way | ways[zone], default)
    if lists == before:
        return {}
    starts = np.cumsum([0, *map(len, lists)])
    if starts[-1] >= MOST_RECORDS:
        raise ValueError("more generators than can be counted")
    bags = bags.copy()
    bags["generator"] = starts
    rows = np.array([*(row for one in lists for row in one), (0, 0)], _GENERATOR)
    return {level + b"bag": bags.tobytes(), level + b"gen": rows.tobytes()}


def _by_velocity(modulators: np.ndarray) -> Zone:
    """What full velocity adds to the filter's generators."""
    rising = ((modulators["source"] & (KIND | FALLING)) == VELOCITY) & (modulators["by"] == 0)
    return {
        kind: int(modulators["amount"][rising & (modulators["target"] == kind)].sum())
        for kind in (CUTOFF, ENVELOPE_TO_CUTOFF)
        if (rising & (modulators["target"] == kind)).any()
    }


def _with(zone: list[tuple[int, int]], added: Zone, default: Zone) -> list[tuple[int, int]]:
    """A zone's generators with cents added to some; those that it does not have itself start at
    their default.
    """
    own, moved = dict(zone), {}
    for kind, cents in added.items():
        if cents:
            moved[kind] = int(
                np.clip(
                    own.get(kind, default.get(kind, 0)) + cents, -MOST_CENTS[kind], MOST_CENTS[kind]
                )
            )
    if not moved:
        return zone
    ranges = {kind: own.pop(kind) for kind in RANGES if kind in own}
    return list((ranges | moved | own | moved).items())


# --- chunks ---------------------------------------------------------------------------------------


def _pdta(font: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """What lies before and behind a font's list of presets, and that list's chunks by name.

    Raises:
        ValueError: there is none.
    """
    if font[:4] != b"RIFF" or font[8:12] != b"sfbk":
        raise ValueError("no sound font")
    for name, start, end in _walk(font, 12, len(font)):
        if name == b"LIST" and font[start : start + 4] == b"pdta":
            chunks = {inner: font[first:last] for inner, first, last in _walk(font, start + 4, end)}
            return font[: start - 8], chunks, font[end + end % 2 :]
    raise ValueError("no presets")


def _walk(font: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The chunks between two offsets: name, first byte and end of the content. They lie at even
    offsets.
    """
    while at + 8 <= end:
        name, size = struct.unpack("<4sI", font[at : at + 8])
        yield name, at + 8, min(at + 8 + size, end)
        at += 8 + size + size % 2


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
