"""Converting the data set that the article's authors published (`lt_set.npz`) to this project's
format.

    python3 -m lt.convert_lt_set lt_set.npz --output data/lt_article.npz

That file is a zip of pickled objects. A pickle can run any code when it is loaded, so this is the
only place of the project that unpickles, with an unpickler that admits NumPy arrays and plain
containers, makes the former itself, and refuses everything else before it is made. Only the members
MEMBERS are opened.

Its content, a value a sound file: `data` frames of magnitudes (frames, bins), `metadata` task ->
class index, `classes` task -> {class name: index, "_length": number}, `files` paths; `hash` and
`labels` are not used. Its pitch classes count from A, where the names of `classes` do not say
otherwise; octaves change at C all the same.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import IO

import click
import numpy as np

from lt import cli
from lt.build.notes import dynamics_class, instrument_name, note_number_of
from lt.config import SpectralConfig
from lt.data.dataset import NoteTable, write_data_set
from lt.files import refuse_overwriting_inputs
from lt.labels import N_CLASSES, PITCH_NAMES, NoteLabels, octave_pitch_to_note_number

MEMBERS = ("data", "metadata", "files", "hash", "labels", "classes")
NEEDED = ("data", "metadata", "files", "classes")
A_AS_ZERO = PITCH_NAMES.index("A")  # what must be added to pitch classes that count from A


# --- unpickling with care -------------------------------------------------------------------------


def _encode(text: str, encoding: str) -> bytes:
    """Bytes as old pickles carry them; no other codec."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"codec {encoding}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """What old pickles say for no bytes at all."""
    return b""


