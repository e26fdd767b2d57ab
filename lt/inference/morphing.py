"""Morphing: a path in the latent space through symbols and recordings.

The points of a morphing are symbols, each one latent distribution, and recordings, each a course of
them. All courses are stretched to the length of the morphing and go on together; a spline along it
weights them, so that a morphing from one recording to another begins with the start of the first
and ends with the end of the second. What is weighted is one of two things:

- cross-fade: the latents. One sound fades into the next; notes between them are not heard;
- glide: pitch in semitones, and the latents of all points brought to that pitch. Symbols are
  encoded with that note, spectra of recordings are shifted to it before they are encoded. Between
  two semitones, the sounds of both are shifted to the pitch and their log-magnitudes interpolated.

Names: `weights: (frames, points)`, `notes: (frames,)` MIDI note numbers, NaN where nothing sounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal

from lt.audio.tuning import bins_per_semitone, shift_bins, tune
from lt.config import SynthesisConfig
from lt.inference.decoding import decode_magnitudes, matching_gain, slow_noise
from lt.inference.latent_paths import spline_path
from lt.inference.note_courses import at_running_age
from lt.inference.note_decoding import posteriors_to_tracks
from lt.inference.posteriors import RecordingAnalysis, encode_magnitudes
from lt.labels import (
    FIRST_NOTE_NUMBER,
    LAST_NOTE_NUMBER,
    SILENCE,
    LabelSpace,
    note_number_to_octave_pitch,
)
from lt.midi import notes_to_labels
from lt.models.runs import Run


@dataclass(frozen=True)
class Morphing:
    """A path of model frames.

    Attributes:
        z: (frames, latent) top latents; of a glide, those of the nearest semitone.
        magnitudes: (frames, bins).
    """

    z: Tensor
    magnitudes: Tensor


@dataclass(frozen=True)
class SymbolPoint:
    """A symbol as a point of a morphing: classes (instruments, labels)."""

    classes: np.ndarray

    def notes(self, space: LabelSpace, n_frames: int) -> np.ndarray:
        """(n_frames,) the note of the first instrument."""
        number = space.to_labels(self.classes[None])[0].note_number[0]
        return np.full(n_frames, np.nan if number == SILENCE else number)

    def encode(self, run: Run, n_frames: int, notes: np.ndarray | None = None) -> Normal:
        """Latents (n_frames, latent); those of `notes` instead of its own, if given."""
        classes = at_running_age(run, self.classes, n_frames)
        if notes is not None and not np.isnan(self.notes(run.space, 1)[0]):
            columns = [run.space.labels.index(label) for label in ("octave", "pitch")]
            octave_pitch = note_number_to_octave_pitch(notes.astype(int))
            classes[:, 0, columns] = np.stack(octave_pitch, axis=1)
        return run.model.encode_symbol(torch.from_numpy(classes).to(run.device)).top


@dataclass(frozen=True)
class RecordingPoint:
    """A recording as a point of a morphing.

    Attributes:
        name: of the file.
        magnitudes: (frames, bins) at A = 440 Hz.
        predicted: (frames,) the note that sounds or is nearest in time, NaN where there is none.
    """

    name: str
    magnitudes: Tensor
    predicted: np.ndarray

    @classmethod
    def of(
        cls, name: str, analysis: RecordingAnalysis, run: Run, transposition: int = 0
    ) -> RecordingPoint:
        """From an analysed recording, moved up by `transposition` semitones."""
        spectra, n_frames = analysis.spectra, len(analysis.spectra.magnitudes)
        predicted = np.full(n_frames, np.nan)
        if {"octave", "pitch"} <= set(run.space.labels):
            notes = posteriors_to_tracks(analysis.posteriors)[0].notes
            labels = notes_to_labels(notes, n_frames, run.front_end.frame_seconds)
            sounding = np.flatnonzero(~labels.silent)
            if len(sounding):
                middles = (sounding[:-1] + sounding[1:]) / 2
                nearest = sounding[np.searchsorted(middles, np.arange(n_frames))]
                predicted = labels.note_number[nearest] + float(transposition)
        tuned = tune(spectra.magnitudes, transposition - spectra.tuning, run.front_end)
        return cls(name, tuned, predicted)

    def notes(self, space: LabelSpace, n_frames: int) -> np.ndarray:
        """(n_frames,) the notes predicted."""
        frames = np.linspace(0, len(self.predicted) - 1, n_frames).round().astype(int)
        return self.predicted[frames]

    def encode(self, run: Run, n_frames: int, notes: np.ndarray | None = None) -> Normal:
        """Latents (n_frames, latent); those of `notes` instead of its own, if given."""
        magnitudes = _stretch(self.magnitudes, n_frames)
        if notes is not None:
            shift = torch.from_numpy(notes - self.notes(run.space, n_frames)).float()
            magnitudes = shift_bins(magnitudes, shift * bins_per_semitone(run.front_end))
        return encode_magnitudes(run, matching_gain(run, self.magnitudes) * magnitudes)


Point = SymbolPoint | RecordingPoint


@torch.no_grad()
def morph(
    run: Run,
    points: Sequence[Point],
    n_frames: int,
    order: int = 1,
    glide: bool = False,
    config: SynthesisConfig = SynthesisConfig(),
) -> Morphing:
    """Morph through points along a spline.

    Args:
        n_frames: model frames of the whole.
        order: of the spline, as `spline_path`.
        glide: glide in pitch instead of a cross-fade.
        config: with `sample`, latents have slow noise.
    Raises:
        ValueError: fewer points than order + 1; a glide with a model of several instruments or
            without octave and pitch, or through a recording without a note.
    """
    weights = spline_path(np.eye(len(points)), n_frames, order)
    if not glide:
        z = _weighted_latents(run, points, weights, config)
        return Morphing(z, decode_magnitudes(run, z))
    notes = _gliding_notes(run, points, weights)
    lower = np.floor(notes).clip(max=LAST_NOTE_NUMBER - 1)
    paths, spectra = [], []
    for number in (lower, lower + 1):
        z = _weighted_latents(run, points, weights, config, number)
        magnitudes = decode_magnitudes(run, z)
        shift = torch.from_numpy(notes - number).float() * bins_per_semitone(run.front_end)
        paths.append(z)
        spectra.append(shift_bins(magnitudes, _for_rows(shift, magnitudes)))
    fraction = torch.from_numpy(notes - lower).float()[:, None]
    tiny = torch.finfo(torch.float32).tiny
    mixed = torch.lerp(
        *(magnitudes.clamp_min(tiny).log() for magnitudes in spectra),
        _for_rows(fraction, spectra[0]),
    )
    return Morphing(torch.where(fraction < 0.5, *paths), mixed.exp())


def _weighted_latents(
    run: Run,
    points: Sequence[Point],
    weights: np.ndarray,
    config: SynthesisConfig,
    notes: np.ndarray | None = None,
) -> Tensor:
    """Top latents (frames, latent): the weighted means, with noise of the weighted deviations."""
    mean, stddev = 0, 0
    for point, column in zip(points, torch.from_numpy(weights).float().T):
        posterior = point.encode(run, len(weights), notes)
        mean = mean + column[:, None] * posterior.mean.cpu()
        stddev = stddev + column[:, None] * posterior.stddev.cpu()
    noise = slow_noise(run, len(weights), config)
    return mean if noise is None else mean + stddev.clamp_min(0) * noise[-1].cpu()


def _gliding_notes(run: Run, points: Sequence[Point], weights: np.ndarray) -> np.ndarray:
    """(frames,) pitch in semitones along a glide, within C0-B8. A rest has the pitch of the point
    before it, the first ones that of the next.
    """
    if len(run.space.instruments) > 1 or not {"octave", "pitch"} <= set(run.space.labels):
        raise ValueError(
            "a glide needs a model of one instrument with one voice and the labels octave and "
            "pitch; "
            "--glide 0 cross-fades"
        )
    notes = [point.notes(run.space, len(weights)) for point in points]
    for point, own in zip(points, notes):
        if isinstance(point, RecordingPoint) and np.isnan(own).any():
            raise ValueError(f"{point.name} has no note to glide from; --glide 0 cross-fades")
    sounding = [index for index, own in enumerate(notes) if not np.isnan(own).any()]
    if not sounding:
        raise ValueError("a glide needs at least one note")
    pitches = [
        notes[max((index for index in sounding if index <= at), default=sounding[0])]
        for at in range(len(points))
    ]
    gliding = (weights * np.stack(pitches, axis=1)).sum(axis=1)
    return gliding.round(9).clip(FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER)


def _stretch(magnitudes: Tensor, n_frames: int) -> Tensor:
    """Magnitudes (frames, bins) interpolated linearly in time to n_frames."""
    position = torch.linspace(0, len(magnitudes) - 1, n_frames, dtype=torch.float64)
    position = position.round(decimals=9)  # as many frames as before are the same frames
    below = position.long()
    above = (below + 1).clamp(max=len(magnitudes) - 1)
    return torch.lerp(magnitudes[below], magnitudes[above], (position - below).float()[:, None])


def _for_rows(values: Tensor, magnitudes: Tensor) -> Tensor:
    """Values of model frames, repeated for the rows of magnitudes that divide each, on the device
    of the magnitudes.
    """
    per_frame = len(magnitudes) // len(values)
    return values.repeat_interleave(per_frame, dim=0).to(magnitudes.device)
