"""SFZ instruments: regions become notes, played as a sampler plays them."""

import numpy as np
import pytest
import soundfile
from builder_helpers import labels_of, run, statuses_of, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from lt.build.discover import index_sources
from lt.build.extract import extract
from lt.build.notes import Playback
from lt.build.sfz import MOST_FILES, read_sfz
from lt.config import BuildConfig, SpectralConfig
from lt.data.dataset import read_data_set
from lt.data.originals import note_audio


def instrument(folder, text, name="kalimba.sfz", encoding="utf-8"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding=encoding)
    return folder / name


def indexed(path, **flags):
    return index_sources([path], BuildConfig(**flags))


def labels(manifest):
    return [(note.note_number, note.dynamics) for note in manifest.notes]


# --- the text -------------------------------------------------------------------------------------


def test_headers_inherit_and_end_one_another(tmp_path):
    path = instrument(
        tmp_path,
        "<control> default_path=a/ <global> volume=1 tune=5 <master> tune=6 <group> tune=7\n"
        "<region> sample=x y.wav key=c4 <region> sample=z.wav tune=8 // <region>\n"
        "<master> <region> sample=w.wav /* <region>\n <region> */ <global> <region> pan=3 key=61",
    )
    first, second, third, fourth = read_sfz(path).regions
    assert first["sample"] == "x y.wav" and first["pitch_keycenter"] == "c4"
    assert [region["tune"] for region in (first, second, third)] == ["7", "8", "5"]
    assert fourth == {"default_path": "a/"} | dict.fromkeys(
        ("lokey", "hikey", "pitch_keycenter"), "61"
    )


def test_files_are_included_and_names_replaced_by_the_longest_that_is_defined(tmp_path):
    instrument(tmp_path / "parts", "#define $KEY 60\n#define $KEYS 61\n", "keys.txt")
    instrument(tmp_path, "<region> key=$KEYS sample=$KEY.wav\n", "regions.sfz")
    path = instrument(tmp_path, '#include "parts\\keys.txt"\n<group> #include "regions.sfz"')
    text = read_sfz(path)
    assert text.regions[0]["lokey"] == "61" and text.regions[0]["sample"] == "60.wav"
    assert text.files == ["kalimba.sfz", "parts/keys.txt", "regions.sfz"]


@pytest.mark.parametrize(
    "text, words",
    [
        ('#include "kalimba.sfz"', "too many"),
        ('#include "nothing.sfz"', "nothing.sfz is no file"),
        ("".join(f"#define $A{n} {f'$A{n - 1}' * 10}\n" for n in range(1, 40)), "too long"),
        ("<group> sample=a.wav", "no <region>"),
    ],
)
def test_an_instrument_that_cannot_be_read_is_one_sentence(tmp_path, text, words):
    path = instrument(tmp_path, "#define $A0 0123456789\n" + text)
    code, _, stderr = run(path, "--dry_run", 1)
    assert code == 1 and words in stderr and stderr.count("\n") == 1


@pytest.mark.fault("malformed input")
@settings(max_examples=100, deadline=None)
@given(st.text('<>region sample=key$#/*"\n6cA.\\', max_size=200), st.binary(max_size=30))
def test_any_text_is_read_or_refused(tmp_path_factory, text, more):
    path = tmp_path_factory.mktemp("sfz") / "x.sfz"
    path.write_bytes(b"<region> sample=" + text.encode() + more)
    try:
        indexed(path)
    except (ValueError, OSError):
        pass


# --- regions --------------------------------------------------------------------------------------


def test_a_region_gives_its_keys_at_the_dynamics_of_its_velocities(tmp_path):
    tone(tmp_path / "Samples" / "a.wav", "C4")
    path = instrument(
        tmp_path,
        "<control> default_path=samples\\ <region> sample=A.WAV lokey=b3 hikey=61 "
        "pitch_keycenter=60 lovel=60 hivel=127 <region> sample=a.wav key=62 lovel=20 hivel=30",
    )
    manifest = indexed(path)
    assert labels(manifest) == [(key, d) for key in (59, 60, 61) for d in (2, 3, 4)] + [(62, 0)]
    assert {note.instrument for note in manifest.notes} == {"Kalimba"}
    playbacks = [note.location.playback for note in manifest.notes]
    assert [p.cents for p in playbacks[::3]] == [-100, 0, 100, 0]
    assert playbacks[2].gain_db == pytest.approx(40 * np.log10(115 / 127), abs=0.01)
    assert not manifest.skipped and manifest.index_files == (f"{tmp_path.name}/kalimba.sfz",)


