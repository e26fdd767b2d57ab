"""Features: exact frame times, exact inverses, shapes independent of the level."""

import numpy as np
import pytest
import torch

from lt.audio.features import Scaler, audio_to_magnitudes, retrieve_phase
from lt.config import SpectralConfig

CONFIG = SpectralConfig()


def tone(hertz, seconds=1.0, level=0.3):
    times = (
        torch.arange(int(seconds * CONFIG.sample_rate), dtype=torch.float64) / CONFIG.sample_rate
    )
    return (level * torch.sin(2 * np.pi * hertz * times)).float()


def magnitudes(n_frames=50):
    return torch.rand(n_frames, CONFIG.n_bins, generator=torch.Generator().manual_seed(0)).pow(4)


def test_the_front_end_has_the_articles_410_bins():
    assert CONFIG.n_bins == 410 and abs(CONFIG.frame_rate - 31.3) < 0.05
    assert audio_to_magnitudes(tone(440)).shape == (32, 410)


@pytest.mark.parametrize("hertz", [110, 440, 1760])
def test_a_tone_peaks_in_its_bin_and_a_semitone_up_four_bins_higher(hertz):
    bins = [
        int(audio_to_magnitudes(tone(hertz * 2 ** (step / 12)))[15].argmax()) for step in (0, 1)
    ]
    assert abs(bins[0] - 48 * np.log2(hertz / CONFIG.fmin)) <= 1
    assert bins[1] - bins[0] == 4


@pytest.mark.parametrize("start, n_iter", [("propagated", 0), ("random", 30)])
def test_phase_retrieval_gives_the_magnitudes_back_and_repeats_by_seed(start, n_iter):
    wanted = audio_to_magnitudes(tone(440, 2.0))
    sounds = [
        retrieve_phase(wanted, CONFIG, n_iter, torch.Generator().manual_seed(1), start)
        for _ in range(2)
    ]
    torch.testing.assert_close(sounds[0], sounds[1], rtol=0, atol=0)
    again = audio_to_magnitudes(sounds[0])
    error = (again - wanted).norm() / wanted.norm()
    assert float(error) < 0.1  # -20 dB


def test_silence_stays_silent():
    audio = retrieve_phase(torch.zeros(20, 410), CONFIG, 5, torch.Generator(), "propagated")
    assert len(audio) == 20 * CONFIG.frame_hop and not audio.any()


@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_features_invert_exactly(kind):
    scaler = Scaler.fit(magnitudes(), kind, 60.0)
    rows = magnitudes(80) * torch.logspace(-3, 0, 80)[:, None]
    features = scaler.apply(rows)
    assert features.shape == (80, scaler.n_features)
    torch.testing.assert_close(scaler.invert(features), rows, rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_features_of_subframes_are_those_of_each_side_by_side(kind):
    scaler = Scaler.fit(magnitudes(), kind, 100.0)
    rows = magnitudes(24).view(6, 4, 410)
    features = scaler.apply_to_subframes(rows)
    assert features.shape == (6, 4 * scaler.n_features)
    torch.testing.assert_close(features.view(6, 4, -1)[:, 2], scaler.apply(rows[:, 2]))
    torch.testing.assert_close(scaler.invert_to_subframes(features), rows, rtol=1e-3, atol=2e-6)


def test_the_shape_is_independent_of_the_level():
    scaler = Scaler.fit(magnitudes(), "relative", 40.0)
    loud, quiet = scaler.apply(magnitudes()), scaler.apply(magnitudes() * 0.01)
    torch.testing.assert_close(loud[:, :410], quiet[:, :410], rtol=1e-4, atol=1e-4)
    difference_db = (loud - quiet)[:, 410] * scaler.level_std_db
    torch.testing.assert_close(
        difference_db, torch.full_like(difference_db, 40.0), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_what_is_below_the_floor_of_features_is_not_resolved(kind):
    scaler = Scaler(kind, 4, 40.0, 2.0, -20.0, 10.0)
    above, below = (
        scaler.invert(scaler.apply(torch.full((1, 4), 10 ** ((scaler.floor_db + db) / 20))))
        for db in (20.0, -100.0)
    )
    assert above.max() == pytest.approx(10 ** ((scaler.floor_db + 20) / 20), rel=0.01)
    assert below.max() <= 1.001 * 10 ** (scaler.floor_db / 20)


def test_absolute_features_are_standardised_and_silence_is_finite():
    scaler = Scaler.fit(magnitudes(), "absolute", 80.0)
    features = scaler.apply(magnitudes())
    assert abs(float(features.mean())) < 1e-3 and abs(float(features.std()) - 1) < 1e-3
    for kind in ("absolute", "relative"):
        scaler = Scaler.fit(magnitudes(), kind, 80.0)
        silent = scaler.apply(torch.zeros(2, 410))
        assert torch.isfinite(silent).all()
        torch.testing.assert_close(scaler.invert(silent), torch.zeros(2, 410), rtol=0, atol=1e-6)


def test_what_cannot_be_scaled_is_an_error():
    with pytest.raises(ValueError, match="all silent"):
        Scaler.fit(torch.zeros(4, 410), "absolute", 80.0)
    with pytest.raises(ValueError, match="unknown features"):
        Scaler.fit(magnitudes(), "mel", 80.0)
    with pytest.raises(ValueError, match="expected 410 bins, got 512"):
        Scaler.fit(magnitudes(), "absolute", 80.0).apply(torch.zeros(1, 512))
