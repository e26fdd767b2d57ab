"""Scores of known predictions, a model against a literal evaluation, its data set, examples."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from analysis_helpers import HOP, RATE, set_of_recordings, train

from lt.config import AnalysisConfig
from lt.data.dataset import read_data_set, write_data_set
from lt.evaluation import metrics
from lt.evaluation.analyze import analyse_run
from lt.evaluation.baselines import count_majority, pyin_scores, sample_frames, train_classifier
from lt.evaluation.context import open_context
from lt.evaluation.examples import choose_notes, make_example, make_examples
from lt.evaluation.results import Results, Score
from lt.evaluation.scoring import (
    SpectralScores,
    SymbolPrediction,
    averaged,
    concatenated,
    evaluate,
    evaluate_partition,
    note_confusion,
    spectral_scores,
    symbol_scores,
)
from lt.labels import LabelSpace
from lt.models.runs import load_run

SPACE = LabelSpace(("octave", "pitch", "dynamics"), ("Flute",))
PAIR = LabelSpace(("octave", "pitch"), ("Flute", "Violin"))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a data set and a model of it."""
    folder = tmp_path_factory.mktemp("analysis")
    set_of_recordings(folder / "data")
    train(folder / "data" / "set.npz", folder / "saves")
    return folder


@pytest.fixture(scope="module")
def context(place):
    return open_context(load_run(place / "saves" / "scan_multi__Flute"))


@pytest.fixture(scope="module")
def duet(tmp_path_factory):
    """A model of mixtures of two instruments."""
    folder = tmp_path_factory.mktemp("duet")
    set_of_recordings(folder / "data", range(60, 72, 2), ("Flute", "Violin"))
    flags = "--instruments Flute Violin --random_mode bernoulli --epochs 2".split()
    return open_context(load_run(train(folder / "data" / "set.npz", folder / "saves", *flags)))


def truth_of(space, n_frames=4000, seed=0):
    random = np.random.default_rng(seed)
    return np.stack(
        [random.integers(0, size, (n_frames, len(space.instruments))) for size in space.sizes],
        axis=2,
    )


def nested(scores):
    """Scores of symbols as label -> measure -> value."""
    return Results({}, scores).to_dict()["overall"]["symbol"]


def evaluated(context, part="test", n_passes=1, seed=0, baselines=None):
    """The scores and the predictions."""
    config = AnalysisConfig(partition=part, nb_passes=n_passes, seed=seed)
    evaluation = evaluate_partition(context, config, baselines)
    return Results({}, evaluation.scores), evaluation.predictions


# --- scores of known predictions ------------------------------------------------------------------


def test_perfect_predictions_score_one():
    truth = truth_of(SPACE)
    scores = nested(symbol_scores(SPACE, truth, SymbolPrediction(truth, np.zeros(truth.shape))))
    for label in SPACE.labels:
        assert scores[label]["accuracy"] == scores[label]["balanced_accuracy"] == 1
        assert np.array(scores[label]["confusion"]).trace() == len(truth)
        assert scores[label]["log_likelihood"] == 0
    assert scores["note"] == {"accuracy": 1, "accuracy_sounding": 1, "octave_errors": 0}


def test_shuffled_predictions_score_chance_and_constant_ones_the_majority():
    truth = truth_of(SPACE, 20_000)
    shuffled = np.random.default_rng(1).permutation(truth)
    scores = nested(symbol_scores(SPACE, truth, SymbolPrediction(shuffled, None)))
    for label, size in zip(SPACE.labels, SPACE.sizes):
        assert scores[label]["accuracy"] == pytest.approx(1 / size, abs=0.01)
        assert "log_likelihood" not in scores[label]
    chance = 1 / (SPACE.sizes[0] * SPACE.sizes[1])
    assert scores["note"]["accuracy"] == pytest.approx(chance, abs=0.01)
    constant = symbol_scores(SPACE, truth, SymbolPrediction(np.full_like(truth, 3), None))
    accuracy = Results({}, constant).value("accuracy", label="pitch")
    assert accuracy == (truth[:, :, 1] == 3).mean()


