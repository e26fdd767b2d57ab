"""Figures of an evaluation: confusions, the latent space, sound examples, recordings beside MIDI.

Nothing here computes what it shows. Names as in `lt.plotting`; `counts: (classes, classes)`, row =
truth; `means: (frames, latent)` a modality; `spectra`: title -> magnitudes (frames, bins).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lt.config import SpectralConfig
from lt.evaluation.metrics import ACTIVE_VARIANCE
from lt.labels import N_CLASSES, LabelSpace
from lt.midi import Note
from lt.plotting import (
    ERROR_COLOUR,
    ESTIMATE_COLOUR,
    TRUTH_COLOUR,
    draw_notes,
    draw_spectra,
    finish_roll,
    new_figure,
    save_figure,
)

MAX_POINTS = 3000  # of the latent picture
MAX_COUNTED = 15  # classes of a confusion matrix whose counts are written into it
SILENCE_COLOUR = (0.55, 0.55, 0.55, 1.0)
CLASS_MAPS = {
    "pitch": "hsv",
    "octave": "viridis",
    "dynamics": "plasma",
    "age": "viridis",
}  # pitch goes round in a circle
MODALITY_COLOURS = {"signal": ESTIMATE_COLOUR, "symbol": TRUTH_COLOUR}


def plot_confusion(
    counts: np.ndarray, names: Sequence[str], title: str, path: Path | str | None
) -> list[Axes]:
    """A confusion matrix, coloured by the fraction of the true class."""
    n_classes = len(counts)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 2.2 + 0.3 * min(n_classes, 24)
    figure = new_figure(size + 0.6, size)
    axes = figure.subplots()
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    if n_classes <= MAX_COUNTED:
        for row, column in zip(*np.nonzero(counts)):
            colour = "white" if fractions[row, column] > 0.55 else "black"
            count = str(counts[row, column])
            axes.text(column, row, count, ha="center", va="center", fontsize=6, color=colour)
    fontsize = 8 if n_classes <= MAX_COUNTED else 7 if n_classes <= 30 else 4
    axes.set_xticks(range(n_classes), names, rotation=90 if n_classes > 6 else 0, fontsize=fontsize)
    axes.set_yticks(range(n_classes), names, fontsize=fontsize)
    axes.set(xlabel="transcribed from the signal", ylabel="true")
    axes.set_title(title, loc="left", fontsize=9, parse_math=False)
    figure.colorbar(image, ax=axes, label="fraction of the true class", shrink=0.85)
    return save_figure(figure, path)


def principal_plane(
    means: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The means of both modalities on their two common principal axes.

    Returns:
        (frames, 2) a modality, and the fractions (2,) of the variance along the axes.
    """
    together = np.concatenate(list(means.values())).astype(np.float64)
    centre = together.mean(axis=0)
    _, scales, axes = np.linalg.svd(together - centre, full_matrices=False)
    fractions = np.zeros(2)  # a latent space of one dimension has one axis
    fractions[: len(scales)] = (scales**2 / max(float((scales**2).sum()), 1e-12))[:2]
    axes = np.pad(axes[:2], ((0, 2 - len(axes[:2])), (0, 0)))
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    axes = axes * np.where(largest < 0, -1, 1)  # the SVD leaves the signs arbitrary
    return {name: (own - centre) @ axes.T for name, own in means.items()}, fractions


def plot_latent(
    means: Mapping[str, np.ndarray], classes: np.ndarray, space: LabelSpace, path: Path | str | None
) -> list[Axes]:
    """Posterior means of both modalities, coloured by the classes of one label a row."""
    kept = np.linspace(0, len(classes) - 1, min(len(classes), MAX_POINTS)).astype(int)
    plane, fractions = principal_plane(means)
    groups = classes.reshape(len(classes), -1)[kept]
    figure = new_figure(9, 3.4 * len(space.columns))
    panels = figure.subplots(
        len(space.columns), len(plane), sharex=True, sharey=True, squeeze=False
    )
    for group, column in enumerate(space.columns):
        label = space.labels[group % len(space.labels)]
        names, colours = space.class_names(label), class_colours(label, space.silence)
        for axes, (modality, points) in zip(panels[group], plane.items()):
            axes.scatter(*points[kept].T, c=colours[groups[:, group]], s=7, linewidths=0)
            axes.set_title(f"{modality}, by {column}", loc="left", fontsize=9)
        present = np.unique(groups[:, group])
        handles = [
            Line2D([], [], marker="o", linestyle="", color=colours[value], markersize=4)
            for value in present
        ]
        panels[group, -1].legend(
            handles,
            [names[value] for value in present],
            fontsize=6,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
        )
    for axes in panels[-1]:
        axes.set_xlabel(
            f"1st principal axis ({100 * fractions[0]:.0f} % of the variance)", fontsize=8
        )
    for axes in panels[:, 0]:
        axes.set_ylabel(f"2nd ({100 * fractions[1]:.0f} %)", fontsize=8)
    return save_figure(figure, path)


