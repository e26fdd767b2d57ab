"""Subjects: a trained run together with the data it was trained on, found again and checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Sequence

import numpy as np

from lt.data.dataset import DataSet, read_data_set
from lt.data.mixing import Mixer
from lt.data.originals import note_audio
from lt.data.splits import Split, split_data
from lt.models.runs import Run

JUDGED_REST_SHARE = 0.5  # whatever a run learns from (`--rest_share`), so that all are judged alike


@dataclass(frozen=True)
class Subject:
    """A run with the data it was trained on, how that was split, and the folders where its sound
    may lie.
    """

    run: Run
    data: DataSet
    split: Split
    folders: tuple[Path, ...] = ()

    def mixer(
        self, part: str, silence_share: float = 0.0, rest_share: float = JUDGED_REST_SHARE
    ) -> Mixer:
        """Mixtures of a part's frames, heard as they are, with silence and rests (where they are by
        chance) as runs are judged, unless given.
        """
        config = replace(self.run.config, silence_share=silence_share, rest_share=rest_share)
        return Mixer(self.data, self.split.frames[part], self.run.space, config, self.run.device)

    def note_audio(self, note: int) -> np.ndarray | None:
        """A note's own sound (samples,); None where it is gone."""
        return note_audio(self.data, note, self.folders)


def open_subject(run: Run, dbroot: Path | None = None, folders: Sequence[Path] = ()) -> Subject:
    """The run's data set, where it lies now, split as it was in training.

    Raises:
        FileNotFoundError: it is gone. ValueError: it is not the one that the run was trained on.
    """
    path = Path(dbroot or run.settings.data["path"])
    if not path.is_file():
        raise FileNotFoundError(
            f"{run.folder.path}: the data set that it was trained on is gone from {path}; "
            "say where it is with --dbroot"
        )
    data = read_data_set(path)
    if data.fingerprint != run.settings.data["fingerprint"]:
        raise ValueError(
            f"{path} is not the data set that {run.folder.path} was trained on: "
            f"{_difference(run, data)}"
        )
    split = Split.from_stored(data, run.config, run.settings.split)
    return Subject(run, data, split, tuple(folders))


def _difference(run: Run, data: DataSet) -> str:
    """What differs between a data set and the one that a run was trained on, as far as the run
    knows.
    """
    missing = [name for name in run.config.instruments if name not in data.notes.instruments]
    if missing:
        return (
            f"it has no {', '.join(missing)} (its instruments: {', '.join(data.notes.instruments)})"
        )
    if data.config != run.front_end:
        return "it was made with another front end (sample rate, bands or frame length)"
    stored = run.settings.split.get("notes", {})
    known, there = (
        {note for notes in stored.values() for note in notes},
        split_data(data, run.config).notes,
    )
    found = {int(note) for notes in there.values() for note in notes}
    if stored and known != found:
        return (
            f"its notes of {', '.join(run.config.instruments)} differ ({len(found)}, in "
            f"training {len(known)})"
        )
    return (
        f"its content differs (fingerprint {data.fingerprint[:12]}, in training "
        f"{run.settings.data['fingerprint'][:12]})"
    )
