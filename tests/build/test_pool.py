"""Processes, kills and locks: always the same bytes."""

import errno
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from builder_helpers import (
    build_at,
    command,
    notes_folder,
    run,
    tone,
)

from lt.build.builder import build_data_set
from lt.data.dataset import read_data_set
from lt.labels import PITCH_NAMES

KILLS = 5  # of one build


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


@pytest.mark.fault("full or closed disk")
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


@pytest.mark.fault("kill")
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


@pytest.mark.fault("full or closed disk")
def test_a_disk_without_locks_is_built_on_with_a_note(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("lt.build.pool.fcntl.flock", no_locks)
    code, _, stderr = run(notes_folder(tmp_path / "s", ["A4"]), "--output", tmp_path / "x.npz")
    assert code == 0 and "has no locks" in stderr and (tmp_path / "x.npz").is_file()


@pytest.mark.fault("kill")
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


def test_a_changed_file_is_read_again(tmp_path):
    root = notes_folder(tmp_path / "s", ["A4"])
    build_at(root, tmp_path)
    before = read_data_set(tmp_path / "out.npz").peaks.max()
    tone(root / "flute_A4_1_forte_normal.wav", "A4", level=0.15)
    build_at(root, tmp_path)
    assert read_data_set(tmp_path / "out.npz").peaks.max() == pytest.approx(before / 2, rel=0.01)


@pytest.mark.fault("kill")
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


@pytest.mark.fault("kill")
@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="no process groups there")
@pytest.mark.parametrize("n_cached", [0, 5])
def test_ctrl_c_ends_all_processes_with_one_line(tmp_path, n_cached):
    root = scale_of(tmp_path / "s", 200, seconds=1.0)
    build = command(root, "--output", tmp_path / "x.npz", "--jobs", 2, start_new_session=True)
    folder = tmp_path / ".x.npz.parts"
    while not folder.exists() or len(list(folder.glob("*.npz"))) < n_cached:
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(build.pid, signal.SIGINT)
    _, stderr = build.communicate()
    assert build.returncode == 130 and stderr.count("\n") == 1 and "interrupted" in stderr
    assert run(root, "--output", tmp_path / "x.npz")[0] == 0
