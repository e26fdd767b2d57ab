"""Synthesis: symbols and notes to sound, by the decoder of a run.

Steps of a piece, in the order of this module:

1. symbols or notes -> `Event`s: what sounds, from when, for how long;
2. events -> spectra: magnitudes of subframes from the onset to the end of the release
   (`lt.inference.note_courses`);
3. spectra -> audio: phase reconstruction, level, overlap-add.

Each event is made by itself and added at its exact sample, so that onsets are sharp, notes join
without clicks, any number may sound at once, and rests are exact silence. Events that are alike
share takes: `config.n_takes` renderings that are used in turn.

Names: `classes: (instruments, labels)` of one event, `magnitudes: (frames, bins)`, `audio:
(samples,)` float32, times in seconds. All constants are fields of `lt.config.SynthesisConfig`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from lt.audio.features import amplitude_to_db
from lt.audio.level_envelope import at_level
from lt.audio.phase import magnitudes_to_audio, magnitudes_to_audio_batch
from lt.config import SpectralConfig, SynthesisConfig
from lt.inference import morphing
from lt.inference.decoding import (
    BLOCK_FRAMES,
    SILENT,
    decode_magnitudes,
    decode_probabilities,
    reconstruct_magnitudes,
    slow_noise,
)
from lt.inference.note_courses import at_running_age, symbol_courses
from lt.inference.posteriors import audio_spectra
from lt.labels import (
    ANY_AGE,
    N_CLASSES,
    LabelSpace,
    NoteLabels,
    parse_symbols,
)
from lt.midi import Track, velocity_to_dynamics
from lt.models.runs import Run
from lt.progress import Progress, silent
from lt.threads import side_by_side

NOTES_AT_ONCE = 64  # decoded together, at all their ages


@dataclass(frozen=True)
class Event:
    """A note of an instrument, or simultaneous notes of several.

    Attributes:
        onset, seconds: start and duration in seconds.
        classes: (instruments, labels) class indices; of an age that is given, the event is that
            moment of a note throughout.
    """

    onset: float
    seconds: float
    classes: np.ndarray


def synthesise(
    run: Run,
    symbols: str | Sequence[str],
    seconds: float = 1.0,
    config: SynthesisConfig = SynthesisConfig(),
) -> np.ndarray:
    """Synthesise symbols one after another.

    Args:
        run: a trained run.
        symbols: note names with dynamics ("A4:mf C5:f rest"), or class numbers in the order of the
            run's labels ("4 9 2 5 0 3"); a string or a list. A run of several instruments takes a
            symbol per instrument at a time, one of several voices chords ("C4:f+E4:mf").
        seconds: duration of each.
        config: iterations, seed, sampling, and the constants of the method.
    Returns:
        audio: (samples,) float32 at `run.front_end.sample_rate`, with the last note's release.
    Raises:
        ValueError: symbols that cannot be parsed or that the run has no class for; longer than 12
            hours.

    Example:
        >>> run = lt.load_run("saves/flute__Flute")
        >>> audio = lt.synthesise(run, "A4:mf C5:f rest E5:ff", seconds=0.5)
        >>> len(audio) >= 4 * 0.5 * run.front_end.sample_rate
        True
    """
    tokens = symbols.split() if isinstance(symbols, str) else list(symbols)
    events = classes_to_events(parse_symbols(tokens, run.space), seconds)
    return events_to_audio(run, events, config)


def morph(
    run: Run,
    symbols: str | Sequence[str],
    seconds: float = 4.0,
    order: int = 1,
    glide: bool = False,
    config: SynthesisConfig = SynthesisConfig(),
) -> np.ndarray:
    """Morph through symbols along a spline.

    Args:
        run, symbols, config: as `synthesise`; at least order + 1 symbols.
        seconds: duration of the whole.
        order: of the spline: 0 hold, 1 linear, 2, 3 cubic.
        glide: the pitch passes through the notes between, instead of a cross-fade.
    Returns:
        audio: (samples,) float32 at `run.front_end.sample_rate`.
    Raises:
        ValueError: as `synthesise` and `lt.inference.morphing.morph`.

    Example:
        >>> run = lt.load_run("saves/flute__Flute")
        >>> lt.morph(run, "C4:p C6:ff", seconds=1.0).dtype
        dtype('float32')
    """
    tokens = symbols.split() if isinstance(symbols, str) else list(symbols)
    points = [morphing.SymbolPoint(classes) for classes in parse_symbols(tokens, run.space)]
    n_frames = max(1, round(seconds * run.front_end.frame_rate))
    path = morphing.morph(run, points, n_frames, order, glide, config)
    audio = subframes_to_audio(run, path.magnitudes[:, None], config)
    return audio * np.float32(playing_gain(run))


def reconstruct(
    run: Run, audio: np.ndarray, config: SynthesisConfig = SynthesisConfig()
) -> np.ndarray:
    """Reconstruct a recording by the signal VAE: encode, decode, reconstruct the phase.

    Args:
        run: a trained run.
        audio: (samples,) mono, of any floating-point type, at `run.front_end.sample_rate`, as
            `lt.read_audio` reads it.
        config: iterations, seed, sampling, and the constants of the method.
    Returns:
        audio: (ceil(samples / frame_hop) * frame_hop,) float32, faded at both ends.
    Raises:
        ValueError: integers, more than one axis, no samples, or samples that are NaN, infinite or
            far beyond full scale.

    Example:
        >>> run = lt.load_run("saves/flute__Flute")
        >>> audio = lt.read_audio("recording.wav")
        >>> reconstruction = lt.reconstruct(run, audio, lt.SynthesisConfig(sample=False))
        >>> len(reconstruction) - len(audio) < run.front_end.frame_hop
        True
    """
    spectra = audio_spectra(run, audio)
    magnitudes = reconstruct_magnitudes(run, spectra.magnitudes, spectra.tuning, config)
    return subframes_to_audio(run, magnitudes, config)


# --- symbols and notes to events ------------------------------------------------------------------


def classes_to_events(classes: np.ndarray, seconds: float) -> list[Event]:
    """Classes (events, instruments, labels) -> events one after another, each of `seconds`."""
    return [Event(index * seconds, seconds, group) for index, group in enumerate(classes)]


def single_notes(event: Event, space: LabelSpace) -> list[Event]:
    """An event divided into its notes, each played by the first voice of its instrument, so that
    each takes its own course; as it is where each instrument has one voice.
    """
    if not space.chordal or is_silent(event.classes, space):
        return [event]
    rest = np.tile(space.silence_classes, (len(event.classes), 1))
    notes = []
    for part in space.parts:
        for voice in event.classes[part.voices]:
            if not (voice == space.silence_classes).all():
                classes = rest.copy()
                classes[part.voices.start] = voice
                notes.append(replace(event, classes=classes))
    return notes


def tracks_to_events(tracks: Sequence[Track], space: LabelSpace) -> list[Event]:
    """Tracks, one per instrument of the space, -> events of one note each in order of onset; the
    other instruments are silent in them.

    Raises:
        ValueError: the model has several instruments and no class for silence.
    """
    if len(space.instruments) > 1 and not space.silence:
        raise ValueError(
            "a model of mixtures without a silence class cannot play one instrument alone "
            "(train with --zero_extra_class 1)"
        )
    events = []
    for part, track in zip(space.parts, tracks):
        numbers = np.array([note.note_number for note in track.notes], int)
        velocities = np.array([note.velocity for note in track.notes], int)
        labels = [NoteLabels.of_silence(len(track.notes))] * len(space.instruments)
        labels[part.voices.start] = NoteLabels.from_notes(numbers, velocity_to_dynamics(velocities))
        events += [
            Event(note.onset, note.offset - note.onset, classes)
            for note, classes in zip(track.notes, space.to_classes(labels))
        ]
    return sorted(events, key=lambda event: event.onset)


def is_silent(classes: np.ndarray, space: LabelSpace) -> bool:
    """Whether every label of every instrument is silence."""
    return bool((classes == np.array([N_CLASSES[label] for label in space.labels])).all())


# --- events to spectra ----------------------------------------------------------------------------


@torch.no_grad()
def event_probabilities(
    run: Run, events: Sequence[Event], config: SynthesisConfig
) -> tuple[np.ndarray, ...]:
    """Class probabilities (frames, classes) per group along events that follow one another, as the
    symbol decoder gives them for their latents.
    """
    paths = []
    for index, event in enumerate(events):
        n_frames = max(1, round(event.seconds / run.front_end.frame_seconds))
        rows = torch.from_numpy(at_running_age(run, event.classes, n_frames)).to(run.device)
        noise = slow_noise(run, n_frames, config, index)
        paths.append(run.model.encode_symbol(rows, noise).z[-1])
    return decode_probabilities(run, torch.cat(paths))


# --- magnitudes to audio --------------------------------------------------------------------------


def subframes_to_audio(
    run: Run, magnitudes: Tensor, config: SynthesisConfig = SynthesisConfig()
) -> np.ndarray:
    """Magnitudes (frames, subframes, bins) of a recording or path of any length -> audio (frames *
    frame_hop,), faded at both ends.
    """
    front_end = run.front_end.finer(magnitudes.shape[1])
    return magnitudes_to_audio(magnitudes.flatten(0, 1), front_end, config, run.device)


def events_to_audio(
    run: Run,
    events: Sequence[Event],
    config: SynthesisConfig = SynthesisConfig(),
    progress: Progress = silent,
) -> np.ndarray:
    """Events in any order -> audio (samples,) until the last note has died away.

    Args:
        progress: shows the events done, silent ones left out.
    Raises:
        ValueError: longer than 12 hours.
    """
    rate = run.front_end.sample_rate
    end = max((event.onset + event.seconds for event in events), default=0.0)
    if end > config.longest_seconds:
        raise ValueError(
            f"this would last {end / 3600:.0f} hours; at most {config.longest_seconds / 3600:.0f} "
            "are played"
        )
    audio = np.zeros(round(end * rate), np.float32)
    events = [note for event in events for note in single_notes(event, run.space)]
    events = [event for event in events if not is_silent(event.classes, run.space)]
    longest = _until_repeated(events, run.space)
    takes = shared_takes(events, _step(run), config.n_takes)
    with progress(total=len(events), desc="synthesis", unit="note") as bar:
        batches = _batches(run, events, takes, config)
        for batch, sounds in side_by_side(partial(_batch_sounds, run, config), batches, run.device):
            for take, whole in zip(batch, sounds):
                for number in take:
                    sound = whole
                    if len(sound) > longest[number] * rate:  # the same note is played again
                        sound = sound[: round(longest[number] * rate)]
                        sound = fade_ends(sound, run.front_end, config)
                    start = round(events[number].onset * rate)
                    if start + len(sound) > len(audio):
                        audio = np.pad(audio, (0, start + len(sound) - len(audio)))
                    audio[start : start + len(sound)] += sound
                bar.update(len(take))
    return audio * np.float32(playing_gain(run))


def _step(run: Run) -> float:
    """Seconds from one subframe to the next."""
    return run.front_end.finer(run.settings.subframes).frame_seconds


def shared_takes(events: Sequence[Event], step: float, n_takes: int) -> list[list[int]]:
    """Indices of the events that are rendered once, by the first of each: of those with equal
    classes and as many frames of `step` seconds, every `n_takes`-th.

    A piece without more than `n_takes` alike sounds as if each event were rendered by itself; one
    of thousands of notes needs a fraction of the renderings.
    """
    alike: dict[tuple[bytes, int], list[int]] = defaultdict(list)
    for number, event in enumerate(events):
        alike[event.classes.tobytes(), n_held(event, step)].append(number)
    return sorted(
        own[first::n_takes] for own in alike.values() for first in range(min(n_takes, len(own)))
    )


def n_held(event: Event, step: float) -> int:
    """Frames of `step` seconds for which an event is held."""
    return max(1, round(event.seconds / step))


def _until_repeated(events: Sequence[Event], space: LabelSpace) -> list[float]:
    """Seconds from the onset of each event until its note begins again, which ends its release as
    on an instrument; infinite where it does not.
    """
    columns = space.note_columns
    onsets: dict[bytes, list[float]] = defaultdict(list)
    for event in events:
        onsets[event.classes[:, columns].tobytes()].append(event.onset)
    seconds = []
    for event in events:
        own = np.array(onsets[event.classes[:, columns].tobytes()])
        later = own[own > event.onset]
        seconds.append(float(later.min() - event.onset) if len(later) else np.inf)
    return seconds


def _batches(
    run: Run, events: Sequence[Event], takes: Sequence[list[int]], config: SynthesisConfig
) -> Iterator[tuple[list[list[int]], list[tuple[Tensor, int]]]]:
    """Takes and their spectra, in batches of about `chunk_seconds`, which bounds the memory."""
    chunk_frames = config.chunk_seconds / _step(run)
    batch, spectra, n_frames = [], [], 0
    for first in range(0, len(takes), NOTES_AT_ONCE):
        some = takes[first : first + NOTES_AT_ONCE]
        numbers = [take[0] for take in some]
        own = event_spectra(run, [events[number] for number in numbers], config, numbers)
        for take, (magnitudes, n_lead) in zip(some, own):
            batch.append(take)
            spectra.append((magnitudes, n_lead))
            n_frames += len(magnitudes)
            if n_frames >= chunk_frames or take is takes[-1]:
                yield batch, spectra
                batch, spectra, n_frames = [], [], 0


def event_spectra(
    run: Run,
    events: Sequence[Event],
    config: SynthesisConfig = SynthesisConfig(),
    numbers: Sequence[int] | None = None,
) -> list[tuple[Tensor, int]]:
    """Magnitudes (frames, bins) of subframes of each event, from the first whose window reaches its
    onset until it has fallen below the lowest magnitude that the decoder represents; and the number
    of frames before the onset.

    Args:
        numbers: of the events in their piece, all 0 by default.
    """
    front_end = run.front_end.finer(run.settings.subframes)
    symbols = [event.classes for event in events]
    courses = symbol_courses(run, symbols, config, numbers or [0] * len(events))
    spectra = []
    for event, course in zip(events, courses):
        magnitudes = course.spectra(event.seconds, front_end.frame_seconds)
        sounding = amplitude_to_db(magnitudes.amax(dim=1)) > run.decoder_scaler.floor_db
        last = int(sounding.nonzero()[-1]) + 1 if sounding.any() else 0
        n_lead = course.n_lead(front_end.frame_seconds)
        shortest = n_lead + n_held(event, front_end.frame_seconds)
        spectra.append((magnitudes[: max(last, shortest)].to(run.device), n_lead))
    return spectra


def _batch_sounds(
    run: Run, config: SynthesisConfig, batch: tuple[list[list[int]], list[tuple[Tensor, int]]]
) -> tuple[list[list[int]], list[np.ndarray]]:
    """A batch's takes, and the sound of each."""
    takes, spectra = batch
    return takes, _synthesise_batch(run, spectra, config, takes[0][0])


