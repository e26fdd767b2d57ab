"""The loss: each term by its law, each weight on its own term alone."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence
from vae_helpers import FEATURES, inputs, model

from lt.config import RunConfig
from lt.models.losses import (
    TERMS,
    LossTerms,
    Targets,
    divergence,
    loss_terms,
    loss_weights,
    total_loss,
)
from lt.training.step import LossModule, StepInputs, StepNoise


def terms_of(output, features, classes, regularization_type="kld", **others):
    """The terms of a batch whose targets are its own features and classes."""
    targets = Targets(features, classes, features, classes)
    return loss_terms(output, targets, regularization_type, **others)


def normal(mean, scale):
    return Normal(torch.as_tensor(mean), torch.as_tensor(scale))


def test_a_divergence_from_itself_is_zero():
    q = normal(torch.randn(5, 3), torch.rand(5, 3) + 0.1)
    assert (divergence(q, q, "kld") == 0).all() and (divergence(q, q, "l2") == 0).all()


def test_l2_is_the_squared_distance_of_the_means():
    q, p = normal([[1.0, 2.0]], [[0.3, 0.4]]), normal([[4.0, -2.0]], [[2.0, 1.0]])
    assert divergence(q, p, "l2").tolist() == [25.0]
    assert torch.equal(divergence(q, p, "l2"), divergence(p, q, "l2"))


def test_kld_is_that_of_normals_and_not_symmetric():
    q, p = normal([[1.0]], [[1.0]]), normal([[0.0]], [[2.0]])
    # ln(2/1) + (1 + 1) / (2 * 4) - 1/2
    torch.testing.assert_close(divergence(q, p, "kld"), torch.tensor([0.6931472 + 0.25 - 0.5]))
    assert divergence(q, p, "kld") != divergence(p, q, "kld")


@pytest.mark.parametrize("regularization_type", ["kld", "l2"])
def test_the_cross_terms_are_of_the_top_latents(regularization_type):
    dims = (5, 3)
    both = model(dims)
    features, classes, *noise = inputs(dims=dims)
    output = both(features, classes, *noise)
    terms = terms_of(output, features, classes, regularization_type)
    q_signal, q_symbol = output.signal.posterior.qz[1], output.symbol.posterior.qz[1]
    if regularization_type == "l2":
        expected = [(q_signal.mean - q_symbol.mean).square().sum(1).mean()] * 2
    else:
        expected = [
            kl_divergence(q_signal, q_symbol).sum(1).mean(),
            kl_divergence(q_symbol, q_signal).sum(1).mean(),
        ]
    torch.testing.assert_close([terms.cross_1, terms.cross_2], expected)


def test_the_kl_is_a_sum_over_layers():
    dims = (5, 3)
    both = model(dims)
    features, classes, *noise = inputs(dims=dims)
    output = both(features, classes, *noise)
    terms = terms_of(output, features, classes)
    for vae, found in ((output.signal, terms.signal_kl), (output.symbol, terms.symbol_kl)):
        expected = sum(kl_divergence(q, p).sum(1).mean() for q, p in zip(vae.posterior.qz, vae.pz))
        torch.testing.assert_close(found, expected)


def test_likelihoods_are_summed_over_bins_and_groups():
    both = model()
    features, classes, *noise = inputs()
    output = both(features, classes, *noise)
    terms = terms_of(output, features, classes)
    torch.testing.assert_close(terms.signal_nll, -output.signal.px.log_prob(features).sum(1).mean())
    torch.testing.assert_close(
        terms.symbol_nll, -output.symbol.px.log_prob(classes.flatten(1)).sum(1).mean()
    )
    torch.testing.assert_close(
        terms.transfer_2, -output.symbol_from_signal.log_prob(classes.flatten(1)).sum(1).mean()
    )


def test_with_one_subframe_the_loss_is_the_articles():
    """-log p(x|z_1) - log p(y|z_2) + beta KLs to the prior + 10 KL(q_1 || q_2), of one sample."""
    both = model()
    features, classes, *noise = inputs()
    loss = LossModule(both, RunConfig(beta_1=0.7, beta_2=0.3))
    found = loss(StepInputs(features, features, classes), StepNoise(*noise, ())).total
    q_1 = both.signal.encoders[0](features)
    q_2 = both.encode_symbol(classes).top
    z_1, z_2 = q_1.mean + q_1.stddev * noise[0][0], q_2.mean + q_2.stddev * noise[1][0]
    standard = Normal(torch.zeros_like(z_1), torch.ones_like(z_1))
    expected = (
        -both.signal.output(z_1).log_prob(features).sum(1)
        - both.symbol.output(z_2).log_prob(classes.flatten(1)).sum(1)
        + 0.7 * kl_divergence(q_1, standard).sum(1)
        + 0.3 * kl_divergence(q_2, standard).sum(1)
        + 10 * kl_divergence(q_1, q_2).sum(1)
    )
    torch.testing.assert_close(found, expected.mean())


@pytest.mark.parametrize("subframes", [2, 4])
def test_the_likelihood_of_a_frame_is_the_mean_over_its_subframes(subframes):
    both = model(subframes=subframes)
    features, classes, *noise = inputs()
    target = torch.randn(len(features), subframes, FEATURES)
    output = both(features, classes, *noise)
    terms = terms_of(output, target.flatten(1), classes, subframes=subframes)
    for px, found in (
        (output.signal.px, terms.signal_nll),
        (output.signal_from_symbol, terms.transfer_1),
    ):
        means, scales = (t.unflatten(1, (subframes, FEATURES)) for t in (px.mean, px.stddev))
        per_subframe = [
            -Normal(means[:, index], scales[:, index]).log_prob(target[:, index]).sum(1).mean()
            for index in range(subframes)
        ]
        torch.testing.assert_close(found, torch.stack(per_subframe).mean())


def test_combinations_are_for_the_terms_of_the_symbol_vae_alone():
    both = model()
    features, classes, *noise = inputs()
    combinations = inputs(seed=9)[1]
    plain = both(features, classes, *noise)
    output = both(features, classes, *noise, combinations=combinations)
    terms = loss_terms(output, Targets(features, classes, features, combinations), "kld")
    of_batch = terms_of(plain, features, classes)
    of_combinations = terms_of(both(features, combinations, *noise), features, combinations)
    for name in TERMS:
        expected = of_combinations if name in ("symbol_nll", "symbol_kl") else of_batch
        torch.testing.assert_close(getattr(terms, name), getattr(expected, name))
    assert of_batch.symbol_nll != of_combinations.symbol_nll


def test_played_symbols_are_for_the_transfer_to_sound_alone():
    both = model()
    features, classes, *noise = inputs()
    target, played, *_ = inputs(seed=9)
    plain = both(features, classes, *noise)
    output = both(features, classes, *noise, played=played, noise_played=tuple(reversed(noise)))
    terms = loss_terms(output, Targets(features, classes, target, classes), "kld")
    of_batch = terms_of(plain, features, classes)
    expected = -both.symbol_to_signal(played, noise[1]).log_prob(target).sum(1).mean()
    torch.testing.assert_close(terms, of_batch._replace(transfer_1=expected))


FLAGS = {
    "symbol_weight": "symbol_nll",
    "beta_1": "signal_kl",
    "beta_2": "symbol_kl",
    "cross_1": "cross_1",
    "cross_2": "cross_2",
    "transfer_1": "transfer_1",
    "transfer_2": "transfer_2",
}


@given(flag=st.sampled_from(sorted(FLAGS)), weight=st.floats(0, 100))
@settings(max_examples=30, deadline=None)
def test_a_flag_scales_exactly_its_own_term(flag, weight):
    terms = LossTerms(**{name: torch.tensor(float(index + 1)) for index, name in enumerate(TERMS)})
    config = RunConfig()
    before = total_loss(terms, loss_weights(config))
    after = total_loss(terms, loss_weights(replace(config, **{flag: weight})))
    own = getattr(terms, FLAGS[flag])
    assert float(after - before) == pytest.approx(
        float(own * (weight - getattr(config, flag))), abs=1e-3
    )


def test_a_term_of_weight_zero_cannot_spoil_the_sum():
    terms = LossTerms(
        **{name: torch.tensor(float("nan") if name == "cross_2" else 1.0) for name in TERMS}
    )
    assert torch.isfinite(total_loss(terms, loss_weights(RunConfig(cross_2=0.0))))


def test_the_defaults_are_the_articles():
    assert loss_weights(RunConfig()) == LossTerms(1, 1, 1, 1, 10, 0, 0, 0, 0)


def test_a_term_is_named_where_it_is_configured_and_where_it_is_computed():
    root = Path(__file__).parents[2]
    naming = {
        str(path.relative_to(root))
        for path in [*(root / "lt").rglob("*.py"), *root.glob("lt_*.py")]
        if re.search(r"\b(cross_2|transfer_1)\b", path.read_text("utf-8"))
    }
    assert naming == {"lt/config/training.py", "lt/models/losses.py"}


@pytest.mark.parametrize(
    "term, reached",
    [
        ("signal_nll", {"signal"}),
        ("symbol_nll", {"symbol"}),
        ("signal_kl", {"signal"}),
        ("symbol_kl", {"symbol"}),
        ("cross_1", {"signal", "symbol"}),
        ("transfer_1", {"signal", "symbol"}),
    ],
)
def test_a_term_reaches_its_own_networks_by_gradient(term, reached):
    both = model()
    features, classes, *noise = inputs()
    getattr(terms_of(both(features, classes, *noise), features, classes), term).backward()
    with_gradient = {
        modality
        for modality in ("signal", "symbol")
        if any(
            p.grad is not None and p.grad.abs().sum() > 0
            for p in getattr(both, modality).parameters()
        )
    }
    assert with_gradient == reached


def test_the_scale_of_spectra_is_learnt_from_the_signals_alone():
    both = model()
    features, classes, *noise = inputs()
    terms = terms_of(both(features, classes, *noise), features, classes)
    scale = list(both.signal.output.scale.parameters())
    for term, learns in ((terms.transfer_1, False), (terms.signal_nll, True)):
        both.zero_grad()
        term.backward(retain_graph=True)
        assert any(p.grad is not None and bool(p.grad.any()) for p in scale) == learns
