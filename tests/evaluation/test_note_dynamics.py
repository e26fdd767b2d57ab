"""Dynamics of whole notes: those whose spectrum the model expects, beside majority and forest."""

import numpy as np
import pytest
import torch
from analysis_helpers import harmonic, set_of_recordings, train

from lt.audio.features import audio_to_magnitudes, semitone_bands
from lt.config import SpectralConfig
from lt.evaluation import note_dynamics
from lt.evaluation.context import open_context
from lt.evaluation.note_dynamics import DynamicsLogit, note_dynamics_scores
from lt.evaluation.results import Results
from lt.inference.onsets import partial_bands
from lt.inference.symbol_spectra import SymbolSpectra
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


def excess_of(true, rng, level_db, colour_db):
    """Four dynamics, 6 dB apart in level and 3 dB a partial in colour."""
    steps = (true - np.arange(4))[:, None] * (6.0 + 3.0 * np.linspace(-1.5, 1.5, 6))
    colour = rng.normal(0, colour_db, 6)
    return steps + rng.normal(0, level_db) + colour - colour.mean()


@pytest.mark.parametrize("level_db, colour_db", [(10.0, 0.3), (0.3, 10.0)])
def test_what_tells_the_dynamics_is_weighed_by_how_far_it_is_off(level_db, colour_db):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 300)
    excess = [excess_of(true, rng, level_db, colour_db) for true in truth]
    logit = DynamicsLogit.fit(excess[:200], truth[:200])
    right = np.mean([logit(own) == true for own, true in zip(excess[200:], truth[200:])])
    by_level = np.mean([np.abs(e.mean(axis=1)).argmin() == d for e, d in zip(excess, truth)])
    assert right > 0.9 and (right > by_level + 0.2 or level_db < 1)


def test_frequent_dynamics_are_more_probable():
    rng = np.random.default_rng(0)
    truth = np.array([2] * 90 + [1] * 10)
    logit = DynamicsLogit.fit([excess_of(true, rng, 4.0, 4.0) for true in truth], truth)
    assert logit.bias.argmax() == 2
    between = 0.5 * (excess_of(1, rng, 0, 0) + excess_of(2, rng, 0, 0))
    assert logit(between) == 2


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
