"""Shared by the tests of the evaluation: data sets of short recordings, and models of them."""

import functools
from unittest import mock

import numpy as np
import soundfile
import torch
from click.testing import CliRunner
from training_helpers import as_subframes

from lt.audio.features import audio_to_magnitudes
from lt.config import NOTE_LABELS, SpectralConfig
from lt.data.dataset import NoteTable, read_data_set, write_data_set
from lt.labels import NoteLabels

RATE, HOP = 22050, 704
TINY = (
    "--dims 6 --hidden_dims_1 32 --hidden_num_1 1 --hidden_dims_2 16 --hidden_num_2 1 "
    "--batch_size 32 --frames "
    "--features relative --range_db 40"
).split()


def harmonic(number, seconds, level=0.2, n_partials=3):
    """A note of a few partials, faded at its ends: (samples,)."""
    times = np.arange(round(seconds * RATE)) / RATE
    tone = sum(
        np.sin(2 * np.pi * k * 440 * 2 ** ((number - 69) / 12) * times) / k
        for k in range(1, n_partials + 1)
    )
    edge = np.clip(np.minimum(times, times[-1] - times) / 0.01, 0, 1)
    return (level * tone * edge).astype(np.float32)


@functools.lru_cache
def frames_of(number, level, n_partials):
    """(frames, bins) of a short note."""
    return audio_to_magnitudes(torch.from_numpy(harmonic(number, 0.3, level, n_partials))).numpy()


def set_of_recordings(
    folder, numbers=range(60, 72), instruments=("Flute",), collection="collection"
):
    """Write recordings below `folder`, each note at three dynamics; -> their DataSet."""
    (folder / collection).mkdir(parents=True)
    rows, blocks, sources = [], [], []
    for instrument in range(len(instruments)):
        for number in numbers:
            for dynamics, level in ((0, 0.05), (2, 0.1), (4, 0.2)):
                source = f"{collection}/{instruments[instrument]}_{number}_{dynamics}.wav"
                audio = harmonic(number, 0.3, level, 3 + instrument)
                soundfile.write(folder / source, audio, RATE, subtype="FLOAT")
                rows.append((instrument, number, dynamics))
                blocks.append(as_subframes(frames_of(number, level, 3 + instrument)))
                sources.append(source)
    instrument, number, dynamics = (np.array(column) for column in zip(*rows))
    table = NoteTable(
        NoteLabels.from_notes(number, dynamics).table(NOTE_LABELS),
        instrument,
        tuple(instruments),
        np.arange(len(rows)),
        np.full(len(rows), -1),
        np.array(sources),
    )
    starts = np.concatenate([[0], np.cumsum([len(block) for block in blocks])])
    write_data_set(folder / "set.npz", blocks, starts, table, SpectralConfig(), {"kind": "auto"})
    return read_data_set(folder / "set.npz")


def train(dbroot, savedir, *flags):
    """Train a tiny model; -> its folder."""
    from lt_train import main

    arguments = [
        *TINY,
        "--dbroot",
        dbroot,
        "--savedir",
        savedir,
        "--instruments",
        "Flute",
        "--epochs",
        12,
        *flags,
    ]
    with (
        mock.patch("lt.training.callbacks.plot_losses"),
        mock.patch("lt.training.callbacks.plot_reconstructions"),
    ):  # they take longest
        result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return next(savedir.iterdir())


def analyse(*flags):
    """Run lt_analyze.py; -> click's result."""
    from lt_analyze import main

    return CliRunner().invoke(main, list(map(str, flags)))
