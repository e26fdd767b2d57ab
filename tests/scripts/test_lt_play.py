"""The command line of lt_play.py: every mode, flag, default path and exit code of its contract,
every bad input.
"""

import csv
import hashlib
import os
import shutil
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from playing_helpers import RATE, make_run

from lt.audio.io import write_audio
from lt.config import LABELS
from lt.midi import Note, Track, read_midi, write_midi
from lt_play import main

QUICK = "--griffinlim_iters 1 -g 0".split()
TUNE = (Note(0.0, 0.2, 69, 64), Note(0.2, 0.4, 72, 90))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder as lt_train.py writes it, of untrained networks; tests copy what they write into."""
    return make_run(tmp_path_factory.mktemp("saves") / "tiny__Flute")


@pytest.fixture
def play(tmp_path):
    """`play(mode, *words)` -> click's result; `-o` is a folder of the test unless it is given
    (None: left out).
    """

    def run(mode, *words, output="out"):
        words = [mode, *map(str, words)]
        if output and mode != "info":
            words += ["-o", str(tmp_path / output)]
        return CliRunner().invoke(main, words, prog_name="lt_play.py")

    return run


@pytest.fixture
def midi(tmp_path):
    write_midi(tmp_path / "tune.mid", [Track("Flute", 73, TUNE)])
    return tmp_path / "tune.mid"


@pytest.fixture
def sound(tmp_path):
    times = np.arange(RATE // 2) / RATE
    write_audio(tmp_path / "sound.wav", (0.1 * np.sin(2 * np.pi * 440 * times)).astype(np.float32))
    return tmp_path / "sound.wav"


def files(folder):
    """Names in a folder, temporary ones too; none where there is no folder."""
    return sorted(path.name for path in Path(folder).iterdir()) if Path(folder).is_dir() else []


def assert_refused(result, code, *words):
    """One line on stderr that says these words, nothing on stdout, this exit code."""
    assert result.exit_code == code, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and result.stdout == "", result.output
    assert all(word in lines[0] for word in words), lines[0]
    assert "unexpected" not in lines[0]


# --- what each mode writes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags, expected",
    [
        ([], ["tune.png", "tune.wav"]),
        (["-g", "0"], ["tune.wav"]),
        (["--format", "flac", "-g", "0"], ["tune.flac"]),
    ],
)
def test_midi_writes_sound_and_picture(play, model, midi, tmp_path, flags, expected):
    result = play("midi", "-m", model, "-i", midi, "--griffinlim_iters", 1, *flags)
    assert result.exit_code == 0 and result.stdout == ""
    assert files(tmp_path / "out") == expected


def test_the_midi_of_a_recording_has_a_tempo_and_a_grid(play, model, sound, tmp_path):
    flags = ("--tempo", 96, "--quantise", 8)
    assert play("audio", "-m", model, "-i", sound, *QUICK, *flags).exit_code == 0
    file = mido.MidiFile(tmp_path / "out" / "sound.mid")
    assert round(mido.tempo2bpm(file.tracks[0][0].tempo)) == 96
    ticks = [0]
    for message in file.tracks[1]:
        ticks.append(ticks[-1] + message.time)
    assert {tick % (file.ticks_per_beat // 2) for tick in ticks} == {0}


def test_audio_writes_sound_notes_labels_and_picture(play, model, sound, tmp_path):
    assert play("audio", "-m", model, "-i", sound, "--griffinlim_iters", 1).exit_code == 0
    assert files(tmp_path / "out") == ["sound.csv", "sound.mid", "sound.png", "sound.wav"]
    info = soundfile.info(tmp_path / "out" / "sound.wav")
    assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_24")
    rows = list(csv.reader(open(tmp_path / "out" / "sound.csv")))
    assert rows[0] == "time octave octave_p pitch pitch_p dynamics dynamics_p note".split()
    assert len(rows) == 1 + -(-(RATE // 2) // 704) and rows[1][0] == "0.0000"
    assert isinstance(read_midi(tmp_path / "out" / "sound.mid"), list)


@pytest.mark.parametrize(
    "mode, words, expected",
    [
        (
            "sequence",
            ["-i", *"4 9 2 5 0 3".split()],
            ["sequence_A4-mf_C5-f.png", "sequence_A4-mf_C5-f.wav"],
        ),
        (
            "sequence",
            ["-i", *"A4:mf C5:f rest".split()],
            ["sequence_A4-mf_C5-f_rest.png", "sequence_A4-mf_C5-f_rest.wav"],
        ),
        (
            "sequence",
            ["-i", "A4:mf C5:f rest"],  # a quoted list
            ["sequence_A4-mf_C5-f_rest.png", "sequence_A4-mf_C5-f_rest.wav"],
        ),
        (
            "morphing",
            ["-i", *"A4 C5".split()],
            ["morphing_A4-mf_C5-mf.png", "morphing_A4-mf_C5-mf.wav"],
        ),
        (
            "morphing",
            ["-i", "4 9 2 5 0 3", "--glide", "1"],
            ["morphing_A4-mf_C5-f.png", "morphing_A4-mf_C5-f.wav"],
        ),
        (
            "trajectory",
            ["--n_generations", "2"],
            [f"line_{index}.{suffix}" for index in (0, 1) for suffix in ("csv", "png", "wav")],
        ),
        (
            "free_navigation",
            ["--n_generations", "1", "--traj", "circle", "helix"],
            [
                f"{kind}_0.{suffix}"
                for kind in ("circle", "helix")
                for suffix in ("csv", "png", "wav")
            ],
        ),
    ],
)
def test_the_other_modes_write_what_they_should(play, model, tmp_path, mode, words, expected):
    assert play(mode, "-m", model, *words, "--n_steps", 10, "--griffinlim_iters", 1).exit_code == 0
    assert files(tmp_path / "out") == expected


@pytest.mark.parametrize(
    "mode, words, seconds",
    [
        ("sequence", ["-i", "A4", "C5"], 100 * 704 / RATE),
        ("morphing", ["-i", "A4", "C5"], 500 * 704 / RATE),
        ("trajectory", ["--n_generations", "1"], 500 * 704 / RATE),
    ],
)
def test_lengths_by_default(play, model, tmp_path, mode, words, seconds):
    assert play(mode, "-m", model, *words, *QUICK).exit_code == 0
    [wav] = (tmp_path / "out").glob("*.wav")
    assert abs(soundfile.info(wav).duration - seconds) < 0.01


def test_a_trajectory_of_each_type_by_default(play, model, tmp_path):
    types = ["--traj", "line", "circle", "line"]
    assert play("trajectory", "-m", model, "--n_steps", 2, *types, *QUICK).exit_code == 0
    assert [path.name for path in sorted((tmp_path / "out").glob("*.wav"))] == [
        "circle_0.wav",
        "line_0.wav",
    ]


def test_long_label_lists_get_short_names(play, model, tmp_path):
    labels = ["4", "10", "2"] * 11
    assert play("sequence", "-m", model, "-i", *labels, "--n_steps", 2, *QUICK).exit_code == 0
    whole = "_".join(["A#4-mf"] * 11)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    assert files(tmp_path / "out") == [f"sequence_{whole[:60]}_{digest}.wav"]


@pytest.mark.parametrize(
    "mode, folder",
    [
        ("midi", "midi_reconstructions"),
        ("audio", "audio_reconstructions"),
        ("sequence", "sequences"),
        ("morphing", "morphings"),
        ("trajectory", "trajectories"),
    ],
)
def test_default_folders_are_the_models_own(play, model, midi, sound, tmp_path, mode, folder):
    own = shutil.copytree(model, tmp_path / "own")
    words = {
        "midi": ["-i", midi],
        "audio": ["-i", sound],
        "trajectory": ["--n_generations", 1],
    }.get(mode, ["-i", "A4", "C5"])
    if mode not in ("midi", "audio"):
        words += ["--n_steps", 3]
    assert play(mode, "-m", own, *words, *QUICK, output=None).exit_code == 0
    assert any(name.endswith(".wav") for name in files(own / folder))


def test_info_prints_the_run_on_stdout(play, model, tmp_path):
    own = shutil.copytree(model, tmp_path / "own")
    (own / "analysis").mkdir()
    (own / "analysis" / "results.json").write_text(
        '{"split": "note", "partition": "test", '
        '"overall": {"symbol": {"transfer": {"pitch": {"accuracy": 0.5}}}}}'
    )
    result = play("info", "-m", own)
    assert result.exit_code == 0 and result.stderr == ""
    for word in ("instruments Flute", "frames all", "parameters", "accuracy 0.5000", "classes"):
        assert word in result.stdout


@pytest.mark.parametrize(
    "mode", ["info", "midi", "audio", "sequence", "morphing", "trajectory", "free_navigation"]
)
def test_info_flag_says_what_a_mode_needs_and_stops(play, tmp_path, mode):
    result = play(mode, "-m", tmp_path / "nothing", "--info", 1)
    assert result.exit_code == 0 and result.stdout.startswith(
        mode.replace("free_navigation", "trajectory")
    )
    assert files(tmp_path) == []


# --- flags that change the sound ------------------------------------------------------------------


def content(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@pytest.mark.parametrize(
    "mode, words",
    [
        ("sequence", ["-i", "A4", "C5"]),
        ("morphing", ["-i", "A4", "C5"]),
        ("trajectory", ["--n_generations", "1"]),
    ],
)
def test_two_runs_of_one_command_give_the_same_bytes_and_a_seed_another(
    play, model, tmp_path, mode, words
):
    for output, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert (
            play(
                mode,
                "-m",
                model,
                *words,
                "--n_steps",
                5,
                "--griffinlim_iters",
                2,
                "--seed",
                seed,
                output=output,
            ).exit_code
            == 0
        )
    first, again, other = (content(tmp_path / name) for name in "abc")
    assert first == again and first != other


def test_latent_sample_zero_takes_the_mean_whatever_the_seed_draws(play, model, tmp_path):
    levels = []
    for seed, sample in ((0, 0), (1, 0), (0, 1), (1, 1)):
        output = f"{seed}{sample}"
        assert (
            play(
                "morphing",
                "-m",
                model,
                "-i",
                "A4",
                "C5",
                "--n_steps",
                6,
                "--griffinlim_iters",
                30,
                "-g",
                0,
                "--seed",
                seed,
                "-s",
                sample,
                output=output,
            ).exit_code
            == 0
        )
        [wav] = (tmp_path / output).iterdir()
        levels.append(np.sqrt(np.mean(soundfile.read(wav)[0] ** 2)))
    assert abs(np.log(levels[0] / levels[1])) < abs(np.log(levels[2] / levels[3]))


@pytest.mark.parametrize(
    "flags, name",
    [
        (["-t", "2"], "B4-mf"),
        (["-t", "-10"], "B3-mf"),
        (["-d", "0"], "A4-pp"),
        (["-d", "ff"], "A4-ff"),
        (["--transposition=3", "--dynamics=4"], "C5-ff"),
    ],
)
def test_transposition_and_dynamics_change_the_classes(play, model, tmp_path, flags, name):
    assert play("sequence", "-m", model, "-i", "A4", "--n_steps", 2, *QUICK, *flags).exit_code == 0
    assert files(tmp_path / "out") == [f"sequence_{name}.wav"]


# --- several models and inputs --------------------------------------------------------------------


def test_several_inputs_a_bad_one_is_skipped(play, model, midi, tmp_path):
    (tmp_path / "bad.mid").write_bytes(b"no midi")
    result = play(
        "midi", "-m", model, "-i", tmp_path / "bad.mid", midi, tmp_path / "absent.mid", *QUICK
    )
    assert result.exit_code == 1 and files(tmp_path / "out") == ["tune.wav"]
    assert result.stderr.splitlines()[-1] == "1 ok, 2 failed"
    assert "bad.mid" in result.stderr and "absent.mid" in result.stderr


def test_two_inputs_of_one_stem(play, model, midi, tmp_path):
    (tmp_path / "other").mkdir()
    shutil.copy(midi, tmp_path / "other" / "tune.mid")
    assert (
        play("midi", "-m", model, "-i", midi, tmp_path / "other" / "tune.mid", *QUICK).exit_code
        == 0
    )
    assert files(tmp_path / "out") == ["tune.wav", "tune_2.wav"]


def test_several_models_get_a_folder_each(play, model, midi, tmp_path):
    same = shutil.copytree(model, tmp_path / "x" / model.name)
    assert play("midi", "-m", model, same, "-i", midi, *QUICK).exit_code == 0
    assert files(tmp_path / "out") == [model.name, f"{model.name}_2"]
    assert files(tmp_path / "out" / f"{model.name}_2") == ["tune.wav"]


def test_several_models_without_output_write_into_themselves(play, model, tmp_path):
    both = [shutil.copytree(model, tmp_path / name) for name in ("a", "b")]
    assert (
        play("sequence", "-m", *both, "-i", "A4", "--n_steps", 2, *QUICK, output=None).exit_code
        == 0
    )
    assert all(files(one / "sequences") == ["sequence_A4-mf.wav"] for one in both)


def test_a_bad_model_among_several(play, model, tmp_path):
    result = play("info", "-m", tmp_path / "absent", model)
    assert result.exit_code == 1 and "tiny__Flute" in result.stdout
    assert "absent" in result.stderr and result.stderr.splitlines()[-1] == "1 ok, 1 failed"


@pytest.mark.parametrize("name", ["Ständchen Nr. 1 #2", "笛", "a.b.c", "100% {x} $y$"])
def test_odd_names_work(play, model, sound, tmp_path, name):
    path = shutil.copy(sound, tmp_path / f"{name}.wav")
    own = shutil.copytree(model, tmp_path / f"model {name}")
    assert (
        play(
            "audio", "-m", own, "-i", path, "--griffinlim_iters", 1, output=f"out {name}"
        ).exit_code
        == 0
    )
    assert files(tmp_path / f"out {name}") == sorted(
        f"{name}.{suffix}" for suffix in ("csv", "mid", "png", "wav")
    )


# --- models of other kinds ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, written",
    [
        ({"labels": ("octave", "dynamics")}, ["sound.csv", "sound.wav"]),
        ({"labels": ("pitch",)}, ["sound.csv", "sound.mid", "sound.wav"]),
        ({"label_type": "binary", "zero_extra_class": 0}, ["sound.csv", "sound.mid", "sound.wav"]),
        (
            {
                "dims": (4, 2),
                "hidden_dims_1": (8, 8),
                "hidden_num_1": (1, 1),
                "hidden_dims_2": (8, 8),
                "hidden_num_2": (1, 1),
            },
            ["sound.csv", "sound.mid", "sound.wav"],
        ),
    ],
)
def test_models_of_other_labels_and_layers_play(play, sound, midi, tmp_path, changes, written):
    own = make_run(tmp_path / "own", **changes)
    result = play("audio", "-m", own, "-i", sound, *QUICK)
    assert result.exit_code == 0 and files(tmp_path / "out") == written
    labels = changes.get("labels", ("octave", "pitch"))
    assert ("no MIDI is written" in result.stderr) == ("pitch" not in labels)
    assert ("octave 4" in result.stderr) == ("octave" not in labels)
    assert play("midi", "-m", own, "-i", midi, *QUICK).exit_code == 0
    assert (
        play("trajectory", "-m", own, "--n_generations", 1, "--n_steps", 3, *QUICK).exit_code == 0
    )


def test_mixtures_play_a_track_an_instrument(play, sound, tmp_path):
    own = make_run(tmp_path / "own", instruments=("Piano", "Violin"))
    write_midi(
        tmp_path / "duo.mid",
        [Track("Violin", 40, TUNE), Track("x", 0, TUNE), Track("Drum", 99, TUNE)],
    )
    result = play("midi", "-m", own, "-i", tmp_path / "duo.mid", *QUICK)
    assert result.exit_code == 0
    for words in (
        "Piano plays the track 'x' (program 0)",
        "Violin plays the track 'Violin'",
        "1 track without",
    ):
        assert words in result.stderr
    assert play("audio", "-m", own, "-i", sound, *QUICK).exit_code == 0
    assert (
        open(tmp_path / "out" / "sound.csv")
        .readline()
        .startswith("time,Piano.octave,Piano.octave_p,Piano.pitch")
    )
    assert play("sequence", "-m", own, "-i", "A4", "C5", "--n_steps", 2, *QUICK).exit_code == 0
    assert "sequence_A4-mf+C5-mf.wav" in files(tmp_path / "out")
    assert_refused(play("sequence", "-m", own, "-i", "A4"), 1, "do not fill groups of 2")


# --- mistakes that the command line shows: exit code 2 --------------------------------------------


@pytest.mark.parametrize(
    "mode, words, said",
    [
        ("sing", [], "sing"),
        ("midi", [], "--input"),
        ("sequence", [], "--input"),
        ("trajectory", ["-i", "A4"], "no meaning"),
        ("info", ["-i", "A4"], "no meaning"),
        ("info", ["-g", "0"], "no meaning"),
        ("info", ["-o", "x"], "no meaning"),
        ("midi", ["-i", "x.mid", "--n_steps", "5"], "--n_steps"),
        ("midi", ["-i", "x.mid", "--interp_order", "1"], "--interp_order"),
        ("audio", ["-i", "x", "-t", "0"], "--transposition"),
        ("audio", ["-i", "x", "-d", "0"], "--dynamics"),
        ("midi", ["-i", "x", "--tempo", "96"], "--tempo"),
        ("audio", ["-i", "x", "--quantise", "-1"], "--quantise"),
        ("audio", ["-i", "x", "--out_of_range", "skip"], "--out_of_range"),
        ("sequence", ["-i", "A4", "--interp_order", "1"], "--interp_order"),
        ("sequence", ["-i", "A4", "--traj", "line"], "--traj"),
        ("morphing", ["-i", "A4", "--n_generations", "1"], "--n_gen"),
        ("trajectory", ["-s", "1"], "--latent_sample"),
        ("trajectory", ["--interp_order", "1"], "--interp_order"),
        ("trajectory", ["--points", "x.npy", "--traj", "line"], "--traj"),
        ("trajectory", ["--points", "x.npy", "--n_generations", "2"], "--n_generations"),
        ("sequence", ["-i", "A4", "--glide", "1"], "--glide"),
        ("morphing", ["-i", "A4", "C5", "--glide", "2"], "--glide"),
        ("morphing", ["-i", "A4", "--points", "x.npy"], "--points"),
        ("midi", ["-i", "x.mid", "--latents", "1"], "--latents"),
        ("midi", ["-i", "x.mid", "--tuning", "415"], "--tuning"),
        ("audio", ["-i", "x", "--tuning", "flat"], "hertz"),
        ("audio", ["-i", "x", "--tuning", "20"], "hertz"),
        ("trajectory", ["-t", "1"], "--transposition"),
        ("trajectory", ["--traj", "square"], "square"),
        ("trajectory", ["--traj"], "--traj"),
        ("trajectory", ["--n_generations", "0"], "--n_generations"),
        ("morphing", ["-i", "A4", "--n_steps", "0"], "--n_steps"),
        ("morphing", ["-i", "A4", "--n_steps", "-3"], "--n_steps"),
        ("morphing", ["-i", "A4", "--interp_order", "4"], "order"),
        ("sequence", ["-i", "A4", "-d", "5"], "--dynamics"),
        ("sequence", ["-i", "A4", "-s", "2"], "--latent_sample"),
        ("sequence", ["-i", "A4", "--griffinlim_iters", "-1"], "griffinlim"),
        ("sequence", ["-i"], "--input"),
        ("sequence", ["-i", "A4", "--format", "mp3"], "mp3"),
        ("sequence", ["-i", "A4", "-c", "gpu"], "gpu"),
        ("sequence", ["-i", "A4", "-t", "x"], "transposition"),
        ("sequence", ["-i", "A4", "--volume", "3"], "--volume"),
        ("sequence", ["-i", "A4", "--seed", "-1"], "--seed"),
    ],
)
def test_usage_mistakes(play, model, tmp_path, mode, words, said):
    assert_refused(play(mode, "-m", model, *words), 2, said)
    assert files(tmp_path) == []


def test_models_are_required(play):
    assert_refused(play("sequence", "-i", "A4"), 2, "--models")


# --- mistakes that need a look: exit code 1 -------------------------------------------------------


@pytest.mark.parametrize(
    "mode, words, said",
    [
        ("sequence", ["-i", "4", "9"], "do not fill"),
        ("sequence", ["-i", "4", "9", "7"], "out of range"),
        ("sequence", ["-i", "-1", "9", "2"], "out of range"),
        ("sequence", ["-i", "H4"], "H4"),
        ("sequence", ["-i", "A4:loud"], "loud"),
        ("sequence", ["-i", "A4", "4"], "mixed"),
        ("sequence", ["-i", "A9"], "A9"),
        ("sequence", ["-i", "A4", "-t", "99"], "C0-B8"),
        ("morphing", ["-i", "A4"], "at least 2"),
        ("morphing", ["-i", "A4", "C5", "--interp_order", "3"], "at least 4"),
        ("morphing", ["-i", "A4", "absent.wav"], "absent.wav"),
        ("morphing", ["-i", "A4", "4 9"], "mixed"),
        ("morphing", ["-i", ""], "do not fill"),
        ("trajectory", ["--points", "absent.npy"], "absent.npy"),
        ("midi", ["-i", "absent.mid"], "absent.mid"),
        ("audio", ["-i", "absent.wav"], "absent.wav"),
        ("audio", ["-i", "A4", "-c", "7"], "7"),
    ],
)
def test_mistakes_in_what_is_asked_for(play, model, tmp_path, mode, words, said):
    assert_refused(play(mode, "-m", model, *words), 1, said)
    assert files(tmp_path) == []


class Bomb:
    """Executes code when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


