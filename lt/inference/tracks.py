"""Arranging: the tracks of a MIDI file made into what a model can play.

Names: `say` is told, a sentence at a time, what was matched, moved or left out.
"""

from __future__ import annotations

from collections import Counter
from typing import Callable, Sequence

from lt.config import PlayOptions
from lt.labels import FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER, LabelSpace, dynamics_to_velocity
from lt.midi import INSTRUMENTS, Note, Track

Say = Callable[[str], None]


def arrange(
    tracks: Sequence[Track], space: LabelSpace, options: PlayOptions, name: str, say: Say
) -> list[Track]:
    """A file's tracks -> one an instrument of the model, of notes that it has labels for,
    transposed.

    Raises:
        ValueError: no notes but drums, none that is left to play, or dynamics for a model without
        them.
    """
    if not any(track.notes for track in tracks):
        raise ValueError(f"{name} has no notes to play (drums are left out)")
    if options.dynamics is not None and "dynamics" not in space.labels:
        raise ValueError("this model has no label dynamics to replace; leave --dynamics out")
    matched = match_tracks(tracks, space, name, say)
    counts: Counter[str] = Counter()
    arranged = [
        Track(track.name, track.program, tuple(fit_notes(track.notes, options, counts)))
        for track in matched
    ]
    for what, count in counts.items():
        say(f"{name}: {count} note{'s' * (count > 1)} outside C0-B8 {what}")
    if not any(track.notes for track in arranged):
        raise ValueError(f"{name}: no note is left to play")
    return arranged


def match_tracks(tracks: Sequence[Track], space: LabelSpace, name: str, say: Say) -> list[Track]:
    """One track an instrument of the model: all of them for one instrument, else by name, by
    program, by order.
    """
    if len(space.instruments) == 1:
        notes = sorted(note for track in tracks for note in track.notes)
        return [Track(space.instruments[0], tracks[0].program, tuple(notes))]
    left, found = list(tracks), {}
    programs = {
        instrument: INSTRUMENTS[instrument].program
        for instrument in space.instruments
        if instrument in INSTRUMENTS
    }
    for fits in (
        lambda track, instrument: _plain(track.name) == _plain(instrument),
        lambda track, instrument: track.program == programs.get(instrument),
        lambda track, instrument: True,
    ):
        for instrument in space.instruments:
            track = next((track for track in left if fits(track, instrument)), None)
            if instrument not in found and track is not None:
                found[instrument] = track
                left.remove(track)
    for instrument in space.instruments:
        track = found.get(instrument)
        say(
            f"{name}: {instrument} "
            + (
                f"plays the track '{track.name}' (program {track.program})"
                if track
                else "has no track and is silent"
            )
        )
    if left:
        say(
            f"{name}: {len(left)} track{'s' * (len(left) > 1)} without an instrument in this "
            "model left out"
        )
    return [
        Track(
            instrument,
            programs.get(instrument, found[instrument].program if instrument in found else 0),
            found[instrument].notes if instrument in found else (),
        )
        for instrument in space.instruments
    ]


def _plain(name: str) -> str:
    """Letters and digits in lower case: `Trumpet-C` and `trumpet c` are one name."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def fit_notes(notes: Sequence[Note], options: PlayOptions, counts: Counter[str]) -> list[Note]:
    """Notes transposed, with replaced dynamics, inside C0-B8: others are moved by octaves or left
    out, and counted.
    """
    fitted = []
    for note in notes:
        number = note.note_number + options.transposition
        if not FIRST_NOTE_NUMBER <= number <= LAST_NOTE_NUMBER:
            skipped = options.out_of_range == "skip"
            counts["left out" if skipped else "moved by octaves"] += 1
            if skipped:
                continue
            number = number % 12 + (
                FIRST_NOTE_NUMBER if number < FIRST_NOTE_NUMBER else LAST_NOTE_NUMBER - 11
            )
        velocity = (
            note.velocity
            if options.dynamics is None
            else int(dynamics_to_velocity(options.dynamics))
        )
        fitted.append(Note(note.onset, note.offset, number, velocity))
    return fitted
