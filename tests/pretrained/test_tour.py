"""The notebook runs from top to bottom."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

TOUR = Path(__file__).parents[2] / "docs" / "tour.ipynb"


@pytest.mark.long
def test_the_tour_runs(installed, tiny_set, no_figures, monkeypatch):
    Path("data").mkdir()
    shutil.copy(tiny_set, "data/lt_set.npz")
    display = SimpleNamespace(Audio=lambda audio, rate: None)  # Jupyter need not be installed
    monkeypatch.setitem(
        sys.modules, "IPython", SimpleNamespace(display=display, version_info=(9, 0))
    )
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    cells = json.loads(TOUR.read_text("utf-8"))["cells"]
    names = {}
    for cell in cells:
        lines = [line for line in cell["source"] if not line.startswith("%")]
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            exec("".join(lines), names)
    assert names["pitch"].shape[1] == 13 and names["z"].shape[1] == 3
    assert len(names["axes"]) == 2 and names["trained"].epochs == 3
