"""Callbacks of training: progress bar, figures, and TensorBoard (`--tensorboard 1`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

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
from lt.progress import Progress
from lt.training.trainer import Trainer
from lt.training.validation import Examples

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def fit_with_callbacks(trainer: Trainer, progress: Progress) -> None:
    """Run `Trainer.fit` with a progress bar in frames, figures and TensorBoard.

    Raises:
        ImportError: TensorBoard is asked for and not installed.
        TrainingStopped, ValueError, OSError: as `Trainer.fit`.
    """
    config, state = trainer.config, trainer.state
    frames = (config.epochs - state.epochs_done) * trainer.frames_per_epoch
    frames -= state.steps_done * config.batch_size

    def title(epochs_done: int) -> str:
        return f"epoch {min(epochs_done + 1, config.epochs)}/{config.epochs}"

    def on_epoch(row: dict[str, float]) -> None:
        epoch = int(row["epoch"])
        bar.set_description(title(epoch))
        bar.set_postfix_str(f"loss {row['train_total']:.1f}, valid {row['valid_total']:.1f}")
        if epoch in (1, config.epochs) or epoch % config.plot_epochs == 0:
            plot_epoch(trainer, epoch)
        for name, value in row.items() if board else ():
            board.add_scalar(name.replace("_", "/", 1), value, epoch)

    use_board = config.tensorboard and trainer.workers.writer
    with closing(_summary_writer(trainer)) if use_board else nullcontext() as board:
        with progress(total=frames, desc=title(state.epochs_done), unit="frame") as bar:
            trainer.fit(bar.update, on_epoch)


def _summary_writer(trainer: Trainer) -> SummaryWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "--tensorboard 1 needs tensorboard; install it: pip install tensorboard"
        ) from error
    path = str(trainer.folder.path / "tensorboard")
    return SummaryWriter(path, purge_step=trainer.state.epochs_done + 1)


# --- figures --------------------------------------------------------------------------------------


def plot_epoch(trainer: Trainer, epoch: int) -> None:
    """Write losses.png and reconstructions_EPOCH.png and .pdf."""
    folder, settings = trainer.folder.figures, trainer.settings
    plot_losses(trainer.history.rows, folder / "losses.png")
    shown = trainer.examples()
    for suffix in ("png", "pdf"):
        path = folder / f"reconstructions_{epoch}.{suffix}"
        plot_reconstructions(shown, settings.space, settings.front_end, path)


def plot_losses(history: Sequence[dict[str, float]], path: Path | str) -> None:
    """Plot every term of the loss over the epochs, for training and validation.

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
    rows = math.ceil(len(names) / columns)
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
    save_figure(figure, path)


def plot_reconstructions(
    examples: Examples, space: LabelSpace, config: SpectralConfig, path: Path | str
) -> None:
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
    save_figure(figure, path)
