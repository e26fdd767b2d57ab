"""Actions of lt_play: tracks matched to instruments, notes fitted, names of files, figures."""

import csv
import hashlib
import subprocess
import sys
from dataclasses import replace

import mido
import numpy as np
import pytest
import torch
from midi_helpers import control, midi_bytes, off, on, track_chunk
from playing_helpers import RATE, level_db, make_run, organ

from lt.audio.features import audio_to_magnitudes
from lt.audio.io import read_audio, write_audio
from lt.audio.tuning import tune
from lt.config import PlayOptions, SpectralConfig
from lt.inference.decoding import decode_subframes, reconstruct_magnitudes
from lt.inference.figures import plot_sound
from lt.inference.latent_paths import read_points
from lt.inference.play import (
    beside,
    classes_name,
    play_audio,
    play_midi,
    play_morphing,
    play_points,
    play_sequence,
    play_trajectory,
    write_sound,
)
from lt.inference.posteriors import analyse_recording
from lt.inference.tracks import arrange, fit_notes, match_tracks
from lt.labels import LabelSpace, parse_symbols
from lt.midi import Note, Track, write_midi
from lt.models.describe import describe
from lt.models.runs import load_run
from lt.plotting import finish_roll, new_figure, thin_out

DUO = LabelSpace(instruments=("Piano", "Trumpet-C"))
FLUTE = LabelSpace(instruments=("Flute",))
AGED = LabelSpace(labels=("octave", "pitch", "dynamics", "age"), instruments=("Flute",))
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


@pytest.mark.parametrize(
    "tracks, played",
    [
        ((("right", 0), ("left", 0), ("x", 56)), ("right left", "x")),  # staves of one program
        ((("right", 0), ("left", 0)), ("right left", "")),
        ((("Piano", 3), ("left", 3), ("Piano", 5)), ("Piano left Piano", "")),
        ((("Piano", 3), ("x", 0), ("y", 56)), ("Piano", "y")),
        ((("a", None), ("b", None)), ("a", "b")),  # no program: in order
        ((("a", None), ("b", 0), ("c", 0)), ("b c", "a")),
    ],
)
def test_a_part_on_several_tracks_is_played_by_one_instrument(tracks, played):
    given = [
        Track(name, program or 0, (Note(index, index + 1, 60, 64),), program is not None)
        for index, (name, program) in enumerate(tracks)
    ]
    found = match_tracks(given, DUO)
    for track, names, remark in zip(found.tracks, played, found.remarks):
        wanted = names.split()
        assert [given[round(note.onset)].name for note in track.notes] in (wanted, wanted[::-1])
        assert all(f"'{name}'" in remark for name in wanted)


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


@pytest.mark.parametrize(
    "typed, space, name",
    [
        ("C4:p E4 rest", FLUTE, "C4-p_E4-mf_rest"),
        ("4 9 2 5 0 3 9 12 5", FLUTE, "A4-mf_C5-f_rest"),
        ("A4 rest Bb3:ff C#5", DUO, "A4-mf+rest_A#3-ff+C#5-mf"),
        ("9 0", LabelSpace(labels=("pitch",), instruments=("Flute",)), "A_C"),
        ("4 2", LabelSpace(labels=("octave", "dynamics"), instruments=("Flute",)), "4-mf"),
        ("4 9 5", FLUTE, "A4-silence"),  # silent in one label only
        ("C4:f:age=3 D4:p rest", AGED, "C4-f-age3_D4-p_rest"),
    ],
)
def test_files_are_named_as_people_write_notes(typed, space, name):
    assert classes_name(parse_symbols(typed.split(), space), space) == name


def test_long_names_end_in_a_digest_of_the_whole():
    long = parse_symbols(["A#4:mf"] * 9, FLUTE)
    whole = "_".join(["A#4-mf"] * 9)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    assert len(whole) == 62 and classes_name(long, FLUTE) == f"{whole[:60]}_{digest}"
    assert classes_name(long[:8], FLUTE) == whole[:55]


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
    assert not audio[: round(0.25 * RATE)].any()
    assert abs(len(audio) / RATE - 1.25) <= run.front_end.frame_seconds / 2
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
    labels = "A4:p C5:ff E4:mf C5:f".split()
    classes = parse_symbols(labels, run.space)
    options = PlayOptions(griffinlim_iters=1, n_steps=steps, interp_order=order, latent_sample=0)
    audio = read_audio(play_morphing(run, labels, tmp_path, options).sound)
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


def test_info_names_the_learnt_notes_and_no_loss_of_weight_zero(tmp_path):
    path = make_run(tmp_path / "run", learnt={"Flute": {60: (0, 2), 61: (0,), 65: (2,)}})
    (path / "history.csv").write_text(
        "epoch,train_signal_nll,train_transfer_1,train_cross_1,valid_signal_nll,valid_transfer_1,"
        "valid_cross_1,seconds\n1,5.0,0.0,3.0,6.0,0.0,4.0,1.0\n"
    )
    text = describe(load_run(path))
    assert "Flute: 3 keys, C4-C#4 F4" in text
    assert "    pp  C4-C#4\n" in text and "    mf  C4 F4\n" in text
    losses = text[text.index("Losses") : text.index("Scores")]
    assert "transfer_1" not in losses and "signal_nll" in losses and "cross_1" in losses


# --- what was never learnt, merged or left out ----------------------------------------------------


