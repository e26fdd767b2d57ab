"""Names of instruments, notes and dynamics as publishers write them -> this project's names."""

from __future__ import annotations

import re

from lt.files import same_form
from lt.labels import (
    DYNAMICS_NAMES,
    FIRST_NOTE_NUMBER,
    LAST_NOTE_NUMBER,
    MP,
    note_name_to_number,
)

DYNAMICS_WORDS = {
    "ppp": 0,
    "pp": 0,
    "molto-pianissimo": 0,
    "pianissimo": 0,
    "p": 1,
    "piano": 1,
    "mp": MP,
    "mezzo-piano": MP,
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
INSTRUMENT_NAMES = {  # our name -> names and abbreviations elsewhere, lower case, joined by -
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
_CANONICAL = {
    alias: name for name, aliases in INSTRUMENT_NAMES.items() for alias in aliases.split()
}


def instrument_name(text: str) -> str:
    """Our name of an instrument (`Sax_Alto`, `asax` -> `Alto-Sax`); for an unknown instrument its
    own words, joined by hyphens.

    Raises:
        ValueError: there is no letter in it.
    """
    words = re.findall(r"[^\W_]+", same_form(text))
    if not any(word[0].isalpha() for word in words):
        raise ValueError(f"'{text}' is no name of an instrument")
    joined = "-".join(word if word[0].isupper() else word.capitalize() for word in words)
    return _CANONICAL.get("-".join(words).lower(), joined)


def instrument_in(text: str) -> str | None:
    """The one known instrument whose full name a text contains (`Cantos flute set` -> `Flute`)."""
    words = "-" + "-".join(re.findall(r"[^\W_]+", text)).lower() + "-"
    found = [alias for alias in _CANONICAL if len(alias) > 3 and f"-{alias}-" in words]
    names = {
        _CANONICAL[alias]
        for alias in found
        if not any(alias != longer and alias in longer for longer in found)
    }
    return names.pop() if len(names) == 1 else None


def dynamics_class(text: str, default: str = "") -> int:
    """Dynamics as a word or sign (`mf`, `mezzo-forte`, `2`) -> 0-4; `default` where text is empty.

    Raises:
        ValueError: both are empty, or the word is unknown.
    """
    word = "-".join((text.strip() or default).lower().replace("_", " ").split())
    if not word:
        raise ValueError("no dynamics given (--default_dynamics mf would take it as mf)")
    if word not in DYNAMICS_WORDS:
        raise ValueError(
            f"'{text}' is no dynamics (expected {' '.join(DYNAMICS_NAMES)}, in words, or 0-4)"
        )
    return DYNAMICS_WORDS[word]


def note_number_of(text: str) -> int:
    """A note as a name or MIDI number (`C#4`, `Cs4`, `61`) -> MIDI number.

    Raises:
        ValueError: it is neither, or outside C0-B8.
    """
    text = text.strip()
    if not re.fullmatch(r"[0-9]+", text):
        return note_name_to_number(re.sub(r"^([A-Ga-g])s(?=\d)", r"\1#", text))
    if not FIRST_NOTE_NUMBER <= int(text) <= LAST_NOTE_NUMBER:
        raise ValueError(f"MIDI number {text} is outside C0-B8 (12-119)")
    return int(text)
