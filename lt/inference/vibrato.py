"""Vibrato: notes that alternate between neighbouring semitones faster than trills are one note.

Half a period of a vibrato of 5 to 8 Hz lasts 60 to 100 ms, a note of a trill of 8 notes a second
125 ms. A vibrato wider than a quarter tone, or beside the tuning, is decoded as such an
alternation. Its pitch is the middle of it: the centroid of the power in the bands around its lowest
partials. Trills faster than `longest_wave` become a note of their middle.

Of a single instrument only: in a mixture the bands hold other instruments too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lt.inference.onsets import OnsetDetector, Region, partial_bands


def join_vibrato(notes: Sequence[Region], detector: OnsetDetector) -> list[Region]:
    """Notes with each alternation that is a vibrato joined into one."""
    if detector.others:
        return list(notes)
    joined: list[Region] = []
    for run in _runs(notes, detector):
        if _is_vibrato(run, detector):
            whole = Region(run[0].note_number, run[0].start, run[-1].end)
            run = [Region(_middle(run, detector), whole.start, whole.end)]
        joined += run
    return joined


def _runs(notes: Sequence[Region], detector: OnsetDetector) -> Iterator[list[Region]]:
    """Notes in order, those together that follow one another without a pause, within
    `widest_vibrato`, none longer than `longest_part`.
    """
    config, run = detector.config, []
    pause, longest = detector.frames(config.shortest_note), detector.frames(config.longest_part)
    for note in notes:
        numbers = [note.note_number, *(part.note_number for part in run)]
        follows = run and note.start - run[-1].end <= pause
        short = max(part.end - part.start for part in (note, *run)) <= longest
        if run and not (follows and short and max(numbers) - min(numbers) <= config.widest_vibrato):
            yield run
            run = []
        run.append(note)
    if run:
        yield run


def _is_vibrato(run: Sequence[Region], detector: OnsetDetector) -> bool:
    """Whether a run changes its direction again and again, and quickly."""
    steps = np.diff([note.note_number for note in run])
    turns = np.count_nonzero(np.diff(np.sign(steps[steps != 0])))
    if turns < detector.config.least_waves - 2:
        return False
    waves = np.diff([note.start for note in run])
    return bool(np.median(waves) <= detector.config.longest_wave / detector.posteriors.step)


def _middle(run: Sequence[Region], detector: OnsetDetector) -> int:
    """The note number at the centroid of the power around the lowest partials."""
    posteriors, config = detector.posteriors, detector.config
    lowest = min(note.note_number for note in run)
    n_bands = posteriors.bands.shape[1]
    bands = posteriors.bands[run[0].start : run[-1].end].astype(np.float32)
    power = np.square(bands).mean(axis=0)
    around = np.arange(-1, config.widest_vibrato + 2)
    total = np.zeros(len(around))
    for partial in partial_bands(lowest, posteriors.fmin, n_bands, config.n_partials_of_pitch):
        total += power[(partial + around).clip(0, n_bands - 1)]
    return lowest + int(np.round((around * total).sum() / max(total.sum(), 1e-15)))
