#!/usr/bin/env python3
"""How well models generalise: to held-out notes, another data set's notes, recordings; and what
each setting of the preset contributes.

    python3 bench/generalisation.py --recordings SET_DIR --notes OTHER.npz \
        --rows "robust no_tilt" --seeds "0 1 2"
    python3 bench/generalisation.py --instruments Violin --rows robust --notes fluid.npz
    python3 bench/generalisation.py --instruments "Piano Violin" --rows robust

SET_DIR is laid out as the Cantos flute set (Recordings/, Aligned_files/mid_files/); OTHER.npz is a
data set made by `python3 -m lt.builders`. Each row trains with `lt_train.py`. Rows are appended to
`saves/generalisation.csv`; those that are there with all that is asked for are not measured again.

Single notes are transcribed as recordings of their own, without use of their labels; their frames
within 40 dB of the peak are scored; `other_note` has a value for each `--notes`. The spectra that
the model decodes from the symbols of those frames are compared with them at equal peaks
(`held_out_lsd_db`; otherwise silence would be near, since most bins are empty) and in level
(`held_out_level_db`). For mixtures, evaluated as by `lt_analyze.py`, the score is that of the worst
instrument, where it sounds.
"""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Callable

import click
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lt.audio.tuning import estimate_tuning, tune
from lt.config import AnalysisConfig
from lt.data.dataset import DataSet, read_data_set
from lt.data.splits import Split
from lt.evaluation.context import EvaluationContext
from lt.evaluation.metrics import log_spectral_distance_db
from lt.evaluation.results import select
from lt.evaluation.scoring import evaluate_partition
from lt.inference.decoding import decode_subframes
from lt.inference.note_courses import at_running_age
from lt.inference.posteriors import symbol_probabilities
from lt.labels import NoteLabels
from lt.models.runs import Run, load_run

HERE = Path(__file__).resolve().parent.parent
ROBUST = ("--preset", "robust")
ARTICLE = (
    "--hidden_dims_1",
    "512",
    "--hidden_dims_2",
    "256",
    "--batch_size",
    "256",
    "--epochs",
    "60",
)
ROWS = {
    "article": ARTICLE,
    "article_all_frames": (*ARTICLE, "--frames"),
    "robust": ROBUST,
    "no_augment": (*ROBUST, "--augment", "0"),
    "no_transpose": (*ROBUST, "--transpose", "0"),
    "no_detune": (*ROBUST, "--detune", "0"),
    "no_equalise": (*ROBUST, "--equalise", "0"),
    "no_tilt": (*ROBUST, "--tilt", "0"),
    "no_noise": (*ROBUST, "--noise_floor", "0"),
    "no_reverb": (*ROBUST, "--reverb", "0"),
    "gain_of_3_db": (*ROBUST, "--gain", "3"),
    "no_retune": (*ROBUST, "--retune", "0"),
    "absolute_features": (*ROBUST, "--features", "absolute", "--range_db", "80"),
    "range_60_db": (*ROBUST, "--range_db", "60"),
    "no_transfer_terms": (*ROBUST, "--transfer_1", "0", "--transfer_2", "0"),
    "transfer_2_of_10": (*ROBUST, "--transfer_2", "10"),
    "half_as_long": (*ROBUST, "--epochs", "30", "--lr_decay", "0.92"),
    "twice_as_long": (*ROBUST, "--epochs", "120", "--lr_decay", "0.98"),
}
ROWS_OF_MIXTURES = {
    "robust": ROBUST,
    "even_rests": (*ROBUST, "--rest_share", "0.5"),
    "no_equalise": (*ROBUST, "--equalise", "0"),
    "no_ring": (*ROBUST, "--ring", "0"),
    "plain_encoder": (*ROBUST, "--encoder", "plain"),
    "narrower": (*ROBUST, "--hidden_dims_1", "512"),
}
RECORDED = ("frame_note", "frame_pitch_class", "frame_false_alarm", "f1", "f1_with_offsets")
COLUMNS = (
    "row",
    "data",
    "instruments",
    "seed",
    "train_seconds",
    "held_out_note",
    "held_out_dynamics_of_notes",
    "held_out_lsd_db",
    "held_out_level_db",
    "other_note",
    *RECORDED,
)
KEY = COLUMNS[:4]

# A data set and a note -> the classes (frames, labels) read in its sounding frames: octave, pitch,
# dynamics if any
Reader = Callable[[DataSet, int], np.ndarray | None]


