"""What takes long: a set larger than memory, and the specification's own commands at their own
widths.
"""

import math
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from training_helpers import history_of

from lt.config import DEFAULT_DATA_SET, NOTE_LABELS, SpectralConfig
from lt.data.dataset import NoteTable, read_data_set, write_data_set
from lt.labels import NoteLabels
from lt.models.runs import load_run

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
GIGABYTE = 10**9


class SparseFile:
    """A file in which blocks of zeros are holes; zipfile still counts them in its checksums."""

    def __init__(self, path):
        self._stream = open(path, "wb+")

    def write(self, block):
        block = memoryview(block).cast("B")
        if len(block) > 1 << 16 and not np.frombuffer(block, np.uint8).any():
            self._stream.seek(len(block), os.SEEK_CUR)
            return len(block)
        return self._stream.write(block)

    def __getattr__(self, name):
        return getattr(self._stream, name)


class SparseZip(zipfile.ZipFile):
    """Opens what it writes as a SparseFile."""

    def __init__(self, path, mode="r", compression=zipfile.ZIP_STORED):
        self._sparse = SparseFile(path) if mode == "w" else None
        super().__init__(self._sparse or path, mode, compression)

    def close(self):
        super().close()
        if self._sparse is not None:
            self._sparse.close()


def big_set(path, n_bytes):
    """A data set of `n_bytes` of which one note in fifty sounds; the rest is silence and takes no
    room on the disk.
    """
    config, frames = SpectralConfig(), 4000
    shape = frames, config.subframes, config.n_bins
    n_notes = n_bytes // (4 * math.prod(shape))
    numbers = 48 + np.arange(n_notes) % 36
    labels = NoteLabels.from_notes(numbers, np.arange(n_notes) % 5).table(NOTE_LABELS)
    notes = NoteTable(
        labels,
        np.zeros(n_notes, int),
        ("Flute",),
        np.arange(n_notes),
        np.full(n_notes, -1),
        np.array([f"note {index}" for index in range(n_notes)]),
    )
    silence = np.zeros(shape, np.float32)
    random = np.random.default_rng(0)

    def blocks():
        for index in range(n_notes):
            yield random.random(shape, np.float32) if index % 50 == 0 else silence

    write_data_set(path, blocks(), np.arange(n_notes + 1) * frames, notes, config, {"kind": "test"})


def anonymous_kilobytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    return 0


def peak_of(command):
    """Run a command; its peak anonymous memory in bytes, and what it said."""
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        peak = 0
        while process.poll() is None:
            try:
                peak = max(peak, anonymous_kilobytes(process.pid))
            except OSError:
                break
            time.sleep(0.01)
        said = process.stderr.read()
    return 1024 * peak, said, process.returncode


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is measured by /proc, which is not here"
)
def test_a_set_of_twenty_gigabytes_trains_within_two(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(zipfile, "ZipFile", SparseZip)
    big_set(tmp_path / "big.npz", 20 * GIGABYTE)
    monkeypatch.undo()
    status = os.stat(tmp_path / "big.npz")
    assert status.st_size > 19.9 * GIGABYTE and status.st_blocks * 512 < GIGABYTE
    assert len(read_data_set(tmp_path / "big.npz").magnitudes) > 12_000_000
    flags = (
        "--instruments Flute --frames --hidden_dims_1 512 --hidden_dims_2 512 --epochs 1 "
        "--steps_per_epoch 50"
    )
    peak, said, code = peak_of(
        [
            sys.executable,
            "lt_train.py",
            "--dbroot",
            tmp_path / "big.npz",
            *flags.split(),
            "--savedir",
            tmp_path,
        ]
    )
    assert code == 0, said
    (row,) = history_of(tmp_path / "scan_multi__Flute")
    with capsys.disabled():
        print(
            f"\n20 GB: {peak / GIGABYTE:.2f} GB anonymous at most, {row['seconds']:.0f} s for the "
            "epoch"
        )
    assert peak < 2 * GIGABYTE


COMMANDS = {
    "scan_multi__Piano": "--dims 32 --instruments Piano",
    "scan_multi_adversarial__Piano_Violin": "--dims 64 --instruments Piano Violin --hidden_dims_1 "
    "5000 "
    "--hidden_dims_2 1500 --name scan_multi_adversarial --adversarial 1",
    "scan_multi_nosignalreg__Trumpet-C": "--dims 64 --instruments Trumpet-C --name "
    "scan_multi_nosignalreg --beta_1 0 "
    "--beta_2 2",
}


@pytest.mark.parametrize("folder", COMMANDS)
def test_commands_of_the_specification(tmp_path, capsys, folder):
    if not (ROOT / DEFAULT_DATA_SET).exists():
        pytest.skip(f"{DEFAULT_DATA_SET} is not built")
    command = [
        sys.executable,
        "lt_train.py",
        "--dbroot",
        DEFAULT_DATA_SET,
        *COMMANDS[folder].split(),
        "--epochs",
        "3",
        "--savedir",
        str(tmp_path),
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    rows = history_of(tmp_path / folder)
    with capsys.disabled():
        print(
            f"\n{folder}: "
            + "; ".join(
                f"{row['seconds']:.0f} s, train {row['train_total']:.1f}, valid "
                f"{row['valid_total']:.1f}"
                for row in rows
            )
        )
    assert rows[2]["train_total"] < rows[0]["train_total"]
    assert load_run(tmp_path / folder, "last").epoch == 3
