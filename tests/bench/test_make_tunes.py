"""Tunes laid together from single notes (bench/make_tunes.py): their MIDI is true to their sound,
and repeats by seed.
"""

import numpy as np
import pytest
from builder_helpers import tone
from click.testing import CliRunner

from bench import make_tunes
from lt.audio.io import SAMPLE_RATE, read_audio
from lt.build.discover import index_sources
from lt.config import BuildConfig
from lt.midi import read_midi

NOTES = ("A4", "B4", "C5", "D5", "E5")


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    root = tmp_path_factory.mktemp("notes")
    for note in NOTES:
        for word, level in (("piano", 0.05), ("forte", 0.3)):
            tone(
                root / f"flute_{note}_1_{word}_normal.wav",
                note,
                seconds=1.0,
                level=level,
                silence=0.2,
            )
    return root


def lay(*arguments):
    return CliRunner().invoke(make_tunes.main, list(map(str, arguments)))


def set_at(output):
    """Sound and notes of each tune, by stem."""
    return {
        path.stem: (
            read_audio(path),
            [
                note
                for track in read_midi(
                    output / "Aligned_files" / "mid_files" / f"{path.stem}-lined.mid"
                )
                for note in track.notes
            ],
        )
        for path in sorted((output / "Recordings").glob("*.wav"))
    }


def test_sound_begins_and_ends_where_the_midi_says(notes, tmp_path):
    assert (
        lay(notes, "--styles", "detached", "--n_tunes", 2, "--output", tmp_path / "set").exit_code
        == 0
    )
    for audio, played in set_at(tmp_path / "set").values():
        assert len(played) == make_tunes.NOTES_A_TUNE
        for note, following in zip(played, [*played[1:], None]):
            begin, end = (round(time * SAMPLE_RATE) for time in (note.onset, note.offset))
            inside = np.abs(audio[begin:end]).max()
            assert np.abs(audio[begin + 200 : end - 1500]).max() > 0.9 * inside
            if following and following.onset - note.offset > 0.02:
                gap = slice(end + 200, round(following.onset * SAMPLE_RATE) - 400)
                assert np.abs(audio[gap]).max(initial=0.0) < 0.3 * inside


@pytest.mark.parametrize("style", list(make_tunes.STYLES))
def test_notes_of_one_number_are_apart_and_a_seed_says_all(notes, tmp_path, style):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert (
            lay(
                notes,
                "--styles",
                style,
                "--n_tunes",
                1,
                "--seed",
                seed,
                "--output",
                tmp_path / name,
            ).exit_code
            == 0
        )
    (first, played), (again, _), (other, _) = (
        *set_at(tmp_path / "a").values(),
        *set_at(tmp_path / "b").values(),
        *set_at(tmp_path / "c").values(),
    )
    assert np.array_equal(first, again) and not np.array_equal(
        first[: len(other)], other[: len(first)]
    )
    for number in {note.note_number for note in played}:
        same = [note for note in played if note.note_number == number]
        assert all(one.offset <= two.onset + 2e-3 for one, two in zip(same, same[1:]))


def test_halves_share_no_note(notes):
    sources = index_sources([notes], BuildConfig()).notes
    even, odd = (
        {(note.note_number, note.dynamics) for note in make_tunes.notes_of(sources, "Flute", half)}
        for half in ("even", "odd")
    )
    assert len(even) == len(odd) == len(NOTES) and not even & odd


def test_tunes_are_not_laid_among_others(notes, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("mine")
    result = lay(notes, "--output", tmp_path / "set")
    assert result.exit_code == 1 and "is there already" in result.stderr
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["mine.txt"]
