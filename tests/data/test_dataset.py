"""The data set file: written, read back and mapped in equal bytes; damaged files are refused."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from training_helpers import (
    NOTE_FRAMES,
    as_npy,
    as_subframes,
    as_version_2,
    tiny_magnitudes,
    tiny_notes,
    write_ageing_set,
    write_tiny_set,
)

from lt.config import RunConfig, SpectralConfig
from lt.data.dataset import (
    ALIGNMENT,
    VERSION,
    NoteTable,
    read_data_set,
    write_data_set,
)
from lt.data.splits import split_data
from lt.labels import FIRST_LEAD_AGE, LEAD_AGES, ONSET_AGES, age_class


@pytest.fixture(scope="module")
def data(tiny_set):
    return read_data_set(tiny_set)


def test_what_is_written_is_read(data):
    notes = tiny_notes()
    np.testing.assert_array_equal(data.frames(slice(None)), tiny_magnitudes(notes))
    np.testing.assert_array_equal(data.peaks, tiny_magnitudes(notes).max(axis=1))
    for name in ("labels", "instrument", "group", "fold", "sources"):
        np.testing.assert_array_equal(getattr(data.notes, name), getattr(notes, name))
    assert data.notes.instruments == notes.instruments
    assert data.config == SpectralConfig()
    assert set(data.lengths) == {NOTE_FRAMES}


def test_numpy_reads_it_without_pickle(tiny_set):
    with np.load(tiny_set, allow_pickle=False) as members:
        assert members["magnitudes"].shape == (360, SpectralConfig().subframes, 410)
        assert json.loads(str(members["settings"]))["version"] == VERSION


def test_magnitudes_are_mapped_and_aligned(data):
    assert isinstance(data.magnitudes, np.memmap)
    assert data.magnitudes.offset % ALIGNMENT == 0
    with pytest.raises(ValueError, match="read-only"):
        data.magnitudes[0, 0, 0] = 1


def test_equal_content_gives_equal_bytes_however_it_is_cut(tmp_path, tiny_set):
    notes, magnitudes = tiny_notes(), tiny_magnitudes(tiny_notes())
    starts = np.arange(len(notes.labels) + 1) * NOTE_FRAMES
    write_data_set(
        tmp_path / "cut.npz",
        np.array_split(as_subframes(magnitudes), 7),
        starts,
        notes,
        SpectralConfig(),
        {"kind": "test"},
    )
    assert (tmp_path / "cut.npz").read_bytes() == tiny_set.read_bytes()


def test_the_fingerprint_is_of_the_content(tmp_path, data):
    other = read_data_set(
        write_tiny_set(tmp_path / "other.npz", tiny_magnitudes(tiny_notes(), seed=1))
    )
    assert other.fingerprint != data.fingerprint
    assert read_data_set(write_tiny_set(tmp_path / "same.npz")).fingerprint == data.fingerprint


def test_zip_checksums_are_right(tiny_set):
    with zipfile.ZipFile(tiny_set) as archive:
        assert archive.testzip() is None


@pytest.mark.parametrize(
    "frames, expected", [((), range(6)), ((2,), [2]), ((1, 3), [1, 2]), ((4, 99), [4, 5])]
)
def test_frames_in_range(data, frames, expected):
    found = data.frames_in_range(np.array([0, 3]), frames)
    assert list(found) == [*expected, *(18 + index for index in expected)]


@pytest.mark.parametrize("frames", [(6,), (6, 9)])
def test_no_frame_in_range(data, frames):
    assert len(data.frames_in_range(np.array([0, 3]), frames)) == 0


def test_silent_frames_are_known(data):
    assert (~data.sounding).sum() == len(data.lengths)  # the last frame of each tiny note
    assert not data.sounding[NOTE_FRAMES - 1 :: NOTE_FRAMES].any()


def test_a_frame_that_rings_neither_sounds_nor_is_silent(tmp_path):
    magnitudes = tiny_magnitudes(tiny_notes())
    for frame, level_db in (
        (3, -39.0),
        (4, -50.0),
        (5, -61.0),
    ):  # below the note's first, its loudest
        magnitudes[frame] = magnitudes[0] * 10 ** (level_db / 20)
    data = read_data_set(write_tiny_set(tmp_path / "ringing.npz", magnitudes))
    np.testing.assert_array_equal(
        data.sounding[:NOTE_FRAMES], [True, True, True, True, False, False]
    )
    np.testing.assert_array_equal(
        data.silent[:NOTE_FRAMES], [False, False, False, False, False, True]
    )
    split = split_data(data, RunConfig(instruments=("Flute",), frames=()))
    assert 4 not in np.concatenate([split.frames[part][0] for part in split.frames])


def test_instruments_are_found_by_name(data):
    assert list(data.notes_of("Violin")) == list(range(30, 60))
    with pytest.raises(ValueError, match="no instrument 'Tuba' .it has Flute, Violin."):
        data.notes_of("Tuba")


# --- damaged and foreign files --------------------------------------------------------------------


def rewritten(source, path, change):
    """A copy of a data set, uncompressed, with members changed: name -> bytes, or None to drop
    the member.
    """
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = change(name.removesuffix(".npy"), old.read(name))
            if content is not None:
                new.writestr(name, content)
    return path


def with_settings(**changes):
    def change(name, content):
        if name != "settings":
            return content
        settings = json.loads(str(np.load(io.BytesIO(content))))
        stream = io.BytesIO()
        np.save(stream, np.asarray(json.dumps({**settings, **changes})))
        return stream.getvalue()

    return change


def test_an_absent_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no data set at .*lt.builders"):
        read_data_set(tmp_path / "none.npz")


def test_a_file_cut_short(tmp_path, tiny_set):
    path = tmp_path / "cut.npz"
    path.write_bytes(tiny_set.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="cut.npz is damaged"):
        read_data_set(path)


@pytest.mark.fault("malformed input")
def test_damage_inside_a_table(tmp_path, tiny_set):
    content = bytearray(tiny_set.read_bytes())
    content[content.index(b"labels.npy") + 400] ^= 1
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(ValueError, match="bad.npz is damaged"):
        read_data_set(tmp_path / "bad.npz")


def test_bit_rot_in_the_magnitudes(tmp_path, tiny_set):
    content = bytearray(tiny_set.read_bytes())
    content[len(content) // 3] ^= 0xFF
    (tmp_path / "rotten.npz").write_bytes(content)
    with pytest.raises(ValueError, match="damaged.*magnitudes"):
        read_data_set(tmp_path / "rotten.npz")


def test_a_foreign_archive(tmp_path):
    np.savez(tmp_path / "foreign.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="no data set of this version .*magnitudes"):
        read_data_set(tmp_path / "foreign.npz")


def test_a_foreign_file(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ValueError, match="text.npz is damaged or no data set"):
        read_data_set(tmp_path / "text.npz")


def test_another_version(tmp_path, tiny_set):
    path = rewritten(tiny_set, tmp_path / "v9.npz", with_settings(version=9))
    with pytest.raises(ValueError, match="version 9, expected 3.: build it again"):
        read_data_set(path)


def test_one_changed_after_it_was_built(tmp_path, tiny_set):
    path = rewritten(
        tiny_set,
        tmp_path / "changed.npz",
        lambda name, content: content[:-4] + b"\0\0\0\1" if name == "magnitudes" else content,
    )
    with pytest.raises(ValueError, match="changed after it was built"):
        read_data_set(path)


def test_settings_that_are_none(tmp_path, tiny_set):
    path = rewritten(tiny_set, tmp_path / "odd.npz", with_settings(front_end={"fmin": 1, "odd": 2}))
    with pytest.raises(ValueError, match="settings of another version: odd"):
        read_data_set(path)


@pytest.mark.parametrize(
    "column, value, message",
    [("labels", 12, "outside its classes"), ("instrument", 2, "of no instrument")],
)
def test_labels_that_cannot_be(tmp_path, column, value, message):
    notes = tiny_notes()
    getattr(notes, column)[:1] = value
    with pytest.raises(ValueError, match=message):
        read_data_set(
            write_tiny_set(
                tmp_path / "odd.npz", notes=notes, magnitudes=tiny_magnitudes(tiny_notes())
            )
        )


def test_blocks_that_do_not_add_up_leave_nothing_behind(tmp_path):
    with pytest.raises(ValueError, match="expected 360 frames, got 1"):
        write_tiny_set(tmp_path / "short.npz", np.ones((1, 410), np.float32))
    assert list(tmp_path.iterdir()) == []


OBJECTS = as_npy(
    header={"descr": "|O", "fortran_order": False, "shape": (360, 410)}, body=b"A" * 8 * 360 * 410
)


@pytest.mark.fault("malformed input")
@pytest.mark.parametrize(
    "member, content",
    [
        ("magnitudes", OBJECTS),
        ("magnitudes", as_npy(np.ones((360, 410), np.float64))),
        ("magnitudes", as_npy(np.asfortranarray(np.ones((360, 410), np.float32)))),
        ("labels", as_npy(np.full((4, 3), 0.5))),
        ("labels", as_npy(np.full((4, 3), "A4"))),
        ("labels", as_npy(np.zeros(4, int))),
        ("starts", as_npy(np.array(5))),
        ("sources", as_npy(np.zeros(4, int))),
        ("fold", as_npy(np.zeros(60, int)).replace(b"}", b" ")),
    ],
)
def test_members_of_another_kind_are_refused(tmp_path, tiny_set, member, content):
    """Mapped objects would be pointers that the file's author chose: numpy's allow_pickle does not
    look at maps.
    """
    path = rewritten(
        tiny_set, tmp_path / "odd.npz", lambda name, old: content if name == member else old
    )
    with pytest.raises(ValueError, match="is damaged"):
        read_data_set(path)


@pytest.mark.fault("malformed input")
def test_a_compressed_set_is_refused_before_it_unfolds(tmp_path, tiny_set):
    with (
        zipfile.ZipFile(tiny_set) as old,
        zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(ValueError, match="members are compressed"):
        read_data_set(tmp_path / "x.npz")


@pytest.mark.parametrize(
    "front_end", [{"fmin": 0.0}, {"sample_rate": "22050"}, {"hop": [64]}, 5, {"fmin": 1e5}]
)
def test_a_front_end_that_cannot_be(tmp_path, tiny_set, front_end):
    with pytest.raises(ValueError, match="odd.npz is damaged or no data set"):
        read_data_set(rewritten(tiny_set, tmp_path / "odd.npz", with_settings(front_end=front_end)))


def test_magnitudes_that_are_none(tmp_path):
    for value in (np.nan, np.inf, -1.0):
        write_tiny_set(tmp_path / "x.npz", np.full((360, 410), value, np.float32))
        with pytest.raises(ValueError, match="negative, infinite or NaN"):
            read_data_set(tmp_path / "x.npz")


# --- subframes and times --------------------------------------------------------------------------

FINE = SpectralConfig(hop=44, subframes=4)


def write_fine_set(path, magnitudes, config=FINE, **columns):
    """A set of the tiny notes from magnitudes (frames, subframes, bins)."""
    notes = replace(tiny_notes(), **columns)
    starts = np.arange(len(notes.labels) + 1) * NOTE_FRAMES
    write_data_set(path, [magnitudes], starts, notes, config, {})
    return path


def test_a_model_frame_is_the_mean_of_its_subframes(tmp_path):
    random = np.random.default_rng(0)
    magnitudes = random.random((360, 4, 410)).astype(np.float32)
    data = read_data_set(write_fine_set(tmp_path / "fine.npz", magnitudes))
    np.testing.assert_array_equal(data.magnitudes, magnitudes)
    some = random.permutation(360)[:50]
    np.testing.assert_allclose(data.frames(some), magnitudes[some].mean(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(data.frames(data.rows(3)), data.frames(np.arange(18, 24)))
    np.testing.assert_array_equal(data.peaks, data.frames(slice(None)).max(axis=1))
    data.frames(slice(0, 1))[:] = 0  # a copy, whatever the number of subframes


@pytest.mark.parametrize("shape", [(360, 410), (360, 1, 410), (360, 4, 206), (360, 2, 410)])
def test_magnitudes_of_another_shape_are_not_written(tmp_path, shape):
    with pytest.raises(ValueError, match="expected 4 x 410 magnitudes a frame"):
        write_fine_set(tmp_path / "x.npz", np.ones(shape, np.float32))


def test_sets_of_version_2_are_read(tmp_path):
    magnitudes = tiny_magnitudes(tiny_notes())
    magnitudes[5] = 0.0  # the first note: silent, loud, fading out, silent
    source = write_fine_set(
        tmp_path / "new.npz", magnitudes[:, None], SpectralConfig(hop=64, subframes=1)
    )
    new, data = read_data_set(source), read_data_set(as_version_2(tmp_path / "old.npz", source))
    assert data.config == new.config and data.config.subframes == 1
    assert data.magnitudes.shape == (360, 1, 410)
    np.testing.assert_array_equal(data.frames(np.arange(360)), magnitudes)
    for name in vars(new.notes):
        np.testing.assert_array_equal(getattr(data.notes, name), getattr(new.notes, name))
    assert np.isfinite(data.notes.onset).all() and not np.isnan(data.notes.release).any()


def test_times_that_are_known_are_kept_and_others_estimated(tmp_path):
    envelope = np.concatenate(
        [np.zeros(10), np.ones(30), np.geomspace(0.5, 0.005, 8), np.zeros(12)]
    )
    magnitudes = np.ones((360, 4, 410), np.float32)
    magnitudes[:60] = envelope[:, None, None]
    starts = np.array([0, 60, *range(66, 361, 6)])
    notes = tiny_notes()
    chosen = {name: column[: len(starts) - 1] for name, column in vars(notes).items()}
    chosen["instruments"] = notes.instruments
    chosen["onset"][1], chosen["release"][1], chosen["release"][2] = 0.01, 0.1, np.inf
    write_data_set(tmp_path / "x.npz", [magnitudes], starts, NoteTable(**chosen), FINE, {})
    found = read_data_set(tmp_path / "x.npz").notes
    step = FINE.frame_seconds
    assert found.onset[0] == pytest.approx(10 * step)
    assert found.release[0] == pytest.approx(40 * step, abs=step)
    assert (found.onset[1], found.release[1]) == (np.float32(0.01), np.float32(0.1))
    assert found.onset[2] == 0 and found.release[2] == np.inf  # held to its end


@pytest.mark.parametrize(
    "onset, release, message",
    [
        (-0.1, 0.1, "onset is not within the frames"),
        (0.5, 0.6, "onset is not within the frames"),
        (np.inf, np.inf, "onset is not within the frames"),
        (0.1, 0.05, "released before its onset"),
        (0.1, -1.0, "released before its onset"),
    ],
)
def test_times_that_cannot_be(tmp_path, onset, release, message):
    columns = {
        "onset": np.full(60, onset, np.float32),
        "release": np.full(60, release, np.float32),
    }
    magnitudes = np.ones((360, 4, 410), np.float32)
    with pytest.raises(ValueError, match=message):
        read_data_set(write_fine_set(tmp_path / "x.npz", magnitudes, **columns))


@pytest.mark.parametrize("name", ["onset", "release"])
@pytest.mark.parametrize("shape", [(60, 1), (59,), ()])
def test_times_of_another_shape(tmp_path, tiny_set, name, shape):
    def change(member, content):
        return as_npy(np.zeros(shape, np.float32)) if member == name else content

    with pytest.raises(ValueError, match="odd.npz is damaged"):
        read_data_set(rewritten(tiny_set, tmp_path / "odd.npz", change))


def test_notes_of_one_frame(tmp_path):
    notes, n_notes = tiny_notes(), len(tiny_notes().labels)
    magnitudes = np.ones((n_notes, 4, 410), np.float32)
    write_data_set(tmp_path / "x.npz", [magnitudes], np.arange(n_notes + 1), notes, FINE, {})
    found = read_data_set(tmp_path / "x.npz").notes
    assert (found.onset == 0).all() and (found.release == np.inf).all()


# --- ages -----------------------------------------------------------------------------------------


def test_ages_are_those_of_the_times_of_a_note(tmp_path):
    data = read_data_set(write_ageing_set(tmp_path / "x.npz"))
    step = data.config.frame_seconds
    for note in range(6):
        age = data.age[data.rows(note)]
        centres = (np.arange(24) + 0.5) * step
        np.testing.assert_array_equal(age[:14], age_class(centres[:14] - 0.004))
        since_off = centres[14:] - 14 * step
        np.testing.assert_array_equal(age[14:], age_class(centres[14:], since_off))
    notes = replace(data.notes, onset=np.full(6, 2.0 * step), release=np.full(6, np.inf))
    held = replace(data, notes=notes).age
    lead = FIRST_LEAD_AGE + len(LEAD_AGES)
    assert held[:2].tolist() == [lead - 2, lead - 1] and held[2] == 0
    assert held[2:24].max() < len(ONSET_AGES)
