"""The files of a run folder: checkpoints in two halves, history, settings and figures.

    SAVEDIR/NAME__INSTRUMENT[_INSTRUMENT...]/
        config.json              every setting and fact needed to use the models; plain JSON
        history.csv              a row an epoch
        vae_1/NAME_TAG.t7        signal VAE: tensors and plain values (torch.load(weights_only=True))
        vae_2/NAME_TAG.t7        symbol VAE, likewise; TAG is an epoch, `best` or `last`
        figures/

The two halves of a checkpoint carry one run id, epoch and step. Both are first written whole to
hidden files beside them (the stage) and then moved in place, one after the other. A kill between
the moves leaves one half in place and the other staged; readers take the two together, and the next
writer finishes the move first. So a pair that can be loaded exists at every moment.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lt.files import fsync_path, make_folder, write_json, write_text

FORMAT, VERSION = "latent-transcription checkpoint", 2  # 1 had ReLU in its networks
HALVES = {"signal": "vae_1", "symbol": "vae_2"}
BEST, LAST = "best", "last"

State = dict[str, Any]


@dataclass
class Checkpoint:
    """The state of a run at one moment: tensors and plain values only.

    Attributes:
        run_id, epoch, step: which run; epochs done; steps done of the next epoch (0 between
            epochs).
        signal, symbol: state of each half: `model`, `optimizer`, `scheduler` (and the critic's with
            the signal).
        training: plain values and tensors that the trainer continues from.
    """

    run_id: str
    epoch: int
    step: int
    signal: State
    symbol: State
    training: State = field(default_factory=dict)


class History:
    """The rows of history.csv; each is put into text once, floats such that they read back exactly."""

    def __init__(self, path: Path, rows: list[dict[str, float]]) -> None:
        self.path, self.rows = path, []
        self._lines: list[str] = []
        for row in rows:
            self.append(row)

    def append(self, row: dict[str, float]) -> None:
        """One more epoch."""
        self.rows.append(row)
        self._lines.append(_csv_line(row.values()))

    def write(self) -> None:
        """Write the file anew, whole or not at all."""
        if self.rows:
            write_text(self.path, _csv_line(self.rows[0]) + "".join(self._lines))


class RunFolder:
    """The files of one run. `name` is the run's `--name`, known from config.json once that exists."""

    def __init__(self, path: Path | str, name: str) -> None:
        self.path, self.name = Path(path), name

    @property
    def figures(self) -> Path:
        """Where the figures of training go."""
        return self.path / "figures"

    def half(self, half: str, tag: str | int) -> Path:
        """A checkpoint's file of one half."""
        return self.path / HALVES[half] / f"{self.name}_{tag}.t7"

    def _staged(self, half: str, tag: str | int) -> Path:
        path = self.half(half, tag)
        return path.parent / f".{path.name}.next"

    def make_writable(self) -> None:
        """Make the folders and try a write in each, before hours are spent.

        Raises:
            OSError: they cannot be made or written.
        """
        for folder in (self.path, *(self.path / name for name in (*HALVES.values(), "figures"))):
            probe = make_folder(folder) / ".lt-probe"
            probe.write_bytes(b"")
            probe.unlink()

    def check_space(self, n_bytes: float) -> None:
        """Make sure that the disk has room for so many bytes of checkpoints; those that are there
        will be replaced.

        Raises:
            OSError: it has not.
        """
        free = shutil.disk_usage(self.path).free
        free += sum(
            self.half(half, tag).stat().st_size
            for half in HALVES
            for tag in self.tags()
            if self.half(half, tag).is_file()
        )
        if n_bytes > free:
            raise OSError(
                f"the checkpoints of this run take {n_bytes / 1e6:.3g} MB, and {free / 1e6:.3g} "
                "are free at "
                f"{self.path}: make room, or choose another --savedir"
            )

    def write_settings(self, settings: State) -> None:
        """Write config.json."""
        write_json(self.path / "config.json", settings)

    def history(self, until_epoch: int = 0) -> History:
        """The rows of history.csv up to an epoch."""
        path, rows = self.path / "history.csv", []
        if until_epoch and path.is_file():
            with open(path, newline="", encoding="utf-8") as stream:
                rows = [
                    {name: float(value) for name, value in row.items()}
                    for row in csv.DictReader(stream)
                ]
        return History(
            path,
            [{**row, "epoch": int(row["epoch"])} for row in rows if row["epoch"] <= until_epoch],
        )

    def drop_later(self, epoch: int) -> None:
        """Remove what a run wrote of epochs after `epoch`; after epoch 0, all that it wrote."""
        for folder, prefix in (
            *((name, f"{self.name}_") for name in HALVES.values()),
            ("figures", "reconstructions_"),
        ):
            for path in sorted((self.path / folder).iterdir()):
                tag = path.stem.removeprefix(prefix)
                if path.name.startswith(prefix) and (
                    int(tag) > epoch if tag.isdecimal() else not epoch
                ):
                    path.unlink()
        if not epoch:
            for path in (self.path / "history.csv", self.figures / "losses.png"):
                path.unlink(missing_ok=True)

    # --- checkpoints ------------------------------------------------------------------------------

    def save(self, tag: str | int, checkpoint: Checkpoint) -> None:
        """Write both halves of a checkpoint; the earlier pair of this tag stays until both are on
        the disk.

        Raises:
            OSError: no space, no permission; the earlier pair is untouched.
        """
        self._finish_move(tag)
        try:
            for half in HALVES:
                _write_half(self._staged(half, tag), checkpoint, half)
        except BaseException:
            self._clear_stage(tag)
            raise
        self._move(tag)

    def _move(self, tag: str | int) -> None:
        for half in HALVES:
            if self._staged(half, tag).is_file():
                os.replace(self._staged(half, tag), self.half(half, tag))
                fsync_path(self.half(half, tag).parent)
        self._clear_stage(tag)

    def _clear_stage(self, tag: str | int) -> None:
        for half in HALVES:
            self._staged(half, tag).unlink(missing_ok=True)

    def _finish_move(self, tag: str | int) -> None:
        """What a killed process left in the stage: moved in place where it completes a pair, else
        removed.
        """
        signal, symbol = self.half("signal", tag), self._staged("symbol", tag)
        if symbol.is_file() and not self._staged("signal", tag).exists() and signal.is_file():
            if _moment(signal, "signal") == _moment(symbol, "symbol"):
                self._move(tag)
        self._clear_stage(tag)

    def load(self, tag: str | int, device: torch.device | str = "cpu") -> Checkpoint:
        """Read a checkpoint, both halves of one moment.

        Raises:
            FileNotFoundError: there is none of this tag. ValueError: damaged, foreign, or mixed
            halves.
        """
        signal_path, symbol_path = self._pair(tag)
        signal, symbol = (
            _read_half(signal_path, "signal", device),
            _read_half(symbol_path, "symbol", device),
        )
        return Checkpoint(
            signal["run_id"],
            signal["epoch"],
            signal["step"],
            signal["state"],
            symbol["state"],
            signal["training"],
        )

    def moment(self, tag: str | int) -> tuple[int, int] | None:
        """Epoch and step of a checkpoint, without reading its tensors; None where there is none."""
        if str(tag) not in self.tags():
            return None
        _, epoch, step = _moment(self._pair(tag)[0], "signal")
        return epoch, step

    def _pair(self, tag: str | int) -> tuple[Path, Path]:
        """The files of both halves: in place, or one in place and one still staged (see the
        module).
        """
        signal, symbol = self.half("signal", tag), self.half("symbol", tag)
        if not signal.is_file():
            known = ", ".join(self.tags()) or "none"
            raise FileNotFoundError(f"{self.path}: no checkpoint '{tag}' (there is {known})")
        moment, staged = _moment(signal, "signal"), self._staged("symbol", tag)
        if symbol.is_file() and _moment(symbol, "symbol") == moment:
            return signal, symbol
        if staged.is_file() and _moment(staged, "symbol") == moment:
            return signal, staged
        raise ValueError(
            f"{self.path}: the halves of checkpoint '{tag}' in vae_1 and vae_2 are not both "
            "there, or "
            "not of one moment of one run; copy both from the same place"
        )

    def tags(self) -> list[str]:
        """Tags of the checkpoints that exist, `best` and `last` first."""
        folder, prefix = self.path / HALVES["signal"], f"{self.name}_"
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        tags = [
            name.removeprefix(prefix).removesuffix(".t7")
            for name in names
            if name.startswith(prefix) and name.endswith(".t7")
        ]
        return sorted(
            tags, key=lambda tag: (tag.isdecimal(), int(tag) if tag.isdecimal() else 0, tag)
        )


