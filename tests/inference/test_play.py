"""Actions of lt_play: tracks matched to instruments, notes fitted, names of files, figures."""

import csv
import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from playing_helpers import RATE, level_db, make_run, organ

from lt.audio.io import read_audio, write_audio
from lt.config import PlayOptions, SpectralConfig
from lt.inference.figures import plot_sound
from lt.inference.play import (
    beside,
    classes_name,
    play_midi,
    play_morphing,
    play_sequence,
    play_trajectory,
    write_sound,
)
from lt.inference.tracks import arrange, fit_notes, match_tracks
from lt.labels import LabelSpace, parse_symbols
from lt.midi import Note, Track, write_midi
from lt.models.describe import describe
from lt.models.runs import load_run
from lt.plotting import finish_roll, new_figure, thin_out

DUO = LabelSpace(instruments=("Piano", "Trumpet-C"))
FLUTE = LabelSpace(instruments=("Flute",))
QUICK = PlayOptions(griffinlim_iters=2, graphs=0, latent_sample=0)
NOTE = Note(0.0, 0.5, 60, 64)


# --- arranging ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tracks, matched",
    [
        ((("trumpet c", 3), ("piano", 3)), ("piano", "trumpet c")),  # by name, whatever the order
        ((("a", 56), ("b", 0)), ("b", "a")),  # by program
        ((("x", 56), ("Trumpet-C", 9)), ("x", "Trumpet-C")),  # names before programs before order
        ((("a", 40), ("b", 41), ("c", 42)), ("a", "b")),
        ((("trumpet c", 3),), (None, "trumpet c")),
    ],
)
def test_tracks_meet_instruments_by_name_program_order(tracks, matched):
    given = [
        Track(name, program, (Note(0.0, 0.5, 60 + index, 64),))
        for index, (name, program) in enumerate(tracks)
    ]
    found = match_tracks(given, DUO)
    notes = {track.name: track.notes for track in given} | {None: ()}
    assert [track.notes for track in found.tracks] == [notes[name] for name in matched]
    assert [track.name for track in found.tracks] == ["Piano", "Trumpet-C"]
    assert len(found.remarks) == 2 + (len(tracks) > 2)


def test_one_instrument_plays_all_tracks_in_order():
    tracks = [Track("b", 3, (Note(1.0, 2.0, 60, 64),)), Track("a", 7, (Note(0.0, 2.0, 64, 64),))]
    [only] = match_tracks(tracks, FLUTE).tracks
    assert [note.onset for note in only.notes] == [0.0, 1.0]


@pytest.mark.parametrize(
    "out_of_range, numbers, change",
    [("octave", [12, 60, 108], "moved by octaves"), ("skip", [60], "left out")],
)
def test_notes_outside_are_moved_by_octaves_or_left_out_and_counted(out_of_range, numbers, change):
    track = Track("x", 0, tuple(Note(0, 1, number, 64) for number in (0, 120, 60)))
    found = arrange([track], FLUTE, PlayOptions(out_of_range=out_of_range), "x.mid")
    assert [note.note_number for note in found.tracks[0].notes] == numbers
    assert found.remarks == (f"2 notes outside C0-B8 {change}",)


def test_transposition_and_dynamics_reach_the_notes():
    [note] = fit_notes([NOTE], PlayOptions(transposition=-3, dynamics=0))
    assert (note.note_number, note.velocity) == (57, 13)


@pytest.mark.parametrize(
    "tracks, space, options, words",
    [
        ([], FLUTE, PlayOptions(), "no notes to play"),
        ([Track("x", 0, ())], FLUTE, PlayOptions(), "no notes to play"),
        (
            [Track("x", 0, (Note(0, 1, 127, 64),))],
            FLUTE,
            PlayOptions(out_of_range="skip"),
            "no note is left",
        ),
        (
            [Track("x", 0, (NOTE,))],
            LabelSpace(labels=("pitch",), instruments=("Flute",)),
            PlayOptions(dynamics=0),
            "no label dynamics",
        ),
    ],
)
def test_what_cannot_be_played_is_said(tracks, space, options, words):
    with pytest.raises(ValueError, match=words):
        arrange(tracks, space, options, "x.mid")


# --- names and files ------------------------------------------------------------------------------


def test_long_names_end_in_a_digest_of_the_whole():
    assert classes_name(np.array([[[4, 9, 2]], [[5, 0, 3]]])) == "4-9-2-5-0-3"
    long = np.tile([4, 9, 2], 11).reshape(11, 1, 3)
    whole = "-".join(map(str, long.ravel()))
    name = classes_name(long)
    assert (
        len(whole) > 60 and name == f"{whole[:60]}_{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
    )
    assert len(classes_name(long[:10])) == 59


def test_a_dot_in_a_name_is_no_suffix(tmp_path):
    assert beside(tmp_path / "Op. 3", ".wav").name == "Op. 3.wav"


def test_sound_is_turned_down_only_where_it_passes_the_peak(tmp_path):
    run = organ()
    for peak, wanted in ((0.1, 0.1), (0.5, 0.5), (4.0, 10 ** (-1 / 20))):
        path = write_sound(
            run,
            np.array([0, peak, -peak / 2], np.float32),
            tmp_path / "x",
            PlayOptions(format="flac", graphs=0),
            {},
        ).sound
        assert path.suffix == ".flac"
        np.testing.assert_allclose(np.abs(read_audio(path)).max(), wanted, rtol=1e-5)


