"""The training step beside its floor, the growth of an epoch with its data, and CUDA, for
`bench/speed.py`.

The floor of a step is the time of its matrix products at the peak that large ones reach here, and
of the optimiser's reads and writes at the bandwidth of a copy; on CUDA the larger of the two.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import median
from unittest import mock

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.speed import ROOT, Row, number, run_process
from lt.audio.features import audio_to_magnitudes
from lt.audio.phase import magnitudes_to_audio
from lt.config import PRESETS, RunConfig, SpectralConfig, SynthesisConfig
from lt.training import launch
from lt.training.trainer import Trainer

STEPS = 8  # that are timed, after two to warm up
OPTIMISER_BYTES = 28  # of a parameter: it, its gradient and two moments read, three written
SIZES = (1, 4, 16)  # multiples of the smallest data set
NOTES = 60  # of the smallest
WORKERS = (1, 2, 4)
CUDA_SECONDS = 3600


@lru_cache(maxsize=8)
def peak(device: str, dtype: torch.dtype) -> float:
    """Operations per second of a large matrix product, the best of several."""
    size = 8192 if device == "cuda" else 2048
    one = torch.randn(size, size, device=device, dtype=dtype)
    return 2 * size**3 / best(lambda: one @ one, device)


@lru_cache(maxsize=2)
def bandwidth(device: str) -> float:
    """Bytes per second, read and written, of a large copy."""
    one = torch.zeros(2**26, device=device)
    other = torch.empty_like(one)
    return 2 * 4 * len(one) / best(lambda: other.copy_(one), device)


def best(work: object, device: str = "cpu", repeats: int = 7) -> float:
    """Seconds of the fastest of some calls after one to warm up."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def data_set() -> Path:
    """The embedded data set.

    Raises:
        RuntimeError: it is not built.
    """
    path = ROOT / "data" / "lt_set.npz"
    if not path.is_file():
        raise RuntimeError(f"no data set at {path}: make demo builds it")
    return path


@contextmanager
def prepared(config: RunConfig) -> Iterator[Trainer]:
    """The trainer of a run, before its first step, in a folder that is removed."""
    with tempfile.TemporaryDirectory() as saves:
        config = replace(config, dbroot=str(data_set()), savedir=saves)
        with mock.patch.object(launch, "_fit", lambda trainer, progress: trainer):
            yield launch.train(config)


def step_times(trainer: Trainer) -> tuple[float, float, int]:
    """Median seconds of a step and of its update alone, and the operations of a step."""
    on_cuda = trainer.device.type == "cuda"
    batches = trainer.mixer.order(0, 1).split(trainer.config.batch_size)
    whole, updates = [], []
    update = trainer.training_step.update

    def synchronised() -> float:
        if on_cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def timed(*arguments: object) -> torch.Tensor:
        started = synchronised()
        result = update(*arguments)
        updates.append(synchronised() - started)
        return result

    trainer.training_step.model.train()
    with FlopCounterMode(display=False) as counter:
        trainer.step(batches[0], 1, 0)
    with mock.patch.object(trainer.training_step, "update", timed):
        for number in range(STEPS + 1):
            started = synchronised()
            trainer.step(batches[number % len(batches)], 1, number)
            whole.append(synchronised() - started)
    return median(whole[1:]), median(updates[1:]), counter.get_total_flops()


def training(model: Path) -> Iterator[Row]:
    """A step at the default widths and of the preset, beside its floor; the data side of both."""
    configs = {
        "default widths": RunConfig(instruments=("Piano",)),
        "--preset robust": RunConfig(instruments=("Flute",), **PRESETS["robust"]),
    }
    for name, config in configs.items():
        with prepared(config) as trainer:
            whole, update, operations = step_times(trainer)
            parameters = sum(p.numel() for p in trainer.training_step.model.parameters())
            products = operations / peak("cpu", torch.float32)
            moving = OPTIMISER_BYTES * parameters / bandwidth("cpu")
            against = (
                f"floor: {operations / 1e9:.1f} GFLOP at {peak('cpu', torch.float32) / 1e9:.0f} "
                f"GFLOP/s and {parameters / 1e6:.1f} M parameters at "
                f"{bandwidth('cpu') / 1e9:.1f} GB/s"
            )
            stage = f"training step, {name}: {1000 * whole:.0f} ms"
            yield Row(stage, against, (products + moving) / whole, 0.75, "of it")
            share = 100 * (whole - update) / whole
            yield Row(f"data side of a step, {name}", "the step", share, 5, "%", at_most=True)


