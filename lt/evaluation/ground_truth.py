"""References: recordings found with their aligned MIDI, and what that MIDI says in the words of a
model.

`STEM.wav` goes with `STEM-lined.mid`, or with `STEM.mid`, anywhere below the two folders. What a
MIDI file holds that a model cannot be asked for (drums, notes outside its labels, tracks of other
instruments) is left out and counted in the reference's remarks, never dropped silently.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Sequence

import numpy as np

from lt.audio.io import needs_conversion
from lt.data.pairs import MIDI_SUFFIXES, Folder, midi_pairs
from lt.files import unique_stems
from lt.inference.tracks import match_tracks
from lt.labels import LabelSpace, NoteLabels
from lt.midi import (
    DRUM_CHANNEL,
    Note,
    Track,
    last_offset,
    notes_in_range,
    notes_to_labels,
    read_midi,
)

Say = Callable[[str], None]
LONGEST_PAUSE = 5.0  # seconds of a recording after its last note that need no remark


@dataclass(frozen=True)
class Pair:
    """A recording, its aligned MIDI, and the stem of what is written about it."""

    stem: str
    audio: Path
    midi: Path


@dataclass(frozen=True)
class Reference:
    """What was played.

    Attributes:
        notes: all of the file, sorted; drums are left out.
        tracks: one an instrument of the model, with the notes that its labels can name.
        remarks: what was left out or is odd, a sentence each.
    """

    notes: tuple[Note, ...]
    tracks: tuple[Track, ...]
    remarks: tuple[str, ...]

    @property
    def velocities_differ(self) -> bool:
        """Whether the file says anything about dynamics."""
        return len({note.velocity for note in self.notes}) > 1

    def classes(
        self, space: LabelSpace, n_frames: int, frame_seconds: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Classes (frames, instruments, labels), and which frames (frames,) they may be judged in:
        all, but where a model knows no silence only those in which every instrument sounds (the
        classes elsewhere mean nothing).
        """
        labels = [notes_to_labels(track.notes, n_frames, frame_seconds) for track in self.tracks]
        if space.silence:
            return space.to_classes(labels), np.ones(n_frames, bool)
        known = ~np.any([one.silent for one in labels], axis=0)
        classes = np.zeros((n_frames, len(space.instruments), len(space.labels)), np.int64)
        classes[known] = space.to_classes(
            [NoteLabels.from_table(one.table()[known]) for one in labels]
        )
        return classes, known


# --- files in pairs -------------------------------------------------------------------------------


def find_pairs(dataroot: Path, midiroot: Path, outputs: Sequence[Path], say: Say) -> list[Pair]:
    """The recordings with their MIDI; files without a partner are named to `say`.

    Args:
        outputs: folders that hold results; what lies in them is no recording, and no reference.

    Raises:
        FileNotFoundError: a folder does not exist, holds no recording or no MIDI file, or there is
        no pair.
    """
    sounds, midi = (
        _searched(dataroot, "--dataroot", outputs),
        _searched(midiroot, "--midiroot", outputs),
    )
    midi_files = [file for file in midi.files if file.lower().endswith(MIDI_SUFFIXES)]
    if not sounds.sounds():
        raise FileNotFoundError(
            f"--dataroot {dataroot} holds no sound files (wav, flac, mp3, ogg, aiff)"
        )
    if not midi_files:
        raise FileNotFoundError(f"--midiroot {midiroot} holds no MIDI files (.mid)")
    pairs = midi_pairs(sounds, midi)
    if not pairs:
        raise FileNotFoundError(
            f"no sound file in {dataroot} has a MIDI file in {midiroot}: STEM.wav goes with "
            "STEM-lined.mid or STEM.mid"
        )
    for file in sounds.sounds():
        if file not in pairs:
            say(
                f"{dataroot / file}: no MIDI file of its name (STEM-lined.mid or STEM.mid), skipped"
            )
    for file in sorted(set(midi_files) - set(pairs.values())):
        say(f"{midiroot / file}: no sound file of its name, skipped")
    return [
        Pair(stem, dataroot / sound, midiroot / pairs[sound])
        for stem, sound in zip(unique_stems(pairs), pairs)
    ]


