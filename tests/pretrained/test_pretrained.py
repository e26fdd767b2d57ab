"""Models that come with the package: made by one command, found by name, never written into."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from analysis_helpers import RATE, harmonic
from click.testing import CliRunner

import lt
from lt.inference.choice import choose_model
from lt.models import pretrained
from lt.pretrained.__main__ import main as command
from lt_play import main as lt_play


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def play(*arguments):
    flags = ("-g", "0", "--griffinlim_iters", "1")
    return CliRunner().invoke(lt_play, [*map(str, arguments), *flags])


def test_weights_are_those_of_the_run_in_half_precision(trained):
    (run,) = (trained / "saves").glob("*__Flute")
    whole, half = lt.load_run(run), lt.load_run(trained / "package" / "flute")
    for name, weights in whole.model.state_dict().items():
        found = half.model.state_dict()[name]
        assert found.dtype == weights.dtype
        assert torch.allclose(found.float(), weights.float(), rtol=2e-3, atol=1e-6), name
    size, original = (
        sum(path.stat().st_size for path in folder.rglob("*_best.t7"))
        for folder in (trained / "package" / "flute", run)
    )
    assert size < original / 2
    config = json.loads((trained / "package" / "flute" / "config.json").read_text())
    assert config["data"]["path"] == config["config"]["dbroot"] == "data/lt_set.npz"
    assert str(trained) not in json.dumps(config["data"])


def test_numbers_that_half_precision_cannot_hold_stay():
    layer = torch.nn.Linear(2, 1)
    layer.weight.data.fill_(1e6)
    state = pretrained.halved(layer)
    assert state["weight"].dtype == torch.float32 and state["bias"].dtype == torch.float16


def test_a_name_means_a_model_and_a_path_that_exists_wins(installed, tmp_path):
    assert pretrained.pretrained_names() == ("flute", "violin")
    assert lt.load_run("Flute").space.instruments == ("Flute",)
    shutil.copytree(tmp_path / "package" / "violin", installed / "flute")
    assert lt.load_run("flute").space.instruments == ("Violin",)
    with pytest.raises(FileNotFoundError, match="come with the package: flute, violin"):
        lt.load_run("oboe")


def test_what_is_made_goes_to_saves_and_nothing_into_the_package(installed, tmp_path):
    before = contents(tmp_path / "package")
    assert play("audio", "-m", "flute", "-i", "a4.wav").exit_code == 0
    assert play("sequence", "-m", "flute", "-i", "A4", "--n_steps", 2).exit_code == 0
    made = {
        path.relative_to(installed / "saves").as_posix() for path in contents(installed / "saves")
    }
    assert {name.rpartition("/")[0] for name in made} == {
        "flute/audio_reconstructions",
        "flute/sequences",
    }
    assert contents(tmp_path / "package") == before
    info = CliRunner().invoke(lt_play, ["info", "-m", "flute"])
    assert "GPL-2.0" in info.stdout and "note accuracy" in info.stdout


def test_without_a_model_the_one_that_fits_best_is_taken(installed, monkeypatch):
    misfits = {"flute": 9.0, "violin": 4.0}
    monkeypatch.setattr(
        "lt.inference.choice.misfit",
        lambda run, spectra, config: misfits[run.folder.path.name],
    )
    result = play("audio", "-i", "a4.wav")
    assert result.exit_code == 0, result.stderr
    assert "a4.wav: taken for violin, whose reconstruction is nearest (4.0 dB; flute 9.0)" in (
        result.stderr
    )
    assert Path("saves/violin/audio_reconstructions/a4.mid").is_file()
    (track,) = lt.transcribe("a4.wav")
    assert track.name == "Violin" and lt.transcribe("flute", "a4.wav")[0].name == "Flute"
    result = CliRunner().invoke(lt_play, ["sequence", "-i", "A4"])
    assert result.exit_code == 2 and "needs --models" in result.stderr


def test_misfits_are_finite_and_silence_is_no_error(installed):
    soundfile.write("silence.wav", np.zeros(RATE // 2), RATE)
    for name in ("a4.wav", "silence.wav"):
        choice = choose_model(name)
        assert np.isfinite(list(choice.misfits.values())).all()
        assert list(choice.misfits.values()) == sorted(choice.misfits.values())


def test_an_installation_without_models_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    soundfile.write(tmp_path / "a4.wav", harmonic(69, 0.2), RATE)
    result = play("audio", "-i", tmp_path / "a4.wav")
    assert (
        result.exit_code == 1 and "no trained model comes with this installation" in result.stderr
    )


def test_the_command_lists_and_takes_trained_runs(trained, installed, tiny_set, tmp_path):
    listed = CliRunner().invoke(command, ["list"])
    assert re.search(
        r"^flute +Flute +[A-G]#?\d-[A-G]#?\d +1 +note accuracy 0\.\d+$", listed.stdout, re.MULTILINE
    )
    (run,) = (trained / "saves").glob("*__Flute")
    arguments = ["build", "--names", "flute", "--runs", run, "--output", tmp_path / "new"]
    result = CliRunner().invoke(command, [*map(str, arguments)])
    assert result.exit_code == 0, result.stderr
    assert contents(tmp_path / "new").keys() == {
        tmp_path / "new" / path.relative_to(tmp_path / "package")
        for path in contents(tmp_path / "package")
        if "violin" not in path.parts
    }
    for wrong, code in ((["build", "--names", "harp"], 1), (["build", "--runs", str(run)], 2)):
        assert CliRunner().invoke(command, wrong).exit_code == code
