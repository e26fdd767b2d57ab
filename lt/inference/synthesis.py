"""Synthesis: symbols, notes or spectra to sound, by the decoder of a run.

Steps of a piece, in the order of this module:

1. symbols or notes -> `Event`s: what sounds, from when, for how long;
2. events -> latents: the symbol encoder's posterior plus slow noise;
3. latents -> magnitudes: the mean of the signal decoder;
4. magnitudes -> audio: phase reconstruction, level, envelope, overlap-add.

Each event is made by itself and added at its exact sample, so that onsets are sharp, notes join
without clicks, any number may sound at once, and rests are exact silence.

Latent noise: the posterior of a symbol covers every moment of such notes, from attack to release.
Independent samples would take one note from its attack and the next from its decay, and their
levels would not compare. So all notes of a piece share one sample of a fraction of the posterior's
spread, around which each note drifts a little and slowly.

Names: `classes: (instruments, labels)` of one event, `z: (frames, latent)` of the top layer,
`magnitudes: (frames, bins)`, `audio: (samples,)` float32, times in seconds. All constants are
fields of `lt.config.SynthesisConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from lt.audio.features import audio_to_magnitudes
from lt.audio.phase import magnitudes_to_audio, magnitudes_to_audio_batch
from lt.audio.tuning import tune
from lt.config import SpectralConfig, SynthesisConfig
from lt.inference.posteriors import audio_spectra
from lt.labels import N_CLASSES, LabelSpace, NoteLabels, parse_symbols
from lt.midi import Track, velocity_to_dynamics
from lt.models.runs import Run
from lt.progress import Progress, silent
from lt.seeds import numpy_rng


@dataclass(frozen=True)
class Event:
    """A note of an instrument, or simultaneous notes of several.

    Attributes:
        onset, seconds: start and duration in seconds.
        classes: (instruments, labels) class indices.
        release: seconds of fading out after the end; set by `set_releases`.
    """

    onset: float
    seconds: float
    classes: np.ndarray
    release: float = 0.0


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
        >>> round(len(audio) / run.front_end.sample_rate, 2)
        2.08
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
    return magnitudes_to_audio(magnitudes, run.front_end, config, run.device)


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


def set_releases(events: Sequence[Event], config: SynthesisConfig) -> list[Event]:
    """The events, each with a release that ends when the next event begins, but not shorter than
    `join_seconds` nor longer than `release_seconds`.
    """
    onsets = np.append(np.sort([event.onset for event in events]), np.inf)
    ends = np.array([event.onset + event.seconds for event in events])
    following = onsets[np.searchsorted(onsets, ends - config.join_seconds)]
    releases = np.clip(following - ends, config.join_seconds, config.release_seconds)
    return [replace(event, release=float(release)) for event, release in zip(events, releases)]


# --- events to latents ----------------------------------------------------------------------------


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
def event_latents(run: Run, event: Event, config: SynthesisConfig, index: int) -> Tensor:
    """Top latents (frames, latent) of a piece's `index`-th event, with a margin at both ends."""
    n_frames = _n_frames(run.front_end, event, config)
    classes = torch.from_numpy(event.classes).expand(n_frames, -1, -1).to(run.device)
    return run.model.encode_symbol(classes, slow_noise(run, n_frames, config, index)).z[-1]


def event_probabilities(
    run: Run, events: Sequence[Event], config: SynthesisConfig
) -> tuple[np.ndarray, ...]:
    """Class probabilities (frames, classes) per group along events that follow one another, as the
    symbol decoder gives them for their latents.
    """
    margin = config.margin_frames
    paths = [
        event_latents(run, event, config, index)[margin:-margin]
        for index, event in enumerate(events)
    ]
    return decode_probabilities(run, torch.cat(paths))


def _n_samples(front_end: SpectralConfig, event: Event) -> tuple[int, int]:
    """Samples of an event and of its release."""
    rate = front_end.sample_rate
    return max(1, round(event.seconds * rate)), round(event.release * rate)


