"""Figures of sound and symbols on one time axis: what `lt_play.py` draws.

Axes are labelled in seconds, hertz and note names. `magnitudes: (frames, bins)`, `probabilities:
(frames, classes)`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Sequence

import numpy as np
from matplotlib.axes import Axes

from lt.config import SpectralConfig
from lt.labels import LabelSpace
from lt.midi import Track
from lt.plotting import (
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
    spectra: dict[str, np.ndarray],
    config: SpectralConfig,
    path: Path | str,
    tracks: Sequence[Track] | None = None,
    probabilities: Sequence[np.ndarray] = (),
    space: LabelSpace | None = None,
) -> None:
    """Spectrograms by title, the tracks' notes, and class probabilities a group of `space`, on one
    time axis.

    The loudest magnitude of the first spectrogram is 0 dB for all.
    """
    first = next(iter(spectra.values()))
    seconds, loudest = len(first) * config.frame_seconds, float(first.max())
    heights = [PANEL] * (len(spectra) + (tracks is not None)) + [SMALL_PANEL] * len(probabilities)
    figure = new_figure(12, sum(heights))
    panels = iter(
        figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    )
    for (title, magnitudes), axes in zip(spectra.items(), panels):
        draw_spectra(
            axes, *thin_out(magnitudes, config), title.replace("$", r"\$"), loudest=loudest
        )
    if tracks is not None:
        _draw_tracks(next(panels), tracks, seconds)
    for index, axes in enumerate(panels):
        names = space.class_names(space.labels[index % len(space.labels)])
        thinned, grid = thin_out(probabilities[index], config)
        draw_probabilities(
            axes, thinned, names, space.columns[index], len(thinned) * grid.frame_seconds
        )
    for axes in figure.axes:
        axes.label_outer(remove_inner_ticks=False)
    figure.axes[-1].set(xlabel="time (s)", xlim=(0, seconds))
    with warnings.catch_warnings():  # names of files may have letters that the font lacks
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        save_figure(figure, path)


def _draw_tracks(axes: Axes, tracks: Sequence[Track], seconds: float) -> None:
    """A piano roll, a colour a track."""
    for track, colour in zip(tracks, TRACK_COLOURS * (1 + len(tracks) // len(TRACK_COLOURS))):
        draw_notes(axes, track.notes, colour, track.name.replace("$", r"\$"))
    finish_roll(axes, [note for track in tracks for note in track.notes], seconds)
    axes.set_title("notes", loc="left", fontsize=9)
    if sum(bool(track.notes) for track in tracks) > 1:
        axes.legend(fontsize=8, loc="upper right")
