"""Velocities of transcribed notes, from the level and the colour of each.

What a velocity sounds like is the model's own: the signal decoder gives the levels of a key's
partials at each dynamic from the onset on (`lt.inference.symbol_spectra`). Between the dynamics
levels are interpolated along the logarithm of velocity, a power of which the amplitude is about
(Dannenberg 2006, "The interpretation of MIDI velocity").

Neither the gain of a recording is known nor how well its instrument resembles the training notes.
With x_p the level of a note's partial p in decibels, s_p(v) the model's at velocity v, g the gain:

    d^2(v, g) = mean_p [x_p - s_p(v) - g]^2
    log p(x | v, g) = -(n + 1) / 2 log(1 + d^2(v, g) / (n sigma^2))        (Student's t)

The mean over partials of x_p - s_p(v) tells the level and their spread the colour. Partials of
another instrument deviate together, so all of a note's count as one observation, whose variance
sigma^2 is the misfit of its colour: the variance over its partials at the best velocity, or the
median of that over the recording if it is more; n is `misfit_freedom`. So levels count much where
spectra fit, and little where the model hears another instrument.

All gains are equally probable, and it is equally probable that a recording has one velocity, the
middle of all, and that each of its notes has any from 1 to 127. In chords, notes have any velocity:
what is left of neighbours' partials is a misfit that does not tell of another instrument. A note's
velocity is the median of its posterior, whose mean absolute error is least.

Names: `excess_db: (notes, velocities, partials)` is x_p - s_p(v), NaN where a note lacks a partial.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import logsumexp, softmax

from lt.config import DecoderConfig
from lt.inference.onsets import OnsetDetector, Region, partial_bands
from lt.inference.symbol_spectra import SymbolSpectra
from lt.labels import DEFAULT_DYNAMICS, N_CLASSES
from lt.midi import dynamics_to_velocity

VELOCITIES = np.arange(1, 128)
SILENT = 1e-9  # no magnitude is below it


def note_velocities(
    regions: Sequence[Region], detectors: Sequence[OnsetDetector], chords: bool = False
) -> np.ndarray:
    """(notes,) MIDI velocities of the notes of an instrument, at one gain.

    By the most frequent dynamics of each where the model's symbols have no spectra to compare with,
    mf for a model without dynamics.

    Args:
        detectors: of each region; it tells which bands other notes leave free.
        chords: whether notes sound at once.
    """
    if not regions:
        return np.zeros(0, int)
    found = list(zip(regions, detectors))
    if not detectors[0].posteriors.symbols:
        return np.array([_frequent_velocity(*own) for own in found])
    excess_db = [_excess_db(*own) for own in found]
    return most_probable_velocities(np.stack(excess_db), detectors[0].config, not chords)


def _frequent_velocity(region: Region, detector: OnsetDetector) -> int:
    groups = detector.posteriors.groups(detector.instrument)
    dynamics = DEFAULT_DYNAMICS
    if "dynamics" in groups:
        frames = detector.posteriors.model_frames[region.start : region.end]
        classes = groups["dynamics"][frames, : N_CLASSES["dynamics"]].argmax(axis=1)
        dynamics = int(np.bincount(classes).argmax())
    return int(dynamics_to_velocity(dynamics))


# --- levels of partials ---------------------------------------------------------------------------


def _excess_db(region: Region, detector: OnsetDetector) -> np.ndarray:
    """(velocities, partials) levels of a note above the model's, medians over its frames."""
    posteriors, config = detector.posteriors, detector.config
    symbols = posteriors.symbols[detector.instrument]
    heard = posteriors.bands[region.start : max(region.end, region.start + 1)]
    seconds = np.arange(len(heard)) * posteriors.step
    number, fmin = region.note_number, posteriors.fmin
    at_dynamics, audible = excess_of_dynamics(heard, seconds, number, symbols, fmin, config)
    own = partial_bands(number, fmin, heard.shape[1], config.n_partials)[: len(audible)]
    free = audible & np.isin(own, detector.free_bands(own, region))
    excess_db = np.full((len(VELOCITIES), config.n_partials), np.nan)
    between = interpolation(np.log(symbols.velocities), np.log(VELOCITIES))
    excess_db[:, : len(own)] = between @ at_dynamics
    excess_db[:, : len(own)][:, ~(free if free.any() else audible)] = np.nan
    return excess_db


