"""Data sets: spectra of single notes with their labels, in one `.npz` file.

`np.load(path, allow_pickle=False)` reads the file. Its members are not compressed and aligned to 64
bytes, so that `magnitudes` is mapped from disk by offset and may be larger than memory.

    magnitudes   (frames, bins) float32   notes one after another
    starts       (notes + 1,) int64       note n is frames starts[n] to starts[n + 1]
    labels       (notes, 3) int64         octave, pitch, dynamics
    instrument   (notes,) int64           index into `instruments`
    instruments  (instruments,) str
    group        (notes,) int64           repetitions of one note, which a split keeps together
    fold         (notes,) int64           the publisher's fold, or -1
    cents        (notes,) float32         tuning of the sound above its label, NaN where unknown
    sources      (notes,) str             a file, or font:program:number:velocity
    peaks        (frames,) float32        the largest magnitude of each frame
    settings     () str                   JSON: format, version, front end, class names, how it was
                                          built, fingerprint

The fingerprint is the SHA-256 of the other members' names, sizes and CRC-32s. Files are written
whole or not at all, and equal content gives equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import struct
import tokenize
import zipfile
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Iterable

import numpy as np

from lt.config import DEFAULT_DATA_SET, NOTE_LABELS, SpectralConfig, settings_from_dict
from lt.files import atomic_path
from lt.labels import CLASS_NAMES, N_CLASSES

FORMAT = "latent-transcription data set"
VERSION = 2  # 1 had low-frequency noise in its spectra
# Relative to the loudest frame of a note. Between the two it dies away: some call these frames the
# note, some silence, so they are used neither for training nor for evaluation.
SOUNDING_DB = -40.0
SILENT_DB = -60.0
# Members in the order of the file: dtype and number of axes. On reading, any float or integer type.
MEMBERS = {
    "magnitudes": (np.float32, 2),
    "starts": (np.int64, 1),
    "labels": (np.int64, 2),
    "instrument": (np.int64, 1),
    "instruments": (np.str_, 1),
    "group": (np.int64, 1),
    "fold": (np.int64, 1),
    "cents": (np.float32, 1),
    "sources": (np.str_, 1),
    "peaks": (np.float32, 1),
    "settings": (np.str_, 0),
}
ALIGNMENT = 64  # bytes
CHECKED_BYTES = 1 << 30  # the content of larger files is not compared with its checksums
_DATE = (1980, 1, 1, 0, 0, 0)  # one date in every file: equal content, equal bytes
_LOCAL_HEADER = 30  # bytes of a zip entry's fixed header
_ZIP64_EXTRA = 20  # bytes that zipfile adds for a member of unbounded size
_PADDING_ID = 0xD935  # extra field for alignment, as zipalign writes it
# What zipfile, numpy and json raise on damaged or crafted files.
_UNREADABLE = (
    zipfile.BadZipFile,
    struct.error,
    tokenize.TokenError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
)


@dataclass(frozen=True)
class NoteTable:
    """The notes of a data set.

    Attributes:
        labels: (notes, 3) octave, pitch, dynamics.
        instrument: (notes,) index into `instruments`.
        instruments: names.
        group: (notes,) equal for repetitions of one note.
        fold: (notes,) the publisher's, or -1.
        sources: (notes,) str.
        cents: (notes,) tuning of the sound above its label, NaN where unknown; all NaN by default.
    """

    labels: np.ndarray
    instrument: np.ndarray
    instruments: tuple[str, ...]
    group: np.ndarray
    fold: np.ndarray
    sources: np.ndarray
    cents: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.cents is None:
            object.__setattr__(self, "cents", np.full(len(self.labels), np.nan, np.float32))


@dataclass(frozen=True)
class DataSet:
    """A data set on disk.

    Attributes:
        path: the file.
        magnitudes: (frames, bins) float32, mapped: read when indexed.
        peaks: (frames,) largest magnitude of each frame.
        starts: (notes + 1,) first frame of each note, and the number of frames.
        notes: labels and origins.
        config: the front end.
        fingerprint: of the content.
        settings: all of the file's JSON.
    """

    path: Path
    magnitudes: np.ndarray
    peaks: np.ndarray
    starts: np.ndarray
    notes: NoteTable
    config: SpectralConfig
    fingerprint: str
    settings: dict[str, Any]

    @property
    def lengths(self) -> np.ndarray:
        """(notes,) frames of each note."""
        return np.diff(self.starts)

    @cached_property
    def note_of_frame(self) -> np.ndarray:
        """(frames,) the note that each frame belongs to."""
        return np.repeat(np.arange(len(self.lengths), dtype=np.int32), self.lengths)

    @cached_property
    def sounding(self) -> np.ndarray:
        """(frames,) bool: at most 40 dB below the note's loudest frame, and not digital silence."""
        return (self.peaks >= self._below_peak(SOUNDING_DB)) & (self.peaks > 0)

    @cached_property
    def silent(self) -> np.ndarray:
        """(frames,) bool: 60 dB or more below the note's loudest frame."""
        return (self.peaks <= self._below_peak(SILENT_DB)) | (self.peaks == 0)

    def _below_peak(self, level_db: float) -> np.ndarray:
        """(frames,) magnitude at a level relative to the loudest frame of each frame's note."""
        note_peaks = np.maximum.reduceat(self.peaks, self.starts[:-1])
        return np.repeat(note_peaks * 10 ** (level_db / 20), self.lengths)

    def notes_of(self, instrument: str) -> np.ndarray:
        """Indices of an instrument's notes.

        Raises:
            ValueError: the data set has no such instrument.
        """
        if instrument not in self.notes.instruments:
            known = ", ".join(self.notes.instruments)
            raise ValueError(f"{self.path}: no instrument '{instrument}' (it has {known})")
        return np.flatnonzero(self.notes.instrument == self.notes.instruments.index(instrument))

    def frames_in_range(self, notes: np.ndarray, frames: tuple[int, ...]) -> np.ndarray:
        """Indices into `magnitudes` of the frames of `notes` within a range of each note: () all,
        (i,) frame i, (a, b) from a to b, excluded.
        """
        begin, end = (frames[0], frames[-1]) if frames else (0, np.inf)
        if len(frames) == 1:
            end = begin + 1
        position = np.arange(len(self.peaks)) - self.starts[self.note_of_frame]
        in_range = (begin <= position) & (position < end)
        return np.flatnonzero(np.isin(self.note_of_frame, notes) & in_range)


