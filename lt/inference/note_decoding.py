"""Transcription: from what a run hears to notes.

The ladder: sound -> `lt.inference.posteriors.Hearing` -> segments between changes -> the most
probable path of silence and notes through them (a hidden Markov model, librosa's Viterbi) -> notes
with exact edges -> tracks of a file.

What divides a sound (rests, dips) is read from its level without rumble, which would fill them.
Where a note begins and ends is read from the whole level, since aligned references are made from
envelopes of the whole; beneath rumble as loud as the notes their edges are less exact for it.

Names: `probabilities: (frames, classes)`, one a group; `level_db: (frames,)`; times in seconds.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Iterator

import numpy as np

from lt.inference.onsets import (
    FULL_NOVELTY,
    NOVELTY_SECONDS,
    ONSET_DB,
    RINGING_ONSET_DB,
    Segmenter,
    Voice,
    offset_frame,
)
from lt.inference.posteriors import BATCH, Hearing, hear_file
from lt.labels import (
    DEFAULT_DYNAMICS,
    DEFAULT_OCTAVE,
    N_CLASSES,
    SILENCE,
    dynamics_to_velocity,
    octave_pitch_to_note_number,
)
from lt.midi import INSTRUMENTS, Note, Track
from lt.models.runs import Run

# odds of one change of state, from segment to segment, that are expected; fewer would smooth a
# trill away
CHANGE = 0.1
CHANGE_IN_MIXTURE = 1e-4  # where segments are many, since other instruments' changes are heard too
DOUBT = 0.003  # added to probabilities: no frame can rule a note out
LEAST_WEIGHT = 0.05  # of frames in which two notes mix
HOPELESS = 20.0  # nats below a segment's likeliest state, where others are not looked at
SHORTEST_SECONDS = 0.06  # of a note
QUIETEST_DB = -60.0  # below the loudest frame of a recording nothing is heard
SILENT_DB = -96.0  # nor below this, relative to full scale: the last bit of 16


def note_probabilities(hearing: Hearing, instrument: int) -> tuple[np.ndarray, np.ndarray]:
    """One instrument's states: their note numbers (states,), `SILENCE` first, and probabilities
    (frames, states).

    Octave and pitch are independent given the latent, so a note's probability is their product;
    labels that the model lacks are taken as octave 4.
    """
    labels = hearing.space.labels
    groups = dict(
        zip(
            labels, hearing.probabilities[instrument * len(labels) : (instrument + 1) * len(labels)]
        )
    )
    pitch = groups["pitch"][:, : N_CLASSES["pitch"]]
    if "octave" in groups:
        octave, octaves = groups["octave"][:, : N_CLASSES["octave"]], np.arange(N_CLASSES["octave"])
    else:
        octave, octaves = np.ones((len(hearing), 1)), np.array([DEFAULT_OCTAVE])
    notes = (octave[:, :, None] * pitch[:, None, :]).reshape(len(hearing), -1)
    silence = np.zeros((len(hearing), 1))
    if hearing.space.silence:
        silence = np.prod(
            [groups[label][:, -1:] for label in ("octave", "pitch") if label in groups], axis=0
        )
    numbers = octave_pitch_to_note_number(
        octaves[:, None], np.arange(N_CLASSES["pitch"])[None]
    ).ravel()
    states = np.concatenate([silence, notes], axis=1) + 1e-6
    return np.concatenate([[SILENCE], numbers]), states / states.sum(axis=1, keepdims=True)


def decode_states(probabilities: np.ndarray, stay: float) -> np.ndarray:
    """Most probable path (frames,) through states that last: probabilities (frames, states), chance
    to stay.
    """
    from librosa.sequence import transition_loop, viterbi

    n_states = probabilities.shape[1]
    if n_states == 1 or not len(probabilities):
        return np.zeros(len(probabilities), np.int64)
    return viterbi(probabilities.T, transition_loop(n_states, stay))


def hearing_to_notes(hearing: Hearing, instrument: int = 0) -> list[Note]:
    """Hearing -> the notes of one instrument."""
    if "pitch" not in hearing.space.labels or not len(hearing):
        return []
    others = [index for index in range(len(hearing.space.instruments)) if index != instrument]
    onset_db, voice = (
        RINGING_ONSET_DB if others else ONSET_DB,
        Voice(hearing, [_likeliest(hearing, i) for i in others]),
    )
    segmenter, notes = (
        Segmenter(hearing.spectra(instrument), hearing.clear_db, hearing.step, onset_db),
        [],
    )
    dynamics = _dynamics(hearing, instrument)
    runs = voice.join_decays(_runs(*_heard_segments(hearing, segmenter, instrument), len(hearing)))
    before = [(0, 0), *((last, first) for _, first, last in runs)]
    onsets = [
        segmenter.onset(voice.level_db(*run), *run[1:], *other) for run, other in zip(runs, before)
    ]
    following = [*onsets[1:], (len(hearing), False)]
    for (number, first, last), (start, _), (next_start, beneath) in zip(runs, onsets, following):
        if not beneath:  # the run may end in the next note's attack
            last = max(start + 1, first + 1, min(last, next_start))
        level_db = voice.level_db(number, first, last)
        clear_db = level_db if others else hearing.clear_db
        strikes = [first + strike for strike in segmenter.strikes(clear_db[first:last])]
        strikes = [
            strike for strike in strikes if (strike - start) * hearing.step >= SHORTEST_SECONDS
        ]
        for at, end in zip([start, *strikes], [*strikes, last]):
            begin = at if at == start else segmenter.attack(level_db, at, end)
            alone = min(
                first + segmenter.frames(NOVELTY_SECONDS), end - 1
            )  # the one before has ended
            end = offset_frame(level_db, max(begin, alone), max(end, begin + 1))
            onset, offset = hearing.times[begin], hearing.times[end - 1] + hearing.step
            notes.append(
                Note(float(onset), float(offset), int(number), _velocity(dynamics[begin:end]))
            )
    return [note for note in _apart(notes) if note.offset - note.onset >= SHORTEST_SECONDS]


def _apart(notes: list[Note]) -> list[Note]:
    """Notes in order, each cut where the next of its number begins, as MIDI has it."""
    apart, following = [], {}
    for note in sorted(notes, reverse=True):
        end = following.get(note.note_number, note.offset)
        apart.append(replace(note, offset=min(note.offset, end)))
        following[note.note_number] = note.onset
    return apart[::-1]


def _heard_segments(
    hearing: Hearing, segmenter: Segmenter, instrument: int
) -> tuple[np.ndarray, list[int]]:
    """The note number of each segment (segments,), `SILENCE` in rests, and the segments' first
    frames.
    """
    sounding = hearing.clear_db >= max(hearing.clear_db.max() + QUIETEST_DB, SILENT_DB)
    novelty = segmenter.novelty()
    bounds = segmenter.bounds(novelty, sounding)
    # neighbouring frames share most of their samples: together they weigh as much as one model
    # frame
    weight = hearing.weight * np.clip(1 - novelty / FULL_NOVELTY, LEAST_WEIGHT, 1)
    numbers, evidence = _evidence(hearing, instrument, weight, bounds)
    # states that may be heard at all: the others cost time and change nothing
    used = np.flatnonzero((evidence > evidence.max(axis=1, keepdims=True) - HOPELESS).any(axis=0))
    likelihood = np.exp(evidence[:, used] - evidence[:, used].max(axis=1, keepdims=True))
    change = CHANGE if len(hearing.space.instruments) == 1 else CHANGE_IN_MIXTURE
    path = decode_states(
        likelihood / likelihood.sum(axis=1, keepdims=True), 1 / (1 + (len(used) - 1) * change)
    )
    # a change may be heard a little before the silence that comes before the note: most of a
    # segment must sound
    n_sounding = np.add.reduceat(sounding.astype(int), bounds)
    sounds = 2 * n_sounding >= np.diff([*bounds, len(hearing)])
    return np.where(sounds, numbers[used[path]], SILENCE), bounds


def _evidence(
    hearing: Hearing, instrument: int, weight: np.ndarray, bounds: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Note numbers (states,) and the log-likelihood of each in each segment (segments, states)."""
    segment, evidence = np.repeat(np.arange(len(bounds)), np.diff([*bounds, len(hearing)])), None
    for first in range(0, len(hearing), BATCH):
        rows = slice(first, first + BATCH)
        numbers, probabilities = note_probabilities(hearing.part(rows), instrument)
        if evidence is None:
            evidence = np.zeros((len(bounds), len(numbers)))
        starts = np.flatnonzero(np.diff(segment[rows], prepend=-1))
        logs = np.log(probabilities + DOUBT) * weight[rows, None]
        evidence[segment[rows][starts]] += np.add.reduceat(logs, starts, axis=0)
    return numbers, evidence


