"""Vibrato: a pitch that swings about a note is that note.

The pitch contour is the centroid of the power in the bands around the partials of the note that the
model hears, on average over a period of vibrato, and of the semitones beside it. In a wide vibrato
it turns again and again, after half waves of `longest_wave` at most. In a quick trill it does so
too; but a trill leaves one of the three bands empty, that between its notes or that beside them,
whereas a vibrato passes through all. In a tremolo of a wider interval the bands that its notes
share do not swing. In a narrow vibrato the model hears one note by itself.

Notes with wide vibrato are made steady before notes are decoded: the bands are shifted back by the
contour, and the model hears the note of the middle.

Of a single instrument only: in a mixture the bands hold other instruments too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import scipy

from lt.config import DecoderConfig
from lt.inference.evidence import SILENT, note_probabilities
from lt.inference.onsets import Region, partial_bands
from lt.inference.posteriors import Posteriors
from lt.labels import SEMITONES, note_number_to_octave_pitch

AROUND = np.array([-1, 0, 1])  # semitones: the bands of a note and those beside it


def without_vibrato(posteriors: Posteriors, instrument: int, config: DecoderConfig) -> Posteriors:
    """Posteriors in which each note with wide vibrato is steady."""
    notes = list(vibratos(posteriors, instrument, config))
    if not notes:
        return posteriors
    bands = posteriors.bands.copy()
    probabilities = [group.copy() for group in posteriors.probabilities]
    space, columns = posteriors.space, posteriors.space.note_columns  # of pitch, octave before it
    for note in notes:
        frames = np.arange(note.start, note.end)
        shift = np.rint(_deviations(posteriors, frames, note.note_number, config)).astype(int)
        index = (np.arange(bands.shape[1]) + shift[:, None]).clip(0, bands.shape[1] - 1)
        bands[frames] = np.take_along_axis(posteriors.bands[frames], index, axis=1)
        model_frames = np.unique(posteriors.model_frames[frames])
        classes = note_number_to_octave_pitch(note.note_number)[-len(columns) :]
        for column, number in zip(columns, classes):
            group = probabilities[instrument * len(space.labels) + column]
            silence = group[model_frames, -1] if space.silence else 0.0
            group[model_frames] = 0.0
            group[model_frames, -1] = silence
            group[model_frames, int(number)] = 1 - silence
    return replace(posteriors, bands=bands, probabilities=tuple(probabilities))


def vibratos(posteriors: Posteriors, instrument: int, config: DecoderConfig) -> Iterator[Region]:
    """Notes with wide vibrato; none in a recording out of tune with the bands by more than
    `widest_detuning`, where steady notes fill two bands.
    """
    detuning = SEMITONES * np.log2(440.0 / posteriors.fmin) % 1 - 0.5
    if abs(detuning) > config.widest_detuning:
        return
    heard = _heard_notes(posteriors, instrument, config)
    contour = np.zeros(len(posteriors))
    for number in np.unique(heard):
        frames = np.flatnonzero(heard == number)
        contour[frames] = number + _deviations(posteriors, frames, number, config)
    contour = np.unwrap(contour, period=SEMITONES)  # the model may hear another octave for a while
    quietest_db = max(posteriors.clear_db.max() + config.quietest_db, config.silent_db)
    sounding = posteriors.clear_db >= quietest_db
    highs, lows = (
        scipy.signal.find_peaks(sign * contour, prominence=config.least_swing)[0]
        for sign in (1, -1)
    )
    turns = np.union1d(highs, lows)
    turns = turns[sounding[turns]]
    waves, swings = np.diff(turns) * posteriors.step, np.abs(np.diff(contour[turns]))
    other = (waves > config.longest_wave) | (swings > config.widest_swing)
    for chain in np.split(turns, np.flatnonzero(other) + 1):
        if len(chain) < config.least_turns:
            continue
        first, last = int(chain[0]), int(chain[-1])
        frames = np.arange(first, last + 1)
        numbers, counts = np.unique(heard[frames], return_counts=True)
        number = int(numbers[counts.argmax()])
        passes_all = _shares(posteriors, frames, number, config).min() >= config.least_share
        lowest, highest = np.percentile(_deviations(posteriors, frames, number, config), (10, 90))
        if not passes_all or highest - lowest < config.least_swing:
            continue
        # The note begins and ends between turns; one beside a quick attack may be missed.
        reach = round(config.waves_beside * (last - first) / (len(chain) - 1))
        begin, end = max(0, first - reach), last + 1 + reach
        distance = np.abs(contour[begin:end] - np.median(contour[frames]))
        within = sounding[begin:end] & (distance <= config.widest_swing / 2)
        before, after = within[: first - begin][::-1], within[last + 1 - begin :]
        yield Region(number, first - _n_leading(before), last + 1 + _n_leading(after))


def _heard_notes(posteriors: Posteriors, instrument: int, config: DecoderConfig) -> np.ndarray:
    """(frames,) number of the note that the model hears, on average over `vibrato_period`, it or
    the notes beside it, and it rather than these.
    """
    numbers, states = note_probabilities(posteriors, instrument)
    notes = states[:, 1:].astype(np.float32)
    near = scipy.ndimage.convolve1d(notes, [0.9, 1, 0.9], axis=1, mode="constant")
    size = max(1, round(config.vibrato_period / posteriors.frame_seconds))
    heard = numbers[1:][scipy.ndimage.uniform_filter1d(near, size, axis=0).argmax(axis=1)]
    return heard[posteriors.model_frames]


def _bands_around(posteriors: Posteriors, number: int, config: DecoderConfig) -> np.ndarray:
    """(partials, 3) indices of the bands `AROUND` the partials of a note."""
    n_bands = posteriors.bands.shape[1]
    partials = partial_bands(
        number, posteriors.fmin, n_bands, config.n_partials_of_pitch, config.lowest_partial_hz
    )
    return (partials[:, None] + AROUND).clip(0, n_bands - 1)


def _deviations(
    posteriors: Posteriors, frames: np.ndarray, number: int, config: DecoderConfig
) -> np.ndarray:
    """(frames,) semitones from a note, -1 to 1: the centroid of the power around its partials."""
    index = _bands_around(posteriors, number, config)
    power = np.square(posteriors.bands[frames[:, None, None], index], dtype=np.float32).sum(axis=1)
    return power @ AROUND / np.maximum(power.sum(axis=1), SILENT)


def _shares(
    posteriors: Posteriors, frames: np.ndarray, number: int, config: DecoderConfig
) -> np.ndarray:
    """(3,) shares, on average over frames, of the power from the lowest to the highest of the bands
    around a note's partials that is in those `AROUND` them.
    """
    index = _bands_around(posteriors, number, config)
    power = np.square(posteriors.bands[frames], dtype=np.float32)
    total = power[:, index.min() : index.max() + 1].sum(axis=1)
    return (power[:, index].sum(axis=1) / np.maximum(total, SILENT)[:, None]).mean(axis=0)


def _n_leading(flags: np.ndarray) -> int:
    """How many flags are true before the first that is not."""
    return int(np.argmin(np.append(flags, False)))
