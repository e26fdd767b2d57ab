"""Sound font files: their chunks and zones, and which keys their presets play.

Chunks and records are those of the SoundFont 2.04 specification, sections 7 and 8. A zone is a list
of generators and modulators; the first zone of a preset or an instrument may be global: it holds
the defaults of its other zones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

INSTRUMENT, KEYS, VELOCITIES, SAMPLE = 41, 43, 44, 53  # generators
RANGES = (KEYS, VELOCITIES)  # which come first in a zone
N_NAMED = 8  # presets that a message lists

BAG = np.dtype([("generator", "<u2"), ("modulator", "<u2")])
GENERATOR = np.dtype([("kind", "<u2"), ("amount", "<i2")])
# level -> chunk of its headers, bytes of a header, position of its first zone in it, the generator
# that ends a zone which is not global
_HEADERS = {b"p": (b"phdr", 38, 24, INSTRUMENT), b"i": (b"inst", 22, 20, SAMPLE)}
_DAMAGE = (KeyError, IndexError, ValueError, struct.error)

Zone = list[tuple[int, int]]  # (kind, amount) of its generators


@dataclass(frozen=True)
class ZoneList:
    """The zones of one level of a font (its presets, or its instruments).

    Attributes:
        bags: (zones + 1,) where the generators and modulators of each zone begin.
        zones: generators of each.
        spans: (global zone or None, the other zones), by index, of each preset or instrument.
    """

    bags: np.ndarray
    zones: list[Zone]
    spans: list[tuple[int | None, range]]

    def ranges(self, zone: int, shared: int | None) -> tuple[slice, slice]:
        """Keys and velocities that a zone plays; `shared` is the global zone."""
        own = dict([] if shared is None else self.zones[shared]) | dict(self.zones[zone])
        bounds = (own.get(kind, 0x7F00) for kind in RANGES)
        keys, velocities = (slice(both & 0xFF, (both >> 8 & 0xFF) + 1) for both in bounds)
        return keys, velocities


def read_zones(level: bytes, chunks: dict[bytes, bytes]) -> ZoneList:
    """The zones of the presets (level `p`) or instruments (`i`) of a font.

    Raises:
        KeyError, IndexError, ValueError, struct.error: the font does not follow the specification.
    """
    header, size, position, last = _HEADERS[level]
    bags = np.frombuffer(chunks[level + b"bag"], BAG)
    generators = np.frombuffer(chunks[level + b"gen"], GENERATOR)
    record = struct.Struct(f"<{position}xH{size - position - 2}x")
    firsts = [first for (first,) in record.iter_unpack(chunks[header])]
    if (np.diff(firsts) < 0).any() or (np.diff(bags["generator"].astype(int)) < 0).any():
        raise ValueError("zones that overlap")  # copied, they could fill any memory
    zones = [generators[start:end].tolist() for start, end in pairwise(bags["generator"])]
    spans = []
    for first, end in pairwise(firsts):
        has_global = first < end and (not zones[first] or zones[first][-1][0] != last)
        spans.append((first if has_global else None, range(first + has_global, end)))
    return ZoneList(bags, zones, spans)


# --- presets --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preset:
    """One instrument of a font.

    Attributes:
        bank: 0-127, or 128: drum kits, whose keys are no pitches.
        program: counted from 0.
        index: its place in the font.
        levels: zones of all presets and of all instruments of the font.
    """

    bank: int
    program: int
    name: str
    index: int
    levels: tuple[ZoneList, ZoneList] = field(repr=False, compare=False)

    @cached_property
    def plays(self) -> np.ndarray:
        """(128 keys, 128 velocities) bool: for which it has a sample."""
        presets, instruments = self.levels
        plays = np.zeros((128, 128), bool)
        shared, zones = presets.spans[self.index]
        for zone in zones:
            instrument = dict(presets.zones[zone]).get(INSTRUMENT, -1)
            if 0 <= instrument < len(instruments.spans):
                within = presets.ranges(zone, shared)
                plays[within] |= _sampled(instruments, instrument)[within]
        return plays

    def can_render(self, note_number: int, velocity: int) -> bool:
        """Whether it has a sample for a note, or for a neighbour that is bent to its pitch."""
        return bool(self.plays[max(note_number - 1, 0) : note_number + 2, velocity].any())


def _sampled(instruments: ZoneList, index: int) -> np.ndarray:
    """(128, 128) bool: keys and velocities for which an instrument has a sample."""
    sampled = np.zeros((128, 128), bool)
    shared, zones = instruments.spans[index]
    for zone in zones:
        if SAMPLE in dict(instruments.zones[zone]):
            sampled[instruments.ranges(zone, shared)] = True
    return sampled


def read_presets(path: Path) -> tuple[Preset, ...]:
    """The presets of a font, sorted by bank and program.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no sound font, or damaged.
    """
    try:
        _, _, chunks = preset_data(path.read_bytes())
        levels = read_zones(b"p", chunks), read_zones(b"i", chunks)
        headers = list(struct.iter_unpack("<20sHH14x", chunks[b"phdr"]))[:-1]
    except _DAMAGE as error:
        raise ValueError(f"{path} is not a sound font that can be read ({error})") from error
    presets = (
        Preset(bank, program, name.split(b"\0")[0].decode("latin-1").strip(), index, levels)
        for index, (name, program, bank) in enumerate(headers)
    )
    return tuple(sorted(presets, key=lambda preset: (preset.bank, preset.program)))


def find_presets(path: Path, bank: int, programs: dict[int, str]) -> dict[int, Preset]:
    """The preset of each program of a bank, by program.

    Args:
        programs: program -> name of the instrument, for the message.
    Raises:
        OSError, ValueError: as `read_presets`; a program is missing.
    """
    presets = read_presets(path)
    found = {preset.program: preset for preset in reversed(presets) if preset.bank == bank}
    missing = {program: name for program, name in programs.items() if program not in found}
    if missing:
        listed = ", ".join(f"{program} ({name})" for program, name in missing.items())
        raise ValueError(
            f"{path} has no program{'s' * (len(missing) > 1)} {listed} in bank {bank}; "
            + _instead(presets, bank, missing)
        )
    return {program: found[program] for program in programs}


def _instead(presets: Sequence[Preset], bank: int, missing: dict[int, str]) -> str:
    """What a font has instead of the missing programs of a bank, and how it is asked for."""
    elsewhere = [preset for preset in presets if preset.program in missing]
    others = elsewhere or [preset for preset in presets if preset.bank == bank] or presets
    if not others:
        return "it has no presets at all"
    listed = [
        f"{preset.program} {preset.name}" + f" in bank {preset.bank}" * (preset.bank != bank)
        for preset in others[:N_NAMED]
    ]
    more = f" and {len(others) - N_NAMED} more" * (len(others) > N_NAMED)
    flags = [f"--bank {others[0].bank}"] * (others[0].bank != bank)
    if not elsewhere and len(others) == len(missing) == 1:
        flags.append(f"--instruments {next(iter(missing.values()))}:{others[0].program}")
    elif not elsewhere:
        flags.append("--instruments NAME:PROGRAM")
    return f"it has {', '.join(listed)}{more} ({' '.join(flags)})"


# --- chunks ---------------------------------------------------------------------------------------


def preset_data(font: bytes) -> tuple[int, int, dict[bytes, bytes]]:
    """Where the list `pdta` of a font begins and ends, and its chunks by name.

    Raises:
        ValueError: there is none.
    """
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


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a RIFF file, padded to even length."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
