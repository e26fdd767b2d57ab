"""Every stage of `make bench` runs from end to end, here on little data."""

import pytest

from bench import speed, speed_peers, speed_stages, speed_training

FLUTE = speed.ROOT / "lt" / "pretrained" / "flute"
SMALL = {
    speed_stages: {"MINUTE": 5, "TEN_MINUTES": 12, "HOUR": 20, "N_ITER": 2, "LIBRARY_NOTES": 2}
    | {"DENSE_NOTES": 30, "DENSE_SECONDS": 5, "N_NOTES": 6},
    speed_training: {"STEPS": 1, "NOTES": 12, "SIZES": (1, 2), "WORKERS": (1, 2)},
}


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in speed_stages.STAGES if name != "cuda"])
def test_a_stage_runs_to_its_end(name, monkeypatch):
    for module, values in SMALL.items():
        for constant, value in values.items():
            monkeypatch.setattr(module, constant, value)
    monkeypatch.setattr(speed_peers, "PEERS", {})
    if name in ("checkpoints", "training") and not (speed.ROOT / "data" / "lt_set.npz").is_file():
        pytest.skip("no data set: make demo builds it")
    speed_stages.tune.cache_clear()
    found = speed.measured(name, speed_stages.STAGES[name], FLUTE, 1200)
    assert found["rows"] and not found["remarks"]
