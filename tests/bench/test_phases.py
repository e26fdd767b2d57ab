"""Distances after phases were found anew (bench/phases.py)."""

import numpy as np
import torch
from click.testing import CliRunner

from bench import phases
from bench.sound_measures import RATE
from lt.config import SpectralConfig

FINE = SpectralConfig(hop=44, frame_hop=176)


def test_iterations_bring_a_sound_nearer_to_itself():
    time = np.arange(RATE) / RATE
    sound = sum(0.2 / k * np.sin(2 * np.pi * 330 * k * time) for k in (1, 2, 3))
    found = {
        (start, n_iter): values
        for start, n_iter, values in phases.rows([sound], FINE, ["random"], [0, 30])
    }
    assert list(found) == [("random", 30), ("random", 0)]
    for name in ("log_spectral_distance_db", "multi_scale_distance"):
        assert found["random", 30][name] < found["random", 0][name]


def test_what_cannot_be_measured_is_said(monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)  # of all tests
    for flags in ([], ["--font", "Kazoo"]):
        result = CliRunner().invoke(phases.main, flags)
        assert result.exit_code == 2 and "font" in result.stderr or "Kazoo" in result.stderr
