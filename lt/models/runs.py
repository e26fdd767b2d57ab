"""Runs: the settings that make one, and how a trained pair of VAEs is read again. Its files:
`lt.models.checkpoints`.

A run at a glance, as text that fits a terminal.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from lt.audio.features import Scaler
from lt.config import RunConfig, SpectralConfig, fields_with, settings_from_dict
from lt.labels import LabelSpace
from lt.models.checkpoints import BEST, Checkpoint, RunFolder, State
from lt.models.networks import HarmonicFront
from lt.models.vae import CrossModalVAE, VAESize


@dataclass(frozen=True)
class RunSettings:
    """`config.json`: everything about a run that is not a tensor.

    Attributes:
        run_id: SHA-256 prefix of the settings and the data, the same wherever, whenever and for
            however many epochs they are run.
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
        return LabelSpace(
            self.config.labels, self.config.instruments, bool(self.config.zero_extra_class)
        )

    def to_dict(self) -> State:
        """Plain values; class names are added for readers of the file."""
        return {
            **asdict(self),
            "classes": {label: self.space.class_names(label) for label in self.space.labels},
        }

    @classmethod
    def from_dict(cls, values: State) -> RunSettings:
        """The inverse of `to_dict`. Raises KeyError, TypeError or ValueError where it is not one."""
        config, front_end = (
            settings_from_dict(kind, values[name])
            for kind, name in ((RunConfig, "config"), (SpectralConfig, "front_end"))
        )
        scaler = settings_from_dict(Scaler, values["scaler"])
        odd = [
            name for name in ("split", "data", "provenance") if not isinstance(values[name], dict)
        ]
        if odd or min(scaler.reference, scaler.std_db, scaler.level_std_db) <= 0:
            raise ValueError(f"{', '.join(odd) or 'scaler'} cannot be used")
        if not config.name or set(config.name) & set("/\\\0"):
            raise ValueError(f"'{config.name}' is no name")
        return cls(
            values["run_id"],
            config,
            front_end,
            scaler,
            values["split"],
            values["data"],
            values["provenance"],
        )


def run_id(config: RunConfig, fingerprint: str) -> str:
    """16 hex digits that name a run by its settings and data."""
    settings = {name: getattr(config, name) for name in fields_with(RunConfig, "identity")}
    return hashlib.sha256(json.dumps([settings, fingerprint], sort_keys=True).encode()).hexdigest()[
        :16
    ]


def build_model(
    config: RunConfig, space: LabelSpace, scaler: Scaler, front_end: SpectralConfig
) -> CrossModalVAE:
    """The networks that a run's settings describe, freshly initialised from torch's global
    generator.

    Raises:
        KeyError, ValueError: they describe none.
    """
    fronts = {
        "plain": lambda: None,
        "harmonic": lambda: HarmonicFront(
            scaler.n_features, scaler.n_bins, front_end.bins_per_octave
        ),
    }
    front = fronts[config.encoder]()
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
    """config.json of a run folder.

    Raises:
        FileNotFoundError: no folder, or no run in it. ValueError: damaged or of another version.
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"no model folder at {path} (lt_train.py writes one)")
    if not (path / "config.json").is_file():
        raise FileNotFoundError(
            f"{path} holds no model (no config.json); give the folder that lt_train.py wrote"
        )
    try:
        return RunSettings.from_dict(json.loads((path / "config.json").read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path / 'config.json'} is damaged or of another version ({error})"
        ) from error


@dataclass(frozen=True)
class Run:
    """A trained pair of VAEs, ready for use.

    Attributes:
        folder: where it came from. settings: its config.json. model: in evaluation mode. epoch: of
            the checkpoint.
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
        FileNotFoundError, ValueError: as `read_settings` and `RunFolder.load`; or the two do not
        fit together.
    """
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
    """A checkpoint of this very run. Raises as `RunFolder.load`, and ValueError where it is another
    run's.
    """
    checkpoint = folder.load(tag, device)
    if checkpoint.run_id != settings.run_id:
        raise ValueError(
            f"{folder.path}: checkpoint '{tag}' is of another run (id {checkpoint.run_id}) than "
            f"config.json (id {settings.run_id}); copy whole folders"
        )
    return checkpoint


def load_model_state(model: CrossModalVAE, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights into a model. Raises ValueError where they do not fit."""
    try:
        model.signal.load_state_dict(checkpoint.signal["model"])
        model.symbol.load_state_dict(checkpoint.symbol["model"])
    except (RuntimeError, KeyError) as error:
        raise ValueError(
            f"the checkpoint of run {checkpoint.run_id}, epoch {checkpoint.epoch}, does not fit "
            "the "
            "networks of its config.json (one of another version must be trained again)"
        ) from error


