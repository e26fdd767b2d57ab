"""lt_train.py from the command line: files, messages, exit codes, and that every flag does what it
says.
"""

import json
import os
import re
import signal
import sys
from dataclasses import replace
from importlib import metadata
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from training_helpers import (
    TINY,
    as_subframes,
    assert_equal_runs,
    history_of,
    signal_during_step,
    tensors_of,
    tiny_magnitudes,
    tiny_notes,
    train_in_process,
    wait_for,
    write_tiny_set,
)

from lt.messages import duration
from lt.models.runs import load_run
from lt.training import trainer as training

TERMS = "signal_nll symbol_nll signal_kl symbol_kl cross_1 cross_2 critic total".split()


@pytest.fixture
def run(tmp_path):
    """The folder that the tiny runs write."""
    return tmp_path / "saves" / "scan_multi__Flute"


def only_line(result):
    (line,) = [line for line in result.stderr.splitlines() if "error:" in line]
    return line


def refused(result, code, *words):
    """One line on stderr with these words, that exit code, nothing on stdout."""
    assert result.exit_code == code, result.stderr
    assert result.stdout == "" and "Traceback" not in result.stderr
    for word in words:
        assert word in only_line(result)


# --- what it writes -------------------------------------------------------------------------------


def test_files_of_a_run(lt_train, run):
    result = lt_train("--epochs 2 --save_epochs 2 --plot_epochs 5 --adversarial 1 --adv_dim 8")
    assert result.exit_code == 0 and result.stdout == ""
    for half in ("vae_1", "vae_2"):
        assert sorted(path.name for path in (run / half).iterdir()) == [
            f"scan_multi_{tag}.t7" for tag in ("1", "2", "best", "last")
        ]
    assert sorted(path.name for path in (run / "figures").iterdir()) == [
        "losses.png",
        *(f"reconstructions_{epoch}.{suffix}" for epoch in (1, 2) for suffix in ("pdf", "png")),
    ]
    assert sorted(path.name for path in run.iterdir()) == [
        "config.json",
        "figures",
        "history.csv",
        "vae_1",
        "vae_2",
    ]
    rows = history_of(run)
    assert [row["epoch"] for row in rows] == [1, 2]
    for name in TERMS:
        assert all(
            np.isfinite(row[f"{part}_{name}"]) for row in rows for part in ("train", "valid")
        )
    assert all(
        row["train_critic"] > 0 and row["valid_critic"] > 0 and row["train_critic_own"] > 0
        for row in rows
    )
    assert all(
        row["gradient_norm"] > 0 and row["frames_per_second"] > 0 and row["seconds"] > 0
        for row in rows
    )
    assert [name for name in rows[0] if "_kl_" in name] == [
        f"valid_{half}_kl_0_{index}" for half in ("signal", "symbol") for index in range(3)
    ]
    assert sum(rows[1][f"valid_signal_kl_0_{index}"] for index in range(3)) == pytest.approx(
        rows[1]["valid_signal_kl"], rel=1e-5
    )
    assert "split by note, seed 0: train 22 notes (132 frames)" in result.stderr


def test_config_says_how_the_run_was_made(lt_train, run, no_figures, tiny_set, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lt_train.py", "--exact", "command with space"])
    lt_train("--epochs 1 --seed 7")
    config = json.loads((run / "config.json").read_text())
    assert config["provenance"]["command"] == ["lt_train.py", "--exact", "command with space"]
    assert config["config"]["seed"] == 7 and config["config"]["dims"] == [3]
    assert config["provenance"]["versions"]["torch"] == metadata.version("torch")
    assert {"python", "torch", "numpy"} <= set(config["provenance"]["versions"])
    assert config["classes"]["dynamics"] == ["pp", "p", "mf", "f", "ff", "silence"]
    assert config["front_end"]["bins_per_octave"] == 48 and config["scaler"]["n_bins"] == 410
    assert config["split"]["kind"] == "note" and set(config["split"]["notes"]) == {
        "train",
        "valid",
        "test",
    }
    assert config["data"] == {"path": str(tiny_set), "fingerprint": config["data"]["fingerprint"]}


def test_two_runs_are_the_same_bytes_but_for_times(lt_train, tmp_path):
    for place in ("one", "two # ä"):
        assert (
            lt_train(["--epochs", 2, "--adversarial", 1, "--savedir", tmp_path / place]).exit_code
            == 0
        )
    one, two = (tmp_path / place / "scan_multi__Flute" for place in ("one", "two # ä"))
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(two) for path in two.rglob("*") if path.is_file())
    for name in files:
        if name.name not in ("config.json", "history.csv"):
            assert (one / name).read_bytes() == (two / name).read_bytes(), name
    assert_equal_runs(one, two)
    first, second = (json.loads((path / "config.json").read_text()) for path in (one, two))
    for config in (first, second):
        config["config"].pop("savedir")
        config.pop("provenance")
    assert first == second


