"""Run folders: at every moment of a save there is a pair of halves that loads, and what does not
fit is refused.
"""

import os
import shutil
from types import SimpleNamespace

import pytest
import torch
from training_helpers import assert_equal_checkpoints

from lt.models import checkpoints
from lt.models.checkpoints import BEST, LAST, MODALITIES, Checkpoint, RunFolder


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run # ä", "my_name")
    folder.make_writable()
    return folder


def state(epoch, step=0, run_id="run"):
    return Checkpoint(
        run_id,
        epoch,
        step,
        {"model": {"w": torch.full((3,), float(epoch))}},
        {"model": {"w": torch.full((2,), -float(epoch))}},
        {"best_valid": 1.5},
    )


def epoch_of(folder, tag):
    found = folder.load(tag)
    assert (
        float(found.signal["model"]["w"][0]) == found.epoch == -float(found.symbol["model"]["w"][0])
    )
    return found.epoch


HALF_A_FILE = b"PK\x03\x04 half a file"


class Killed(BaseException):
    """In place of SIGKILL: nothing catches it."""


def test_what_is_saved_is_loaded(folder):
    folder.save(state(4, 2), LAST)
    found = folder.load(LAST)
    assert (found.run_id, found.epoch, found.step, found.training) == (
        "run",
        4,
        2,
        {"best_valid": 1.5},
    )
    assert (
        epoch_of(folder, LAST) == 4
        and folder.position(LAST) == (4, 2)
        and folder.position(BEST) is None
    )


def test_halves_are_plain_files_that_load_without_executing_anything(folder):
    folder.save(state(7), 7)
    for half, name in MODALITIES.items():
        content = torch.load(folder.path / name / "my_name_7.t7", weights_only=True)
        assert (content["half"], content["epoch"], content["run_id"]) == (half, 7, "run")


def test_equal_states_are_equal_bytes(folder, tmp_path):
    other = RunFolder(tmp_path / "other", "my_name")
    other.make_writable()
    for one in (folder, other):
        one.save(state(3), LAST)
    for half in MODALITIES:
        assert (
            folder.checkpoint_path(half, LAST).read_bytes()
            == other.checkpoint_path(half, LAST).read_bytes()
        )


@pytest.mark.fault("kill")
@pytest.mark.parametrize("moves", [0, 1, 2])
@pytest.mark.parametrize("first", [True, False])
def test_a_kill_at_any_move_leaves_a_pair(folder, monkeypatch, moves, first):
    if not first:
        folder.save(state(1), LAST)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying_after(moves, os.replace))
        with pytest.raises(Killed):
            folder.save(state(2), LAST)
            raise Killed
    if moves == 0 and first:
        assert folder.tags() == []
    else:
        assert epoch_of(folder, LAST) == (2 if moves else 1)
    folder.save(state(3), LAST)
    assert epoch_of(folder, LAST) == 3
    assert not list(folder.path.rglob(".*"))


@pytest.mark.parametrize("linked", [True, False])
def test_tags_of_one_state_share_one_stored_copy(folder, monkeypatch, linked):
    if not linked:
        monkeypatch.setattr(os, "link", no_links)
    folder.save(state(2), BEST, 2, LAST)
    assert [epoch_of(folder, tag) for tag in (BEST, 2, LAST)] == [2, 2, 2]
    for half in MODALITIES:
        files = [folder.checkpoint_path(half, tag) for tag in (BEST, 2, LAST)]
        assert len({path.stat().st_ino for path in files}) == (1 if linked else 3)
        assert len({path.read_bytes() for path in files}) == 1
    folder.save(state(3), LAST)
    assert [epoch_of(folder, tag) for tag in (BEST, 2, LAST)] == [2, 2, 3]
    folder.drop_later(1)
    assert folder.tags() == [BEST, LAST] and epoch_of(folder, BEST) == 2
    assert not list(folder.path.rglob(".*"))


