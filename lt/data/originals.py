"""Original audio of a data set's note: read again from its file, or rendered again from its font.

A data set stores the names of its sources, but no folders: `collection/folder/file.wav`,
`...@onset` for a note within a file, `...~+100.0c-6.02dB` for a sample that is played higher and
softer, `font.sf2:[bank:]program:number:velocity`. Sources are searched in the given folders, where
the list of files that a build writes beside the data set says they were, beside the data set, and
in the working folder. The audio found is compared with the note's frames, so that another file of
that name is not mistaken for it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from lt.audio.containers import READABLE
from lt.audio.features import audio_to_magnitudes
from lt.audio.filters import high_pass, read_high_passed
from lt.audio.soundfont import embedded_font, open_font
from lt.audio.trim import find_note, from_sample
from lt.config import SpectralConfig
from lt.data.dataset import SUMMARY_SUFFIX, DataSet

MAX_ENERGY_DIFFERENCE = 0.05  # of the frames' energy: the end may have been cut elsewhere
SEARCH_SECONDS = 0.3  # of silence at the beginning of a recording, beyond what was kept
_FONT = re.compile(r"(.+\.sf[23]):(?:(\d+):)?(\d+):(\d+):(\d+)\Z", re.DOTALL)  # any name
_RECORDING = re.compile(r"(.+?)(?:@(\d+\.\d+))?(?:~([+-]\d+\.\d)c([+-]\d+\.\d\d)dB)?\Z", re.DOTALL)


def note_audio(data: DataSet, note: int, folders: Sequence[Path] = ()) -> np.ndarray | None:
    """Audio of a note (samples,) at the data set's rate.

    Args:
        folders: where collections, recordings and fonts are searched first.
    Returns:
        None where the source is missing or has changed.
    """
    source = str(data.notes.sources[note])
    try:
        if font := _FONT.match(source):
            name, *numbers = font.groups()
            font = _find(data, name, folders, [embedded_font()])
            numbers = (int(number or 0) for number in numbers)
            audio = from_sample(_render(data, font, *numbers), -_lead(data, note))
        else:
            audio = _read(data, note, source, folders)
        audio = audio[: int(data.lengths[note]) * data.config.frame_hop]
    except (OSError, ValueError, ImportError, KeyError, TypeError, OverflowError):  # settings too
        return None
    return audio if _matches(data, note, audio) else None


def _find(data: DataSet, name: str, folders: Sequence[Path], others: Sequence[Path] = ()) -> Path:
    """The file of a source, searched below each folder with and without its collection, for folders
    may be either.

    Raises:
        FileNotFoundError: there is none.
    """
    inner = Path(*Path(name).parts[1:]) if len(Path(name).parts) > 1 else Path(name)
    given, near = (
        [folder / path for folder in places for path in (name, inner)]
        for places in (folders, (data.path.parent, Path()))
    )
    listed = _listed(data.path.with_suffix(SUMMARY_SUFFIX)).get(name)
    for path in (*others, *given, *([listed] if listed else []), *near):
        if path.name == Path(name).name and path.is_file():
            return path
    raise FileNotFoundError(f"no file of the source {name}")


def _listed(path: Path) -> dict[str, Path]:
    """The files that a data set was built from and where they were; none without such a list."""
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            return {row["file"]: Path(row["path"]) for row in csv.DictReader(stream) if row["path"]}
    except (OSError, ValueError, LookupError, TypeError, csv.Error):  # none, or of another version
        return {}


def _render(
    data: DataSet, font: Path, bank: int, program: int, number: int, velocity: int
) -> np.ndarray:
    settings = data.settings["built_from"]
    seconds = float(settings["note_seconds"]), float(settings["release_seconds"])
    opened = open_font(font, data.config.sample_rate, float(settings["brightness"]), bank)
    return high_pass(opened.render_note(program, number, velocity, *seconds), data.config)


def _read(data: DataSet, note: int, source: str, folders: Sequence[Path]) -> np.ndarray:
    """A recording from the begin of the note's first frame on."""
    name, onset, cents, gain_db = _RECORDING.match(source).groups()
    path = _find(data, name, folders)
    if path.suffix.lower() not in READABLE:
        raise ValueError(f"{path} is not a sound file")
    audio = _read_whole(path, data.config, 2 ** (float(cents or 0) / 1200))
    audio = audio * np.float32(10 ** (float(gain_db or 0) / 20))
    rate = data.config.sample_rate
    begin = 0
    if onset is not None:
        n_samples = int(data.lengths[note]) * data.config.frame_hop
        begin = round(float(onset) * rate)
        audio = audio[: begin + n_samples + round(SEARCH_SECONDS * rate)]
    span, _ = find_note(audio[begin:], rate)
    if data.settings["version"] < 3:  # frames began with what was kept of the silence
        return audio[begin + span.begin :]
    audio = audio.copy()
    audio[: begin + span.begin] = 0
    return from_sample(audio, begin + span.onset - _lead(data, note))


def _lead(data: DataSet, note: int) -> int:
    """Samples from the begin of a note's first frame to its onset."""
    return round(float(data.notes.onset[note]) * data.config.sample_rate)


@lru_cache(maxsize=1)
def _read_whole(path: Path, config: SpectralConfig, speed: float) -> np.ndarray:
    """A whole file, kept for the other notes in it."""
    return read_high_passed(path, config, speed)


def _matches(data: DataSet, note: int, audio: np.ndarray) -> bool:
    """Whether the spectra of the audio are the note's frames."""
    frames = data.frames(data.rows(note))
    found = audio_to_magnitudes(torch.from_numpy(audio), data.config).numpy()
    if found.shape != frames.shape:
        return False
    return bool(((found - frames) ** 2).sum() <= MAX_ENERGY_DIFFERENCE * (frames**2).sum())
