"""Panels of figures."""

import numpy as np
import pytest

from lt.labels import CLASS_NAMES
from lt.plotting import draw_probabilities, new_figure


@pytest.mark.parametrize("label", CLASS_NAMES)
def test_names_of_classes_do_not_overlap(label):
    names = [*CLASS_NAMES[label], "silence"]
    figure = new_figure(12, 2)
    axes = figure.subplots()
    draw_probabilities(axes, np.eye(len(names)), names, label, 1.0)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.get_yticklabels()]
    assert all(low.y1 < high.y0 for low, high in zip(boxes, boxes[1:]))
    shown = {
        int(tick): text.get_text() for tick, text in zip(axes.get_yticks(), axes.get_yticklabels())
    }
    assert shown == {tick: names[tick] for tick in shown} and shown[len(names) - 1] == "silence"
