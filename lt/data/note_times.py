"""Onset and release of notes, estimated from their level envelopes.

For notes whose times are not known. The onset is the begin of the first frame that sounds. For the
release, the level in decibels from there on is fitted by one to four straight lines (attack, held
part, release, room) by dynamic programming (Bellman and Roth, Curve Fitting by Segmented Straight
Lines, 1969); the Bayesian information criterion, modified for breaks that are searched (Zhang and
Siegmund, Biometrics 63, 2007), decides how many. The note is released where the line begins that
falls furthest of those that fall faster than the line before changes in either direction, and after
which the level goes on so on average, up to the end.

So a note has no release that decays by itself, or more slowly towards its end, or that was cut off.
What would take longer to fall to silence than the longest release that data sets hold is no release
either: piano notes that beat decay faster at times.

Names: `levels: (frames,)` dB below the note's loudest frame; positions count frames.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lt.config import BuildConfig, NoteTimesConfig


def estimate_onset(sounding: np.ndarray) -> int:
    """The first frame that sounds; 0 where none does."""
    return int(np.argmax(sounding)) if len(sounding) else 0


def estimate_release(
    peaks: np.ndarray,
    onset: int,
    frame_seconds: float,
    silent_db: float,
    config: NoteTimesConfig = NoteTimesConfig(),
) -> float:
    """Position of the note-off in frames, inf where the note is not released within its frames.

    Args:
        peaks: (frames,) largest magnitude of each frame.
        onset: the first frame of the note.
        frame_seconds: duration of a frame.
        silent_db: level relative to the loudest frame at which the note is over.
    """
    loudest = peaks.max(initial=0.0)
    if not loudest > 0:
        return np.inf
    floor = 10 ** (silent_db / 20)
    levels = 20 * np.log10(np.maximum(peaks / loudest, floor))
    audible = np.flatnonzero(peaks > loudest * floor)
    # the first frame of silence shows how fast a release is that ends within a frame; else the last
    # frame is left out, since sound may fill a part of it only
    end = audible[-1] + 2 if audible[-1] + 1 < len(peaks) else len(peaks) - 1
    levels = levels[onset:end]
    factor = -(-len(levels) // config.longest) or 1
    levels = levels[: len(levels) // factor * factor].reshape(-1, factor).mean(axis=1)
    slowest = factor * frame_seconds * silent_db / BuildConfig.release_seconds  # dB a level
    return onset + factor * _release(levels, slowest, config)


def _release(levels: np.ndarray, slowest: float, config: NoteTimesConfig) -> float:
    """Position of the note-off in `levels: (frames,)` from the onset on, inf without one; a
    release falls faster than `slowest` decibels a frame.
    """
    n = len(levels)
    if n < 2 * config.shortest:
        return np.inf
    borders = _segments(levels, config)
    lines = [_line(levels, a, b) for a, b in pairwise(borders)]
    furthest, position = 0.0, np.inf
    for border, end, before, after in zip(borders[1:], borders[2:], lines, lines[1:], strict=False):
        to_end = (levels[-1] - levels[border - 1]) / (n - border)  # on average
        falls = max(after.slope, to_end) < -abs(before.slope) and to_end < slowest
        fall = -after.slope * (end - border)
        if falls and fall > furthest:
            crossing = (before.intercept - after.intercept) / (after.slope - before.slope)
            # between the frames on either side; + 0.5: a frame's level is that of its centre
            position = float(np.clip(crossing, border - 1, border)) + 0.5
            furthest = fall
    return position


class _Line(NamedTuple):
    slope: float
    intercept: float


def _line(levels: np.ndarray, begin: int, end: int) -> _Line:
    """The line that fits the frames from begin to end best."""
    x, y = np.arange(begin, end), levels[begin:end]
    centre = (begin + end - 1) / 2
    slope = ((x - centre) @ y) / np.square(x - centre).sum()
    return _Line(slope, y.mean() - slope * centre)


def _segments(levels: np.ndarray, config: NoteTimesConfig) -> list[int]:
    """Borders of the lines that fit `levels` best, from 0 to the number of frames."""
    n = len(levels)
    errors = _line_errors(levels, config.shortest)
    best, choices, squares = errors[0], [], [errors[0, n]]
    most = min(config.segments, n // config.shortest)
    for _ in range(1, most):
        # best[b]: error of the frames before b; the last line begins at a
        total = best[:-1, None] + errors[:-1]
        choices.append(total.argmin(axis=0))
        best = total.min(axis=0)
        squares.append(best[n])
    n_lines = 1 + np.arange(most)
    variances = np.array(squares) / n + config.least_variance
    fits = [_borders(choices[:index], n) for index in range(most)]
    # two parameters a line and, since it is searched, two a break
    n_parameters = 4 * n_lines - 2
    independent = n * _independence(levels, fits[-1], config.least_variance)
    return fits[int(np.argmin(independent * np.log(variances) + n_parameters * np.log(n)))]


def _borders(choices: list[np.ndarray], n: int) -> list[int]:
    """Borders of the lines, from 0 to n, by the best begin of the last line for each end."""
    borders = [n]
    for choice in choices[::-1]:
        borders.append(int(choice[borders[-1]]))
    return [0, *borders[::-1]]


def _independence(levels: np.ndarray, borders: list[int], least_variance: float) -> float:
    """Independent levels for each level: (1 - r) / (1 + r), where r is the correlation of the
    residuals of neighbouring frames (vibrato and breath last longer than a frame).
    """
    residuals = levels.copy()
    for a, b in pairwise(borders):
        line = _line(levels, a, b)
        residuals[a:b] -= line.intercept + line.slope * np.arange(a, b)
    power = np.square(residuals).sum() + len(levels) * least_variance
    r = (residuals[1:] * residuals[:-1]).sum() / power
    return (1 - max(r, 0.0)) / (1 + max(r, 0.0))


def _line_errors(levels: np.ndarray, shortest: int) -> np.ndarray:
    """(n + 1, n + 1): summed squares of the residuals of the line through frames a to b, b
    excluded; inf where there are fewer than `shortest`.
    """
    n = len(levels)
    x, y = np.arange(n) - n / 2, levels - levels.mean()  # centred: small sums, exact differences
    sums = [np.concatenate([[0.0], np.cumsum(values)]) for values in (x, y, x * x, x * y, y * y)]
    sx, sy, sxx, sxy, syy = (total[None, :] - total[:, None] for total in sums)
    count = np.arange(n + 1)[None, :] - np.arange(n + 1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance, variance = sxy - sx * sy / count, sxx - sx * sx / count
        errors = syy - sy * sy / count - covariance**2 / variance
    return np.where(count >= shortest, np.maximum(errors, 0.0), np.inf)
