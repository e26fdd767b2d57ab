"""The files of a run folder: checkpoints of both modalities, history, settings and figures.

    SAVEDIR/NAME__INSTRUMENT[_INSTRUMENT...]/
        config.json              every setting and fact needed to use the models; plain JSON
        history.csv              a row for each epoch
        vae_1/NAME_TAG.t7        signal VAE: tensors and plain values (weights_only=True)
        vae_2/NAME_TAG.t7        symbol VAE, likewise; TAG is an epoch, `best` or `last`
        figures/

The two files of a checkpoint carry one run id, epoch and step. Both are first written whole to
staged files (hidden, beside the final ones) and then moved into place, the signal's first. A
process killed between the two moves leaves the signal in place and the symbol staged; readers take
that pair, and the next save completes the move. So a pair that loads exists at every moment.

Tags of one state share one stored copy: the files of the others are hard links to the first one's,
or copies where the file system has no links. No file is changed in place, so a tag that is replaced
leaves the others as they are.
"""

from __future__ import annotations

import csv
import glob
import math
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lt.files import fsync_path, make_folder, write_json, write_text

FORMAT, VERSION = "latent-transcription checkpoint", 3  # 2 had one scaler
MODALITIES = {"signal": "vae_1", "symbol": "vae_2"}  # and their folders
BEST, LAST = "best", "last"

State = dict[str, Any]


@dataclass
class Checkpoint:
    """The state of a run after a training step: tensors and plain values only.

    Attributes:
        run_id: which run.
        epoch: number of finished epochs.
        step: number of finished steps of the next epoch, 0 between epochs.
        signal, symbol: `model`, `optimizer` and `scheduler` of each modality; those of the critic
            are with the signal.
        training: plain values and tensors that the trainer continues from.
    """

    run_id: str
    epoch: int
    step: int
    signal: State
    symbol: State
    training: State = field(default_factory=dict)


