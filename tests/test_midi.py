"""Labels survive a MIDI file; notes have the frames whose centre they cover; odd files."""

import struct

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lt.config import NOTE_LABELS
from lt.labels import SILENCE, NoteLabels
from lt.midi import (
    DYNAMICS_VELOCITIES,
    FRAME_SECONDS,
    Note,
    Track,
    last_offset,
    notes_in_range,
    notes_to_labels,
    read_midi,
    write_midi,
)


def mido_file(*tracks, ticks_per_beat=480):
    file = mido.MidiFile(ticks_per_beat=ticks_per_beat)
    for messages in tracks:
        file.tracks.append(mido.MidiTrack(messages))
    return file


def on(note, time=0, velocity=64, channel=0):
    return mido.Message("note_on", note=note, time=time, velocity=velocity, channel=channel)


def off(note, time=0, channel=0):
    return mido.Message("note_off", note=note, time=time, channel=channel)


def times(notes):
    return [(note.onset, note.offset) for note in notes]


def read(tmp_path, *tracks):
    mido_file(*tracks).save(tmp_path / "a.mid")
    return read_midi(tmp_path / "a.mid")


numbers = st.one_of(st.just(SILENCE), st.integers(12, 119))
runs = st.tuples(numbers, st.integers(0, 4), st.integers(1, 9))


# (onset, length, number, velocity), in steps of 5 ms; no two begin at once, and none is struck
# again while it sounds
random_notes = st.lists(
    st.tuples(st.integers(0, 1200), st.integers(1, 200), st.integers(12, 119), st.integers(1, 127)),
    min_size=1,
    max_size=25,
    unique_by=(lambda note: note[0], lambda note: note[2]),
)


@settings(max_examples=60, deadline=None)
@given(drawn=random_notes, tempo=st.sampled_from([33.3, 60.0, 120.0, 187.5]))
def test_notes_that_overlap_at_random_have_the_same_labels_after_a_midi_file(
    tmp_path_factory, drawn, tempo
):
    path = tmp_path_factory.mktemp("midi") / "a.mid"
    notes = sorted(
        Note(
            0.005 * (begin + 0.5), 0.005 * (begin + length + 0.5), number, velocity
        )  # off frames' centres
        for begin, length, number, velocity in drawn
    )
    write_midi(path, [Track("Flute", 73, tuple(notes))], tempo)
    back = [note for track in read_midi(path) for note in track.notes]
    np.testing.assert_array_equal(
        notes_to_labels(back, 180, 0.04).table(NOTE_LABELS),
        notes_to_labels(notes, 180, 0.04).table(NOTE_LABELS),
    )


@settings(max_examples=60, deadline=None)
@given(
    drawn=st.lists(runs, min_size=1, max_size=30), tempo=st.sampled_from([33.3, 60.0, 120.0, 187.5])
)
def test_notes_in_turn_and_their_labels_survive_a_midi_file(tmp_path_factory, drawn, tempo):
    path = tmp_path_factory.mktemp("midi") / "a.mid"
    number, dynamics, frames = np.array(drawn).T
    dynamics = np.where(number == SILENCE, SILENCE, dynamics)
    ends = np.cumsum(frames)
    notes = [
        Note(start * FRAME_SECONDS, end * FRAME_SECONDS, int(own), DYNAMICS_VELOCITIES[level])
        for start, end, own, level in zip(ends - frames, ends, number, dynamics)
        if own != SILENCE
    ]
    write_midi(path, [Track("Flute", 73, tuple(notes))], tempo)
    back = [note for track in read_midi(path) for note in track.notes]
    np.testing.assert_array_equal(
        notes_to_labels(back, ends[-1]).table(NOTE_LABELS),
        NoteLabels.from_notes(np.repeat(number, frames), np.repeat(dynamics, frames)).table(
            NOTE_LABELS
        ),
    )
    assert [(note.note_number, note.velocity) for note in back] == [
        (note.note_number, note.velocity) for note in notes
    ]
    for note, other in zip(back, notes, strict=True):
        assert abs(note.onset - other.onset) < 1e-3 and abs(note.offset - other.offset) < 1e-3


