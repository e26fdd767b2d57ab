"""The critic: it learns to tell real from decoded, its judgement reaches the decoder, and nobody's steps mix."""
from dataclasses import replace

import pytest
import torch
from test_vae import inputs, model

from lt.config import RunConfig, SpectralConfig
from lt.critic import Critic, critic_loss, decoder_loss
from lt.learner import Learner
from lt.losses import LossWeights
from lt.objective import Objective
from lt.runs import RunSettings
from lt.spectra import Scaler
from lt.vae import draw_noise
from lt.workers import Workers

CONFIG = RunConfig(instruments=("Flute", "Violin"), labels=("octave", "pitch"), dims=(4,), hidden_dims_1=(16,),
                   hidden_num_1=(1,), hidden_dims_2=(12,), hidden_num_2=(1,), adversarial=1, adv_dim=24, adv_num=2,
                   adv_lr=1e-2)


def learner(**changes):
    scaler = Scaler("absolute", 20, 80.0, 1.0, 0.0, 1.0)
    settings = RunSettings("id", replace(CONFIG, **changes), SpectralConfig(), scaler, {}, {}, {})
    return Learner(settings, torch.device("cpu"), Workers())


def batch(seed=0, n=32):
    features, classes, *_ = inputs(seed, n)
    chosen = torch.Generator().manual_seed(seed)
    return features, features, classes, {half: draw_noise((4,), n, chosen) for half in ("signal", "symbol")}, 1.0


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
    slope, = torch.autograd.grad(critic(judged_real).sum(), judged_real)
    without = torch.nn.functional.softplus(-critic(x)).mean() + torch.nn.functional.softplus(critic(x)).mean()
    torch.testing.assert_close(critic_loss(critic, x, x), without + 0.5 * slope.square().sum(1).mean())


def test_its_judgement_reaches_the_signal_decoder_and_changes_its_gradient():
    gradients = []
    for weight in (0.0, 1.0):
        torch.manual_seed(1)
        both = model()
        objective = Objective(both, LossWeights(critic=weight, transfer_1=1e-9), "kld", Critic(20, 24, 2))
        features, _, classes, noise, _ = batch()
        objective(features, features, classes, noise)[0].backward()
        gradients.append({half: [p.grad.clone() for p in getattr(both, half).output.parameters()]
                          for half in ("signal", "symbol")})
    without, with_ = gradients
    assert all(not torch.equal(a, b) for a, b in zip(without["signal"][:-2], with_["signal"][:-2]))
    assert all(torch.equal(a, b) for a, b in zip(without["symbol"], with_["symbol"]))  # it judges spectra


def test_reconstructed_and_transferred_spectra_are_both_judged():
    one = learner()
    features, target, classes, noise, _ = batch(n=32)
    _, _, fake = one.objective(features, target, classes, noise)
    output = one.model(features, classes, noise["signal"], noise["symbol"])
    assert torch.equal(fake, torch.cat([output.signal.px.mean, output.signal_from_symbol.mean]))


def parameters_of(module):
    return [p.detach().clone() for p in module.parameters()]


def changed(before, module):
    return any(not torch.equal(a, b) for a, b in zip(before, module.parameters()))


def test_neither_optimiser_touches_the_others_parameters():
    one = learner()
    owned = {name: {id(p) for group in optimizer.param_groups for p in group["params"]}
             for name, optimizer in (*one.optimizers.items(), ("critic", one.critic_optimizer))}
    for name, module in (("signal", one.model.signal), ("symbol", one.model.symbol), ("critic", one.critic)):
        assert owned[name] == {id(p) for p in module.parameters()}
    assert not owned["signal"] & owned["symbol"] and not owned["critic"] & (owned["signal"] | owned["symbol"])
    before = parameters_of(one.critic)
    one.critic_optimizer.param_groups[0]["lr"] = 0.0
    one.learn(*batch())
    assert not changed(before, one.critic)
    before = parameters_of(one.model)
    for optimizer in one.optimizers.values():
        optimizer.param_groups[0]["lr"] = 0.0
    one.critic_optimizer.param_groups[0]["lr"] = 1e-2
    one.learn(*batch())
    assert not changed(before, one.model)


def test_each_learns_in_a_step_and_the_critic_only_from_its_own_loss():
    one = learner()
    critic, both = parameters_of(one.critic), parameters_of(one.model)
    losses = one.learn(*batch())
    assert changed(critic, one.critic) and changed(both, one.model)
    assert torch.isfinite(losses).all() and losses[-2] > 0


def test_without_one_there_is_none():
    one = learner(adversarial=0)
    assert one.critic is None and one.critic_optimizer is None
    assert one.learn(*batch())[-2] == 0 and "critic" not in one.state("signal")


def test_it_learns_what_the_model_does_not_know_yet():
    one = learner(learning_rate=1e-9)
    own = [float(one.learn(*batch())[-2]) for _ in range(60)]
    assert own[-1] < 0.5 * own[0]
