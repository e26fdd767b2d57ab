"""Files below a folder, and recordings with their MIDI files."""

from pathlib import Path

from lt.data.pairs import Folder, midi_pairs, not_a_sound


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
