"""Feature extraction: source notes -> spectra of the trimmed notes, their tuning and their times.

`lt.audio.trim` finds the note in its recording. A border of its frames falls on its onset, so that
the attacks of all notes are aligned. Levels are left as they are, since dynamics depend on them.

Names: `audio: (samples,)` float32; `cents` is the deviation of the pitch from the label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from lt.audio.filters import high_pass, read_high_passed
from lt.audio.pitch import detuning_cents
from lt.audio.soundfont import open_font
from lt.audio.trim import end_of_release, find_note, from_sample, next_attack
from lt.build.notes import DataSetNote, Recording, SourceNote
from lt.config import SpectralConfig, TrimConfig
from lt.data.dataset import SILENT_DB, DataSet, read_data_set
from lt.data.note_times import estimate_release

FADE_SECONDS = 0.005  # where a note is cut out of a longer recording


@dataclass(frozen=True)
class ExtractedNote:
    """A source note with what was measured, or with the reason why it is left out.

    Attributes:
        n_frames: model frames.
        cents: NaN where the tuning is not known.
        onset, release: seconds from the begin of its first frame; a release is inf where the note
            is not released within its frames.
    """

    source: SourceNote
    n_frames: int
    cents: float
    onset: float
    release: float
    reason: str = ""


@dataclass(frozen=True)
class Features:
    """Spectra of some notes.

    Attributes:
        magnitudes: (frames, subframes, bins) float32, one note after another.
        notes: with their numbers of frames.
    """

    magnitudes: np.ndarray
    notes: tuple[ExtractedNote, ...]


@dataclass(frozen=True)
class NoteAudio:
    """A note's audio (samples,), `onset` and `release` in samples (NaN where nobody says when it is
    released), or the reason why it cannot be used.
    """

    audio: np.ndarray
    onset: int = 0
    release: float = np.nan
    reason: str = ""


def extract(notes: Sequence[SourceNote], config: SpectralConfig) -> Features:
    """Features of notes whose audio is in one file, played at one speed.

    Raises:
        ValueError, OSError: the file cannot be read.
        ImportError: tinysoundfont, which renders fonts, is not installed.
    """
    location = notes[0].location
    whole = None
    if type(location) is Recording:
        whole = read_high_passed(location.path, config, location.playback.speed)
    blocks, extracted = [], []
    for note in notes:
        if isinstance(note.location, DataSetNote):
            magnitudes, described = _from_data_set(note)
        else:
            sound = _render(note, config) if whole is None else _cut(whole, note, config)
            magnitudes, described = _from_audio(sound, note, config)
        blocks.append(magnitudes)
        extracted.append(described)
    return Features(np.concatenate(blocks), tuple(extracted))


def _from_audio(
    sound: NoteAudio, note: SourceNote, config: SpectralConfig
) -> tuple[np.ndarray, ExtractedNote]:
    """Frames (frames, subframes, bins) of a note's audio, on a grid with a border at its onset and
    `lead_frames` before it, in which the transform's windows reach the onset already.
    """
    if sound.reason:
        nothing = np.zeros((0, config.subframes, config.n_bins), np.float32)
        return nothing, ExtractedNote(note, 0, *3 * (np.nan,), sound.reason)
    n_before = TrimConfig.lead_frames
    missing = n_before * config.frame_hop - sound.onset
    magnitudes = _magnitudes(from_sample(sound.audio, -missing), config)
    cents = detuning_cents(sound.audio, config.sample_rate, note.note_number)
    onset = n_before * config.frame_seconds
    release = (sound.release + missing) / config.sample_rate
    if np.isnan(release):
        peaks = magnitudes.mean(axis=1).max(axis=1)
        position = estimate_release(peaks, n_before, config.frame_seconds, SILENT_DB)
        release = position * config.frame_seconds
    elif sound.release >= len(sound.audio):
        release = np.inf
    return magnitudes, ExtractedNote(note, len(magnitudes), float(cents), onset, release)


def _magnitudes(audio: np.ndarray, config: SpectralConfig) -> np.ndarray:
    """(frames, subframes, bins), computed by one thread: the result shall not depend on the
    machine.
    """
    import torch  # takes two seconds, too long for `--help`

    from lt.audio.features import nsgt

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = np.pad(audio, (0, -len(audio) % config.frame_hop))
        frames = nsgt(config).magnitude_frames(torch.from_numpy(whole), config.subframe_hop)
        return frames.numpy().reshape(-1, config.subframes, config.n_bins)
    finally:
        torch.set_num_threads(n_threads)


def _from_data_set(note: SourceNote) -> tuple[np.ndarray, ExtractedNote]:
    """Frames (frames, subframes, bins) and measurements of a note of another data set."""
    path, index = note.location.path, note.location.index
    data = _open_data_set(path, path.stat().st_mtime_ns)
    magnitudes = np.asarray(data.magnitudes[data.rows(index)])
    measured = (float(getattr(data.notes, name)[index]) for name in ("cents", "onset", "release"))
    return magnitudes, ExtractedNote(note, len(magnitudes), *measured)


@lru_cache(maxsize=2)
def _open_data_set(path: Path, mtime_ns: int) -> DataSet:
    """A data set, checked once; a changed file is another one."""
    return read_data_set(path)


def render(note: SourceNote, sample_rate: int) -> np.ndarray:
    """Audio (samples,) of a font's note. Raises as `lt.audio.soundfont.SoundFont.render_note`."""
    location = note.location
    font = open_font(location.path, sample_rate, location.brightness, location.bank)
    return font.render_note(
        location.program,
        note.note_number,
        location.velocity,
        location.seconds,
        location.release_seconds,
    )


