"""What the tests of training share: a tiny data set, and ways to look into a run's files."""

import csv
import io
import json
import multiprocessing
import os
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lt.config import NOTE_LABELS, SpectralConfig
from lt.data.dataset import MEMBERS, NoteTable, _fingerprint, write_data_set
from lt.labels import NoteLabels

NOTE_FRAMES = 6
TINY = (
    "--dims 3 --hidden_dims_1 12 --hidden_num_1 1 --hidden_dims_2 8 --hidden_num_2 1 --batch_size "
    "16 "
    "--frames --save_seconds 0"
).split()


def tiny_notes(instruments=("Flute", "Violin"), n_pitches=10):
    """A note table: every pitch from C4 up at two dynamics and, of the softer, two takes."""
    rows = [
        (index, 60 + step, dynamics, group)
        for index in range(len(instruments))
        for step in range(n_pitches)
        for group, dynamics in ((0, 1), (0, 1), (1, 3))
    ]
    instrument, number, dynamics, group = (np.array(column) for column in zip(*rows))
    labels = NoteLabels.from_notes(number, dynamics).table(NOTE_LABELS)
    return NoteTable(
        labels,
        instrument,
        instruments,
        2 * (number - 60) + group + 1000 * instrument,
        np.full(len(rows), -1),
        np.array([f"note {index}" for index in range(len(rows))]),
    )


def tiny_magnitudes(notes, seed=0):
    """(frames, bins): harmonics of each note, decaying, and a silent last frame."""
    random, config = np.random.default_rng(seed), SpectralConfig()
    numbers = 12 * (notes.labels[:, 0] + 1) + notes.labels[:, 1]
    bins = np.arange(config.n_bins)
    blocks = []
    for number, dynamics, instrument in zip(numbers, notes.labels[:, 2], notes.instrument):
        ground = config.bins_per_octave * np.log2(440 * 2 ** ((number - 69) / 12) / config.fmin)
        peaks = [
            ground + config.bins_per_octave * np.log2(harmonic)
            for harmonic in (1, 2 + instrument, 4)
        ]
        spectrum = sum(np.exp(-0.5 * ((bins - peak) / 1.5) ** 2) for peak in peaks) * 10 ** (
            dynamics / 4
        )
        decay = np.array([0.9**frame for frame in range(NOTE_FRAMES - 1)] + [0.0])
        blocks.append(
            (decay[:, None] * (spectrum + 1e-3 * random.random((NOTE_FRAMES, config.n_bins))))
        )
    return np.concatenate(blocks).astype(np.float32)


def as_subframes(magnitudes, subframes=SpectralConfig().subframes):
    """(frames, bins) as (frames, subframes, bins): a model frame is the mean of its subframes."""
    return np.repeat(magnitudes[:, None], subframes, axis=1)


def write_tiny_set(path, magnitudes=None, notes=None, subframes=SpectralConfig().subframes):
    """Write the tiny data set, or another of the same shape."""
    config = replace(SpectralConfig(), subframes=subframes)
    notes = tiny_notes() if notes is None else notes
    magnitudes = tiny_magnitudes(notes) if magnitudes is None else magnitudes
    starts = np.arange(len(notes.labels) + 1) * NOTE_FRAMES
    blocks = [as_subframes(magnitudes, subframes)]
    write_data_set(path, blocks, starts, notes, config, {"kind": "test"})
    return path


def write_ageing_set(path, subframes=2, numbers=(60, 62, 66), dynamics=(1, 3)):
    """Write a data set of notes of 24 frames: an onset in the first frame, a decay, a note-off
    after 14 frames, and silence from the 20th frame on. Subframes of a frame fall like the frames.
    """
    config = SpectralConfig(hop=44, subframes=subframes)
    rows = np.array([(number, level) for number in numbers for level in dynamics])
    n_notes, n_frames = len(rows), 24
    notes = NoteTable(
        NoteLabels.from_notes(*rows.T).table(NOTE_LABELS),
        np.zeros(n_notes, int),
        ("Flute",),
        np.arange(n_notes),
        np.full(n_notes, -1),
        np.array([f"note {index}" for index in range(n_notes)]),
        onset=np.full(n_notes, 0.004, np.float32),
        release=np.full(n_notes, 14 * config.frame_seconds, np.float32),
    )
    time = (np.arange(n_frames * subframes) + 0.5) / subframes  # in frames
    level = 10 ** (-np.where(time < 14, 1.5 * time, 21 + 7 * (time - 14)) / 20)
    level[time >= 20] = 0.0
    at = np.arange(config.n_bins)
    blocks = []
    for number, dynamics_ in rows:
        ground = config.bins_per_octave * np.log2(440 * 2 ** ((number - 69) / 12) / config.fmin)
        peaks = ground + config.bins_per_octave * np.log2([1, 2, 3])
        spectrum = np.exp(-0.5 * ((at - peaks[:, None]) / 1.5) ** 2).sum(axis=0)
        note = level[:, None] * spectrum * 10 ** (dynamics_ / 4)
        blocks.append(note.reshape(n_frames, subframes, -1).astype(np.float32))
    starts = np.arange(n_notes + 1) * n_frames
    write_data_set(path, blocks, starts, notes, config, {"kind": "test"})
    return path


