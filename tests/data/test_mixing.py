"""Batches: powers add, weight 0 is silence, random numbers are named by seed, epoch and step."""

from dataclasses import replace

import pytest
import torch
from training_helpers import tiny_notes, write_tiny_set

from lt.audio.tuning import shift_bins
from lt.config import RunConfig
from lt.data import mixing
from lt.data.augment import Augmentation
from lt.data.dataset import read_data_set
from lt.data.mixing import Mixer
from lt.data.splits import split_data
from lt.labels import LabelSpace

CPU = torch.device("cpu")
CONFIG = RunConfig(frames=(), instruments=("Flute", "Violin"), silence_share=0.0)


@pytest.fixture(scope="module")
def data(tiny_set):
    return read_data_set(tiny_set)


def mixer(data, **changes):
    config = replace(CONFIG, **changes)
    space = LabelSpace(config.labels, config.instruments, bool(config.zero_extra_class))
    augmentation = Augmentation(config, data.config, 1.0) if config.augment else None
    return Mixer(data, split_data(data, config).frames["train"], space, config, CPU, augmentation)


def test_one_instrument_alone_is_its_frames_and_labels(data):
    violin = mixer(data, instruments=("Violin",))
    order = violin.order(0, 1)
    batch = violin.batch(order, 0, 1, 0)
    frames = split_data(data, replace(CONFIG, instruments=("Violin",))).frames["train"][0]
    torch.testing.assert_close(batch.mixture, torch.from_numpy(data.frames(frames))[order[:, 0]])
    labels = torch.from_numpy(data.notes.labels[data.note_of_frame[frames]])[order[:, 0]]
    sounding = torch.from_numpy(data.sounding[frames])[order[:, 0]]
    assert torch.equal(batch.classes[sounding, 0], labels[sounding])
    assert (batch.classes[~sounding, 0] == torch.tensor([9, 12, 5])).all()


def test_powers_add(data):
    both, order = mixer(data), mixer(data).order(0, 1)[:50]
    alone = [source_magnitudes(both, order, index) for index in range(2)]
    torch.testing.assert_close(
        both.batch(order, 0, 1, 0).mixture.square(), alone[0].square() + alone[1].square()
    )


def source_magnitudes(mixer, order, index):
    source = mixer.sources[index]
    return mixer._read(source.frames[order[:, index]])


def test_an_epoch_is_every_frame_once(data):
    order = mixer(data).order(3, 5)
    for column in order.T:
        assert sorted(column.tolist()) == list(range(len(order)))


def test_shorter_instruments_begin_again(tmp_path):
    notes = tiny_notes()
    notes.instrument[:6] = 1  # 24 notes of flute, 36 of violin
    unequal = mixer(read_data_set(write_tiny_set(tmp_path / "unequal.npz", notes=notes)))
    sizes = [len(source.frames) for source in unequal.sources]
    assert unequal.n_frames == max(sizes) > min(sizes)
    shorter = unequal.order(0, 1)[:, sizes.index(min(sizes))]
    assert set(shorter.tolist()) == set(range(min(sizes)))


def test_bernoulli_weights_of_0_are_the_silence_class(data):
    random = mixer(data, random_mode="bernoulli")
    order = random.order(0, 1)
    batch = random.batch(order, 0, 1, 0)
    assert set(batch.weights.unique().tolist()) == {0.0, 1.0}
    assert 0.4 < batch.weights.mean() < 0.6
    silent = batch.weights == 0
    assert (batch.classes[silent] == torch.tensor([9, 12, 5])).all()
    assert (batch.mixture[silent.all(dim=1)] == 0).all()
    alone = silent[:, 1] & ~silent[:, 0]
    torch.testing.assert_close(batch.mixture[alone], source_magnitudes(random, order, 0)[alone])


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.5, 1.0])
def test_sources_rest_at_random_as_often_as_asked(data, fraction):
    random = mixer(data, random_mode="bernoulli", rest_share=fraction)
    weights = torch.cat(
        [random.batch(random.order(0, epoch), 0, epoch, 0).weights for epoch in range(20)]
    )
    assert float((weights == 0).float().mean()) == pytest.approx(fraction, abs=0.03)
    assert float((weights == 0).all(dim=1).float().mean()) == pytest.approx(
        fraction**2, abs=0.03
    ), "independently"