def _render(note: SourceNote, config: SpectralConfig) -> NoteAudio:
    """A font's note, from its note-on to the end of its release."""
    rendered = render(note, config.sample_rate)
    if not rendered.any():
        return NoteAudio(rendered, reason="the font renders silence")
    audio = high_pass(rendered, config)
    note_off = round(note.location.seconds * config.sample_rate)
    end = end_of_release(audio, note_off, config.sample_rate)
    return NoteAudio(audio[:end], release=note_off)


def _cut(whole: np.ndarray, note: SourceNote, config: SpectralConfig) -> NoteAudio:
    """A note of a recording: trimmed, with the end of its release, faded where it is cut."""
    location, rate = note.location, config.sample_rate
    begin = round(location.onset * rate)
    if begin >= len(whole):
        return NoteAudio(whole[:0], reason="it begins after the end of its file")
    if location.playback.gain_db:
        whole = whole * np.float32(location.playback.gain)
    end, note_off = len(whole), np.nan
    if location.until is not None:
        end = min(round(location.until * rate), len(whole))
    if location.offset is not None:
        note_off = max(round(location.offset * rate) - begin, 0)
        end = begin + next_attack(whole[begin:end], note_off, rate)
        end = begin + end_of_release(whole[begin:end], note_off, rate)
    audio = whole[begin:end]
    span, reason = find_note(audio, rate)
    if note_off <= span.onset and not reason:
        reason = "it is silent up to its offset"
    if reason:
        return NoteAudio(audio, reason=reason)
    n_fade = round(FADE_SECONDS * rate)
    first = begin + span.begin if span.begin else max(begin - n_fade, 0)
    audio = whole[first : begin + span.end].copy()
    ramp = np.linspace(0, 1, min(n_fade, len(audio)), endpoint=False, dtype=np.float32)
    if first > 0:
        audio[: len(ramp)] *= ramp
    if begin + span.end < len(whole):
        audio[len(audio) - len(ramp) :] *= ramp[::-1]
    before = begin - first  # of the part that the note is looked for in
    return NoteAudio(audio, before + span.onset, before + note_off)
