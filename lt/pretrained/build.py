"""Making the models that come with the package: train, evaluate, write the weights and a card."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lt
from lt.build.embedded_set import EMBEDDED
from lt.config import AnalysisConfig, with_preset
from lt.evaluation.results import CHORD, Results
from lt.evaluation.scoring import evaluate
from lt.files import check_folder
from lt.labels import NOTE
from lt.models.pretrained import FOLDER, write_card, write_weights
from lt.models.runs import Run, load_run
from lt.progress import Progress, silent
from lt.training.launch import train

logger = logging.getLogger(__name__)

# Name -> what its run differs in from `--preset robust`. After a change of training or features
# all are made anew.
RECIPES: dict[str, dict[str, Any]] = {
    instrument.casefold(): {"instruments": (instrument,)} for instrument in EMBEDDED
} | {"piano-chords": {"instruments": ("Piano",), "voices": (4,)}}
MOST_LOST = 0.002  # accuracy of notes that half precision may cost: no more than seeds differ by
LICENCE = (
    "Trained on notes rendered from the sound font TimGM6mb.sf2 by Tim Brechbill (GPL-2.0), which "
    "pretty_midi carries; it holds none of its samples. The code is under the MIT licence. We "
    "claim nothing on what you make with the model; whether the terms of the font bear on a model "
    "trained on its sounds is for whoever publishes one to judge."
)


def build(
    names: tuple[str, ...] = (),
    runs: Mapping[str, Path] | None = None,
    settings: Mapping[str, Any] | None = None,
    folder: Path = FOLDER,
    progress: Progress = silent,
) -> list[Path]:
    """Make models and write them below a folder.

    Args:
        names: of RECIPES; all by default.
        runs: name -> folder of a run that is trained already.
        settings: fields of RunConfig, before those of the recipe.
        progress: like `tqdm.tqdm`.
    Returns:
        The folders of the models.
    Raises:
        ValueError: an unknown name, or a model that half precision makes worse. OSError: as
        `lt.train`.
    """
    names, runs = names or tuple(RECIPES), runs or {}
    if unknown := [name for name in (*names, *runs) if name not in RECIPES]:
        raise ValueError(f"no recipe for {', '.join(unknown)} (there are: {', '.join(RECIPES)})")
    check_folder(folder)
    written = []
    for name in names:
        path = runs.get(name)
        if path is None:
            given = {"name": f"pretrained-{name}", **(settings or {}), **RECIPES[name]}
            path = train(with_preset(given, "robust"), progress).path
        written.append(package(load_run(path), folder / name))
        logger.info("wrote %s", written[-1])
    return written


def package(run: Run, folder: Path) -> Path:
    """Write the weights of a run and its card.

    Raises:
        ValueError: in half precision it reads fewer notes.
    """
    write_weights(run, folder)
    dbroot = run.settings.data["path"]
    full, half = (_figures(own, dbroot) for own in (run, load_run(folder)))
    if any(full[name] - half[name] > MOST_LOST for name in full):
        raise ValueError(f"{folder}: half precision costs too much ({full}, then {half})")
    write_card(folder, {"version": lt.__version__, "figures": half, "licence": LICENCE})
    return folder


def _figures(run: Run, dbroot: str) -> dict[str, float]:
    """What is read from the signal in frames of the test part: accuracies of the symbols, or F1 of
    the keys where an instrument has several voices.
    """
    results: Results = evaluate(run, dbroot=dbroot, config=AnalysisConfig())
    if run.space.chordal:
        measured = {"chord F1": ("f1", CHORD)}
    else:
        measured = {f"{label} accuracy": ("accuracy", label) for label in (*run.space.labels, NOTE)}
    return {
        name: round(float(results.value(measure, label=label, path="transfer")), 4)
        for name, (measure, label) in measured.items()
    }
