"""Sound files: any sample rate, sample width and number of channels in, mono float32 at one rate
out; 24-bit files written, or MP3 for pages.

Files are read by blocks, so that an hour takes no more memory than a second; reading a file whole
concatenates the same blocks. Resampling is soxr's, which keeps its state from block to block.

Names: `audio: (samples,)` float32 with full scale at 1; `sample_rate` in hertz.
"""

from __future__ import annotations

import io
import logging
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile
import soxr

from lt.audio.containers import open_sound, seconds_cut_off, system_name
from lt.config import SoundFileConfig, SpectralConfig, TrimConfig
from lt.files import atomic_path

logger = logging.getLogger(__name__)

CONFIG = SoundFileConfig()
SAMPLE_RATE = SpectralConfig.sample_rate
LOWEST_RATE = 1000  # hertz; below, a file of some kilobytes would take hours to process
HIGHEST_RATE = 1_000_000  # hertz; above, a block of some seconds would fill the memory
LARGEST_SAMPLE = 1e4  # 80 dB above full scale, which no recording reaches


def read_audio(path: str | Path, sample_rate: float = SAMPLE_RATE) -> np.ndarray:
    """Read a sound file whole, average its channels and resample it.

    Returns:
        (samples,) float32, full scale at 1; n samples at rate r become
        max(1, ceil(n * sample_rate / r)).

    Example:
        >>> lt.write_audio("tone.wav", np.sin(np.arange(44100) / 10), 44100)
        >>> lt.read_audio("tone.wav").shape
        (22050,)

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: the file cannot be opened.
        ValueError: it is not a sound file, has no samples, or samples that are NaN, infinite or far
            beyond full scale.
    """
    return np.concatenate(list(stream_audio(path, sample_rate)))


def stream_audio(
    path: str | Path, sample_rate: float = SAMPLE_RATE, block_seconds: float = 10.0
) -> Iterator[np.ndarray]:
    """Read a sound file block by block: (samples,) float32 arrays of about `block_seconds`.

    The blocks put together are the result of `read_audio`. The file is opened by this call, so an
    unreadable one raises here, as `read_audio` does; bad samples raise when their block is reached.
    A file that was cut off, or whose channels cancel one another, is logged.
    """
    path = Path(path)
    channel = _heard_channel(_compared_blocks(path))
    if channel is not None:
        logger.warning("%s: its channels cancel one another; one is heard", path)
    file = _open(path)
    block = max(1, round(block_seconds * file.samplerate))
    return _resampled(file, path, sample_rate, block, channel)


def audio_seconds(path: str | Path) -> float:
    """Duration by the file's header. Raises as `read_audio`."""
    with _open(Path(path)) as file:
        return file.frames / file.samplerate


def file_sample_rate(path: str | Path) -> int:
    """Samples a second of a sound file, by its header. Raises as `read_audio`."""
    with _open(Path(path)) as file:
        return file.samplerate


def needs_conversion(path: str | Path, sample_rate: int = SAMPLE_RATE) -> bool:
    """Whether reading a file resamples it or mixes its channels. Raises as `read_audio`."""
    with _open(Path(path)) as file:
        return file.samplerate != sample_rate or file.channels > 1


def _open(path: Path) -> soundfile.SoundFile:
    file = open_sound(path)
    if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
        file.close()
        raise ValueError(
            f"the sound file {path} has {file.samplerate} samples a second, expected "
            f"{LOWEST_RATE} to {HIGHEST_RATE}; export it again"
        )
    return file


def _compared_blocks(path: Path) -> Iterator[np.ndarray]:
    """The first blocks of a file (samples, channels) in which there is sound."""
    with _open(path) as file, suppress(soundfile.LibsndfileError):  # raised when it is read
        n_left = CONFIG.compared_seconds if file.channels > 1 else 0
        while n_left > 0 and len(block := file.read(file.samplerate, "float32", always_2d=True)):
            if TrimConfig.silent_peak <= np.abs(block).max() <= LARGEST_SAMPLE:
                yield block
                n_left -= 1  # a block is a second


def _resampled(
    file: soundfile.SoundFile, path: Path, sample_rate: float, block: int, channel: int | None
) -> Iterator[np.ndarray]:
    """Mono blocks of an open file at `sample_rate`, as many samples as `read_audio` states."""
    resampler = soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32")
    n_read = n_given = 0
    for mono in _mono_blocks(file, path, block, channel):
        resampled = mono if file.samplerate == sample_rate else resampler.resample_chunk(mono)
        n_read += len(mono)
        n_given += len(resampled)
        if len(resampled):
            yield resampled
    if not n_read:
        raise ValueError(f"the sound file {path} holds no samples; give another")
    tail = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    n_left = max(1, math.ceil(n_read * sample_rate / file.samplerate)) - n_given
    if n_left > 0:  # the resampler may round its length down: less than a sample is missing
        yield np.pad(tail[:n_left], (0, max(0, n_left - len(tail))))


