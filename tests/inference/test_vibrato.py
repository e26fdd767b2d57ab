"""Wide vibrato is one note of its middle pitch; trills, scales and detached notes stay."""

from dataclasses import replace

import numpy as np
import pytest

from lt.config import DecoderConfig
from lt.inference.evidence import note_probabilities
from lt.inference.note_decoding import posteriors_to_notes
from lt.inference.posteriors import Posteriors
from lt.inference.vibrato import vibratos, without_vibrato
from lt.labels import LabelSpace, NoteLabels, note_number_to_hz

STEP, FRAMES = 128 / 22050, 5  # seconds of a fine frame, fine frames of a model frame
N_BANDS, FMIN = 102, 30.0
SPACE = LabelSpace(instruments=("Flute",))
CONFIG = DecoderConfig()
SECOND = round(1 / STEP)


def sound(pitch, spread=(0.0,)):
    """Posteriors of a sound of this pitch (fine frames,) in semitones, NaN where it is silent: a
    model that hears the nearest note, and bands that follow the partials.
    """
    pitch = np.concatenate([np.full(20, np.nan), pitch, np.full(50, np.nan)])
    bands = np.full((len(pitch), N_BANDS), 1e-5)
    [sounding] = np.isfinite(pitch).nonzero()
    partials = note_number_to_hz(pitch[sounding, None]) * np.arange(1, 9)
    for semitones in spread:
        index = np.floor(12 * np.log2(partials / FMIN) + semitones).astype(int)
        bands[sounding[:, None], index] += 0.05
    bands = np.stack([np.convolve(band, np.ones(FRAMES) / FRAMES, "same") for band in bands.T])
    level_db = np.where(np.isfinite(pitch), -20.0, -120.0)
    heard = pitch[::FRAMES]
    number, silent = np.round(np.nan_to_num(heard)).astype(int), np.isnan(heard)
    labels = NoteLabels.of_silence(len(heard))
    octave, note = np.divmod(number, 12)
    groups = []
    for size, classes in zip(SPACE.group_sizes, (octave - 1, note, labels.dynamics)):
        group = np.full((len(heard), size), 0.01)
        group[np.arange(len(heard)), np.where(silent, size - 1, classes)] = 0.9
        groups.append(group / group.sum(axis=1, keepdims=True))
    bands = bands.T.astype(np.float16)
    return Posteriors(SPACE, tuple(groups), FRAMES * STEP, STEP, level_db, level_db, bands, FMIN)


def vibrato(number, depth, rate, seconds=1.5):
    times = np.arange(round(seconds / STEP)) * STEP
    return number + depth * np.sin(2 * np.pi * rate * times)


def one_after_another(numbers, seconds, pause=0.0):
    note = np.repeat([0.0, np.nan], [round(seconds / STEP), round(pause / STEP)])
    return (np.array(numbers)[:, None] + note).ravel()


@pytest.mark.fault("odd input")
@pytest.mark.parametrize("depth", [0.8, 1.0])
@pytest.mark.parametrize("rate", [4.0, 5.0, 6.5, 8.0])
def test_wide_vibrato_is_one_note_of_its_middle(depth, rate):
    for number in (55, 74):
        posteriors = sound(vibrato(number, depth, rate))
        [note] = posteriors_to_notes(posteriors)
        assert note.note_number == number
        assert note.onset == pytest.approx(20 * STEP, abs=0.05)
        assert note.offset == pytest.approx(20 * STEP + 1.5, abs=0.05)


@pytest.mark.fault("odd input")
@pytest.mark.parametrize(
    "numbers, seconds, pause",
    [
        ([72, 73] * 4, 0.125, 0.0),  # trills of 8 and of 4 notes a second
        ([72, 74] * 4, 0.125, 0.0),
        ([72, 73] * 4, 0.25, 0.0),
        ([72, 73, 74, 75, 76, 77], 0.08, 0.0),  # scale
        ([72, 72, 72, 72], 0.08, 0.0),  # repeated
        ([72, 73] * 4, 0.08, 0.08),  # detached
        ([72, 76] * 4, 0.08, 0.0),  # tremolo of a third
    ],
)
def test_what_is_no_vibrato_stays(numbers, seconds, pause):
    posteriors = sound(one_after_another(numbers, seconds, pause))
    assert without_vibrato(posteriors, 0, CONFIG) is posteriors


@pytest.mark.parametrize("detuning", [-0.4, 0.3, 0.45])
def test_a_trill_that_is_out_of_tune_stays(detuning):
    in_tune = sound(one_after_another([72, 73] * 5, 0.12))
    fmin = FMIN * 2 ** (-detuning / 12)
    trill = one_after_another([72 + detuning, 73 + detuning] * 5, 0.12)
    bands = sound(trill, spread=(-0.25, 0.0, 0.25)).bands  # semitones, to the bins beside
    posteriors = replace(in_tune, bands=bands, fmin=fmin)
    assert without_vibrato(posteriors, 0, CONFIG) is posteriors


def test_a_note_with_vibrato_is_steady_and_leaves_its_neighbours():
    before, after = np.full(SECOND, 67.0), np.full(SECOND, 76.0)
    swinging = vibrato(72, 1.0, 5.0, seconds=1.0)
    posteriors = sound(np.concatenate([before, swinging, after]))
    [note] = vibratos(posteriors, 0, CONFIG)
    start = 20 + SECOND
    assert note.note_number == 72
    assert start - 3 <= note.start < note.end <= start + len(swinging) + 3
    steady = without_vibrato(posteriors, 0, CONFIG)
    assert np.array_equal(steady.bands[: note.start], posteriors.bands[: note.start])
    assert np.array_equal(steady.bands[note.end :], posteriors.bands[note.end :])
    numbers, states = note_probabilities(steady, 0)
    heard = numbers[states.argmax(axis=1)]
    within = slice(note.start // FRAMES + 1, note.end // FRAMES)
    assert set(heard[within]) == {72}
    assert [note.note_number for note in posteriors_to_notes(posteriors)] == [67, 72, 76]
