"""Findings about several recordings as one nested result, and a model's whole evaluation on them.

Frames are pooled over the recordings, note scores are means over them. Where all velocities of a MIDI file are equal it
says nothing about dynamics: its frames are left out of their scores, and a remark says so.
"""
from __future__ import annotations

from typing import Mapping, Sequence

from lt.analysis import joined, judged_results
from lt.crossdata import Findings, NoteFigures
from lt.labels import LabelSpace
from lt.metrics import pooled_note_figures
from lt.results import Results

DYNAMICS, CLASSIFIER = "dynamics", "classifier"
EQUAL_VELOCITIES = "dynamics are not scored: all velocities of its MIDI are equal"
NO_FRAMES = "frames are not scored: the model knows no silence, and in none do all of its instruments sound"


def pooled_results(space: LabelSpace, findings: Mapping[str, Findings]) -> Results:
    """Findings by stem -> {"overall", "instruments", "baselines", "latent", "files"} as in results.json; the classifier
    of a single file stands beside its `reconstruction` and `transfer`."""
    found = list(findings.values())
    results = _frame_results(space, found)
    notes = _pooled([one.notes for one in found])
    if notes:
        results.setdefault("overall", {})["notes"] = notes
        for index, name in enumerate(space.instruments):
            own = results.setdefault("instruments", {}).setdefault(name, {})
            own["notes"] = _pooled([one.instruments[index] for one in found])
    return results | {"files": {stem: _file_results(space, one) for stem, one in findings.items()}}


def remarks_on(one: Findings, space: LabelSpace) -> list[str]:
    """Everything odd about a recording and its scores, a sentence each."""
    remarks = list(one.remarks)
    if one.judged is None:
        remarks.append(NO_FRAMES)
    elif DYNAMICS in space.labels and not one.velocities_differ:
        remarks.append(EQUAL_VELOCITIES)
    return remarks


def _file_results(space: LabelSpace, one: Findings) -> Results:
    """One recording's scores, laid out as `overall`."""
    results = _frame_results(space, [one])
    scores = results.get("overall", {})
    for name, baseline in results.get("baselines", {}).items():
        scores["symbol"][name] = baseline["symbol"]["transfer"]
    if one.notes:
        scores["notes"] = _pooled([one.notes])
    remarks = remarks_on(one, space)
    return scores | ({"remarks": "; ".join(remarks)} if remarks else {})


def _frame_results(space: LabelSpace, found: Sequence[Findings]) -> Results:
    """Scores of all frames together; dynamics only of recordings whose MIDI says something about them."""
    judged = [one.judged for one in found if one.judged is not None]
    if not judged:
        return {}
    results = judged_results(space, joined(judged))
    if DYNAMICS not in space.labels:
        return results
    spoken = [one.judged for one in found if one.judged is not None and one.velocities_differ]
    return _with_dynamics(results, judged_results(space, joined(spoken)) if spoken else None)


def _with_dynamics(results: Results, spoken: Results | None) -> Results:
    """The same results with the dynamics of others; without them where there are none."""
    mixed = {}
    for name, value in results.items():
        other = None if spoken is None else spoken[name]
        if name == DYNAMICS and isinstance(value, dict):
            if other is not None:
                mixed[name] = other
        else:
            mixed[name] = _with_dynamics(value, other) if isinstance(value, dict) else value
    return mixed


def _pooled(figures: Sequence[NoteFigures | None]) -> Results:
    known = [one for one in figures if one is not None]
    return pooled_note_figures([one.scores for one in known], [one.counts for one in known]) if known else {}
