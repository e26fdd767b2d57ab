"""File names of published collections are read, or refused with a reason."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from builder_helpers import (
    build_at,
    labels_of,
    statuses_of,
    tone,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from lt.build.discover import index_sources
from lt.build.filenames import parse_philharmonia, parse_tinysol
from lt.build.vocabulary import dynamics_class, instrument_name, note_number_of
from lt.config import BuildConfig, TrimConfig
from lt.data.dataset import read_data_set
from lt.labels import DYNAMICS_NAMES, PITCH_NAMES, note_name_to_number

PITCHES = st.sampled_from(PITCH_NAMES)


UNHURRIED = settings(deadline=None)  # other work on the machine shall fail no test


@UNHURRIED
@given(
    pitch=PITCHES,
    octave=st.integers(0, 8),
    dynamics=st.sampled_from(("pp", "mf", "ff")),
    instrument=st.sampled_from(("Fl", "ASax", "TpC", "Vn", "ClBb", "Acc")),
    instance=st.sampled_from(("N", "1c", "alt2")),
)
def test_tinysol_names_are_read(pitch, octave, dynamics, instrument, instance):
    description = parse_tinysol(
        f"Winds/X/ordinario/{instrument}-ord-{pitch}{octave}-{dynamics}-{instance}-T14d.wav"
    )
    assert note_number_of(description.note) == note_name_to_number(f"{pitch}{octave}")
    assert (instrument_name(description.instrument), dynamics_class(description.dynamics)) == (
        {
            "Fl": "Flute",
            "ASax": "Alto-Sax",
            "TpC": "Trumpet-C",
            "Vn": "Violin",
            "ClBb": "Clarinet-Bb",
            "Acc": "Accordion",
        }[instrument],
        DYNAMICS_NAMES.index(dynamics),
    )


@UNHURRIED
@given(
    pitch=PITCHES,
    octave=st.integers(0, 8),
    length=st.sampled_from(("025", "05", "1", "15", "long", "very-long")),
    dynamics=st.sampled_from(
        ("pianissimo", "piano", "mezzo-piano", "mezzo-forte", "forte", "fortissimo")
    ),
)
def test_philharmonia_names_are_read(pitch, octave, length, dynamics):
    description = parse_philharmonia(
        f"deep/er/cor anglais_{pitch.replace('#', 's')}{octave}_{length}_{dynamics}_normal.mp3"
    )
    assert note_number_of(description.note) == note_name_to_number(f"{pitch}{octave}")
    assert instrument_name(description.instrument) == "English-Horn"
    assert (
        dynamics_class(description.dynamics)
        == [0, 1, 2, 2, 3, 4][
            ("pianissimo", "piano", "mezzo-piano", "mezzo-forte", "forte", "fortissimo").index(
                dynamics
            )
        ]
    )


@pytest.mark.fault("malformed input")
@UNHURRIED
@given(st.text(max_size=30))
def test_any_name_is_read_or_refused_with_a_reason(name):
    for reader in (
        parse_tinysol,
        parse_philharmonia,
        instrument_name,
        note_number_of,
        dynamics_class,
    ):
        try:
            reader(name)
        except ValueError as reason:
            assert str(reason)


def test_tinysol_as_unpacked_with_folds(tmp_path):
    root = tmp_path / "Tiny SOL ü"
    names = {
        "Winds/Flute/ordinario/Fl-ord-C#4-mf-N-T14d.wav": ("Flute", 4, 1, 2),
        "Winds/Sax_Alto/ordinario/ASax-ord-A3-pp-N-N.wav": ("Alto-Sax", 3, 9, 0),
        "Strings/Violin/ordinario/Vn-ord-G#5-ff-1c-R100u.wav": ("Violin", 5, 8, 4),
    }
    for name in names:
        tone(root / name, Path(name).name.split("-")[2])
    tone(root / "Winds/Flute/flatterzunge/Fl-flatt-C4-mf-N-N.wav", "C4")
    tone(root / "Winds/Flute+sordina/ordinario/Fl+S-ord-C4-mf-N-N.wav", "C4")
    (root / "TinySOL_metadata.csv").write_text(
        "Path,Fold,Family\n" + "".join(f"{name},{fold},X\n" for fold, name in enumerate(names))
    )
    output = build_at(root, tmp_path)
    assert labels_of(output) == {f"{root.name}/{name}": labels for name, labels in names.items()}
    data = read_data_set(output)
    folds = dict(zip(map(str, data.notes.sources), data.notes.fold.tolist(), strict=True))
    assert folds == {f"{root.name}/{name}": fold for fold, name in enumerate(names)}
    found = [status for status, _ in statuses_of(output).values()]
    assert sorted(found) == ["index", "skipped", "skipped", "used", "used", "used"]


def test_philharmonia_with_everything_that_goes_wrong(tmp_path):
    root = tmp_path / "flute #1"
    tone(root / "flute_As4_05_forte_normal.wav", "A#4", silence=0.5)
    tone(root / "flute_As4_1_forte_normal.wav", "A#4", level=0.1, channels=2)
    tone(root / "flute_C5_1_mezzo-piano_normal.flac", "C5", sample_rate=96000)
    skips = {
        "flute_C5_phrase_mezzo-forte_nonlegato.wav": "a phrase",
        "flute_C5_1_crescendo_normal.wav": "change",
        "flute_D5_1_forte_tremolo.wav": "articulation",
        "notes about it.txt": "not a sound file",
        "._flute_C5_1_forte_normal.wav": "hidden",
        "flute_C5_1_loud_normal.wav": "no dynamics",
        "flute_H4_1_forte_normal.wav": "its name is not",
        "flute_G9_1_forte_normal.wav": "outside C0-B8",
        "flute_D5_05_forte_normal.wav": "empty",
        "flute_E5_05_forte_normal.wav": "not a sound file that can be",
        "flute_F5_05_forte_normal.wav": "silent",
        "flute_G5_05_forte_normal.wav": "shorter",
    }
    for name in skips:
        (root / name).write_text(
            "text that no player wrote" if not name.startswith("flute_D5_05") else ""
        )
    soundfile.write(root / "flute_F5_05_forte_normal.wav", np.zeros(9000), 22050)
    tone(root / "flute_G5_05_forte_normal.wav", "G5", seconds=0.03, silence=0.2)
    output = build_at(root, tmp_path)
    statuses = {Path(file).name: row for file, row in statuses_of(output).items()}
    assert len(statuses) == len(skips) + 3
    for name, reason in skips.items():
        assert statuses[name][0] == "skipped" and reason in statuses[name][1], (
            name,
            statuses[name],
        )
    assert set(labels_of(output).values()) == {("Flute", 4, 10, 3), ("Flute", 5, 0, 2)}
    data = read_data_set(output)
    assert len(set(data.notes.group[:2].tolist())) == 1 and len(set(data.notes.group.tolist())) == 2
    first, second = (data.peaks[data.starts[n] : data.starts[n + 1]].max() for n in (0, 1))
    assert first / second == pytest.approx(3, rel=0.02)  # the level is kept
    frame = data.config.frame_seconds
    kept = TrimConfig.lead_frames * frame + 0.4 + TrimConfig.pad_seconds
    assert data.lengths[0] * frame == pytest.approx(kept, abs=2 * frame)


@pytest.mark.parametrize(
    "content",
    [
        b"Path,Fold\na.wav," + b"9" * 20,
        b"Path,Fold\na\xff.wav,1",
        b"Path,Fold\n" + b"a" * 200_000 + b",1",
    ],
)
def test_folds_that_cannot_be_read_are_an_error_that_names_the_file(tmp_path, content):
    tone(tmp_path / "s" / "Fl-ord-C4-mf-N-T14d.wav", "C4")
    (tmp_path / "s" / "TinySOL_metadata.csv").write_bytes(content)
    with pytest.raises(ValueError, match="TinySOL_metadata.csv"):
        index_sources([tmp_path / "s"], BuildConfig(kind="tinysol"))


# --- sampled instruments --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "numbers, dynamics",
    [
        ((4, 8, 10, 13), (1, 2, 3, 4)),
        ((1, 2, 3, 4, 5), (0, 1, 2, 3, 4)),
        ((1, 16), (0, 4)),
        ((0, 1), (1, 3)),
        ((1,), (2,)),
        ((13, 39, 64, 90, 115), (0, 1, 2, 3, 4)),  # MIDI velocities
    ],
)
def test_layers_divide_the_dynamics_evenly(tmp_path, numbers, dynamics):
    for number in numbers:
        tone(tmp_path / "Grand Piano" / f"D#4v{number}.wav", "D#4")
    notes = index_sources([tmp_path / "Grand Piano"], BuildConfig()).notes
    assert {note.note_number for note in notes} == {63}
    assert {note.instrument for note in notes} == {"Piano"}
    found = {note.file.partition("v")[2]: note.dynamics for note in notes}
    assert found == {f"{number}.wav": d for number, d in zip(numbers, dynamics)}


@pytest.mark.parametrize(
    "name, label",
    [
        ("Bb3v1.wav", ("Flute", 58)),
        ("Cs4-v1_rr2.wav", ("Flute", 61)),
        ("Upright Bass_E2_vel1.flac", ("Upright-Bass", 40)),
        ("bb3v1.wav", ("Flute", 58)),
        ("A4v200.wav", None),
        ("A4.wav", None),
    ],
)
def test_layer_names(tmp_path, name, label):
    tone(tmp_path / "s" / "flute" / "A4v1.wav", "A4")
    tone(tmp_path / "s" / "flute" / name, "A4")
    manifest = index_sources([tmp_path / "s"], BuildConfig())
    found = {Path(note.file).name: (note.instrument, note.note_number) for note in manifest.notes}
    assert found.get(name) == label and len(manifest.notes) + len(manifest.skipped) == 2


def test_layers_of_no_named_instrument_ask_for_its_name(tmp_path):
    tone(tmp_path / "s" / "A4v1.wav", "A4")
    manifest = index_sources([tmp_path / "s"], BuildConfig())
    assert not manifest.notes and "--instrument Flute" in manifest.skipped[0].reason
    (note,) = index_sources([tmp_path / "s"], BuildConfig(instrument="Harp")).notes
    assert note.instrument == "Harp"


@pytest.mark.parametrize(
    "name, label",
    [
        ("C4.wav", ("Violoncello", 60, "mf")),
        ("Bb3_ff.wav", ("Violoncello", 58, "ff")),
        ("viola_Cs4_p_2.wav", ("Viola", 61, "p")),
        ("F#2 (3).wav", ("Violoncello", 42, "mf")),
        ("C4_loud.wav", None),
        ("take 4.wav", None),
    ],
)
def test_recordings_named_by_their_notes(tmp_path, name, label):
    tone(tmp_path / "s" / "A4.wav", "A4")
    tone(tmp_path / "s" / name, "A4")
    config = BuildConfig(instrument="cello", default_dynamics="mf")
    manifest = index_sources([tmp_path / "s"], config)
    found = {
        Path(note.file).name: (note.instrument, note.note_number, DYNAMICS_NAMES[note.dynamics])
        for note in manifest.notes
    }
    assert found.get(name) == label and found["A4.wav"] == ("Violoncello", 69, "mf")
    assert len(manifest.notes) + len(manifest.skipped) == 2


def test_recordings_named_by_their_notes_ask_for_what_is_not_named(tmp_path):
    tone(tmp_path / "s" / "A4.wav", "A4")
    for config, flag in (({}, "--instrument"), ({"instrument": "cello"}, "--default_dynamics")):
        (skipped,) = index_sources([tmp_path / "s"], BuildConfig(**config)).skipped
        assert flag in skipped.reason
