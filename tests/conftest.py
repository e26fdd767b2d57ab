"""Fixtures that several test modules share: a tiny data set, and lt_train.py on it."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import settings
from training_helpers import TINY, write_tiny_set

# Processes that compile the same functions of librosa at once spoil numba's cache, and crash: each
# worker of pytest-xdist, with what it starts, has its own.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["NUMBA_CACHE_DIR"] = str(Path(sys.prefix) / "numba_cache" / worker)

settings.register_profile(
    "seeded", derandomize=True
)  # every run tries the same; --hypothesis-profile default others
settings.load_profile("seeded")


def pytest_collection_modifyitems(items):
    """The kind of a fault goes with the test's report, also from a worker of pytest-xdist."""
    for item in items:
        if mark := item.get_closest_marker("fault"):
            item.user_properties.append(("fault", mark.args[0]))


def pytest_terminal_summary(terminalreporter, config):
    """`make faults`: a table of outcomes by kind of fault."""
    if "fault" not in config.option.markexpr:
        return
    outcomes = ("passed", "failed", "skipped")
    counts = Counter(
        (kind, outcome)
        for outcome in outcomes
        for report in terminalreporter.stats.get(outcome, ())
        for name, kind in report.user_properties
        if name == "fault"
    )
    terminalreporter.section("faults by kind")
    terminalreporter.write_line(" " * 24 + "".join(f"{outcome:>9}" for outcome in outcomes))
    for kind in sorted({kind for kind, _ in counts}):
        row = "".join(f"{counts[kind, outcome]:9d}" for outcome in outcomes)
        terminalreporter.write_line(f"{kind:<24}{row}")


@pytest.fixture(scope="session", autouse=True)
def shared_gains():
    """Runs of equal settings and weights share the gain that they play at, which takes seconds."""
    from lt.inference import play, synthesis

    gains, playing_gain = {}, synthesis.playing_gain

    def shared(run, *config):
        weights = [value.tolist() for value in (*run.model.parameters(), *run.model.buffers())]
        constants = [value for value in vars(run.model).values() if isinstance(value, float)]
        key = repr((run.settings.to_dict(), type(run.model), weights, constants, config))
        if key not in gains:
            gains[key] = playing_gain(run, *config)
        return gains[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (play, synthesis):
            patch.setattr(module, "playing_gain", shared)
        yield


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory) -> Path:
    """A data set of two instruments with 30 notes of 6 frames each."""
    return write_tiny_set(tmp_path_factory.mktemp("data") / "tiny.npz")


@pytest.fixture
def lt_train(tiny_set, tmp_path):
    """Run lt_train.py in this process: `lt_train("--epochs 2")` -> click's result; a list keeps
    spaces.
    """
    from lt_train import main

    def run(flags="", base=(*TINY, "--dbroot", str(tiny_set), "--instruments", "Flute")):
        flags = flags.split() if isinstance(flags, str) else list(map(str, flags))
        if "--load" in flags:
            base = ()
        elif "--savedir" not in flags:
            base = (*base, "--savedir", str(tmp_path / "saves"))
        return CliRunner().invoke(main, [*base, *flags])

    return run


@pytest.fixture
def no_figures(monkeypatch):
    """Training without its figures, which take longer than the training of tiny models."""
    for name in ("plot_losses", "plot_reconstructions"):
        monkeypatch.setattr(f"lt.training.callbacks.{name}", lambda *arguments: None)