class _Kind:
    """A NumPy dtype on its way out of a pickle. NumPy would believe whatever a pickle says of one,
    also that an object is not one, whose bytes in the file then became its address; so what is said
    is read here, and the dtype is made from its name and byte order alone.
    """

    def __init__(self, name: str, *_: object) -> None:
        if not (isinstance(name, str) and re.fullmatch(r"[biufcSU][1-9]\d*|O8?", name)):
            raise pickle.UnpicklingError(f"arrays of {str(name)[:40]}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple) -> None:
        if state[1] not in ("<", ">", "=", "|") or any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("arrays of several fields")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """A NumPy array on its way out of a pickle, of a dtype that was made here."""

    def __setstate__(self, state: tuple) -> None:
        version, shape, kind, by_columns, content = state
        super().__setstate__((version, shape, _dtype_of(kind), by_columns, content))


def _kind(*arguments: object) -> _Kind:
    return _Kind(*arguments)


def _dtype_of(kind: object) -> np.dtype:
    if not isinstance(kind, _Kind):
        raise pickle.UnpicklingError("an array of no kind")
    return kind.dtype


def _empty_array(*_: object) -> np.ndarray:
    """What an array is before its state is known."""
    return np.zeros(0, np.int8).view(_Array)


def _scalar(kind: object, content: bytes) -> object:
    return np.frombuffer(content, _dtype_of(kind))[0]


def _array_of_bytes(content: bytes, kind: object, shape: tuple[int, ...], order: str) -> np.ndarray:
    return np.frombuffer(content, _dtype_of(kind)).reshape(shape, order=order)


def _admitted() -> dict[tuple[str, str], object]:
    """All that a pickle may name: what NumPy makes its arrays of, under its old and new module
    names, made here of what can do no harm.
    """
    admitted = {
        ("numpy", "ndarray"): "ndarray",
        ("numpy", "dtype"): _kind,
        ("_codecs", "encode"): _encode,
        ("collections", "OrderedDict"): OrderedDict,
        ("__builtin__", "bytes"): _no_bytes,
    }
    for module in ("numpy.core", "numpy._core"):
        admitted[f"{module}.multiarray", "_reconstruct"] = _empty_array
        admitted[f"{module}.multiarray", "scalar"] = _scalar
        admitted[f"{module}.numeric", "_frombuffer"] = _array_of_bytes
    return admitted


class ArraysOnly(pickle.Unpickler):
    """An unpickler of NumPy arrays and plain containers."""

    admitted = _admitted()

    def find_class(self, module: str, name: str) -> object:
        """What a pickle names, if it is admitted.

        Raises:
            pickle.UnpicklingError: it is not.
        """
        if (module, name) not in self.admitted:
            raise pickle.UnpicklingError(f"{module}.{name} is no array and no plain container")
        return self.admitted[module, name]


def read_member(stream: IO[bytes]) -> object:
    """A `.npy` member, pickled or not; an array of no dimensions gives what it holds."""
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


def read_published_set(path: Path) -> dict[str, object]:
    """The members of a published set, by name.

    Raises:
        FileNotFoundError: no such file. ValueError: another kind of file, or one that holds more
        than arrays.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if missing := [name for name in NEEDED if f"{name}.npy" not in names]:
                raise ValueError(f"no member {missing[0]}")
            members = {}
            for name in MEMBERS:
                if f"{name}.npy" in names:
                    with archive.open(f"{name}.npy") as stream:
                        members[name] = read_member(stream)
        return members
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} was refused: {error}; nothing of it was run") from error
    except Exception as error:  # a damaged pickle brings about whatever it likes
        raise ValueError(
            f"{path} is not the data set that was published with the article, or damaged "
            f"({type(error).__name__}: {error})"
        ) from error


# --- converting -----------------------------------------------------------------------------------


def convert(source: Path, output: Path) -> int:
    """Write a published set as a data set of this project -> its number of notes.

    Raises:
        FileNotFoundError, ValueError: as `read_published_set`, or what it holds does not fit
        together. OSError: it cannot be written.
    """
    refuse_overwriting_inputs([output], [source])
    members, config = (
        read_published_set(source),
        SpectralConfig(rumble=0.0),
    )  # its sound was not cut
    try:
        frames = [np.abs(np.asarray(one)).astype(np.float32) for one in members["data"]]
        table = _table(members)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise ValueError(f"{source}: its members do not fit together ({error})") from error
    if len(frames) != len(table.sources) or any(
        one.ndim != 2 or one.shape[1] != config.n_bins for one in frames
    ):
        shapes = sorted({one.shape[1:] for one in frames})
        raise ValueError(
            f"{source}: expected {config.n_bins} bins and {len(table.sources)} sounds, "
            f"got {len(frames)} sounds of {shapes}"
        )
    if not frames or any(not len(one) or not np.isfinite(one).all() for one in frames):
        raise ValueError(
            f"{source}: it holds no sounds, one without frames, or magnitudes that are infinite "
            "or NaN"
        )
    starts = np.concatenate([[0], np.cumsum([len(one) for one in frames])])
    write_data_set(
        output,
        frames,
        starts,
        table,
        config,
        {"kind": "published lt_set", "sources": [source.name]},
    )
    return len(frames)


def _table(members: dict[str, object]) -> NoteTable:
    """Labels and instruments of a published set."""
    values = {
        task: np.asarray(members["metadata"][task]).astype(np.int64)
        for task in ("instrument", "octave", "pitch", "dynamics")
    }
    names = {task: _class_names(members["classes"], task) for task in values}
    octave = np.array([int(names["octave"].get(index, index)) for index in values["octave"]])
    pitch = np.array([_pitch(names["pitch"].get(index), index) for index in values["pitch"]])
    dynamics = np.array(
        [dynamics_class(names["dynamics"].get(index, str(index))) for index in values["dynamics"]]
    )
    for task, column in (("octave", octave), ("pitch", pitch), ("dynamics", dynamics)):
        if ((column < 0) | (column >= N_CLASSES[task])).any():
            raise ValueError(f"a class of {task} is not among 0-{N_CLASSES[task] - 1}")
    instruments = [instrument_name(names["instrument"][index]) for index in values["instrument"]]
    known = tuple(dict.fromkeys(instruments))
    labels = NoteLabels.from_notes(octave_pitch_to_note_number(octave, pitch), dynamics)
    takes = [tuple(row) for row in zip(instruments, *labels.table().T.tolist(), strict=True)]
    groups = {take: number for number, take in enumerate(dict.fromkeys(takes))}
    sources = [re.split(r"[/\\]", str(file))[-1] for file in members["files"]]
    return NoteTable(
        labels.table(),
        np.array([known.index(one) for one in instruments]),
        known,
        np.array([groups[take] for take in takes]),
        np.full(len(takes), -1),
        np.array(sources),
    )


def _class_names(classes: dict[str, dict[object, int]], task: str) -> dict[int, str]:
    """Class index -> name."""
    return {int(index): str(name) for name, index in classes[task].items() if name != "_length"}


def _pitch(name: str | None, index: int) -> int:
    """A pitch class, from its name where that is one (`A#`), else counted from A."""
    if name and re.fullmatch(r"[A-G][#b]?", name):
        return note_number_of(f"{name}4") % 12
    return (int(index) + A_AS_ZERO) % 12


@cli.command(
    "Convert the data set that the article's authors published to this project's format.",
    example="python3 -m lt.convert_lt_set lt_set.npz --output data/lt_article.npz",
)
@click.argument("source", type=cli.PATH)
@cli.option("--output", help="the data set", type=cli.PATH, required=True)
def main(source: Path, output: Path) -> None:
    cli.logger.info(f"wrote {output}: {convert(source, output)} notes")


if __name__ == "__main__":
    main()