@pytest.mark.fault("kill")
@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("moves", range(5))
def test_a_kill_at_any_move_of_several_tags(folder, monkeypatch, moves, linked):
    folder.save(state(1), BEST, LAST)
    with monkeypatch.context() as patch:
        if not linked:
            patch.setattr(os, "link", no_links)
        patch.setattr(os, "replace", dying_after(moves, os.replace))
        with pytest.raises(Killed):
            folder.save(state(2), BEST, LAST)
            raise Killed
    best, last = epoch_of(folder, BEST), epoch_of(folder, LAST)
    assert (best, last) == (2 if moves else 1, 2 if moves > 2 else 1)
    folder.save(state(3), BEST, LAST)
    assert epoch_of(folder, BEST) == epoch_of(folder, LAST) == 3
    assert not list(folder.path.rglob(".*"))


def test_a_shared_copy_counts_once_against_the_disk(folder, monkeypatch):
    folder.save(state(1), BEST, 1, LAST)
    own = sum(folder.checkpoint_path(half, LAST).stat().st_size for half in MODALITIES)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    folder.check_space(own)
    with pytest.raises(OSError, match="make room"):
        folder.check_space(own + 1)


@pytest.mark.fault("kill")
@pytest.mark.parametrize("writes", [0, 1])
@pytest.mark.parametrize("moves_before", [1, 2])
def test_a_kill_in_the_next_save_too(folder, monkeypatch, writes, moves_before):
    """The first is killed between its moves, the next while it writes: the first one's pair is
    there.
    """
    folder.save(state(1), LAST)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying_after(moves_before, os.replace))
        with pytest.raises(Killed):
            folder.save(state(2), LAST)
            raise Killed
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", dying_after(writes, torch.save, half_written=True))
        patch.setattr(
            RunFolder, "_clear_staged", keep_the_stage_on_the_way_out(RunFolder._clear_staged)
        )
        with pytest.raises(Killed):
            folder.save(state(3), LAST)
    assert epoch_of(folder, LAST) == 2
    folder.save(state(4), LAST)
    assert epoch_of(folder, LAST) == 4


def no_links(source, target):
    raise OSError("this file system has no links")


def dying_after(calls, function, half_written=False):
    done = []

    def call(*arguments):
        if len(done) == calls:
            if half_written:
                arguments[1].write(HALF_A_FILE)
            raise Killed
        done.append(1)
        return function(*arguments)

    return call


def keep_the_stage_on_the_way_out(clear):
    """A killed process clears nothing: only the call at the beginning of a save does."""

    def call(self, tag):
        if not any(
            self._staged_path(half, tag).is_file()
            and self._staged_path(half, tag).read_bytes() == HALF_A_FILE
            for half in MODALITIES
        ):
            clear(self, tag)

    return call


def test_no_space_leaves_the_earlier_pair(folder, monkeypatch):
    folder.save(state(1), LAST)

    def full(content, stream):
        stream.write(HALF_A_FILE)
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 128 vs 22")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="my_name_last.t7 could not be written.*is the disk full"):
        folder.save(state(2), LAST)
    assert epoch_of(folder, LAST) == 1
    assert not list(folder.path.rglob(".*"))


@pytest.mark.fault("malformed input")
def test_mixed_halves_are_refused(folder):
    folder.save(state(1), 1)
    folder.save(state(2), 2)
    folder.checkpoint_path("symbol", 2).replace(folder.checkpoint_path("symbol", 1))
    for tag in (1, 2):
        with pytest.raises(
            ValueError, match=f"checkpoint '{tag}' in .* are not both there, or not of one epoch"
        ):
            folder.load(tag)


def test_halves_of_two_runs_are_refused(folder):
    folder.save(state(1), 1)
    folder.save(state(1, run_id="another"), 2)
    folder.checkpoint_path("symbol", 2).replace(folder.checkpoint_path("symbol", 1))
    with pytest.raises(ValueError, match="of one run"):
        folder.load(1)


def test_halves_in_each_others_folder_are_refused(folder):
    folder.save(state(1), 1)
    folder.checkpoint_path("signal", 1).replace(folder.checkpoint_path("symbol", 1))
    folder.save(state(1), 2)
    folder.checkpoint_path("symbol", 2).replace(folder.checkpoint_path("signal", 1))
    with pytest.raises(ValueError, match="vae_1 and vae_2 are mixed up"):
        folder.load(1)