POINTS = np.zeros((4, 3))


@pytest.mark.parametrize(
    "points, said",
    [
        (np.zeros((4, 5)), "needs (points, 3)"),
        (np.zeros(3), "needs (points, 3)"),
        (np.zeros((0, 3)), "(0, 3)"),
        (np.full((4, 3), np.nan), "NaN"),
        (np.full((4, 3), np.inf), "NaN, infinite"),
        (np.full((4, 3), 1e300), "too large"),
        (np.full((4, 3), 1e30), "too far"),
        (POINTS + 1j, "real numbers"),
        (POINTS.astype(str), "real numbers"),
        (np.array([Bomb()], dtype=object), "no array of numbers"),
        (b"", "no array of numbers"),
        (b"0.1 0.2 0.3\n", "no array of numbers"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "no array of numbers"),
    ],
)
def test_points_that_cannot_be_played(play, model, tmp_path, points, said):
    if isinstance(points, bytes):
        (tmp_path / "p.npy").write_bytes(points)
    else:
        np.save(tmp_path / "p.npy", points)
    assert_refused(play("trajectory", "-m", model, "--points", tmp_path / "p.npy"), 1, said)
    assert files(tmp_path) == ["p.npy"]


@pytest.mark.parametrize("age", ["31", "-1", "x", "", "3:f"])
def test_ages_that_are_none_are_refused(play, model, tmp_path, age):
    aged = make_run(tmp_path / "aged", labels=LABELS)
    for mode in ("sequence", "morphing"):
        words = ["-i", f"C4:f:age={age}", "E4", *QUICK]
        assert_refused(play(mode, "-m", aged, *words), 1, f"C4:f:age={age}", "age")
    assert_refused(play("sequence", "-m", model, "-i", "C4:f:age=3", *QUICK), 1, "no label age")
    assert files(tmp_path / "out") == []