@pytest.mark.parametrize(
    "opcodes, words",
    [
        ("sample=*sine", "without a sample"),
        ("sample=none.wav", "no such file"),
        ("sample=a.wav trigger=release", "another trigger than attack (release)"),
        ("sample=a.wav end=-1", "never played"),
        ("sample=a.wav sw_last=25 sw_default=24", "another articulation"),
        ("sample=a.wav locc64=64", "needs controller 64"),
        ("sample=a.wav on_locc64=64", "played by a controller"),
        ("sample=a.wav pitch_keytrack=0", "does not follow the keys"),
        ("sample=a.wav lokey=100", "no keys within 12 semitones"),
        ("sample=a.wav lokey=-1 hikey=-1", "no keys"),
        ("sample=a.wav lovel=80 hivel=70", "no velocities"),
        ("sample=a.wav tune=wide", "'wide' is no tune"),
        ("sample=a.wav transpose=99", "shifted by"),
        ("sample=a.wav volume=-1000", "played at -10"),
        ("sample=a.wav offset=9 end=3", "ends before it begins"),
        ("sample=a.wav lokey=c99", "no keys"),
    ],
)
def test_a_region_that_is_no_note_is_skipped_with_its_reason(tmp_path, opcodes, words):
    tone(tmp_path / "a.wav", "C4")
    path = instrument(tmp_path, f"<region> {opcodes} <region> sample=a.wav key=60")
    manifest = indexed(path)
    assert {note.note_number for note in manifest.notes} == {60}
    assert words in manifest.skipped[0].reason


def test_controllers_and_key_switches_stand_where_the_instrument_sets_them(tmp_path):
    tone(tmp_path / "a.wav", "C4")
    path = instrument(
        tmp_path,
        "<control> set_cc1=90 <global> key=60 hivel=20 sw_last=24\n"
        "<region> sample=a.wav locc1=64 <region> sample=a.wav locc11=127 tune=1\n"
        "<region> sample=a.wav sw_last=25 tune=2 <region> sample=a.wav hicc1=63 tune=3",
    )
    assert [note.location.playback.cents for note in indexed(path).notes] == [0, 1]


def test_offsets_of_keys_and_the_stretch_limit_move_what_is_used(tmp_path):
    tone(tmp_path / "a.wav", "C4")
    path = instrument(
        tmp_path,
        "<control> note_offset=-2 octave_offset=1 <region> sample=a.wav hivel=20 lokey=40 "
        "hikey=80 pitch_keycenter=60",
    )
    assert [number for number, _ in labels(indexed(path, stretch=1.0))] == [69, 70, 71]
    assert [number for number, _ in labels(indexed(path, stretch=0.0))] == [70]


def test_a_level_that_velocity_does_not_change_is_one_note(tmp_path):
    tone(tmp_path / "a.wav", "C4")
    path = instrument(tmp_path, "<region> sample=a.wav key=60 amp_veltrack=0")
    (note,) = indexed(path).notes
    assert note.dynamics == 2 and note.location.playback == Playback()


# --- sound ----------------------------------------------------------------------------------------


def test_samples_are_played_at_the_pitch_of_their_keys(tmp_path):
    """Whatever its rate, a sample that is 30 cents flat and is tuned by as much is in tune."""
    tone(tmp_path / "a.wav", "C4", sample_rate=44100, seconds=0.6, cents=-30)
    path = instrument(
        tmp_path, "<region> sample=a.wav lokey=58 hikey=65 pitch_keycenter=60 tune=30 volume=-6"
    )
    code, _, stderr = run(path, "--output", tmp_path / "x.npz", "--dynamics", "f", "ff")
    assert code == 0, stderr
    data = read_data_set(tmp_path / "x.npz")
    assert len(data.lengths) == 16 and np.abs(data.notes.cents).max() < 3
    loudest = [data.peaks[data.rows(n)].max() for n in range(2)]
    assert 20 * np.log10(loudest[1] / loudest[0]) == pytest.approx(40 * np.log10(115 / 90), abs=0.1)
    assert note_audio(data, 1, [tmp_path.parent]) is not None
    assert all(key[0] == "Kalimba" for key in labels_of(tmp_path / "x.npz").values())


def test_offset_and_end_cut_one_sample_into_several(tmp_path):
    sound = np.concatenate(
        [soundfile.read(tone(tmp_path / "t.wav", name, 0.5))[0] for name in ("C4", "E4")]
    )
    soundfile.write(tmp_path / "both.wav", sound, 22050)
    (tmp_path / "t.wav").unlink()
    half = len(sound) // 2
    path = instrument(
        tmp_path,
        f"<global> sample=both.wav hivel=20 <region> key=60 end={half - 1}\n"
        f"<region> key=64 offset={half}",
    )
    features = extract(indexed(path).notes, SpectralConfig())
    assert [note.reason for note in features.notes] == ["", ""]
    assert max(abs(note.cents) for note in features.notes) < 3


def test_a_folder_with_instruments_gives_all_of_them(tmp_path):
    tone(tmp_path / "s" / "C4.wav", "C4")
    tone(tmp_path / "s" / "unused.wav", "C4")
    instrument(tmp_path / "s", "<region> sample=C4.wav key=60 hivel=20", "part.sfz")
    instrument(tmp_path / "s", '#include "part.sfz"', "Flute.sfz")
    instrument(tmp_path / "s", "<region> sample=C4.wav key=60 hivel=20 tune=1", "oboe.sfz")
    code, _, stderr = run(tmp_path / "s", "--output", tmp_path / "x.npz")
    assert code == 0, stderr
    assert {label[0] for label in labels_of(tmp_path / "x.npz").values()} == {"Flute", "Oboe"}
    statuses = statuses_of(tmp_path / "x.npz")
    assert statuses["s/unused.wav"] == ("skipped", "not played by the instrument")
    assert statuses["s/part.sfz"][0] == "index" and MOST_FILES > 100
