"""Morphings go from the first point to the last, keep the course of recordings, and glide through
the notes between.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from playing_helpers import RATE, make_run, organ, peak_number

from lt.audio.io import read_audio, write_audio
from lt.config import PlayOptions, SynthesisConfig
from lt.inference.decoding import decode_magnitudes, matching_gain
from lt.inference.morphing import RecordingPoint, SymbolPoint, morph
from lt.inference.play import play_morphing
from lt.inference.posteriors import analyse_recording, encode_magnitudes
from lt.labels import age_class, parse_symbols
from lt.models.runs import load_run

MEAN = SynthesisConfig(sample=False)
QUICK = PlayOptions(griffinlim_iters=1, graphs=0, latent_sample=0)


def symbols(run, *names):
    return [SymbolPoint(classes) for classes in parse_symbols(names, run.space)]


def recording_of(run, *numbers, n_frames=20):
    """A recording in which the organ plays each note for n_frames."""
    z = torch.tensor([[number // 12 - 1, number % 12, 2] for number in numbers]).float()
    magnitudes = decode_magnitudes(run, z.repeat_interleave(n_frames, dim=0))
    return RecordingPoint("a.wav", magnitudes, np.repeat(np.array(numbers, float), n_frames))


# --- cross-fade -----------------------------------------------------------------------------------


def test_a_cross_fade_of_symbols_is_a_line_between_their_latents():
    run = organ()
    path = morph(run, symbols(run, "A4:p", "C5:ff"), 11, config=MEAN).z
    np.testing.assert_allclose(path[0], [4, 9, 1], atol=1e-6)
    np.testing.assert_allclose(path[-1], [5, 0, 4], atol=1e-6)
    np.testing.assert_allclose(np.diff(path, 2, axis=0), 0, atol=1e-5)


def test_a_recording_with_itself_is_its_own_course(tmp_path):
    run = load_run(make_run(tmp_path / "run"))
    times = np.arange(RATE) / RATE
    audio = 0.3 * np.sin(2 * np.pi * 440 * times * (1 + times))
    write_audio(tmp_path / "a.wav", audio.astype(np.float32))
    analysis = analyse_recording(run, tmp_path / "a.wav")
    point = RecordingPoint.of("a.wav", analysis, run)
    magnitudes, tuning = analysis.spectra.magnitudes, analysis.spectra.tuning
    matched = matching_gain(run, magnitudes) * magnitudes  # recordings are encoded at one level
    course = encode_magnitudes(run, matched, tuning).mean.numpy()
    for glide in (False, True):
        point = replace(point, predicted=np.full(len(course), 69.0))
        path = morph(run, [point, point], len(course), glide=glide, config=MEAN).z
        np.testing.assert_allclose(path, course, rtol=1e-4, atol=1e-5)
    longer = morph(run, [point, point], 3 * len(course) - 2, config=MEAN).z
    np.testing.assert_allclose(longer[::3], course, rtol=1e-4, atol=1e-4)


def test_a_morphing_begins_with_the_start_of_one_recording_and_ends_with_the_end_of_the_other():
    run = organ()
    path = morph(run, [recording_of(run, 60, 62), recording_of(run, 72, 71, 79)], 60, config=MEAN)
    found = peak_number(path.magnitudes)
    assert abs(found[0] - 60) < 0.05 and abs(found[-1] - 79) < 0.05


def test_an_age_runs_unless_it_is_held(tmp_path):
    run = load_run(make_run(tmp_path / "run", labels=("octave", "pitch", "dynamics", "age")))
    running, held = (point.encode(run, 100).mean for point in symbols(run, "A4", "A4:mf:age=3"))
    ages = age_class((np.arange(100) + 0.5) * run.front_end.frame_seconds)
    assert torch.equal(running[ages == 3], held[ages == 3]) and (held == held[0]).all()
    assert (running[0] != running[-1]).any()


# --- glide ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order, names", [(1, ("A4", "E5")), (2, ("C4:p", "C5:ff", "G4"))])
def test_a_glide_of_symbols_has_the_pitch_of_the_spline_everywhere(order, names):
    run = organ()
    glide = morph(run, symbols(run, *names), 101, order, glide=True, config=MEAN)
    numbers = [69, 76] if order == 1 else [60, 72, 67]
    expected = np.polyval(np.polyfit(np.linspace(0, 100, len(numbers)), numbers, order), range(101))
    np.testing.assert_allclose(peak_number(glide.magnitudes), expected, atol=0.1)
    levels = 20 * glide.magnitudes.amax(dim=1).log10()
    assert levels.diff().abs().max() < 1.5  # dB: no dips between semitones


def test_a_cross_fade_does_not_glide():
    run = organ()
    path = morph(run, symbols(run, "C4", "C5"), 21, config=MEAN).z
    assert (path[:, 1] == 0).all()


def test_a_recording_glides_to_a_note_and_to_another_recording():
    run = organ()
    for last in (symbols(run, "E5")[0], recording_of(run, 76)):
        glide = morph(run, [recording_of(run, 69), last], 50, glide=True, config=MEAN)
        expected = np.linspace(69, 76, 50)
        np.testing.assert_allclose(peak_number(glide.magnitudes), expected, atol=0.1)


def test_a_rest_in_a_glide_keeps_the_pitch():
    run = organ()
    path = morph(run, symbols(run, "A4:ff", "rest"), 9, glide=True, config=MEAN).z
    assert path[0].tolist() == [4, 9, 4] and path[-1].tolist() == [9, 12, 5]


def test_what_cannot_glide_is_said():
    run = organ()
    unpitched = replace(recording_of(run, 60), predicted=np.full(20, np.nan))
    with pytest.raises(ValueError, match="a.wav has no note to glide from"):
        morph(run, [unpitched, *symbols(run, "A4")], 10, glide=True)
    with pytest.raises(ValueError, match="at least one note"):
        morph(run, symbols(run, "rest", "rest"), 10, glide=True)
    duo = organ(instruments=("Piano", "Violin"))
    with pytest.raises(ValueError, match="one instrument"):
        morph(duo, symbols(duo, "A4", "A4", "C5", "C5"), 10, glide=True)
    with pytest.raises(ValueError, match="at least 2"):
        morph(run, symbols(run, "A4"), 10, glide=True)


# --- files ----------------------------------------------------------------------------------------


@pytest.fixture
def recordings(tmp_path):
    """Half a second and a second of sound."""
    for name, seconds in (("short", 0.5), ("long one", 1.0)):
        audio = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)
        write_audio(tmp_path / f"{name}.wav", audio.astype(np.float32))
    return str(tmp_path / "short.wav"), str(tmp_path / "long one.wav")


@pytest.mark.parametrize("glide", [0, 1])
def test_recordings_and_labels_mix_and_the_longest_gives_the_length(tmp_path, recordings, glide):
    run = load_run(make_run(tmp_path / "run")) if not glide else organ()
    short, long = recordings
    for inputs, name, frames in (
        ((short, long), "short_long one", 32),
        ((short, "C5:f"), "short_C5-f", 16),
        (("A4 rest", long, "4", "9", "2"), "A4-mf_rest_long one_A4-mf", 32),
    ):
        sound = play_morphing(run, inputs, tmp_path / "out", replace(QUICK, glide=glide)).sound
        assert sound.name == f"morphing_{name}.wav"
        assert len(read_audio(sound)) == 704 * frames


def test_transposition_moves_recordings_too(tmp_path, recordings):
    run = organ()
    analysis = analyse_recording(run, recordings[0])
    plain, higher = (RecordingPoint.of("x", analysis, run, semitones) for semitones in (0, 3))
    moved = peak_number(higher.magnitudes[4:12]) - peak_number(plain.magnitudes[4:12])
    np.testing.assert_allclose(moved, 3, atol=0.02)
    np.testing.assert_allclose(higher.predicted - plain.predicted, 3)
