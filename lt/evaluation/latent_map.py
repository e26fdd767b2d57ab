"""A map of a run's latent space: notes as points in two dimensions, each with its sound.

A note's point is the mean of the signal encoder's posterior means over the frames in which it
sounds; its sound is what the signal decoder makes of them. The projections, by scikit-learn and
NumPy:

- t-SNE (van der Maaten & Hinton 2008): notes that are near one another in the latent space are
  near one another on the map; distances between groups mean nothing;
- principal axes: straight lines of the latent space stay straight, but only a part of the variance
  is seen.

`latent_map.js` plays it in a page. Names: `magnitudes: (frames, bins)`, `points: (notes, 2)`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.colors import to_hex
from sklearn.manifold import TSNE
from torch import Tensor

from lt.audio.io import to_mp3
from lt.audio.phase import magnitudes_to_audio_batch
from lt.audio.tuning import tune
from lt.config import NOTE_LABELS, MapConfig, SynthesisConfig
from lt.data.splits import PARTS
from lt.evaluation.context import EvaluationContext
from lt.evaluation.figures import class_colours, principal_plane
from lt.inference.decoding import SILENT, features_to_magnitudes, matching_gain
from lt.inference.posteriors import RecordingSpectra
from lt.inference.synthesis import fade_ends
from lt.labels import (
    CLASS_NAMES,
    DYNAMICS_NAMES,
    note_number_to_octave_pitch,
    number_to_note_name,
    octave_pitch_to_note_number,
)
from lt.midi import Track, velocity_to_dynamics
from lt.models.runs import Run
from lt.progress import Progress, silent

# Of viridis, that are told from a light and from a dark page
ORDERED_COLOURS = (0.15, 0.9)


@dataclass(frozen=True)
class MapNote:
    """A note to be mapped.

    Attributes:
        title: shown for it. classes: label -> class, each a way to colour it.
        magnitudes: (frames, bins) at the level of the data set.
        sounding: (frames,) bool, of which the latents are averaged.
        n_before: frames before the onset, which windows reach already.
    """

    title: str
    classes: Mapping[str, str]
    magnitudes: Tensor
    sounding: np.ndarray
    n_before: int


@dataclass(frozen=True)
class Projection:
    """Points (notes, 2) within [0, 1], and a sentence about how they come about."""

    points: np.ndarray
    about: str


@dataclass(frozen=True)
class LatentMap:
    """A map of notes.

    Attributes:
        notes: titles. sounds: MP3 files. classes: label -> the class of each note.
        projections: by name.
    """

    title: str
    notes: Sequence[str]
    sounds: Sequence[bytes]
    classes: Mapping[str, Sequence[str]]
    projections: Mapping[str, Projection]

    @property
    def colours(self) -> dict[str, dict[str, str]]:
        """Label -> class -> colour, in the order of the classes, those of no note left out."""
        return {label: colours_of(label, classes) for label, classes in self.classes.items()}

    @property
    def content(self) -> dict[str, Any]:
        """What the script reads, of plain values."""
        colours = {
            label: {
                "classes": [{"name": name, "colour": colour} for name, colour in own.items()],
                "of": [list(own).index(name) for name in self.classes[label]],
            }
            for label, own in self.colours.items()
        }
        return {
            "notes": list(self.notes),
            "sounds": [base64.b64encode(sound).decode("ascii") for sound in self.sounds],
            "colours": colours,
            "projections": {
                name: {"points": own.points.round(4).tolist(), "about": own.about}
                for name, own in self.projections.items()
            },
        }


def colours_of(label: str, classes: Sequence[str]) -> dict[str, str]:
    """Class -> colour of the classes that occur: pitches have their own, octaves and dynamics share
    the whole scale out among them.
    """
    order = CLASS_NAMES.get(label, tuple(dict.fromkeys(classes)))
    names = [name for name in order if name in set(classes)]
    if label == "pitch":
        palette = class_colours(label, silence=False)[[order.index(name) for name in names]]
    elif label in CLASS_NAMES:
        palette = colormaps["viridis"](np.linspace(*ORDERED_COLOURS, len(names)))
    else:
        palette = colormaps["tab10"](np.arange(len(names)) % 10)
    return dict(zip(names, map(to_hex, palette)))


# --- notes ----------------------------------------------------------------------------------------


def data_notes(context: EvaluationContext, notes: Sequence[int], most: int) -> list[MapNote]:
    """Notes of a data set, evenly spread over their labels where there are more than `most`."""
    data, labels = context.data, context.data.notes.labels
    notes = np.asarray(notes)
    notes = notes[np.lexsort((*labels[notes].T[2::-1], data.notes.instrument[notes]))]
    notes = notes[np.linspace(0, len(notes) - 1, min(most, len(notes))).astype(int)]
    part_of = {int(note): part for part in PARTS for note in context.split.notes[part]}
    several = len(context.run.config.instruments) > 1
    found = []
    for note in notes:
        instrument = data.notes.instruments[data.notes.instrument[note]]
        classes = dict(zip(NOTE_LABELS, labels[note]))
        rows = data.rows(note)
        found.append(
            MapNote(
                _title(octave_pitch_to_note_number(*labels[note, :2]), labels[note, 2], instrument),
                {label: CLASS_NAMES[label][value] for label, value in classes.items()}
                | ({"instrument": instrument} if several else {})
                | {"part of the split": part_of[int(note)]},
                torch.from_numpy(data.frames(rows)),
                data.sounding[rows],
                int(data.n_before[note]),
            )
        )
    return found


def recorded_notes(
    run: Run, name: str, spectra: RecordingSpectra, tracks: Sequence[Track], config: MapConfig
) -> list[MapNote]:
    """The notes that are transcribed from a recording."""
    magnitudes = matching_gain(run, spectra.magnitudes) * spectra.magnitudes
    magnitudes = tune(magnitudes, -spectra.tuning, run.front_end)
    step, found = run.front_end.frame_seconds, []
    for track in tracks:
        for note in track.notes:
            first = min(int(note.onset / step), len(magnitudes) - 1)
            n_frames = max(1, round(min(note.offset - note.onset, config.seconds) / step))
            frames = magnitudes[first : first + n_frames]
            dynamics = int(velocity_to_dynamics(note.velocity))
            octave, pitch = note_number_to_octave_pitch(note.note_number)
            classes = dict(zip(NOTE_LABELS, (int(octave), int(pitch), dynamics)))
            found.append(
                MapNote(
                    f"{_title(note.note_number, dynamics, track.name)}, {name}",
                    {label: CLASS_NAMES[label][value] for label, value in classes.items()}
                    | {"recording": name},
                    frames,
                    np.ones(len(frames), bool),
                    0,
                )
            )
    return found


def _title(note_number: int, dynamics: int, instrument: str) -> str:
    return f"{instrument} {number_to_note_name(int(note_number))} {DYNAMICS_NAMES[dynamics]}"


# --- the map --------------------------------------------------------------------------------------


def latent_map(
    run: Run,
    notes: Sequence[MapNote],
    title: str,
    seed: int = 0,
    config: MapConfig = MapConfig(),
    progress: Progress = silent,
) -> LatentMap:
    """Encode notes, project their latents, and decode their sounds.

    Raises:
        ValueError: no notes.
    """
    if not notes:
        raise ValueError("a map needs at least one note")
    encoded = [_encode(run, note, config) for note in notes]
    latents = np.stack([latent for latent, _ in encoded])
    sounds = _sounds(run, notes, [magnitudes for _, magnitudes in encoded], seed, config, progress)
    classes = {label: [note.classes[label] for note in notes] for label in notes[0].classes}
    return LatentMap(
        title,
        [note.title for note in notes],
        [to_mp3(sound, run.front_end.sample_rate) for sound in sounds],
        classes,
        project(latents, seed, config),
    )


def project(
    latents: np.ndarray, seed: int = 0, config: MapConfig = MapConfig()
) -> dict[str, Projection]:
    """Latents (notes, latent) -> projections by name; t-SNE where there are enough notes."""
    projections = {}
    plane, fractions = principal_plane({"signal": latents})
    perplexity = min(config.perplexity, (len(latents) - 1) / 3)
    if perplexity >= 1:
        start = plane["signal"] / max(plane["signal"].std(), SILENT) * 1e-4  # as scikit-learn's own
        tsne = TSNE(perplexity=perplexity, init=start.astype(np.float32), random_state=seed)
        projections["t-SNE"] = Projection(
            _within_unit(tsne.fit_transform(latents.astype(np.float64))),
            "t-SNE (scikit-learn): neighbours in the latent space are neighbours here; distances "
            "between groups mean nothing.",
        )
    projections["principal axes"] = Projection(
        _within_unit(plane["signal"]),
        "The two principal axes of the latents, which hold "
        f"{100 * fractions[0]:.0f} and {100 * fractions[1]:.0f} % of their variance.",
    )
    return projections


def _within_unit(points: np.ndarray) -> np.ndarray:
    """Points (notes, 2) moved and scaled to [0, 1] along each axis; upwards is less, as on
    screens.
    """
    points = points * (1, -1)
    lowest, extent = points.min(axis=0), np.ptp(points, axis=0)
    return np.where(extent > 0, (points - lowest) / np.where(extent > 0, extent, 1), 0.5)


@torch.no_grad()
def _encode(run: Run, note: MapNote, config: MapConfig) -> tuple[np.ndarray, Tensor]:
    """The mean latent (latent,) of a note, and the decoded magnitudes (rows, bins) of subframes."""
    n_frames = note.n_before + round(config.seconds / run.front_end.frame_seconds)
    features = run.scaler.apply(note.magnitudes.to(run.device))
    posterior = run.model.encode_signal(features)
    kept = np.flatnonzero(note.sounding)
    mean = posterior.top.mean.cpu().numpy()
    decoded = run.model.signal_output(posterior.z[0], posterior.top.mean).mean[:n_frames]
    magnitudes = features_to_magnitudes(run, decoded).flatten(0, 1)
    return mean[kept if len(kept) else slice(None)].mean(axis=0), magnitudes


def _sounds(
    run: Run,
    notes: Sequence[MapNote],
    magnitudes: Sequence[Tensor],
    seed: int,
    config: MapConfig,
    progress: Progress,
) -> list[np.ndarray]:
    """Audio (samples,) of each note from its onset, at one gain for all."""
    front_end = run.front_end.finer(run.settings.subframes)
    synthesis = SynthesisConfig(seed=seed)
    seconds = np.cumsum([len(own) * front_end.frame_seconds for own in magnitudes])
    batch_of = (seconds // synthesis.chunk_seconds).astype(int)
    sounds = []
    with progress(total=len(notes), desc="notes of the map", unit="note") as bar:
        for batch, members in groupby(range(len(notes)), lambda number: batch_of[number]):
            members = list(members)
            audio = magnitudes_to_audio_batch(
                [magnitudes[number] for number in members], front_end, synthesis, int(batch)
            )
            for number, sound in zip(members, audio):
                sound = sound[notes[number].n_before * run.front_end.frame_hop :]
                sounds.append(fade_ends(sound, run.front_end))
                bar.update()
    loudest = max(float(np.abs(sound).max(initial=SILENT)) for sound in sounds)
    gain = np.float32(10 ** (config.peak_dbfs / 20) / loudest)
    return [sound * gain for sound in sounds]
