"""Panels of figures that several packages draw: spectrograms, piano rolls, class probabilities.

Functions `draw_...` draw into axes; functions `plot_...` of the packages make a figure, write it
where a path is given, and return its axes. Equal input gives equal files. Axes are labelled in
seconds, hertz and note names. Shapes: `magnitudes` (frames, bins), `probabilities` (frames,
classes).
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from lt.config import SpectralConfig
from lt.files import atomic_path
from lt.labels import number_to_note_name
from lt.midi import Note

LONGEST_FIGURE = 4000  # frames; longer sounds are decimated
RANGE_DB = 70.0  # below the loudest magnitude of a figure
FREQUENCY_TICKS = (55, 110, 220, 440, 880, 1760, 3520, 7040)  # hertz: the note A in each octave
MOST_CLASS_NAMES = 13  # along an axis of class probabilities: all pitches and silence
SPECTRUM_MAP, PROBABILITY_MAP = "magma", "Blues"
TRUTH_COLOUR, ESTIMATE_COLOUR, ERROR_COLOUR = "#1a7f37", "#0969da", "#cf222e"


def new_figure(width: float, height: float) -> Figure:
    """A figure of that many inches, independent of pyplot's global state."""
    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def save_figure(figure: Figure, path: Path | str | None) -> list[Axes]:
    """Write a figure as .png or .pdf, by the suffix, without dates, whole or not at all; to None,
    nothing. Returns its axes.

    The canvas imports the format's backend when it prints: that of PDF takes a tenth of the time
    that `lt_play.py` starts in.
    """
    if path is None:
        return figure.axes
    path = Path(path)
    metadata = {"CreationDate": None} if path.suffix == ".pdf" else {"Software": None}
    with atomic_path(path) as temporary:
        figure.canvas.print_figure(str(temporary), format=path.suffix[1:], metadata=metadata)
    return figure.axes


def figure_png(axes: Sequence[Axes]) -> bytes:
    """The figure of some axes as a PNG file."""
    content = io.BytesIO()
    axes[0].figure.canvas.print_figure(content, format="png", metadata={"Software": None})
    return content.getvalue()


def figure_html(axes: Sequence[Axes]) -> str:
    """The figure of some axes as an HTML image, for notebooks."""
    data = base64.b64encode(figure_png(axes)).decode("ascii")
    return f'<img alt="" src="data:image/png;base64,{data}">'


# --- panels ---------------------------------------------------------------------------------------


def draw_spectra(
    axes: Axes,
    magnitudes: np.ndarray,
    config: SpectralConfig,
    title: str,
    seconds: bool = True,
    loudest: float | None = None,
) -> None:
    """A constant-Q spectrogram in dB.

    Args:
        magnitudes: (frames, bins).
        config: the front end, for the axes.
        seconds: label the time axis in seconds, else in frames.
        loudest: magnitude at 0 dB; by default the maximum.
    """
    loudest = loudest or float(magnitudes.max()) or 1.0
    decibels = 20 * np.log10(np.maximum(magnitudes / loudest, 10 ** (-RANGE_DB / 20)))
    n_frames, n_bins = magnitudes.shape
    width = n_frames * config.frame_seconds if seconds else n_frames
    axes.imshow(
        decibels.T,
        origin="lower",
        aspect="auto",
        cmap=SPECTRUM_MAP,
        vmin=-RANGE_DB,
        vmax=0,
        extent=(0, width, -0.5, n_bins - 0.5),
        interpolation="nearest",
    )
    ticks = [hertz for hertz in FREQUENCY_TICKS if config.fmin < hertz < config.fmax]
    axes.set_yticks(
        [config.bins_per_octave * np.log2(hertz / config.fmin) for hertz in ticks],
        [str(hertz) for hertz in ticks],
    )
    axes.set_ylabel("frequency (Hz)")
    axes.set_title(title, loc="left", fontsize=9, parse_math=False)
    axes.set_xlabel("time (s)" if seconds else "frame")


def draw_notes(
    axes: Axes,
    notes: Sequence[Note],
    colour: str,
    label: str,
    offset: float = 0.0,
    height: float = 0.8,
) -> None:
    """A piano roll; `offset` moves the bars up, in semitones."""
    left, right = np.array([(note.onset, note.offset) for note in notes]).reshape(-1, 2).T
    low = np.array([note.note_number for note in notes]) + offset - height / 2
    corners = [(left, low), (right, low), (right, low + height), (left, low + height)]
    # one artist: barh adds one for each note, seconds for the thousands of a long piece
    bars = PolyCollection(
        np.moveaxis(np.array(corners), 2, 0),
        facecolors=colour,
        edgecolors="white",
        linewidths=0.5,
        label=label,
    )
    axes.add_collection(bars)


def finish_roll(axes: Axes, notes: Sequence[Note], seconds: float) -> None:
    """Axes of a piano roll: note names and seconds."""
    numbers = [note.note_number for note in notes] or [60, 72]
    low = min(numbers) - 2
    high = max(numbers) + 2
    step = next(step for step in (1, 2, 3, 4, 6, 12) if (high - low) // step <= 12 or step == 12)
    ticks = range(low + -low % step, high + 1, step)  # multiples, so that C is among them
    axes.set_yticks(ticks, [number_to_note_name(number) for number in ticks], fontsize=7)
    axes.set(xlim=(0, seconds), ylim=(low - 0.6, high + 0.6), xlabel="time (s)", ylabel="note")
    axes.grid(axis="y", alpha=0.25)


def draw_probabilities(
    axes: Axes,
    probabilities: np.ndarray,
    names: Sequence[str],
    title: str,
    width: float,
    classes: np.ndarray | None = None,
) -> None:
    """Class probabilities (frames, classes) over time; true `classes` (frames,) as dots if given.

    Args:
        names: of the classes.
        width: of the time axis, in seconds or frames.
    """
    n_frames, n_classes = probabilities.shape
    axes.imshow(
        probabilities.T,
        origin="lower",
        aspect="auto",
        cmap=PROBABILITY_MAP,
        vmin=0,
        vmax=1,
        extent=(0, width, -0.5, n_classes - 0.5),
        interpolation="nearest",
    )
    if classes is not None:
        axes.plot(
            (np.arange(n_frames) + 0.5) * width / n_frames, classes, ".", ms=2.5, color=ERROR_COLOUR
        )
    every = math.ceil(n_classes / MOST_CLASS_NAMES)
    named = range((n_classes - 1) % every, n_classes, every)  # the last, silence, among them
    axes.set_yticks(named, names[named.start :: every], fontsize=6)
    axes.set_title(title, loc="left", fontsize=9, parse_math=False)


def thin_out(magnitudes: np.ndarray, config: SpectralConfig) -> tuple[np.ndarray, SpectralConfig]:
    """Every k-th frame of a long sound, and the front end with that frame rate."""
    every = math.ceil(len(magnitudes) / LONGEST_FIGURE)
    return magnitudes[::every], replace(config, frame_hop=config.frame_hop * every)
