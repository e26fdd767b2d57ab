"""The critic: it tells real from decoded spectra, its gradient reaches the decoder, and each
optimiser updates its own parameters only.
"""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_helpers import history_of
from vae_helpers import inputs, model

from lt.audio.features import Scaler
from lt.config import DEFAULT_DATA_SET, RunConfig, SpectralConfig
from lt.models.critic import Critic, critic_batch, critic_loss, decoder_loss
from lt.models.runs import RunSettings
from lt.training.distributed import Workers
from lt.training.step import LossModule, StepInputs, TrainingStep

N_BINS = SpectralConfig().n_bins
CONFIG = RunConfig(
    instruments=("Flute", "Violin"),
    labels=("octave", "pitch"),
    dims=(4,),
    hidden_dims_1=(16,),
    hidden_num_1=(1,),
    hidden_dims_2=(12,),
    hidden_num_2=(1,),
    adversarial=1,
    adv_dim=24,
    adv_num=2,
    adv_lr=1e-2,
)


def training_step(**changes):
    scaler = Scaler("absolute", 20, 80.0, 1.0, 0.0, 1.0)
    config = replace(CONFIG, **changes)
    settings = RunSettings("id", config, SpectralConfig(), scaler, scaler, {}, {}, {}, {}, {})
    return TrainingStep(settings, torch.device("cpu"), Workers())


def batch(loss, seed=0, n=32):
    """Arguments of `LossModule.forward`, and of `TrainingStep.update` but for the fraction."""
    features, classes, *_ = inputs(seed, n)
    noise = loss.sample_noise(n, slice(0, n), torch.Generator().manual_seed(seed))
    return StepInputs(features, features, classes), noise


def updated(step, seed=0):
    """STEP_TERMS of an update."""
    return step.update(*batch(step.loss, seed), 1.0)


def test_it_learns_to_tell_real_from_fake():
    torch.manual_seed(0)
    critic = Critic(8, 32, 2)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-3)

    def draws():
        return torch.randn(64, 8) + 1, torch.randn(64, 8) - 1

    for _ in range(150):
        optimizer.zero_grad()
        critic_loss(critic, *draws()).backward()
        optimizer.step()
    real, fake = draws()
    assert (critic(real) > 0).float().mean() > 0.95 and (critic(fake) < 0).float().mean() > 0.95
    assert decoder_loss(critic, fake) > 1 > decoder_loss(critic, real)


def test_undecided_is_log_two():
    critic = Critic(8, 4, 1)
    torch.nn.init.zeros_(critic.logit.weight)
    torch.nn.init.zeros_(critic.logit.bias)
    x = torch.randn(5, 8)
    assert decoder_loss(critic, x).item() == pytest.approx(0.693147, abs=1e-5)
    assert critic_loss(critic, x, x).item() == pytest.approx(2 * 0.693147, abs=1e-5)


def test_a_steep_logit_on_real_data_is_penalised():
    critic, x = Critic(8, 4, 1), torch.randn(5, 8)
    real_input = x.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(real_input).sum(), real_input)
    without = (
        torch.nn.functional.softplus(-critic(x)).mean()
        + torch.nn.functional.softplus(critic(x)).mean()
    )
    torch.testing.assert_close(
        critic_loss(critic, x, x), without + 0.5 * slope.square().sum(1).mean()
    )


def test_its_gradient_reaches_the_signal_decoder_only():
    gradients = []
    for adversarial in (0, 1):
        torch.manual_seed(1)
        both = model()
        loss = LossModule(both, RunConfig(adversarial=adversarial, transfer_1=1e-9))
        critic = Critic(20, 24, 2) if adversarial else None
        loss(*batch(loss), critic).total.backward()
        gradients.append(
            {
                modality: [p.grad.clone() for p in getattr(both, modality).output.parameters()]
                for modality in ("signal", "symbol")
            }
        )
    without, with_ = gradients
    assert all(not torch.equal(a, b) for a, b in zip(without["signal"][:-2], with_["signal"][:-2]))
    assert all(
        torch.equal(a, b) for a, b in zip(without["symbol"], with_["symbol"])
    )  # it reads spectra


