"""Mixtures of recordings (bench/mix_sets.py): equal RMS, and the notes of all instruments."""

import numpy as np
import pytest
from click.testing import CliRunner

from bench.mix_sets import main, mixed
from lt.audio.io import SAMPLE_RATE, read_audio, write_audio
from lt.midi import Note, Track, read_midi, write_midi


def a_set(folder, name, program, hertz, level, seconds):
    for number in (1, 3):
        times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        audio = (level * np.sin(2 * np.pi * hertz * times)).astype(np.float32)
        folder.mkdir(exist_ok=True)
        write_audio(folder / f"{name}-{number}.wav", audio)
        notes = (Note(0.0, seconds, 60 + number, 64),)
        write_midi(folder / f"{name}-{number}-lined.mid", [Track(name, program, notes)])
    return folder


def test_recordings_of_one_number_are_added_with_their_notes(tmp_path):
    loud = a_set(tmp_path / "loud", "Piano", 0, 440.0, 0.5, 1.0)
    soft = a_set(tmp_path / "soft", "Violin", 40, 1000.0, 0.01, 0.5)
    (soft / "Violin-3.wav").unlink()
    output = tmp_path / "mixtures"
    arguments = [str(loud), str(soft), "--output", str(output)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert [path.name for path in sorted(output.rglob("*.wav"))] == ["1.wav"]
    tracks = read_midi(output / "Aligned_files/mid_files/1-lined.mid")
    assert [(track.program, track.notes[0].note_number) for track in tracks] == [(0, 61), (40, 61)]
    audio = read_audio(output / "Recordings/1.wav")
    assert len(audio) == SAMPLE_RATE and np.abs(audio).max() == pytest.approx(0.5, abs=1e-3)
    spectrum = np.abs(np.fft.rfft(audio))
    # half as long at the same RMS of its own length
    assert spectrum[1000] / spectrum[440] == pytest.approx(0.5, rel=0.02)
    assert CliRunner().invoke(main, arguments).exit_code == 1  # nothing is overwritten


def test_silence_cannot_be_mixed():
    with pytest.raises(ValueError, match="silent"):
        mixed([np.zeros(10), np.ones(10)])