class History:
    """The rows of history.csv. Floats are written such that they read back exactly."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._text = ""  # a row is formatted once, not at every write

    def append(self, row: dict[str, float]) -> None:
        """Add the row of an epoch. Rows of an earlier version get NaN in the columns they lack."""
        if self.rows:
            row = dict.fromkeys(self.rows[0], math.nan) | row
            if len(row) > len(self.rows[0]):
                earlier, self.rows, self._text = self.rows, [], ""
                for old in earlier:
                    self.append(dict.fromkeys(row, math.nan) | old)
        for values in (row.values(),) if self.rows else (row, row.values()):
            self._text += ",".join(map(str, values)) + "\n"
        self.rows.append(row)

    def write(self) -> None:
        """Replace the file, whole or not at all."""
        if self.rows:
            write_text(self.path, self._text)


class RunFolder:
    """The files of one run.

    Args:
        path: the folder.
        name: `--name` of the run, part of the names of its checkpoints.
    """

    def __init__(self, path: Path | str, name: str) -> None:
        self.path = Path(path)
        self.name = name

    @property
    def figures(self) -> Path:
        """Folder of the figures of training."""
        return self.path / "figures"

    def checkpoint_path(self, modality: str, tag: str | int) -> Path:
        """File of one modality of a checkpoint."""
        return self.path / MODALITIES[modality] / f"{self.name}_{tag}.t7"

    def _staged_path(self, modality: str, tag: str | int) -> Path:
        path = self.checkpoint_path(modality, tag)
        return path.with_name(f".{path.name}.next")

    def make_writable(self) -> None:
        """Make the folders and try a write in each, before hours are spent on training.

        Raises:
            OSError: they cannot be made or written.
        """
        for folder in (
            self.path,
            *(self.path / name for name in (*MODALITIES.values(), "figures")),
        ):
            probe = make_folder(folder) / ".lt-probe"
            probe.write_bytes(b"")
            probe.unlink()

    def check_space(self, n_bytes: float) -> None:
        """Check that the disk has room for checkpoints of `n_bytes`, which replace those present.

        Raises:
            OSError: it has not.
        """
        files = [path for modality in MODALITIES for path in self._checkpoint_files(modality)]
        sizes = {status.st_ino: status.st_size for status in map(Path.stat, files)}
        free = shutil.disk_usage(self.path).free + sum(sizes.values())
        if n_bytes > free:
            raise OSError(
                f"the checkpoints of this run take {n_bytes / 1e6:.3g} MB, and {free / 1e6:.3g} "
                f"are free at {self.path}: make room, or choose another --savedir"
            )

    def write_settings(self, settings: State) -> None:
        """Write config.json."""
        write_json(self.path / "config.json", settings)

    def history(self, until_epoch: int = 0) -> History:
        """The rows of history.csv up to and including an epoch."""
        history = History(self.path / "history.csv")
        if until_epoch and history.path.is_file():
            with open(history.path, newline="", encoding="utf-8") as stream:
                for texts in csv.DictReader(stream):
                    row = {name: float(text) for name, text in texts.items()}
                    if row["epoch"] <= until_epoch:
                        history.append({**row, "epoch": int(row["epoch"])})
        return history

    def drop_later(self, epoch: int) -> None:
        """Remove what the run wrote after an epoch; for epoch 0, everything that it wrote."""
        for folder, prefix in (
            *((folder, f"{self.name}_") for folder in MODALITIES.values()),
            ("figures", "reconstructions_"),
        ):
            for path in list((self.path / folder).glob(f"{glob.escape(prefix)}*")):
                tag = path.stem.removeprefix(prefix)
                later = int(tag) > epoch if tag.isdecimal() else epoch == 0
                if later:
                    path.unlink()
        if not epoch:
            for path in (self.path / "history.csv", self.figures / "losses.png"):
                path.unlink(missing_ok=True)

    # --- checkpoints ------------------------------------------------------------------------------

    def save(self, checkpoint: Checkpoint, *tags: str | int) -> None:
        """Write both files of a checkpoint under some tags, one after another; the previous pair of
        each stays until its new one is on the disk.

        Raises:
            OSError: no space or no permission; the pairs that were not replaced are untouched.
        """
        for tag in tags:
            self._complete_move(tag)
            try:
                for modality in MODALITIES:
                    staged = self._staged_path(modality, tag)
                    if tag == tags[0]:
                        _write(staged, checkpoint, modality)
                    else:
                        _link(self.checkpoint_path(modality, tags[0]), staged)
            except BaseException:
                self._clear_staged(tag)
                raise
            for modality in MODALITIES:
                self._move(modality, tag)

    def _move(self, modality: str, tag: str | int) -> None:
        path = self.checkpoint_path(modality, tag)
        os.replace(self._staged_path(modality, tag), path)
        fsync_path(path.parent)

    def _complete_move(self, tag: str | int) -> None:
        """Complete the move that a killed process began, and remove what it had not finished."""
        signal, symbol = self.checkpoint_path("signal", tag), self._staged_path("symbol", tag)
        # the signal is staged first and moved first: without it, the staged symbol is whole
        signal_moved = signal.is_file() and not self._staged_path("signal", tag).exists()
        if signal_moved and symbol.is_file() and _key(signal, "signal") == _key(symbol, "symbol"):
            self._move("symbol", tag)
        self._clear_staged(tag)

    def _clear_staged(self, tag: str | int) -> None:
        for modality in MODALITIES:
            self._staged_path(modality, tag).unlink(missing_ok=True)

    def load(self, tag: str | int, device: torch.device | str = "cpu") -> Checkpoint:
        """Read a checkpoint.

        Raises:
            FileNotFoundError: there is none of this tag.
            ValueError: a file is damaged or foreign, or the two are not of one checkpoint.
        """
        signal_path, symbol_path = self._pair(tag)
        signal = _read(signal_path, "signal", device)
        symbol = _read(symbol_path, "symbol", device)
        shared = {name: signal[name] for name in ("run_id", "epoch", "step", "training")}
        return Checkpoint(signal=signal["state"], symbol=symbol["state"], **shared)

    def position(self, tag: str | int) -> tuple[int, int] | None:
        """Epoch and step of a checkpoint, without reading its tensors; None where there is none."""
        if str(tag) not in self.tags():
            return None
        _, epoch, step = _key(self._pair(tag)[0], "signal")
        return epoch, step

    def _pair(self, tag: str | int) -> tuple[Path, Path]:
        """The files of a checkpoint: both in place, or the symbol's still staged."""
        signal = self.checkpoint_path("signal", tag)
        if not signal.is_file():
            known = ", ".join(self.tags()) or "none"
            raise FileNotFoundError(f"{self.path}: no checkpoint '{tag}' (there is {known})")
        key = _key(signal, "signal")
        for symbol in (self.checkpoint_path("symbol", tag), self._staged_path("symbol", tag)):
            if symbol.is_file() and _key(symbol, "symbol") == key:
                return signal, symbol
        raise ValueError(
            f"{self.path}: the files of checkpoint '{tag}' in vae_1 and vae_2 are not both there, "
            "or not of one epoch and step of one run; copy both from the same place"
        )

    def tags(self) -> list[str]:
        """Tags of the checkpoints present, `best` and `last` first."""
        tags = [
            path.stem.removeprefix(f"{self.name}_") for path in self._checkpoint_files("signal")
        ]
        return sorted(tags, key=lambda tag: (tag.isdecimal(), len(tag), tag))

    def _checkpoint_files(self, modality: str) -> list[Path]:
        return list((self.path / MODALITIES[modality]).glob(f"{glob.escape(self.name)}_*.t7"))