def class_colours(label: str, silence: bool) -> np.ndarray:
    """(classes, 4) a colour a class, grey for silence."""
    n_classes = N_CLASSES[label]
    end = 1 - 1 / n_classes if label == "pitch" else 0.92
    colours = colormaps[CLASS_MAPS[label]](np.linspace(0, end, n_classes))
    return np.concatenate([colours, [SILENCE_COLOUR]]) if silence else colours


def plot_units(means: Mapping[str, np.ndarray], path: Path | str | None) -> list[Axes]:
    """Variance over frames of each latent unit's posterior mean, largest first, and the line above
    which it counts.
    """
    figure = new_figure(7, 3)
    axes: Axes = figure.subplots()
    width = 0.8 / len(means)
    for index, (modality, own) in enumerate(means.items()):
        variances = np.maximum(np.sort(own.var(axis=0))[::-1], 1e-6)
        active = int((variances > ACTIVE_VARIANCE).sum())
        axes.bar(
            np.arange(len(variances)) + index * width,
            variances,
            width,
            color=MODALITY_COLOURS[modality],
            label=f"{modality}: {active} of {len(variances)} active",
        )
    axes.axhline(ACTIVE_VARIANCE, color="black", linewidth=0.8, linestyle="--")
    axes.set(
        yscale="log", xlabel="latent unit, in order of variance", ylabel="variance of the mean"
    )
    axes.legend(fontsize=8)
    return save_figure(figure, path)


def plot_example(
    spectra: Mapping[str, np.ndarray], config: SpectralConfig, title: str, path: Path | str | None
) -> list[Axes]:
    """Spectra of one note, one below the other, on one scale of level."""
    figure = new_figure(8, 2.3 * len(spectra) + 0.4)
    panels = figure.subplots(len(spectra), 1, sharex=True, squeeze=False)[:, 0]
    loudest = max(float(magnitudes.max()) for magnitudes in spectra.values())
    for axes, (name, magnitudes) in zip(panels, spectra.items()):
        draw_spectra(axes, magnitudes, config, name, loudest=loudest)
        axes.label_outer()
    figure.suptitle(title, fontsize=10, parse_math=False)  # names of files may hold $
    return save_figure(figure, path)


@dataclass(frozen=True)
class Rolls:
    """Reference and estimated notes, and those of each that have no match in the other."""

    reference: Sequence[Note]
    estimated: Sequence[Note]
    missed: Sequence[Note]
    extra: Sequence[Note]


def plot_comparison(
    spectra: Mapping[str, np.ndarray],
    rolls: Rolls,
    config: SpectralConfig,
    seconds: float,
    title: str,
    path: Path | str | None,
) -> list[Axes]:
    """Spectra above piano rolls of the reference (upper half of each row) and the estimate (lower
    half), errors marked, on one time axis of `seconds`.

    Args:
        config: the front end of the spectra.
    """
    figure = new_figure(12, 2.2 * len(spectra) + 3.2)
    heights = [2] * len(spectra) + [3]
    *panels, roll = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    loudest = float(next(iter(spectra.values())).max())
    for axes, (name, magnitudes) in zip(panels, spectra.items()):
        draw_spectra(axes, magnitudes, config, name, loudest=loudest)
        axes.label_outer()
    draw_notes(roll, rolls.reference, TRUTH_COLOUR, "played", 0.22, 0.4)
    draw_notes(roll, rolls.estimated, ESTIMATE_COLOUR, "transcribed", -0.22, 0.4)
    for notes, offset, marker, label in (
        (rolls.missed, 0.22, "o", "missed"),
        (rolls.extra, -0.22, "x", "not played"),
    ):
        roll.plot(
            [note.onset for note in notes],
            [note.note_number + offset for note in notes],
            marker,
            ms=5,
            color=ERROR_COLOUR,
            fillstyle="none",
            label=f"{label}: {len(notes)}",
        )
    finish_roll(roll, [*rolls.reference, *rolls.estimated], seconds)
    roll.set_title("notes", loc="left", fontsize=9)
    roll.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4)
    figure.suptitle(title, fontsize=10, parse_math=False)  # names of files may hold $
    return save_figure(figure, path)
