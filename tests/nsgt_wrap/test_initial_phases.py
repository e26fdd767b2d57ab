"""Laws of propagated phases: steady partials, chords and attacks need no iterations, noise stays
noise.
"""

import numpy as np
import pytest
import torch

from lt.audio.features import nsgt as transform_of
from lt.config import SpectralConfig
from nsgt_wrap import griffin_lim, initial_phases, phase_retrieval
from nsgt_wrap.initial_phases import _along_time, _Gradients, propagated_phases
from nsgt_wrap.transform import magnitude

NSGT = transform_of(SpectralConfig())
RATE, HOP = NSGT.design.sample_rate, NSGT.design.hop


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def tones(frequencies, seconds=2.0):
    """Sinusoids together, fading in and out for a quarter of a second."""
    time = torch.arange(int(seconds * RATE), dtype=torch.float64) / RATE
    fade = (torch.minimum(time, seconds - time) * 4).clamp(max=1)
    phases = 2 * torch.pi * torch.tensor(frequencies)[:, None] * time
    return (fade * phases.sin().sum(0)).float()


def from_magnitudes(audio, n_iter=0, seed=0):
    """Audio of the magnitudes of `audio`, from propagated phases."""
    wanted = magnitude(NSGT(audio))
    return griffin_lim(NSGT, wanted, len(audio), n_iter, rng=seeded(seed), start="propagated")


def convergence(made, audio):
    wanted = magnitude(NSGT(audio))
    error = magnitude(NSGT(made)) - wanted
    return float(20 * torch.log10(error.norm() / wanted.norm()))


@pytest.mark.parametrize(
    "frequencies, limit",  # the last ones share bands
    [
        ((440.0,), -35),
        ((261.6, 329.6, 392.0), -35),
        ((55.0, 82.5), -20),
        (tuple(110.0 * n for n in range(1, 30)), -20),
    ],
)
def test_steady_partials_need_no_iterations(frequencies, limit):
    audio = tones(frequencies)
    assert convergence(from_magnitudes(audio), audio) < limit


def test_a_glide_keeps_its_phase_from_band_to_band():
    time = torch.arange(2 * RATE, dtype=torch.float64) / RATE
    audio = (2 * torch.pi * (400 * time + 100 * time**2)).sin().float()
    assert convergence(from_magnitudes(audio), audio) < -20


def test_an_impulse_comes_back_as_one():
    audio = torch.zeros(2 * RATE)
    audio[RATE] = 1.0
    made = from_magnitudes(audio)
    assert made[RATE - 44 : RATE + 45].square().sum() > 0.5 * made.square().sum()


@pytest.mark.parametrize("n", [1, 2, 4, 16])
def test_some_coefficients_alone_have_the_phases_that_they_have_among_all(n):
    magnitudes = torch.rand(410, 3 * 512 + 37, generator=seeded())
    [every] = propagated_phases(NSGT, magnitudes, seeded())
    runs = slice(0, 100), slice(100, 410)
    some = propagated_phases(NSGT, magnitudes, seeded(), strides=[(runs[0], n), (runs[1], 1)])
    for phases, run, stride in zip(some, runs, (n, 1)):
        assert torch.equal(phases, every[run, ::stride])


def test_bands_without_ridges_get_phases_of_white_noise():
    n = 2 * NSGT.design.n_coefficients
    [phases] = propagated_phases(NSGT, torch.ones(410, n), seeded(3))
    noise = NSGT(torch.randn(n * HOP, generator=seeded(3)))
    assert torch.allclose(torch.polar(torch.ones(()), phases), noise / noise.abs(), atol=1e-2)


@pytest.mark.parametrize("step", [2, 4, 8])
def test_cells_of_several_coefficients_are_as_good_as_single_ones(step):
    """On partials with vibrato that begin sharply, above noise."""
    time = torch.arange(3 * RATE, dtype=torch.float64) / RATE
    phase = 2 * torch.pi * (440 * time + 0.7 * (2 * torch.pi * 6 * time).sin())
    partials = sum((number * phase).sin() / number for number in range(1, 12))
    audio = (partials * (time % 0.7) * (-4 * (time % 0.7)).exp()).float()
    audio += 1e-3 * torch.randn(len(audio), generator=seeded(1))
    wanted = magnitude(NSGT(audio))

    def reached(step):
        [phases] = propagated_phases(NSGT, wanted, seeded(), step)
        return convergence(NSGT.inverse(torch.polar(wanted, phases), len(audio)), audio)

    assert reached(step) < reached(1) + 0.5


