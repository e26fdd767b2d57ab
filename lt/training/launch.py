"""Start and resume training runs: `train` and `resume`.

Under torchrun, what can fail before training (data, folders, flags) fails in the writer, and the
other workers raise `WriterFailed`.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lt.audio.features import Scaler
from lt.build.builder import build_embedded_set
from lt.config import DEFAULT_DATA_SET, RunConfig, fields_with
from lt.data.ages import age_times
from lt.data.dataset import DataSet, read_data_set
from lt.data.mixing import Mixer
from lt.data.splits import PARTS, Split, split_data
from lt.devices import device as find_device
from lt.devices import memory
from lt.files import check_folder
from lt.labels import AgeTimes, known_instruments, octave_pitch_to_note_number
from lt.messages import counted
from lt.models.checkpoints import BEST, RunFolder
from lt.models.learnt import Table, learnt_table
from lt.models.pretrained import run_path
from lt.models.runs import RunSettings, load_checkpoint, read_settings, run_id, space_of
from lt.progress import Progress, silent
from lt.training.callbacks import fit_with_callbacks
from lt.training.distributed import Workers, WriterFailed, join_workers, local_cuda
from lt.training.step import count_parameters
from lt.training.trainer import Trainer, TrainingStopped, fit_scalers

PACKAGES = ("torch", "numpy", "librosa", "nsgt", "pretty_midi")
FEW_NOTES = 12  # to learn from: less than an octave at one dynamic; set by hand
TRAINED_BYTES = 16  # of a parameter in training: in float32 weight, gradient, Adam's two moments
SAVED_BYTES = 12  # of a parameter in a checkpoint: all of these but the gradient


@dataclass(frozen=True)
class TrainedRun:
    """Result of a training.

    Attributes:
        path: the run folder.
        epochs: number of finished epochs.
        best_valid: least validation loss; infinite where nothing was trained.
    """

    path: Path
    epochs: int
    best_valid: float


def train(config: RunConfig, progress: Progress = silent) -> TrainedRun:
    """Train a run from the start; it is written to SAVEDIR/NAME__INSTRUMENTS.

    Args:
        config: its settings.
        progress: like `tqdm.tqdm`; total in frames.
    Raises:
        FileNotFoundError, ValueError: the data set, an instrument, a label or the frame range is
            not available, or the loss became NaN or infinite (the last good state is saved).
        OSError: the folder cannot be written, or has no room for the checkpoints.
        ImportError: `tensorboard` is set and tensorboard is not installed.
        lt.TrainingStopped: on SIGINT or SIGTERM; the state is saved as `last`.
        lt.WriterFailed: under torchrun, in the other workers, when the writer raised one of these.

    Example:
        >>> config = lt.RunConfig(instruments=("Flute",), frames=(), dims=(4,), epochs=2,
        ...                       hidden_dims_1=(64,), hidden_dims_2=(32,))
        >>> trained = lt.train(config)
        >>> trained.path.name, trained.epochs
        ('scan_multi__Flute', 2)
    """
    device = find_device(local_cuda(config.cuda))
    workers = join_workers(device)
    data = workers.writer_first(lambda: _open_data(config, workers, progress))
    instruments = known_instruments(config.instruments, data.notes.instruments)
    config = replace(config, instruments=instruments)
    name = f"{config.name}__{'_'.join(config.instruments)}"
    folder = RunFolder(Path(config.savedir) / name, config.name)

    def prepare() -> tuple[Split, tuple[Scaler, Scaler]]:
        split = split_data(data, config)
        mixer = Mixer(data, split.frames["train"], space_of(config), config, torch.device("cpu"))
        scalers = fit_scalers(mixer, config)
        if workers.writer:
            folder.make_writable()
        return split, scalers

    split, scalers = workers.writer_first(prepare)
    settings = RunSettings(
        run_id(config, data.fingerprint),
        config,
        data.config,
        *scalers,
        split.to_stored(config),
        _data_facts(data),
        _provenance(),
        _learnt(data, split, config),
        _age_times(data, split, config),
    )
    _log_split(data, split, config, workers)
    workers.writer_first(lambda: _check_sizes(settings, folder, device))
    if (folder.path / "config.json").exists():
        workers.log(
            f"{folder.path} holds an earlier run, which this one will replace (another --name "
            "keeps both)"
        )
    return _fit(Trainer(settings, data, split, folder, device, workers), progress)


def resume(
    path: Path | str,
    tag: str | int = BEST,
    changes: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> TrainedRun:
    """Continue a run from a checkpoint. Nothing is done where it has `config.epochs` already.

    Args:
        path: the run folder.
        tag: of the checkpoint: "best", "last" or the number of an epoch; later ones are removed.
        changes: fields of RunConfig that replace the run's own, such as {"epochs": 200}.
        progress: like `tqdm.tqdm`; total in frames.
    Raises:
        FileNotFoundError, ValueError: no such run or checkpoint, its data set is gone or has
            changed, or a run cannot change one of the fields; and as `train`.
        OSError, ImportError, lt.TrainingStopped, lt.WriterFailed: as `train`.

    Example:
        >>> lt.resume("saves/flute__Flute", "last", {"epochs": 3}).epochs
        3
    """
    path = Path(path)
    if run_path(path) != path:
        raise ValueError(
            f"{path} comes with the package, with its weights alone, and cannot be trained on; "
            "train a model of your own (--instruments, without --load)"
        )
    changes = dict(changes or {})
    previous = read_settings(path)
    if names := changes.get("instruments"):
        changes["instruments"] = known_instruments(names, previous.config.instruments)
    config = _changed(previous.config, changes, path)
    device = find_device(local_cuda(config.cuda))
    workers = join_workers(device)
    folder = RunFolder(path, config.name)

    def prepare() -> tuple[DataSet, Split]:
        data = read_data_set(changes.get("dbroot", previous.data["path"]))
        if data.fingerprint != previous.data["fingerprint"]:
            raise ValueError(
                f"{data.path} is not the data set that {path} was trained on (its fingerprint "
                "differs); give that one with --dbroot"
            )
        if workers.writer:
            folder.make_writable()
        return data, Split.from_stored(data, config, previous.split)

    data, split = workers.writer_first(prepare)
    checkpoint = workers.writer_first(lambda: load_checkpoint(folder, previous, tag))
    provenance = _provenance(previous.provenance)
    settings = replace(previous, config=config, data=_data_facts(data), provenance=provenance)
    trainer = Trainer(settings, data, split, folder, device, workers)
    if checkpoint.epoch > config.epochs:  # nothing to do: the folder is left as it is
        trainer.state.epochs_done = checkpoint.epoch
    else:
        trainer.resume(checkpoint, previous.config)
        workers.wait()
        step = f", step {trainer.state.steps_done}" if trainer.state.steps_done else ""
        workers.log(f"{path}: going on after epoch {checkpoint.epoch}{step}")
    return _fit(trainer, progress)


def _fit(trainer: Trainer, progress: Progress) -> TrainedRun:
    """Train to the last epoch, and leave the group of workers."""
    workers, path = trainer.workers, trainer.folder.path
    try:
        if trainer.state.epochs_done >= trainer.config.epochs:
            done = counted(trainer.state.epochs_done, "epoch")
            workers.log(f"{path}: {done} done already; --epochs is the total")
        else:
            fit_with_callbacks(trainer, progress if workers.writer else silent)
            epochs, best = counted(trainer.state.epochs_done, "epoch"), trainer.state.best_valid
            workers.log(f"{path}: {epochs}, best validation loss {best:.2f}")
    except TrainingStopped as stop:
        workers.log(str(stop))
        raise
    except ValueError as error:  # raised in all workers alike: only the writer reports it
        raise error if workers.writer else WriterFailed from None
    finally:
        workers.leave()
    return TrainedRun(path, trainer.state.epochs_done, trainer.state.best_valid)


def _check_sizes(settings: RunSettings, folder: RunFolder, device: torch.device) -> None:
    """Check that the networks fit the memory of the device, and the checkpoints the disk.

    Raises:
        ValueError, OSError: they do not.
    """
    n_parameters = count_parameters(settings)
    needed, available = n_parameters * TRAINED_BYTES, memory(device)
    if needed > available:
        raise ValueError(
            f"networks of {n_parameters / 1e6:.0f} million parameters take {needed / 1e9:.0f} GB "
            f"to train and this device has {available / 1e9:.0f}: try smaller --dims, "
            "--hidden_dims_1, --hidden_num_1, --hidden_dims_2, --hidden_num_2 (or --adv_dim, "
            "--adv_num)"
        )
    # the first, `best`, `last`, and one staged; tags of one epoch share a copy
    n_checkpoints = 1 if settings.config.epochs == 1 else 4
    folder.check_space(n_checkpoints * SAVED_BYTES * n_parameters)


def _changed(own: RunConfig, changes: dict[str, Any], path: Path) -> RunConfig:
    """The settings of a run with some changes.

    Raises:
        ValueError: an unknown setting, or a change that would make it another run.
    """
    if unknown := sorted(changes.keys() - vars(own).keys()):
        raise ValueError(f"unknown settings: {', '.join(unknown)}")
    resumable = fields_with(RunConfig, "resumable")
    refused = [
        f"--{name} {_as_typed(value)} (the run has {_as_typed(getattr(own, name))})"
        for name, value in changes.items()
        if name not in resumable and getattr(own, name) != value
    ]
    if refused:
        raise ValueError(
            f"{path} cannot go on with other settings than its own: {'; '.join(refused)}"
        )
    return replace(own, **{**changes, "savedir": str(path.parent)})


def _as_typed(value: object) -> str:
    return (" ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)


def _open_data(config: RunConfig, workers: Workers, progress: Progress) -> DataSet:
    """The data set; at its default path it is built when missing. Checks before whether the run can
    be written.
    """
    check_folder(config.savedir)
    if config.dbroot == DEFAULT_DATA_SET and not Path(config.dbroot).exists():
        workers.log(
            f"{config.dbroot} is not there: building it from the sound font that pretty_midi "
            "carries"
        )
        build_embedded_set(config.dbroot, progress)
    return read_data_set(config.dbroot)


def _data_facts(data: DataSet) -> dict[str, Any]:
    """The data set in config.json."""
    return {"path": str(data.path.resolve()), "fingerprint": data.fingerprint}


def _learnt(data: DataSet, split: Split, config: RunConfig) -> dict[str, Table]:
    """The notes of each instrument in the training part, for config.json."""
    tables = {}
    for instrument in config.instruments:
        notes = np.intersect1d(split.notes["train"], data.notes_of(instrument))
        octave, pitch, dynamics = data.notes.labels[notes, :3].T
        tables[instrument] = learnt_table(octave_pitch_to_note_number(octave, pitch), dynamics)
    return tables


def _age_times(data: DataSet, split: Split, config: RunConfig) -> dict[str, AgeTimes]:
    """The ages of each instrument's notes in the training part."""
    if "age" not in config.labels:
        return {}
    return {
        instrument: age_times(
            data, np.intersect1d(split.notes["train"], data.notes_of(instrument)), config.frames
        )
        for instrument in config.instruments
    }