def test_a_file_opens_with_tempo_name_and_program_and_is_the_same_each_time(tmp_path):
    tracks = [
        Track("Flöte", 73, (Note(0.5, 1.0, 69, 64),)),
        Track("Piano", 0, (Note(0.0, 2.0, 60, 90),)),
    ]
    for name in ("a.mid", "b.mid"):
        write_midi(tmp_path / name, tracks, tempo=90)
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()
    file = mido.MidiFile(tmp_path / "a.mid", charset="utf-8")
    assert file.type == 1 and file.ticks_per_beat >= 480
    assert (
        file.tracks[0][0].type == "set_tempo"
        and round(mido.tempo2bpm(file.tracks[0][0].tempo), 3) == 90
    )
    assert [(track[0].name, track[1].program) for track in file.tracks[1:]] == [
        ("Flöte", 73),
        ("Piano", 0),
    ]
    back = read_midi(tmp_path / "a.mid")
    assert [(track.name, track.program) for track in back] == [("Flöte", 73), ("Piano", 0)]
    assert [len(track.notes) for track in back] == [1, 1]


def test_sixteen_tracks_leave_the_drums_alone(tmp_path):
    write_midi(tmp_path / "a.mid", [Track(str(i), i, (Note(0, 1, 60, 64),)) for i in range(16)])
    assert [track.name for track in read_midi(tmp_path / "a.mid")] == [str(i) for i in range(16)]


@pytest.mark.parametrize(
    "note",
    [
        Note(1, 0.5, 60, 64),
        Note(-1, 1, 60, 64),
        Note(0, float("nan"), 60, 64),
        Note(0, 1, 128, 64),
        Note(0, 1, 60, 0),
    ],
)
def test_impossible_notes_are_not_written(tmp_path, note):
    with pytest.raises(ValueError, match="cannot be written"):
        write_midi(tmp_path / "a.mid", [Track("", 0, (note,))])
    assert not list(tmp_path.iterdir())


def test_tempo_changes_of_any_track_count_for_all(tmp_path):
    tempi = [
        mido.MetaMessage("set_tempo", tempo=1_000_000),
        mido.MetaMessage("set_tempo", tempo=250_000, time=960),
    ]
    notes = [on(60), off(60, 480), on(62, 480), off(62, 480)]
    for tracks in ((tempi, notes), (notes, tempi)):
        (track,) = read(tmp_path, *tracks)
        np.testing.assert_allclose(times(track.notes), [(0, 1), (2, 2.25)])


def test_channels_and_programs_are_tracks_and_drums_are_left_out(tmp_path):
    tracks = read(
        tmp_path,
        [
            mido.MetaMessage("track_name", name="band"),
            mido.Message("program_change", program=73, channel=0),
            mido.Message("program_change", program=40, channel=1),
            on(60),
            on(64, channel=1),
            on(36, channel=9),
            off(60, 480),
            off(64, channel=1),
            off(36, channel=9),
            mido.Message("program_change", program=0, channel=0),
            on(60),
            off(60, 480),
        ],
    )
    assert [(track.name, track.program, len(track.notes)) for track in tracks] == [
        ("band", 73, 1),
        ("band", 40, 1),
        ("band", 0, 1),
    ]


