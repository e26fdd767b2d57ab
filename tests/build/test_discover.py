"""Every layout of recordings: names are read or refused with a reason, each file is listed,
labels are right.
"""

import json
import os
import sqlite3
import sys
import types
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
from builder_helpers import build_at, labels_of, run, statuses_of, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from lt.audio.soundfont import embedded_font
from lt.build.discover import index_font, index_sources
from lt.build.filenames import parse_philharmonia, parse_tinysol
from lt.build.naming import dynamics_class, instrument_in, instrument_name, note_number_of
from lt.build.summary import BuildSummary
from lt.config import BuildConfig
from lt.data.dataset import read_data_set
from lt.labels import DYNAMICS_NAMES, PITCH_NAMES, note_name_to_number
from lt.midi import Note, Track, write_midi

PITCHES = st.sampled_from(PITCH_NAMES)
UNHURRIED = settings(deadline=None)  # other work on the machine shall fail no test


# --- names ----------------------------------------------------------------------------------------


@UNHURRIED
@given(
    pitch=PITCHES,
    octave=st.integers(0, 8),
    dynamics=st.sampled_from(("pp", "mf", "ff")),
    instrument=st.sampled_from(("Fl", "ASax", "TpC", "Vn", "ClBb", "Acc")),
    instance=st.sampled_from(("N", "1c", "alt2")),
)
def test_tinysol_names_are_read(pitch, octave, dynamics, instrument, instance):
    description = parse_tinysol(
        f"Winds/X/ordinario/{instrument}-ord-{pitch}{octave}-{dynamics}-{instance}-T14d.wav"
    )
    assert note_number_of(description.note) == note_name_to_number(f"{pitch}{octave}")
    assert (instrument_name(description.instrument), dynamics_class(description.dynamics)) == (
        {
            "Fl": "Flute",
            "ASax": "Alto-Sax",
            "TpC": "Trumpet-C",
            "Vn": "Violin",
            "ClBb": "Clarinet-Bb",
            "Acc": "Accordion",
        }[instrument],
        DYNAMICS_NAMES.index(dynamics),
    )


@UNHURRIED
@given(
    pitch=PITCHES,
    octave=st.integers(0, 8),
    length=st.sampled_from(("025", "05", "1", "15", "long", "very-long")),
    dynamics=st.sampled_from(
        ("pianissimo", "piano", "mezzo-piano", "mezzo-forte", "forte", "fortissimo")
    ),
)
def test_philharmonia_names_are_read(pitch, octave, length, dynamics):
    description = parse_philharmonia(
        f"deep/er/cor anglais_{pitch.replace('#', 's')}{octave}_{length}_{dynamics}_normal.mp3"
    )
    assert note_number_of(description.note) == note_name_to_number(f"{pitch}{octave}")
    assert instrument_name(description.instrument) == "English-Horn"
    assert (
        dynamics_class(description.dynamics)
        == [0, 1, 2, 2, 3, 4][
            ("pianissimo", "piano", "mezzo-piano", "mezzo-forte", "forte", "fortissimo").index(
                dynamics
            )
        ]
    )


@UNHURRIED
@given(st.text(max_size=30))
def test_any_name_is_read_or_refused_with_a_reason(name):
    for reader in (
        parse_tinysol,
        parse_philharmonia,
        instrument_name,
        note_number_of,
        dynamics_class,
    ):
        try:
            reader(name)
        except ValueError as reason:
            assert str(reason)


@pytest.mark.parametrize("text", ("H4", "B##9", "C", "", "4", "130", "C-4", "Cs", "A4 flat"))
def test_what_is_no_note_is_refused(text):
    with pytest.raises(ValueError):
        note_number_of(text)


def test_instruments_are_found_in_words_around_them():
    assert instrument_in("flute-audio-labelled-database") == "Flute"
    assert instrument_in("Sonata for Violin") == "Violin"
    assert instrument_in("duo for Flute and Violin") is None


# --- sources --------------------------------------------------------------------------------------


def test_tinysol_as_unpacked_with_folds(tmp_path):
    root = tmp_path / "Tiny SOL ü"
    names = {
        "Winds/Flute/ordinario/Fl-ord-C#4-mf-N-T14d.wav": ("Flute", 4, 1, 2),
        "Winds/Sax_Alto/ordinario/ASax-ord-A3-pp-N-N.wav": ("Alto-Sax", 3, 9, 0),
        "Strings/Violin/ordinario/Vn-ord-G#5-ff-1c-R100u.wav": ("Violin", 5, 8, 4),
    }
    for name in names:
        tone(root / name, Path(name).name.split("-")[2])
    tone(root / "Winds/Flute/flatterzunge/Fl-flatt-C4-mf-N-N.wav", "C4")
    tone(root / "Winds/Flute+sordina/ordinario/Fl+S-ord-C4-mf-N-N.wav", "C4")
    (root / "TinySOL_metadata.csv").write_text(
        "Path,Fold,Family\n" + "".join(f"{name},{fold},X\n" for fold, name in enumerate(names))
    )
    output = build_at(root, tmp_path)
    assert labels_of(output) == {f"{root.name}/{name}": labels for name, labels in names.items()}
    data = read_data_set(output)
    folds = dict(zip(map(str, data.notes.sources), data.notes.fold.tolist(), strict=True))
    assert folds == {f"{root.name}/{name}": fold for fold, name in enumerate(names)}
    found = [status for status, _ in statuses_of(output).values()]
    assert sorted(found) == ["index", "skipped", "skipped", "used", "used", "used"]


