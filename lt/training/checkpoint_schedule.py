"""When a run writes its checkpoints: `best`, `last` and numbered epochs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from lt.models.checkpoints import BEST, LAST, MODALITIES, Checkpoint, RunFolder
from lt.models.runs import RunSettings
from lt.training.distributed import Workers
from lt.training.step import copy_state


class CheckpointSaver:
    """Writes checkpoints when they are due. Workers other than the writer have no checkpoints and
    only wait.

    Args:
        folder: of the run.
        settings: of the run, written when the folder is taken over.
        workers: under torchrun.
    Attributes:
        last_good: state after the last finished epoch, whose losses were finite.
        owns_folder: whether the folder is this run's; until it has something to write, an earlier
            run of the same name is left alone.
    """

    def __init__(self, folder: RunFolder, settings: RunSettings, workers: Workers) -> None:
        self.folder = folder
        self.settings = settings
        self.workers = workers
        self.owns_folder = False
        self.last_good: Checkpoint | None = None
        self._unsaved_best: Checkpoint | None = None
        self._saved_at = -math.inf

    def take_folder(self) -> None:
        """Replace an earlier run of the same name."""
        if self.workers.writer and not self.owns_folder:
            self.folder.drop_later(0)
            self.folder.write_settings(self.settings.to_dict())
        self.owns_folder = True

    def end_epoch(self, epoch: int, checkpoint: Checkpoint | None, best: bool) -> None:
        """Save the state after an epoch as `last` every `--save_seconds`, and under its number when
        `--save_epochs` asks for it; keep it in memory until it is due.

        Args:
            epoch: its number.
            checkpoint: the state, in the writer.
            best: whether its validation loss is the least so far.
        """
        config = self.settings.config
        self.last_good = checkpoint
        self._unsaved_best = checkpoint if best else self._unsaved_best
        numbered = epoch in (1, config.epochs) or epoch % config.save_epochs == 0
        late = time.monotonic() - self._saved_at >= config.save_seconds
        if numbered or self.workers.any(late and self.workers.writer):
            self.save(checkpoint, [epoch, LAST] if numbered else [LAST])

    def save(self, checkpoint: Checkpoint | None, tags: Sequence[str | int]) -> None:
        """Save the best state, then a checkpoint under some tags: `best` is never behind `last`."""
        best = self._unsaved_best
        if best is not None and best is not checkpoint:
            self._write(best, BEST)
        if checkpoint is not None:
            self._write(checkpoint, *([BEST] if best is checkpoint else []), *tags)
        self._unsaved_best = None
        self._saved_at = time.monotonic()
        self.workers.wait()

    def _write(self, state: Checkpoint, *tags: str | int) -> None:
        names = (*MODALITIES, "training")
        on_cpu = {name: copy_state(getattr(state, name), torch.device("cpu")) for name in names}
        self.folder.save(replace(state, **on_cpu), *tags)

    def drop_later(self, checkpoint: Checkpoint) -> None:
        """Take over the folder of the run that is resumed from a checkpoint: what it wrote later is
        removed, a later `best` or `last` is replaced by the checkpoint.
        """
        position = (checkpoint.epoch, checkpoint.step)
        later = [tag for tag in (BEST, LAST) if (self.folder.position(tag) or position) > position]
        self.folder.save(checkpoint, *later)
        if checkpoint.epoch:
            self.folder.drop_later(checkpoint.epoch)
        self.folder.write_settings(self.settings.to_dict())
        self.owns_folder = True