def test_another_seed_is_another_run(lt_train, run, no_figures, tmp_path):
    lt_train("--epochs 1")
    lt_train(f"--epochs 1 --seed 1 --savedir {tmp_path / 'other'}")
    rows = [
        history_of(path)[0]["train_total"]
        for path in (run, tmp_path / "other" / "scan_multi__Flute")
    ]
    assert rows[0] != rows[1]


def test_best_is_the_epoch_of_least_validation_loss(lt_train, run, no_figures):
    lt_train("--epochs 8 --learning_rate 0.05")
    losses = [row["valid_total"] for row in history_of(run)]
    assert (
        load_run(run, "best").epoch == 1 + int(np.argmin(losses))
        and load_run(run, "last").epoch == 8
    )


def test_nothing_in_training_depends_on_the_test_part(lt_train, run, no_figures, tmp_path):
    lt_train("--epochs 2")
    test_notes = json.loads((run / "config.json").read_text())["split"]["notes"]["test"]
    magnitudes = tiny_magnitudes(tiny_notes())
    for note in test_notes:
        magnitudes[6 * note : 6 * note + 5] = 1e9
    write_tiny_set(tmp_path / "poisoned.npz", magnitudes)
    base = [*TINY, "--instruments", "Flute", "--dbroot", tmp_path / "poisoned.npz"]
    lt_train(["--epochs", 2, "--savedir", tmp_path / "other"], base=list(map(str, base)))
    other = tmp_path / "other" / "scan_multi__Flute"
    one, two = (tensors_of(path / "vae_1" / "scan_multi_last.t7") for path in (run, other))
    assert all(
        torch.equal(value, two[place])
        for place, value in one.items()
        if isinstance(value, torch.Tensor)
    )


def test_save_seconds_holds(lt_train, run, no_figures, monkeypatch):
    saved = []
    save = training.RunFolder.save
    monkeypatch.setattr(
        training.RunFolder,
        "save",
        lambda self, state, *tags: (
            saved.extend((tag, state.epoch) for tag in tags),
            save(self, state, *tags),
        ),
    )
    lt_train("--epochs 7 --save_epochs 5 --save_seconds 1000")
    assert [epoch for tag, epoch in saved if tag == "last"] == [1, 5, 7]
    assert [tag for tag, _ in saved if isinstance(tag, int)] == [1, 5, 7]
    assert load_run(run).epoch == 1 + int(
        np.argmin([row["valid_total"] for row in history_of(run)])
    )
    saved.clear()
    lt_train("--epochs 3 --save_seconds 0")
    assert [epoch for tag, epoch in saved if tag == "last"] == [1, 2, 3]


def test_a_run_takes_the_place_of_an_earlier_one_once_it_has_something_to_write(
    lt_train, run, no_figures, monkeypatch
):
    assert "earlier run" not in lt_train("--epochs 4 --save_epochs 2").stderr
    monkeypatch.setattr(
        training.Trainer,
        "step",
        lambda self, positions, epoch, step: torch.full((11,), float("nan")),
    )
    result = lt_train("--epochs 3 --seed 1")
    refused(result, 1, "signal_nll became nan in epoch 1, step 1", "no good state")
    assert f"{run} holds an earlier run, which this one will replace" in result.stderr
    assert load_run(run, "last").epoch == 4
    monkeypatch.undo()
    monkeypatch.setattr("lt.training.callbacks.plot_epoch", lambda trainer, epoch: None)
    lt_train("--epochs 1 --seed 1")
    assert load_run(run, "last").epoch == 1 and len(history_of(run)) == 1
    assert sorted(path.name for path in (run / "vae_1").iterdir()) == [
        f"scan_multi_{tag}.t7" for tag in ("1", "best", "last")
    ]


def test_tensorboard(lt_train, run, no_figures, monkeypatch):
    seen = {}

    class SummaryWriter:
        def __init__(self, path, purge_step):
            seen["path"] = path

        def add_scalar(self, name, value, epoch):
            seen[name, epoch] = value

        def close(self):
            seen["closed"] = True

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    assert lt_train("--epochs 2 --tensorboard 1").exit_code == 0
    assert seen["closed"] and seen["path"] == str(run / "tensorboard")
    assert seen["train/signal_nll", 2] == history_of(run)[1]["train_signal_nll"]


