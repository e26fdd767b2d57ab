"""The map of the latent space: what is near stays near, colours, and the notes that are on it."""

import io

import numpy as np
import pytest
import soundfile
import torch

from lt.config import MapConfig
from lt.evaluation.context import open_context
from lt.evaluation.latent_map import (
    colours_of,
    data_notes,
    latent_map,
    project,
    recorded_notes,
)
from lt.inference.posteriors import RecordingSpectra
from lt.labels import CLASS_NAMES
from lt.midi import Note, Track
from lt.models.runs import load_run


@pytest.fixture(scope="module")
def context(tiny_runs):
    """A tiny flute and its data set."""
    return open_context(load_run(tiny_runs / "scan_multi__Flute"))


def test_neighbours_stay_neighbours():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(3), 12)
    latents = 8 * np.eye(3)[groups] + 0.1 * rng.standard_normal((36, 3))
    projections = project(latents, config=MapConfig(perplexity=5.0))
    assert list(projections) == ["t-SNE", "principal axes"]
    for projection in projections.values():
        points = projection.points
        assert points.min() == 0 and points.max() == 1
        distances = np.linalg.norm(points[:, None] - points[None], axis=2)
        np.fill_diagonal(distances, np.inf)
        assert (groups[distances.argmin(axis=1)] == groups).all()
    again = project(latents, config=MapConfig(perplexity=5.0))["t-SNE"].points
    assert (again == projections["t-SNE"].points).all()


def test_straight_lines_stay_straight_on_principal_axes():
    line = np.linspace(0, 1, 9)[:, None] * (1.0, 2.0, -1.0)
    points = project(line)["principal axes"].points
    assert np.allclose(np.diff(points[:, 0]), points[1, 0] - points[0, 0])


@pytest.mark.parametrize("n_notes", [1, 2, 4])
def test_few_notes_have_a_map(n_notes):
    for projection in project(np.eye(4)[:n_notes, :1]).values():
        assert projection.points.shape == (n_notes, 2)
        assert np.isfinite(projection.points).all()


def test_classes_have_colours_in_their_order():
    pitches = colours_of("pitch", ["A", "C", "A"])
    assert list(pitches) == ["C", "A"] and len(set(pitches.values())) == 2
    octaves = colours_of("octave", ["5", "3", "4"])
    assert list(octaves) == ["3", "4", "5"] and octaves == colours_of("octave", ["3", "4", "5"])
    assert octaves["3"] == colours_of("octave", ["3", "6"])["3"]  # the whole scale for any range
    assert list(colours_of("instrument", ["Violin", "Flute"])) == ["Violin", "Flute"]


def test_notes_of_a_data_set_are_spread_over_their_labels(context):
    own = context.data.notes_of("Flute")
    notes = data_notes(context, own[::-1], 4)
    assert len(notes) == 4 and len(data_notes(context, own, 999)) == len(own)
    assert notes[0].title.startswith("Flute C4") and notes[-1].title.startswith("Flute A4")
    for note in notes:
        assert list(note.classes) == ["octave", "pitch", "dynamics", "part of the split"]
        assert note.classes["pitch"] in CLASS_NAMES["pitch"]
        assert note.magnitudes.shape[1] == context.data.config.n_bins


def test_a_map_has_a_sound_and_a_place_for_each_note(context):
    notes = data_notes(context, context.data.notes_of("Flute"), 5)
    found = latent_map(context.run, notes, "Flute")
    content = found.content
    assert content["notes"] == [note.title for note in notes]
    peaks = []
    for sound in found.sounds:
        audio, rate = soundfile.read(io.BytesIO(sound))
        assert rate == context.run.front_end.sample_rate
        assert 0 < len(audio) / rate <= MapConfig.seconds + 0.1
        peaks.append(np.abs(audio).max())
    assert 20 * np.log10(max(peaks)) == pytest.approx(MapConfig.peak_dbfs, abs=1)
    for label, colours in content["colours"].items():
        names = [colours["classes"][index]["name"] for index in colours["of"]]
        assert names == [note.classes[label] for note in notes]
    assert {len(own["points"]) for own in content["projections"].values()} == {5}


def test_notes_of_a_recording_are_those_read_from_it(context):
    frames = torch.from_numpy(context.data.frames(slice(0, 40)).copy())
    step = context.run.front_end.frame_seconds
    tracks = [Track("Flute", 73, (Note(2 * step, 5 * step, 69, 90), Note(39 * step, 99, 60, 13)))]
    spectra = RecordingSpectra(frames, 0.0)
    first, last = recorded_notes(context.run, "take", spectra, tracks, MapConfig())
    assert first.title == "Flute A4 f, take" and first.classes["recording"] == "take"
    assert len(first.magnitudes) == 3 and len(last.magnitudes) == 1
    loudest = float(frames.max())
    assert torch.allclose(
        first.magnitudes * loudest / context.run.scaler.reference, frames[2:5], rtol=1e-4
    )
