"""Every script on a model of several voices, from its training on."""

import csv
import json
import re
from importlib import import_module
from unittest import mock

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from training_helpers import TINY, write_ageing_set

from lt.audio.io import read_audio, write_audio
from lt.config import SpectralConfig
from lt.evaluation.context import open_context
from lt.evaluation.examples import choose_notes
from lt.midi import Note, Track, read_midi, write_midi
from lt.models.runs import load_run

RATE = SpectralConfig.sample_rate


def invoke(script, *arguments):
    return CliRunner().invoke(import_module(script).main, list(map(str, arguments)))


def run(script, *arguments):
    """Run a script in this process, without figures of training -> click's result."""
    with mock.patch.multiple(
        "lt.training.callbacks", plot_losses=mock.DEFAULT, plot_reconstructions=mock.DEFAULT
    ):
        result = invoke(script, *arguments)
    assert result.exit_code == 0, result.output
    return result


def train(folder, data, epochs):
    """Train a tiny model of three voices."""
    flags = (*TINY, "--dbroot", data, "--instruments", "Flute", "--savedir", folder, "--name", "x")
    kind = "--labels octave pitch dynamics age --decoder_range_db 100 --decoder harmonic --voices 3"
    run("lt_train", *flags, *kind.split(), "--encoder", "harmonic", "--epochs", epochs)
    return folder / "x__Flute"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model of three voices."""
    folder = tmp_path_factory.mktemp("voices")
    return train(folder, write_ageing_set(folder / "set.npz", numbers=range(60, 68)), 2)


@pytest.fixture(scope="module")
def chords(tmp_path_factory):
    """A folder with two chords as sound and as MIDI."""
    folder = tmp_path_factory.mktemp("chords")
    notes = [Note(at, at + 0.7, key, 80) for at in (0.1, 1.0) for key in (60, 64, 67)]
    times = np.arange(2 * RATE) / RATE
    tones = sum(np.sin(2 * np.pi * hertz * times) for hertz in (262, 330, 392))
    write_audio(folder / "chords.wav", 0.1 * tones, RATE)
    write_midi(folder / "chords.mid", [Track("Flute", 73, tuple(notes))])
    return folder


def test_it_is_analysed(model, tmp_path):
    quick = "--generate_audio 1 --make_figures 0 --classifier_epochs 2 --map_notes 4".split()
    run("lt_analyze", "-m", model, "-o", tmp_path, *quick)
    transfer = json.loads((tmp_path / "results.json").read_text())["overall"]["symbol"]["transfer"]
    assert 0 <= transfer["chord"]["f1"] <= 1 and len(transfer["chord"]["false_intervals"][0]) == 25
    assert 0 <= transfer["note"]["accuracy_permutation_invariant"] <= 1
    read = re.search("of the original: (.*?) \\(", (tmp_path / "report.html").read_text())[1]
    assert re.fullmatch(r"Flute( [A-G]#?\d)+|Flute silence", read)


def test_the_voices_of_an_example_have_different_keys(model):
    context = open_context(load_run(model))
    labels = context.data.notes.labels
    for notes in choose_notes(context, "train", 2, 0):
        assert len({tuple(labels[note, :2]) for note in notes}) == len(notes) == 3


def test_it_is_evaluated_on_recordings(model, chords, tmp_path):
    flags = "--griffinlim_iters 1 --classifier 0 --jobs 1 --plot 0"
    folders = ("--dataroot", chords, "--midiroot", chords, "--output", tmp_path)
    run("lt_midi", "--models", model, *folders, *flags.split())
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["instruments"].keys() >= {"Flute", "Flute.1", "Flute.3"}
    assert 0 <= results["overall"]["notes"]["f1"] <= 1


def test_a_recording_becomes_one_track_and_a_column_for_each_voice(model, chords, tmp_path):
    run("lt_play", "audio", "-m", model, "-i", chords / "chords.wav", "-o", tmp_path, "--graphs", 0)
    assert {track.name for track in read_midi(tmp_path / "chords.mid")} <= {"Flute"}
    with open(tmp_path / "chords.csv", encoding="utf-8", newline="") as file:
        head = next(csv.reader(file))
    assert {"Flute.1.octave", "Flute.3.dynamics", "Flute.2.note"} <= set(head)


def test_chords_are_played_and_morphed(model, chords, tmp_path):
    quick = ("-m", model, "-o", tmp_path, "--griffinlim_iters", 2, "--graphs", 0)
    run("lt_play", "sequence", *quick, "-i", "C4:f+E4:mf+G4", "rest", "D4")
    assert np.abs(read_audio(tmp_path / "sequence_C4-f+E4-mf+G4-mf_rest_D4-mf.wav")).max() > 0
    run("lt_play", "morphing", *quick, "-i", "C4+E4", "D4+F4+A4", "--n_steps", 4)
    run("lt_play", "midi", *quick, "-i", chords / "chords.mid")
    run("lt_play", "trajectory", *quick, "--traj", "line", "--n_steps", 4, "--n_generations", 1)
    assert "Flute.1" in run("lt_play", "info", "-m", model).output


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        ("lt_play sequence -i C4+E4+G4+B4", 1, "4 notes at once, but Flute has 3"),
        ("lt_play morphing --glide 1 -i C4+E4 D4", 1, "one voice"),
    ],
)
def test_what_it_cannot_play_is_said(model, tmp_path, arguments, code, words):
    script, mode, *others = arguments.split()
    result = invoke(script, mode, "-m", model, "-o", tmp_path, *others)
    assert result.exit_code == code and words in result.output


@pytest.mark.parametrize("voices", ["0", "99", "2 2 2"])
def test_a_wrong_number_of_voices_is_refused(voices):
    assert invoke("lt_train", "--voices", *voices.split()).exit_code == 2


def test_it_goes_on_as_if_it_had_not_stopped(model, tmp_path):
    data = json.loads((model / "config.json").read_text())["data"]["path"]
    stopped = train(tmp_path, data, 1)
    run("lt_train", "--load", stopped, "--load_epoch", "last", "--epochs", 2)
    first, second = (load_run(path, "last").model for path in (model, stopped))
    for own, other in zip(first.parameters(), second.parameters()):
        assert torch.equal(own, other)
    refused = invoke("lt_train", "--load", model, "--voices", 2, "--epochs", 3)
    assert refused.exit_code == 1 and "--voices 2 (the run has 3)" in refused.output
