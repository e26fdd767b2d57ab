"""The learner: networks, objectives, optimisers and schedules, and how one batch is learnt from.

The model's two halves and the critic have an optimiser each. Under torchrun a worker is given its
rows of the global batch; what is learnt is what one process would learn from all of them.

The objective as modules: each takes features and gives its loss in one forward pass, which is the
pass that DistributedDataParallel watches. The model's and the critic's are apart, as their
optimisers are.
"""

from __future__ import annotations

import math
import sys
from typing import Any, Iterable

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lt.config import RunConfig
from lt.devices import memory
from lt.models.checkpoints import HALVES, Checkpoint, State
from lt.models.critic import N_DRAWS, Critic, Shown, critic_loss, decoder_loss, show
from lt.models.losses import TERMS, LossTerms, LossWeights, loss_terms
from lt.models.runs import RunSettings, build_model, load_model_state
from lt.models.vae import CrossModalOutput, CrossModalVAE, Noise, draw_noise
from lt.seeds import seed_of
from lt.training.distributed import Workers

LEARNING_RATE_FACTOR = 0.5  # at each plateau
MIN_LEARNING_RATE = 1e-6
BYTES_A_PARAMETER = 16  # in float32 the weight, its gradient and Adam's two moments
SAVED_BYTES_A_PARAMETER = 12  # of these, all but the gradient
CRITIC_BETAS = (0.5, 0.999)  # Adam's, as is usual for critics
STEP_TERMS = (
    *TERMS,
    "critic_own",
    "gradient_norm",
)  # what a step reports; the critic's own loss is not the model's


