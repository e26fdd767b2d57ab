"""Sound files: any rate, width and number of channels in, mono float32 at one rate out; 24-bit
files written.

Reading is by blocks throughout, so an hour-long file needs no more memory than a short one, and
reading it whole is the same blocks put together. Resampling is soxr's, which keeps its state from
block to block.

Names: `audio: (samples,)` float32, full scale at 1; `sample_rate` in hertz.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from lt.files import atomic_path

SAMPLE_RATE = 22050
LOWEST_RATE = (
    1000  # hertz: below, a file of some kilobytes would be hours of no sound that anybody hears
)
HIGHEST_RATE = 1_000_000  # above, a block of some seconds would fill the memory
LOUDEST = 1e4  # 80 dB above full scale: no float file of a sound has such samples
READABLE = (".wav", ".flac", ".mp3", ".ogg", ".aiff", ".aif")


def read_audio(path: str | Path, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Read a sound file whole -> (samples,) float32, channels averaged, resampled to `sample_rate`.

    n samples at rate r become ceil(n * sample_rate / r), at least one.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: as the words say.
        ValueError: not a sound file, no samples in it, or NaN or infinite ones.
    """
    return np.concatenate(list(stream_audio(path, sample_rate)))


def stream_audio(
    path: str | Path, sample_rate: int = SAMPLE_RATE, block_seconds: float = 10.0
) -> Iterator[np.ndarray]:
    """Read a sound file block by block -> (samples,) float32 arrays of about `block_seconds`,
    bounded memory.

    The blocks put together are `read_audio`'s result. The file is opened at once, so that an
    unreadable one is an error of this call; NaN show up when their block is reached.

    Raises:
        as `read_audio`.
    """
    file = _open(Path(path))
    return _resampled(file, str(path), sample_rate, max(1, round(block_seconds * file.samplerate)))


def audio_seconds(path: str | Path) -> float:
    """Duration by the file's header. Raises as `read_audio`."""
    with _open(Path(path)) as file:
        return file.frames / file.samplerate


def needs_conversion(path: str | Path, sample_rate: int = SAMPLE_RATE) -> bool:
    """Whether a file has another rate, or more than one channel, so that reading changes it. Raises
    as `read_audio`.
    """
    with _open(Path(path)) as file:
        return file.samplerate != sample_rate or file.channels > 1


def _open(path: Path) -> soundfile.SoundFile:
    """Open a sound file, or say in a sentence why not."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a sound file; name a file in it")
    if not path.exists():
        raise FileNotFoundError(f"the sound file {path} does not exist; check its path")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"the sound file {path} may not be read; check its permissions")
    if path.stat().st_size == 0:
        raise ValueError(f"the sound file {path} is empty (0 bytes); give another")
    try:
        file = soundfile.SoundFile(_name(path))
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a headerless .raw file
        raise ValueError(
            f"{path} is not a sound file that can be read (wav, flac, ogg, mp3 or aiff): "
            f"{getattr(error, 'error_string', 'no header')}"
        ) from None
    if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
        file.close()
        raise ValueError(
            f"the sound file {path} has {file.samplerate} samples a second, which is no sound; "
            "export it again"
        )
    return file


def _name(path: Path) -> Path | bytes:
    """A path as the system has it: names of files need not be text."""
    return os.fsencode(path) if os.name == "posix" else path


def _resampled(
    file: soundfile.SoundFile, name: str, sample_rate: int, block: int
) -> Iterator[np.ndarray]:
    """Mono blocks of an open file at `sample_rate`, of exactly the length that `read_audio` states."""
    resampler = soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32")
    n_read, n_given = 0, 0
    for mono in _mono_blocks(file, name, block):
        n_read += len(mono)
        resampled = mono if file.samplerate == sample_rate else resampler.resample_chunk(mono)
        n_given += len(resampled)
        if len(resampled):
            yield resampled
    tail = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    n_left = max(math.ceil(n_read * sample_rate / file.samplerate), 1) - n_given
    if (
        n_left > 0
    ):  # the resampler rounds its length, down too; what is missing is less than a sample
        yield np.pad(tail[:n_left], (0, n_left - len(tail[:n_left])))


def _mono_blocks(file: soundfile.SoundFile, name: str, block: int) -> Iterator[np.ndarray]:
    """The samples of an open file, channels averaged, checked; closes the file."""
    with file:
        n_read = 0
        while True:
            try:
                samples = file.read(block, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise ValueError(
                    f"the sound file {name} is damaged: {error.error_string}"
                ) from None
            if not len(samples):
                break
            n_read += len(samples)
            mono = samples.mean(axis=1, dtype=np.float32)
            if not np.isfinite(mono).all():
                raise ValueError(
                    f"the sound file {name} holds NaN or infinite samples; export it again"
                )
            if _peak(mono) > LOUDEST:
                raise ValueError(
                    f"the sound file {name} is louder than any sound (a peak of {_peak(mono):.0e} "
                    "where 1 "
                    "is full scale); export it again"
                )
            yield mono
        if not n_read:
            raise ValueError(f"the sound file {name} holds no samples; give another")


def write_audio(
    path: str | Path, audio: np.ndarray, sample_rate: int = SAMPLE_RATE, format: str | None = None
) -> None:
    """Write (samples,) as a 24-bit file, whole or not at all; equal samples give equal bytes.

    Arguments:
        format: `wav` or `flac`; by default what the suffix of `path` says.
    Raises:
        ValueError: another format, not one-dimensional, empty, NaN, or beyond full scale (see
        `to_peak`). OSError: the file cannot be written.
    """
    format = (format or Path(path).suffix.lstrip(".")).lower()
    if format not in ("wav", "flac"):
        raise ValueError(f"sound is written as wav or flac, not as '{format}' ({path})")
    audio = np.asarray(audio, dtype=np.float32)
    if audio.ndim != 1 or not len(audio):
        raise ValueError(f"expected samples of shape (samples,) for {path}, got {audio.shape}")
    if not np.isfinite(_peak(audio)):
        raise ValueError(
            f"the sound for {path} holds NaN or infinite samples, so it was not written"
        )
    if _peak(audio) > 1:
        raise ValueError(f"the sound for {path} passes full scale (peak {_peak(audio):.2f})")
    with atomic_path(path) as temporary:
        try:
            soundfile.write(
                _name(temporary), audio, sample_rate, subtype="PCM_24", format=format.upper()
            )
        except soundfile.LibsndfileError as error:  # it does not say what the system said
            raise OSError(
                f"{path} cannot be written (is the disk full?): {error.error_string}"
            ) from error


def to_peak(audio: np.ndarray, peak_dbfs: float = -1.0) -> np.ndarray:
    """Turn (samples,) down, in place, so that its peak stays at or below `peak_dbfs`; never up."""
    limit = 10 ** (peak_dbfs / 20)
    peak = _peak(audio)
    return audio if peak <= limit else np.multiply(audio, limit / peak, out=audio)


def _peak(audio: np.ndarray) -> float:
    """The largest magnitude, NaN where there is one; without a copy, which of an hour is a third of
    a gigabyte.
    """
    return float(np.maximum(audio.max(initial=0.0), -audio.min(initial=0.0)))