def test_what_was_never_learnt_is_said(tmp_path, caplog):
    caplog.set_level("INFO", logger="lt")
    run = organ(learnt={"Flute": {69: (2, 3), 70: (2,)}})
    short = replace(QUICK, n_steps=2)
    play_sequence(run, parse_symbols(["A4:mf", "rest", "A#4"], run.space), tmp_path, short)
    assert "never" not in caplog.text
    play_sequence(run, parse_symbols(["A4:pp", "C5"], run.space), tmp_path, short)
    assert "sequence: Flute never learnt C5 (it learnt A4-A#4), A4 pp (it learnt A4 mf f)" in (
        caplog.text
    )
    caplog.clear()
    play_morphing(run, ["A4:mf", "C6"], tmp_path, short)
    assert "morphing: Flute never learnt C6" in caplog.text
    caplog.clear()
    write_midi(tmp_path / "in.mid", [Track("x", 0, (Note(0, 0.1, 50, 64), Note(0.1, 0.2, 69, 1)))])
    play_midi(run, tmp_path / "in.mid", tmp_path / "out", QUICK)
    assert "in.mid: Flute never learnt D3" in caplog.text and "A4 pp" in caplog.text


def test_merged_tracks_and_drums_are_said(tmp_path, caplog):
    caplog.set_level("INFO", logger="lt")
    write_midi(tmp_path / "in.mid", [Track("left", 3, (NOTE,)), Track("right", 0, (NOTE,))])
    file = mido.MidiFile(tmp_path / "in.mid")
    file.tracks[1].append(mido.Message("note_on", channel=9, note=40, velocity=64))
    file.tracks[1].append(mido.Message("note_off", channel=9, note=40, time=100))
    file.save(tmp_path / "in.mid")
    play_midi(organ(), tmp_path / "in.mid", tmp_path / "out", QUICK)
    assert (
        "2 tracks merged into one for Flute: 'left' (program 3), 'right' (program 0)" in caplog.text
    )
    assert "1 drum note left out" in caplog.text


@pytest.mark.parametrize("pedal, seconds", [(1, 0.6), (0, 0.2)])
def test_the_pedal_lengthens_what_is_played_and_other_controllers_are_named(
    tmp_path, caplog, pedal, seconds
):
    caplog.set_level("INFO", logger="lt")
    down, up = control(64, 127), control(64, 0)
    bend = bytes([0xE0, 0, 80])
    messages = [(0, down), (0, bend), (0, on(69, 200)), (192, off(69)), (576, up)]
    (tmp_path / "in.mid").write_bytes(midi_bytes(track_chunk(*messages)))
    sound = play_midi(organ(), tmp_path / "in.mid", tmp_path / "out", replace(QUICK, pedal=pedal))
    assert 0 <= len(read_audio(sound.sound)) / RATE - seconds < 0.1
    assert "in.mid: not rendered: pitch bend" in caplog.text
    assert "in.mid: 1 data byte over 127 taken as 127" in caplog.text


@pytest.mark.parametrize("seconds", [0.005, pytest.param(600.0, marks=pytest.mark.long)])
def test_notes_of_any_length_have_a_sensible_sound(tmp_path, seconds):
    write_midi(tmp_path / "in.mid", [Track("x", 0, (Note(0.0, seconds, 69, 64),))])
    options = replace(QUICK, griffinlim_iters=1)
    audio = read_audio(play_midi(organ(), tmp_path / "in.mid", tmp_path / "out", options).sound)
    assert 0.1 > len(audio) / RATE - seconds > 0 and level_db(audio[: round(seconds * RATE)]) > -60


# --- latent points --------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.02, 0.5])
def test_latents_of_a_recording_played_back_are_its_reconstruction(tmp_path, seconds):
    run = load_run(make_run(tmp_path / "run"))
    times = np.arange(round(seconds * RATE)) / RATE
    audio = np.sin(2 * np.pi * 440 * times * (1 + times)).astype(np.float32)
    write_audio(tmp_path / "a.wav", 0.3 * audio)
    spectra = analyse_recording(run, tmp_path / "a.wav").spectra
    at_440 = tune(spectra.magnitudes, -spectra.tuning, run.front_end)
    # the level at which a recording is reconstructed is its own
    scaler = replace(run.scaler, reference=float(at_440.max()))
    run = replace(run, settings=replace(run.settings, scaler=scaler))
    options = replace(QUICK, latents=1)
    files = play_audio(run, tmp_path / "a.wav", tmp_path / "out" / "a", options)
    points = read_points(files.latents, run)
    recorded = audio_to_magnitudes(torch.from_numpy(read_audio(tmp_path / "a.wav")))
    assert points.shape == (len(recorded), 3) and files.latents.name == "a_latents.npy"
    torch.testing.assert_close(
        decode_subframes(run, torch.from_numpy(points)),
        reconstruct_magnitudes(run, at_440),
        rtol=1e-4,
        atol=1e-7,
    )
    played = play_points(run, files.latents, tmp_path / "out", QUICK)
    assert played.sound.name == "a_latents.wav" and played.labels.name == "a_latents.csv"
    assert len(read_audio(played.sound)) == len(points) * 704


def test_points_are_a_frame_each_or_a_spline(tmp_path):
    run = organ()
    points = np.array([[4, 9, 2], [5, 0, 3], [4, 4, 0]])  # of whole numbers
    np.save(tmp_path / "p.npy", points)
    for n_steps, frames in ((None, [0, 1, 2]), (3, [0, 1, 2]), (21, [0, 10, 20])):
        options = replace(QUICK, n_steps=n_steps)
        labels = play_points(run, tmp_path / "p.npy", tmp_path, options).labels
        rows = list(csv.DictReader(open(labels)))
        assert len(rows) == (n_steps or 3)
        assert [rows[frame]["note"] for frame in frames] == ["A4", "C5", "E4"]


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