class Learner:
    """All that changes while a run learns.

    Args:
        settings: of the run. device: of the networks. workers: under torchrun.
    """

    def __init__(self, settings: RunSettings, device: torch.device, workers: Workers) -> None:
        self.config, self.device, self.workers = settings.config, device, workers
        config, n_features = self.config, settings.scaler.n_features
        torch.manual_seed(seed_of(config.seed, "init"))
        self.model = build_model(config, settings.space, settings.scaler, settings.front_end).to(
            device
        )
        self.critic = (
            Critic(n_features, config.adv_dim, config.adv_num).to(device)
            if config.adversarial
            else None
        )
        # fused: one pass over the parameters, some four times as quick on a CPU
        self.optimizers = {
            half: Adam(getattr(self.model, half).parameters(), config.learning_rate, fused=True)
            for half in HALVES
        }
        self.critic_optimizer = (
            Adam(self.critic.parameters(), config.adv_lr, CRITIC_BETAS, fused=True)
            if self.critic
            else None
        )
        self.schedulers = {
            half: ReduceLROnPlateau(
                optimizer,
                factor=LEARNING_RATE_FACTOR,
                patience=config.patience,
                min_lr=MIN_LEARNING_RATE,
            )
            for half, optimizer in self.optimizers.items()
        }
        self.objective = Objective(
            self.model, LossWeights.of(config), config.regularization_type, self.critic
        )
        self._objective = self._parallel(self.objective)
        self._critic_objective = (
            self._parallel(CriticObjective(self.critic)) if self.critic else None
        )

    def _parallel(self, module: nn.Module) -> nn.Module:
        if self.workers.count == 1:
            return module
        # where a weight is 0, the priors between layers are in no term
        return DistributedDataParallel(module, find_unused_parameters=len(self.config.dims) > 1)

    @property
    def learning_rate(self) -> float:
        """The model's, as the schedule has it."""
        return self.optimizers["signal"].param_groups[0]["lr"]

    # --- learning ---------------------------------------------------------------------------------

    def learn(
        self, heard: Tensor, target: Tensor, classes: Tensor, noise: dict[str, Noise], share: float
    ) -> Tensor:
        """A step from this worker's rows, `share` of the global batch.

        Args:
            heard, target: features (batch, features). classes: (batch, instruments, labels).
        Returns:
            STEP_TERMS times the share (terms,): they add up over the workers.
        """
        self._freeze_critic(True)
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"
        ):
            total, terms, real, fake = self._objective(heard, target, classes, noise)
        self._descend(total, share, list(self.optimizers.values()))
        norm = gradient_norm(self.model)
        critic_own = self._teach_critic(real, fake, share)
        return torch.cat(
            [terms * share, (critic_own * share).reshape(1), (norm / self.workers.count).reshape(1)]
        )

    def _teach_critic(self, real: Tensor, fake: Tensor, share: float) -> Tensor:
        if self.critic is None:
            return real.new_zeros(())
        self._freeze_critic(False)
        loss = self._critic_objective(real, fake)
        self._descend(loss, share, [self.critic_optimizer])
        return loss.detach()

    def _descend(self, loss: Tensor, share: float, optimizers: list[Optimizer]) -> None:
        """A step down the gradient. DDP takes the mean over workers: scaled so, it is the mean over
        all rows.
        """
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        (loss * (self.workers.count * share)).backward()
        for optimizer in optimizers:
            optimizer.step()

    def _freeze_critic(self, frozen: bool) -> None:
        """While the decoder learns from its judgement, the critic itself must not."""
        if self.critic is not None:
            self.critic.requires_grad_(not frozen)

    def schedule(self, valid_total: float) -> None:
        """Multiply the learning rate by `--lr_decay`, and halve it where validation has not become
        better for `--patience` epochs. Neither depends on `--epochs`, so a run can be made longer
        at any time.
        """
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] *= self.config.lr_decay
        for scheduler in self.schedulers.values():
            scheduler.step(valid_total)

    # --- state ------------------------------------------------------------------------------------

    def state(self, half: str) -> State:
        """A copy of one half, on its device, where copying is quick; the critic goes with the
        signal.
        """
        state = {
            "model": getattr(self.model, half).state_dict(),
            "optimizer": self.optimizers[half].state_dict(),
            "scheduler": self.schedulers[half].state_dict(),
        }
        if self.critic is not None and half == "signal":
            state |= {
                "critic": self.critic.state_dict(),
                "critic_optimizer": self.critic_optimizer.state_dict(),
            }
        return copied(state)

    def load(self, checkpoint: Checkpoint, before: RunConfig) -> None:
        """Go on from a checkpoint that was trained with the settings `before`; changed ones come
        into force.

        Raises:
            ValueError: the checkpoint does not fit the networks.
        """
        load_model_state(self.model, checkpoint)
        for half in HALVES:
            self.optimizers[half].load_state_dict(getattr(checkpoint, half)["optimizer"])
            self.schedulers[half].load_state_dict(getattr(checkpoint, half)["scheduler"])
            self.schedulers[half].patience = self.config.patience
        if self.config.learning_rate != before.learning_rate:
            _set_learning_rate(self.optimizers.values(), self.config.learning_rate)
        if self.critic is not None:
            self.critic.load_state_dict(checkpoint.signal["critic"])
            self.critic_optimizer.load_state_dict(checkpoint.signal["critic_optimizer"])
            if self.config.adv_lr != before.adv_lr:
                _set_learning_rate([self.critic_optimizer], self.config.adv_lr)

    def forget_best(self) -> None:
        """The losses so far cannot be compared with those to come."""
        for scheduler in self.schedulers.values():
            scheduler.best, scheduler.num_bad_epochs = math.inf, 0


def count_parameters(settings: RunSettings) -> int:
    """Numbers that a run learns, the critic's included, without making its networks."""
    config = settings.config
    with torch.device("meta"):  # shapes alone: nothing is allocated
        networks: list[nn.Module] = [
            build_model(config, settings.space, settings.scaler, settings.front_end)
        ]
        if config.adversarial:
            networks.append(Critic(settings.scaler.n_features, config.adv_dim, config.adv_num))
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


