"""lt_midi.py: the contract of its files, scores and exit codes; how well it hears, on tunes whose
notes are known.
"""

import csv
import dataclasses
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from playing_helpers import make_run

from lt.audio.soundfont import SoundFont, embedded_font
from lt.config import DecoderConfig
from lt.evaluation.metrics import (
    frame_counts,
    matched_velocities,
    note_scores,
    pooled_note_figures,
    velocity_figures,
)
from lt.midi import INSTRUMENTS, Note, Track, read_midi, write_midi

ROOT = Path(__file__).parents[2]
RATE = 22050
QUICK = "--griffinlim_iters 2 --jobs 1".split()


def tune(numbers, seconds=0.3, gap=0.05, velocities=(30, 90)):
    """Notes one after another; velocities in turn."""
    return [
        Note(
            0.2 + index * (seconds + gap),
            0.2 + index * (seconds + gap) + seconds,
            number,
            velocities[index % len(velocities)],
        )
        for index, number in enumerate(numbers)
    ]


def tone(notes, seconds, rate=RATE):
    """Sines in place of an instrument."""
    times = np.arange(round(seconds * rate)) / rate
    return sum(
        0.2
        * np.sin(2 * np.pi * 440 * 2 ** ((note.note_number - 69) / 12) * times)
        * ((times >= note.onset) & (times < note.offset))
        for note in notes
    )


