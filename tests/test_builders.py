"""Sources of every layout become data sets: each file accounted for, labels as named, bytes always the same."""
import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from lt.accounts import Account
from lt.builders import build, font_notes, main
from lt.datasets import read_data_set
from lt.labels import DYNAMICS_NAMES, PITCH_NAMES, note_name_to_number
from lt.layouts import philharmonia_words, tinysol_words
from lt.midi import Note, Track, write_midi
from lt.soundfonts import EMBEDDED, INSTRUMENTS
from lt.surveys import parse_instrument, survey_sources
from lt.takes import BuildConfig, dynamics_class, instrument_in, instrument_name, note_number_of

ROOT = Path(__file__).parent.parent
PITCHES = st.sampled_from(PITCH_NAMES)
FONTS = ("/usr/share/sounds/sf2/FluidR3_GM.sf2", "/usr/share/sounds/sf3/MuseScore_General.sf3")  # where Debian has them
UNHURRIED = settings(deadline=None)  # other work on the machine shall fail no test


def tone(path, note, seconds=0.4, level=0.3, sample_rate=22050, channels=1, silence=0.0, cents=0.0):
    """A note of three partials; returns its path."""
    frequency = 440 * 2 ** ((note_number_of(note) - 69 + cents / 100) / 12)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    sound = level * sum(np.sin(2 * np.pi * k * frequency * time) / k ** 2 for k in (1, 2, 3))
    sound = np.pad(sound, round(silence * sample_rate))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.repeat(sound[:, None], channels, axis=1), sample_rate)
    return path


def run(*arguments):
    """Run the command in this process: (exit code, stdout, stderr)."""
    from click.testing import CliRunner
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    return result.exit_code, result.stdout, result.stderr


def accounted(output):
    """File -> (status, reason) of every row of the account; notes of one file agree."""
    with open(output.with_suffix(".files.csv"), newline="", encoding="utf-8") as stream:
        return {row["file"]: (row["status"], row["reason"]) for row in csv.DictReader(stream)}


def labels_of(output):
    """Source -> (instrument, octave, pitch, dynamics)."""
    notes = read_data_set(output).notes
    return {str(source): (notes.instruments[instrument], *map(int, labels)) for source, instrument, labels in
            zip(notes.sources, notes.instrument, notes.labels, strict=True)}


def build_at(folder, tmp_path, **flags):
    """Build one folder in this process -> the output; `flags` of BuildConfig."""
    config = BuildConfig(**flags)
    output = tmp_path / "out.npz"
    account = build(survey_sources([folder], config), output, config, {}, processes=1)
    from lt.accounts import write_account
    write_account(output.with_suffix(".files.csv"), account)
    return output


# --- names ------------------------------------------------------------------------------------------------

@UNHURRIED
@given(pitch=PITCHES, octave=st.integers(0, 8), dynamics=st.sampled_from(("pp", "mf", "ff")),
       instrument=st.sampled_from(("Fl", "ASax", "TpC", "Vn", "ClBb", "Acc")),
       instance=st.sampled_from(("N", "1c", "alt2")))
def test_tinysol_names_are_read(pitch, octave, dynamics, instrument, instance):
    words = tinysol_words(f"Winds/X/ordinario/{instrument}-ord-{pitch}{octave}-{dynamics}-{instance}-T14d.wav")
    assert note_number_of(words.note) == note_name_to_number(f"{pitch}{octave}")
    assert (instrument_name(words.instrument), dynamics_class(words.dynamics)) == (
        {"Fl": "Flute", "ASax": "Alto-Sax", "TpC": "Trumpet-C", "Vn": "Violin", "ClBb": "Clarinet-Bb",
         "Acc": "Accordion"}[instrument], DYNAMICS_NAMES.index(dynamics))


@UNHURRIED
@given(pitch=PITCHES, octave=st.integers(0, 8), length=st.sampled_from(("025", "05", "1", "15", "long", "very-long")),
       dynamics=st.sampled_from(("pianissimo", "piano", "mezzo-piano", "mezzo-forte", "forte", "fortissimo")))
