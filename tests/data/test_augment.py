"""Augmentation: pitch moves as bins, levels stay, silence stays silent, and what is off changes
nothing.
"""

import pytest
import torch

from lt.audio.tuning import bins_per_semitone, shift_bins
from lt.config import RunConfig, SpectralConfig, with_preset
from lt.data.augment import Augmentation, add_noise, add_ringing, recolour, smooth_curves


def chosen(seed=0):
    return torch.Generator().manual_seed(seed)


def spectra(n_rows=64, n_bins=410):
    return torch.rand(n_rows, n_bins, generator=chosen(1))


def test_a_shift_moves_bins_and_brings_in_zeros():
    rows = spectra(3)
    moved = shift_bins(rows, torch.tensor([4.0, -4.0, 0.0]))
    torch.testing.assert_close(moved[0, 4:], rows[0, :-4])
    torch.testing.assert_close(moved[1, :-4], rows[1, 4:])
    torch.testing.assert_close(moved[2], rows[2])
    assert (moved[0, :4] == 0).all() and (moved[1, -4:] == 0).all()


def test_a_fraction_of_a_bin_lies_between():
    rows = spectra(1)
    half = shift_bins(rows, torch.tensor([0.5]))
    torch.testing.assert_close(half[0, 1:], (rows[0, 1:] + rows[0, :-1]) / 2)


def test_four_bins_are_a_semitone():
    assert bins_per_semitone(SpectralConfig()) == 4


def test_curves_are_smooth_and_of_unit_variance():
    curves = smooth_curves(2000, 410, chosen())
    assert abs(float(curves.std()) - 1) < 0.05 and abs(float(curves.mean())) < 0.05
    assert float(curves.diff(dim=1).abs().mean()) < 0.15


def recoloured(rows, **augmentation):
    return recolour(rows, Augmentation(**augmentation), 48, chosen())


def test_nothing_switched_on_changes_nothing():
    torch.testing.assert_close(
        add_noise(spectra(), Augmentation(), 1.0, chosen()), spectra(), rtol=0, atol=0
    )
    torch.testing.assert_close(recoloured(spectra()), spectra())


def test_equalisation_keeps_the_level_and_changes_the_shape():
    rows = spectra()
    heard = recoloured(rows, equalise=12.0)
    torch.testing.assert_close(heard.amax(dim=1), rows.amax(dim=1))
    assert float((20 * torch.log10((heard / rows).clamp_min(1e-9))).std()) > 6


def test_a_gain_changes_the_level_alone():
    rows = spectra()
    heard = recoloured(rows, gain=6.0)
    ratio = heard / rows
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert 4 < float((20 * torch.log10(ratio[:, 0])).std()) < 8


def test_a_tilt_is_a_slope_above_the_loudest_partial_and_nothing_below():
    rows = torch.full((400, 410), 0.01)
    rows[:, 100] = 1.0
    heard = 20 * torch.log10(recoloured(rows, tilt=24.0))
    change = heard - 20 * torch.log10(rows)
    octave = change[:, 148] - change[:, 100]
    assert (
        -24 <= float(octave.min()) < -20 and 3 < float(octave.max()) <= 6
    )  # a little brighter, mostly duller
    torch.testing.assert_close(change[:, 244] - change[:, 100], 3 * octave, rtol=0, atol=1e-3)
    torch.testing.assert_close(
        change[:, :100], change[:, 100:101].expand(-1, 100), rtol=0, atol=1e-3
    )
    torch.testing.assert_close(
        heard.amax(dim=1), torch.zeros(400), rtol=0, atol=1e-3
    )  # the level stays


def test_a_source_rings_of_its_neighbours_below_and_rests_do_not():
    rows, config = spectra(), SpectralConfig()
    rows[::2] = 0  # rests
    rung = add_ringing(rows, torch.ones_like(rows), Augmentation(ring=1.0), config, chosen())
    assert (rung[::2] == 0).all()
    share = (rung[1::2].square() - rows[1::2].square()).clamp_min(0).sqrt()
    assert (share[:, :48] > 0.15).all()  # below 60 Hz a band rings for a second
    assert (share[:, -96:] < 1e-3).all()  # above 2.7 kHz for a few milliseconds
    assert (share.max(dim=1).values <= 0.5 + 1e-4).all()  # a step is at its half at the very edge
    assert add_ringing(rows, rows, Augmentation(), config, chosen()) is rows


def test_silence_stays_silent_but_for_noise():
    silence, everything = torch.zeros(8, 410), Augmentation(equalise=12.0, tilt=24.0, gain=6.0)
    assert (recolour(silence, everything, 48, chosen()) == 0).all()
    assert (add_noise(silence, everything, 1.0, chosen()) == 0).all()
    noisy = add_noise(silence, Augmentation(noise_floor=1.0), 1.0, chosen())
    assert torch.isfinite(noisy).all() and (noisy > 0).all() and float(noisy.max()) < 1


def test_the_same_generator_gives_the_same_sound():
    everything = Augmentation(equalise=12.0, tilt=24.0, gain=3.0, noise_floor=0.5)
    one, other = (
        add_noise(recolour(spectra(), everything, 48, generator), everything, 1.0, generator)
        for generator in (chosen(5), chosen(5))
    )
    torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("augment, expected", [(0, Augmentation()), (1, Augmentation(transpose=2))])
def test_augment_0_is_the_articles_way(augment, expected):
    assert Augmentation.of(RunConfig(augment=augment, transpose=2)) == expected


def test_the_articles_preset_does_not_augment_and_the_robust_one_does():
    assert Augmentation.of(with_preset({}, "article")) == Augmentation()
    assert Augmentation.of(with_preset({}, "robust")).transpose > 0
    assert Augmentation.of(with_preset({"augment": 0}, "robust")) == Augmentation()


def test_the_preset_weakens_no_partials_where_mixtures_are_heard():
    one, both = (
        with_preset({"instruments": ("Flute",)}, "robust"),
        {"instruments": ("Flute", "Violin")},
    )
    two = with_preset(both, "robust")
    assert one.tilt > 0 == two.tilt and two.range_db > one.range_db
    assert with_preset({**both, "tilt": 6.0}, "robust").tilt == 6.0
