"""Baselines: principal components as scikit-learn's, training, the classifier's file, pYIN."""

import numpy as np
import pytest
import torch
from analysis_helpers import HOP, RATE, harmonic
from sklearn.decomposition import PCA

from lt.config import SpectralConfig
from lt.evaluation.baselines import pyin_notes
from lt.labels import SILENCE, LabelSpace
from lt.models.baselines import (
    ConvClassifier,
    ConvSynth,
    Majority,
    PcaClassifier,
    TrainingData,
    fit,
    read_classifier,
    validation_loss,
    write_classifier,
)

SPACE = LabelSpace(("octave", "pitch"), ("Flute",))


def examples(n=600, n_features=20, seed=0):
    """Features in which each class has a direction of its own, and the classes (n, 2)."""
    random = torch.Generator().manual_seed(seed)
    classes = torch.stack(
        [torch.randint(size, (n,), generator=random) for size in SPACE.group_sizes], dim=1
    )
    axes = torch.randn(
        sum(SPACE.group_sizes), n_features, generator=torch.Generator().manual_seed(7)
    )
    signal = axes[classes[:, 0]] + axes[SPACE.group_sizes[0] + classes[:, 1]]
    return 3 * signal + 0.3 * torch.randn(n, n_features, generator=random), classes


def predicted(symbols):
    return torch.stack([group.argmax(dim=-1) for group in symbols.probabilities()], dim=1)


def trained(epochs=15, seed=0):
    features, classes = examples()
    torch.manual_seed(0)
    classifier = PcaClassifier(20, 12, SPACE.group_sizes)
    classifier.fit_components(features)
    valid, valid_classes = examples(200, seed=1)
    data = TrainingData(
        [(classifier.project(features), classes)], (classifier.project(valid), valid_classes)
    )
    fit(classifier.network, data, epochs, 64, seed)
    return classifier.eval()


# --- learning -------------------------------------------------------------------------------------


def test_components_are_those_of_scikit_learn():
    features, _ = examples()
    classifier = PcaClassifier(20, 6, SPACE.group_sizes)
    classifier.fit_components(features)
    expected = PCA(6, whiten=True).fit_transform(features.numpy())
    found = classifier.project(features).numpy()
    signs = np.sign((expected * found).sum(axis=0))
    assert found == pytest.approx(expected * signs, abs=0.02)
    assert found.std(axis=0) == pytest.approx(1, abs=0.01)


def test_the_classifier_learns_what_can_be_learnt():
    features, classes = examples(300, seed=2)
    assert (predicted(trained()(features)) == classes).float().mean() > 0.9


def test_learning_is_the_same_each_time_and_minds_its_seed():
    one, same, other = trained(3), trained(3), trained(3, seed=1)
    features, _ = examples(5)
    assert torch.equal(one(features).logits[0], same(features).logits[0])
    assert not torch.equal(one(features).logits[0], other(features).logits[0])


def test_the_best_epoch_is_kept():
    features, classes = examples(100)
    classifier = PcaClassifier(20, 12, SPACE.group_sizes)
    classifier.fit_components(features)
    valid, valid_classes = examples(100, seed=1)
    pair = (
        classifier.project(valid),
        valid_classes[torch.randperm(100, generator=torch.Generator().manual_seed(0))],
    )
    data = TrainingData([(classifier.project(features), classes)], pair)
    first = validation_loss(classifier.network, data)
    done = []
    fit(classifier.network, data, 60, 32, 0, lambda: done.append(1))
    # trained longer, the loss would grow without bound
    assert validation_loss(classifier.network, data) < first + 0.5
    assert 12 <= len(done) < 60


@pytest.mark.parametrize("n_features", [410, 411])
def test_convolutional_baselines_fit_any_number_of_features(n_features):
    classes = torch.tensor([[3, 4], [9, 12]])
    symbols = ConvClassifier(n_features, SPACE.group_sizes)(torch.randn(2, n_features))
    assert tuple(logits.shape[1] for logits in symbols.logits) == SPACE.group_sizes
    spectrum = ConvSynth(n_features, SPACE.group_sizes)(classes)
    assert spectrum.mean.shape == spectrum.stddev.shape == (2, n_features)


def test_convolutional_baselines_learn():
    features, classes = examples(300, 40)
    for network, pair in (
        (ConvClassifier(40, SPACE.group_sizes), (features, classes)),
        (ConvSynth(40, SPACE.group_sizes), (classes, features)),
    ):
        data = TrainingData([pair], pair)
        before = validation_loss(network, data)
        fit(network, data, 15, 64, 0)
        assert validation_loss(network, data) < 0.7 * before


def test_majority_predicts_the_commonest_class_whatever_it_is_given():
    classes = torch.tensor([[4, 9]] * 6 + [[5, 2]] * 3)
    symbols = Majority(classes, SPACE.group_sizes)(torch.randn(4, 11))
    assert predicted(symbols).tolist() == [[4, 9]] * 4
    assert float(symbols.probabilities()[0][0, 4]) == pytest.approx((6 + 1) / (9 + SPACE.sizes[0]))


# --- the file -------------------------------------------------------------------------------------


def test_a_classifier_is_read_as_it_was_written(tmp_path):
    classifier, path = trained(1), tmp_path / "test_classifier.t7"
    write_classifier(path, classifier, SPACE, "abc")
    features, _ = examples(9)
    for one, other in zip(
        classifier(features).logits, read_classifier(path, SPACE, "abc")(features).logits
    ):
        assert torch.equal(one, other)
    assert torch.load(path, weights_only=True)["run_id"] == "abc"
    first = path.read_bytes()
    write_classifier(path, classifier, SPACE, "abc")
    assert path.read_bytes() == first


def test_a_classifier_of_another_model_is_refused(tmp_path):
    path = tmp_path / "test_classifier.t7"
    with pytest.raises(FileNotFoundError, match="lt_analyze"):
        read_classifier(path, SPACE, "abc")
    write_classifier(path, PcaClassifier(20, 4, SPACE.group_sizes), SPACE, "abc")
    with pytest.raises(ValueError, match="another model"):
        read_classifier(path, SPACE, "def")
    with pytest.raises(ValueError, match="another model"):
        read_classifier(path, LabelSpace(("octave", "pitch"), ("Piano",)), "abc")
    for damaged in (path.read_bytes()[:300], b"", b"not an archive"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            read_classifier(path, SPACE, "abc")


# --- sound ----------------------------------------------------------------------------------------


def test_pyin_hears_notes_in_the_frames_where_they_sound():
    audio = np.concatenate([harmonic(69, 0.5), harmonic(76, 0.5)])
    heard = pyin_notes(audio, -(-len(audio) // HOP), SpectralConfig(), (60, 80), voiced_only=True)
    assert (heard[2:13] == 69).all() and (heard[18:29] == 76).all()
    assert (
        pyin_notes(np.zeros(RATE, np.float32), 31, SpectralConfig(), (60, 80), voiced_only=True)
        == SILENCE
    ).all()
    low = pyin_notes(harmonic(24, 0.6), 18, SpectralConfig(), (21, 40), voiced_only=False)
    assert (low[4:14] == 24).all()
