"""Note decoding: from the posteriors of a recording to notes.

Three passes for each instrument. First the recording is divided into segments, and a hidden Markov
model (Viterbi decoding) finds the most probable sequence of notes and silence through them
(`decode_regions`). Then the onset of each note is refined (`refine_onsets`). Then repeated notes
are separated and offsets are refined (`refine_offsets`). Wide vibrato is made steady before
(`lt.inference.vibrato`), what noise masks left out on the way (`lt.inference.noise`). Velocities
are those of `lt.inference.velocities`, chords those of `lt.inference.chord_decoding`.

Segments are found in the level after the high-pass, since low-frequency noise would fill rests and
dips. Onsets and offsets are read from the level of the whole sound, because aligned references are
made from its envelope; under low-frequency noise as loud as the notes they are less exact.

Thresholds are fields of `lt.config.DecoderConfig`. Frames are those of the fine grid of
`lt.inference.posteriors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lt.config import DecoderConfig
from lt.inference.chord_decoding import chord_notes
from lt.inference.evidence import Evidence, note_probabilities
from lt.inference.noise import rest_level, without_clicks
from lt.inference.onsets import OnsetDetector, Region
from lt.inference.posteriors import Posteriors, analyse_recording
from lt.inference.velocities import note_velocities
from lt.inference.vibrato import without_vibrato
from lt.labels import SILENCE
from lt.midi import INSTRUMENTS, Note, Track
from lt.models.runs import Run
from lt.progress import Progress, silent

# --- from posteriors to notes ---------------------------------------------------------------------


def transcribe(
    run: Run,
    path: Path | str,
    config: DecoderConfig = DecoderConfig(),
    progress: Progress = silent,
    tuning: float | None = None,
) -> list[Track]:
    """Transcribe a sound file -> one track per instrument of the run.

    Args:
        config: thresholds of note decoding.
        progress: like `tqdm.tqdm`; total in frames.
        tuning: hertz of A4 in the recording; None: the nearest semitone.

    Raises:
        FileNotFoundError, ValueError: as `lt.audio.io.stream_audio`.

    Example:
        >>> run = lt.load_run("saves/flute__Flute")
        >>> [track.name for track in lt.transcribe(run, "recording.wav")]
        ['Flute']
    """
    posteriors = analyse_recording(run, path, progress, tuning).posteriors  # spectra are let go
    return posteriors_to_tracks(posteriors, config)


def posteriors_to_tracks(
    posteriors: Posteriors, config: DecoderConfig = DecoderConfig()
) -> list[Track]:
    """One track per instrument, with its name and General MIDI program (0 if that is unknown)."""
    chordal = posteriors.space.chordal
    tracks = []
    for part in posteriors.space.parts:
        if part in chordal:
            notes = chord_notes(posteriors, chordal.index(part), decoder=config)
        else:
            notes = posteriors_to_notes(posteriors, part.voices.start, config)
        program = INSTRUMENTS[part.name].program if part.name in INSTRUMENTS else 0
        tracks.append(Track(part.name, program, tuple(notes)))
    return tracks


def posteriors_to_notes(
    posteriors: Posteriors, instrument: int = 0, config: DecoderConfig = DecoderConfig()
) -> list[Note]:
    """The notes of one instrument, in order and one at a time. None for a model without the label
    `pitch`.
    """
    if "pitch" not in posteriors.space.labels:
        return []
    others = [
        _most_probable_notes(posteriors, index)
        for index in range(len(posteriors.space.instruments))
        if index != instrument
    ]
    posteriors = without_clicks(posteriors, config)
    if not others:
        posteriors = without_vibrato(posteriors, instrument, config)
    detector = OnsetDetector(posteriors, instrument, others, config)
    regions = detector.join_decays(decode_regions(detector))
    detector = replace(
        detector,
        noise_db=rest_level(regions, detector, posteriors.level_db),
        clear_noise_db=rest_level(regions, detector, posteriors.clear_db),
    )
    onsets = refine_onsets(regions, detector)
    regions = until_masked(refine_offsets(regions, onsets, detector), detector)
    regions = explained_notes(detector.without_echoes(regions), detector)
    velocities = note_velocities(regions, [detector] * len(regions))
    step = posteriors.step
    notes = _in_one_voice(
        Note(region.start * step, region.end * step, region.note_number, int(velocity))
        for region, velocity in zip(regions, velocities)
    )
    return [note for note in notes if note.offset - note.onset >= config.shortest_note]


def _in_one_voice(notes: Iterable[Note]) -> list[Note]:
    """Notes in order, each cut where the next begins."""
    notes = sorted(notes)
    onsets = [*(note.onset for note in notes[1:]), np.inf]
    return [replace(note, offset=min(note.offset, onset)) for note, onset in zip(notes, onsets)]


# --- 1. which notes -------------------------------------------------------------------------------


def decode_regions(detector: OnsetDetector) -> list[Region]:
    """The regions of an instrument's notes: segments of equal notes joined, silence left out."""
    posteriors, config = detector.posteriors, detector.config
    quietest_db = max(posteriors.clear_db.max() + config.quietest_db, config.silent_db)
    sounding = posteriors.clear_db >= quietest_db
    novelty = detector.novelty()
    starts = detector.segment_starts(novelty, sounding)
    # Neighbouring frames share most of their samples: together they weigh as much as a model frame.
    overlap = min(1.0, posteriors.step / posteriors.frame_seconds)
    weight = overlap * np.clip(1 - novelty / config.full_novelty, config.least_weight, 1)
    path = _segment_notes(detector, weight, starts)
    # A change may be found a little before the silence that precedes the note: most of a segment
    # must sound.
    n_sounding = np.add.reduceat(sounding.astype(int), starts)
    bounds = np.array([*starts, len(posteriors)])
    path = np.where(2 * n_sounding >= np.diff(bounds), path, SILENCE)
    first = np.flatnonzero(np.diff(path, prepend=SILENCE - 1))
    bounds = bounds[[*first, -1]]
    return [
        Region(int(number), int(start), int(end))
        for number, start, end in zip(path[first], bounds, bounds[1:])
        if number != SILENCE
    ]


