"""Data sets from recordings and sound fonts: tuning, choices, merging, mistakes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builder_helpers import (
    ROOT,
    command,
    labels_of,
    notes_folder,
    run,
    statuses_of,
    tone,
)
from font_helpers import font

import lt
from lt.audio.soundfont import embedded_font
from lt.build.builder import font_manifest
from lt.build.embedded_set import EMBEDDED
from lt.config import SpectralConfig
from lt.data.dataset import NoteTable, read_data_set, write_data_set
from lt.data.originals import note_audio
from lt.labels import DYNAMICS_NAMES
from lt.midi import INSTRUMENTS
from lt.progress import silent

FONTS = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf3/MuseScore_General.sf3",
)  # where Debian has them


def test_tuning_is_measured_and_notes_far_off_can_be_left_out(tmp_path, capsys):
    root = notes_folder(tmp_path / "s", cents=12)
    tone(root / "flute_G4_1_forte_normal.wav", "G4", cents=130)
    tone(root / "flute_B5_1_forte_normal.wav", "B4")  # an octave lower than its name says
    code, stdout, _ = run(root, "--output", tmp_path / "out.npz", "--jobs", 1)
    assert (
        code == 0
        and "tuning +12.0 cents" in stdout
        and "off by more than half a semitone: 2" in stdout
    )
    assert "B5_1_forte_normal.wav: -1200 cents" in stdout
    code, stdout, _ = run(root, "--output", tmp_path / "out.npz", "--jobs", 1, "--max_detuning", 50)
    assert code == 0 and len(labels_of(tmp_path / "out.npz")) == 3


def test_a_dry_run_reads_no_sound_and_writes_nothing(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "flute_A4_1_forte_normal.wav").write_bytes(b"")
    code, stdout, _ = run(tmp_path / "s", "--dry_run", 1)
    assert code == 0 and "Flute: 1 notes" in stdout and os.listdir(tmp_path) == ["s"]


def test_sets_merge_and_groups_stay_apart(tmp_path):
    for name in ("a", "b"):
        notes_folder(tmp_path / name)
        run(tmp_path / name, "--output", tmp_path / f"{name}.npz", "--jobs", 1)
    assert (
        run(tmp_path / "a.npz", tmp_path / "b.npz", "--output", tmp_path / "ab.npz", "--jobs", 1)[0]
        == 0
    )
    data = read_data_set(tmp_path / "ab.npz")
    assert len(set(data.notes.group.tolist())) == 6 and np.array_equal(
        data.magnitudes[: data.starts[3]], read_data_set(tmp_path / "a.npz").magnitudes
    )
    assert np.abs(data.notes.cents).max() < 1  # tuning is carried along
    code, _, stderr = run(tmp_path / "a.npz", "--output", tmp_path / "a.npz")
    assert code == 1 and "replace the input" in stderr


def test_sets_of_another_front_end_are_not_merged(tmp_path):
    other = SpectralConfig(bins_per_octave=24)
    table = NoteTable(
        np.array([[4, 9, 2]]), np.zeros(1), ("Flute",), np.zeros(1), np.full(1, -1), np.array(["x"])
    )
    write_data_set(
        tmp_path / "other.npz",
        [np.ones((3, other.subframes, other.n_bins), np.float32)],
        np.array([0, 3]),
        table,
        other,
        {},
    )
    code, _, stderr = run(tmp_path / "other.npz", "--output", tmp_path / "x.npz")
    assert code == 1 and "other front-end settings" in stderr and not (tmp_path / "x.npz").exists()


@pytest.mark.parametrize(
    "arguments, code, words",
    (
        (["none", "--output", "x.npz"], 1, "no file or folder"),
        (["."], 2, "--output"),
        ([".", "--output", "x.wav"], 2, ".npz"),
        ([".", "--kind", "foo", "--output", "x.npz"], 2, "foo"),
        ([".", "--lowest", "H4"], 2, "H4"),
        ([".", "--dynamics", "loud"], 2, "loud"),
        ([".", "--default_dynamics", "loud"], 2, "loud"),
        ([".", "--output", "x.npz"], 1, "holds no files"),
    ),
)
def test_mistakes_get_one_line(tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    got, stdout, stderr = run(*arguments)
    assert (got, stdout) == (code, "") and words in stderr and stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_no_file_that_can_be_used_is_an_error(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "flute_A4_1_forte_normal.wav").write_bytes(b"no sound")
    code, _, stderr = run(tmp_path / "s", "--output", tmp_path / "x.npz")
    assert code == 1 and "none of the 1 files" in stderr and os.listdir(tmp_path) == ["s"]


def test_what_was_chosen_and_failed_is_the_reason_why_nothing_came_of_it(tmp_path):
    (tmp_path / "s").mkdir()
    for name in ("A4", "C4", "D4"):
        (tmp_path / "s" / f"flute_{name}_1_forte_normal.wav").write_bytes(b"no sound")
    code, _, stderr = run(tmp_path / "s", "--lowest", "A4", "--output", tmp_path / "x.npz")
    assert (
        code == 1
        and "none of the 3 files" in stderr
        and "1 x" in stderr
        and "outside A4" not in stderr
    )


def test_notes_that_are_left_out_are_listed_under_their_file(tmp_path):
    _, stdout, _ = run(embedded_font(), "--dry_run", 1, "--lowest", "A4", "--instruments", "Flute")
    assert (
        stdout.splitlines()[-1].startswith("1 files: 1 used")
        and f"({embedded_font().name})" in stdout
    )


@pytest.mark.parametrize("summary", [False, True])
def test_nothing_that_is_read_is_written_over(tmp_path, summary):
    root = tmp_path / "s"
    tone(root / "a.wav", "A4")
    labels = root / ("x.files.csv" if summary else "x.csv")
    labels.write_text("file,instrument,note,dynamics\na.wav,Flute,A4,mf\n")
    before = labels.read_text()
    if summary:
        code, _, stderr = run(root, "--output", root / "x.npz")
        assert code == 1 and "would replace the input" in stderr
        assert sorted(os.listdir(root)) == ["a.wav", "x.files.csv"]
    else:
        assert run(root, "--output", tmp_path / "x.npz")[0] == 0
        made = (tmp_path / "x.npz").read_bytes()
        for lowest in ("C4", "B4"):  # also where its only note is not kept
            code, _, stderr = run(
                tmp_path / "x.npz",
                notes_folder(tmp_path / "t"),
                "--lowest",
                lowest,
                "--output",
                tmp_path / "x.npz",
            )
            assert code == 1 and "would replace the input" in stderr
            assert (tmp_path / "x.npz").read_bytes() == made
    assert labels.read_text() == before


def test_a_summary_that_cannot_be_written_is_found_beforehand(tmp_path):
    (tmp_path / "x.files.csv").mkdir()
    code, _, stderr = run(notes_folder(tmp_path / "s"), "--output", tmp_path / "x.npz")
    assert code == 1 and "x.files.csv is a folder" in stderr and not (tmp_path / "x.npz").exists()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_what_may_not_be_read_is_no_mistake_of_usage(tmp_path):
    root = notes_folder(tmp_path / "s")
    root.chmod(0)
    code, _, stderr = run(root, "--output", tmp_path / "x.npz")
    root.chmod(0o700)
    assert code == 1 and stderr.count("\n") == 1


@pytest.mark.fault("odd input")
@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_names_in_another_encoding_are_listed(tmp_path):
    root = notes_folder(tmp_path / "s")
    for name in ("flute_D5_1_forte_normal.wav", "other.wav"):
        tone(root / "old" / name, "D5")
    (root / "old").rename(os.fsdecode(os.fsencode(root) + b"/old \xe9"))
    code, _, stderr = run(root, "--output", tmp_path / "x.npz")
    assert code == 0, stderr
    found = {
        file: status
        for file, (status, _) in statuses_of(tmp_path / "x.npz").items()
        if "\\udce9" in file
    }
    assert sorted(found.values()) == ["skipped", "used"]


def test_the_embedded_set_is_five_instruments_over_their_ranges():
    notes = font_manifest().notes
    assert {note.instrument for note in notes} == set(EMBEDDED)
    assert len({note.group for note in notes}) == len(notes)
    for name in EMBEDDED:
        numbers = {note.note_number for note in notes if note.instrument == name}
        assert numbers == set(range(INSTRUMENTS[name].lowest, INSTRUMENTS[name].highest + 1))


@pytest.mark.fault("malformed input")
def test_a_font_that_crashes_the_synthesiser_is_named(tmp_path):
    font = bytearray(embedded_font().read_bytes())
    at = font.find(b"pbag") + 8
    font[at : at + 400] = b"\xff\xfe" * 200  # zones far beyond their tables
    (tmp_path / "bad.sf2").write_bytes(font)
    code, _, stderr = run(tmp_path / "bad.sf2", "--output", tmp_path / "x.npz")
    assert code == 1 and "bad.sf2" in stderr and not (tmp_path / "x.npz").exists()


@pytest.mark.fault("odd input")
@pytest.mark.parametrize("dry_run", (0, 1))
def test_a_program_that_a_font_lacks_is_named_before_anything_is_rendered(tmp_path, dry_run):
    (tmp_path / "x.sf2").write_bytes(font(presets=((0, 73, b"Fl"), (8, 40, b"Vn"))))
    asked = ("--instruments", "Flute", "Violin", "--dry_run", dry_run)
    code, stdout, stderr = run(tmp_path / "x.sf2", *asked, "--output", tmp_path / "x.npz")
    assert (code, stdout) == (1, "") and stderr.count("\n") == 1
    assert "no program 40 (Violin) in bank 0; it has 40 Vn in bank 8 (--bank 8)" in stderr
    assert os.listdir(tmp_path) == ["x.sf2"]


def test_another_bank_is_built_and_its_notes_found_again(tmp_path):
    (tmp_path / "x.sf2").write_bytes(font(presets=((8, 73, b"Fl"),)))
    code, _, stderr = run(
        *(tmp_path / "x.sf2", "--output", tmp_path / "x.npz", "--bank", 8, "--note_seconds", 0.3),
        *("--instruments", "Flute", "--lowest", "A4", "--highest", "A4", "--dynamics", "mf"),
    )
    data = read_data_set(tmp_path / "x.npz")
    assert code == 0 and data.notes.sources.tolist() == ["x.sf2:8:73:69:64"]
    assert note_audio(data, 0, [tmp_path]) is not None


def test_a_dry_run_promises_no_note_that_a_font_has_no_sample_for(tmp_path):
    (tmp_path / "x.sf2").write_bytes(font(instrument=((43, 60 | 64 << 8),)))
    code, stdout, _ = run(tmp_path / "x.sf2", "--dry_run", 1, "--instruments", "Flute:0")
    assert code == 0 and "Flute: 35 notes" in stdout  # 59 to 65: neighbours are bent
    assert "skipped 180: the font has no sample for it" in stdout


def test_the_help_is_quick():
    code = (
        "import sys, lt.build.builder; "
        "sys.exit(bool({'torch', 'librosa', 'sklearn', 'matplotlib'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.long
@pytest.mark.parametrize("font", FONTS)
def test_larger_fonts_build_all_five_instruments(tmp_path, font):
    if not Path(font).is_file():
        pytest.skip(f"{font} is not installed")
    process = command(font, "--output", tmp_path / "x.npz")
    assert process.wait() == 0, process.stderr.read()
    data = read_data_set(tmp_path / "x.npz")
    assert data.notes.instruments == EMBEDDED and len(data.lengths) == len(font_manifest().notes)


@pytest.mark.long
def test_the_embedded_set_is_the_same_bytes_each_time(tmp_path):
    code = (
        "import sys; from lt.build.builder import build_embedded_set; "
        "build_embedded_set(sys.argv[1])"
    )
    for name in ("a", "b"):
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / f"{name}.npz")], cwd=ROOT, check=True
        )
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


# --- from Python ----------------------------------------------------------------------------------


def test_a_set_is_built_by_one_call(tmp_path, capsys):
    bars = []

    def progress(**settings):
        bars.append(silent(**settings))
        return bars[-1]

    root = str(notes_folder(tmp_path / "s"))
    config = lt.BuildConfig(lowest="A4")
    summary = lt.build_data_set([root], str(tmp_path / "x.npz"), config, 1, progress)
    assert [note.source.note_number for note in summary.used] == [69, 76]
    assert bars[0].total == 2 and bars[0].n in (0, 2)  # a silent bar does not count
    assert (tmp_path / "x.files.csv").is_file() and "Flute: 2 notes" in str(summary)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("flags", [{"kind": "foo"}, {"lowest": "H4"}, {"dynamics": ("loud",)}])
def test_a_value_that_is_not_understood_is_a_value_error(tmp_path, flags):
    with pytest.raises(ValueError, match=next(iter(flags.values()))[0][0]):
        lt.build_data_set(
            [notes_folder(tmp_path / "s")], tmp_path / "x.npz", lt.BuildConfig(**flags)
        )


def test_the_default_dynamics_are_all():
    assert lt.BuildConfig().dynamics == DYNAMICS_NAMES