def _write(path: Path, checkpoint: Checkpoint, modality: str) -> None:
    content = {
        "format": FORMAT,
        "version": VERSION,
        "half": modality,
        "run_id": checkpoint.run_id,
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "state": getattr(checkpoint, modality),
        "training": checkpoint.training,
    }
    with _full_disk_named(path), open(path, "wb") as stream:
        # given a path instead of a stream, torch writes the file's name into the file
        torch.save(content, stream)
        stream.flush()
        os.fsync(stream.fileno())


def _link(path: Path, staged: Path) -> None:
    """Make `staged` the same file as `path`, or a copy of it."""
    try:
        os.link(path, staged)
    except OSError:  # FAT and some network file systems have no links
        with _full_disk_named(staged):
            shutil.copyfile(path, staged)
            fsync_path(staged)


@contextmanager
def _full_disk_named(staged: Path) -> Iterator[None]:
    """Raise what a full disk raises as an OSError that names the checkpoint."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch's zip writer reports a full disk as the latter
        name = staged.name.removeprefix(".").removesuffix(".next")
        raise OSError(
            f"{name} could not be written to {staged.parent}: is the disk full? "
            "What was saved before is kept"
        ) from error


def _read(path: Path, modality: str, device: torch.device | str, mmap: bool = False) -> State:
    """Read one file without executing anything; `mmap` leaves its tensors on disk, unchecked."""
    try:
        with zipfile.ZipFile(path) as archive:
            if not mmap and archive.testzip():  # torch does not compare checksums
                raise ValueError("a checksum differs")
        content = torch.load(path, map_location=device, weights_only=True, mmap=mmap)
    except Exception as error:  # a damaged archive can make torch raise anything
        raise ValueError(
            f"{path} is damaged, cut short or no checkpoint of this project"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is no checkpoint of this project")
    if content["version"] != VERSION:
        raise ValueError(
            f"{path} is a checkpoint of version {content['version']}, expected {VERSION}"
        )
    if content["half"] != modality:
        raise ValueError(
            f"{path} holds the {content['half']} VAE, not the {modality} VAE; vae_1 and vae_2 are "
            "mixed up"
        )
    return content


def _key(path: Path, modality: str) -> tuple[str, int, int]:
    """Run id, epoch and step of one file."""
    content = _read(path, modality, "cpu", mmap=True)
    return content["run_id"], content["epoch"], content["step"]
