"""Likely mistakes: each is answered in one line that says what to do next."""

import os
import sys
from importlib import import_module

import pytest
import soundfile
from analysis_helpers import RATE, harmonic
from click.testing import CliRunner
from playing_helpers import make_run

from lt.midi import Track, write_midi
from lt.models import pretrained

# script, command line (`run` is a model, `set.npz` a data set), exit code, words of the answer
MISTAKES = [
    ("lt_train", "--dbroot set.npz --instruments Flut", 1, "it has Flute, Violin"),
    ("lt_train", "--dbroot gone.npz", 1, "python3 -m lt.builders SOURCE --output gone.npz"),
    ("lt_train", "--epochs 1", 1, "pip install --no-deps tinysoundfont"),
    ("lt_train", "--dbroot --dims 32", 2, "is a shell variable not set?"),
    ("lt_analyze", "-d -m --nb_passes 1", 2, "'--dbroot': a path is missing, there is the flag -m"),
    ("lt_train", "--epochs 0", 2, "[1, inf)"),
    ("lt_train", "--epochs ten", 2, "'ten' is not a whole number"),
    ("lt_train", "--frames 25 10", 2, "the second is one past the last"),
    ("lt_train", "--dbroot set.npz --instruments flute", 1, "--frames alone takes all"),
    ("lt_train", "--dbroot set.npz Flute", 2, "its flag comes before it"),
    ("lt_train", "--preset robst", 2, "'robust'"),
    ("lt_train", "--dim 32", 2, "--dims"),
    ("lt_train", "--load gone", 1, "lt_train.py writes one"),
    ("lt_train", "--load violin", 1, "cannot be trained on"),
    ("lt_train", "--load run --dims 64", 1, "the run has"),
    ("lt_train", "--fold 7", 2, "folds count from 0"),
    ("lt_play", "audio -m gone -i a4.wav", 1, "lt_train.py writes one"),
    ("lt_play", "audio -i a4.wav", 1, "python3 -m lt.pretrained build"),
    ("lt_play", "audio -m run -i gone.wav", 1, "gone.wav"),
    ("lt_play", "audio -m rum -i a4.wav", 1, "is run meant?"),
    ("lt_play", "audio -m a4.wav -i a4.wav", 1, "give the folder that lt_train.py wrote"),
    ("lt_play", "audio a4.wav -m run", 2, "'a4.wav' belongs to no flag"),
    ("lt_play", "audio -m run -i notes", 1, "notes is a folder, not a sound file"),
    ("lt_play", "audio -m run -i empty.wav", 1, "is empty (0 bytes); give another"),
    ("lt_play", "audio -m run -i tune.mid", 1, "lt_play.py midi plays it"),
    ("lt_play", "audio -m run -i a4.wav -o notes.txt", 1, "choose another output"),
    ("lt_play", "audio -m run -i a4.wav --cuda 99", 1, "-1 or cpu is the CPU"),
    ("lt_play", "audio -m run -i a4.wav --tuning 44", 2, "give hertz of A4, or auto"),
    ("lt_play", "midi -m run -i tune.mid", 1, "tune.mid has no notes to play"),
    ("lt_play", "midi -m run -i notes", 1, "notes is a folder, not a MIDI file"),
    ("lt_play", "midi -m run -i a4.wav -t up", 2, "'up' is not a whole number"),
    ("lt_play", "trajectory -m run --points a4.wav", 1, "write one with np.save"),
    ("lt_play", "audio -m run -i notes.txt", 1, "notes.txt"),
    ("lt_play", "midi -m run -i a4.wav", 1, "not a MIDI file"),
    ("lt_play", "sequence -m run", 2, "-i LABELS"),
    ("lt_play", "sequence -i A4", 2, "a folder that lt_train.py wrote, or a name"),
    ("lt_play", "sequence -m run -i H4", 1, "a letter A-G"),
    ("lt_play", "sequence -m run -i A4:loud", 1, "pp p mf f ff"),
    ("lt_play", "transcribe -m run -i a4.wav", 2, "'audio'"),
    ("lt_analyze", "-m run/config.json", 1, "give the folder"),
    ("lt_midi", "-m run --dataroot . --midiroot gone", 1, "gone"),
    ("lt_midi", "-m run --midiroot .", 2, "--dataroot"),
    ("lt.build.__main__", "gone --output x.npz", 1, "no file or folder at gone"),
    ("lt.build.__main__", "notes --output x.npz", 1, "--instrument"),
    ("lt.build.__main__", "a4.wav --output x.npz", 1, "expected a folder of recordings"),
    ("lt.build.__main__", "songs --output x.npz", 1, "name the files by their notes (C4.wav)"),
    ("lt.build.__main__", "notes --output x.wav", 2, "does not end in .npz"),
]


@pytest.fixture(scope="module")
def place(tiny_set, tmp_path_factory):
    """A folder with what the command lines name."""
    folder = tmp_path_factory.mktemp("place")
    make_run(folder / "run")
    os.symlink(tiny_set, folder / "set.npz")
    for name in ("notes", "songs"):
        (folder / name).mkdir()
    (folder / "notes.txt").write_text("no sound")
    (folder / "empty.wav").touch()
    write_midi(folder / "tune.mid", [Track("Flute", 73, ())])
    for path in (folder / "a4.wav", folder / "notes" / "A4.wav", folder / "songs" / "one.wav"):
        soundfile.write(path, harmonic(69, 0.2), RATE)
    return folder


@pytest.mark.parametrize("script, line, code, words", MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_answered(script, line, code, words, place, monkeypatch, tmp_path):
    monkeypatch.chdir(place)
    if "violin" not in line:
        monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)  # as after `pip install .`
    result = CliRunner().invoke(import_module(script).main, line.split())
    (said,) = [line for line in result.stderr.splitlines() if "error:" in line]
    assert result.exit_code == code and words in said and result.stdout == ""
    assert "Traceback" not in result.stderr
