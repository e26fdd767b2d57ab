"""The two VAEs and their networks: shapes, one frame at a time, layers that hang together,
transfers.
"""

import pytest
import torch
from torch.distributions import kl_divergence
from vae_helpers import BATCH, FEATURES, SPACE, inputs, model

from lt.labels import FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER, LabelSpace
from lt.models.losses import prior_kl
from lt.models.networks import (
    N_SALIENCE,
    RELATED,
    BinarySymbols,
    CategoricalSymbols,
    HarmonicFront,
    HarmonicOutput,
    NormalNetwork,
    SymbolNetwork,
    mlp,
    one_hot,
)
from lt.models.vae import CrossModalVAE, VAESize, sample_noise

# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("label_type", ["categorical", "binary"])
def test_no_frame_depends_on_the_others_of_its_batch(label_type):
    both, dims = model((4, 3), label_type), (4, 3)
    features, classes, *noise = inputs(dims=dims)
    together = both(features, classes, *noise)
    for row in range(BATCH):
        part = slice(row, row + 1)
        alone = both(features[part], classes[part], *([z[part] for z in one] for one in noise))
        for half in ("signal", "symbol"):
            torch.testing.assert_close(
                getattr(alone, half).posterior.top.mean,
                getattr(together, half).posterior.top.mean[part],
            )
        torch.testing.assert_close(
            alone.signal_from_symbol.mean, together.signal_from_symbol.mean[part]
        )