def test_octave_slips_are_counted_apart():
    truth = np.tile([[[4, 9, 2]]], (10, 1, 1))
    predicted = truth.copy()
    predicted[:3, :, 0] = 5
    predicted[3, :, 1] = 8
    scores = nested(symbol_scores(SPACE, truth, SymbolPrediction(predicted, None)))
    assert scores["note"] == {"accuracy": 0.6, "accuracy_sounding": 0.6, "octave_errors": 0.3}


def test_mixtures_are_scored_in_any_order_too():
    truth = truth_of(PAIR)
    scores = nested(symbol_scores(PAIR, truth, SymbolPrediction(truth[:, ::-1], None)))
    assert scores["note"]["accuracy"] < 0.1
    assert scores["note"]["accuracy_permutation_invariant"] == 1
    assert scores["pitch"]["accuracy_permutation_invariant"] == 1


def test_dynamics_are_scored_where_they_are_known():
    truth = truth_of(SPACE, 100)
    wrong = truth.copy()
    wrong[60:, :, 2] = (wrong[60:, :, 2] + 1) % SPACE.sizes[2]
    predicted, known = SymbolPrediction(wrong, None), np.arange(100) < 60
    scores = nested(symbol_scores(SPACE, truth, predicted, known))
    assert scores["dynamics"]["accuracy"] == 1 and np.sum(scores["dynamics"]["confusion"]) == 60
    assert np.sum(scores["pitch"]["confusion"]) == 100
    assert "dynamics" not in nested(symbol_scores(SPACE, truth, predicted, np.zeros(100, bool)))


def test_note_confusion_names_what_occurs():
    truth = np.array([[[4, 9, 2]], [[4, 9, 2]], [[9, 12, 5]]])
    predicted = np.array([[[4, 9, 2]], [[5, 9, 2]], [[9, 12, 5]]])
    counts, names = note_confusion(SPACE, truth, predicted)
    assert names == ["silence", "A4", "A5"] and counts.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]


def test_passes_are_averaged_with_their_standard_deviation():
    passes = [
        [Score("x", 1.0), Score("n", 3), Score("confusion", [[1, 0], [2, 1]])],
        [Score("x", 3.0), Score("n", 3), Score("confusion", [[1, 1], [0, 2]])],
    ]
    assert averaged(passes) == [
        Score("x", 2.0, sd=pytest.approx(2**0.5)),
        Score("n", 3),
        Score("confusion", [[2, 1], [2, 3]]),
    ]
    assert averaged(passes[:1]) == passes[0]


def test_batches_of_records_are_joined_field_by_field():
    batches = [SymbolPrediction(np.full((n, 1, 3), n), np.zeros((n, 1, 3))) for n in (1, 2)]
    whole = concatenated([{"a": batch} for batch in batches])["a"]
    assert whole.classes[:, 0, 0].tolist() == [1, 2, 2] and whole.log_prob.shape == (3, 1, 3)


# --- a model --------------------------------------------------------------------------------------


def with_settings(context, **settings):
    config = replace(context.run.config, **settings)
    return replace(
        context, run=replace(context.run, settings=replace(context.run.settings, config=config))
    )


def test_rests_and_silence_are_the_same_in_every_evaluation(duet):
    def weights(**settings):
        mixer = with_settings(duet, **settings).mixer("train")
        return mixer.batch(mixer.order(0, 0), 0, 0, 0).weights

    usual = weights(rest_share=0.5, silence_share=0.0)
    assert 0.3 < float(usual.mean()) < 0.7
    assert torch.equal(weights(rest_share=0.1, silence_share=0.9), usual)