def excess_of_dynamics(
    heard: np.ndarray,
    seconds: np.ndarray,
    note_number: int,
    symbols: SymbolSpectra,
    fmin: float,
    config: DecoderConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Levels in decibels of a note's partials above those that the model expects of each dynamic,
    medians over frames: (dynamics, partials), and (partials,) bool, which of them are audible.

    Args:
        heard: (frames, bands) magnitudes of the note in semitone bands from `fmin` hertz up.
        seconds: (frames,) of each frame since the onset.
    """
    key = int(np.abs(symbols.note_numbers - note_number).argmin())
    own, expected = (
        partial_bands(number, fmin, heard.shape[1], config.n_partials)
        for number in (note_number, int(symbols.note_numbers[key]))
    )
    shared = min(len(own), len(expected))  # the uppermost may be above all bands
    heard_db = _levels_db(heard[:, own[:shared]])
    moments = interpolation(symbols.times, seconds.clip(symbols.times[0], symbols.times[-1]))
    expected_db = moments @ _levels_db(symbols.bands[key][:, :, expected[:shared]])
    audible = _audible(heard_db, config) | _audible(expected_db, config).any(axis=0)
    return np.median(heard_db - expected_db, axis=1), audible


def _levels_db(magnitudes: np.ndarray) -> np.ndarray:
    return 20 * np.log10(np.maximum(magnitudes.astype(np.float64), SILENT))


def _audible(levels_db: np.ndarray, config: DecoderConfig) -> np.ndarray:
    """Levels (..., frames, partials) -> (..., partials) whether they are within `partial_range` of
    the strongest in most frames.
    """
    below_strongest = levels_db.max(axis=-1, keepdims=True) - levels_db
    return np.median(below_strongest, axis=-2) <= config.partial_range


def interpolation(knots: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(n, knots) weights of values at `knots`, rising, that interpolate them linearly at `at: (n,)`
    and go on as straight lines beyond.
    """
    weights = np.zeros((len(at), len(knots)))
    if len(knots) == 1:
        return weights + 1
    below = np.clip(np.searchsorted(knots, at) - 1, 0, len(knots) - 2)
    share = (at - knots[below]) / (knots[below + 1] - knots[below])
    rows = np.arange(len(at))
    weights[rows, below], weights[rows, below + 1] = 1 - share, share
    return weights


# --- inference ------------------------------------------------------------------------------------


def most_probable_velocities(
    excess_db: np.ndarray, config: DecoderConfig, may_be_one: bool = True
) -> np.ndarray:
    """(notes,) velocities: medians of the posterior, given `excess_db: (notes, velocities,
    partials)`.

    Args:
        may_be_one: whether all notes may have one velocity.
    """
    level_db, colour = np.nanmean(excess_db, axis=2), np.nanvar(excess_db, axis=2)
    variance = _misfit(colour, np.isfinite(excess_db[:, 0]).sum(axis=1)) + config.least_misfit**2
    freedom = config.misfit_freedom
    step = config.gain_step
    gains_db = np.arange(level_db.min(), level_db.max() + step, step)

    def log_likelihoods() -> Iterator[np.ndarray]:
        """(gains, velocities) of each note."""
        for level, spread, scale in zip(level_db, colour, variance):
            squares = (level - gains_db[:, None]) ** 2 + spread
            yield -(freedom + 1) / 2 * np.log1p(squares / (freedom * scale))

    middle = int(np.searchsorted(VELOCITIES, config.middle_velocity))
    any_velocity = sum(logsumexp(own, axis=1) - np.log(own.shape[1]) for own in log_likelihoods())
    one_velocity = sum(own[:, middle] for own in log_likelihoods())
    log_weights = np.stack([any_velocity, one_velocity if may_be_one else one_velocity - np.inf])
    weights = np.exp(log_weights - logsumexp(log_weights))
    velocities = []
    for own in log_likelihoods():
        posterior = weights[0] @ softmax(own, axis=1)
        posterior[middle] += weights[1].sum()
        velocities.append(VELOCITIES[np.searchsorted(np.cumsum(posterior), 0.5)])
    return np.array(velocities)


def _misfit(colour: np.ndarray, n_partials: np.ndarray) -> np.ndarray:
    """(notes,) variance of the misfit between a note and the model.

    Args:
        colour: (notes, velocities) variance over the partials of what the note exceeds the model.
        n_partials: (notes,) of each note. Two degrees of freedom go to gain and velocity.
    """
    freedom = n_partials - 2
    misfit = colour.min(axis=1) * n_partials / np.maximum(freedom, 1)
    known = misfit[freedom > 0]
    return np.maximum(misfit, np.median(known)) if len(known) else misfit
