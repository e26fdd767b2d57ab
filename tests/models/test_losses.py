"""The loss: each term by its law, each weight on its own term alone."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence
from vae_helpers import inputs, model

from lt.config import RunConfig
from lt.models.losses import (
    TERMS,
    LossTerms,
    divergence,
    loss_terms,
    loss_weights,
    total_loss,
)


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
    terms = loss_terms(output, features, classes, regularization_type)
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
    terms = loss_terms(output, features, classes, "kld")
    for vae, found in ((output.signal, terms.signal_kl), (output.symbol, terms.symbol_kl)):
        expected = sum(kl_divergence(q, p).sum(1).mean() for q, p in zip(vae.posterior.qz, vae.pz))
        torch.testing.assert_close(found, expected)


def test_likelihoods_are_summed_over_bins_and_groups():
    both = model()
    features, classes, *noise = inputs()
    output = both(features, classes, *noise)
    terms = loss_terms(output, features, classes, "kld")
    torch.testing.assert_close(terms.signal_nll, -output.signal.px.log_prob(features).sum(1).mean())
    torch.testing.assert_close(
        terms.symbol_nll, -output.symbol.px.log_prob(classes.flatten(1)).sum(1).mean()
    )
    torch.testing.assert_close(
        terms.transfer_2, -output.symbol_from_signal.log_prob(classes.flatten(1)).sum(1).mean()
    )


FLAGS = {
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
    getattr(loss_terms(both(features, classes, *noise), features, classes, "kld"), term).backward()
    with_gradient = {
        modality
        for modality in ("signal", "symbol")
        if any(
            p.grad is not None and p.grad.abs().sum() > 0
            for p in getattr(both, modality).parameters()
        )
    }
    assert with_gradient == reached
