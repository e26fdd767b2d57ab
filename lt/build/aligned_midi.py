"""Recordings with aligned MIDI, cut into their notes.

`STEM.wav` goes with `STEM-lined.mid` or `STEM.mid`, anywhere below the source or below
`--midiroot`. Notes that sound together with others are skipped, since the data set holds single
notes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lt.audio.io import audio_seconds
from lt.build.notes import Indexer, Manifest, NoteDescription, joined
from lt.build.vocabulary import instrument_in
from lt.data.folders import Folder, midi_pairs
from lt.labels import DYNAMICS_NAMES, number_to_note_name
from lt.midi import Note, Track, notes_in_range, read_performance, velocity_to_dynamics

OVERLAP_SECONDS = 0.05  # of two notes that a player joins; more is two notes at once
SHORTEST_NOTE_SECONDS = 0.1

logger = logging.getLogger(__name__)


def index_midi(indexer: Indexer) -> Manifest:
    """Index recordings with aligned MIDI: their single notes, with the times of the MIDI."""
    folder = indexer.folder
    midi_root = Path(indexer.config.midiroot or folder.root)
    inside = midi_root == folder.root
    midi = folder if inside else Folder.of(midi_root, midi_root.name)
    pairs = midi_pairs(folder, midi)
    for sound, file in pairs.items():
        with indexer.skipping(sound):
            _add_notes(indexer, sound, midi_root / file)
    manifest = indexer.manifest(list(pairs.values()) if inside else [], "no MIDI file of its stem")
    if inside:
        return manifest
    files = sorted(set(pairs.values()))
    names = tuple(midi.name(file) for file in files)
    return joined(
        [manifest, Manifest(index_files=names, inputs=tuple(midi_root / file for file in files))]
    )


def _add_notes(indexer: Indexer, sound: str, midi: Path) -> None:
    """Add the single notes of one recording, and the reasons why others are skipped."""
    performance = read_performance(midi, bool(indexer.config.pedal))
    if performance.remarks:
        logger.info("%s: %s", midi, "; ".join(performance.remarks))
    tracks, keys = performance.tracks, read_performance(midi, pedal=False).tracks
    drums = [note for track in performance.drums for note in track.notes]
    end = audio_seconds(indexer.folder.root / sound)
    if not tracks:
        raise ValueError("its MIDI file has no notes" + (" but drums" if drums else ""))
    named = [(_instrument(indexer, sound, track), track) for track in tracks]
    found = [
        (note, key.offset, instrument)
        for (instrument, track), pressed in zip(named, keys, strict=True)
        for note, key in zip(_by_onset(track), _by_onset(pressed), strict=True)
    ]
    found.sort(key=lambda entry: entry[0])
    spans = _note_spans([note for note, *_ in found], [off for _, off, _ in found], drums, end)
    for (note, _, instrument), (offset, until, reason) in zip(found, spans, strict=True):
        with indexer.skipping(sound, f"note at {note.onset:.3f} s: "):
            if reason:
                raise ValueError(reason)
            name = number_to_note_name(note.note_number)
            dynamics = DYNAMICS_NAMES[int(velocity_to_dynamics(note.velocity))]
            description = NoteDescription(instrument, name, dynamics)
            times = (round(time, 6) for time in (note.onset, offset, until))
            indexer.add(sound, description, -1, *times)


def _instrument(indexer: Indexer, sound: str, track: Track) -> str:
    """Instrument of a track: as configured, by its name, or by the path of the recording."""
    instrument = (
        indexer.config.instrument
        or instrument_in(track.name)
        or instrument_in(indexer.folder.name(sound))
    )
    if not instrument:
        raise ValueError(
            f"no instrument is named (track '{track.name}'); name it: --instrument Flute"
        )
    return instrument


def _by_onset(track: Track) -> list[Note]:
    """The notes of a track in an order that pedals do not change."""
    return sorted(track.notes, key=lambda note: (note.onset, note.note_number, note.velocity))


def _note_spans(
    notes: Sequence[Note], key_offsets: Sequence[float], drums: Sequence[Note], end: float
) -> Iterable[tuple[float, float, str]]:
    """For each note of a recording of `end` seconds, notes sorted by onset: its offset, not after
    the next onset, the next onset (of a drum as well), and the reason why it is skipped, if it is.
    What a pedal alone holds beyond the next onset is no reason: until then, the note is single.
    """
    onsets = np.array([note.onset for note in notes])
    offsets = np.array([note.offset for note in notes])
    next_onset = np.append(onsets[1:], np.inf)
    previous_end = np.append(-np.inf, np.maximum.accumulate(offsets)[:-1])
    overlap = np.maximum(previous_end - onsets, np.array(key_offsets) - next_onset)
    ends = np.minimum(offsets, next_onset).clip(max=end)
    drum_onsets = np.sort([drum.onset for drum in drums] + [end])
    next_drums = drum_onsets[np.searchsorted(drum_onsets, onsets).clip(max=len(drums))]
    n_drums_begun = np.searchsorted(sorted(drum.onset for drum in drums), ends, "left")
    n_drums_over = np.searchsorted(sorted(drum.offset for drum in drums), onsets, "right")
    reasons = {
        "it begins after the end of its file": onsets >= end,
        "it sounds together with another": overlap > OVERLAP_SECONDS,
        "it sounds together with drums": n_drums_begun > n_drums_over,
        "outside C0-B8": np.array([not notes_in_range([note]) for note in notes]),
        f"shorter than {SHORTEST_NOTE_SECONDS} s": ends - onsets < SHORTEST_NOTE_SECONDS,
    }
    first = np.select(list(reasons.values()), list(reasons), "")
    until = np.minimum(next_onset, next_drums)
    return zip(ends.tolist(), until.tolist(), first.tolist(), strict=True)
