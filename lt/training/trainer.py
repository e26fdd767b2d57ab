"""The training loop: `Trainer` runs steps, epochs, validation and checkpoints to the last epoch.

Every random number is determined by (seed, stream, epoch, step), so a run that was interrupted
anywhere and resumed equals one that was not, and each data-parallel worker samples the global batch
and takes its rows. Within an epoch nothing waits for the device: losses are read when it ends.
History and figures of an epoch are written before the checkpoint that follows it.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from lt.audio.features import Scaler
from lt.config import RunConfig, SynthesisConfig, fields_with
from lt.data.augment import Augmentation
from lt.data.dataset import DataSet
from lt.data.mixing import FramePool, Mixer, NoteMixer, random_combinations
from lt.data.splits import Split
from lt.models.checkpoints import BEST, LAST, MODALITIES, Checkpoint, RunFolder
from lt.models.losses import TERMS, LossTerms, loss_weights, total_loss
from lt.models.runs import RunSettings
from lt.models.vae import sample_noise
from lt.seeds import torch_rng
from lt.training.checkpoint_schedule import CheckpointSaver
from lt.training.distributed import Workers, noted_signals
from lt.training.step import STEP_TERMS, TrainingStep
from lt.training.validation import (
    ACCURACY,
    Evaluation,
    Examples,
    evaluate,
    examples,
    step_inputs,
)

PLAYED_FRACTION = 0.5  # symbols to play, of the batch
SCALER_FRAMES = 20_000  # at most so many training frames fit the scaler


class TrainingStopped(Exception):
    """A run was stopped by a signal after a step; its state is saved as `last`.

    Attributes:
        signal_number: SIGINT or SIGTERM.
    """

    def __init__(self, signal_number: int, path: Path, epoch: int, step: int) -> None:
        super().__init__(
            f"stopped in epoch {epoch} after step {step}; go on with --load {path} "
            "--load_epoch last"
        )
        self.signal_number = signal_number


@dataclass
class TrainingState:
    """What changes from step to step beside the networks.

    Attributes:
        epochs_done: finished epochs.
        steps_done: finished steps of the next epoch.
        best_valid: least validation loss so far.
        step_losses: STEP_TERMS of this worker for each of the finished steps, (terms,).
    """

    epochs_done: int = 0
    steps_done: int = 0
    best_valid: float = math.inf
    step_losses: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class TrainMeans:
    """Means over the steps of an epoch.

    Attributes:
        terms: of the loss.
        critic_own: the loss of the critic.
        gradient_norm: of the model.
    """

    terms: LossTerms
    critic_own: float
    gradient_norm: float


def fit_scalers(mixer: Mixer, config: RunConfig) -> tuple[Scaler, Scaler]:
    """Fit the scalers of the encoder's and the decoder's features to a sample of the mixtures of
    the training part.
    """
    positions = mixer.order(config.seed, 0)[:SCALER_FRAMES]
    batch = mixer.batch(positions, config.seed, 0, stream="scaler")
    scaler = Scaler.fit(batch.encoder_input, config.features, config.range_db)
    if not config.decoder_range_db:
        return scaler, scaler
    return scaler, Scaler.fit(batch.target.flatten(0, 1), "absolute", config.decoder_range_db)


class Trainer:
    """Trains a run.

    Args:
        settings: of the run.
        data, split: the training and validation parts are used, the test part is not read.
        folder: of the run.
        device: of the networks.
        workers: under torchrun.
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
        self.settings = settings
        self.config = settings.config
        self.folder = folder
        self.workers = workers
        self.device = device
        self.training_step = TrainingStep(settings, device, workers)
        augmentation = None
        if self.config.augment:
            augmentation = Augmentation(
                self.config, data.config, settings.scaler.reference, self.device
            )
        train, valid = split.frames["train"], split.frames["valid"]
        space = settings.space
        played = train
        if self.config.decoder_range_db and split.kind != "frame":
            # with the frames between sounding and silent, in which a note dies away
            notes = [
                np.intersect1d(split.notes["train"], data.notes_of(name))
                for name in self.config.instruments
            ]
            played = [data.frames_in_range(own, self.config.frames) for own in notes]
        used = np.concatenate([*train, *played])
        pool = FramePool(data, used, device, bool(self.config.decoder_range_db))
        self.mixer = Mixer(data, train, space, self.config, device, augmentation, pool)
        self.note_mixer = None
        if self.config.decoder_range_db:
            self.note_mixer = NoteMixer(data, played, space, self.config, device, pool=pool)
        self.valid_mixer = Mixer(data, valid, space, self.config, device)
        self.state = TrainingState()
        self.history = folder.history()
        self.saver = CheckpointSaver(folder, settings, workers)
        self.signals: list[int] = []

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch: all frames once, or `--steps_per_epoch`."""
        steps = math.ceil(self.mixer.n_frames / self.config.batch_size)
        return min(steps, self.config.steps_per_epoch or steps)

    @property
    def frames_per_epoch(self) -> int:
        """Frames of an epoch."""
        return min(self.mixer.n_frames, self.steps_per_epoch * self.config.batch_size)

    # --- step and epoch ---------------------------------------------------------------------------

    def step(self, positions: Tensor, epoch: int, step: int) -> Tensor:
        """Train on the global batch at some positions.

        Returns:
            This worker's part of STEP_TERMS, (terms,); the parts add up over the workers.
        """
        n_rows = len(positions)
        rows = self.workers.rows(n_rows)
        fraction = (rows.stop - rows.start) / n_rows
        if not fraction:  # fewer rows than workers: take part in the update without weight
            rows = slice(0, 1)
        seed = self.config.seed
        batch = self.mixer.batch(positions, seed, epoch, step)[rows]
        inputs = step_inputs(self.settings, batch)
        if self.note_mixer:
            inputs = inputs._replace(**self._played(n_rows, fraction, epoch, step))
        if self.config.combine:
            rng = torch_rng(seed, "combinations", epoch, step, device=self.device)
            combinations = random_combinations(self.settings.space, n_rows, rng)[rows]
            inputs = inputs._replace(combinations=combinations)
        rng = torch_rng(seed, "noise", epoch, step, device=self.device)
        noise = self.training_step.loss.sample_noise(n_rows, rows, rng)
        return self.training_step.update(inputs, noise, fraction)

    def _played(self, n_rows: int, fraction: float, epoch: int, step: int) -> dict[str, Any]:
        """Fields of the inputs for symbols to play: this worker's part of a global batch that goes
        with one of `n_rows`, of which the worker has a `fraction`. Latents are sampled as synthesis
        samples them: posteriors of neighbouring ages and dynamics overlap, and whole samples would
        blur a note's course.
        """
        seed, n_played = self.config.seed, math.ceil(n_rows * PLAYED_FRACTION)
        own = self.workers.rows(n_played)
        weight = (own.stop - own.start) / n_played / fraction if fraction else 0.0
        if own.start == own.stop:
            own = slice(0, 1)
        moments = self.note_mixer.order(n_played, seed, epoch, step)
        batch = self.note_mixer.batch(moments, seed, epoch, step, stream="played")[own]
        rng = torch_rng(seed, "noise", epoch, step, 1, device=self.device)
        dims = self.training_step.model.dims
        noises = (sample_noise(dims, n_played, rng) for _ in MODALITIES)
        return {
            "played_classes": batch.classes,
            "played_target": self.settings.decoder_scaler.apply_to_subframes(batch.target),
            "played_noise": tuple(
                tuple(SynthesisConfig.spread * layer[own] for layer in noise) for noise in noises
            ),
            "played_weight": weight,
        }

    def epoch(self, on_step: Callable[[int], object]) -> TrainMeans:
        """Train the next epoch, or the rest of it.

        Args:
            on_step: called with the number of frames of each step.
        Raises:
            TrainingStopped: on SIGINT or SIGTERM, after the current step, with `last` saved.
            ValueError: a term became NaN or infinite; the last good state is saved.
        """
        state = self.state
        epoch = state.epochs_done + 1
        batches = self.mixer.order(self.config.seed, epoch).split(self.config.batch_size)
        self.training_step.model.train()
        for step in range(state.steps_done, self.steps_per_epoch):
            state.step_losses.append(self.step(batches[step], epoch, step))
            state.steps_done = step + 1
            on_step(len(batches[step]))
            if self.workers.any(bool(self.signals)):
                self._stop()
        *terms, critic_own, gradient_norm = self._finite_losses().mean(dim=0).tolist()
        self.state = TrainingState(epoch, best_valid=state.best_valid)
        return TrainMeans(LossTerms(*terms), critic_own, gradient_norm)

    def _stop(self) -> NoReturn:
        state = self.state
        state.step_losses = list(self._finite_losses())
        self.saver.take_folder()
        self.saver.save(self.snapshot() if self.workers.writer else None, [LAST])
        number = self.signals[-1] if self.signals else signal.SIGTERM
        raise TrainingStopped(number, self.folder.path, state.epochs_done + 1, state.steps_done)

    def _finite_losses(self) -> Tensor:
        """The losses of the epoch over all workers, (steps, terms)."""
        losses = self.workers.sum(torch.stack(self.state.step_losses)).cpu()
        bad = (~torch.isfinite(losses)).nonzero()
        if len(bad):
            step, term = bad[0].tolist()
            epoch = self.state.epochs_done + 1
            name, value = STEP_TERMS[term], losses[step, term]
            self._give_up(f"{name} became {value:g} in epoch {epoch}, step {step + 1}")
        return losses

    def _give_up(self, reason: str) -> NoReturn:
        """Save the last good state.

        Raises:
            ValueError: always, with the reason.
        """
        self.saver.save(self.saver.last_good, [LAST])
        position = self.folder.position(LAST) if self.saver.owns_folder else None
        kept = "there is no good state to keep"
        if position:
            kept = f"the last good state, of epoch {position[0]}, is kept in {self.folder.path}"
        rate = self.config.learning_rate
        raise ValueError(f"{reason}: {kept}; try a lower --learning_rate than {rate:g}")

    def examples(self) -> Examples:
        """Reconstructions and transfers of some validation frames, for figures."""
        return examples(self.training_step.model, self.valid_mixer, self.settings)

    # --- the whole run ----------------------------------------------------------------------------

    def fit(
        self,
        on_step: Callable[[int], object],
        on_epoch: Callable[[dict[str, float]], object],
    ) -> None:
        """Train until `config.epochs`, writing history, figures and checkpoints when they are due.

        Args:
            on_step: called with the number of frames of each step.
            on_epoch: called in the writer with each row of the history.
        Raises:
            TrainingStopped, ValueError: as `epoch`.
            OSError: a file could not be written.
        """
        with noted_signals() as self.signals:
            while self.state.epochs_done < self.config.epochs:
                started = time.perf_counter()
                train = self.epoch(on_step)
                valid = evaluate(
                    self.training_step.loss,
                    self.training_step.critic,
                    self.valid_mixer,
                    self.settings,
                    self.workers,
                )
                row = self._history_row(train, valid, time.perf_counter() - started)
                self._end_epoch(row, on_epoch)

    def _history_row(
        self, train: TrainMeans, valid: Evaluation, seconds: float
    ) -> dict[str, float]:
        """The row of an epoch in history.csv."""
        weights = loss_weights(self.config)
        row: dict[str, float] = {"epoch": self.state.epochs_done}
        for part, terms in (("train", train.terms), ("valid", valid.terms)):
            row |= {f"{part}_{name}": value for name, value in zip(TERMS, terms)}
            row[f"{part}_total"] = total_loss(terms, weights)
        return row | {
            "seconds": seconds,
            "frames_per_second": self.frames_per_epoch / seconds,
            "train_critic_own": train.critic_own,
            "gradient_norm": train.gradient_norm,
            "learning_rate": self.training_step.learning_rate,
            **{f"{ACCURACY}{name}": value for name, value in valid.accuracy.items()},
            **{f"valid_{name}": kl for name, kl in valid.latent_kl.items()},
        }

    def _end_epoch(
        self, row: dict[str, float], on_epoch: Callable[[dict[str, float]], object]
    ) -> None:
        """Schedule, history, figures and checkpoints after an epoch."""
        epoch, valid_total = row["epoch"], row["valid_total"]
        for name in TERMS:
            if not math.isfinite(value := row[f"valid_{name}"]):
                self._give_up(f"{name} became {value:g} in the validation of epoch {epoch}")
        self.training_step.end_epoch(valid_total)
        best = valid_total < self.state.best_valid
        self.state.best_valid = min(valid_total, self.state.best_valid)
        self.history.append(row)
        checkpoint = None
        if self.workers.writer:
            self.saver.take_folder()
            self.history.write()
            checkpoint = self.snapshot()
            on_epoch(row)
        self.saver.end_epoch(epoch, checkpoint, best)

    # --- resuming ---------------------------------------------------------------------------------

    def snapshot(self) -> Checkpoint:
        """A copy of the present state."""
        state = self.state
        losses = torch.stack(state.step_losses) if state.step_losses else torch.zeros(0)
        return Checkpoint(
            self.settings.run_id,
            state.epochs_done,
            state.steps_done,
            self.training_step.state("signal"),
            self.training_step.state("symbol"),
            {"best_valid": state.best_valid, "step_losses": losses},
        )

    def resume(self, checkpoint: Checkpoint, previous: RunConfig) -> None:
        """Continue from a checkpoint of this run; what was written after it is removed.

        Args:
            checkpoint: of this run.
            previous: the settings so far; those that differ now take effect.
        Raises:
            ValueError: the checkpoint does not fit the networks.
        """

        def changed(*names: str) -> bool:
            return any(getattr(self.config, name) != getattr(previous, name) for name in names)

        self.training_step.load(checkpoint, previous)
        self.history = self.folder.history(checkpoint.epoch)
        if self.workers.writer:
            self._drop_later(checkpoint)
        losses = checkpoint.training["step_losses"].to(self.device)
        if not self.workers.writer:  # the losses are those of all workers: count them once
            losses = torch.zeros_like(losses)
        self.state = TrainingState(
            checkpoint.epoch, checkpoint.step, checkpoint.training["best_valid"], list(losses)
        )
        if changed(*fields_with(RunConfig, "objective")):
            self.state.best_valid = math.inf
            self.training_step.forget_best()
        if changed("batch_size", "steps_per_epoch"):  # an epoch of other steps starts anew
            self.state.steps_done = 0
            self.state.step_losses = []

    def _drop_later(self, checkpoint: Checkpoint) -> None:
        if (self.folder.position(BEST) or (0, 0)) > (checkpoint.epoch, checkpoint.step):
            # the best so far is this checkpoint, of a known loss only at the end of an epoch
            rows = [] if checkpoint.step else self.history.rows
            checkpoint.training["best_valid"] = rows[-1]["valid_total"] if rows else math.inf
        self.saver.drop_later(checkpoint)
        self.history.write()
