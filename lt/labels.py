"""Labels: octave, pitch, dynamics and age of a frame, and the class indices that models use for
them.

A frame of one instrument has an octave (0-8, scientific: C4 = MIDI 60), a pitch class (0-11, C =
0), a dynamic (0-4 = pp p mf f ff), and an age: the time since the note's onset, and after note-off
the time since that, in classes that widen with time. `NoteLabels` holds them by name, with
`SILENCE` where nothing sounds; `LabelSpace` says which labels a model has, for which instruments,
and maps them to class indices and back. Silence, where a model has it, is the last class of each
label. Lists of labels that users type (`4 9 2`, `A4:mf`, `A4:mf:age=3`) are read by
`parse_symbols`. They seldom hold an age: then its class is `ANY_AGE`, and whoever plays the symbol
lets the age run from onset to release.

Names: `note_number` is a MIDI number, `velocity` a MIDI velocity, converters are `a_to_b`. The
canonical array form is `classes`: (frames, instruments, labels), int64.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lt.config import LABELS, NOTE_LABELS

PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
DYNAMICS_NAMES = ("pp", "p", "mf", "f", "ff")
# Start of each class of age, in units of 32 ms (a model frame of the default front end): single
# frames where a note changes fast, then widths that grow with the age.
AGE_UNIT = 0.032  # s
ONSET_AGES = np.array([0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36, 48, 64, 85, 113]) * AGE_UNIT
RELEASE_AGES = np.array([0, 1, 2, 3, 4, 6, 9, 13, 19, 28, 41]) * AGE_UNIT
LEAD_AGES = np.array([-8, -4, -2, -1]) * AGE_UNIT  # before the onset, which windows reach already
AGE_NAMES = (
    *(f"{seconds:.2f}" for seconds in ONSET_AGES),
    *(f"off+{seconds:.2f}" for seconds in RELEASE_AGES),
    *(f"{seconds:.2f}" for seconds in LEAD_AGES),
)
# Middle of each class of age in seconds. Classes before the onset end at it; the last class of the
# others, which has no end, counts as wide as the one before it.
AGE_MIDDLES = np.concatenate(
    [
        starts + np.diff(starts, append=0.0 if starts[0] < 0 else 2 * starts[-1] - starts[-2]) / 2
        for starts in (ONSET_AGES, RELEASE_AGES, LEAD_AGES)
    ]
)
FIRST_RELEASE_AGE = len(ONSET_AGES)  # classes
FIRST_LEAD_AGE = FIRST_RELEASE_AGE + len(RELEASE_AGES)
CLASS_NAMES = {
    "octave": tuple("012345678"),
    "pitch": PITCH_NAMES,
    "dynamics": DYNAMICS_NAMES,
    "age": AGE_NAMES,
}
N_CLASSES = {label: len(names) for label, names in CLASS_NAMES.items()}
NOTE = "note"  # octave and pitch together, as a label of scores
SILENCE = -1
ANY_AGE = -2  # in place of an age that is not given
DEFAULT_OCTAVE = 4  # for models without the label `octave`
DEFAULT_DYNAMICS = 2  # mf, for models without the label `dynamics`
MP = 2  # mp has no class of its own and counts as mf, its louder neighbour
SEMITONES = 12  # in an octave
FIRST_NOTE_NUMBER = 12  # C0
LAST_NOTE_NUMBER = 119  # B8
N_KEYS = LAST_NOTE_NUMBER - FIRST_NOTE_NUMBER + 1
REST = "rest"

_ACCIDENTALS = {None: 0, "#": 1, "♯": 1, "##": 2, "b": -1, "♭": -1, "bb": -2}


# --- converters -----------------------------------------------------------------------------------


def note_number_to_octave_pitch(note_number: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """MIDI note number -> (octave, pitch), elementwise; C4 = 60 -> (4, 0)."""
    octave, pitch = np.divmod(note_number, SEMITONES)
    return octave - 1, pitch


def octave_pitch_to_note_number(octave: int | np.ndarray, pitch: int | np.ndarray) -> np.ndarray:
    """(octave, pitch) -> MIDI note number, elementwise; (4, 0) -> 60."""
    return SEMITONES * (np.asarray(octave) + 1) + np.asarray(pitch)


def note_number_to_hz(note_number: float | np.ndarray) -> float | np.ndarray:
    """MIDI note number -> fundamental frequency in hertz at A4 = 440 Hz, elementwise; 69 -> 440."""
    return 440.0 * 2.0 ** ((note_number - 69) / SEMITONES)


def is_in_range(note_number: int | np.ndarray) -> bool | np.ndarray:
    """Whether octave and pitch can express a MIDI note number (C0 to B8), elementwise."""
    return (FIRST_NOTE_NUMBER <= note_number) & (note_number <= LAST_NOTE_NUMBER)


def note_name_to_number(name: str) -> int:
    """Scientific note name -> MIDI note number: `A4` -> 69; `C#5`, `Bb3`, `c♯5` likewise.

    Raises:
        ValueError: not a note name (`H4`), or outside C0-B8.
    """
    match = re.fullmatch(r"([A-Ga-g])(##|#|♯|bb|b|♭)?(-?\d+)", name.strip())
    if not match:
        raise ValueError(
            f"'{name}' is no note name (expected a letter A-G, #, b or nothing, and an octave: C#4)"
        )
    letter, accidental, octave = match.groups()
    pitch = PITCH_NAMES.index(letter.upper()) + _ACCIDENTALS[accidental]
    number = int(octave_pitch_to_note_number(int(octave), pitch))
    if not is_in_range(number):
        raise ValueError(f"note '{name}' is outside C0-B8")
    return number


def number_to_note_name(note_number: int) -> str:
    """MIDI note number -> scientific note name with sharps: 69 -> `A4`."""
    octave, pitch = note_number_to_octave_pitch(int(note_number))
    return f"{PITCH_NAMES[pitch]}{octave}"


def dynamics_class(text: str) -> int:
    """Dynamics as a sign or a class, `mf` or `2` -> 0-4; `mp` counts as `mf`.

    Raises:
        ValueError: it is neither.
    """
    classes = {name: index for index, name in enumerate(DYNAMICS_NAMES)} | {"mp": MP}
    classes |= {str(index): index for index in range(len(DYNAMICS_NAMES))}
    name = text.casefold()
    if name not in classes:
        raise ValueError(f"'{text}' is no dynamic (known: {' '.join(DYNAMICS_NAMES)}, 0-4)")
    return classes[name]


def known_instruments(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Names of instruments as they are known, found without regard to case; others as they are."""
    own = {name.casefold(): name for name in reversed(known)} | {name: name for name in known}
    return tuple(own.get(name, own.get(name.casefold(), name)) for name in names)


