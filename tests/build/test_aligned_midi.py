"""Recordings with aligned MIDI give their single notes."""

import mido
import numpy as np
import soundfile
from builder_helpers import (
    build_at,
    labels_of,
    statuses_of,
    tone,
)
from midi_helpers import control, midi_bytes, off, on, track_chunk

from lt.build.discover import index_sources
from lt.config import BuildConfig, TrimConfig
from lt.data.dataset import read_data_set
from lt.midi import Note, Track, write_midi


def test_aligned_midi_is_cut_into_its_notes(tmp_path):
    root = tmp_path / "flute set"
    sound = np.concatenate(
        [soundfile.read(tone(tmp_path / "t.wav", note, 0.5))[0] for note in ("A4", "C5", "E5")]
    )
    (root / "Recordings").mkdir(parents=True)
    (root / "mid").mkdir()
    soundfile.write(root / "Recordings" / "x.wav", sound, 22050)
    tone(root / "Recordings" / "alone.wav", "A4")
    notes = [
        Note(0.0, 0.5, 69, 64),
        Note(0.5, 1.0, 72, 115),
        Note(1.0, 1.5, 76, 13),
        Note(1.0, 1.4, 79, 13),
    ]
    write_midi(root / "mid" / "x-lined.mid", [Track("", 0, tuple(notes))])
    output = build_at(root, tmp_path)
    assert set(labels_of(output).values()) == {("Flute", 4, 9, 2), ("Flute", 5, 0, 4)}
    assert read_data_set(output).lengths.tolist() == 2 * [TrimConfig.lead_frames + 16]
    statuses = statuses_of(output)
    assert "no MIDI" in statuses["flute set/Recordings/alone.wav"][1]
    assert statuses["flute set/mid/x-lined.mid"][0] == "index"


def test_notes_that_the_pedal_holds_are_single_until_the_next_begins(tmp_path):
    """Short keys under a pedal: only the first sounds alone, until the second."""
    tone(tmp_path / "s" / "piano.wav", "C3", seconds=2.0)
    keys = [(192 * place, 192 * place + 144, 48 + place) for place in range(1, 5)]
    messages = [(tick, on(key)) for tick, _, key in keys] + [
        (end, off(key)) for _, end, key in keys
    ]
    pedal = [(0, control(64, 127)), (1500, control(64, 0))]
    track = track_chunk(*sorted(messages + pedal))
    (tmp_path / "s" / "piano.mid").write_bytes(midi_bytes(track))
    manifest = index_sources([tmp_path / "s"], BuildConfig(kind="midi"))
    [location] = [note.location for note in manifest.notes]
    assert (location.onset, location.offset, location.until) == (0.2, 0.4, 0.4)
    assert sum("together" in skip.reason for skip in manifest.skipped) == 3
    manifest = index_sources([tmp_path / "s"], BuildConfig(kind="midi", pedal=0))
    offsets = [note.location.offset for note in manifest.notes]
    assert offsets == [0.35, 0.55, 0.75, 0.95]


def test_midi_without_notes_is_said_to_be_so(tmp_path):
    tone(tmp_path / "s" / "flute.wav", "A4", seconds=1.0)
    tone(tmp_path / "s" / "empty.wav", "A4", seconds=1.0)
    write_midi(
        tmp_path / "s" / "flute.mid",
        [Track("Flute", 73, (Note(0.0, 0.9, 69, 64), Note(50.0, 51.0, 70, 64)))],
    )
    mido.MidiFile(tracks=[mido.MidiTrack()]).save(tmp_path / "s" / "empty.mid")
    manifest = index_sources([tmp_path / "s"], BuildConfig())
    reasons = {skip.file: skip.reason for skip in manifest.skipped}
    assert (
        "no notes" in reasons["s/empty.wav"]
        and "after the end of its file" in reasons["s/flute.wav"]
    )


def test_notes_over_drums_are_not_alone(tmp_path):
    tone(tmp_path / "s" / "flute.wav", "A4", seconds=1.5)
    notes = [Note(0.0, 0.5, 69, 64), Note(0.5, 1.0, 69, 64), Note(1.0, 1.5, 69, 64)]
    write_midi(tmp_path / "s" / "flute.mid", [Track("Flute", 73, tuple(notes))])
    file = mido.MidiFile(tmp_path / "s" / "flute.mid")
    ticks = round(0.7 * file.ticks_per_beat * 2)  # 0.7 s at 120 beats a minute
    drums = (
        mido.Message("note_on", channel=9, note=38, velocity=90, time=ticks),
        mido.Message("note_off", channel=9, note=38, time=10),
    )
    file.tracks.append(mido.MidiTrack(drums))
    file.save(tmp_path / "s" / "flute.mid")
    manifest = index_sources([tmp_path / "s"], BuildConfig(kind="midi"))
    assert [note.location.onset for note in manifest.notes] == [0.0, 1.0]
    assert "note at 0.500 s: it sounds together with drums" in {
        skip.reason for skip in manifest.skipped
    }
