"""Decoding: latent points -> magnitudes and symbols, and the draws and the region that latent paths
are made of.

What is drawn: the posterior of a symbol covers every moment of such notes, from attack to release.
A draw of its own for each note would be a lottery of moments, loud beside soft; so one draw, of a
third of the spread, is shared by all notes of a piece (a player's tone that day), and around it
each note drifts a little.

Names: `z: (frames, latent)` top latent, `magnitudes: (frames, bins)`.

Generation: symbols, MIDI or a path in the latent space, made into sound.

The ladder: classes -> latent points -> magnitudes (the signal decoder's mean) -> audio (phase
retrieval). Notes are made one by one, each with its own phase, then shaped and laid over one
another at their exact samples: so onsets are sharp, notes join without clicks, any number may sound
at once, and rests are silent.

Names: `classes: (instruments, labels)` of one event, `z: (frames, latent)` top latent, times in
seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Callable, Iterator, Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from lt.audio.features import audio_to_spectra
from lt.audio.phase import magnitudes_to_audio
from lt.config import SpectralConfig
from lt.labels import N_CLASSES, LabelSpace, NoteLabels, parse_symbols, velocity_to_dynamics
from lt.midi import Note
from lt.models.runs import Run
from lt.seeds import numpy_rng

SPREAD = 0.3  # of a draw, in standard deviations of the posterior: levels still rise with dynamics
DRIFT_SECONDS = 0.3  # correlation time of a note's drift
DRIFT_SHARE = 0.05  # of a draw's variance that drifts; the rest is the piece's own


def draw_slowly(n_frames: int, dim: int, run: Run, seed: int, layer: int, index: int) -> Tensor:
    """Normal noise (n_frames, dim) of standard deviation SPREAD at every frame: the most of it the
    piece's own, drawn once a layer, the rest a slow drift of the `index`-th note's.
    """
    still = numpy_rng(seed, "latent", 0, layer).standard_normal((1, dim))
    sigma = DRIFT_SECONDS * run.front_end.frame_rate / 2
    padding = int(4 * sigma)
    drift = numpy_rng(seed, "latent", 1, layer, index).standard_normal(
        (n_frames + 2 * padding, dim)
    )
    drift = gaussian_filter1d(drift, sigma, axis=0)[padding : padding + n_frames]
    drift = drift * np.sqrt(2 * sigma * np.sqrt(np.pi))  # back to unit variance
    return torch.from_numpy(
        SPREAD * (np.sqrt(1 - DRIFT_SHARE) * still + np.sqrt(DRIFT_SHARE) * drift)
    ).float()


def to_magnitudes(run: Run, features: Tensor) -> Tensor:
    """Decoded features (frames, features) -> magnitudes (frames, bins), expanded downwards from the
    lowest level f that the features resolve: m^3 / (m^2 + f^2). Hundreds of bins that a mean leaves
    a little above their floor would sum to an audible hiss; partials stay as they are.
    """
    magnitudes, scaler = run.scaler.invert(features), run.scaler
    top = magnitudes.amax(dim=-1, keepdim=True) if scaler.kind == "relative" else scaler.reference
    lowest = top * 10 ** (-scaler.range_db / 20)
    return magnitudes**3 / (magnitudes**2 + lowest**2 + torch.finfo(magnitudes.dtype).tiny)


@torch.no_grad()
def decode_path(run: Run, z: Tensor) -> tuple[Tensor, tuple[np.ndarray, ...]]:
    """Top latents (frames, latent) -> magnitudes (frames, bins) and class probabilities, one group
    each.
    """
    z = z.to(run.device)
    magnitudes = to_magnitudes(run, run.model.signal.decode(z).mean)
    return magnitudes, tuple(
        group.cpu().numpy() for group in run.model.symbol.decode(z).probabilities()
    )


@torch.no_grad()
def reconstruct(run: Run, magnitudes: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
    """Magnitudes (frames, bins) -> the signal VAE's own idea of them; `noise` (frames, latent), one
    a layer, draws the latents, None takes posterior means.
    """
    posterior = run.model.encode_signal(run.scaler.apply(magnitudes.to(run.device)), noise)
    return to_magnitudes(run, run.model.signal.output(posterior.z[0]).mean)


ATTACK_SECONDS = 0.015
RELEASE_SECONDS = 0.08  # after a note's end, where nothing follows
JOIN_SECONDS = 0.01  # where another note does: what is left of an ff would drown a pp
MARGIN_FRAMES = 1  # made beyond both ends of a note, so that phase retrieval has no edge inside it
GAP_FRAMES = (
    2  # of silence between notes that are made together, beside their margins: low bands ring
)
TAPE_FRAMES = 4096  # of notes that are made together
HIGHEST_GAIN = 2.0  # that a note is brought back to its level by
LONGEST_SECONDS = 12 * 3600  # of a piece; a file that asks for more is damaged


@dataclass(frozen=True)
class Event:
    """Something to sound: classes (instruments, labels) from `onset` for `seconds`, dying away in
    `release` more.
    """

    onset: float
    seconds: float
    classes: np.ndarray
    release: float = RELEASE_SECONDS


@dataclass(frozen=True)
class Rendering:
    """How sound is made: iterations of phase retrieval, the seed, and whether latents are drawn or
    their means.
    """

    n_iter: int = 30
    seed: int = 0
    sample: bool = True


RENDERING = Rendering()


# --- symbols and notes to events ------------------------------------------------------------------


def classes_to_events(classes: Sequence[np.ndarray], seconds: float) -> list[Event]:
    """Groups of classes (instruments, labels), one after another, each for `seconds`."""
    return [Event(index * seconds, seconds, group) for index, group in enumerate(classes)]


def notes_to_events(notes: Sequence[Note], space: LabelSpace, instrument: int = 0) -> list[Event]:
    """Notes of one instrument -> events in which the others are silent.

    Raises:
        ValueError: the model plays several instruments and has no class for silence.
    """
    if len(space.instruments) > 1 and not space.silence:
        raise ValueError(
            "a model of mixtures without a silence class cannot play one instrument alone "
            "(train with --zero_extra_class 1)"
        )
    events = []
    for note in notes:
        one = NoteLabels.from_notes(
            np.array([note.note_number]), velocity_to_dynamics(np.array([note.velocity]))
        )
        silent = NoteLabels.of_silence(1)
        labels = [one if index == instrument else silent for index in range(len(space.instruments))]
        events.append(Event(note.onset, note.offset - note.onset, space.to_classes(labels)[0]))
    return events


def is_silent(classes: np.ndarray, space: LabelSpace) -> bool:
    """Whether every label of every instrument says silence."""
    return bool((classes == np.array([N_CLASSES[label] for label in space.labels])).all())


# --- events to the latent space -------------------------------------------------------------------


@torch.no_grad()
def event_path(run: Run, event: Event, how: Rendering, index: int) -> Tensor:
    """The top latents (frames, latent) of an event, the `index`-th of its piece, with a margin at
    both ends.
    """
    n_frames = event_frames(run, event)
    classes = torch.from_numpy(
        np.broadcast_to(event.classes, (n_frames, *event.classes.shape)).copy()
    ).to(run.device)
    noise = None
    if how.sample:
        noise = tuple(
            draw_slowly(n_frames, dim, run, how.seed, layer, index).to(run.device)
            for layer, dim in enumerate(run.model.dims)
        )
    return run.model.encode_symbol(classes, noise).z[-1]


def event_frames(run: Run, event: Event) -> int:
    """Frames that an event is made of: the note, its release and a margin at both ends."""
    return -(-len(_shape(run, event)) // run.front_end.frame_hop) + 2 * MARGIN_FRAMES


@torch.no_grad()
def event_labels(run: Run, events: Sequence[Event], how: Rendering) -> tuple[np.ndarray, ...]:
    """What the symbol decoder says along events that follow one another: class probabilities, one
    group each.
    """
    paths = []
    for index, event in enumerate(events):
        n_frames = round(event.seconds / run.front_end.frame_seconds)
        paths.append(event_path(run, event, how, index)[MARGIN_FRAMES : MARGIN_FRAMES + n_frames])
    return tuple(
        group.cpu().numpy() for group in run.model.symbol.decode(torch.cat(paths)).probabilities()
    )


# --- events to sound ------------------------------------------------------------------------------


def synthesise(
    run: Run, symbols: str | Sequence[str], seconds: float = 1.0, how: Rendering = RENDERING
) -> np.ndarray:
    """Play symbols one after another, each for `seconds` -> audio (samples,) float32.

    Args:
        symbols: note names or class numbers, as `lt_play.py sequence` takes them: "A4:mf C5:f
            rest".
    Raises:
        ValueError: as `lt.labels.parse_symbols`.
    """
    tokens = symbols.split() if isinstance(symbols, str) else list(symbols)
    return events_to_audio(run, classes_to_events(parse_symbols(tokens, run.space), seconds), how)


def events_to_audio(
    run: Run, events: Sequence[Event], how: Rendering, on_event: Callable[[], None] = lambda: None
) -> np.ndarray:
    """Events -> audio (samples,) until the last release; `on_event` is told after each that is not
    a rest.

    Raises:
        ValueError: it would last longer than 12 hours.
    """
    rate = run.front_end.sample_rate
    end = max((event.onset + event.seconds for event in events), default=0.0) + RELEASE_SECONDS
    if end > LONGEST_SECONDS:
        raise ValueError(
            f"this would last {end / 3600:.0f} hours; at most {LONGEST_SECONDS // 3600} are played"
        )
    audio = np.zeros(round(end * rate) + 1, np.float32)
    index = 0
    for tape in _tapes(
        run, joined([event for event in events if not is_silent(event.classes, run.space)])
    ):
        for one, event in zip(_tape_to_audio(run, tape, how, index), tape):
            start = round(event.onset * rate)
            audio[start : start + len(one)] += one[: len(audio) - start]
            on_event()
        index += len(tape)
    return audio


def joined(events: Sequence[Event]) -> list[Event]:
    """The events, each with a release that is over when the next one begins, but no shorter than a
    join.
    """
    onsets, result = np.sort([event.onset for event in events]), []
    for event in events:
        end = event.onset + event.seconds
        following = onsets[np.searchsorted(onsets, end - JOIN_SECONDS) :]
        left = following[0] - end if len(following) else RELEASE_SECONDS
        result.append(replace(event, release=float(np.clip(left, JOIN_SECONDS, RELEASE_SECONDS))))
    return result


def envelope(n_samples: int, n_release: int, sample_rate: int) -> np.ndarray:
    """(n_samples + n_release,) raised-cosine attack, sustain, and a release after the note's end."""
    n_attack = min(round(ATTACK_SECONDS * sample_rate), n_samples)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_attack) + 0.5) / n_attack)
    fall = 0.5 + 0.5 * np.cos(np.pi * (np.arange(n_release) + 0.5) / n_release)
    return np.concatenate([rise, np.ones(n_samples - n_attack), fall]).astype(np.float32)


