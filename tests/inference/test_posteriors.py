"""A recording is analysed in one pass: its frames, levels and bands are those of the whole sound,
whatever the blocks it comes in.
"""

import numpy as np
import pytest
import torch
from playing_helpers import make_run

from lt.audio.features import audio_to_magnitudes
from lt.audio.filters import high_pass
from lt.audio.io import to_peak, write_audio
from lt.config import SpectralConfig
from lt.inference.note_decoding import transcribe
from lt.inference.onsets import partial_bands
from lt.inference.posteriors import (
    _semitone_bands,
    analyse_audio,
    encode,
    stride,
    voices_of_keys,
)
from lt.inference.synthesis import reconstruct
from lt.labels import N_KEYS, LabelSpace
from lt.models.runs import load_run

RATE = 22050
WIDTH = SpectralConfig.frame_hop // SpectralConfig.hop  # coefficients of a model frame
STRIDE = stride(SpectralConfig())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return load_run(make_run(tmp_path_factory.mktemp("run") / "model"))


def noise(n_samples, level=0.1):
    return np.random.default_rng(0).standard_normal(n_samples).astype(np.float32) * level


def test_magnitudes_are_those_of_the_whole_sound(run):
    audio = noise(150_000)
    analysis = analyse_audio(run, np.array_split(audio, 11))
    clear = torch.from_numpy(high_pass(audio, run.front_end))
    whole = audio_to_magnitudes(clear, run.front_end)
    torch.testing.assert_close(analysis.spectra.magnitudes, whole, rtol=1e-4, atol=1e-6)
    assert len(analysis.posteriors.probabilities[0]) == len(whole)