def test_hidden_layers_are_counted_and_wide_as_asked():
    linear = [m for m in NormalNetwork(5, 11, 3, 2).modules() if isinstance(m, torch.nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [
        (5, 11),
        (11, 11),
        (11, 11),
        (11, 2),
        (11, 2),
    ]


def test_a_scale_never_vanishes():
    network = NormalNetwork(3, 4, 1, 2)
    torch.nn.init.constant_(network.scale.bias, -100.0)
    assert (network(torch.randn(9, 3)).stddev >= 0.05).all()


def test_a_harmonic_front_judges_all_semitones_alike():
    """A sound moved up by a semitone is judged as before, a semitone higher; what was seen stays
    beside it.
    """
    front, step, n_bins = HarmonicFront(411, 410, 48, 30.0), 4, 410
    x = torch.rand(3, 411, generator=torch.Generator().manual_seed(0))
    x[:, :160] = x[:, 240:410] = 0.0  # away from the edges
    moved = torch.cat([x[:, :n_bins].roll(step, dims=1), x[:, n_bins:]], dim=1)
    before, after = front(x), front(moved)
    assert before.shape == (3, front.n_out)
    torch.testing.assert_close(before[:, :411], x)
    judged, judged_moved = (
        both[:, 411:].unflatten(1, (-1, N_SALIENCE)) for both in (before, after)
    )
    torch.testing.assert_close(judged_moved[:, 1:], judged[:, :-1])
    assert float(judged.detach().std(dim=1).min()) > 0


def test_a_harmonic_front_weighs_fundamentals_against_each_other():
    """What speaks for a note changes what is thought of those that share its partials, and of no
    others.
    """
    front, a_bin = HarmonicFront(411, 410, 48, 30.0), 238
    x = torch.zeros(2, 411)
    x[1, a_bin] = 1.0
    before, after = front(x)[:, 411:].unflatten(1, (-1, N_SALIENCE))
    changed = set((before != after).any(dim=1).nonzero()[:, 0].tolist())
    seeing = {semitone for semitone, bins in enumerate(front.at[:-1].tolist()) if a_bin in bins}
    assert seeing < changed
    assert changed == {
        semitone
        for semitone in range(len(before))
        if seeing & {semitone + step for step in RELATED}
    }


def test_an_untrained_encoder_of_chords_decodes_a_key_from_its_own_semitone():
    """From the first step on, what is learnt about one key holds for all."""
    torch.manual_seed(0)
    space = LabelSpace.of_voices(("octave", "pitch"), ("Piano",), (3,))
    front, size = HarmonicFront(411, 410, 48, 30.0), VAESize((128,), (8,), (1,))
    model = CrossModalVAE(411, space, "categorical", size, size, front=front)
    saliences = model.signal.encoders[0].direct.weight.unflatten(1, (-1, N_SALIENCE))
    keys = model.symbol.output.keys.weight[:, -128:]
    through = (keys @ saliences[:, :, 0]).detach()  # (keys, candidates)
    own = through.argmax(dim=1)[front.first_key : front.first_key + front.n_candidates]
    torch.testing.assert_close(own, torch.arange(len(own)))


def harmonic_output(n_instruments=1):
    torch.manual_seed(0)
    return HarmonicOutput(
        5,
        8,
        1,
        n_instruments,
        n_subframes=2,
        n_bins=60,
        bins_per_semitone=4,
        nats=1.5,
        shared_scale=True,
    )


def test_a_harmonic_decoder_moves_its_spectrum_with_the_note():
    output, x = harmonic_output(), torch.randn(3, 5)
    low, high = (output(x, torch.full((3, 1, 1), note)).mean.view(3, 2, 60) for note in (60, 63))
    torch.testing.assert_close(high[..., 12:], low[..., :-12])
    for note in (FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER):
        assert torch.isfinite(output(x, torch.full((3, 1, 1), note)).mean).all()


def test_powers_of_a_harmonic_decoders_notes_add():
    """exp(nats * feature) is a power; candidates count by their weights."""
    output, x = harmonic_output(), torch.randn(3, 5)
    notes = torch.tensor([[[60, 67]]]).expand(3, -1, -1)
    weights = torch.tensor([[[0.25, 0.75]]]).expand(3, -1, -1)
    both = output(x, notes, weights).mean
    each = [output(x, notes[..., index : index + 1]).mean for index in range(2)]
    expected = 0.25 * (1.5 * each[0]).exp() + 0.75 * (1.5 * each[1]).exp()
    torch.testing.assert_close((1.5 * both).exp(), expected)
    only = output(x, notes, torch.tensor([[[1.0, 0.0]]]).expand(3, -1, -1)).mean
    torch.testing.assert_close(only, each[0])


@pytest.mark.parametrize("distribution", [CategoricalSymbols, BinarySymbols])
def test_probabilities_add_up_to_one(distribution):
    symbols = distribution((torch.randn(6, 9), torch.randn(6, 12)))
    for rows in symbols.probabilities():
        torch.testing.assert_close(rows.sum(dim=1), torch.ones(6))


def test_categorical_log_prob_is_the_log_of_the_class_probability():
    symbols, classes = CategoricalSymbols((torch.randn(6, 9),)), torch.randint(0, 9, (6, 1))
    picked = symbols.probabilities()[0].gather(1, classes)
    torch.testing.assert_close(symbols.log_prob(classes), picked.log())


def test_binary_log_prob_is_a_bernoulli_for_each_entry_of_the_one_hot_vector():
    logits, classes = torch.randn(6, 9), torch.randint(0, 9, (6, 1))
    entries = torch.distributions.Bernoulli(logits=logits).log_prob(one_hot(classes, (9,)))
    torch.testing.assert_close(BinarySymbols((logits,)).log_prob(classes)[:, 0], entries.sum(dim=1))


def test_binary_probabilities_are_those_of_exactly_one_entry():
    probability = torch.rand(1, 3) * 0.8 + 0.1
    alone = torch.stack(
        [
            torch.where(torch.eye(3)[k] > 0, probability[0], 1 - probability[0]).prod()
            for k in range(3)
        ]
    )
    (found,) = BinarySymbols((probability.logit(),)).probabilities()
    torch.testing.assert_close(found[0], alone / alone.sum())


def test_one_hot_vectors_stand_side_by_side():
    vector = one_hot(torch.tensor([[1, 0]]), (3, 2))
    assert vector.tolist() == [[0, 1, 0, 1, 0]]


def test_a_symbol_network_has_a_group_a_label_of_an_instrument():
    symbols = SymbolNetwork(4, 8, 1, SPACE.group_sizes, "categorical")(torch.randn(5, 4))
    assert [logits.shape for logits in symbols.logits] == [(5, 10), (5, 13), (5, 10), (5, 13)]


# --- the VAEs -------------------------------------------------------------------------------------


def test_layers_of_a_hierarchy():
    dims = (6, 4, 2)
    both = model(dims)
    features, classes, *noise = inputs(dims=dims)
    output = both(features, classes, *noise)
    for half in (output.signal, output.symbol):
        assert [q.mean.shape[1] for q in half.posterior.qz] == [*dims]
        assert [p.mean.shape[1] for p in half.pz] == [*dims]
    assert len(both.signal.priors) == 2 and len(model((6,)).signal.priors) == 0


def test_lower_priors_hang_on_the_draw_above_and_the_top_one_is_standard():
    dims = (6, 2)
    both = model(dims)
    features, classes, *noise = inputs(dims=dims)
    output = both(features, classes, *noise).signal
    below, top = output.pz
    torch.testing.assert_close(below.mean, both.signal.priors[0](output.posterior.z[1]).mean)
    assert (top.mean == 0).all() and (top.stddev == 1).all()
    assert below.mean.std(dim=0).min() > 0  # other draws above, other priors below


@torch.no_grad()
def test_a_hierarchical_elbo_is_below_the_evidence():
    """Monte Carlo over many draws: E[log p(x|z1) + log p(z1|z2) + log p(z2) - log q] is -nll - sum
    of KLs.
    """
    torch.manual_seed(0)
    dims, n = (2, 1), 20_000
    vae = model(dims).signal
    x = torch.randn(1, FEATURES).expand(n, -1)
    output = vae(x, sample_noise(dims, n, torch.Generator().manual_seed(3)))
    analytic = output.px.log_prob(x).sum(1) - sum(kl.sum(1) for kl in prior_kl(output))
    densities = [
        p.log_prob(z).sum(1) - q.log_prob(z).sum(1)
        for p, q, z in zip(output.pz, output.posterior.qz, output.posterior.z)
    ]
    sampled = output.px.log_prob(x).sum(1) + sum(densities)
    assert abs(float(analytic.mean() - sampled.mean())) < 4 * float(sampled.std()) / n**0.5
    evidence = sampled.logsumexp(0) - torch.tensor(float(n)).log()
    assert analytic.mean() < evidence


def test_without_noise_means_are_used():
    both = model()
    features, classes, *_ = inputs()
    output = both(features, classes)
    assert torch.equal(output.signal.posterior.z[0], output.signal.posterior.top.mean)
    assert torch.equal(both(features, classes).signal.px.mean, output.signal.px.mean)


def test_transfers_go_through_the_other_latent():
    both = model((4, 3))
    features, classes, *_ = inputs()
    output = both(features, classes)
    torch.testing.assert_close(output.signal_from_symbol.mean, both.symbol_to_signal(classes).mean)
    for one, other in zip(output.symbol_from_signal.logits, both.signal_to_symbol(features).logits):
        torch.testing.assert_close(one, other)
    decoded = both.signal.decode(both.encode_symbol(classes).top.mean)
    torch.testing.assert_close(output.signal_from_symbol.mean, decoded.mean)


def test_other_symbols_are_decoded_and_reconstructed_beside_those_of_the_batch():
    both = model((4, 3))
    features, classes, *noise = inputs(dims=(4, 3))
    played, combinations = (inputs(seed)[1] for seed in (8, 9))
    plain = both(features, classes, *noise)
    output = both(features, classes, *noise, True, played, tuple(reversed(noise)), combinations)
    expected = both(features, combinations, *noise).symbol
    torch.testing.assert_close(output.combined.posterior.top.mean, expected.posterior.top.mean)
    alone = both(features, classes, *noise, False, combinations=combinations)
    assert plain.combined is None and not alone.has_transfer and alone.combined is not None
    torch.testing.assert_close(
        output.signal_from_symbol.mean, both(features, played, *noise).signal_from_symbol.mean
    )
    for vae in ("signal", "symbol"):
        assert torch.equal(
            getattr(output, vae).posterior.top.mean, getattr(plain, vae).posterior.top.mean
        )


def test_the_decoder_may_be_wider_than_the_encoder():
    output = model(subframes=4)(*inputs()[:2])
    assert output.signal.px.mean.shape == (BATCH, 4 * FEATURES)
    assert output.signal_from_symbol.mean.shape == (BATCH, 4 * FEATURES)


def test_the_last_width_is_repeated():
    size = VAESize((64, 16, 8), (50, 40), (2,))
    assert (size.hidden_dims, size.hidden_num) == ((50, 40, 40), (2, 2, 2))


@pytest.mark.parametrize(
    "dims, hidden, num, message",
    [
        ((4,), (8, 8), (1,), "2 values of hidden_dims"),
        ((4,), (8,), (), "0 values of hidden_num"),
        ((4, 0), (8,), (1,), "at least 1"),
    ],
)
def test_sizes_that_cannot_be(dims, hidden, num, message):
    with pytest.raises(ValueError, match=message):
        VAESize(dims, hidden, num)


def test_both_halves_share_their_latent():
    with pytest.raises(ValueError, match="latent dimensions differ"):
        CrossModalVAE(
            FEATURES, SPACE, "categorical", VAESize((4,), (8,), (1,)), VAESize((5,), (8,), (1,))
        )


def test_a_prior_that_the_posterior_meets_costs_nothing():
    both = model((4, 3))
    features, classes, *_ = inputs()
    output = both(features, classes).signal
    assert all((kl_divergence(q, q) == 0).all() for q in output.posterior.qz)
    assert all((kl >= 0).all() for kl in prior_kl(output))


def test_gradients_do_not_jump():
    """Where they do (ReLU), rounding decides what is learnt: two workers would part from one."""
    torch.manual_seed(0)
    net, x = mlp(6, 8, 1), torch.randn(1, 6)
    _, norm, _ = net
    before = net[:2](x)[0, 0].item()  # what the first unit is given

    def gradient(offset):
        net.zero_grad()
        with torch.no_grad():
            norm.bias[0] = offset - before
        net(x).sum().backward()
        return net[0].weight.grad.clone()

    torch.testing.assert_close(gradient(-1e-6), gradient(1e-6), rtol=1e-4, atol=1e-5)