def test_tensorboard_that_is_not_installed_is_said_before_training(lt_train, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    refused(
        lt_train("--tensorboard 1"),
        1,
        "--tensorboard 1 needs tensorboard",
        "pip install tensorboard",
    )
    assert not (run / "history.csv").exists()


def test_one_bar_tells_epoch_loss_and_pace(lt_train, no_figures, monkeypatch):
    bars = []

    def progress(**options):
        from tqdm import tqdm

        bars.append(tqdm(**options, file=sys.stderr, ascii=True, mininterval=0))
        return bars[-1]

    monkeypatch.setattr("lt.cli.progress", progress)
    result = lt_train("--epochs 2")
    (bar,) = bars
    assert bar.total == bar.n == 2 * 132
    assert "epoch 1/2" in result.stderr and "epoch 2/2" in result.stderr
    assert "frame/s" in result.stderr and "loss " in result.stderr and "valid " in result.stderr


def test_without_a_terminal_every_epoch_is_a_line(lt_train, run, no_figures, monkeypatch):
    monkeypatch.setattr("lt.training.callbacks.TIMED_SECONDS", 0.0)
    lines = lt_train("--epochs 2").stderr.splitlines()
    (before,) = [line for line in lines if line.startswith("2 epochs will take about")]
    own = [line for line in lines if line.startswith("epoch ")]
    rows = history_of(run)
    assert lines.index(before) < lines.index(own[0]) and len(own) == 2
    for line, row in zip(own, rows):
        assert f"valid {row['valid_total']:.1f}" in line
        assert f"note right {row['valid_accuracy_note']:.3f}" in line
    assert own[0].endswith(" s left") and "left" not in own[1]


def test_accuracies_of_the_validation_part_follow_the_columns_of_the_losses(
    lt_train, run, no_figures
):
    lt_train("--epochs 1")
    (row,) = history_of(run)
    names = [name for name in row if "accuracy" in name]
    labels = ("octave", "pitch", "dynamics", "note")
    assert names == [f"valid_accuracy_{label}" for label in labels]
    assert list(row).index("frames_per_second") < list(row).index(names[0])
    assert all(0 <= row[name] <= 1 for name in names)
    assert row["valid_accuracy_note"] <= min(row[name] for name in names[:2])


def test_instruments_are_found_without_regard_to_case(lt_train, run, no_figures):
    result = lt_train("--epochs 1 --instruments FLUTE")
    assert result.exit_code == 0 and load_run(run).space.instruments == ("Flute",)
    assert lt_train(f"--load {run} --epochs 2 --instruments flute").exit_code == 0


def test_a_set_of_few_notes_is_said_to_be_small(lt_train, tmp_path, no_figures):
    small = write_tiny_set(tmp_path / "small.npz", notes=tiny_notes(("Flute",), 2))
    result = lt_train(["--epochs", "1", "--dbroot", small])
    assert re.search(r"Flute has \d notes to learn from: too few", result.stderr)
    assert "too few" not in lt_train("--epochs 1").stderr


def test_durations_have_two_units_at_most():
    seconds = (0.4, 59, 60, 754, 3600, 6000, 86400, 183600)
    words = ["0 s", "59 s", "1 min", "13 min", "1 h", "1 h 40 min", "1 day", "2 days 3 h"]
    assert [duration(number) for number in seconds] == words


# --- each flag has its effect ---------------------------------------------------------------------

COMBINATIONS = [
    "--dims 4 2 --hidden_dims_1 12 8 --hidden_num_1 1 2 --hidden_dims_2 8 6",
    "--dims 5 4 3 --regularization_type l2 --beta_1 0 --beta_2 2",
    "--label_type binary --labels pitch",
    "--labels dynamics octave --zero_extra_class 0",
    "--random_mode bernoulli --rest_share 0.2 --instruments Flute Violin",
    "--random_mode bernoulli --zero_extra_class 0 --instruments Violin Flute --label_type binary "
    "--adversarial 1",
    "--encoder harmonic --random_mode bernoulli --instruments Flute Violin --dims 4 2",
    "--split pitch --frames 2",
    "--split frame --frames 1 4",
    "--fold 1 --n_folds 4",
    "--precision bf16 --adversarial 1",
    "--cross_1 0 --cross_2 3 --dims 4 2 --adversarial 1",
    "--features relative --range_db 40 --augment 1 --transpose 2 --detune 0.3 --equalise 6 --tilt "
    "12 "
    "--noise_floor 0.5 --gain 3",
    "--transfer_1 1 --transfer_2 10 --silence_share 0.2 --steps_per_epoch 2",
    "--batch_size 1000 --seed 3",
]


@pytest.mark.parametrize("flags", COMBINATIONS)
def test_combinations_train_and_load(lt_train, no_figures, tmp_path, flags):
    result = lt_train(f"{flags} --epochs 2")
    assert result.exit_code == 0, result.stderr
    (folder,) = (tmp_path / "saves").iterdir()
    rows, run = history_of(folder), load_run(folder)
    assert len(rows) == 2 and all(np.isfinite(list(row.values())).all() for row in rows)
    given = flags.split()
    if "--instruments" in given:
        place = given.index("--instruments")
        assert folder.name == f"scan_multi__{given[place + 1]}_{given[place + 2]}"
    assert run.model.dims == run.config.dims


def test_five_instruments(lt_train, no_figures, tmp_path):
    names = ("Flute", "Violin", "Piano", "Alto-Sax", "Trumpet-C")
    notes = tiny_notes(names, n_pitches=4)
    write_tiny_set(tmp_path / "five.npz", notes=notes)
    result = lt_train(
        f"--epochs 1 --random_mode bernoulli --instruments {' '.join(names)} "
        f"--dbroot {tmp_path / 'five.npz'}"
    )
    assert result.exit_code == 0, result.stderr
    run = load_run(tmp_path / "saves" / f"scan_multi__{'_'.join(names)}")
    assert run.space.group_sizes == (10, 13, 6) * 5


@pytest.mark.parametrize(
    "flag, column",
    [
        ("symbol_weight", "symbol_nll"),
        ("beta_1", "signal_kl"),
        ("beta_2", "symbol_kl"),
        ("cross_1", "cross_1"),
        ("cross_2", "cross_2"),
        ("transfer_2", "transfer_2"),
    ],
)
def test_a_weight_scales_its_own_term_in_the_total(lt_train, run, no_figures, flag, column):
    rows = []
    for weight in (0, 3):
        lt_train(f"--epochs 1 --learning_rate 1e-30 --{flag} {weight}")
        rows.append(history_of(run)[0])
    without, with_ = rows
    assert with_[f"train_{column}"] > 0
    assert with_["valid_total"] - without["valid_total"] == pytest.approx(
        3 * with_[f"valid_{column}"], rel=1e-4
    )


def test_bf16_is_near_fp32(lt_train, run, no_figures):
    losses = []
    for precision in ("fp32", "bf16"):
        lt_train(f"--epochs 1 --precision {precision}")
        losses.append(history_of(run)[0]["train_total"])
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.01)


