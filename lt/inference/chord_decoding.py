"""Decoding of chords: from the probability that each key sounds to notes that overlap.

A hidden Markov model of two states for each key finds when it sounds (`sounding_keys`). Within such
a region, onsets are where the level rises in the bands of the key's partials that no other note
near there excites, or near there where the whole sound is struck. A region that begins without a
rise goes on a note that was lost for a moment, or is none; where most partials rise within a
region, the note is repeated. A note ends where most of its partials begin to fall fast, shortly
before the key is silent. A note that begins with or above a lower one, of which it may be a
partial, must be sure.

Constants are fields of `lt.config.ChordConfig`. Names: `keys: (model frames, keys)` from C0 on;
other frames are those of the fine grid of `lt.inference.posteriors`.
"""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy

from lt.config import ChordConfig, DecoderConfig
from lt.inference.onsets import TINY, OnsetDetector, Region, partial_bands, steepest_rise
from lt.inference.posteriors import Posteriors
from lt.inference.velocities import note_velocities
from lt.labels import FIRST_NOTE_NUMBER, SILENCE, note_number_to_hz
from lt.midi import Note

logger = logging.getLogger(__name__)

PARTIALS = (12, 19, 24, 28, 31, 34, 36)  # semitones from a note to its partials


def chord_notes(
    posteriors: Posteriors,
    instrument: int,
    config: ChordConfig = ChordConfig(),
    decoder: DecoderConfig = DecoderConfig(),
) -> list[Note]:
    """The notes of an instrument with several voices, in order of onset.

    Args:
        instrument: index among the chordal instruments of the space.
    """
    part = posteriors.space.chordal[instrument]
    regions = _regions(_Recording(posteriors, instrument, config))
    regions = _loudest(regions, part.n_voices, posteriors, config)
    velocities = _velocities(regions, posteriors, part.voices, decoder)
    step = posteriors.step
    return sorted(
        Note(region.start * step, region.end * step, region.note_number, velocity)
        for region, velocity in zip(regions, velocities)
    )


def sounding_keys(probabilities: np.ndarray, config: ChordConfig) -> np.ndarray:
    """Whether each key sounds, (model frames, keys) bool: the most probable path of each through
    two states, by Viterbi decoding of all keys at once.
    """
    # in place, since an hour has twelve million of them
    clipped = probabilities.astype(np.float32).clip(1e-6, 1 - 1e-6)
    evidence = np.log(clipped)
    evidence -= np.log1p(-clipped, out=clipped)
    evidence.clip(-config.most_evidence, config.most_evidence, out=evidence)
    # the advantage of sounding over silence is all that counts
    advantage, history = np.full(evidence.shape[1], -config.change, np.float32), evidence
    for frame, own in enumerate(evidence):
        advantage = advantage.clip(-config.change, config.change) + own
        history[frame] = advantage
    sounding = np.empty(evidence.shape, bool)
    state = history[-1] > 0 if len(history) else np.zeros(evidence.shape[1], bool)
    for frame in range(len(evidence) - 1, -1, -1):
        sounding[frame] = state
        if frame:
            before = history[frame - 1]
            state = np.where(state, before > -config.change, before > config.change)
    return sounding


