"""One recording against its MIDI: frames, the classifier baseline, annotations, damaged input."""

import json
import re
from dataclasses import replace

import mido
import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from midi_helpers import control, midi_bytes, off, on, track_chunk
from playing_helpers import make_run

from lt.audio.features import audio_to_magnitudes
from lt.audio.filters import high_pass
from lt.audio.phase import magnitudes_to_audio
from lt.config import CrossConfig, SynthesisConfig
from lt.evaluation.corpus import corpus_scores
from lt.evaluation.ground_truth import Pair, compare_lengths, find_pairs, read_reference
from lt.evaluation.recordings import OUTPUTS, evaluate_recording
from lt.evaluation.results import Results
from lt.inference.decoding import reconstruct_magnitudes
from lt.inference.posteriors import symbol_probabilities
from lt.labels import LabelSpace
from lt.midi import Note, Track, notes_to_labels, write_midi
from lt.models.baselines import CLASSIFIER_FILE, PcaClassifier, write_classifier
from lt.models.runs import load_run

RATE, FRAME = 22050, 704
NOTES = (Note(0.1, 0.5, 69, 40), Note(0.5, 0.9, 71, 90), Note(1.2, 1.8, 64, 60))
QUICK = CrossConfig(plot=0, griffinlim_iters=2)
FLUTE = LabelSpace(instruments=("Flute",))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return load_run(make_run(tmp_path_factory.mktemp("runs") / "flute"))


def recorded(folder, notes=NOTES, seconds=2.0, stem="tune"):
    """A recording of sines and its MIDI -> the pair."""
    times = np.arange(round(seconds * RATE)) / RATE
    audio = sum(
        0.2
        * np.sin(2 * np.pi * 440 * 2 ** ((note.note_number - 69) / 12) * times)
        * ((times >= note.onset) & (times < note.offset))
        for note in notes
    )
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / f"{stem}.wav", audio, RATE, subtype="FLOAT")
    write_midi(folder / f"{stem}.mid", [Track("Flute", 73, tuple(notes))])
    return Pair(stem, folder / f"{stem}.wav", folder / f"{stem}.mid")


def whole(run, pair):
    """Magnitudes (frames, bins) of a recording, at once."""
    audio, _ = soundfile.read(pair.audio, dtype="float32")
    return audio_to_magnitudes(torch.from_numpy(high_pass(audio, run.front_end)), run.front_end)


# --- frames ---------------------------------------------------------------------------------------


