"""A training session: from flags or a run folder to a `Trainer` that is running, with bar, figures and notes.

`begin` starts a run, `go_on` continues one; both return a `Session` whose `train` does the rest.
"""
from __future__ import annotations

import platform
import sys
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from lt import cli
from lt.builders import build_embedded_set, font_notes
from lt.config import CHANGEABLE, DEFAULT_DATA_SET, RunConfig
from lt.datasets import DataSet, read_data_set
from lt.devices import device as find_device
from lt.labels import LabelSpace
from lt.mixtures import Mixer
from lt.plotting import plot_losses, plot_reconstructions
from lt.runs import RunFolder, RunSettings, read_settings, run_id
from lt.splits import PARTS, Split, split_data
from lt.training import Trainer, TrainingStopped, fit_scaler
from lt.workers import Workers, join_workers, local_cuda

PACKAGES = ("torch", "numpy", "librosa", "nsgt", "pretty_midi")


@dataclass(frozen=True)
class Session:
    """A trainer and where it speaks."""
    trainer: Trainer
    workers: Workers

    def train(self) -> None:
        """Train to the last epoch; bar and notes on stderr.

        Raises:
            KeyboardInterrupt: the run was stopped by a signal; `last` is saved.
        """
        trainer, say = self.trainer, cli.note if self.workers.writer else lambda message: None
        left = trainer.config.epochs - trainer.epochs_done
        if left <= 0:
            say(f"{trainer.folder.path}: all {trainer.epochs_done} epochs are done already; --epochs is the total")
            return
        n_frames = left * min(trainer.mixer.n_frames, trainer.steps_per_epoch * trainer.config.batch_size)
        log = _tensorboard(trainer) if trainer.config.tensorboard and self.workers.writer else None
        with cli.progress(n_frames, "training", unit="frame") as bar:
            bar.disable = bar.disable or not self.workers.writer

            def on_epoch(trainer: Trainer, row: dict[str, float]) -> None:
                bar.set_description(f"epoch {row['epoch']}/{trainer.config.epochs}")
                bar.set_postfix_str(f"loss {row['train_total']:.1f} valid {row['valid_total']:.1f}")
                _draw(trainer, row)
                if log:
                    for name, value in row.items():
                        log.add_scalar(name.replace("_", "/", 1), value, row["epoch"])
            try:
                trainer.fit(bar.update, on_epoch)
            except TrainingStopped:
                say(f"stopped in epoch {trainer.epochs_done + 1}, step {trainer.steps_done}; go on with "
                    f"--load {trainer.folder.path} --load_epoch last")
                raise KeyboardInterrupt from None
        say(f"{trainer.folder.path}: {trainer.epochs_done} epochs, best validation loss {trainer.best_valid:.2f}")


def begin(config: RunConfig) -> Session:
    """Start a run from its settings.

    Raises:
        FileNotFoundError, ValueError: the data set, an instrument, a label or the frame range is not to be had.
        OSError: the output folder cannot be written.
    """
    device = find_device(local_cuda(config.cuda))
    workers = join_workers(device)
    space = LabelSpace(config.labels, config.instruments, bool(config.zero_extra_class))
    data = _open_data(config, workers)
    split = split_data(data, config)
    folder = RunFolder.of(config)
    folder.make_writable()
    scaler = fit_scaler(Mixer(data, split.frames["train"], space, config, torch.device("cpu")), config)
    settings = RunSettings(run_id(config, data.fingerprint), config, data.config, scaler, _describe(split, config, data),
                           {"path": str(Path(config.dbroot).resolve()), "fingerprint": data.fingerprint},
                           _provenance(continued=[]))
    trainer = Trainer(settings, data, split, folder, device, workers)
    if workers.writer:
        _speak_of(split, data, config)
        folder.drop_later(0)
        folder.write_settings(settings)
    return Session(trainer, workers)


