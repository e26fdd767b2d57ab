"""Arrangement of a MIDI file for a model: tracks are matched to the model's instruments, notes are
transposed and moved into the range of its labels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Sequence

from lt.config import PlayOptions
from lt.labels import FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER, LabelSpace
from lt.messages import counted
from lt.midi import INSTRUMENTS, Note, Track, dynamics_to_velocity


@dataclass(frozen=True)
class Arrangement:
    """Tracks, one per instrument of a model, and remarks on what was matched, moved or left out."""

    tracks: tuple[Track, ...]
    remarks: tuple[str, ...]


def arrange(
    tracks: Sequence[Track], space: LabelSpace, options: PlayOptions, name: str
) -> Arrangement:
    """Match tracks of the file `name` to the model's instruments and fit their notes to its labels.

    Raises:
        ValueError: no notes but drums, none left to play, or dynamics for a model without that
            label.
    """
    if not any(track.notes for track in tracks):
        raise ValueError(f"{name} has no notes to play (drums are left out)")
    if options.dynamics is not None and "dynamics" not in space.labels:
        raise ValueError("this model has no label dynamics to replace; leave --dynamics out")
    matched = match_tracks(tracks, space)
    numbers = [note.note_number for track in matched.tracks for note in track.notes]
    outside = sum(not _in_range(number + options.transposition) for number in numbers)
    remarks = matched.remarks
    if outside:
        change = "left out" if options.out_of_range == "skip" else "moved by octaves"
        remarks += (f"{counted(outside, 'note')} outside C0-B8 {change}",)
    fitted = tuple(
        replace(track, notes=tuple(fit_notes(track.notes, options))) for track in matched.tracks
    )
    if not any(track.notes for track in fitted):
        raise ValueError(f"{name}: no note is left to play")
    return Arrangement(fitted, remarks)


def match_tracks(tracks: Sequence[Track], space: LabelSpace) -> Arrangement:
    """One track per instrument of the model. A single instrument gets all tracks merged.

    Of several instruments, each gets the tracks of its name and those of the same program as these;
    where none has its name, those that set the instrument's own program. An instrument without any
    gets one of the remaining tracks, by the program that holds where none is set, then in order.
    """
    names = [part.name for part in space.parts]
    if len(names) == 1:
        [instrument] = names
        merged = f"{len(tracks)} tracks merged into one for {instrument}: {_listed(tracks)}"
        remarks = (merged,) if len(tracks) > 1 else ()
        return Arrangement((_merged(instrument, tracks, tracks[0].program),), remarks)
    programs = {key: INSTRUMENTS[key].program for key in names if key in INSTRUMENTS}
    unmatched = list(tracks)
    parts: dict[str, list[Track]] = {instrument: [] for instrument in names}

    def give(instrument: str, found: Sequence[Track]) -> None:
        parts[instrument] += found
        for track in found:
            unmatched.remove(track)

    for instrument in parts:
        named = [track for track in unmatched if _plain(track.name) == _plain(instrument)]
        give(instrument, named)
    for instrument, own in parts.items():
        wanted = {track.program for track in own} or {programs.get(instrument)}
        give(instrument, [t for t in unmatched if t.has_program and t.program in wanted])
    for wanted in (programs, {}):
        for instrument, own in parts.items():
            fitting = (t for t in unmatched if t.program == wanted.get(instrument, t.program))
            give(instrument, [] if own else list(islice(fitting, 1)))
    remarks = [
        f"{instrument} plays the track{'s' * (len(own) > 1)} {_listed(own)}"
        if own
        else f"{instrument} has no track and is silent"
        for instrument, own in parts.items()
    ]
    if unmatched:
        left_out = counted(len(unmatched), "track")
        remarks.append(
            f"{left_out} without an instrument in this model left out: {_listed(unmatched)}"
        )
    merged = tuple(
        _merged(instrument, own, programs.get(instrument, own[0].program if own else 0))
        for instrument, own in parts.items()
    )
    return Arrangement(merged, tuple(remarks))


def _merged(instrument: str, tracks: Sequence[Track], program: int) -> Track:
    """The notes of all tracks."""
    notes = sorted(note for track in tracks for note in track.notes)
    return Track(instrument, program, tuple(notes))


def fit_notes(notes: Sequence[Note], options: PlayOptions) -> list[Note]:
    """Notes transposed and with replaced dynamics. Those outside C0-B8 are moved by octaves or left
    out.
    """
    fitted = []
    for note in notes:
        number = note.note_number + options.transposition
        if not _in_range(number):
            if options.out_of_range == "skip":
                continue
            lowest = FIRST_NOTE_NUMBER if number < FIRST_NOTE_NUMBER else LAST_NOTE_NUMBER - 11
            number = number % 12 + lowest
        velocity = note.velocity
        if options.dynamics is not None:
            velocity = int(dynamics_to_velocity(options.dynamics))
        fitted.append(replace(note, note_number=number, velocity=velocity))
    return fitted


def _listed(tracks: Sequence[Track]) -> str:
    """Names and programs: `'Violin' (program 40), '' (program 0)`."""
    return ", ".join(f"'{track.name}' (program {track.program})" for track in tracks)


def _in_range(note_number: int) -> bool:
    """Whether a note has labels: C0-B8."""
    return FIRST_NOTE_NUMBER <= note_number <= LAST_NOTE_NUMBER


def _plain(name: str) -> str:
    """Letters and digits in lower case: `Trumpet-C` and `trumpet c` are the same name."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
