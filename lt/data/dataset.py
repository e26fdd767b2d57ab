"""Data sets: spectra of single notes with their labels, in one `.npz` file.

`np.load(path, allow_pickle=False)` reads the file. Its members are not compressed and aligned to 64
bytes, so that `magnitudes` is mapped from disk by offset and may be larger than memory.

    magnitudes   (frames, subframes, bins) float32
                                          notes one after another; a model frame is the mean of its
                                          subframes
    starts       (notes + 1,) int64       note n is frames starts[n] to starts[n + 1]
    labels       (notes, 3) int64         octave, pitch, dynamics
    instrument   (notes,) int64           index into `instruments`
    instruments  (instruments,) str
    group        (notes,) int64           repetitions of one note, which a split keeps together
    fold         (notes,) int64           the publisher's fold, or -1
    cents        (notes,) float32         tuning of the sound above its label, NaN where unknown
    onset        (notes,) float32         seconds from the begin of the note's first frame
    release      (notes,) float32         note-off, likewise; inf where the note is not released
                                          within its frames
    sources      (notes,) str             a file, or font:[bank:]program:number:velocity
    peaks        (frames,) float32        the largest magnitude of each model frame
    settings     () str                   JSON: format, version, front end, class names, how it was
                                          built, fingerprint

Onsets and releases that are NaN are estimated on reading (`lt.data.note_times`). Version 2 had one
subframe, `magnitudes (frames, bins)`, and no `onset` and `release`; its files are read as well.

The fingerprint is the SHA-256 of the other members' names, sizes and CRC-32s. Files are written
whole or not at all, and equal content gives equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import struct
import tokenize
import zipfile
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Iterable

import numpy as np

from lt.config import DEFAULT_DATA_SET, NOTE_LABELS, SpectralConfig, front_end_from_dict
from lt.data.note_times import estimate_onset, estimate_release
from lt.files import atomic_path
from lt.html import html_table
from lt.labels import (
    CLASS_NAMES,
    N_CLASSES,
    age_class,
    number_to_note_name,
    octave_pitch_to_note_number,
)
from lt.messages import counted

FORMAT = "latent-transcription data set"
VERSION = 3
SUMMARY_SUFFIX = ".files.csv"  # of the list of files that a build writes, in place of .npz
READABLE = (2, 3)  # 1 had low-frequency noise in its spectra
# Relative to the loudest frame of a note. Between the two it dies away: some call these frames the
# note, some silence, so they are used neither for training nor for evaluation.
SOUNDING_DB = -40.0
SILENT_DB = -60.0
# Members in the order of the file: dtype and number of axes. On reading, any float or integer type.
MEMBERS = {
    "magnitudes": (np.float32, 3),
    "starts": (np.int64, 1),
    "labels": (np.int64, 2),
    "instrument": (np.int64, 1),
    "instruments": (np.str_, 1),
    "group": (np.int64, 1),
    "fold": (np.int64, 1),
    "cents": (np.float32, 1),
    "onset": (np.float32, 1),
    "release": (np.float32, 1),
    "sources": (np.str_, 1),
    "peaks": (np.float32, 1),
    "settings": (np.str_, 0),
}
SINCE_3 = ("onset", "release")
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
        onset, release: (notes,) seconds from the begin of the note's first frame; a release is inf
            where the note is not released within its frames. NaN where unknown, as by default: then
            they are estimated when the data set is read.
    """

    labels: np.ndarray
    instrument: np.ndarray
    instruments: tuple[str, ...]
    group: np.ndarray
    fold: np.ndarray
    sources: np.ndarray
    cents: np.ndarray | None = None
    onset: np.ndarray | None = None
    release: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("cents", "onset", "release"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.full(len(self.labels), np.nan, np.float32))


