"""The metrics of models, each with its formula.

Spectra and symbols are compared frame by frame. Results of a frame are (frames,) arrays, so that
the caller averages them once, over whatever it pools. Logarithms are natural unless a name ends in
`_db`.

Names: `reference_*` is the truth, `estimated_*` the prediction; `classes: (frames, instruments,
labels)` as in `lt.labels.LabelSpace`, silence being the last class and scored as any other.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from itertools import permutations
from typing import Iterable, Protocol, Sequence

import numpy as np
from torch import Tensor

from lt.labels import note_number_to_hz
from lt.midi import Note

FLOOR_DB = 40.0  # spectra are compared down to so far below the true frame's loudest bin
SILENT_MAGNITUDE = 1e-10  # stands for the loudest bin of a frame of digital silence
# of a latent unit's posterior mean over frames, above which the unit counts as used
ACTIVE_VARIANCE = 0.01
OFFSET_RATIO = 0.2  # of a note's length by which its offset may differ (50 ms at least)
APART_SECONDS = 0.1  # onsets further apart cannot match
PORTION = 400  # about as many notes are matched at once
TICKS_PER_SECOND = 100  # grid of the frame scores of transcriptions


class Distribution(Protocol):
    """Whatever has a log-density: torch's distributions, and `lt.models.networks.Symbols`."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density of x, in nats."""


# --- spectra --------------------------------------------------------------------------------------


def log_likelihood(px: Distribution, x: Tensor) -> Tensor:
    """log p(x|z) in nats, summed over the last axis (bins or groups): (frames, n) -> (frames,)."""
    return px.log_prob(x).sum(dim=-1)