def _csv_line(values: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _write_half(path: Path, checkpoint: Checkpoint, half: str) -> None:
    content = {
        "format": FORMAT,
        "version": VERSION,
        "half": half,
        "run_id": checkpoint.run_id,
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "state": getattr(checkpoint, half),
        "training": checkpoint.training,
    }
    try:
        with open(
            path, "wb"
        ) as stream:  # given a path, torch writes its name into the file where it is all ASCII
            torch.save(content, stream)
        fsync_path(path)
    except (OSError, RuntimeError) as error:  # torch's zip writer reports a full disk as the latter
        raise OSError(
            f"{path.name[1:-5]} could not be written to {path.parent}: is the disk full? "
            "What was saved before is kept"
        ) from error


def _read_half(path: Path, half: str, device: torch.device | str, mmap: bool = False) -> State:
    """One half, read without executing anything; with `mmap` its tensors stay on disk until they
    are used.
    """
    try:
        if not mmap:
            _check_sums(path)
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
    if content["half"] != half:
        raise ValueError(
            f"{path} holds the {content['half']} VAE, not the {half} VAE; vae_1 and vae_2 are "
            "mixed up"
        )
    return content


def _check_sums(path: Path) -> None:
    """Raises ValueError where a file's content does not match its checksums, at which torch does
    not look.
    """
    with zipfile.ZipFile(path) as archive:
        if (name := archive.testzip()) is not None:
            raise ValueError(f"{name} is damaged")


def _moment(path: Path, half: str) -> tuple[str, int, int]:
    """Run id, epoch and step of one half."""
    content = _read_half(path, half, "cpu", mmap=True)
    return content["run_id"], content["epoch"], content["step"]
