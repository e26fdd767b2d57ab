"""The table of speed (bench/speed.py): targets, spreads, and documents that give its figures."""

import sys
import time
from dataclasses import asdict

import pytest

from bench import speed
from bench.speed import Ratios, Row


@pytest.mark.parametrize(
    "value, asked, at_most, met",
    [(5, 4, False, True), (3, 4, False, False), (3, 4, True, True), (5, 4, True, False)],
)
def test_a_target_is_a_least_or_a_largest_value(value, asked, at_most, met):
    row = Row("a", "b", value, asked, at_most=at_most)
    assert row.met == met
    assert ("short of it" in speed.table([row])) != met


def test_a_row_without_a_target_is_met_and_has_no_spread():
    row = Row("a", "b", 123.4, short=True)
    assert speed.sentence([row, Row("c", "d", 1)]) == "a, b: 123 x."
    assert row.met and row.text == "123 x" and row.target == ""
    assert Row("a", "b", 1.234, low=1, high=2.5).text == "1.23 (1-2.5) x"


def test_ratios_are_medians_of_pairs(monkeypatch):
    times = iter([8.0, 2.0, 9.0, 3.0, 10.0, 1.0])
    monkeypatch.setattr(speed, "seconds", lambda work: next(times))
    ratios = Ratios.of(lambda: None, lambda: None, 3)
    assert (ratios.value, ratios.low, ratios.high) == (4.0, 3.0, 10.0)


def test_a_process_has_its_own_memory_and_its_failure_is_one_line():
    code = "import time; own = b'1' * 200_000_000; time.sleep(0.5); print(len(own))"
    done = speed.run_process("-c", code)
    assert done.output.strip() == "200000000" and 2e8 < done.peak < 4e8
    with pytest.raises(RuntimeError, match="^no such thing$"):
        speed.run_process(
            "-c", "import sys; print('more', file=sys.stderr); sys.exit('no such thing')"
        )
    assert speed.run_python(sys.executable, "-c", "pass").peak < 1e8  # this process has more


@pytest.mark.parametrize("error", [RuntimeError, TypeError])
def test_a_stage_that_cannot_be_measured_is_said(tmp_path, error):
    def half(model):
        yield Row("a", "b", 1)
        raise error("cannot be installed")

    found = speed.measured("peer", half, tmp_path)
    assert [row["stage"] for row in found["rows"]] == ["a"]
    assert found["remarks"] == ["peer: cannot be installed"]
    block = speed.document({"machine": "m", "remarks": [], "stages": {"peer": found}})
    assert "| a | b |  | 1 x |" in block and "Peer: cannot be installed." in block


def test_a_stage_that_takes_too_long_keeps_its_rows_and_ends_its_process(tmp_path):
    def slow(model):
        yield Row("a", "b", 1)
        speed.run_process("-c", "import time; time.sleep(60)")

    started = time.monotonic()
    found = speed.measured("slow", slow, tmp_path, 0.3)
    assert time.monotonic() - started < 30
    assert [row["stage"] for row in found["rows"]] == ["a"]
    assert found["remarks"] == ["slow: stopped after 0.3 s"]


def test_no_handler_of_errors_keeps_a_stage_from_being_stopped(tmp_path):
    def careless(model):
        yield Row("a", "b", 1)
        for _ in range(30):
            try:
                time.sleep(0.1)
            except (OSError, Exception):
                pass

    assert speed.measured("careless", careless, tmp_path, 0.15)["remarks"] == [
        "careless: stopped after 0.15 s"
    ]


@pytest.mark.parametrize("name", speed.DOCUMENTS)
def test_documents_give_the_figures_of_benchmarks_json(name):
    text = (speed.ROOT / name).read_text(encoding="utf-8")
    assert speed.document(speed.stored(), speed.DOCUMENTS[name]) in text


def test_readme_names_no_other_figure_of_speed():
    text = (speed.ROOT / "README.md").read_text(encoding="utf-8")
    before, rest = text.split(speed.BEGIN)
    assert "times as fast" not in before + rest.split(speed.END)[1]


def test_a_document_may_give_the_rows_of_one_stage():
    stages = {
        name: {"commit": "c", "remarks": [], "rows": [asdict(Row(name, "b", 1))]}
        for name in ("phase", "growth")
    }
    block = speed.document({"machine": "m", "remarks": [], "stages": stages}, "growth")
    assert "| growth | b |" in block and "phase" not in block
    assert "Not measured" in speed.document({"machine": "m", "remarks": [], "stages": {}}, "growth")
