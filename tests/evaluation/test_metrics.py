"""Metrics against literal transcriptions of their formulas, scikit-learn and mir_eval; and what
must hold of any.
"""

import math
from dataclasses import replace
from itertools import permutations

import mir_eval
import numpy as np
import pretty_midi
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from torch.distributions import Normal

from lt.evaluation import metrics
from lt.midi import Note, Track, read_midi, write_midi
from lt.models.networks import CategoricalSymbols

RANDOM = np.random.default_rng(0)


def spectra(n_frames=20, n_bins=30, seed=0):
    random = np.random.default_rng(seed)
    return tuple(10 ** random.uniform(-4, 0, (n_frames, n_bins)) for _ in range(2))


# --- spectra --------------------------------------------------------------------------------------


def literal_floor(truth, other):
    floor = max(truth) * 10 ** (-metrics.FLOOR_DB / 20)
    return [max(value, floor) for value in truth], [max(value, floor) for value in other]


def test_itakura_saito_is_its_formula():
    reference, estimated = spectra()
    for truth, other, found in zip(
        reference, estimated, metrics.itakura_saito(reference, estimated)
    ):
        truth, other = literal_floor(truth, other)
        terms = [(p * p) / (q * q) - math.log((p * p) / (q * q)) - 1 for p, q in zip(truth, other)]
        assert found == pytest.approx(sum(terms) / len(terms))


def test_log_spectral_distance_is_its_formula():
    reference, estimated = spectra()
    for truth, other, found in zip(
        reference, estimated, metrics.log_spectral_distance_db(reference, estimated)
    ):
        truth, other = literal_floor(truth, other)
        squares = [(20 * math.log10(m / n)) ** 2 for m, n in zip(truth, other)]
        assert found == pytest.approx(math.sqrt(sum(squares) / len(squares)))


def test_spectral_distances_are_zero_for_equals_and_positive_else():
    reference, estimated = spectra(seed=1)
    for distance in (metrics.itakura_saito, metrics.log_spectral_distance_db):
        assert distance(reference, reference) == pytest.approx(0)
        assert (distance(reference, estimated) > 0).all()
        assert distance(7 * reference, 7 * estimated) == pytest.approx(
            distance(reference, estimated)
        )  # units


def test_itakura_saito_minds_missing_power_more_than_surplus():
    reference = np.ones((1, 8))
    assert metrics.itakura_saito(reference, reference / 3) > metrics.itakura_saito(
        reference, reference * 3
    )


def test_a_constant_gain_is_so_many_decibels():
    reference = 10 ** RANDOM.uniform(-1, 0, (5, 12))
    assert metrics.log_spectral_distance_db(reference, 2 * reference) == pytest.approx(
        20 * math.log10(2)
    )


def test_silent_frames_have_finite_distances():
    silent, loud = np.zeros((1, 9)), np.ones((1, 9))
    assert (
        metrics.itakura_saito(silent, silent)
        == metrics.log_spectral_distance_db(silent, silent)
        == 0
    )
    assert np.isfinite(
        [metrics.itakura_saito(silent, loud), metrics.itakura_saito(loud, silent)]
    ).all()


def test_log_likelihoods_are_sums_of_log_densities():
    mean, scale, x = torch.randn(4, 7), torch.rand(4, 7) + 0.1, torch.randn(4, 7)
    found = metrics.log_likelihood(Normal(mean, scale), x)
    for row in range(4):
        literal = sum(
            -0.5 * ((x[row, k] - mean[row, k]) / scale[row, k]) ** 2
            - math.log(scale[row, k])
            - 0.5 * math.log(2 * math.pi)
            for k in range(7)
        )
        assert float(found[row]) == pytest.approx(float(literal), rel=1e-5)
    logits = (torch.randn(4, 3), torch.randn(4, 5))
    classes = torch.tensor([[0, 4], [1, 1], [2, 0], [2, 2]])
    found = metrics.log_likelihood(CategoricalSymbols(logits), classes)
    for row in range(4):
        literal = sum(
            math.log(math.exp(group[row, k]) / sum(math.exp(value) for value in group[row]))
            for group, k in zip(logits, classes[row])
        )
        assert float(found[row]) == pytest.approx(literal, rel=1e-5)


def test_active_units_are_those_that_vary():
    means = np.zeros((1000, 4))
    means[:, 1], means[:, 3] = RANDOM.normal(0, 1, 1000), RANDOM.normal(5, 0.05, 1000)
    assert metrics.active_units(means) == 1


