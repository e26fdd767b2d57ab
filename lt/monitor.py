"""Monitoring: what a run shows while it trains. One progress bar, figures, and TensorBoard where it is asked for."""
from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from lt import cli
from lt.plotting import plot_losses, plot_reconstructions
from lt.training import Trainer

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter
    from tqdm import tqdm


class Monitor:
    """Follows a trainer within a `with` block; only the writer among several workers shows anything.

    Raises:
        ImportError: TensorBoard is asked for and not installed.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self._log = _tensorboard(trainer) if trainer.config.tensorboard and trainer.workers.writer else None
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

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
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
            plot_reconstructions(shown, trainer.settings.space, trainer.settings.front_end,
                                 trainer.folder.figures / f"reconstructions_{epoch}.{suffix}")


def _tensorboard(trainer: Trainer) -> SummaryWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError("--tensorboard 1 needs tensorboard; install it: pip install tensorboard") from error
    return SummaryWriter(str(trainer.folder.path / "tensorboard"), purge_step=trainer.epochs_done + 1)