def test_flags_that_do_nothing_are_pointed_out(lt_train, no_figures):
    result = lt_train("--epochs 1 --transpose 3 --adv_dim 20 --rest_share 0.2")
    assert result.exit_code == 0
    assert "--transpose: no effect without --augment 1" in result.stderr
    assert "--adv_dim: no effect without --adversarial 1" in result.stderr
    assert "--rest_share: no effect without --random_mode bernoulli" in result.stderr


def test_notes_without_a_frame_in_range_are_counted(lt_train, no_figures, tiny_set, tmp_path):
    notes = tiny_notes()
    starts = np.concatenate([[0, 2], np.arange(2, 61) * 6])
    from lt.config import SpectralConfig
    from lt.data.dataset import write_data_set

    write_data_set(
        tmp_path / "uneven.npz",
        [as_subframes(tiny_magnitudes(notes))],
        starts,
        notes,
        SpectralConfig(),
        {},
    )
    result = lt_train(f"--epochs 1 --frames 3 5 --dbroot {tmp_path / 'uneven.npz'}")
    assert result.exit_code == 0 and "1 note without a frame in --frames 3 5" in result.stderr


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags, words",
    [
        ("--frames 5 3", ["frames 5 3 holds no frame"]),
        ("--frames 1 2 3", ["at most 2"]),
        ("--frames -1", ["-1"]),
        ("--labels pitch pitch", ["labels pitch pitch: a name is given twice"]),
        ("--labels colour", ["'colour'", "octave", "pitch", "dynamics"]),
        ("--labels", ["at least 1"]),
        ("--instruments Flute Flute", ["given twice"]),
        ("--dims 0", ["0"]),
        ("--dims", ["at least 1"]),
        ("--dims 4 --hidden_dims_1 8 8", ["hidden_dims_1 has 2 values for 1 latent layers"]),
        ("--hidden_num_2 1 1 1", ["hidden_num_2 has 3 values"]),
        ("--epochs 0", ["0"]),
        ("--batch_size -4", ["-4"]),
        ("--epochs two", ["two"]),
        ("--beta_1 -1", ["-1"]),
        ("--cross_1 nan", ["--cross_1", "nan is not in [0, inf)"]),
        ("--learning_rate 0", ["0"]),
        ("--adversarial 2", ["--adversarial", "2 is not in [0, 1]"]),
        ("--label_type ternary", ["ternary", "categorical", "binary"]),
        ("--regularization_type l1", ["kld", "l2"]),
        ("--random_mode maybe", ["constant", "bernoulli"]),
        ("--split half", ["note", "pitch", "frame"]),
        ("--name a/b", ["not a plain file name"]),
        ("--unknown 1", ["unknown"]),
        ("--dims 999999999", ["--dims", "999999999 is not in [1, 1e8]"]),
        ("--hidden_num_1 9999", ["1000"]),
        ("--seed 99999999999999999999999999", ["--seed", "too large", "below 1e+12"]),
        ("--frames 0 9999999999999", ["--frames", "9999999999999 is too large"]),
        ("--beta_1 1e300", ["--beta_1", "1e300 is too large"]),
        ("--load_epoch 3", ["--load_epoch has no meaning"]),
        ("--fold 5", ["fold 5 of 5 folds"]),
        ("--n_folds 2", ["2"]),
        ("--load x --load_epoch soon", ["neither best, last nor an epoch"]),
        ("--preset mine", ["article", "robust"]),
        ("--range_db 1e9", ["--range_db"]),
        ("--augment 1 --equalise 99", ["--equalise"]),
        ("--load some/run --epochs 9999999999999", ["--epochs", "9999999999999 is too large"]),
        ("--load some/run --savedir elsewhere", ["--savedir has no meaning with --load"]),
    ],
)
def test_mistakes_of_the_command_line(lt_train, flags, words):
    refused(lt_train(flags), 2, *words)


