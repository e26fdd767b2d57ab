"""The examples in docstrings run as they are written."""

import doctest
import importlib

import pytest
from training_helpers import write_tiny_set

MODULES = (
    "lt.config",
    "lt.audio.features",
    "lt.audio.io",
    "lt.data.dataset",
    "nsgt_wrap.transform",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    write_tiny_set(tmp_path / "data" / "lt_set.npz")
    monkeypatch.chdir(tmp_path)
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted and not failed