def test_philharmonia_with_everything_that_goes_wrong(tmp_path):
    root = tmp_path / "flute #1"
    tone(root / "flute_As4_05_forte_normal.wav", "A#4", silence=0.5)
    tone(root / "flute_As4_1_forte_normal.wav", "A#4", level=0.1, channels=2)
    tone(root / "flute_C5_1_mezzo-piano_normal.flac", "C5", sample_rate=96000)
    skips = {
        "flute_C5_phrase_mezzo-forte_nonlegato.wav": "a phrase",
        "flute_C5_1_crescendo_normal.wav": "change",
        "flute_D5_1_forte_tremolo.wav": "articulation",
        "notes about it.txt": "not a sound file",
        "._flute_C5_1_forte_normal.wav": "hidden",
        "flute_C5_1_loud_normal.wav": "no dynamics",
        "flute_H4_1_forte_normal.wav": "its name is not",
        "flute_G9_1_forte_normal.wav": "outside C0-B8",
        "flute_D5_05_forte_normal.wav": "empty",
        "flute_E5_05_forte_normal.wav": "not a sound file that can be",
        "flute_F5_05_forte_normal.wav": "silent",
        "flute_G5_05_forte_normal.wav": "shorter",
    }
    for name in skips:
        (root / name).write_text(
            "text that no player wrote" if not name.startswith("flute_D5_05") else ""
        )
    soundfile.write(root / "flute_F5_05_forte_normal.wav", np.zeros(9000), 22050)
    tone(root / "flute_G5_05_forte_normal.wav", "G5", seconds=0.03, silence=0.2)
    output = build_at(root, tmp_path)
    statuses = {Path(file).name: row for file, row in statuses_of(output).items()}
    assert len(statuses) == len(skips) + 3
    for name, reason in skips.items():
        assert statuses[name][0] == "skipped" and reason in statuses[name][1], (
            name,
            statuses[name],
        )
    assert set(labels_of(output).values()) == {("Flute", 4, 10, 3), ("Flute", 5, 0, 2)}
    data = read_data_set(output)
    assert len(set(data.notes.group[:2].tolist())) == 1 and len(set(data.notes.group.tolist())) == 2
    first, second = (data.peaks[data.starts[n] : data.starts[n + 1]].max() for n in (0, 1))
    assert first / second == pytest.approx(3, rel=0.02)  # the level is kept
    assert (
        0.4 + 0.28 < data.lengths[0] * data.config.frame_seconds < 0.4 + 0.40
    )  # 0.15 s on either side


def write_csv(root, rows, header="file,instrument,note,dynamics,onset,offset"):
    (root / "labels.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")


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


