"""Batches: powers add, weight 0 is silence, random numbers are named by seed, epoch and step; those
of the transfer show each moment of each note equally often.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_helpers import tiny_notes, write_ageing_set, write_tiny_set

from lt.audio.tuning import shift_bins
from lt.config import RunConfig
from lt.data import mixing
from lt.data.augment import Augmentation
from lt.data.dataset import read_data_set
from lt.data.mixing import Mixer, NoteMixer, nearest_notes, random_combinations
from lt.data.splits import split_data
from lt.labels import (
    AGE_MIDDLES,
    FIRST_LEAD_AGE,
    FIRST_NOTE_NUMBER,
    LABELS,
    LAST_NOTE_NUMBER,
    N_CLASSES,
    ONSET_AGES,
    RELEASE_AGES,
    LabelSpace,
)

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
    expected = torch.from_numpy(data.frames(frames))[order[:, 0]]
    torch.testing.assert_close(batch.target[:, 0], expected)
    torch.testing.assert_close(batch.encoder_input, expected)
    labels = torch.from_numpy(data.notes.labels[data.note_of_frame[frames]])[order[:, 0]]
    sounding = torch.from_numpy(data.sounding[frames])[order[:, 0]]
    assert torch.equal(batch.classes[sounding, 0], labels[sounding])
    assert (batch.classes[~sounding, 0] == torch.tensor([9, 12, 5])).all()


def test_powers_add(data):
    both, order = mixer(data), mixer(data).order(0, 1)[:50]
    alone = [source_magnitudes(both, order, index) for index in range(2)]
    torch.testing.assert_close(
        both.batch(order, 0, 1, 0).target.square(), alone[0].square() + alone[1].square()
    )


def source_magnitudes(mixer, order, index):
    source = mixer.sources[index]
    return mixer.pool.read(source.places[order[:, index]])


def test_an_epoch_is_every_frame_once(data):
    order = mixer(data).order(3, 5)
    for column in order.T:
        assert sorted(column.tolist()) == list(range(len(order)))


def test_shorter_instruments_begin_again(tmp_path):
    notes = tiny_notes()
    notes.instrument[:6] = 1  # 24 notes of flute, 36 of violin
    unequal = mixer(read_data_set(write_tiny_set(tmp_path / "unequal.npz", notes=notes)))
    sizes = [len(source.places) for source in unequal.sources]
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
    assert (batch.target[silent.all(dim=1)] == 0).all()
    alone = silent[:, 1] & ~silent[:, 0]
    torch.testing.assert_close(batch.target[alone], source_magnitudes(random, order, 0)[alone])


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
    assert resident.pool.resident and not streaming.pool.resident
    order = resident.order(0, 1)
    assert torch.equal(order, streaming.order(0, 1))
    first, second = resident.batch(order, 0, 1, 0), streaming.batch(order, 0, 1, 0)
    for name in ("target", "encoder_input", "classes", "weights"):
        assert torch.equal(getattr(first, name), getattr(second, name))


def test_transposition_moves_sound_target_and_labels_together(data):
    config = {"instruments": ("Flute",), "zero_extra_class": 0}
    plain = mixer(data, **config)
    moved = mixer(data, **config, augment=1, transpose=3)
    order = plain.order(0, 1)
    before, after = plain.batch(order, 0, 1, 0), moved.batch(order, 0, 1, 0)
    steps = note_numbers(after) - note_numbers(before)
    assert set(steps.tolist()) == set(range(-3, 4))
    expected = shift_bins(before.encoder_input, 4 * steps.float())
    torch.testing.assert_close(after.target[:, 0], expected)
    torch.testing.assert_close(after.encoder_input, expected)


def note_numbers(batch):
    octave, pitch, _ = batch.classes[:, 0].T
    return 12 * (octave + 1) + pitch


@pytest.mark.parametrize(
    "strength",
    [
        {"detune": 0.3},
        {"equalise": 6.0},
        {"tilt": 12.0},
        {"noise_floor": 1.0},
        {"ring": 1.0},
        {"reverb": 1.0},
        {"gain": 3.0},
    ],
    ids=lambda strength: next(iter(strength)),
)
def test_an_augmentation_changes_the_encoders_input_alone(data, strength):
    plain = mixer(data)
    augmented = mixer(data, augment=1, **strength)
    order = plain.order(0, 1)[:40]
    before, after = plain.batch(order, 0, 1, 0), augmented.batch(order, 0, 1, 0)
    assert torch.equal(before.target, after.target) and torch.equal(before.classes, after.classes)
    assert torch.equal(before.encoder_input, before.target.mean(dim=1))
    assert not torch.equal(after.encoder_input, after.target.mean(dim=1))


def test_each_source_of_a_mixture_is_augmented_by_itself(data):
    """Each has its own level: where both sound alone in some bins, the ratios to the clean
    magnitudes differ.
    """
    varied = mixer(data, augment=1, gain=6.0)
    batch = varied.batch(varied.order(0, 1)[:40], 0, 1, 0)
    clean = batch.target.mean(dim=1)
    ratio = (batch.encoder_input / clean)[clean.amin(dim=1) > 0]
    assert len(ratio) and float((ratio.amax(dim=1) / ratio.amin(dim=1)).log10().max()) * 20 > 3


# --- subframes and ages ---------------------------------------------------------------------------

AGEING = RunConfig(
    frames=(), instruments=("Flute",), labels=LABELS, decoder_range_db=100.0, silence_share=0.0
)


@pytest.fixture(scope="module")
def ageing(tmp_path_factory):
    return read_data_set(write_ageing_set(tmp_path_factory.mktemp("data") / "ageing.npz"))


def test_the_encoder_sees_the_mean_of_the_subframes(ageing):
    batch_of = mixer(ageing, **vars(AGEING))
    batch = batch_of.batch(batch_of.order(0, 1), 0, 1, 0)
    assert batch.target.shape[1] == 2 and not torch.equal(batch.target[:, 0], batch.target[:, 1])
    torch.testing.assert_close(batch.encoder_input, batch.target.mean(dim=1))


def test_all_subframes_are_transposed_alike(ageing):
    plain = mixer(ageing, **vars(AGEING))
    moved = mixer(ageing, **vars(replace(AGEING, augment=1, transpose=3)))
    order = plain.order(0, 1)
    before, after = plain.batch(order, 0, 1, 0), moved.batch(order, 0, 1, 0)
    heard = (before.classes[:, 0, 3] < N_CLASSES["age"]).nonzero()[:, 0]
    numbers = [12 * batch.classes[:, 0, 0] + batch.classes[:, 0, 1] for batch in (before, after)]
    steps = (numbers[1] - numbers[0]).float()
    assert len(set(steps[heard].tolist())) == 7
    expected = shift_bins(before.target, 4 * steps)
    torch.testing.assert_close(after.target[heard], expected[heard])
    assert torch.equal(before.classes[heard, 0, 3], after.classes[heard, 0, 3])


def test_ages_of_frames_are_those_of_the_data(ageing):
    batch_of = mixer(ageing, **vars(AGEING))
    order = batch_of.order(0, 1)
    batch = batch_of.batch(order, 0, 1, 0)
    frames = split_data(ageing, AGEING).frames["train"][0][order[:, 0].numpy()]
    silent = ageing.silent[frames]
    expected = np.where(silent, N_CLASSES["age"], ageing.age[frames])
    np.testing.assert_array_equal(batch.classes[:, 0, 3].numpy(), expected)
    assert silent.any() and (expected[~silent] >= len(ONSET_AGES)).any()


def note_mixer(data, frames=None, device=CPU, **changes):
    config = replace(AGEING, **changes)
    space = LabelSpace(config.labels, config.instruments, bool(config.zero_extra_class))
    frames = np.arange(len(data.peaks)) if frames is None else frames
    of_instruments = [
        frames[np.isin(data.note_of_frame[frames], data.notes_of(name))]
        for name in config.instruments
    ]
    return NoteMixer(data, of_instruments, space, config, device)


@pytest.mark.parametrize("resident", [True, False])
def test_a_decoder_without_a_range_of_its_own_gives_model_frames(ageing, monkeypatch, resident):
    if not resident:
        monkeypatch.setattr(mixing, "CPU_POOL_BYTES", 0)
    monkeypatch.setattr(mixing, "READ_FRAMES", 7)
    fine, coarse = (
        mixer(ageing, **vars(replace(AGEING, decoder_range_db=range_db)))
        for range_db in (100.0, 0.0)
    )
    order = fine.order(0, 1)
    batch, expected = coarse.batch(order, 0, 1, 0), fine.batch(order, 0, 1, 0)
    assert batch.target.shape[1] == 1 and coarse.pool.resident == resident
    torch.testing.assert_close(batch.target[:, 0], expected.target.mean(dim=1))
    torch.testing.assert_close(batch.encoder_input, expected.encoder_input)


def many(note_mixer, n_rows=4000):
    """A large batch of a note mixer."""
    return note_mixer.batch(note_mixer.order(n_rows, 0, 1, 2), 0, 1, 2, stream="played")


def test_each_class_of_age_of_each_note_is_as_frequent(ageing):
    moments = note_mixer(ageing).sources[0]
    rows = torch.stack([moments.note_number, moments.dynamics, moments.age], dim=1)
    groups, of_row = rows.unique(dim=0, return_inverse=True)
    weights = torch.zeros(len(groups), dtype=torch.float64).index_add_(0, of_row, moments.weight)
    torch.testing.assert_close(weights, torch.ones_like(weights))
    n_ages = len(groups) / 6
    held = len(set(ageing.age[:14].tolist()))
    assert n_ages == held + len(RELEASE_AGES), "until the last age of a release"
    classes = many(note_mixer(ageing)).classes[:, 0]
    counts = classes.unique(dim=0, return_counts=True)[1].double()
    assert len(counts) == len(groups)
    # counts of a uniform distribution vary as those of a binomial one
    assert float(counts.std()) == pytest.approx(float(counts.mean()) ** 0.5, rel=0.4)


def test_a_note_that_died_away_is_silent_at_all_later_ages(ageing):
    played = many(note_mixer(ageing))
    age = played.classes[:, 0, 3]
    last = int(ageing.age[23])
    later = age > last
    assert later.any() and (played.target[later] == 0).all()
    assert set(age[later].tolist()) == set(range(last + 1, FIRST_LEAD_AGE))
    assert (played.target[age < last - 1].amax(dim=(1, 2)) > 0).all()


def test_a_note_that_died_away_goes_on_decaying_at_its_own_rate(ageing):
    since_start = np.arange(len(ageing.peaks)) % 24 + 0.5
    per_frame_db = 4.0
    level = 10 ** (-per_frame_db * since_start / 20)
    magnitudes = np.broadcast_to(level[:, None, None], ageing.magnitudes.shape).astype(np.float32)
    decaying = replace(ageing, magnitudes=magnitudes, peaks=level.astype(np.float32))
    played = many(note_mixer(decaying))
    age = played.classes[:, 0, 3]
    rate = per_frame_db / ageing.config.frame_seconds
    for later in range(int(decaying.age[23]) + 1, FIRST_LEAD_AGE):
        seconds = ageing.notes.release[0] + AGE_MIDDLES[later]
        expected = 10 ** (-rate * seconds / 20)
        got = played.target[age == later]
        assert len(got) and torch.allclose(got, torch.full_like(got, expected), rtol=1e-3)


def test_a_note_that_still_sounds_has_no_later_ages(ageing):
    first = np.flatnonzero(np.arange(len(ageing.peaks)) % 24 < 10)
    ages = set(many(note_mixer(ageing, first)).classes[:, 0, 3].tolist())
    assert ages == set(ageing.age[:10].tolist())


def test_played_targets_are_the_notes_frames_at_their_level(ageing):
    own = note_mixer(ageing)
    positions = own.order(50, 0, 1)
    played = own.batch(positions, 0, 1, 2, stream="played")
    moments = own.sources[0]
    rows = positions[:, 0]
    expected = torch.from_numpy(np.array(ageing.magnitudes))[moments.places[rows]]
    expected = expected * moments.gain[rows, None, None]
    torch.testing.assert_close(played.target, expected)
    torch.testing.assert_close(played.encoder_input, played.target.mean(dim=1))


def test_missing_keys_are_the_nearest_transposed(ageing):
    reaching = note_mixer(ageing, augment=1, transpose=2)
    played = many(reaching)
    octave, pitch, dynamics, age = played.classes[:, 0].T
    number = 12 * (octave + 1) + pitch
    assert set(number.tolist()) == {58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68}
    rows = torch.nonzero((number == 67) & (dynamics == 3) & (age == 0))[:, 0]
    start = int(np.flatnonzero((ageing.notes.labels == [4, 6, 3]).all(axis=1))[0]) * 24
    expected = shift_bins(torch.from_numpy(np.array(ageing.magnitudes[start])), torch.tensor(4.0))
    torch.testing.assert_close(played.target[rows], expected.expand(len(rows), -1, -1))
    assert note_mixer(ageing, transpose=2).sources[0].shift.eq(0).all(), "without --augment"


def test_the_nearest_notes_of_a_key_are_of_its_dynamics():
    pairs = nearest_notes(np.array([7, 8, 9]), np.array([60, 64, 61]), np.array([1, 1, 3]), reach=2)
    played = [({7: 60, 8: 64, 9: 61}[note] + steps, note) for note, steps in pairs]
    of_1 = sorted(pair for pair in played if pair[1] != 9)
    assert of_1 == [(58, 7), (59, 7), (60, 7), (61, 7), (62, 7), (62, 8)] + [
        (number, 8) for number in (63, 64, 65, 66)
    ]
    assert sorted(pair for pair in played if pair[1] == 9) == [(n, 9) for n in range(59, 64)]
    assert nearest_notes(np.array([3]), np.array([60]), np.array([0]), reach=0) == [(3, 0)]


@pytest.mark.parametrize("resident", [True, False])
def test_frames_that_may_not_be_used_are_never_read(ageing, monkeypatch, resident):
    """Frames of other parts, under --split frame between those of the training part too."""
    if not resident:
        monkeypatch.setattr(mixing, "CPU_POOL_BYTES", 0)
    usable = np.flatnonzero(np.random.default_rng(0).random(len(ageing.peaks)) < 0.7)
    magnitudes = np.full(ageing.magnitudes.shape, np.nan, np.float32)
    magnitudes[usable] = ageing.magnitudes[usable]
    played = many(note_mixer(replace(ageing, magnitudes=magnitudes), usable))
    assert torch.isfinite(played.target).all() and played.target.max() > 0


def test_moments_are_named_by_seed_epoch_and_step(ageing):
    own = note_mixer(ageing)
    assert torch.equal(own.order(30, 0, 1, 2), own.order(30, 0, 1, 2))
    assert not any(
        torch.equal(own.order(30, 0, 1, 2), own.order(30, *key))
        for key in ((1, 1, 2), (0, 2, 2), (0, 1, 3))
    )


@pytest.mark.parametrize("silence", [True, False])
def test_combinations_are_uniform_and_silence_is_whole(silence):
    space = LabelSpace(LABELS, ("Flute", "Violin"), silence)
    classes = random_combinations(space, 20_000, torch.Generator().manual_seed(0))
    assert classes.shape == (20_000, 2, 4)
    silent = classes == torch.from_numpy(space.silence_classes)
    assert torch.equal(silent.any(dim=2), silent.all(dim=2)), "in all labels or in none"
    assert silent.any() == silence
    if silence:
        share = silent[..., 0].double().mean(dim=0)
        torch.testing.assert_close(share, torch.full_like(share, 1 / 6), atol=0.02, rtol=0)
        both = silent[..., 0].all(dim=1).double().mean()
        assert float(both) == pytest.approx(1 / 36, abs=0.01), "instruments are independent"
    notes = classes[:, 0][~silent[:, 0, 0]]
    for column, label in enumerate(LABELS):
        counts = notes[:, column].bincount(minlength=N_CLASSES[label]).double()
        assert len(counts) == N_CLASSES[label]
        expected = float(counts.mean())
        assert (counts - expected).abs().max() < 5 * expected**0.5
    pairs = (9 * notes[:, 1] + notes[:, 0]).bincount(minlength=108).double()
    assert (pairs - pairs.mean()).abs().max() < 5 * float(pairs.mean()) ** 0.5, "independent"


def test_missing_notes_stay_within_the_labels():
    edges = np.array([FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER])
    pairs = nearest_notes(np.arange(2), edges, np.zeros(2, int), 3)
    numbers = sorted(edges[note] + steps for note, steps in pairs)
    assert numbers == [*range(12, 16), *range(116, 120)]