def test_philharmonia_names_are_read(pitch, octave, length, dynamics):
    words = philharmonia_words(f"deep/er/cor anglais_{pitch.replace('#', 's')}{octave}_{length}_{dynamics}_normal.mp3")
    assert note_number_of(words.note) == note_name_to_number(f"{pitch}{octave}")
    assert instrument_name(words.instrument) == "English-Horn"
    assert dynamics_class(words.dynamics) == [0, 1, 2, 2, 3, 4][
        ("pianissimo", "piano", "mezzo-piano", "mezzo-forte", "forte", "fortissimo").index(dynamics)]


@UNHURRIED
@given(st.text(max_size=30))
def test_any_name_is_read_or_refused_with_a_reason(name):
    for reader in (tinysol_words, philharmonia_words, instrument_name, note_number_of, dynamics_class):
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


# --- layouts ----------------------------------------------------------------------------------------------

def test_tinysol_as_unpacked_with_folds(tmp_path):
    root = tmp_path / "Tiny SOL ü"
    names = {"Winds/Flute/ordinario/Fl-ord-C#4-mf-N-T14d.wav": ("Flute", 4, 1, 2),
             "Winds/Sax_Alto/ordinario/ASax-ord-A3-pp-N-N.wav": ("Alto-Sax", 3, 9, 0),
             "Strings/Violin/ordinario/Vn-ord-G#5-ff-1c-R100u.wav": ("Violin", 5, 8, 4)}
    for name in names:
        tone(root / name, Path(name).name.split("-")[2])
    tone(root / "Winds/Flute/flatterzunge/Fl-flatt-C4-mf-N-N.wav", "C4")
    tone(root / "Winds/Flute+sordina/ordinario/Fl+S-ord-C4-mf-N-N.wav", "C4")
    (root / "TinySOL_metadata.csv").write_text(
        "Path,Fold,Family\n" + "".join(f"{name},{fold},X\n" for fold, name in enumerate(names)))
    output = build_at(root, tmp_path)
    assert labels_of(output) == {f"{root.name}/{name}": labels for name, labels in names.items()}
    data = read_data_set(output)
    folds = dict(zip(map(str, data.notes.sources), data.notes.fold.tolist(), strict=True))
    assert folds == {f"{root.name}/{name}": fold for fold, name in enumerate(names)}
    statuses = [status for status, _ in accounted(output).values()]
    assert sorted(statuses) == ["index", "skipped", "skipped", "used", "used", "used"]


def test_philharmonia_with_everything_that_goes_wrong(tmp_path):
    root = tmp_path / "flute #1"
    tone(root / "flute_As4_05_forte_normal.wav", "A#4", silence=0.5)
    tone(root / "flute_As4_1_forte_normal.wav", "A#4", level=0.1, channels=2)
    tone(root / "flute_C5_1_mezzo-piano_normal.flac", "C5", sample_rate=96000)
    skips = {"flute_C5_phrase_mezzo-forte_nonlegato.wav": "a phrase", "flute_C5_1_crescendo_normal.wav": "change",
             "flute_D5_1_forte_tremolo.wav": "articulation", "notes about it.txt": "not a sound file",
             "._flute_C5_1_forte_normal.wav": "hidden", "flute_C5_1_loud_normal.wav": "no dynamics",
             "flute_H4_1_forte_normal.wav": "its name is not", "flute_G9_1_forte_normal.wav": "outside C0-B8",
             "flute_D5_05_forte_normal.wav": "empty", "flute_E5_05_forte_normal.wav": "not a sound file that can be",
             "flute_F5_05_forte_normal.wav": "silent", "flute_G5_05_forte_normal.wav": "shorter"}
    for name in skips:
        (root / name).write_text("text that no player wrote" if not name.startswith("flute_D5_05") else "")
    soundfile.write(root / "flute_F5_05_forte_normal.wav", np.zeros(9000), 22050)
    tone(root / "flute_G5_05_forte_normal.wav", "G5", seconds=0.03, silence=0.2)
    output = build_at(root, tmp_path)
    account = {Path(file).name: row for file, row in accounted(output).items()}
    assert len(account) == len(skips) + 3
    for name, reason in skips.items():
        assert account[name][0] == "skipped" and reason in account[name][1], (name, account[name])
    assert set(labels_of(output).values()) == {("Flute", 4, 10, 3), ("Flute", 5, 0, 2)}
    data = read_data_set(output)
    assert len(set(data.notes.group[:2].tolist())) == 1 and len(set(data.notes.group.tolist())) == 2
    first, second = (data.peaks[data.starts[n]:data.starts[n + 1]].max() for n in (0, 1))
    assert first / second == pytest.approx(3, rel=0.02)  # the level is kept
    assert 0.4 + 0.28 < data.lengths[0] * data.config.frame_seconds < 0.4 + 0.35  # 0.15 s on either side


