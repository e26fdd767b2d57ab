"""SFZ instruments: text that says which sample is played for which keys and velocities, and how.

A region gives a note for every key that it plays, at each dynamic whose velocity is among its own
(or, where none is, at the middle of its velocities), as a sampler plays it: the sample faster or
slower to the key's pitch, at the velocity's level. Loops, envelopes, filters and controllers are
not applied. Opcodes are those of the SFZ format, headers and directives those of ARIA
(https://sfzformat.com).

Names: `opcodes` are the settings of a region as text, those of its groups included.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from lt.audio.io import file_sample_rate
from lt.build.filenames import refuse_special_file
from lt.build.notes import Indexer, Manifest, NoteDescription, Playback
from lt.data.folders import find_file
from lt.labels import (
    DYNAMICS_NAMES,
    FIRST_NOTE_NUMBER,
    LAST_NOTE_NUMBER,
    PITCH_NAMES,
    number_to_note_name,
)
from lt.midi import DYNAMICS_VELOCITIES, velocity_to_dynamics

SUFFIX = ".sfz"
LEVELS = ("global", "master", "group", "region")  # each inherits from those before it
KEY_OPCODES = ("lokey", "hikey", "pitch_keycenter")  # all set by `key`
TRIGGERS = ("attack", "first")  # of notes; others are sounds of letting go
CONTROLLERS = {7: 100.0, 10: 64.0, 11: 127.0}  # where MIDI controllers stand; others at 0
LONGEST_TEXT = 10_000_000  # characters, with what is included and defined
MOST_FILES, MOST_REGIONS, DEEPEST = 1000, 100_000, 50
LARGEST_SHIFT = 4800.0  # cents; a sample played slower by more could take any memory
LARGEST_GAIN = 144.0  # dB either way, the range of `volume`

_READ = re.compile(  # the opcodes that are understood; others change nothing here
    r"sample|default_path|(?:note|octave)_offset|lokey|hikey|key|pitch_keycenter|pitch_keytrack"
    r"|lovel|hivel|amp_veltrack|tune|transpose|offset|end|volume|amplitude|trigger"
    r"|sw_last|sw_default|(?:set_|on_lo|on_hi|lo|hi)cc\d{1,3}"
)
_OPCODE = re.compile(r"(?<!\S)([\w$]+)=")
_HEADER = re.compile(r"<(\w+)>")
_DIRECTIVE = re.compile(
    r'(?<!\S)#(?:include\s+"(?P<file>[^"]*)"|define\s+\$(?P<name>\w+)\s+(?P<value>\S+))'
)
_NOTE = re.compile(r"([a-g])([#b]?)(-?\d{1,2})", re.IGNORECASE)
_SEMITONES = {"#": 1, "b": -1, "": 0}


Opcodes = Mapping[str, str]


# --- the text -------------------------------------------------------------------------------------


@dataclass
class SfzText:
    """An instrument as it is read.

    Attributes:
        root: its folder, which included files are relative to.
        regions: opcodes of each.
        files: those read, relative to `root`.
    """

    root: Path
    regions: list[dict[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    _levels: dict[str, dict[str, str]] = field(default_factory=dict)
    _level: str = "control"  # the header that is open
    _definitions: dict[str, str] = field(default_factory=dict)
    _n_characters: int = 0

    def read(self, file: str, depth: int = 0) -> None:
        """Read a file, and those that it includes, `depth` files deep.

        Raises:
            OSError: one cannot be read.
            ValueError: they include one another, or are too long.
        """
        path = self.root / file
        refuse_special_file(path)
        self.files.append(file)
        if depth > DEEPEST or len(self.files) > MOST_FILES or path.stat().st_size > LONGEST_TEXT:
            raise ValueError(f"{path} is too long, or includes too many files (itself?)")
        for line in _lines(path.read_bytes()):
            position = 0
            for directive in _DIRECTIVE.finditer(line):
                self._add(line[position : directive.start()])
                position = directive.end()
                if directive["file"] is None:
                    self._definitions[directive["name"]] = self._expanded(directive["value"])
                else:
                    included = find_file(self.root, self._expanded(directive["file"]))
                    self.read(included, depth + 1)
            self._add(line[position:])

    def _add(self, line: str) -> None:
        """Read headers and opcodes of a part of a line; a value ends where the next one begins."""
        for index, part in enumerate(_HEADER.split(self._expanded(line))):
            if index % 2:  # the name of a header
                self._open(part.lower())
                continue
            found = list(_OPCODE.finditer(part))
            for match, following in zip_longest(found, found[1:]):
                end = following.start() if following else len(part)
                self._set(match[1].lower(), part[match.end() : end].strip())

    def _expanded(self, text: str) -> str:
        """A text with its `$NAME`s replaced; of names that begin alike, by the longest."""

        def value(match: re.Match) -> str:
            word = match[1][:100]
            starts = (word[:end] for end in range(len(word), 0, -1))
            name = next((start for start in starts if start in self._definitions), None)
            return match[0] if name is None else self._definitions[name] + match[1][len(name) :]

        expanded = re.sub(r"\$(\w+)", value, text)
        self._n_characters += len(expanded)
        if self._n_characters > LONGEST_TEXT or len(self.regions) > MOST_REGIONS:
            raise ValueError(f"{self.root / self.files[0]} is too long for an instrument")
        return expanded

    def _open(self, header: str) -> None:
        """Begin a header; those below it end."""
        self._level = header
        if header == "control":
            self._levels["control"] = dict(self._levels.get("control", {}))
        elif header in LEVELS:
            for level in LEVELS[LEVELS.index(header) :]:
                self._levels[level] = {}
        if header == "region":
            for level in ("control", *LEVELS[:-1]):
                self._levels["region"] |= self._levels.get(level, {})
            self.regions.append(self._levels["region"])

    def _set(self, opcode: str, value: str) -> None:
        if _READ.fullmatch(opcode):
            names = KEY_OPCODES if opcode == "key" else (opcode,)
            self._levels.setdefault(self._level, {}).update(dict.fromkeys(names, value))


def read_sfz(path: Path) -> SfzText:
    """Read an instrument. Raises as `SfzText.read`."""
    text = SfzText(path.parent)
    text.read(path.name)
    return text


def _lines(content: bytes) -> list[str]:
    """Lines of a file without comments; what is no UTF-8 is taken as Latin-1."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    kept = []
    while text:
        before, _, comment = text.partition("/*")
        kept.append(before)
        text = comment.partition("*/")[2]
    return [line.partition("//")[0] for line in " ".join(kept).splitlines()]


