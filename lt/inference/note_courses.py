"""Note courses: the spectrum of a symbol from its onset through its release.

A model with the label age decodes one spectrum for each class of age that the training notes
reached. Their logarithms are interpolated linearly between the mean times of the classes; a note
that is held longer continues the trend of the second half of the course, where that falls. A
release is the change that the training notes show after their note-off, added to the spectrum that
the note has reached. A model without the label has one spectrum from beginning to end.

Names: `classes: (instruments, labels)` of one symbol, `moments` are times at which a spectrum was
decoded, times are in seconds; `*_db` are log-magnitudes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from lt.audio.features import amplitude_to_db, db_to_amplitude
from lt.config import SpectralConfig, SynthesisConfig
from lt.inference.decoding import decode_subframes, slow_noise
from lt.labels import (
    AGE_UNIT,
    ANY_AGE,
    LEAD_AGES,
    ONSET_AGES,
    RELEASE_AGES,
    SEMITONES,
    AgeTimes,
    age_class,
    is_in_range,
)
from lt.models.runs import Run


@dataclass(frozen=True)
class Course:
    """The spectrum of a symbol from onset to release, at some moments.

    Attributes:
        held_times: (moments,) seconds since the onset, rising; the first may be before it, where
            the windows of the transform reach it already.
        held_db: (moments, bins) log-magnitudes.
        released_times: (moments,) seconds since note-off, rising; empty where no release is learnt.
        released_db: (moments, bins).
        note_off: time of the note-off that `released_db` follows.
    """

    held_times: Tensor
    held_db: Tensor
    released_times: Tensor
    released_db: Tensor
    note_off: float

    def n_lead(self, step: float) -> int:
        """Frames before the onset, of `step` seconds."""
        return max(0, round(-float(self.held_times[0]) / step))

    def spectra(self, seconds: float, step: float) -> Tensor:
        """Magnitudes (frames, bins), every `step` seconds, of a note that is held for `seconds`
        (at least one frame) and released, with `n_lead` frames before the onset.
        """
        n_held = max(1, round(seconds / step))
        times = (torch.arange(-self.n_lead(step), n_held) + 0.5) * step
        held = _along(times, self.held_times, self.held_db)
        if not len(self.released_times):
            return db_to_amplitude(held)
        n_released = 2 * round(float(self.released_times[-1]) / step)
        released = _along(
            (torch.arange(n_released) + 0.5) * step, self.released_times, self.released_db
        )
        at_note_off = _along(torch.tensor([self.note_off]), self.held_times, self.held_db)
        # A partial that had died away before the training notes' note-off shows no change; it is
        # damped as the sound as a whole.
        change = torch.minimum(
            released - at_note_off, _level_db(released) - _level_db(at_note_off)
        ).clamp_max(0.0)
        end = _along(torch.tensor([n_held * step]), self.held_times, self.held_db)
        return db_to_amplitude(torch.cat([held, end + change]))


def _along(times: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Values (knots, bins) at `times: (n,)`, interpolated linearly; before the first knot it is
    that one, after the last the trend of the second half goes on, where it falls.
    """
    if len(knots) == 1:
        return values.expand(len(times), -1)
    below = (torch.searchsorted(knots, times) - 1).clamp(0, len(knots) - 2)
    span = knots[below + 1] - knots[below]
    weight = ((times - knots[below]) / span).clamp(0, 1)[:, None]
    beyond = (times - knots[-1]).clamp_min(0)[:, None]
    return torch.lerp(values[below], values[below + 1], weight) + beyond * _falling_trend(
        knots, values
    )


def _falling_trend(knots: Tensor, values: Tensor) -> Tensor:
    """Slope (bins,) of the line of least squares through the second half of the time, at most 0."""
    late = knots >= min(float(knots[-1]) / 2, float(knots[-2]))
    times = knots[late] - knots[late].mean()
    return (times @ values[late] / times.square().sum()).clamp_max(0.0)


def _level_db(spectra_db: Tensor) -> Tensor:
    """Level (frames, 1) of log-magnitudes (frames, bins)."""
    return 10 * torch.log10(db_to_amplitude(spectra_db).square().sum(dim=1, keepdim=True))


@torch.no_grad()
def symbol_courses(
    run: Run,
    symbols: Sequence[np.ndarray],
    config: SynthesisConfig = SynthesisConfig(),
    numbers: Sequence[int] = (0,),
) -> list[Course]:
    """The courses of symbols, classes (instruments, labels) each, decoded at each class of age that
    the training notes reached; of a symbol with an age, or a model without ages, one spectrum.

    Args:
        numbers: of the notes in their piece, for their latent noise.
    """
    times = [_age_times(run, classes) for classes in symbols]
    rows = torch.cat([_at_ages(run, *pair) for pair in zip(symbols, times)]).to(run.device)
    sizes = [max(len(own.classes), 1) for own in times]
    noise = [slow_noise(run, 1, config, number) for number in numbers] if config.sample else []
    repeats = torch.tensor(sizes, device=run.device)
    layers = tuple(torch.cat(layer).repeat_interleave(repeats, dim=0) for layer in zip(*noise))
    z = run.model.encode_symbol(within_reach(run, rows), layers or None).z[-1]
    lowest = run.decoder_scaler.reference * 10 ** (config.lowest_db / 20)
    decoded = amplitude_to_db(decode_subframes(run, z, rows).clamp_min(lowest)).cpu()
    return [_course(run, *pair) for pair in zip(times, decoded.split(sizes))]


