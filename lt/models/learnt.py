"""The notes that a run was trained on, and what is said where others are asked for.

`config.json` has them as `learnt`: instrument -> MIDI note number -> dynamics, of the notes in the
training part.

Names: `table` is the entry of one instrument, {note number: (dynamics, ...)}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lt.labels import (
    DYNAMICS_NAMES,
    N_CLASSES,
    SILENCE,
    NoteLabels,
    is_in_range,
    number_to_note_name,
)

Table = dict[int, tuple[int, ...]]
NAMED = 4  # notes that a remark names, of any number


def learnt_table(note_numbers: np.ndarray, dynamics: np.ndarray) -> Table:
    """Note numbers (notes,) and dynamics (notes,) -> the table, in order of note numbers."""
    return {
        int(number): tuple(map(int, np.unique(dynamics[note_numbers == number])))
        for number in np.unique(note_numbers)
    }


def read_tables(values: Mapping[str, Mapping[str, Sequence[int]]]) -> dict[str, Table]:
    """The entry of config.json, whose keys are text, -> instrument -> table.

    Raises:
        AttributeError, TypeError, ValueError: it is none.
    """
    tables = {
        instrument: {int(number): tuple(map(int, dynamics)) for number, dynamics in notes.items()}
        for instrument, notes in values.items()
    }
    for table in tables.values():
        played = {entry for dynamics in table.values() for entry in dynamics}
        if not all(map(is_in_range, table)) or not played <= set(range(N_CLASSES["dynamics"])):
            raise ValueError("learnt notes that are none")
    return tables


def describe_learnt(tables: Mapping[str, Table]) -> list[str]:
    """Notes by instrument and dynamic, one line each, such as `  pp  B3-G4 A4-F7`."""
    lines = []
    for instrument, table in tables.items():
        lines.append(f"{instrument}: {len(table)} keys, {name_spans(table)}")
        for index, name in enumerate(DYNAMICS_NAMES):
            numbers = [number for number, dynamics in table.items() if index in dynamics]
            if numbers:
                lines.append(f"  {name:<2}  {name_spans(numbers)}")
    return lines


def name_spans(note_numbers: Sequence[int] | Table) -> str:
    """Note numbers as spans without gaps: `B3-G4 A4 C5-F7`."""
    numbers = np.sort(list(note_numbers))
    spans = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    ends = [(number_to_note_name(span[0]), number_to_note_name(span[-1])) for span in spans]
    return " ".join(first if first == last else f"{first}-{last}" for first, last in ends)


def remark_on_unlearnt(
    tables: Mapping[str, Table], instrument: str, labels: NoteLabels, with_dynamics: bool = True
) -> str | None:
    """One line on the notes of `labels` that an instrument was not trained on, with those that it
    was; None where there are none.
    """
    table = tables[instrument]
    silence = np.stack([labels.octave, labels.pitch, labels.dynamics]) == SILENCE
    sounding = ~silence.any(axis=0)
    asked = learnt_table(labels.note_number[sounding], labels.dynamics[sounding])
    outside = [number for number in asked if number not in table]
    parts = [f"{name_spans(outside)} (it learnt {name_spans(table)})"] if outside else []
    missing = {
        number: [name for name in _dynamics(played) if name not in _dynamics(table[number])]
        for number, played in asked.items()
        if with_dynamics and number in table
    }
    unlearnt = [
        f"{number_to_note_name(number)} {' '.join(names)} (it learnt "
        f"{number_to_note_name(number)} {' '.join(_dynamics(table[number]))})"
        for number, names in missing.items()
        if names
    ]
    parts += unlearnt[:NAMED]
    if len(unlearnt) > NAMED:
        parts.append(f"dynamics of {len(unlearnt) - NAMED} more keys")
    if (silence.any(axis=0) & ~silence.all(axis=0)).any():
        parts.append("notes of which some labels are silence")
    return f"{instrument} never learnt {', '.join(parts)}" if parts else None


def _dynamics(indices: Sequence[int]) -> list[str]:
    return [DYNAMICS_NAMES[index] for index in indices]
