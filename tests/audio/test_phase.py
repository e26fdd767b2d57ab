"""Phase reconstruction: chunks meet without a seam where it is quiet, sounds of a batch do not
reach into each other.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from playing_helpers import organ

from lt.audio import phase
from lt.audio.features import audio_to_magnitudes
from lt.audio.phase import chunk_borders, magnitudes_to_audio, magnitudes_to_audio_batch
from lt.config import SpectralConfig, SynthesisConfig
from lt.inference.decoding import decode_magnitudes

RUN = organ()
QUICK = SynthesisConfig(n_iter=8)


def steady(n_frames):
    """Magnitudes (n_frames, bins) of a steady note."""
    return decode_magnitudes(RUN, torch.tensor([[4.0, 9.0, 4.0]]).expand(n_frames, 3))


def test_chunks_cover_all_frames_and_meet_where_it_is_quiet():
    magnitudes = torch.ones(450, 4)
    magnitudes[80] = magnitudes[160] = 0.1
    borders = chunk_borders(magnitudes, 100)
    assert borders[:3] == [0, 81, 161] and borders[-1] == 450
    assert np.diff(borders).max() <= 100 and np.diff(borders).min() > 0
    assert chunk_borders(magnitudes, 450) == [0, 450]


def test_chunks_meet_without_a_seam():
    config = replace(QUICK, chunk_seconds=64 * RUN.front_end.frame_seconds)
    audio = magnitudes_to_audio(steady(150), RUN.front_end, config).astype(np.float64)
    jumps = np.abs(np.diff(audio, 2))[704:-704]
    assert jumps.max() < 3 * np.percentile(jumps, 99)
    assert len(audio) == 150 * 704 and abs(audio[0]) == 0 and abs(audio[-1]) < 1e-3


def test_sounds_of_a_batch_have_their_own_lengths_levels_and_a_gap_between():
    sounds = [steady(20), torch.zeros(10, RUN.front_end.n_bins), steady(15)]
    audio = magnitudes_to_audio_batch(sounds, RUN.front_end, replace(QUICK, gap_seconds=0.26), 3)
    assert [len(part) for part in audio] == [20 * 704, 10 * 704, 15 * 704]
    loud, silent, other = (np.sqrt(np.mean(part[4 * 704 : -4 * 704] ** 2)) for part in audio)
    assert silent < 0.01 * loud and 0.7 < other / loud < 1.4


@pytest.mark.parametrize("phase_start", ["random", "propagated"])
def test_initial_phases_depend_on_seed_and_position(phase_start):
    def audio(seed, *key):
        config = SynthesisConfig(n_iter=1, seed=seed, phase_start=phase_start)
        return magnitudes_to_audio_batch([steady(10)], RUN.front_end, config, *key)[0]

    np.testing.assert_array_equal(audio(0, 1), audio(0, 1))
    assert not np.allclose(audio(0, 1), audio(1, 1)) and not np.allclose(audio(0, 1), audio(0, 2))


def test_subframes_are_frames_of_a_front_end_of_their_own():
    front_end = SpectralConfig(hop=44, subframes=4)
    time = torch.arange(50 * front_end.frame_hop) / front_end.sample_rate
    audio = 0.3 * (2 * torch.pi * 440 * time).sin()
    fine = audio_to_magnitudes(audio, front_end.of_subframes)
    assert fine.shape == (200, front_end.n_bins)
    made = magnitudes_to_audio(fine, front_end.of_subframes, SynthesisConfig(n_iter=0))
    again = audio_to_magnitudes(torch.from_numpy(made), front_end.of_subframes)[20:-20]
    assert len(made) == len(audio) and (again - fine[20:-20]).norm() < 0.05 * fine[20:-20].norm()


@pytest.mark.parametrize("start, most", [("propagated", 2), ("random", 30)])
def test_few_iterations_are_taken_from_propagated_phases(monkeypatch, start, most):
    taken = []
    monkeypatch.setattr(
        phase,
        "retrieve_phase",
        lambda magnitudes, config, n_iter, rng, start: (
            taken.append(n_iter) or torch.zeros(len(magnitudes) * config.frame_hop)
        ),
    )
    sound, config = torch.rand(20, SpectralConfig().n_bins), SynthesisConfig(phase_start=start)
    magnitudes_to_audio_batch([sound], SpectralConfig(), config)
    magnitudes_to_audio(sound, SpectralConfig(), config)
    magnitudes_to_audio(sound, SpectralConfig(), replace(config, n_iter=7))
    assert taken == [most, most, 7]
