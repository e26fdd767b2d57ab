"""The analysis: scores of known guesses, a model against a literal evaluation, its data found
again, its examples.
"""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from analysis_helpers import HOP, RATE, set_of_recordings, train

from lt.data.dataset import read_data_set, write_data_set
from lt.evaluation import metrics
from lt.evaluation.baselines import draw_frames, find_majority, pyin_scores, train_classifier
from lt.evaluation.context import open_subject
from lt.evaluation.examples import choose_notes, make_example, make_examples
from lt.evaluation.scoring import (
    SymbolGuess,
    averaged,
    evaluate,
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
def subject(place):
    return open_subject(load_run(place / "saves" / "scan_multi__Flute"))


@pytest.fixture(scope="module")
def duet(tmp_path_factory):
    """A model of mixtures of two instruments."""
    folder = tmp_path_factory.mktemp("duet")
    set_of_recordings(folder / "data", range(60, 72, 2), ("Flute", "Violin"))
    flags = "--instruments Flute Violin --random_mode bernoulli --epochs 2".split()
    return open_subject(load_run(train(folder / "data" / "set.npz", folder / "saves", *flags)))


def truth_of(space, n_frames=4000, seed=0):
    random = np.random.default_rng(seed)
    return np.stack(
        [random.integers(0, size, (n_frames, len(space.instruments))) for size in space.sizes],
        axis=2,
    )


# --- scores of known guesses ----------------------------------------------------------------------


def test_perfect_guesses_score_one():
    truth = truth_of(SPACE)
    scores = symbol_scores(SPACE, truth, SymbolGuess(truth, np.zeros(truth.shape)))
    for label in SPACE.labels:
        assert scores[label]["accuracy"] == scores[label]["balanced_accuracy"] == 1
        assert (
            np.array(scores[label]["confusion"]).trace() == len(truth)
            and scores[label]["log_likelihood"] == 0
        )
    assert scores["note"] == {"accuracy": 1, "accuracy_sounding": 1, "octave_errors": 0}


def test_shuffled_guesses_score_chance_and_constant_ones_the_majority():
    truth = truth_of(SPACE, 20_000)
    shuffled = np.random.default_rng(1).permutation(truth)
    scores = symbol_scores(SPACE, truth, SymbolGuess(shuffled, None))
    for label, size in zip(SPACE.labels, SPACE.sizes):
        assert (
            scores[label]["accuracy"] == pytest.approx(1 / size, abs=0.01)
            and "log_likelihood" not in scores[label]
        )
    assert scores["note"]["accuracy"] == pytest.approx(
        1 / (SPACE.sizes[0] * SPACE.sizes[1]), abs=0.01
    )
    constant = symbol_scores(SPACE, truth, SymbolGuess(np.full_like(truth, 3), None))
    assert constant["pitch"]["accuracy"] == (truth[:, :, 1] == 3).mean()


def test_octave_slips_are_counted_apart():
    truth = np.tile([[[4, 9, 2]]], (10, 1, 1))
    heard = truth.copy()
    heard[:3, :, 0] = 5
    heard[3, :, 1] = 8
    scores = symbol_scores(SPACE, truth, SymbolGuess(heard, None))
    assert scores["note"] == {"accuracy": 0.6, "accuracy_sounding": 0.6, "octave_errors": 0.3}


def test_mixtures_know_any_order():
    truth = truth_of(PAIR)
    scores = symbol_scores(PAIR, truth, SymbolGuess(truth[:, ::-1], None))
    assert (
        scores["note"]["accuracy"] < 0.1 and scores["note"]["accuracy_permutation_invariant"] == 1
    )
    assert scores["pitch"]["accuracy_permutation_invariant"] == 1


def test_note_confusion_names_what_occurs():
    truth = np.array([[[4, 9, 2]], [[4, 9, 2]], [[9, 12, 5]]])
    heard = np.array([[[4, 9, 2]], [[5, 9, 2]], [[9, 12, 5]]])
    counts, names = note_confusion(SPACE, truth, heard)
    assert names == ["silence", "A4", "A5"] and counts.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]