def test_an_age_is_held_or_runs(play, tmp_path):
    aged = make_run(tmp_path / "aged", labels=LABELS)
    for name in ("C4:f", "C4:f:age=26"):
        assert play("sequence", "-m", aged, "-i", name, "--n_steps", 4, *QUICK).exit_code == 0
    assert files(tmp_path / "out") == ["sequence_C4-f-age26.wav", "sequence_C4-f.wav"]


@pytest.mark.fault("malformed input")
def test_points_of_damaged_headers_are_refused_before_memory_is_taken(play, model, tmp_path):
    np.save(tmp_path / "p.npy", POINTS)
    content = (tmp_path / "p.npy").read_bytes()
    (tmp_path / "p.npy").write_bytes(content.replace(b"(4, 3)", b"(4000000000000, 3)"[:6]))
    np.savez(tmp_path / "q.npy.npz", POINTS)
    (tmp_path / "cut.npy").write_bytes(content[:-8])
    for name, said in (("cut.npy", "no array"), ("q.npy.npz", "one array")):
        assert_refused(play("trajectory", "-m", model, "--points", tmp_path / name), 1, said)
    header = content.replace(b"(4, 3), }             ", b"(4000000000000, 3), }")
    (tmp_path / "p.npy").write_bytes(header)
    assert_refused(play("trajectory", "-m", model, "--points", tmp_path / "p.npy"), 1, "p.npy")