# --- regions --------------------------------------------------------------------------------------


def index_sfz(indexer: Indexer, files: Sequence[str]) -> Manifest:
    """Index SFZ instruments of a folder: the notes of their regions. Those that another one
    includes are parts of that.

    Raises:
        OSError, ValueError: an instrument cannot be read, or has no region.
    """
    folder = indexer.folder
    texts = {file: read_sfz(folder.root / file) for file in files}
    read = {file: [_beside(file, name) for name in text.files] for file, text in texts.items()}
    included = {name for names in read.values() for name in names[1:]}
    for file, text in texts.items():
        if file in included:
            continue
        if not text.regions:
            raise ValueError(f"{folder.root / file} is no SFZ instrument: it has no <region>")
        instrument = indexer.instrument(file, default=Path(file).stem)
        switches = (opcodes["sw_last"] for opcodes in text.regions if "sw_last" in opcodes)
        switched = {"sw_default": next(switches, "")}  # where the text names none
        for opcodes in text.regions:
            _add_region(indexer, file, instrument, switched | opcodes)
    index_files = sorted({name for names in read.values() for name in names})
    return indexer.manifest(index_files, "not played by the instrument")


def find_instruments(files: Sequence[str]) -> list[str]:
    """The SFZ files among `files`."""
    return [f for f in files if f.lower().endswith(SUFFIX) and not Path(f).name.startswith(".")]


def _beside(file: str, name: str) -> str:
    """A path relative to the folder of `file` -> relative to what `file` is relative to."""
    return Path(os.path.normpath(Path(file).parent / name.replace("\\", "/"))).as_posix()


def _add_region(indexer: Indexer, file: str, instrument: str, opcodes: Opcodes) -> None:
    """Add the notes of a region of the instrument in `file`."""
    root, reason = indexer.folder.root, _why_not_played(opcodes)
    if opcodes.get("sample"):
        file = find_file(root, _beside(file, opcodes.get("default_path", "") + opcodes["sample"]))
    with indexer.skipping(file):
        if reason:
            raise ValueError(reason)
        if not (root / file).is_file():
            raise ValueError("no such file")
        center = _note(opcodes, "pitch_keycenter", 60)
        onset, end = _span(opcodes, root / file)
        for key in _keys(opcodes, center, indexer.config.stretch):
            cents = 100 * (key - center + _number(opcodes, "transpose")) + _number(opcodes, "tune")
            if abs(cents) > LARGEST_SHIFT:
                raise ValueError(f"its pitch is shifted by {cents:+.0f} cents")
            for velocity in _velocities(opcodes):
                dynamics = DYNAMICS_NAMES[int(velocity_to_dynamics(velocity))]
                described = NoteDescription(instrument, number_to_note_name(key), dynamics)
                playback = Playback(round(cents, 1), round(_gain_db(opcodes, velocity), 2))
                begin, until = onset / playback.speed, end / playback.speed
                indexer.add(file, described, onset=begin, until=until, playback=playback)


