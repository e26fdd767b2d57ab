"""One training step: forward pass, loss, backward pass, and a step of every optimiser.

`LossModule` and `CriticLoss` compute a loss in one forward pass, which DistributedDataParallel
needs; they are apart because model and critic have optimisers of their own. `TrainingStep` holds
the networks, optimisers and schedules. Under torchrun a worker gets its rows of the global batch,
and the update is that of one process with all rows.
"""

from __future__ import annotations

import math
import sys
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lt.config import RunConfig
from lt.models.checkpoints import MODALITIES, Checkpoint, State
from lt.models.critic import N_NOISE, Critic, CriticBatch, critic_batch, critic_loss, decoder_loss
from lt.models.losses import (
    TERMS,
    Targets,
    loss_terms,
    loss_weights,
    needs_transfer,
    total_loss,
)
from lt.models.runs import RunSettings, build_model, load_model_state
from lt.models.vae import CrossModalOutput, CrossModalVAE, Noise, sample_noise
from lt.seeds import seed_of
from lt.training.distributed import Workers

LEARNING_RATE_FACTOR = 0.5  # at each plateau
MIN_LEARNING_RATE = 1e-6
CRITIC_BETAS = (0.5, 0.999)  # Adam's, as is usual for critics
# values of a step; "critic_own" is the loss of the critic, "critic" the decoder's adversarial loss
STEP_TERMS = (*TERMS, "critic_own", "gradient_norm")


class StepNoise(NamedTuple):
    """Standard normal noise of a step.

    Attributes:
        signal, symbol: (batch, latent) for each layer, bottom first.
        critic: N_NOISE tensors (batch, features); none without a critic.
    """

    signal: tuple[Tensor, ...]
    symbol: tuple[Tensor, ...]
    critic: tuple[Tensor, ...]


class StepInputs(NamedTuple):
    """What the networks see in a step, and what they are to give.

    Attributes:
        encoder_input: features (batch, features).
        target: features (batch, decoded features).
        classes: (batch, instruments, labels).
        played_classes, played_target: symbols and the features to decode from them; None for those
            of the batch.
        played_noise: standard normal noise (played, latent) for each layer, of the symbols' and the
            signal's VAE.
        played_weight: of the mean over these symbols: their fraction of the global batch's,
            relative to the fraction of the global batch that the rows are.
        combinations: (batch, instruments, labels) for the symbol VAE's own terms; None for those of
            the batch.
    """

    encoder_input: Tensor
    target: Tensor
    classes: Tensor
    played_classes: Tensor | None = None
    played_target: Tensor | None = None
    played_noise: tuple[Noise, Noise] = (None, None)
    played_weight: float = 1.0
    combinations: Tensor | None = None

    @property
    def targets(self) -> Targets:
        """Of the decoders."""
        played = self.target if self.played_target is None else self.played_target
        combinations = self.classes if self.combinations is None else self.combinations
        return Targets(self.target, self.classes, played, combinations, self.played_weight)


class Losses(NamedTuple):
    """Result of `LossModule`; only the total carries a gradient.

    Attributes:
        total: the weighted sum of the terms, a scalar.
        terms: (terms,) in the order of TERMS.
        for_critic: input of the critic's own loss; empty without a critic.
    """

    total: Tensor
    terms: Tensor
    for_critic: CriticBatch


