"""Synthesis: symbols, notes or spectra to sound, by the decoder of a run.

Steps of a piece, in the order of this module:

1. symbols or notes -> `Event`s: what sounds, from when, for how long;
2. events -> courses: the spectrum of a symbol at each class of age;
3. courses -> magnitudes of subframes: interpolated in time, from onset to the end of the release;
4. magnitudes -> audio: phase reconstruction, level, overlap-add.

Each event is made by itself and added at its exact sample, so that onsets are sharp, notes join
without clicks, any number may sound at once, and rests are exact silence.

The course of a note is that of the training notes. A model with the label age decodes one spectrum
for each class of age that the training notes reached. Their logarithms are interpolated linearly
between the mean times of the classes; a note that is held longer continues the trend of the second
half of the course, where that falls. A release is the change that the training notes show after
their note-off, added to the spectrum that the note has reached. A model without the label plays one
spectrum from beginning to end.

Latent noise: notes of a piece share one sample of a fraction of the posterior's spread, around
which each note has a small deviation of its own, so that their levels compare.

Names: `classes: (instruments, labels)` of one event, `z: (frames, latent)` of the top layer,
`magnitudes: (frames, bins)`, `features: (moments, bins)` of the decoder, which are logarithms;
`audio: (samples,)` float32, times in seconds. All constants are fields of
`lt.config.SynthesisConfig`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Iterator, Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from lt.audio.features import amplitude_to_db, audio_to_magnitudes, db_to_amplitude
from lt.audio.phase import magnitudes_to_audio, magnitudes_to_audio_batch
from lt.audio.tuning import tune
from lt.config import SpectralConfig, SynthesisConfig
from lt.inference.posteriors import audio_spectra
from lt.labels import (
    AGE_UNIT,
    ANY_AGE,
    LEAD_AGES,
    N_CLASSES,
    ONSET_AGES,
    RELEASE_AGES,
    AgeTimes,
    LabelSpace,
    NoteLabels,
    age_class,
    parse_symbols,
)
from lt.midi import Track, velocity_to_dynamics
from lt.models.runs import Run
from lt.progress import Progress, silent
from lt.seeds import numpy_rng

SILENT = 1e-9  # no level is below it
BLOCK_FRAMES = 4096  # decoded at once


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
            symbol per instrument at a time.
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
    for index, track in enumerate(tracks):
        numbers = np.array([note.note_number for note in track.notes], int)
        velocities = np.array([note.velocity for note in track.notes], int)
        labels = [NoteLabels.of_silence(len(track.notes))] * len(space.instruments)
        labels[index] = NoteLabels.from_notes(numbers, velocity_to_dynamics(velocities))
        events += [
            Event(note.onset, note.offset - note.onset, classes)
            for note, classes in zip(track.notes, space.to_classes(labels))
        ]
    return sorted(events, key=lambda event: event.onset)


def is_silent(classes: np.ndarray, space: LabelSpace) -> bool:
    """Whether every label of every instrument is silence."""
    return bool((classes == np.array([N_CLASSES[label] for label in space.labels])).all())


# --- events to courses ----------------------------------------------------------------------------


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
def symbol_course(
    run: Run, classes: np.ndarray, config: SynthesisConfig = SynthesisConfig(), index: int = 0
) -> Course:
    """The course of `classes: (instruments, labels)`, decoded at each class of age that the
    training notes reached; of a symbol with an age, or a model without ages, one spectrum.

    Args:
        index: of the note in its piece, for its latent noise.
    """
    times = _age_times(run, classes)
    ages = times.classes
    rows = torch.from_numpy(classes).expand(max(len(ages), 1), -1, -1).clone().to(run.device)
    if len(ages):
        column = run.space.age_column
        free = rows[:, :, column] == ANY_AGE
        of_row = torch.from_numpy(ages).to(run.device)[:, None].expand_as(free)
        rows[:, :, column] = torch.where(free, of_row, rows[:, :, column])
    noise = slow_noise(run, 1, config, index)
    z = run.model.encode_symbol(
        rows, noise and tuple(layer.expand(len(rows), -1) for layer in noise)
    ).z[-1]
    lowest = run.decoder_scaler.reference * 10 ** (config.lowest_db / 20)
    decoded = amplitude_to_db(decode_subframes(run, z, rows).clamp_min(lowest)).cpu()
    if not len(ages):
        constant = decoded.mean(dim=1)
        return Course(torch.zeros(1), constant, torch.zeros(0), constant[:0], 0.0)
    kinds = (times.lead, LEAD_AGES), (times.held, ONSET_AGES), (times.released, RELEASE_AGES)
    parts = decoded.split([len(means) for means, _ in kinds])
    lead, held, released = (
        _moments(part, means, starts, run.front_end) for part, (means, starts) in zip(parts, kinds)
    )
    held = (torch.cat(pair) for pair in zip(lead, held))
    return Course(*held, *released, times.note_off)


def _age_times(run: Run, classes: np.ndarray) -> AgeTimes:
    """Of the first instrument that sounds in `classes: (instruments, labels)` with its age not
    given; none where there is no such.
    """
    column = run.space.age_column
    if column is None:
        return AgeTimes()
    free = np.flatnonzero(classes[:, column] == ANY_AGE)
    return run.settings.ages[run.space.instruments[free[0]]] if len(free) else AgeTimes()


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


def slow_noise(
    run: Run, n_frames: int, config: SynthesisConfig, index: int = 0
) -> tuple[Tensor, ...] | None:
    """Latent noise of the `index`-th note of a piece: (n_frames, latent) per layer, of standard
    deviation `spread` at every frame. Most of it is constant over the piece, the rest a slow drift
    of the note's own. None, for posterior means, where `config.sample` is false.
    """
    if not config.sample:
        return None
    sigma = config.drift_seconds * run.front_end.frame_rate / 2
    padding = int(4 * sigma)
    noise = []
    for layer, dim in enumerate(run.model.dims):
        constant = numpy_rng(config.seed, "latent", 0, layer).standard_normal((1, dim))
        rng = numpy_rng(config.seed, "latent", 1, layer, index)
        drift = rng.standard_normal((n_frames + 2 * padding, dim))
        drift = gaussian_filter1d(drift, sigma, axis=0)[padding : padding + n_frames]
        drift = drift * np.sqrt(2 * sigma * np.sqrt(np.pi))  # back to unit variance
        fraction = config.drift_fraction
        sample = config.spread * (np.sqrt(1 - fraction) * constant + np.sqrt(fraction) * drift)
        noise.append(torch.from_numpy(sample).float().to(run.device))
    return tuple(noise)


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


# --- latents to magnitudes ------------------------------------------------------------------------


def features_to_magnitudes(run: Run, features: Tensor) -> Tensor:
    """Decoded features (frames, features) -> magnitudes (frames, subframes, bins), expanded
    downwards from the lowest level f that features resolve: m^3 / (m^2 + f^2). Hundreds of bins
    that a mean leaves a little above their floor would sum to an audible hiss; partials stay as
    they are.
    """
    scaler = run.decoder_scaler
    magnitudes = scaler.invert_to_subframes(features)
    top = magnitudes.amax(dim=-1, keepdim=True) if scaler.kind == "relative" else scaler.reference
    lowest = top * 10 ** (-scaler.range_db / 20)
    return magnitudes**3 / (magnitudes**2 + lowest**2 + torch.finfo(magnitudes.dtype).tiny)


@torch.no_grad()
def decode_subframes(run: Run, z: Tensor, classes: Tensor | None = None) -> Tensor:
    """Top latents (frames, latent) -> magnitudes (frames, subframes, bins), the mean of the signal
    decoder; `classes: (frames, instruments, labels)` where the notes are known.
    """
    return features_to_magnitudes(run, run.model.decode_signal(z.to(run.device), classes).mean)


def decode_magnitudes(run: Run, z: Tensor) -> Tensor:
    """Top latents (frames, latent) -> magnitudes (frames, bins) of model frames."""
    return decode_subframes(run, z).mean(dim=1)


@torch.no_grad()
def decode_probabilities(run: Run, z: Tensor) -> tuple[np.ndarray, ...]:
    """Top latents (frames, latent) -> the symbol decoder's probabilities (frames, classes) per
    group.
    """
    groups = run.model.symbol.decode(z.to(run.device)).probabilities()
    return tuple(group.cpu().numpy() for group in groups)


def matching_gain(run: Run, magnitudes: Tensor) -> float:
    """The gain that brings the loudest of magnitudes (frames, bins) to that of the data set."""
    return run.scaler.reference / max(float(magnitudes.max()), SILENT)


@torch.no_grad()
def reconstruct_magnitudes(
    run: Run, magnitudes: Tensor, tuning: float = 0.0, config: SynthesisConfig | None = None
) -> Tensor:
    """Magnitudes through the signal VAE: encoded and decoded, at the level of the data set's
    loudest frame in between.

    Args:
        magnitudes: (frames, bins) of a sound of any length.
        tuning: semitones above A = 440 Hz; the encoder's input is moved down by them, the result up
            again.
        config: with `sample`, latents have slow noise; None: posterior means.
    Returns:
        magnitudes: (frames, subframes, bins), on the same device.
    """
    config = config or SynthesisConfig(sample=False)
    gain = matching_gain(run, magnitudes)
    result = magnitudes.new_empty(len(magnitudes), run.settings.subframes, magnitudes.shape[1])
    noise = slow_noise(run, len(magnitudes), config) or ()
    blocks = [tensor.split(BLOCK_FRAMES) for tensor in (result, magnitudes, *noise)]
    for reconstruction, block, *block_noise in zip(*blocks):
        retuned = tune(gain * block.to(run.device), -tuning, run.front_end)
        posterior = run.model.encode_signal(run.scaler.apply(retuned), block_noise or None)
        px = run.model.signal_output(posterior.z[0], posterior.top.mean)
        decoded = features_to_magnitudes(run, px.mean)
        retuned = tune(decoded.flatten(0, 1).to(magnitudes.device), tuning, run.front_end)
        reconstruction.copy_(retuned.view_as(reconstruction) / gain)
    return result


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
    events = [event for event in events if not is_silent(event.classes, run.space)]
    longest = _until_repeated(events, run.space)
    with progress(total=len(events), desc="synthesis", unit="note") as bar:
        for index, batch, spectra in _batches(run, events, config):
            sounds = _synthesise_batch(run, spectra, config, index)
            for number, (event, sound) in enumerate(zip(batch, sounds), index):
                if len(sound) > longest[number] * rate:  # the same note is played again
                    sound = fade_ends(sound[: round(longest[number] * rate)], run.front_end, config)
                start = round(event.onset * rate)
                if start + len(sound) > len(audio):
                    audio = np.pad(audio, (0, start + len(sound) - len(audio)))
                audio[start : start + len(sound)] += sound
            bar.update(len(batch))
    return audio * np.float32(playing_gain(run))


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
    run: Run, events: Sequence[Event], config: SynthesisConfig
) -> Iterator[tuple[int, list[Event], list[tuple[Tensor, int]]]]:
    """Index of the first event, events and their spectra, in batches of about `chunk_seconds`,
    which bounds the memory.
    """
    chunk_frames = config.chunk_seconds * run.settings.subframes / run.front_end.frame_seconds
    batch, spectra, n_frames = [], [], 0
    for index, event in enumerate(events):
        batch.append(event)
        spectra.append(event_spectra(run, event, config, index))
        n_frames += len(spectra[-1][0])
        if n_frames >= chunk_frames or index + 1 == len(events):
            yield index + 1 - len(batch), batch, spectra
            batch, spectra, n_frames = [], [], 0


def event_spectra(
    run: Run, event: Event, config: SynthesisConfig = SynthesisConfig(), index: int = 0
) -> tuple[Tensor, int]:
    """Magnitudes (frames, bins) of subframes of an event, from the first whose window reaches its
    onset until it has fallen `inaudible_db` below its loudest frame; and the number of frames
    before the onset.
    """
    front_end = run.front_end.finer(run.settings.subframes)
    course = symbol_course(run, event.classes, config, index)
    magnitudes = course.spectra(event.seconds, front_end.frame_seconds)
    levels = magnitudes.square().sum(dim=1)
    audible = levels >= levels.max() * 10 ** (config.inaudible_db / 10)
    n_held = max(1, round(event.seconds / front_end.frame_seconds))
    last = int(audible.nonzero()[-1]) + 1
    n_lead = course.n_lead(front_end.frame_seconds)
    return magnitudes[: max(last, n_lead + n_held)].to(run.device), n_lead


@torch.no_grad()
def _synthesise_batch(
    run: Run, spectra: Sequence[tuple[Tensor, int]], config: SynthesisConfig, first: int
) -> list[np.ndarray]:
    """Audio (samples,) from the onset of each event's spectra at their level, faded at both ends;
    `first` is the index of the batch's first event.
    """
    front_end = run.front_end.finer(run.settings.subframes)
    magnitudes = [frames for frames, _ in spectra]
    sounds = magnitudes_to_audio_batch(magnitudes, front_end, config, first)
    at_level = (
        _at_level(sound, frames, run.front_end, config)[n_lead * front_end.frame_hop :]
        for (frames, n_lead), sound in zip(spectra, sounds)
    )
    return [fade_ends(sound, front_end, config) for sound in at_level]


def _at_level(
    audio: np.ndarray, magnitudes: Tensor, front_end: SpectralConfig, config: SynthesisConfig
) -> np.ndarray:
    """Audio (samples,) at the level of its magnitudes (frames, bins).

    Bands whose phases do not fit cancel or beat, which changes the level by a decibel or two.
    """
    norm = magnitudes.square().sum(dim=1).mean().sqrt()
    rms = max(float(np.sqrt(np.mean(audio**2))), SILENT)
    gain = float(norm * rms_of_unit_norm(front_end)) / rms
    return audio * np.float32(np.clip(gain, 1 / config.highest_gain, config.highest_gain))


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
def rms_of_unit_norm(front_end: SpectralConfig) -> float:
    """Root mean square of a steady sine whose frames of magnitudes have the Euclidean norm 1."""
    rate = front_end.sample_rate
    sine = torch.sin(2 * torch.pi * 440 / rate * torch.arange(2 * rate))
    norms = audio_to_magnitudes(sine, front_end)[20:40].norm(dim=1)
    return float(0.5**0.5 / norms.mean())


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
    spectra = [event_spectra(run, event, means) for event in events]
    peaks = [np.abs(sound).max() for sound in _synthesise_batch(run, spectra, means, 0)]
    return 10 ** (config.loudest_dbfs / 20) / max(float(max(peaks)), SILENT)


def _learnt_classes(run: Run) -> np.ndarray:
    """Classes (symbols, instruments, labels) of every note that a run learnt, one instrument at a
    time and, where there is a class for silence, without the others.
    """
    n_instruments = len(run.space.instruments)
    rows = []
    for index, instrument in enumerate(run.space.instruments):
        table = run.settings.learnt[instrument]
        notes = [(number, level) for number, levels in table.items() for level in levels]
        own = NoteLabels.from_notes(*np.array(notes).T)
        others = NoteLabels.of_silence(len(notes)) if run.space.silence else own
        labels = [own if at == index else others for at in range(n_instruments)]
        rows.append(run.space.to_classes(labels))
    return np.concatenate(rows)
