"""Augmentation: pitch is a shift of bins, levels and silence stay, strength 0 changes nothing."""

from dataclasses import fields

import pytest
import torch

from lt.audio.tuning import bins_per_semitone, shift_bins
from lt.config import AugmentationConfig, RunConfig, SpectralConfig, with_preset
from lt.data.augment import Augmentation
from lt.labels import FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER


def augmentation(**strengths):
    return Augmentation(RunConfig(augment=1, **strengths), SpectralConfig(), 1.0)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def spectra(n_rows=64, n_bins=410):
    return torch.rand(n_rows, n_bins, generator=rng(1))


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


def test_a_shift_is_to_the_bit_that_of_bins_one_by_one():
    rows, shifts = spectra(6), torch.tensor([0.0, 1.3, -7.75, 409.2, -410.0, 900.0])
    outside = torch.zeros(())
    for row, shift, moved in zip(rows, shifts, shift_bins(rows, shifts)):
        at = torch.arange(len(row)) - shift
        weight = at - at.floor()
        below = [row[n] if 0 <= n < len(row) else outside for n in at.floor().long().tolist()]
        above = [row[n] if 0 <= n < len(row) else outside for n in (at.floor() + 1).long().tolist()]
        plain = (1 - weight) * torch.stack(below) + weight * torch.stack(above)
        assert torch.equal(moved, plain)


def test_four_bins_are_a_semitone():
    assert bins_per_semitone(SpectralConfig()) == 4


def test_curves_are_smooth_and_of_unit_variance():
    curves = augmentation().smooth_curves(2000, 410, rng())
    assert abs(float(curves.std()) - 1) < 0.05 and abs(float(curves.mean())) < 0.05
    assert float(curves.diff(dim=1).abs().mean()) < 0.15


def other_timbre(rows, **strengths):
    return augmentation(**strengths).change_timbre(rows, rng())


def test_nothing_switched_on_changes_nothing():
    assert torch.equal(augmentation().add_noise(spectra(), rng()), spectra())
    assert torch.equal(augmentation().add_ringing(spectra(), spectra(), rng()), spectra())
    assert torch.equal(augmentation().add_reverb(spectra(), [spectra()], rng()), spectra())
    torch.testing.assert_close(other_timbre(spectra()), spectra())
    steps, detuning = augmentation().shifts(torch.arange(60, 70)[:, None], rng())
    assert not steps.any() and not detuning.any()


def test_equalisation_keeps_the_level_and_changes_the_shape():
    rows = spectra()
    changed = other_timbre(rows, equalise=12.0)
    torch.testing.assert_close(changed.amax(dim=1), rows.amax(dim=1))
    assert float((20 * torch.log10((changed / rows).clamp_min(1e-9))).std()) > 6


def test_a_gain_changes_the_level_alone():
    rows = spectra()
    ratio = other_timbre(rows, gain=6.0) / rows
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert 4 < float((20 * torch.log10(ratio[:, 0])).std()) < 8


def test_a_tilt_is_a_slope_above_the_loudest_partial_and_nothing_below():
    rows = torch.full((400, 410), 0.01)
    rows[:, 100] = 1.0
    tilted = 20 * torch.log10(other_timbre(rows, tilt=24.0))
    change = tilted - 20 * torch.log10(rows)
    octave = change[:, 148] - change[:, 100]
    assert (
        -24 <= float(octave.min()) < -20 and 3 < float(octave.max()) <= 6
    )  # a little brighter, mostly duller
    torch.testing.assert_close(change[:, 244] - change[:, 100], 3 * octave, rtol=0, atol=1e-3)
    torch.testing.assert_close(
        change[:, :100], change[:, 100:101].expand(-1, 100), rtol=0, atol=1e-3
    )
    torch.testing.assert_close(
        tilted.amax(dim=1), torch.zeros(400), rtol=0, atol=1e-3
    )  # the level stays


