"""Evidence for each note of one instrument: what the model hears, and what the note explains.

A state is a note number or silence. Two terms add up: the logarithm of the model's posterior, and,
for a single instrument, that of the share of the sound's power which the state explains. A note
explains the power in the bands of its partials, silence what no note explains: so a note is told
from the octave above, which leaves every second partial unexplained, and from noise. In a mixture
most of the power may be other instruments'.

Names: `numbers: (states,)` note numbers, `SILENCE` first; frames are those of the fine grid.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

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


def segment_evidence(
    detector: OnsetDetector, segments: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (states,) and the log-evidence (segments, states) of each.

    Args:
        segments: (frames,) index of the segment of each fine frame.
        weight: (frames,) of each as evidence.
    """
    posteriors, floor = detector.posteriors, detector.config.least_probability
    numbers, states = note_probabilities(posteriors, detector.instrument)
    shape = int(segments.max()) + 1, len(states)
    weights = csr_array((weight, (segments, posteriors.model_frames)), shape=shape)
    evidence = weights @ np.log(states + floor)
    if detector.others:
        return numbers, evidence
    own = np.zeros((posteriors.bands.shape[1], len(numbers)), np.float32)
    for state in np.flatnonzero(numbers != SILENCE):
        own[detector.explained_bands(int(numbers[state])), state] = 1
    for start in range(0, len(posteriors), BLOCK_FRAMES):
        frames = slice(start, start + BLOCK_FRAMES)
        power = np.square(posteriors.bands[frames].astype(np.float32))
        share = power @ own / np.maximum(power.sum(axis=1, keepdims=True), SILENT)
        share[:, numbers == SILENCE] = 1 - share.max(axis=1, keepdims=True)
        pairs = (segments[frames], np.arange(len(power)))
        weights = csr_array((weight[frames], pairs), shape=(len(evidence), len(power)))
        evidence += weights @ np.log(np.maximum(share, 0) + floor)
    return numbers, evidence
