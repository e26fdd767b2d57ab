"""Evidence for each note of one instrument: what the model hears, and what the note explains.

A state is a note number or silence. Two terms add up: the logarithm of the model's posterior, and,
for a single instrument, that of the share of the sound's power which the state explains. A note
explains the power in the bands of its partials, silence what no note explains: so a note is told
from the octave above, which leaves every second partial unexplained, and from noise. In a mixture
most of the power may be other instruments'.

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

from lt.config import DecoderConfig
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
        numbers: (states,)
        log_posteriors: (model frames, states)
        explained: (bands, states) 1 in the bands of a note, 0 elsewhere; none in a mixture.
        floor: (bands,) power that no note explains, since it never stops.
    """

    posteriors: Posteriors
    config: DecoderConfig
    numbers: np.ndarray
    log_posteriors: np.ndarray
    explained: np.ndarray | None = None
    floor: np.ndarray | None = None

    @classmethod
    def of(cls, detector: OnsetDetector, noise_probability: float) -> Evidence:
        posteriors, config = detector.posteriors, detector.config
        numbers, states = note_probabilities(posteriors, detector.instrument)
        if detector.others:
            return cls(posteriors, config, numbers, np.log(states + config.least_probability))
        states = (1 - noise_probability) * states + noise_probability * (numbers == SILENCE)
        explained = np.zeros((posteriors.bands.shape[1], len(numbers)), np.float32)
        for state in np.flatnonzero(numbers != SILENCE):
            explained[detector.explained_bands(int(numbers[state])), state] = 1
        log_posteriors = np.log(states + config.least_probability)
        floor = config.floor_ratio * noise_floor(posteriors, config)
        return cls(posteriors, config, numbers, log_posteriors, explained, floor)

    def of_frames(self, frames: slice) -> np.ndarray:
        """(frames, states) of fine frames."""
        evidence = self.log_posteriors[self.posteriors.model_frames[frames]]
        if self.explained is None:
            return evidence
        power = np.square(self.posteriors.bands[frames].astype(np.float32))
        total = np.maximum(power.sum(axis=1, keepdims=True), SILENT)
        share = np.maximum(power - self.floor, 0) @ self.explained / total
        share[:, self.numbers == SILENCE] = 1 - share.max(axis=1, keepdims=True)
        return evidence + np.log(np.maximum(share, 0) + self.config.least_probability)

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