# --- when each key sounds ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Recording:
    """A recording as the decoder of one chordal instrument sees it."""

    posteriors: Posteriors
    instrument: int
    config: ChordConfig

    @cached_property
    def sounding(self) -> np.ndarray:
        """(model frames, keys) bool; nothing sounds where the recording is silent."""
        posteriors = self.posteriors
        quietest = posteriors.clear_db.max(initial=-np.inf) + self.config.quietest_db
        loud = np.bincount(
            posteriors.model_frames,
            posteriors.clear_db >= quietest,
            minlength=len(posteriors.probabilities[0]),
        )
        keys = posteriors.keys[:, self.instrument]
        return sounding_keys(np.where(loud[:, None] > 0, keys, 0.0), self.config)

    def frames(self, seconds: float) -> int:
        """Seconds as a number of fine frames, at least one."""
        return max(1, round(seconds / self.posteriors.step))

    def fine(self, model_frame: int) -> int:
        """First fine frame of a model frame."""
        at = model_frame * self.posteriors.frame_seconds / self.posteriors.step
        return min(len(self.posteriors), round(at))

    @cached_property
    def excited(self) -> dict[int, np.ndarray]:
        """Bands that each key excites, and those beside them."""
        n_bands = self.posteriors.bands.shape[1]
        return {
            key: np.unique(
                (
                    partial_bands(key + FIRST_NOTE_NUMBER, self.posteriors.fmin, n_bands, 16)[
                        :, None
                    ]
                    + (-1, 0, 1)
                ).clip(0, n_bands - 1)
            )
            for key in np.flatnonzero(self.sounding.any(axis=0)).tolist()
        }

    def own_bands(self, key: int, others: Sequence[int]) -> np.ndarray:
        """Bands of a key's partials that none of the `others` excites; all if there are none."""
        config, posteriors = self.config, self.posteriors
        number, n_bands = key + FIRST_NOTE_NUMBER, posteriors.bands.shape[1]
        bands = partial_bands(
            number, posteriors.fmin, n_bands, config.n_partials, config.lowest_partial_hz
        )
        free = bands
        for other in others:
            free = np.setdiff1d(free, self.excited[other])
        return free if len(free) else bands

    def magnitude(self, bands: np.ndarray, start: int, end: int) -> np.ndarray:
        """(frames,) magnitude in some bands."""
        own = self.posteriors.bands[start:end, bands].astype(np.float32)
        return np.sqrt(np.square(own).sum(axis=1)) + TINY

    def rises_db(self, bands: np.ndarray, start: int, end: int, lag: int) -> np.ndarray:
        """(frames - lag,) decibels by which most partials rise in `lag` frames, the median over
        `bands`. A stroke raises all partials, beating a few.
        """
        own = 20 * np.log10(self.posteriors.bands[start:end, bands].astype(np.float32) + TINY)
        return np.median(own[lag:] - own[:-lag], axis=1)


def _regions(recording: _Recording) -> list[Region]:
    """The notes of all keys."""
    sounding = recording.sounding
    edges = np.diff(sounding.astype(np.int8), axis=0, prepend=0, append=0)
    notes = []
    for key in np.flatnonzero(sounding.any(axis=0)).tolist():
        spans = zip(np.flatnonzero(edges[:, key] > 0), np.flatnonzero(edges[:, key] < 0))
        notes += _notes_of_key(recording, key, list(spans))
    shortest = recording.config.shortest_note / recording.posteriors.step
    kept = [note for note in notes if note.end - note.start >= shortest]
    kept = sorted(kept, key=lambda note: (note.start, note.note_number))
    starts, near = [note.start for note in kept], recording.frames(recording.config.together)
    longest = max((note.end - note.start for note in kept), default=0)
    return [
        note
        for note in kept
        if not _is_overtone(
            recording,
            note,
            kept[
                bisect_left(starts, note.start - longest) : bisect_right(starts, note.start + near)
            ],
        )
    ]


def _is_overtone(recording: _Recording, note: Region, earlier: Sequence[Region]) -> bool:
    """Whether a note is but a partial of a lower one that sounds when it begins: its key is neither
    sure nor surer than the other's.

    Args:
        earlier: notes that begin before it or with it.
    """
    if _certainty(recording, note) >= recording.config.sure:
        return False
    return any(
        note.note_number - other.note_number in PARTIALS
        and other.end > note.start
        and _certainty(recording, other) > _certainty(recording, note)
        for other in earlier
    )


def _certainty(recording: _Recording, note: Region) -> float:
    """Mean probability of a note's key in its first moments."""
    posteriors = recording.posteriors
    end = min(note.end, note.start + recording.frames(recording.config.first_moments))
    frames = posteriors.model_frames[note.start : max(end, note.start + 1)]
    key = note.note_number - FIRST_NOTE_NUMBER
    return float(posteriors.keys[frames, recording.instrument, key].mean())


