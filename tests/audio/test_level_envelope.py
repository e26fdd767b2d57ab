import numpy as np
import pytest
import torch

from lt.audio.features import audio_to_magnitudes
from lt.audio.level_envelope import at_level, band_kernels, deconvolved
from lt.audio.phase import magnitudes_to_audio_batch
from lt.config import SpectralConfig, SynthesisConfig

FINE = SpectralConfig().of_subframes
RATE, HOP = FINE.sample_rate, FINE.frame_hop
ONSET = 30 * HOP


def note(attack: float = 0.0, number: int = 62, seconds: float = 0.8) -> torch.Tensor:
    """Five partials that begin after 30 frames and rise for `attack` seconds."""
    time = torch.arange(round(seconds * RATE) // HOP * HOP) / RATE
    phase = 2 * torch.pi * 440 * 2 ** ((number - 69) / 12) * time
    audio = sum((n * phase).sin() / n for n in range(1, 6))
    since = time - ONSET / RATE
    return 0.1 * audio * (since >= 0) * (since / attack if attack else since + 1).clamp(0, 1)


def levels_db(audio: np.ndarray) -> np.ndarray:
    """Level of each frame."""
    return 10 * np.log10(np.square(audio).reshape(-1, HOP).mean(axis=1) + 1e-9)


def test_a_note_made_of_its_magnitudes_begins_as_softly_as_it_did():
    wanted = note(attack=0.1)
    magnitudes = audio_to_magnitudes(wanted, FINE)
    [made] = magnitudes_to_audio_batch([magnitudes], FINE, SynthesisConfig(recording_iter=0))

    def distance(audio):
        return np.abs(levels_db(audio) - levels_db(wanted.numpy()))[30:36].mean()

    assert distance(at_level(made, magnitudes, 30, FINE)) < 0.6 * distance(made)


@pytest.mark.parametrize("n_lead", [0, 30])
def test_audio_at_its_own_level_stays_nearly_as_it_is(n_lead):
    audio = note(0.3)
    made = at_level(audio.numpy(), audio_to_magnitudes(audio, FINE), n_lead, FINE)
    held = slice(50, 85)
    assert np.abs(levels_db(made) - levels_db(audio.numpy()))[held].max() < 1


def test_silence_stays_silence_and_gains_are_bounded():
    silent = np.zeros(40 * HOP, np.float32)
    assert not at_level(silent, torch.zeros(40, FINE.n_bins), 3, FINE).any()
    noise = np.full(40 * HOP, 1e-5, np.float32)
    assert np.abs(at_level(noise, torch.ones(40, FINE.n_bins), 0, FINE)).max() <= 8.01e-5


def test_deconvolution_finds_what_was_convolved():
    kernel = torch.hann_window(11, periodic=False)
    kernel /= kernel.sum()
    wanted = torch.zeros(60)
    wanted[20:40] = torch.linspace(1, 0.2, 20)
    seen = torch.nn.functional.conv1d(wanted[None, None], kernel[None, None], padding=5)[0, 0]
    first = seen.clone()
    first[:20] = 0
    errors = [
        float((deconvolved(seen, kernel, first, n) - wanted).norm() / wanted.norm())
        for n in (0, 5, 50)
    ]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.1
    result = deconvolved(seen, kernel, first, 50)
    assert (result >= 0).all() and not result[:20].any()


def test_low_bands_see_an_impulse_for_longer():
    kernels = band_kernels(FINE, 0.26)
    lags = torch.arange(kernels.shape[1]) - kernels.shape[1] // 2
    widths = (kernels * lags**2).sum(dim=1).sqrt() * FINE.frame_seconds
    assert torch.allclose(kernels.sum(dim=1), torch.ones(FINE.n_bins))
    assert torch.allclose(kernels, kernels.flip(1), atol=1e-6)
    assert widths[60] > 2 * widths[200] > 4 * widths[350]