# --- writing --------------------------------------------------------------------------------------


def write_data_set(
    path: Path | str,
    magnitudes: Iterable[np.ndarray],
    starts: np.ndarray,
    notes: NoteTable,
    config: SpectralConfig,
    built_from: dict[str, Any],
) -> None:
    """Write a data set.

    Args:
        path: the file; its folder is made where it is missing.
        magnitudes: blocks (frames of the block, bins), together starts[-1] frames.
        starts: (notes + 1,) first frame of each note, and the number of frames.
        built_from: plain values, kept in `settings`.
    Raises:
        ValueError: the blocks do not add up to starts[-1] frames.
        OSError: the file cannot be written.
    """
    shape = (int(starts[-1]), config.n_bins)
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        peaks = [np.zeros(0, np.float32)]
        n_values = 0
        with _open_member(archive, "magnitudes", np.dtype(np.float32), shape) as stream:
            for block in magnitudes:
                stream.write(np.ascontiguousarray(block, np.float32).tobytes())
                peaks.append(block.max(axis=1))
                n_values += block.size
        if n_values != shape[0] * shape[1]:
            raise ValueError(f"expected {shape[0] * shape[1]} magnitudes, got {n_values}")
        tables = vars(notes) | {"starts": starts, "peaks": np.concatenate(peaks)}
        for name in MEMBERS:
            if name in tables:
                _write_member(archive, name, tables[name])
        settings = {
            "format": FORMAT,
            "version": VERSION,
            "front_end": asdict(config),
            "classes": {label: CLASS_NAMES[label] for label in NOTE_LABELS},
            "built_from": built_from,
            "fingerprint": _fingerprint(archive),
        }
        _write_member(archive, "settings", json.dumps(settings, ensure_ascii=False))


def _write_member(archive: zipfile.ZipFile, name: str, values: Any) -> None:
    array = np.asarray(values, MEMBERS[name][0])
    with _open_member(archive, name, array.dtype, array.shape) as stream:
        stream.write(array.tobytes())


def _open_member(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype, shape: tuple[int, ...]
) -> IO[bytes]:
    """An `.npy` member to write the values of; padding of the zip entry's extra field aligns
    them.
    """
    entry = zipfile.ZipInfo(f"{name}.npy", _DATE)
    start = archive.fp.tell() + _LOCAL_HEADER + len(entry.filename) + _ZIP64_EXTRA
    padding = -(start + 4) % ALIGNMENT
    entry.extra = struct.pack("<HH", _PADDING_ID, padding) + bytes(padding)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    stream = archive.open(entry, "w", force_zip64=True)
    np.lib.format.write_array_header_1_0(stream, header)
    return stream


def _fingerprint(archive: zipfile.ZipFile) -> str:
    members = sorted(
        (entry.filename, entry.file_size, entry.CRC)
        for entry in archive.infolist()
        if entry.filename != "settings.npy"
    )
    return hashlib.sha256(json.dumps(members).encode()).hexdigest()


