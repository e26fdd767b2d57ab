#!/usr/bin/env python3
"""Make recordings of melodies, with their MIDI, out of recorded or rendered single notes.

    python3 bench/make_tunes.py FLUTE_NOTES --half even --output SET_DIR
    python3 bench/make_tunes.py FONT.sf2 --instruments Violin --output SET_DIR
    python3 bench/make_tunes.py FONT.sf2 --velocities 20 120 --output SET_DIR
    python3 bench/generalisation.py --rows robust --recordings SET_DIR

Thresholds and settings are chosen on them. SOURCE is what `python3 -m lt.builders` takes, except
data sets, which hold no sound. SET_DIR is laid out as the Cantos flute set. Notes are used as they
were recorded, low-frequency noise included; melodies move by less than an octave at a time, and are
detached, legato, ring into the next note, or are played in a room, of which their labels know
nothing. With `--velocities` a font plays each note with a velocity of its own instead of those of
the five dynamics.

The labels do not depend on the thresholds of note decoding. The onset of a rendered note is its
note-on, that of a recorded note the steepest rise of its amplitude in the first 0.25 s of the
trimmed recording (`lt.audio.trim`, after the high-pass). The trimmed recording itself begins 72 ms
(median) before the amplitude of a flute note reaches a quarter of its peak, since breath is heard
first; its steepest rise is 8 ms after that. The offset is where the note is cut and begins to fade,
or, if that is earlier, the note-off of the rendering or the end of the trimmed recording. A note
also ends where the next of its number begins.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from librosa.feature import rms
from scipy.signal import oaconvolve

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lt import cli
from lt.audio.filters import high_pass
from lt.audio.io import SAMPLE_RATE, read_audio, to_peak, write_audio
from lt.audio.trim import find_note
from lt.build.discover import index_sources
from lt.build.extract import render
from lt.build.notes import FontNote, Recording, SourceNote, select
from lt.build.vocabulary import instrument_name
from lt.config import BuildConfig, SpectralConfig, TrimConfig
from lt.midi import INSTRUMENTS, Note, Track, dynamics_to_velocity, write_midi

HALVES = {"all": slice(None), "even": slice(0, None, 2), "odd": slice(1, None, 2)}


@dataclass(frozen=True)
class Style:
    """How notes follow each other.

    Attributes:
        step: time from onset to onset, relative to the duration of the first note.
        fade_seconds: for which a note sounds on after its offset.
        room: whether the tune is played in a room (`in_room`).
    """

    step: float
    fade_seconds: float
    room: bool = False


STYLES = {
    "detached": Style(1.3, 0.05),
    "legato": Style(1.0, 0.02),
    "ringing": Style(0.9, 0.15),
    "room": Style(1.15, 0.05, room=True),
}
NOTES_PER_TUNE = 24
SECONDS = (0.15, 0.9)  # of a note
REST_PROBABILITY = 0.1
REST_SECONDS = (0.3, 1.0)
WIDEST_STEP = 9  # semitones
ATTACK_SECONDS = 0.25  # of a recorded note, in which its onset is searched
HOP = 64  # samples from one measurement of the amplitude to the next
LEAD_SECONDS = 0.08  # of a recording that are kept before its note begins
REVERBERATION_SECONDS = (0.3, 1.5)  # in which a room's sound decays by 60 dB
DIRECT_DB = (0.0, 15.0)  # energy of the direct sound relative to that of all reflections
PREDELAY_SECONDS = 0.005  # from the direct sound to the first reflection


@dataclass(frozen=True)
class Excerpt:
    """A piece of a source note: audio (samples,), the note being in samples [onset, offset)."""

    audio: np.ndarray
    onset: int
    offset: int


def audio_of(note: SourceNote) -> np.ndarray:
    """Unfiltered audio of a source note: (samples,)."""
    location = note.location
    if isinstance(location, FontNote):
        return render(note, SAMPLE_RATE)
    if not isinstance(location, Recording):
        raise ValueError(f"{location.path} is a data set, which holds no sound")
    begin = round(location.onset * SAMPLE_RATE)
    last = location.until if location.offset is None else location.offset
    end = None if last is None else round(last * SAMPLE_RATE)
    audio = read_audio(location.path, SAMPLE_RATE / location.playback.speed)[begin:end]
    audio = audio * np.float32(location.playback.gain)
    if not audio.any():
        raise ValueError(f"{note.source} is silent")
    return audio


def span_of(note: SourceNote, audio: np.ndarray) -> slice:
    """The samples of its audio between the onset and the offset of a source note."""
    if isinstance(note.location, FontNote):
        return slice(0, round(note.location.seconds * SAMPLE_RATE))
    clear = high_pass(audio, SpectralConfig(sample_rate=SAMPLE_RATE))
    span, reason = find_note(clear, SAMPLE_RATE, TrimConfig(pad_seconds=0.0))
    if reason:
        raise ValueError(f"{note.source} is {reason}")
    attack = clear[span.begin : span.end][: round(ATTACK_SECONDS * SAMPLE_RATE)]
    amplitude = rms(y=attack, frame_length=8 * HOP, hop_length=HOP)[0]
    return slice(span.begin + HOP * int(np.diff(amplitude).argmax()), span.end)


def excerpt_of(note: SourceNote, seconds: float, fade_seconds: float) -> Excerpt:
    """Cut a source note `seconds` after its onset, and fade it out; what precedes the onset fades
    in.
    """
    audio = audio_of(note)
    span = span_of(note, audio)
    duration = min(round(seconds * SAMPLE_RATE), span.stop - span.start)
    lead = min(round(LEAD_SECONDS * SAMPLE_RATE), span.start)
    fade = round(fade_seconds * SAMPLE_RATE)
    piece = audio[span.start - lead : span.start + duration + fade].copy()
    fade = len(piece) - lead - duration
    piece[lead + duration :] *= np.linspace(1, 0, fade, dtype=np.float32)
    piece[: lead // 2] *= np.linspace(0, 1, lead // 2, dtype=np.float32)
    return Excerpt(piece, lead, lead + duration)


def in_room(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Audio (samples,) as it sounds in a random room: the direct sound and noise that decays
    exponentially (Moorer, About This Reverberation Business, 1979), its tail included.
    """
    decay, direct_db = rng.uniform(*REVERBERATION_SECONDS), rng.uniform(*DIRECT_DB)
    times = np.arange(round(decay * SAMPLE_RATE)) / SAMPLE_RATE
    reflections = rng.standard_normal(len(times)) * 10 ** (-3 * times / decay)
    reflections *= 10 ** (-direct_db / 20) / np.linalg.norm(reflections)
    predelay = np.zeros(round(PREDELAY_SECONDS * SAMPLE_RATE) - 1)
    response = np.concatenate([[1.0], predelay, reflections])
    return oaconvolve(audio, response).astype(np.float32)


