"""Labels from CSV files, good-sounds and mirdata; a bad row is skipped alone."""

import json
import sqlite3
import sys
import types
import unicodedata

import numpy as np
import pytest
import soundfile
from builder_helpers import (
    build_at,
    labels_of,
    run,
    statuses_of,
    tone,
    write_csv,
)

from lt.build.discover import index_sources
from lt.build.summary import BuildSummary
from lt.config import BuildConfig
from lt.data.dataset import read_data_set


def test_a_folder_with_a_csv(tmp_path):
    root = tmp_path / "mine"
    tone(root / "a b #ü.wav", "A4", seconds=1.0)
    tone(root / "two.wav", "C4")
    tone(root / "unnamed.wav", "C4")
    write_csv(
        root,
        [
            "a b #ü.wav,Flute,A4,mf,0.0,0.5",
            "a b #ü.wav,flute,69,3,0.5,1.0",
            "two.wav,Violin,C4,f,,",
            "two.wav,Violin,C4,f,,",
            "gone.wav,Flute,A4,mf,,",
            "unnamed.wav,Flute,H4,mf,,",
        ],
    )
    output = build_at(root, tmp_path)
    assert labels_of(output) == {
        "mine/a b #ü.wav@0.000": ("Flute", 4, 9, 2),
        "mine/a b #ü.wav@0.500": ("Flute", 4, 9, 3),
        "mine/two.wav": ("Violin", 4, 0, 3),
    }
    statuses = statuses_of(output)
    assert (
        "line 6: no such file" in statuses["mine/gone.wav"][1]
        and "H4" in statuses["mine/unnamed.wav"][1]
    )
    assert statuses["mine/labels.csv"][0] == "index"


@pytest.mark.fault("odd input")
def test_decimal_commas_are_read_where_semicolons_separate(tmp_path):
    root = tmp_path / "s"
    tone(root / "a.wav", "A4", seconds=1.5)
    rows = ["a.wav;Flute;A4;mf;0,25;0,75", "a.wav;Flute;A4;f;0.9;1,4"]
    write_csv(root, rows, "file;instrument;note;dynamics;onset;offset")
    notes = index_sources([root], BuildConfig()).notes
    times = [(note.location.onset, note.location.offset) for note in notes]
    assert times == [(0.25, 0.75), (0.9, 1.4)]
    write_csv(root, ['a.wav,Flute,A4,mf,"0,25","0,75"'])
    manifest = index_sources([root], BuildConfig())
    assert not manifest.notes and "'0,25' is no onset" in manifest.skipped[0].reason


def test_a_csv_may_name_files_in_another_unicode_form(tmp_path):
    root = tmp_path / "s"
    tone(root / unicodedata.normalize("NFD", "flûte à bec é.wav"), "A4")
    row = unicodedata.normalize("NFC", "flûte à bec é.wav,Flûte,A4,mf,,")
    write_csv(root, [row])
    (note,) = index_sources([root], BuildConfig(instruments=("Flu\u0302te",))).notes
    assert note.instrument == "Fl\u00fbte"