# --- labels by name, and classes ------------------------------------------------------------------


def age_class(since_onset: np.ndarray, since_release: np.ndarray | None = None) -> np.ndarray:
    """Class of age (frames,) of moments of a note.

    Args:
        since_onset: (frames,) seconds, negative before the onset.
        since_release: (frames,) seconds since note-off, negative before it; None: not released.
    """
    held = _at_or_before(ONSET_AGES, since_onset)
    lead = FIRST_LEAD_AGE + _at_or_before(LEAD_AGES, since_onset)
    classes = np.where(since_onset < 0, lead, held)
    if since_release is None:
        return classes
    released = FIRST_RELEASE_AGE + _at_or_before(RELEASE_AGES, since_release)
    return np.where(since_release >= 0, released, classes)


@dataclass(frozen=True)
class AgeTimes:
    """Mean age of the training notes' frames in each class of age that at least half of the notes
    have. Classes follow one another; `classes` are those of the times.

    Attributes:
        held: (classes,) seconds since the onset.
        released: (classes,) seconds since note-off; empty where fewer than half of the notes are
            released.
        lead: (classes,) seconds since the onset, all negative; empty where the frames begin at the
            onset.
        note_off: mean time from onset to note-off in seconds.
    """

    held: tuple[float, ...] = ()
    released: tuple[float, ...] = ()
    lead: tuple[float, ...] = ()
    note_off: float = 0.0

    @property
    def classes(self) -> np.ndarray:
        """(classes,) class indices of lead, held and released."""
        since_onset = np.array([*self.lead, *self.held, *(0.0 for _ in self.released)])
        before_release = np.full(len(self.lead) + len(self.held), -np.inf)
        return age_class(since_onset, np.append(before_release, self.released))


