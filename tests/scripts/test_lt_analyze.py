"""lt_analyze.py from end to end on tiny models: table, JSON and CSV say the same, files are where
they should be.
"""

import csv
import json
import re
import shutil

import pytest
import torch
from analysis_helpers import analyse, set_of_recordings, train

QUICK = "--classifier_epochs 4 --generate_audio 1 --n_samples 1 --map_notes 4".split()
BARE = "--generate_audio 0 --make_figures 0 --evaluate_classifier 0 --make_classifier 0".split()
WORDS = {
    "log-likelihood (nats/frame)": "log_likelihood",
    "Itakura-Saito divergence": "isd",
    "log-spectral distance (dB)": "log_spectral_distance_db",
    "accuracy": "accuracy",
    "balanced accuracy": "balanced_accuracy",
    "mean class error": "mean_class_error",
    "accuracy where it sounds": "accuracy_sounding",
    "octave errors": "octave_errors",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lt analyze")  # a name with a space
    set_of_recordings(folder / "data")
    train(folder / "data" / "set.npz", folder / "saves")
    train(
        folder / "data" / "set.npz",
        folder / "other",
        "--labels",
        "pitch",
        "--epochs",
        2,
        "--zero_extra_class",
        0,
    )
    return folder


@pytest.fixture(scope="module")
def model(place):
    return place / "saves" / "scan_multi__Flute"


@pytest.fixture(scope="module")
def done(model):
    """One whole analysis."""
    result = analyse("-m", model, *QUICK, "-n", 2, "--conv_classifier", 1, "--conv_synth", 1)
    assert result.exit_code == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def results(done, model):
    return json.loads((model / "analysis" / "results.json").read_text())


def tables_in(text):
    """title -> (columns, {row: cells}) of printed tables."""
    found = {}
    for block in text.strip().split("\n\n"):
        title, *lines = block.splitlines()
        if lines:
            rows = [re.split(r"\s{2,}", line.rstrip()) for line in lines]
            found[title] = (
                rows[0][1:],
                {
                    row[1] if not row[0] else row[0]: row[2:] if not row[0] else row[1:]
                    for row in rows[1:]
                },
            )
    return found


# --- one model ------------------------------------------------------------------------------------


def test_the_files_are_where_they_should_be(done, model):
    files = {
        str(path.relative_to(model / "analysis"))
        for path in (model / "analysis").rglob("*")
        if path.is_file()
    }
    assert files == {
        "results.json",
        "results.csv",
        "report.html",
        "confusion_octave.png",
        "confusion_pitch.png",
        "confusion_dynamics.png",
        "confusion_note.png",
        "latent.png",
        "latent_units.png",
        "ex_0.png",
        "audio/ex_0_orig.wav",
        "audio/ex_0_reco.wav",
        "audio/ex_0_tf_0.wav",
    }
    assert torch.load(model / "test_classifier.t7", weights_only=True)["labels"] == [
        "octave",
        "pitch",
        "dynamics",
    ]


def test_only_tables_are_printed(done, model):
    first, *blocks = done.stdout.strip().split("\n\n")
    assert first.startswith(f"{model}: test part, split by note, seed 0, epoch ")
    for block in blocks:
        title, *lines = block.splitlines()
        assert not title.startswith(" ") and lines and all(line.startswith("  ") for line in lines)
        assert (
            len({len(line) for line in lines if not line.endswith(" ")}) <= 2
        )  # aligned to the right


def test_the_shape_is_the_contracts(results):
    assert results["partition"] == "test" and results["split"] == "note" and results["seed"] == 0
    assert results["settings"]["synthesis"]["n_iter"] is None
    for scores in (results["overall"], results["instruments"]["Flute"]):
        for way in ("reconstruction", "transfer"):
            assert {"log_likelihood", "isd", "log_spectral_distance_db"} <= set(
                scores["signal"][way]
            )
            for label, size in (("octave", 10), ("pitch", 13), ("dynamics", 6)):
                own = scores["symbol"][way][label]
                assert {
                    "log_likelihood",
                    "accuracy",
                    "balanced_accuracy",
                    "confusion",
                    "accuracy_sd",
                } <= set(own)
                assert len(own["confusion"]) == len(own["confusion"][0]) == size
                assert sum(map(sum, own["confusion"])) == results["frames"] * results["passes"]
            assert 0 <= scores["symbol"][way]["note"]["accuracy"] <= 1
    assert set(results["baselines"]) == {
        "classifier",
        "conv_classifier",
        "conv_synth",
        "forest",
        "majority",
        "pyin",
    }
    assert "isd" in results["baselines"]["conv_synth"]["signal"]["transfer"]
    assert 0 <= results["latent"]["active_signal"] <= results["latent"]["dimensions"] == 6


def test_table_json_and_csv_agree(done, model, results):
    printed = tables_in(done.stdout)
    with open(model / "analysis" / "results.csv", newline="", encoding="utf-8") as stream:
        rows = {tuple(row[:6]): row[6] for row in csv.reader(stream)}
    n_compared = 0
    for modality, title in (("signal", "signal"), ("symbol", "symbols")):
        columns, cells = printed[title]
        for row, values in cells.items():
            label, _, words = row.rpartition(": ")
            for column, cell in zip(columns, values, strict=True):
                model_way = column in ("reconstruction", "transfer")
                where = (
                    ("overall", "", modality, column)
                    if model_way
                    else ("baselines", column, modality, "transfer")
                )
                scores = results["overall"] if model_way else results["baselines"][column]
                scores = scores.get(modality, {}).get(where[3], {})
                scores = scores.get(label, {}) if label else scores
                if cell == "-":
                    assert WORDS[words] not in scores
                    continue
                for measure, number in zip((WORDS[words], f"{WORDS[words]}_sd"), cell.split(" ± ")):
                    assert float(number) == scores[measure]
                    assert rows[(*where, label, measure)] == number
                    n_compared += 1
    assert n_compared > 80
    columns, cells = printed["confusion of pitch (frames; truth down, transfer across)"]
    confusion = results["overall"]["symbol"]["transfer"]["pitch"]["confusion"]
    assert [list(map(int, row)) for row in cells.values()] == confusion
    assert rows["overall", "", "symbol", "transfer", "pitch", "confusion_0_0"] == str(
        confusion[0][0]
    )
    assert rows["run", "", "", "", "", "split"] == "note"


def test_a_second_time_gives_the_same_bytes(done, model, tmp_path):
    result = analyse(
        "-m",
        model,
        *QUICK,
        "-n",
        2,
        "--conv_classifier",
        1,
        "--conv_synth",
        1,
        "-o",
        tmp_path / "again",
    )
    assert result.exit_code == 0 and result.stdout == done.stdout
    for path in sorted((model / "analysis").rglob("*.*")):
        assert (
            path.read_bytes()
            == (tmp_path / "again" / path.relative_to(model / "analysis")).read_bytes()
        ), path.name


def test_parts_are_left_out_on_request(model, tmp_path):
    result = analyse("-m", model, *BARE, "-o", tmp_path / "out", "--partition", "train")
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "results.json",
        "results.csv",
        "report.html",
    }
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["partition"] == "train" and set(results["baselines"]) == {"majority"}
    assert "accuracy_sd" not in results["overall"]["symbol"]["transfer"]["pitch"]