@dataclass(frozen=True)
class DataSet:
    """A data set on disk.

    Attributes:
        path: the file.
        magnitudes: (frames, subframes, bins) float32, mapped: read when indexed.
        peaks: (frames,) largest magnitude of each model frame.
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

    def __repr__(self) -> str:
        notes, frames = counted(len(self.lengths), "note"), counted(int(self.starts[-1]), "frame")
        return f"DataSet({self.path}: {notes} of {', '.join(self.notes.instruments)}, {frames})"

    def _repr_html_(self) -> str:
        """For notebooks: the notes of each instrument."""
        numbers = octave_pitch_to_note_number(*self.notes.labels[:, :2].T)
        rows = []
        for index, name in enumerate(self.notes.instruments):
            own = self.notes.instrument == index
            if own.any():
                ends = (number_to_note_name(end(numbers[own])) for end in (np.min, np.max))
                dynamics = np.unique(self.notes.labels[own, 2])
                names = " ".join(CLASS_NAMES["dynamics"][value] for value in dynamics)
                rows.append((name, own.sum(), " to ".join(ends), names, self.lengths[own].sum()))
        return html_table(str(self.path), rows, ("", "notes", "range", "dynamics", "frames"))

    def frames(self, indices: np.ndarray | slice) -> np.ndarray:
        """Magnitudes (n, bins) of model frames: the means over their subframes.

        Args:
            indices: (n,) of frames, or a slice of them.
        """
        chosen = self.magnitudes[indices]
        means = chosen[:, 0] if chosen.shape[1] == 1 else chosen.mean(axis=1)
        return np.require(means, requirements="W")  # the map itself cannot be written to

    def rows(self, note: int) -> slice:
        """The frames of a note."""
        return slice(int(self.starts[note]), int(self.starts[note + 1]))

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
        """(frames,) bool: at most 40 dB below the note's loudest frame, not digital silence, and
        not before the note's onset, where filters ring already.
        """
        return (self.peaks >= self._below_peak(SOUNDING_DB)) & (self.peaks > 0) & self.begun

    @cached_property
    def silent(self) -> np.ndarray:
        """(frames,) bool: 60 dB below the note's loudest frame, and not before its onset."""
        return ((self.peaks <= self._below_peak(SILENT_DB)) | (self.peaks == 0)) & self.begun

    @cached_property
    def begun(self) -> np.ndarray:
        """(frames,) bool: not before the onset of the frame's note."""
        return np.arange(len(self.peaks)) >= np.repeat(
            self.starts[:-1] + self.n_before, self.lengths
        )

    @property
    def n_before(self) -> np.ndarray:
        """(notes,) frames before the onset."""
        onset = np.nan_to_num(self.notes.onset)
        return np.round(onset / self.config.frame_seconds).astype(np.int64)

    def _below_peak(self, level_db: float) -> np.ndarray:
        """(frames,) magnitude at a level relative to the loudest frame of each frame's note."""
        note_peaks = np.maximum.reduceat(self.peaks, self.starts[:-1])
        return np.repeat(note_peaks * 10 ** (level_db / 20), self.lengths)

    @cached_property
    def age(self) -> np.ndarray:
        """(frames,) class of age at the centre of each frame."""
        note = self.note_of_frame
        since_start = np.arange(len(self.peaks)) - self.starts[note] + 0.5
        seconds = since_start * self.config.frame_seconds
        since_onset = seconds - self.notes.onset[note]
        return age_class(since_onset, seconds - self.notes.release[note])

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
        """Indices of the frames of `notes` within a range of each note, counted from its onset: ()
        all, those before it included, (i,) frame i, (a, b) from a to b, excluded. Sets of version 2
        are counted from their first frames.
        """
        begin, end = (frames[0], frames[-1]) if frames else (-np.inf, np.inf)
        if len(frames) == 1:
            end = begin + 1
        first = self.starts[:-1] + (self.n_before if self.settings["version"] >= 3 else 0)
        position = np.arange(len(self.peaks)) - first[self.note_of_frame]
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
        magnitudes: blocks (frames of the block, subframes, bins), together starts[-1] frames.
        starts: (notes + 1,) first frame of each note, and the number of frames.
        built_from: plain values, kept in `settings`.
    Raises:
        ValueError: the blocks do not add up to starts[-1] frames.
        OSError: the file cannot be written.
    """
    shape = int(starts[-1]), config.subframes, config.n_bins
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        peaks = _write_magnitudes(archive, magnitudes, shape)
        tables = vars(notes) | {"starts": starts, "peaks": peaks}
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


def _write_magnitudes(
    archive: zipfile.ZipFile, blocks: Iterable[np.ndarray], shape: tuple[int, int, int]
) -> np.ndarray:
    """Write the blocks, together of `shape: (frames, subframes, bins)`; the peaks (frames,)."""
    peaks = [np.zeros(0, np.float32)]
    n_frames = 0
    with _open_member(archive, "magnitudes", np.dtype(np.float32), shape) as stream:
        for block in blocks:
            if block.shape[1:] != shape[1:]:
                raise ValueError(
                    f"expected {shape[1]} x {shape[2]} magnitudes a frame, got "
                    f"{' x '.join(map(str, block.shape[1:]))}"
                )
            block = np.ascontiguousarray(block, np.float32)
            stream.write(block.tobytes())
            peaks.append(block.mean(axis=1).max(axis=1))
            n_frames += len(block)
    if n_frames != shape[0]:
        raise ValueError(f"expected {shape[0]} frames, got {n_frames}")
    return np.concatenate(peaks)


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
    """Open a data set; `magnitudes: (frames, subframes, bins)` are mapped from disk, not read.

    Example:
        >>> data = lt.read_data_set("data/lt_set.npz")
        >>> note = data.notes_of("Flute")[0]
        >>> frames = data.frames(data.rows(note))  # (frames, bins)

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
        data = _read(path)
    except _UNREADABLE as error:
        raise ValueError(
            f"{path} is damaged or no data set of this version ({error}): build it again "
            f"({DEFAULT_DATA_SET} is built by itself once it is deleted)"
        ) from error
    return data


