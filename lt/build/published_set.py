"""Conversion of the data set that the article's authors published (`lt_set.npz`).

    python3 -m lt.convert_lt_set lt_set.npz --output data/lt_article.npz

That file is a zip of pickled objects. A pickle can run any code when it is loaded, so this is the
only module that unpickles, and its unpickler admits NumPy arrays and plain containers only.

Members of the file that are used, each with a value per sound: `data` magnitudes (frames, bins),
`metadata` task -> class index, `classes` task -> {class name: index, "_length": number}, `files`
paths. Pitch classes count from A, unless the names in `classes` say otherwise; octaves change at C.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np

from lt.build.builder import make_note_table
from lt.build.extract import ExtractedNote
from lt.build.notes import DataSetNote, SourceNote
from lt.build.vocabulary import dynamics_class, instrument_name, note_number_of
from lt.config import SpectralConfig
from lt.data.dataset import write_data_set
from lt.files import refuse_overwriting_inputs
from lt.labels import N_CLASSES, PITCH_NAMES, octave_pitch_to_note_number

MEMBERS = ("data", "metadata", "files", "hash", "labels", "classes")
NEEDED = ("data", "metadata", "files", "classes")
TASKS = ("instrument", "octave", "pitch", "dynamics")
A_AS_ZERO = PITCH_NAMES.index("A")  # added to pitch classes that count from A


# --- unpickling with care -------------------------------------------------------------------------


class _PickledDtype:
    """A NumPy dtype in a pickle.

    NumPy would believe whatever the pickle says, also that an object is not one, so that bytes of
    the file became its address. Here the dtype is made from its name and byte order alone.
    """

    def __init__(self, name: str, *_: object) -> None:
        if not (isinstance(name, str) and re.fullmatch(r"[biufcSU][1-9]\d*|O8?", name)):
            raise pickle.UnpicklingError(f"arrays of {str(name)[:40]}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple) -> None:
        if state[1] not in ("<", ">", "=", "|") or any(field is not None for field in state[2:5]):
            raise pickle.UnpicklingError("arrays of several fields")
        self.dtype = self.dtype.newbyteorder(state[1])


class _PickledArray(np.ndarray):
    """A NumPy array in a pickle, whose dtype was made here."""

    def __setstate__(self, state: tuple) -> None:
        version, shape, dtype, fortran, content = state
        super().__setstate__((version, shape, _checked(dtype), fortran, content))


def _checked(dtype: object) -> np.dtype:
    if not isinstance(dtype, _PickledDtype):
        raise pickle.UnpicklingError("an array without a dtype")
    return dtype.dtype


# What a pickle of arrays may name, under NumPy's old and new module names. Functions, not classes:
# a pickle can set attributes of a class that it names.
_ADMITTED = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): lambda *arguments: _PickledDtype(*arguments),
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),
    ("collections", "OrderedDict"): OrderedDict,
    ("__builtin__", "bytes"): lambda: b"",
    ("multiarray", "_reconstruct"): lambda *_: np.zeros(0, np.int8).view(_PickledArray),
    ("multiarray", "scalar"): lambda dtype, content: np.frombuffer(content, _checked(dtype))[0],
    ("numeric", "_frombuffer"): lambda content, dtype, shape, order: np.frombuffer(
        content, _checked(dtype)
    ).reshape(shape, order=order),
}


class ArraysOnly(pickle.Unpickler):
    """An unpickler of NumPy arrays and plain containers."""

    def find_class(self, module: str, name: str) -> object:
        """The object that stands for what a pickle names.

        Raises:
            pickle.UnpicklingError: it is not admitted.
        """
        key = re.sub(r"^numpy\._?core\.", "", module), name
        if key not in _ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is no array and no plain container")
        return _ADMITTED[key]


def _read_member(stream: IO[bytes]) -> Any:
    """A `.npy` member, pickled or not; the content of an array without dimensions."""
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, fortran, dtype = read_header(stream)
    if dtype.hasobject:
        array = ArraysOnly(stream, encoding="latin1").load()
    else:
        array = np.frombuffer(stream.read(), dtype).reshape(shape, order="F" if fortran else "C")
    return array.item() if isinstance(array, np.ndarray) and array.ndim == 0 else array


def read_published_set(path: Path) -> dict[str, Any]:
    """The members of a published set, by name.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, or one that holds more than arrays.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    try:
        members = {}
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if missing := [name for name in NEEDED if f"{name}.npy" not in names]:
                raise ValueError(f"no member {missing[0]}")
            for name in MEMBERS:
                if f"{name}.npy" in names:
                    with archive.open(f"{name}.npy") as stream:
                        members[name] = _read_member(stream)
        return members
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} was refused: {error}; nothing of it was run") from error
    except Exception as error:  # a damaged pickle raises anything
        raise ValueError(
            f"{path} is not the data set that was published with the article, or damaged "
            f"({type(error).__name__}: {error})"
        ) from error