def test_passes_are_averaged_with_their_standard_deviation():
    passes = [
        {"a": {"x": 1.0, "n": 3, "confusion": [[1, 0], [2, 1]]}},
        {"a": {"x": 3.0, "n": 3, "confusion": [[1, 1], [0, 2]]}},
    ]
    assert averaged(passes) == {
        "a": {"x": 2.0, "x_sd": pytest.approx(2**0.5), "n": 3, "confusion": [[2, 1], [2, 3]]}
    }
    assert averaged(passes[:1]) == passes[0]


# --- a model --------------------------------------------------------------------------------------


def with_settings(subject, **settings):
    config = replace(subject.run.config, **settings)
    return replace(
        subject, run=replace(subject.run, settings=replace(subject.run.settings, config=config))
    )


def test_runs_are_judged_with_rests_and_silence_alike_whatever_they_learn_from(duet):
    def weights(**settings):
        mixer = with_settings(duet, **settings).mixer("train")
        return mixer.batch(mixer.order(0, 0), 0, 0, 0).weights

    usual = weights(rest_share=0.5, silence_share=0.0)
    assert 0.3 < float(usual.mean()) < 0.7
    assert torch.equal(weights(rest_share=0.1, silence_share=0.9), usual)


def test_baselines_learn_from_as_many_rests_as_the_run_and_the_majority_knows_those_judged(duet):
    seldom = with_settings(duet, rest_share=0.0, silence_share=0.0)
    resting = [
        (draw_frames(each, "train", 0, 0)[1][:, 0] == 9).float().mean() for each in (seldom, duet)
    ]
    assert resting[0] < 0.3 < 0.45 < resting[1]
    often = with_settings(duet, rest_share=0.9, silence_share=0.0)
    features = torch.zeros(1, duet.run.scaler.n_features)
    for one, other in zip(
        find_majority(seldom, 0)(features).logits, find_majority(often, 0)(features).logits
    ):
        torch.testing.assert_close(one, other)


def test_the_figures_are_those_of_a_literal_evaluation(subject):
    results, judged = evaluate(subject, "test", 1, 0, {})
    run, frames = subject.run, subject.split.frames["test"][0]
    magnitudes = torch.from_numpy(np.array(subject.data.magnitudes[frames]))
    note = subject.data.note_of_frame[frames]
    truth = np.where(
        subject.data.sounding[frames][:, None], subject.data.notes.labels[note], [9, 12, 5]
    )
    with torch.no_grad():
        features = run.scaler.apply(magnitudes)
        posterior = run.model.encode_signal(features).top.mean
        read = [
            group.argmax(dim=-1).numpy()
            for group in run.model.symbol.decode(posterior).probabilities()
        ]
        made = run.scaler.invert(run.model.symbol_to_signal(torch.from_numpy(truth[:, None])).mean)
    scores = results["overall"]["symbol"]["transfer"]
    for index, label in enumerate(run.space.labels):
        assert scores[label]["accuracy"] == pytest.approx((read[index] == truth[:, index]).mean())
    both = (read[0] == truth[:, 0]) & (read[1] == truth[:, 1])
    assert scores["note"]["accuracy"] == pytest.approx(both.mean())
    distances = metrics.log_spectral_distance_db(magnitudes.numpy(), made.numpy())
    signal = results["overall"]["signal"]["transfer"]
    assert signal["log_spectral_distance_db"] == pytest.approx(distances.mean(), rel=1e-4)
    assert results["instruments"]["Flute"] == results["overall"] and len(judged.classes) == len(
        frames
    )


