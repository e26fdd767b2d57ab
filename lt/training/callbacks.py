"""Callbacks of training: progress bar, figures, and TensorBoard (`--tensorboard 1`)."""

from __future__ import annotations

from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from lt.progress import Progress
from lt.training.figures import plot_losses, plot_reconstructions
from lt.training.trainer import Trainer

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