def test_contradictory_labels_leave_the_file_out(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4")
    tone(tmp_path / "s" / "b.wav", "B4")
    write_csv(tmp_path / "s", ["a.wav,Flute,A4,mf,,", "a.wav,Flute,B4,mf,,", "b.wav,Flute,B4,mf,,"])
    output = build_at(tmp_path / "s", tmp_path)
    assert list(labels_of(output)) == ["s/b.wav"]
    assert "contradictory" in statuses_of(output)["s/a.wav"][1]


def test_a_csv_without_a_column_is_an_error(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4")
    write_csv(tmp_path / "s", ["a.wav,Flute,A4"], "file,instrument,note")
    code, _, stderr = run(tmp_path / "s", "--kind", "csv", "--output", tmp_path / "out.npz")
    assert code == 1 and "lacks the column dynamics" in stderr and stderr.count("\n") == 1


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


def test_aligned_midi_is_cut_into_its_notes(tmp_path):
    root = tmp_path / "flute set"
    sound = np.concatenate(
        [soundfile.read(tone(tmp_path / "t.wav", note, 0.5))[0] for note in ("A4", "C5", "E5")]
    )
    (root / "Recordings").mkdir(parents=True)
    (root / "mid").mkdir()
    soundfile.write(root / "Recordings" / "x.wav", sound, 22050)
    tone(root / "Recordings" / "alone.wav", "A4")
    notes = [
        Note(0.0, 0.5, 69, 64),
        Note(0.5, 1.0, 72, 115),
        Note(1.0, 1.5, 76, 13),
        Note(1.0, 1.4, 79, 13),
    ]
    write_midi(root / "mid" / "x-lined.mid", [Track("", 0, tuple(notes))])
    output = build_at(root, tmp_path)
    assert set(labels_of(output).values()) == {("Flute", 4, 9, 2), ("Flute", 5, 0, 4)}
    assert read_data_set(output).lengths.tolist() == [16, 16]
    statuses = statuses_of(output)
    assert "no MIDI" in statuses["flute set/Recordings/alone.wav"][1]
    assert statuses["flute set/mid/x-lined.mid"][0] == "index"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_pipes_are_no_files_and_links_to_folders_are_listed(tmp_path):
    tone(tmp_path / "s" / "flute_A4_1_forte_normal.wav", "A4")
    for name in ("index.csv", "a.mid", "b.wav"):
        os.mkfifo(tmp_path / "s" / name)
    (tmp_path / "more").mkdir()
    (tmp_path / "s" / "linked").symlink_to(tmp_path / "more")
    manifest = index_sources([tmp_path / "s"], BuildConfig())
    assert len(manifest.notes) == 1 and [skip.file for skip in manifest.skipped] == ["s/linked"]


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


def test_an_index_of_endless_depth_is_refused(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4")
    for name in ("sounds", "takes"):
        (tmp_path / "s" / f"{name}.json").write_text("[" * 200_000)
    with pytest.raises(ValueError, match="no index of good-sounds, or damaged"):
        index_sources([tmp_path / "s"], BuildConfig())


@pytest.mark.parametrize(
    "content",
    [
        b"Path,Fold\na.wav," + b"9" * 20,
        b"Path,Fold\na\xff.wav,1",
        b"Path,Fold\n" + b"a" * 200_000 + b",1",
    ],
)
def test_folds_that_cannot_be_read_are_an_error_that_names_the_file(tmp_path, content):
    tone(tmp_path / "s" / "Fl-ord-C4-mf-N-T14d.wav", "C4")
    (tmp_path / "s" / "TinySOL_metadata.csv").write_bytes(content)
    with pytest.raises(ValueError, match="TinySOL_metadata.csv"):
        index_sources([tmp_path / "s"], BuildConfig(kind="tinysol"))


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


def test_midi_without_notes_is_said_to_be_so(tmp_path):
    tone(tmp_path / "s" / "flute.wav", "A4", seconds=1.0)
    tone(tmp_path / "s" / "empty.wav", "A4", seconds=1.0)
    write_midi(
        tmp_path / "s" / "flute.mid",
        [Track("Flute", 73, (Note(0.0, 0.9, 69, 64), Note(50.0, 51.0, 70, 64)))],
    )
    mido.MidiFile(tracks=[mido.MidiTrack()]).save(tmp_path / "s" / "empty.mid")
    manifest = index_sources([tmp_path / "s"], BuildConfig())
    reasons = {skip.file: skip.reason for skip in manifest.skipped}
    assert (
        "no notes" in reasons["s/empty.wav"]
        and "after the end of its file" in reasons["s/flute.wav"]
    )


def test_notes_over_drums_are_not_alone(tmp_path):
    tone(tmp_path / "s" / "flute.wav", "A4", seconds=1.5)
    notes = [Note(0.0, 0.5, 69, 64), Note(0.5, 1.0, 69, 64), Note(1.0, 1.5, 69, 64)]
    write_midi(tmp_path / "s" / "flute.mid", [Track("Flute", 73, tuple(notes))])
    file = mido.MidiFile(tmp_path / "s" / "flute.mid")
    ticks = round(0.7 * file.ticks_per_beat * 2)  # 0.7 s at 120 beats a minute
    drums = (
        mido.Message("note_on", channel=9, note=38, velocity=90, time=ticks),
        mido.Message("note_off", channel=9, note=38, time=10),
    )
    file.tracks.append(mido.MidiTrack(drums))
    file.save(tmp_path / "s" / "flute.mid")
    manifest = index_sources([tmp_path / "s"], BuildConfig(kind="midi"))
    assert [note.location.onset for note in manifest.notes] == [0.0, 1.0]
    assert "note at 0.500 s: it sounds together with drums" in {
        skip.reason for skip in manifest.skipped
    }


def test_a_note_after_the_end_of_its_file_is_said_to_be_there(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4", seconds=1.0)
    write_csv(tmp_path / "s", ["a.wav,Flute,A4,mf,0.0,1.0", "a.wav,Flute,A4,f,7.0,8.0"])
    output = build_at(tmp_path / "s", tmp_path)
    assert "begins after the end of its file" in output.with_suffix(".files.csv").read_text()


def test_an_instrument_named_twice_gives_each_note_once():
    once, twice = (
        index_font(embedded_font(), BuildConfig(instruments=("Flute",) * times)) for times in (1, 2)
    )
    assert once.notes == twice.notes
