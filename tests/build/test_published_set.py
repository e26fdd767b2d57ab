"""The article's data set is converted with its labels; a pickle that names anything but arrays is
refused unrun.
"""

import io
import os
import pickle

import numpy as np
import pytest

from lt.build.published_set import ArraysOnly, convert, read_published_set
from lt.data.dataset import read_data_set

N_BINS = 410


def published(path, **changes):
    """A file as the authors' code writes it: pickled members, classes with their number."""
    rng = np.random.default_rng(0)
    data = np.empty(3, object)
    data[:] = [rng.random((length, N_BINS)) for length in (4, 7, 5)]
    members = {
        "data": data,
        "files": ["/db/Fl-ord-A4-mf.wav", "/db/Fl-ord-C4-ff.wav", "/db/Vn-ord-G#3-pp.wav"],
        "metadata": {
            "instrument": np.array([0, 0, 1]),
            "octave": np.array([4, 4, 3]),
            "pitch": np.array([0, 3, 11]),
            "dynamics": np.array([2, 4, 0]),
        },
        "classes": {
            "instrument": {"Flute": 0, "Violin": 1, "_length": 2},
            "octave": {"_length": 9},
            "pitch": {"_length": 12},
            "dynamics": {"pp": 0, "p": 1, "mf": 2, "f": 3, "ff": 4, "_length": 5},
        },
        "hash": {"a": 0},
        "labels": [],
        "options_dict": {"types": [os.getcwd]},
    }
    np.savez(path, **{**members, **changes})
    return path, data


def test_labels_frames_and_instruments_arrive(tmp_path):
    path, frames = published(tmp_path / "lt_set.npz")
    assert convert(path, tmp_path / "ours.npz") == 3
    data = read_data_set(tmp_path / "ours.npz")
    assert data.notes.labels.tolist() == [[4, 9, 2], [4, 0, 4], [3, 8, 0]]
    assert data.notes.instruments == ("Flute", "Violin") and data.notes.instrument.tolist() == [
        0,
        0,
        1,
    ]
    assert data.notes.sources.tolist() == [
        "Fl-ord-A4-mf.wav",
        "Fl-ord-C4-ff.wav",
        "Vn-ord-G#3-pp.wav",
    ]
    assert np.allclose(data.magnitudes[:, 0], np.concatenate(list(frames)))


def test_pitch_names_are_believed_before_numbers(tmp_path):
    names = {name: index for index, name in enumerate("C C# D D# E F F# G G# A A# B".split())}
    path, _ = published(tmp_path / "lt_set.npz")
    classes = read_published_set(path)["classes"]
    path, _ = published(
        tmp_path / "named.npz", classes={**classes, "pitch": {**names, "_length": 12}}
    )
    convert(path, tmp_path / "ours.npz")
    assert read_data_set(tmp_path / "ours.npz").notes.labels[:, 1].tolist() == [0, 3, 11]


class Harm:
    """Pickled, it runs a command when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.fault("malformed input")
@pytest.mark.parametrize("member", ("data", "metadata", "files", "hash", "labels", "classes"))
def test_a_harmful_member_is_refused_and_not_run(tmp_path, member):
    path, _ = published(
        tmp_path / "lt_set.npz", **{member: np.array([Harm(tmp_path / "harmed")], object)}
    )
    with pytest.raises(ValueError, match="was refused"):
        convert(path, tmp_path / "ours.npz")
    assert not (tmp_path / "harmed").exists() and not (tmp_path / "ours.npz").exists()


def test_harm_in_a_member_that_is_not_needed_is_not_opened(tmp_path):
    path, _ = published(
        tmp_path / "lt_set.npz", options_dict=np.array([Harm(tmp_path / "harmed")], object)
    )
    assert convert(path, tmp_path / "ours.npz") == 3
    assert not (tmp_path / "harmed").exists()


class Forged:
    """Pickled, an array of objects whose dtype says that they are none, so that the file's bytes
    are their addresses; its state is given to NumPy's own classes by hand.
    """

    def __init__(self, make, arguments, state):
        self.reduced = make, arguments, state

    def __reduce__(self):
        return self.reduced


def forged(flags, name="O8"):
    kind = Forged(np.dtype, (name, False, True), (3, "|", None, None, None, -1, -1, flags))
    reconstruct = np.zeros(1).__reduce__()[0]
    return Forged(reconstruct, (np.ndarray, (0,), b"b"), (1, (2,), kind, False, b"A" * 16))


@pytest.mark.fault("malformed input")
@pytest.mark.parametrize("protocol", (2, 3, 4, 5))
def test_arrays_whose_bytes_would_be_addresses_are_refused(protocol):
    for flags in (0, 63):
        with pytest.raises((pickle.UnpicklingError, TypeError, ValueError)):
            ArraysOnly(io.BytesIO(pickle.dumps(forged(flags), protocol)), encoding="latin1").load()
    for name in ("V8", "O8,O8", "M8[s]", "U0", 8):
        with pytest.raises((pickle.UnpicklingError, TypeError)):
            ArraysOnly(
                io.BytesIO(pickle.dumps(forged(0, name), protocol)), encoding="latin1"
            ).load()


@pytest.mark.parametrize("protocol", range(6))
def test_honest_arrays_come_back_as_they_were(protocol):
    holder = np.empty(2, object)
    holder[:] = [np.arange(3.0), {"a": np.float32(2.5)}]
    honest = [
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.asfortranarray(np.ones((2, 3), np.float32)),
        np.array(["a", "bcd"]),
        np.array([b"xy"]),
        np.array([True, False]),
        np.zeros((0, 4)),
        np.array(3.5),
    ]
    for one in honest:
        back = ArraysOnly(io.BytesIO(pickle.dumps(one, protocol)), encoding="latin1").load()
        assert (
            back.dtype.newbyteorder("=") == one.dtype.newbyteorder("=") and back.shape == one.shape
        )
        assert (np.asarray(back) == one).all()
    back = ArraysOnly(io.BytesIO(pickle.dumps(holder, protocol)), encoding="latin1").load()
    assert back[0].tolist() == [0, 1, 2] and back[1]["a"] == 2.5


@pytest.mark.fault("malformed input")
def test_sounds_without_frames_or_with_nan_are_refused(tmp_path):
    for name, one in (("short", np.zeros((0, N_BINS))), ("nan", np.full((4, N_BINS), np.nan))):
        path, data = published(tmp_path / f"{name}.npz")
        data[1] = one
        path, _ = published(tmp_path / f"{name}.npz", data=data)
        with pytest.raises(ValueError, match=name):
            convert(path, tmp_path / "ours.npz")


@pytest.mark.fault("malformed input")
@pytest.mark.parametrize("name", ("eval", "getattr", "type", "open"))
def test_builtins_are_refused(tmp_path, name):
    with pytest.raises(pickle.UnpicklingError):
        ArraysOnly(open(os.devnull, "rb")).find_class("builtins", name)


def test_what_is_not_that_file_gets_a_sentence(tmp_path):
    (tmp_path / "text.npz").write_text("no zip")
    np.savez(tmp_path / "other.npz", data=np.zeros(3))
    published(tmp_path / "bins.npz", data=np.zeros((3, 5, 100)))
    published(tmp_path / "few.npz", files=["a.wav"])
    with pytest.raises(FileNotFoundError):
        convert(tmp_path / "none.npz", tmp_path / "ours.npz")
    for name in ("text", "other", "bins", "few"):
        with pytest.raises(ValueError, match=name):
            convert(tmp_path / f"{name}.npz", tmp_path / "ours.npz")
    assert not (tmp_path / "ours.npz").exists()
