"""Takes: the single notes that a data set shall be built from, before any sound is read.

A survey of a source (a folder, an index, a sound font) gives a `Take` for every note that can be
used and a `Skipped` with the reason for every file that cannot. What instruments, notes and
dynamics are called differs from publisher to publisher; here they become this project's names.
Imports nothing heavy.

Names: `collection` names a source; `file` is the path below a source, with the collection in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lt.config import SpectralConfig
from lt.labels import (
    DYNAMICS_NAMES,
    FIRST_NOTE_NUMBER,
    LAST_NOTE_NUMBER,
    note_name_to_number,
    number_to_note_name,
)

DYNAMICS_WORDS = {  # mp, which has no class of its own, is mf: the louder neighbour
    "ppp": 0,
    "pp": 0,
    "molto-pianissimo": 0,
    "pianissimo": 0,
    "p": 1,
    "piano": 1,
    "mp": 2,
    "mezzo-piano": 2,
    "mf": 2,
    "mezzo-forte": 2,
    "f": 3,
    "forte": 3,
    "ff": 4,
    "fortissimo": 4,
    "fff": 4,
    "molto-fortissimo": 4,
    "0": 0,
    "1": 1,
    "2": 2,
    "3": 3,
    "4": 4,
}
INSTRUMENT_NAMES = {  # by their names and abbreviations elsewhere, in lower case, words joined by -
    "Flute": "flute fl concert-flute",
    "Piccolo": "piccolo picc",
    "Piano": "piano pf grand-piano pianoforte",
    "Alto-Sax": "alto-sax asax sax-alto alto-saxophone saxophone-alto saxophone",
    "Soprano-Sax": "soprano-sax sax-soprano soprano-saxophone",
    "Tenor-Sax": "tenor-sax sax-tenor tenor-saxophone",
    "Baritone-Sax": "baritone-sax sax-baritone baritone-saxophone",
    "Trumpet-C": "trumpet-c tpc trumpet trumpet-in-c",
    "Violin": "violin vn",
    "Viola": "viola va",
    "Violoncello": "violoncello vc cello",
    "Contrabass": "contrabass cb double-bass bass",
    "Accordion": "accordion acc",
    "Bass-Tuba": "bass-tuba btb tuba",
    "Bassoon": "bassoon bn",
    "Contrabassoon": "contrabassoon",
    "Clarinet-Bb": "clarinet-bb clbb clarinet clarinet-in-b-flat",
    "Bass-Clarinet": "bass-clarinet",
    "English-Horn": "english-horn cor-anglais",
    "Horn": "horn hn french-horn",
    "Oboe": "oboe ob",
    "Trombone": "trombone tbn",
    "Guitar": "guitar",
    "Banjo": "banjo",
    "Mandolin": "mandolin",
}
_CANONICAL = {name: ours for ours, names in INSTRUMENT_NAMES.items() for name in names.split()}


@dataclass(frozen=True)
class BuildConfig:
    """What a data set is built from and how; a field a flag of `python3 -m lt.builders`.

    Attributes:
        kind: of the sources; see lt.build.discover.KINDS. instruments: names, for sound fonts also
        NAME:PROGRAM:LOWEST-HIGHEST; none: all (fonts: the five of the embedded set).
        lowest, highest: notes outside are left out; names or MIDI numbers. dynamics: names to keep.
        note_seconds, release_seconds, brightness: of sound fonts.
        instrument, default_dynamics: where a source does not say. midiroot: of aligned MIDI, if not
            the source.
        max_detuning: cents; notes further from their label are left out (0: none is).
        rumble: hertz; what lies below is cut from sounds (0: nothing is).
    """

    kind: str = "auto"
    instruments: tuple[str, ...] = ()
    lowest: str = "C0"
    highest: str = "B8"
    dynamics: tuple[str, ...] = DYNAMICS_NAMES
    note_seconds: float = 1.5
    release_seconds: float = 0.5
    brightness: float = 1.0
    instrument: str = ""
    default_dynamics: str = ""
    midiroot: str = ""
    max_detuning: float = 0.0
    rumble: float = SpectralConfig.rumble

    @property
    def front_end(self) -> SpectralConfig:
        """What the data set's spectra are made by."""
        return SpectralConfig(rumble=self.rumble)


@dataclass(frozen=True)
class Recording:
    """A stretch of a sound file, in seconds; `offset` None: to its end."""

    path: Path
    onset: float = 0.0
    offset: float | None = None


@dataclass(frozen=True)
class Rendering:
    """A note of a sound font."""

    path: Path
    program: int
    velocity: int
    seconds: float
    release_seconds: float
    brightness: float


@dataclass(frozen=True)
class Stored:
    """Note number `index` of another data set file."""

    path: Path
    index: int


@dataclass(frozen=True)
class Take:
    """One note to be: where its sound is, and what it is called.

    Attributes:
        source: kept in the data set as where the note came from. file: that it is accounted under.
        fold: the publisher's, or -1.
    """

    source: str
    file: str
    sound: Recording | Rendering | Stored
    instrument: str
    note_number: int
    dynamics: int
    collection: str
    fold: int = -1

    @property
    def words(self) -> str:
        """`Flute A4 mf@1.250`: a note, and where in its file it begins, if not at the beginning."""
        place = self.source.removeprefix(self.file) if self.source.startswith(self.file) else ""
        return (
            f"{self.instrument} {number_to_note_name(self.note_number)} "
            f"{DYNAMICS_NAMES[self.dynamics]}{place}"
        )

    @property
    def group(self) -> tuple[str, str, int, int]:
        """Equal for takes of one note: a split keeps them together."""
        return self.collection, self.instrument, self.note_number, self.dynamics


