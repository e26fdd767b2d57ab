"""Generation: symbols, MIDI or a path in the latent space, made into sound.

The ladder: classes or latent points -> magnitudes (the signal decoder's mean) -> audio (phase retrieval). Notes
are made one by one, each with its own phase, then shaped and laid over one another at their exact samples: so
onsets are sharp, notes join without clicks, and any number may sound at once.

A note is a path, not a point: its latent is drawn once and drifts a little, as a player's tone does.

Names: `classes: (instruments, labels)` of one event, `z: (frames, latent)` top latent, times in seconds.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator, Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from lt.labels import LabelSpace, NoteLabels, velocity_to_dynamics
from lt.midi import Note
from lt.runs import Run
from lt.seeds import generator, numpy_generator
from lt.spectra import Spectra, spectra_to_audio

ATTACK_SECONDS = 0.015
RELEASE_SECONDS = 0.08
FADE_SECONDS = 0.01  # at the ends of what is not made of notes
MARGIN_FRAMES = 2  # made beyond both ends of a note, so that phase retrieval has no edge inside it
DRIFT_SECONDS = 0.3  # correlation time of a note's drift
DRIFT_SHARE = 0.1  # of the latent's variance that drifts; the rest is drawn once a note
GAP_FRAMES = 8  # of silence between notes that are made together: low bands ring for a quarter of a second
TAPE_FRAMES = 4096  # of notes that are made together
PART_FRAMES = 4096  # of a long sound whose phases are found together: 131 s
MEETING_FRAMES = 8  # beyond a part's borders, so that phase retrieval has no edge there


@dataclass(frozen=True)
class Event:
    """Something to sound: classes (instruments, labels) from `onset` for `seconds`."""
    onset: float
    seconds: float
    classes: np.ndarray


# --- symbols and notes to events --------------------------------------------------------------------------

def classes_to_events(classes: Sequence[np.ndarray], seconds: float) -> list[Event]:
    """Groups of classes (instruments, labels), one after another, each for `seconds`."""
    return [Event(index * seconds, seconds, group) for index, group in enumerate(classes)]


def notes_to_events(notes: Sequence[Note], space: LabelSpace, instrument: int = 0) -> list[Event]:
    """Notes of one instrument -> events in which the others are silent.

    Raises:
        ValueError: the model plays several instruments and has no class for silence.
    """
    if len(space.instruments) > 1 and not space.silence:
        raise ValueError("a model of mixtures without a silence class cannot play one instrument alone "
                         "(train with --zero_extra_class 1)")
    events = []
    for note in notes:
        one = NoteLabels.from_notes(np.array([note.note_number]), velocity_to_dynamics(np.array([note.velocity])))
        silent = NoteLabels.of_silence(1)
        labels = [one if index == instrument else silent for index in range(len(space.instruments))]
        events.append(Event(note.onset, note.offset - note.onset, space.to_classes(labels)[0]))
    return events




# --- events to sound --------------------------------------------------------------------------------------

@torch.no_grad()
def event_magnitudes(run: Run, event: Event, n_frames: int, seed: int | None, index: int) -> Tensor:
    """The magnitudes (n_frames, bins) of one event; `seed` None takes the latent's mean, else draws it."""
    classes = torch.from_numpy(np.broadcast_to(event.classes, (n_frames, *event.classes.shape)).copy()).to(run.device)
    noise = None
    if seed is not None:
        noise = tuple(latent_drift(n_frames, dim, run, seed, index, layer).to(run.device)
                      for layer, dim in enumerate(run.model.dims))
    return run.scaler.invert(run.model.symbol_to_signal(classes, noise).mean)


def latent_drift(n_frames: int, dim: int, run: Run, seed: int, *where: int) -> Tensor:
    """Standard normal noise (n_frames, dim) that is drawn once and drifts slowly: unit variance at every frame."""
    chosen = numpy_generator(seed, "latent", *where)
    still = chosen.standard_normal((1, dim))
    sigma = DRIFT_SECONDS * run.front_end.frame_rate / 2
    padding = int(4 * sigma)
    drift = gaussian_filter1d(chosen.standard_normal((n_frames + 2 * padding, dim)), sigma, axis=0)
    drift = drift[padding:padding + n_frames] * np.sqrt(2 * sigma * np.sqrt(np.pi))  # back to unit variance
    return torch.from_numpy(np.sqrt(1 - DRIFT_SHARE) * still + np.sqrt(DRIFT_SHARE) * drift).float()


def envelope(n_samples: int, sample_rate: int) -> np.ndarray:
    """(n_samples + release,) raised-cosine attack, sustain, and a release after the note's end."""
    n_attack = min(round(ATTACK_SECONDS * sample_rate), n_samples)
    n_release = round(RELEASE_SECONDS * sample_rate)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_attack) + 0.5) / n_attack)
    fall = 0.5 + 0.5 * np.cos(np.pi * (np.arange(n_release) + 0.5) / n_release)
    return np.concatenate([rise, np.ones(n_samples - n_attack), fall]).astype(np.float32)


def events_to_audio(run: Run, events: Sequence[Event], n_iter: int, seed: int, sample: bool,
                    on_event: Callable[[], None] = lambda: None) -> np.ndarray:
    """Events -> audio (samples,) until the last release.

    Args:
        n_iter: iterations of phase retrieval. sample: draw each event's latent, else take its mean.
        on_event: told after each event.
    """
    rate = run.front_end.sample_rate
    end = max((event.onset + event.seconds for event in events), default=0.0) + RELEASE_SECONDS
    audio = np.zeros(round(end * rate) + 1, np.float32)
    index = 0
    for tape in _tapes(run, events):
        for one, event in zip(_tape_to_audio(run, tape, n_iter, seed, sample, index), tape):
            start = round(event.onset * rate)
            audio[start:start + len(one)] += one[:len(audio) - start]
            on_event()
        index += len(tape)
    return audio


