"""Velocities of notes: those that were played, whatever the gain of the recording, where its notes
sound as the model expects; the middle where they do not.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from playing_helpers import make_run

from lt.audio.features import semitone_bands
from lt.inference.decoding import decode_subframes
from lt.inference.onsets import OnsetDetector, Region, partial_bands
from lt.inference.posteriors import Posteriors
from lt.inference.symbol_spectra import SymbolSpectra, symbol_spectra
from lt.inference.velocities import interpolation, note_velocities
from lt.labels import N_CLASSES, LabelSpace
from lt.midi import DYNAMICS_VELOCITIES
from lt.models.runs import load_run

STEP, FRAME, N_BANDS = 0.0058, 0.032, 102
KEYS = np.arange(60, 73)
LENGTH = 40  # fine frames of a note
FLUTE = LabelSpace(instruments=("Flute",))


def partials(number, velocity):
    """Magnitudes (bands,) of a note: louder and brighter with velocity, and by key."""
    bands = np.zeros(N_BANDS)
    own = partial_bands(number, 30.0, N_BANDS, 8)
    slope = 2 - velocity / 127
    level = velocity / 127 * (1 + 0.5 * np.sin(number))
    bands[own] = level * np.arange(1, len(own) + 1) ** -slope
    return bands


SYMBOLS = SymbolSpectra(
    KEYS,
    np.array(DYNAMICS_VELOCITIES),
    np.array([0.02, 0.5]),
    np.array([[[partials(k, v)] * 2 for v in DYNAMICS_VELOCITIES] for k in KEYS]),
)


def velocities_of(notes, gain_db=0.0, timbre_db=None, symbols=(SYMBOLS,), space=FLUTE, other=0.0):
    """Velocities that are found for notes (number, velocity), played one after the other.

    Args:
        timbre_db: (notes, bands) by which the partials deviate from what the model expects.
        other: magnitude of a second instrument's note C5, which sounds throughout.
    """
    timbre_db = np.zeros((len(notes), N_BANDS)) if timbre_db is None else timbre_db
    rows = [partials(*note) * 10 ** (own / 20) for note, own in zip(notes, timbre_db)]
    bands = np.repeat(rows, LENGTH, axis=0) * 10 ** (gain_db / 20)
    others = ()
    if len(space.instruments) > 1:
        bands[:, partial_bands(72, 30.0, N_BANDS, 16)] += other
        others = [np.full(len(bands), 72)]
    level_db = np.zeros(len(bands))
    groups = tuple(
        np.eye(size)[np.full(len(bands) * 6 // 33 + 1, N_CLASSES["dynamics"] - 1)]
        for size in space.group_sizes
    )
    posteriors = Posteriors(
        space, groups, FRAME, STEP, level_db, level_db, bands.astype(np.float16), 30.0, symbols
    )
    starts = LENGTH * np.arange(len(notes))
    regions = [Region(number, start, start + LENGTH) for (number, _), start in zip(notes, starts)]
    return note_velocities(regions, [OnsetDetector(posteriors, 0, others)] * len(regions))


@pytest.fixture
def tune():
    rng = np.random.default_rng(0)
    return [(int(rng.choice(KEYS)), int(rng.integers(20, 121))) for _ in range(24)]


@pytest.mark.parametrize("gain_db", [-30, 0, 20])
def test_a_tune_as_the_model_expects_it_has_its_velocities_at_any_gain(tune, gain_db):
    found = velocities_of(tune, gain_db)
    assert np.abs(found - [velocity for _, velocity in tune]).mean() < 5
    np.testing.assert_allclose(found, velocities_of(tune), atol=2)


@settings(deadline=None, max_examples=10)
@given(st.lists(st.integers(1, 127), min_size=2, max_size=8), st.sampled_from(KEYS.tolist()))
def test_louder_notes_of_a_key_have_no_smaller_velocities(velocities, number):
    found = velocities_of([(number, velocity) for velocity in velocities])
    assert ((1 <= found) & (found <= 127)).all()
    assert (np.diff(found[np.argsort(velocities)]) >= 0).all()


def test_all_steps_are_used():
    found = velocities_of([(60, velocity) for velocity in range(1, 128, 3)])
    assert len(np.unique(found)) > 30 and found[0] < 10 and found[-1] > 117


def test_levels_of_another_instrument_than_the_model_knows_tell_little(tune):
    rng = np.random.default_rng(1)
    foreign = velocities_of(tune, timbre_db=rng.normal(0, 12, (len(tune), N_BANDS)))
    assert np.std(foreign) < 0.5 * np.std(velocities_of(tune))
    assert abs(np.mean(foreign) - 64) < 5


def test_a_key_that_was_not_learnt_is_compared_with_the_nearest(tune):
    found = velocities_of([*tune, (KEYS[-1] + 1, 100)])
    assert abs(found[-1] - 100) < 30


def test_partials_of_another_instrument_do_not_count(tune):
    pair = LabelSpace(instruments=("Flute", "Violin"))
    notes = [(number, velocity) for number, velocity in tune if number not in (60, 72)]
    alone = velocities_of(notes)
    np.testing.assert_allclose(
        velocities_of(notes, symbols=(SYMBOLS, SYMBOLS), space=pair, other=5.0), alone, atol=15
    )


def test_without_spectra_the_dynamics_of_the_frames_count_and_without_dynamics_it_is_mf(tune):
    assert set(velocities_of(tune, symbols=())) == {115}
    space = LabelSpace(("octave", "pitch"), ("Flute",))
    assert set(velocities_of(tune, symbols=(), space=space)) == {64}
    assert len(velocities_of([], symbols=())) == 0


def test_interpolation_is_exact_on_lines_and_goes_on_beyond_them():
    knots, at = np.array([1.0, 2.0, 4.0]), np.linspace(-1, 6, 15)
    np.testing.assert_allclose(interpolation(knots, at) @ (3 * knots - 1), 3 * at - 1)
    np.testing.assert_array_equal(interpolation(knots[:1], at), 1.0)


def test_spectra_of_symbols_are_those_that_the_model_decodes(tmp_path):
    run = load_run(make_run(tmp_path / "run", {"Flute": {60: (0, 2), 64: (2,)}}))
    (symbols,) = symbol_spectra(run)
    assert symbols.note_numbers.tolist() == [60, 64] and symbols.velocities.tolist() == [13, 64]
    classes = torch.tensor([[[4, 4, 2]]])  # E4 mf
    z = run.model.encode_symbol(classes).z[-1]
    magnitudes = decode_subframes(run, z, classes)[0].mean(dim=0)
    np.testing.assert_allclose(
        symbols.bands[1, 1, 0], semitone_bands(magnitudes, run.front_end), rtol=1e-4
    )


def test_a_run_that_knows_one_dynamic_or_no_dynamics_has_no_spectra(tmp_path):
    one = load_run(make_run(tmp_path / "one", {"Flute": {60: (2,), 64: (2,)}}))
    none = load_run(make_run(tmp_path / "none", labels=("octave", "pitch")))
    assert symbol_spectra(one) == symbol_spectra(none) == ()