def test_every_frame_is_compared_with_the_midi(run, tmp_path):
    pair = recorded(tmp_path)
    result = evaluate_recording(run, None, pair, tmp_path / "out", QUICK)
    n_frames = -(-2 * RATE // FRAME)
    truth = run.space.to_classes([notes_to_labels(NOTES, n_frames, FRAME / RATE)])
    np.testing.assert_array_equal(result.predictions.classes, truth)
    predicted = np.stack(
        [group.argmax(dim=1) for group in symbol_probabilities(run, whole(run, pair)).groups],
        axis=1,
    )
    np.testing.assert_array_equal(result.predictions.symbol["transfer"].classes[:, 0], predicted)
    assert set(result.predictions.symbol) == {"reconstruction", "transfer"}


def test_the_reconstruction_is_that_of_all_frames_at_once(run, tmp_path):
    pair = recorded(tmp_path, seconds=5.0)
    evaluate_recording(run, None, pair, tmp_path / "out", QUICK)
    written, _ = soundfile.read(tmp_path / "out/reconstructions/tune.wav")
    expected = magnitudes_to_audio(
        reconstruct_magnitudes(run, whole(run, pair))[:, 0],
        run.front_end,
        SynthesisConfig(QUICK.griffinlim_iters, QUICK.seed),
    )
    assert len(written) == len(expected)
    # magnitudes that differ by rounding may have other ridges, along which phases are propagated
    written, expected = (
        audio_to_magnitudes(torch.from_numpy(audio.astype(np.float32)), run.front_end).double()
        for audio in (written, expected)
    )
    scale = (written * expected).sum() / expected.square().sum()  # turned down where it would clip
    assert 0 < scale <= 1 + 1e-3
    assert (written - scale * expected).norm() < 0.05 * written.norm()


def test_only_what_is_asked_for_is_written(run, tmp_path):
    pair = recorded(tmp_path)
    evaluate_recording(run, None, pair, tmp_path / "out", replace(QUICK, resynthesize=0))
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.*")) == ["tune.csv", "tune.mid"]
    evaluate_recording(run, None, pair, tmp_path / "all", replace(QUICK, plot=1))
    made = {str(path.relative_to(tmp_path / "all")) for path in (tmp_path / "all").rglob("*.*")}
    assert made == {name.format("tune") for name in OUTPUTS}


def test_the_report_has_the_beginning_of_a_recording(run, tmp_path):
    pair = recorded(tmp_path)
    flags = replace(QUICK, report_seconds=0.8, resynthesize=0)
    result = evaluate_recording(run, None, pair, tmp_path / "out", flags, shown=True)
    (beginning,) = result.example.sounds
    whole = evaluate_recording(
        run, None, pair, tmp_path / "out", replace(flags, report_seconds=9), shown=True
    )
    assert ", 2 played" in result.example.text and ", 3 played" in whole.example.text
    assert len(beginning.uri) < 0.6 * len(whole.example.sounds[0].uri)
    assert result.example.picture is None


def test_mixtures_without_silence_are_scored_where_all_instruments_sound(tmp_path):
    duo = load_run(make_run(tmp_path / "duo", instruments=("Flute", "Violin"), zero_extra_class=0))
    pair = recorded(tmp_path)
    result = evaluate_recording(duo, None, pair, tmp_path / "out", QUICK, shown=True)
    assert len(result.example.sounds) == 2 and "not played" in result.example.text
    assert result.predictions is None and any("no transfer" in remark for remark in result.remarks)
    assert any("Violin has no track" in remark for remark in result.remarks)
    assert any("knows no silence" in remark for remark in result.remarks)
    overall = Results({}, corpus_scores(duo.space, {"tune": result})).to_dict()["overall"]
    assert overall.keys() == {"notes"}


# --- the classifier baseline ----------------------------------------------------------------------


def put_classifier(run, run_id=None):
    """An untrained classifier beside a run, such as lt_analyze.py leaves."""
    torch.manual_seed(1)
    classifier = PcaClassifier(run.scaler.n_features, 8, run.space.group_sizes)
    classifier.fit_components(torch.randn(50, run.scaler.n_features))
    write_classifier(
        run.folder.path / CLASSIFIER_FILE, classifier, run.space, run_id or run.settings.run_id
    )
    return classifier.eval()


def lt_midi(model, root, *flags):
    from lt_midi import main

    return CliRunner().invoke(
        main,
        [
            "--models",
            str(model),
            "--dataroot",
            str(root),
            "--midiroot",
            str(root),
            "--plot",
            "0",
            "--resynthesize",
            "0",
            "--jobs",
            "1",
            "--output",
            str(root / "results"),
            *flags,
        ],
    )


def test_the_classifier_is_scored_on_the_same_frames(tmp_path):
    run = load_run(make_run(tmp_path / "model"))
    pair, classifier = recorded(tmp_path / "data"), put_classifier(run)
    result = evaluate_recording(run, classifier, pair, tmp_path / "out", QUICK)
    with torch.no_grad():
        groups = classifier(run.scaler.apply(whole(run, pair))).probabilities()
    expected = np.stack([group.argmax(dim=1) for group in groups], axis=1)
    np.testing.assert_array_equal(result.predictions.symbol["classifier"].classes[:, 0], expected)
    accuracy = (expected[:, 1] == result.predictions.classes[:, 0, 1]).mean()

    result = lt_midi(tmp_path / "model", tmp_path / "data")
    assert result.exit_code == 0, result.stderr
    assert "no classifier" not in result.stderr and "classifier" in result.stdout
    scores = json.loads((tmp_path / "data/results/results.json").read_text())
    own = scores["files"]["tune"]["symbol"]["classifier"]
    assert own["pitch"]["accuracy"] == pytest.approx(accuracy, abs=1e-4)
    assert scores["baselines"]["classifier"]["symbol"]["transfer"]["pitch"] == own["pitch"]


def test_without_its_file_the_classifier_is_missed_only_if_asked_for(tmp_path):
    model = make_run(tmp_path / "model")
    recorded(tmp_path / "data")
    result = lt_midi(model, tmp_path / "data")
    assert result.exit_code == 0 and f"{CLASSIFIER_FILE} is not there" in result.stderr
    assert not json.loads((tmp_path / "data/results/results.json").read_text())["baselines"]
    assert "classifier" not in lt_midi(model, tmp_path / "data", "--classifier", "0").stderr


@pytest.mark.parametrize("spoilt", ["another run's", "cut short", "not an archive"])
def test_a_classifier_that_cannot_be_used_is_an_error(tmp_path, spoilt):
    run = load_run(make_run(tmp_path / "model"))
    put_classifier(run, "another" if spoilt == "another run's" else None)
    path = run.folder.path / CLASSIFIER_FILE
    if spoilt != "another run's":
        path.write_bytes(path.read_bytes()[:500] if spoilt == "cut short" else b"nothing")
    recorded(tmp_path / "data")
    result = lt_midi(tmp_path / "model", tmp_path / "data")
    assert result.exit_code == 1 and result.stdout == "" and "Traceback" not in result.stderr
    assert CLASSIFIER_FILE in result.stderr and "lt_analyze.py --make_classifier 1" in result.stderr


def test_a_results_folder_that_may_not_be_written_is_named_once(tmp_path, monkeypatch):
    model = make_run(tmp_path / "model")
    for stem in ("first", "second"):
        recorded(tmp_path / "data", stem=stem)
    monkeypatch.setattr("lt.files.os.access", lambda *arguments: False)
    result = lt_midi(model, tmp_path / "data")
    assert result.exit_code == 1 and result.stderr.count("may not be written") == 1
    assert f"the folder {tmp_path / 'data'} may not be written" in result.stderr
    assert not {"first", "second"} & set(re.findall(r"\w+", result.stderr))


# --- annotations and damaged input --------------------------------------------------------


def test_drums_and_notes_of_no_length_are_counted(tmp_path):
    track = mido.MidiTrack(
        [
            mido.Message("note_on", note=60, velocity=80),
            mido.Message("note_off", note=60, time=0),
            mido.Message("note_on", channel=9, note=40, velocity=80),
            mido.Message("note_off", channel=9, note=40, time=9),
            mido.Message("note_on", note=67, velocity=80),
            mido.Message("note_off", note=67, time=480),
        ]
    )
    mido.MidiFile(tracks=[track]).save(tmp_path / "odd.mid")
    reference = read_reference(tmp_path / "odd.mid", FLUTE)
    assert [note.note_number for note in reference.notes] == [60, 67]
    assert reference.remarks == (
        "1 drum note left out",
        "1 note of no length, taken as one tick long",
    )
    assert not reference.velocities_differ


def test_pedals_lengthen_the_notes_of_a_reference(tmp_path):
    messages = [(0, control(64, 127)), (0, on(60)), (480, off(60)), (1920, control(64, 0))]
    (tmp_path / "a.mid").write_bytes(midi_bytes(track_chunk(*messages)))
    for pedal, offset in ((True, 2.0), (False, 0.5)):
        [note] = read_reference(tmp_path / "a.mid", FLUTE, pedal).tracks[0].notes
        assert note.offset == offset


def test_tracks_go_to_the_instruments_that_they_are_named_after(tmp_path):
    write_midi(
        tmp_path / "duo.mid",
        [
            Track("violin", 0, (Note(0, 1, 67, 64),)),
            Track("Flute", 1, NOTES[:1]),
            Track("kazoo", 2, NOTES[1:2]),
        ],
    )
    reference = read_reference(tmp_path / "duo.mid", LabelSpace(instruments=("Flute", "Violin")))
    assert [[note.note_number for note in track.notes] for track in reference.tracks] == [
        [69],
        [67],
    ]
    assert len(reference.notes) == 3 and any("1 track" in remark for remark in reference.remarks)


@pytest.mark.parametrize(
    "seconds, words",
    [
        (2.0, ()),
        (1.0, ("cannot be heard",)),
        (9.0, ("goes on for",)),
        (0.01, ("3 notes cannot be heard",)),
    ],
)
def test_a_midi_of_another_length_is_remarked(tmp_path, seconds, words):
    pair = recorded(tmp_path)
    remarks = compare_lengths(read_reference(pair.midi, FLUTE), seconds)
    assert len(remarks) == len(words) and all(
        word in remark for word, remark in zip(words, remarks)
    )


def test_transfers_are_as_long_as_the_recording(run, tmp_path):
    pair = recorded(tmp_path)
    write_midi(
        pair.midi,
        [Track("Flute", 73, (*NOTES, Note(1.9, 5000.0, 72, 64), Note(9e5, 9e5 + 1, 60, 64)))],
    )
    result = evaluate_recording(run, None, pair, tmp_path / "out", QUICK)
    assert any("1 note cannot be heard" in remark for remark in result.remarks)
    assert result.predictions is not None
    assert soundfile.info(tmp_path / "out/transfers/tune.wav").duration < 2.0 + 0.1


@pytest.mark.fault("malformed input")
@pytest.mark.parametrize("harm", ["empty", "text", "cut short", "NaN at its end", "a folder"])
def test_damaged_recordings_are_named_and_leave_nothing(run, tmp_path, harm):
    pair = recorded(tmp_path, seconds=12.0)
    if harm == "NaN at its end":
        audio, _ = soundfile.read(pair.audio, dtype="float32")
        audio[-1] = np.nan
        soundfile.write(pair.audio, audio, RATE, subtype="FLOAT")
    else:
        content = {
            "empty": b"",
            "text": b"no sound",
            "cut short": pair.audio.read_bytes()[:40],
            "a folder": b"",
        }[harm]
        pair.audio.write_bytes(content)
    if harm == "a folder":
        pair.audio.unlink()
        pair.audio.mkdir()
    with pytest.raises((ValueError, OSError), match="tune.wav"):
        evaluate_recording(run, None, pair, tmp_path / "out", QUICK)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_a_recording_shorter_than_a_frame_is_one_frame(run, tmp_path):
    pair = recorded(tmp_path, notes=[Note(0.0, 0.02, 69, 64)], seconds=0.02)
    result = evaluate_recording(run, None, pair, tmp_path / "out", QUICK)
    assert len(result.predictions.classes) == 1
    assert len((tmp_path / "out/transcriptions/tune.csv").read_text().splitlines()) == 2


def test_a_silent_recording_has_no_notes(run, tmp_path):
    pair = recorded(tmp_path)
    soundfile.write(pair.audio, np.zeros(RATE), RATE)
    result = evaluate_recording(run, None, pair, tmp_path / "out", QUICK)
    assert result.notes.scores.f1 == 0 and result.notes.counts.false_alarms == 0


def test_pairs_are_found_in_depth_whatever_the_case_and_lone_files_named(tmp_path, caplog):
    caplog.set_level("INFO")
    for stem in ("a/x", "b/x", "c/y", "lone"):
        folder = (tmp_path / stem).parent
        pair = recorded(folder, stem=(tmp_path / stem).name)
        if stem == "c/y":
            pair.midi.rename(pair.midi.with_name("y-lined.MID"))
        if stem == "lone":
            pair.midi.unlink()
    pairs = find_pairs(tmp_path, tmp_path)
    assert [pair.stem for pair in pairs] == ["x", "x_2", "y"] and len(
        {pair.midi for pair in pairs}
    ) == 3
    assert len(caplog.messages) == 1 and "lone.wav" in caplog.messages[0]


def test_names_with_dollars_are_drawn(run, tmp_path):
    pair = recorded(tmp_path, stem="Take_$5_to_$10")
    evaluate_recording(run, None, pair, tmp_path / "out", replace(QUICK, plot=1, resynthesize=0))
    assert (tmp_path / "out/plots/Take_$5_to_$10.png").stat().st_size > 10_000


# --- references that do not fit -------------------------------------------------------------------


@pytest.mark.parametrize("align", [0, 1])
def test_a_midi_that_is_shifted_is_said_and_with_align_shifted_back(
    tmp_path, monkeypatch, run, align
):
    played = [
        Note(0.1 + 0.3 * place, 0.3 + 0.3 * place, key, 64)
        for place, key in enumerate((69, 71, 64, 62, 67, 70))
    ]
    late = tuple(replace(n, onset=n.onset + 0.5, offset=n.offset + 0.5) for n in played)
    pair = recorded(tmp_path, late, seconds=3.0)
    tracks = [Track("Flute", 73, tuple(played))]
    monkeypatch.setattr("lt.evaluation.recordings.posteriors_to_tracks", lambda *_: tracks)
    config = replace(QUICK, align=align, resynthesize=0)
    result = evaluate_recording(run, None, pair, tmp_path / "out", config)
    [remark] = [remark for remark in result.remarks if "shifted by -0.50 s" in remark]
    assert ("--align 1" in remark) != align and "note F1 0.00 before, 1.00 after" in remark
    assert result.notes.scores.f1 == result.instruments[0].scores.f1 == float(align)
