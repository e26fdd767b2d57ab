"""The gallery: its chapters, of data sets and of recordings, and what is left out."""

import re

import pytest
from analysis_helpers import RATE, harmonic
from click.testing import CliRunner

from lt.audio.io import write_audio
from lt.evaluation import chapters as content
from lt.gallery import main
from lt.midi import Note, Track, write_midi


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Tunes of one note, short paths, and no pictures, which take longest."""
    monkeypatch.setattr("lt.evaluation.page.figure_png", lambda axes: b"")
    monkeypatch.setattr(content, "MELODY", ((67, 1),))
    monkeypatch.setattr(content, "PATH_SECONDS", 0.3)


def chapters(path):
    """Chapter -> its HTML."""
    page = path.read_text("utf-8")
    return dict(re.findall(r'<section id="(\w+)">(.*?)</section>', page, re.DOTALL))


def write(path, *arguments):
    """Run the command -> click's result."""
    arguments = (*arguments, "--map_notes", 5, "--n_examples", 1, "-o", path)
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.mark.long
def test_the_gallery_of_a_data_set(tiny_runs, tmp_path):
    runs = [tiny_runs / name for name in ("scan_multi__Flute", "scan_multi__Flute_Violin")]
    result = write(tmp_path / "gallery.html", "--models", *runs)
    assert result.exit_code == 0 and "wrote" in result.stderr, result.stderr
    assert "Morphings: done" in result.stderr  # minutes apart where models are real
    found = chapters(tmp_path / "gallery.html")
    sounds = {name: content.count("<audio") for name, content in found.items()}
    assert sounds == {
        "models": 0,
        "instruments": 3,  # original, reconstruction, from symbols
        "symbols": 1,
        "transcriptions": 3,
        "morphings": 4,  # of order 0, 1 and 3, and a glide
        "trajectories": 3,
        "mixtures": 3,
        "chords": 0,
        "maps": 0,
    }
    assert "order 3" in found["morphings"] and "helix" in found["trajectories"]
    assert "Left out" in found["chords"] and "Left out" not in found["mixtures"]
    assert found["maps"].count("<svg") == 2 and "<option>instrument</option>" in found["maps"]


def test_the_gallery_of_recordings_needs_no_data_set(tiny_runs, tmp_path):
    folder = tmp_path / "takes"
    folder.mkdir()
    for name in ("known", "unknown"):
        write_audio(folder / f"{name}.wav", harmonic(69, 0.5), RATE)
    (folder / "broken.wav").write_bytes(b"no sound")
    write_midi(folder / "known.mid", [Track("Flute", 73, (Note(0.0, 0.5, 69, 64),))])
    run = tiny_runs / "scan_multi__Flute"
    result = write(tmp_path / "gallery.html", "--models", run, "--recordings", folder)
    assert result.exit_code == 0 and "broken.wav" in result.stderr, result.stderr
    found = chapters(tmp_path / "gallery.html")
    assert "mixtures" not in found and found["transcriptions"].count("<audio") == 6
    assert found["transcriptions"].count("note F1") == 1


def test_what_is_wrong_is_said(tiny_runs, tmp_path):
    run, page = tiny_runs / "scan_multi__Flute", tmp_path / "gallery.html"
    for wrong, code, words in (
        (("--models", "nothing"), 1, "no model folder at nothing"),
        (("--models", run, "--recordings", tmp_path / "gone"), 1, "no folder"),
        (("--models", run, "--recordings", tmp_path), 1, "holds no sound files"),
        (("--models", run, "--recordings", tmp_path, "--dbroot", "x"), 2, "dbroot"),
        (("--models", run, "--dbroot", "gone.npz"), 1, "gone.npz"),
    ):
        result = write(page, *wrong)
        assert result.exit_code == code and words in result.stderr, result.stderr
        assert not page.exists()