def test_log_likelihoods_average_what_the_decoder_says_of_samples(subject):
    results, _ = evaluate(subject, "test", 30, 0, {})
    run, frames = subject.run, subject.split.frames["test"][0]
    features = run.scaler.apply(torch.from_numpy(np.array(subject.data.magnitudes[frames])))
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
    found = results["overall"]["signal"]["reconstruction"]
    assert found["log_likelihood"] == pytest.approx(
        np.mean(sums), abs=4 * np.std(sums) / 30**0.5 + 1e-3
    )
    assert found["log_likelihood_sd"] == pytest.approx(np.std(sums), rel=0.6)
    assert found["isd_sd"] == pytest.approx(
        0, abs=1e-6
    )  # means of means: one instrument's mixtures do not change


def test_evaluation_is_the_same_each_time_and_minds_its_seed(subject):
    first, again, other = (evaluate(subject, "test", 1, seed, {})[0] for seed in (0, 0, 1))
    assert first == again != other
    assert (
        first["overall"]["symbol"]["transfer"]["note"]
        == other["overall"]["symbol"]["transfer"]["note"]
    )


def test_the_parts_do_not_share_notes(subject):
    sizes = [
        evaluate(subject, part, 1, 0, {})[1].classes.shape[0] for part in ("train", "valid", "test")
    ]
    assert sizes == [len(subject.split.frames[part][0]) for part in ("train", "valid", "test")]


def test_mixtures_are_judged_by_instrument_too(duet):
    results, judged = evaluate(duet, "test", 3, 0, {"majority": find_majority(duet, 0)})
    assert (
        set(results["instruments"]) == {"Flute", "Violin"}
        and "signal" not in results["instruments"]["Flute"]
    )
    scores = [
        results["instruments"][name]["symbol"]["transfer"]["pitch"] for name in ("Flute", "Violin")
    ]
    overall = results["overall"]["symbol"]["transfer"]["pitch"]
    assert np.mean([score["accuracy"] for score in scores]) == pytest.approx(overall["accuracy"])
    assert sum(score["log_likelihood"] for score in scores) == pytest.approx(
        overall["log_likelihood"], rel=1e-5
    )
    assert (
        overall["accuracy_permutation_invariant"] >= overall["accuracy"]
        and overall["log_likelihood_sd"] > 0
    )
    assert "accuracy_permutation_invariant" not in scores[0]
    assert pyin_scores(duet, "test") is None


def test_spectral_scores_name_their_columns():
    assert spectral_scores(np.array([[1.0, 2, 3], [3, 4, 5]])) == {
        "log_likelihood": 2,
        "isd": 3,
        "log_spectral_distance_db": 4,
    }


# --- baselines on a run's data --------------------------------------------------------------------


def test_the_classifier_learns_from_the_training_part(subject):
    results, _ = evaluate(
        subject, "train", 1, 0, {"classifier": train_classifier(subject, 40, 32, 0)}
    )
    assert results["baselines"]["classifier"]["symbol"]["transfer"]["note"]["accuracy"] > 0.9


def test_the_majority_scores_its_own_share(subject):
    _, classes = draw_frames(subject, "train", 0, 0)
    results, judged = evaluate(subject, "test", 1, 0, {"majority": find_majority(subject, 0)})
    scores = results["baselines"]["majority"]["symbol"]["transfer"]
    for index, label in enumerate(subject.run.space.labels):
        commonest = int(classes[:, index].bincount().argmax())
        assert scores[label]["accuracy"] == pytest.approx(
            (judged.classes[:, 0, index] == commonest).mean()
        )


def test_pyin_hears_the_test_parts_notes(subject):
    scores = pyin_scores(subject, "test")
    assert scores["frames"] == len(subject.split.frames["test"][0])
    transfer = scores["symbol"]["transfer"]
    assert transfer["note"]["accuracy_sounding"] > 0.6 and transfer["note"]["octave_errors"] < 0.1
    assert "dynamics" not in transfer


# --- the data, found again ------------------------------------------------------------------------


