"""Dynamics of whole notes: those whose level the model expects, beside majority and forest."""

import numpy as np
import pytest
import torch
from analysis_helpers import harmonic, set_of_recordings, train

from lt.audio.features import audio_to_magnitudes, semitone_bands
from lt.config import SpectralConfig
from lt.evaluation import note_dynamics
from lt.evaluation.context import open_context
from lt.evaluation.note_dynamics import note_dynamics_scores
from lt.evaluation.results import Results
from lt.inference.onsets import partial_bands
from lt.inference.symbol_spectra import SymbolSpectra
from lt.inference.velocities import nearest_dynamics
from lt.midi import DYNAMICS_VELOCITIES
from lt.models.runs import load_run

LEVELS = 10.0 ** (np.arange(5) * 4 / 20)  # of five dynamics, 4 dB apart
BANDS = np.zeros(102)
BANDS[partial_bands(62, 30.0, 102, 4)] = 0.1, 0.05, 0.02, 0.01
SPECTRA = SymbolSpectra(
    np.array([62]),
    np.array(DYNAMICS_VELOCITIES),
    np.array([0.0, 1.0]),
    (LEVELS[:, None, None] * np.ones((2, 1)) * BANDS)[None],
)


@pytest.mark.parametrize("dynamics", range(5))
@pytest.mark.parametrize("deviation_db", [-1.5, 0.0, 1.5])
def test_the_nearest_level_decides(dynamics, deviation_db):
    heard = np.tile(LEVELS[dynamics] * BANDS * 10 ** (deviation_db / 20), (9, 1))
    assert nearest_dynamics(heard, np.linspace(0, 1, 9), 62, SPECTRA, 30.0) == dynamics


def test_a_model_that_knows_every_level_reads_the_dynamics_of_all_notes(tmp_path, monkeypatch):
    set_of_recordings(tmp_path / "data")  # each note at three levels, 6 dB apart
    folder = train(tmp_path / "data" / "set.npz", tmp_path / "saves", "--epochs", 1)
    context = open_context(load_run(folder))
    numbers, bands = np.arange(60, 72), []
    for number in numbers:
        levels = [harmonic(number, 0.3, level, 3) for level in (0.05, 0.1, 0.2)]
        bands.append([[bands_of(audio)] * 2 for audio in levels])
    velocities = np.array(DYNAMICS_VELOCITIES)[[0, 2, 4]]
    spectra = SymbolSpectra(numbers, velocities, np.array([0.0, 1.0]), np.array(bands))
    monkeypatch.setattr(note_dynamics, "symbol_spectra", lambda run: (spectra,))
    results = Results({}, note_dynamics_scores(context, "test"))
    n_notes = len(context.split.notes["test"])
    assert results.value("accuracy") == results.value("balanced_accuracy") == 1 and n_notes > 1
    assert results.value("mean_class_error") == 0
    assert results.value("accuracy", "baselines", name="forest") == 1
    assert 0 <= results.value("accuracy", "baselines", name="majority") <= 2 / 3


def bands_of(audio):
    """(bands,) magnitudes in the middle of a sound."""
    magnitudes = audio_to_magnitudes(torch.from_numpy(audio), SpectralConfig())
    return semitone_bands(magnitudes[len(magnitudes) // 2], SpectralConfig()).numpy()