# --- symbols --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_confusion_and_balanced_accuracy_are_those_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    truth, estimated = random.choice([0, 1, 3, 6], 200), random.integers(0, 7, 200)
    estimated = np.where(np.isin(estimated, truth), estimated, 0)
    counts = metrics.confusion(truth, estimated, 7)
    assert (counts == confusion_matrix(truth, estimated, labels=range(7))).all()
    assert metrics.balanced_accuracy(counts) == pytest.approx(
        balanced_accuracy_score(truth, estimated)
    )
    assert metrics.accuracy(truth, estimated) == pytest.approx(counts.trace() / counts.sum())


def test_mean_class_error_is_the_mean_absolute_difference():
    truth, estimated = RANDOM.integers(0, 5, 300), RANDOM.integers(0, 5, 300)
    error = metrics.mean_class_error(metrics.confusion(truth, estimated, 5))
    assert error == pytest.approx(np.abs(truth - estimated).mean())
    assert metrics.mean_class_error(metrics.confusion(truth, truth, 5)) == 0
    assert np.isnan(metrics.mean_class_error(np.zeros((5, 5), int)))


def test_perfect_is_one_shuffled_is_chance_constant_is_the_majority():
    truth = RANDOM.choice(5, 20_000, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    shuffled, constant = RANDOM.permutation(truth), np.zeros_like(truth)
    shares = np.bincount(truth) / len(truth)
    assert (
        metrics.accuracy(truth, truth)
        == metrics.balanced_accuracy(metrics.confusion(truth, truth, 5))
        == 1
    )
    assert metrics.accuracy(truth, shuffled) == pytest.approx((shares**2).sum(), abs=0.015)
    assert metrics.balanced_accuracy(metrics.confusion(truth, shuffled, 5)) == pytest.approx(
        1 / 5, abs=0.015
    )
    assert metrics.accuracy(truth, constant) == shares[0]
    assert metrics.balanced_accuracy(metrics.confusion(truth, constant, 5)) == pytest.approx(1 / 5)


def test_permutation_invariant_accuracy_is_its_formula():
    truth, estimated = RANDOM.integers(0, 3, (60, 3, 2)), RANDOM.integers(0, 3, (60, 3, 2))
    shares = []
    for frame in range(60):
        best = 0
        for order in permutations(range(3)):
            best = max(
                best, sum((truth[frame, i] == estimated[frame, order[i]]).all() for i in range(3))
            )
        shares.append(best / 3)
    assert metrics.permutation_invariant_accuracy(truth, estimated) == pytest.approx(
        np.mean(shares)
    )


def test_permutation_invariant_accuracy_forgives_the_order_alone():
    truth = RANDOM.integers(0, 12, (40, 2, 1))
    assert metrics.permutation_invariant_accuracy(truth, truth[:, ::-1]) == 1
    other = RANDOM.integers(0, 12, (40, 2, 1))
    assert metrics.permutation_invariant_accuracy(truth, other) >= metrics.accuracy(truth, other)
    alone = truth[:, :1]
    assert metrics.permutation_invariant_accuracy(alone, other[:, :1]) == metrics.accuracy(
        alone, other[:, :1]
    )


# --- transcriptions -------------------------------------------------------------------------------


def tune(seed, n_notes=25, jitter=0.0):
    """Notes one after another, some of them moved, misread or missing."""
    random, other, time, notes = np.random.default_rng(seed), np.random.default_rng(99), 0.2, []
    for _ in range(n_notes):
        length, number = random.uniform(0.1, 0.6), int(random.integers(60, 80))
        if not jitter or other.random() > 0.1:
            moved = [edge + jitter * other.normal() for edge in (time, time + length)]
            slip = int(other.choice([0, 0, 0, 12, 1])) if jitter else 0
            notes.append(
                Note(max(moved[0], 0.0), max(moved[1], moved[0] + 0.02), number + slip, 80)
            )
        time += length + random.choice([0.0, 0.15])
    return notes


def written_and_read(notes, path):
    """As a file holds them: for this project, and for pretty_midi."""
    write_midi(path, [Track("", 73, tuple(notes))])
    read = [
        note
        for instrument in pretty_midi.PrettyMIDI(str(path)).instruments
        for note in instrument.notes
    ]
    return [note for track in read_midi(path) for note in track.notes], read


@pytest.mark.parametrize("seed", range(4))
def test_note_and_frame_figures_are_those_of_a_literal_count(seed, tmp_path):
    reference, reference_pm = written_and_read(tune(seed), tmp_path / "a.mid")
    estimated, estimated_pm = written_and_read(tune(seed, jitter=0.03), tmp_path / "b.mid")
    arrays = []
    for notes in (reference_pm, estimated_pm):
        arrays += [
            np.array([[note.start, max(note.end, note.start + 1e-3)] for note in notes]),
            mir_eval.util.midi_to_hz(np.array([note.pitch for note in notes])),
        ]
    found = metrics.note_scores(reference, estimated)
    literal = mir_eval.transcription.precision_recall_f1_overlap(*arrays, offset_ratio=None)
    assert (found.precision, found.recall, found.f1) == pytest.approx(literal[:3])
    assert found.f1_with_offsets == pytest.approx(
        mir_eval.transcription.precision_recall_f1_overlap(*arrays)[2]
    )
    assert 0 < found.f1_with_offsets <= found.f1 < 1
    n_ticks = int(max(arrays[0].max(), arrays[2].max()) * 100) + 2
    rolls = [np.full(n_ticks, -1), np.full(n_ticks, -1)]
    for roll, notes in zip(rolls, (reference_pm, estimated_pm)):
        for note in notes:
            roll[
                int(round(note.start * 100)) : int(round(max(note.end, note.start + 1e-3) * 100))
            ] = note.pitch
    truth, heard = rolls
    counts = metrics.frame_counts(reference, estimated)
    assert counts.sounding == (truth >= 0).sum() and counts.silent == (truth < 0).sum()
    assert counts.right_note == ((truth >= 0) & (truth == heard)).sum()
    assert (
        counts.right_pitch_class == ((truth >= 0) & (heard >= 0) & (truth % 12 == heard % 12)).sum()
    )
    assert counts.false_alarms == ((truth < 0) & (heard >= 0)).sum()


def test_figures_are_pooled_as_the_contract_says():
    one, two = tune(0), tune(1, n_notes=5)
    scores = [metrics.note_scores(one, one), metrics.note_scores(two, [])]
    counts = [metrics.frame_counts(one, one), metrics.frame_counts(two, [])]
    figures = metrics.pooled_note_figures(scores, counts)
    assert (
        figures["f1"] == figures["precision"] == figures["f1_with_offsets"] == 0.5
    )  # a mean over files
    assert figures["frame_note"] == counts[0].sounding / (
        counts[0].sounding + counts[1].sounding
    )  # pooled
    assert figures["frame_false_alarm"] == 0


def test_velocity_errors_are_pooled_over_the_matched_notes_of_all_files():
    notes = tune(0, n_notes=4)
    truth = [replace(note, velocity=v) for note, v in zip(notes, (20, 60, 60, 100))]
    louder = [replace(note, velocity=note.velocity + 10) for note in truth]
    matched = [metrics.matched_velocities(truth, played) for played in (louder, truth[:2], [])]
    assert [len(own) for own in matched] == [4, 2, 0]
    figures = metrics.velocity_figures(matched)
    assert figures["velocity_error"] == pytest.approx(40 / 6)
    assert figures["velocity_constant"] == pytest.approx((40 + 0 + 0 + 40 + 40 + 0) / 6)
    assert metrics.velocity_figures(matched[2:]) == {}


def test_a_perfect_transcription_scores_one_and_nothing_scores_zero():
    notes = tune(3)
    perfect = metrics.pooled_note_figures(
        [metrics.note_scores(notes, notes)], [metrics.frame_counts(notes, notes)]
    )
    assert set(perfect.values()) == {1.0, 0.0} and perfect["frame_false_alarm"] == 0
    empty = metrics.pooled_note_figures(
        [metrics.note_scores([], [])], [metrics.frame_counts([], [])]
    )
    assert set(empty.values()) == {0.0}


def test_notes_matched_in_portions_are_those_that_mir_eval_matches_at_once():
    from mir_eval.transcription import precision_recall_f1_overlap

    random = np.random.default_rng(0)
    truth = [
        Note(onset, onset + 0.3, 60 + index % 7, 64)
        for index, onset in enumerate(np.arange(900) * 0.35)
    ]
    heard = [
        Note(note.onset + shift, note.offset + 2 * shift, note.note_number, 64)
        for note, shift in zip(truth, random.normal(0, 0.04, 900))
        if note.onset + shift > 0 and shift < 0.09
    ]
    both = [
        (
            np.array([(note.onset, note.offset) for note in notes]),
            440.0 * 2 ** ((np.array([note.note_number for note in notes]) - 69) / 12),
        )
        for notes in (truth, heard)
    ]
    scores = metrics.note_scores(truth, heard)
    expected = precision_recall_f1_overlap(*both[0], *both[1], offset_ratio=None)[:3]
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx(expected)
    assert scores.f1_with_offsets == pytest.approx(
        precision_recall_f1_overlap(*both[0], *both[1])[2]
    )
