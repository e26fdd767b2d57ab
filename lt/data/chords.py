"""Chords: which notes of one instrument sound at once, and the order of its voices.

Neighbouring notes of a chord are as far apart as in music: thirds, fourths, fifths and octaves
most, with a share of all other intervals, so that none is unknown. The notes of a chord have nearly
the same dynamic; half of the chords begin together, in the others each note is at a moment of its
own, beneath later ones.

Names: `moments` are a source's frames, or moments of its notes; `keys` are MIDI numbers.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lt.labels import LAST_NOTE_NUMBER, N_CLASSES, LabelSpace

# Relative frequency of intervals between neighbouring notes of a chord, in semitones.
INTERVALS = {
    1: 0.5,
    2: 2.0,
    3: 5.0,
    4: 5.0,
    5: 4.0,
    6: 1.5,
    7: 4.0,
    8: 2.0,
    9: 2.0,
    10: 1.0,
    11: 0.5,
    12: 5.0,
    15: 1.0,
    16: 1.0,
    19: 1.5,
    24: 1.5,
}
WIDEST = 36  # semitones between neighbouring notes
ANY_INTERVAL = 0.15  # share of intervals of any width, all alike
TOGETHER = 0.5  # share of chords whose notes began at once
NEAREST = 2  # semitones within which a missing key is replaced by one that there is
ABSENT = -1  # in place of the moment of a voice that is silent


class ChordSampler:
    """Samples the moments of chords of one instrument.

    Args:
        note_number, dynamics: (moments,) labels; the moments of a note are in order of time.
        n_voices: most notes at once.
        weight: (moments,) relative frequency of the moments of a note; None: 1.
    """

    def __init__(
        self, note_number: Tensor, dynamics: Tensor, n_voices: int, weight: Tensor | None = None
    ) -> None:
        self.n_voices = n_voices
        number, level = note_number.cpu().numpy().astype(int), dynamics.cpu().numpy().astype(int)
        cell = number * N_CLASSES["dynamics"] + level
        self._moments = np.argsort(cell, kind="stable")
        weights = np.ones(len(cell)) if weight is None else weight.cpu().numpy()
        self._until = np.append(0.0, np.cumsum(weights[self._moments]))
        bounds = np.arange((LAST_NOTE_NUMBER + 1) * N_CLASSES["dynamics"] + 1)
        first = np.searchsorted(cell[self._moments], bounds)
        self._first = first[:-1].reshape(-1, N_CLASSES["dynamics"])
        self._last = first[1:].reshape(-1, N_CLASSES["dynamics"])
        self._keys = np.unique(number)

    def sample(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Moments (n_rows, voices), the lowest note first, `ABSENT` where there are fewer notes."""
        keys, present = self._sample_keys(n_rows, rng)
        levels = np.arange(N_CLASSES["dynamics"])
        wanted = rng.integers(len(levels), size=(n_rows, 1))
        wanted = (wanted + rng.integers(-1, 2, size=keys.shape)).clip(0, levels[-1])
        known = self._last[keys] > self._first[keys]
        distance = np.abs(levels - wanted[..., None]) + len(levels) * ~known
        level = distance.argmin(axis=2)
        begin, end = self._until[self._first[keys, level]], self._until[self._last[keys, level]]
        share = rng.random(keys.shape)
        together = rng.random((n_rows, 1)) < TOGETHER
        share = np.where(together, share[:, :1], share)
        at = np.searchsorted(self._until, begin + share * (end - begin), side="right") - 1
        at = at.clip(self._first[keys, level], self._last[keys, level] - 1)
        return np.where(present, self._moments[at], ABSENT)

    def _sample_keys(self, n_rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Keys (n_rows, voices) around a random one, and which of them sound: as many as drawn,
        without those that the instrument does not have.
        """
        weights = np.full(WIDEST + 1, ANY_INTERVAL / WIDEST)
        weights[0] = 0.0
        usual = np.array(list(INTERVALS.values()))
        weights[list(INTERVALS)] += (1 - ANY_INTERVAL) * usual / usual.sum()
        steps = rng.choice(WIDEST + 1, size=(n_rows, self.n_voices), p=weights)
        steps[:, 0] = 0
        above = steps.cumsum(axis=1)
        n_notes = rng.integers(1, self.n_voices + 1, size=(n_rows, 1))
        middle = (rng.random((n_rows, 1)) * n_notes).astype(int)
        centre = self._keys[rng.integers(len(self._keys), size=(n_rows, 1))]
        wanted = centre + above - np.take_along_axis(above, middle, axis=1)
        nearest = np.searchsorted(self._keys, wanted).clip(1, max(1, len(self._keys) - 1))
        nearest = nearest.clip(max=len(self._keys) - 1)
        low, high = self._keys[nearest - 1], self._keys[nearest]
        keys = np.where(wanted - low < high - wanted, low, high)
        present = (np.arange(self.n_voices) < n_notes) & (np.abs(keys - wanted) <= NEAREST)
        for voice in range(1, self.n_voices):
            twice = (keys[:, :voice] == keys[:, voice, None]) & present[:, :voice]
            present[:, voice] &= ~twice.any(axis=1)
        absent_last = np.argsort(~present, axis=1, kind="stable")
        keys, present = (np.take_along_axis(own, absent_last, axis=1) for own in (keys, present))
        return keys, present


def voice_order(classes: Tensor, space: LabelSpace) -> Tensor:
    """`LabelSpace.voice_order` of a tensor, on its device."""
    return torch.from_numpy(space.voice_order(classes.cpu().numpy())).to(classes.device)


def in_voice_order(classes: Tensor, space: LabelSpace) -> Tensor:
    """`LabelSpace.in_voice_order` of a tensor, on its device."""
    if not space.chordal:
        return classes
    order = voice_order(classes, space)
    return classes.gather(1, order[..., None].expand_as(classes))
