#!/usr/bin/env python3
"""Lay tunes together from single notes, with their MIDI: what settings are chosen on, so that
nothing else need be.

    python3 bench/make_tunes.py FLUTE_NOTES --half even --output SET_DIR
    python3 bench/make_tunes.py FONT.sf2 --instruments Violin --output SET_DIR
    python3 bench/generalisation.py --rows robust --recordings SET_DIR

SOURCE is what `python3 -m lt.builders` takes, but for data sets, which hold no sound. SET_DIR is
laid out as the Cantos flute set. Notes are taken as they were recorded, rumble included; tunes
wander by less than an octave at a time, and are detached, legato, or ring into the next note. A
note begins in the MIDI when its envelope first reaches a quarter of its peak, and ends when that
last was above a tenth: both of the whole sound, as ears and aligners have it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lt import cli
from lt.audio.io import SAMPLE_RATE, read_audio, to_peak, write_audio
from lt.build.discover import index_sources
from lt.build.extract import render
from lt.build.naming import instrument_name
from lt.build.notes import FontNote, Recording, SourceNote, select
from lt.config import BuildConfig
from lt.labels import dynamics_to_velocity
from lt.midi import INSTRUMENTS, Note, Track, write_midi

HALVES = {"all": slice(None), "even": slice(0, None, 2), "odd": slice(1, None, 2)}
STYLES = {
    "detached": (1.3, 0.05),
    "legato": (1.0, 0.02),
    "ringing": (0.9, 0.15),
}  # step by length; seconds of fade
NOTES_A_TUNE, SECONDS = 24, (0.15, 0.9)
REST_CHANCE, REST_SECONDS = 0.1, (0.3, 1.0)
WIDEST_STEP = 9  # semitones
LEAD_SECONDS = 0.08  # of a recording that are kept before its note begins
ONSET_SHARE, OFFSET_SHARE = 0.25, 0.1  # of the envelope's peak
ENVELOPE_SECONDS = 0.01


def audio_of(note: SourceNote) -> np.ndarray:
    """Unfiltered audio of a source note: (samples,)."""
    location = note.location
    if isinstance(location, FontNote):
        return render(note, SAMPLE_RATE)
    if not isinstance(location, Recording):
        raise ValueError(f"{location.path} is a data set, which holds no sound")
    begin, end = (
        None if at is None else round(at * SAMPLE_RATE) for at in (location.onset, location.offset)
    )
    audio = read_audio(location.path)[begin:end]
    if not audio.any():
        raise ValueError(f"{note.source} is silent")
    return audio


def edges(audio: np.ndarray) -> tuple[int, int]:
    """The samples at which the envelope (root mean square) first reaches and is last above its
    shares of the peak.
    """
    width = round(ENVELOPE_SECONDS * SAMPLE_RATE)
    power = np.convolve(audio.astype(np.float64) ** 2, np.ones(width) / width, "same")
    envelope = np.sqrt(power / max(power.max(), 1e-20))
    return int(np.argmax(envelope >= ONSET_SHARE)), int(
        np.flatnonzero(envelope >= OFFSET_SHARE)[-1]
    ) + 1


def piece_of(audio: np.ndarray, seconds: float, fade_seconds: float) -> np.ndarray:
    """A note cut from a little before its begin to `seconds` after, faded at both ends."""
    lead = round(LEAD_SECONDS * SAMPLE_RATE)
    begin, fade = max(0, edges(audio)[0] - lead), round(fade_seconds * SAMPLE_RATE)
    piece = audio[begin : begin + lead + round(seconds * SAMPLE_RATE) + fade].copy()
    fade = min(fade, len(piece))
    piece[len(piece) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    lead = min(lead // 2, len(piece))
    piece[:lead] *= np.linspace(0, 1, lead, dtype=np.float32)
    return piece


def ended(one: Note, other: Note) -> Note:
    """A note as MIDI has it when the other begins: there is one of a number at a time."""
    return (
        replace(one, offset=min(one.offset, other.onset))
        if one.note_number == other.note_number
        else one
    )


def tune_of(
    sources: list[SourceNote], style: str, draws: np.random.Generator
) -> tuple[np.ndarray, list[Note]]:
    """Sound (samples,) and notes of one tune."""
    (step, fade_seconds), at, number = (
        STYLES[style],
        0.5,
        sources[draws.integers(len(sources))].note_number,
    )
    laid: list[tuple[int, np.ndarray]] = []
    notes: list[Note] = []
    for _ in range(NOTES_A_TUNE):
        near = [note for note in sources if abs(note.note_number - number) <= WIDEST_STEP]
        source = near[draws.integers(len(near))]
        number, seconds = source.note_number, draws.uniform(*SECONDS)
        piece = piece_of(audio_of(source), seconds, fade_seconds)
        onset, offset = edges(piece)
        start = round(at * SAMPLE_RATE) - onset
        laid.append((start, piece))
        note = Note(
            (start + onset) / SAMPLE_RATE,
            (start + offset) / SAMPLE_RATE,
            number,
            int(dynamics_to_velocity(source.dynamics)),
        )
        notes = [*(ended(one, note) for one in notes), note]
        rest = draws.uniform(*REST_SECONDS) if draws.random() < REST_CHANCE else 0.0
        at += step * min(seconds, (offset - onset) / SAMPLE_RATE) + rest
    audio = np.zeros(
        max(start + len(piece) for start, piece in laid) + SAMPLE_RATE // 2, np.float32
    )
    for start, piece in laid:
        audio[start : start + len(piece)] += piece
    return to_peak(audio), notes


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
    "Lay tunes together from the single notes of SOURCE, with their MIDI.",
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
@cli.option("--n_tunes", help="tunes in all", default=12, type=cli.interval("[1, inf)"))
@cli.option("--seed", help="fixes the tunes", default=0, type=cli.interval("[0, inf)"))
def main(
    source: Path,
    output: Path,
    instruments: tuple[str, ...],
    half: str,
    styles: tuple[str, ...],
    n_tunes: int,
    seed: int,
) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(
            f"{output} is there already, and may hold other tunes; choose another --output"
        )
    draws, config = np.random.default_rng(seed), BuildConfig(instruments=instruments)
    sources = select(index_sources([source], config), config).notes
    names = [instrument_name(one.partition(":")[0]) for one in instruments]
    sounds, midi = output / "Recordings", output / "Aligned_files" / "mid_files"
    for index in range(n_tunes):
        name, style = names[index % len(names)], styles[index // len(names) % len(styles)]
        audio, notes = tune_of(notes_of(sources, name, half), style, draws)
        for folder in (sounds, midi):
            folder.mkdir(parents=True, exist_ok=True)
        stem, program = (
            f"{name}-{index:02d}-{style}",
            INSTRUMENTS[name].program if name in INSTRUMENTS else 0,
        )
        write_audio(sounds / f"{stem}.wav", audio)
        write_midi(midi / f"{stem}-lined.mid", [Track(name, program, tuple(notes))])
        cli.logger.info(f"{stem}: {len(notes)} notes, {len(audio) / SAMPLE_RATE:.0f} s")


if __name__ == "__main__":
    main()
