"""Data sets from recordings and sound fonts: tuning, choices, merging; kills and locks; always the
same bytes.
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from builder_helpers import build_at, labels_of, run, statuses_of, tone

from lt.audio.soundfont import EMBEDDED, embedded_font
from lt.build.builder import build_data_set, build_from_manifest, font_manifest
from lt.build.discover import index_sources, parse_instrument
from lt.build.notes import Manifest
from lt.config import BuildConfig, SpectralConfig
from lt.data.dataset import NoteTable, read_data_set, write_data_set
from lt.labels import PITCH_NAMES
from lt.midi import INSTRUMENTS

ROOT = Path(__file__).parents[2]
FONTS = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf3/MuseScore_General.sf3",
)  # where Debian has them
KILLS = 5  # of one build


# --- what is chosen, measured and merged ----------------------------------------------------------


def notes_folder(root, names=("C4", "A4", "E5"), **how):
    for name in names:
        tone(root / f"flute_{name.replace('#', 's')}_1_forte_normal.wav", name, **how)
    return root


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


def test_range_dynamics_and_instruments_are_chosen(tmp_path):
    root = notes_folder(tmp_path / "s")
    _, stdout, _ = run(
        root, "--dry_run", 1, "--lowest", "A4", "--highest", 70, "--instruments", "flute"
    )
    assert "1 notes" in stdout and "skipped 2: outside A4 to 70" in stdout
    code, _, stderr = run(root, "--dry_run", 1, "--instruments", "Kazoo")
    assert code == 1 and "Kazoo" in stderr and "Flute" in stderr


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
        [np.ones((3, other.n_bins), np.float32)],
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


@pytest.mark.skipif(sys.platform == "win32", reason="no such links there")
def test_a_lock_that_is_a_link_leads_nowhere(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".x.npz.parts").mkdir()
    (tmp_path / ".x.npz.parts" / "lock").symlink_to(tmp_path / "mine")
    code, _, stderr = run(notes_folder(tmp_path / "s"), "--output", tmp_path / "x.npz")
    assert code == 1 and "lock" in stderr and (tmp_path / "mine").read_text() == "mine"


def test_a_cache_folder_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / ".x.npz.parts").symlink_to(tmp_path / "mine")
    code, _, stderr = run(notes_folder(tmp_path / "s", ["A4"]), "--output", tmp_path / "x.npz")
    assert code == 1 and "is a link" in stderr and os.listdir(tmp_path / "mine") == []


def test_a_cache_file_of_other_notes_is_made_again(tmp_path, monkeypatch):
    root, output = notes_folder(tmp_path / "s", ["A4"]), tmp_path / "x.npz"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("lt.build.builder.write_data_set", stopped)
        build_data_set([root], output, processes=1)
    (cached,) = (tmp_path / ".x.npz.parts").glob("*.npz")
    with np.load(cached) as members:
        magnitudes, rows = members["magnitudes"], json.loads(str(members["notes"]))
    np.savez(cached, magnitudes=magnitudes, notes=json.dumps(rows + rows))
    build_data_set([root], output, processes=1)
    assert len(read_data_set(output).lengths) == 1


def stopped(*_):
    raise KeyboardInterrupt


def test_a_full_disk_keeps_no_half_cache_files_and_is_named(tmp_path, monkeypatch):
    def no_room(stream, **arrays):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lt.build.pool.np.savez", no_room)
    code, _, stderr = run(notes_folder(tmp_path / "s"), "--output", tmp_path / "x.npz")
    assert (
        code == 1
        and "No space left on device" in stderr
        and ".x.npz.parts" in stderr
        and stderr.count("\n") == 1
    )
    assert os.listdir(tmp_path) == ["s"]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_what_may_not_be_read_is_no_mistake_of_usage(tmp_path):
    root = notes_folder(tmp_path / "s")
    root.chmod(0)
    code, _, stderr = run(root, "--output", tmp_path / "x.npz")
    root.chmod(0o700)
    assert code == 1 and stderr.count("\n") == 1


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


# --- sound fonts ----------------------------------------------------------------------------------


def test_the_embedded_set_is_five_instruments_over_their_ranges():
    notes = font_manifest().notes
    assert {note.instrument for note in notes} == set(EMBEDDED)
    assert len({note.group for note in notes}) == len(notes)
    for name in EMBEDDED:
        numbers = {note.note_number for note in notes if note.instrument == name}
        assert numbers == set(range(INSTRUMENTS[name].lowest, INSTRUMENTS[name].highest + 1))


def test_instruments_of_a_font_by_program_and_range():
    assert parse_instrument("Marimba:12:C3-61")[1].highest == 61
    for text in ("Kazoo", "Marimba:128", "Marimba:12:C5-C3", "Marimba:12:H1-C3", "Marimba:x"):
        with pytest.raises(ValueError):
            parse_instrument(text)


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


# --- processes, kills and locks -------------------------------------------------------------------


def command(*arguments, cwd=ROOT):
    return subprocess.Popen(
        [sys.executable, "-m", "lt.build", *map(str, arguments)],
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def scale_of(root, n_files, seconds=0.2):
    """Many files; names of notes, each several times."""
    for index in range(n_files):
        octave, pitch = 3 + index // 12 % 4, PITCH_NAMES[index % 12].replace("#", "s")
        tone(
            root / f"t{index // 48}" / f"flute_{pitch}{octave}_1_forte_normal.wav",
            f"{pitch}{octave}",
            seconds,
        )
    return root


def test_bytes_are_the_same_with_two_processes_and_after_a_kill(tmp_path):
    root = scale_of(
        tmp_path / "s", 60
    )  # those that are left after the kill are enough for two processes
    assert run(root, "--output", tmp_path / "one" / "x.npz", "--jobs", 1)[0] == 0
    folder = tmp_path / "two" / ".x.npz.parts"
    killed = command(root, "--output", tmp_path / "two" / "x.npz", "--jobs", 1)
    while len(list(folder.glob("*.npz"))) < 2 and killed.poll() is None:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(list(folder.glob("*.npz"))) >= 2 and not (tmp_path / "two" / "x.npz").exists()
    half, hollow = list(folder.glob("*.npz"))[:2]
    half.write_bytes(b"half written")
    with open(hollow, "r+b") as stream:  # as a crash of the machine may leave it
        stream.seek(2000)
        stream.write(bytes(5000))
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


def test_a_disk_without_locks_is_built_on_with_a_note(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("lt.build.pool.fcntl.flock", no_locks)
    code, _, stderr = run(notes_folder(tmp_path / "s", ["A4"]), "--output", tmp_path / "x.npz")
    assert code == 0 and "has no locks" in stderr and (tmp_path / "x.npz").is_file()


def test_what_a_kill_leaves_while_the_set_is_written_goes_with_the_cache(tmp_path, monkeypatch):
    root, output = notes_folder(tmp_path / "s", ["A4"]), tmp_path / "x.npz"

    def killed(path, *_):
        (path.parent / ".lt-stale.tmp").mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("lt.build.builder.write_data_set", killed)
        build_data_set([root], output, processes=1)
    build_data_set([root], output, processes=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "x.files.csv", "x.npz"]


def test_a_font_that_crashes_the_synthesiser_is_named(tmp_path):
    font = bytearray(embedded_font().read_bytes())
    at = font.find(b"pbag") + 8
    font[at : at + 400] = b"\xff\xfe" * 200  # zones far beyond their tables
    (tmp_path / "bad.sf2").write_bytes(font)
    code, _, stderr = run(tmp_path / "bad.sf2", "--output", tmp_path / "x.npz")
    assert code == 1 and "bad.sf2" in stderr and not (tmp_path / "x.npz").exists()


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


def test_a_changed_file_is_read_again(tmp_path):
    root = notes_folder(tmp_path / "s", ["A4"])
    build_at(root, tmp_path)
    before = read_data_set(tmp_path / "out.npz").peaks.max()
    tone(root / "flute_A4_1_forte_normal.wav", "A4", level=0.15)
    build_at(root, tmp_path)
    assert read_data_set(tmp_path / "out.npz").peaks.max() == pytest.approx(before / 2, rel=0.01)


def test_the_help_is_quick():
    code = (
        "import sys, lt.build.builder; "
        "sys.exit(bool({'torch', 'librosa', 'sklearn', 'matplotlib'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# --- larger ---------------------------------------------------------------------------------------


@pytest.mark.skipif(
    "LT_SHARED_DATA" not in os.environ, reason="LT_SHARED_DATA names no folder of recordings"
)
def test_real_flute_notes_are_all_indexed():
    root = Path(os.environ["LT_SHARED_DATA"]) / "flute_notes"
    manifest = index_sources([root], BuildConfig())
    assert (len(manifest.notes), len(manifest.skipped)) == (458, 0)
    assert {note.instrument for note in manifest.notes} == {"Flute"}


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


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_a_killed_process_is_reported_and_the_rest_kept(tmp_path):
    root = scale_of(tmp_path / "s", 400, seconds=2.0)
    build = command(root, "--output", tmp_path / "x.npz", "--jobs", 2)
    folder = tmp_path / ".x.npz.parts"
    while len(list(folder.glob("*.npz"))) < 20 and build.poll() is None:
        time.sleep(0.01)
    below = descendants(build.pid)
    os.kill(max(below), signal.SIGKILL)  # the youngest
    assert build.wait() == 1 and "a process of the build was killed" in build.stderr.read()
    assert len(list(folder.glob("*.npz"))) >= 20
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in below) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in below)


def descendants(pid):
    """The processes below one."""
    children = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        number, _, rest = status.read_text().partition(" ")
        children.setdefault(int(rest.rpartition(")")[2].split()[1]), []).append(int(number))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found[1:]


def whole_build(root, output):
    assert command(root, "--output", output).wait() == 0


def killed_build(root, output):
    """A build killed at each of KILLS points, as far from one another as from begin and end."""
    cache = output.parent / f".{output.name}.parts"
    for n_files in range(3000 // (KILLS + 1), 3000, 3000 // (KILLS + 1)):
        build = command(root, "--output", output)
        while (
            not cache.exists() or len(os.listdir(cache)) < n_files
        ):  # looking must cost nothing: both cores are busy
            time.sleep(0.1)
        build.send_signal(signal.SIGKILL)
        build.wait()
    whole_build(root, output)


@pytest.mark.long
def test_three_thousand_files_and_kills_on_the_way(tmp_path):
    """One kill costs about as much as the machine's speed and its disk's wander; five of them show
    above that.
    """
    root, costs, files_a_second = scale_of(tmp_path / "s", 3000, seconds=3.0), [], []
    for turn in range(6):  # in turn, each as often the first
        seconds = {}
        for way in (whole_build, killed_build)[:: 1 if turn % 2 else -1]:
            os.sync()  # what is still being written would slow what is measured
            begun = time.monotonic()
            way(root, tmp_path / str(turn) / f"{way.__name__}.npz")
            seconds[way] = time.monotonic() - begun
        outputs = list((tmp_path / str(turn)).glob("*.npz"))
        assert len(outputs) == 2 and outputs[0].read_bytes() == outputs[1].read_bytes()
        shutil.rmtree(tmp_path / str(turn))
        files_a_second.append(3000 / seconds[whole_build])
        costs.append(100 * (seconds[killed_build] / seconds[whole_build] - 1) / KILLS)
    print(
        f"{np.median(files_a_second):.0f} files a second; a kill costs {np.mean(costs):.1f} % "
        "more, "
        f"standard error {np.std(costs, ddof=1) / len(costs) ** 0.5:.1f} %; turn by turn "
        f"{np.round(costs, 1)}"
    )
    assert np.mean(costs) <= 5
