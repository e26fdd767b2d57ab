"""The audio of a note is found again, unless its source has changed."""

import numpy as np
import pytest
import soundfile
import torch
from analysis_helpers import RATE, harmonic, set_of_recordings
from builder_helpers import notes_folder
from training_helpers import as_subframes

from lt.audio.features import audio_to_magnitudes
from lt.audio.filters import high_pass
from lt.audio.io import read_audio
from lt.audio.soundfont import SoundFont, embedded_font
from lt.build.builder import build_data_set
from lt.config import SpectralConfig
from lt.data.dataset import NoteTable, read_data_set, write_data_set
from lt.data.originals import note_audio


def test_a_recording_is_read_again_where_it_is_stored(tmp_path):
    data = set_of_recordings(tmp_path / "data", (60, 67))
    expected = high_pass(read_audio(tmp_path / "data" / data.notes.sources[4]), data.config)
    found = note_audio(data, 4)
    assert np.array_equal(found, expected[: len(found)]) and len(expected) - len(found) < RATE / 50
    (tmp_path / "data" / "collection").rename(tmp_path / "elsewhere")
    assert note_audio(data, 4) is None
    assert np.array_equal(note_audio(data, 4, [tmp_path / "elsewhere"]), found)


def test_a_recording_is_found_where_it_was_when_the_set_was_built(tmp_path):
    notes_folder(tmp_path / "far" / "away", ["A4"])
    build_data_set(tmp_path / "far" / "away", tmp_path / "data" / "set.npz", processes=1)
    data = read_data_set(tmp_path / "data" / "set.npz")
    assert note_audio(data, 0) is not None
    (tmp_path / "data" / "set.files.csv").write_text("file,status\naway/flute.wav,used\n")
    assert note_audio(data, 0) is None


def test_a_source_that_was_replaced_is_not_taken_for_the_note(tmp_path):
    data = set_of_recordings(tmp_path, (60, 67))
    path = tmp_path / data.notes.sources[4]
    soundfile.write(path, harmonic(68, 0.3), RATE)
    assert note_audio(data, 4) is None
    path.write_bytes(b"no sound")
    assert note_audio(data, 4) is None
    assert note_audio(data, 0) is not None


def test_notes_of_the_embedded_font_are_rendered_again(tmp_path):
    audio = high_pass(
        SoundFont(embedded_font()).render_note(73, 69, 64, 0.4, 0.2), SpectralConfig()
    )
    frames = audio_to_magnitudes(torch.from_numpy(audio)).numpy()
    table = NoteTable(
        np.array([[4, 9, 2]]),
        np.zeros(1, int),
        ("Flute",),
        np.zeros(1, int),
        np.full(1, -1),
        np.array([f"{embedded_font().name}:73:69:64"]),
    )
    built_from = {"kind": "font", "brightness": 1.0, "note_seconds": 0.4, "release_seconds": 0.2}
    write_data_set(
        tmp_path / "font.npz",
        [as_subframes(frames)],
        np.array([0, len(frames)]),
        table,
        SpectralConfig(),
        built_from,
    )
    found = note_audio(read_data_set(tmp_path / "font.npz"), 0)
    assert found == pytest.approx(audio, abs=1e-3)