def test_the_kept_classifier_is_judged_again(done, model, results, tmp_path):
    flags = "--make_classifier 0 --make_losses 0 --make_figures 0 --generate_audio 0".split()
    result = analyse("-m", model, *flags, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert "overall" not in found and "conv_classifier" not in found["baselines"]
    own, before = (one["baselines"]["classifier"]["symbol"]["transfer"] for one in (found, results))
    assert own["pitch"]["accuracy"] == before["pitch"]["accuracy"]


def test_without_a_kept_classifier_there_is_a_note(place, tmp_path):
    model = place / "other" / "scan_multi__Flute"
    flags = "--make_classifier 0 --make_figures 0 --generate_audio 0".split()
    result = analyse("-m", model, *flags, "-o", tmp_path / "out")
    assert result.exit_code == 0 and "test_classifier.t7 is not there" in result.stderr
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(found["baselines"]) == {"majority", "pyin"}
    assert set(found["overall"]["symbol"]["transfer"]) == {"pitch"}  # no octave, so no note


# --- several models, and bad ones -----------------------------------------------------------------


def test_several_models_are_compared_and_a_bad_one_is_skipped(place, model, tmp_path):
    other = place / "other" / "scan_multi__Flute"
    result = analyse("-m", model, tmp_path / "gone", other, *BARE, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.strip().splitlines()[-1] == "2 ok, 1 failed"
    assert (
        f"no model folder at {tmp_path / 'gone'}" in result.stderr
        and "Traceback" not in result.stderr
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "scan_multi__Flute",
        "scan_multi__Flute_2",
        "comparison.csv",
    }
    columns, cells = tables_in(result.stdout)["comparison"]
    assert columns == ["scan_multi__Flute", "scan_multi__Flute_2"]
    assert cells["symbol transfer octave accuracy"][1] == "-"  # it has no such label
    for column, name in enumerate(columns):
        found = json.loads((tmp_path / "out" / name / "results.json").read_text())
        accuracy = found["overall"]["symbol"]["transfer"]["pitch"]["accuracy"]
        assert float(cells["symbol transfer pitch accuracy"][column]) == accuracy


def test_errors_are_one_line(place, model, tmp_path):
    for arguments, words in (
        (("-m", tmp_path), "holds no model"),
        (("-m", tmp_path / "x"), "no model folder"),
        (("-m", model, "-d", tmp_path / "set.npz"), "is gone"),
        (("-m", model, "-o", place / "data" / "set.npz"), "is a file; choose another output"),
    ):
        result = analyse(*arguments, *BARE)
        assert result.exit_code == 1 and words in result.stderr and result.stdout == ""
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr


def test_what_the_command_line_alone_shows_is_exit_2(model):
    for arguments in (
        (),
        ("-m",),
        ("-m", model, "--partition", "all"),
        ("-m", model, "--nb_passes", "0"),
        ("-m", model, "--make_losses", "2"),
        ("-m", model, "--generate_audio", "-1"),
    ):
        result = analyse(*arguments)
        assert result.exit_code == 2 and result.stdout == "", arguments


@pytest.mark.fault("malformed input")
def test_a_damaged_checkpoint_is_an_error(model, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    (copy / "vae_1" / "scan_multi_best.t7").write_bytes(b"nothing")
    result = analyse("-m", copy, *BARE)
    assert (
        result.exit_code == 1
        and "damaged" in result.stderr
        and not (copy / "analysis" / "x").exists()
    )
