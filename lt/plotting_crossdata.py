"""Figures of a recording beside its MIDI: what `lt_midi.py` draws. Nothing here computes what it shows."""
from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from lt.config import SpectralConfig
from lt.midi import Note
from lt.plotting import (ERROR_COLOUR, ESTIMATE_COLOUR, TRUTH_COLOUR, draw_notes, draw_spectra, finish_roll,
                         new_figure, save_figure)

MOST_FRAMES = 4000  # of a picture; of longer recordings every so many frames are drawn


@dataclass(frozen=True)
class Rolls:
    """Notes played and notes heard, and those among them that have no partner."""
    reference: Sequence[Note]
    estimated: Sequence[Note]
    missed: Sequence[Note]
    extra: Sequence[Note]


def plot_comparison(spectra: Mapping[str, np.ndarray], rolls: Rolls, config: SpectralConfig, every: int,
                    seconds: float, path: Path | str, title: str) -> None:
    """Spectrograms, of every `every`-th frame, above the piano rolls of what was played (upper half of each row) and
    heard (lower half), errors marked, on one time axis of `seconds`."""
    figure = new_figure(12, 2.2 * len(spectra) + 3.2)
    panels = figure.subplots(len(spectra) + 1, 1, sharex=True, height_ratios=[2] * len(spectra) + [3])
    loudest, thinned = float(next(iter(spectra.values())).max()), replace(config, frame_hop=config.frame_hop * every)
    for axes, (name, magnitudes) in zip(panels, spectra.items()):
        draw_spectra(axes, magnitudes, thinned, name, loudest=loudest)
        axes.set_xlabel("")
    roll = panels[-1]
    draw_notes(roll, rolls.reference, TRUTH_COLOUR, "played", 0.22, 0.4)
    draw_notes(roll, rolls.estimated, ESTIMATE_COLOUR, "heard", -0.22, 0.4)
    for notes, offset, marker, label in ((rolls.missed, 0.22, "o", "missed"), (rolls.extra, -0.22, "x", "not played")):
        roll.plot([note.onset for note in notes], [note.note_number + offset for note in notes], marker, ms=5,
                  color=ERROR_COLOUR, fillstyle="none", label=f"{label}: {len(notes)}")
    finish_roll(roll, [*rolls.reference, *rolls.estimated], seconds)
    roll.set_title("notes", loc="left", fontsize=9)
    roll.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4)
    figure.suptitle(title, fontsize=10, parse_math=False)  # names of files may hold $
    save_figure(figure, path)
