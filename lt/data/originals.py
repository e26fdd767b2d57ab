"""The sound that a note of a data set was made from: read again from its file, or rendered again
from its font.

A data set names its sources (`collection/folder/file.wav`, `...@onset` for a note within a file,
`font.sf2:program:number:velocity`) but not where they lay. They are looked for in the folders that
are given, beside the data set, and in the working folder. What comes back is checked against the
note's frames, so that a file that was replaced since is not taken for it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Iterator, Sequence

import numpy as np
import torch

from lt.audio.features import audio_to_magnitudes
from lt.audio.filters import read_without_rumble, without_rumble
from lt.audio.io import READABLE
from lt.audio.soundfont import embedded_font, open_font
from lt.audio.trim import trim
from lt.config import SpectralConfig
from lt.data.dataset import DataSet

FITTING = 0.05  # of the frames' energy may differ: a note's end may have been cut elsewhere
SEARCH_SECONDS = 0.3  # of silence that a recording may begin with, beyond what was kept
_FONT = re.compile(
    r"(.+\.sf[23]):(\d+):(\d+):(\d+)\Z", re.DOTALL
)  # names of files may hold line breaks
_RECORDING = re.compile(r"(.+?)(?:@(\d+\.\d+))?\Z", re.DOTALL)


def note_audio(data: DataSet, note: int, folders: Sequence[Path] = ()) -> np.ndarray | None:
    """The sound of a note (samples,), at the data set's rate; None where its source is gone or has
    changed.

    Args:
        folders: where collections, recordings and fonts are looked for first.
    """
    source = str(data.notes.sources[note])
    n_samples = int(data.lengths[note]) * data.config.frame_hop
    try:
        if font := _FONT.match(source):
            audio = _render(data, font.group(1), *map(int, font.groups()[1:]), folders)
        else:
            audio = _read(data, source, n_samples, folders)
    except (
        OSError,
        ValueError,
        ImportError,
        KeyError,
        TypeError,
        OverflowError,
    ):  # also settings of a strange set
        return None
    return audio if audio is not None and _fits(data, note, audio) else None


def _places(data: DataSet, name: str, folders: Sequence[Path]) -> Iterator[Path]:
    """Where a source may lie: below each folder with or without its collection, for folders may be
    either.
    """
    inner = Path(*Path(name).parts[1:]) if len(Path(name).parts) > 1 else Path(name)
    for folder in (*folders, data.path.parent, Path()):
        yield folder / name
        yield folder / inner


def _render(
    data: DataSet, name: str, program: int, number: int, velocity: int, folders: Sequence[Path]
) -> np.ndarray | None:
    settings = data.settings["built_from"]
    fonts = (
        path
        for path in (embedded_font(), *_places(data, name, folders))
        if path.name == name and path.is_file()
    )
    path = next(fonts, None)
    if path is None:
        return None
    font = open_font(path, data.config.sample_rate, float(settings["brightness"]))
    audio = font.render_note(
        program,
        number,
        velocity,
        float(settings["note_seconds"]),
        float(settings["release_seconds"]),
    )
    return without_rumble(audio, data.config)


def _read(data: DataSet, source: str, n_samples: int, folders: Sequence[Path]) -> np.ndarray | None:
    """A recording, trimmed as it was for the data set."""
    name, onset = _RECORDING.match(source).groups()
    path = next(
        (
            path
            for path in _places(data, name, folders)
            if path.suffix.lower() in READABLE and path.is_file()
        ),
        None,
    )
    if path is None:
        return None
    audio, rate = _whole(path, data.config), data.config.sample_rate
    if onset is not None:
        begin = round(float(onset) * rate)
        audio = audio[begin : begin + n_samples + round(SEARCH_SECONDS * rate)]
    return trim(audio, rate)[0][:n_samples]


@lru_cache(maxsize=1)
def _whole(path: Path, config: SpectralConfig) -> np.ndarray:
    """A whole file, kept for the other notes in it."""
    return read_without_rumble(path, config)


def _fits(data: DataSet, note: int, audio: np.ndarray) -> bool:
    """Whether the sound gives the note's frames."""
    frames = np.asarray(data.magnitudes[data.starts[note] : data.starts[note + 1]])
    found = audio_to_magnitudes(torch.from_numpy(audio), data.config).numpy()
    return (
        found.shape == frames.shape and ((found - frames) ** 2).sum() <= FITTING * (frames**2).sum()
    )
