"""MIDI files as they are found: every pair of oddities reads as the notes that the file has."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from midi_helpers import (
    KINDS,
    chunk,
    midi_bytes,
    name,
    odd_file,
    off,
    on,
    program,
    rmid,
    track_chunk,
)

from lt import smf
from lt.midi import read_performance

SCALE = (72, 76, 79, 84)
TUNE = track_chunk(
    (0, program(73)),
    *(
        message
        for place, key in enumerate(SCALE)
        for message in ((480 + 672 * place, on(key)), (960 + 672 * place, off(key)))
    ),
)
TIMES = [(0.5 + 0.7 * place, 1.0 + 0.7 * place, key) for place, key in enumerate(SCALE)]


def read(tmp_path, content):
    (tmp_path / "x.mid").write_bytes(content)
    return read_performance(tmp_path / "x.mid")


def assert_tune(performance, remarks=()):
    [track] = performance.tracks
    found = [(note.onset, note.offset, note.note_number) for note in track.notes]
    np.testing.assert_allclose(found, TIMES)
    assert track.program == 73 and performance.remarks == remarks


@pytest.mark.fault("odd input")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "kinds", [*combinations_with_replacement(KINDS, 2), KINDS], ids=" and ".join
)
def test_odd_files_have_the_notes_that_were_written(tmp_path, kinds, seed):
    content, expected = odd_file(kinds, seed)
    performance = read(tmp_path, content)
    found = {}
    for track in performance.tracks:
        found.setdefault(track.program, []).extend(track.notes)
    assert found.keys() == expected.keys()
    for number, notes in found.items():
        assert len(notes) == len(expected[number])
        for note, truth in zip(sorted(notes), expected[number]):
            np.testing.assert_allclose(
                (note.onset, note.offset), (truth.onset, truth.offset), atol=1e-9
            )
            assert (note.note_number, note.velocity) == (truth.note_number, truth.velocity)


@pytest.mark.parametrize(
    "wrap",
    [rmid, lambda content: b"\0" * 128 + content, lambda content: content + b"\0 trailing"],
    ids=["RMID", "MacBinary", "trailing bytes"],
)
def test_wrappers_are_taken_off(tmp_path, wrap):
    assert_tune(read(tmp_path, wrap(midi_bytes(TUNE))))


@pytest.mark.parametrize(
    "content, remark",
    [
        (midi_bytes(TUNE, n_tracks=3), "1 track where the header says 3"),
        (
            midi_bytes(chunk(b"XFIH", b"any"), TUNE, n_tracks=1),
            "1 chunk of another kind than tracks skipped",
        ),
        (midi_bytes(TUNE)[:-3], "cut off in track 1"),
        (
            midi_bytes(TUNE[:7] + b"\x05" + TUNE[8:], track_chunk()),
            "track 1 has another length than it says",
        ),
        (
            midi_bytes(TUNE[:4] + b"\x7f" + TUNE[5:], track_chunk()),
            "track 1 has another length than it says",
        ),
        (midi_bytes(TUNE, track_chunk((0, b"\x40\x40"))), "track 2 is damaged at its end"),
        (
            midi_bytes(track_chunk(), TUNE, kind=2),
            "of type 2: its 2 sequences are taken one after another",
        ),
    ],
)
def test_what_is_mended_is_said(tmp_path, content, remark):
    assert_tune(read(tmp_path, content), (remark,))


@pytest.mark.fault("odd input")
def test_data_bytes_over_127_count_as_127(tmp_path):
    performance = read(tmp_path, midi_bytes(track_chunk((0, on(200, 201)), (480, off(255)))))
    [note] = performance.tracks[0].notes
    assert (note.note_number, note.velocity, note.offset) == (127, 127, 0.5)
    assert performance.remarks == ("3 data bytes over 127 taken as 127",)


def test_system_messages_and_running_status_between_notes(tmp_path):
    messages = (
        (0, name("Flöte".encode())),
        (0, on(60)),
        (0, bytes.fromhex("f0 03 ff ff f7")),  # system exclusive, any bytes
        (240, bytes([60, 0])),  # running status goes on after it; velocity 0 ends the note
        (240, b"\xf8"),
        (240, bytes([62, 64])),
        (480, bytes([62, 0])),
    )
    [track] = read(tmp_path, midi_bytes(track_chunk(*messages))).tracks
    assert track.name == "Flöte"
    assert [(note.onset, note.offset) for note in track.notes] == [(0, 0.25), (0.25, 0.5)]


@pytest.mark.parametrize(
    "frames, seconds", [(24, 1 / 24), (25, 0.04), (29, 1.001 / 30), (30, 1 / 30)]
)
def test_time_in_frames_has_no_tempo(tmp_path, frames, seconds):
    tempo = (0, bytes.fromhex("ff51 03 0f4240"))
    tune = track_chunk(tempo, (0, on(60)), (100, off(60)))
    content = midi_bytes(tune, division=0x10000 - (frames << 8) + 10)
    [note] = read(tmp_path, content).tracks[0].notes
    np.testing.assert_allclose(note.offset, 10 * seconds)


def test_days_are_read_though_the_standard_ends_before(tmp_path):
    tune = track_chunk((0, on(60)), (2**30, off(60)))
    [note] = read(tmp_path, midi_bytes(tune)).tracks[0].notes
    np.testing.assert_allclose(note.offset, 2**30 / 960)


def test_channels_of_two_ports_are_different(tmp_path):
    first = track_chunk((0, program(73)), (0, on(60)), (9, off(60)))
    second = track_chunk((0, b"\xff\x21\x01\x01"), (0, on(60)), (9, off(60)))
    tracks = read(tmp_path, midi_bytes(first, second)).tracks
    assert [(track.program, track.has_program) for track in tracks] == [(73, True), (0, False)]


@pytest.mark.fault("malformed input")
@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "no header"),
        (b"RIFF\x10\0\0\0RMIDdata\0\0\0\0", "no header"),
        (midi_bytes(TUNE)[:12], "header is damaged"),
        (midi_bytes(TUNE, kind=3), "header is damaged"),
        (midi_bytes(TUNE, division=0), "how time is counted"),
        (midi_bytes(TUNE, division=0xFF28), "how time is counted"),
    ],
)
def test_files_without_a_header_are_refused(content, words):
    with pytest.raises(ValueError, match=words):
        smf.parse(content)


@pytest.mark.fault("malformed input")
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_damage_is_read_or_refused(data):
    seed = data.draw(st.integers(0, 3))
    content = bytearray(odd_file(KINDS[:3] + KINDS[7:], seed)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    try:
        events = smf.parse(bytes(content))
    except ValueError:
        return
    assert all(0 <= value <= 127 for event in events.events for value in event[4:])
    assert [event.tick for event in events.events] == sorted(event.tick for event in events.events)
