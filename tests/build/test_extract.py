"""Notes are cut out of their recordings, rendered, or taken from other data sets."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from builder_helpers import (
    build_at,
    notes_folder,
    run,
    tone,
    write_csv,
)

from lt.audio.soundfont import embedded_font
from lt.build.builder import build_from_manifest, font_manifest
from lt.build.extract import extract
from lt.build.notes import Manifest, Recording, SourceNote
from lt.config import BuildConfig, SpectralConfig, TrimConfig
from lt.data.dataset import read_data_set
from lt.midi import Note, Track, write_midi

RATE, STEP = SpectralConfig.sample_rate, SpectralConfig().frame_seconds
LEAD = TrimConfig.lead_frames * STEP  # seconds of a data set before the onset of a note
FRONT_ENDS = [SpectralConfig(hop=44, subframes=subframes) for subframes in (1, 2, 4)]


def test_a_note_after_the_end_of_its_file_is_said_to_be_there(tmp_path):
    tone(tmp_path / "s" / "a.wav", "A4", seconds=1.0)
    write_csv(tmp_path / "s", ["a.wav,Flute,A4,mf,0.0,1.0", "a.wav,Flute,A4,f,7.0,8.0"])
    output = build_at(tmp_path / "s", tmp_path)
    assert "begins after the end of its file" in output.with_suffix(".files.csv").read_text()


def test_font_notes_do_not_depend_on_their_order_and_gaps_are_filled(tmp_path):
    notes = [
        note
        for note in font_manifest(["Alto-Sax"]).notes
        if note.note_number in (63, 64) and note.dynamics in (0, 4)
    ]
    for name, order in (("there", notes), ("back", notes[::-1])):
        build_from_manifest(
            Manifest(tuple(order)), tmp_path / f"{name}.npz", BuildConfig(), processes=1
        )
    there, back = (read_data_set(tmp_path / f"{name}.npz") for name in ("there", "back"))
    assert (
        np.maximum.reduceat(there.peaks, there.starts[:-1]) > 0
    ).all()  # E4 is a gap in the embedded font
    index = {str(source): n for n, source in enumerate(back.notes.sources)}
    for n, source in enumerate(there.notes.sources):
        m = index[str(source)]
        assert np.array_equal(
            there.magnitudes[there.starts[n] : there.starts[n + 1]],
            back.magnitudes[back.starts[m] : back.starts[m + 1]],
        )


def test_merging_opens_a_set_once_and_takes_it_in_pieces(tmp_path, monkeypatch):
    root = notes_folder(tmp_path / "s", ["A4", "C5", "D5"])
    build_at(root, tmp_path)
    (tmp_path / "out.npz").rename(tmp_path / "one.npz")
    opened = []
    monkeypatch.setattr(
        "lt.build.extract.read_data_set", lambda path: opened.append(path) or read_data_set(path)
    )
    monkeypatch.setattr("lt.build.pool.DATA_SET_NOTES", 2)
    build_at(tmp_path / "one.npz", tmp_path)
    assert len(opened) == 1
    assert (
        read_data_set(tmp_path / "out.npz").magnitudes
        == read_data_set(tmp_path / "one.npz").magnitudes
    ).all()


# --- times and subframes --------------------------------------------------------------------------


def pluck(seconds, fall_db=0.0, release_db=None, number=81):
    """A tone that falls by so many decibels a second, and faster for half a second after it is let
    go.
    """
    time = np.arange(round(seconds * RATE)) / RATE
    level_db = -fall_db * time
    if release_db is not None:
        tail = np.arange(RATE // 2) / RATE
        level_db = np.concatenate([level_db, level_db[-1] - release_db * tail])
    time = np.arange(len(level_db)) / RATE
    frequency = 440 * 2 ** ((number - 69) / 12)
    return (0.3 * 10 ** (level_db / 20) * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def silence(seconds):
    return np.zeros(round(seconds * RATE), np.float32)


def extracted(path, audio, front_end, onset=0.0, offset=None, until=None):
    """Frames of a note of a recording, and what was measured."""
    soundfile.write(path, audio, RATE, subtype="FLOAT")
    location = Recording(path, onset, offset, until)
    features = extract([SourceNote("x", "x", location, "Flute", 81, 2, "x")], front_end)
    return features.magnitudes, features.notes[0]


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda config: config.subframes)
@pytest.mark.parametrize("before", [0.0, 0.01, 0.5, 0.513])
def test_a_border_of_the_frames_falls_on_the_onset(tmp_path, front_end, before):
    parts = silence(before), pluck(0.5, number=105), silence(0.5)  # high: short windows
    magnitudes, found = extracted(tmp_path / "x.wav", np.concatenate(parts), front_end)
    assert magnitudes.shape[1:] == (front_end.subframes, front_end.n_bins)
    n_before = round(found.onset / STEP)
    assert found.onset == n_before * STEP and n_before == TrimConfig.lead_frames
    levels = magnitudes.reshape(-1, front_end.n_bins).max(axis=1)
    first = n_before * front_end.subframes
    level = np.median(levels[first + 1 : first + 5])
    assert (levels[:first] < 0.3 * level).all()
    assert levels[first] > 0.2 * level  # an onset is found within a block


def test_model_frames_do_not_depend_on_the_subframes(tmp_path):
    audio = np.concatenate([silence(0.3), pluck(0.4, 30.0), silence(0.3)])
    whole, *finer = (extracted(tmp_path / "x.wav", audio, front_end)[0] for front_end in FRONT_ENDS)
    for magnitudes in finer:
        np.testing.assert_allclose(magnitudes.mean(axis=1), whole[:, 0], rtol=1e-4, atol=1e-6)


def test_a_release_belongs_to_its_note_up_to_the_next_one(tmp_path):
    audio = np.concatenate([pluck(1.0, release_db=120.0), silence(0.5), pluck(0.5)])
    for until, seconds in ((10.0, 1.4), (1.25, 1.25), (1.0, 1.0)):
        frames, found = extracted(tmp_path / "x.wav", audio, FRONT_ENDS[0], 0.0, 1.0, until)
        assert len(frames) * STEP == pytest.approx(LEAD + seconds, abs=0.06)
        released = pytest.approx(LEAD + 1.0, abs=1e-3)
        assert found.release == (released if until > 1.0 else np.inf)
    frames, found = extracted(tmp_path / "x.wav", audio, FRONT_ENDS[0])
    assert found.release == np.inf  # nobody said when it is let go, and another note follows
    frames, found = extracted(tmp_path / "x.wav", audio[: round(1.5 * RATE)], FRONT_ENDS[0])
    assert found.release == pytest.approx(LEAD + 1.0, abs=STEP)  # estimated


def test_a_note_that_sounds_after_its_offset_only_is_left_out(tmp_path):
    audio = np.concatenate([silence(0.5), pluck(0.5)])
    for offset, reason in ((0.4, "silent"), (1e-5, "it is silent up to its offset")):
        _, found = extracted(tmp_path / "x.wav", audio, FRONT_ENDS[0], 0.0, offset, 1.0)
        assert found.reason == reason


def test_notes_of_a_csv_and_of_midi_are_released_at_their_offsets(tmp_path):
    audio = [pluck(0.4, release_db=120.0), silence(0.1), pluck(0.5, release_db=120.0), pluck(0.5)]
    times = [(0.0, 0.4), (1.0, 1.5), (2.0, 2.5)]
    root = tmp_path / "s"
    root.mkdir()
    soundfile.write(root / "flute.wav", np.concatenate(audio), RATE)
    write_csv(root, [f"flute.wav,Flute,A5,mf,{onset},{offset}" for onset, offset in times])
    write_midi(root / "flute.mid", [Track("", 73, tuple(Note(*time, 81, 64) for time in times))])
    (root / "mid").mkdir()
    for kind in ("csv", "midi"):
        found = read_data_set(build_at(root, tmp_path, kind=kind)).notes
        released = np.array([0.4, 0.5, np.inf])
        np.testing.assert_allclose(found.release, LEAD + released, atol=2e-3)
        np.testing.assert_allclose(found.onset, LEAD, rtol=1e-6)


def test_font_notes_are_let_go_and_end_in_silence(tmp_path):
    notes = [
        note
        for note in font_manifest(["Flute", "Piano"]).notes
        if note.note_number == 72 and note.dynamics == 4
    ]
    config = BuildConfig()
    build_from_manifest(Manifest(tuple(notes)), tmp_path / "x.npz", config, processes=1)
    data = read_data_set(tmp_path / "x.npz")
    np.testing.assert_allclose(data.notes.release, LEAD + config.note_seconds, rtol=1e-4)
    np.testing.assert_allclose(data.notes.onset, LEAD, rtol=1e-6)
    assert data.silent[data.rows(0)][-1]
    seconds = data.lengths * STEP
    assert (seconds < LEAD + config.note_seconds + config.release_seconds + STEP).all()
    first = data.starts[:-1] + TrimConfig.lead_frames
    assert data.sounding[first].all() and not data.sounding[first - 1].any()


def test_times_are_kept_when_sets_merge(tmp_path, monkeypatch):
    arguments = "--instruments Flute --lowest A4 --highest A4 --note_seconds 0.4".split()
    assert run(embedded_font(), "--output", tmp_path / "one.npz", *arguments)[0] == 0
    notes_folder(tmp_path / "s", ["A4"], silence=0.3)
    assert run(tmp_path / "s", tmp_path / "one.npz", "--output", tmp_path / "two.npz")[0] == 0
    one, two = read_data_set(tmp_path / "one.npz"), read_data_set(tmp_path / "two.npz")
    np.testing.assert_array_equal(two.notes.release[1:], one.notes.release)
    np.testing.assert_array_equal(two.notes.onset[1:], one.notes.onset)
    assert two.notes.onset[0] > 0
    np.testing.assert_array_equal(two.magnitudes[two.starts[1] :], one.magnitudes)


def test_sets_of_other_subframes_are_not_merged(tmp_path, monkeypatch):
    notes_folder(tmp_path / "s", ["A4"])
    other = replace(SpectralConfig(), hop=44, subframes=2 if SpectralConfig().subframes != 2 else 4)
    with monkeypatch.context() as patch:
        patch.setattr(BuildConfig, "front_end", other)
        build_at(tmp_path / "s", tmp_path).rename(tmp_path / "other.npz")
    code, _, stderr = run(tmp_path / "other.npz", "--output", tmp_path / "x.npz")
    assert code == 1 and stderr.count("\n") == 1
    assert f"subframes {other.subframes}, here {SpectralConfig().subframes}" in stderr
