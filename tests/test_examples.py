"""The examples in docstrings run as they are written."""

import doctest
import importlib

import numpy as np
import pytest
from playing_helpers import make_run
from training_helpers import write_tiny_set

from lt.audio.io import write_audio

MODULES = (
    "lt.config",
    "lt.audio.features",
    "lt.audio.io",
    "lt.data.dataset",
    "lt.inference.synthesis",
    "nsgt_wrap.transform",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    write_tiny_set(tmp_path / "data" / "lt_set.npz")
    make_run(tmp_path / "saves" / "flute__Flute")
    write_audio(tmp_path / "recording.wav", np.sin(np.arange(8000) / 10))
    monkeypatch.chdir(tmp_path)
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted and not failed
