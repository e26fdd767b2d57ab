"""Files are written whole or not at all, and never over an input."""

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lt import files


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_appears_whole_under_its_own_name(tmp_path):
    target = tmp_path / "made as needed" / "é # 1.txt"
    with files.atomic_path(target) as temporary:
        assert (
            temporary.name == target.name
        )  # formats that store their own name store the right one
        assert temporary.parent.parent == target.parent
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == [target.name]


@pytest.mark.fault("kill")
def test_whoever_reads_the_old_file_keeps_it_whole(tmp_path):
    """It is replaced, not written over: no moment shows a part of the new one."""
    target = tmp_path / "a.txt"
    target.write_text("old")
    with open(target) as reader:
        with files.atomic_path(target) as temporary:
            temporary.write_text("new and longer")
        assert reader.read() == "old"
    assert target.read_text() == "new and longer"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), files.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.fault("full or closed disk")
def test_a_full_disk_is_said_with_the_file(tmp_path):
    with (
        pytest.raises(OSError, match="No space left on device: .*a.txt"),
        files.atomic_path(tmp_path / "a.txt"),
    ):
        raise OSError(28, "No space left on device")  # as a write says it, without a file


def test_files_get_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    files.write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_folder_or_a_file_in_the_way_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        files.write_text(tmp_path, "")
    with pytest.raises(NotADirectoryError, match="a file is in the way"):
        files.write_text(tmp_path / "file" / "a.txt", "")


@pytest.mark.fault("full or closed disk")
@pytest.mark.parametrize("refusing", ["lt.files.tempfile.mkdtemp", "lt.files.Path.mkdir"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_may_not_be_written_is_named(tmp_path, monkeypatch, refusing, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number), "a/hidden/name")

    monkeypatch.setattr(refusing, refuse)
    with pytest.raises(PermissionError) as refused:
        files.write_text(tmp_path / "a.txt", "")
    assert str(refused.value) == f"the folder {tmp_path} may not be written; choose another output"


def test_csv_quotes_what_needs_it(tmp_path):
    files.write_csv(tmp_path / "a.csv", [("name", "value"), ("a, b", 1), ('"c"', "")])
    assert (tmp_path / "a.csv").read_bytes() == b'name,value\n"a, b",1\n"""c""",\n'


def test_json_knows_our_values(tmp_path):
    @dataclass
    class Point:
        z: tuple[float, ...]
        path: Path

    files.write_json(
        tmp_path / "a.json",
        {
            "z": Point((1.0, float("nan")), Path("x")),
            "a": np.float32(0.5),
            "n": np.arange(2),
            "inf": -np.inf,
            3: True,
        },
    )
    text = (tmp_path / "a.json").read_text()
    assert text.endswith("}\n")
    assert list(json.loads(text)) == ["z", "a", "n", "inf", "3"]
    assert json.loads(text) == {
        "z": {"z": [1.0, None], "path": "x"},
        "a": 0.5,
        "n": [0, 1],
        "inf": None,
        "3": True,
    }
    with pytest.raises(ValueError, match="object"):
        files.plain(object())


@pytest.mark.parametrize(
    "paths, stems",
    [
        (["a.wav", "b/c.mid"], ["a", "c"]),
        (["a.wav", "b/a.mp3", "a.wav"], ["a", "a_2", "a_3"]),
        (["a.wav", "a.mp3", "a_2.wav"], ["a", "a_2", "a_2_2"]),
        (["v1.0 x.tar.wav", "Ünï #1.wav"], ["v1.0 x.tar", "Ünï #1"]),
        ([], []),
    ],
)
def test_stems_are_unique_and_in_order(paths, stems):
    assert files.unique_stems(paths) == stems
    assert len(set(stems)) == len(stems)


def test_inputs_are_safe_under_every_name(tmp_path):
    source = tmp_path / "in.wav"
    source.write_text("sound")
    (tmp_path / "sub").mkdir()
    (tmp_path / "soft.wav").symlink_to(source)
    os.link(source, tmp_path / "hard.wav")
    for name in ("in.wav", "sub/../in.wav", "soft.wav", "hard.wav"):
        with pytest.raises(ValueError, match="choose another output"):
            files.refuse_overwriting_inputs([tmp_path / "new.wav", tmp_path / name], [source])
        with pytest.raises(ValueError, match="choose another output"):
            files.refuse_overwriting_inputs([source], [tmp_path / name])
    (tmp_path / "other.wav").write_text("sound")
    files.refuse_overwriting_inputs(
        [tmp_path / "other.wav", tmp_path / "new.wav"], [source, tmp_path / "missing"]
    )
