"""Notes are cut out of their recordings, rendered, or taken from other data sets."""

import numpy as np
from builder_helpers import (
    build_at,
    notes_folder,
    tone,
    write_csv,
)

from lt.build.builder import build_from_manifest, font_manifest
from lt.build.notes import Manifest
from lt.config import BuildConfig
from lt.data.dataset import read_data_set


def test_a_note_after_the_end_of_its_file_is_said_to_be_there(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4", seconds=1.0)
    write_csv(tmp_path / "s", ["a.wav,Flute,A4,mf,0.0,1.0", "a.wav,Flute,A4,f,7.0,8.0"])
    output = build_at(tmp_path / "s", tmp_path)
    assert "begins after the end of its file" in output.with_suffix(".files.csv").read_text()


def test_font_notes_do_not_depend_on_their_order_and_gaps_are_filled(tmp_path):
    notes = [
        note
        for note in font_manifest(["Alto-Sax"]).notes
        if note.note_number in (63, 64) and note.dynamics in (0, 4)
    ]
    for name, order in (("there", notes), ("back", notes[::-1])):
        build_from_manifest(
            Manifest(tuple(order)), tmp_path / f"{name}.npz", BuildConfig(), processes=1
        )
    there, back = (read_data_set(tmp_path / f"{name}.npz") for name in ("there", "back"))
    assert (
        np.maximum.reduceat(there.peaks, there.starts[:-1]) > 0
    ).all()  # E4 is a gap in the embedded font
    index = {str(source): n for n, source in enumerate(back.notes.sources)}
    for n, source in enumerate(there.notes.sources):
        m = index[str(source)]
        assert np.array_equal(
            there.magnitudes[there.starts[n] : there.starts[n + 1]],
            back.magnitudes[back.starts[m] : back.starts[m + 1]],
        )


def test_merging_opens_a_set_once_and_takes_it_in_pieces(tmp_path, monkeypatch):
    root = notes_folder(tmp_path / "s", ["A4", "C5", "D5"])
    build_at(root, tmp_path)
    (tmp_path / "out.npz").rename(tmp_path / "one.npz")
    opened = []
    monkeypatch.setattr(
        "lt.build.extract.read_data_set", lambda path: opened.append(path) or read_data_set(path)
    )
    monkeypatch.setattr("lt.build.pool.DATA_SET_NOTES", 2)
    build_at(tmp_path / "one.npz", tmp_path)
    assert len(opened) == 1
    assert (
        read_data_set(tmp_path / "out.npz").magnitudes
        == read_data_set(tmp_path / "one.npz").magnitudes
    ).all()
