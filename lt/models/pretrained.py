"""Trained models that come with the package: `-m flute` names one, `lt.load_run("flute")` loads it.

Each is a run folder below `lt/pretrained/` that `python3 -m lt.pretrained build` writes: its best
weights alone, in half precision, and `card.json` (how it was made, what it reaches, licence).
Nothing is written there in use: what is made with a model goes to `saves/NAME`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lt.config import DEFAULT_DATA_SET, RunConfig
from lt.files import make_folder, write_json
from lt.models.checkpoints import BEST, MODALITIES, Checkpoint, RunFolder

FOLDER = Path(__file__).resolve().parents[1] / "pretrained"
CARD = "card.json"


def pretrained_names() -> tuple[str, ...]:
    """Names of the models that come with this installation."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob(f"*/{CARD}")))


def run_path(model: Path | str) -> Path:
    """The run folder that a path or a name means; a path that exists wins over a name."""
    path = Path(model)
    if path.exists() or str(model).casefold() not in pretrained_names():
        return path
    return FOLDER / str(model).casefold()


def is_pretrained(path: Path) -> bool:
    """Whether a run folder is that of a model that comes with the package."""
    return path.resolve().parent == FOLDER.resolve()


def output_path(path: Path) -> Path:
    """Where what is made with the run in a folder goes by default: there, or `saves/NAME`."""
    return Path(RunConfig.savedir) / path.name if is_pretrained(path) else path


def read_card(path: Path) -> dict[str, Any]:
    """The card of a model that comes with the package; empty for other run folders."""
    file = path / CARD
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


# --- writing --------------------------------------------------------------------------------------


def write_weights(run: Any, folder: Path) -> None:
    """Write a run folder with the weights of a run alone, in half precision.

    Args:
        run: a `lt.models.runs.Run`; its data set becomes the embedded one at its default path.
    """
    config = replace(run.config, dbroot=DEFAULT_DATA_SET, savedir=RunConfig.savedir)
    data = {**run.settings.data, "path": DEFAULT_DATA_SET}
    own = RunFolder(folder, config.name)
    for modality in MODALITIES:
        make_folder(own.checkpoint_path(modality, BEST).parent)
    own.write_settings(replace(run.settings, config=config, data=data).to_dict())
    states = {name: {"model": halved(getattr(run.model, name))} for name in MODALITIES}
    own.save(Checkpoint(run.settings.run_id, run.epoch, 0, **states), BEST)


def halved(module: nn.Module) -> dict[str, Tensor]:
    """The state of a module, in half precision what that can hold."""
    largest = torch.finfo(torch.half).max
    return {
        name: tensor.half().cpu()
        if tensor.is_floating_point() and tensor.abs().max() < largest
        else tensor.cpu()
        for name, tensor in module.state_dict().items()
    }


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Write what `read_card` reads."""
    write_json(folder / CARD, card)
