"""Data-parallel training: the losses of one process, one writer, one voice."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_helpers import (
    TINY,
    history_of,
    signal_during_step,
    tensors_of,
    train_in_process,
    without_times,
)

from lt.models.runs import load_run
from lt.training.distributed import Workers, local_cuda

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("n_rows, count", [(64, 2), (7, 3), (1, 4), (0, 2)])
def test_the_rows_of_all_workers_are_the_batch(n_rows, count):
    parts = [Workers(rank, count).rows(n_rows) for rank in range(count)]
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(n_rows))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_one_worker_needs_nobody():
    alone = Workers()
    assert (
        alone.writer
        and alone.any(True)
        and not alone.any(False)
        and alone.writer_first(lambda: 5) == 5
    )
    values = torch.ones(3)
    assert alone.sum(values) is values


def test_each_worker_has_a_device_of_its_own(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert [local_cuda(cuda) for cuda in (-1, "cpu", 0, 1, "cuda", "cuda:1")] == [
        -1,
        "cpu",
        2,
        3,
        2,
        3,
    ]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def train_in_two(flags):
    """Exit codes of two workers, as torchrun would start them."""
    port = free_port()
    workers = [
        train_in_process(
            flags,
            {
                "RANK": rank,
                "LOCAL_RANK": rank,
                "WORLD_SIZE": "2",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            },
        )
        for rank in "01"
    ]
    for worker in workers:
        worker.join(240)
    return [worker.exitcode for worker in workers]


# 132 frames: the last batch of 131 has one frame, fewer than there are workers
FLAGS = {
    "plain": "--epochs 3 --random_mode bernoulli",
    "a last batch of one frame": "--epochs 3 --batch_size 131",
    "with a critic": "--epochs 3 --adversarial 1 --adv_dim 8 --adv_lr 0.001",
    "subframes, ages and combinations": "--epochs 3 --labels octave pitch dynamics age "
    "--decoder_range_db 100 --decoder harmonic --combine 1 --augment 1 --transpose 2",
    "layers and a weight of nought": "--epochs 3 --dims 4 2 --beta_1 0 --beta_2 0 --augment 1 "
    "--transpose 2",
}


PLAYED = pytest.param(
    "--epochs 3 --decoder_range_db 100 --transfer_1 1",
    id="played symbols",
)


@pytest.mark.parametrize("flags", [*(pytest.param(FLAGS[name], id=name) for name in FLAGS), PLAYED])
def test_two_workers_have_the_losses_of_one(lt_train, tiny_set, tmp_path, no_figures, flags):
    base = [*TINY, "--dbroot", tiny_set, "--instruments", "Flute", *flags.split(), "--savedir"]
    assert lt_train([*base, tmp_path / "one"], base=()).exit_code == 0
    assert train_in_two([*base, tmp_path / "two"]) == [0, 0]
    assert_near(tmp_path / "one" / "scan_multi__Flute", tmp_path / "two" / "scan_multi__Flute")


def assert_near(one, two, relative=1e-4):
    first, second = (without_times(history_of(run)) for run in (one, two))
    assert len(first) == len(second) == 3
    worst = 0.0
    for row, other in zip(first, second):
        for name, value in row.items():
            assert other[name] == pytest.approx(value, rel=relative, abs=1e-6), name
            worst = max(worst, abs(other[name] - value) / max(abs(value), 1e-9))
    tensors = tensors_of(two / "vae_1" / "scan_multi_last.t7")
    for place, value in tensors_of(one / "vae_1" / "scan_multi_last.t7").items():
        if isinstance(value, torch.Tensor) and "/model/" in place:
            torch.testing.assert_close(tensors[place], value, rtol=1e-3, atol=1e-4)
    return worst


def test_two_workers_go_on_where_one_stopped_within_an_epoch(
    lt_train, tiny_set, tmp_path, no_figures, monkeypatch
):
    """The losses of the steps before are counted once, though both workers read them."""
    base = [*TINY, "--dbroot", tiny_set, "--instruments", "Flute", "--epochs", 3, "--savedir"]
    lt_train([*base, tmp_path / "one"], base=())
    with monkeypatch.context() as patch:
        signal_during_step(patch, 12, signal.SIGTERM)
        assert lt_train([*base, tmp_path / "two"], base=()).exit_code == 143
    run = tmp_path / "two" / "scan_multi__Flute"
    assert train_in_two(["--load", run, "--load_epoch", "last"]) == [0, 0]
    assert_near(tmp_path / "one" / "scan_multi__Flute", run)


def torchrun(*flags):
    """The command as a user would type it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc_per_node=2",
            "--master_port",
            str(free_port()),
            ROOT / "lt_train.py",
            *map(str, flags),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_torchrun_one_writer_one_voice(tiny_set, tmp_path):
    result = torchrun(
        *TINY, "--dbroot", tiny_set, "--instruments", "Flute", "--epochs", 1, "--savedir", tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert len(re.findall("split by note", result.stderr)) == 1
    assert len(re.findall("1 epoch, best validation loss", result.stderr)) == 1
    run = tmp_path / "scan_multi__Flute"
    assert (
        load_run(run).epoch == 1
        and len(history_of(run)) == 1
        and (run / "figures" / "losses.png").exists()
    )
    assert not list(run.rglob(".*"))


@pytest.mark.long
@pytest.mark.parametrize(
    "flags", ["", "--adversarial 1 --adv_dim 256", "--random_mode bernoulli --adversarial 1"]
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_workers_have_the_losses_of_one_on_the_embedded_set(tmp_path, seed, flags):
    """At a width of 256; the one process has the threads that it takes by itself."""
    base = [
        *"--instruments Flute --hidden_dims_1 256 --hidden_dims_2 256 --epochs 3".split(),
        *flags.split(),
        "--seed",
        seed,
        "--plot_epochs",
        1000,
        "--savedir",
    ]
    subprocess.run(
        [sys.executable, "lt_train.py", *map(str, base), tmp_path / "one"], cwd=ROOT, check=True
    )
    result = torchrun(*base, tmp_path / "two")
    assert result.returncode == 0, result.stderr
    worst = assert_near(
        tmp_path / "one" / "scan_multi__Flute", tmp_path / "two" / "scan_multi__Flute"
    )
    print(f"seed {seed} {flags or 'plain'}: no column differs by more than {worst:.1e}")


@pytest.mark.long
def test_torchrun_says_an_error_once(tiny_set, tmp_path):
    result = torchrun(*TINY, "--dbroot", tiny_set, "--instruments", "Tuba", "--savedir", tmp_path)
    assert result.returncode == 1
    assert len(re.findall("no instrument 'Tuba'", result.stderr)) == 1


@pytest.mark.fault("kill")
@pytest.mark.long
def test_torchrun_stopped_by_sigterm_is_resumed_by_one(lt_train, tiny_set, tmp_path, no_figures):
    flags = [
        *TINY,
        "--dbroot",
        tiny_set,
        "--instruments",
        "Flute",
        "--epochs",
        "400",
        "--plot_epochs",
        "1000",
    ]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc_per_node=2",
            "--master_port",
            str(free_port()),
            str(ROOT / "lt_train.py"),
            *map(str, flags),
            "--savedir",
            str(tmp_path),
        ],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    from training_helpers import wait_for

    run = tmp_path / "scan_multi__Flute"
    assert wait_for(lambda: (run / "vae_2" / "scan_multi_last.t7").exists(), 120)
    process.terminate()
    process.communicate(timeout=120)
    done = load_run(run, "last").epoch
    assert 1 <= done < 400
    assert lt_train(f"--load {run} --load_epoch last --epochs {done + 2}").exit_code == 0
    assert len(history_of(run)) == done + 2


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two CUDA devices here")
def test_two_devices(tiny_set, tmp_path):
    for place, cuda in (("one", "-1"), ("two", "0")):
        flags = [
            *TINY,
            "--dbroot",
            tiny_set,
            "--instruments",
            "Flute",
            "--epochs",
            3,
            "--savedir",
            tmp_path / place,
        ]
        assert torchrun(*flags, "--cuda", cuda).returncode == 0
    assert_near(
        tmp_path / "one" / "scan_multi__Flute", tmp_path / "two" / "scan_multi__Flute", 1e-2
    )
