#!/usr/bin/env python3
"""Baselines on the single notes on which `bench/generalisation.py` evaluates a model.

    python3 bench/baselines.py saves/generalisation_robust_lt_set_0__Flute --notes OTHER.npz \
        --sources FOLDER

A row each for the model, PCA + MLP and pYIN: the fraction of sounding frames whose octave and pitch
are both right, and of notes whose dynamics are by the majority of these frames, among the model's
held-out notes and in each data set of `--notes`. PCA + MLP is trained on the model's training part
and gets frames retuned as for the model. pYIN gets the notes' recordings, found below `--sources`;
it gives its best guess everywhere, since all the frames sound; notes without a recording are left
out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from generalisation import Reader, model_reader, score_notes, sounding_rows, tuned_frames

from lt.config import AnalysisConfig
from lt.data.dataset import DataSet, read_data_set
from lt.data.originals import note_audio
from lt.evaluation.baselines import instrument_range, pyin_notes, train_classifier
from lt.evaluation.context import EvaluationContext, open_context
from lt.models.runs import load_run


def classifier_reader(context: EvaluationContext, epochs: int) -> Reader:
    """PCA + MLP."""
    config = AnalysisConfig(classifier_epochs=epochs, seed=context.run.config.seed)
    classifier = train_classifier(context, config)

    @torch.no_grad()
    def read(data: DataSet, note: int) -> np.ndarray:
        features = context.run.scaler.apply(
            tuned_frames(context.run, data, note).to(context.run.device)
        )
        return (
            torch.stack(
                [group.argmax(dim=1) for group in classifier(features).probabilities()], dim=1
            )
            .cpu()
            .numpy()
        )

    return read


def pyin_reader(folders: tuple[Path, ...]) -> Reader:
    """pYIN, told the range of the instrument."""

    def read(data: DataSet, note: int) -> np.ndarray | None:
        audio = note_audio(data, note, folders)
        if audio is None:
            return None
        note_range = instrument_range(data, data.notes.instruments[data.notes.instrument[note]])
        n_frames = int(data.lengths[note])
        numbers = pyin_notes(audio, n_frames, data.config, note_range, voiced_only=False)
        numbers = numbers[sounding_rows(data, note) - data.starts[note]]
        return np.stack([numbers // 12 - 1, numbers % 12], axis=1)

    return read


@click.command(help=__doc__.splitlines()[0])
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--dbroot", type=click.Path(exists=True, path_type=Path), help="its data set, if that has moved"
)
@click.option(
    "--notes",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    help="another data set; may be given several times",
)
@click.option(
    "--sources",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    help="where the notes' recordings or fonts lie; may be given several times",
)
@click.option("--epochs", default=60, show_default=True, help="of PCA + MLP")
def main(
    model: Path,
    dbroot: Path | None,
    notes: tuple[Path, ...],
    sources: tuple[Path, ...],
    epochs: int,
) -> None:
    context = open_context(load_run(model, tag="best"), dbroot)
    instrument = context.run.config.instruments[0]
    tests = [("held_out", context.data, context.split.notes["test"])]
    tests += [
        (path.stem, data, data.notes_of(instrument))
        for path, data in zip(notes, map(read_data_set, notes))
    ]
    readers = {
        "model": model_reader(context.run),
        "pca_mlp": classifier_reader(context, epochs),
        "pyin": pyin_reader(sources),
    }
    click.echo(",".join(["reader", *(f"{name},{name}_dynamics" for name, _, _ in tests)]))
    for name, read in readers.items():
        figures = [
            figure for _, data, chosen in tests for figure in score_notes(data, chosen, read)
        ]
        click.echo(",".join([name, *map(str, figures)]))


if __name__ == "__main__":
    main()
