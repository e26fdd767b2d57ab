"""Segments: a sound divided where it changes, and the exact times at which its notes begin.

Between two changes a sound is one note, a rest, or one chord; so its frames can be judged together,
and the frames around a change, in which two notes mix, count little. Changes are heard as novelty:
how unlike the spectra just before and just after are. The bands of low notes ring for up to a
quarter of a second, on both sides alike, so that a band's magnitude passes half of its later value
at the very moment when its note begins.

Names: `bands: (frames, bands)` magnitudes of semitone-wide bands, `level_db: (frames,)` of the
sound, a bound is the first frame of a segment. Lengths are in frames unless a name says otherwise.

Voices: how loud one instrument's notes are while others play.

The level of a recording belongs to all who play. A note's own is read from bands that hold its
partials: from those that are quick, since the bands of low frequencies ring on both sides of a
note's edges, and from none in which another instrument is heard meanwhile, or its notes would begin
and end with the other's.

Names: `level_db: (frames,)`; bands are a semitone wide, from a hearing's `fmin` upwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Sequence

import numpy as np
from scipy.signal import find_peaks

from lt.inference.posteriors import Hearing
from lt.labels import SEMITONES, SILENCE, note_number_to_hz

NOVELTY_SECONDS = 0.035  # before and after a frame that are compared
NOVELTY, PROMINENCE = (
    0.04,
    0.03,
)  # of a change: its peak, and how far that rises from what is around
FULL_NOVELTY = 0.3  # of frames that say nothing
SHORTEST_SECONDS = 0.035  # of a segment
DIP_DB = 15.0  # a note whose level falls by this much and quickly rises again was struck twice
RISE_DB, RISE_SECONDS = 8.0, 0.08  # how quickly
NEAR_DB = 12.0  # below the note's peak that it comes back to at least; less is an echo
DEPTH_DB = 40.0  # below the peak nothing is looked at
REPEAT_SECONDS = 0.08  # of a stroke at least
ONSET_DB, OFFSET_DB = -12.0, -20.0  # a note lasts from a quarter of its peak amplitude to a tenth
RINGING_ONSET_DB = -6.0  # the same for a level read from bands, which ring before and after alike
ATTACK_SECONDS = 0.3  # in which a note reaches that peak
REST_DB = 14.0  # quieter than its attack: what comes before a note is a rest
QUIET_DB, QUIET_SECONDS = (
    30.0,
    0.2,
)  # the same, whereafter even noise is of its attack; how far that is sought
# of its later magnitude that a new note's bands have when it begins, unless its attack is slow
HALF = 0.45
BEFORE_SECONDS, AFTER_SECONDS = 0.12, 0.07  # around a bound in which a note may begin
OVERLAP_SECONDS = 0.4  # that a note may have sounded beneath the one before, when that ends
# percentile of a band's magnitudes since the note before began, from which a new note stands out
EARLIER = 20
DEEP_DB = 7.0  # of a dip between two notes
NEW = 2.0  # times louder than before are bands that belong to the new note


@dataclass(frozen=True)
class Segmenter:
    """What is needed to divide a sound.

    Attributes:
        bands, level_db (clear of rumble): see the module. step: seconds from frame to frame.
        onset_db: relative to its peak, where a note's level says that it begins.
    """

    bands: np.ndarray
    level_db: np.ndarray
    step: float
    onset_db: float = ONSET_DB

    def frames(self, seconds: float) -> int:
        """Seconds as a number of frames, at least one."""
        return max(1, round(seconds / self.step))

    def novelty(self) -> np.ndarray:
        """(frames,) one minus the cosine between the spectra before and after: 0 in a steady sound,
        1 at most.
        """
        shift, result = self.frames(NOVELTY_SECONDS), np.zeros(len(self.bands), np.float32)
        for start in range(0, len(result), 1 << 15):  # an hour at once would need a gigabyte
            rows = np.arange(start, min(start + (1 << 15), len(result)))
            before, after = (
                unit_rows(self.bands[np.clip(rows + sign * shift, 0, len(result) - 1)])
                for sign in (-1, 1)
            )
            result[rows] = 1 - (before * after).sum(axis=1)
        return result

    def bounds(self, novelty: np.ndarray, sounding: np.ndarray) -> list[int]:
        """First frames of all segments: where it changes, falls silent, begins, or dips; 0 is the
        first.
        """
        changes, _ = find_peaks(novelty * sounding, height=NOVELTY, prominence=PROMINENCE)
        dips, _ = find_peaks(
            -np.maximum(self.level_db, self.level_db.max() - DEPTH_DB), prominence=DIP_DB
        )
        edges, shortest = (
            np.flatnonzero(np.diff(sounding.astype(int))) + 1,
            self.frames(SHORTEST_SECONDS),
        )
        bounds = [0]
        for bound in np.unique(np.concatenate([changes, dips, edges])):
            if bound - bounds[-1] >= shortest:
                bounds.append(int(bound))
        return bounds

    def strikes(self, level_db: np.ndarray) -> list[int]:
        """Frames at which a note of level_db (frames,) is struck again: at the bottom of dips from
        which it rises quickly, and near to its peak; a tremolo is shallower, an echo weaker.
        """
        floor = np.maximum(level_db, level_db.max() - DEPTH_DB)
        dips, _ = find_peaks(-floor, prominence=DIP_DB)
        rise, attack, shortest = (
            self.frames(seconds) for seconds in (RISE_SECONDS, ATTACK_SECONDS, REPEAT_SECONDS)
        )
        found: list[int] = []
        for dip in dips:
            quick = level_db[dip : dip + rise].max() >= level_db[dip] + RISE_DB
            near = level_db[dip : dip + attack].max() >= level_db.max() - NEAR_DB
            if (
                quick
                and near
                and dip - (found[-1] if found else 0) >= shortest
                and len(level_db) - dip >= shortest
            ):
                found.append(int(dip))
        return found

    def onset(
        self, level_db: np.ndarray, start: int, end: int, since: int = 0, before: int = 0
    ) -> tuple[int, bool]:
        """The frame at which the note of a segment [start, end) begins, its own level being
        level_db (all frames), and whether the one before may sound on above it. `since` that frame
        no other note is heard; the last that was heard began at `before`.
        """
        if since < start:  # a rest
            before = since
        peak = self._peak(level_db, start, end)
        lead = max(since, start - self.frames(QUIET_SECONDS))
        quiet = np.flatnonzero(level_db[lead:start] <= peak - QUIET_DB)
        if len(quiet):
            return self.attack(level_db, lead + int(quiet[-1]), end), False
        dip = self._dip(level_db, start)
        if dip is not None and end - dip > 1:
            return self.attack(level_db, dip, end), False
        back = max(0, start - self.frames(BEFORE_SECONDS))
        if back == start or level_db[back:start].max() < peak - REST_DB:
            first = max(0, start - self.frames(BEFORE_SECONDS / 2))
            return first + int(
                np.flatnonzero(level_db[first:end] >= peak + self.onset_db)[0]
            ), False
        return self.attack(level_db, self._new_bands(start, end, before), end), True

    def _peak(self, level_db: np.ndarray, start: int, end: int) -> float:
        """The level that a note beginning at `start` attacks to."""
        return float(level_db[start : min(end, start + self.frames(ATTACK_SECONDS))].max())

    def _dip(self, level_db: np.ndarray, start: int) -> int | None:
        """The quietest frame near a bound, where the level dips there: players part their notes."""
        first = max(0, start - self.frames(BEFORE_SECONDS))
        around = level_db[first : start + self.frames(BEFORE_SECONDS)]
        at = int(around.argmin())
        deep = min(around[: at + 1].max(), around[at:].max()) - around[at] >= DEEP_DB
        return first + at if deep else None

    def attack(self, level_db: np.ndarray, start: int, end: int) -> int:
        """The frame in [start, end) at which the level first comes within `onset_db` of the
        attack's peak.
        """
        peak = self._peak(level_db, start, end)
        return start + int(np.flatnonzero(level_db[start:end] >= peak + self.onset_db)[0])

    def _new_bands(self, start: int, end: int, before: int) -> int:
        """The frame at which the bands that are new in [start, end) reach half of their later
        magnitude, or what a note has of its peak at its onset; the note that began at `before` may
        have covered them until `start`.
        """
        ring = self.frames(NOVELTY_SECONDS)
        if start + ring >= len(self.bands):  # the sound ends before the new bands have risen
            return start
        first = max(
            before, min(start - 4 * ring, max(start - self.frames(OVERLAP_SECONDS), before + ring))
        )
        after = self._rows(start + ring, max(start + ring + 1, min(end, start + 4 * ring))).mean(
            axis=0
        )
        earlier = np.percentile(self._rows(first, max(first + 1, start - ring)), EARLIER, axis=0)
        new = np.where(after > NEW * earlier, after, 0.0)
        if new.sum() <= 0.1 * after.sum():
            return start
        own = self._rows(first, min(end, start + self.frames(ATTACK_SECONDS))) @ new
        begun = max(HALF * (new @ after), 10 ** (self.onset_db / 20) * own[start - first :].max())
        below = np.flatnonzero(own[: start - first + self.frames(AFTER_SECONDS)] < begun)
        return min(end - 1, first + int(below[-1]) + 1) if len(below) else first

    def _rows(self, start: int, end: int) -> np.ndarray:
        return self.bands[start:end].astype(np.float32)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows (frames, bands) of length 1; silent ones stay zero."""
    rows = rows.astype(np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def offset_frame(level_db: np.ndarray, start: int, end: int) -> int:
    """One past the last frame of [start, end) whose level is within OFFSET_DB of the peak."""
    own = level_db[start:end]
    return start + int(np.flatnonzero(own >= own.max() + OFFSET_DB)[-1]) + 1


N_PARTIALS, N_PARTIALS_OF_OTHERS = 8, 16
OCTAVES, DECAY_RISE_DB = (
    (12, 24),
    3.0,
)  # below a note that dies away, as which it is heard; a new note rises by more
QUICK_HERTZ = 600.0  # bands below ring for 0.1 s and more
OTHERS_SHORTEST_SECONDS = 0.03  # for which another note is heard
FLOOR_DB = -120.0


class Voice:
    """One instrument in a hearing.

    Args:
        others: (frames,) each, the likeliest note numbers of the other instruments, `SILENCE` in
            rests.
    """

    def __init__(self, hearing: Hearing, others: Sequence[np.ndarray]) -> None:
        self._hearing, self._others = hearing, others
        self._before, self._reach, self._shortest = (
            max(1, round(seconds / hearing.step))
            for seconds in (BEFORE_SECONDS, QUIET_SECONDS, OTHERS_SHORTEST_SECONDS)
        )

    def level_db(self, number: int, first: int, last: int) -> np.ndarray:
        """(frames,) level of a note that is heard in frames [first, last): known in these and for
        QUIET_SECONDS around them, FLOOR_DB elsewhere. Of a single instrument, the recording's
        level.
        """
        hearing = self._hearing
        if hearing.bands is None or not self._others:
            return hearing.level_db
        level_db = np.full(len(hearing), FLOOR_DB)
        known = slice(max(0, first - self._reach), last + self._reach)
        power = np.square(
            hearing.bands[known, self._own_bands(number, first, last)].astype(np.float32)
        ).sum(axis=1)
        level_db[known] = 10 * np.log10(power + 10 ** (FLOOR_DB / 10))
        return level_db

    def join_decays(self, runs: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        """Runs of (number, first, last) in which a note lasts until it has died away. Beneath
        another instrument its upper partials go first, and what is left is heard as the octave
        below; a note that really begins there brings bands with it that the upper one does not
        have.
        """
        joined: list[tuple[int, int, int]] = []
        for number, first, last in runs:
            if (
                joined
                and joined[-1][2] == first
                and self._dies_away(joined[-1][0], number, first, last)
            ):
                joined[-1] = (joined[-1][0], joined[-1][1], last)
            else:
                joined.append((number, first, last))
        return joined

    def _dies_away(self, upper: int, lower: int, first: int, last: int) -> bool:
        bands, fmin = self._hearing.bands, self._hearing.fmin
        if bands is None or not self._others or upper - lower not in OCTAVES:
            return False
        known = partial_bands(upper, fmin, bands.shape[1], N_PARTIALS_OF_OTHERS)[:, None] + (
            -1,
            0,
            1,
        )
        new = np.setdiff1d(partial_bands(lower, fmin, bands.shape[1], N_PARTIALS_OF_OTHERS), known)
        around = (
            slice(max(0, first - self._before), first),
            slice(first, min(last, first + self._before)),
        )
        earlier, later = (
            np.square(bands[rows, new].astype(np.float32)).sum(axis=1).max() for rows in around
        )
        return bool(later <= earlier * 10 ** (DECAY_RISE_DB / 10))

    def _own_bands(self, number: int, first: int, last: int) -> np.ndarray:
        n_bands, fmin = self._hearing.bands.shape[1], self._hearing.fmin
        own = partial_bands(number, fmin, n_bands, N_PARTIALS, QUICK_HERTZ)
        taken = np.zeros(n_bands, bool)
        for heard in self._others:
            for other, count in zip(
                *np.unique(heard[max(0, first - self._before) : last], return_counts=True)
            ):
                if other != SILENCE and count >= self._shortest:
                    at = partial_bands(int(other), fmin, n_bands, N_PARTIALS_OF_OTHERS)
                    taken[np.clip(at[:, None] + (-1, 0, 1), 0, n_bands - 1)] = (
                        True  # partials spread to neighbours
                    )
        free = own[~taken[own]]
        return free if len(free) else own


def partial_bands(
    number: int, fmin: float, n_bands: int, n_partials: int, lowest_hertz: float = 0.0
) -> np.ndarray:
    """Indices, rising, of the bands that hold a note's first partials, but for those below
    `lowest_hertz`; where hardly any is left, of its uppermost ones.
    """
    partials = note_number_to_hz(number) * np.arange(1, n_partials + 1)
    partials = partials[partials >= min(lowest_hertz, 0.6 * partials[-1])]
    indices = np.floor(SEMITONES * np.log2(partials / fmin)).astype(int)
    return np.unique(indices[(indices >= 0) & (indices < n_bands)])
