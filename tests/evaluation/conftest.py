"""Tiny runs: a flute, and mixtures of a flute and a violin."""

import pytest
from analysis_helpers import train


@pytest.fixture(scope="session")
def tiny_runs(tiny_set, tmp_path_factory):
    """Folder with the runs `scan_multi__Flute` and `scan_multi__Flute_Violin`."""
    folder = tmp_path_factory.mktemp("runs")
    for instruments in (("Flute",), ("Flute", "Violin")):
        train(tiny_set, folder, "--instruments", *instruments, "--epochs", 1)
    return folder