def _at_or_before(starts: np.ndarray, times: np.ndarray) -> np.ndarray:
    return np.searchsorted(starts, np.maximum(times, starts[0]), side="right") - 1


@dataclass(frozen=True)
class NoteLabels:
    """The labels of one instrument for each frame; `SILENCE` in every field where nothing sounds.

    Attributes:
        octave, pitch, dynamics: (frames,) int64.
        age: (frames,) int64; `ANY_AGE` where it is not known, which is the default.

    Raises:
        ValueError: fields of different lengths.

    Example:
        >>> lt.NoteLabels.from_notes(np.array([69, 60]), np.array([2, 3])).octave
        array([4, 4])
    """

    octave: np.ndarray
    pitch: np.ndarray
    dynamics: np.ndarray
    age: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.age is None:
            object.__setattr__(self, "age", np.where(self.silent, SILENCE, ANY_AGE))
        lengths = {label: len(getattr(self, label)) for label in LABELS}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                "labels of unlike length: "
                + ", ".join(f"{label} {length}" for label, length in lengths.items())
            )

    def __len__(self) -> int:
        return len(self.octave)

    @property
    def silent(self) -> np.ndarray:
        """(frames,) bool."""
        return np.asarray(self.pitch) == SILENCE

    @property
    def note_number(self) -> np.ndarray:
        """(frames,) MIDI numbers, `SILENCE` where silent."""
        return np.where(self.silent, SILENCE, octave_pitch_to_note_number(self.octave, self.pitch))

    def table(self, labels: Sequence[str] = LABELS) -> np.ndarray:
        """(frames, labels)."""
        return np.stack([getattr(self, label) for label in labels], axis=1)

    @classmethod
    def from_table(cls, table: np.ndarray) -> NoteLabels:
        """The inverse of `table`; without the column of ages, they are not known."""
        return cls(*np.asarray(table, dtype=np.int64).T)

    @classmethod
    def from_notes(cls, note_number: np.ndarray, dynamics: np.ndarray) -> NoteLabels:
        """From MIDI numbers (frames,), `SILENCE` where silent, and dynamics (frames,)."""
        note_number = np.asarray(note_number)
        table = np.stack([*note_number_to_octave_pitch(note_number), dynamics], axis=1)
        return cls.from_table(np.where(note_number[:, None] == SILENCE, SILENCE, table))

    @classmethod
    def of_silence(cls, n_frames: int) -> NoteLabels:
        """`n_frames` silent frames."""
        return cls.from_table(np.full((n_frames, len(NOTE_LABELS)), SILENCE))


@dataclass(frozen=True)
class Part:
    """The voices of one instrument: its name, and where they are among a space's instruments."""

    name: str
    voices: slice

    @property
    def n_voices(self) -> int:
        """Number of notes at once."""
        return self.voices.stop - self.voices.start