@pytest.mark.parametrize("n_samples", [1, 703, 704, 705, 45_056, 45_057, 100_000])
def test_fine_frames_cover_the_model_frames(run, n_samples):
    analysis = analyse_audio(run, [noise(n_samples)])
    posteriors = analysis.posteriors
    n_model_frames = -(-n_samples // 704)
    assert len(analysis.spectra.magnitudes) == n_model_frames
    assert len(posteriors.level_db) == len(posteriors.clear_db) == len(posteriors.bands)
    assert len(posteriors) == -(-n_model_frames * WIDTH // STRIDE)
    assert posteriors.model_frames[0] == 0 and posteriors.model_frames[-1] == n_model_frames - 1
    np.testing.assert_allclose(posteriors.interpolation.sum(axis=1), 1, rtol=1e-6)


def test_a_given_tuning_is_what_the_model_and_the_decoder_hear(run):
    """A sound at A = 415 Hz, given as such, is heard as that at A = 440 Hz; by itself a semitone
    lower.
    """
    times = np.arange(RATE) / RATE
    flat, concert = (
        [np.sin(2 * np.pi * hertz * times).astype(np.float32)] for hertz in (415.305, 440.0)
    )
    heard, expected = analyse_audio(run, flat, tuning=415.305), analyse_audio(run, concert)
    assert heard.spectra.tuning == pytest.approx(-1, abs=1e-3)
    middle = slice(8, 24)
    for own, other in zip(heard.posteriors.probabilities, expected.posteriors.probabilities):
        np.testing.assert_allclose(own[middle], other[middle], atol=0.05)
    [band] = partial_bands(69, heard.posteriors.fmin, heard.posteriors.bands.shape[1], 1)
    assert heard.posteriors.bands[80].argmax() == band
    assert abs(analyse_audio(run, flat).spectra.tuning) < 0.05


def test_nothing_is_no_recording(run):
    with pytest.raises(ValueError, match="at least one sample"):
        analyse_audio(run, [])


def test_bands_are_those_of_a_model_frame_around_a_fine_frame(run):
    """Where the middle coefficient of a model frame is that of a fine frame."""
    analysis = analyse_audio(run, [noise(100_000)])
    power = analysis.spectra.magnitudes[:, :408].square().unflatten(1, (-1, 4)).sum(dim=2)
    bands = torch.from_numpy(analysis.posteriors.bands).float()
    middles = [(frame, WIDTH * frame + WIDTH // 2) for frame in range(1, len(power) - 1)]
    shared = [(frame, middle // STRIDE) for frame, middle in middles if middle % STRIDE == 0]
    assert len(shared) > 30
    for frame, fine in shared:
        expected = power[frame].sqrt()
        torch.testing.assert_close(bands[fine], expected, rtol=2e-3, atol=1e-6)
        assert analysis.posteriors.model_frames[fine] == frame


def test_sound_far_above_full_scale_has_finite_bands():
    bands = _semitone_bands(torch.full((410, WIDTH + 1), 1e5), SpectralConfig())
    assert np.isfinite(bands).all()


def test_the_level_is_that_of_the_sound_whatever_the_blocks(run):
    times = np.arange(RATE) / RATE
    audio = (0.1 * np.sin(2 * np.pi * 440 * times) * (times > 0.5)).astype(np.float32)
    levels = [
        analyse_audio(run, np.split(audio, range(size, RATE, size))).posteriors.level_db
        for size in (RATE, 1000, 77)
    ]
    np.testing.assert_allclose(levels[0], levels[1], atol=1e-3)
    np.testing.assert_allclose(levels[0], levels[2], atol=1e-3)
    assert levels[0][:80].max() < -100
    inner = levels[0][92 : RATE // (STRIDE * SpectralConfig.hop) - 4]
    np.testing.assert_allclose(inner, 20 * np.log10(0.1 / np.sqrt(2)), atol=1.0)


@pytest.mark.parametrize("function", [encode, reconstruct])
def test_audio_of_the_caller_is_checked(run, function):
    audio = noise(30_000)
    np.testing.assert_array_equal(function(run, audio.astype(np.float64)), function(run, audio))
    for wrong in ((audio * 32768).astype(np.int16), audio[None], np.full(9, np.nan), "tone.wav"):
        with pytest.raises(ValueError, match="expected|NaN"):
            function(run, wrong)


def test_encoding_by_blocks_is_that_of_the_whole(run):
    audio = noise(150_000)
    magnitudes = analyse_audio(run, [audio]).spectra.magnitudes
    with torch.no_grad():
        whole = run.model.encode_signal(run.scaler.apply(magnitudes)).top.mean
    np.testing.assert_allclose(encode(run, audio), whole, rtol=1e-4, atol=1e-5)


class CountingBar:
    """A bar in place of tqdm's."""

    shown = []

    def __init__(self, total, desc, unit):
        self.done = 0
        CountingBar.shown.append((self, total, unit))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def update(self, n):
        self.done += n


def test_progress_counts_the_frames(run, tmp_path, monkeypatch):
    monkeypatch.setattr(CountingBar, "shown", [])
    audio = noise(100_000)
    write_audio(tmp_path / "a.wav", to_peak(audio))
    encode(run, audio, progress=CountingBar)
    transcribe(run, tmp_path / "a.wav", progress=CountingBar)
    n_frames = -(-len(audio) // 704)
    assert len(CountingBar.shown) == 4
    for bar, total, unit in CountingBar.shown:
        assert (bar.done, total, unit) == (n_frames, n_frames, "frame")


def test_voices_have_the_most_probable_keys_from_the_lowest_on():
    space = LabelSpace.of_voices(("octave", "pitch", "dynamics"), ("Piano",), (3,))
    keys = torch.full((2, N_KEYS), 0.01)
    keys[0, [67 - 12, 60 - 12]] = torch.tensor([0.9, 0.8])
    groups = [torch.full((2, size), 1 / size) for size in space.group_sizes]
    voices = voices_of_keys(keys, groups, space)
    classes = np.stack([own.argmax(dim=1).numpy() for own in voices], axis=1)
    labels = space.to_labels(classes.reshape(2, 3, 3))
    assert [own.note_number.tolist() for own in labels] == [[60, -1], [67, -1], [-1, -1]]
    for own in voices:
        torch.testing.assert_close(own.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(voices[0][0, 4], torch.tensor(0.8))
