"""Laws of phase retrieval: it converges, repeats itself when seeded, and leaves silence alone."""

import pytest
import torch

from lt.audio.features import nsgt as transform_of
from lt.config import SpectralConfig
from nsgt_wrap import NSGT, frames_to_coefficients, griffin_lim, phase_retrieval
from nsgt_wrap.transform import magnitude

DESIGN = transform_of(SpectralConfig(hop=64, subframes=1)).design
RATE, FRAME_HOP = DESIGN.sample_rate, SpectralConfig.frame_hop
FACTOR = FRAME_HOP // DESIGN.hop


@pytest.fixture(scope="module")
def nsgt():
    return NSGT(DESIGN)


def melody(seconds):
    """Notes of half a second with eight decaying partials and some vibrato."""
    time = torch.arange(int(seconds * RATE), dtype=torch.float64) / RATE
    note = (time * 2).long()
    pitch = torch.tensor([60, 64, 67, 72, 71, 65])[note % 6]
    frequency = 440 * 2 ** ((pitch - 69) / 12) * (1 + 0.004 * torch.sin(2 * torch.pi * 5 * time))
    turns = torch.cumsum(frequency, 0) / RATE
    envelope = torch.exp(-3 * (time * 2 - note)) * torch.clamp((time * 2 - note) * 20, max=1)
    partials = sum(torch.sin(2 * torch.pi * n * turns) / n**1.5 for n in range(1, 9))
    return (0.3 * envelope * partials).float()


@pytest.fixture(scope="module")
def tune(nsgt):
    audio = melody(6)
    return len(audio), magnitude(nsgt(audio))


def decibels(estimated, reference):
    return float(20 * torch.log10((estimated - reference).norm() / reference.norm()))


def convergence(nsgt, audio, magnitudes):
    """Spectral convergence in dB: how far the audio's magnitudes are from those asked for."""
    return decibels(magnitude(nsgt(audio)), magnitudes)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_more_iterations_come_nearer_and_momentum_nearer_still(nsgt, tune):
    n_samples, magnitudes = tune

    def reached(n_iter, momentum):
        audio = griffin_lim(nsgt, magnitudes, n_samples, n_iter, momentum, seeded())
        return convergence(nsgt, audio, magnitudes)

    few, some, plain, fast = (
        reached(5, 0.99),
        reached(15, 0.99),
        reached(30, 0.0),
        reached(30, 0.99),
    )
    assert some < few - 3
    assert fast < some - 2
    assert fast < plain - 2
    assert fast < -25


def test_the_same_seed_gives_the_same_audio_and_another_another(nsgt, tune):
    n_samples, magnitudes = tune
    first, again, other = (
        griffin_lim(nsgt, magnitudes, n_samples, 2, rng=seeded(s)) for s in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)


def test_silence_stays_silent(nsgt):
    assert not griffin_lim(nsgt, torch.zeros(410, 1500), 96_000, 3).any()


def test_magnitudes_with_silent_bins_and_times_give_finite_audio(nsgt, tune):
    n_samples, magnitudes = tune
    gaps = magnitudes.clone()
    gaps[:100] = 0
    gaps[:, 500:1500] = 0
    audio = griffin_lim(nsgt, gaps, n_samples, 5, rng=seeded())
    assert torch.isfinite(audio).all()
    assert audio[60_000:80_000].square().mean() < 1e-4 * audio.square().mean()


def test_level_is_kept(nsgt, tune):
    n_samples, magnitudes = tune
    loud = griffin_lim(nsgt, magnitudes, n_samples, 5, rng=seeded())
    quiet = griffin_lim(nsgt, magnitudes * 1e-4, n_samples, 5, rng=seeded())
    assert torch.allclose(quiet * 1e4, loud, atol=1e-2 * float(loud.abs().max()))


def test_propagated_phases_start_nearer_and_end_nearer(nsgt, tune):
    n_samples, magnitudes = tune

    def reached(n_iter, start):
        audio = griffin_lim(nsgt, magnitudes, n_samples, n_iter, rng=seeded(), start=start)
        return convergence(nsgt, audio, magnitudes)

    assert reached(0, "propagated") == pytest.approx(-17.3, abs=0.3)
    assert reached(2, "propagated") < reached(8, "random") - 1.5
    assert reached(30, "propagated") < reached(30, "random") - 1


@pytest.mark.parametrize("factor", [4, 11])
def test_frames_are_interpolated_as_the_definition_says(factor):
    """Of bands one after another, with the kernel over two neighbours on either side."""
    frames = torch.rand(20, 7, generator=seeded()) + 0.1
    kernel = phase_retrieval._cubic_kernel(factor).float()

    def around(band, frame):
        return torch.stack([band[min(max(frame + k, 0), len(band) - 1)] for k in range(-2, 3)])

    plain = []
    for band in frames.T:
        values = band
        for _ in range(2):
            means = [around(values, frame) @ kernel.mean(1) for frame in range(20)]
            values = values + band - torch.stack(means)
        plain.append(torch.cat([around(values, frame) @ kernel for frame in range(20)]))
    result = frames_to_coefficients(frames, factor)
    torch.testing.assert_close(result, torch.stack(plain).clamp_min(0), rtol=1e-5, atol=1e-6)