@dataclass(frozen=True)
class LabelSpace:
    """Which labels a model has, for which instruments, and whether each has a class for silence.

    Each voice of an instrument with several counts as an instrument: `Piano.1` has the lowest note
    that sounds, `Piano.2` the next; those that are left are silent. `voices` holds the number of
    each instrument's, and is empty where all have one.

    Raises:
        ValueError: no label, an unknown or repeated one, no instrument or a repeated one.

    Example:
        >>> space = lt.LabelSpace(("octave", "pitch"), ("Flute", "Violin"))
        >>> space.columns, space.sizes
        (('Flute.octave', 'Flute.pitch', 'Violin.octave', 'Violin.pitch'), (10, 13))
    """

    labels: tuple[str, ...] = NOTE_LABELS
    instruments: tuple[str, ...] = ("Piano",)
    silence: bool = True
    voices: tuple[int, ...] = ()

    @classmethod
    def of_voices(
        cls,
        labels: tuple[str, ...],
        instruments: tuple[str, ...],
        voices: Sequence[int],
        silence: bool = True,
    ) -> LabelSpace:
        """The space of instruments that play several notes at once.

        Example:
            >>> LabelSpace.of_voices(("pitch",), ("Piano", "Violin"), (2, 1)).instruments
            ('Piano.1', 'Piano.2', 'Violin')
        """
        if max(voices) == 1:
            return cls(labels, instruments, silence)
        names = [
            f"{name}.{voice + 1}" if count > 1 else name
            for name, count in zip(instruments, voices)
            for voice in range(count)
        ]
        return cls(labels, tuple(names), silence, tuple(voices))

    def __post_init__(self) -> None:
        unknown = [label for label in self.labels if label not in LABELS]
        if unknown or not self.labels:
            raise ValueError(
                f"unknown label {', '.join(unknown) or '(none given)'}; known: {', '.join(LABELS)}"
            )
        if not self.instruments:
            raise ValueError("at least one instrument is needed")
        for what, names in (("label", self.labels), ("instrument", self.instruments)):
            if len(set(names)) < len(names):
                raise ValueError(f"a {what} is given twice: {' '.join(names)}")

    @property
    def parts(self) -> tuple[Part, ...]:
        """The instruments, each with its voices."""
        counts = self.voices or (1,) * len(self.instruments)
        parts, start = [], 0
        for count in counts:
            name = self.instruments[start]
            parts.append(
                Part(name.rpartition(".")[0] if count > 1 else name, slice(start, start + count))
            )
            start += count
        return tuple(parts)

    @property
    def chordal(self) -> tuple[Part, ...]:
        """The instruments that have several voices."""
        return tuple(part for part in self.parts if part.n_voices > 1)

    def instrument_of(self, voice: str) -> str:
        """The instrument of a voice: `Piano.2` -> `Piano`."""
        index = self.instruments.index(voice)
        return next(part.name for part in self.parts if index < part.voices.stop)

    def voice_order(self, classes: np.ndarray) -> np.ndarray:
        """Order (frames, instruments) of classes (frames, instruments, labels) in which the voices
        of each instrument rise, those that are silent last.
        """
        columns = self.note_columns
        octave, pitch = (classes[:, :, column] for column in columns)
        silent = octave == self.silence_classes[columns[0]]
        number = np.where(silent, LAST_NOTE_NUMBER + 1, octave_pitch_to_note_number(octave, pitch))
        order = np.tile(np.arange(len(self.instruments)), (len(classes), 1))
        for part in self.chordal:
            own = np.argsort(number[:, part.voices], axis=1, kind="stable")
            order[:, part.voices] = part.voices.start + own
        return order

    def in_voice_order(self, classes: np.ndarray) -> np.ndarray:
        """Classes (frames, instruments, labels) with the voices of each instrument in order."""
        if not self.chordal:
            return classes
        return np.take_along_axis(classes, self.voice_order(classes)[:, :, None], axis=1)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of classes of each label, silence included."""
        return tuple(N_CLASSES[label] + self.silence for label in self.labels)

    @property
    def group_sizes(self) -> tuple[int, ...]:
        """`sizes` once for each instrument, in the order of the concatenated one-hot vector."""
        return self.sizes * len(self.instruments)

    @property
    def width(self) -> int:
        """Length of the concatenated one-hot vector of all instruments."""
        return sum(self.group_sizes)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of CSV columns: `octave, pitch, ...`; for mixtures `Piano.octave, ...`."""
        if len(self.instruments) == 1:
            return self.labels
        return tuple(f"{name}.{label}" for name in self.instruments for label in self.labels)

    @property
    def indices(self) -> list[int]:
        """Positions of the model's labels in `LABELS`."""
        return [LABELS.index(label) for label in self.labels]

    @property
    def silence_classes(self) -> np.ndarray:
        """(labels,) the class after the last sounding one of each label."""
        return np.array([N_CLASSES[label] for label in self.labels])

    @property
    def note_columns(self) -> list[int]:
        """Positions of octave and pitch, as far as the space has them."""
        return [self.labels.index(label) for label in ("octave", "pitch") if label in self.labels]

    @property
    def age_column(self) -> int | None:
        """Position of the label `age`, None for a space without it."""
        return self.labels.index("age") if "age" in self.labels else None

    def class_names(self, label: str) -> tuple[str, ...]:
        """Names of a label's classes, `silence` last where the model has it."""
        return CLASS_NAMES[label] + (("silence",) if self.silence else ())

    def to_classes(self, labels: Sequence[NoteLabels]) -> np.ndarray:
        """NoteLabels of each instrument -> classes (frames, instruments, labels).

        Raises:
            ValueError: NoteLabels of another number of instruments, silence for a model without
            it, a value out of range.
        """
        if len(labels) != len(self.instruments):
            raise ValueError(
                f"expected labels of {len(self.instruments)} instruments, got {len(labels)}"
            )
        classes = np.stack([entry.table(self.labels) for entry in labels], axis=1)
        if (classes == SILENCE).any() and not self.silence:
            raise ValueError("silent frames given to a model without a silence class")
        lowest = [ANY_AGE if label == "age" else SILENCE for label in self.labels]
        if (classes < lowest).any() or (classes >= self.silence_classes).any():
            raise ValueError(
                "a label is outside its classes (octave 0-8, pitch 0-11, dynamics 0-4, age "
                f"0-{N_CLASSES['age'] - 1})"
            )
        return np.where(classes == SILENCE, self.silence_classes, classes)

    def to_labels(self, classes: np.ndarray) -> list[NoteLabels]:
        """Classes (frames, instruments, labels) -> NoteLabels of each instrument.

        Labels that the model does not have get defaults (octave 4, pitch C, mf, any age). A frame
        is silent if at least half of its labels are.
        """
        n_frames, n_instruments, n_labels = classes.shape
        silent = 2 * (classes >= self.silence_classes).sum(axis=2) >= n_labels
        defaults = (DEFAULT_OCTAVE, 0, DEFAULT_DYNAMICS, ANY_AGE)
        tables = np.tile(defaults, (n_frames, n_instruments, 1))
        tables[:, :, self.indices] = np.minimum(classes, self.silence_classes - 1)
        tables[silent] = SILENCE
        return [NoteLabels.from_table(tables[:, index]) for index in range(n_instruments)]