@torch.no_grad()
def _synthesise_batch(
    run: Run, spectra: Sequence[tuple[Tensor, int]], config: SynthesisConfig, first: int
) -> list[np.ndarray]:
    """Audio (samples,) from the onset of each event's spectra at their level, faded at both ends;
    `first` is the index of the batch's first event.
    """
    front_end = run.front_end.finer(run.settings.subframes)
    magnitudes = [frames for frames, _ in spectra]
    lead = min(n_lead for _, n_lead in spectra) * front_end.frame_seconds
    of_notes = replace(
        config,
        recording_iter=config.note_iter,
        gap_seconds=max(0.0, config.gap_seconds - lead),  # what is before an onset is left out
    )
    sounds = magnitudes_to_audio_batch(magnitudes, front_end, of_notes, first)
    levelled = (
        at_level(sound, frames, n_lead, front_end, config)[n_lead * front_end.frame_hop :]
        for (frames, n_lead), sound in zip(spectra, sounds)
    )
    return [fade_ends(sound, front_end, config) for sound in levelled]


def fade_ends(
    audio: np.ndarray, front_end: SpectralConfig, config: SynthesisConfig = SynthesisConfig()
) -> np.ndarray:
    """Audio (samples,) with raised-cosine ends of `attack_seconds` and `fade_seconds`, so that it
    neither begins nor ends with a click.
    """
    shape = np.ones(len(audio), np.float32)
    for seconds, own in ((config.attack_seconds, shape), (config.fade_seconds, shape[::-1])):
        n_fade = min(round(seconds * front_end.sample_rate), len(audio) // 2)
        own[:n_fade] *= 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_fade) + 0.5) / n_fade)
    return audio * shape