class LossModule(nn.Module):
    """The model and its loss.

    The critic is an argument of `forward`, not a submodule: its parameters belong to another
    optimiser.
    """

    def __init__(self, model: CrossModalVAE, config: RunConfig, subframes: int = 1) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.subframes = subframes
        self.weights = loss_weights(config)
        group_weights = [
            config.age_weight if label == "age" else 1.0 for label in model.space.labels
        ] * len(model.space.instruments)
        self.register_buffer("group_weights", torch.tensor(group_weights), persistent=False)

    def sample_noise(self, n_rows: int, rows: slice, rng: torch.Generator) -> StepNoise:
        """Noise for the global batch of `n_rows`, of which `rows` are returned."""
        n_critic = N_NOISE if self.config.adversarial else 0
        widths = StepNoise(self.model.dims, self.model.dims, (self.model.n_decoded,) * n_critic)
        return StepNoise(
            *(tuple(noise[rows] for noise in sample_noise(width, n_rows, rng)) for width in widths)
        )

    def forward(self, inputs: StepInputs, noise: StepNoise, critic: Critic | None = None) -> Losses:
        """The loss of a batch.

        Args:
            inputs: of these rows.
            noise: of these rows.
            critic: with frozen parameters, where there is one.
        """
        output = self.model(
            inputs.encoder_input,
            inputs.classes,
            noise.signal,
            noise.symbol,
            needs_transfer(self.weights),
            inputs.played_classes,
            inputs.played_noise,
            inputs.combinations,
        )
        return self.losses(output, inputs.targets, noise, critic)

    def losses(
        self,
        output: CrossModalOutput,
        targets: Targets,
        noise: StepNoise,
        critic: Critic | None = None,
    ) -> Losses:
        """The loss of a batch from the output of the model; a critic needs transfers in it."""
        none = targets.signal.new_zeros((0, targets.signal.shape[1]))
        for_critic = (
            critic_batch(targets.signal, output, noise.critic)
            if critic
            else CriticBatch(none, none)
        )
        adversarial = decoder_loss(critic, for_critic.fake) if critic else None
        targets = targets._replace(
            keys=self.model.sounding_keys(targets.classes),
            combined_keys=self.model.sounding_keys(targets.combinations),
        )
        divergence = self.config.regularization_type
        terms = loss_terms(
            output,
            targets,
            divergence,
            self.subframes,
            self.group_weights,
            self.config.key_weight,
            adversarial,
        )
        return Losses(
            total_loss(terms, self.weights),
            torch.stack(terms).detach(),
            CriticBatch(for_critic.real, for_critic.fake.detach()),
        )


class CriticLoss(nn.Module):
    """The critic and its own loss."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """Real (batch, features) and fake (fakes, features) -> the critic's loss."""
        return critic_loss(self.critic, real, fake)


class TrainingStep:
    """Networks, optimisers and schedules of a run.

    Args:
        settings: of the run.
        device: of the networks.
        workers: under torchrun.
    """

    def __init__(self, settings: RunSettings, device: torch.device, workers: Workers) -> None:
        self.config = config = settings.config
        self.device = device
        self.workers = workers
        torch.manual_seed(seed_of(config.seed, "init"))
        self.model, self.critic = build_networks(settings)
        self.model.to(device)
        # fused: one pass over the parameters, about four times as fast on a CPU
        self.optimizers = {
            modality: Adam(
                getattr(self.model, modality).parameters(), config.learning_rate, fused=True
            )
            for modality in MODALITIES
        }
        self.schedulers = {
            modality: ReduceLROnPlateau(
                optimizer,
                factor=LEARNING_RATE_FACTOR,
                patience=config.patience,
                min_lr=MIN_LEARNING_RATE,
            )
            for modality, optimizer in self.optimizers.items()
        }
        self.loss = LossModule(self.model, config, settings.subframes).to(device)
        self._parallel_loss = self._parallel(self.loss)
        if self.critic is not None:
            self.critic.to(device)
            self.critic_optimizer = Adam(
                self.critic.parameters(), config.adv_lr, CRITIC_BETAS, fused=True
            )
            self._parallel_critic_loss = self._parallel(CriticLoss(self.critic))

    def _parallel(self, module: nn.Module) -> nn.Module:
        if self.workers.count == 1:
            return module
        # where beta is 0, the priors between layers are in no term
        return DistributedDataParallel(module, find_unused_parameters=len(self.config.dims) > 1)

    @property
    def learning_rate(self) -> float:
        """The present learning rate of the model."""
        return self.optimizers["signal"].param_groups[0]["lr"]

    # --- the step ---------------------------------------------------------------------------------

    def update(self, inputs: StepInputs, noise: StepNoise, fraction: float) -> Tensor:
        """Update all networks from this worker's rows of a batch.

        Args:
            inputs: of these rows.
            noise: of these rows.
            fraction: of the global batch that these rows are.
        Returns:
            STEP_TERMS times the fraction, (terms,): their sum over the workers is the mean over the
            global batch.
        """
        if self.critic is not None:  # only the decoder is updated by the adversarial loss
            self.critic.requires_grad_(False)
        bf16 = self.config.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            losses = self._parallel_loss(inputs, noise, self.critic)
        self._descend(losses.total, fraction, *self.optimizers.values())
        norm = gradient_norm(self.model) / self.workers.count
        critic_own = inputs.target.new_zeros(())
        if self.critic is not None:
            self.critic.requires_grad_(True)
            critic_loss = self._parallel_critic_loss(*losses.for_critic)
            self._descend(critic_loss, fraction, self.critic_optimizer)
            critic_own = critic_loss.detach()
        return torch.cat([losses.terms * fraction, torch.stack([critic_own * fraction, norm])])

    def _descend(self, loss: Tensor, fraction: float, *optimizers: Optimizer) -> None:
        """Step down the gradient of the mean over all rows (DDP takes the mean over workers)."""
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        (loss * (self.workers.count * fraction)).backward()
        for optimizer in optimizers:
            optimizer.step()

    def end_epoch(self, valid_total: float) -> None:
        """Multiply the learning rate by `--lr_decay`; halve it after `--patience` epochs without a
        lower validation loss. Neither depends on `--epochs`, so a run can be made longer later.
        """
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] *= self.config.lr_decay
        for scheduler in self.schedulers.values():
            scheduler.step(valid_total)

    # --- state ------------------------------------------------------------------------------------

    def state(self, modality: str) -> State:
        """A copy of the state of one modality, on its device; the critic's is with the signal."""
        state = {
            "model": getattr(self.model, modality).state_dict(),
            "optimizer": self.optimizers[modality].state_dict(),
            "scheduler": self.schedulers[modality].state_dict(),
        }
        if self.critic is not None and modality == "signal":
            state["critic"] = self.critic.state_dict()
            state["critic_optimizer"] = self.critic_optimizer.state_dict()
        return copy_state(state)

    def load(self, checkpoint: Checkpoint, previous: RunConfig) -> None:
        """Continue from a checkpoint; settings that differ from the `previous` ones take effect.

        Raises:
            ValueError: the checkpoint does not fit the networks.
        """
        load_model_state(self.model, checkpoint)
        for modality in MODALITIES:
            state = getattr(checkpoint, modality)
            _load_optimizer(
                self.optimizers[modality],
                state["optimizer"],
                self.config.learning_rate,
                previous.learning_rate,
            )
            self.schedulers[modality].load_state_dict(state["scheduler"])
            self.schedulers[modality].patience = self.config.patience
        if self.critic is not None:
            self.critic.load_state_dict(checkpoint.signal["critic"])
            state = checkpoint.signal["critic_optimizer"]
            _load_optimizer(self.critic_optimizer, state, self.config.adv_lr, previous.adv_lr)

    def forget_best(self) -> None:
        """Forget the best validation loss: earlier ones are not comparable with those to come."""
        for scheduler in self.schedulers.values():
            scheduler.best = math.inf
            scheduler.num_bad_epochs = 0


