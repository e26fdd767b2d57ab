"""Every script on a model with the label age, from its training on."""

import json
from importlib import import_module

import numpy as np
import pytest
from click.testing import CliRunner
from training_helpers import TINY, write_ageing_set

from lt.audio.io import write_audio
from lt.config import SpectralConfig
from lt.midi import Note, Track, write_midi

RATE = SpectralConfig.sample_rate


def run(script, *arguments):
    """Run a script in this process -> click's result."""
    result = CliRunner().invoke(import_module(script).main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module", params=["--frames 4 12", "--frames"])
def model(request, tmp_path_factory):
    """A tiny model of a range of frames without the onset, and one of whole notes."""
    folder = tmp_path_factory.mktemp("ages")
    data = write_ageing_set(folder / "ageing.npz", numbers=range(60, 66))
    flags = (*TINY, "--dbroot", data, "--instruments", "Flute", "--savedir", folder)
    ages = "--labels octave pitch dynamics age --decoder_range_db 100 --decoder harmonic"
    run("lt_train", *flags, *ages.split(), "--epochs", 1, "--name", "x", *request.param.split())
    return folder / "x__Flute"


@pytest.fixture(scope="module")
def tune(tmp_path_factory):
    """A folder with a tune of two notes as sound and as MIDI."""
    folder = tmp_path_factory.mktemp("tune")
    times = np.arange(2 * RATE) / RATE
    write_audio(folder / "tune.wav", 0.3 * np.sin(2 * np.pi * 262 * times), RATE)
    notes = Note(0.1, 0.8, 60, 39), Note(1.0, 1.6, 62, 90)
    write_midi(folder / "tune.mid", [Track("Flute", 73, notes)])
    return folder


def test_it_is_analysed(model, tmp_path):
    flags = (
        "--classifier_epochs 2 --generate_audio 1 --n_samples 1 --map_notes 0 --conv_classifier 1"
    )
    run("lt_analyze", "-m", model, "-o", tmp_path, "--conv_synth", 1, *flags.split())
    results = json.loads((tmp_path / "results.json").read_text())
    age = results["overall"]["symbol"]["transfer"]["age"]
    assert 0 <= age["accuracy"] <= 1 and len(age["confusion"]) == 32
    assert {"confusion_age.png", "latent.png", "report.html"} <= {
        p.name for p in tmp_path.iterdir()
    }


def test_it_is_evaluated_on_recordings(model, tune, tmp_path):
    flags = "--griffinlim_iters 1 --classifier 0 --jobs 1"
    folders = ("--dataroot", tune, "--midiroot", tune, "--output", tmp_path)
    run("lt_midi", "--models", model, *folders, *flags.split())
    assert (tmp_path / "transfers" / "tune.wav").is_file()
    header = (tmp_path / "transcriptions" / "tune.csv").read_text().splitlines()[0]
    assert ",age,age_p" in header


@pytest.mark.parametrize(
    "mode, inputs",
    [
        ("info", []),
        ("sequence", ["-i", "C4:f:age=3", "C4:f", "rest", "D4"]),
        ("sequence", ["-i", 4, 0, 3, 4, 2, 1]),
        ("morphing", ["-i", "C4:f", "D4:f:age=2", "--n_steps", 20]),
        ("trajectory", ["--n_steps", 20]),
        ("midi", ["-i", "tune.mid"]),
        ("audio", ["-i", "tune.wav", "--latents", 1]),
    ],
)
def test_it_is_played(model, tune, tmp_path, mode, inputs):
    inputs = [tune / name if str(name).startswith("tune") else name for name in inputs]
    quick = [] if mode == "info" else ["--griffinlim_iters", 1, "-g", 0, "-o", tmp_path]
    run("lt_play", mode, "-m", model, *inputs, *quick)
    assert mode == "info" or list(tmp_path.rglob("*.wav"))