def _n_frames(front_end: SpectralConfig, event: Event, config: SynthesisConfig) -> int:
    """Frames decoded for an event: the note, its release and a margin at both ends."""
    return -(-sum(_n_samples(front_end, event)) // front_end.frame_hop) + 2 * config.margin_frames


# --- latents to magnitudes ------------------------------------------------------------------------


def features_to_magnitudes(run: Run, features: Tensor) -> Tensor:
    """Decoded features (frames, features) -> magnitudes (frames, bins), expanded downwards from the
    lowest level f that features resolve: m^3 / (m^2 + f^2). Hundreds of bins that a mean leaves a
    little above their floor would sum to an audible hiss; partials stay as they are.
    """
    scaler = run.scaler
    magnitudes = scaler.invert(features)
    top = magnitudes.amax(dim=-1, keepdim=True) if scaler.kind == "relative" else scaler.reference
    lowest = top * 10 ** (-scaler.range_db / 20)
    return magnitudes**3 / (magnitudes**2 + lowest**2 + torch.finfo(magnitudes.dtype).tiny)


@torch.no_grad()
def decode_magnitudes(run: Run, z: Tensor) -> Tensor:
    """Top latents (frames, latent) -> magnitudes (frames, bins), the mean of the signal decoder."""
    return features_to_magnitudes(run, run.model.signal.decode(z.to(run.device)).mean)


@torch.no_grad()
def decode_probabilities(run: Run, z: Tensor) -> tuple[np.ndarray, ...]:
    """Top latents (frames, latent) -> the symbol decoder's probabilities (frames, classes) per
    group.
    """
    groups = run.model.symbol.decode(z.to(run.device)).probabilities()
    return tuple(group.cpu().numpy() for group in groups)


@torch.no_grad()
def reconstruct_magnitudes(
    run: Run, magnitudes: Tensor, tuning: float = 0.0, config: SynthesisConfig | None = None
) -> Tensor:
    """Magnitudes through the signal VAE: encoded and decoded.

    Args:
        magnitudes: (frames, bins) of a sound of any length.
        tuning: semitones above A = 440 Hz; the encoder's input is moved down by them, the result up
            again.
        config: with `sample`, latents have slow noise; None: posterior means.
    Returns:
        magnitudes: (frames, bins), on the same device.
    """
    config = config or SynthesisConfig(sample=False)
    result = torch.empty_like(magnitudes)
    noise = slow_noise(run, len(magnitudes), config) or ()
    blocks = [tensor.split(config.chunk_frames) for tensor in (result, magnitudes, *noise)]
    for reconstruction, block, *block_noise in zip(*blocks):
        retuned = tune(block.to(run.device), -tuning, run.front_end)
        posterior = run.model.encode_signal(run.scaler.apply(retuned), block_noise or None)
        decoded = features_to_magnitudes(run, run.model.signal.output(posterior.z[0]).mean)
        reconstruction.copy_(tune(decoded.to(magnitudes.device), tuning, run.front_end))
    return result


# --- magnitudes to audio --------------------------------------------------------------------------


def events_to_audio(
    run: Run,
    events: Sequence[Event],
    config: SynthesisConfig = SynthesisConfig(),
    progress: Progress = silent,
) -> np.ndarray:
    """Events in any order -> audio (samples,) until the last release.

    Args:
        progress: shows the events done, silent ones left out.
    Raises:
        ValueError: longer than 12 hours.
    """
    rate = run.front_end.sample_rate
    end = max((event.onset + event.seconds for event in events), default=0.0)
    if end + config.release_seconds > config.longest_seconds:
        raise ValueError(
            f"this would last {end / 3600:.0f} hours; at most {config.longest_seconds / 3600:.0f} "
            "are played"
        )
    audio = np.zeros(round((end + config.release_seconds) * rate) + 1, np.float32)
    events = [event for event in events if not is_silent(event.classes, run.space)]
    index = 0
    with progress(total=len(events), desc="synthesis", unit="note") as bar:
        for batch in _batches(run.front_end, set_releases(events, config), config):
            for event, sound in zip(batch, _synthesise_batch(run, batch, config, index)):
                start = round(event.onset * rate)
                audio[start : start + len(sound)] += sound[: len(audio) - start]
            index += len(batch)
            bar.update(len(batch))
    return audio


def _batches(
    front_end: SpectralConfig, events: Sequence[Event], config: SynthesisConfig
) -> list[list[Event]]:
    """Events in batches of about `chunk_frames` frames, which bounds the memory."""
    batches: list[list[Event]] = []
    n_frames = config.chunk_frames
    for event in events:
        if n_frames >= config.chunk_frames:
            batches.append([])
            n_frames = 0
        batches[-1].append(event)
        n_frames += _n_frames(front_end, event, config)
    return batches


@torch.no_grad()
def _synthesise_batch(
    run: Run, batch: Sequence[Event], config: SynthesisConfig, first: int
) -> list[np.ndarray]:
    """Audio (samples,) of each event at its level and in its envelope; `first` is the index of the
    batch's first event.
    """
    latents = [event_latents(run, event, config, first + at) for at, event in enumerate(batch)]
    magnitudes = [decode_magnitudes(run, z) for z in latents]
    sounds = magnitudes_to_audio_batch(magnitudes, run.front_end, config, first)
    return [
        _shape(run.front_end, event, frames, sound, config)
        for event, frames, sound in zip(batch, magnitudes, sounds)
    ]


def _shape(
    front_end: SpectralConfig,
    event: Event,
    magnitudes: Tensor,
    audio: np.ndarray,
    config: SynthesisConfig,
) -> np.ndarray:
    """An event's audio without its margins, at the level of its magnitudes, in its envelope.

    Bands whose phases do not fit cancel or beat, which changes the level by a decibel or two.
    """
    margin = config.margin_frames
    shape = envelope(*_n_samples(front_end, event), front_end.sample_rate, config)
    audio = audio[margin * front_end.frame_hop :][: len(shape)]
    norm = magnitudes[margin:-margin].square().sum(dim=1).mean().sqrt()
    rms = max(float(np.sqrt(np.mean(audio**2))), 1e-9)
    gain = np.clip(
        float(norm * rms_of_unit_norm(front_end)) / rms,
        1 / config.highest_gain,
        config.highest_gain,
    )
    return audio * shape * np.float32(gain)


def envelope(
    n_samples: int, n_release: int, sample_rate: int, config: SynthesisConfig = SynthesisConfig()
) -> np.ndarray:
    """(n_samples + n_release,) raised-cosine attack, sustain, and release after the note's end."""
    n_attack = min(round(config.attack_seconds * sample_rate), n_samples)
    attack = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_attack) + 0.5) / n_attack)
    release = 0.5 + 0.5 * np.cos(np.pi * (np.arange(n_release) + 0.5) / n_release)
    return np.concatenate([attack, np.ones(n_samples - n_attack), release]).astype(np.float32)


@lru_cache(maxsize=4)
def rms_of_unit_norm(front_end: SpectralConfig) -> float:
    """Root mean square of a steady sine whose frames of magnitudes have the Euclidean norm 1."""
    rate = front_end.sample_rate
    sine = torch.sin(2 * torch.pi * 440 / rate * torch.arange(2 * rate))
    norms = audio_to_magnitudes(sine, front_end)[20:40].norm(dim=1)
    return float(0.5**0.5 / norms.mean())
