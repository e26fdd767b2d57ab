#!/usr/bin/env python3
"""Draw which package of `lt` imports which, with the modules of each: docs/imports.svg.

    python3 docs/draw_imports.py

Read from the source by `ast`; nothing of it is imported. Rows are the layers of the table in
`lt/__init__.py`: an arrow goes from a package to one that it imports, so every arrow points down.
Its width grows with the number of imports. Arrows to config and the root modules, which
every package imports, are left out.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "lt"
# centre of each package's box, in units of a box; the layers from the bottom
PLACES = {
    "config": (1.5, -1),
    "root": (1.5, 0),
    "audio": (1.5, 1),
    "data": (0.9, 2),
    "models": (2.1, 2),
    "build": (0.3, 3),
    "inference": (2.7, 3),
    "training": (0.9, 4),
    "evaluation": (2.1, 4),
    "pretrained": (1.5, 5),
}
SHOWN = (("audio", "root"), ("root", "config"))  # others would cover the boxes
COMMANDS = ("builders", "convert_lt_set", "gallery")  # names that users type, of other packages
WIDTH, HEIGHT = 1.0, 0.7
COLOURS = {"box": "#f4f6f8", "edge": "#57606a", "arrow": "#0969da", "text": "#1c1e21"}


def modules() -> dict[str, list[str]]:
    """Package -> its modules; the modules of `lt` itself are `root`."""
    found: dict[str, list[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        if path.stem != "__init__":
            found.setdefault(package_of(path), []).append(path.stem)
    return found


def package_of(path: Path) -> str:
    return "root" if path.parent == SOURCE else path.parent.name


def imports() -> Counter[tuple[str, str]]:
    """(package, imported package) -> number of import statements."""
    counts: Counter[tuple[str, str]] = Counter()
    for path in SOURCE.rglob("*.py"):
        if path.parent == SOURCE and path.stem in ("__init__", *COMMANDS):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lt":
                package = (node.module.split(".") + [""])[1]
                target = package if package in PLACES else "root"
                counts[package_of(path), target] += target != package_of(path)
    return +counts


SHOWN = (("audio", "root"), ("root", "config"))  # others would cover the boxes
COMMANDS = (
    "builders",
    "convert_lt_set",
)  # `python3 -m lt.builders`: other names of lt.build's commands


def draw_box(axes: Axes, package: str, names: list[str]) -> None:
    x, y = PLACES[package]
    box = FancyBboxPatch(
        (x - WIDTH / 2, y - HEIGHT / 2),
        WIDTH,
        HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.05",
        facecolor=COLOURS["box"],
        edgecolor=COLOURS["edge"],
        zorder=2,
    )
    axes.add_patch(box)
    title = "lt" if package == "root" else f"lt.{package}"
    axes.text(x, y + 0.25, title, ha="center", va="center", weight="bold", size=13, zorder=3)
    lines = wrapped(names)
    axes.text(x, y - 0.07, "\n".join(lines), ha="center", va="center", size=9.5, zorder=3)


def wrapped(names: list[str], width: int = 30) -> list[str]:
    """Names in lines of at most `width` characters."""
    lines = [""]
    for name in names:
        if lines[-1] and len(lines[-1]) + len(name) + 2 > width:
            lines.append("")
        lines[-1] += ("  " if lines[-1] else "") + name
    return lines


def draw_arrow(axes: Axes, source: str, target: str, count: int) -> None:
    (x0, y0), (x1, y1) = PLACES[source], PLACES[target]
    arrow = FancyArrowPatch(
        (x0, y0 - HEIGHT / 2),
        (x1, y1 + HEIGHT / 2),
        arrowstyle="-|>",
        mutation_scale=11,
        linewidth=0.6 + 0.06 * count,
        color=COLOURS["arrow"],
        alpha=0.55,
        zorder=1,
        connectionstyle="arc3,rad=0.06",
    )
    axes.add_patch(arrow)


def main() -> None:
    matplotlib.rcParams |= {"svg.hashsalt": "lt", "svg.fonttype": "none"}  # equal, small files
    figure = Figure(figsize=(11, 11.6))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.25, 3.25), ylim=(-1.4, 5.4))
    axes.axis("off")
    for (source, target), count in sorted(imports().items()):
        if target in ("config", "root") and (source, target) not in SHOWN:
            continue
        draw_arrow(axes, source, target, count)
    for package, names in modules().items():
        draw_box(axes, package, names)
    FigureCanvasSVG(figure).print_figure(HERE / "imports.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
