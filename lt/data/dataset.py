"""Data sets: frames of whole notes with their labels, and which of them sound. How they lie in a
file is told in `lt.data.dataset`.

The data set file, written whole and read with care.

A data set is one `.npz` that `np.load(path, allow_pickle=False)` reads. Its members lie
uncompressed and 64-byte aligned, so `magnitudes` is mapped from disk by offset and a set larger
than memory can be used.

    magnitudes   (frames, bins) float32   notes one after another
    peaks        (frames,) float32        the largest magnitude of each frame
    starts       (notes + 1,) int64       note n is frames starts[n] to starts[n + 1]
    labels       (notes, 3) int64         octave, pitch, dynamics
    instrument   (notes,) int64           index into `instruments`
    instruments  (instruments,) str
    group        (notes,) int64           takes of one note share a group; a split keeps it together
    fold         (notes,) int64           the publisher's fold, or -1
    cents        (notes,) float32         deviation of the sound from its label, NaN where it is not known
    sources      (notes,) str             where the note came from: a file, or font:program:number:velocity
    settings     () str                   JSON: format, version, front end, class names, how it was built,
                                          fingerprint
The fingerprint is the SHA-256 of the other members' names, sizes and CRC-32s.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Iterable

import numpy as np

from lt.config import DEFAULT_DATA_SET, SpectralConfig, settings_from_dict
from lt.files import atomic_path
from lt.labels import CLASS_NAMES, LABELS, N_CLASSES

SOUNDING_DB, SILENT_DB = (
    -40.0,
    -60.0,
)  # relative to their note's loudest frame; between them a note rings


@dataclass(frozen=True)
class NoteTable:
    """The notes of a data set, a row a note.

    Attributes:
        labels: (notes, 3) octave, pitch, dynamics.
        instrument: (notes,) index into `instruments`.
        instruments: names.
        group: (notes,) takes of one note share one. fold: (notes,) the publisher's, or -1.
        sources: (notes,) str.
        cents: (notes,) deviation of the sound from its label, NaN (also if not given) where it is
            not known.
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
    """A data set on disk; `magnitudes` stays there until it is read.

    Attributes:
        path: the file. magnitudes: (frames, bins) mapped. peaks: (frames,). starts: (notes + 1,).
            notes: NoteTable.
        config: the front end. fingerprint: of the content. settings: all of the file's JSON.
    """

    path: Path
    magnitudes: np.ndarray
    peaks: np.ndarray
    starts: np.ndarray
    notes: NoteTable
    config: SpectralConfig
    fingerprint: str
    settings: dict[str, object]

    @property
    def lengths(self) -> np.ndarray:
        """(notes,) frames of each note."""
        return np.diff(self.starts)

    @cached_property
    def sounding(self) -> np.ndarray:
        """(frames,) bool: not more than 40 dB below the note's loudest frame, and not digital
        silence.
        """
        return (self.peaks >= self._below_peak(SOUNDING_DB)) & (self.peaks > 0)

    @cached_property
    def silent(self) -> np.ndarray:
        """(frames,) bool: 60 dB or more below the note's loudest frame. Frames between the two
        ring: some call them the note, some silence, so they are neither learnt from nor judged.
        """
        return (self.peaks <= self._below_peak(SILENT_DB)) | (self.peaks == 0)

    def _below_peak(self, level_db: float) -> np.ndarray:
        """(frames,) magnitude so many dB from the loudest of each frame's note."""
        note_peaks = np.maximum.reduceat(self.peaks, self.starts[:-1])
        return np.repeat(note_peaks * 10 ** (level_db / 20), self.lengths)

    @cached_property
    def note_of_frame(self) -> np.ndarray:
        """(frames,) the note that each frame belongs to."""
        return np.repeat(np.arange(len(self.lengths), dtype=np.int32), self.lengths)

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


FORMAT, VERSION = "latent-transcription data set", 2  # 1 had rumble in its spectra
# Members, and what kind of array each is: its dtype's kinds and its number of axes.
MEMBERS = {
    "magnitudes": ("f", 2),
    "peaks": ("f", 1),
    "starts": ("i", 1),
    "labels": ("iu", 2),
    "instrument": ("iu", 1),
    "instruments": ("U", 1),
    "group": ("iu", 1),
    "fold": ("iu", 1),
    "cents": ("f", 1),
    "sources": ("U", 1),
    "settings": ("U", 0),
}
ALIGNMENT = 64  # bytes
CHECKED_BYTES = 1 << 30  # the content of larger files is not checked against its checksums
_DATE = (1980, 1, 1, 0, 0, 0)  # one date in every file: equal content, equal bytes
_LOCAL_HEADER = 30  # bytes of a zip entry's fixed header
_ZIP64_EXTRA = 20  # bytes that zipfile adds for a member of unbounded size
_PADDING_ID = 0xD935  # extra field for alignment, as zipalign writes it


