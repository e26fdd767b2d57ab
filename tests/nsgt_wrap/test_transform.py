"""Laws of the transform. Bounds beyond rounding are up to twice what was measured."""

import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lt.audio.features import nsgt as transform_of
from lt.config import SpectralConfig
from nsgt_wrap import NSGT, NSGTDesign
from nsgt_wrap.design import import_nsgt, numpy_shim
from nsgt_wrap.transform import magnitude

DESIGN = transform_of(SpectralConfig(hop=64, subframes=1)).design
ALL_BANDS = replace(DESIGN, all_bands=True)
RATE, FRAME_HOP = DESIGN.sample_rate, SpectralConfig.frame_hop
TINY = NSGTDesign(
    sample_rate=800, fmin=100.0, fmax=350.0, bins_per_octave=3, slice_length=64, hop=2
)


@pytest.fixture(scope="module")
def double():
    return NSGT(DESIGN, torch.float64)


@pytest.fixture(scope="module")
def single():
    return NSGT(DESIGN)


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def tone(frequency, seconds=10.0, dtype=torch.float64):
    time_axis = torch.arange(int(seconds * RATE), dtype=torch.float64) / RATE
    return torch.sin(2 * torch.pi * frequency * time_axis).to(dtype)


def error(estimated, reference):
    return float((estimated - reference).norm() / reference.norm())


def library_transform(design):
    """The nsgt library's own transform of a slice, with our number of coefficients."""
    nsgt = import_nsgt()
    scale = nsgt.OctScale(design.fmin, design.fmax, design.bins_per_octave)
    reduced = 0 if design.all_bands else 1
    with numpy_shim(nsgt):
        transform = nsgt.NSGT(
            scale,
            design.sample_rate,
            design.slice_length,
            real=True,
            matrixform=True,
            reducedform=reduced,
        )
    transform.M[:] = design.n_coefficients
    transform.gd = nsgt.cq.nsdual(transform.g, transform.wins, transform.nn, transform.M)
    return transform


def slice_forward(nsgt, audio):
    """Coefficients (bins, coefficients) of one slice (slice_length,), without a Hann window."""
    return next(nsgt.slices.grids([audio[None]]))


def slice_inverse(nsgt, coefficients):
    return next(nsgt.slices.ungrid([coefficients]))


@pytest.mark.filterwarnings("ignore:Q-factor")
@pytest.mark.parametrize("all_bands", [False, True])
def test_a_slice_equals_the_librarys_both_ways(all_bands):
    design = replace(DESIGN, all_bands=all_bands)
    ours, theirs = NSGT(design, torch.float64), library_transform(design)
    audio = noise(design.slice_length)
    coefficients = slice_forward(ours, audio)
    np.testing.assert_allclose(
        coefficients, np.array(theirs.forward(audio.numpy())), rtol=0, atol=1e-10
    )
    back = theirs.backward(list(coefficients.numpy()))
    np.testing.assert_allclose(slice_inverse(ours, coefficients), back, rtol=0, atol=1e-10)


def test_a_slice_comes_back_exactly_with_all_bands():
    nsgt = NSGT(ALL_BANDS, torch.float64)
    audio = noise(nsgt.design.slice_length)
    assert error(slice_inverse(nsgt, slice_forward(nsgt, audio)), audio) < 1e-10


def test_a_slice_without_dc_and_nyquist_bands_comes_back_nearly(double):
    # A tone cut off at the slice's ends reaches down to DC, the more the lower it is.
    for frequency, bound in ((40.0, 0.05), (100.0, 0.02), (440.0, 0.005), (5000.0, 0.001)):
        audio = tone(frequency, seconds=5)[: double.design.slice_length]
        assert error(slice_inverse(double, slice_forward(double, audio)), audio) < bound
    audio = noise(double.design.slice_length)
    assert error(slice_inverse(double, slice_forward(double, audio)), audio) < 0.1


@pytest.mark.parametrize(
    ("frequency", "bound"), [(50, 0.2), (100, 0.08), (150, 0.025), (300, 0.003), (4000, 1e-4)]
)
def test_merged_slices_come_back_nearly(double, frequency, bound):
    # A low band's response is as long as a slice and comes round its ring. Near the signal's ends,
    # where the coefficients before the first and after the last sample are missing, any tone loses
    # more.
    audio = tone(frequency, 16)
    back = double.inverse(double(audio), len(audio))
    inside = slice(4 * RATE, -4 * RATE)
    assert error(back[inside], audio[inside]) < bound
    assert error(back, audio) < bound + 0.06


def test_merged_slices_of_all_bands_bring_noise_back_nearly():
    nsgt = NSGT(ALL_BANDS, torch.float64)
    audio = noise(12 * RATE)
    back = nsgt.inverse(nsgt(audio), len(audio))
    inside = slice(4 * RATE, -4 * RATE)
    assert error(back[inside], audio[inside]) < 0.012
    assert error(back, audio) < 0.04


