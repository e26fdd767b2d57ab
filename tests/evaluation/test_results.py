"""Results as text."""

from lt.evaluation.results import Results, Score, text
from lt.labels import CLASS_NAMES


def test_confusions_that_fit_a_terminal_are_printed():
    scores = [
        Score("confusion", [[1] * n] * n, label, "symbol", "transfer")
        for label, n in ((name, len(classes) + 1) for name, classes in CLASS_NAMES.items())
    ]
    printed = text(Results({"model": "m"}, scores))
    assert max(map(len, printed.splitlines())) <= 80
    assert [name for name in CLASS_NAMES if f"confusion of {name}" in printed] == [
        "octave",
        "pitch",
        "dynamics",
    ]