def measure(
    key: dict[str, str], recordings: Path | None, notes: tuple[Path, ...]
) -> dict[str, object]:
    """Train one row and score it: a row of the table."""
    instruments, name = (
        key["instruments"].split(),
        f"generalisation_{key['row']}_{Path(key['data']).stem}_{key['seed']}",
    )
    others = [read_data_set(path) for path in notes]
    for other, instrument in itertools.product(others, instruments):
        other.notes_of(instrument)  # raises, before there is work to lose
    started = time.perf_counter()
    flags = (ROWS | ROWS_OF_MIXTURES)[key["row"]]
    call(
        "lt_train.py",
        "--dbroot",
        key["data"],
        "--instruments",
        *instruments,
        *flags,
        "--seed",
        key["seed"],
        "--name",
        name,
        "--savedir",
        HERE / "saves",
    )
    figures: dict[str, object] = {"train_seconds": round(time.perf_counter() - started)}
    folder = HERE / "saves" / "__".join([name, "_".join(instruments)])
    if len(instruments) > 1:
        figures["held_out_note"] = in_mixtures(folder)
        figures["other_note"] = " ".join(str(in_mixtures_of(folder, other)) for other in others)
    else:
        run, data = load_run(folder, tag="best"), read_data_set(key["data"])
        held_out = Split.from_stored(data, run.config, run.settings.split).notes["test"]
        figures["held_out_note"], figures["held_out_dynamics_of_notes"] = score_notes(
            data, held_out, model_reader(run)
        )
        figures["held_out_lsd_db"], figures["held_out_level_db"] = played(run, data, held_out)
        figures["other_note"] = " ".join(
            str(score_notes(other, other.notes_of(instruments[0]), model_reader(run))[0])
            for other in others
        )
        if recordings:
            figures |= on_recordings(folder, recordings)
    return key | figures


def score_notes(data: DataSet, notes: np.ndarray, read: Reader) -> tuple[float, float]:
    """The fraction of the notes' sounding frames whose octave and pitch are both right, and of
    notes whose dynamics are, by the majority of their frames (NaN where `read` says nothing of
    them); notes that it cannot read do not count.
    """
    right, dynamics_right = [], []
    for note in notes:
        classes, truth = read(data, note), data.notes.labels[note]
        if classes is not None:
            right.append((classes[:, :2] == truth[:2]).all(axis=1))
            dynamics_right += [np.bincount(column).argmax() == truth[2] for column in classes.T[2:]]
    right = np.concatenate(right) if right else [np.nan]
    return round(float(np.mean(right)), 4), round(float(np.mean(dynamics_right or [np.nan])), 4)


def model_reader(run: Run) -> Reader:
    """What the model reads, each note being a recording of its own."""

    def read(data: DataSet, note: int) -> np.ndarray:
        groups = symbol_probabilities(run, tuned_frames(run, data, note)).groups
        return torch.stack([group.argmax(dim=1) for group in groups], dim=1).numpy()

    return read


def played(run: Run, data: DataSet, notes: np.ndarray) -> tuple[float, float]:
    """How far what the model plays for the notes' symbols, the latent being the mean, is from their
    sounding frames: the log-spectral distance at equal peaks, and the difference of the peaks, both
    in dB and means over frames.
    """
    distances, levels = [], []
    for note in notes:
        labels = NoteLabels.from_table(data.notes.labels[note][None])
        rows = at_running_age(
            run, run.space.to_classes([labels])[0], len(sounding_rows(data, note))
        )
        classes = torch.from_numpy(rows).to(run.device)
        with torch.no_grad():
            z = run.model.encode_symbol(classes).top.mean
            decoded = decode_subframes(run, z, classes).mean(dim=1).cpu().numpy()
        recorded = sounding_frames(data, note).numpy()
        peaks = recorded.max(axis=1, keepdims=True)
        played_peaks = decoded.max(axis=1, keepdims=True)
        distances.append(log_spectral_distance_db(recorded, decoded * (peaks / played_peaks)))
        levels.append(np.abs(20 * np.log10(peaks / played_peaks))[:, 0])
    return tuple(round(float(np.concatenate(each).mean()), 2) for each in (distances, levels))


def sounding_rows(data: DataSet, note: int) -> np.ndarray:
    """A note's frames within 40 dB of its peak, as rows of the data set."""
    rows = np.arange(data.starts[note], data.starts[note + 1])
    return rows[data.sounding[rows]]


def sounding_frames(data: DataSet, note: int) -> torch.Tensor:
    """The magnitudes (frames, bins) of these."""
    return torch.from_numpy(data.frames(sounding_rows(data, note)))