def as_npy(array=None, header=None, body=b""):
    """An array as a member's bytes, or a header that it need not match."""
    stream = io.BytesIO()
    if header is None:
        np.save(stream, array)
    else:
        np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + body


def as_version_2(path, source):
    """A set as version 2 wrote it: one subframe, frames of two axes, no times of notes."""
    settings = json.loads(str(np.load(source)["settings"]))
    del settings["front_end"]["subframes"]
    with zipfile.ZipFile(source) as new, zipfile.ZipFile(path, "w") as old:
        for name in MEMBERS:
            if name in ("onset", "release", "settings"):
                continue
            content = new.read(f"{name}.npy")
            if name == "magnitudes":
                content = as_npy(np.load(io.BytesIO(content))[:, 0])
            old.writestr(f"{name}.npy", content)
        changes = {"version": 2, "fingerprint": _fingerprint(old)}
        old.writestr("settings.npy", as_npy(np.asarray(json.dumps({**settings, **changes}))))
    return path


def history_of(run):
    """Rows of history.csv as numbers."""
    with open(Path(run) / "history.csv", newline="") as stream:
        return [
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)
        ]


TIMES = ("seconds", "frames_per_second")


def without_times(rows):
    """Rows of a history without the columns that two equal runs do not share."""
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def tensors_of(path):
    """Every value of a checkpoint file by its place in it; tensors as they are."""

    def walk(value, place):
        if isinstance(value, dict):
            for key, one in value.items():
                yield from walk(one, f"{place}/{key}")
        elif isinstance(value, (list, tuple)):
            for index, one in enumerate(value):
                yield from walk(one, f"{place}/{index}")
        else:
            yield place, value

    return dict(walk(torch.load(path, weights_only=True), ""))


def assert_equal_checkpoints(one, other):
    """Bit for bit the same values."""
    first, second = tensors_of(one), tensors_of(other)
    assert first.keys() == second.keys()
    for place, value in first.items():
        same = (
            torch.equal(value, second[place])
            if isinstance(value, torch.Tensor)
            else value == second[place]
        )
        assert same, f"{one} and {other} differ at {place}"


# --- lt_train.py in processes of its own ----------------------------------------------------------


def children():
    """Makes processes from one that has imported the heavy libraries and done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lt.training.launch", "training_helpers"])
    return context


def train_in_child(flags, environment=(), figures=False):
    """The target of a child: lt_train.py with these flags, without figures unless they are asked
    for.
    """
    from lt.training import callbacks
    from lt_train import main

    os.environ.update(environment)
    if not figures:
        callbacks.plot_losses = callbacks.plot_reconstructions = lambda *arguments: None
    main(flags)


def train_in_process(flags, environment=(), figures=False):
    """Start lt_train.py in a process of its own."""
    process = children().Process(
        target=train_in_child, args=(list(map(str, flags)), dict(environment), figures)
    )
    process.start()
    return process


def signal_during_step(monkeypatch, at_step, number):
    """A signal of that number arrives during the step of that number of a run."""
    from lt.training.trainer import Trainer

    step, steps = Trainer.step, []

    def interrupted(*arguments):
        steps.append(1)
        if len(steps) == at_step:
            os.kill(os.getpid(), number)
        return step(*arguments)

    monkeypatch.setattr(Trainer, "step", interrupted)


def wait_for(condition, seconds=60.0):
    """Until a condition holds; False where it does not within some time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def assert_equal_runs(one, other, tags=("best", "last")):
    """Checkpoints bit for bit, history but for its times."""
    assert without_times(history_of(one)) == without_times(history_of(other))
    for tag in tags:
        for half in ("vae_1", "vae_2"):
            assert_equal_checkpoints(
                *(next((Path(run) / half).glob(f"*_{tag}.t7")) for run in (one, other))
            )
