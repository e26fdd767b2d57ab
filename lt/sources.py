"""The sound that a note of a data set was made from: read again from its file, or rendered again from its font.

What comes back is checked against the note's frames, so that a file that was replaced since is not taken for it.
"""
from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from lt.audio import READABLE, read_audio
from lt.datasets import DataSet
from lt.soundfonts import SoundFont, embedded_font
from lt.spectra import audio_to_spectra

TOLERANCE = 1e-2  # of a note's loudest magnitude: what other versions of the libraries may differ by


def note_audio(data: DataSet, note: int) -> np.ndarray | None:
    """The sound of a note (samples,), at the data set's rate; None where its source is gone or has changed."""
    try:
        audio = _render(data, note) if data.settings["built_from"].get("kind") == "sound font" else _read(data, note)
    except (OSError, ValueError, ImportError):
        return None
    return audio if audio is not None and _fits(data, note, audio) else None


def _render(data: DataSet, note: int) -> np.ndarray | None:
    """Render a source `font:program:number:velocity`, where the font is the embedded one or lies at its path."""
    built_from = data.settings["built_from"]
    name, program, number, velocity = str(data.notes.sources[note]).rsplit(":", 3)
    path = next((path for path in (embedded_font(), Path(str(built_from.get("path", name))))
                 if path.name == Path(name).name and path.is_file()), None)
    if path is None:
        return None
    font = _font(path, data.config.sample_rate, float(built_from["brightness"]))
    return font.render_note(int(program), int(number), int(velocity), float(built_from["note_seconds"]),
                            float(built_from["release_seconds"]))


@lru_cache(maxsize=2)
def _font(path: Path, sample_rate: int, brightness: float) -> SoundFont:
    """A font, loaded once."""
    return SoundFont(path, sample_rate, brightness)


def _read(data: DataSet, note: int) -> np.ndarray | None:
    """Read a source that is a sound file, from its own path, or from the folder that the set was built from."""
    source = Path(str(data.notes.sources[note]))
    folder = Path(str(data.settings["built_from"].get("path", "")))
    path = next((path for path in (source, folder / source)
                 if path.suffix.lower() in READABLE and path.is_file()), None)
    return None if path is None else read_audio(path, data.config.sample_rate)


def _fits(data: DataSet, note: int, audio: np.ndarray) -> bool:
    """Whether the sound gives the note's frames."""
    frames = data.magnitudes[data.starts[note]:data.starts[note + 1]]
    found = audio_to_spectra(torch.from_numpy(audio), data.config).magnitudes.numpy()
    return found.shape == frames.shape and np.abs(found - frames).max() <= TOLERANCE * max(frames.max(), 1e-6)