# --- reading --------------------------------------------------------------------------------------


def read_data_set(path: Path | str) -> DataSet:
    """Open a data set; `magnitudes: (frames, bins)` are mapped from disk, not read.

    Example:
        >>> data = lt.read_data_set("data/lt_set.npz")
        >>> flute = data.notes_of("Flute")
        >>> frames = data.magnitudes[data.starts[flute[0]] : data.starts[flute[0] + 1]]

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, no data set, or one of another version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no data set at {path} (build one with: python3 -m lt.builders SOURCE --output {path})"
        )
    try:
        arrays, fingerprint = _read_members(path)
        settings = json.loads(str(arrays["settings"]))
        if (settings["format"], settings["version"]) != (FORMAT, VERSION):
            raise ValueError(f"it is version {settings['version']}, expected {VERSION}")
        if settings["fingerprint"] != fingerprint:
            raise ValueError("it was changed after it was built: its fingerprint does not match")
        config = settings_from_dict(SpectralConfig, settings["front_end"])
        columns = {name: arrays[name] for name in NoteTable.__dataclass_fields__}
        columns["instruments"] = tuple(str(name) for name in arrays["instruments"])
        data = DataSet(
            path,
            arrays["magnitudes"],
            arrays["peaks"],
            arrays["starts"],
            NoteTable(**columns),
            config,
            fingerprint,
            settings,
        )
        _check(data)
    except _UNREADABLE as error:
        raise ValueError(
            f"{path} is damaged or no data set of this version ({error}): build it again "
            f"({DEFAULT_DATA_SET} is built by itself once it is deleted)"
        ) from error
    return data


def _read_members(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """The members by name, and the fingerprint of the content."""
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("its members are compressed, so they cannot be mapped")
        if path.stat().st_size <= CHECKED_BYTES and (damaged := archive.testzip()):
            raise ValueError(f"the checksum of {damaged} is wrong")
        fingerprint = _fingerprint(archive)
        magnitudes = _map_member(path, archive.getinfo("magnitudes.npy"))
    with np.load(path, allow_pickle=False) as members:
        arrays = {name: members[name] for name in MEMBERS if name != "magnitudes"}
    arrays["magnitudes"] = magnitudes
    for name, (dtype, n_axes) in MEMBERS.items():
        kinds = "iu" if dtype is np.int64 else np.dtype(dtype).kind
        if arrays[name].dtype.kind not in kinds or arrays[name].ndim != n_axes:
            raise ValueError(f"its {name} are {arrays[name].dtype} with {arrays[name].ndim} axes")
    return arrays, fingerprint


def _map_member(path: Path, entry: zipfile.ZipInfo) -> np.ndarray:
    """Map a member, an array of float32, by its offset in the file."""
    with open(path, "rb") as stream:
        stream.seek(entry.header_offset)
        name_length, extra_length = struct.unpack("<HH", stream.read(_LOCAL_HEADER)[26:30])
        stream.seek(name_length + extra_length, 1)
        np.lib.format.read_magic(stream)
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        # mapped objects would be pointers that the author of the file has set
        if dtype != np.float32 or by_columns:
            raise ValueError(f"its {entry.filename} is not float32 by rows")
        return np.memmap(path, dtype, "r", stream.tell(), shape)


def _check(data: DataSet) -> None:
    """Raise a ValueError where tables contradict each other."""
    notes, n_frames = data.notes, data.starts[-1]
    n_classes = [N_CLASSES[label] for label in NOTE_LABELS]
    columns = (notes.labels, notes.instrument, notes.group, notes.fold, notes.sources, notes.cents)
    wrong = {
        "it has no notes": len(data.lengths) < 1,
        "tables have different lengths": {len(data.lengths)} != set(map(len, columns)),
        "a label is outside its classes": not _in_range(notes.labels, n_classes),
        "a note is of no instrument": not _in_range(notes.instrument, len(notes.instruments)),
        "note boundaries are not increasing": data.starts[0] != 0 or (data.lengths < 1).any(),
        "magnitudes are negative, infinite or NaN": not _in_range(data.peaks, np.inf),
        "peaks and magnitudes are not one a frame": data.peaks.shape != (n_frames,)
        or data.magnitudes.shape != (n_frames, data.config.n_bins),
    }
    reasons = [reason for reason, found in wrong.items() if found]
    if reasons:
        raise ValueError("; ".join(reasons))


def _in_range(values: np.ndarray, end: Any) -> bool:
    """Whether all values are at least 0 and below `end`; NaN are not."""
    return bool(((values >= 0) & (values < end)).all())
