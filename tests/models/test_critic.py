"""The critic: it learns to tell real from decoded, its judgement reaches the decoder, and nobody's
steps mix.
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
from lt.models.critic import Critic, critic_loss, decoder_loss, show
from lt.models.losses import LossWeights
from lt.models.runs import RunSettings
from lt.training.distributed import Workers
from lt.training.step import Learner, Objective

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


def learner(**changes):
    scaler = Scaler("absolute", 20, 80.0, 1.0, 0.0, 1.0)
    settings = RunSettings("id", replace(CONFIG, **changes), SpectralConfig(), scaler, {}, {}, {})
    return Learner(settings, torch.device("cpu"), Workers())


def batch(objective, seed=0, n=32):
    """What `Learner.learn` takes but for the share, and `Objective.forward` takes."""
    features, classes, *_ = inputs(seed, n)
    noise = objective.draw_noise(n, slice(0, n), torch.Generator().manual_seed(seed))
    return features, features, classes, noise


def taught(one, seed=0):
    """A step of a learner; what it reports."""
    return one.learn(*batch(one.objective, seed), 1.0)


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


def test_a_steep_judgement_of_real_data_is_penalised():
    critic, x = Critic(8, 4, 1), torch.randn(5, 8)
    judged_real = x.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(judged_real).sum(), judged_real)
    without = (
        torch.nn.functional.softplus(-critic(x)).mean()
        + torch.nn.functional.softplus(critic(x)).mean()
    )
    torch.testing.assert_close(
        critic_loss(critic, x, x), without + 0.5 * slope.square().sum(1).mean()
    )


def test_its_judgement_reaches_the_signal_decoder_and_changes_its_gradient():
    gradients = []
    for weight in (0.0, 1.0):
        torch.manual_seed(1)
        both = model()
        objective = Objective(
            both, LossWeights(critic=weight, transfer_1=1e-9), "kld", Critic(20, 24, 2)
        )
        objective(*batch(objective))[0].backward()
        gradients.append(
            {
                half: [p.grad.clone() for p in getattr(both, half).output.parameters()]
                for half in ("signal", "symbol")
            }
        )
    without, with_ = gradients
    assert all(not torch.equal(a, b) for a, b in zip(without["signal"][:-2], with_["signal"][:-2]))
    assert all(
        torch.equal(a, b) for a, b in zip(without["symbol"], with_["symbol"])
    )  # it judges spectra


def test_reconstructed_and_transferred_spectra_are_both_judged_under_the_decoders_own_blur():
    one = learner()
    features, target, classes, noise = batch(one.objective)
    _, _, real, fake = one.objective(features, target, classes, noise)
    output = one.model(features, classes, noise["signal"], noise["symbol"])
    scale, (first, second, third) = output.signal.px.stddev, noise["critic"]
    assert torch.equal(real, target + scale * first)
    assert torch.equal(
        fake,
        torch.cat(
            [output.signal.px.mean + scale * second, output.signal_from_symbol.mean + scale * third]
        ),
    )


def test_the_decoder_cannot_hide_its_fakes_in_noise():
    """The critic's judgement moves what is decoded, not how uncertain the decoder says to be."""
    one = learner()
    features, target, classes, noise = batch(one.objective)
    shown = show(
        target, one.model(features, classes, noise["signal"], noise["symbol"]), noise["critic"]
    )
    assert not shown.real.requires_grad
    decoder_loss(one.critic, shown.fake).backward()
    decoder = one.model.signal.output
    assert decoder.mean.weight.grad.abs().sum() > 0 and decoder.scale.weight.grad is None


def own_loss_after(n_steps, blur):
    """Of a critic that is shown rough spectra and the means they scatter about, both blurred by so
    much.
    """
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


def test_with_a_critic_the_models_own_draws_are_those_without():
    alone, judged = (learner(adversarial=adversarial).objective for adversarial in (0, 1))
    without, with_ = (
        objective.draw_noise(8, slice(2, 5), torch.Generator().manual_seed(1))
        for objective in (alone, judged)
    )
    assert (
        not without["critic"] and [tuple(draw.shape) for draw in with_["critic"]] == [(3, 20)] * 3
    )
    for half in ("signal", "symbol"):
        assert all(torch.equal(a, b) for a, b in zip(without[half], with_[half]))


def parameters_of(module):
    return [p.detach().clone() for p in module.parameters()]


def changed(before, module):
    return any(not torch.equal(a, b) for a, b in zip(before, module.parameters()))


def test_neither_optimiser_touches_the_others_parameters():
    one = learner()
    owned = {
        name: {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, optimizer in (*one.optimizers.items(), ("critic", one.critic_optimizer))
    }
    for name, module in (
        ("signal", one.model.signal),
        ("symbol", one.model.symbol),
        ("critic", one.critic),
    ):
        assert owned[name] == {id(p) for p in module.parameters()}
    assert not owned["signal"] & owned["symbol"] and not owned["critic"] & (
        owned["signal"] | owned["symbol"]
    )
    before = parameters_of(one.critic)
    one.critic_optimizer.param_groups[0]["lr"] = 0.0
    taught(one)
    assert not changed(before, one.critic)
    before = parameters_of(one.model)
    for optimizer in one.optimizers.values():
        optimizer.param_groups[0]["lr"] = 0.0
    one.critic_optimizer.param_groups[0]["lr"] = 1e-2
    taught(one)
    assert not changed(before, one.model)


def test_each_learns_in_a_step_and_the_critic_only_from_its_own_loss():
    one = learner()
    critic, both = parameters_of(one.critic), parameters_of(one.model)
    losses = taught(one)
    assert changed(critic, one.critic) and changed(both, one.model)
    assert torch.isfinite(losses).all() and losses[-2] > 0


def test_without_one_there_is_none():
    one = learner(adversarial=0)
    assert one.critic is None and one.critic_optimizer is None
    assert taught(one)[-2] == 0 and "critic" not in one.state("signal")


def test_it_learns_what_the_model_does_not_know_yet():
    one = learner(learning_rate=1e-9)
    own = [float(taught(one)[-2]) for _ in range(60)]
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