def test_baselines_train_with_the_rests_of_the_run_and_the_majority_with_those_evaluated(duet):
    seldom = with_settings(duet, rest_share=0.0, silence_share=0.0)
    resting = [
        (sample_frames(each, "train", 0, 0).classes[:, 0] == 9).float().mean()
        for each in (seldom, duet)
    ]
    assert resting[0] < 0.3 < 0.45 < resting[1]
    often = with_settings(duet, rest_share=0.9, silence_share=0.0)
    features = torch.zeros(1, duet.run.scaler.n_features)
    for few, many in zip(
        count_majority(seldom, 0)(features).logits, count_majority(often, 0)(features).logits
    ):
        torch.testing.assert_close(few, many)


def test_the_scores_are_those_of_a_literal_evaluation(context):
    results, predictions = evaluated(context)
    run, frames = context.run, context.split.frames["test"][0]
    magnitudes = torch.from_numpy(context.data.frames(frames))
    note = context.data.note_of_frame[frames]
    truth = np.where(
        context.data.sounding[frames][:, None], context.data.notes.labels[note], [9, 12, 5]
    )
    with torch.no_grad():
        features = run.scaler.apply(magnitudes)
        posterior = run.model.encode_signal(features).top.mean
        read = [
            group.argmax(dim=-1).numpy()
            for group in run.model.symbol.decode(posterior).probabilities()
        ]
        made = run.scaler.invert(run.model.symbol_to_signal(torch.from_numpy(truth[:, None])).mean)
    for index, label in enumerate(run.space.labels):
        accuracy = results.value("accuracy", label=label, path="transfer")
        assert accuracy == pytest.approx((read[index] == truth[:, index]).mean())
    both = (read[0] == truth[:, 0]) & (read[1] == truth[:, 1])
    accuracy = results.value("accuracy", label="note", path="transfer")
    assert accuracy == pytest.approx(both.mean())
    distances = metrics.log_spectral_distance_db(magnitudes.numpy(), made.numpy())
    distance = results.value("log_spectral_distance_db", path="transfer")
    assert distance == pytest.approx(distances.mean(), rel=1e-4)
    tree = results.to_dict()
    assert tree["instruments"]["Flute"] == tree["overall"]
    assert len(predictions.classes) == len(frames)


def test_a_run_is_evaluated_by_its_path_alone(context):
    results = evaluate(context.run, config=AnalysisConfig(seed=0))
    assert results.scores == evaluated(context)[0].scores
    assert results.about["partition"] == "test" and results.about["passes"] == 1
    assert results.value("accuracy", scope="instruments", name="Flute", label="pitch") <= 1
    with pytest.raises(LookupError):
        results.value("accuracy", label="timbre")


def test_log_likelihoods_are_means_over_latent_samples(context):
    results, _ = evaluated(context, n_passes=30)
    run, frames = context.run, context.split.frames["test"][0]
    features = run.scaler.apply(torch.from_numpy(context.data.frames(frames)))
    torch.manual_seed(0)
    sums = []
    with torch.no_grad():
        for _ in range(30):
            q = run.model.encode_signal(features).top
            px = run.model.signal.decode(q.mean + q.stddev * torch.randn_like(q.mean))
            density = (
                -0.5 * ((features - px.mean) / px.stddev) ** 2
                - px.stddev.log()
                - 0.5 * np.log(2 * np.pi)
            )
            sums.append(float(density.sum(dim=1).mean()))
    found = results.to_dict()["overall"]["signal"]["reconstruction"]
    assert found["log_likelihood"] == pytest.approx(
        np.mean(sums), abs=4 * np.std(sums) / 30**0.5 + 1e-3
    )
    assert found["log_likelihood_sd"] == pytest.approx(np.std(sums), rel=0.6)
    # mixtures of one instrument do not change, nor do means of posteriors
    assert found["isd_sd"] == 0


def test_evaluation_is_the_same_each_time_and_depends_on_its_seed(context):
    first, again, other = (evaluated(context, seed=seed)[0] for seed in (0, 0, 1))
    assert first == again != other
    assert first.value("accuracy", label="note") == other.value("accuracy", label="note")