def test_the_transform_is_linear(double):
    first, second = noise(2, 100_001, seed=1), noise(2, 100_001, seed=2)
    together = double(2 * first - 3 * second)
    assert error(together, 2 * double(first) - 3 * double(second)) < 1e-12


@pytest.mark.parametrize("n_samples", [1, 33, 65])
def test_derivatives_of_both_ways_are_right(n_samples):
    nsgt = NSGT(TINY, torch.float64)
    audio = noise(1, n_samples).requires_grad_()
    assert torch.autograd.gradcheck(nsgt, (audio,))
    coefficients = nsgt(audio).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda c: nsgt.inverse(c, n_samples), (coefficients,))


def test_second_derivatives_are_right_and_all_bands_have_them_too():
    nsgt = NSGT(replace(TINY, all_bands=True), torch.float64)
    audio = noise(20).requires_grad_()
    assert torch.autograd.gradcheck(nsgt, (audio,))
    assert torch.autograd.gradcheck(
        lambda c: nsgt.inverse(c, 20), (nsgt(audio).detach().requires_grad_(),)
    )
    assert torch.autograd.gradgradcheck(lambda x: nsgt(x).abs().square().sum(), (audio,))


def test_a_sine_at_a_bands_centre_peaks_in_that_band(single):
    centres = single.design.frame.positions * RATE / single.design.slice_length
    for band in [*range(12, 409, 36), 409]:  # band 12 is the first above 35 Hz
        middle = magnitude(single(tone(centres[band], 6, torch.float32)))[:, 900:1200].mean(1)
        assert int(middle.argmax()) == band


@pytest.mark.parametrize("frequency", [65.4, 261.6, 1046.5, 4186.0])
def test_a_semitone_up_is_four_bins_up(single, frequency):
    low, high = (
        magnitude(single(tone(f, 6, torch.float32)))[:, 900:1200].mean(1)
        for f in (frequency, frequency * 2 ** (1 / 12))
    )
    # The scale's bins are 47.93 to the octave, since it must end at fmax, and positions are whole
    # FFT bins.
    np.testing.assert_allclose(high[20:380], low[16:376], atol=0.08 * float(low.max()))
    assert int(high.argmax()) - int(low.argmax()) == 4


@pytest.mark.parametrize(
    ("frequency", "bound"),
    [(40.0, 0.1), (96.3, 0.04), (151.7, 0.01), (261.6, 0.01), (1000, 0.01), (7902, 0.01)],
)
def test_a_steady_tone_shows_no_seam(single, frequency, bound):
    coefficients = magnitude(single(tone(frequency, 16, torch.float32)))
    band = coefficients[coefficients.sum(1).argmax()][1000:-1000]
    assert float((band.max() - band.min()) / band.mean()) < 2 * bound  # plus or minus the bound


def test_coefficients_turn_steadily_across_slices(double):
    # The centre of a band: no beat between the slices' phases, so the baseband coefficient is
    # constant.
    band = 200
    frequency = double.design.frame.positions[band] * RATE / double.design.slice_length
    steady = double(tone(float(frequency), 12))[band, 1000:-1000]
    assert float((steady - steady.mean()).abs().max() / steady.abs().mean()) < 0.01


@pytest.mark.parametrize(
    "position", [0, FRAME_HOP * 20, FRAME_HOP * 63 + 352, 45056, 50_000, 130_048]
)
def test_frame_times_are_exact(single, position):
    audio = torch.zeros(6 * RATE)
    audio[position] = 1
    energy = magnitude(single(audio))[350:].sum(0)
    assert abs(int(energy.argmax()) * 64 - position) <= 32


def test_frames_are_means_of_coefficients(single):
    audio = noise(100_001, dtype=torch.float32)
    frames = single.magnitude_frames(audio, FRAME_HOP)
    assert frames.shape == (143, 410)
    whole = magnitude(single(torch.nn.functional.pad(audio, (0, 143 * FRAME_HOP - 100_001))))
    assert error(frames, whole.view(410, -1, 11).mean(-1).T) < 1e-6


def test_silence_stays_silent(single):
    silence = torch.zeros(100_000)
    assert not single(silence).any()
    assert not single.inverse(single(silence), 100_000).any()
    assert not single.magnitude_frames(silence, FRAME_HOP).any()


