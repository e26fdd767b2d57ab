"""SoundFont files: filters that velocity opens are written as they are at full velocity.

tinysoundfont applies a font's generators but not its modulators. A font whose filters are nearly
shut until velocity opens them (the piano of MuseScore_General) would sound muffled. Softer notes
are darkened by `lt.audio.soundfont`, as those of any font.

Chunks and records are those of the SoundFont 2.04 specification, sections 7 and 8. A zone is a list
of generators and modulators; the first zone of a preset or an instrument may be global: it holds
the defaults of its other zones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

CUTOFF = 8  # generator initialFilterFc, in cents
ENVELOPE_TO_CUTOFF = 11  # generator modEnvToFilterFc, in cents
MAX_CENTS = {CUTOFF: 13500, ENVELOPE_TO_CUTOFF: 12000}
RANGES = (43, 44)  # generators of keys and velocities, which come first in a zone
MAX_GENERATORS = 0xFFFF  # that a zone's index can reach
VELOCITY = 0x0002  # source of a modulator: velocity, rising
SOURCE_MASK = 0x01FF  # its bits for the controller and the direction

_BAG = np.dtype([("generator", "<u2"), ("modulator", "<u2")])
_GENERATOR = np.dtype([("kind", "<u2"), ("amount", "<i2")])
_MODULATOR = np.dtype(
    [("source", "<u2"), ("target", "<u2"), ("amount", "<i2"), ("by", "<u2"), ("transform", "<u2")]
)
# level -> chunk of its headers, bytes of a header, position of its first zone in it, the generator
# that ends a zone which is not global, defaults of the generators
_LEVELS = {
    b"p": (b"phdr", 38, 24, 41, {CUTOFF: 0, ENVELOPE_TO_CUTOFF: 0}),
    b"i": (b"inst", 22, 20, 53, {CUTOFF: 13500, ENVELOPE_TO_CUTOFF: 0}),
}

Cents = dict[int, int]  # by generator


def at_full_velocity(font: bytes) -> bytes:
    """Content of a font file with its filters as velocity 127 sets them.

    Returns:
        The same object where velocity opens no filter, or where the font does not follow the
        specification (the synthesiser reports what is wrong).
    """
    try:
        start, end, chunks = _preset_data(font)
        changed = {**_opened(b"p", chunks), **_opened(b"i", chunks)}
    except (KeyError, IndexError, ValueError, struct.error):
        return font
    if not changed:
        return font
    content = b"".join(_chunk(*item) for item in (chunks | changed).items())
    body = font[8:start] + _chunk(b"LIST", b"pdta" + content) + font[end:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _opened(level: bytes, chunks: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Changed chunks of one level (presets or instruments), by name."""
    header, size, position, last, defaults = _LEVELS[level]
    bags = np.frombuffer(chunks[level + b"bag"], _BAG)
    generators = np.frombuffer(chunks[level + b"gen"], _GENERATOR)
    modulators = np.frombuffer(chunks[level + b"mod"], _MODULATOR)
    firsts = [
        first
        for (first,) in struct.iter_unpack(f"<{position}xH{size - position - 2}x", chunks[header])
    ]
    if (np.diff(firsts) < 0).any() or (np.diff(bags["generator"].astype(int)) < 0).any():
        raise ValueError("zones that overlap")  # copied, they could fill any memory
    zones = [generators[start:end].tolist() for start, end in pairwise(bags["generator"])]
    added = [_by_velocity(modulators[start:end]) for start, end in pairwise(bags["modulator"])]
    opened = list(zones)
    for first, end in pairwise(firsts):
        has_global = first < end and (not zones[first] or zones[first][-1][0] != last)
        shared = defaults | dict(zones[first]) if has_global else defaults
        shared_added = added[first] if has_global else {}
        for zone in range(first + has_global, end):
            opened[zone] = _with_added(zones[zone], shared_added | added[zone], shared)
    if opened == zones:
        return {}
    starts = np.cumsum([0, *map(len, opened)])
    if starts[-1] >= MAX_GENERATORS:
        raise ValueError("more generators than an index can reach")
    bags = bags.copy()
    bags["generator"] = starts
    rows = [*(row for zone in opened for row in zone), (0, 0)]
    return {level + b"bag": bags.tobytes(), level + b"gen": np.array(rows, _GENERATOR).tobytes()}


def _by_velocity(modulators: np.ndarray) -> Cents:
    """What full velocity adds to the filter's generators."""
    rising = (modulators["source"] & SOURCE_MASK == VELOCITY) & (modulators["by"] == 0)
    rising = modulators[rising]
    return {
        kind: int(rising["amount"][rising["target"] == kind].sum())
        for kind in MAX_CENTS
        if kind in rising["target"]
    }


def _with_added(zone: list[tuple[int, int]], added: Cents, defaults: Cents) -> list:
    """Generators of a zone with cents added; those that it lacks start at their default."""
    own = dict(zone)
    moved = {
        kind: int(np.clip(own.get(kind, defaults[kind]) + cents, -MAX_CENTS[kind], MAX_CENTS[kind]))
        for kind, cents in added.items()
        if cents
    }
    if not moved:
        return zone
    ranges = {kind: own[kind] for kind in RANGES if kind in own}
    return list((ranges | moved | own | moved).items())


# --- chunks ---------------------------------------------------------------------------------------


def _preset_data(font: bytes) -> tuple[int, int, dict[bytes, bytes]]:
    """Where the list `pdta` of a font begins and ends, and its chunks by name."""
    if font[:4] != b"RIFF" or font[8:12] != b"sfbk":
        raise ValueError("no sound font")
    for name, start, end in _walk(font, 12, len(font)):
        if name == b"LIST" and font[start : start + 4] == b"pdta":
            chunks = {inner: font[first:last] for inner, first, last in _walk(font, start + 4, end)}
            return start - 8, end + end % 2, chunks
    raise ValueError("no presets")


def _walk(font: bytes, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Chunks between two positions: name, first byte and end of the content."""
    while position + 8 <= end:
        name, size = struct.unpack_from("<4sI", font, position)
        yield name, position + 8, min(position + 8 + size, end)
        position += 8 + size + size % 2  # chunks begin at even positions


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