def _segment_notes(
    detector: OnsetDetector, weight: np.ndarray, starts: Sequence[int]
) -> np.ndarray:
    """The most probable note number of each segment (segments,), `SILENCE` among them.

    Args:
        weight: (frames,) of each fine frame as evidence.
        starts: first frames of the segments.
    """
    config = detector.config
    segments = np.repeat(np.arange(len(starts)), np.diff([*starts, len(weight)]))
    source = Evidence.of(detector, config.noise_probability)
    numbers, evidence = source.numbers, source.of_segments(segments, weight)
    best = evidence.max(axis=1, keepdims=True)
    used = np.flatnonzero((evidence > best - config.beam).any(axis=0))  # others only cost time
    likelihood = np.exp(evidence[:, used] - best)
    likelihood /= likelihood.sum(axis=1, keepdims=True)
    change = config.change_odds_in_mixture if detector.others else config.change_odds
    return numbers[used[decode_states(likelihood, 1 / (1 + (len(used) - 1) * change))]]


def decode_states(probabilities: np.ndarray, stay: float) -> np.ndarray:
    """Most probable path (segments,) through states that last (Viterbi 1967).

    All other states are equally probable next, so that the best way into a state is from itself or
    from the best of all: a step takes as many operations as there are states, not their square.
    With `librosa.sequence.viterbi`, which is compiled at its first call, the first transcription in
    a new environment took 30 s longer.

    Args:
        probabilities: (segments, states).
        stay: probability that a state is followed by itself, at least 1 / states.
    """
    n_segments, n_states = probabilities.shape
    if n_states == 1:
        return np.zeros(n_segments, int)
    log_stay, log_leave = np.log(stay), np.log((1 - stay) / (n_states - 1))
    log_likelihood = np.log(probabilities + np.finfo(probabilities.dtype).tiny)
    best = np.zeros(n_segments, int)  # the most probable state of the segment before
    stays = np.zeros((n_segments, n_states), bool)
    score = log_likelihood[0]
    for segment in range(1, n_segments):
        best[segment] = score.argmax()
        moved = score[best[segment]] + log_leave
        stayed = score + log_stay
        stays[segment] = stayed >= moved
        score = np.maximum(stayed, moved) + log_likelihood[segment]
    path = np.full(n_segments, score.argmax())
    for segment in range(n_segments - 1, 0, -1):
        state = path[segment]
        path[segment - 1] = state if stays[segment, state] else best[segment]
    return path