@pytest.mark.parametrize("n_samples", [1, 63, 64, 65, 45_055, 45_056, 45_057, 90_112, 123_457])
def test_any_length_gives_its_number_of_coefficients(single, n_samples):
    coefficients = single(noise(n_samples, dtype=torch.float32))
    assert coefficients.shape == (410, -(-n_samples // 64))
    assert single.inverse(coefficients, n_samples).shape == (n_samples,)
    assert torch.isfinite(torch.view_as_real(coefficients)).all()


def test_leading_axes_are_kept_and_rows_do_not_meet(single):
    audio = noise(2, 3, 50_000, dtype=torch.float32)
    coefficients = single(audio)
    assert coefficients.shape == (2, 3, 410, 782)
    assert torch.equal(coefficients[1, 2], single(audio[1, 2]))
    back = single.inverse(coefficients, 50_000)
    assert torch.allclose(back[1, 2], single.inverse(coefficients[1, 2], 50_000), atol=1e-6)


def test_single_precision_agrees_with_double(single, double):
    audio = noise(100_000)
    assert error(single(audio.float()), double(audio)) < 1e-6


@pytest.mark.parametrize("size", [1000, 45_056, 70_001, 10**6])
def test_a_stream_gives_what_the_whole_gives(single, size):
    audio = noise(200_001, dtype=torch.float32)
    streamed = torch.cat(list(single.stream(audio.split(size))), 1)
    assert error(streamed, single(audio)) < 1e-6
    frames = torch.cat(list(single.stream_magnitude_frames(audio.split(size), FRAME_HOP)))
    assert error(frames, single.magnitude_frames(audio, FRAME_HOP)) < 1e-6


def resident_bytes():
    """Memory in use now (the peak, which any system can tell, belongs to all tests before)."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("memory in use is read from /proc, which only Linux has")
    return int(statm.read_text().split()[1]) * resource.getpagesize()


def stream_frames(nsgt, seconds):
    """Frames of a made-up signal of so many seconds, and by how much memory grew after the first
    minute.
    """
    second = noise(RATE, dtype=torch.float32)
    count, settled, most = 0, 0, 0
    for frames in nsgt.stream_magnitude_frames((second.clone() for _ in range(seconds)), FRAME_HOP):
        count += len(frames)
        if count * FRAME_HOP < 60 * RATE:
            settled = max(settled, resident_bytes())
        most = max(most, resident_bytes())
    return count, most - settled


def test_minutes_of_audio_take_no_more_memory_than_one(single):
    count, growth = stream_frames(single, 300)
    assert count == -(-300 * RATE // FRAME_HOP)
    assert growth < 16e6  # four minutes of coefficients would be 270 MB


@pytest.mark.long
def test_an_hour_of_audio_takes_no_more_memory_than_a_minute(single):
    count, growth = stream_frames(single, 3600)
    assert count == -(-3600 * RATE // FRAME_HOP)
    assert growth < 16e6


@pytest.mark.parametrize("audio", [torch.zeros(0), torch.zeros(3, 0), torch.tensor(1.0)])
def test_no_samples_are_refused(single, audio):
    with pytest.raises(ValueError, match="at least one sample"):
        single(audio)


def test_an_empty_stream_is_refused(single):
    with pytest.raises(ValueError, match="at least one sample"):
        list(single.stream([]))
    with pytest.raises(ValueError, match="at least one sample"):
        list(single.stream_magnitude_frames([torch.zeros(0)], FRAME_HOP))


def test_wrong_types_and_shapes_are_refused_in_a_sentence(single):
    with pytest.raises(ValueError, match="expected torch.float32 audio .*, got torch.float64"):
        single(torch.zeros(100, dtype=torch.float64))
    with pytest.raises(ValueError, match="expected 410 bins and 2 coefficients for 100 samples"):
        single.inverse(torch.zeros(410, 3, dtype=torch.complex64), 100)
    with pytest.raises(ValueError, match="frame_hop that is a multiple of 64"):
        single.magnitude_frames(torch.zeros(1000), frame_hop=700)
    with pytest.raises(ValueError, match=r"shape \(samples,\)"):
        single.magnitude_frames(torch.zeros(2, 1000), FRAME_HOP)
    with pytest.raises(ValueError, match="float32 or torch.float64"):
        NSGT(DESIGN, torch.float16)


def test_a_second_module_is_cheap_and_nothing_of_it_is_stored(single):
    start = time.perf_counter()
    NSGT(DESIGN)
    assert time.perf_counter() - start < 0.5
    assert not single.state_dict()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_what_the_cpu_gives(single):
    audio = noise(2, 150_001, dtype=torch.float32)
    there = NSGT(DESIGN).to("cuda")
    coefficients = there(audio.cuda())
    assert coefficients.is_cuda
    assert error(coefficients.cpu(), single(audio)) < 1e-5
    back = there.inverse(coefficients, 150_001).cpu()
    assert error(back, single.inverse(single(audio), 150_001)) < 1e-5
    frames = there.magnitude_frames(audio[0].cuda(), FRAME_HOP).cpu()
    assert error(frames, single.magnitude_frames(audio[0], FRAME_HOP)) < 1e-5
