"""Figures of sound and symbols on one time axis: what `lt_play.py` draws.

Axes are labelled in seconds, hertz and note names. `magnitudes: (frames, bins)`, `probabilities: (frames,
classes)`.
"""
from __future__ import annotations

from pathlib import Path
from typing import Sequence

import numpy as np

from lt.config import SpectralConfig
from lt.labels import LabelSpace
from lt.midi import Track
from lt.plotting import draw_notes, draw_probabilities, draw_spectra, finish_roll, new_figure, save_figure

LONGEST_PICTURE = 4000  # frames; longer sounds are drawn every so many frames
TRACK_COLOURS = ("#0969da", "#bf3989", "#1a7f37", "#9a6700", "#8250df")


def thin_out(magnitudes: np.ndarray, config: SpectralConfig) -> tuple[np.ndarray, SpectralConfig]:
    """Every k-th frame of a long sound, and the front end of that many frames a second."""
    every = -(-len(magnitudes) // LONGEST_PICTURE)
    if every == 1:
        return magnitudes, config
    return magnitudes[::every], SpectralConfig(config.sample_rate, config.fmin, config.fmax, config.bins_per_octave,
                                               config.slice_length, config.hop, config.frame_hop * every)


def plot_transcription(original: np.ndarray, reconstruction: np.ndarray | None, tracks: Sequence[Track],
                       config: SpectralConfig, path: Path | str, title: str) -> None:
    """Spectrogram, reconstruction where there is one, and the tracks' notes, on one time axis."""
    spectra = {title: original} | ({} if reconstruction is None else {"reconstruction": reconstruction})
    figure = new_figure(12, 2.6 * (len(spectra) + 1))
    panels = figure.subplots(len(spectra) + 1, 1, sharex=True)
    seconds = len(original) * config.frame_seconds
    loudest = float(original.max())
    for axes, (name, magnitudes) in zip(panels, spectra.items()):
        draw_spectra(axes, *thin_out(magnitudes, config), name, loudest=loudest)
        axes.set_xlabel("")
    for track, colour in zip(tracks, TRACK_COLOURS * (1 + len(tracks) // len(TRACK_COLOURS))):
        draw_notes(panels[-1], track.notes, colour, track.name)
    finish_roll(panels[-1], [note for track in tracks for note in track.notes], seconds)
    panels[-1].set_title("notes", loc="left", fontsize=9)
    if any(track.notes for track in tracks):
        panels[-1].legend(fontsize=8, loc="upper right")
    save_figure(figure, path)


def plot_labelled_sound(magnitudes: np.ndarray, probabilities: Sequence[np.ndarray], space: LabelSpace,
                        config: SpectralConfig, path: Path | str, title: str) -> None:
    """A spectrogram above the class probabilities of each group, on one time axis."""
    figure = new_figure(12, 2.6 + 1.7 * len(probabilities))
    panels = figure.subplots(1 + len(probabilities), 1, sharex=True)
    seconds = len(magnitudes) * config.frame_seconds
    draw_spectra(panels[0], *thin_out(magnitudes, config), title)
    panels[0].set_xlabel("")
    for index, (axes, column) in enumerate(zip(panels[1:], space.columns)):
        names = space.class_names(space.labels[index % len(space.labels)])
        draw_probabilities(axes, probabilities[index], names, column, seconds)
    panels[-1].set_xlabel("time (s)")
    save_figure(figure, path)
