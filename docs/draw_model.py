#!/usr/bin/env python3
"""Draw the two VAEs and what connects them: docs/model.svg.

python3 docs/draw_model.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

HERE = Path(__file__).resolve().parent
SIGNAL, SYMBOL, BETWEEN = "#0969da", "#1a7f37", "#cf222e"
WIDTH, HEIGHT = 1.5, 0.62
COLUMNS = (0.0, 2.1, 4.2, 6.3, 8.4)
ROWS = {"signal": 2.0, "symbol": 0.0}
BOXES = {
    "signal": ("frame of\nconstant-Q spectrum", "encoder", "q(z | signal)", "decoder", "spectrum"),
    "symbol": ("octave, pitch,\ndynamics, age", "encoder", "q(z | symbol)", "decoder", "symbols"),
}
COLOURS = {"signal": SIGNAL, "symbol": SYMBOL}


def draw_box(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    box = FancyBboxPatch(
        (x - WIDTH / 2, y - HEIGHT / 2),
        WIDTH,
        HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor="#f6f8fa",
        edgecolor=colour,
        linewidth=1.6,
        zorder=2,
    )
    axes.add_patch(box)
    axes.text(x, y, text, ha="center", va="center", size=10, color="#1f2328", zorder=3)


def draw_arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str,
    style: str = "-|>",
    dashed: bool = False,
) -> None:
    arrow = FancyArrowPatch(
        start,
        end,
        arrowstyle=style,
        mutation_scale=13,
        linewidth=1.6,
        linestyle="--" if dashed else "-",
        color=colour,
        zorder=1,
    )
    axes.add_patch(arrow)


def main() -> None:
    matplotlib.rcParams |= {"svg.hashsalt": "lt", "svg.fonttype": "none"}  # equal, small files
    figure = Figure(figsize=(11, 4.0), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-1.0, 9.4), ylim=(-0.75, 2.95))
    axes.axis("off")
    half = WIDTH / 2
    for modality, y in ROWS.items():
        for x, text in zip(COLUMNS, BOXES[modality]):
            draw_box(axes, x, y, text, COLOURS[modality])
        for left, right in zip(COLUMNS, COLUMNS[1:]):
            draw_arrow(axes, (left + half, y), (right - half, y), COLOURS[modality])
        axes.text(
            -half, y + 0.5, f"{modality} VAE", size=11, weight="bold", color=COLOURS[modality]
        )
    latent, decoder = COLUMNS[2], COLUMNS[3] - half
    upper, lower = ROWS["signal"], ROWS["symbol"]
    middle, edge = (upper + lower) / 2, HEIGHT / 2
    draw_arrow(axes, (latent, lower + edge), (latent, upper - edge), BETWEEN, "<|-|>")
    axes.text(
        latent - 0.1, middle, "cross_1, cross_2:\nD(q, q)", ha="right", va="center", color=BETWEEN
    )
    crossings = (
        ((latent + half, upper - 0.15), (decoder, lower + 0.15), SYMBOL, "transcribe", 0.42),
        ((latent + half, lower + 0.15), (decoder, upper - 0.15), SIGNAL, "synthesise", -0.42),
    )
    for start, end, colour, word, shift in crossings:
        draw_arrow(axes, start, end, colour, dashed=True)
        axes.text(COLUMNS[3] - 0.3, middle - shift, word, va="center", color=colour)
    FigureCanvasSVG(figure).print_figure(HERE / "model.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