def _most_probable_notes(posteriors: Posteriors, instrument: int) -> np.ndarray:
    """(fine frames,) an instrument's most probable note number in each frame by itself."""
    numbers, states = note_probabilities(posteriors, instrument)
    return numbers[states.argmax(axis=1)][posteriors.model_frames]


def until_masked(notes: Sequence[Region], detector: OnsetDetector) -> list[Region]:
    """Notes, each ended where noise masks it: where the evidence for it against silence, summed
    from its onset, is most. A note with none is noise. What the notes beside it ring with is not.
    """
    if detector.others:
        return list(notes)
    evidence = Evidence.of(detector, detector.config.masked_probability)
    ended = []
    for index, note in enumerate(notes):
        near = [other.note_number for other in notes[max(0, index - 1) : index + 2]]
        frames = slice(note.start, max(note.end, note.start + 1))
        total = np.cumsum(evidence.against_silence(frames, near))
        if total.max() > 0:
            ended.append(replace(note, end=note.start + int(total.argmax()) + 1))
    return ended


def explained_notes(notes: Sequence[Region], detector: OnsetDetector) -> list[Region]:
    """Notes of a single instrument without repetitions whose frames silence, or the note that
    follows, explains better: the attack of the next note, before its onset.
    """
    if detector.others or not notes:
        return list(notes)
    segments = np.full(len(detector.posteriors), len(notes))
    for index, note in enumerate(notes):
        segments[note.start : note.end] = index
    source = Evidence.of(detector, detector.config.noise_probability)
    evidence = source.of_segments(segments, np.ones(len(segments)))
    state_of = {number: state for state, number in enumerate(source.numbers)}
    silence = evidence[: len(notes), state_of[SILENCE]]
    kept = []
    for index, note in enumerate(notes):
        is_repeated = index > 0 and notes[index - 1].note_number == note.note_number
        following = notes[min(index + 1, len(notes) - 1)].note_number
        own, other = (evidence[index, state_of[n]] for n in (note.note_number, following))
        if not is_repeated or own >= max(other, silence[index]):
            kept.append(note)
    return kept


# --- 2. and 3. when they begin and end ------------------------------------------------------------


def refine_onsets(regions: Sequence[Region], detector: OnsetDetector) -> list[int]:
    """The first frame of each region's note."""
    before = [Region(SILENCE, 0, 0), *regions]
    return [detector.onset(region, previous) for region, previous in zip(regions, before)]


def refine_offsets(
    regions: Sequence[Region], onsets: Sequence[int], detector: OnsetDetector
) -> list[Region]:
    """The exact frames of each note: its onset until its offset, repeated notes separated."""
    posteriors, config = detector.posteriors, detector.config
    shortest = config.shortest_note / posteriors.step
    notes: list[Region] = []
    following = [*onsets[1:], len(posteriors)]
    for region, onset, next_onset in zip(regions, onsets, following):
        level_db = detector.level_db(region)
        clear_db = level_db if detector.others else posteriors.clear_db
        # alone, a note may sound on after its last segment that is heard as its number
        end = min(region.end, next_onset) if detector.others else next_onset
        end = max(onset + 1, region.start + 1, end)
        first, *repeats = (
            region.start + frame for frame in detector.strokes(clear_db[region.start : end])
        )
        first = onset if first == region.start else max(first, onset)
        starts = [first, *(frame for frame in repeats if frame - first >= shortest)]
        for start, until in zip(starts, [*starts[1:], end]):
            begin = start if start == onset else detector.attack(level_db, start, until)
            # in the first frames of the region the previous note may still sound
            alone = min(region.start + detector.frames(config.novelty_lag), until - 1)
            offset = detector.offset(level_db, max(begin, alone), max(until, begin + 1))
            notes.append(Region(region.note_number, begin, offset))
    return notes
