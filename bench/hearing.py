#!/usr/bin/env python3
"""The ablation table of hearing: what each part of `--preset robust` brings on recordings of another set.

    python3 bench/hearing.py SET_DIR [--rows robust no_augment ...] [--seeds 0 1 2] [--dbroot data/lt_set.npz]

SET_DIR is laid out as the Cantos flute set (Recordings/, Aligned_files/mid_files/). Each row trains with `lt_train.py`
and is scored by `lt_midi.py`; rows are added to `saves/hearing.csv` as they come, and those that are there already are
not done again.
"""
from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import click

HERE = Path(__file__).resolve().parent.parent
ROBUST = ("--preset", "robust")
ARTICLE = ("--hidden_dims_1", "512", "--hidden_dims_2", "256", "--batch_size", "256", "--epochs", "60")
ROWS = {
    "article": ARTICLE,
    "article_all_frames": (*ARTICLE, "--frames"),
    "robust": ROBUST,
    "no_augment": (*ROBUST, "--augment", "0"),
    "no_transpose": (*ROBUST, "--transpose", "0"),
    "no_detune": (*ROBUST, "--detune", "0"),
    "no_equalise": (*ROBUST, "--equalise", "0"),
    "no_noise": (*ROBUST, "--noise_floor", "0"),
    "no_retune": (*ROBUST, "--retune", "0"),
    "absolute_features": (*ROBUST, "--features", "absolute", "--range_db", "80"),
    "range_40_db": (*ROBUST, "--range_db", "40"),
    "no_transfer_terms": (*ROBUST, "--transfer_1", "0", "--transfer_2", "0"),
    "transfer_2_of_10": (*ROBUST, "--transfer_2", "10"),
    "epochs_120": (*ROBUST, "--epochs", "120"),
}
COLUMNS = ("row", "seed", "train_seconds", "frame_note", "frame_pitch_class", "frame_false_alarm", "f1",
           "f1_with_offsets")


def measure(name: str, seed: int, root: Path, dbroot: Path, instrument: str) -> dict[str, object]:
    """Train one row and score it: a row of the table."""
    run = HERE / "saves" / f"hearing_{name}_{seed}__{instrument}"
    started = time.perf_counter()
    call("lt_train.py", "--dbroot", dbroot, "--instruments", instrument, *ROWS[name], "--seed", seed, "--name",
         f"hearing_{name}_{seed}", "--savedir", HERE / "saves")
    seconds = time.perf_counter() - started
    call("lt_midi.py", "--models", run, "--dataroot", root / "Recordings", "--midiroot",
         root / "Aligned_files" / "mid_files", "--plot", 0, "--resynthesize", 0, "--classifier", 0)
    notes = json.loads((run / "midi_results" / "results.json").read_text())["overall"]["notes"]
    return {"row": name, "seed": seed, "train_seconds": round(seconds),
            **{column: round(notes[column], 4) for column in COLUMNS[3:]}}


def call(script: str, *arguments: object) -> None:
    """Run one of the scripts; its failure ends the bench."""
    subprocess.run([sys.executable, str(HERE / script), *map(str, arguments)], cwd=HERE, check=True,
                   stdout=subprocess.DEVNULL)


@click.command(help=__doc__.splitlines()[0])
@click.argument("root", type=click.Path(exists=True, path_type=Path))
@click.option("--rows", default=" ".join(ROWS), show_default=True, help="rows, separated by spaces")
@click.option("--seeds", default="0", show_default=True, help="seeds, separated by spaces")
@click.option("--dbroot", default="data/lt_set.npz", show_default=True, type=click.Path(path_type=Path))
@click.option("--instrument", default="Flute", show_default=True)
def main(root: Path, rows: str, seeds: str, dbroot: Path, instrument: str) -> None:
    table = HERE / "saves" / "hearing.csv"
    done = set()
    if table.exists():
        with open(table, newline="") as stream:
            done = {(row["row"], row["seed"]) for row in csv.DictReader(stream)}
    else:
        table.parent.mkdir(exist_ok=True)
        table.write_text(",".join(COLUMNS) + "\n")
    for seed in seeds.split():
        for name in rows.split():
            if (name, seed) not in done:
                row = measure(name, int(seed), root.resolve(), dbroot, instrument)
                with open(table, "a", newline="") as stream:
                    csv.DictWriter(stream, COLUMNS, lineterminator="\n").writerow(row)
    click.echo(table.read_text(), nl=False)


if __name__ == "__main__":
    main()