def _runs(numbers: np.ndarray, bounds: list[int], n_frames: int) -> Iterator[tuple[int, int, int]]:
    """Segments of one number, one after another, joined: (number, start, end) of those that sound."""
    first = np.flatnonzero(np.diff(numbers, prepend=SILENCE - 1))
    starts = np.array(bounds)[first]
    for number, start, end in zip(numbers[first], starts, [*starts[1:], n_frames]):
        if number != SILENCE:
            yield int(number), int(start), int(end)


def _likeliest(hearing: Hearing, instrument: int) -> np.ndarray:
    """(frames,) an instrument's most probable note numbers, each frame by itself."""
    found = np.full(len(hearing), SILENCE)
    for first in range(0, len(hearing), BATCH):
        numbers, probabilities = note_probabilities(
            hearing.part(slice(first, first + BATCH)), instrument
        )
        found[first : first + BATCH] = numbers[probabilities.argmax(axis=1)]
    return found


def _dynamics(hearing: Hearing, instrument: int) -> np.ndarray:
    """(frames,) dynamics heard; mf from a model without them."""
    labels = hearing.space.labels
    if "dynamics" not in labels:
        return np.full(len(hearing), DEFAULT_DYNAMICS)
    group = hearing.probabilities[instrument * len(labels) + labels.index("dynamics")]
    return group[:, : N_CLASSES["dynamics"]].argmax(axis=1)


def _velocity(dynamics: np.ndarray) -> int:
    return int(dynamics_to_velocity(int(np.bincount(dynamics).argmax())))


# --- files ----------------------------------------------------------------------------------------


def transcribe(hearing: Hearing) -> list[Track]:
    """Hearing -> one track an instrument, named and with its General MIDI program where that is
    known.
    """
    return [
        Track(
            name,
            INSTRUMENTS[name].program if name in INSTRUMENTS else 0,
            tuple(hearing_to_notes(hearing, index)),
        )
        for index, name in enumerate(hearing.space.instruments)
    ]


def transcribe_file(run: Run, path: Path | str) -> list[Track]:
    """A sound file -> one track an instrument. Raises as `lt.audio.io.stream_audio`."""
    return transcribe(hear_file(run, path))
