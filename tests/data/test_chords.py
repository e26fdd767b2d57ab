"""Chords: intervals of music, voices in the order of their notes, and batches of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_helpers import write_ageing_set, write_tiny_set

from lt.config import RunConfig, with_preset
from lt.data.augment import Augmentation
from lt.data.chords import ABSENT, ChordSampler, in_voice_order
from lt.data.dataset import read_data_set
from lt.data.mixing import Mixer, NoteMixer, random_combinations
from lt.data.splits import split_data
from lt.labels import FIRST_RELEASE_AGE, LABELS, SILENCE, LabelSpace
from lt.models.runs import space_of

CPU = torch.device("cpu")


def piano_keys():
    """Three moments of each of five dynamics of 88 keys."""
    number, dynamics = (grid.ravel() for grid in np.mgrid[21:109, 0:5, 0:3][:2])
    return torch.from_numpy(number), torch.from_numpy(dynamics)


def numbers_of(classes, space):
    """(frames, voices) MIDI numbers, `SILENCE` in rests."""
    return np.stack([own.note_number for own in space.to_labels(classes.numpy())], axis=1)


def chord_mixer(data, kind=Mixer, **changes):
    settings = {"frames": (), "instruments": ("Flute",), "voices": (3,), "silence_share": 0.0}
    config = RunConfig(**{**settings, **changes})
    frames = split_data(data, config).frames["train"]
    augmentation = Augmentation(config, data.config, 1.0) if config.augment else None
    if kind is NoteMixer:
        return NoteMixer(data, frames, space_of(config), config, CPU)
    return Mixer(data, frames, space_of(config), config, CPU, augmentation)


def test_chords_have_any_number_of_notes_that_rise_by_intervals_of_music():
    number, dynamics = piano_keys()
    moments = ChordSampler(number, dynamics, 4).sample(4000, np.random.default_rng(0))
    keys = np.where(moments == ABSENT, 999, number.numpy()[moments])
    steps = np.diff(keys, axis=1)  # above the highest note are no more
    assert (steps[keys[:, 1:] < 999] > 0).all()
    share = np.bincount((keys < 999).sum(axis=1), minlength=5)[1:] / len(keys)
    assert share.min() > 0.15
    intervals = np.bincount(steps[keys[:, 1:] < 999], minlength=37)
    assert intervals[[3, 4, 5, 7, 12]].min() > 4 * intervals[[1, 11, 13]].max()
    assert (intervals[1:30] > 0).all()
    assert len(np.unique(keys)) == 89


def test_notes_of_a_chord_have_nearly_one_dynamic():
    number, dynamics = piano_keys()
    moments = ChordSampler(number, dynamics, 3).sample(500, np.random.default_rng(0))
    levels = np.where(moments == ABSENT, np.nan, dynamics.numpy()[moments])
    assert np.nanmax(np.nanmax(levels, axis=1) - np.nanmin(levels, axis=1)) <= 2


def test_a_sampler_of_one_key_gives_single_notes():
    moments = ChordSampler(torch.tensor([60]), torch.tensor([2]), 3).sample(
        50, np.random.default_rng(0)
    )
    assert (moments[:, 0] == 0).all() and (moments[:, 1:] == ABSENT).all()


def test_voices_are_in_the_order_of_their_notes_and_powers_add(tiny_set):
    data = read_data_set(tiny_set)
    mixer = chord_mixer(data)
    order = mixer.order(0, 1)
    assert order.shape == (mixer.n_frames, 3) and torch.equal(order, mixer.order(0, 1))
    batch = mixer.batch(order[:64], 0, 1, 0)
    numbers = numbers_of(batch.classes, mixer.space)
    sounding = numbers != SILENCE
    assert (np.diff(np.where(sounding, numbers, 999), axis=1) >= 0).all()
    assert set(sounding.sum(axis=1)) >= {1, 2, 3}
    frames = split_data(data, mixer.config).frames["train"][0]
    magnitudes = torch.from_numpy(data.frames(frames))
    power = sum(
        magnitudes[own.clamp_min(0)].square() * (own != ABSENT)[:, None] for own in order[:64].T
    )
    torch.testing.assert_close(batch.encoder_input, power.sqrt())


def test_the_notes_of_a_chord_are_transposed_together(tiny_set):
    data = read_data_set(tiny_set)
    plain, moved = chord_mixer(data), chord_mixer(data, augment=1, transpose=5)
    order = plain.order(0, 1)[:64]
    before, after = (
        numbers_of(own.batch(order, 0, 1, 0).classes, own.space) for own in (plain, moved)
    )
    steps = np.where(before == SILENCE, 99, after - before)
    assert all(len(set(row) - {99}) <= 1 for row in steps.tolist())
    assert len(set(steps.ravel())) > 5


def test_every_other_row_of_notes_to_play_is_a_single_note(tmp_path):
    data = read_data_set(write_ageing_set(tmp_path / "set.npz", numbers=(60, 64, 67, 72)))
    mixer = chord_mixer(
        data, NoteMixer, labels=LABELS, decoder_range_db=60.0, split="frame", augment=0
    )
    order = mixer.order(40, 0, 1)
    assert (order[::2, 0] >= 0).all() and (order[::2, 1:] == ABSENT).all()
    assert (order[1::2, 1:] >= 0).any()
    batch = mixer.batch(order, 0, 1, stream="played")
    assert (numbers_of(batch.classes, mixer.space)[::2, 1:] == SILENCE).all()


def test_random_chords_are_in_order_and_have_any_number_of_notes():
    space = LabelSpace.of_voices(("octave", "pitch"), ("Piano", "Flute"), (3, 1))
    classes = random_combinations(space, 300, torch.Generator().manual_seed(0))
    assert torch.equal(classes, in_voice_order(classes, space))
    n_notes = (numbers_of(classes, space)[:, :3] != SILENCE).sum(axis=1)
    assert set(n_notes) == {0, 1, 2, 3}


def test_keys_sound_from_the_onset_to_the_release():
    from playing_helpers import SMALL, settings_of

    from lt.models.runs import build_model

    model = build_model(settings_of(replace(SMALL, labels=LABELS, voices=(2,))))
    silence = torch.from_numpy(model.space.silence_classes)
    note = torch.tensor([4, 0, 2, 3])
    released = torch.tensor([4, 4, 2, FIRST_RELEASE_AGE])
    keys = model.sounding_keys(torch.stack([note, released])[None])
    assert keys.nonzero().tolist() == [[0, 0, 48]]
    assert model.sounding_keys(torch.stack([silence, silence])[None]).sum() == 0


def test_voices_need_a_class_for_silence_and_octave_and_pitch():
    for changes, reason in (
        ({"zero_extra_class": 0}, "zero_extra_class"),
        ({"labels": ("pitch",)}, "octave and pitch"),
        ({"voices": (2, 2, 2)}, "one number"),
        ({"voices": (0,)}, "voices"),
        ({"voices": (99,)}, "voices"),
    ):
        with pytest.raises(ValueError, match=reason):
            RunConfig(**{"instruments": ("Piano",), "voices": (2,), **changes})
    assert RunConfig(instruments=("Piano", "Flute"), voices=(3,)).voices_of_each == (3, 3)


def test_the_preset_widens_the_latent_for_voices_only():
    one, four = (with_preset({"instruments": ("Piano",), "voices": (n,)}, "robust") for n in (1, 4))
    assert one == with_preset({"instruments": ("Piano",)}, "robust")
    assert four.encoder == "harmonic" and four.dims > one.dims


def test_one_voice_of_two_instruments_is_the_mixture(tmp_path):
    data = read_data_set(write_tiny_set(tmp_path / "set.npz"))
    duet = chord_mixer(data, instruments=("Flute", "Violin"), voices=(2, 1))
    batch = duet.batch(duet.order(0, 1)[:32], 0, 1, 0)
    assert batch.classes.shape[1] == 3 and batch.weights.shape == (32, 3)
    assert duet.space.instruments == ("Flute.1", "Flute.2", "Violin")
