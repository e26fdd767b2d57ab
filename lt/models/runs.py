"""Runs: the settings of a training run, and a trained pair of VAEs loaded for use.

`RunSettings` is the content of config.json, `Run` a loaded run. The files of a run folder are
described in `lt.models.checkpoints`.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lt.audio.features import Scaler
from lt.audio.tuning import bins_per_semitone
from lt.config import (
    RunConfig,
    SpectralConfig,
    fields_with,
    front_end_from_dict,
    settings_from_dict,
)
from lt.devices import device as find_device
from lt.html import html_table
from lt.labels import AgeTimes, LabelSpace
from lt.models.checkpoints import BEST, Checkpoint, RunFolder, State
from lt.models.learnt import Table, read_tables
from lt.models.networks import HarmonicFront, HarmonicOutput
from lt.models.pretrained import output_path, pretrained_names, run_path
from lt.models.vae import CrossModalVAE, VAESize


@dataclass(frozen=True)
class RunSettings:
    """Everything about a run that is not a tensor: the content of config.json.

    Attributes:
        run_id: prefix of a SHA-256 of the settings and the data, independent of where, when and for
            how many epochs the run is trained.
        config: the flags.
        front_end: of the data.
        scaler: of the encoder's features, fitted on the training part.
        decoder_scaler: of the decoder's features, likewise.
        split: kind, seed, folds, and the notes of each part.
        data: path and fingerprint of the data set.
        provenance: command, versions, dates.
        learnt: the notes of the training part (see `lt.models.learnt`).
        ages: instrument -> mean age in each class, of the training notes; empty in runs without the
            label age.
    """

    run_id: str
    config: RunConfig
    front_end: SpectralConfig
    scaler: Scaler
    decoder_scaler: Scaler
    split: dict[str, Any]
    data: dict[str, Any]
    provenance: dict[str, Any]
    learnt: dict[str, Table]
    ages: dict[str, AgeTimes]

    @property
    def space(self) -> LabelSpace:
        """Labels and instruments of the run's models."""
        return space_of(self.config)

    @property
    def subframes(self) -> int:
        """Spectra in a frame of the decoder: 1, or as many as the data set has where the decoder
        has a range of its own.
        """
        return self.front_end.subframes if self.config.decoder_range_db else 1

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
        decoder_scaler = settings_from_dict(Scaler, values["decoder_scaler"])
        facts = {name: values[name] for name in ("run_id", "split", "data", "provenance")}
        odd = [name for name in facts if name != "run_id" and not isinstance(facts[name], dict)]
        scales = [
            value
            for own in (scaler, decoder_scaler)
            for value in (own.reference, own.std_db, own.level_std_db)
        ]
        if odd or min(scales) <= 0:
            raise ValueError(f"{', '.join(odd) or 'scaler'} cannot be used")
        if not config.name or set(config.name) & set("/\\\0"):
            raise ValueError(f"'{config.name}' is no name")
        front_end = front_end_from_dict(values["front_end"])
        return cls(
            config=config,
            front_end=front_end,
            scaler=scaler,
            decoder_scaler=decoder_scaler,
            learnt=read_tables(values["learnt"]),
            ages={
                instrument: settings_from_dict(AgeTimes, times)
                for instrument, times in values["ages"].items()
            },
            **facts,
        )


def space_of(config: RunConfig) -> LabelSpace:
    """Labels and instruments of the models that a config describes."""
    return LabelSpace.of_voices(
        config.labels, config.instruments, config.voices_of_each, bool(config.zero_extra_class)
    )


