"""Evaluation context: a run with its data set (fingerprint checked) and its split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Sequence

import numpy as np

from lt.config import DEFAULT_DATA_SET
from lt.data.dataset import DataSet, read_data_set
from lt.data.mixing import Mixer
from lt.data.originals import note_audio
from lt.data.splits import Split, split_data
from lt.models.runs import Run

EVALUATED_REST_SHARE = 0.5  # whatever a run trains with (`--rest_share`), so that scores compare


@dataclass(frozen=True)
class EvaluationContext:
    """A run with its data set and split.

    Attributes:
        folders: where the recordings and sound fonts of the notes are looked for.
    """

    run: Run
    data: DataSet
    split: Split
    folders: tuple[Path, ...] = ()

    def mixer(
        self, part: str, silence_share: float = 0.0, rest_share: float = EVALUATED_REST_SHARE
    ) -> Mixer:
        """Mixtures of a part's frames, without augmentation; silence and rests as in every
        evaluation, unless given.
        """
        config = replace(self.run.config, silence_share=silence_share, rest_share=rest_share)
        return Mixer(self.data, self.split.frames[part], self.run.space, config, self.run.device)

    def note_audio(self, note: int) -> np.ndarray | None:
        """The recording of a note (samples,); None if its source is gone."""
        return note_audio(self.data, note, self.folders)


def open_context(
    run: Run, dbroot: Path | DataSet | None = None, folders: Sequence[Path] = ()
) -> EvaluationContext:
    """Read the run's data set and split it as in training.

    Args:
        dbroot: the data set, if it was moved since training or is open already.

    Raises:
        FileNotFoundError: it is gone. ValueError: it is not the one that the run was trained on.
    """
    data = dbroot if isinstance(dbroot, DataSet) else _read(run, dbroot)
    if data.fingerprint != run.settings.data["fingerprint"]:
        raise ValueError(
            f"{data.path} is not the data set that {run.folder.path} was trained on: "
            f"{_difference(run, data)}; give that one (--dbroot)"
        )
    split = Split.from_stored(data, run.config, run.settings.split)
    return EvaluationContext(run, data, split, tuple(folders))


def _read(run: Run, dbroot: Path | None) -> DataSet:
    path = Path(dbroot or run.settings.data["path"])
    if not path.is_file():
        raise FileNotFoundError(
            f"{run.folder.path}: the data set that it was trained on is gone from {path}; "
            "give its new path (--dbroot)"
            + (f"; lt_train.py builds {DEFAULT_DATA_SET}" if path == Path(DEFAULT_DATA_SET) else "")
        )
    return read_data_set(path)


def _difference(run: Run, data: DataSet) -> str:
    """How a data set differs from the one that a run was trained on, as far as the run knows."""
    instruments = data.notes.instruments
    missing = [name for name in run.config.instruments if name not in instruments]
    if missing:
        return f"it has no {', '.join(missing)} (its instruments: {', '.join(instruments)})"
    if data.config != run.front_end:
        return "it was made with another front end (sample rate, bands or frame length)"
    used = set(chain(*run.settings.split.get("notes", {}).values()))
    found = {int(note) for note in chain(*split_data(data, run.config).notes.values())}
    if used and used != found:
        names = ", ".join(run.config.instruments)
        return f"its notes of {names} differ ({len(found)}, in training {len(used)})"
    trained = run.settings.data["fingerprint"]
    return f"its content differs (fingerprint {data.fingerprint[:12]}, in training {trained[:12]})"