def test_the_parts_do_not_share_notes(context):
    sizes = [len(evaluated(context, part)[1].classes) for part in ("train", "valid", "test")]
    assert sizes == [len(context.split.frames[part][0]) for part in ("train", "valid", "test")]


def test_mixtures_are_scored_by_instrument_too(duet):
    results, _ = evaluated(duet, n_passes=3, baselines={"majority": count_majority(duet, 0)})
    instruments = results.to_dict()["instruments"]
    assert set(instruments) == {"Flute", "Violin"} and "signal" not in instruments["Flute"]

    def of_pitch(measure, **fields):
        return results.value(measure, label="pitch", path="transfer", **fields)

    names = ("Flute", "Violin")
    accuracies = [of_pitch("accuracy", scope="instruments", name=name) for name in names]
    assert np.mean(accuracies) == pytest.approx(of_pitch("accuracy"))
    likelihoods = [of_pitch("log_likelihood", scope="instruments", name=name) for name in names]
    assert sum(likelihoods) == pytest.approx(of_pitch("log_likelihood"), rel=1e-5)
    assert of_pitch("accuracy_permutation_invariant") >= of_pitch("accuracy")
    overall = results.to_dict()["overall"]["symbol"]["transfer"]["pitch"]
    assert overall["log_likelihood_sd"] > 0
    assert "accuracy_permutation_invariant" not in instruments["Flute"]["symbol"]["transfer"]
    assert pyin_scores(duet, "test") == []


def test_spectral_scores_are_means_by_name():
    spectra = SpectralScores(np.array([1.0, 3]), np.array([2.0, 4]), np.array([3.0, 5]))
    assert [(score.measure, score.value) for score in spectral_scores(spectra)] == [
        ("log_likelihood", 2),
        ("isd", 3),
        ("log_spectral_distance_db", 4),
    ]


# --- baselines on a run's data --------------------------------------------------------------------


def of_baseline(results, name, label, measure="accuracy"):
    return results.value(measure, scope="baselines", name=name, label=label)


def test_the_classifier_learns_from_the_training_part(context):
    config = AnalysisConfig(classifier_epochs=40, classifier_bs=32)
    networks = {"classifier": train_classifier(context, config)}
    results, _ = evaluated(context, "train", baselines=networks)
    assert of_baseline(results, "classifier", "note") > 0.9


def test_the_majority_scores_its_own_share(context):
    classes = sample_frames(context, "train", 0, 0).classes
    results, predictions = evaluated(context, baselines={"majority": count_majority(context, 0)})
    for index, label in enumerate(context.run.space.labels):
        commonest = int(classes[:, index].bincount().argmax())
        share = (predictions.classes[:, 0, index] == commonest).mean()
        assert of_baseline(results, "majority", label) == pytest.approx(share)


def test_pyin_finds_the_test_parts_notes(context):
    results = Results({}, pyin_scores(context, "test"))
    n_frames = results.value("frames", scope="baselines", name="pyin")
    assert n_frames == len(context.split.frames["test"][0])
    assert of_baseline(results, "pyin", "note", "accuracy_sounding") > 0.6
    assert of_baseline(results, "pyin", "note", "octave_errors") < 0.1
    assert not [score for score in results.scores if score.label == "dynamics"]


# --- the data set ------------------------------------------------------------------------


def test_a_data_set_that_is_gone_is_asked_for(place, tmp_path):
    run = load_run(place / "saves" / "scan_multi__Flute")
    moved = tmp_path / "elsewhere.npz"
    with pytest.raises(FileNotFoundError, match="dbroot"):
        open_context(run, moved)
    shutil.copy(place / "data" / "set.npz", moved)
    assert len(open_context(run, moved).data.lengths) == 36


