"""Run folders: what a training run leaves behind, and how it is read again.

    SAVEDIR/NAME__INSTRUMENT[_INSTRUMENT...]/
        config.json              every setting and fact needed to use the models; plain JSON
        history.csv              a row an epoch
        vae_1/NAME_TAG.t7        signal VAE: tensors and plain values (torch.load(weights_only=True))
        vae_2/NAME_TAG.t7        symbol VAE, likewise; TAG is an epoch, `best` or `last`
        figures/

The two halves of a checkpoint carry one run id, epoch and step. Both are first written whole to a staging folder
beside them and then moved in place one after the other; a kill between the moves leaves one half in place and the
other staged, which `load` takes together. So a loadable pair exists at every moment.
"""
from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from lt.config import RunConfig, SpectralConfig, run_config_from_dict
from lt.files import fsync_path, make_folder, write_json, write_text
from lt.labels import LabelSpace
from lt.spectra import Scaler
from lt.vae import CrossModalVAE, VAESize

FORMAT, VERSION = "latent-transcription checkpoint", 1
HALVES = {"signal": "vae_1", "symbol": "vae_2"}
BEST, LAST = "best", "last"
PLACE_FIELDS = ("dbroot", "savedir", "cuda")  # where a run was made, not what it is

State = dict[str, Any]