def _searched(root: Path, flag: str, outputs: Sequence[Path]) -> Folder:
    """The files below a root, results left out."""
    if not root.is_dir():
        raise FileNotFoundError(f"{flag} {root} is no folder that can be read; check the path")
    found, left_out = Folder.of(root, root.name), [output.resolve() for output in outputs]
    kept = [
        file
        for file in found.files
        if not any(output in (root / file).resolve().parents for output in left_out)
    ]
    return replace(found, files=tuple(kept))


def count_converted(pairs: Sequence[Pair], sample_rate: int) -> int:
    """How many recordings are resampled or mixed down; unreadable ones, named later, are not
    counted.
    """

    def converted(path: Path) -> bool:
        try:
            return needs_conversion(path, sample_rate)
        except (OSError, ValueError):
            return False

    return sum(converted(pair.audio) for pair in pairs)


# --- what the MIDI says ---------------------------------------------------------------------------


def read_reference(path: Path, space: LabelSpace) -> Reference:
    """Read an aligned MIDI file for a model.

    Raises:
        FileNotFoundError, ValueError: as `lt.midi.read_midi`, or there are no notes but drums.
    """
    tracks, remarks = read_midi(path), list(_odd_messages(path))
    if not any(track.notes for track in tracks):
        raise ValueError(f"{path} has no notes" + (f" ({'; '.join(remarks)})" if remarks else ""))
    matched = match_tracks(tracks, space)
    remarks.extend(matched.remarks)
    named = []
    for track in matched.tracks:
        inside = notes_in_range(track.notes)
        if len(inside) < len(track.notes):
            remarks.append(
                f"{_counted(len(track.notes) - len(inside), 'note')} outside C0-B8 left out of "
                "the frames"
            )
        named.append(replace(track, notes=tuple(inside)))
    notes = sorted(note for track in tracks for note in track.notes)
    return Reference(tuple(notes), tuple(named), tuple(remarks))


def against_recording(reference: Reference, seconds: float) -> list[str]:
    """What is odd about a reference beside a recording of so many seconds."""
    end, remarks = last_offset(reference.notes), []
    late = sum(note.onset >= seconds for note in reference.notes)
    if late:
        remarks.append(
            f"the MIDI goes on after the recording's end at {seconds:.1f} s: "
            f"{_counted(late, 'note')} cannot be heard"
        )
    elif end - seconds > LONGEST_PAUSE:
        remarks.append(f"the last note lasts {end - seconds:.1f} s longer than the recording")
    if seconds - end > LONGEST_PAUSE:
        remarks.append(
            f"the recording goes on for {seconds - end:.1f} s after the last note of the MIDI"
        )
    return remarks


def _odd_messages(path: Path) -> list[str]:
    """Drums, and notes of no length, of a MIDI file that can be read."""
    import mido

    drums, empty = sum(len(track.notes) for track in read_midi(path, drums=True)), 0
    for messages in mido.MidiFile(path).tracks:
        tick, struck = 0, Counter()
        for message in messages:
            tick += message.time
            if message.type in ("note_on", "note_off") and message.channel == DRUM_CHANNEL:
                continue
            if message.type == "note_on" and message.velocity:
                struck[message.channel, message.note, tick] += 1
            elif (
                message.type in ("note_on", "note_off")
                and struck[message.channel, message.note, tick]
            ):
                struck[message.channel, message.note, tick] -= 1
                empty += 1
    remarks = [f"{_counted(drums, 'drum note')} left out"] if drums else []
    return remarks + (
        [f"{_counted(empty, 'note')} of no length, taken as one tick long"] if empty else []
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")