def test_low_bands_ring_of_neighbouring_notes_and_rests_do_not():
    rows = spectra()
    rows[::2] = 0  # rests
    rung = augmentation(ring=1.0).add_ringing(rows, torch.ones_like(rows), rng())
    assert (rung[::2] == 0).all()
    leak = (rung[1::2].square() - rows[1::2].square()).clamp_min(0).sqrt()
    assert (leak[:, :48] > 0.15).all()  # below 60 Hz a band rings for a second
    assert (leak[:, -96:] < 1e-3).all()  # above 2.7 kHz for a few milliseconds
    assert (leak.max(dim=1).values <= 0.5 + 1e-4).all()  # a step is at its half at the very edge


def test_silence_stays_silent_but_for_noise():
    silence = torch.zeros(8, 410)
    quiet = augmentation(equalise=12.0, tilt=24.0, gain=6.0)
    assert (quiet.change_timbre(silence, rng()) == 0).all()
    assert (quiet.add_noise(silence, rng()) == 0).all()
    noisy = augmentation(noise_floor=1.0).add_noise(silence, rng())
    assert torch.isfinite(noisy).all() and (noisy > 0).all()
    alone = augmentation(noise_floor=1.0).add_noise(torch.zeros(500, 410), rng())
    level_db = 20 * torch.log10(alone.mean(dim=1))
    assert float(level_db.median()) > -50, "noise alone is as loud as breath beneath a loud note"


def test_tails_of_other_notes_are_softer_than_the_note_and_not_added_to_rests():
    rows = spectra(2000)
    rows[::2] = 0  # rests
    loud = 100 * torch.rand(2000, 410, generator=rng(2))
    wet = augmentation(reverb=1.0).add_reverb(rows, [loud, loud.roll(1, 0)], rng())
    assert (wet[::2] == 0).all()
    tail = (wet[1::2].square() - rows[1::2].square()).clamp_min(0).mean(dim=1).sqrt()
    level_db = 20 * torch.log10(tail / rows[1::2].square().mean(dim=1).sqrt())
    assert -50 < float(level_db.median()) < -6 and (level_db > -40).float().mean() > 0.7
    half = augmentation(reverb=0.5).add_reverb(rows, [loud], rng())
    assert 0.4 < float((half != rows)[1::2].any(dim=1).float().mean()) < 0.6


def test_noise_is_that_of_the_transform_of_white_noise():
    noise = augmentation().white_noise
    torch.testing.assert_close(noise.mean(dim=0), torch.ones(410))
    narrow, wide = noise[:, :48].std(), noise[:, -48:].std()
    assert 0.4 < float(narrow) < 0.6 and float(wide) < 0.5 * float(narrow)  # Rayleigh: 0.52


def test_the_same_generator_gives_the_same_sound():
    everything = augmentation(equalise=12.0, tilt=24.0, gain=3.0, noise_floor=0.5)
    first, second = (
        everything.add_noise(everything.change_timbre(spectra(), generator), generator)
        for generator in (rng(5), rng(5))
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize("most", [1, 3])
def test_transposed_notes_stay_within_the_labels_range(most):
    numbers = torch.tensor([FIRST_NOTE_NUMBER, 60, LAST_NOTE_NUMBER]).repeat(200)
    steps, detuning = augmentation(transpose=most, detune=0.3).shifts(numbers[:, None], rng())
    moved = (numbers + steps).view(-1, 3)
    assert moved.min() == FIRST_NOTE_NUMBER and moved.max() == LAST_NOTE_NUMBER
    assert set((moved[:, 1] - 60).tolist()) == set(range(-most, most + 1))
    assert 0.25 < float(detuning.abs().max()) <= 0.3


def test_the_articles_preset_does_not_augment_and_the_robust_one_does():
    assert not with_preset({}, "article").augment
    assert with_preset({}, "robust").augment and with_preset({}, "robust").transpose > 0
    assert not with_preset({"augment": 0}, "robust").augment


def test_every_constant_has_a_unit_and_an_origin():
    for field in fields(AugmentationConfig):
        assert field.metadata["unit"] and field.metadata["origin"], field.name


def test_the_preset_for_mixtures_weakens_no_partials():
    single, both = (
        with_preset({"instruments": ("Flute",)}, "robust"),
        {"instruments": ("Flute", "Violin")},
    )
    mixed = with_preset(both, "robust")
    assert single.tilt > 0 == mixed.tilt and mixed.range_db > single.range_db
    assert with_preset({**both, "tilt": 6.0}, "robust").tilt == 6.0
