"""SoundFont files: filters that velocity opens are written as they are at full velocity.

tinysoundfont applies a font's generators but not its modulators. A font whose filters are nearly
shut until velocity opens them (the piano of MuseScore_General) would sound muffled. Softer notes
are darkened by `lt.audio.soundfont`, as those of any font.
"""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np

from lt.audio.soundfont_file import GENERATOR, RANGES, Zone, chunk, preset_data, read_zones

CUTOFF = 8  # generator initialFilterFc, in cents
ENVELOPE_TO_CUTOFF = 11  # generator modEnvToFilterFc, in cents
MAX_CENTS = {CUTOFF: 13500, ENVELOPE_TO_CUTOFF: 12000}
MAX_GENERATORS = 0xFFFF  # that a zone's index can reach
VELOCITY = 0x0002  # source of a modulator: velocity, rising
SOURCE_MASK = 0x01FF  # its bits for the controller and the direction

_MODULATOR = np.dtype(
    [("source", "<u2"), ("target", "<u2"), ("amount", "<i2"), ("by", "<u2"), ("transform", "<u2")]
)
_DEFAULTS = {  # of the generators, by level: presets add to what instruments set
    b"p": {CUTOFF: 0, ENVELOPE_TO_CUTOFF: 0},
    b"i": {CUTOFF: 13500, ENVELOPE_TO_CUTOFF: 0},
}

Cents = dict[int, int]  # by generator


def at_full_velocity(font: bytes) -> bytes:
    """Content of a font file with its filters as velocity 127 sets them.

    Returns:
        The same object where velocity opens no filter, or where the font does not follow the
        specification (the synthesiser reports what is wrong).
    """
    try:
        start, end, chunks = preset_data(font)
        changed = {**_opened(b"p", chunks), **_opened(b"i", chunks)}
    except (KeyError, IndexError, ValueError, struct.error):
        return font
    if not changed:
        return font
    content = b"".join(chunk(*item) for item in (chunks | changed).items())
    body = font[8:start] + chunk(b"LIST", b"pdta" + content) + font[end:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _opened(level: bytes, chunks: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Changed chunks of one level (presets or instruments), by name."""
    level_zones = read_zones(level, chunks)
    zones, bags, defaults = level_zones.zones, level_zones.bags, _DEFAULTS[level]
    modulators = np.frombuffer(chunks[level + b"mod"], _MODULATOR)
    added = [_by_velocity(modulators[start:end]) for start, end in pairwise(bags["modulator"])]
    opened = list(zones)
    for shared_zone, others in level_zones.spans:
        has_global = shared_zone is not None
        shared = defaults | dict(zones[shared_zone]) if has_global else defaults
        shared_added = added[shared_zone] if has_global else {}
        for zone in others:
            opened[zone] = _with_added(zones[zone], shared_added | added[zone], shared)
    if opened == zones:
        return {}
    starts = np.cumsum([0, *map(len, opened)])
    if starts[-1] >= MAX_GENERATORS:
        raise ValueError("more generators than an index can reach")
    bags = bags.copy()
    bags["generator"] = starts
    rows = [*(row for zone in opened for row in zone), (0, 0)]
    return {level + b"bag": bags.tobytes(), level + b"gen": np.array(rows, GENERATOR).tobytes()}


def _by_velocity(modulators: np.ndarray) -> Cents:
    """What full velocity adds to the filter's generators."""
    rising = (modulators["source"] & SOURCE_MASK == VELOCITY) & (modulators["by"] == 0)
    rising = modulators[rising]
    return {
        kind: int(rising["amount"][rising["target"] == kind].sum())
        for kind in MAX_CENTS
        if kind in rising["target"]
    }


def _with_added(zone: Zone, added: Cents, defaults: Cents) -> Zone:
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