def test_levels_compare_across_files(tmp_path):
    run = organ()
    levels = [
        level_db(
            read_audio(
                play_sequence(run, parse_symbols([f"A4:{name}"], run.space), tmp_path, QUICK).sound
            )
        )
        for name in ("pp", "mf")
    ]
    assert abs(levels[1] - levels[0] - 10) < 1


def test_a_midi_file_is_played_at_its_times(tmp_path):
    run = organ()
    write_midi(
        tmp_path / "in.mid", [Track("x", 0, (Note(0.25, 0.75, 69, 64), Note(1.0, 1.25, 72, 64)))]
    )
    audio = read_audio(play_midi(run, tmp_path / "in.mid", tmp_path / "out", QUICK).sound)
    assert not audio[: round(0.25 * RATE)].any() and abs(len(audio) / RATE - 1.33) < 0.01
    assert level_db(audio[round(0.3 * RATE) : round(0.7 * RATE)]) > -60


@pytest.mark.parametrize("order, steps", [(0, 40), (1, 40), (2, 41), (3, 40)])
def test_morphing_lasts_n_steps_and_its_labels_go_from_first_to_last(
    tmp_path, monkeypatch, order, steps
):
    panels = {}
    monkeypatch.setattr(
        "lt.inference.play.plot_sound",
        lambda *given: panels.update(labels=given[4]),
    )
    run = organ()
    classes = parse_symbols("A4:p C5:ff E4:mf C5:f".split(), run.space)
    options = PlayOptions(griffinlim_iters=1, n_steps=steps, interp_order=order, latent_sample=0)
    audio = read_audio(play_morphing(run, classes, tmp_path, options).sound)
    assert len(audio) == steps * 704
    found = np.stack([group.argmax(axis=1) for group in panels["labels"]], axis=1)
    np.testing.assert_array_equal(found[[0, -1]], classes[[0, -1], 0])


def test_trajectories_write_their_labels(tmp_path):
    run = organ()
    run.model.signal_to_symbol = lambda features: run.model.symbol.decode(
        torch.full((len(features), 3), 4.0)
    )
    options = PlayOptions(griffinlim_iters=1, n_steps=30, graphs=0)
    first = play_trajectory(run, "circle", 3, tmp_path, options).sound
    assert first.name == "circle_3.wav" and sorted(path.name for path in tmp_path.iterdir()) == [
        "circle_3.csv",
        "circle_3.wav",
    ]
    rows = list(csv.DictReader(open(tmp_path / "circle_3.csv")))
    assert len(rows) == 30 and float(rows[1]["time"]) == pytest.approx(704 / RATE, abs=1e-4)
    content = first.read_bytes()
    assert play_trajectory(run, "circle", 3, tmp_path, options).sound.read_bytes() == content


def test_info_says_all_where_no_frames_are_named(tmp_path):
    text = describe(load_run(make_run(tmp_path / "run")))
    assert (
        "frames all" in text
        and "latent 3" in text
        and "no history" in text
        and "not analysed yet" in text
    )
    assert max(map(len, text.splitlines())) <= 100 + len(str(tmp_path))


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [[60], [60, 72], [36, 96], [12, 119]])
def test_note_names_of_a_roll_do_not_overlap(numbers):
    figure = new_figure(12, 2.6)
    axes = figure.subplots()
    finish_roll(axes, [Note(0, 1, number, 64) for number in numbers], 1.0)
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert 3 <= len(boxes) <= 13
    assert all(lower.y1 <= upper.y0 + 1 for lower, upper in zip(boxes, boxes[1:]))


def test_long_sounds_are_drawn_thinner_at_the_same_times():
    config = SpectralConfig()
    thinned, grid = thin_out(np.zeros((100_000, 2)), config)
    assert len(thinned) <= 4000
    assert (
        abs(len(thinned) * grid.frame_seconds - 100_000 * config.frame_seconds) < grid.frame_seconds
    )


def test_a_picture_takes_names_as_they_are(tmp_path, recwarn):
    tracks = [Track("笛 $x$ #1", 0, (NOTE,)), Track("Ümläut", 0, ())]
    plot_sound(tmp_path / "x.png", {"a $ b_{ 笛.wav": np.ones((5, 410))}, SpectralConfig(), tracks)
    assert (tmp_path / "x.png").stat().st_size > 1000 and not recwarn.list


@pytest.mark.long
def test_an_hour_is_processed_in_bounded_memory(tmp_path):
    model = make_run(tmp_path / "run")
    peaks = []
    for minutes in (5, 60):
        path = tmp_path / f"{minutes}.wav"
        minute = (0.1 * np.sin(2 * np.pi * 440 * np.arange(RATE * 60) / RATE)).astype(np.float32)
        write_audio(path, np.tile(minute, minutes))
        code = (
            "import resource, lt_play; lt_play.main(['audio', '-m', {!r}, '-i', {!r}, "
            "'--griffinlim_iters', '1'], "
            "standalone_mode=False); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code.format(str(model), str(path))],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout.split()[-1]) / 2**20)
    assert peaks[1] < peaks[0] + 2.0, f"{peaks} GiB"