def test_struck_again_never_ended_and_of_no_length(tmp_path):
    (track,) = read(
        tmp_path,
        [
            on(60),
            on(60, 480),
            off(60, 480),
            off(60),  # struck again: two notes, one after the other
            on(62),
            off(62),  # of no length: a tick
            on(64),
            off(64, 480),
            on(64),
            off(64, 480),
            on(65),
            on(65, 240),
            off(65),
            off(65, 240),
            on(67),
            on(60, 480),
            on(60, velocity=0, time=480),
        ],
    )  # 67 never ends; velocity 0 ends 60
    expected = {
        60: [(0, 0.5), (0.5, 1), (3.0, 3.5)],
        62: [(1, 1 + 0.5 / 480)],
        64: [(1, 1.5), (1.5, 2)],
        65: [(2, 2.25), (2.25, 2.5)],  # on before off in one tick: still two whole notes
        67: [(2.5, 3.5)],
    }
    for number, seconds in expected.items():
        np.testing.assert_allclose(
            times(note for note in track.notes if note.note_number == number), seconds
        )


def test_damaged_files_are_said_in_a_sentence(tmp_path):
    write_midi(
        tmp_path / "good.mid", [Track("a", 0, tuple(Note(i, i + 1, 60, 64) for i in range(20)))]
    )
    good = (tmp_path / "good.mid").read_bytes()
    bad = {
        "empty": b"",
        "text": b"not a MIDI file",
        "header": good[:14],
        "half": good[: len(good) // 2],
        "time": good[:12] + b"\xe7\x28" + good[14:],
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name) as caught:
            read_midi(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_midi(tmp_path / "missing.mid")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_midi(tmp_path)


@settings(max_examples=100, deadline=None)
@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_any_changed_byte_reads_or_is_said(tmp_path_factory, position, byte):
    path = tmp_path_factory.getbasetemp() / "changed.mid"
    write_midi(path, [Track("a", 0, (Note(0, 1, 60, 64), Note(1, 2, 62, 64)))])
    content = bytearray(path.read_bytes())
    content[position % len(content)] = byte
    path.write_bytes(content)
    try:
        read_midi(path)
    except ValueError as error:
        assert "changed.mid" in str(error)


def test_a_note_holds_the_frames_whose_centre_it_covers():
    def frames_of(onset, offset):
        return np.flatnonzero(
            ~notes_to_labels([Note(onset, offset, 60, 64)], 6, 1.0).silent
        ).tolist()

    assert frames_of(1, 3) == [1, 2]
    assert frames_of(0.5, 1.5) == [0]  # a centre at the onset is in, at the offset out
    assert frames_of(0.51, 1.51) == [1]
    assert frames_of(0.6, 1.4) == []
    assert frames_of(4, 99) == [4, 5]
    assert frames_of(7, 9) == []
    labels = notes_to_labels([Note(0, 1, 69, 127)], 1, 1.0)
    assert (labels.octave[0], labels.pitch[0], labels.dynamics[0]) == (4, 9, 4)


def test_the_newest_note_wins_and_the_older_comes_back():
    notes = [Note(2, 4, 64, 64), Note(0, 6, 60, 64), Note(5, 6, 62, 64)]
    assert notes_to_labels(notes, 7, 1.0).note_number.tolist() == [60, 60, 64, 64, 60, 62, SILENCE]


def test_notes_that_labels_cannot_name():
    notes = [Note(0, 1, number, 64) for number in (11, 12, 119, 120)]
    assert [note.note_number for note in notes_in_range(notes)] == [12, 119]
    with pytest.raises(ValueError, match="outside C0 to B8"):
        notes_to_labels(notes, 5)
    assert len(notes_to_labels([], 0)) == 0
    assert last_offset(notes) == 1 and last_offset([]) == 0


def test_times_beyond_all_numbers_are_damage(tmp_path):
    endless = b"\xff" * 10 + b"\x7f"  # a delta time of 77 bits
    track = b"\x00\x90\x3c\x40" + endless + b"\x80\x3c\x00" + b"\x00\xff\x2f\x00"
    (tmp_path / "x.mid").write_bytes(
        b"MThd"
        + struct.pack(">IHHH", 6, 0, 1, 480)
        + b"MTrk"
        + struct.pack(">I", len(track))
        + track
    )
    with pytest.raises(ValueError, match="x.mid"):
        read_midi(tmp_path / "x.mid")
