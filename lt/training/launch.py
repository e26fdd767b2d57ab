"""A training session: from flags or a run folder to a `Trainer` that is running.

`begin` starts a run, `go_on` continues one; both return a `Session` whose `train` does the rest.
Under torchrun what can fail at the door (data, folders, flags) fails in the writer, and the other
workers leave without a word.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import torch

from lt import cli
from lt.audio.features import Scaler
from lt.build.builder import build_embedded_set
from lt.config import DEFAULT_DATA_SET, RunConfig, fields_with
from lt.data.dataset import DataSet, read_data_set
from lt.data.mixing import Mixer
from lt.data.splits import PARTS, Split, split_data
from lt.devices import device as find_device
from lt.labels import LabelSpace
from lt.models.checkpoints import RunFolder
from lt.models.runs import RunSettings, load_checkpoint, read_settings, run_id
from lt.training.callbacks import Monitor
from lt.training.distributed import Workers, join_workers, local_cuda
from lt.training.step import SAVED_BYTES_A_PARAMETER, check_room, count_parameters
from lt.training.trainer import Trainer, TrainingStopped, fit_scaler

PACKAGES = ("torch", "numpy", "librosa", "nsgt", "pretty_midi")
SIGNAL_EXIT = 128  # the shell's code of a process that a signal ended: 128 + its number


@dataclass(frozen=True)
class Session:
    """A trainer about to run, or one that has nothing left to do."""

    trainer: Trainer

    def train(self) -> None:
        """Train to the last epoch; bar and notes on stderr.

        Raises:
            click.exceptions.Exit: the run was stopped by a signal; `last` is saved. ValueError,
            OSError: as `Trainer.fit`. SystemExit: the same, in workers that are not the writer.
        """
        trainer, writer = self.trainer, self.trainer.workers.writer
        if trainer.epochs_done >= trainer.config.epochs:
            _note(
                trainer.workers,
                f"{trainer.folder.path}: {trainer.epochs_done} epochs are done already; --epochs "
                "is the total",
            )
            trainer.workers.leave()
            return
        try:
            with Monitor(trainer) as monitor:
                trainer.fit(monitor.on_step, monitor.on_epoch)
        except TrainingStopped as stop:
            _note(
                trainer.workers,
                f"stopped in epoch {trainer.epochs_done + 1} after step {trainer.steps_done}; go "
                "on "
                f"with --load {trainer.folder.path} --load_epoch last",
            )
            raise click.exceptions.Exit(SIGNAL_EXIT + stop.signal_number) from None
        except ValueError as error:
            raise error if writer else SystemExit(1) from None
        finally:
            trainer.workers.leave()
        _note(
            trainer.workers,
            f"{trainer.folder.path}: {trainer.epochs_done} epochs, best validation loss "
            f"{trainer.best_valid:.2f}",
        )


def begin(config: RunConfig) -> Session:
    """Start a run from its settings.

    Raises:
        FileNotFoundError, ValueError: the data set, an instrument, a label or the frame range is
        not to be had. OSError: the output folder cannot be written, or has no room for the
        checkpoints.
    """
    device = find_device(local_cuda(config.cuda))
    workers = join_workers(device)
    folder = RunFolder(
        Path(config.savedir) / f"{config.name}__{'_'.join(config.instruments)}", config.name
    )

    def prepare() -> tuple[DataSet, Split, Scaler]:
        if workers.writer:
            folder.make_writable()
        data = _open_data(config)
        split = split_data(data, config)
        space = LabelSpace(config.labels, config.instruments, bool(config.zero_extra_class))
        mixer = Mixer(data, split.frames["train"], space, config, torch.device("cpu"))
        return data, split, fit_scaler(mixer, config)

    data, split, scaler = workers.after_writer(prepare)
    settings = RunSettings(
        run_id(config, data.fingerprint),
        config,
        data.config,
        scaler,
        split.to_stored(config),
        _source(data),
        _provenance(),
    )
    _speak_of(split, config, workers)
    workers.after_writer(lambda: _check_sizes(settings, folder, device))
    if (folder.path / "config.json").exists():
        _note(
            workers,
            f"{folder.path} holds an earlier run, which this one will replace (another --name "
            "keeps both)",
        )
    return Session(Trainer(settings, data, split, folder, device, workers))


def go_on(path: Path, tag: str | int, chosen: dict[str, Any]) -> Session:
    """Continue a run from a checkpoint, with the flags that were given in place of the run's own.

    Raises:
        FileNotFoundError, ValueError: no such run or checkpoint, its data has gone or changed, or a
            flag was given that a run cannot change. OSError: its folder cannot be written.
    """
    before = read_settings(path)
    config = _changed(before.config, chosen, path)
    device = find_device(local_cuda(config.cuda))
    workers = join_workers(device)
    folder = RunFolder(path, config.name)

    def prepare() -> tuple[DataSet, Split]:
        data = read_data_set(chosen.get("dbroot", before.data["path"]))
        if data.fingerprint != before.data["fingerprint"]:
            raise ValueError(
                f"{data.path} is not the data set that {path} was trained on (its fingerprint "
                "differs); "
                "give that one with --dbroot"
            )
        if workers.writer:
            folder.make_writable()
        return data, Split.from_stored(data, config, before.split)

    data, split = workers.after_writer(prepare)
    checkpoint = workers.after_writer(lambda: load_checkpoint(folder, before, tag))
    settings = replace(
        before, config=config, data=_source(data), provenance=_provenance(before.provenance)
    )
    trainer = Trainer(settings, data, split, folder, device, workers)
    if checkpoint.epoch > config.epochs:
        trainer.epochs_done = checkpoint.epoch
        return Session(trainer)
    trainer.resume(checkpoint, before.config)
    workers.wait()
    _note(
        workers,
        f"{path}: going on after epoch {checkpoint.epoch}"
        + (f", step {trainer.steps_done}" if trainer.steps_done else ""),
    )
    return Session(trainer)


def _check_sizes(settings: RunSettings, folder: RunFolder, device: torch.device) -> None:
    """Make sure that a run's networks find room on the device, and its checkpoints on the disk.

    Raises:
        ValueError, OSError: they do not.
    """
    n_parameters = count_parameters(settings)
    check_room(n_parameters, device)
    # the first, the best, the last; of several epochs also the last by its number, and one more on
    # its way
    n_checkpoints = 3 if settings.config.epochs == 1 else 5
    folder.check_space(n_checkpoints * SAVED_BYTES_A_PARAMETER * n_parameters)


def _changed(own: RunConfig, chosen: dict[str, Any], path: Path) -> RunConfig:
    """The run's settings with those that were chosen; refuses what would make it another run."""
    fixed = [
        f"--{name} {_shown(value)} (the run has {_shown(getattr(own, name))})"
        for name, value in chosen.items()
        if name not in fields_with(RunConfig, "resumable") and getattr(own, name) != value
    ]
    if fixed:
        raise ValueError(
            f"{path} cannot go on with other settings than its own: {'; '.join(fixed)}"
        )
    return replace(own, **{**chosen, "savedir": str(path.parent)})