# --- writing --------------------------------------------------------------------------------------


def write_data_set(
    path: Path | str,
    magnitudes: Iterable[np.ndarray],
    starts: np.ndarray,
    notes: NoteTable,
    config: SpectralConfig,
    built_from: dict[str, object],
) -> None:
    """Write a data set, whole or not at all; equal content gives equal bytes.

    Args:
        magnitudes: blocks (frames of the block, bins); together starts[-1] frames.
        built_from: plain values kept in `settings` under `built_from`.
    Raises:
        ValueError: the blocks do not add up to starts[-1] frames. OSError: it cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        "starts": np.asarray(starts, np.int64),
        "labels": np.asarray(notes.labels, np.int64),
        "instrument": np.asarray(notes.instrument, np.int64),
        "instruments": np.asarray(notes.instruments, str),
        "group": np.asarray(notes.group, np.int64),
        "fold": np.asarray(notes.fold, np.int64),
        "cents": np.asarray(notes.cents, np.float32),
        "sources": np.asarray(notes.sources, str),
    }
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        peaks: list[np.ndarray] = []
        _write_member(
            archive,
            "magnitudes",
            (int(starts[-1]), config.n_bins),
            np.dtype(np.float32),
            _watching_peaks(magnitudes, peaks),
        )
        arrays["peaks"] = np.concatenate(peaks, dtype=np.float32)
        for name, array in arrays.items():
            _write_member(archive, name, array.shape, array.dtype, [array])
        settings = {
            "format": FORMAT,
            "version": VERSION,
            "front_end": asdict(config),
            "classes": CLASS_NAMES,
            "built_from": built_from,
            "fingerprint": _fingerprint(archive),
        }
        text = np.asarray(json.dumps(settings, ensure_ascii=False))
        _write_member(archive, "settings", text.shape, text.dtype, [text])


def _watching_peaks(blocks: Iterable[np.ndarray], peaks: list[np.ndarray]) -> Iterable[np.ndarray]:
    """Pass blocks on, keeping the largest magnitude of each of their frames."""
    for block in blocks:
        peaks.append(block.max(axis=1))
        yield block


def _write_member(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    blocks: Iterable[np.ndarray],
) -> None:
    """One `.npy` member, its data aligned by padding the zip entry's extra field."""
    entry = zipfile.ZipInfo(f"{name}.npy", _DATE)
    start = archive.fp.tell() + _LOCAL_HEADER + len(entry.filename) + _ZIP64_EXTRA
    padding = -(start + 4) % ALIGNMENT
    entry.extra = struct.pack("<HH", _PADDING_ID, padding) + bytes(padding)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    written = 0
    with archive.open(entry, "w", force_zip64=True) as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for block in blocks:
            written += block.size
            stream.write(np.ascontiguousarray(block, dtype).tobytes())
    if written != int(np.prod(shape)):
        raise ValueError(f"{name}: expected {int(np.prod(shape))} values, got {written}")


def _fingerprint(archive: zipfile.ZipFile) -> str:
    """SHA-256 of names, sizes and CRC-32s of all members but `settings`, from the zip's directory."""
    members = sorted(
        (entry.filename, entry.file_size, entry.CRC)
        for entry in archive.infolist()
        if entry.filename != "settings.npy"
    )
    return hashlib.sha256(json.dumps(members).encode()).hexdigest()


# --- reading --------------------------------------------------------------------------------------


