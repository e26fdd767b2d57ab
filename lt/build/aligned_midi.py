"""Recordings with aligned MIDI, cut into their notes.

`STEM.wav` goes with `STEM-lined.mid` or `STEM.mid`, anywhere below the source or below
`--midiroot`. Notes that sound together with others are left out: what is wanted is the sound of
one.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path

from lt.audio.io import audio_seconds
from lt.build.annotations import account
from lt.build.filenames import Words, take_from
from lt.build.notes import BuildConfig, Skipped, Survey, Take, instrument_in
from lt.data.pairs import Folder, midi_pairs
from lt.labels import DYNAMICS_NAMES, number_to_note_name, velocity_to_dynamics
from lt.midi import Note, notes_in_range, read_midi

OVERLAP_SECONDS = 0.05  # of two notes that a player joins; more is two notes at once
SHORTEST_NOTE_SECONDS = 0.1


def survey_midi(folder: Folder, config: BuildConfig) -> Survey:
    """Recordings with aligned MIDI: their single notes, each where the MIDI says it sounds."""
    root = Path(config.midiroot) if config.midiroot else folder.root
    midi = Folder.of(root, folder.collection if root == folder.root else root.name)
    takes, skips, pairs = [], [], midi_pairs(folder, midi)
    for sound, file in pairs.items():
        try:
            found, objections = _midi_takes(folder, sound, midi.root / file, config)
            takes += found
            skips += [Skipped(folder.name(sound), reason) for reason in objections]
        except (ValueError, OSError) as error:
            skips.append(
                Skipped(
                    folder.name(sound), str(error).replace(str(folder.root / sound), "the file")
                )
            )
    survey = account(
        folder,
        takes,
        skips,
        [file for file in pairs.values() if midi.root == folder.root],
        "no MIDI file of its stem",
    )
    outside = [file for file in sorted(set(pairs.values())) if midi.root != folder.root]
    return survey + Survey(
        indexes=tuple(map(midi.name, outside)), read=tuple(midi.root / file for file in outside)
    )


def _midi_takes(
    folder: Folder, sound: str, midi: Path, config: BuildConfig
) -> tuple[list[Take], list[str]]:
    """The notes of one recording, and why others of its notes are left out."""
    tracks, end = read_midi(midi), audio_seconds(folder.root / sound)
    drums = [note for track in read_midi(midi, drums=True) for note in track.notes]
    if not tracks:
        raise ValueError("its MIDI file has no notes" + (" but drums" if drums else ""))
    instruments = {
        track: config.instrument
        or instrument_in(track.name)
        or instrument_in(folder.name(sound))
        or ""
        for track in tracks
    }
    if missing := [track.name for track in tracks if not instruments[track]]:
        raise ValueError(
            f"no instrument is named (track '{missing[0]}'); name it: --instrument Flute"
        )
    notes = sorted(
        ((note, track) for track in tracks for note in track.notes), key=lambda pair: pair[0]
    )
    takes, objections = [], []
    for (note, track), piece in zip(
        notes, _pieces([note for note, _ in notes], drums, end), strict=True
    ):
        try:
            if isinstance(piece, str):
                raise ValueError(piece)
            words = Words(
                instruments[track],
                number_to_note_name(note.note_number),
                DYNAMICS_NAMES[int(velocity_to_dynamics(note.velocity))],
            )
            takes.append(
                take_from(
                    folder, sound, words, config, -1, round(piece.onset, 6), round(piece.offset, 6)
                )
            )
        except ValueError as reason:
            objections.append(f"note at {note.onset:.3f} s: {reason}")
    return takes, objections


def _pieces(notes: list[Note], drums: list[Note], end: float) -> Iterator[Note | str]:
    """Each note until its end or the next one's onset; a reason in its place where it cannot be
    used.
    """
    drum_onsets, drum_offsets = (
        sorted(drum.onset for drum in drums),
        sorted(drum.offset for drum in drums),
    )
    latest = -math.inf  # the end of all notes before
    for index, note in enumerate(notes):
        following = notes[index + 1].onset if index + 1 < len(notes) else math.inf
        offset = min(note.offset, following, end)
        if note.onset >= end:
            yield "it begins after the end of its file"
        elif latest - note.onset > OVERLAP_SECONDS or note.offset - following > OVERLAP_SECONDS:
            yield "it sounds together with another"
        elif bisect_left(drum_onsets, offset) > bisect_right(drum_offsets, note.onset):
            yield "it sounds together with drums"
        elif not notes_in_range([note]):
            yield "outside C0-B8"
        elif offset - note.onset < SHORTEST_NOTE_SECONDS:
            yield f"shorter than {SHORTEST_NOTE_SECONDS} s"
        else:
            yield Note(note.onset, offset, note.note_number, note.velocity)
        latest = max(latest, note.offset)
