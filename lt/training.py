"""Training: `Trainer` takes a run from its settings to its last epoch by `step`, `epoch`, `evaluate`, `fit`.

Every draw is named by (seed, stream, epoch, step), so a run that was interrupted anywhere and continued equals
one that was not, and each data-parallel worker draws the global batch and takes its share. Rows and figures of an
epoch are written before the checkpoint that follows it.
"""
from __future__ import annotations

import math
import signal as process_signals
import time
from dataclasses import dataclass
from typing import Any, Callable

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lt.augment import Augmentation
from lt.config import RunConfig
from lt.critic import Critic, critic_loss, decoder_loss
from lt.datasets import DataSet
from lt.losses import TERMS, LossWeights, loss_terms, prior_kl
from lt.mixtures import Mixer
from lt.runs import BEST, LAST, Checkpoint, RunFolder, RunSettings, build_model, load_model_state
from lt.seeds import generator, seed_of
from lt.spectra import Scaler
from lt.splits import Split
from lt.vae import CrossModalVAE, Noise, draw_noise
from lt.workers import Workers

SCALER_FRAMES = 20_000  # at most as many training frames fit the scaler
VALID_FRAMES = 20_000  # at most as many validation frames choose the model
EXAMPLE_FRAMES = 128  # in the figure of reconstructions
LEARNING_RATE_FACTOR = 0.5  # at each plateau
MIN_LEARNING_RATE = 1e-6
HALVES = ("signal", "symbol")
EXTRA_TERMS = ("critic_own",)  # the critic's own loss stands beside the model's terms in history


class TrainingStopped(Exception):
    """The run was asked to stop and `last` is saved."""


class Objective(nn.Module):
    """The model and its loss in one module, so that DistributedDataParallel sees one forward pass."""

    def __init__(self, model: CrossModalVAE, weights: LossWeights, regularization_type: str,
                 critic: Critic | None) -> None:
        super().__init__()
        self.model, self.weights, self.regularization_type = model, weights, regularization_type
        self._critic = [critic]  # in a list: its parameters are not this module's

    def forward(self, heard: Tensor, target: Tensor, classes: Tensor, noise: dict[str, Noise]
                ) -> tuple[Tensor, Tensor, Tensor]:
        """Features (batch, features) twice and classes -> the weighted total, the terms (terms,), and the fakes."""
        output = self.model(heard, classes, noise["signal"], noise["symbol"], self.weights.need_transfer)
        critic, judged, fake = self._critic[0], None, target.new_zeros((0, target.shape[1]))
        if critic is not None:
            fake = torch.cat([output.signal.px.mean, output.signal_from_symbol.mean])
            judged = decoder_loss(critic, fake)
        terms = loss_terms(output, target, classes, self.regularization_type, judged)
        return self.weights.total(terms), terms.stack().detach(), fake.detach()


class CriticObjective(nn.Module):
    """The critic and its own loss in one module."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """Real and fake features -> the critic's loss."""
        return critic_loss(self.critic, real, fake)


@dataclass(frozen=True)
class Evaluation:
    """Losses of a part: the terms' means by name, and the prior KL by latent dimension of the top layer."""
    terms: dict[str, float]
    latent_kl: dict[str, list[float]]


@dataclass(frozen=True)
class Examples:
    """Validation frames as the model hears and knows them, for figures.

    Attributes:
        original, reconstruction, transfer: magnitudes (frames, bins); the last two are decoded means, the
            transfer from the symbols' latent.
        classes: (frames, groups). reconstructed, transferred: probabilities (frames, classes), one a group; the
            transferred ones from the signal's latent.
    """
    original: Tensor
    reconstruction: Tensor
    transfer: Tensor
    classes: Tensor
    reconstructed: tuple[Tensor, ...]
    transferred: tuple[Tensor, ...]