def check_room(n_parameters: int, device: torch.device) -> None:
    """Make sure that a device can hold so many parameters while they learn.

    Raises:
        ValueError: it cannot.
    """
    needed, there = n_parameters * BYTES_A_PARAMETER, memory(device)
    if needed > there:
        raise ValueError(
            f"networks of {n_parameters / 1e6:.0f} million parameters take {needed / 1e9:.0f} GB "
            "to train "
            f"and this device has {there / 1e9:.0f}: try smaller --dims, --hidden_dims_1, "
            "--hidden_num_1, "
            "--hidden_dims_2, --hidden_num_2 (or --adv_dim, --adv_num)"
        )


def gradient_norm(model: nn.Module) -> Tensor:
    """The Euclidean norm of all gradients of a model, a scalar."""
    return (
        torch.stack([p.grad.square().sum() for p in model.parameters() if p.grad is not None])
        .sum()
        .sqrt()
    )


def _set_learning_rate(optimizers: Iterable[Optimizer], learning_rate: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate


def copied(state: Any, device: torch.device | None = None) -> Any:
    """A deep copy (tuples become lists); given a device, tensors are moved there, which copies only
    those elsewhere.

    Equal strings become one object, so that equal states are saved as equal bytes wherever their
    strings came from.
    """
    if isinstance(state, Tensor):
        return state.detach().clone() if device is None else state.to(device)
    if isinstance(state, dict):
        return {copied(key): copied(value, device) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [copied(value, device) for value in state]
    return sys.intern(state) if isinstance(state, str) else state


class Objective(nn.Module):
    """The model and its loss. The critic judges here but is no part: its parameters are not this
    module's.
    """

    def __init__(
        self,
        model: CrossModalVAE,
        weights: LossWeights,
        regularization_type: str,
        critic: Critic | None,
    ) -> None:
        super().__init__()
        self.model, self.weights, self.regularization_type = model, weights, regularization_type
        self._critic = (critic,)  # in a tuple, where nn.Module does not see it

    def draw_noise(self, n_rows: int, rows: slice, chosen: torch.Generator) -> dict[str, Noise]:
        """Standard normal draws for the global batch, and of them these rows: `signal` and `symbol`
        (rows, latent) a layer, and for the critic, where there is one, `critic` (rows, features)
        each.
        """
        (critic,) = self._critic
        widths = {
            "signal": self.model.dims,
            "symbol": self.model.dims,
            "critic": (critic.n_features,) * N_DRAWS if critic else (),
        }
        return {
            what: tuple(z[rows] for z in draw_noise(width, n_rows, chosen))
            for what, width in widths.items()
        }

    def forward(
        self, heard: Tensor, target: Tensor, classes: Tensor, noise: dict[str, Noise]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What is heard and what is to be decoded (batch, features), and classes -> the weighted
        total, the terms (terms,), and what the critic shall learn from: real (batch, features) and
        fake (fakes, features); only the total carries a gradient.
        """
        output = self.model(
            heard, classes, noise["signal"], noise["symbol"], self.weights.need_transfer
        )
        terms, shown = self.judge(output, target, classes, noise)
        return self.weights.total(terms), terms.stack().detach(), shown.real, shown.fake.detach()

    def judge(
        self, output: CrossModalOutput, target: Tensor, classes: Tensor, noise: dict[str, Noise]
    ) -> tuple[LossTerms, Shown]:
        """Every term by name, and what the critic was shown; where there is one, the output must
        hold transfers.
        """
        (critic,) = self._critic
        if critic is None:
            nothing = target.new_zeros((0, target.shape[1]))
            return loss_terms(output, target, classes, self.regularization_type), Shown(
                nothing, nothing
            )
        shown = show(target, output, noise["critic"])
        critic_term = decoder_loss(critic, shown.fake)
        return loss_terms(output, target, classes, self.regularization_type, critic_term), shown


class CriticObjective(nn.Module):
    """The critic and its own loss."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """Real and fake features (batch, features) -> the critic's loss."""
        return critic_loss(self.critic, real, fake)
