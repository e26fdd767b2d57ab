"""Training as a library: examples of the docstrings, results, exceptions, progress, threads."""

import signal
import threading

import pytest
from training_helpers import assert_equal_runs, signal_during_step

from lt.config import RunConfig
from lt.models import runs
from lt.training.launch import TrainingStopped, resume, train


@pytest.fixture
def config(tiny_set, tmp_path):
    return RunConfig(
        dbroot=str(tiny_set),
        savedir=str(tmp_path / "saves"),
        instruments=("Flute",),
        frames=(),
        dims=(3,),
        hidden_dims_1=(12,),
        hidden_dims_2=(8,),
        epochs=2,
    )


def test_training_prints_nothing_and_returns_what_was_trained(config, no_figures, capsys):
    trained = train(config)
    assert trained.epochs == 2 and trained.path.name == "scan_multi__Flute"
    assert trained.best_valid == min(
        row["valid_total"] for row in runs.load_run(trained.path).folder.history(2).rows
    )
    assert resume(trained.path, "last").epochs == 2
    assert capsys.readouterr() == ("", "")


def test_a_signal_is_an_exception_after_which_training_can_be_resumed(
    config, no_figures, monkeypatch
):
    whole = train(config)
    kept = whole.path.rename(whole.path.with_name("whole"))
    with monkeypatch.context() as patch:
        signal_during_step(patch, 2, signal.SIGINT)
        with pytest.raises(TrainingStopped, match="stopped in epoch 1 after step 2") as stopped:
            train(config)
    assert stopped.value.signal_number == signal.SIGINT
    assert_equal_runs(kept, resume(whole.path, "last").path)


def test_training_in_a_thread(config, no_figures):
    results = []
    thread = threading.Thread(target=lambda: results.append(train(config)))
    thread.start()
    thread.join()
    assert [trained.epochs for trained in results] == [2]


@pytest.mark.parametrize("changes", [{"epochs": 3.5}, {"epochs": "9"}, {"epoch": 9}])
def test_changes_that_are_no_settings_leave_the_run_as_it_was(config, no_figures, changes):
    path = train(config).path
    before = (path / "config.json").read_bytes()
    with pytest.raises(ValueError, match="epoch"):
        resume(path, "last", changes)
    assert (path / "config.json").read_bytes() == before