def _mono_blocks(
    file: soundfile.SoundFile, path: Path, block: int, channel: int | None
) -> Iterator[np.ndarray]:
    """The samples of an open file, checked: one channel, or the average of all; closes the file."""
    n_read = 0
    try:
        with file:
            while len(samples := file.read(block, dtype="float32", always_2d=True)):
                mono = _mono(samples, channel)
                if not _peak(mono) <= LARGEST_SAMPLE:
                    raise ValueError(
                        f"the sound file {path} holds NaN, infinite or far too large samples "
                        f"(a peak of {_peak(mono):.0e} where full scale is 1); export it again"
                    )
                n_read += len(samples)
                yield mono
            missing = seconds_cut_off(file) + (file.frames - n_read) / file.samplerate
            if missing > CONFIG.least_cut_off:
                there = n_read / file.samplerate
                logger.warning(
                    "%s was cut off: %.1f of %.1f s are there", path, there, there + missing
                )
    except soundfile.LibsndfileError as error:
        raise ValueError(f"the sound file {path} is damaged: {error.error_string}") from None


def mix_channels(samples: np.ndarray) -> np.ndarray:
    """One channel of several: their average, or the loudest where they cancel one another.

    Args:
        samples: (samples, channels).
    Returns:
        (samples,) float32.
    """
    return _mono(samples, _heard_channel([samples]))


def _mono(samples: np.ndarray, channel: int | None) -> np.ndarray:
    """(samples, channels) -> (samples,): one channel, or the average of all."""
    if channel is None:
        return samples.mean(axis=1, dtype=np.float32)
    return np.ascontiguousarray(samples[:, channel])


def _heard_channel(blocks: Iterable[np.ndarray]) -> int | None:
    """The loudest channel of a sound (samples, channels) whose channels cancel when averaged, as
    those of an inverted microphone do; None where they do not.
    """
    own = average = 0.0
    for block in blocks:
        own = own + np.square(block, dtype=np.float64).sum(axis=0)
        average += np.square(block.mean(axis=1, dtype=np.float64)).sum()
    power = np.mean(own)  # nothing was compared: 0 is not below 0
    return int(np.argmax(own)) if average < power * 10 ** (CONFIG.cancelled_db / 10) else None


def check_audio(audio: np.ndarray) -> np.ndarray:
    """Audio given by the caller, checked and as float32.

    Args:
        audio: (samples,) of any floating-point type, full scale at 1.
    Returns:
        (samples,) float32.
    Raises:
        ValueError: integers, whose full scale is another; a path; not one axis; no samples; samples
            that are NaN, infinite or far beyond full scale.
    """
    if isinstance(audio, (str, os.PathLike)):
        raise ValueError(f"expected samples, got the path {audio}; lt.read_audio reads it")
    audio = np.asarray(audio)
    if audio.dtype.kind != "f":
        raise ValueError(
            f"expected floating-point samples with full scale at 1, got {audio.dtype} (divide "
            "samples of 16 bits by 32768)"
        )
    if audio.ndim != 1 or not audio.size:
        raise ValueError(
            f"expected audio of shape (samples,) with at least one sample, got {audio.shape}"
        )
    if not (peak := _peak(audio)) <= LARGEST_SAMPLE:
        raise ValueError(
            "the audio holds NaN, infinite or far too large samples "
            f"(a peak of {peak:.0e} where full scale is 1)"
        )
    return audio.astype(np.float32, copy=False)


def write_audio(
    path: str | Path, audio: np.ndarray, sample_rate: int = SAMPLE_RATE, format: str | None = None
) -> None:
    """Write a 24-bit sound file, whole or not at all; equal samples give equal bytes.

    Args:
        audio: (samples,) floating point, within full scale (see `to_peak`).
        format: `wav` or `flac`; by default the suffix of `path`.

    Example:
        >>> lt.write_audio("click.flac", np.array([0.0, 1.0, 0.0]))

    Raises:
        ValueError: another format, as `check_audio`, or beyond full scale.
        OSError: the file cannot be written.
    """
    format = (format or Path(path).suffix.lstrip(".")).lower()
    if format not in ("wav", "flac"):
        raise ValueError(f"sound is written as wav or flac, not as '{format}' ({path})")
    audio = check_audio(audio)
    if _peak(audio) > 1:
        raise ValueError(f"the sound for {path} passes full scale (peak {_peak(audio):.2f})")
    with atomic_path(path) as temporary:
        try:
            soundfile.write(system_name(temporary), audio, sample_rate, "PCM_24", format=format)
        except soundfile.LibsndfileError as error:  # it does not give the system's reason
            raise OSError(
                f"{path} cannot be written (is the disk full?): {error.error_string}"
            ) from error


def to_mp3(audio: np.ndarray, sample_rate: int = SAMPLE_RATE) -> bytes:
    """Audio (samples,) within full scale as an MP3 file: a quarter of the size of FLAC, read by
    every browser, without a delay.
    """
    content = io.BytesIO()
    soundfile.write(content, check_audio(audio), sample_rate, format="MP3")
    return content.getvalue()


def to_peak(audio: np.ndarray, peak_dbfs: float = -1.0) -> np.ndarray:
    """Turn (samples,) down, in place, so that its peak is at most `peak_dbfs`; never up."""
    limit = 10 ** (peak_dbfs / 20)
    peak = _peak(audio)
    return audio if peak <= limit else np.multiply(audio, limit / peak, out=audio)


def _peak(audio: np.ndarray) -> float:
    """The largest magnitude, NaN where there is one, without a copy of the samples."""
    return float(np.maximum(audio.max(initial=0.0), -audio.min(initial=0.0)))