WIDTH = 100  # characters


def describe(run: Run) -> str:
    """Settings, data, networks, the last losses, and the scores of `lt_analyze.py` where they
    exist.
    """
    parts = [
        _heading(f"{run.folder.path} (epoch {run.epoch}, run {run.settings.run_id})"),
        *_settings(run),
        "",
        *_networks(run),
        "",
        *_losses(run),
        *_scores(run),
    ]
    return "\n".join(parts)


def _heading(text: str) -> str:
    return f"{text}\n{'=' * min(len(text), WIDTH)}"


def _settings(run: Run) -> list[str]:
    """Every flag, a few to a line."""
    words = [f"{name} {_shown(value)}" for name, value in asdict(run.config).items()]
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) + 2 > WIDTH:
            lines.append("")
        lines[-1] += ("; " if lines[-1] else "") + word
    split = run.settings.split
    data = run.settings.data
    return [
        "Settings",
        *(f"  {line}" for line in lines),
        "",
        "Data",
        f"  {data['path']} (fingerprint {data['fingerprint'][:16]})",
        f"  split by {split['kind']}: "
        + ", ".join(f"{part} {count} frames" for part, count in split["frames"].items()),
    ]


def _shown(value: object) -> str:
    """A flag's value as one would type it; no frames named are all of them."""
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "all"
    return str(value)


def _networks(run: Run) -> list[str]:
    """Layers and numbers of parameters of both VAEs."""
    lines = ["Networks"]
    for half in ("signal", "symbol"):
        vae = getattr(run.model, half)
        count = sum(parameter.numel() for parameter in vae.parameters())
        width = run.scaler.n_features if half == "signal" else run.space.width
        lines.append(
            f"  {half}: {width} -> latent {' -> '.join(map(str, vae.dims))}, {count:,} parameters"
        )
    sizes = ", ".join(f"{label} {size}" for label, size in zip(run.space.labels, run.space.sizes))
    lines.append(f"  classes: {sizes} for {', '.join(run.space.instruments)}")
    return lines


def _losses(run: Run) -> list[str]:
    """The row of the history that the checkpoint belongs to."""
    rows = [row for row in run.folder.history(run.epoch).rows if row["epoch"] == run.epoch]
    if not rows:
        return ["Losses", "  no history for this epoch", ""]
    terms = [
        name.removeprefix("valid_")
        for name in rows[0]
        if name.startswith("valid_") and "_kl_" not in name
    ]
    lines = ["Losses at this epoch", f"  {'term':<12} {'train':>12} {'valid':>12}"]
    lines += [
        f"  {term:<12} {rows[0][f'train_{term}']:>12.3f} {rows[0][f'valid_{term}']:>12.3f}"
        for term in terms
    ]
    return [*lines, ""]


def _scores(run: Run) -> list[str]:
    """Accuracies from analysis/results.json."""
    path = run.folder.path / "analysis" / "results.json"
    if not path.is_file():
        return ["Scores", "  not analysed yet (lt_analyze.py -m MODEL)"]
    results = json.loads(path.read_text(encoding="utf-8"))
    transfer = results.get("overall", {}).get("symbol", {}).get("transfer", {})
    lines = [
        f"Scores on the {results.get('partition')} part, split by {results.get('split')} (signal "
        "to symbol)"
    ]
    return lines + [
        f"  {label:<9} accuracy {scores['accuracy']:.4f}"
        for label, scores in transfer.items()
        if isinstance(scores, dict) and "accuracy" in scores
    ]