def test_what_only_the_data_can_tell(lt_train, tmp_path):
    refused(lt_train("--instruments Tuba"), 1, "no instrument 'Tuba'", "Flute, Violin")
    assert not (tmp_path / "saves").exists()
    refused(lt_train("--frames 90 95"), 1, "no frame of Flute is in the range --frames 90 95")
    refused(lt_train(f"--dbroot {tmp_path / 'none.npz'}"), 1, "no data set at", "none.npz")
    refused(lt_train("--split pitch --fold 0 --n_folds 20"), 1, "too few")
    (tmp_path / "odd.npz").write_text("odd")
    refused(lt_train(f"--dbroot {tmp_path / 'odd.npz'}"), 1, "odd.npz is damaged or no data set")


@pytest.mark.parametrize(
    "flags",
    [
        "--dims 99999999",
        "--hidden_dims_1 99999999 --hidden_num_1 3",
        "--hidden_dims_2 900000 --hidden_num_2 2",
        "--adversarial 1 --adv_dim 99999999",
    ],
)
def test_networks_larger_than_the_machine(lt_train, run, flags):
    refused(
        lt_train(flags),
        1,
        "million parameters take",
        "GB to train and this device has",
        "--hidden_dims_1",
    )
    assert not (run / "config.json").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_an_absent_device_is_an_error(lt_train):
    refused(lt_train("--cuda 0"), 1, "there is no CUDA device 0")