def test_without_a_silence_class_a_weight_of_0_keeps_its_labels(data):
    random = mixer(data, random_mode="bernoulli", zero_extra_class=0)
    batch = random.batch(random.order(0, 1), 0, 1, 0)
    assert (batch.weights == 0).any()
    assert (batch.classes < torch.tensor([9, 12, 5])).all()


@pytest.mark.parametrize(
    "fraction, least, most", [(0.0, 0.0, 0.0), (0.3, 0.2, 0.4), (1.0, 1.0, 1.0)]
)
def test_silence_share(data, fraction, least, most):
    some = mixer(data, silence_share=fraction)
    silent = (some.batch(some.order(0, 1), 0, 1, 0).weights == 0).float().mean()
    assert least <= silent <= most


def test_labels_in_the_order_asked_for(data):
    few = mixer(data, labels=("dynamics", "octave"))
    all_ = mixer(data)
    order = few.order(0, 1)
    assert torch.equal(
        few.batch(order, 0, 1, 0).classes, all_.batch(order, 0, 1, 0).classes[:, :, [2, 0]]
    )


def test_random_numbers_are_named_by_seed_epoch_and_step(data):
    random = mixer(data, random_mode="bernoulli")
    order = random.order(0, 1)[:40]

    def weights(*key):
        return random.batch(order, *key).weights

    assert torch.equal(weights(0, 1, 2), weights(0, 1, 2))
    assert not any(
        torch.equal(weights(0, 1, 2), weights(*other))
        for other in ((1, 1, 2), (0, 2, 2), (0, 1, 3))
    )
    assert not torch.equal(random.order(0, 1), random.order(0, 2))


def test_streaming_from_disk_gives_the_same_batches(data, monkeypatch):
    resident = mixer(data, random_mode="bernoulli")
    monkeypatch.setattr(mixing, "CPU_POOL_BYTES", 0)
    streaming = mixer(data, random_mode="bernoulli")
    assert resident.resident and not streaming.resident
    order = resident.order(0, 1)
    assert torch.equal(order, streaming.order(0, 1))
    first, second = resident.batch(order, 0, 1, 0), streaming.batch(order, 0, 1, 0)
    for name in ("mixture", "augmented", "classes", "weights"):
        assert torch.equal(getattr(first, name), getattr(second, name))


def test_transposition_moves_sound_target_and_labels_together(data):
    config = {"instruments": ("Flute",), "zero_extra_class": 0}
    plain = mixer(data, **config)
    moved = mixer(data, **config, augment=1, transpose=3)
    order = plain.order(0, 1)
    before, after = plain.batch(order, 0, 1, 0), moved.batch(order, 0, 1, 0)
    steps = note_numbers(after) - note_numbers(before)
    assert set(steps.tolist()) == set(range(-3, 4))
    expected = shift_bins(before.mixture, 4 * steps.float())
    torch.testing.assert_close(after.mixture, expected)
    torch.testing.assert_close(after.augmented, expected)


def note_numbers(batch):
    octave, pitch, _ = batch.classes[:, 0].T
    return 12 * (octave + 1) + pitch


def test_augmentations_leave_target_and_labels_clean(data):
    plain = mixer(data)
    strengths = dict(detune=0.3, equalise=6.0, tilt=12.0, noise_floor=1.0, gain=3.0)
    augmented = mixer(data, augment=1, **strengths)
    order = plain.order(0, 1)[:40]
    before, after = plain.batch(order, 0, 1, 0), augmented.batch(order, 0, 1, 0)
    assert torch.equal(before.mixture, after.mixture) and torch.equal(before.classes, after.classes)
    assert torch.equal(before.augmented, before.mixture)
    assert not torch.equal(after.augmented, after.mixture)


def test_each_source_of_a_mixture_is_augmented_by_itself(data):
    """Each has its own level: where both sound alone in some bins, the ratios to the clean
    magnitudes differ.
    """
    varied = mixer(data, augment=1, gain=6.0)
    batch = varied.batch(varied.order(0, 1)[:40], 0, 1, 0)
    ratio = (batch.augmented / batch.mixture)[batch.mixture.amin(dim=1) > 0]
    assert len(ratio) and float((ratio.amax(dim=1) / ratio.amin(dim=1)).log10().max()) * 20 > 3