@lru_cache(maxsize=4)
@torch.no_grad()
def playing_gain(run: Run, config: SynthesisConfig = SynthesisConfig()) -> float:
    """The gain at which the loudest note that a run learnt, played alone, peaks at
    `config.loudest_dbfs`: one for all that a run plays, so that levels compare.
    """
    rows = _learnt_classes(run)
    at_onset = rows.copy()
    if run.space.age_column is not None:
        ages = at_onset[:, :, run.space.age_column]
        ages[ages == ANY_AGE] = config.loudest_age
    z = run.model.encode_symbol(torch.from_numpy(at_onset).to(run.device)).top.mean
    levels = [
        decode_magnitudes(run, block).square().sum(dim=1).cpu() for block in z.split(BLOCK_FRAMES)
    ]
    loudest = torch.cat(levels).topk(min(config.n_loudest, len(rows))).indices
    means = replace(config, sample=False)
    events = [Event(0.0, config.loudest_seconds, rows[index]) for index in loudest]
    spectra = event_spectra(run, events, means)
    peaks = [np.abs(sound).max() for sound in _synthesise_batch(run, spectra, means, 0)]
    return 10 ** (config.loudest_dbfs / 20) / max(float(max(peaks)), SILENT)


def _learnt_classes(run: Run) -> np.ndarray:
    """Classes (symbols, instruments, labels) of every note that a run learnt, one instrument at a
    time and, where there is a class for silence, without the others.
    """
    n_instruments = len(run.space.instruments)
    rows = []
    for part in run.space.parts:
        table = run.settings.learnt[part.name]
        notes = [(number, level) for number, levels in table.items() for level in levels]
        own = NoteLabels.from_notes(*np.array(notes).T)
        others = NoteLabels.of_silence(len(notes)) if run.space.silence else own
        labels = [own if at == part.voices.start else others for at in range(n_instruments)]
        rows.append(run.space.to_classes(labels))
    return np.concatenate(rows)
