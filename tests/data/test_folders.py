"""Files below a folder, and recordings with their MIDI files."""

import unicodedata
from pathlib import Path

import pytest

from lt.data.folders import Folder, find_file, midi_pairs, not_a_sound


def test_files_are_listed_in_order_below_their_folder(tmp_path):
    for name in ("b.wav", "a/c.mid", "a/.hidden.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folder = Folder.of(tmp_path, "set")
    assert folder.files == ("a/.hidden.wav", "a/c.mid", "b.wav")
    assert folder.sounds() == ("b.wav",) and folder.name("b.wav") == "set/b.wav"
    assert not_a_sound("a/.hidden.wav") == "a hidden file" and "not a sound" in not_a_sound("c.mid")


def test_the_aligned_and_the_nearest_midi_file_come_first():
    files = ("1/x.wav", "2/x.wav", "3/y.wav", "4/z.wav")
    midi = ("1/x.mid", "2/x-lined.mid", "1/y.mid", "3/y.MID", "z.txt")
    pairs = midi_pairs(Folder(Path(), "", files), Folder(Path(), "", midi))
    assert pairs == {"1/x.wav": "2/x-lined.mid", "2/x.wav": "2/x-lined.mid", "3/y.wav": "3/y.MID"}


@pytest.mark.fault("odd input")
@pytest.mark.parametrize("target", [".", "..", "a", "a/b", "z"])
def test_linked_folders_are_followed_once_and_loops_end(tmp_path, target):
    root = tmp_path / "root"
    for name in ("a/1.wav", "a/b/2.wav", "z/3.wav"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "a" / "link").symlink_to(root / target)
    assert Folder.of(root, "").files == ("a/1.wav", "a/b/2.wav", "a/link", "z/3.wav")


def test_folders_outside_are_listed_below_their_links(tmp_path):
    for name in ("root/1.wav", "out/a/2.wav", "out/b/3.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "root" / "x").symlink_to(tmp_path / "out")
    (tmp_path / "out" / "b" / "back").symlink_to(tmp_path / "root")
    (tmp_path / "out" / "b" / "again").symlink_to(tmp_path / "out" / "a")
    files = ("1.wav", "x/a/2.wav", "x/b/3.wav", "x/b/again", "x/b/back")
    folder = Folder.of(tmp_path / "root", "")
    assert folder.files == files and "a link" in folder.why_no_sound("x/b/again")
    (tmp_path / "linked root").symlink_to(tmp_path / "root")
    assert Folder.of(tmp_path / "linked root", "").files == files


@pytest.mark.fault("odd input")
@pytest.mark.parametrize("on_disk, written", [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_are_compared_in_one_unicode_form(tmp_path, on_disk, written):
    name, other = (unicodedata.normalize(form, "étude/Clé à ré.wav") for form in (on_disk, written))
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).touch()
    assert find_file(tmp_path, other) == name or (tmp_path / other).is_file()  # macOS: both are
    midi = other.replace(".wav", "-lined.mid")
    pairs = midi_pairs(Folder(Path(), "", (name,)), Folder(Path(), "", ("x/" + midi, midi)))
    assert pairs == {name: midi}


def test_names_of_windows_and_of_other_case_are_found(tmp_path):
    (tmp_path / "Samples").mkdir()
    for name in ("A.wav", "B.wav", "b.wav"):
        (tmp_path / "Samples" / name).touch()
    assert find_file(tmp_path, "samples\\a.WAV") == "Samples/A.wav"
    assert find_file(tmp_path, "Samples/x/../b.wav") == "Samples/b.wav"
    assert find_file(tmp_path / "Samples", "..\\Samples\\A.wav") == "../Samples/A.wav"
    assert find_file(tmp_path, "Samples/none.wav") == "Samples/none.wav"
