"""Training: `Trainer` takes a run from its settings to its last epoch by `step`, `epoch`, `fit`.

Every draw is named by (seed, stream, epoch, step), so a run that was interrupted anywhere and
continued equals one that was not, and each data-parallel worker draws the global batch and takes
its share. Within an epoch nothing waits for the device: losses are looked at when it ends. Rows and
figures of an epoch are written before the checkpoint that follows it.
"""

from __future__ import annotations

import math
import signal as process_signals
import time
from dataclasses import replace
from typing import Callable

import torch
from torch import Tensor

from lt.audio.features import Scaler
from lt.config import RunConfig, fields_with
from lt.data.augment import Augmentation
from lt.data.dataset import DataSet
from lt.data.mixing import Mixer
from lt.data.splits import Split
from lt.models.checkpoints import BEST, HALVES, LAST, Checkpoint, RunFolder
from lt.models.losses import TERMS, LossWeights
from lt.models.runs import RunSettings
from lt.seeds import torch_rng
from lt.training.distributed import StopSignals, Workers
from lt.training.step import STEP_TERMS, Learner, copied
from lt.training.validation import Evaluation, Examples, evaluate, examples

SCALER_FRAMES = 20_000  # at most as many training frames fit the scaler


class TrainingStopped(Exception):
    """The run was asked to stop by a signal, and `last` is saved."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number


def fit_scaler(mixer: Mixer, config: RunConfig) -> Scaler:
    """Fit the features' scaler on a sample of the training part's mixtures (20,000 frames at most)."""
    positions = mixer.order(config.seed, 0)[:SCALER_FRAMES]
    mixture = mixer.batch(positions, config.seed, 0, stream="scaler").mixture
    return Scaler.fit(mixture, config.features, config.range_db)


class Trainer:
    """A run being trained.

    Args:
        settings: of the run. data, split: what it learns from; the test part is not even read.
        folder: where it writes. device: of the networks. workers: under torchrun.
    """

    def __init__(
        self,
        settings: RunSettings,
        data: DataSet,
        split: Split,
        folder: RunFolder,
        device: torch.device,
        workers: Workers,
    ) -> None:
        self.settings, self.config, self.folder, self.workers = (
            settings,
            settings.config,
            folder,
            workers,
        )
        self.device, self.scaler = device, settings.scaler
        self.learner = Learner(settings, device, workers)
        augmentation = None
        if self.config.augment:
            augmentation = Augmentation(self.config, data.config, self.scaler.reference)
        train, valid = split.frames["train"], split.frames["valid"]
        self.mixer = Mixer(data, train, settings.space, self.config, device, augmentation)
        self.valid_mixer = Mixer(data, valid, settings.space, self.config, device)
        self.epochs_done, self.steps_done, self.best_valid = 0, 0, math.inf
        self.history = folder.history()
        self._step_losses: list[Tensor] = []
        self._good: Checkpoint | None = None  # the writer's: the state after the last epoch
        self._best: Checkpoint | None = None  # the writer's: the best state, until it is written
        self._begun = False
        self._saved_at = -math.inf
        self._signals = StopSignals()

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch: all frames once, or `--steps_per_epoch`."""
        whole = math.ceil(self.mixer.n_frames / self.config.batch_size)
        return min(whole, self.config.steps_per_epoch or whole)

    @property
    def frames_per_epoch(self) -> int:
        """Frames that an epoch draws."""
        return min(self.mixer.n_frames, self.steps_per_epoch * self.config.batch_size)

    # --- step and epoch ---------------------------------------------------------------------------

    def step(self, positions: Tensor, epoch: int, step: int) -> Tensor:
        """Learn from one global batch; returns this worker's share of STEP_TERMS: they add up over
        the workers.
        """
        n_rows = len(positions)
        rows = self.workers.share(n_rows)
        share = (rows.stop - rows.start) / n_rows
        if not share:  # a batch smaller than the workers: take part without weight
            rows = slice(0, 1)
        batch = self.mixer.batch(positions, self.config.seed, epoch, step)[rows]
        chosen = torch_rng(self.config.seed, "noise", epoch, step, device=self.device)
        noise = self.learner.objective.draw_noise(n_rows, rows, chosen)
        return self.learner.learn(
            self.scaler.apply(batch.augmented),
            self.scaler.apply(batch.mixture),
            batch.classes,
            noise,
            share,
        )

    def epoch(self, on_step: Callable[[int], None] = lambda n_frames: None) -> dict[str, float]:
        """The next epoch, or the rest of it; returns the means of STEP_TERMS over its steps.

        Raises:
            TrainingStopped: on SIGINT or SIGTERM, after the current step, with `last` saved.
            ValueError: a term became NaN or infinite; the last good state is saved.
        """
        epoch = self.epochs_done + 1
        batches = self.mixer.order(self.config.seed, epoch).split(self.config.batch_size)[
            : self.steps_per_epoch
        ]
        self.learner.model.train()
        for step in range(self.steps_done, len(batches)):
            self._step_losses.append(self.step(batches[step], epoch, step))
            self.steps_done = step + 1
            on_step(len(batches[step]))
            if self.workers.any(bool(self._signals.caught)):
                self._stop(epoch)
        means = self._finite_losses(epoch).mean(dim=0)
        self._step_losses, self.steps_done, self.epochs_done = [], 0, epoch
        return dict(zip(STEP_TERMS, means.tolist(), strict=True))

    def _stop(self, epoch: int) -> None:
        self._step_losses = list(self._finite_losses(epoch))
        self._begin_folder()
        self.save(self.snapshot() if self.workers.writer else None, [LAST])
        raise TrainingStopped(self._signals.caught or process_signals.SIGTERM)

    def _finite_losses(self, epoch: int) -> Tensor:
        """The epoch's losses over all workers (steps, terms), looked at once, so that a GPU never
        waits.
        """
        losses = self.workers.sum(torch.stack(self._step_losses)).cpu()
        bad = (~torch.isfinite(losses)).nonzero()
        if len(bad):
            step, term = bad[0].tolist()
            self._give_up(
                f"{STEP_TERMS[term]} became {losses[step, term]:g} in epoch {epoch}, step "
                f"{step + 1}"
            )
        return losses

    def _give_up(self, what: str) -> None:
        """Save the state before things went wrong, and say what did."""
        self.save(self._good, [LAST] if self._good else [])
        last = self.folder.moment(LAST) if self._begun else None
        kept = (
            f"the last good state, of epoch {last[0]}, is kept in {self.folder.path}"
            if last
            else "there is no good state to keep"
        )
        raise ValueError(
            f"{what}: {kept}; try a lower --learning_rate than {self.config.learning_rate:g}"
        )

    def examples(self) -> Examples:
        """What the model makes of some validation frames, for figures."""
        return examples(self.learner.model, self.valid_mixer, self.scaler, self.config.seed)

    # --- the whole run ----------------------------------------------------------------------------

    def fit(
        self,
        on_step: Callable[[int], None] = lambda n_frames: None,
        on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    ) -> None:
        """Train until `config.epochs`, writing history, figures and checkpoints as they fall due.

        Args:
            on_step: told the frames of each step. on_epoch: told each row of the history, on the
                writer.
        Raises:
            TrainingStopped, ValueError: as `epoch`. OSError: a file could not be written.
        """
        with self._signals:
            while self.epochs_done < self.config.epochs:
                started = time.perf_counter()
                train = self.epoch(on_step)
                valid = evaluate(
                    self.learner.objective, self.valid_mixer, self.scaler, self.config, self.workers
                )
                self._end_epoch(self._row(train, valid, time.perf_counter() - started))
                if self.workers.writer:
                    on_epoch(self.history.rows[-1])
                self._save_what_is_due()

    def _row(self, train: dict[str, float], valid: Evaluation, seconds: float) -> dict[str, float]:
        """A row of the history."""
        weights = LossWeights.of(self.config)

        def columns(part: str, terms: dict[str, float]) -> dict[str, float]:
            total = sum(
                weight * terms[name] for name in TERMS if (weight := getattr(weights, name))
            )
            return {f"{part}_{name}": terms[name] for name in TERMS} | {f"{part}_total": total}

        row: dict[str, float] = (
            {"epoch": self.epochs_done} | columns("train", train) | columns("valid", valid.terms)
        )
        row |= {
            "seconds": seconds,
            "frames_per_second": self.frames_per_epoch / seconds,
            "train_critic_own": train["critic_own"],
            "gradient_norm": train["gradient_norm"],
            "learning_rate": self.learner.learning_rate,
        }
        for half, layers in valid.latent_kl.items():
            row |= {
                f"valid_{half}_kl_{layer}_{index}": kl
                for layer, dimensions in enumerate(layers)
                for index, kl in enumerate(dimensions)
            }
        return row

    def _end_epoch(self, row: dict[str, float]) -> None:
        """Take note of a finished epoch: schedule, history, best state."""
        bad = [name for name in TERMS if not math.isfinite(row[f"valid_{name}"])]
        if bad:
            self._give_up(
                f"{bad[0]} became {row[f'valid_{bad[0]}']:g} in the validation of epoch "
                f"{row['epoch']}"
            )
        self.learner.schedule(row["valid_total"])
        better = row["valid_total"] < self.best_valid
        self.best_valid = min(row["valid_total"], self.best_valid)
        self.history.append(row)
        if self.workers.writer:
            self._begin_folder()
            self.history.write()
            self._good = self.snapshot()
            self._best = self._good if better else self._best

    def _begin_folder(self) -> None:
        """Only when it has something to write does a run take the place of an earlier one of its
        name.
        """
        if self.workers.writer and not self._begun:
            self.folder.drop_later(0)
            self.folder.write_settings(self.settings.to_dict())
        self._begun = True

    def _save_what_is_due(self) -> None:
        epoch = self.epochs_done
        numbered = epoch in (1, self.config.epochs) or epoch % self.config.save_epochs == 0
        due = time.monotonic() - self._saved_at >= self.config.save_seconds
        if numbered or self.workers.any(due and self.workers.writer):
            self.save(self._good, [epoch, LAST] if numbered else [LAST])

    def save(self, state: Checkpoint | None, tags: list[str | int]) -> None:
        """Write a state under some tags, and before it the best state, so that `best` is never
        behind `last`.

        Workers that write nothing have no state; they wait.
        """
        if self.workers.writer:
            states = [(BEST, self._best)] if self._best else []
            for tag, one in [*states, *((tag, state) for tag in tags)]:
                self.folder.save(
                    tag,
                    replace(
                        one,
                        **{
                            name: copied(getattr(one, name), torch.device("cpu"))
                            for name in (*HALVES, "training")
                        },
                    ),
                )
            self._best = None  # written: no need to hold it
        self._saved_at = time.monotonic()
        self.workers.wait()

    # --- going on ---------------------------------------------------------------------------------

    def snapshot(self) -> Checkpoint:
        """A copy of the present state."""
        losses = torch.stack(self._step_losses) if self._step_losses else torch.zeros(0)
        return Checkpoint(
            self.settings.run_id,
            self.epochs_done,
            self.steps_done,
            self.learner.state("signal"),
            self.learner.state("symbol"),
            {"best_valid": self.best_valid, "step_losses": losses},
        )

    def resume(self, checkpoint: Checkpoint, before: RunConfig) -> None:
        """Go on from a checkpoint of this run; what was written of later epochs is dropped.

        Args:
            before: the settings it was trained with; those that differ now come into force.
        Raises:
            ValueError: the checkpoint does not fit the networks.
        """
        self.learner.load(checkpoint, before)
        self.epochs_done, self.steps_done = checkpoint.epoch, checkpoint.step
        self.best_valid = checkpoint.training["best_valid"]
        losses = checkpoint.training["step_losses"].to(
            self.device
        )  # of all workers: the writer adds them
        self._step_losses = list(losses if self.workers.writer else torch.zeros_like(losses))
        self.history = self.folder.history(checkpoint.epoch)
        if self.workers.writer:
            self._drop_later(checkpoint)
        if any(
            getattr(self.config, name) != getattr(before, name)
            for name in fields_with(RunConfig, "objective")
        ):
            self.best_valid = math.inf
            self.learner.forget_best()
        if (self.config.batch_size, self.config.steps_per_epoch) != (
            before.batch_size,
            before.steps_per_epoch,
        ):
            self._step_losses, self.steps_done = [], 0  # an epoch of other steps begins anew

    def _drop_later(self, checkpoint: Checkpoint) -> None:
        """What was written after a checkpoint goes; where `best` or `last` are of then, it takes
        their place.
        """
        here = (checkpoint.epoch, checkpoint.step)
        if (self.folder.moment(BEST) or here) > here:
            own = (
                self.history.rows[-1]["valid_total"]
                if self.history.rows and not checkpoint.step
                else math.inf
            )
            self.best_valid = checkpoint.training["best_valid"] = own
            self.folder.save(BEST, checkpoint)
        if (self.folder.moment(LAST) or here) > here:
            self.folder.save(LAST, checkpoint)
        if checkpoint.epoch:
            self.folder.drop_later(checkpoint.epoch)
        self.history.write()
        self.folder.write_settings(self.settings.to_dict())
        self._begun = True
