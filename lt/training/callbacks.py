"""Monitoring: what a run shows while it trains. One progress bar, figures, and TensorBoard where it
is asked for.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Sequence

from lt import cli
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
from lt.training.trainer import Trainer
from lt.training.validation import Examples

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter
    from tqdm import tqdm


class Monitor:
    """Follows a trainer within a `with` block; only the writer among several workers shows
    anything.

    Raises:
        ImportError: TensorBoard is asked for and not installed.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self._log = (
            _tensorboard(trainer) if trainer.config.tensorboard and trainer.workers.writer else None
        )
        self._bar = self._start_bar() if trainer.workers.writer else None

    def _start_bar(self) -> tqdm:
        trainer = self.trainer
        n_frames = (trainer.config.epochs - trainer.epochs_done) * trainer.frames_per_epoch
        n_frames -= trainer.steps_done * trainer.config.batch_size
        return cli.progress(n_frames, self._place(trainer.epochs_done + 1), unit="frame")

    def _place(self, epoch: int) -> str:
        return f"epoch {min(epoch, self.trainer.config.epochs)}/{self.trainer.config.epochs}"

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._log is not None:
            self._log.close()

    def on_step(self, n_frames: int) -> None:
        """Move the bar; it shows frames a second and the time left by itself."""
        if self._bar is not None:
            self._bar.update(n_frames)

    def on_epoch(self, row: dict[str, float]) -> None:
        """Show a row of the history; called on the writer."""
        self._bar.set_description(self._place(int(row["epoch"]) + 1))
        self._bar.set_postfix_str(f"loss {row['train_total']:.1f}, valid {row['valid_total']:.1f}")
        self._draw(int(row["epoch"]))
        if self._log is not None:
            for name, value in row.items():
                self._log.add_scalar(name.replace("_", "/", 1), value, row["epoch"])

    def _draw(self, epoch: int) -> None:
        """The figures that are due after an epoch."""
        trainer, config = self.trainer, self.trainer.config
        if epoch not in (1, config.epochs) and epoch % config.plot_epochs:
            return
        plot_losses(trainer.history.rows, trainer.folder.figures / "losses.png")
        shown = trainer.examples()
        for suffix in ("png", "pdf"):
            plot_reconstructions(
                shown,
                trainer.settings.space,
                trainer.settings.front_end,
                trainer.folder.figures / f"reconstructions_{epoch}.{suffix}",
            )


def _tensorboard(trainer: Trainer) -> SummaryWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "--tensorboard 1 needs tensorboard; install it: pip install tensorboard"
        ) from error
    return SummaryWriter(
        str(trainer.folder.path / "tensorboard"), purge_step=trainer.epochs_done + 1
    )


# --- figures of training --------------------------------------------------------------------------


def plot_losses(history: Sequence[dict[str, float]], path: Path | str) -> None:
    """Every term over the epochs, training and validation."""
    names = [
        name
        for name in (*TERMS, "total", "critic_own")
        if any(row.get(f"train_{name}", 0.0) for row in history)
    ]
    columns = 3
    rows = -(-len(names) // columns)
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
    """Validation frames in order of pitch: spectra, reconstruction, transfer; symbols likewise,
    truth as dots.
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
        draw_spectra(
            figure.add_subplot(grid[row, :]),
            magnitudes.numpy(),
            config,
            title,
            seconds=False,
            loudest=loudest,
        )
    for group, column in enumerate(space.columns):
        names = space.class_names(space.labels[group % len(space.labels)])
        ways = {
            "reconstruction": examples.reconstructed,
            "transfer: heard from the signal": examples.transferred,
        }
        for way, (title, probabilities) in enumerate(ways.items()):
            draw_probabilities(
                figure.add_subplot(grid[3 + group, way]),
                probabilities[group].numpy(),
                names,
                f"{column}, {title}",
                len(examples.classes),
                examples.classes[:, group].numpy(),
            )
    save_figure(figure, path)
