"""Ground truth of recordings: their aligned MIDI, found and converted to a model's labels.

`STEM.wav` goes with `STEM-lined.mid`, or with `STEM.mid`, anywhere below the two folders. Events
that a model has no labels for (drums, notes out of range, tracks of other instruments) are left out
and counted in the remarks of the reference, never dropped silently.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Sequence

import numpy as np

from lt.audio.io import needs_conversion
from lt.config import AlignmentConfig, ChordConfig
from lt.data.folders import MIDI_SUFFIXES, Folder, midi_pairs
from lt.evaluation.alignment import Fit
from lt.files import unique_stems
from lt.inference.tracks import match_tracks
from lt.labels import LabelSpace, NoteLabels
from lt.messages import counted
from lt.midi import (
    Note,
    Track,
    last_offset,
    most_at_once,
    notes_in_range,
    notes_to_voices,
    read_performance,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """A recording, its aligned MIDI, and the stem of the files written about it."""

    stem: str
    audio: Path
    midi: Path


@dataclass(frozen=True)
class Reference:
    """The annotation of a recording.

    Attributes:
        notes: all notes of the MIDI file but drums, sorted.
        tracks: one an instrument of the model, with the notes that its labels can express.
        remarks: what was left out or is odd, a sentence each.
    """

    notes: tuple[Note, ...]
    tracks: tuple[Track, ...]
    remarks: tuple[str, ...]

    @property
    def velocities_differ(self) -> bool:
        """False for files without information on dynamics."""
        return len({note.velocity for note in self.notes}) > 1

    def moved(self, fit: Fit) -> Reference:
        """The reference with its notes moved."""
        tracks = tuple(replace(track, notes=fit.apply(track.notes)) for track in self.tracks)
        return replace(self, notes=fit.apply(self.notes), tracks=tracks)

    def classes(
        self, space: LabelSpace, n_frames: int, frame_seconds: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Classes (frames, instruments, labels), and the frames (frames,) in which they are
        defined: all, but for a model without silence only those in which every instrument sounds.
        """
        labels = [
            voice
            for part, track in zip(space.parts, self.tracks)
            for voice in notes_to_voices(track.notes, part.n_voices, n_frames, frame_seconds)
        ]
        silent = np.any([of_instrument.silent for of_instrument in labels], axis=0)
        known = ~silent | space.silence
        classes = np.zeros((n_frames, len(space.instruments), len(space.labels)), np.int64)
        classes[known] = space.to_classes(
            [NoteLabels.from_table(of_instrument.table()[known]) for of_instrument in labels]
        )
        return classes, known


# --- pairs of files -------------------------------------------------------------------------------


def find_pairs(dataroot: Path, midiroot: Path, outputs: Sequence[Path] = ()) -> list[Pair]:
    """The recordings with their MIDI; files without a partner are logged.

    Args:
        outputs: folders of results, which are not searched.

    Raises:
        FileNotFoundError: a folder does not exist, has no recording or no MIDI file, or there is
        no pair.
    """
    sounds = _search(dataroot, "dataroot", outputs)
    midi = _search(midiroot, "midiroot", outputs)
    midi_files = {file for file in midi.files if file.lower().endswith(MIDI_SUFFIXES)}
    if not sounds.sounds():
        raise FileNotFoundError(
            f"dataroot {dataroot} holds no sound files (wav, flac, mp3, ogg, aiff)"
        )
    if not midi_files:
        raise FileNotFoundError(
            f"midiroot {midiroot} holds no MIDI files (.mid, .midi, .rmi, .kar)"
        )
    pairs = midi_pairs(sounds, midi)
    if not pairs:
        raise FileNotFoundError(
            f"no sound file in {dataroot} has a MIDI file in {midiroot}: STEM.wav goes with "
            "STEM-lined.mid or STEM.mid"
        )
    for file in sounds.sounds():
        if file not in pairs:
            logger.info(
                "%s: no MIDI file of its name (STEM-lined.mid or STEM.mid), skipped",
                dataroot / file,
            )
    for file in sorted(midi_files.difference(pairs.values())):
        logger.info("%s: no sound file of its name, skipped", midiroot / file)
    return [
        Pair(stem, dataroot / sound, midiroot / pairs[sound])
        for stem, sound in zip(unique_stems(pairs), pairs)
    ]


def _search(root: Path, flag: str, outputs: Sequence[Path]) -> Folder:
    """The files below a root that are in no folder of `outputs`."""
    if not root.is_dir():
        raise FileNotFoundError(f"{flag} {root} is no folder that can be read; check the path")
    found = Folder.of(root, root.name)
    results = {output.resolve() for output in outputs}
    kept = (file for file in found.files if not results & {*(root / file).resolve().parents})
    return replace(found, files=tuple(kept))


def count_converted(pairs: Sequence[Pair], sample_rate: int) -> int:
    """Number of recordings that are resampled or mixed down; unreadable ones, which are reported
    later, do not count.
    """
    count = 0
    for pair in pairs:
        with suppress(OSError, ValueError):
            count += needs_conversion(pair.audio, sample_rate)
    return count


# --- annotations ----------------------------------------------------------------------------------


def read_reference(path: Path, space: LabelSpace, pedal: bool = True) -> Reference:
    """Read an aligned MIDI file for a model.

    Args:
        pedal: whether its pedals lengthen notes.

    Raises:
        FileNotFoundError, ValueError: as `lt.midi.read_midi`, or there are no notes but drums.
    """
    performance = read_performance(path, pedal)
    remarks = []
    if performance.n_drums:
        remarks.append(f"{counted(performance.n_drums, 'drum note')} left out")
    if performance.remarks:
        remarks.append("; ".join(performance.remarks))
    notes = sorted(note for track in performance.tracks for note in track.notes)
    if not notes:
        raise ValueError(f"{path} has no notes" + (f" ({'; '.join(remarks)})" if remarks else ""))
    matched = match_tracks(performance.tracks, space)
    remarks += matched.remarks
    in_range = []
    for part, track in zip(space.parts, matched.tracks):
        kept = tuple(notes_in_range(track.notes))
        if len(kept) < len(track.notes):
            left_out = counted(len(track.notes) - len(kept), "note")
            remarks.append(f"{left_out} outside C0-B8 left out of the frames")
        most = most_at_once(kept, ChordConfig.overlap)
        if most > part.n_voices:
            which = "loudest" if part.n_voices > 1 else "latest"
            remarks.append(
                f"up to {most} notes at once, but {part.name} has {part.n_voices} (lt_train.py "
                f"--voices): the {which} are in the frames"
            )
        in_range.append(replace(track, notes=kept))
    return Reference(tuple(notes), tuple(in_range), tuple(remarks))


def compare_lengths(reference: Reference, seconds: float) -> list[str]:
    """Remarks on a MIDI file that is longer or shorter than its recording of `seconds`."""
    end = last_offset(reference.notes)
    late = sum(note.onset >= seconds for note in reference.notes)
    remarks = []
    if late:
        remarks.append(
            f"the MIDI goes on after the recording's end at {seconds:.1f} s: "
            f"{counted(late, 'note')} cannot be heard"
        )
    elif end - seconds > AlignmentConfig.longest_pause:
        remarks.append(f"the last note lasts {end - seconds:.1f} s longer than the recording")
    if seconds - end > AlignmentConfig.longest_pause:
        remarks.append(
            f"the recording goes on for {seconds - end:.1f} s after the last note of the MIDI"
        )
    return remarks