def test_one_point_sounds_for_a_frame_or_is_held(play, model, tmp_path):
    np.save(tmp_path / "p.npy", POINTS[:1])
    words = ["trajectory", "-m", model, "--points", tmp_path / "p.npy", *QUICK]
    assert play(*words).exit_code == 0
    assert files(tmp_path / "out") == ["p.csv", "p.wav"]
    assert_refused(play(*words, "--n_steps", 9), 1, "at least 2 points")
    assert play(*words, "--n_steps", 9, "--interp_order", 0).exit_code == 0
    assert soundfile.info(tmp_path / "out" / "p.wav").frames == 9 * 704


def test_latents_are_written_and_played_back(play, model, sound, tmp_path):
    assert play("audio", "-m", model, "-i", sound, "--latents", 1, *QUICK).exit_code == 0
    latents = tmp_path / "out" / "sound_latents.npy"
    assert np.load(latents).shape == (16, 3)
    assert play("trajectory", "-m", model, "--points", latents, *QUICK).exit_code == 0
    assert files(tmp_path / "out") == [
        "sound.csv",
        "sound.mid",
        "sound.wav",
        "sound_latents.csv",
        "sound_latents.npy",
        "sound_latents.wav",
    ]


def test_recordings_are_morphed_and_the_way_is_said(play, model, sound, tmp_path):
    words = ["morphing", "-m", model, "-i", sound, "C5:f", *QUICK]
    result = play(*words)
    assert result.exit_code == 0 and "cross-fade" in result.stderr
    assert files(tmp_path / "out") == ["morphing_sound_C5-f.wav"]
    assert soundfile.info(tmp_path / "out" / "morphing_sound_C5-f.wav").frames == 16 * 704
    result = play("morphing", "-m", model, "-i", "A4", "C5", "--glide", 1, "--n_steps", 5, *QUICK)
    assert result.exit_code == 0 and "glide" in result.stderr
    result = play(*words, "-d", 0)
    assert result.exit_code == 0 and "not of recordings" in result.stderr
    assert_refused(play("morphing", "-m", model, "-i", sound), 1, "at least 2")
    (tmp_path / "empty.wav").write_bytes(b"")
    assert_refused(play("morphing", "-m", model, "-i", "A4", tmp_path / "empty.wav"), 1, "empty")