def test_a_data_set_that_is_gone_is_asked_for(place, tmp_path):
    run = load_run(place / "saves" / "scan_multi__Flute")
    moved = tmp_path / "elsewhere.npz"
    with pytest.raises(FileNotFoundError, match="--dbroot"):
        open_subject(run, moved)
    shutil.copy(place / "data" / "set.npz", moved)
    assert len(open_subject(run, moved).data.lengths) == 36


def test_a_data_set_that_changed_is_refused_and_told_apart(place, tmp_path):
    run = load_run(place / "saves" / "scan_multi__Flute")
    data = read_data_set(place / "data" / "set.npz")
    other = set_of_recordings(tmp_path / "violin", (60, 62, 64), ("Violin",))
    with pytest.raises(ValueError, match="it has no Flute"):
        open_subject(run, other.path)
    fewer = set_of_recordings(tmp_path / "fewer", (60, 62, 64, 65))
    with pytest.raises(ValueError, match=r"notes of Flute differ \(12, in training 36\)"):
        open_subject(run, fewer.path)
    louder = tmp_path / "louder.npz"
    write_data_set(
        louder, [2 * data.magnitudes], data.starts, data.notes, data.config, {"kind": "auto"}
    )
    with pytest.raises(ValueError, match="content differs"):
        open_subject(run, louder)


# --- examples -------------------------------------------------------------------------------------


def test_examples_are_whole_notes_without_clicks(subject):
    examples = make_examples(subject, "test", 2, 3, 0)
    assert len(examples) == 2
    for example, (note,) in zip(examples, choose_notes(subject, "test", 2, 0)):
        n_frames = subject.data.lengths[note]
        assert example.from_source and len(example.transfers) == 3
        for sound in (example.original, example.reconstruction, *example.transfers):
            assert abs(len(sound) - n_frames * HOP) <= HOP and sound[0] == sound[-1] == 0
            assert (
                0.003 < np.abs(sound).max() <= 10 ** (-1 / 20) + 1e-6 and np.isfinite(sound).all()
            )
            assert (
                np.abs(np.diff(sound[:60])).max() < 0.05
                and np.abs(np.diff(sound[-60:])).max() < 0.05
            )
        assert example.title.startswith("Flute ") and example.read.startswith("Flute ")


def test_transfers_differ_and_come_back_the_same(subject):
    (notes,) = choose_notes(subject, "test", 1, 0)
    one, same = (make_example(subject, notes, 2, 0, 0) for _ in range(2))
    assert np.array_equal(one.transfers[0], same.transfers[0])
    assert not np.array_equal(one.transfers[0], one.transfers[1])


def test_the_original_is_made_from_spectra_where_its_source_is_gone(place, subject, tmp_path):
    moved = tmp_path / "set.npz"
    shutil.copy(place / "data" / "set.npz", moved)
    alone = open_subject(subject.run, moved)
    (example,) = make_examples(alone, "test", 1, 0, 0)
    assert (
        not example.from_source
        and example.transfers == ()
        and np.abs(example.original).max() > 0.01
    )
    with_folder = open_subject(subject.run, moved, [place / "data"])
    assert make_examples(with_folder, "test", 1, 0, 0)[0].from_source


def test_duets_sound_together(duet):
    (example,) = make_examples(duet, "test", 1, 1, 0)
    assert " + Violin " in example.title and example.from_source and " + Violin " in example.read
    assert len(example.original) >= RATE * 0.28


def test_more_examples_than_notes_are_as_many_as_there_are(subject):
    assert len(choose_notes(subject, "test", 100, 0)) == len(subject.split.notes["test"])
    assert choose_notes(subject, "test", 0, 0) == []


def test_config_json_holds_what_the_subject_needs(place):
    settings = json.loads((place / "saves" / "scan_multi__Flute" / "config.json").read_text())
    assert (
        settings["data"]["path"] == str(place / "data" / "set.npz")
        and settings["data"]["fingerprint"]
    )
