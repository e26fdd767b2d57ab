"""Sources of every kind are recognised, and no note is listed twice."""

import os
from pathlib import Path

import pytest
from builder_helpers import (
    build_at,
    tone,
)

from lt.audio.soundfont import embedded_font
from lt.build.discover import index_font, index_sources, parse_instrument
from lt.config import BuildConfig


@pytest.mark.fault("odd input")
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_pipes_are_no_files_and_linked_folders_are_followed(tmp_path):
    tone(tmp_path / "s" / "flute_A4_1_forte_normal.wav", "A4")
    for name in ("index.csv", "a.mid", "b.wav"):
        os.mkfifo(tmp_path / "s" / name)
    tone(tmp_path / "more" / "flute_B4_1_forte_normal.wav", "B4")
    (tmp_path / "s" / "linked").symlink_to(tmp_path / "more")
    (tmp_path / "s" / "loop").symlink_to(tmp_path / "s")
    manifest = index_sources([tmp_path / "s"], BuildConfig())
    assert [note.note_number for note in manifest.notes] == [69, 71]
    assert [(skip.file, skip.reason[:6]) for skip in manifest.skipped] == [("s/loop", "a link")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_links_to_pipes_and_to_nothing_among_indexes_are_passed_by(tmp_path):
    tone(tmp_path / "s" / "flute_A4_1_forte_normal.wav", "A4")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "s" / "endless.csv").symlink_to(tmp_path / "pipe")  # would be waited for for ever
    (tmp_path / "s" / "old.csv").symlink_to(tmp_path / "nothing")
    manifest = index_sources([tmp_path / "s"], BuildConfig())
    assert len(manifest.notes) == 1 and len(manifest.skipped) == 2


def test_a_recording_in_two_sources_is_used_once(tmp_path):
    for name in ("A4", "C5"):
        tone(tmp_path / "s" / "in" / f"flute_{name}_1_forte_normal.wav", name)
    manifest = index_sources([tmp_path / "s", tmp_path / "s" / "in"], BuildConfig())
    assert len(manifest.notes) == 2
    assert [skip.reason for skip in manifest.skipped if "same recording" in skip.reason] == [
        f"the same recording as {note.source}" for note in manifest.notes
    ]


def test_csv_files_as_sources_keep_their_names_apart(tmp_path):
    for number, note in enumerate(("A4", "C5")):
        folder = tmp_path / str(number) / "notes"
        tone(folder / "x.wav", note)
        (folder / "labels.csv").write_text(
            f"file,instrument,note,dynamics\n\nx.wav,Flute,{note},mf\n\ny.wav,,,\n"
        )
    manifest = index_sources(
        [tmp_path / str(number) / "notes" / "labels.csv" for number in range(2)], BuildConfig()
    )
    assert [note.source for note in manifest.notes] == ["notes/x.wav", "notes_2/x.wav"]
    assert all(skip.reason.startswith("line 5:") for skip in manifest.skipped)  # blank lines count


def test_no_note_is_used_twice(tmp_path):
    """It would be in two groups: learnt from, and tested on."""
    for name in ("A4", "C5"):
        tone(tmp_path / "s" / f"flute_{name}_1_forte_normal.wav", name)
    built = build_at(tmp_path / "s", tmp_path)
    (tmp_path / "again.npz").write_bytes(built.read_bytes())
    (tmp_path / "linked.npz").symlink_to(built)
    for other in (tmp_path / "s", tmp_path / "again.npz", tmp_path / "linked.npz"):
        manifest = index_sources([built, other], BuildConfig())
        assert (
            len(manifest.notes) == 2
            and sum("same recording" in skip.reason for skip in manifest.skipped) == 2
        )
    (tmp_path / "s" / "flute_A4_15_forte_normal.wav").symlink_to(
        tmp_path / "s" / "flute_A4_1_forte_normal.wav"
    )
    manifest = index_sources([tmp_path / "s"], BuildConfig())
    assert len(manifest.notes) == 2 and "same recording" in manifest.skipped[0].reason


def test_an_instrument_named_twice_gives_each_note_once():
    once, twice = (
        index_font(embedded_font(), BuildConfig(instruments=("Flute",) * times)) for times in (1, 2)
    )
    assert once.notes == twice.notes


def test_instruments_of_a_font_by_program_and_range():
    assert parse_instrument("Marimba:12:C3-61")[1].highest == 61
    for text in ("Kazoo", "Marimba:128", "Marimba:12:C5-C3", "Marimba:12:H1-C3", "Marimba:x"):
        with pytest.raises(ValueError):
            parse_instrument(text)


@pytest.mark.skipif(
    "LT_SHARED_DATA" not in os.environ, reason="LT_SHARED_DATA names no folder of recordings"
)
def test_real_flute_notes_are_all_indexed():
    root = Path(os.environ["LT_SHARED_DATA"]) / "flute_notes"
    manifest = index_sources([root], BuildConfig())
    assert (len(manifest.notes), len(manifest.skipped)) == (458, 0)
    assert {note.instrument for note in manifest.notes} == {"Flute"}
