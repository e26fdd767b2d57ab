"""Helpers of the tests of building data sets."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
from click.testing import CliRunner

from lt.build.__main__ import main
from lt.build.builder import build_data_set
from lt.build.vocabulary import note_number_of
from lt.config import BuildConfig
from lt.data.dataset import read_data_set

ROOT = Path(__file__).parents[2]


def tone(path, note, seconds=0.4, level=0.3, sample_rate=22050, channels=1, silence=0.0, cents=0.0):
    """A note of three partials; returns its path."""
    frequency = 440 * 2 ** ((note_number_of(note) - 69 + cents / 100) / 12)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    sound = level * sum(np.sin(2 * np.pi * k * frequency * time) / k**2 for k in (1, 2, 3))
    sound = np.pad(sound, round(silence * sample_rate))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.repeat(sound[:, None], channels, axis=1), sample_rate)
    return path


def notes_folder(root, names=("C4", "A4", "E5"), **how):
    """A folder of flute notes named as the Philharmonia's; `how` of `tone`."""
    for name in names:
        tone(root / f"flute_{name.replace('#', 's')}_1_forte_normal.wav", name, **how)
    return root


def write_csv(root, rows, header="file,instrument,note,dynamics,onset,offset"):
    """Write labels.csv below `root`."""
    (root / "labels.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")


def command(*arguments, **how):
    """Start the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "lt.build", *map(str, arguments)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **how,
    )


def run(*arguments):
    """Run the command in this process: (exit code, stdout, stderr). It starts no others: the
    server that forks them would fork those of other tests as well.
    """
    result = CliRunner().invoke(main, [*map(str, arguments), "--jobs", "1"])
    return result.exit_code, result.stdout, result.stderr


def statuses_of(output):
    """File -> (status, reason) of every row of the summary; notes of one file agree."""
    with open(output.with_suffix(".files.csv"), newline="", encoding="utf-8") as stream:
        return {row["file"]: (row["status"], row["reason"]) for row in csv.DictReader(stream)}


def labels_of(output):
    """Source -> (instrument, octave, pitch, dynamics)."""
    notes = read_data_set(output).notes
    return {
        str(source): (notes.instruments[instrument], *map(int, labels))
        for source, instrument, labels in zip(
            notes.sources, notes.instrument, notes.labels, strict=True
        )
    }


def build_at(folder, tmp_path, **flags):
    """Build one folder in this process -> the output; `flags` of BuildConfig."""
    output = tmp_path / "out.npz"
    build_data_set([folder], output, BuildConfig(**flags), processes=1)
    return output