def test_leading_axes_are_kept(nsgt, tune):
    n_samples, magnitudes = tune
    both = griffin_lim(nsgt, magnitudes.expand(2, 1, -1, -1), n_samples, 1)
    assert both.shape == (2, 1, n_samples)


@pytest.mark.parametrize("n_samples", [1, 64, 701, 45_057])
def test_any_length(nsgt, n_samples):
    magnitudes = torch.ones(410, -(-n_samples // 64))
    audio = griffin_lim(nsgt, magnitudes, n_samples, 2)
    assert audio.shape == (n_samples,)
    assert torch.isfinite(audio).all()


def test_segments_join_without_a_seam(nsgt, monkeypatch):
    audio = melody(26)
    magnitudes = magnitude(nsgt(audio))
    monkeypatch.setattr(
        phase_retrieval, "_SEGMENT_HALVES", 8
    )  # segments of 16 s, joined at 12 s and at 20 s
    joined = griffin_lim(nsgt, magnitudes, len(audio), 30, rng=seeded())
    errors = (magnitude(nsgt(joined)) - magnitudes).square().sum(0)
    half = nsgt.slices.half // nsgt.design.hop
    around = [errors[join * half - 100 : join * half + 100].mean() for join in (6, 10)]
    assert max(around) < 4 * errors.mean()
    assert convergence(nsgt, joined, magnitudes) < -24


def test_unusable_arguments_are_refused_in_a_sentence(nsgt):
    ones = torch.ones(410, 2)
    with pytest.raises(ValueError, match="expected 410 bins and 2 coefficients"):
        griffin_lim(nsgt, torch.ones(410, 3), 100, 30)
    with pytest.raises(ValueError, match="finite and not negative"):
        griffin_lim(nsgt, -ones, 100, 30)
    with pytest.raises(ValueError, match="finite and not negative"):
        griffin_lim(nsgt, ones * float("nan"), 100, 30)
    with pytest.raises(ValueError, match="n_iter >= 0"):
        griffin_lim(nsgt, ones, 100, n_iter=-1)
    with pytest.raises(ValueError, match="unknown start 'zero'; known: random, propagated"):
        griffin_lim(nsgt, ones, 100, 1, start="zero")
    with pytest.raises(ValueError, match="finite and not negative"):
        frames_to_coefficients(torch.full((3, 4), float("inf")), FACTOR)
    with pytest.raises(ValueError, match=r"expected \(frames, bins\)"):
        frames_to_coefficients(torch.ones(0, 4), FACTOR)


def test_frames_come_back_as_the_means_they_were(nsgt, tune):
    n_samples, magnitudes = tune
    frames = magnitudes[:, : magnitudes.shape[1] // 11 * 11].unflatten(1, (-1, 11)).mean(2).T
    between = frames_to_coefficients(frames, FACTOR)
    assert between.shape == (410, 11 * len(frames))
    assert (between >= 0).all()
    assert decibels(between.unflatten(1, (-1, 11)).mean(2).T, frames) < -35
    true = magnitudes[:, : between.shape[1]]
    steps = frames.T.repeat_interleave(11, 1)
    assert decibels(between, true) < decibels(steps, true) - 5


def test_constant_frames_stay_constant_and_silent_ones_silent():
    frames = torch.rand(1, 5, generator=seeded()).expand(7, 5)
    assert torch.allclose(frames_to_coefficients(frames, FACTOR), frames[0][:, None].expand(5, 77))
    assert torch.allclose(
        frames_to_coefficients(frames[:1], FACTOR), frames[0][:, None].expand(5, 11)
    )
    assert not frames_to_coefficients(torch.zeros(4, 5), FACTOR).any()


def test_audio_from_frames_has_those_frames(nsgt, tune):
    n_samples, _ = tune
    n_samples -= n_samples % FRAME_HOP
    frames = nsgt.magnitude_frames(melody(6)[:n_samples], FRAME_HOP)
    audio = griffin_lim(nsgt, frames_to_coefficients(frames, FACTOR), n_samples, 30, rng=seeded())
    assert decibels(nsgt.magnitude_frames(audio, FRAME_HOP), frames) < -24


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_converges_as_the_cpu_does(nsgt, tune):
    n_samples, magnitudes = tune
    audio = griffin_lim(NSGT(DESIGN).to("cuda"), magnitudes.cuda(), n_samples, 30, rng=seeded())
    assert audio.is_cuda
    assert convergence(nsgt, audio.cpu(), magnitudes) < -25