def test_noise_repeats_in_long_sounds(monkeypatch):
    monkeypatch.setattr(initial_phases, "_NOISE_HALVES", 2)
    half = NSGT.design.n_coefficients // 2
    [phases] = propagated_phases(NSGT, torch.ones(410, 5 * half), seeded())
    torch.testing.assert_close(phases[:, : 3 * half], phases[:, 2 * half :])


def test_phases_along_time_are_the_trapezoidal_rule():
    """Each ridge on from its owner's phase by the mean of both frequencies, block by block."""
    rng = np.random.default_rng(0)
    n, bins = 12, 5
    owners = rng.integers(0, bins, (n, bins))
    frequencies, noise = rng.normal(size=(n, bins)), rng.normal(size=(n, bins))
    coherent = rng.random((n, bins)) < 0.7
    phases, last, frequency = [], noise[0] - frequencies[0], frequencies[0]
    for t in range(n):
        ahead = last[owners[t]] + (frequency[owners[t]] + frequencies[t]) / 2
        last, frequency = np.where(coherent[t], ahead, noise[t]), frequencies[t]
        phases.append(last)
    blocks, before = [], None
    for part in (slice(0, 7), slice(7, n)):
        own = owners[part], frequencies[part], coherent[part], noise[part]
        block, before = _along_time(*own, before)
        blocks.append(block)
    np.testing.assert_allclose(np.concatenate(blocks), phases, atol=1e-12)


def test_a_band_belongs_to_the_maximum_to_which_it_rises():
    block = torch.rand(6, 410, generator=seeded())
    owners = _Gradients(NSGT.design, block)._owners(block)
    for row, own in zip(block.tolist(), owners.tolist()):
        row = [-1.0, *row, -1.0]  # nothing beyond the scale
        for band in range(1, 411, 5):
            step = 1 if row[band + 1] > row[band] else -1
            at = band
            while not row[at - 1] < row[at] >= row[at + 1]:
                at += step
            assert own[band - 1] == at - 1


def test_silence_stays_silent():
    made = griffin_lim(NSGT, torch.zeros(410, 1500), 1500 * HOP, 0, start="propagated")
    assert not made.any()
    audio = tones((440.0,))
    audio = torch.cat((torch.zeros(2 * RATE), audio, torch.zeros(2 * RATE)))
    wanted = magnitude(NSGT(audio))
    wanted[:, : RATE // HOP] = 0
    made = griffin_lim(NSGT, wanted, len(audio), 0, start="propagated")
    assert torch.isfinite(made).all() and made[: RATE // 2].abs().max() < 1e-3


@pytest.mark.parametrize("n_samples", [1, HOP, HOP + 1, 45_057])
def test_any_length(n_samples):
    magnitudes = torch.rand(410, -(-n_samples // HOP), generator=seeded())
    made = griffin_lim(NSGT, magnitudes, n_samples, 0, rng=seeded(), start="propagated")
    assert made.shape == (n_samples,) and torch.isfinite(made).all()


def test_equal_seeds_give_equal_bytes():
    audio = tones((440.0, 587.3)) + 0.01 * torch.randn(2 * RATE, generator=seeded(7))
    first, again, other = (from_magnitudes(audio, 1, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_the_level_is_kept():
    wanted = magnitude(NSGT(tones((440.0, 587.3))))
    loud, quiet = (
        griffin_lim(NSGT, wanted * level, 2 * RATE, 0, rng=seeded(), start="propagated") / level
        for level in (1.0, 1e-4)
    )
    torch.testing.assert_close(loud, quiet, rtol=0, atol=0.01)


@pytest.mark.parametrize("n_iter", [0, 2])
def test_segments_join_without_a_seam(monkeypatch, n_iter):
    audio = tones((220.0, 277.2, 329.6), 26.0)
    # segments of 16 s, joined at 12 s and at 20 s
    monkeypatch.setattr(phase_retrieval, "_SEGMENT_HALVES", 8)
    made = from_magnitudes(audio, n_iter)
    errors = (magnitude(NSGT(made)) - magnitude(NSGT(audio))).square().sum(0)
    half = NSGT.slices.half // HOP
    assert convergence(made, audio) < -25
    assert max(errors[j * half - 100 : j * half + 100].mean() for j in (6, 10)) < 4 * errors.mean()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_phases_of_the_cpu():
    wanted = magnitude(NSGT(tones((440.0, 587.3))))
    on_cuda = transform_of(SpectralConfig(), torch.device("cuda"))
    made = griffin_lim(on_cuda, wanted.cuda(), 2 * RATE, 0, rng=seeded(), start="propagated")
    assert convergence(made.cpu(), tones((440.0, 587.3))) < -25