# --- growth ---------------------------------------------------------------------------------------


def small_run(data: Path, saves: Path, *launcher: str) -> tuple[float, int]:
    """Frames per second of the second epoch of a small model, and the peak of memory."""
    flags = ("--dbroot", data, "--savedir", saves, "--instruments", "Flute", "--frames")
    widths = ("--dims", 8, "--hidden_dims_1", 64, "--hidden_dims_2", 32, "--epochs", 2)
    process = run_process(
        *launcher, "lt_train.py", *flags, *widths, "--save_seconds", 600, OMP_NUM_THREADS="1"
    )
    history = saves / "scan_multi__Flute" / "history.csv"
    last = list(csv.DictReader(history.read_text().splitlines()))[-1]
    shutil.rmtree(saves)
    return float(last["frames_per_second"]), process.peak


def growth(model: Path) -> Iterator[Row]:
    """An epoch over 1, 4 and 16 times the data, and by several local workers."""
    from bench.speed_stages import folder, write_notes

    found = []
    for size in SIZES:
        notes, data = folder() / f"notes_{size}", folder() / f"notes_{size}.npz"
        write_notes(notes, NOTES * size)
        run_process("-m", "lt.builders", notes, "--output", data)
        found.append(small_run(data, folder() / "growth"))
        if size > SIZES[0]:
            stage, against = f"epoch over {size} times the data", "that of the smallest set"
            ratios = found[0][0] / found[-1][0], found[-1][1] / found[0][1]
            yield Row(f"{stage}: time a frame", against, ratios[0], 1.1, at_most=True)
            yield Row(f"{stage}: peak memory", against, ratios[1])
    for count in WORKERS[1:]:
        launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}")
        rate, _ = small_run(data, folder() / "growth", *launcher)
        against = f"one, {number(found[-1][0])} frames a second"
        yield Row(f"{count} local workers, one thread each", against, rate / found[-1][0])


# --- CUDA -----------------------------------------------------------------------------------------


def cuda(model: Path) -> Iterator[Row]:
    """A step at two batch sizes and precisions, an hour and phases, each beside its floor.

    Raises:
        RuntimeError: there is no device.
    """
    if not torch.cuda.is_available():
        raise RuntimeError("no device here; python3 bench/speed.py --only cuda runs on one")
    for batch_size in (64, 1024):
        for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            config = RunConfig(instruments=("Piano",), cuda=0, batch_size=batch_size)
            with prepared(replace(config, precision=precision)) as trainer:
                whole, _, operations = step_times(trainer)
                parameters = sum(p.numel() for p in trainer.training_step.model.parameters())
                products = operations / peak("cuda", dtype)
                moving = OPTIMISER_BYTES * parameters / bandwidth("cuda")
                stage = f"CUDA step, batch {batch_size}, {precision}: {1000 * whole:.2f} ms"
                yield Row(stage, "floor", whole / max(products, moving), 2, at_most=True)
    front_end = SpectralConfig()
    audio = torch.from_numpy(
        np.random.default_rng(0).standard_normal(CUDA_SECONDS * 22050, np.float32)
    ).cuda()
    took = best(lambda: audio_to_magnitudes(audio, front_end), "cuda", 2)
    # of each slice the coefficients are written by the bands' inverse FFT, and read for magnitudes
    n_slices = len(audio) / (front_end.slice_length / 2)
    coefficients = front_end.n_bins * front_end.slice_length / front_end.hop * n_slices
    floor = 2 * 8 * coefficients / bandwidth("cuda")
    yield Row(f"CUDA transform of an hour: {took:.1f} s", "floor", took / floor, 2, at_most=True)
    fine = SpectralConfig(hop=44, frame_hop=176, subframes=1)
    magnitudes = audio_to_magnitudes(audio[: 60 * 22050], fine)
    config = SynthesisConfig()
    took = best(lambda: magnitudes_to_audio(magnitudes, fine, config, "cuda"), "cuda", 2)
    yield Row("CUDA audio from magnitudes, 60 s", "real time", 60 / took)
    code = (
        "import sys, time, lt; run = lt.load_run(sys.argv[1], device='cuda:0'); "
        "started = time.perf_counter(); lt.transcribe(run, sys.argv[2]); "
        "print(time.perf_counter() - started)"
    )
    from bench.speed_stages import HOUR, tune

    took = float(run_process("-c", code, model, tune(HOUR)).output)
    yield Row("CUDA transcription of an hour", "real time", HOUR / took)