def _shape(run: Run, event: Event) -> np.ndarray:
    rate = run.front_end.sample_rate
    return envelope(max(1, round(event.seconds * rate)), round(event.release * rate), rate)


def _tapes(run: Run, events: Sequence[Event]) -> Iterator[list[Event]]:
    """Events in portions of about TAPE_FRAMES, which bound the memory."""
    tape, n_frames = [], 0
    for event in events:
        tape.append(event)
        n_frames += event_frames(run, event)
        if n_frames >= TAPE_FRAMES:
            yield tape
            tape, n_frames = [], 0
    if tape:
        yield tape


@torch.no_grad()
def _tape_to_audio(
    run: Run, tape: Sequence[Event], how: Rendering, index: int
) -> Iterator[np.ndarray]:
    """Each event's audio, shaped. They lie on one tape, silence between them: one long phase
    retrieval is much faster than many short ones. Bands whose phases do not fit cancel or beat, a
    decibel or two by chance; so each event is given the level that its magnitudes mean.
    """
    hop = run.front_end.frame_hop
    gap = torch.zeros(GAP_FRAMES, run.front_end.n_bins, device=run.device)
    frames = [
        to_magnitudes(
            run, run.model.signal.decode(event_path(run, event, how, index + number)).mean
        )
        for number, event in enumerate(tape)
    ]
    audio = magnitudes_to_audio(
        run.front_end,
        torch.cat([part for one in frames for part in (one, gap)]),
        how.n_iter,
        how.seed,
        index,
    )
    start = MARGIN_FRAMES * hop
    for event, one in zip(tape, frames):
        shape = _shape(run, event)
        part = audio[start : start + len(shape)]
        wanted = one[MARGIN_FRAMES:-MARGIN_FRAMES].square().sum(
            dim=1
        ).mean().sqrt() * rms_of_unit_norm(run.front_end)
        gain = float(wanted) / max(float(np.sqrt(np.mean(part**2))), 1e-9)
        yield part * shape * np.float32(np.clip(gain, 1 / HIGHEST_GAIN, HIGHEST_GAIN))
        start += (len(one) + GAP_FRAMES) * hop


@lru_cache(maxsize=4)
def rms_of_unit_norm(config: SpectralConfig) -> float:
    """Root mean square of a steady sine of which a frame of magnitudes has a Euclidean norm of 1."""
    sine = torch.sin(2 * torch.pi * 440 / config.sample_rate * torch.arange(2 * config.sample_rate))
    return float(0.5**0.5 / audio_to_spectra(sine, config).magnitudes[20:40].norm(dim=1).mean())
