"""Whether a reference fits its recording better at another time, pitch or tempo.

The transcription stands for the recording, in which a time t of the reference is looked for at
stretch * t + shift, and its pitches `semitones` higher. Pairs of a reference note and a transcribed
note of that pitch vote for a shift; the fullest window of shifts is refined by least squares over
matched notes. Of all fits, the simplest that is about as good as the best counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lt.config import AlignmentConfig
from lt.evaluation.metrics import matched_notes, note_scores
from lt.midi import Note


@dataclass(frozen=True)
class Fit:
    """A reference as it fits a recording.

    Attributes:
        shift: seconds by which it is later in the recording, after the stretch.
        semitones: by which the recording is higher.
        stretch: of its times; above 1 the recording is slower.
        f1: note F1 of the reference as it is; best_f1: after the change, notes that are moved to
            before the recording counted as missed.
    """

    shift: float = 0.0
    semitones: int = 0
    stretch: float = 1.0
    f1: float = 0.0
    best_f1: float = 0.0

    @property
    def same_tempo(self) -> bool:
        """Whether the recording has the tempo of the reference, so that a shift alone aligns it."""
        return self.stretch == 1.0

    def apply(self, notes: Sequence[Note]) -> tuple[Note, ...]:
        """Notes of a reference moved to where the recording has them; those before it left out."""
        return tuple(
            Note(
                max(self._time(note.onset), 0.0),
                self._time(note.offset),
                note.note_number + self.semitones,
                note.velocity,
            )
            for note in notes
            if self._time(note.offset) > 0
        )

    def _time(self, seconds: float) -> float:
        return self.stretch * seconds + self.shift

    def __str__(self) -> str:
        changes = [
            f"at {1 / self.stretch:.3f} of its tempo" * (not self.same_tempo),
            f"transposed by {self.semitones:+d} semitones" * (self.semitones != 0),
            f"shifted by {self.shift:+.2f} s" * (abs(self.shift) >= 0.005),
        ]
        scores = f"note F1 {self.f1:.2f} before, {self.best_f1:.2f} after"
        return f"{' and '.join(filter(None, changes))}: {scores}"


def find_fit(
    reference: Sequence[Note],
    estimated: Sequence[Note],
    config: AlignmentConfig = AlignmentConfig(),
) -> Fit | None:
    """How the notes of a reference fit transcribed ones better than as they are; None if they
    already fit, or do not fit however they are moved.
    """
    f1 = note_scores(reference, estimated).f1
    if f1 > 1 - config.least_gain or min(len(reference), len(estimated)) < config.least_notes:
        return None
    n_notes = len(reference) + len(estimated)
    scored = [
        replace(fit, f1=f1, best_f1=2 * len(matched_notes(moved, estimated)) / n_notes)
        for fit in _candidates(sorted(reference), sorted(estimated), config)
        if (moved := fit.apply(reference))
    ]
    best = max((fit.best_f1 for fit in scored), default=0.0)
    fit = next(fit for fit in scored if fit.best_f1 >= best - config.simplicity)
    return fit if best >= config.least_f1 and fit.best_f1 >= f1 + config.least_gain else None


def _candidates(
    reference: Sequence[Note], estimated: Sequence[Note], config: AlignmentConfig
) -> Iterator[Fit]:
    """The best fit of each kind, the simplest kind first."""
    several = range(-config.most_semitones, config.most_semitones + 1)
    yield _refined(_coarse(reference, estimated, [0], [1.0], config), reference, estimated, config)
    transposed = _coarse(reference, estimated, several, [1.0], config)
    yield replace(transposed, shift=0.0)
    yield _refined(transposed, reference, estimated, config)
    first = reference[: config.first_notes]
    step = config.tolerance / max(first[-1].onset - first[0].onset, config.tolerance)
    n_steps = math.ceil(math.log(config.most_stretch) / step)
    stretches = np.exp(step * np.arange(-n_steps, n_steps + 1)).tolist()
    for semitones in ([0], several):
        yield _refined(
            _coarse(first, estimated, semitones, stretches, config), reference, estimated, config
        )


def _coarse(
    reference: Sequence[Note],
    estimated: Sequence[Note],
    semitones: Sequence[int],
    stretches: Sequence[float],
    config: AlignmentConfig,
) -> Fit:
    """The fit for which most pairs of notes vote, of some transpositions and stretches."""
    onsets, numbers = _arrays(reference[: config.most_notes])
    own_onsets, own_numbers = _arrays(estimated[: config.most_notes])
    best, most = Fit(), 0
    for interval in semitones:
        pairs = np.nonzero(numbers[:, None] + interval == own_numbers)
        for stretch in stretches:
            shifts = own_onsets[pairs[1]] - stretch * onsets[pairs[0]]
            shifts = np.sort(shifts[abs(shifts) <= config.longest_shift])
            until = np.searchsorted(shifts, shifts + 2 * config.tolerance, "right")
            votes = until - np.arange(len(shifts))
            # of equal votes the smaller change
            if len(votes) and votes.max() > most:
                at = int(votes.argmax())
                most = int(votes[at])
                best = Fit(float(np.median(shifts[at : until[at]])), interval, stretch)
    return best


def _refined(
    fit: Fit, reference: Sequence[Note], estimated: Sequence[Note], config: AlignmentConfig
) -> Fit:
    """A fit by least squares over the notes that match under it, of ever more of the reference;
    without a stretch, by the median.
    """
    n_notes = config.first_notes
    while True:
        own = [note for note in reference[:n_notes] if fit.apply([note])]
        pairs = matched_notes(fit.apply(own), estimated)
        onsets = np.array([own[index].onset for index, _ in pairs])
        truths = np.array([estimated[index].onset for _, index in pairs])
        if fit.same_tempo and len(pairs):
            fit = replace(fit, shift=float(np.median(truths - onsets)))
        elif len(set(onsets.tolist())) > 1:
            stretch, shift = np.polyfit(onsets, truths, 1)
            fit = replace(fit, shift=float(shift), stretch=float(stretch))
        if n_notes >= len(reference):
            return fit
        n_notes *= 2


def _arrays(notes: Sequence[Note]) -> tuple[np.ndarray, np.ndarray]:
    """Onsets in seconds and numbers (notes,)."""
    return (
        np.array([note.onset for note in notes]),
        np.array([note.note_number for note in notes]),
    )