@pytest.mark.fault("malformed input")
@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_half_that_is_damaged(folder, content):
    folder.save(state(1), 1)
    path = folder.checkpoint_path("symbol", 1)
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(ValueError, match="my_name_1.t7 is damaged, cut short or no checkpoint"):
        folder.load(1)


def test_a_file_from_elsewhere(folder):
    torch.save({"weights": torch.zeros(2)}, folder.checkpoint_path("signal", 1))
    with pytest.raises(ValueError, match="is no checkpoint of this project"):
        folder.load(1)


def test_a_file_that_would_execute_something(folder):
    folder.save(state(1), 1)
    torch.save(
        {"format": checkpoints.FORMAT, "odd": RunFolder("x", "y")},
        folder.checkpoint_path("signal", 1),
    )
    with pytest.raises(ValueError, match="damaged, cut short or no checkpoint"):
        folder.load(1)


def test_another_version(folder, monkeypatch):
    monkeypatch.setattr(checkpoints, "VERSION", 9)
    folder.save(state(1), 1)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="version 9, expected 3"):
        folder.load(1)


def test_an_absent_checkpoint_names_those_there_are(folder):
    with pytest.raises(FileNotFoundError, match="no checkpoint 'best' .there is none."):
        folder.load(BEST)
    for tag in (BEST, 10, 9):
        folder.save(state(9), tag)
    with pytest.raises(FileNotFoundError, match="no checkpoint '3' .there is best, 9, 10."):
        folder.load(3)


def test_later_files_are_dropped_and_only_those(folder):
    for tag in (1, 2, 10, BEST, LAST):
        folder.save(state(1), tag)
    for name in (
        "reconstructions_1.png",
        "reconstructions_2.pdf",
        "reconstructions_10.png",
        "losses.png",
        "mine_10.png",
    ):
        (folder.figures / name).touch()
    folder.drop_later(2)
    assert folder.tags() == ["best", "last", "1", "2"]
    assert sorted(path.name for path in folder.figures.iterdir()) == [
        "losses.png",
        "mine_10.png",
        "reconstructions_1.png",
        "reconstructions_2.pdf",
    ]
    folder.drop_later(0)
    assert folder.tags() == [] and [path.name for path in folder.figures.iterdir()] == [
        "mine_10.png"
    ]


def test_history_reads_back_exactly(folder):
    history = folder.history()
    rows = [
        {"epoch": epoch, "loss": 1 / (epoch + 2), "seconds": 1e-17 * epoch} for epoch in (1, 2, 3)
    ]
    for row in rows:
        history.append(row)
    history.write()
    text = (folder.path / "history.csv").read_bytes()
    assert folder.history(2).rows == rows[:2]
    again = folder.history(9)
    again.write()
    assert again.rows == rows and (folder.path / "history.csv").read_bytes() == text


def test_a_history_of_an_earlier_version_gets_the_columns_that_it_lacks(folder):
    history = folder.history()
    for row in ({"epoch": 1, "a": 0.5}, {"epoch": 2, "a": 0.25, "b": 3.0}, {"epoch": 3, "b": 4.0}):
        history.append(row)
    history.write()
    lines = (folder.path / "history.csv").read_text().split()
    assert lines == ["epoch,a,b", "1,0.5,nan", "2,0.25,3.0", "3,nan,4.0"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="a file is in the way"):
        RunFolder(tmp_path / "file" / "run", "x").make_writable()


def test_names_with_signs_that_patterns_know(tmp_path):
    folder = RunFolder(tmp_path, "a[1]*?")
    folder.make_writable()
    folder.save(state(3), 3)
    assert folder.tags() == ["3"]
    folder.save(folder.load(3), LAST)
    assert_equal_checkpoints(
        folder.checkpoint_path("signal", 3), folder.checkpoint_path("signal", LAST)
    )
