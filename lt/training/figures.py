"""Figures of training: loss curves, and reconstructions of validation frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from lt.config import SpectralConfig
from lt.labels import LabelSpace
from lt.models.losses import TERMS
from lt.plotting import (
    ESTIMATE_COLOUR,
    TRUTH_COLOUR,
    draw_probabilities,
    draw_spectra,
    new_figure,
    save_figure,
)
from lt.training.validation import ACCURACY, Examples


def plot_losses(history: Sequence[dict[str, float]], path: Path | str | None) -> list[Axes]:
    """Plot every term of the loss over the epochs, for training and validation, and the accuracies
    of the validation part.

    Args:
        history: rows of history.csv.
        path: of the figure.
    """
    names = [
        name
        for name in (*TERMS, "total", "critic_own")
        if any(row.get(f"train_{name}", 0.0) for row in history)
    ]
    columns = 3
    accuracies = [name for name in history[-1] if name.startswith(ACCURACY)]
    rows = math.ceil((len(names) + bool(accuracies)) / columns)
    figure = new_figure(3.6 * columns, 2.3 * rows)
    epochs = [row["epoch"] for row in history]
    for index, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, index + 1)
        for part, colour in (("train", ESTIMATE_COLOUR), ("valid", TRUTH_COLOUR)):
            if f"{part}_{name}" in history[0]:
                axes.plot(
                    epochs,
                    [row[f"{part}_{name}"] for row in history],
                    color=colour,
                    label=part,
                    linewidth=1.2,
                )
        axes.set_title(name, loc="left", fontsize=9, parse_math=False)
        axes.set_xlabel("epoch")
        axes.legend(fontsize=7)
    if accuracies:
        axes = figure.add_subplot(rows, columns, len(names) + 1)
        for name in accuracies:
            values = [row[name] for row in history]
            axes.plot(epochs, values, label=name.removeprefix(ACCURACY), linewidth=1.2)
        axes.set_title("accuracy of the validation part", loc="left", fontsize=9)
        axes.set(xlabel="epoch", ylim=(0, 1))
        axes.legend(fontsize=7)
    return save_figure(figure, path)


def plot_reconstructions(
    examples: Examples, space: LabelSpace, config: SpectralConfig, path: Path | str | None
) -> list[Axes]:
    """Plot spectra, reconstructions and transfers of validation frames, and their symbols likewise.

    Args:
        examples: see there; true classes are dots over the probabilities.
        space: labels and instruments.
        config: of the spectra.
        path: of the figure.
    """
    n_groups = len(space.group_sizes)
    figure = new_figure(12, 6.5 + 1.8 * n_groups)
    grid = figure.add_gridspec(3 + n_groups, 2)
    loudest = float(examples.original.max())
    spectra = {
        "original": examples.original,
        "reconstruction": examples.reconstruction,
        "transfer: decoded from the symbols": examples.transfer,
    }
    for row, (title, magnitudes) in enumerate(spectra.items()):
        axes = figure.add_subplot(grid[row, :])
        draw_spectra(axes, magnitudes.numpy(), config, title, seconds=False, loudest=loudest)
    symbols = {
        "reconstruction": examples.reconstructed,
        "transfer: predicted from the signal": examples.transferred,
    }
    for group, group_name in enumerate(space.columns):
        names = space.class_names(space.labels[group % len(space.labels)])
        for column, (title, probabilities) in enumerate(symbols.items()):
            draw_probabilities(
                figure.add_subplot(grid[3 + group, column]),
                probabilities[group].numpy(),
                names,
                f"{group_name}, {title}",
                len(examples.classes),
                examples.classes[:, group].numpy(),
            )
    return save_figure(figure, path)
