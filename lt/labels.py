"""Symbols: what a frame of music is called, and the numbers that models use for it.

A frame of one instrument has an octave (0-8, scientific: C4 = MIDI 60), a pitch (0-11, C = 0) and a
dynamic (0-4 = pp p mf f ff). `NoteLabels` holds them by name, with `SILENCE` where nothing sounds;
`LabelSpace` says which of them a model knows, for which instruments, and maps them to class indices
and back. Silence, where a model has it, is the last class of each label.

Names: `note_number` is a MIDI number, `velocity` a MIDI velocity, converters are `a_to_b`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Sequence

import numpy as np

from lt.config import LABELS

N_CLASSES = {"octave": 9, "pitch": 12, "dynamics": 5}
PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
DYNAMICS_NAMES = ("pp", "p", "mf", "f", "ff")
DYNAMICS_VELOCITIES = (13, 39, 64, 90, 115)
CLASS_NAMES = {
    "octave": tuple(str(octave) for octave in range(9)),
    "pitch": PITCH_NAMES,
    "dynamics": DYNAMICS_NAMES,
}
SILENCE = -1
DEFAULT_OCTAVE = 4  # what a model without the label `octave` writes
DEFAULT_DYNAMICS = 2  # mf, likewise
SEMITONES = 12  # in an octave
FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER = 12, 119  # C0 and B8

_NOTE_NAME = re.compile(r"^([A-Ga-g])(##|#|♯|bb|b|♭)?(-?\d+)$")
_ACCIDENTALS = {"": 0, "#": 1, "♯": 1, "##": 2, "b": -1, "♭": -1, "bb": -2}


# --- converters -----------------------------------------------------------------------------------


def note_number_to_octave_pitch(note_number: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """MIDI note number -> (octave, pitch), elementwise; C4 = 60 -> (4, 0)."""
    note_number = np.asarray(note_number)
    return note_number // 12 - 1, note_number % 12


def octave_pitch_to_note_number(octave: int | np.ndarray, pitch: int | np.ndarray) -> np.ndarray:
    """(octave, pitch) -> MIDI note number, elementwise; (4, 0) -> 60."""
    return 12 * (np.asarray(octave) + 1) + np.asarray(pitch)


def note_number_to_hz(note_number: float | np.ndarray) -> float | np.ndarray:
    """MIDI note number -> fundamental frequency in hertz at A4 = 440 Hz, elementwise; 69 -> 440."""
    return 440.0 * 2.0 ** ((note_number - 69) / 12)


def velocity_to_dynamics(velocity: int | np.ndarray) -> np.ndarray:
    """MIDI velocity 1-127 -> dynamics 0-4 (pp p mf f ff), in five equal steps."""
    return (np.clip(np.asarray(velocity), 1, 127) - 1) * 5 // 127


def dynamics_to_velocity(dynamics: int | np.ndarray) -> np.ndarray:
    """Dynamics 0-4 -> the MIDI velocity in the middle of its step."""
    return np.asarray(DYNAMICS_VELOCITIES)[np.asarray(dynamics)]


def note_name_to_number(name: str) -> int:
    """`A4` -> 69, `C#5`, `Bb3`, `Fs`-free scientific names. Raises ValueError for anything else
    (`H4`, `B##9`).
    """
    match = _NOTE_NAME.match(name.strip())
    if not match:
        raise ValueError(
            f"'{name}' is no note name (expected a letter A-G, #, b or nothing, and an octave: C#4)"
        )
    letter, accidental, octave = match.groups()
    number = (
        12 * (int(octave) + 1) + PITCH_NAMES.index(letter.upper()) + _ACCIDENTALS[accidental or ""]
    )
    if not FIRST_NOTE_NUMBER <= number <= LAST_NOTE_NUMBER:
        raise ValueError(f"note '{name}' is outside C0-B8")
    return number


def number_to_note_name(note_number: int) -> str:
    """69 -> `A4`."""
    octave, pitch = note_number_to_octave_pitch(int(note_number))
    return f"{PITCH_NAMES[int(pitch)]}{int(octave)}"


# --- labels by name -------------------------------------------------------------------------------


@dataclass(frozen=True)
class NoteLabels:
    """The labels of one instrument, a value a frame; `SILENCE` in every field where nothing sounds.

    Attributes:
        octave, pitch, dynamics: (frames,) int64.
    Raises:
        ValueError: fields of unlike length.
    """

    octave: np.ndarray
    pitch: np.ndarray
    dynamics: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.octave) == len(self.pitch) == len(self.dynamics):
            raise ValueError(
                f"labels of unlike length: octave {len(self.octave)}, pitch {len(self.pitch)}, "
                f"dynamics {len(self.dynamics)}"
            )

    def __len__(self) -> int:
        return len(self.octave)

    @property
    def silent(self) -> np.ndarray:
        """(frames,) bool."""
        return self.pitch == SILENCE

    @property
    def note_number(self) -> np.ndarray:
        """(frames,) MIDI numbers, `SILENCE` where silent."""
        return np.where(self.silent, SILENCE, octave_pitch_to_note_number(self.octave, self.pitch))

    def table(self) -> np.ndarray:
        """(frames, 3) in the order of `LABELS`."""
        return np.stack([self.octave, self.pitch, self.dynamics], axis=1)

    @classmethod
    def from_table(cls, table: np.ndarray) -> NoteLabels:
        """(frames, 3) in the order of `LABELS` -> NoteLabels."""
        table = np.asarray(table, dtype=np.int64)
        return cls(table[:, 0], table[:, 1], table[:, 2])

    @classmethod
    def from_notes(cls, note_number: np.ndarray, dynamics: np.ndarray) -> NoteLabels:
        """(frames,) MIDI numbers (`SILENCE` where silent) and dynamics -> NoteLabels."""
        note_number, dynamics = np.asarray(note_number), np.asarray(dynamics)
        octave, pitch = note_number_to_octave_pitch(note_number)
        silent = note_number == SILENCE
        return cls.from_table(
            np.where(silent[:, None], SILENCE, np.stack([octave, pitch, dynamics], axis=1))
        )

    @classmethod
    def of_silence(cls, n_frames: int) -> NoteLabels:
        """`n_frames` silent frames."""
        return cls.from_table(np.full((n_frames, len(LABELS)), SILENCE))


@dataclass(frozen=True)
class LabelSpace:
    """Which labels a model knows, for which instruments, and whether each has a class for silence.

    The canonical array form is `classes: (frames, instruments, labels)`, int64 indices.
    Raises:
        ValueError: no label, an unknown or repeated one, no instrument or a repeated one.
    """

    labels: tuple[str, ...] = LABELS
    instruments: tuple[str, ...] = ("Piano",)
    silence: bool = True

    def __post_init__(self) -> None:
        unknown = [label for label in self.labels if label not in LABELS]
        if unknown or not self.labels:
            raise ValueError(
                f"unknown label {', '.join(unknown) or '(none given)'}; known: {', '.join(LABELS)}"
            )
        for what, names in (("label", self.labels), ("instrument", self.instruments)):
            if not names:
                raise ValueError(f"at least one {what} is needed")
            if len(set(names)) < len(names):
                raise ValueError(f"a {what} is given twice: {' '.join(names)}")

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
        """`octave, pitch, ...`; for mixtures `Piano.octave, ...`: the names of CSV columns."""
        if len(self.instruments) == 1:
            return self.labels
        return tuple(
            f"{instrument}.{label}" for instrument in self.instruments for label in self.labels
        )

    def class_names(self, label: str) -> tuple[str, ...]:
        """Names of a label's classes, `silence` last where the model has it."""
        return CLASS_NAMES[label] + (("silence",) if self.silence else ())

    def to_classes(self, labels: Sequence[NoteLabels]) -> np.ndarray:
        """One NoteLabels an instrument -> classes (frames, instruments, labels).

        Raises:
            ValueError: not one NoteLabels an instrument, silence in a space without it, a value out
            of range.
        """
        if len(labels) != len(self.instruments):
            raise ValueError(
                f"expected labels of {len(self.instruments)} instruments, got {len(labels)}"
            )
        keep = [LABELS.index(label) for label in self.labels]
        classes = np.stack([one.table()[:, keep] for one in labels], axis=1)
        n_classes = np.array([N_CLASSES[label] for label in self.labels])
        if (classes == SILENCE).any() and not self.silence:
            raise ValueError("silent frames given to a model without a silence class")
        if (classes < SILENCE).any() or (classes >= n_classes).any():
            raise ValueError(
                "a label is outside its classes (octave 0-8, pitch 0-11, dynamics 0-4)"
            )
        return np.where(classes == SILENCE, n_classes, classes)

    def to_labels(self, classes: np.ndarray) -> list[NoteLabels]:
        """Classes (frames, instruments, labels) -> one NoteLabels an instrument.

        Labels that the space lacks get the defaults (octave 4, pitch C, mf). A frame is silent
        where the majority of its labels says so (ties: silent).
        """
        n_frames = classes.shape[0]
        defaults = {"octave": DEFAULT_OCTAVE, "pitch": 0, "dynamics": DEFAULT_DYNAMICS}
        n_classes = np.array([N_CLASSES[label] for label in self.labels])
        result = []
        for index in range(len(self.instruments)):
            own = np.asarray(classes[:, index])
            silent = 2 * (own >= n_classes).sum(axis=1) >= len(self.labels)
            table = np.stack([np.full(n_frames, defaults[label]) for label in LABELS], axis=1)
            for column, label in enumerate(self.labels):
                table[:, LABELS.index(label)] = np.minimum(own[:, column], N_CLASSES[label] - 1)
            result.append(NoteLabels.from_table(np.where(silent[:, None], SILENCE, table)))
        return result