def test_its_input_has_instance_noise_of_the_decoded_scale():
    step = training_step()
    inputs, noise = batch(step.loss)
    features, target, classes = inputs[:3]
    real, fake = step.loss(inputs, noise, step.critic).for_critic
    output = step.model(features, classes, noise.signal, noise.symbol)
    scale, (first, second, third) = output.signal.px.stddev, noise.critic
    assert torch.equal(real, target + scale * first)
    assert torch.equal(
        fake,
        torch.cat(
            [output.signal.px.mean + scale * second, output.signal_from_symbol.mean + scale * third]
        ),
    )


def test_the_decoder_cannot_hide_its_fakes_in_noise():
    """The critic's gradient reaches the decoded mean, not the decoded scale."""
    step = training_step()
    (features, target, classes, *_), noise = batch(step.loss)
    output = step.model(features, classes, noise.signal, noise.symbol)
    real, fake = critic_batch(target, output, noise.critic)
    assert not real.requires_grad
    decoder_loss(step.critic, fake).backward()
    decoder = step.model.signal.output
    assert decoder.mean.weight.grad.abs().sum() > 0 and decoder.scale.weight.grad is None


def own_loss_after(n_steps, blur):
    """Of a critic trained on rough spectra against their means, with noise of scale `blur`."""
    torch.manual_seed(0)
    critic, slope = Critic(200, 64, 2), torch.linspace(-1, 1, 200)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-3)
    for _ in range(n_steps):
        means = torch.randn(2, 64, 1) * slope
        real, fake = torch.stack([means[0] + torch.randn(64, 200), means[1]]) + blur * torch.randn(
            2, 64, 200
        )
        optimizer.zero_grad()
        loss = critic_loss(critic, real, fake)
        loss.backward()
        optimizer.step()
    return loss.item()


def test_a_decoder_of_the_right_mean_and_scale_is_not_found_out_by_its_smoothness():
    chance = 2 * 0.693147
    assert own_loss_after(400, blur=0.0) < 0.25 * chance
    assert own_loss_after(400, blur=1.0) > 0.75 * chance


def test_the_noise_of_the_model_is_the_same_with_and_without_a_critic():
    losses = (training_step(adversarial=adversarial).loss for adversarial in (0, 1))
    without, with_ = (
        loss.sample_noise(8, slice(2, 5), torch.Generator().manual_seed(1)) for loss in losses
    )
    assert not without.critic
    assert [tuple(noise.shape) for noise in with_.critic] == [(3, 20)] * 3
    for modality in ("signal", "symbol"):
        pairs = zip(getattr(without, modality), getattr(with_, modality))
        assert all(torch.equal(a, b) for a, b in pairs)


def parameters_of(module):
    return [p.detach().clone() for p in module.parameters()]


def changed(before, module):
    return any(not torch.equal(a, b) for a, b in zip(before, module.parameters()))