def _read(path: Path) -> DataSet:
    arrays, settings, fingerprint = _read_members(path)
    config = front_end_from_dict(settings["front_end"])
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
    data = replace(data, notes=_with_times(data))
    _check_times(data)
    return data


def _read_members(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any], str]:
    """The members by name as this version has them, the settings, and the fingerprint of the
    content.
    """
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("its members are compressed, so they cannot be mapped")
        if path.stat().st_size <= CHECKED_BYTES and (damaged := archive.testzip()):
            raise ValueError(f"the checksum of {damaged} is wrong")
        fingerprint = _fingerprint(archive)
        magnitudes = _map_member(path, archive.getinfo("magnitudes.npy"))
    with np.load(path, allow_pickle=False) as members:
        settings = json.loads(str(members["settings"]))
        if settings["format"] != FORMAT or settings["version"] not in READABLE:
            raise ValueError(f"it is version {settings['version']}, expected {VERSION}")
        if settings["fingerprint"] != fingerprint:
            raise ValueError("it was changed after it was built: its fingerprint does not match")
        absent = SINCE_3 if settings["version"] < 3 else ()
        arrays = {name: members[name] for name in MEMBERS if name not in (*absent, "magnitudes")}
    if settings["version"] < 3 and magnitudes.ndim == 2:
        magnitudes = magnitudes[:, None]
    unknown = np.full(len(arrays["labels"]), np.nan, np.float32)
    arrays |= {"magnitudes": magnitudes, **dict.fromkeys(absent, unknown)}
    for name, (dtype, n_axes) in MEMBERS.items():
        kinds = "iu" if dtype is np.int64 else np.dtype(dtype).kind
        if arrays[name].dtype.kind not in kinds or arrays[name].ndim != n_axes:
            raise ValueError(f"its {name} are {arrays[name].dtype} with {arrays[name].ndim} axes")
    return arrays, settings, fingerprint


def _with_times(data: DataSet) -> NoteTable:
    """The notes, with estimates of the onsets and releases that are not known."""
    notes, seconds = data.notes, data.config.frame_seconds
    onset, release = notes.onset.copy(), notes.release.copy()
    for n in np.flatnonzero(np.isnan(onset) | np.isnan(release)):
        frames = data.rows(n)
        if np.isnan(onset[n]):
            onset[n] = estimate_onset(data.sounding[frames]) * seconds
        if np.isnan(release[n]):
            first = int(round(float(onset[n]) / seconds))
            release[n] = estimate_release(data.peaks[frames], first, seconds, SILENT_DB) * seconds
    return replace(notes, onset=onset, release=release)


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
    columns = [getattr(notes, name) for name in vars(notes) if name != "instruments"]
    wrong = {
        "it has no notes": len(data.lengths) < 1,
        "tables have different lengths": {len(data.lengths)} != set(map(len, columns)),
        "a label is outside its classes": not _in_range(notes.labels, n_classes),
        "a note is of no instrument": not _in_range(notes.instrument, len(notes.instruments)),
        "note boundaries are not increasing": data.starts[0] != 0 or (data.lengths < 1).any(),
        "magnitudes are negative, infinite or NaN": not _in_range(data.peaks, np.inf),
        "peaks and magnitudes are not one a frame": data.peaks.shape != (n_frames,)
        or data.magnitudes.shape != (n_frames, data.config.subframes, data.config.n_bins),
    }
    reasons = [reason for reason, found in wrong.items() if found]
    if reasons:
        raise ValueError("; ".join(reasons))


def _check_times(data: DataSet) -> None:
    """Raise a ValueError where a note's times cannot be."""
    notes = data.notes
    if not ((notes.onset >= 0) & (notes.onset < data.lengths * data.config.frame_seconds)).all():
        raise ValueError("an onset is not within the frames of its note")
    if not (notes.release >= notes.onset).all():
        raise ValueError("a note is released before its onset")


def _in_range(values: np.ndarray, end: Any) -> bool:
    """Whether all values are at least 0 and below `end`; NaN are not."""
    return bool(((values >= 0) & (values < end)).all())
