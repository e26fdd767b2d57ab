"""Figures of sound and symbols on one time axis, as `lt_play.py` writes them.

Axes are labelled in seconds, hertz and note names. `magnitudes: (frames, bins)`, `probabilities:
(frames, classes)`.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from lt.config import SpectralConfig
from lt.labels import LabelSpace
from lt.midi import Track
from lt.plotting import (
    LONGEST_FIGURE,
    draw_notes,
    draw_probabilities,
    draw_spectra,
    finish_roll,
    new_figure,
    save_figure,
    thin_out,
)

TRACK_COLOURS = ("#0969da", "#bf3989", "#1a7f37", "#9a6700", "#8250df")
PANEL, SMALL_PANEL = 2.6, 1.7  # inches


def plot_sound(
    path: Path | str | None,
    spectra: Mapping[str, np.ndarray],
    front_end: SpectralConfig,
    tracks: Sequence[Track] | None = None,
    probabilities: Sequence[np.ndarray] = (),
    space: LabelSpace | None = None,
) -> list[Axes]:
    """Plot spectrograms, notes and class probabilities below one another.

    Args:
        path: of the figure, .png or .pdf.
        spectra: title -> magnitudes (frames, bins). The maximum of the first is 0 dB for all.
        tracks: notes, a colour per track; None: no such panel.
        probabilities: (frames, classes) per group of `space`, a panel each.
    """
    first = next(iter(spectra.values()))
    seconds, loudest = len(first) * front_end.frame_seconds, float(first.max())
    heights = [PANEL] * (len(spectra) + (tracks is not None)) + [SMALL_PANEL] * len(probabilities)
    figure = new_figure(12, sum(heights))
    grid = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)
    panels = iter(grid[:, 0])
    for (title, magnitudes), axes in zip(spectra.items(), panels):
        thinned = thin_out(magnitudes, front_end)
        draw_spectra(axes, *thinned, title.replace("$", r"\$"), loudest=loudest)
    if tracks is not None:
        _draw_tracks(next(panels), tracks, seconds)
    for index, axes in enumerate(panels):
        names = space.class_names(space.labels[index % len(space.labels)])
        thinned, thinned_grid = thin_out(probabilities[index], front_end)
        width = len(thinned) * thinned_grid.frame_seconds
        draw_probabilities(axes, thinned, names, space.columns[index], width)
    for axes in figure.axes:
        axes.label_outer(remove_inner_ticks=False)
    figure.axes[-1].set(xlabel="time (s)", xlim=(0, seconds))
    with warnings.catch_warnings():  # names of files may have letters that the font lacks
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        return save_figure(figure, path)


def plot_posteriors(
    probabilities: Sequence[np.ndarray],
    space: LabelSpace,
    frame_seconds: float,
    path: Path | str | None = None,
) -> list[Axes]:
    """Plot class probabilities (frames, classes) per group of `space` below one another."""
    figure = new_figure(10, SMALL_PANEL * len(probabilities))
    grid = figure.subplots(len(probabilities), 1, sharex=True, squeeze=False)[:, 0]
    width = len(probabilities[0]) * frame_seconds
    every = math.ceil(len(probabilities[0]) / LONGEST_FIGURE)
    for index, axes in enumerate(grid):
        names = space.class_names(space.labels[index % len(space.labels)])
        draw_probabilities(axes, probabilities[index][::every], names, space.columns[index], width)
    grid[-1].set(xlabel="time (s)", xlim=(0, width))
    return save_figure(figure, path)


def _draw_tracks(axes: Axes, tracks: Sequence[Track], seconds: float) -> None:
    """A piano roll with a colour per track."""
    for track, colour in zip(tracks, TRACK_COLOURS * (1 + len(tracks) // len(TRACK_COLOURS))):
        draw_notes(axes, track.notes, colour, track.name.replace("$", r"\$"))
    finish_roll(axes, [note for track in tracks for note in track.notes], seconds)
    axes.set_title("notes", loc="left", fontsize=9)
    if sum(bool(track.notes) for track in tracks) > 1:
        axes.legend(fontsize=8, loc="upper right")