def build_networks(settings: RunSettings) -> tuple[CrossModalVAE, Critic | None]:
    """The model of a run and, with `--adversarial 1`, its critic, freshly initialised."""
    config = settings.config
    model = build_model(settings)
    if not config.adversarial:
        return model, None
    return model, Critic(model.n_decoded, config.adv_dim, config.adv_num)


def count_parameters(settings: RunSettings) -> int:
    """Number of parameters of a run, the critic's included, without allocating them."""
    with torch.device("meta"):
        networks = build_networks(settings)
    return sum(
        parameter.numel() for network in networks if network for parameter in network.parameters()
    )


def gradient_norm(model: nn.Module) -> Tensor:
    """The Euclidean norm of all gradients of a model, a scalar."""
    gradients = (p.grad for p in model.parameters() if p.grad is not None)
    # without copies of the squares: a tenth of a step at the default widths
    return torch.stack([torch.linalg.vector_norm(own) for own in gradients]).norm()


def _load_optimizer(optimizer: Optimizer, state: State, rate: float, previous: float) -> None:
    """Load the state of an optimiser; its learning rate is replaced where the setting changed."""
    optimizer.load_state_dict(state)
    for group in optimizer.param_groups if rate != previous else ():
        group["lr"] = rate


def copy_state(state: Any, device: torch.device | None = None) -> Any:
    """A deep copy (tuples become lists); with a device, tensors are moved there instead of copied.

    Equal strings become one object, so that equal states are saved as equal bytes.
    """
    if isinstance(state, Tensor):
        return state.detach().clone() if device is None else state.to(device)
    if isinstance(state, dict):
        return {copy_state(key): copy_state(value, device) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [copy_state(value, device) for value in state]
    return sys.intern(state) if isinstance(state, str) else state
