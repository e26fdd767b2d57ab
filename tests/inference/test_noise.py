"""Noise is no note: by the share of the power that is a note's own, by what never stops, and by how
short it is.
"""

from dataclasses import replace

import numpy as np
import pytest

from lt.config import DecoderConfig
from lt.inference.evidence import Evidence
from lt.inference.noise import rest_level, without_clicks
from lt.inference.note_decoding import posteriors_to_notes, until_masked
from lt.inference.onsets import OnsetDetector, Region, partial_bands
from lt.inference.posteriors import Posteriors
from lt.labels import LabelSpace, NoteLabels

CONFIG = DecoderConfig()
STEP, FRAME = 128 / 22050, 704 / 22050
N_BANDS, FMIN = 102, 30.0
SPACE = LabelSpace(instruments=("Flute",))
SECONDS = 5.0


def tone(number, level=0.1):
    """(bands,) of a note with eight equal partials."""
    bands = np.full(N_BANDS, 1e-6)
    bands[partial_bands(number, FMIN, N_BANDS, 8)] = level
    return bands


def hiss(n_frames, level=0.01):
    """(frames, bands) of noise."""
    rng = np.random.default_rng(0)
    return level * rng.rayleigh(size=(n_frames, N_BANDS)).clip(0.3, 2)


def heard_everywhere(number, bands, level_db, certainty=0.9):
    """Posteriors of one note in every frame, its octave and its pitch so certain."""
    n_frames = int(SECONDS / FRAME) + 1
    labels = NoteLabels.from_notes(np.full(n_frames, number), np.full(n_frames, 2))
    classes = SPACE.to_classes([labels]).reshape(n_frames, -1)
    groups = []
    for column, size in zip(classes.T, SPACE.group_sizes):
        group = np.full((n_frames, size), (1 - certainty) / (size - 1))
        group[np.arange(n_frames), column] = certainty
        groups.append(group)
    bands = bands.astype(np.float16)
    return Posteriors(SPACE, tuple(groups), FRAME, STEP, level_db, level_db, bands, FMIN)


@pytest.mark.parametrize("other, played", [(62, (69,)), (62, ()), (57, (69,))])
def test_in_a_mixture_a_note_must_explain_what_the_others_leave_free(other, played):
    """The model hears A4 in both instruments' sound: with its own partials, in the other's alone,
    and where all its partials are the other's, of which nothing can be said.
    """
    bands = np.maximum.reduce([tone(other), *map(tone, played)])
    posteriors = heard_everywhere(69, np.tile(bands, (300, 1)), np.full(300, -20.0), certainty=0.5)
    detector = OnsetDetector(posteriors, others=[np.full(300, other)])
    ratio = Evidence.of(detector, CONFIG.masked_probability).against_silence(slice(None), [69])
    states = [Evidence.of(detector, 0.0).log_posteriors[0][index] for index in (0, 1 + 69 - 12)]
    heard = states[1] - states[0]
    if other == 57:
        assert ratio == pytest.approx(heard, abs=1.5)
    else:
        assert (ratio > heard if played else ratio < heard).all()


def test_a_note_is_evident_and_noise_is_not_though_the_model_hears_the_note_in_both():
    bands = np.concatenate([np.tile(tone(69), (300, 1)), hiss(300)])
    detector = OnsetDetector(heard_everywhere(69, bands, np.full(600, -20.0), certainty=0.6))
    evidence = Evidence.of(detector, CONFIG.masked_probability)
    ratio = evidence.against_silence(slice(None), [69])
    assert ratio[:300].min() > 0 > ratio[300:].mean()
    certain = Evidence.of(detector, 0.0).against_silence(slice(None), [69])
    assert (certain > ratio).all()


@pytest.mark.fault("odd input")
def test_what_never_stops_is_no_note():
    """Unless the recording is so short that it may be one note."""
    bands = np.tile(tone(69), (int(SECONDS / STEP), 1))
    hum = heard_everywhere(69, bands, np.full(len(bands), -20.0))
    assert posteriors_to_notes(hum) == []
    short = slice(int(2 / STEP))
    note = replace(
        hum, level_db=hum.level_db[short], clear_db=hum.clear_db[short], bands=bands[short]
    )
    assert [note.note_number for note in posteriors_to_notes(note)] == [69]


