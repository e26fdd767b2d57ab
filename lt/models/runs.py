"""Runs: the settings of a training run, and a trained pair of VAEs loaded for use.

`RunSettings` is the content of config.json, `Run` a loaded run. The files of a run folder are
described in `lt.models.checkpoints`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from lt.audio.features import Scaler
from lt.config import (
    RunConfig,
    SpectralConfig,
    fields_with,
    front_end_from_dict,
    settings_from_dict,
)
from lt.devices import device as find_device
from lt.labels import LabelSpace
from lt.models.checkpoints import BEST, Checkpoint, RunFolder, State
from lt.models.learnt import Table, read_tables
from lt.models.networks import HarmonicFront
from lt.models.vae import CrossModalVAE, VAESize


@dataclass(frozen=True)
class RunSettings:
    """Everything about a run that is not a tensor: the content of config.json.

    Attributes:
        run_id: prefix of a SHA-256 of the settings and the data, independent of where, when and for
            how many epochs the run is trained.
        config: the flags.
        front_end: of the data.
        scaler: fitted on the training part.
        split: kind, seed, folds, and the notes of each part.
        data: path and fingerprint of the data set.
        provenance: command, versions, dates.
        learnt: the notes of the training part (see `lt.models.learnt`); empty in runs of earlier
            versions.
    """

    run_id: str
    config: RunConfig
    front_end: SpectralConfig
    scaler: Scaler
    split: dict[str, Any]
    data: dict[str, Any]
    provenance: dict[str, Any]
    learnt: dict[str, Table] = field(default_factory=dict)

    @property
    def space(self) -> LabelSpace:
        """Labels and instruments of the run's models."""
        return LabelSpace(
            self.config.labels, self.config.instruments, bool(self.config.zero_extra_class)
        )

    def to_dict(self) -> State:
        """Plain values, with the names of the classes for human readers."""
        return {
            **asdict(self),
            "classes": {label: self.space.class_names(label) for label in self.space.labels},
        }

    @classmethod
    def from_dict(cls, values: State) -> RunSettings:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: the values are not the settings of a run.
        """
        config = settings_from_dict(RunConfig, values["config"])
        scaler = settings_from_dict(Scaler, values["scaler"])
        facts = {name: values[name] for name in ("run_id", "split", "data", "provenance")}
        odd = [name for name in facts if name != "run_id" and not isinstance(facts[name], dict)]
        if odd or min(scaler.reference, scaler.std_db, scaler.level_std_db) <= 0:
            raise ValueError(f"{', '.join(odd) or 'scaler'} cannot be used")
        if not config.name or set(config.name) & set("/\\\0"):
            raise ValueError(f"'{config.name}' is no name")
        front_end = front_end_from_dict(values["front_end"])
        learnt = read_tables(values.get("learnt", {}))
        return cls(config=config, front_end=front_end, scaler=scaler, learnt=learnt, **facts)


def run_id(config: RunConfig, fingerprint: str) -> str:
    """16 hex digits that identify a run by its settings and the fingerprint of its data."""
    settings = {name: getattr(config, name) for name in fields_with(RunConfig, "identity")}
    text = json.dumps([settings, fingerprint], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build_model(
    config: RunConfig, space: LabelSpace, scaler: Scaler, front_end: SpectralConfig
) -> CrossModalVAE:
    """The networks that a run's settings describe, initialised from torch's global generator.

    Raises:
        KeyError, ValueError: the settings describe none.
    """
    front = None
    if config.encoder == "harmonic":
        front = HarmonicFront(scaler.n_features, scaler.n_bins, front_end.bins_per_octave)
    elif config.encoder != "plain":
        raise ValueError(f"no encoder '{config.encoder}'")
    return CrossModalVAE(
        scaler.n_features,
        space,
        config.label_type,
        signal=VAESize(config.dims, config.hidden_dims_1, config.hidden_num_1),
        symbol=VAESize(config.dims, config.hidden_dims_2, config.hidden_num_2),
        signal_scale=config.signal_scale,
        front=front,
    )


def read_settings(path: Path | str) -> RunSettings:
    """Read config.json of a run folder.

    Raises:
        FileNotFoundError: no folder, or no run in it.
        ValueError: damaged or of another version.
    """
    file = Path(path) / "config.json"
    if not file.parent.is_dir():
        raise FileNotFoundError(f"no model folder at {path} (lt_train.py writes one)")
    if not file.is_file():
        raise FileNotFoundError(
            f"{path} holds no model (no config.json); give the folder that lt_train.py wrote"
        )
    try:
        return RunSettings.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{file} is damaged or of another version ({error})") from error


@dataclass(frozen=True)
class Run:
    """A trained pair of VAEs.

    Attributes:
        folder: of the run.
        settings: its config.json.
        model: in evaluation mode.
        epoch: of the checkpoint.
    """

    folder: RunFolder
    settings: RunSettings
    model: CrossModalVAE
    epoch: int

    @property
    def config(self) -> RunConfig:
        """The flags that it was trained with."""
        return self.settings.config

    @property
    def space(self) -> LabelSpace:
        """Labels and instruments of its symbols."""
        return self.model.space

    @property
    def scaler(self) -> Scaler:
        """Converts magnitudes to features and back."""
        return self.settings.scaler

    @property
    def front_end(self) -> SpectralConfig:
        """Parameters of the transform from audio to magnitudes."""
        return self.settings.front_end

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return next(self.model.parameters()).device


def load_run(path: Path | str, tag: str | int = BEST, device: torch.device | str = "cpu") -> Run:
    """Load the models of a run from a checkpoint.

    Args:
        path: the run folder.
        tag: of the checkpoint: "best", "last" or the number of an epoch.
        device: for the model.
    Raises:
        FileNotFoundError: no run or checkpoint there.
        ValueError: the files are damaged, of another version, or do not belong together; or there
            is no such device.

    Example:
        >>> run = lt.load_run("saves/flute__Flute", tag="last")
        >>> run.space.instruments
        ('Flute',)
    """
    device = find_device(str(device))
    settings = read_settings(path)
    folder = RunFolder(path, settings.config.name)
    checkpoint = load_checkpoint(folder, settings, tag, device)
    try:
        model = build_model(
            settings.config, settings.space, settings.scaler, settings.front_end
        ).to(device)
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(
            f"{folder.path / 'config.json'} describes no networks that can be built ({error})"
        ) from error
    load_model_state(model, checkpoint)
    if not all(torch.isfinite(weights).all() for weights in model.parameters()):
        raise ValueError(
            f"{folder.path}: checkpoint '{tag}' holds weights that are not finite; train it again"
        )
    return Run(folder, settings, model.eval(), checkpoint.epoch)


def load_checkpoint(
    folder: RunFolder, settings: RunSettings, tag: str | int, device: torch.device | str = "cpu"
) -> Checkpoint:
    """Read a checkpoint that belongs to the run with these settings.

    Raises:
        FileNotFoundError, ValueError: as `RunFolder.load`; or the checkpoint is of another run.
    """
    checkpoint = folder.load(tag, device)
    if checkpoint.run_id != settings.run_id:
        raise ValueError(
            f"{folder.path}: checkpoint '{tag}' is of another run (id {checkpoint.run_id}) than "
            f"config.json (id {settings.run_id}); copy whole folders"
        )
    return checkpoint


def load_model_state(model: CrossModalVAE, checkpoint: Checkpoint) -> None:
    """Copy the weights of a checkpoint into a model.

    Raises:
        ValueError: they do not fit.
    """
    try:
        model.signal.load_state_dict(checkpoint.signal["model"])
        model.symbol.load_state_dict(checkpoint.symbol["model"])
    except (RuntimeError, KeyError) as error:
        raise ValueError(
            f"the checkpoint of run {checkpoint.run_id}, epoch {checkpoint.epoch}, does not fit "
            "the networks of its config.json (one of another version must be trained again)"
        ) from error
