"""A small data set of recorded notes, and the folder of its recordings."""

import pytest
from builder_helpers import build_at, tone

from lt.data.dataset import read_data_set

NAMES = ("A4", "C5", "E5")
LEVELS = {"piano": 0.05, "forte": 0.3}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Notes of two dynamics; A4 has two takes of each, of which the second is longer."""
    root = tmp_path_factory.mktemp("notes") / "flutes"
    for name in NAMES:
        for word, level in LEVELS.items():
            tone(root / f"flute_{name}_1_{word}_normal.wav", name, 0.8, level, silence=0.3)
    for word, level in LEVELS.items():
        tone(root / f"flute_A4_15_{word}_normal.wav", "A4", 1.2, level, silence=0.3)
    return root


@pytest.fixture(scope="session")
def data(folder, tmp_path_factory):
    return read_data_set(build_at(folder, tmp_path_factory.mktemp("set")))
