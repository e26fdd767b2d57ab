"""Dynamics of whole notes, which a single frame does not tell: a loud note that dies away passes
the levels of all softer ones.

The model's estimate is the dynamics at which its signal decoder gives the note's partials the level
that they have (`lt.inference.velocities.nearest_dynamics`). Baselines: the majority of the training
part, and a random forest on (level, spectral centroid, key) of its notes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lt.audio.features import semitone_bands
from lt.data.dataset import DataSet
from lt.data.splits import PARTS, TRAIN
from lt.evaluation import metrics
from lt.evaluation.context import EvaluationContext
from lt.evaluation.results import NOTE_DYNAMICS, Score
from lt.inference.symbol_spectra import SymbolSpectra, symbol_spectra
from lt.inference.velocities import nearest_dynamics
from lt.labels import N_CLASSES, octave_pitch_to_note_number
from lt.midi import velocity_to_dynamics

FOREST_TREES = 300


@dataclass(frozen=True)
class _HeldNote:
    """A note while it is held: model frames `magnitudes: (frames, bins)`, `seconds: (frames,)` of
    their centres since the onset, its MIDI number and class of dynamics.
    """

    magnitudes: np.ndarray
    seconds: np.ndarray
    note_number: int
    dynamics: int

    def features(self, bin_octaves: np.ndarray) -> tuple[float, float, int]:
        """Level in dB, spectral centroid in octaves, key."""
        power = np.square(self.magnitudes.astype(np.float64))
        level_db = 10 * np.log10(power.sum(axis=1).max())
        return level_db, float(power.sum(axis=0) @ bin_octaves / power.sum()), self.note_number


def note_dynamics_scores(
    context: EvaluationContext, partition: str, with_forest: bool = True
) -> list[Score]:
    """Scores of the dynamics of a part's notes: of the model, overall and of each instrument, and
    of the baselines; `with_forest`: of the forest too, which is fitted here.

    None for a model whose symbols have no spectra to compare with (`symbol_spectra`).
    """
    pairs: dict[tuple[str, str], list[tuple[int, int]]] = {}  # (scope, name) -> (true, estimated)
    spectra = symbol_spectra(context.run)
    for index, part in enumerate(context.run.space.parts if spectra else ()):
        symbols = spectra[part.voices.start]
        notes = _held_notes(context.data, context.split.frames[partition][index])
        known = _held_notes(context.data, context.split.frames[PARTS[TRAIN]][index])
        if not (notes and known):
            continue
        by_model = [_by_model(note, symbols, context) for note in notes]
        commonest = int(np.bincount([note.dynamics for note in known]).argmax())
        estimates = {
            ("overall", ""): by_model,
            ("instruments", part.name): by_model,
            ("baselines", "majority"): [commonest] * len(notes),
        }
        if with_forest:
            estimates["baselines", "forest"] = _by_forest(known, notes, context)
        truth = [note.dynamics for note in notes]
        for key, estimated in estimates.items():
            pairs.setdefault(key, []).extend(zip(truth, estimated))
    return [
        Score(measure, value, NOTE_DYNAMICS, "symbol", "transfer", scope, name)
        for (scope, name), own in pairs.items()
        for measure, value in _figures(*np.array(own).T).items()
    ]


def _figures(truth: np.ndarray, estimated: np.ndarray) -> dict[str, float]:
    counts = metrics.confusion(truth, estimated, N_CLASSES["dynamics"])
    return {
        "accuracy": float((truth == estimated).mean()),
        "balanced_accuracy": metrics.balanced_accuracy(counts),
        "mean_class_error": metrics.mean_class_error(counts),
    }


def _held_notes(data: DataSet, frames: np.ndarray) -> list[_HeldNote]:
    """The notes of frames (n,), each while it is held and sounds; without those that never are."""
    frames = np.sort(frames)
    of_frame = data.note_of_frame[frames]
    seconds = (frames + 0.5 - data.starts[of_frame]) * data.config.frame_seconds
    held = (seconds > data.notes.onset[of_frame]) & (seconds < data.notes.release[of_frame])
    kept = held & data.sounding[frames]
    frames, of_frame, seconds = frames[kept], of_frame[kept], seconds[kept]
    notes, first = np.unique(of_frame, return_index=True)
    found = []
    for note, rows in zip(notes, np.split(np.arange(len(frames)), first[1:])):
        octave, pitch, dynamics = data.notes.labels[note]
        found.append(
            _HeldNote(
                data.frames(frames[rows]),
                seconds[rows] - data.notes.onset[note],
                int(octave_pitch_to_note_number(octave, pitch)),
                int(dynamics),
            )
        )
    return found


def _by_model(note: _HeldNote, symbols: SymbolSpectra, context: EvaluationContext) -> int:
    """The class of dynamics at which the model decodes the note's level."""
    config = context.run.front_end
    bands = semitone_bands(torch.from_numpy(note.magnitudes), config).numpy()
    nearest = nearest_dynamics(bands, note.seconds, note.note_number, symbols, config.fmin)
    return int(velocity_to_dynamics(symbols.velocities[nearest]))


def _by_forest(
    known: list[_HeldNote], notes: list[_HeldNote], context: EvaluationContext
) -> list[int]:
    """Dynamics of `notes` by a random forest fitted to `known`."""
    from sklearn.ensemble import RandomForestClassifier

    config = context.run.front_end
    octaves = np.arange(config.n_bins) / config.bins_per_octave
    forest = RandomForestClassifier(FOREST_TREES, random_state=context.run.config.seed)
    forest.fit([note.features(octaves) for note in known], [note.dynamics for note in known])
    return forest.predict([note.features(octaves) for note in notes]).tolist()