@pytest.mark.fault("odd input")
@pytest.mark.parametrize("below_db", [20, 30])
def test_a_note_ends_where_only_noise_is_left(below_db):
    """Until 2 s A4 sounds, noise throughout; the model hears A4 all the time."""
    times = np.arange(int(SECONDS / STEP)) * STEP
    held = times < 2
    bands = hiss(len(times), 0.1 * 10 ** (-below_db / 20)) + held[:, None] * tone(69)
    level_db = np.where(held, -20.0, -20.0 - below_db)
    [note] = posteriors_to_notes(heard_everywhere(69, bands, level_db))
    assert note.note_number == 69
    assert abs(note.offset - 2) < 0.1


@pytest.mark.fault("odd input")
def test_noise_as_loud_as_the_note_before_ends_it():
    """Only the bands tell: the level does not fall."""
    n_frames, held = 600, 300
    bands = np.where(np.arange(n_frames)[:, None] < held, tone(69), hiss(n_frames, 0.05))
    posteriors = heard_everywhere(69, bands, np.full(n_frames, -20.0), certainty=0.6)
    [note] = until_masked([Region(69, 0, n_frames)], OnsetDetector(posteriors))
    assert abs(note.end - held) < 10


def test_noise_is_measured_in_rests():
    level_db = np.full(500, -50.0)
    level_db[100:200] = -20
    posteriors = heard_everywhere(69, np.zeros((500, N_BANDS)), level_db)
    detector = OnsetDetector(posteriors)
    assert rest_level(
        [Region(69, 100, 200)], detector, detector.posteriors.level_db
    ) == pytest.approx(-50)
    assert rest_level([Region(69, 0, 500)], detector, detector.posteriors.level_db) == -np.inf
    noisy = replace(detector, noise_db=-25.0)
    assert detector.onset_level(-20) == -20 + CONFIG.onset_db
    assert noisy.onset_level(-20) == -25  # of a soft note the noise, of a loud one its own
    assert noisy.onset_level(0) == CONFIG.onset_db


def test_clicks_are_taken_from_the_level_and_notes_are_not():
    level_db = np.full(400, -60.0)
    level_db[100:104] = -20  # 23 ms
    level_db[200:230] = -20  # 174 ms
    posteriors = heard_everywhere(69, np.zeros((400, N_BANDS)), level_db)
    clear = without_clicks(posteriors, CONFIG).level_db
    assert clear[:200].max() == -60
    np.testing.assert_array_equal(clear[200:], level_db[200:])


def in_noise(*steps, noise_db=-50.0):
    """A detector of the level of (seconds, dB) steps in noise, of one note in all bands."""
    level_db = np.concatenate([np.full(round(length / STEP), db) for length, db in steps])
    level_db = np.maximum(level_db, noise_db + np.random.default_rng(0).normal(0, 1, len(level_db)))
    bands = np.tile(tone(57), (len(level_db), 1))
    posteriors = heard_everywhere(57, bands, level_db)
    noise = {"noise_db": noise_db + 1.5, "clear_noise_db": noise_db + 1.5}
    return replace(OnsetDetector(posteriors), **noise), Region(57, 0, len(level_db))


def test_notes_that_are_heard_through_the_noise_between_them_are_two():
    detector, region = in_noise((0.4, -15), (0.8, -90), (0.4, -15))
    first, again = detector.strokes(detector.posteriors.clear_db)
    assert first == 0 and 0 <= 1.2 / STEP - again <= detector.frames(CONFIG.rise)


def test_a_note_that_is_heard_in_the_noise_before_it_begins_where_it_is_louder():
    detector, region = in_noise((0.5, -90), (0.5, -15), (0.5, -90), (0.4, -15))
    first = detector.onset(region, Region(-1, 0, 0))
    assert first == pytest.approx(0.5 / STEP, abs=4)
    again = detector.strokes(detector.posteriors.clear_db)[-1]
    assert 0 <= 1.5 / STEP - again <= detector.frames(CONFIG.rise)