def _shown(value: object) -> str:
    return (" ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)


def _open_data(config: RunConfig) -> DataSet:
    """The data set; at its default path it is built when missing."""
    if config.dbroot == DEFAULT_DATA_SET and not Path(config.dbroot).exists():
        cli.note(
            f"{config.dbroot} is not there: building it from the sound font that pretty_midi "
            "carries"
        )
        build_embedded_set(config.dbroot, cli.progress)
    return read_data_set(config.dbroot)


def _source(data: DataSet) -> dict[str, Any]:
    """What config.json says of the data set."""
    return {"path": str(data.path.resolve()), "fingerprint": data.fingerprint}


def _note(workers: Workers, message: str) -> None:
    if workers.writer:
        cli.note(message)


def _speak_of(split: Split, config: RunConfig, workers: Workers) -> None:
    sizes = ", ".join(
        f"{part} {len(split.notes[part])} notes ({sum(map(len, split.frames[part]))} frames)"
        for part in PARTS
    )
    fold = f", fold {config.fold} of {config.n_folds}" if config.fold >= 0 else ""
    _note(workers, f"split by {split.kind}, seed {config.seed}{fold}: {sizes}")
    if split.notes_without_frames:
        _note(
            workers,
            f"{split.notes_without_frames} notes have no frame in --frames {_shown(config.frames)}",
        )


def _provenance(first: dict[str, Any] | None = None) -> dict[str, Any]:
    """Command, versions and dates; `first` is that of the run which is continued."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    if first:
        return {**first, "continued": [*first["continued"], sys.argv], "changed": now}
    return {
        "command": sys.argv,
        "begun": now,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "continued": [],
        "changed": now,
    }
