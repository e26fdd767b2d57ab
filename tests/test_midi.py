"""Labels survive a MIDI file; notes have the frames whose centre they cover; odd files."""

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from midi_helpers import control, midi_bytes, track_chunk
from midi_helpers import off as off_bytes
from midi_helpers import on as on_bytes
from midi_helpers import program as program_bytes

from lt.config import NOTE_LABELS
from lt.labels import SILENCE, NoteLabels
from lt.midi import (
    DYNAMICS_VELOCITIES,
    FRAME_SECONDS,
    Note,
    Track,
    last_offset,
    most_at_once,
    notes_in_range,
    notes_to_labels,
    notes_to_voices,
    quantise,
    read_midi,
    read_performance,
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


@pytest.mark.fault("odd input")
def test_notes_that_overlap_never_end_or_have_no_length(tmp_path):
    (track,) = read(
        tmp_path,
        [
            on(60),
            on(60, 480),
            off(60, 480),
            off(60),  # two notes that end together
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
        60: [(0, 1), (0.5, 1), (3.0, 3.5)],
        62: [(1, 1 + 0.5 / 480)],
        64: [(1, 1.5), (1.5, 2)],
        65: [(2, 2.25), (2.25, 2.5)],  # first on, first off, also in one tick
        67: [(2.5, 3.5)],
    }
    for number, seconds in expected.items():
        np.testing.assert_allclose(
            times(note for note in track.notes if note.note_number == number), seconds
        )


@pytest.mark.fault("malformed input")
def test_damaged_files_are_said_in_a_sentence(tmp_path):
    write_midi(
        tmp_path / "good.mid", [Track("a", 0, tuple(Note(i, i + 1, 60, 64) for i in range(20)))]
    )
    good = (tmp_path / "good.mid").read_bytes()
    bad = {
        "empty": b"",
        "text": b"not a MIDI file",
        "header": good[:14],
        "notes": good[:60],
        "time": good[:12] + b"\0\0" + good[14:],
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


@pytest.mark.fault("malformed input")
def test_times_beyond_all_numbers_are_damage(tmp_path):
    endless = b"\xff" * 10 + b"\x7f"  # a delta time of 77 bits
    track = track_chunk((0, on_bytes(60)), (480, off_bytes(60)), (480, endless))
    (tmp_path / "x.mid").write_bytes(midi_bytes(track))
    performance = read_performance(tmp_path / "x.mid")
    assert times(performance.tracks[0].notes) == [(0, 0.5)]
    assert performance.remarks == ("track 1 is damaged at its end",)


# --- pedals, controllers and programs -------------------------------------------------------------


def performed(tmp_path, *tracks, pedal=True):
    """Tracks of messages (tick, bytes) -> what is read; 960 ticks are a second."""
    (tmp_path / "a.mid").write_bytes(midi_bytes(*(track_chunk(*track) for track in tracks)))
    return read_performance(tmp_path / "a.mid", pedal)


def spans(performance):
    """Note number -> (onset, offset) in ticks, of all tracks."""
    notes = sorted(note for track in performance.tracks for note in track.notes)
    found = {}
    for note in notes:
        span = round(note.onset * 960), round(note.offset * 960)
        found.setdefault(note.note_number, []).append(span)
    return found


ARPEGGIO = ((100, on_bytes(60)), (150, off_bytes(60)), (200, on_bytes(64)), (250, off_bytes(64)))


def with_pedal(pedal, *changes):
    """An arpeggio of two short notes, and positions (tick, value) of a pedal."""
    moves = ((tick, control(pedal, value)) for tick, value in changes)
    return sorted((*ARPEGGIO, *moves), key=lambda message: message[0])


@pytest.mark.parametrize(
    "pedal, changes, ends",
    [
        (64, [(50, 127), (400, 0)], (400, 400)),
        (64, [(50, 64), (400, 63)], (400, 400)),  # half pedal: at 64
        (64, [(50, 63), (400, 0)], (150, 250)),
        (64, [(120, 127), (180, 0)], (180, 250)),
        (64, [(160, 127), (400, 0)], (150, 400)),  # after the key is up it holds nothing
        (64, [(50, 127), (300, 90), (400, 0)], (400, 400)),
        (66, [(120, 127), (400, 0)], (400, 250)),  # sostenuto: keys that are down alone
        (66, [(50, 127), (400, 0)], (150, 250)),
        (66, [(120, 127), (220, 127), (400, 0)], (400, 250)),  # down already
        (67, [(50, 127), (400, 0)], (150, 250)),  # soft: no end changes
    ],
)
def test_pedals_lengthen_notes(tmp_path, pedal, changes, ends):
    messages = with_pedal(pedal, *changes)
    found = spans(performed(tmp_path, messages))
    assert found == {60: [(100, ends[0])], 64: [(200, ends[1])]}
    without = spans(performed(tmp_path, messages, pedal=False))
    assert without == {60: [(100, 150)], 64: [(200, 250)]}


def test_under_the_pedal_a_key_that_is_played_again_ends_its_note(tmp_path):
    again = [(300, on_bytes(60)), (350, off_bytes(60))]
    messages = [(0, control(64, 127)), *ARPEGGIO, *again, (500, control(64, 0))]
    assert spans(performed(tmp_path, messages)) == {60: [(100, 300), (300, 500)], 64: [(200, 500)]}


def test_both_pedals_hold_until_both_are_up(tmp_path):
    messages = [
        (0, control(64, 127)),
        (100, on_bytes(60)),
        (120, control(66, 127)),
        (150, off_bytes(60)),
        (200, control(64, 0)),
        (300, control(66, 0)),
    ]
    assert spans(performed(tmp_path, messages)) == {60: [(100, 300)]}


def test_a_pedal_holds_its_channel_in_all_tracks_and_no_drums(tmp_path):
    pedal = [(0, control(64, 127)), (0, control(64, 127, 9)), (400, control(64, 0))]
    other = [(100, on_bytes(50, channel=1)), (150, off_bytes(50, channel=1))]
    drums = [(100, on_bytes(40, channel=9)), (150, off_bytes(40, channel=9))]
    performance = performed(tmp_path, pedal, ARPEGGIO, other, drums)
    assert spans(performance) == {60: [(100, 400)], 64: [(200, 400)], 50: [(100, 150)]}
    assert performance.n_drums == 1 and performance.remarks == ()


def test_notes_that_nothing_ends_last_until_the_last_event_and_are_counted(tmp_path):
    hung = [(100, on_bytes(70)), (120, on_bytes(71))]
    pedalled = [(0, control(64, 127)), *ARPEGGIO, (500, control(10, 5))]
    performance = performed(tmp_path, hung, pedalled)
    assert spans(performance) == {
        key: [(start, 500)] for key, start in zip((70, 71, 60, 64), (100, 120, 100, 200))
    }
    assert performance.remarks == (
        "2 notes without an end, taken to last until the last event",
        "2 notes under a pedal that never goes up, taken to last until the last event",
    )


@pytest.mark.fault("odd input")
@pytest.mark.parametrize(
    "message, names",
    [
        (control(7, 100), ()),
        (control(7, 90), ("volume (CC 7)",)),
        (control(11, 127), ()),
        (control(11, 0), ("expression (CC 11)",)),
        (bytes([0xE0, 0, 64]), ()),
        (bytes([0xE0, 1, 64]), ("pitch bend",)),
        (bytes([0xE1, 1, 64]), ()),  # a channel without notes
    ],
)
def test_controllers_that_change_the_sound_are_named(tmp_path, message, names):
    assert performed(tmp_path, [(0, message), *ARPEGGIO]).controllers == names


def test_a_program_of_its_own_track_comes_before_that_of_its_channel(tmp_path):
    def note(key, channel=0, tick=100):
        return [(tick, on_bytes(key, channel=channel)), (tick + 50, off_bytes(key, channel))]

    performance = performed(
        tmp_path,
        note(60),  # before the track that sets the program, at the same time
        [(0, program_bytes(40, 1)), *note(61, 1), (160, program_bytes(41, 1)), *note(62, 1, 200)],
        [(100, program_bytes(73))],
        [(0, program_bytes(5)), *note(63)],
        note(64, 2),
        note(65, 1, 300),
    )
    found = {
        note.note_number: (track.program, track.has_program)
        for track in performance.tracks
        for note in track.notes
    }
    assert found == {
        60: (73, True),
        61: (40, True),
        62: (41, True),
        63: (5, True),
        64: (0, False),
        65: (41, True),
    }


@settings(max_examples=60, deadline=None)
@given(drawn=random_notes, tempo=st.sampled_from([60.0, 96.0, 187.5]), division=st.integers(1, 48))
def test_quantised_notes_are_on_the_grid_and_near_where_they_were(drawn, tempo, division):
    notes = tuple(sorted(Note(a / 200, (a + b) / 200, *own) for a, b, *own in drawn))
    step, beat = 240 / tempo / division, 60 / tempo
    (track,) = quantise([Track("Flute", 73, notes)], tempo, division)
    shift = track.notes[0].onset - notes[0].onset
    assert abs(shift) <= beat / 2 + 1e-9 and track.notes[0].onset >= 0
    for note in track.notes:
        for time in (note.onset, note.offset):
            steps = (time - track.notes[0].onset) / step
            assert abs(steps - round(steps)) < 1e-6
        assert note.offset - note.onset >= step - 1e-9
        assert any(
            abs(note.onset - shift - own.onset) <= step / 2 + 1e-9
            and (note.note_number, note.velocity) == (own.note_number, own.velocity)
            for own in notes
        )
    (again,) = quantise([track], tempo, division)
    assert np.allclose([n.onset for n in again.notes], [n.onset for n in track.notes])


def test_a_quantised_melody_keeps_its_rhythm():
    played = ((0.13, 0.61, 60), (0.66, 0.85, 62), (0.88, 1.62, 64), (0.9, 0.95, 64))
    notes = tuple(Note(onset, offset, number, 64) for onset, offset, number in played)
    (track,) = quantise([Track("Flute", 73, notes)], 120.0, 16)
    assert [(n.onset, n.offset, n.note_number) for n in track.notes] == [
        (0.0, 0.5, 60),
        (0.5, 0.75, 62),
        (0.75, 1.5, 64),
    ]
    assert quantise([Track("Flute", 73, ())], 120.0, 16)[0].notes == ()


def test_simultaneous_notes_are_voices_from_the_lowest_on():
    notes = [Note(0.0, 1.0, 64, 90), Note(0.0, 2.0, 60, 90), Note(0.5, 1.0, 67, 20)]
    first, second = notes_to_voices(notes, 2, 20, 0.1)
    assert first.note_number.tolist() == [60] * 20
    assert second.note_number.tolist() == [64] * 10 + [SILENCE] * 10  # the softest is left out
    assert notes_to_voices([], 2, 5)[1].silent.all()


def test_notes_at_once_are_those_that_overlap():
    notes = [Note(0.0, 1.0, 60, 64), Note(0.95, 2.0, 64, 64), Note(1.0, 2.0, 67, 64)]
    assert most_at_once([]) == 0 and most_at_once(notes[:1]) == 1
    assert most_at_once(notes) == 2 and most_at_once(notes[:2], overlap=0.1) == 1