# --- conversion -----------------------------------------------------------------------------------


def convert(source: Path, output: Path) -> int:
    """Write a published set as a data set of this project.

    Returns:
        The number of notes.
    Raises:
        FileNotFoundError, ValueError: as `read_published_set`, or its members do not fit together.
        OSError: the output cannot be written.
    """
    refuse_overwriting_inputs([output], [source])
    config = SpectralConfig(hop=64, subframes=1, rumble=0.0)  # as it was made, not filtered
    members = read_published_set(source)
    try:
        frames = [np.abs(np.asarray(block)).astype(np.float32) for block in members["data"]]
        notes = [
            ExtractedNote(note, len(block), np.nan, np.nan, np.nan)
            for note, block in zip(_source_notes(source, members), frames, strict=True)
        ]
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise ValueError(f"{source}: its members do not fit together ({error})") from error
    shapes = {block.shape[1:] for block in frames}
    if shapes - {(config.n_bins,)}:
        raise ValueError(f"{source}: expected {config.n_bins} bins, got shapes {sorted(shapes)}")
    if not frames or not all(len(block) and np.isfinite(block).all() for block in frames):
        raise ValueError(
            f"{source}: it holds no sounds, one without frames, or magnitudes that are infinite "
            "or NaN"
        )
    starts = np.cumsum([0, *(note.n_frames for note in notes)])
    settings = {"kind": "published lt_set", "sources": [source.name]}
    blocks = [block[:, None] for block in frames]
    write_data_set(output, blocks, starts, make_note_table(notes), config, settings)
    return len(notes)


def _source_notes(path: Path, members: dict[str, Any]) -> list[SourceNote]:
    """The notes of a published set, from its labels and file names."""
    names = {}
    columns = []
    for task in TASKS:
        classes = members["classes"][task].items()
        names[task] = {int(index): str(name) for name, index in classes if name != "_length"}
        columns.append(np.asarray(members["metadata"][task]).astype(np.int64).tolist())
    notes = []
    for n, (file, *indices) in enumerate(zip(members["files"], *columns, strict=True)):
        instrument, octave, pitch, dynamics = indices
        classes = {
            "octave": int(names["octave"].get(octave, octave)),
            "pitch": _pitch_class(names["pitch"].get(pitch), pitch),
            "dynamics": dynamics_class(names["dynamics"].get(dynamics, str(dynamics))),
        }
        for task, index in classes.items():
            if not 0 <= index < N_CLASSES[task]:
                raise ValueError(f"a class of {task} is not among 0-{N_CLASSES[task] - 1}")
        name = re.split(r"[/\\]", str(file))[-1]
        number = int(octave_pitch_to_note_number(classes["octave"], classes["pitch"]))
        labels = instrument_name(names["instrument"][instrument]), number, classes["dynamics"]
        notes.append(SourceNote(name, name, DataSetNote(path, n), *labels, collection=path.name))
    return notes


def _pitch_class(name: str | None, index: int) -> int:
    """Pitch class from its name where that is one (`A#`), else counted from A."""
    if name and re.fullmatch(r"[A-G][#b]?", name):
        return note_number_of(f"{name}4") % 12
    return (index + A_AS_ZERO) % 12