def tuned_frames(run: Run, data: DataSet, note: int) -> torch.Tensor:
    """The same, retuned if the run retunes recordings."""
    magnitudes = sounding_frames(data, note)
    if not run.config.retune:
        return magnitudes
    return tune(magnitudes, -estimate_tuning(magnitudes, run.front_end), run.front_end)


def in_mixtures(folder: Path) -> float:
    """Note accuracy of the worst instrument, over the test part's mixtures."""
    call(
        "lt_analyze.py",
        "-m",
        folder,
        "--make_classifier",
        0,
        "--evaluate_classifier",
        0,
        "--make_figures",
        0,
        "--generate_audio",
        0,
    )
    instruments = json.loads((folder / "analysis" / "results.json").read_text())["instruments"]
    return min(
        own["symbol"]["transfer"]["note"]["accuracy_sounding"] for own in instruments.values()
    )


def in_mixtures_of(folder: Path, other: DataSet) -> float:
    """The same over mixtures of all notes of another data set, as they were tuned: in a mixture
    nobody could tell.
    """
    run = load_run(folder, tag="best")
    untuned = replace(run, settings=replace(run.settings, config=replace(run.config, retune=0)))
    frames = tuple(
        np.flatnonzero(
            np.isin(other.note_of_frame, other.notes_of(name)) & (other.sounding | other.silent)
        )
        for name in run.config.instruments
    )
    everything = Split("note", {"all": frames}, {}, 0)
    context = EvaluationContext(untuned, other, everything)
    scores = evaluate_partition(context, AnalysisConfig(partition="all")).scores
    of_notes = select(
        scores, scope="instruments", path="transfer", label="note", measure="accuracy_sounding"
    )
    return round(min(score.value for score in of_notes), 4)


def on_recordings(folder: Path, recordings: Path) -> dict[str, float]:
    """The scores of `lt_midi.py`."""
    call(
        "lt_midi.py",
        "--models",
        folder,
        "--dataroot",
        recordings / "Recordings",
        "--midiroot",
        recordings / "Aligned_files" / "mid_files",
        "--plot",
        0,
        "--resynthesize",
        0,
        "--classifier",
        0,
    )
    notes = json.loads((folder / "midi_results" / "results.json").read_text())["overall"]["notes"]
    return {name: round(notes[name], 4) for name in RECORDED}


def call(script: str, *arguments: object) -> None:
    """Run one of the scripts; its failure ends the bench."""
    subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        cwd=HERE,
        check=True,
        stdout=subprocess.DEVNULL,
    )


@click.command(help=__doc__.splitlines()[0])
@click.option(
    "--rows",
    help=f"separated by spaces; all unless given: {' '.join(ROWS)}; of several instruments "
    f"{' '.join(ROWS_OF_MIXTURES)}",
)
@click.option("--seeds", default="0", show_default=True, help="seeds, separated by spaces")
@click.option(
    "--dbroot", default="data/lt_set.npz", show_default=True, help="data set that is learnt from"
)
@click.option(
    "--instruments", default="Flute", show_default=True, help="of one model, separated by spaces"
)
@click.option(
    "--recordings",
    type=click.Path(exists=True, path_type=Path),
    help="folder of recordings and their MIDI",
)
@click.option(
    "--notes",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    help="another data set; may be given several times",
)
def main(
    rows: str | None,
    seeds: str,
    dbroot: str,
    instruments: str,
    recordings: Path | None,
    notes: tuple[Path, ...],
) -> None:
    known = ROWS if len(instruments.split()) == 1 else ROWS_OF_MIXTURES
    if unknown := set((rows or "").split()) - set(known):
        raise click.UsageError(f"no row '{min(unknown)}' (known: {' '.join(known)})")
    asked = ["frame_note"] * bool(recordings) + ["other_note"] * bool(notes)
    table = HERE / "saves" / "generalisation.csv"
    if not table.exists():
        table.parent.mkdir(exist_ok=True)
        table.write_text(",".join(COLUMNS) + "\n")
    with open(table, newline="") as stream:
        done = [
            {name: row[name] for name in KEY}
            for row in csv.DictReader(stream)
            if all(row[name] for name in asked)
        ]
    for seed in seeds.split():
        for row in (rows or " ".join(known)).split():
            key = dict(zip(KEY, (row, dbroot, instruments, seed)))
            if key not in done:
                figures = measure(key, recordings and recordings.resolve(), notes)
                with open(table, "a", newline="") as stream:
                    csv.DictWriter(stream, COLUMNS, lineterminator="\n").writerow(figures)
    click.echo(table.read_text(), nl=False)


if __name__ == "__main__":
    main()
