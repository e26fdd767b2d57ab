"""How a trained model plays, judged by a tracker that knows nothing of it. Trains one flute:
minutes.
"""

import numpy as np
import pytest
from click.testing import CliRunner

from bench.synthesis import RATE, clicks, morphing_jump, pitches, played_tune, tune_by_pyin
from demo import note_f1
from lt.audio.io import read_audio
from lt.config import PlayOptions
from lt.inference.play import play_audio
from lt.inference.synthesis import Rendering
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
    found = pitches(flute, Rendering(sample=sample), "Flute")
    assert found.readable > 0.9 * found.asked
    assert found.right >= 0.97 * found.readable, found
    assert found.rising >= 0.95, found


def test_a_tune_comes_back(flute, tmp_path):
    options = PlayOptions(graphs=0)
    sound, notes, seconds = played_tune(flute, "Flute", tmp_path, options)
    audio = read_audio(sound)
    assert len(audio) / RATE > 8 * seconds
    assert tune_by_pyin(sound, notes) >= 0.97 * len(notes)
    assert (
        clicks(audio, np.array([at * RATE for note in notes for at in (note.onset, note.offset)]))
        == 0
    )
    play_audio(flute, sound, tmp_path / "heard", options, print)
    assert note_f1(tmp_path / "tune.mid", tmp_path / "heard.mid") >= 0.95


@pytest.mark.parametrize("pair", [("C4:mf", "G4:mf"), ("A4:pp", "A5:ff"), ("E5:f", "F5:f")])
def test_a_morphing_goes_evenly_from_note_to_note(flute, pair):
    jump, notes_right, _ = morphing_jump(flute, *pair)
    assert notes_right and jump < 5