def go_on(path: Path, tag: str, chosen: dict[str, Any]) -> Session:
    """Continue a run from a checkpoint, with the flags that were given in place of the run's own.

    Raises:
        FileNotFoundError, ValueError: no such run or checkpoint, its data has gone or changed, or a flag was given
            that a run cannot change.
    """
    settings = read_settings(path)
    config = _changed(settings.config, chosen, path)
    device = find_device(local_cuda(config.cuda))
    workers = join_workers(device)
    folder = RunFolder(path, config.name)
    checkpoint = folder.load(int(tag) if tag.isdecimal() else tag)
    data = read_data_set(config.dbroot if "dbroot" in chosen else settings.data["path"])
    if data.fingerprint != settings.data["fingerprint"]:
        raise ValueError(f"{data.path} is not the data set that {path} was trained on (its fingerprint differs)")
    folder.make_writable()
    settings = replace(settings, config=config, provenance=_provenance(settings.provenance["continued"] + [sys.argv[1:]],
                                                                       settings.provenance))
    trainer = Trainer(settings, data, split_data(data, config), folder, device, workers)
    trainer.resume(checkpoint)
    if workers.writer:
        folder.write_settings(settings)
        cli.note(f"{path}: going on after epoch {checkpoint.epoch}, step {checkpoint.step}")
    return Session(trainer, workers)


def _changed(own: RunConfig, chosen: dict[str, Any], path: Path) -> RunConfig:
    """The run's settings with those that were chosen; refuses what would make it another run."""
    fixed = [f"--{name} {_shown(value)} (the run has {_shown(getattr(own, name))})" for name, value in chosen.items()
             if name not in CHANGEABLE and getattr(own, name) != value]
    if fixed:
        raise ValueError(f"{path} cannot go on with other settings than its own: {'; '.join(fixed)}")
    return replace(own, **{**chosen, "savedir": str(path.parent)})


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _open_data(config: RunConfig, workers: Workers) -> DataSet:
    """The data set; at its default path it is built when missing."""
    if config.dbroot == DEFAULT_DATA_SET and not Path(config.dbroot).exists() and workers.writer:
        cli.note(f"{config.dbroot} is not there: building it from the sound font that pretty_midi carries")
        with cli.progress(len(font_notes()), "rendering notes", unit="note") as bar:
            build_embedded_set(config.dbroot, bar.update)
    workers.wait()
    return read_data_set(config.dbroot)


def _describe(split: Split, config: RunConfig, data: DataSet) -> dict[str, Any]:
    """The split as config.json keeps it; single frames are too many to list, and follow from the seed."""
    described: dict[str, Any] = {"kind": split.kind, "seed": config.seed, "fold": config.fold,
                                 "n_folds": config.n_folds,
                                 "frames": {part: sum(map(len, split.frames[part])) for part in PARTS}}
    if split.kind != "frame":
        described["notes"] = {part: split.notes[part].tolist() for part in PARTS}
    return described


def _speak_of(split: Split, data: DataSet, config: RunConfig) -> None:
    sizes = ", ".join(f"{part} {len(split.notes[part])} notes ({sum(map(len, split.frames[part]))} frames)"
                      for part in PARTS)
    cli.note(f"split by {split.kind}, seed {config.seed}: {sizes}")
    if split.notes_without_frames:
        cli.note(f"{split.notes_without_frames} notes have no frame in --frames {_shown(config.frames)}")


def _provenance(continued: list[list[str]], first: dict[str, Any] | None = None) -> dict[str, Any]:
    """Command, versions and dates."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    begun = first or {"command": sys.argv, "begun": now,
                      "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
                      "machine": f"{platform.machine()}, {torch.get_num_threads()} threads"}
    return {**begun, "continued": continued, "changed": now}


def _draw(trainer: Trainer, row: dict[str, float]) -> None:
    """The figures that are due after an epoch."""
    epoch, config = int(row["epoch"]), trainer.config
    if epoch in (1, config.epochs) or epoch % config.plot_epochs == 0:
        figures = trainer.folder.path / "figures"
        plot_losses(trainer.history, figures / "losses.png")
        for suffix in ("png", "pdf"):
            plot_reconstructions(trainer.examples(), trainer.settings.space, trainer.settings.front_end,
                                 figures / f"reconstructions_{epoch}.{suffix}")


def _tensorboard(trainer: Trainer) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError("--tensorboard 1 needs tensorboard; install it: pip install tensorboard") from error
    return SummaryWriter(str(trainer.folder.path / "tensorboard"))