# --- label lists ----------------------------------------------------------------------------------


def parse_symbols(tokens: Sequence[str], space: LabelSpace) -> np.ndarray:
    """Class numbers or note names, as typed -> classes (groups, instruments, labels).

    Groups of numbers hold no age; a note name can: `A4:mf:age=3`. Notes joined by `+` are a chord
    of one instrument: `C4:f+E4:mf`.

    Raises:
        ValueError: a wrong number of tokens, a class out of range, an unknown note name, or numbers
        and names mixed.
    """
    numeric = [bool(re.fullmatch(r"-?\d+", token)) for token in tokens]
    if all(numeric):
        return _parse_classes([int(token) for token in tokens], space)
    if any(numeric):
        raise ValueError("class numbers and note names cannot be mixed in one list")
    parts = space.parts
    if len(tokens) % len(parts):
        raise ValueError(
            f"{len(tokens)} notes do not fill groups of {len(parts)} "
            f"({', '.join(part.name for part in parts)})"
        )
    labels = [
        NoteLabels.from_table(np.concatenate(voice))
        for index, part in enumerate(parts)
        for voice in zip(
            *(_parse_chord(token, part, space) for token in tokens[index :: len(parts)])
        )
    ]
    return space.in_voice_order(space.to_classes(labels))


def _parse_chord(token: str, part: Part, space: LabelSpace) -> list[np.ndarray]:
    """`C4:f+E4:mf` -> tables (1, labels) of the voices of an instrument, the last ones silent.

    Raises:
        ValueError: more notes than it has voices, or an empty one; as `_parse_note`.
    """
    names = token.split("+")
    if len(names) > 1 and not all(map(str.strip, names)):
        raise ValueError(f"'{token}': a note is missing beside '+' (a chord: C4:f+E4:mf)")
    notes = [_parse_note(name, space).table() for name in names]
    if len(notes) > part.n_voices:
        raise ValueError(
            f"'{token}': {len(notes)} notes at once, but {part.name} has "
            f"{part.n_voices} (lt_train.py --voices)"
        )
    numbers = [tuple(note[0, :2]) for note in notes]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"'{token}': a note is given twice")
    silence = NoteLabels.of_silence(1).table()
    return notes + [silence] * (part.n_voices - len(notes))