def test_a_csv_without_a_column_is_an_error(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4")
    write_csv(tmp_path / "s", ["a.wav,Flute,A4"], "file,instrument,note")
    code, _, stderr = run(tmp_path / "s", "--kind", "csv", "--output", tmp_path / "out.npz")
    assert code == 1 and "lacks the column dynamics" in stderr and stderr.count("\n") == 1


def test_a_constant_and_rows_beyond_all_bounds_are_skipped(tmp_path):
    root = tmp_path / "s"
    tone(root / "a.wav", "A4")
    soundfile.write(root / "dc.wav", np.full(22050, 0.5), 22050)
    rows = [
        "a.wav,Flute,A4,mf,,,",
        "dc.wav,Flute,G4,mf,,,",
        "a.wav,Flute,A4,mf,1e308,,",
        "a.wav,Flute,A4,mf,0,1e305,",
        f"a.wav,Flute,A4,mf,,,{'9' * 20}",
        f"{'n' * 300}.wav,Flute,A4,mf,,,",
    ]
    (root / "index.csv").write_text(
        "\n".join(["file,instrument,note,dynamics,onset,offset,fold", *rows])
    )
    code, stdout, stderr = run(root, "--output", tmp_path / "x.npz")
    assert code == 0, stderr
    assert "1 notes" in stdout and len(read_data_set(tmp_path / "x.npz").lengths) == 1
    assert sum(status == "skipped" for status, _ in statuses_of(tmp_path / "x.npz").values()) == 2


GOOD_SOUNDS = {
    1: ("good-sound", "C", 4, "mf"),
    2: ("scale-good", "C", 4, "mf"),
    3: ("bad-pitch", "D", 4, "p"),
    4: ("good-sound", "A#", 5, None),
}


@pytest.mark.parametrize("index", ("json", "sqlite"))
def test_good_sounds_by_its_index(tmp_path, index):
    root = tmp_path / "good-sounds"
    columns = ("id", "klass", "note", "octave", "dynamics", "instrument")
    sounds = [
        dict(zip(columns, (number, *row, "sax_alto"), strict=True))
        for number, row in GOOD_SOUNDS.items()
    ]
    takes = [
        {"id": number, "sound_id": number, "filename": f"sound_files/pack/akg/{number:04d}.wav"}
        for number in GOOD_SOUNDS
    ]
    for take in takes:
        tone(root / take["filename"], "C4")
    if index == "json":
        for name, rows in (("sounds", sounds), ("takes", takes)):
            (root / f"{name}.json").write_text(json.dumps({str(row["id"]): row for row in rows}))
    else:
        with sqlite3.connect(root / "database.sqlite") as database:
            for name, rows in (("sounds", sounds), ("takes", takes)):
                database.execute(f"CREATE TABLE {name} ({','.join(rows[0])})")
                database.executemany(
                    f"INSERT INTO {name} VALUES ({','.join('?' * len(rows[0]))})",
                    [tuple(row.values()) for row in rows],
                )
        database.close()
    manifest = index_sources([root], BuildConfig())
    assert [note.labels for note in manifest.notes] == [("Alto-Sax", 60, 2)]
    reasons = " ".join(skip.reason for skip in manifest.skipped)
    assert (
        "a scale" in reasons and "not called a good" in reasons and "--default_dynamics" in reasons
    )
    assert BuildSummary.expected(manifest).n_files == 4 + (2 if index == "json" else 1)
    assert len(index_sources([root], BuildConfig(default_dynamics="mf")).notes) == 2


@pytest.mark.fault("malformed input")
def test_an_index_without_end_is_refused(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4")
    with sqlite3.connect(tmp_path / "s" / "database.sqlite") as database:
        database.execute("CREATE TABLE takes (id, sound_id, filename)")
        database.execute(
            "CREATE VIEW sounds AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM "
            "n) "
            "SELECT id FROM n"
        )
    database.close()
    with pytest.raises(ValueError, match="no tables"):
        index_sources([tmp_path / "s"], BuildConfig())


@pytest.mark.fault("malformed input")
def test_an_index_of_endless_depth_is_refused(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4")
    for name in ("sounds", "takes"):
        (tmp_path / "s" / f"{name}.json").write_text("[" * 200_000)
    with pytest.raises(ValueError, match="no index of good-sounds, or damaged"):
        index_sources([tmp_path / "s"], BuildConfig())


@pytest.mark.fault("odd input")
def test_an_odd_entry_of_an_index_is_skipped_alone(tmp_path):
    for name in ("a.wav", "b.wav"):
        tone(tmp_path / "s" / name, "C4")
    sound = {
        "klass": "good-sound",
        "note": "C",
        "octave": 4,
        "dynamics": "mf",
        "instrument": "flute",
    }
    for name, content in (
        ("sounds", {"1": sound, "2": 5}),
        (
            "takes",
            {
                str(number): {"id": number, "sound_id": number, "filename": f"{file}.wav"}
                for number, file in ((1, "a"), (2, "b"))
            },
        ),
    ):
        (tmp_path / "s" / f"{name}.json").write_text(json.dumps(content))
    manifest = index_sources([tmp_path / "s"], BuildConfig())
    assert len(manifest.notes) == 1 and [skip.file for skip in manifest.skipped] == ["s/b.wav"]


def test_a_bad_row_of_good_sounds_is_skipped_alone(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4")
    sound = {
        "instrument": "flute",
        "note": "A",
        "octave": 4,
        "dynamics": "mf",
        "klass": "good-sound",
    }
    (tmp_path / "s" / "sounds.json").write_text(json.dumps({"1": sound}))
    (tmp_path / "s" / "takes.json").write_text(
        json.dumps(
            {"1": {"filename": "a.wav", "sound_id": 1}, "2": {"filename": "b.wav", "sound_id": 77}}
        )
    )
    manifest = index_sources([tmp_path / "s"], BuildConfig(default_dynamics="mf"))
    assert len(manifest.notes) == 1 and len(manifest.skipped) == 1


def test_a_loader_of_mirdata(tmp_path, monkeypatch):
    tone(tmp_path / "audio" / "x.wav", "A4")
    track = types.SimpleNamespace(
        audio_path=str(tmp_path / "audio" / "x.wav"),
        instrument_full="Trumpet in C",
        pitch="A4",
        pitch_id=69,
        dynamics="pp",
        fold=3,
        technique_abbr="ord",
    )
    loaded = types.SimpleNamespace(load_tracks=lambda: {"x": track})
    fake = types.SimpleNamespace(
        list_datasets=lambda: ["tinysol"], initialize=lambda name, data_home: loaded
    )
    monkeypatch.setitem(sys.modules, "mirdata", fake)
    (note,) = index_sources([tmp_path], BuildConfig(kind="mirdata:tinysol")).notes
    assert (note.instrument, note.note_number, note.dynamics, note.fold) == ("Trumpet-C", 69, 0, 3)
    with pytest.raises(ValueError, match="no loader"):
        index_sources([tmp_path], BuildConfig(kind="mirdata:nothing"))
