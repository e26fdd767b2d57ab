"""Opening sound files for libsndfile: pipes, WAV without lengths, and containers through ffmpeg.

A pipe is read to its end into a temporary file, which has no name: nothing of it is left behind. A
WAV that a program wrote without knowing its length (its data chunk has 0 bytes by its header) is
read to the end of the file. m4a, aac, webm and the like are decoded by the program ffmpeg, where it
is installed: from files alone, by no network protocol, and within limits of time and size.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
import stat
import struct
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import soundfile

from lt.config import SoundFileConfig

CONFIG = SoundFileConfig()
THROUGH_FFMPEG = (".m4a", ".mp4", ".aac", ".webm", ".mka", ".mkv", ".wma")
READABLE = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", *THROUGH_FFMPEG)
# what ffmpeg may take a file for: never a playlist or a script, which name other files
_FORMATS = "mov,aac,matroska,webm,asf"
_SIGNATURES = re.compile(rb"....ftyp|\x1aE\xdf\xa3|\xff[\xf0\xf1\xf8\xf9]|0&\xb2u", re.DOTALL)
_SIZES = re.compile(r"^ *(?:data|SSND|Data Size|Riff size) *: (\d+) \(should be (\d+)\)", re.M)
_UNKNOWN_SIZES = (2**31, 2**32)  # or up to 64 KiB below: written by programs that stream


class _Content(mmap.mmap):
    """A file in memory, read on demand and changed in memory only."""

    def seek(self, position: int, whence: int = os.SEEK_SET) -> None:  # type: ignore[override]
        """Move to a position; beyond the end, to the end, as libsndfile expects of files."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: len(self)}[whence]
        super().seek(min(max(start + position, 0), len(self)))


def open_sound(path: Path) -> soundfile.SoundFile:
    """Open a sound file or a pipe; of a pipe, its content is kept until the process ends.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is empty or no sound file; or ffmpeg, which it needs, is not installed.
    """
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"{path} is a folder, not a sound file; name the files in it")
    if stat.S_ISFIFO(status.st_mode):
        return _open(path, _read_pipe(str(path), status.st_dev, status.st_ino), status, piped=True)
    with open(path, "rb") as file:  # it gives the system's reason why it cannot be opened
        return _open(path, file, status, piped=False)


def _open(path: Path, file: BinaryIO, status: os.stat_result, piped: bool) -> soundfile.SoundFile:
    """Open, for libsndfile, an open file: by its name, its content, or decoded by ffmpeg."""
    if not os.fstat(file.fileno()).st_size:
        raise ValueError(f"the sound file {path} is empty (0 bytes); give another")
    content = _content(file)
    field = _missing_length(content)
    if field is not None:
        content[field : field + 4] = b"\xff\xff\xff\xff"
    try:
        return soundfile.SoundFile(content if piped or field is not None else system_name(path))
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a headerless .raw file
        why = getattr(error, "error_string", "no header")
    if path.suffix.lower() in THROUGH_FFMPEG or _SIGNATURES.match(content[:16]):
        key = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        return soundfile.SoundFile(_content(_decoded(str(path), key, file if piped else None)))
    if content[:4] == b"MThd":
        raise ValueError(f"{path} is a MIDI file, not a sound file; lt_play.py midi plays it")
    raise ValueError(
        f"{path} is not a sound file that can be read (wav, flac, ogg, mp3 or aiff): {why}"
    )


def seconds_cut_off(file: soundfile.SoundFile) -> float:
    """Seconds that a file has less than its header says; 0 where it says nothing."""
    sizes = _SIZES.findall(file.extra_info)
    declared, present = map(int, sizes[-1]) if sizes else (0, 0)
    if not present or any(0 <= size - declared <= 2**16 for size in _UNKNOWN_SIZES):
        return 0.0
    return max(declared / present - 1, 0.0) * file.frames / file.samplerate


def _content(file: BinaryIO) -> _Content:
    return _Content(file.fileno(), 0, access=mmap.ACCESS_COPY)


def system_name(path: Path) -> Path | bytes:
    """A path as the system has it: names of files need not be text."""
    return os.fsencode(path) if os.name == "posix" else path


# --- WAV without lengths --------------------------------------------------------------------------


def _missing_length(content: mmap.mmap) -> int | None:
    """Where a WAV says that its samples take 0 bytes though some follow; None where it does not."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    position = 12
    while position + 8 <= len(content):
        name, size = struct.unpack("<4sI", content[position : position + 8])
        if name == b"data":
            follows = position + 8 < len(content) and not _are_chunks(content, position + 8)
            return position + 4 if size == 0 and follows else None
        position += 8 + size + size % 2
    return None


def _are_chunks(content: mmap.mmap, position: int) -> bool:
    """Whether chunks with names follow, to the end of the file."""
    while position + 8 <= len(content):
        name, size = struct.unpack("<4sI", content[position : position + 8])
        if not (name.isascii() and name.decode().isprintable()):
            return False
        position += 8 + size + size % 2
    return abs(position - len(content)) <= 1


# --- pipes and containers -------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _read_pipe(name: str, device: int, inode: int) -> BinaryIO:
    """A temporary file with all that comes through a pipe, which can be read only once."""
    kept = tempfile.TemporaryFile()
    with open(name, "rb") as pipe:
        while block := pipe.read(2**20):
            if kept.tell() > CONFIG.largest_bytes:
                raise ValueError(f"{name} gives more than {CONFIG.largest_bytes} bytes")
            kept.write(block)
    kept.flush()
    return kept


@lru_cache(maxsize=2)
def _decoded(name: str, key: tuple[int, ...], piped: BinaryIO | None) -> BinaryIO:
    """A temporary WAV file of a container's first audio stream; `key` changes with the file."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise ValueError(
            f"{name} is of a kind that is read through ffmpeg, which is not installed; install it, "
            "or export the sound as wav"
        )
    source = os.fsencode(f"file:{name}" if piped is None else f"file:/dev/fd/{piped.fileno()}")
    options = {
        "-protocol_whitelist": "file,pipe",
        "-format_whitelist": _FORMATS,
        "-i": source,
        "-map": "0:a:0",
        "-c:a": "pcm_f32le",
        "-f": "wav",
        "-fs": str(CONFIG.largest_bytes),
    }
    flags = [part for option in options.items() for part in option]
    decoded = tempfile.TemporaryFile()
    with tempfile.TemporaryFile() as messages:
        try:
            process = subprocess.run(
                [program, "-nostdin", "-v", "error", *flags, "pipe:1"],
                stdout=decoded,
                stderr=messages,
                timeout=CONFIG.decoding_seconds,
                pass_fds=() if piped is None else (piped.fileno(),),
            )
        except subprocess.TimeoutExpired:
            raise ValueError(
                f"{name}: ffmpeg took more than {CONFIG.decoding_seconds:g} s; export it as wav"
            ) from None
        messages.seek(max(os.fstat(messages.fileno()).st_size - 1000, 0))
        said = messages.read().decode("utf-8", "replace").strip().splitlines()
    size = os.fstat(decoded.fileno()).st_size
    if process.returncode or not size:
        why = said[-1] if said else f"exit code {process.returncode}"
        raise ValueError(f"{name} is not a sound file that ffmpeg can read: {why}")
    if size > 0.99 * CONFIG.largest_bytes:
        raise ValueError(f"{name} decodes to more than {CONFIG.largest_bytes} bytes")
    return decoded