def _notes_of_key(
    recording: _Recording, key: int, spans: Sequence[tuple[int, int]]
) -> list[Region]:
    """The notes of one key, that sounds in `spans` of model frames."""
    config, notes = recording.config, []
    for first, last in spans:
        start, end = recording.fine(first), recording.fine(last)
        onset, rise_db = _onset(recording, key, start, end)
        struck = rise_db >= config.onset_db
        if notes and not struck and start - notes[-1].end <= recording.frames(config.joined):
            notes[-1] = replace(notes[-1], end=end)
            continue
        if first > 0 and not (struck and _rises(recording, key, onset)):
            continue
        if notes and onset < notes[-1].end:
            notes[-1] = replace(notes[-1], end=onset)
        repeats = (_stroke(recording, at) for at in _repeats(recording, key, onset, end))
        starts = [onset, *(at for at in repeats if onset < at < end)]
        for begin, until in zip(starts, [*starts[1:], end]):
            notes.append(Region(key + FIRST_NOTE_NUMBER, begin, until))
    return [_released(recording, key, note) for note in notes]


def _onset(recording: _Recording, key: int, start: int, end: int) -> tuple[int, float]:
    """The first frame of a note that is heard from frame `start` on, and the decibels by which its
    level rises there. A low key is heard before it is struck, since its bands ring before a stroke
    as after it.
    """
    config = recording.config
    begin = max(0, start - recording.frames(config.search_before))
    ringing = config.ringing_cycles / note_number_to_hz(key + FIRST_NOTE_NUMBER)
    until = min(end, start + recording.frames(config.search_after + ringing))
    bands = recording.own_bands(key, _sounding_others(recording, key, begin, until))
    magnitudes = recording.magnitude(bands, begin, max(until, begin + 2))
    rise, attack = recording.frames(config.rise), recording.frames(config.attack)
    found = steepest_rise(magnitudes, rise, attack, config.half_rise)
    if found is None:
        return start, 0.0
    onset, rise_db = begin + found[0], found[1]
    return min(_stroke(recording, onset), max(end - 1, 0)), rise_db


def _rises(recording: _Recording, key: int, onset: int) -> bool:
    """Whether most partials of a key rise near an onset, be it by other notes. Where they fall,
    what is heard is what a note leaves behind.
    """
    rise = recording.frames(recording.config.rise)
    around = max(0, onset - rise), min(len(recording.posteriors), onset + 2 * rise)
    rises = recording.rises_db(recording.own_bands(key, ()), *around, rise)
    return not len(rises) or rises.max() >= 0


def _stroke(recording: _Recording, onset: int) -> int:
    """The frame near an onset at which the level of the whole sound rises fastest, if it does:
    bands ring before a stroke as after it.
    """
    config, within = recording.config, recording.frames(recording.config.stroke)
    begin = max(0, onset - recording.frames(config.stroke_before))
    level_db = recording.posteriors.level_db[begin : onset + recording.frames(config.stroke_after)]
    rises = level_db[within:] - level_db[:-within]
    if not len(rises) or rises.max() < config.stroke_db:
        return onset
    at = int(rises.argmax())
    return begin + at + int(np.diff(level_db[at : at + within + 1]).argmax()) + 1


def _but(recording: _Recording, key: int) -> np.ndarray:
    others = np.ones(recording.sounding.shape[1], bool)
    others[key] = False
    return others


def _repeats(recording: _Recording, key: int, onset: int, end: int) -> list[int]:
    """Frames at which a note is struck again before `end`: most of its partials rise fast, and most
    of those that no note that begins there excites, and stay above their level before: the noise of
    another key's stroke does not.
    """
    config = recording.config
    rise, attack = recording.frames(config.rise), recording.frames(config.attack)
    if end - onset <= rise + 2:
        return []
    rises = recording.rises_db(recording.own_bands(key, ()), onset, end, rise)
    distance = recording.frames(config.shortest_repeat)
    found = []
    peaks, _ = scipy.signal.find_peaks(rises, height=config.repeat_db, distance=distance)
    for peak in peaks.tolist():
        at = onset + peak + rise // 2
        if min(at - onset, end - at) < distance:
            continue
        others = _sounding_others(recording, key, at - 2 * rise, at + 2 * rise)
        bands = recording.own_bands(key, others)
        before, after = onset + peak, onset + peak + rise
        (own,) = recording.rises_db(bands, before, after + 1, rise)
        later = min(after + attack, end - 1)
        (lasting,) = recording.rises_db(bands, before, later + 1, later - before)
        if own >= config.repeat_db and lasting >= 0:
            found.append(at)
    return found


