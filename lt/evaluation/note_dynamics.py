"""Dynamics of whole notes, which a single frame does not tell: a loud note that dies away passes
the levels of all softer ones.

The model's estimate is the dynamics at which its signal decoder gives the note's partials the level
and the colour that they have. How much each of these tells, and how frequent the dynamics are, is
fitted to the notes of the training part (`DynamicsLogit`). So are the baselines: their majority,
and a random forest on (level, spectral centroid, key).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp

from lt.audio.features import semitone_bands
from lt.config import DecoderConfig
from lt.data.dataset import DataSet
from lt.data.splits import PARTS, TRAIN
from lt.evaluation import metrics
from lt.evaluation.context import EvaluationContext
from lt.evaluation.results import NOTE_DYNAMICS, Score
from lt.inference.symbol_spectra import SymbolSpectra, symbol_spectra
from lt.inference.velocities import excess_of_dynamics
from lt.labels import N_CLASSES, octave_pitch_to_note_number
from lt.midi import velocity_to_dynamics

FOREST_TREES = 300
MISFIT_DB = 3.0  # between a note and the model, before any is seen


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


@dataclass(frozen=True)
class DynamicsLogit:
    """Conditional logit model (McFadden 1974) of a note's dynamics d among those of a model:

        log p(d | e) = bias_d - w_0 mean_p(e_dp)^2 - w_1 var_p(e_dp) + constant

    with e_dp the decibels by which the note's partial p exceeds what the model expects at d.

    Attributes:
        log_weights: (2,) logarithms of w, of level and colour.
        bias: (dynamics,).
    """

    log_weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(cls, excess_db: Sequence[np.ndarray], dynamics: Sequence[int]) -> DynamicsLogit:
        """The most probable parameters given notes, whose priors are normal with variance 1.

        Args:
            excess_db: (dynamics, partials) of each note; the number of partials may differ.
            dynamics: the true index of each.
        """
        squares = np.stack([_squares(own) for own in excess_db])
        rows, prior = np.arange(len(squares)), np.log(0.5 / MISFIT_DB**2)

        def loss(parameters: np.ndarray) -> float:
            log_weights, bias = np.split(parameters, [2])
            logits = bias - squares @ np.exp(log_weights)
            log_probability = logits[rows, dynamics] - logsumexp(logits, axis=1)
            penalty = np.square(log_weights - prior).sum() + np.square(bias).sum()
            return float(0.5 * penalty - log_probability.sum())

        start = np.concatenate([np.full(2, prior), np.zeros(squares.shape[1])])
        return cls(*np.split(minimize(loss, start).x, [2]))

    def __call__(self, excess_db: np.ndarray) -> int:
        """(dynamics, partials) of a note -> the most probable index."""
        return int((self.bias - _squares(excess_db) @ np.exp(self.log_weights)).argmax())


def _squares(excess_db: np.ndarray) -> np.ndarray:
    """(dynamics, partials) -> (dynamics, 2): squares of level and colour."""
    return np.stack([np.square(excess_db.mean(axis=1)), excess_db.var(axis=1)], axis=1)


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
        by_model = _by_model(known, notes, symbols, context)
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


def _by_model(
    known: list[_HeldNote],
    notes: list[_HeldNote],
    symbols: SymbolSpectra,
    context: EvaluationContext,
) -> list[int]:
    """Dynamics of `notes` by the model's spectra, weighed by those of `known`."""
    classes = velocity_to_dynamics(symbols.velocities).tolist()
    learnt = [note for note in known if note.dynamics in classes]
    logit = DynamicsLogit.fit(
        [_excess_db(note, symbols, context) for note in learnt],
        [classes.index(note.dynamics) for note in learnt],
    )
    return [classes[logit(_excess_db(note, symbols, context))] for note in notes]


def _excess_db(note: _HeldNote, symbols: SymbolSpectra, context: EvaluationContext) -> np.ndarray:
    """(dynamics, partials) decibels by which the audible partials exceed those of the model."""
    config = context.run.front_end
    bands = semitone_bands(torch.from_numpy(note.magnitudes), config).numpy()
    excess_db, audible = excess_of_dynamics(
        bands, note.seconds, note.note_number, symbols, config.fmin, DecoderConfig()
    )
    return excess_db[:, audible]


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
