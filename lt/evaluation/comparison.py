"""Comparison of evaluated models: means over seeds or folds, and paired differences.

Models whose settings and data are equal but for seed and fold are one group, with a mean and a
standard deviation (n - 1) of each overall score. Every group is compared with the first: the mean
of paired differences and its 95 % interval (Student's t). Pairs are the recordings, where there are
two or more (each score is then a mean over the models of the group), else the seeds and folds that
both groups have.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.special import stdtrit

from lt.config import RunConfig, fields_with
from lt.evaluation.results import MEASURES, Results, Score, Table, in_order, select, shown
from lt.files import write_csv
from lt.models.runs import RunSettings

CONFIDENCE = 0.95  # of the intervals
APART = ("seed", "fold", "name")  # what models of one group may differ in
COLUMNS = (
    *("models", "n", "modality", "way", "label", "measure", "mean", "sd"),
    *("difference", "low", "high", "pairs"),
)
Unit = Hashable  # of a pair: a recording, or (seed, fold)
Measured = tuple[str, str, str, str]  # modality, path, label, measure


@dataclass
class Group:
    """Models that differ in seed and fold alone.

    Attributes:
        name: of its only model, or of its first with the seeds or folds of all.
        results: by (seed, fold).
    """

    name: str
    results: dict[tuple[int, int], Results] = field(default_factory=dict)

    def values(self, measured: Measured) -> dict[Unit, float]:
        """An overall score by seed and fold, where it is finite."""
        return _finite({unit: _value(own, measured) for unit, own in self.results.items()})

    def file_values(self, measured: Measured) -> dict[Unit, float]:
        """Scores of the single recordings, means over the models."""
        of_models = [
            {name: _value(own, measured, "files", name) for name in _files(own)}
            for own in self.results.values()
        ]
        shared = set.intersection(*map(set, of_models))
        return _finite({name: np.mean([own[name] for own in of_models]) for name in shared})


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences, its interval, and the number of pairs."""

    mean: float
    low: float
    high: float
    pairs: int

    @classmethod
    def of(cls, first: Mapping[Unit, float], other: Mapping[Unit, float]) -> Difference | None:
        """How much higher `other` is than `first`; None with fewer than two pairs."""
        differences = np.array([other[unit] - first[unit] for unit in first if unit in other])
        n = len(differences)
        if n < 2:
            return None
        mean, deviation = differences.mean(), differences.std(ddof=1)
        half = stdtrit(n - 1, (1 + CONFIDENCE) / 2) * deviation / math.sqrt(n)
        return cls(float(mean), float(mean - half), float(mean + half), n)

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def grouped(models: Sequence[tuple[str, RunSettings, Results]]) -> list[Group]:
    """(name, settings, results) of some models -> their groups, ordered by their first models."""
    groups: dict[tuple, Group] = {}
    for name, settings, results in models:
        config = settings.config
        names = [key for key in fields_with(RunConfig, "identity") if key not in APART]
        shared = (*(getattr(config, key) for key in names), settings.data["fingerprint"])
        unit = (config.seed, config.fold)
        copy = 0  # a model of the same seed and fold, longer trained perhaps, is a group of its own
        while (shared, copy) in groups and unit in groups[shared, copy].results:
            copy += 1
        groups.setdefault((shared, copy), Group(name)).results[unit] = results
    for group in groups.values():
        for index, word in enumerate(("seeds", "folds")):
            own = sorted({unit[index] for unit in group.results})
            if len(own) > 1:
                group.name += f", {word} {' '.join(map(str, own))}"
    return list(groups.values())


def _value(results: Results, measured: Measured, scope: str = "overall", name: str = "") -> float:
    """A score; NaN where there is none."""
    modality, path, label, measure = measured
    keys = {"modality": modality, "path": path, "label": label, "measure": measure}
    found = select(results.scores, scope=scope, name=name, **keys)
    return float(found[0].value) if found else math.nan


def _files(results: Results) -> set[str]:
    return {score.name for score in select(results.scores, scope="files")}


def _finite(values: Mapping[Unit, float]) -> dict[Unit, float]:
    return {unit: float(value) for unit, value in values.items() if math.isfinite(value)}


def _measured(groups: Sequence[Group]) -> list[Measured]:
    """The overall scores that some model has, in the order of tables."""
    scores = [
        score
        for group in groups
        for results in group.results.values()
        for score in select(results.scores, scope="overall")
    ]
    keys = [(s.modality, s.path, s.label, s.measure) for s in in_order(scores)]
    return list(dict.fromkeys(keys))


def difference(first: Group, other: Group, measured: Measured) -> Difference | None:
    """Paired difference of two groups in one score; None where nothing can be paired."""
    by_file = Difference.of(first.file_values(measured), other.file_values(measured))
    return by_file or Difference.of(first.values(measured), other.values(measured))


def _summary(group: Group, measured: Measured) -> Score | None:
    """Mean and standard deviation over the models of a group."""
    values = list(group.values(measured).values())
    if not values:
        return None
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Score(measured[-1], float(np.mean(values)), sd=sd)


def comparison(groups: Sequence[Group]) -> Table:
    """A row a score: mean ± sd of each group (`-` where it lacks a label), then the differences
    from the first group.
    """
    first, *others = groups
    rows, columns = [], [group.name for group in groups]
    differences = {
        (group.name, measured): str(found)
        for group in others
        for measured in _measured(groups)
        if (found := difference(first, group, measured))
    }
    compared = [group for group in others if any(group.name == name for name, _ in differences)]
    columns += [f"{group.name} - {first.name}" for group in compared]
    for measured in _measured(groups):
        *place, measure = measured
        name = " ".join(filter(None, (*place, MEASURES[measure])))
        summaries = [_summary(group, measured) for group in groups]
        cells = ["-" if summary is None else str(summary) for summary in summaries]
        cells += [differences.get((group.name, measured), "-") for group in compared]
        rows.append((name, *cells))
    return Table("comparison", ("", *columns), tuple(rows))


def write_comparison(path: Path | str, groups: Sequence[Group]) -> None:
    """Write a row for each score of each group as CSV. Raises OSError where it cannot."""
    rows = []
    for group in groups:
        for measured in _measured(groups):
            if summary := _summary(group, measured):
                found = difference(groups[0], group, measured) if group is not groups[0] else None
                numbers = (found.mean, found.low, found.high) if found else ()
                cells = [shown(number) for number in (summary.value, summary.sd)]
                cells += [*map(shown, numbers), str(found.pairs)] if found else [""] * 4
                n_models = len(group.values(measured))
                rows.append((group.name, n_models, *measured, *cells))
    write_csv(path, [COLUMNS, *rows])
