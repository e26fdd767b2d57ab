"""Callbacks of training: progress bar or a line an epoch, the time that a run takes, figures, and
TensorBoard (`--tensorboard 1`).
"""

from __future__ import annotations

import time
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from lt.labels import NOTE
from lt.messages import counted, duration
from lt.progress import Progress
from lt.training.figures import plot_losses, plot_reconstructions
from lt.training.trainer import Trainer
from lt.training.validation import ACCURACY

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TIMED_SECONDS = 5.0  # of the first steps, from which the duration of a run is estimated


class Clock:
    """How long a run still takes, by its speed so far; its first step, which allocates memory, does
    not count.

    Args:
        n_frames: to train on.
    """

    def __init__(self, n_frames: int) -> None:
        self.n_left = n_frames
        self._n_timed = 0
        self._started: float | None = None

    def step(self, n_frames: int) -> None:
        """A step on so many frames has ended."""
        self.n_left -= n_frames
        if self._started is None:
            self._started = time.monotonic()
        else:
            self._n_timed += n_frames

    @property
    def elapsed(self) -> float:
        """Seconds since the first step."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    @property
    def seconds_left(self) -> float | None:
        """None before the second step."""
        return self.n_left * self.elapsed / self._n_timed if self._n_timed else None


def fit_with_callbacks(trainer: Trainer, progress: Progress) -> None:
    """Run `Trainer.fit` with a progress bar in frames, figures and TensorBoard. Where the bar is
    not shown, each epoch is logged.

    Raises:
        ImportError: TensorBoard is asked for and not installed.
        TrainingStopped, ValueError, OSError: as `Trainer.fit`.
    """
    config, state, workers = trainer.config, trainer.state, trainer.workers
    frames = (config.epochs - state.epochs_done) * trainer.frames_per_epoch
    frames -= state.steps_done * config.batch_size

    def title(epochs_done: int) -> str:
        return f"epoch {min(epochs_done + 1, config.epochs)}/{config.epochs}"

    clock, announced = Clock(frames), False

    def on_step(n_frames: int) -> None:
        nonlocal announced
        bar.update(n_frames)
        clock.step(n_frames)
        if not announced and clock.elapsed >= TIMED_SECONDS and clock.seconds_left:
            announced = True
            epochs = counted(config.epochs - state.epochs_done, "epoch")
            left = duration(clock.seconds_left)
            workers.log(f"{epochs} will take about {left}, by the speed of the first steps")

    def on_epoch(row: dict[str, float]) -> None:
        epoch = int(row["epoch"])
        bar.set_description(title(epoch))
        bar.set_postfix_str(summary(row))
        if bar.disable:
            left = clock.seconds_left
            rest = f", {duration(left)} left" if left else ""
            workers.log(f"{title(epoch - 1)}: {summary(row)}{rest}")
        if epoch in (1, config.epochs) or epoch % config.plot_epochs == 0:
            plot_epoch(trainer, epoch)
        for name, value in row.items() if board else ():
            board.add_scalar(name.replace("_", "/", 1), value, epoch)

    use_board = config.tensorboard and workers.writer
    with closing(_summary_writer(trainer)) if use_board else nullcontext() as board:
        with progress(total=frames, desc=title(state.epochs_done), unit="frame") as bar:
            trainer.fit(on_step, on_epoch)


def summary(row: dict[str, float]) -> str:
    """The losses of an epoch, and how many of the notes of the validation part are right."""
    losses = f"loss {row['train_total']:.1f}, valid {row['valid_total']:.1f}"
    names = [name.removeprefix(ACCURACY) for name in row if name.startswith(ACCURACY)]
    name = NOTE if NOTE in names else names[0]
    return f"{losses}, {name} right {row[ACCURACY + name]:.3f}"


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