def _tapes(run: Run, events: Sequence[Event]) -> Iterator[list[Event]]:
    """Events in portions of about TAPE_FRAMES, which bound the memory."""
    tape, n_frames = [], 0
    for event in events:
        tape.append(event)
        n_frames += _tape_frames(run, event)
        if n_frames >= TAPE_FRAMES:
            yield tape
            tape, n_frames = [], 0
    if tape:
        yield tape


def _tape_frames(run: Run, event: Event) -> int:
    """Frames of an event on a tape: the note, its release and a margin at both ends."""
    n_samples = len(_shape(run, event))
    return -(-n_samples // run.front_end.frame_hop) + 2 * MARGIN_FRAMES


def _shape(run: Run, event: Event) -> np.ndarray:
    rate = run.front_end.sample_rate
    return envelope(max(1, round(event.seconds * rate)), rate)


def _tape_to_audio(run: Run, tape: Sequence[Event], n_iter: int, seed: int, sample: bool,
                   index: int) -> Iterator[np.ndarray]:
    """Each event's audio, shaped. They lie on one tape, silence between them: one long phase retrieval is much
    faster than many short ones."""
    hop = run.front_end.frame_hop
    gap = torch.zeros(GAP_FRAMES, run.front_end.n_bins, device=run.device)
    frames = [event_magnitudes(run, event, _tape_frames(run, event), seed if sample else None, index + number)
              for number, event in enumerate(tape)]
    audio = magnitudes_to_audio(run, torch.cat([part for one in frames for part in (one, gap)]), n_iter, seed, index)
    start = 0
    for event, one in zip(tape, frames):
        shape = _shape(run, event)
        first = (start + MARGIN_FRAMES) * hop
        yield audio[first:first + len(shape)] * shape
        start += len(one) + GAP_FRAMES


def magnitudes_to_audio(run: Run, magnitudes: Tensor, n_iter: int, seed: int, *where: int) -> np.ndarray:
    """Magnitudes (frames, bins) -> audio (frames * frame_hop,), its phase named by the seed and the place."""
    chosen = generator(seed, "phase", *where, device=magnitudes.device)
    return spectra_to_audio(Spectra(magnitudes, run.front_end), n_iter, chosen).cpu().numpy()


# --- the latent space -------------------------------------------------------------------------------------

@torch.no_grad()
def decode_path(run: Run, z: Tensor) -> tuple[Tensor, tuple[np.ndarray, ...]]:
    """Top latents (frames, latent) -> magnitudes (frames, bins) and class probabilities, one group each."""
    z = z.to(run.device)
    magnitudes = run.scaler.invert(run.model.signal.decode(z).mean)
    return magnitudes, tuple(group.cpu().numpy() for group in run.model.symbol.decode(z).probabilities())


@torch.no_grad()
def reconstruct(run: Run, magnitudes: Tensor, seed: int | None = None) -> Tensor:
    """Magnitudes (frames, bins) -> the signal VAE's own idea of them; `seed` None takes the posterior mean."""
    features = run.scaler.apply(magnitudes.to(run.device))
    noise = None
    if seed is not None:
        noise = tuple(latent_drift(len(features), dim, run, seed, layer).to(run.device)
                      for layer, dim in enumerate(run.model.dims))
    posterior = run.model.encode_signal(features, noise)
    return run.scaler.invert(run.model.signal.output(posterior.z[0]).mean)


def frames_to_sound(run: Run, magnitudes: Tensor, n_iter: int, seed: int) -> np.ndarray:
    """Magnitudes (frames, bins) of a whole recording or path -> audio (samples,), faded at both ends.

    Phases are found for up to PART_FRAMES at once, which bounds the memory; parts meet where it is quietest.
    """
    hop = run.front_end.frame_hop
    audio = np.zeros(len(magnitudes) * hop, np.float32)
    for number, (start, end) in enumerate(_parts(magnitudes)):
        first, last = max(start - MEETING_FRAMES, 0), min(end + MEETING_FRAMES, len(magnitudes))
        part = magnitudes_to_audio(run, magnitudes[first:last], n_iter, seed, number)
        begin, stop = start * hop, end * hop
        if start:  # the frame before the border is faded from part to part
            begin -= hop
            rise = np.linspace(0, 1, hop, endpoint=False, dtype=np.float32)
            audio[begin:begin + hop] *= 1 - rise
            part[begin - first * hop:begin - first * hop + hop] *= rise
        audio[begin:stop] += part[begin - first * hop:stop - first * hop]
    return _faded(audio, round(FADE_SECONDS * run.front_end.sample_rate))


def _parts(magnitudes: Tensor) -> list[tuple[int, int]]:
    """Half-open ranges of frames, each at most PART_FRAMES long, that meet at quiet frames."""
    level, parts, start = magnitudes.amax(dim=1), [], 0
    while len(magnitudes) - start > PART_FRAMES:
        half = start + PART_FRAMES // 2
        end = half + 1 + int(level[half:start + PART_FRAMES - 1].argmin())
        parts.append((start, end))
        start = end
    return [*parts, (start, len(magnitudes))]


def _faded(audio: np.ndarray, n_fade: int) -> np.ndarray:
    """Audio (samples,) with linear fades over n_fade samples at both ends."""
    n_fade = min(n_fade, len(audio) // 2)
    fade = np.linspace(0, 1, n_fade, endpoint=False, dtype=np.float32)
    audio[:n_fade] *= fade
    audio[len(audio) - n_fade:] *= fade[::-1]
    return audio