def test_a_folder_that_cannot_be_written_is_found_before_training(lt_train, tmp_path, monkeypatch):
    monkeypatch.setattr(training.Trainer, "fit", lambda *arguments: pytest.fail("training began"))
    (tmp_path / "file").touch()
    refused(lt_train(f"--savedir {tmp_path / 'file'}"), 1, "cannot be made", "is a file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(lt_train, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(lt_train(f"--savedir {tmp_path / 'locked'}"), 1, "may not be written")


def test_loss_that_becomes_nan_stops_and_the_last_good_state_is_kept(
    lt_train, run, no_figures, monkeypatch
):
    step = training.Trainer.step

    def spoilt(self, positions, epoch, number):
        losses = step(self, positions, epoch, number)
        if (epoch, number) == (4, 2):
            losses[4] = float("nan")
        return losses

    monkeypatch.setattr(training.Trainer, "step", spoilt)
    result = lt_train("--epochs 9 --save_seconds 1000")
    refused(
        result,
        1,
        "cross_1 became nan in epoch 4, step 3",
        "the last good state, of epoch 3, is kept",
        "--learning_rate",
    )
    assert load_run(run, "last").epoch == 3 and len(history_of(run)) == 3
    assert load_run(run, "best").epoch == 1 + int(
        np.argmin([row["valid_total"] for row in history_of(run)])
    )


def test_weights_that_become_nan_are_found_by_the_loss(lt_train, no_figures):
    result = lt_train("--epochs 9 --learning_rate 1e11")
    assert (
        result.exit_code == 1 and "epoch 1" in only_line(result) and "became" in only_line(result)
    )


# --- going on -------------------------------------------------------------------------------------

FLAGS = (
    "--random_mode bernoulli --adversarial 1 --adv_dim 8 --dims 4 2 --learning_rate 0.01 "
    "--patience 0"
)


def test_two_then_four_equals_four(lt_train, run, no_figures, tmp_path):
    lt_train(f"{FLAGS} --epochs 4 --savedir {tmp_path / 'whole'}")
    lt_train(f"{FLAGS} --epochs 2")
    assert lt_train(f"--load {run} --load_epoch last --epochs 4").exit_code == 0
    whole = tmp_path / "whole" / "scan_multi__Flute"
    assert_equal_runs(whole, run, ("best", "last", "1", "4"))
    for half in ("vae_1", "vae_2"):
        for tag in ("best", "last", "4"):
            name = f"{half}/scan_multi_{tag}.t7"
            assert (whole / name).read_bytes() == (run / name).read_bytes()


@pytest.mark.fault("kill")
@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("at_step", [2, 9, 21])
def test_stopped_by_a_signal_and_resumed_equals_uninterrupted(
    lt_train, run, no_figures, tmp_path, monkeypatch, number, code, at_step
):
    lt_train(f"{FLAGS} --epochs 4 --savedir {tmp_path / 'whole'}")
    with monkeypatch.context() as patch:
        signal_during_step(patch, at_step, number)
        result = lt_train(f"{FLAGS} --epochs 4 --save_seconds 1000")
    assert result.exit_code == code
    epoch, step = divmod(at_step - 1, 9)  # 132 frames, 16 a batch
    assert f"stopped in epoch {epoch + 1} after step {step + 1}" in result.stderr
    assert f"--load {run} --load_epoch last" in result.stderr
    assert lt_train(f"--load {run} --load_epoch last").exit_code == 0
    assert_equal_runs(tmp_path / "whole" / "scan_multi__Flute", run, ("best", "last", "1", "4"))


def test_going_on_from_an_epoch_drops_what_is_later(lt_train, run, no_figures, tmp_path):
    lt_train("--epochs 6 --save_epochs 2")
    whole = [row["train_total"] for row in history_of(run)]
    (run / "figures" / "reconstructions_6.png").touch()
    assert lt_train(f"--load {run} --load_epoch 2 --epochs 3").exit_code == 0
    assert [row["train_total"] for row in history_of(run)] == whole[:3]
    assert sorted(path.stem for path in (run / "vae_1").iterdir()) == [
        f"scan_multi_{tag}" for tag in ("1", "2", "3", "best", "last")
    ]
    assert not (run / "figures" / "reconstructions_6.png").exists()
    assert load_run(run, "last").epoch == 3 and load_run(run, "best").epoch <= 3


def test_best_is_where_it_goes_on_unless_told(lt_train, run, no_figures, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", becoming_worse_after(2, training.evaluate))
        lt_train("--epochs 4")
    assert load_run(run, "best").epoch == 2 and load_run(run, "last").epoch == 4
    assert "going on after epoch 2\n" in lt_train(f"--load {run}").stderr
    assert load_run(run, "last").epoch == 4 and len(history_of(run)) == 4


def becoming_worse_after(best, evaluate):
    epochs = []

    def call(*arguments):
        epochs.append(len(epochs) + 1)
        valid = evaluate(*arguments)
        signal_nll = 1000.0 * abs(epochs[-1] - best)
        return replace(valid, terms=valid.terms._replace(signal_nll=signal_nll))

    return call


def test_going_on_from_before_the_best_makes_that_epoch_the_best_so_far(
    lt_train, run, no_figures, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", becoming_worse_after(3, training.evaluate))
        lt_train("--epochs 4 --save_epochs 1")
        assert load_run(run, "best").epoch == 3
    lt_train(f"--load {run} --load_epoch 2 --epochs 2")
    assert load_run(run, "best").epoch == load_run(run, "last").epoch == 2
    best_valid = torch.load(run / "vae_1" / "scan_multi_best.t7", weights_only=True)["training"][
        "best_valid"
    ]
    assert best_valid == history_of(run)[1]["valid_total"]


@pytest.mark.parametrize("epochs", ["", "--epochs 2"])
def test_a_run_that_is_done_is_left_alone(lt_train, run, no_figures, epochs):
    lt_train("--epochs 3")
    before = {
        path: path.read_bytes()
        for path in run.rglob("*.*")
        if path.is_file() and path.suffix != ".json"
    }
    result = lt_train(f"--load {run} --load_epoch last {epochs}")
    assert result.exit_code == 0 and "3 epochs done already" in result.stderr
    assert before == {path: path.read_bytes() for path in before}


def test_training_flags_are_taken_and_recorded(lt_train, run, no_figures):
    lt_train("--epochs 1 --adversarial 1")
    lt_train(
        f"--load {run} --load_epoch last --epochs 2 --learning_rate 0.0004 --adv_lr 0.002 "
        "--patience 3 --beta_1 2 "
        "--batch_size 32"
    )
    config = load_run(run, "last").config
    assert (
        config.learning_rate,
        config.adv_lr,
        config.patience,
        config.beta_1,
        config.batch_size,
        config.epochs,
    ) == (0.0004, 0.002, 3, 2.0, 32, 2)
    state = torch.load(run / "vae_1" / "scan_multi_last.t7", weights_only=True)["state"]
    assert (
        state["optimizer"]["param_groups"][0]["lr"] == 0.0004
        and state["scheduler"]["patience"] == 3
    )
    assert state["critic_optimizer"]["param_groups"][0]["lr"] == 0.002
    assert history_of(run)[1]["learning_rate"] == 0.0004
    provenance = json.loads((run / "config.json").read_text())["provenance"]
    assert len(provenance["continued"]) == 1


@pytest.mark.parametrize(
    "before, after",
    [
        ("", "--beta_1 1000"),
        ("--random_mode bernoulli --rest_share 0.95", "--rest_share 0"),
        ("--silence_share 0.95", "--silence_share 0"),
    ],
)
def test_other_weights_and_mixtures_make_earlier_losses_no_measure(
    lt_train, run, no_figures, before, after
):
    lt_train(f"--epochs 2 {before}")
    lt_train(f"--load {run} --load_epoch last --epochs 3 {after}")
    first, last = history_of(run)[0]["valid_total"], history_of(run)[2]["valid_total"]
    assert last > first, "or it would be the best anyway"
    assert load_run(run, "best").epoch == 3


def test_going_on_from_within_the_folder(lt_train, run, no_figures, monkeypatch):
    lt_train("--epochs 1")
    monkeypatch.chdir(run)
    assert lt_train("--load . --load_epoch last --epochs 2").exit_code == 0
    monkeypatch.chdir(run / "vae_1")
    assert lt_train("--load .. --load_epoch last --epochs 3").exit_code == 0
    assert load_run(run, "last").epoch == 3
    refused(lt_train("--load . --epochs 4"), 1, "holds no model (no config.json)")
    refused(lt_train("--load .. --epochs 4 --frames 0 2"), 1, "--frames 0 2 (the run has none)")


def test_flags_that_make_another_run_are_named_and_refused(lt_train, run, no_figures):
    lt_train("--epochs 1")
    before = (run / "config.json").read_bytes()
    result = lt_train(
        f"--load {run} --dims 16 --hidden_num_1 4 --label_type binary --epochs 2 --seed 3 --name x"
    )
    refused(
        result,
        1,
        "--dims 16 (the run has 3)",
        "--hidden_num_1 4 (the run has 1)",
        "--label_type binary (the run has categorical)",
        "--seed 3",
        "--name x",
    )
    assert "--epochs" not in only_line(result) and (run / "config.json").read_bytes() == before
    assert (
        lt_train(
            f"--load {run} --dims 3 --hidden_num_1 1 --savedir {run.parent} --epochs 2"
        ).exit_code
        == 0
    )


def test_folders_that_are_no_run(lt_train, run, no_figures, tmp_path):
    refused(lt_train(f"--load {tmp_path / 'none'}"), 1, "no model folder at")
    (tmp_path / "empty").mkdir()
    refused(lt_train(f"--load {tmp_path / 'empty'}"), 1, "holds no model (no config.json)")
    (tmp_path / "empty" / "config.json").write_text('{"config": {}}')
    refused(
        lt_train(f"--load {tmp_path / 'empty'}"), 1, "config.json is damaged or of another version"
    )
    lt_train("--epochs 1")
    refused(
        lt_train(f"--load {run} --load_epoch 5 --epochs 9"),
        1,
        "no checkpoint '5' (there is best, last, 1)",
    )
    (run / "vae_2" / "scan_multi_best.t7").write_bytes(b"PK")
    refused(lt_train(f"--load {run} --epochs 9"), 1, "scan_multi_best.t7 is damaged")


def test_a_checkpoint_of_another_run_is_refused(lt_train, run, no_figures):
    lt_train("--epochs 1 --seed 1")
    files = {path: path.read_bytes() for path in run.rglob("*_best.t7")}
    lt_train("--epochs 1 --seed 2")
    for path, content in files.items():
        path.write_bytes(content)
    refused(lt_train(f"--load {run} --epochs 2"), 1, "checkpoint 'best' is of another run")


def test_the_data_set_of_a_run(lt_train, run, no_figures, tmp_path, tiny_set):
    moved = tmp_path / "mine.npz"
    moved.write_bytes(tiny_set.read_bytes())
    lt_train(f"--epochs 1 --dbroot {moved}")
    elsewhere = moved.rename(tmp_path / "moved.npz")
    refused(lt_train(f"--load {run} --epochs 2"), 1, "no data set at", "mine.npz")
    write_tiny_set(tmp_path / "other.npz", tiny_magnitudes(tiny_notes(), seed=5))
    refused(
        lt_train(f"--load {run} --epochs 2 --dbroot {tmp_path / 'other.npz'}"),
        1,
        "is not the data set that",
        "fingerprint differs",
    )
    assert (
        lt_train(f"--load {run} --load_epoch last --epochs 2 --dbroot {elsewhere}").exit_code == 0
    )
    assert json.loads((run / "config.json").read_text())["data"]["path"] == str(elsewhere)
    assert lt_train(f"--load {run} --load_epoch last --epochs 3").exit_code == 0


# --- killed ---------------------------------------------------------------------------------------


def kill_and_resume(lt_train, tiny_set, tmp_path, moments, epochs=6):
    flags = [
        *TINY,
        *FLAGS.split(),
        "--dbroot",
        tiny_set,
        "--instruments",
        "Flute",
        "--epochs",
        epochs,
    ]
    whole = tmp_path / "whole" / "scan_multi__Flute"
    assert lt_train([*flags, "--savedir", tmp_path / "whole"], base=()).exit_code == 0
    for index, moment in enumerate(moments):
        saves = tmp_path / f"killed_{index}"
        run = saves / "scan_multi__Flute"
        process = train_in_process([*flags, "--savedir", saves])
        assert wait_for(lambda run=run: (run / "vae_2" / "scan_multi_last.t7").exists())
        process.join(moment)
        process.kill()
        process.join()
        result = lt_train(f"--load {run} --load_epoch last")
        assert result.exit_code == 0, result.stderr
        assert_equal_runs(whole, run, ("best", "last", "1", epochs))
        assert not list(run.rglob("*.next"))


@pytest.mark.fault("kill")
def test_killed_at_random_moments_and_resumed_equals_uninterrupted(
    lt_train, tiny_set, tmp_path, no_figures
):
    kill_and_resume(lt_train, tiny_set, tmp_path, np.random.default_rng().uniform(0, 0.6, 3))


@pytest.mark.long
def test_killed_at_twenty_moments(lt_train, tiny_set, tmp_path, no_figures):
    kill_and_resume(
        lt_train, tiny_set, tmp_path, np.random.default_rng().uniform(0, 2.5, 20), epochs=20
    )


@pytest.mark.fault("full or closed disk")
def test_a_full_disk_ends_the_run_and_keeps_what_is_there(lt_train, tiny_set, tmp_path, no_figures):
    resource = pytest.importorskip("resource")
    lt_train("--epochs 1")
    run = tmp_path / "saves" / "scan_multi__Flute"
    before = load_run(run, "last").epoch
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (run / "vae_1" / "scan_multi_last.t7").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, limits[1]))
    try:
        result = lt_train(f"--load {run} --load_epoch last --epochs 3")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    refused(result, 1, "could not be written", "is the disk full")
    assert load_run(run, "last").epoch == before and not list(run.rglob("*.next"))


@pytest.mark.fault("full or closed disk")
def test_a_disk_without_room_for_the_checkpoints_is_found_before_training(
    lt_train, run, no_figures, monkeypatch
):
    lt_train("--epochs 1")
    used = sum(path.stat().st_size for path in run.rglob("*_last.t7"))  # `1` and `best` share it
    fit = training.Trainer.fit
    monkeypatch.setattr(training.Trainer, "fit", lambda *arguments: pytest.fail("training began"))
    monkeypatch.setattr(
        "lt.models.checkpoints.shutil.disk_usage", lambda path: SimpleNamespace(free=0)
    )
    refused(
        lt_train("--epochs 9 --name other"),
        1,
        "the checkpoints of this run take",
        "0 are free",
        "--savedir",
    )
    refused(
        lt_train("--epochs 9"), 1, f"{used / 1e6:.3g} are free at {run}"
    )  # those of before will be replaced
    monkeypatch.setattr(training.Trainer, "fit", fit)
    monkeypatch.setattr(
        "lt.models.checkpoints.shutil.disk_usage", lambda path: SimpleNamespace(free=4 * used)
    )
    assert lt_train("--epochs 9").exit_code == 0


# --- CUDA -----------------------------------------------------------------------------------------

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@needs_cuda
@pytest.mark.parametrize(
    "flags", ["", "--precision bf16 --adversarial 1", "--random_mode bernoulli --augment 1"]
)
def test_on_cuda(lt_train, run, no_figures, flags):
    result = lt_train(f"--epochs 2 --cuda 0 {flags}")
    assert result.exit_code == 0, result.stderr
    assert load_run(run).model.signal.encoders[0].mean.weight.device.type == "cpu"


@needs_cuda
def test_no_step_waits_for_the_device(lt_train, no_figures, monkeypatch):
    step = training.Trainer.step

    def watched(self, positions, epoch, number):
        torch.cuda.set_sync_debug_mode("error" if (epoch, number) > (1, 0) else "default")
        try:
            return step(self, positions, epoch, number)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(training.Trainer, "step", watched)
    result = lt_train(
        "--epochs 2 --cuda 0 --adversarial 1 --augment 1 --transpose 2 --equalise 3 --noise_floor "
        "0.5"
    )
    assert result.exit_code == 0, result.stderr