def _log_split(data: DataSet, split: Split, config: RunConfig, workers: Workers) -> None:
    sizes = ", ".join(
        f"{part} {counted(len(split.notes[part]), 'note')} "
        f"({counted(sum(map(len, split.frames[part])), 'frame')})"
        for part in PARTS
    )
    fold = f", fold {config.fold} of {config.n_folds}" if config.fold >= 0 else ""
    workers.log(f"split by {split.kind}, seed {config.seed}{fold}: {sizes}")
    for name in config.instruments:
        n_notes = len(np.intersect1d(split.notes["train"], data.notes_of(name)))
        if n_notes < FEW_NOTES:
            workers.log(
                f"{name} has {counted(n_notes, 'note')} to learn from: too few for a model of "
                f"other notes, and for its scores to mean much ({FEW_NOTES} are a beginning)"
            )
    if split.notes_without_frames:
        frames = _as_typed(config.frames)
        notes = counted(split.notes_without_frames, "note")
        workers.log(f"{notes} without a frame in --frames {frames}")


def _provenance(previous: dict[str, Any] | None = None) -> dict[str, Any]:
    """Command, versions and dates; `previous` is that of the run which is resumed."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    if previous:
        return {**previous, "continued": [*previous["continued"], sys.argv], "changed": now}
    return {
        "command": sys.argv,
        "begun": now,
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
        },
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "continued": [],
        "changed": now,
    }


def _version(package: str) -> str:
    """Of an installed package; nsgt need not be."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
