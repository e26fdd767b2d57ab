"""Melodies made of single notes (bench/make_tunes.py): their MIDI agrees with their sound, and a
seed fixes both.
"""

import numpy as np
import pytest
from builder_helpers import tone
from click.testing import CliRunner

from bench import make_tunes
from lt.audio.io import SAMPLE_RATE, read_audio, write_audio
from lt.audio.soundfont import embedded_font
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
        assert len(played) == make_tunes.NOTES_PER_TUNE
        for note, following in zip(played, [*played[1:], None]):
            begin, end = (round(time * SAMPLE_RATE) for time in (note.onset, note.offset))
            inside = np.abs(audio[begin:end]).max()
            assert np.abs(audio[begin + 200 : end - 200]).max() > 0.9 * inside
            faded = end + round(make_tunes.STYLES["detached"].fade_seconds * SAMPLE_RATE)
            if following:
                gap = slice(faded, round(following.onset * SAMPLE_RATE) - 130)
                assert np.abs(audio[gap]).max(initial=0.0) < 0.01 * inside


def test_labels_do_not_depend_on_the_thresholds_of_the_decoder(tmp_path):
    """Quickly to a fifth of the peak, slowly to the peak: the onset is where the amplitude rises
    steepest, not where it is a quarter of the peak; the offset is where the note is cut.
    """
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    envelope = 0.2 / (1 + np.exp(-(times - 0.05) / 0.005)) + 0.8 * times
    silence = np.zeros(SAMPLE_RATE // 2)
    audio = np.concatenate([silence, envelope * np.sin(2 * np.pi * 440 * times), silence])
    write_audio(tmp_path / "flute_A4_1_forte_normal.wav", audio.astype(np.float32) * 0.5)
    source = index_sources([tmp_path], BuildConfig()).notes[0]
    onset = make_tunes.span_of(source, make_tunes.audio_of(source)).start
    assert onset / SAMPLE_RATE == pytest.approx(0.55, abs=0.01)
    excerpt = make_tunes.excerpt_of(source, 0.6, 0.05)
    assert excerpt.onset == round(make_tunes.LEAD_SECONDS * SAMPLE_RATE)
    assert excerpt.offset - excerpt.onset == round(0.6 * SAMPLE_RATE)
    assert np.abs(excerpt.audio).argmax() == pytest.approx(excerpt.offset, abs=60)


def test_a_rendered_note_lasts_from_note_on_to_note_off():
    source = index_sources([embedded_font()], BuildConfig(instruments=("Flute",))).notes[0]
    excerpt = make_tunes.excerpt_of(source, 100.0, 0.15)
    assert excerpt.onset == 0
    assert excerpt.offset == round(source.location.seconds * SAMPLE_RATE)
    assert len(excerpt.audio) <= excerpt.offset + round(0.15 * SAMPLE_RATE)


def test_a_set_can_be_made_of_a_font(tmp_path):
    arguments = (embedded_font(), "--n_tunes", 1, "--output", tmp_path / "set")
    assert lay(*arguments).exit_code == 0
    ((audio, played),) = set_at(tmp_path / "set").values()
    assert len(played) and np.abs(audio).max() > 0.01


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
        tune for name in "abc" for tune in set_at(tmp_path / name).values()
    )
    assert np.array_equal(first, again) and not np.array_equal(
        first[: len(other)], other[: len(first)]
    )
    for number in {note.note_number for note in played}:
        same = [note for note in played if note.note_number == number]
        assert all(note.offset <= after.onset + 2e-3 for note, after in zip(same, same[1:]))


def test_a_room_sounds_on_after_the_direct_sound_which_stays_as_it_is():
    rng, audio = np.random.default_rng(0), np.zeros(SAMPLE_RATE, np.float32)
    audio[1000] = 1.0
    heard = make_tunes.in_room(audio, rng)
    direct, reflections = heard[1000], heard[1001:]
    assert direct == pytest.approx(1.0, abs=1e-6) and not heard[:1000].round(6).any()
    energy = 10 * np.log10(np.square(reflections).sum())
    low, high = make_tunes.DIRECT_DB
    assert -high - 1e-6 <= energy <= -low + 1e-6
    half = len(reflections) // 8
    assert np.square(reflections[:half]).sum() > np.square(reflections[half:]).sum()


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


def test_a_font_plays_velocities_between_the_bounds_and_a_recording_has_its_own(notes, tmp_path):
    font = embedded_font()
    flags = ("--n_tunes", 1, "--velocities", 20, 120, "--output")
    assert lay(font, *flags, tmp_path / "set").exit_code == 0
    ((_, played),) = set_at(tmp_path / "set").values()
    velocities = [note.velocity for note in played]
    assert min(velocities) >= 20 and max(velocities) <= 120 and len(set(velocities)) > 12
    result = lay(notes, *flags, tmp_path / "recorded")
    assert isinstance(result.exception, ValueError) or "is a recording" in result.output