def floored(reference: np.ndarray, estimated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both magnitudes (frames, bins), clipped at FLOOR_DB below the true frame's loudest bin.

    The floor is the same for all models, whatever range their features resolve, so that their
    scores compare; without it, inaudible bins would dominate.
    """
    peak = np.maximum(reference.max(axis=-1, keepdims=True), SILENT_MAGNITUDE)
    floor = peak * 10 ** (-FLOOR_DB / 20)
    clipped = (np.maximum(magnitudes, floor) for magnitudes in (reference, estimated))
    return tuple(magnitudes.astype(np.float64) for magnitudes in clipped)


def itakura_saito(reference: np.ndarray, estimated: np.ndarray) -> np.ndarray:
    """Itakura-Saito divergence of estimate from truth, on power spectra: (frames, bins) magnitudes
    -> (frames,).

        d(P, Q) = 1/K sum_k [ P_k / Q_k - ln(P_k / Q_k) - 1 ]      P = reference^2, Q = estimated^2

    Zero for equal spectra, never below. It is not symmetric: too little power in Q costs more than
    too much. Itakura & Saito 1968, "Analysis synthesis telephony based on the maximum likelihood
    method"; discrete form in Fevotte, Bertin & Durrieu 2009, eq. 1, here averaged over the K bins;
    floored as in `floored`.
    """
    reference, estimated = floored(reference, estimated)
    ratio = (reference / estimated) ** 2
    return (ratio - np.log(ratio) - 1).mean(axis=-1)


def log_spectral_distance_db(reference: np.ndarray, estimated: np.ndarray) -> np.ndarray:
    """Log-spectral distance in decibels: magnitudes (frames, bins) -> (frames,).

        d(M, N) = sqrt( 1/K sum_k [ 20 log10(M_k / N_k) ]^2 )

    Symmetric but for the floor (see `floored`). Gray & Markel 1976, "Distance measures for speech
    processing", with p = 2.
    """
    reference, estimated = floored(reference, estimated)
    return np.sqrt(((20 * np.log10(reference / estimated)) ** 2).mean(axis=-1))


def active_units(means: np.ndarray) -> int:
    """Number of latent dimensions whose posterior mean varies over frames: Var_x(E[z|x]) > 0.01.

    Burda, Grosse & Salakhutdinov 2016, "Importance weighted autoencoders", section 5.2. means:
    (frames, latent).
    """
    return int((means.var(axis=0) > ACTIVE_VARIANCE).sum())


# --- symbols --------------------------------------------------------------------------------------


def accuracy(reference: np.ndarray, estimated: np.ndarray) -> float:
    """Fraction of equal entries (the article's classification ratio); arrays of equal shape."""
    return float((reference == estimated).mean())


def set_figures(truth: np.ndarray, estimated: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 of sets (rows, members) bool, over all rows together."""
    hits = int((truth & estimated).sum())
    n_true, n_estimated = int(truth.sum()), int(estimated.sum())
    return {
        "precision": hits / max(n_estimated, 1),
        "recall": hits / max(n_true, 1),
        "f1": 2 * hits / max(n_true + n_estimated, 1),
    }


def false_intervals(truth: np.ndarray, estimated: np.ndarray, widest: int = 12) -> np.ndarray:
    """Counts (2 * widest + 1,) of false keys by their distance in semitones to the nearest true
    one, above it as below; those further away are left out. Arrays (rows, keys) bool.
    """
    counts = np.zeros(2 * widest + 1, int)
    for row, key in zip(*np.nonzero(estimated & ~truth)):
        distance = key - np.flatnonzero(truth[row])
        if len(distance):
            nearest = int(distance[np.abs(distance).argmin()])
            if abs(nearest) <= widest:
                counts[nearest + widest] += 1
    return counts


def confusion(reference: np.ndarray, estimated: np.ndarray, n_classes: int) -> np.ndarray:
    """Counts (n_classes, n_classes): row = true class, column = estimated class. Arrays of equal
    shape.
    """
    flat = reference.ravel() * n_classes + estimated.ravel()
    return np.bincount(flat, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def balanced_accuracy(counts: np.ndarray) -> float:
    """Mean recall of the classes that occur, from a confusion matrix.

    Brodersen et al. 2010, "The balanced accuracy and its posterior distribution", for any number of
    classes.
    """
    occurring = counts.sum(axis=1) > 0
    return float((counts.diagonal()[occurring] / counts.sum(axis=1)[occurring]).mean())


def mean_class_error(counts: np.ndarray) -> float:
    """Mean distance of estimated from true class, from the confusion matrix of ordered classes
    (Gaudette & Japkowicz 2009, "Evaluation methods for ordinal classification"); nan where nothing
    was counted.
    """
    distance = np.abs(np.subtract.outer(*2 * [np.arange(len(counts))]))
    return float((counts * distance).sum() / counts.sum()) if counts.any() else float("nan")


def permutation_invariant_accuracy(reference: np.ndarray, estimated: np.ndarray) -> float:
    """Fraction of instruments that are right in the best assignment of estimates to instruments of
    each frame.

        1/F sum_f max_pi 1/I sum_i [ estimated_{f, pi(i)} = reference_{f, i} ]

    Arrays (frames, instruments, labels); an instrument is right where all of its labels are. For
    mixtures of similar instruments, where the notes may be right but assigned to the wrong
    instrument. After the permutation-invariant training of Yu et al. 2017.
    """
    # (frames, instruments, instruments)
    hits = (reference[:, :, None] == estimated[:, None, :]).all(axis=-1)
    instruments = range(hits.shape[1])
    accuracies = [
        hits[:, instruments, list(order)].mean(axis=1) for order in permutations(instruments)
    ]
    return float(np.max(accuracies, axis=0).mean())


# --- transcriptions -------------------------------------------------------------------------------


@dataclass(frozen=True)
class NoteScores:
    """Note scores of one file: onset within 50 ms and pitch within 50 cents; for `f1_with_offsets`
    also the offset within 20 % of the note's length or 50 ms.
    """

    precision: float
    recall: float
    f1: float
    f1_with_offsets: float


@dataclass(frozen=True)
class FrameCounts:
    """Counts of ticks of 10 ms, which add up over files.

    Attributes:
        sounding: the truth sounds; right_note, right_pitch_class: the estimate agrees there.
        silent: the truth is silent; false_alarms: the estimate sounds there.
    """

    sounding: int = 0
    right_note: int = 0
    right_pitch_class: int = 0
    silent: int = 0
    false_alarms: int = 0

    def __add__(self, other: FrameCounts) -> FrameCounts:
        return FrameCounts(*map(operator.add, vars(self).values(), vars(other).values()))


def note_scores(reference: Sequence[Note], estimated: Sequence[Note]) -> NoteScores:
    """Score the notes of one file by mir_eval.transcription (Raffel et al. 2014); all zero where
    either is empty.
    """
    if not reference or not estimated:
        return NoteScores(0.0, 0.0, 0.0, 0.0)
    right = len(matched_notes(reference, estimated))
    with_offsets = len(matched_notes(reference, estimated, OFFSET_RATIO))
    n_notes = len(reference) + len(estimated)
    return NoteScores(
        right / len(estimated),
        right / len(reference),
        2 * right / n_notes,
        2 * with_offsets / n_notes,
    )


def unmatched_notes(
    reference: Sequence[Note], estimated: Sequence[Note]
) -> tuple[list[Note], list[Note]]:
    """The reference notes without a match, and the estimated ones; matched as by `note_scores`,
    whatever their offsets.
    """
    pairs = matched_notes(reference, estimated)
    found = {index for index, _ in pairs}
    right = {index for _, index in pairs}
    return (
        [note for index, note in enumerate(reference) if index not in found],
        [note for index, note in enumerate(estimated) if index not in right],
    )


def matched_velocities(reference: Sequence[Note], estimated: Sequence[Note]) -> np.ndarray:
    """(matches, 2) velocities of reference and estimate, of the notes that `note_scores` matches
    whatever their offsets.
    """
    pairs = matched_notes(reference, estimated) if reference and estimated else []
    velocities = [(reference[i].velocity, estimated[j].velocity) for i, j in pairs]
    return np.array(velocities, int).reshape(-1, 2)


def velocity_figures(matched: Iterable[np.ndarray]) -> dict[str, float]:
    """Mean absolute error of velocity over the matched notes of all files, and that of the best
    constant, the median of their true velocities; none without a match.

    Args:
        matched: of each file, from `matched_velocities`.
    """
    pooled = np.concatenate(list(matched))
    if not len(pooled):
        return {}
    truth, estimated = pooled.T
    return {
        "velocity_error": float(np.abs(truth - estimated).mean()),
        "velocity_constant": float(np.abs(truth - np.median(truth)).mean()),
    }


def matched_notes(
    reference: Sequence[Note], estimated: Sequence[Note], offset_ratio: float | None = None
) -> list[tuple[int, int]]:
    """Pairs of indices of the notes that mir_eval matches, by onset and pitch, and with a ratio by
    offset too. It compares all pairs of notes, which takes gigabytes for an hour's thousands; so it
    gets them in portions between which no match is possible.
    """
    from mir_eval.transcription import match_notes

    order = sorted(
        [(note.onset, 0, index) for index, note in enumerate(reference)]
        + [(note.onset, 1, index) for index, note in enumerate(estimated)]
    )
    portions: list[tuple[list[int], list[int]]] = [([], [])]
    for (onset, which, index), before in zip(order, [-np.inf, *(onset for onset, _, _ in order)]):
        if onset - before > APART_SECONDS and sum(map(len, portions[-1])) >= PORTION:
            portions.append(([], []))
        portions[-1][which].append(index)
    pairs = []
    for truths, guesses in portions:
        if truths and guesses:
            matched = match_notes(
                *_intervals_and_pitches([reference[index] for index in truths]),
                *_intervals_and_pitches([estimated[index] for index in guesses]),
                offset_ratio=offset_ratio,
            )
            pairs += [(truths[truth], guesses[guess]) for truth, guess in matched]
    return pairs


def _intervals_and_pitches(notes: Sequence[Note]) -> tuple[np.ndarray, np.ndarray]:
    """Intervals (notes, 2) in seconds, of a millisecond at least, and pitches in hertz."""
    intervals = np.array([[note.onset, max(note.offset, note.onset + 1e-3)] for note in notes])
    return intervals, note_number_to_hz(np.array([note.note_number for note in notes]))


def frame_counts(reference: Sequence[Note], estimated: Sequence[Note]) -> FrameCounts:
    """Compare two lists of notes tick by tick; of overlapping notes, the last to end counts."""
    end = max((note.offset for note in (*reference, *estimated)), default=0.0)
    n_ticks = int(end * TICKS_PER_SECOND) + 2
    truth = _roll(reference, n_ticks)
    other = _roll(estimated, n_ticks)
    sounds = truth >= 0
    return FrameCounts(
        sounding=int(sounds.sum()),
        right_note=int((truth == other)[sounds].sum()),
        right_pitch_class=int(((truth % 12 == other % 12) & (other >= 0))[sounds].sum()),
        silent=int((~sounds).sum()),
        false_alarms=int((other[~sounds] >= 0).sum()),
    )


def _roll(notes: Sequence[Note], n_ticks: int) -> np.ndarray:
    """(n_ticks,) MIDI number at each tick, -1 where nothing sounds."""
    roll = np.full(n_ticks, -1)
    for note in sorted(notes, key=lambda note: note.offset):
        begin, end = (
            round(time * TICKS_PER_SECOND)
            for time in (note.onset, max(note.offset, note.onset + 1e-3))
        )
        roll[begin:end] = note.note_number
    return roll


def pooled_note_figures(
    scores: Iterable[NoteScores], counts: Iterable[FrameCounts]
) -> dict[str, float]:
    """The `notes` of results.json: note scores as means over files, frame figures over all ticks
    of all files.
    """
    scores = [vars(of_file) for of_file in scores]
    total = sum(counts, FrameCounts())
    figures = {name: float(np.mean([of_file[name] for of_file in scores])) for name in scores[0]}
    return figures | {
        "frame_note": total.right_note / max(total.sounding, 1),
        "frame_pitch_class": total.right_pitch_class / max(total.sounding, 1),
        "frame_false_alarm": total.false_alarms / max(total.silent, 1),
    }