def test_a_data_set_that_changed_is_refused_and_told_apart(place, tmp_path):
    run = load_run(place / "saves" / "scan_multi__Flute")
    data = read_data_set(place / "data" / "set.npz")
    other = set_of_recordings(tmp_path / "violin", (60, 62, 64), ("Violin",))
    with pytest.raises(ValueError, match="it has no Flute"):
        open_context(run, other.path)
    fewer = set_of_recordings(tmp_path / "fewer", (60, 62, 64, 65))
    with pytest.raises(ValueError, match=r"notes of Flute differ \(12, in training 36\)"):
        open_context(run, fewer.path)
    louder = tmp_path / "louder.npz"
    write_data_set(
        louder, [2 * data.magnitudes], data.starts, data.notes, data.config, {"kind": "auto"}
    )
    with pytest.raises(ValueError, match="content differs"):
        open_context(run, louder)


# --- examples -------------------------------------------------------------------------------------


def test_examples_are_whole_notes_without_clicks(context):
    examples = make_examples(context, AnalysisConfig(generate_audio=2, n_samples=3))
    assert len(examples) == 2
    for example, (note,) in zip(examples, choose_notes(context, "test", 2, 0)):
        n_frames = context.data.lengths[note]
        assert list(example.sounds) == ["orig", "reco", "tf_0", "tf_1", "tf_2"]
        assert example.captions.keys() == example.sounds.keys()
        assert example.captions["orig"] == "original"
        for sound in example.sounds.values():
            assert abs(len(sound) - n_frames * HOP) <= HOP and sound[0] == sound[-1] == 0
            assert 0.003 < np.abs(sound).max() <= 10 ** (-1 / 20) + 1e-6
            assert np.isfinite(sound).all()
            assert np.abs(np.diff(sound[:60])).max() < 0.05
            assert np.abs(np.diff(sound[-60:])).max() < 0.05
        assert example.title.startswith("Flute ") and example.transcription.startswith("Flute ")


def test_transfers_differ_and_come_back_the_same(context):
    (notes,) = choose_notes(context, "test", 1, 0)
    first, again = (
        make_example(context, notes, AnalysisConfig(n_samples=2), 0).sounds for _ in range(2)
    )
    assert np.array_equal(first["tf_0"], again["tf_0"])
    assert not np.array_equal(first["tf_0"], first["tf_1"])


def test_the_original_is_made_from_spectra_if_its_source_is_gone(place, context, tmp_path):
    moved = tmp_path / "set.npz"
    shutil.copy(place / "data" / "set.npz", moved)
    config = AnalysisConfig(generate_audio=1, n_samples=0)
    (example,) = make_examples(open_context(context.run, moved), config)
    assert "made from its spectra" in example.captions["orig"]
    assert example.sounds.keys() == {"orig", "reco"}
    assert np.abs(example.sounds["orig"]).max() > 0.01
    with_folder = open_context(context.run, moved, [place / "data"])
    assert make_examples(with_folder, config)[0].captions["orig"] == "original"


def test_duets_sound_together(duet):
    (example,) = make_examples(duet, AnalysisConfig(generate_audio=1, n_samples=1))
    assert " + Violin " in example.title and " + Violin " in example.transcription
    assert example.captions["orig"] == "original" and len(example.sounds["orig"]) >= RATE * 0.28


def test_more_examples_than_notes_are_as_many_as_there_are(context):
    assert len(choose_notes(context, "test", 100, 0)) == len(context.split.notes["test"])
    assert choose_notes(context, "test", 0, 0) == []


def test_config_json_has_what_the_context_needs(place):
    settings = json.loads((place / "saves" / "scan_multi__Flute" / "config.json").read_text())
    assert (
        settings["data"]["path"] == str(place / "data" / "set.npz")
        and settings["data"]["fingerprint"]
    )


@pytest.mark.fault("full or closed disk")
def test_a_model_folder_that_may_not_be_written_is_refused_before_the_work(
    context, tmp_path, monkeypatch
):
    model = context.run.folder.path
    monkeypatch.setattr("lt.files.os.access", lambda path, mode: path != model)
    with pytest.raises(PermissionError, match="classifier cannot be stored"):
        analyse_run(context.run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