REST = "rest"


def parse_symbols(tokens: Sequence[str], space: LabelSpace) -> np.ndarray:
    """Tokens of a label list or note names -> classes (groups, instruments, labels).

    Raises:
        ValueError: a wrong number of tokens, a class out of range, an unknown note name, both ways
        mixed.
    """
    numeric = [bool(re.fullmatch(r"-?\d+", token)) for token in tokens]
    if all(numeric):
        return _parse_classes([int(token) for token in tokens], space)
    if any(numeric):
        raise ValueError("class numbers and note names cannot be mixed in one list")
    if len(tokens) % len(space.instruments):
        raise ValueError(
            f"{len(tokens)} notes do not fill groups of {len(space.instruments)} "
            f"({', '.join(space.instruments)})"
        )
    groups = [
        tokens[at : at + len(space.instruments)]
        for at in range(0, len(tokens), len(space.instruments))
    ]
    return np.concatenate(
        [space.to_classes([_parse_note(token, space) for token in group]) for group in groups]
    )


def _parse_classes(values: Sequence[int], space: LabelSpace) -> np.ndarray:
    size = len(space.group_sizes)
    if len(values) % size or not values:
        raise ValueError(
            f"{len(values)} numbers do not fill groups of {size} ({' '.join(space.columns)})"
        )
    classes = np.array(values).reshape(-1, len(space.instruments), len(space.labels))
    for column, (label, n_classes) in enumerate(zip(space.labels, space.sizes)):
        bad = classes[:, :, column][
            (classes[:, :, column] < 0) | (classes[:, :, column] >= n_classes)
        ]
        if len(bad):
            silence = f", {n_classes - 1} = silence" if space.silence else ""
            raise ValueError(f"{label} {bad[0]} is out of range (0-{n_classes - 1}{silence})")
    return classes