@dataclass(frozen=True)
class RunSettings:
    """`config.json`: everything about a run that is not a tensor.

    Attributes:
        run_id: SHA-256 prefix of the settings and the data, the same wherever and whenever they are run.
        config: the flags. front_end: of the data. scaler: fitted on the training part.
        split: kind, shares or folds, and the notes of each part. data: path, fingerprint, notes.
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
        return cls(values["run_id"], run_config_from_dict(values["config"]), SpectralConfig(**values["front_end"]),
                   Scaler(**values["scaler"]), values["split"], values["data"], values["provenance"])


def run_id(config: RunConfig, fingerprint: str) -> str:
    """16 hex digits that name a run by its settings and data."""
    settings = {name: value for name, value in asdict(config).items() if name not in PLACE_FIELDS}
    return hashlib.sha256(json.dumps([settings, fingerprint], sort_keys=True).encode()).hexdigest()[:16]


def build_model(config: RunConfig, space: LabelSpace, scaler: Scaler) -> CrossModalVAE:
    """The networks that a run's settings describe, freshly initialised from torch's global generator."""
    return CrossModalVAE(scaler.n_features, space, config.label_type,
                         signal=VAESize(config.dims, config.hidden_dims_1, config.hidden_num_1),
                         symbol=VAESize(config.dims, config.hidden_dims_2, config.hidden_num_2))


@dataclass
class Checkpoint:
    """The state of a run at one moment: tensors and plain values only.

    Attributes:
        run_id, epoch, step: which run; epochs done; steps done of the next epoch (0 between epochs).
        signal, symbol: state of each half: `model`, `optimizer`, `scheduler` (and the critic's with the signal).
        training: plain values and tensors the trainer continues from.
    """
    run_id: str
    epoch: int
    step: int
    signal: State
    symbol: State
    training: State = field(default_factory=dict)

    @property
    def moment(self) -> tuple[str, int, int]:
        """What both halves must agree on."""
        return self.run_id, self.epoch, self.step


class RunFolder:
    """The files of one run. `name` is the run's `--name`, known from config.json once that exists."""

    def __init__(self, path: Path | str, name: str) -> None:
        self.path, self.name = Path(path), name

    @classmethod
    def of(cls, config: RunConfig) -> RunFolder:
        """The folder that a run with these settings writes."""
        return cls(Path(config.savedir) / f"{config.name}__{'_'.join(config.instruments)}", config.name)

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """An existing run. Raises FileNotFoundError or ValueError where the folder is none."""
        return cls(path, read_settings(path).config.name)

    # --- files --------------------------------------------------------------------------------------------

    def half(self, half: str, tag: str | int) -> Path:
        """A checkpoint's file of one half."""
        return self.path / HALVES[half] / f"{self.name}_{tag}.t7"

    def _staged(self, half: str, tag: str | int) -> Path:
        path = self.half(half, tag)
        return path.parent / f".{path.name}.next" / path.name

    def make_writable(self) -> None:
        """Make the folders and try a write in each, before hours are spent.

        Raises:
            OSError: they cannot be made or written.
        """
        for name in (*HALVES.values(), "figures"):
            probe = make_folder(self.path / name) / ".lt-probe"
            probe.write_bytes(b"")
            probe.unlink()

    def write_settings(self, settings: RunSettings) -> None:
        """Write config.json."""
        write_json(self.path / "config.json", settings.to_dict())

    def write_history(self, rows: list[dict[str, float]]) -> None:
        """Write history.csv anew, a row an epoch; floats are written so that they read back exactly."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path / "history.csv", text.getvalue())

    def read_history(self, until_epoch: int) -> list[dict[str, float]]:
        """Rows of history.csv up to an epoch; none where there is no file."""
        path = self.path / "history.csv"
        if not path.is_file():
            return []
        with open(path, newline="") as stream:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]
        return [{**row, "epoch": int(row["epoch"])} for row in rows if row["epoch"] <= until_epoch]

    def drop_later(self, epoch: int) -> None:
        """Remove numbered checkpoints and figures of later epochs."""
        numbered = [path for folder in (*HALVES.values(), "figures") for path in (self.path / folder).glob("*_*.*")]
        for path in numbered:
            tag = path.stem.rpartition("_")[2]
            if tag.isdecimal() and int(tag) > epoch:
                path.unlink()

    # --- checkpoints --------------------------------------------------------------------------------------

    def save(self, tag: str | int, checkpoint: Checkpoint) -> None:
        """Write both halves of a checkpoint; the earlier pair of this tag stays until both are on the disk.

        Raises:
            OSError: no space, no permission; the earlier pair is untouched.
        """
        try:
            for half in HALVES:
                staged = self._staged(half, tag)
                make_folder(staged.parent)
                _save_half(staged, checkpoint, half)
            for half in HALVES:
                os.replace(self._staged(half, tag), self.half(half, tag))
                fsync_path(self.half(half, tag).parent)
        finally:
            for half in HALVES:
                shutil.rmtree(self._staged(half, tag).parent, ignore_errors=True)

    def load(self, tag: str | int, device: torch.device | str = "cpu") -> Checkpoint:
        """Read a checkpoint, both halves of one moment.

        Raises:
            FileNotFoundError: there is none of this tag. ValueError: damaged, foreign, or mixed halves.
        """
        found = {half: [path for path in (self.half(half, tag), self._staged(half, tag)) if path.is_file()]
                 for half in HALVES}
        if not any(found.values()):
            tags = ", ".join(self.tags()) or "none"
            raise FileNotFoundError(f"{self.path}: no checkpoint '{tag}' (there is {tags})")
        signals = [_load_half(path, "signal", device) for path in found["signal"]]
        symbols = [_load_half(path, "symbol", device) for path in found["symbol"]]
        for signal in signals:
            for symbol in symbols:
                if all(signal[key] == symbol[key] for key in ("run_id", "epoch", "step")):
                    return Checkpoint(signal["run_id"], signal["epoch"], signal["step"], signal["state"],
                                      symbol["state"], signal["training"])
        raise ValueError(f"{self.path}: the halves of checkpoint '{tag}' in vae_1 and vae_2 are not of one moment "
                         "of one run; copy both from the same place")

    def tags(self) -> list[str]:
        """Tags of the checkpoints that exist, `best` and `last` first."""
        prefix = f"{self.name}_"
        tags = {path.stem.removeprefix(prefix) for path in (self.path / HALVES["signal"]).glob(f"{prefix}*.t7")}
        return sorted(tags, key=lambda tag: (tag.isdecimal(), int(tag) if tag.isdecimal() else 0, tag))


def _save_half(path: Path, checkpoint: Checkpoint, half: str) -> None:
    content = {"format": FORMAT, "version": VERSION, "half": half, "run_id": checkpoint.run_id,
               "epoch": checkpoint.epoch, "step": checkpoint.step, "state": getattr(checkpoint, half),
               "training": checkpoint.training}
    try:
        torch.save(content, path)
    except RuntimeError as error:  # torch's zip writer reports a full disk so
        raise OSError(f"{path} could not be written ({error}); is the disk full?") from error
    fsync_path(path)


def _load_half(path: Path, half: str, device: torch.device | str) -> State:
    """One half, read without executing anything."""
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged archive can make torch raise anything
        raise ValueError(f"{path} is damaged, cut short or no checkpoint of this project") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is no checkpoint of this project")
    if content["version"] != VERSION:
        raise ValueError(f"{path} is a checkpoint of version {content['version']}, expected {VERSION}")
    if content["half"] != half:
        raise ValueError(f"{path} holds the {content['half']} VAE, not the {half} VAE; vae_1 and vae_2 are mixed up")
    return content


# --- reading a run for use --------------------------------------------------------------------------------

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
    except (KeyError, TypeError, ValueError, AttributeError) as error:
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
    checkpoint = folder.load(tag, device)
    model = build_model(settings.config, settings.space, settings.scaler).to(device)
    load_model_state(model, checkpoint, folder)
    return Run(folder, settings, model.eval(), checkpoint.epoch)


def load_model_state(model: CrossModalVAE, checkpoint: Checkpoint, folder: RunFolder) -> None:
    """Put a checkpoint's weights into a model. Raises ValueError where they do not fit."""
    try:
        model.signal.load_state_dict(checkpoint.signal["model"])
        model.symbol.load_state_dict(checkpoint.symbol["model"])
    except (RuntimeError, KeyError) as error:
        raise ValueError(f"{folder.path}: the checkpoint does not fit the networks of config.json") from error