@dataclass(frozen=True)
class Skipped:
    """A file, or a note in one (in `words`), that is not used."""

    file: str
    reason: str
    words: str = ""


@dataclass(frozen=True)
class Survey:
    """All that a source holds. `indexes`: files that were read for labels; `read`: where they lie,
    and where the sounds do that were not chosen: nothing of that may be replaced.
    """

    takes: tuple[Take, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    indexes: tuple[str, ...] = ()
    read: tuple[Path, ...] = ()

    def __add__(self, other: Survey) -> Survey:
        return Survey(
            self.takes + other.takes,
            self.skipped + other.skipped,
            self.indexes + other.indexes,
            self.read + other.read,
        )


# --- names ----------------------------------------------------------------------------------------


def instrument_name(text: str) -> str:
    """A publisher's name of an instrument -> ours, where we have one (`Sax_Alto`, `asax` ->
    `Alto-Sax`), else the same words joined by hyphens.

    Raises:
        ValueError: no letter in it.
    """
    words = re.findall(r"[^\W_]+", text)
    if not words or not any(word[0].isalpha() for word in words):
        raise ValueError(f"'{text}' is no name of an instrument")
    key = "-".join(words).lower()
    return _CANONICAL.get(
        key, "-".join(word if word[0].isupper() else word.capitalize() for word in words)
    )


def instrument_in(text: str) -> str | None:
    """The one known instrument whose full name stands in a text (`Cantos flute set` -> `Flute`), or
    None.
    """
    words = "-" + "-".join(re.findall(r"[^\W_]+", text)).lower() + "-"
    found = [
        (key, ours) for key, ours in _CANONICAL.items() if len(key) > 3 and f"-{key}-" in words
    ]
    longest = [
        ours for key, ours in found if not any(key != other and key in other for other, _ in found)
    ]
    return longest[0] if len(set(longest)) == 1 else None


def dynamics_class(text: str, default: str = "") -> int:
    """A word or sign for dynamics (`mf`, `mezzo-forte`, `2`) -> 0-4; nothing -> `default`.

    Raises:
        ValueError: nothing and no default, or no such word.
    """
    word = "-".join(text.lower().replace("_", " ").split()) or default
    if not word:
        raise ValueError("no dynamics given (--default_dynamics mf would take it as mf)")
    if word not in DYNAMICS_WORDS:
        raise ValueError(
            f"'{text}' is no dynamics (expected {' '.join(DYNAMICS_NAMES)}, in words, or 0-4)"
        )
    return DYNAMICS_WORDS[word]


def note_number_of(text: str) -> int:
    """`C#4`, `Cs4` or `61` -> 61.

    Raises:
        ValueError: anything else, or outside C0-B8.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]+", text):
        if not FIRST_NOTE_NUMBER <= int(text) <= LAST_NOTE_NUMBER:
            raise ValueError(f"MIDI number {text} is outside C0-B8 (12-119)")
        return int(text)
    return note_name_to_number(re.sub(r"^([A-Ga-g])s(?=\d)", r"\1#", text))


# --- choosing among takes -------------------------------------------------------------------------


def choose(survey: Survey, config: BuildConfig) -> Survey:
    """The takes of the instruments, range and dynamics that were asked for; the others are skipped.

    Raises:
        ValueError: an instrument that no source has, or a limit that is no note.
    """
    lowest, highest = note_number_of(config.lowest), note_number_of(config.highest)
    wanted = {instrument_name(one.partition(":")[0]) for one in config.instruments}
    present = sorted({take.instrument for take in survey.takes})
    if unknown := sorted(wanted - set(present)):
        raise ValueError(
            f"no source has the instrument {', '.join(unknown)} "
            f"(there are: {', '.join(present) or 'none'})"
        )
    dynamics = {dynamics_class(one) for one in config.dynamics}

    def objection(take: Take) -> str:
        if wanted and take.instrument not in wanted:
            return "another instrument than --instruments names"
        if not lowest <= take.note_number <= highest:
            return f"outside {config.lowest} to {config.highest}"
        return "" if take.dynamics in dynamics else "other dynamics than --dynamics names"

    objections = [objection(take) for take in survey.takes]
    dropped = tuple(
        {take.sound.path for take, why in zip(survey.takes, objections, strict=True) if why}
    )
    return Survey(
        tuple(take for take, why in zip(survey.takes, objections, strict=True) if not why),
        survey.skipped + skipped(zip(survey.takes, objections, strict=True)),
        survey.indexes,
        survey.read + dropped,
    )


def skipped(pairs: Iterable[tuple[Take, str]]) -> tuple[Skipped, ...]:
    """Takes with a reason against them -> Skipped; those with an empty reason are left out."""
    return tuple(Skipped(take.file, reason, take.words) for take, reason in pairs if reason)
