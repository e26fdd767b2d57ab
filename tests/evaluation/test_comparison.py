"""Models are grouped by their settings, and groups are compared by pairs."""

import csv
from dataclasses import replace
from types import SimpleNamespace

import pytest

from lt.config import RunConfig
from lt.evaluation.comparison import Difference, comparison, grouped, write_comparison
from lt.evaluation.results import Results, Score


def model(called, value, label="pitch", files=(), fingerprint="a", **changes):
    """(called, settings, results) of a model with one score, and those of single recordings."""
    settings = SimpleNamespace(
        config=replace(RunConfig(), **changes), data={"fingerprint": fingerprint}
    )
    scores = [Score("accuracy", value, label, "symbol", "transfer")]
    scores += [
        Score("accuracy", own, label, "symbol", "transfer", "files", f"tune {index}")
        for index, own in enumerate(files)
    ]
    return called, settings, Results({}, scores)


def test_models_without_a_label_leave_it_open():
    table = comparison(grouped([model("a", 0.5), model("b", 0.5, "octave", cross_1=1.0)]))
    assert table.columns == ("", "a", "b")
    assert table.rows == (
        ("symbol transfer octave accuracy", "-", "0.5000"),
        ("symbol transfer pitch accuracy", "0.5000", "-"),
    )


def test_models_that_differ_in_seed_or_fold_are_one_group():
    models = [model(f"s{seed}", value, seed=seed) for seed, value in enumerate((0.2, 0.4, 0.6))]
    models += [model("other data", 0.1, fingerprint="b"), model("again", 0.9, name="again")]
    groups = grouped(models)
    assert [group.name for group in groups] == ["s0, seeds 0 1 2", "other data", "again"]
    (row,) = comparison(groups).rows
    assert row[1:] == ("0.4000 ± 0.2000", "0.1000", "0.9000")
    folds = grouped([model(f"f{fold}", 0.5, fold=fold) for fold in (0, 1)])
    assert [group.name for group in folds] == ["f0, folds 0 1"]


def test_groups_are_paired_by_seed_and_models_by_recording():
    seeds = [model("a", value, seed=seed) for seed, value in enumerate((0.2, 0.4))]
    seeds += [model("b", value, seed=seed, cross_1=1.0) for seed, value in enumerate((0.5, 0.7))]
    table = comparison(grouped(seeds))
    assert table.columns[-1] == "b, seeds 0 1 - a, seeds 0 1"
    assert table.rows[0][-1] == "+0.3000 [+0.3000, +0.3000]"
    tunes = [
        model("a", 0.5, files=(0.1, 0.2, 0.6)),
        model("b", 0.6, files=(0.2, 0.4, 0.9), dims=(3,)),
    ]
    assert comparison(grouped(tunes)).rows[0][-1].startswith("+0.2000 [-0.0484")
    assert len(comparison(grouped([model("a", 0.5), model("b", 0.6, dims=(3,))])).columns) == 3


def test_the_interval_is_that_of_the_paired_t_test():
    found = Difference.of({1: 1.0, 2: 2.0, 3: 3.0, 4: 0.0}, {1: 1.5, 2: 3.0, 3: 4.5, 5: 9.0})
    assert (found.mean, found.pairs) == (1.0, 3)  # 0.5, 1, 1.5: sd 0.5, t(2) = 4.3027
    assert found.high - found.mean == pytest.approx(4.3027 * 0.5 / 3**0.5, abs=1e-4)
    assert Difference.of({1: 1.0}, {1: 2.0}) is None


def test_the_table_is_written(tmp_path):
    groups = grouped(
        [model("a", 0.5, files=(0.1, 0.2)), model("b", 0.6, files=(0.2, 0.3), dims=(3,))]
    )
    write_comparison(tmp_path / "x.csv", groups)
    with open(tmp_path / "x.csv", newline="") as stream:
        first, second = csv.DictReader(stream)
    assert (first["models"], first["n"], first["mean"], first["pairs"]) == ("a", "1", "0.5000", "")
    assert (second["difference"], second["low"], second["pairs"]) == ("0.1000", "0.1000", "2")
