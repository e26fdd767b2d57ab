"""Runs: the settings that make one, and how a trained pair of VAEs is read again. Its files: `lt.checkpoints`."""
from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from lt.checkpoints import BEST, Checkpoint, RunFolder, State
from lt.config import RunConfig, SpectralConfig, settings_from_dict
from lt.labels import LabelSpace
from lt.networks import HarmonicFront
from lt.spectra import Scaler
from lt.vae import CrossModalVAE, VAESize

# where a run was made, how long it goes on, and what it shows on the way: not what it is
APART = ("dbroot", "savedir", "cuda", "epochs", "save_epochs", "plot_epochs", "save_seconds", "tensorboard")


@dataclass(frozen=True)
class RunSettings:
    """`config.json`: everything about a run that is not a tensor.

    Attributes:
        run_id: SHA-256 prefix of the settings and the data, the same wherever, whenever and for however many
            epochs they are run.
        config: the flags. front_end: of the data. scaler: fitted on the training part.
        split: kind, seed, folds, and the notes of each part. data: path and fingerprint.
        provenance: command, versions, dates.
    """
    run_id: str
    config: RunConfig
    front_end: SpectralConfig
    scaler: Scaler
    split: dict[str, Any]
    data: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def space(self) -> LabelSpace:
        """The labels of the run's models."""
        return LabelSpace(self.config.labels, self.config.instruments, bool(self.config.zero_extra_class))

    def to_dict(self) -> State:
        """Plain values; class names are added for readers of the file."""
        return {**asdict(self), "classes": {label: self.space.class_names(label) for label in self.space.labels}}

    @classmethod
    def from_dict(cls, values: State) -> RunSettings:
        """The inverse of `to_dict`. Raises KeyError, TypeError or ValueError where it is not one."""
        config, front_end = (settings_from_dict(kind, values[name])
                             for kind, name in ((RunConfig, "config"), (SpectralConfig, "front_end")))
        scaler = settings_from_dict(Scaler, values["scaler"])
        odd = [name for name in ("split", "data", "provenance") if not isinstance(values[name], dict)]
        if odd or min(scaler.reference, scaler.std_db, scaler.level_std_db) <= 0:
            raise ValueError(f"{', '.join(odd) or 'scaler'} cannot be used")
        if not config.name or set(config.name) & set("/\\\0"):
            raise ValueError(f"'{config.name}' is no name")
        return cls(values["run_id"], config, front_end, scaler, values["split"], values["data"], values["provenance"])


def run_id(config: RunConfig, fingerprint: str) -> str:
    """16 hex digits that name a run by its settings and data."""
    settings = {name: value for name, value in asdict(config).items() if name not in APART}
    return hashlib.sha256(json.dumps([settings, fingerprint], sort_keys=True).encode()).hexdigest()[:16]


def build_model(config: RunConfig, space: LabelSpace, scaler: Scaler, front_end: SpectralConfig) -> CrossModalVAE:
    """The networks that a run's settings describe, freshly initialised from torch's global generator.

    Raises:
        KeyError, ValueError: they describe none.
    """
    fronts = {"plain": lambda: None,
              "harmonic": lambda: HarmonicFront(scaler.n_features, scaler.n_bins, front_end.bins_per_octave)}
    front = fronts[config.encoder]()
    return CrossModalVAE(scaler.n_features, space, config.label_type,
                         signal=VAESize(config.dims, config.hidden_dims_1, config.hidden_num_1),
                         symbol=VAESize(config.dims, config.hidden_dims_2, config.hidden_num_2),
                         signal_scale=config.signal_scale, front=front)


def read_settings(path: Path | str) -> RunSettings:
    """config.json of a run folder.

    Raises:
        FileNotFoundError: no folder, or no run in it. ValueError: damaged or of another version.
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"no model folder at {path} (lt_train.py writes one)")
    if not (path / "config.json").is_file():
        raise FileNotFoundError(f"{path} holds no model (no config.json); give the folder that lt_train.py wrote")
    try:
        return RunSettings.from_dict(json.loads((path / "config.json").read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path / 'config.json'} is damaged or of another version ({error})") from error


@dataclass(frozen=True)
class Run:
    """A trained pair of VAEs, ready for use.

    Attributes:
        folder: where it came from. settings: its config.json. model: in evaluation mode. epoch: of the checkpoint.
    """
    folder: RunFolder
    settings: RunSettings
    model: CrossModalVAE
    epoch: int

    @property
    def config(self) -> RunConfig:
        """The flags it was trained with."""
        return self.settings.config

    @property
    def space(self) -> LabelSpace:
        """Its labels."""
        return self.model.space

    @property
    def scaler(self) -> Scaler:
        """Magnitudes to features."""
        return self.settings.scaler

    @property
    def front_end(self) -> SpectralConfig:
        """Audio to magnitudes."""
        return self.settings.front_end

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device


def load_run(path: Path | str, tag: str | int = BEST, device: torch.device | str = "cpu") -> Run:
    """Load a run's models from a checkpoint, `best` unless told.

    Raises:
        FileNotFoundError, ValueError: as `read_settings` and `RunFolder.load`; or the two do not fit together.
    """
    settings = read_settings(path)
    folder = RunFolder(path, settings.config.name)
    checkpoint = load_checkpoint(folder, settings, tag, device)
    try:
        model = build_model(settings.config, settings.space, settings.scaler, settings.front_end).to(device)
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{folder.path / 'config.json'} describes no networks that can be built ({error})") from error
    load_model_state(model, checkpoint)
    if not all(torch.isfinite(weights).all() for weights in model.parameters()):
        raise ValueError(f"{folder.path}: checkpoint '{tag}' holds weights that are not finite; train it again")
    return Run(folder, settings, model.eval(), checkpoint.epoch)


def load_checkpoint(folder: RunFolder, settings: RunSettings, tag: str | int,
                    device: torch.device | str = "cpu") -> Checkpoint:
    """A checkpoint of this very run. Raises as `RunFolder.load`, and ValueError where it is another run's."""
    checkpoint = folder.load(tag, device)
    if checkpoint.run_id != settings.run_id:
        raise ValueError(f"{folder.path}: checkpoint '{tag}' is of another run (id {checkpoint.run_id}) than "
                         f"config.json (id {settings.run_id}); copy whole folders")
    return checkpoint


def load_model_state(model: CrossModalVAE, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights into a model. Raises ValueError where they do not fit."""
    try:
        model.signal.load_state_dict(checkpoint.signal["model"])
        model.symbol.load_state_dict(checkpoint.symbol["model"])
    except (RuntimeError, KeyError) as error:
        raise ValueError(f"the checkpoint of run {checkpoint.run_id}, epoch {checkpoint.epoch}, does not fit the "
                         "networks of its config.json (one of another version must be trained again)") from error