def _at_ages(run: Run, classes: np.ndarray, times: AgeTimes) -> Tensor:
    """`classes: (instruments, labels)` at each class of age of `times`, where its age is not given:
    (ages, instruments, labels); once where there are none.
    """
    ages = torch.from_numpy(times.classes)
    rows = torch.from_numpy(classes).repeat(max(len(ages), 1), 1, 1)
    if len(ages):
        own = rows[:, :, run.space.age_column]
        own[:] = torch.where(own == ANY_AGE, ages[:, None], own)
    return rows


def _course(run: Run, times: AgeTimes, decoded_db: Tensor) -> Course:
    """The course of log-magnitudes (ages, subframes, bins) at the classes of age of `times`."""
    if not len(times.classes):
        constant = decoded_db.mean(dim=1)
        return Course(torch.zeros(1), constant, torch.zeros(0), constant[:0], 0.0)
    kinds = (times.lead, LEAD_AGES), (times.held, ONSET_AGES), (times.released, RELEASE_AGES)
    parts = decoded_db.split([len(means) for means, _ in kinds])
    lead, held, released = (
        _moments(part, means, starts, run.front_end) for part, (means, starts) in zip(parts, kinds)
    )
    floor_db = run.decoder_scaler.floor_db
    held, released = (above_floor(*part, floor_db) for part in (held, released))
    held_times, held_db = (torch.cat(pair) for pair in zip(lead, held))
    return Course(held_times, held_db, *released, times.note_off)


def within_reach(run: Run, classes: Tensor) -> Tensor:
    """Classes (frames, instruments, labels) with each note that the run neither learnt nor was
    transposed to replaced by the nearest that it was. A decoder whose spectra are relative to the
    fundamental plays them at their own notes; others are left as they are.
    """
    if run.config.decoder != "harmonic":
        return classes
    reach = run.config.transpose if run.config.augment else 0
    columns = run.space.note_columns
    result = classes.clone()
    for own, instrument in zip(result.unbind(dim=1), run.space.instruments):
        learnt = torch.tensor(list(run.settings.learnt[run.space.instrument_of(instrument)]))
        keys = torch.arange(int(learnt.min()) - reach, int(learnt.max()) + reach + 1)
        keys = keys[is_in_range(keys) & ((keys[:, None] - learnt).abs().amin(dim=1) <= reach)]
        octave, pitch = (own[:, column] for column in columns)
        silent = octave == int(run.space.silence_classes[columns[0]])
        number = (SEMITONES * (octave + 1) + pitch).cpu()
        nearest = keys[(number[:, None] - keys).abs().argmin(dim=1)].to(own.device)
        for column, value in zip(columns, (nearest // SEMITONES - 1, nearest % SEMITONES)):
            own[:, column] = torch.where(silent, own[:, column], value)
    return result


def above_floor(times: Tensor, spectra_db: Tensor, floor_db: float) -> tuple[Tensor, Tensor]:
    """Keep the moments `times: (moments,)` with `spectra_db: (moments, bins)` whose level is above
    that of a spectrum with all bins at `floor_db`, up to the first that is not, but at least two.
    After them the course goes on as it fell, where the decoder could not represent it.
    """
    floor_db = floor_db + 10 * math.log10(spectra_db.shape[1])
    below = (_level_db(spectra_db)[:, 0] < floor_db).nonzero()
    n_moments = max(2, int(below[0])) if len(below) else len(times)
    return times[:n_moments], spectra_db[:n_moments]


def _age_times(run: Run, classes: np.ndarray) -> AgeTimes:
    """Of the first instrument that sounds in `classes: (instruments, labels)` with its age not
    given; none where there is no such.
    """
    column = run.space.age_column
    if column is None:
        return AgeTimes()
    free = np.flatnonzero(classes[:, column] == ANY_AGE)
    if not len(free):
        return AgeTimes()
    return run.settings.ages[run.space.instrument_of(run.space.instruments[free[0]])]


def _moments(
    decoded_db: Tensor, times: Sequence[float], starts: np.ndarray, front_end: SpectralConfig
) -> tuple[Tensor, Tensor]:
    """Times (moments,) and spectra (moments, bins) of classes of age (classes, subframes, bins):
    every subframe of a class that is one frame long, the mean of others.
    """
    at, spectra = [], []
    n_subframes = decoded_db.shape[1]
    widths = np.diff(starts, append=0.0 if starts[0] < 0 else np.inf)
    widths = widths[np.searchsorted(starts, times, side="right") - 1]
    offsets = ((torch.arange(n_subframes) + 0.5) / n_subframes - 0.5) * front_end.frame_seconds
    for seconds, width, subframes in zip(times, widths, decoded_db):
        if width <= 1.5 * AGE_UNIT and len(times) > 1:
            at.append(seconds + offsets)
            spectra.append(subframes)
        else:
            at.append(torch.tensor([seconds]))
            spectra.append(subframes.mean(dim=0, keepdim=True))
    if not at:
        return decoded_db.new_zeros(0), decoded_db.new_zeros(0, decoded_db.shape[2])
    return torch.cat(at), torch.cat(spectra)


def at_running_age(run: Run, classes: np.ndarray, n_frames: int) -> np.ndarray:
    """Classes (n_frames, instruments, labels) of `classes: (instruments, labels)` in the model
    frames from their onset on; an age that is given stays.
    """
    rows = np.tile(classes, (n_frames, 1, 1))
    if run.space.age_column is not None:
        ages = age_class((np.arange(n_frames) + 0.5) * run.front_end.frame_seconds)
        own = rows[:, :, run.space.age_column]
        if held := _age_times(run, classes).held:
            first, last = age_class(np.array([held[0], held[-1]]))
            own[:] = np.where(own == ANY_AGE, ages.clip(first, last)[:, None], own)
    return rows
