"""Rows and files of bench/synthesis.py."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from playing_helpers import organ

from bench import synthesis
from bench.sound_measures import RATE
from bench.synthesis import NoteMeasures, Row, Subject
from lt.evaluation.ground_truth import Pair
from lt.midi import Note, Track

ROW = Row("saves/a", "Flute", 0, "note", "lt_set", "flutter_db", "played", 3.0, 5)


def test_a_tune_fits_the_keys_that_were_learnt():
    numbers = [note.note_number for note in synthesis.tune_within(54, 86)]
    assert max(numbers) == 86 and min(numbers) >= 54
    assert synthesis.tune_within(60, 100) == synthesis.tune()
    assert min(note.note_number for note in synthesis.tune_within(80, 110)) == 80


def test_a_table_has_means_over_seeds(monkeypatch):
    rows = [ROW, Row("saves/b", "Flute", 1, "note", "lt_set", "flutter_db", "played", 5.0, 5)]
    text = synthesis.tables(rows)
    assert "Flute, lt_set, split by note, seeds 0 1" in text
    assert f"4.00 ± {np.sqrt(2):.2f}" in text


def test_files_hold_every_row_and_note(tmp_path):
    note = NoteMeasures("A4:mf", 1.5, {"played": {"release_ms": float("inf")}})
    synthesis.write_results(tmp_path / "out", [ROW], {"saves/a": [note]})
    with open(tmp_path / "out.csv", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["measure"] == "flutter_db" and float(row["value"]) == 3
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["rows"][0]["source"] == "played"
    assert content["notes"]["saves/a"][0]["values"]["played"]["release_ms"] is None


def test_rows_are_medians_without_what_could_not_be_measured():
    class Subject:
        def row(self, measure, source, value, n):
            return Row("", "", 0, "", "", measure, source, value, n)

    measured = [
        NoteMeasures("A4:f", 1, {"played": {"slope": slope, "peak_dbfs": peak, "in_tune": tune}})
        for slope, peak, tune in ((1.0, -20.0, 1.0), (np.nan, -6.0, 0.0), (3.0, -9.0, 1.0))
    ]
    found = {row.measure: (row.value, row.n) for row in synthesis.note_rows(Subject(), measured)}
    assert found["slope"] == (2.0, 2)
    assert found["peak_dbfs"] == (-6.0, 3)
    assert found["in_tune"] == (pytest.approx(2 / 3), 3)


def test_the_largest_loss_of_contrast_is_a_row(monkeypatch, tmp_path):
    """Reconstructions whose rests are 40 and 10 dB below their notes instead of 50."""
    rests = iter([1e-2, 10**-0.5])

    def sound(rest):
        wave = 0.5 * np.sin(np.arange(2 * RATE) / 5)
        return wave * np.where(np.arange(2 * RATE) < RATE, 1, rest)

    class Subject:
        run = None

        def row(self, measure, source, value, n):
            return Row("", "", 0, "", "", measure, source, value, n)

    pairs = [Pair(stem, tmp_path, tmp_path) for stem in "ab"]
    track = Track("", 0, (Note(0.0, 1.0, 69, 64),))
    monkeypatch.setattr(synthesis, "find_pairs", lambda *folders: pairs)
    monkeypatch.setattr(synthesis, "read_midi", lambda path: [track])
    monkeypatch.setattr(synthesis, "read_audio", lambda path: sound(10**-2.5))
    monkeypatch.setattr(synthesis, "reconstruct", lambda run, audio: sound(next(rests)))
    rows = synthesis.contrast_rows(Subject(), tmp_path, 5)
    found = {(row.measure, row.source): row.value for row in rows}
    assert found["contrast_db", "recorded"] == pytest.approx(50, abs=0.1)
    assert found["contrast_db", "played"] == pytest.approx(25, abs=0.1)
    assert found["contrast_lost_at_most_db", "played"] == pytest.approx(40, abs=0.1)


def test_a_run_is_measured_beside_its_held_out_notes(data, folder):
    """The longer takes of A4 are held out. An organ plays them in tune, and 5 dB louder per
    dynamic.
    """
    held_out = [i for i, name in enumerate(data.notes.sources) if "A4_15" in str(name)]
    training = [i for i in range(len(data.lengths)) if i not in held_out]
    run = organ()
    split = {"kind": "note", "notes": {"test": held_out, "train": training}}
    subject = Subject(replace(run, settings=replace(run.settings, split=split)), data, (folder,))
    measured = [synthesis.measure_note(subject, note) for note in held_out]
    rows = [*synthesis.note_rows(subject, measured), *synthesis.take_rows(subject, 5)]
    rows += synthesis.velocity_rows(subject, held_out)
    found = {(row.measure, row.source): row.value for row in rows}
    assert found["in_tune", "played"] == 1
    assert found["velocity_range_db", "recorded"] == pytest.approx(20 * np.log10(6), abs=0.5)
    assert found["velocity_range_db", "played"] == pytest.approx(10, abs=1)
    distances = {row.source: row.value for row in rows if row.measure == "multi_scale_distance"}
    assert (
        distances["takes"] < distances["sampler"] < distances["played"]
    )  # the sampler's is shorter
    assert {row.n for row in rows if row.measure == "centroid_hz"} == {2}