def run_id(config: RunConfig, fingerprint: str) -> str:
    """16 hex digits that identify a run by its settings and the fingerprint of its data."""
    settings = {name: getattr(config, name) for name in fields_with(RunConfig, "identity")}
    text = json.dumps([settings, fingerprint], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build_model(settings: RunSettings) -> CrossModalVAE:
    """The networks that a run's settings describe, initialised from torch's global generator.

    Raises:
        KeyError, ValueError: the settings describe none.
    """
    config, scaler = settings.config, settings.scaler
    front = None
    if config.encoder == "harmonic":
        axis = settings.front_end
        front = HarmonicFront(scaler.n_features, scaler.n_bins, axis.bins_per_octave, axis.fmin)
    elif config.encoder != "plain":
        raise ValueError(f"no encoder '{config.encoder}'")
    output = None
    if config.decoder == "harmonic":
        output = partial(
            HarmonicOutput,
            n_instruments=len(settings.space.instruments),
            n_subframes=settings.subframes,
            n_bins=scaler.n_bins,
            bins_per_semitone=bins_per_semitone(settings.front_end),
            nats=settings.decoder_scaler.std_db * math.log(10) / 10,
            shared_scale=config.signal_scale == "bin",
        )
    return CrossModalVAE(
        scaler.n_features,
        settings.space,
        config.label_type,
        signal=VAESize(config.dims, config.hidden_dims_1, config.hidden_num_1),
        symbol=VAESize(config.dims, config.hidden_dims_2, config.hidden_num_2),
        signal_scale=config.signal_scale,
        front=front,
        n_decoded=settings.subframes * settings.decoder_scaler.n_features,
        harmonic_output=output,
    )


def read_settings(path: Path | str) -> RunSettings:
    """Read config.json of a run folder.

    Raises:
        FileNotFoundError, NotADirectoryError: no folder, or no run in it.
        ValueError: damaged or of another version.
    """
    file = Path(path) / "config.json"
    if file.parent.is_file():
        raise NotADirectoryError(f"{path} is a file; give the folder that lt_train.py wrote")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"no model folder at {path}{_known_models(file.parent)}")
    if not file.is_file():
        raise FileNotFoundError(
            f"{path} holds no model (no config.json); give the folder that lt_train.py wrote"
        )
    try:
        return RunSettings.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{file} is damaged or of another version ({error})") from error


def _known_models(path: Path) -> str:
    """What to give instead of a model that is not there: the nearest name, and all by name."""
    names = pretrained_names()
    beside = (str(file.parent) for file in path.parent.glob("*/config.json"))
    nearest = get_close_matches(str(path), [*names, *beside], 1)
    meant = f"; is {nearest[0]} meant?" if nearest else ""
    known = f"; models that come with the package: {', '.join(names)}" if names else ""
    return f"{meant} (lt_train.py writes one{known})"


@dataclass(frozen=True, eq=False)
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

    def __repr__(self) -> str:
        return f"Run({self.folder.path}: {', '.join(self.config.instruments)}, epoch {self.epoch})"

    def _repr_html_(self) -> str:
        """For notebooks: what it reads and plays, and how it was trained."""
        config, data = self.config, self.settings.data
        rows = {
            "instruments": ", ".join(config.instruments),
            "labels": ", ".join(config.labels),
            "latent dimensions": " ".join(map(str, config.dims)),
            "parameters": f"{sum(weights.numel() for weights in self.model.parameters()):,}",
            "epoch": self.epoch,
            "preset": config.preset,
            "split": f"by {config.split}, seed {config.seed}",
            "data set": data["path"],
        }
        return html_table(str(self.folder.path), rows.items())

    @property
    def outputs(self) -> Path:
        """Where what is made with it goes by default: its folder, or `saves/NAME` for a model that
        comes with the package.
        """
        return output_path(self.folder.path)

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
        """Converts magnitudes to the encoder's features and back."""
        return self.settings.scaler

    @property
    def decoder_scaler(self) -> Scaler:
        """Converts magnitudes to the decoder's features and back."""
        return self.settings.decoder_scaler

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
        path: the run folder, or the name of a model that comes with the package ("flute").
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
    device, path = find_device(str(device)), run_path(path)
    settings = read_settings(path)
    folder = RunFolder(path, settings.config.name)
    checkpoint = load_checkpoint(folder, settings, tag, device)
    try:
        model = build_model(settings).to(device)
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
