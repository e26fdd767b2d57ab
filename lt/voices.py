"""Voices: how loud one instrument's notes are while others play.

The level of a recording belongs to all who play. A note's own is read from bands that hold its partials: from those
that are quick, since the bands of low frequencies ring on both sides of a note's edges, and from none in which another
instrument is heard meanwhile, or its notes would begin and end with the other's.

Names: `level_db: (frames,)`; bands are a semitone wide, from a hearing's `fmin` upwards.
"""
from __future__ import annotations

from typing import Iterable, Sequence

import numpy as np

from lt.hearing import Hearing
from lt.labels import SILENCE
from lt.segments import BEFORE_SECONDS, QUIET_SECONDS, SEMITONES

N_PARTIALS, N_PARTIALS_OF_OTHERS = 8, 16
OCTAVES, RISE_DB = (12, 24), 3.0  # below a note that dies away, as which it is heard; a new note rises by more
QUICK_HERTZ = 600.0  # bands below ring for 0.1 s and more
SHORTEST_SECONDS = 0.03  # for which another note is heard
FLOOR_DB = -120.0


class Voice:
    """One instrument in a hearing.

    Args:
        others: (frames,) each, the likeliest note numbers of the other instruments, `SILENCE` in rests.
    """

    def __init__(self, hearing: Hearing, others: Sequence[np.ndarray]) -> None:
        self._hearing, self._others = hearing, others
        self._before, self._reach, self._shortest = (max(1, round(seconds / hearing.step)) for seconds in
                                                     (BEFORE_SECONDS, QUIET_SECONDS, SHORTEST_SECONDS))

    def level_db(self, number: int, first: int, last: int) -> np.ndarray:
        """(frames,) level of a note that is heard in frames [first, last): known in these and for QUIET_SECONDS
        around them, FLOOR_DB elsewhere. Of a single instrument, the recording's level."""
        hearing = self._hearing
        if hearing.bands is None or not self._others:
            return hearing.level_db
        level_db = np.full(len(hearing), FLOOR_DB)
        known = slice(max(0, first - self._reach), last + self._reach)
        power = np.square(hearing.bands[known, self._own_bands(number, first, last)].astype(np.float32)).sum(axis=1)
        level_db[known] = 10 * np.log10(power + 10 ** (FLOOR_DB / 10))
        return level_db

    def join_decays(self, runs: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        """Runs of (number, first, last) in which a note lasts until it has died away. Beneath another instrument its
        upper partials go first, and what is left is heard as the octave below; a note that really begins there brings
        bands with it that the upper one does not have."""
        joined: list[tuple[int, int, int]] = []
        for number, first, last in runs:
            if joined and joined[-1][2] == first and self._dies_away(joined[-1][0], number, first, last):
                joined[-1] = (joined[-1][0], joined[-1][1], last)
            else:
                joined.append((number, first, last))
        return joined

    def _dies_away(self, upper: int, lower: int, first: int, last: int) -> bool:
        bands, fmin = self._hearing.bands, self._hearing.fmin
        if bands is None or not self._others or upper - lower not in OCTAVES:
            return False
        known = partial_bands(upper, fmin, bands.shape[1], N_PARTIALS_OF_OTHERS)[:, None] + (-1, 0, 1)
        new = np.setdiff1d(partial_bands(lower, fmin, bands.shape[1], N_PARTIALS_OF_OTHERS), known)
        around = slice(max(0, first - self._before), first), slice(first, min(last, first + self._before))
        earlier, later = (np.square(bands[rows, new].astype(np.float32)).sum(axis=1).max() for rows in around)
        return bool(later <= earlier * 10 ** (RISE_DB / 10))

    def _own_bands(self, number: int, first: int, last: int) -> np.ndarray:
        n_bands, fmin = self._hearing.bands.shape[1], self._hearing.fmin
        own = partial_bands(number, fmin, n_bands, N_PARTIALS, QUICK_HERTZ)
        taken = np.zeros(n_bands, bool)
        for heard in self._others:
            for other, count in zip(*np.unique(heard[max(0, first - self._before):last], return_counts=True)):
                if other != SILENCE and count >= self._shortest:
                    at = partial_bands(int(other), fmin, n_bands, N_PARTIALS_OF_OTHERS)
                    taken[np.clip(at[:, None] + (-1, 0, 1), 0, n_bands - 1)] = True  # partials spread to neighbours
        free = own[~taken[own]]
        return free if len(free) else own


def partial_bands(number: int, fmin: float, n_bands: int, n_partials: int, lowest_hertz: float = 0.0) -> np.ndarray:
    """Indices, rising, of the bands that hold a note's first partials, but for those below `lowest_hertz`; where
    hardly any is left, of its uppermost ones."""
    partials = 440.0 * 2.0 ** ((number - 69) / 12) * np.arange(1, n_partials + 1)
    partials = partials[partials >= min(lowest_hertz, 0.6 * partials[-1])]
    indices = np.floor(SEMITONES * np.log2(partials / fmin)).astype(int)
    return np.unique(indices[(indices >= 0) & (indices < n_bands)])