def read_data_set(path: Path | str) -> DataSet:
    """Open a data set; `magnitudes` are mapped, not read.

    Raises:
        FileNotFoundError: no such file. ValueError: it is damaged, foreign, or of another version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no data set at {path} (build one with: python3 -m lt.builders SOURCE --output {path})"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            names, fingerprint = archive.namelist(), _fingerprint(archive)
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise zipfile.BadZipFile("its members are compressed, so they cannot be mapped")
            if path.stat().st_size <= CHECKED_BYTES and (damaged := archive.testzip()):
                raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
    except (zipfile.BadZipFile, EOFError, struct.error) as error:
        raise ValueError(f"{path} is damaged or no data set ({error})") from error
    missing = [name for name in MEMBERS if f"{name}.npy" not in names]
    if missing:
        raise ValueError(f"{path} is no data set of this project (no member {missing[0]})")
    try:
        with np.load(path, allow_pickle=False) as members:
            arrays = {name: members[name] for name in MEMBERS if name != "magnitudes"}
        arrays["magnitudes"] = _map_member(path, "magnitudes.npy")
        for name, (kinds, n_axes) in MEMBERS.items():
            if arrays[name].dtype.kind not in kinds or arrays[name].ndim != n_axes:
                raise ValueError(
                    f"its {name} are {arrays[name].dtype} with {arrays[name].ndim} axes"
                )
    except (
        zipfile.BadZipFile,
        EOFError,
        ValueError,
        TypeError,
        OverflowError,
        struct.error,
    ) as error:
        raise ValueError(f"{path} is damaged ({error}): build it again") from error
    settings, config = _read_settings(path, str(arrays["settings"]), fingerprint)
    notes = NoteTable(
        arrays["labels"],
        arrays["instrument"],
        tuple(str(name) for name in arrays["instruments"]),
        arrays["group"],
        arrays["fold"],
        arrays["sources"],
        arrays["cents"],
    )
    data = DataSet(
        path,
        arrays["magnitudes"],
        arrays["peaks"],
        arrays["starts"],
        notes,
        config,
        fingerprint,
        settings,
    )
    _check_shapes(data)
    return data


def _read_settings(
    path: Path, text: str, fingerprint: str
) -> tuple[dict[str, object], SpectralConfig]:
    try:
        settings = json.loads(text)
        format_, version, stored = (settings[key] for key in ("format", "version", "fingerprint"))
        config = (
            settings_from_dict(SpectralConfig, settings["front_end"])
            if version == VERSION
            else SpectralConfig()
        )
        if not config.n_bins > 0:
            raise ValueError("a scale without bands")
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise ValueError(
            f"{path} is no data set of this project (its settings cannot be read)"
        ) from error
    if format_ != FORMAT or version != VERSION:
        raise ValueError(
            f"{path} is of format '{format_}' version {version}, expected '{FORMAT}' version "
            f"{VERSION}: "
            f"build it again ({DEFAULT_DATA_SET} is built by itself once it is deleted)"
        )
    if stored != fingerprint:
        raise ValueError(
            f"{path} was changed after it was built (its fingerprint does not match): build it "
            "again"
        )
    return settings, config


def _map_member(path: Path, name: str) -> np.ndarray:
    """Map a member of an `.npz`, an array of float32, by its offset in the file."""
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(name)
    with open(path, "rb") as stream:
        stream.seek(entry.header_offset)
        name_length, extra_length = struct.unpack("<HH", stream.read(_LOCAL_HEADER)[26:30])
        stream.seek(name_length + extra_length, 1)
        np.lib.format.read_magic(stream)
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        if (
            dtype != np.float32 or by_columns
        ):  # mapped objects would be pointers that the file's author chose
            raise ValueError(f"member {name} is not float32 by rows")
        return np.memmap(path, dtype, "r", stream.tell(), shape)


def _check_shapes(data: DataSet) -> None:
    n_notes, notes = len(data.starts) - 1, data.notes
    columns = (notes.labels, notes.instrument, notes.group, notes.fold, notes.sources, notes.cents)
    lengths = {len(column) for column in columns}
    if n_notes < 1 or lengths != {n_notes}:
        raise ValueError(f"{data.path} holds no notes, or tables of unlike length")
    if (notes.labels < 0).any() or (notes.labels >= [N_CLASSES[label] for label in LABELS]).any():
        raise ValueError(f"{data.path}: a label is outside its classes")
    if (notes.instrument < 0).any() or (notes.instrument >= len(notes.instruments)).any():
        raise ValueError(f"{data.path}: a note is of no instrument")
    if data.starts[0] != 0 or (np.diff(data.starts) < 1).any():
        raise ValueError(f"{data.path}: note boundaries are not increasing")
    if not (np.isfinite(data.peaks) & (data.peaks >= 0)).all():
        raise ValueError(f"{data.path}: magnitudes that are negative, infinite or NaN")
    if data.peaks.shape != data.starts[-1:]:
        raise ValueError(
            f"{data.path}: expected {data.starts[-1]} frame peaks, got {len(data.peaks)}"
        )
    if data.magnitudes.shape != (data.starts[-1], data.config.n_bins):
        raise ValueError(
            f"{data.path}: expected magnitudes of {data.starts[-1]} x {data.config.n_bins}, "
            f"got {' x '.join(map(str, data.magnitudes.shape))}"
        )