def test_neither_optimiser_touches_the_others_parameters():
    step = training_step()
    owned = {
        name: {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, optimizer in (*step.optimizers.items(), ("critic", step.critic_optimizer))
    }
    for name, module in (
        ("signal", step.model.signal),
        ("symbol", step.model.symbol),
        ("critic", step.critic),
    ):
        assert owned[name] == {id(p) for p in module.parameters()}
    assert not owned["signal"] & owned["symbol"] and not owned["critic"] & (
        owned["signal"] | owned["symbol"]
    )
    before = parameters_of(step.critic)
    step.critic_optimizer.param_groups[0]["lr"] = 0.0
    updated(step)
    assert not changed(before, step.critic)
    before = parameters_of(step.model)
    for optimizer in step.optimizers.values():
        optimizer.param_groups[0]["lr"] = 0.0
    step.critic_optimizer.param_groups[0]["lr"] = 1e-2
    updated(step)
    assert not changed(before, step.model)


def test_an_update_changes_critic_and_model():
    step = training_step()
    critic, both = parameters_of(step.critic), parameters_of(step.model)
    losses = updated(step)
    assert changed(critic, step.critic) and changed(both, step.model)
    assert torch.isfinite(losses).all() and losses[-2] > 0


def test_without_a_critic_its_loss_is_zero():
    step = training_step(adversarial=0)
    assert step.critic is None
    assert updated(step)[-2] == 0 and "critic" not in step.state("signal")


def test_it_learns_against_a_model_that_does_not():
    step = training_step(learning_rate=1e-9)
    own = [float(updated(step)[-2]) for _ in range(60)]
    assert own[-1] < 0.5 * own[0]


# --- a thousand epochs ----------------------------------------------------------------------------

# What the losses are where the critic can only guess. Half of its own loss: it gives the right
# answer a probability of 0.71 (geometric mean); twice the decoder's: a fake passes with one of 1/4.
# Beyond these one side has won.
CHANCE, CHANCE_OWN = math.log(2), 2 * math.log(2)
NATS_A_BIN = 0.05  # a change of five hundredths of the decoded scale, too little to hear


def mean_of(rows, column):
    return sum(row[column] for row in rows) / len(rows)


@pytest.mark.long
def test_it_stays_in_balance_for_a_thousand_epochs(tmp_path, capsys):
    root = Path(__file__).parents[2]
    if not (root / DEFAULT_DATA_SET).exists():
        pytest.skip(f"{DEFAULT_DATA_SET} is not built")
    flags = (
        "--instruments Flute --hidden_dims_1 256 --hidden_dims_2 256 --epochs 1000 "
        "--plot_epochs 1000"
    )
    both = [
        subprocess.Popen(
            [
                sys.executable,
                "lt_train.py",
                "--dbroot",
                DEFAULT_DATA_SET,
                *flags.split(),
                "--adversarial",
                adversarial,
                "--name",
                f"critic{adversarial}",
                "--savedir",
                str(tmp_path),
            ],
            cwd=root,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for adversarial in "01"
    ]
    assert [process.wait() for process in both] == [0, 0]
    without, with_ = (history_of(tmp_path / f"critic{adversarial}__Flute") for adversarial in "01")
    assert all(math.isfinite(value) for row in with_ for value in row.values())
    hundreds = [with_[start : start + 100] for start in range(0, 1000, 100)]
    own = [mean_of(rows, "train_critic_own") for rows in hundreds]
    term = [mean_of(rows, f"{part}_critic") for rows in hundreds for part in ("train", "valid")]
    spoilt = {
        name: (
            min(row[f"valid_{name}"] for row in with_)
            - min(row[f"valid_{name}"] for row in without)
        )
        / N_BINS
        for name in ("signal_nll", "transfer_1")
    }
    last = {
        name: (mean_of(with_[-100:], f"valid_{name}") - mean_of(without[-100:], f"valid_{name}"))
        / N_BINS
        for name in ("signal_nll", "transfer_1")
    }
    with capsys.disabled():
        print(
            "\ncritic's own loss by hundreds of epochs: "
            f"{' '.join(f'{value:.2f}' for value in own)} (guessing: "
            f"{CHANCE_OWN:.2f}); decoder's term, train and valid: "
            f"{' '.join(f'{value:.2f}' for value in term)} "
            f"({CHANCE:.2f}); nats a bin against the run without, least and in the last hundred "
            "epochs: "
            f"{spoilt}, {last}"
        )
    assert all(
        CHANCE_OWN / 2 < value < CHANCE_OWN for value in own
    )  # it tells them apart, and does not win
    assert max(term) < 2 * CHANCE
    assert abs(own[-1] - own[4]) < CHANCE_OWN / 4  # and nothing runs away
    assert max(*spoilt.values(), *last.values()) < NATS_A_BIN