def fit_scaler(mixer: Mixer, config: RunConfig) -> Scaler:
    """Fit the features' scaler on a sample of the training part's mixtures (20,000 frames at most)."""
    positions = mixer.order(config.seed, 0)[:SCALER_FRAMES]
    mixture = mixer.batch(positions, config.seed, 0, stream="scaler").mixture
    return Scaler.fit(mixture, config.features, config.range_db)


def to_share(total: Tensor, workers: Workers, n_own: int, n_rows: int) -> Tensor:
    """Scale a worker's mean over its own rows so that the mean over workers is the mean over all rows."""
    return total * (workers.count * n_own / n_rows)


class Trainer:
    """A run being trained.

    Args:
        settings: of the run. data, split: what it learns from. folder: where it writes.
        device: of the model. workers: under torchrun.
    """

    def __init__(self, settings: RunSettings, data: DataSet, split: Split, folder: RunFolder,
                 device: torch.device = torch.device("cpu"), workers: Workers = Workers()) -> None:
        config = settings.config
        self.settings, self.config, self.folder = settings, config, folder
        self.device, self.workers = device, workers
        torch.manual_seed(seed_of(config.seed, "init"))
        self.scaler = settings.scaler
        self.model = build_model(config, settings.space, self.scaler).to(device)
        self.critic = Critic(self.scaler.n_features, config.adv_dim, config.adv_num).to(device) \
            if config.adversarial else None
        plain = Mixer(data, split.frames["train"], settings.space, config, device)
        self.mixer = plain.with_augmentation(Augmentation.of(config), self.scaler.reference)
        self.valid_mixer = Mixer(data, split.frames["valid"], settings.space, config, device)
        self.optimizers = {half: Adam(getattr(self.model, half).parameters(), config.learning_rate) for half in HALVES}
        self.schedulers = {half: ReduceLROnPlateau(optimizer, factor=LEARNING_RATE_FACTOR, patience=config.patience,
                                                   min_lr=MIN_LEARNING_RATE)
                           for half, optimizer in self.optimizers.items()}
        self.critic_optimizer = Adam(self.critic.parameters(), config.adv_lr, betas=(0.5, 0.999)) \
            if self.critic else None
        objective = Objective(self.model, LossWeights.of(config), config.regularization_type, self.critic)
        self.objective = self._parallel(objective)
        self.critic_objective = self._parallel(CriticObjective(self.critic)) if self.critic else None
        self.epochs_done, self.steps_done = 0, 0
        self.best_valid = math.inf
        self.history: list[dict[str, float]] = []
        self._step_losses: list[Tensor] = []
        self._best: Checkpoint | None = None
        self._saved_at = -math.inf
        self._stop_signal = 0

    def _parallel(self, module: nn.Module) -> nn.Module:
        return DistributedDataParallel(module) if self.workers.count > 1 else module

    # --- one step -----------------------------------------------------------------------------------------

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch: all frames once, or `--steps_per_epoch`."""
        whole = math.ceil(self.mixer.n_frames / self.config.batch_size)
        return min(whole, self.config.steps_per_epoch or whole)

    def step(self, positions: Tensor, epoch: int, step: int) -> Tensor:
        """Learn from one global batch; returns this worker's share of the terms and the gradient norm."""
        n_rows, where = len(positions), (epoch, step)
        batch = self.mixer.batch(positions, self.config.seed, *where)
        noise = self._noise(n_rows, "noise", *where)
        rows = self.workers.share(n_rows)
        n_own = rows.stop - rows.start
        if not n_own:  # a batch smaller than the workers: take part without weight
            rows = slice(0, 1)
        own, noise = batch.part(rows), {half: tuple(z[rows] for z in draws) for half, draws in noise.items()}
        real = self.scaler.apply(own.mixture)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            self._freeze_critic(True)
            total, terms, fake = self.objective(self.scaler.apply(own.heard), real, own.classes, noise)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        to_share(total, self.workers, n_own, n_rows).backward()
        norm = torch.stack([p.grad.square().sum() for p in self.model.parameters() if p.grad is not None]).sum().sqrt()
        for optimizer in self.optimizers.values():
            optimizer.step()
        critic_own = self._critic_step(real, fake, n_own, n_rows)
        losses = torch.cat([terms, critic_own.reshape(1)]) * (n_own / n_rows)
        return torch.cat([losses, norm.reshape(1) / self.workers.count])

    def _critic_step(self, real: Tensor, fake: Tensor, n_own: int, n_rows: int) -> Tensor:
        if self.critic is None:
            return real.new_zeros(())
        self._freeze_critic(False)
        loss = self.critic_objective(real, fake)
        self.critic_optimizer.zero_grad(set_to_none=True)
        to_share(loss, self.workers, n_own, n_rows).backward()
        self.critic_optimizer.step()
        return loss.detach()

    def _freeze_critic(self, frozen: bool) -> None:
        """While the decoder learns from its judgement, the critic itself must not."""
        if self.critic is not None:
            self.critic.requires_grad_(not frozen)

    def _noise(self, n_rows: int, stream: str, *where: int) -> dict[str, tuple[Tensor, ...]]:
        chosen = generator(self.config.seed, stream, *where, device=self.device)
        return {half: draw_noise(self.model.dims, n_rows, chosen) for half in HALVES}

    # --- one epoch ----------------------------------------------------------------------------------------

    def epoch(self, on_step: Callable[[int], None] = lambda n_frames: None) -> dict[str, float]:
        """The next epoch, or the rest of it; returns the terms' means over its steps and the gradient norm.

        Raises:
            TrainingStopped: on SIGINT or SIGTERM, after the current step, with `last` saved.
            ValueError: a term became NaN or infinite; nothing is saved.
        """
        epoch = self.epochs_done + 1
        batches = self.mixer.order(self.config.seed, epoch).split(self.config.batch_size)[:self.steps_per_epoch]
        self.model.train()
        for step in range(self.steps_done, len(batches)):
            self._step_losses.append(self.step(batches[step], epoch, step))
            self.steps_done = step + 1
            on_step(len(batches[step]))
            if self.workers.any(bool(self._stop_signal), self.device):
                self._check_finite(epoch)
                self.save([LAST])
                raise TrainingStopped
        means = self._check_finite(epoch).mean(dim=0)
        self._step_losses, self.steps_done, self.epochs_done = [], 0, epoch
        return dict(zip((*TERMS, *EXTRA_TERMS, "gradient_norm"), means.tolist()))

    def _check_finite(self, epoch: int) -> Tensor:
        """The epoch's losses over all workers (steps, terms); looked at once, so that a GPU never waits."""
        losses = self.workers.sum(torch.stack(self._step_losses)).cpu()
        bad = (~torch.isfinite(losses)).nonzero()
        if len(bad):
            step, term = bad[0].tolist()
            name = (*TERMS, *EXTRA_TERMS, "gradient_norm")[term]
            raise ValueError(f"{name} became {losses[step, term]:g} in epoch {epoch}, step {step + 1}; "
                             f"the last good state is kept in {self.folder.path}; try a lower --learning_rate")
        return losses

    @torch.no_grad()
    def evaluate(self) -> Evaluation:
        """Losses on the validation part, with the same draws every time."""
        self.model.eval()
        self._freeze_critic(True)
        sums, n_frames = torch.zeros(len(TERMS), device=self.device), 0
        latent_kl = {half: torch.zeros(self.model.dims[-1], device=self.device) for half in HALVES}
        order = self.valid_mixer.order(self.config.seed, 0)[:VALID_FRAMES]
        for step, positions in enumerate(order.split(max(self.config.batch_size, 512))):
            batch = self.valid_mixer.batch(positions, self.config.seed, step, stream="valid")
            noise = self._noise(len(positions), "noise", 0, step)
            target = self.scaler.apply(batch.mixture)
            output = self.model(target, batch.classes, noise["signal"], noise["symbol"], True)
            judged = decoder_loss(self.critic, output.signal.px.mean) if self.critic else None
            terms = loss_terms(output, target, batch.classes, self.config.regularization_type, judged)
            sums, n_frames = sums + terms.stack() * len(positions), n_frames + len(positions)
            for half in HALVES:
                latent_kl[half] += prior_kl(getattr(output, half))[-1].sum(dim=0)
        means = dict(zip(TERMS, (sums / n_frames).tolist()))
        return Evaluation(means, {half: (kl / n_frames).tolist() for half, kl in latent_kl.items()})

    @torch.no_grad()
    def examples(self) -> Examples:
        """Some validation frames, from every so many notes in order of pitch, and what the model makes of them."""
        self.model.eval()
        order = self.valid_mixer.order(self.config.seed, 0)[:EXAMPLE_FRAMES]
        batch = self.valid_mixer.batch(order, self.config.seed, 0, stream="valid")
        ranked = torch.argsort(self.valid_mixer.sources[0].note_number[order[:, 0]], stable=True)
        target, classes = self.scaler.apply(batch.mixture)[ranked], batch.classes[ranked]
        output = self.model(target, classes)
        magnitudes = [self.scaler.invert(features).cpu() for features in
                      (target, output.signal.px.mean, output.signal_from_symbol.mean)]
        return Examples(*magnitudes, classes.flatten(1).cpu(),
                        tuple(rows.cpu() for rows in output.symbol.px.probabilities()),
                        tuple(rows.cpu() for rows in output.symbol_from_signal.probabilities()))

    # --- the whole run ------------------------------------------------------------------------------------

    def fit(self, on_step: Callable[[int], None] = lambda n_frames: None,
            on_epoch: Callable[[Trainer, dict[str, float]], None] = lambda trainer, row: None) -> None:
        """Train until `config.epochs`, writing history, figures and checkpoints as they fall due.

        Args:
            on_step: told the frames of each step. on_epoch: told each row of the history, on the writer.
        Raises:
            TrainingStopped, ValueError: as `epoch`. OSError: a file could not be written.
        """
        with self._catching_signals():
            while self.epochs_done < self.config.epochs:
                started = time.perf_counter()
                train = self.epoch(on_step)
                row = self._row(train, self.evaluate(), time.perf_counter() - started)
                for scheduler in self.schedulers.values():
                    scheduler.step(row["valid_total"])
                self.history.append(row)
                if row["valid_total"] < self.best_valid:
                    self.best_valid, self._best = row["valid_total"], self.checkpoint()
                if self.workers.writer:
                    self.folder.write_history(self.history)
                    on_epoch(self, row)
                self._save_what_is_due()

    def _row(self, train: dict[str, float], valid: Evaluation, seconds: float) -> dict[str, float]:
        """A row of the history."""
        weights = LossWeights.of(self.config)

        def total(terms: dict[str, float]) -> float:
            return sum(getattr(weights, name) * terms[name] for name in TERMS if getattr(weights, name))

        row: dict[str, float] = {"epoch": self.epochs_done}
        row |= {f"train_{name}": train[name] for name in TERMS} | {"train_total": total(train)}
        row |= {f"valid_{name}": valid.terms[name] for name in TERMS} | {"valid_total": total(valid.terms)}
        n_frames = min(self.mixer.n_frames, self.steps_per_epoch * self.config.batch_size)
        row |= {"seconds": seconds, "frames_per_second": n_frames / seconds,
                "train_critic_own": train["critic_own"], "gradient_norm": train["gradient_norm"],
                "learning_rate": self.optimizers["signal"].param_groups[0]["lr"]}
        for half in HALVES:
            row |= {f"valid_{half}_kl_{index}": kl for index, kl in enumerate(valid.latent_kl[half])}
        return row

    def _save_what_is_due(self) -> None:
        epoch, first = self.epochs_done, self.epochs_done == 1
        at_end = epoch == self.config.epochs
        numbered = first or at_end or epoch % self.config.save_epochs == 0
        due = time.monotonic() - self._saved_at >= self.config.save_seconds
        if numbered or self.workers.any(due and self.workers.writer, self.device):
            self.save([epoch] * numbered + [BEST, LAST])

    def save(self, tags: list[str | int]) -> None:
        """Write checkpoints: `best` from the best epoch so far, others from the present state."""
        if self.workers.writer:
            present = self.checkpoint()
            for tag in tags if BEST in tags else [BEST, *tags]:
                checkpoint = self._best if tag == BEST else present
                if checkpoint is not None:
                    self.folder.save(tag, checkpoint)
            self._best = None  # written: no need to hold it
        self._saved_at = time.monotonic()
        self.workers.wait()

    def _catching_signals(self) -> Any:
        return _SignalCatcher(self._ask_to_stop)

    def _ask_to_stop(self, number: int) -> None:
        self._stop_signal = number

    # --- state --------------------------------------------------------------------------------------------

    def checkpoint(self) -> Checkpoint:
        """A copy of the present state on the CPU."""
        halves = {half: {"model": getattr(self.model, half).state_dict(),
                         "optimizer": self.optimizers[half].state_dict(),
                         "scheduler": self.schedulers[half].state_dict()} for half in HALVES}
        if self.critic is not None:
            halves["signal"] |= {"critic": self.critic.state_dict(),
                                 "critic_optimizer": self.critic_optimizer.state_dict()}
        losses = torch.stack(self._step_losses) if self._step_losses else torch.zeros(0)
        training = {"best_valid": self.best_valid, "step_losses": losses}
        return Checkpoint(self.settings.run_id, self.epochs_done, self.steps_done,
                          **{half: _copied(state) for half, state in halves.items()}, training=_copied(training))

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of this run; what was written of later epochs is dropped."""
        load_model_state(self.model, checkpoint, self.folder)
        for half in HALVES:
            self.optimizers[half].load_state_dict(getattr(checkpoint, half)["optimizer"])
            self.schedulers[half].load_state_dict(getattr(checkpoint, half)["scheduler"])
        if self.critic is not None:
            self.critic.load_state_dict(checkpoint.signal["critic"])
            self.critic_optimizer.load_state_dict(checkpoint.signal["critic_optimizer"])
        self.epochs_done, self.steps_done = checkpoint.epoch, checkpoint.step
        self.best_valid = checkpoint.training["best_valid"]
        self._step_losses = list(checkpoint.training["step_losses"].to(self.device))
        self.history = self.folder.read_history(checkpoint.epoch)
        if self.workers.writer:
            self.folder.drop_later(checkpoint.epoch)
            if self.history:
                self.folder.write_history(self.history)
            self._drop_later_best(checkpoint)

    def _drop_later_best(self, checkpoint: Checkpoint) -> None:
        """`best` and `last` may be of a later epoch than the one gone on from: then that one takes their place."""
        for tag in (BEST, LAST):
            if self.folder.load(tag).epoch > checkpoint.epoch:
                self.folder.save(tag, checkpoint)


def _copied(state: Any) -> Any:
    """A deep copy with tensors on the CPU; NumPy scalars and other strangers never enter a checkpoint."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [_copied(value) for value in state]
    return state


class _SignalCatcher:
    """Within the block, SIGINT and SIGTERM call `on_signal` instead of ending the process."""

    def __init__(self, on_signal: Callable[[int], None]) -> None:
        self._on_signal, self._before = on_signal, {}

    def __enter__(self) -> None:
        for number in (process_signals.SIGINT, process_signals.SIGTERM):
            self._before[number] = process_signals.signal(number, lambda caught, frame: self._on_signal(caught))

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            process_signals.signal(number, handler)