def put(root, stem, notes, rate=RATE, suffix="-lined", channels=1, seconds=2.0):
    """A recording and its MIDI, in the layout of the Cantos set."""
    audio = np.tile(tone(notes, seconds, rate)[:, None], (1, channels))
    for folder in ("Recordings", "Aligned_files/mid_files"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    soundfile.write(root / "Recordings" / f"{stem}.wav", audio, rate)
    write_midi(
        root / "Aligned_files/mid_files" / f"{stem}{suffix}.mid", [Track("Flute", 73, tuple(notes))]
    )


@pytest.fixture
def cantos(tmp_path):
    """Three recordings of other rates and widths, and one without MIDI."""
    put(tmp_path, "scale #1", tune([69, 71, 72, 74]))
    put(tmp_path, "zwei", tune([60, 72], velocities=(64,)), rate=44100, channels=2, suffix="")
    put(tmp_path, "alone", tune([64]))
    (tmp_path / "Aligned_files/mid_files/alone-lined.mid").unlink()
    return tmp_path


def lt_midi(root, model, *flags):
    from lt_midi import main

    return CliRunner().invoke(
        main,
        [
            "--models",
            str(model),
            "--dataroot",
            str(root / "Recordings"),
            "--midiroot",
            str(root / "Aligned_files"),
            *QUICK,
            *map(str, flags),
        ],
    )


def test_everything_is_written_and_the_note_scores_are_those_of_the_files(cantos, tmp_path):
    result = lt_midi(cantos, make_run(tmp_path / "model"))
    assert result.exit_code == 0, result.stderr
    folder = tmp_path / "model" / "midi_results"
    for stem in ("scale #1", "zwei"):
        for name in (
            f"transcriptions/{stem}.mid",
            f"transcriptions/{stem}.csv",
            f"reconstructions/{stem}.wav",
            f"transfers/{stem}.wav",
            f"plots/{stem}.png",
        ):
            assert (folder / name).stat().st_size > 0, name
    assert result.stderr.count("resampled") == 1 and "1 of 2 recordings" in result.stderr
    assert (
        "alone.wav: no MIDI file of its name" in result.stderr
        and "no classifier is scored" in result.stderr
    )
    scores = json.loads((folder / "results.json").read_text())
    pairs = [
        (cantos / "Aligned_files/mid_files/scale #1-lined.mid", "scale #1"),
        (cantos / "Aligned_files/mid_files/zwei.mid", "zwei"),
    ]
    notes = [
        [
            sorted(note for track in read_midi(path) for note in track.notes)
            for path in (reference, folder / f"transcriptions/{stem}.mid")
        ]
        for reference, stem in pairs
    ]
    expected = pooled_note_figures(
        [note_scores(*both) for both in notes], [frame_counts(*both) for both in notes]
    ) | velocity_figures(matched_velocities(*both) for both in notes)
    assert scores["overall"]["notes"] == pytest.approx(expected, abs=1e-4)
    decoder = json.dumps(dataclasses.asdict(DecoderConfig()))
    assert scores["settings"]["decoder"] == json.loads(decoder)
    assert scores["settings"]["synthesis"]["n_iter"] == 2
    assert scores["files"]["zwei"]["symbol"]["transfer"].keys() >= {"octave", "pitch", "note"}
    assert "dynamics" not in scores["files"]["zwei"]["symbol"]["transfer"]
    assert (
        "all velocities" in scores["files"]["zwei"]["remarks"] and "all velocities" in result.stdout
    )
    assert "dynamics" in scores["overall"]["symbol"]["transfer"]
    page = (folder / "report.html").read_text("utf-8")  # with the first recording
    assert page.count("<img") == 1 and page.count("<audio") == 3 and "<h3>scale #1</h3>" in page
    assert re.search(r"\d+ notes? transcribed by the model model, 4 played: note F1 \d", page)
    rows = list(csv.DictReader((folder / "transcriptions/zwei.csv").open()))
    assert len(rows) == -(-2 * RATE // 704) and rows[1]["time"] == "0.0319"


def test_two_runs_give_the_same_bytes_and_several_jobs_too(cantos, tmp_path):
    model = make_run(tmp_path / "model")
    for folder, jobs in (("one", 1), ("two", 2)):
        assert lt_midi(cantos, model, "--output", tmp_path / folder, "--jobs", jobs).exit_code == 0
    files = [
        path.relative_to(tmp_path / "one")
        for path in (tmp_path / "one").rglob("*")
        if path.is_file()
    ]
    assert len(files) == 13
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), (
            file
        )


@pytest.mark.fault("malformed input")
def test_bad_files_are_named_and_the_rest_done(cantos, tmp_path):
    put(cantos, "bad sound", tune([60]))
    put(cantos, "bad midi", tune([60]))
    put(cantos, "drums", tune([60]))
    (cantos / "Recordings/bad sound.wav").write_bytes(b"RIFF nothing")
    (cantos / "Aligned_files/mid_files/bad midi-lined.mid").write_bytes(b"MThd nothing")
    write_drums(cantos / "Aligned_files/mid_files/drums-lined.mid")
    result = lt_midi(cantos, make_run(tmp_path / "model"), "--plot", 0, "--resynthesize", 0)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "2 ok, 3 failed"
    for words in ("bad sound.wav", "bad midi-lined.mid", "has no notes (1 drum note left out)"):
        assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert len(json.loads((tmp_path / "model/midi_results/results.json").read_text())["files"]) == 2


def write_drums(path):
    import mido

    file = mido.MidiFile()
    file.tracks.append(
        mido.MidiTrack(
            [
                mido.Message("note_on", channel=9, note=40, velocity=80),
                mido.Message("note_off", channel=9, note=40, time=100),
            ]
        )
    )
    file.save(path)


def test_what_lies_beyond_the_recording_or_the_labels_is_counted(tmp_path):
    chord = [Note(1.6, 2.0, number, 64) for number in (60, 64, 67)]
    put(tmp_path, "odd", [*tune([5, 69]), *chord, Note(9.0, 9.5, 72, 64)])
    result = lt_midi(tmp_path, make_run(tmp_path / "model"), "--plot", 0, "--resynthesize", 0)
    assert result.exit_code == 0, result.stderr
    assert "odd: 1 note outside C0-B8 left out of the frames" in result.stderr
    assert "1 note cannot be heard" in result.stderr
    assert result.stderr.count("up to 3 notes at once, but Flute has 1") == 1


@pytest.mark.parametrize("missing", ["Recordings", "Aligned_files", "pairs"])
def test_nothing_to_do_is_an_error(cantos, tmp_path, missing):
    if missing == "pairs":
        for path in (cantos / "Aligned_files").rglob("*.mid"):
            path.rename(path.with_name(f"other {path.name}"))
    else:
        for path in (cantos / missing).rglob("*.*"):
            path.unlink()
    result = lt_midi(cantos, make_run(tmp_path / "model"))
    assert result.exit_code == 1 and result.stdout == ""
    assert len([line for line in result.stderr.splitlines() if "error" in line]) == 1


def test_models_without_pitch_octave_or_silence(cantos, tmp_path):
    for labels, silence in (
        (("octave", "dynamics"), 1),
        (("pitch",), 1),
        (("octave", "pitch", "dynamics"), 0),
    ):
        model = make_run(
            tmp_path / f"{len(labels)}{silence}", labels=labels, zero_extra_class=silence
        )
        result = lt_midi(cantos, model, "--plot", 0)
        assert result.exit_code == 0, result.stderr
        assert ("writes no MIDI" in result.stderr) == ("pitch" not in labels)
        assert ("octave 4" in result.stderr) == (labels == ("pitch",))
        scores = json.loads((model / "midi_results/results.json").read_text())
        assert ("notes" in scores["overall"]) == ("pitch" in labels)
        if not silence:
            assert scores["frames"] < 2 * -(-2 * RATE // 704)


def test_results_are_no_recordings_of_the_next_run(cantos, tmp_path):
    model = make_run(tmp_path / "model")
    for _ in range(2):
        assert (
            lt_midi(cantos, model, "--output", cantos / "Recordings/results", "--plot", 0).exit_code
            == 0
        )
    scores = json.loads((cantos / "Recordings/results/results.json").read_text())
    assert set(scores["files"]) == {"scale #1", "zwei"}


# --- how well it hears ----------------------------------------------------------------------------


def trained(tmp_path_factory, *flags):
    """A model of the embedded sound font; LT_MIDI_FLUTE or LT_MIDI_DUO may name one that is there
    already.
    """
    folder = tmp_path_factory.mktemp("trained")
    subprocess.run(
        [sys.executable, "lt_train.py", "--savedir", str(folder), "--plot_epochs", "1000", *flags],
        cwd=ROOT,
        check=True,
    )
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def flute(tmp_path_factory):
    return Path(
        os.environ.get("LT_MIDI_FLUTE")
        or trained(tmp_path_factory, "--instruments", "Flute", "--preset", "robust")
    )


@pytest.fixture(scope="module")
def duo(tmp_path_factory):
    return Path(
        os.environ.get("LT_MIDI_DUO")
        or trained(tmp_path_factory, "--instruments", "Piano", "Violin", "--preset", "robust")
    )


def f1_of(model, notes_of):
    """The note F1 of each instrument, heard in what the sound font makes of its notes together."""
    from lt.inference.note_decoding import posteriors_to_tracks
    from lt.inference.posteriors import analyse_audio
    from lt.models.runs import load_run

    font, run = SoundFont(embedded_font()), load_run(model)
    tracks = [
        font.render_tune(notes, INSTRUMENTS[name].program) for name, notes in notes_of.items()
    ]
    audio = np.zeros(max(map(len, tracks)) + RATE // 4, np.float32)
    for track in tracks:
        audio[: len(track)] += track
    tracks = posteriors_to_tracks(analyse_audio(run, [audio]).posteriors)
    heard = {track.name: track.notes for track in tracks}
    return [note_scores(notes, heard[name]).f1 for name, notes in notes_of.items()]


def melodies():
    """Tunes by what is hard about them."""
    scale = [62, 64, 66, 67, 69, 71, 73, 74, 76, 78, 79, 81, 83, 85, 86]
    return {
        "scale": tune(scale, 0.4, 0.0),
        "rests": tune(scale, 0.3, 0.4),
        "crescendo": tune(scale, 0.4, 0.02, velocities=range(15, 120, 7)),
        "repeats": tune([67, 67, 67, 72, 72, 72, 74, 74, 74, 79, 79], 0.3, 0.2),
    }


@pytest.mark.long
def test_tunes_of_known_notes(flute):
    scores = {name: f1_of(flute, {"Flute": notes})[0] for name, notes in melodies().items()}
    for low in (79, 84, 88):
        scores[f"trill {low}"] = f1_of(
            flute, {"Flute": tune([low, low + 2] * 16, 0.125, 0.0, (80,))}
        )[0]
    print(scores)
    low_trills = {
        low: f1_of(flute, {"Flute": tune([low, low + 2] * 16, 0.125, 0.0, (80,))})[0]
        for low in (62, 67, 72)
    }
    print("trills below G5, where bands ring as long as a note:", low_trills)
    assert np.mean(list(scores.values())) >= 0.97, scores


@pytest.mark.long
def test_two_instruments_at_once(duo):
    random, scores = np.random.default_rng(0), []
    for _ in range(4):
        parts = {
            name: tune(random.integers(low, high, 16).tolist(), seconds, 0.15, (60, 80, 100))
            for name, low, high, seconds in (("Piano", 40, 64, 0.5), ("Violin", 62, 88, 0.6))
        }
        scores.append(f1_of(duo, parts))
    print(np.mean(scores, axis=0))
    assert (np.mean(scores, axis=0) >= 0.85).all(), scores


@pytest.mark.long
def test_an_hour_needs_less_than_a_gigabyte_and_a_half(tmp_path):
    model = make_run(tmp_path / "model")
    for folder in ("Recordings", "Aligned_files"):
        (tmp_path / folder).mkdir()
    minute = tone(tune([60 + step % 24 for step in range(150)]), 60.0).astype(np.float32)
    with soundfile.SoundFile(tmp_path / "Recordings/hour.wav", "w", RATE, 1) as file:
        for _ in range(60):
            file.write(minute)
    notes = [
        Note(note.onset + 60 * index, note.offset + 60 * index, note.note_number, note.velocity)
        for index in range(60)
        for note in tune([60 + step % 24 for step in range(150)])
    ]
    write_midi(tmp_path / "Aligned_files/hour.mid", [Track("Flute", 73, tuple(notes))])
    subprocess.run(
        [
            sys.executable,
            "lt_midi.py",
            "--models",
            str(model),
            "--dataroot",
            str(tmp_path / "Recordings"),
            "--midiroot",
            str(tmp_path / "Aligned_files"),
            "--griffinlim_iters",
            "2",
        ],
        cwd=ROOT,
        check=True,
    )
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1.5 * 2**20
    assert (model / "midi_results/transfers/hour.wav").exists()
