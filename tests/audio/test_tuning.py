"""Tuning: a tone so many cents sharp is measured as such, and brought back."""

import numpy as np
import pytest
import torch

from lt.audio.features import audio_to_magnitudes
from lt.audio.tuning import estimate_tuning, shift_bins, tune
from lt.config import SpectralConfig

CONFIG = SpectralConfig()


def scale(semitones, level=0.1):
    """A few notes of three partials each, all `semitones` sharp."""
    times = np.arange(11025) / 22050
    notes = []
    for number in (62, 67, 72, 79, 86):
        hertz = 440 * 2 ** ((number + semitones - 69) / 12)
        notes.append(
            sum(np.sin(2 * np.pi * hertz * k * times) / k for k in (1, 2, 3)) * np.hanning(11025)
        )
    return torch.from_numpy(level * np.concatenate(notes)).float()


@pytest.mark.parametrize("semitones", [-0.4, -0.15, 0.0, 0.2, 0.35])
def test_a_scale_is_as_sharp_as_it_was_made(semitones):
    magnitudes = audio_to_magnitudes(scale(semitones))
    measured = estimate_tuning(magnitudes, CONFIG)
    assert abs(measured - semitones) < 0.03
    assert abs(estimate_tuning(tune(magnitudes, -measured, CONFIG), CONFIG)) < 0.05


def tone(number, semitones):
    """Three partials of a note that deviates by so many semitones (samples,)."""
    phase = 2 * np.pi * np.cumsum(440 * 2 ** ((number - 69 + semitones) / 12)) / 22050
    return sum(np.sin(k * phase) / k for k in (1, 2, 3)) * np.hanning(len(phase)) ** 0.25


@pytest.mark.parametrize("depth", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
@pytest.mark.parametrize("detuned", [0.0, 0.3])
def test_vibrato_is_as_sharp_as_its_middle(depth, detuned):
    times = np.arange(22050) / 22050
    swing = [depth * np.sin(2 * np.pi * rate * times) for rate in (4.0, 5.0, 6.5, 8.0)]
    notes = [tone(number, detuned + swing[i % 4]) for i, number in enumerate((62, 67, 72, 79, 86))]
    measured = estimate_tuning(audio_to_magnitudes(torch.from_numpy(np.concatenate(notes))), CONFIG)
    assert abs(measured - detuned) < 0.1


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("notes_a_second", [4, 8])
def test_a_trill_is_as_sharp_as_its_notes(width, notes_a_second):
    upper = width * (np.arange(22050) * notes_a_second // 22050 % 2)
    trills = [tone(number, 0.2 + upper) for number in (72, 75, 79)]
    measured = estimate_tuning(
        audio_to_magnitudes(torch.from_numpy(np.concatenate(trills))), CONFIG
    )
    assert abs(measured - 0.2) < 0.1


def test_silence_is_in_tune():
    assert estimate_tuning(torch.zeros(5, 410), CONFIG) == 0.0


def test_tuning_by_nothing_changes_nothing():
    magnitudes = torch.rand(3, 410)
    assert tune(magnitudes, 0.0, CONFIG) is magnitudes


def test_all_subframes_of_a_row_are_moved_alike():
    magnitudes = torch.rand(3, 4, 60, generator=torch.Generator().manual_seed(0))
    moved = shift_bins(magnitudes, torch.tensor([0.0, 4.0, -1.5]))
    assert moved.shape == magnitudes.shape
    for row, shift in enumerate((0.0, 4.0, -1.5)):
        for index in range(4):
            alone = shift_bins(magnitudes[row, index][None], torch.tensor([shift]))[0]
            torch.testing.assert_close(moved[row, index], alone)
    assert torch.equal(moved[1, :, 4:], magnitudes[1, :, :-4])
