"""Synthesis of a trained model, measured by a pitch tracker. Trains one flute: minutes."""

import numpy as np
import pytest
from click.testing import CliRunner

from bench.synthesis import RATE, clicks, n_notes_in_tune, play_tune, score_morphing, score_pitches
from demo import note_f1
from lt.audio.io import read_audio
from lt.config import PlayOptions, SynthesisConfig
from lt.inference.play import play_audio
from lt.models.runs import load_run
from lt_train import main

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def flute(tmp_path_factory):
    """The embedded flute by the recommended settings."""
    saves = tmp_path_factory.mktemp("saves")
    flags = f"--instruments Flute --preset robust --name flute --savedir {saves}"
    assert CliRunner().invoke(main, flags.split()).exit_code == 0
    return load_run(saves / "flute__Flute")


@pytest.mark.parametrize("sample", [True, False])
def test_every_note_has_its_pitch_and_dynamics_their_levels(flute, sample):
    scores = score_pitches(flute, SynthesisConfig(sample=sample), "Flute")
    assert scores.n_readable > 0.9 * scores.n_notes
    assert scores.n_right >= 0.97 * scores.n_readable, scores
    assert scores.rising >= 0.95, scores


def test_a_tune_comes_back(flute, tmp_path):
    options = PlayOptions(graphs=0)
    played = play_tune(flute, "Flute", tmp_path, options)
    audio = read_audio(played.sound)
    assert len(audio) / RATE > 8 * played.seconds
    assert n_notes_in_tune(played.sound, played.notes) >= 0.97 * len(played.notes)
    borders = [time * RATE for note in played.notes for time in (note.onset, note.offset)]
    assert clicks(audio, np.array(borders)) == 0
    transcription = play_audio(flute, played.sound, tmp_path / "transcribed", options).midi
    assert note_f1(tmp_path / "tune.mid", transcription) >= 0.95


@pytest.mark.parametrize("pair", [("C4:mf", "G4:mf"), ("A4:pp", "A5:ff"), ("E5:f", "F5:f")])
def test_a_morphing_goes_evenly_from_note_to_note(flute, pair):
    scores = score_morphing(flute, *pair)
    assert scores.notes_right and scores.largest_step < 5