def cut_by(note: Note, following: Note) -> Note:
    """A note, ended where another of the same number begins, as MIDI requires."""
    if note.note_number != following.note_number:
        return note
    return replace(note, offset=min(note.offset, following.onset))


def at_velocity(note: SourceNote, velocity: int) -> SourceNote:
    """A font's note with another velocity.

    Raises:
        ValueError: a recorded note.
    """
    if not isinstance(note.location, FontNote):
        raise ValueError(f"{note.source} is a recording, whose velocity is what it is")
    return replace(note, location=replace(note.location, velocity=velocity))


def make_tune(
    sources: list[SourceNote],
    style: Style,
    rng: np.random.Generator,
    velocities: tuple[int, ...] = (),
) -> tuple[np.ndarray, list[Note]]:
    """Audio (samples,) and notes of one melody.

    Args:
        velocities: lowest and highest, between which each note's is drawn; none: those of the
            dynamics.
    """
    number = sources[rng.integers(len(sources))].note_number
    onset = round(0.5 * SAMPLE_RATE)
    placed: list[tuple[int, np.ndarray]] = []
    notes: list[Note] = []
    for _ in range(NOTES_PER_TUNE):
        near = [note for note in sources if abs(note.note_number - number) <= WIDEST_STEP]
        source = near[rng.integers(len(near))]
        number = source.note_number
        velocity = int(dynamics_to_velocity(source.dynamics))
        if velocities:
            velocity = int(rng.integers(velocities[0], velocities[-1] + 1))
            source = at_velocity(source, velocity)
        excerpt = excerpt_of(source, rng.uniform(*SECONDS), style.fade_seconds)
        duration = excerpt.offset - excerpt.onset
        placed.append((onset - excerpt.onset, excerpt.audio))
        note = Note(onset / SAMPLE_RATE, (onset + duration) / SAMPLE_RATE, number, velocity)
        notes = [*(cut_by(earlier, note) for earlier in notes), note]
        rest = rng.uniform(*REST_SECONDS) if rng.random() < REST_PROBABILITY else 0.0
        onset += round(style.step * duration + rest * SAMPLE_RATE)
    end = max(start + len(piece) for start, piece in placed)
    audio = np.zeros(end + SAMPLE_RATE // 2, np.float32)
    for start, piece in placed:
        audio[start : start + len(piece)] += piece
    return to_peak(in_room(audio, rng) if style.room else audio), notes


def notes_of(sources: tuple[SourceNote, ...], instrument: str, half: str) -> list[SourceNote]:
    """The source notes of an instrument, of every label (number and dynamics) or of every second
    one, so that the other half has other labels.
    """
    own = sorted(
        (note for note in sources if note.instrument == instrument),
        key=lambda note: (note.note_number, note.dynamics, note.source),
    )
    kept = set(list(dict.fromkeys(note.labels for note in own))[HALVES[half]])
    if not kept:
        raise ValueError(f"there is no {half} half of one note of {instrument}")
    return [note for note in own if note.labels in kept]


@cli.command(
    "Make recordings of melodies, with their MIDI, out of the single notes of SOURCE.",
    example="python3 bench/make_tunes.py FLUTE_NOTES --half even --output SET_DIR",
)
@click.argument("source", type=cli.PATH)
@cli.option("--output", help="folder that the set is written to", type=cli.PATH, required=True)
@cli.option("--instruments", help="one a tune, in turn", default=("Flute",), at_least=1)
@cli.option("--half", help="of the notes", default="all", type=click.Choice(list(HALVES)))
@cli.option(
    "--styles",
    help="one a tune, in turn",
    default=tuple(STYLES),
    type=click.Choice(list(STYLES)),
    at_least=1,
)
@cli.option(
    "--velocities",
    help="lowest and highest; a font's notes are played with velocities drawn between them",
    default=(),
    type=cli.interval("[1, 127]"),
    at_least=2,
    at_most=2,
)
@cli.option("--n_tunes", help="tunes in all", default=12, type=cli.interval("[1, inf)"))
@cli.option("--seed", help="fixes the tunes", default=0, type=cli.interval("[0, inf)"))
def main(
    source: Path,
    output: Path,
    instruments: tuple[str, ...],
    half: str,
    styles: tuple[str, ...],
    velocities: tuple[int, ...],
    n_tunes: int,
    seed: int,
) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(
            f"{output} is there already, and may hold other tunes; choose another --output"
        )
    rng = np.random.default_rng(seed)
    config = BuildConfig(instruments=instruments)
    sources = select(index_sources([source], config), config).notes
    names = [instrument_name(text.partition(":")[0]) for text in instruments]
    recordings = output / "Recordings"
    midi = output / "Aligned_files" / "mid_files"
    recordings.mkdir(parents=True, exist_ok=True)
    midi.mkdir(parents=True, exist_ok=True)
    for index in range(n_tunes):
        name = names[index % len(names)]
        style = styles[index // len(names) % len(styles)]
        own = notes_of(sources, name, half)
        audio, notes = make_tune(own, STYLES[style], rng, velocities)
        stem = f"{name}-{index:02d}-{style}"
        program = INSTRUMENTS[name].program if name in INSTRUMENTS else 0
        write_audio(recordings / f"{stem}.wav", audio)
        write_midi(midi / f"{stem}-lined.mid", [Track(name, program, tuple(notes))])
        cli.logger.info(f"{stem}: {len(notes)} notes, {len(audio) / SAMPLE_RATE:.0f} s")


if __name__ == "__main__":
    main()
