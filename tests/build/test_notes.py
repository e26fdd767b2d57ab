"""A recording is used once and with one label; notes are selected."""

import json

from builder_helpers import (
    build_at,
    labels_of,
    notes_folder,
    run,
    statuses_of,
    tone,
    write_csv,
)

from lt.build.discover import index_sources
from lt.config import BuildConfig


def test_contradictory_labels_leave_the_file_out(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4")
    tone(tmp_path / "s" / "b.wav", "B4")
    write_csv(tmp_path / "s", ["a.wav,Flute,A4,mf,,", "a.wav,Flute,B4,mf,,", "b.wav,Flute,B4,mf,,"])
    output = build_at(tmp_path / "s", tmp_path)
    assert list(labels_of(output)) == ["s/b.wav"]
    assert "contradictory" in statuses_of(output)["s/a.wav"][1]


def test_one_recording_by_two_names_in_an_index_is_left_out(tmp_path):
    for name in ("a.wav", "b.wav"):
        tone(tmp_path / "s" / name, "A4")
    sound = {
        "instrument": "flute",
        "note": "A",
        "octave": 4,
        "dynamics": "mf",
        "klass": "good-sound",
    }
    (tmp_path / "s" / "sounds.json").write_text(
        json.dumps({"1": sound, "2": sound | {"note": "B"}})
    )
    (tmp_path / "s" / "takes.json").write_text(
        json.dumps(
            {
                str(index): {"filename": name, "sound_id": number}
                for index, (name, number) in enumerate(
                    (("a.wav", 1), ("a.wav", 2), ("b.wav", 1), ("b.wav", 1))
                )
            }
        )
    )
    manifest = index_sources([tmp_path / "s"], BuildConfig())
    assert [note.source for note in manifest.notes] == ["s/b.wav"]
    assert [(skip.file, skip.note, skip.reason) for skip in manifest.skipped] == [
        ("s/a.wav", f"Flute {note} mf", "contradictory labels in the index")
        for note in ("A4", "B4")
    ]


def test_stretches_that_are_mostly_the_same_sound_are_one(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4", seconds=2.0)
    tone(tmp_path / "s" / "b.wav", "A4", seconds=2.0)
    tone(tmp_path / "s" / "c.wav", "A4", seconds=2.0)
    write_csv(
        tmp_path / "s",
        [
            "a.wav,Flute,A4,mf,0,1,",
            "a.wav,Flute,B4,mf,0,1.001,",
            "a.wav,Flute,B4,mf,1.001,2,",
            "b.wav,Flute,A4,mf,,,",
            "b.wav,Flute,A4,ff,0.5,1,",
            "c.wav,Flute,A4,mf,,,3",
            "c.wav,Flute,A4,mf,0,2,",
        ],
        "file,instrument,note,dynamics,onset,offset,fold",
    )
    manifest = index_sources([tmp_path / "s"], BuildConfig())
    assert [(note.file, note.location.onset, note.fold) for note in manifest.notes] == [
        ("s/a.wav", 1.001, -1),
        ("s/c.wav", 0.0, 3),
    ]
    assert sorted(skip.file for skip in manifest.skipped) == ["s/a.wav"] * 2 + ["s/b.wav"] * 2


def test_range_dynamics_and_instruments_are_chosen(tmp_path):
    root = notes_folder(tmp_path / "s")
    _, stdout, _ = run(
        root, "--dry_run", 1, "--lowest", "A4", "--highest", 70, "--instruments", "flute"
    )
    assert "1 notes" in stdout and "skipped 2: outside A4 to 70" in stdout
    code, _, stderr = run(root, "--dry_run", 1, "--instruments", "Kazoo")
    assert code == 1 and "Kazoo" in stderr and "Flute" in stderr
