"""Symbols as people type them: label lists and note names to classes, and tables of labels to CSV.

A label list is flat, one group a note, in the model's label order, instruments in order: `4 9 2  5 0 3`. Note names
fill the instruments in order, as many to a group as there are instruments: `A4:mf C5:f rest`.
"""
from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Sequence

import numpy as np

from lt.files import write_text
from lt.labels import (DEFAULT_DYNAMICS, DYNAMICS_NAMES, FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER, N_CLASSES, LabelSpace,
                       NoteLabels, note_name_to_number)

REST = "rest"


def parse_symbols(tokens: Sequence[str], space: LabelSpace) -> np.ndarray:
    """Tokens of a label list or note names -> classes (groups, instruments, labels).

    Raises:
        ValueError: a wrong number of tokens, a class out of range, an unknown note name, both ways mixed.
    """
    numeric = [bool(re.fullmatch(r"-?\d+", token)) for token in tokens]
    if all(numeric):
        return _parse_classes([int(token) for token in tokens], space)
    if any(numeric):
        raise ValueError("class numbers and note names cannot be mixed in one list")
    if len(tokens) % len(space.instruments):
        raise ValueError(f"{len(tokens)} notes do not fill groups of {len(space.instruments)} "
                         f"({', '.join(space.instruments)})")
    groups = [tokens[at:at + len(space.instruments)] for at in range(0, len(tokens), len(space.instruments))]
    return np.concatenate([space.to_classes([_parse_note(token, space) for token in group]) for group in groups])


def _parse_classes(values: Sequence[int], space: LabelSpace) -> np.ndarray:
    size = len(space.group_sizes)
    if len(values) % size or not values:
        raise ValueError(f"{len(values)} numbers do not fill groups of {size} ({' '.join(space.columns)})")
    classes = np.array(values).reshape(-1, len(space.instruments), len(space.labels))
    for column, (label, n_classes) in enumerate(zip(space.labels, space.sizes)):
        bad = classes[:, :, column][(classes[:, :, column] < 0) | (classes[:, :, column] >= n_classes)]
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
        raise ValueError(f"'{token}': '{dynamics}' is no dynamic (known: {' '.join(DYNAMICS_NAMES)})")
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
    silent = (classes[:, :, octave] == N_CLASSES["octave"]) | (classes[:, :, pitch] == N_CLASSES["pitch"])
    numbers = 12 * (classes[:, :, octave] + 1) + classes[:, :, pitch] + semitones
    if (~silent & ((numbers < FIRST_NOTE_NUMBER) | (numbers > LAST_NOTE_NUMBER))).any():
        raise ValueError(f"transposed by {semitones} semitones, a note leaves C0-B8")
    moved = classes.copy()
    moved[:, :, octave] = np.where(silent, classes[:, :, octave], numbers // 12 - 1)
    moved[:, :, pitch] = np.where(silent, classes[:, :, pitch], numbers % 12)
    return moved


def set_dynamics(classes: np.ndarray, dynamics: int | None, space: LabelSpace) -> np.ndarray:
    """Classes with every dynamic but silence replaced. Raises ValueError where the model has no dynamics."""
    if dynamics is None:
        return classes
    if "dynamics" not in space.labels:
        raise ValueError("this model has no label dynamics to replace")
    column = space.labels.index("dynamics")
    changed = classes.copy()
    changed[:, :, column] = np.where(classes[:, :, column] == N_CLASSES["dynamics"], classes[:, :, column], dynamics)
    return changed


def write_labels_csv(path: Path | str, probabilities: Sequence[np.ndarray], space: LabelSpace,
                     frame_seconds: float) -> None:
    """Class probabilities, one (frames, classes) a group -> a row a frame: time, then class and probability a label."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", *(name for column in space.columns for name in (column, f"{column}_p"))])
    best = [group.argmax(axis=1) for group in probabilities]
    for frame in range(len(best[0])):
        cells = [cell for classes, group in zip(best, probabilities)
                 for cell in (int(classes[frame]), f"{group[frame, classes[frame]]:.4f}")]
        writer.writerow([f"{frame * frame_seconds:.4f}", *cells])
    write_text(path, text.getvalue())