def _parse_classes(values: Sequence[int], space: LabelSpace) -> np.ndarray:
    """Flat class numbers -> classes (groups, instruments, labels)."""
    columns = [column for column, label in enumerate(space.labels) if label != "age"]
    size = len(space.instruments) * len(columns)
    if not size:
        raise ValueError("this model has the label age alone, which class numbers do not hold")
    if len(values) % size or not values:
        names = [name for name in space.columns if name.rpartition(".")[2] != "age"]
        raise ValueError(f"{len(values)} numbers do not fill groups of {size} ({' '.join(names)})")
    groups = np.array(values).reshape(-1, len(space.instruments), len(columns))
    for index, column in enumerate(columns):
        label, n_classes = space.labels[column], space.sizes[column]
        own = groups[:, :, index]
        bad = own[(own < 0) | (own >= n_classes)]
        if len(bad):
            silence = f", {n_classes - 1} = silence" if space.silence else ""
            raise ValueError(f"{label} {bad[0]} is out of range (0-{n_classes - 1}{silence})")
    classes = np.full((*groups.shape[:2], len(space.labels)), ANY_AGE)
    classes[:, :, columns] = groups
    silent = (groups == space.silence_classes[columns]).all(axis=2)
    return space.in_voice_order(np.where(silent[:, :, None], space.silence_classes, classes))


def _parse_note(token: str, space: LabelSpace) -> NoteLabels:
    """`A4:mf`, `A4` (mf), `A4:mf:age=3` or `rest` -> labels of one frame."""
    if token == REST:
        if not space.silence:
            raise ValueError("this model has no class for silence, so it cannot play a rest")
        return NoteLabels.of_silence(1)
    note, separator, age = token.partition(":age=")
    name, _, dynamics = note.partition(":")
    try:
        dynamics = dynamics_class(dynamics or DYNAMICS_NAMES[DEFAULT_DYNAMICS])
    except ValueError as error:
        raise ValueError(f"'{token}': {error}") from None
    labels = NoteLabels.from_notes([note_name_to_number(name)], [dynamics])
    if not separator:
        return labels
    return replace(labels, age=np.array([_parse_age(age, token, space)]))


def _parse_age(age: str, token: str, space: LabelSpace) -> int:
    """A class of age, as typed."""
    if space.age_column is None:
        raise ValueError(f"'{token}': this model has no label age")
    if not (age.isascii() and age.isdigit() and int(age) < N_CLASSES["age"]):
        raise ValueError(
            f"'{token}': age '{age}' is no class 0-{N_CLASSES['age'] - 1} (0-"
            f"{FIRST_RELEASE_AGE - 1} since the onset, {FIRST_RELEASE_AGE}-{FIRST_LEAD_AGE - 1} "
            f"since note-off, {FIRST_LEAD_AGE}-{N_CLASSES['age'] - 1} before the onset)"
        )
    return int(age)


def transpose(classes: np.ndarray, semitones: int, space: LabelSpace) -> np.ndarray:
    """Classes (groups, instruments, labels) moved by semitones; silence stays.

    Raises:
        ValueError: the model lacks octave or pitch, or a note leaves C0-B8.
    """
    if not semitones:
        return classes
    if not {"octave", "pitch"} <= set(space.labels):
        raise ValueError("transposition needs a model with the labels octave and pitch")
    columns = [space.labels.index("octave"), space.labels.index("pitch")]
    notes = classes[:, :, columns]
    silent = (notes == space.silence_classes[columns]).any(axis=2)
    numbers = octave_pitch_to_note_number(notes[:, :, 0], notes[:, :, 1]) + semitones
    if not (silent | is_in_range(numbers)).all():
        raise ValueError(f"transposed by {semitones} semitones, a note leaves C0-B8")
    moved = classes.copy()
    transposed = np.stack(note_number_to_octave_pitch(numbers), axis=2)
    moved[:, :, columns] = np.where(silent[:, :, None], notes, transposed)
    return moved


def set_dynamics(classes: np.ndarray, dynamics: int | None, space: LabelSpace) -> np.ndarray:
    """Classes (groups, instruments, labels) with all dynamics but silence replaced, if given.

    Raises:
        ValueError: the model has no dynamics.
    """
    if dynamics is None:
        return classes
    if "dynamics" not in space.labels:
        raise ValueError("this model has no label dynamics to replace")
    changed = classes.copy()
    own = changed[:, :, space.labels.index("dynamics")]
    own[own != N_CLASSES["dynamics"]] = dynamics
    return changed