def _why_not_played(opcodes: Opcodes) -> str:
    """Why a region does not sound when a key is pressed; empty if it does."""
    if opcodes.get("sample", "*").startswith("*"):  # a generator
        return "a region without a sample file"
    if (trigger := opcodes.get("trigger", "attack")) not in TRIGGERS:
        return f"played on another trigger than attack ({trigger})"
    if _number(opcodes, "end", math.inf) < 0:
        return "never played (end)"
    if "sw_last" in opcodes and opcodes["sw_last"] != opcodes["sw_default"]:
        return f"another articulation (sw_last {opcodes['sw_last']})"
    for name in opcodes:
        if name.startswith(("on_locc", "on_hicc")):
            return "played by a controller"
        if name.startswith(("locc", "hicc")):
            number = int(name[4:])
            position = _number(opcodes, f"set_cc{number}", CONTROLLERS.get(number, 0.0))
            bound = _number(opcodes, name)
            if position < bound if name.startswith("lo") else position > bound:
                return f"needs controller {number} at another place than its own"
    return ""


def _keys(opcodes: Opcodes, center: int, stretch: float) -> range:
    """The keys that a region plays and that are notes here.

    Raises:
        ValueError: there is none.
    """
    low, high = _note(opcodes, "lokey", 0), _note(opcodes, "hikey", 127)
    if _number(opcodes, "pitch_keytrack", 100.0) != 100 and not low == high == center:
        raise ValueError("its pitch does not follow the keys (pitch_keytrack)")
    keys = range(
        max(low, FIRST_NOTE_NUMBER, math.ceil(center - stretch)),
        min(high, LAST_NOTE_NUMBER, math.floor(center + stretch)) + 1,
    )
    if not keys:
        raise ValueError(f"it has no keys within {stretch:g} semitones of its own (--stretch)")
    return keys


def _velocities(opcodes: Opcodes) -> list[int]:
    """The velocities that a region is taken at: those of the dynamics, or its middle one."""
    low = max(int(_number(opcodes, "lovel", 1)), 1)
    high = min(int(_number(opcodes, "hivel", 127)), 127)
    if low > high:
        raise ValueError("it has no velocities")
    inside = [velocity for velocity in DYNAMICS_VELOCITIES if low <= velocity <= high]
    return inside if inside and _number(opcodes, "amp_veltrack", 100.0) else [(low + high) // 2]


def _gain_db(opcodes: Opcodes, velocity: int) -> float:
    """Level at which a region is played at a velocity."""
    track = min(max(_number(opcodes, "amp_veltrack", 100.0) / 100, -1.0), 1.0)
    curve = (velocity / 127) ** 2
    gain = 1 - track * (1 - curve) if track >= 0 else 1 + track * curve
    gain *= _number(opcodes, "amplitude", 100.0) / 100
    level = 20 * math.log10(gain) + _number(opcodes, "volume") if gain > 0 else -math.inf
    if abs(level) > LARGEST_GAIN:
        raise ValueError(f"it is played at {level:+.0f} dB")
    return level


def _span(opcodes: Opcodes, path: Path) -> tuple[float, float]:
    """Where a region begins and ends in its file, in seconds."""
    offset, end = _number(opcodes, "offset"), _number(opcodes, "end", math.inf)
    if not offset and math.isinf(end):
        return 0.0, math.inf
    if not 0 <= offset <= end:
        raise ValueError(f"it ends before it begins (offset {offset:g}, end {end:g})")
    rate = file_sample_rate(path)
    return offset / rate, (end + 1) / rate


# --- values ---------------------------------------------------------------------------------------


def _number(opcodes: Opcodes, name: str, default: float = 0.0) -> float:
    """A number below 1e9 in magnitude; `default` where the opcode is missing."""
    if name not in opcodes:
        return default
    try:
        value = float(opcodes[name])
    except ValueError:
        value = math.nan
    if not abs(value) < 1e9:
        raise ValueError(f"'{opcodes[name]}' is no {name}")
    return value


def _note(opcodes: Opcodes, name: str, default: int) -> int:
    """A key as MIDI number or name (`c#4` is 61), moved by the instrument's offsets."""
    if name not in opcodes:
        return default
    match = _NOTE.fullmatch(opcodes[name])
    if match:
        pitch = PITCH_NAMES.index(match[1].upper()) + _SEMITONES[match[2].lower()]
        key = float(12 * (int(match[3]) + 1) + pitch)
    else:
        key = _number(opcodes, name)
    return int(key + _number(opcodes, "note_offset") + 12 * _number(opcodes, "octave_offset"))