@pytest.mark.fault("malformed input")
@pytest.mark.parametrize(
    "name, content, said",
    [
        ("empty.wav", b"", "empty"),
        ("text.wav", b"this is no sound", "not a sound file"),
        ("cut.wav", b"RIFF\x24\x00\x00\x00WAVEfmt ", "cut.wav"),
    ],
)
def test_unreadable_audio(play, model, tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert_refused(play("audio", "-m", model, "-i", tmp_path / name), 1, said)
    assert files(tmp_path) == [name]


@pytest.mark.parametrize(
    "samples, said", [(np.zeros((0, 1)), "no samples"), (np.full((50, 1), np.nan), "NaN")]
)
def test_audio_without_meaning(play, model, tmp_path, samples, said):
    soundfile.write(tmp_path / "x.wav", samples.astype(np.float32), RATE, subtype="FLOAT")
    assert_refused(play("audio", "-m", model, "-i", tmp_path / "x.wav"), 1, said)
    assert files(tmp_path) == ["x.wav"]


@pytest.mark.parametrize(
    "samples, rate",
    [
        (np.zeros((RATE, 1)), RATE),
        (np.full((1, 1), 0.5), RATE),
        (0.1 * np.ones((5000, 8)), RATE),
        (0.1 * np.ones((19200, 2)), 192000),
    ],
)
def test_odd_audio_is_heard(play, model, tmp_path, samples, rate):
    soundfile.write(tmp_path / "x.wav", samples.astype(np.float32), rate, subtype="FLOAT")
    assert (
        play("audio", "-m", model, "-i", tmp_path / "x.wav", "--griffinlim_iters", 1).exit_code == 0
    )
    assert files(tmp_path / "out") == ["x.csv", "x.mid", "x.png", "x.wav"]


def test_silence_has_no_notes(play, model, tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(RATE), RATE)
    result = play("audio", "-m", model, "-i", tmp_path / "x.wav", *QUICK)
    assert result.exit_code == 0 and "x.wav: no notes in it" in result.stderr
    assert all(not track.notes for track in read_midi(tmp_path / "out" / "x.mid"))


def test_midi_without_notes_or_with_drums_only(play, model, tmp_path):
    import mido

    write_midi(tmp_path / "empty.mid", [Track("x", 0, ())])
    drums = mido.MidiFile()
    drums.tracks.append(
        mido.MidiTrack(
            [
                mido.Message("note_on", channel=9, note=40, velocity=64, time=0),
                mido.Message("note_off", channel=9, note=40, time=480),
            ]
        )
    )
    drums.save(tmp_path / "drums.mid")
    (tmp_path / "bytes.mid").write_bytes(b"MThd\x00\x00")
    for name, said in (("empty", "no notes"), ("drums", "drums"), ("bytes", "bytes.mid")):
        assert_refused(play("midi", "-m", model, "-i", tmp_path / f"{name}.mid"), 1, said)
    assert files(tmp_path / "out") == []


def test_folders_without_models(play, model, tmp_path):
    assert_refused(play("info", "-m", tmp_path / "absent"), 1, "absent", "lt_train.py")
    (tmp_path / "empty").mkdir()
    assert_refused(play("info", "-m", tmp_path / "empty"), 1, "empty", "no model")
    own = shutil.copytree(model, tmp_path / "own")
    (own / "vae_1" / "tiny_best.t7").write_bytes(b"damaged")
    assert_refused(play("info", "-m", own), 1, "damaged")


@pytest.mark.parametrize(
    "labels, words, said",
    [
        (("octave", "pitch"), ["-d", "1"], "dynamics"),
        (("pitch", "dynamics"), ["-t", "1"], "transposition"),
    ],
)
def test_flags_that_this_model_cannot_follow(play, tmp_path, labels, words, said):
    own = make_run(tmp_path / "own", labels=labels)
    assert_refused(play("sequence", "-m", own, "-i", "A4", *words), 1, said)


def test_dynamics_in_midi_need_a_model_with_them(play, midi, tmp_path):
    own = make_run(tmp_path / "own", labels=("octave", "pitch"))
    assert_refused(play("midi", "-m", own, "-i", midi, "-d", "1"), 1, "dynamics")


# --- files that are in the way --------------------------------------------------------------------


def test_an_input_is_never_written_over(play, model, sound, tmp_path):
    before = sound.read_bytes()
    assert_refused(
        play("audio", "-m", model, "-i", sound, output="."), 1, "would replace the input"
    )
    os.link(sound, tmp_path / "x.csv")  # under another name, too
    (tmp_path / "out").mkdir()
    os.symlink(sound, tmp_path / "out" / "sound.mid")
    assert_refused(play("audio", "-m", model, "-i", sound), 1, "would replace the input")
    assert sound.read_bytes() == before and files(tmp_path / "out") == ["sound.mid"]


def test_of_several_inputs_only_the_one_in_the_way_is_refused(play, model, midi, tmp_path):
    (tmp_path / "tunes").mkdir()
    other = shutil.copy(midi, tmp_path / "tunes" / "other.mid")
    result = play("midi", "-m", model, "-i", other, midi, *QUICK, output="tunes")
    assert result.exit_code == 0 and files(tmp_path / "tunes") == [
        "other.mid",
        "other.wav",
        "tune.wav",
    ]


def test_results_are_replaced_and_nothing_temporary_stays(play, model, midi, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tune.wav").write_bytes(b"old")
    assert play("midi", "-m", model, "-i", midi, *QUICK).exit_code == 0
    assert (
        files(tmp_path / "out") == ["tune.wav"]
        and (tmp_path / "out" / "tune.wav").stat().st_size > 1000
    )


def test_an_output_that_is_a_file_is_said_before_the_work(play, model, midi, tmp_path):
    (tmp_path / "out").write_text("mine")
    assert_refused(play("midi", "-m", model, "-i", midi), 1, "file")
    assert (tmp_path / "out").read_text() == "mine"
