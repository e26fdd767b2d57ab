"""Evidence for each note of one instrument: what the model hears, and what the note explains.

A state is a note number or silence. Two terms add up: the logarithms of the model's posterior and
of the share of the sound's power which the state explains. A note explains the power in the bands
of its partials, silence what no note explains: so a note is told from the octave above, which
leaves every second partial unexplained, and from noise. In a mixture this is the power in bands
that the most probable notes of the other instruments leave free, and the less it is of all, the
less it counts.

A model hears its instrument also in what it never learnt, such as babble or a room's tail. So a
frame is noise, which counts as silence, with a probability epsilon whatever the model hears:

    p'(silence) = (1 - epsilon) p(silence) + epsilon,    p'(note) = (1 - epsilon) p(note)

What never stops, such as hum, is explained by no note.

Names: `numbers: (states,)` note numbers, `SILENCE` first; frames are those of the fine grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from lt.inference.noise import noise_floor
from lt.inference.onsets import BLOCK_FRAMES, OnsetDetector
from lt.inference.posteriors import Posteriors
from lt.labels import DEFAULT_OCTAVE, N_CLASSES, SILENCE, octave_pitch_to_note_number

SILENT = 1e-15  # power of silence


def note_probabilities(posteriors: Posteriors, instrument: int) -> tuple[np.ndarray, np.ndarray]:
    """The states of one instrument: note numbers (states,), `SILENCE` first, and probabilities
    (model frames, states).

    Octave and pitch are independent given the latent, so a note's probability is their product. A
    model without octaves has all its notes in octave 4.
    """
    groups = posteriors.groups(instrument)
    pitch = groups["pitch"]
    octave, octaves = np.ones((len(pitch), 1)), np.array([DEFAULT_OCTAVE])
    if "octave" in groups:
        octave, octaves = groups["octave"], np.arange(N_CLASSES["octave"])
    pitches = np.arange(N_CLASSES["pitch"])
    notes = octave[:, : len(octaves), None] * pitch[:, None, : len(pitches)]
    silence = np.zeros((len(pitch), 1))
    if posteriors.space.silence:
        silence = pitch[:, -1:] * (octave[:, -1:] if "octave" in groups else 1)
    numbers = octave_pitch_to_note_number(octaves[:, None], pitches).ravel()
    states = np.concatenate([silence, notes.reshape(len(pitch), -1)], axis=1) + 1e-6
    return np.concatenate([[SILENCE], numbers]), states / states.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Evidence:
    """The log-evidence of each state of one instrument, from `of(detector, noise_probability)`.

    Attributes:
        detector: of the instrument, with the other instruments' notes.
        numbers: (states,)
        log_posteriors: (model frames, states)
        explained: (bands, states) 1 in the bands of a note, 0 elsewhere.
        floor: (bands,) power that no note explains, since it never stops; 0 in a mixture.
    """

    detector: OnsetDetector
    numbers: np.ndarray
    log_posteriors: np.ndarray
    explained: np.ndarray
    floor: np.ndarray

    @classmethod
    def of(cls, detector: OnsetDetector, noise_probability: float) -> Evidence:
        posteriors, config = detector.posteriors, detector.config
        numbers, states = note_probabilities(posteriors, detector.instrument)
        explained = np.zeros((posteriors.bands.shape[1], len(numbers)), np.float32)
        for state in np.flatnonzero(numbers != SILENCE):
            explained[detector.explained_bands(int(numbers[state])), state] = 1
        floor = np.zeros(len(explained), np.float32)
        if not detector.others:
            states = (1 - noise_probability) * states + noise_probability * (numbers == SILENCE)
            floor = config.floor_ratio * noise_floor(posteriors, config)
        log_posteriors = np.log(states + config.least_probability)
        return cls(detector, numbers, log_posteriors, explained, floor)

    def of_frames(self, frames: slice) -> np.ndarray:
        """(frames, states) of fine frames."""
        posteriors, config = self.detector.posteriors, self.detector.config
        power = np.square(posteriors.bands[frames].astype(np.float32))
        total = np.maximum(power.sum(axis=1, keepdims=True), SILENT)
        weight = 1.0
        if self.detector.others:
            power *= self.detector.free_of_others(frames)
            free = np.maximum(power.sum(axis=1, keepdims=True), SILENT)
            weight, total = (free / total) ** config.free_exponent, free
        share = np.maximum(power - self.floor, 0) @ self.explained / total
        share[:, self.numbers == SILENCE] = 1 - share.max(axis=1, keepdims=True)
        explains = np.log(np.maximum(share, 0) + config.least_probability)
        return self.log_posteriors[posteriors.model_frames[frames]] + weight * explains

    def of_segments(self, segments: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """(segments, states)

        Args:
            segments: (frames,) index of the segment of each fine frame.
            weight: (frames,) of each as evidence.
        """
        evidence = np.zeros((int(segments.max()) + 1, len(self.numbers)))
        for start in range(0, len(segments), BLOCK_FRAMES):
            frames = slice(start, start + BLOCK_FRAMES)
            of_frames = self.of_frames(frames)
            pairs = (segments[frames], np.arange(len(of_frames)))
            weights = csr_array((weight[frames], pairs), shape=(len(evidence), len(of_frames)))
            evidence += weights @ of_frames
        return evidence

    def against_silence(self, frames: slice, numbers: Sequence[int]) -> np.ndarray:
        """(frames,) of the most probable of the notes `numbers`, less that of silence."""
        evidence = self.of_frames(frames)
        silence = evidence[:, self.numbers == SILENCE][:, 0]
        return evidence[:, np.isin(self.numbers, numbers)].max(axis=1) - silence