def _parse_note(token: str, space: LabelSpace) -> NoteLabels:
    """`A4:mf`, `A4` (mf) or `rest` -> labels of one frame."""
    if token == REST:
        if not space.silence:
            raise ValueError("this model has no class for silence, so it cannot play a rest")
        return NoteLabels.of_silence(1)
    name, _, dynamics = token.partition(":")
    if dynamics and dynamics not in DYNAMICS_NAMES:
        raise ValueError(
            f"'{token}': '{dynamics}' is no dynamic (known: {' '.join(DYNAMICS_NAMES)})"
        )
    index = DYNAMICS_NAMES.index(dynamics) if dynamics else DEFAULT_DYNAMICS
    return NoteLabels.from_notes(np.array([note_name_to_number(name)]), np.array([index]))


def transpose(classes: np.ndarray, semitones: int, space: LabelSpace) -> np.ndarray:
    """Classes (groups, instruments, labels) moved by semitones; silence stays.

    Raises:
        ValueError: the model lacks octave or pitch, or a note leaves C0-B8.
    """
    if not semitones:
        return classes
    if not {"octave", "pitch"} <= set(space.labels):
        raise ValueError("transposition needs a model with the labels octave and pitch")
    octave, pitch = space.labels.index("octave"), space.labels.index("pitch")
    silent = (classes[:, :, octave] == N_CLASSES["octave"]) | (
        classes[:, :, pitch] == N_CLASSES["pitch"]
    )
    numbers = 12 * (classes[:, :, octave] + 1) + classes[:, :, pitch] + semitones
    if (~silent & ((numbers < FIRST_NOTE_NUMBER) | (numbers > LAST_NOTE_NUMBER))).any():
        raise ValueError(f"transposed by {semitones} semitones, a note leaves C0-B8")
    moved = classes.copy()
    moved[:, :, octave] = np.where(silent, classes[:, :, octave], numbers // 12 - 1)
    moved[:, :, pitch] = np.where(silent, classes[:, :, pitch], numbers % 12)
    return moved


def set_dynamics(classes: np.ndarray, dynamics: int | None, space: LabelSpace) -> np.ndarray:
    """Classes with every dynamic but silence replaced. Raises ValueError where the model has no
    dynamics.
    """
    if dynamics is None:
        return classes
    if "dynamics" not in space.labels:
        raise ValueError("this model has no label dynamics to replace")
    column = space.labels.index("dynamics")
    changed = classes.copy()
    changed[:, :, column] = np.where(
        classes[:, :, column] == N_CLASSES["dynamics"], classes[:, :, column], dynamics
    )
    return changed