def _sounding_others(recording: _Recording, key: int, start: int, end: int) -> list[int]:
    """The other keys that sound anywhere in fine frames [start, end)."""
    frames = recording.posteriors.model_frames
    first, last = frames[max(0, start)], frames[min(end, len(frames) - 1)]
    near = recording.sounding[first : last + 1].any(axis=0) & _but(recording, key)
    return np.flatnonzero(near).tolist()


def _released(recording: _Recording, key: int, note: Region) -> Region:
    """A note that ends where most of its partials begin to fall fast, shortly before its key is
    silent; what falls at its onset is the note before.
    """
    config = recording.config
    begin = note.start + recording.frames(config.rise)
    begin = max(begin, note.end - recording.frames(config.release))
    fall = recording.frames(config.fall)
    if note.end - begin <= fall:
        return note
    bands = recording.own_bands(key, _sounding_others(recording, key, begin, note.end))
    falls = -recording.rises_db(bands, begin, note.end, fall)
    released = np.flatnonzero(falls >= config.offset_db)
    if not len(released):
        return note
    steepest = int(released[0]) + int(falls[released[0] : released[0] + fall].argmax())
    return replace(note, end=begin + steepest + 1)


# --- voices --------------------------------------------------------------------------------------


def _loudest(
    regions: Sequence[Region], n_voices: int, posteriors: Posteriors, config: ChordConfig
) -> list[Region]:
    """Regions of which at most `n_voices` sound at once: notes are cut that are about to end, else
    the softest.
    """
    overlap = config.overlap / posteriors.step
    kept: list[Region] = []
    active: list[int] = []  # of those kept, the ones that still sound
    n_left_out = 0
    for region in regions:
        active = [index for index in active if kept[index].end > region.start]
        kept.append(region)
        active.append(len(kept) - 1)
        if len(active) <= n_voices:
            continue
        cut = min(active, key=lambda index: kept[index].end)
        if kept[cut].end - region.start > overlap:
            cut = min(active, key=lambda index: _loudness(kept[index], region, posteriors))
            n_left_out += 1
        active.remove(cut)
        kept[cut] = replace(kept[cut], end=region.start)
    if n_left_out:
        logger.info(
            "more than %d notes at once in %d places: the loudest are kept", n_voices, n_left_out
        )
    return [region for region in kept if region.end > region.start]


def _loudness(own: Region, at: Region, posteriors: Posteriors) -> float:
    """Magnitude of the fundamental and its octave at a region's start."""
    bands = partial_bands(own.note_number, posteriors.fmin, posteriors.bands.shape[1], 2)
    frames = posteriors.bands[at.start : at.start + 16, bands].astype(np.float32)
    return float(frames.max(initial=0.0))


def _velocities(
    regions: Sequence[Region], posteriors: Posteriors, voices: slice, decoder: DecoderConfig
) -> list[int]:
    """Velocity of each region. The notes are laid into lines without overlap, and each is measured
    in bands that the other lines leave free.
    """
    lines: list[list[int]] = []
    for index, region in enumerate(regions):
        free = (own for own in lines if regions[own[-1]].end <= region.start)
        line = next(free, None)
        if line is None:
            lines.append(line := [])
        line.append(index)
    numbers = []
    for line in lines:
        own = np.full(len(posteriors), SILENCE)
        for index in line:
            own[regions[index].start : regions[index].end] = regions[index].note_number
        numbers.append(own)
    detectors = {}
    for at, line in enumerate(lines):
        others = numbers[:at] + numbers[at + 1 :]
        detectors |= dict.fromkeys(line, OnsetDetector(posteriors, voices.start, others, decoder))
    of_regions = [detectors[index] for index in range(len(regions))]
    return note_velocities(regions, of_regions, chords=True).tolist()