def write_csv(root, rows, header="file,instrument,note,dynamics,onset,offset"):
    (root / "labels.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")


def test_a_folder_with_a_csv(tmp_path):
    root = tmp_path / "mine"
    tone(root / "a b #ü.wav", "A4", seconds=1.0)
    tone(root / "two.wav", "C4")
    tone(root / "unnamed.wav", "C4")
    write_csv(root, ["a b #ü.wav,Flute,A4,mf,0.0,0.5", "a b #ü.wav,flute,69,3,0.5,1.0", "two.wav,Violin,C4,f,,",
                     "two.wav,Violin,C4,f,,", "gone.wav,Flute,A4,mf,,", "unnamed.wav,Flute,H4,mf,,"])
    output = build_at(root, tmp_path)
    assert labels_of(output) == {"mine/a b #ü.wav@0.000": ("Flute", 4, 9, 2),
                                 "mine/a b #ü.wav@0.500": ("Flute", 4, 9, 3), "mine/two.wav": ("Violin", 4, 0, 3)}
    account = accounted(output)
    assert "line 6: no such file" in account["mine/gone.wav"][1] and "H4" in account["mine/unnamed.wav"][1]
    assert account["mine/labels.csv"][0] == "index"


def test_contradictory_labels_leave_the_file_out(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4")
    tone(tmp_path / "s" / "b.wav", "B4")
    write_csv(tmp_path / "s", ["a.wav,Flute,A4,mf,,", "a.wav,Flute,B4,mf,,", "b.wav,Flute,B4,mf,,"])
    output = build_at(tmp_path / "s", tmp_path)
    assert list(labels_of(output)) == ["s/b.wav"]
    assert "contradictory" in accounted(output)["s/a.wav"][1]


def test_a_csv_without_a_column_is_an_error(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4")
    write_csv(tmp_path / "s", ["a.wav,Flute,A4"], "file,instrument,note")
    code, _, stderr = run(tmp_path / "s", "--kind", "csv", "--output", tmp_path / "out.npz")
    assert code == 1 and "lacks the column dynamics" in stderr and stderr.count("\n") == 1


GOOD_SOUNDS = {1: ("good-sound", "C", 4, "mf"), 2: ("scale-good", "C", 4, "mf"), 3: ("bad-pitch", "D", 4, "p"),
               4: ("good-sound", "A#", 5, None)}


@pytest.mark.parametrize("index", ("json", "sqlite"))
def test_good_sounds_by_its_index(tmp_path, index):
    root = tmp_path / "good-sounds"
    columns = ("id", "klass", "note", "octave", "dynamics", "instrument")
    sounds = [dict(zip(columns, (number, *row, "sax_alto"), strict=True)) for number, row in GOOD_SOUNDS.items()]
    takes = [{"id": number, "sound_id": number, "filename": f"sound_files/pack/akg/{number:04d}.wav"}
             for number in GOOD_SOUNDS]
    for take in takes:
        tone(root / take["filename"], "C4")
    if index == "json":
        for name, rows in (("sounds", sounds), ("takes", takes)):
            (root / f"{name}.json").write_text(json.dumps({str(row["id"]): row for row in rows}))
    else:
        with sqlite3.connect(root / "database.sqlite") as database:
            for name, rows in (("sounds", sounds), ("takes", takes)):
                database.execute(f"CREATE TABLE {name} ({','.join(rows[0])})")
                database.executemany(f"INSERT INTO {name} VALUES ({','.join('?' * len(rows[0]))})",
                                     [tuple(row.values()) for row in rows])
        database.close()
    survey = survey_sources([root], BuildConfig())
    assert [(take.instrument, take.note_number, take.dynamics) for take in survey.takes] == [("Alto-Sax", 60, 2)]
    reasons = " ".join(skip.reason for skip in survey.skipped)
    assert "a scale" in reasons and "not called a good" in reasons and "--default_dynamics" in reasons
    assert Account.foreseen(survey).n_files == 4 + (2 if index == "json" else 1)
    assert len(survey_sources([root], BuildConfig(default_dynamics="mf")).takes) == 2


def test_a_loader_of_mirdata(tmp_path, monkeypatch):
    tone(tmp_path / "audio" / "x.wav", "A4")
    track = types.SimpleNamespace(audio_path=str(tmp_path / "audio" / "x.wav"), instrument_full="Trumpet in C",
                                  pitch="A4", pitch_id=69, dynamics="pp", fold=3, technique_abbr="ord")
    loaded = types.SimpleNamespace(load_tracks=lambda: {"x": track})
    fake = types.SimpleNamespace(list_datasets=lambda: ["tinysol"], initialize=lambda name, data_home: loaded)
    monkeypatch.setitem(sys.modules, "mirdata", fake)
    take, = survey_sources([tmp_path], BuildConfig(kind="mirdata:tinysol")).takes
    assert (take.instrument, take.note_number, take.dynamics, take.fold) == ("Trumpet-C", 69, 0, 3)
    with pytest.raises(ValueError, match="no loader"):
        survey_sources([tmp_path], BuildConfig(kind="mirdata:nothing"))


def test_aligned_midi_is_cut_into_its_notes(tmp_path):
    root = tmp_path / "flute set"
    sound = np.concatenate([soundfile.read(tone(tmp_path / "t.wav", note, 0.5))[0] for note in ("A4", "C5", "E5")])
    (root / "Recordings").mkdir(parents=True)
    (root / "mid").mkdir()
    soundfile.write(root / "Recordings" / "x.wav", sound, 22050)
    tone(root / "Recordings" / "alone.wav", "A4")
    notes = [Note(0.0, 0.5, 69, 64), Note(0.5, 1.0, 72, 115), Note(1.0, 1.5, 76, 13), Note(1.0, 1.4, 79, 13)]
    write_midi(root / "mid" / "x-lined.mid", [Track("", 0, tuple(notes))])
    output = build_at(root, tmp_path)
    assert set(labels_of(output).values()) == {("Flute", 4, 9, 2), ("Flute", 5, 0, 4)}
    assert read_data_set(output).lengths.tolist() == [16, 16]
    account = accounted(output)
    assert "no MIDI" in account["flute set/Recordings/alone.wav"][1]
    assert account["flute set/mid/x-lined.mid"][0] == "index"


# --- what is chosen, measured and merged ------------------------------------------------------------------

def notes_folder(root, names=("C4", "A4", "E5"), **how):
    for name in names:
        tone(root / f"flute_{name.replace('#', 's')}_1_forte_normal.wav", name, **how)
    return root


def test_tuning_is_measured_and_notes_far_off_can_be_left_out(tmp_path, capsys):
    root = notes_folder(tmp_path / "s", cents=12)
    tone(root / "flute_G4_1_forte_normal.wav", "G4", cents=130)
    tone(root / "flute_B5_1_forte_normal.wav", "B4")  # an octave lower than its name says
    code, stdout, _ = run(root, "--output", tmp_path / "out.npz", "--jobs", 1)
    assert code == 0 and "tuning +12.0 cents" in stdout and "off by more than half a semitone: 2" in stdout
    assert "B5_1_forte_normal.wav: -1200 cents" in stdout
    code, stdout, _ = run(root, "--output", tmp_path / "out.npz", "--jobs", 1, "--max_detuning", 50)
    assert code == 0 and len(labels_of(tmp_path / "out.npz")) == 3


def test_a_dry_run_reads_no_sound_and_writes_nothing(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "flute_A4_1_forte_normal.wav").write_bytes(b"")
    code, stdout, _ = run(tmp_path / "s", "--dry_run", 1)
    assert code == 0 and "Flute: 1 notes" in stdout and os.listdir(tmp_path) == ["s"]


def test_range_dynamics_and_instruments_are_chosen(tmp_path):
    root = notes_folder(tmp_path / "s")
    _, stdout, _ = run(root, "--dry_run", 1, "--lowest", "A4", "--highest", 70, "--instruments", "flute")
    assert "1 notes" in stdout and "skipped 2: outside A4 to 70" in stdout
    code, _, stderr = run(root, "--dry_run", 1, "--instruments", "Kazoo")
    assert code == 1 and "Kazoo" in stderr and "Flute" in stderr


def test_sets_merge_and_groups_stay_apart(tmp_path):
    for name in ("a", "b"):
        notes_folder(tmp_path / name)
        run(tmp_path / name, "--output", tmp_path / f"{name}.npz", "--jobs", 1)
    assert run(tmp_path / "a.npz", tmp_path / "b.npz", "--output", tmp_path / "ab.npz", "--jobs", 1)[0] == 0
    data = read_data_set(tmp_path / "ab.npz")
    assert len(set(data.notes.group.tolist())) == 6 and np.array_equal(
        data.magnitudes[:data.starts[3]], read_data_set(tmp_path / "a.npz").magnitudes)
    code, _, stderr = run(tmp_path / "a.npz", "--output", tmp_path / "a.npz")
    assert code == 1 and "replace the input" in stderr


@pytest.mark.parametrize("arguments, code, words", (
    (["none", "--output", "x.npz"], 1, "no file or folder"), (["."], 2, "--output"),
    ([".", "--output", "x.wav"], 2, ".npz"),
    ([".", "--kind", "foo", "--output", "x.npz"], 2, "foo"), ([".", "--output", "x.npz"], 1, "holds no files")))
def test_mistakes_get_one_line(tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    got, stdout, stderr = run(*arguments)
    assert (got, stdout) == (code, "") and words in stderr and stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_no_file_that_can_be_used_is_an_error(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "flute_A4_1_forte_normal.wav").write_bytes(b"no sound")
    code, _, stderr = run(tmp_path / "s", "--output", tmp_path / "x.npz")
    assert code == 1 and "none of the 1 files" in stderr and not (tmp_path / "x.npz").exists()


# --- sound fonts ------------------------------------------------------------------------------------------

def test_the_embedded_set_is_five_instruments_over_their_ranges():
    takes = font_notes()
    assert {take.instrument for take in takes} == set(EMBEDDED) and len({take.group for take in takes}) == len(takes)
    for name in EMBEDDED:
        numbers = {take.note_number for take in takes if take.instrument == name}
        assert numbers == set(range(INSTRUMENTS[name].lowest, INSTRUMENTS[name].highest + 1))


def test_instruments_of_a_font_by_program_and_range():
    assert parse_instrument("Marimba:12:C3-61")[1].highest == 61
    for text in ("Kazoo", "Marimba:128", "Marimba:12:C5-C3", "Marimba:12:H1-C3", "Marimba:x"):
        with pytest.raises(ValueError):
            parse_instrument(text)


def test_font_notes_do_not_depend_on_their_order_and_gaps_are_filled(tmp_path):
    from lt.takes import Survey
    takes = [take for take in font_notes(["Alto-Sax"]) if take.note_number in (63, 64) and take.dynamics in (0, 4)]
    for name, order in (("there", takes), ("back", takes[::-1])):
        build(Survey(tuple(order)), tmp_path / f"{name}.npz", BuildConfig(), {}, processes=1)
    there, back = (read_data_set(tmp_path / f"{name}.npz") for name in ("there", "back"))
    assert (np.maximum.reduceat(there.peaks, there.starts[:-1]) > 0).all()  # E4 is a gap in the embedded font
    index = {str(source): n for n, source in enumerate(back.notes.sources)}
    for n, source in enumerate(there.notes.sources):
        m = index[str(source)]
        assert np.array_equal(there.magnitudes[there.starts[n]:there.starts[n + 1]],
                              back.magnitudes[back.starts[m]:back.starts[m + 1]])


# --- processes, kills and locks ---------------------------------------------------------------------------

def command(*arguments, cwd=ROOT):
    return subprocess.Popen([sys.executable, "-m", "lt.builders", *map(str, arguments)], cwd=cwd, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def scale_of(root, n_files, seconds=0.2):
    """Many files; names of notes, each several times."""
    for index in range(n_files):
        octave, pitch = 3 + index // 12 % 4, PITCH_NAMES[index % 12].replace("#", "s")
        tone(root / f"t{index // 48}" / f"flute_{pitch}{octave}_1_forte_normal.wav", f"{pitch}{octave}", seconds)
    return root


def test_bytes_are_the_same_with_two_processes_and_after_a_kill(tmp_path):
    root = scale_of(tmp_path / "s", 40)
    assert run(root, "--output", tmp_path / "one" / "x.npz", "--jobs", 1)[0] == 0
    folder = tmp_path / "two" / ".x.npz.parts"
    killed = command(root, "--output", tmp_path / "two" / "x.npz", "--jobs", 2)
    while len(list(folder.glob("*.npz"))) < 5 and killed.poll() is None:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(list(folder.glob("*.npz"))) >= 5 and not (tmp_path / "two" / "x.npz").exists()
    next(folder.glob("*.npz")).write_bytes(b"half written")
    again = command(root, "--output", tmp_path / "two" / "x.npz", "--jobs", 2)
    assert again.wait() == 0, again.stderr.read()
    assert (tmp_path / "one" / "x.npz").read_bytes() == (tmp_path / "two" / "x.npz").read_bytes()
    assert sorted(os.listdir(tmp_path / "two")) == ["x.files.csv", "x.npz"]


@pytest.mark.skipif(sys.platform == "win32", reason="no lock there")
def test_an_output_in_use_is_refused(tmp_path):
    import fcntl
    root = notes_folder(tmp_path / "s")
    (tmp_path / ".x.npz.parts").mkdir()
    with open(tmp_path / ".x.npz.parts" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, stderr = run(root, "--output", tmp_path / "x.npz")
    assert code == 1 and "another process is building" in stderr


def test_a_changed_file_is_heard_anew(tmp_path):
    root = notes_folder(tmp_path / "s", ["A4"])
    build_at(root, tmp_path)
    before = read_data_set(tmp_path / "out.npz").peaks.max()
    tone(root / "flute_A4_1_forte_normal.wav", "A4", level=0.15)
    build_at(root, tmp_path)
    assert read_data_set(tmp_path / "out.npz").peaks.max() == pytest.approx(before / 2, rel=0.01)


def test_the_help_is_quick():
    code = "import sys, lt.builders; sys.exit(bool({'torch', 'librosa', 'sklearn', 'matplotlib'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# --- larger -----------------------------------------------------------------------------------------------

@pytest.mark.skipif("LT_SHARED_DATA" not in os.environ, reason="LT_SHARED_DATA names no folder of recordings")
def test_real_flute_notes_are_all_accounted_for():
    root = Path(os.environ["LT_SHARED_DATA"]) / "flute_notes"
    survey = survey_sources([root], BuildConfig())
    assert (len(survey.takes), len(survey.skipped)) == (458, 0)
    assert {take.instrument for take in survey.takes} == {"Flute"}


@pytest.mark.long
@pytest.mark.parametrize("font", FONTS)
def test_larger_fonts_build_all_five_instruments(tmp_path, font):
    if not Path(font).is_file():
        pytest.skip(f"{font} is not installed")
    process = command(font, "--output", tmp_path / "x.npz")
    assert process.wait() == 0, process.stderr.read()
    data = read_data_set(tmp_path / "x.npz")
    assert data.notes.instruments == EMBEDDED and len(data.lengths) == len(font_notes())


@pytest.mark.long
def test_the_embedded_set_is_the_same_bytes_each_time(tmp_path):
    code = "import sys; from lt.builders import build_embedded_set; build_embedded_set(sys.argv[1])"
    for name in ("a", "b"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / f"{name}.npz")], cwd=ROOT, check=True)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.long
def test_three_thousand_files_and_a_kill_in_the_middle(tmp_path):
    root = scale_of(tmp_path / "s", 3000, seconds=3.0)
    begun = time.monotonic()
    assert command(root, "--output", tmp_path / "a.npz").wait() == 0
    whole = time.monotonic() - begun
    begun = time.monotonic()
    killed = command(root, "--output", tmp_path / "b.npz")
    while len(list((tmp_path / ".b.npz.parts").glob("*.npz"))) < 1500:
        time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert command(root, "--output", tmp_path / "b.npz").wait() == 0
    both = time.monotonic() - begun
    print(f"{3000 / whole:.0f} files a second; a kill in the middle costs {100 * (both / whole - 1):.1f} % more")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert both < 1.25 * whole  # 5 % on an idle machine

