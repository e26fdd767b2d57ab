"""Sound files: all become mono float32 at one rate or an error of one line; written ones read
back.
"""

import math
import tracemalloc

import numpy as np
import pytest
import soundfile

from lt.audio import io as audio

RATE = audio.SAMPLE_RATE


def sine(frequency, seconds, rate, level=0.5):
    return level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def frequency_of(samples, rate=RATE):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * rate / len(samples)


@pytest.mark.parametrize(
    "suffix, subtype, channels, rate",
    [
        ("wav", "PCM_U8", 1, 8000),
        ("wav", "PCM_16", 8, 22050),
        ("wav", "PCM_24", 2, 44100),
        ("wav", "FLOAT", 1, 192000),
        ("wav", "DOUBLE", 1, 11025),
        ("flac", "PCM_16", 2, 96000),
        ("ogg", "VORBIS", 2, 48000),
        ("mp3", "MPEG_LAYER_III", 2, 44100),
        ("aiff", "PCM_24", 1, 48000),
    ],
)
def test_every_kind_becomes_mono_at_one_rate(tmp_path, suffix, subtype, channels, rate):
    path = tmp_path / f"a b#é.{suffix}"
    tone = sine(440, 1.0, rate)
    soundfile.write(path, np.tile(tone[:, None], (1, channels)), rate, subtype=subtype)
    read = audio.read_audio(path)
    assert read.dtype == np.float32 and read.ndim == 1
    assert len(read) == math.ceil(soundfile.info(path).frames * RATE / rate)
    assert abs(frequency_of(read) - 440) < 2
    assert abs(np.abs(read[2000:-2000]).max() - 0.5) < 0.03
    assert audio.audio_seconds(path) == pytest.approx(1, abs=0.1)


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.tile([[0.5, -0.25]], (100, 1)), RATE, subtype="FLOAT")
    np.testing.assert_allclose(audio.read_audio(tmp_path / "a.wav"), 0.125, atol=1e-7)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 192000])
@pytest.mark.parametrize("n_samples", [1, 2, 1001, 50021])
@pytest.mark.parametrize("block_seconds", [0.01, 0.37])
def test_blocks_put_together_are_the_whole(tmp_path, rate, n_samples, block_seconds):
    noise = np.random.default_rng(0).normal(size=n_samples) * 0.1
    soundfile.write(tmp_path / "a.wav", noise, rate, subtype="FLOAT")
    whole = audio.read_audio(tmp_path / "a.wav")
    blocks = list(audio.stream_audio(tmp_path / "a.wav", block_seconds=block_seconds))
    assert len(whole) == max(1, math.ceil(n_samples * RATE / rate))
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-4)


def test_resampling_keeps_time(tmp_path):
    click = np.zeros(44100)
    click[30000] = 1
    soundfile.write(tmp_path / "a.wav", click, 44100, subtype="FLOAT")
    assert np.abs(audio.read_audio(tmp_path / "a.wav")).argmax() == 15000


def test_streaming_needs_bounded_memory(tmp_path):
    with soundfile.SoundFile(tmp_path / "long.wav", "w", 44100, 2, subtype="PCM_16") as file:
        for _ in range(60):
            file.write(np.zeros((44100 * 5, 2), np.int16))
    tracemalloc.start()
    n_samples = sum(
        len(block) for block in audio.stream_audio(tmp_path / "long.wav", block_seconds=1.0)
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_samples == 300 * RATE
    assert peak < 4e6  # the whole is 26 MB


def test_silence_is_fine(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(5000), 44100)
    assert not audio.read_audio(tmp_path / "a.wav").any()


def bad_files(folder):
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("not a sound")
    (folder / "raw.raw").write_bytes(bytes(100))
    soundfile.write(folder / "none.wav", np.zeros(0), 44100)
    soundfile.write(folder / "nan.wav", np.array([0.0, np.nan]), 44100, subtype="FLOAT")
    soundfile.write(folder / "inf.wav", np.array([np.inf, 0.0]), RATE, subtype="DOUBLE")
    whole = (folder / "none.wav").read_bytes()
    (folder / "header.wav").write_bytes(whole[:20])


@pytest.mark.fault("malformed input")
@pytest.mark.parametrize(
    "name, error, words",
    [
        ("missing.wav", FileNotFoundError, "No such file"),
        (".", IsADirectoryError, "is a folder, not a sound file"),
        ("empty.wav", ValueError, "empty"),
        ("text.wav", ValueError, "not a sound file"),
        ("raw.raw", ValueError, "not a sound file"),
        ("none.wav", ValueError, "no samples"),
        ("nan.wav", ValueError, "NaN"),
        ("inf.wav", ValueError, "NaN"),
        ("header.wav", ValueError, "header.wav"),
    ],
)
def test_an_unreadable_file_is_an_error_of_one_line(tmp_path, name, error, words):
    bad_files(tmp_path)
    with pytest.raises(error, match=words) as caught:
        audio.read_audio(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_what_is_written_comes_back_and_is_the_same_each_time(tmp_path, suffix):
    samples = np.random.default_rng(1).uniform(-1, 1, 10007).astype(np.float32)
    samples[:2] = 1, -1
    first, second = tmp_path / f"1.{suffix}", tmp_path / "new" / f"2.{suffix}"
    audio.write_audio(first, samples)
    audio.write_audio(second, samples, format=suffix)
    assert first.read_bytes() == second.read_bytes()
    assert soundfile.info(first).subtype == "PCM_24" and soundfile.info(first).samplerate == RATE
    np.testing.assert_allclose(audio.read_audio(first), samples, atol=2**-22)


@pytest.mark.parametrize(
    "samples, words",
    [
        (np.array([0, np.nan]), "NaN"),
        (np.zeros(0), "shape"),
        (np.zeros((2, 2)), "shape"),
        (np.array([1.5]), "full scale"),
    ],
)
def test_bad_samples_are_not_written(tmp_path, samples, words):
    with pytest.raises(ValueError, match=words):
        audio.write_audio(tmp_path / "a.wav", samples)
    with pytest.raises(ValueError, match="mp3"):
        audio.write_audio(tmp_path / "a.mp3", np.zeros(5))
    assert not list(tmp_path.iterdir())


def test_peaks_are_turned_down_never_up():
    quiet, loud = np.array([0.1, -0.5]), np.array([0.5, -2.0])
    np.testing.assert_array_equal(audio.to_peak(quiet), quiet)
    assert np.abs(audio.to_peak(loud)).max() == pytest.approx(10 ** (-1 / 20))
    assert audio.to_peak(loud)[0] / audio.to_peak(loud)[1] == pytest.approx(-0.25)
    assert len(audio.to_peak(np.zeros(0))) == 0


@pytest.mark.fault("malformed input")
def test_sample_rates_that_no_recording_has_are_refused(tmp_path):
    for rate in (10, 100_000_000):
        soundfile.write(tmp_path / "odd.wav", np.zeros(100), rate)
        with pytest.raises(ValueError, match="samples a second, expected"):
            audio.read_audio(tmp_path / "odd.wav")


@pytest.mark.fault("malformed input")
def test_samples_far_beyond_full_scale_are_refused(tmp_path):
    soundfile.write(tmp_path / "huge.wav", np.full(100, 3e29, np.float32), 22050, subtype="FLOAT")
    with pytest.raises(ValueError, match="huge.wav holds .* far too large samples"):
        audio.read_audio(tmp_path / "huge.wav")


def test_a_sample_rate_of_1_hz_is_refused(tmp_path):
    """Two kilobytes would be half an hour of sound to process."""
    soundfile.write(tmp_path / "x.wav", np.zeros(2000), 1)
    with pytest.raises(ValueError, match="1 samples a second"):
        audio.read_audio(tmp_path / "x.wav")


def test_audio_of_any_floating_point_type_is_taken():
    samples = np.array([0.5, -0.25])
    for given in (samples, samples.astype(np.float16), samples.astype(np.float32)):
        checked = audio.check_audio(given)
        assert checked.dtype == np.float32 and checked.tolist() == samples.tolist()


@pytest.mark.parametrize(
    "given, words",
    [
        (np.array([1, -2], np.int16), "int16 .divide .* by 32768"),
        (np.zeros((2, 9)), "shape .samples,. with .* got .2, 9."),
        (np.zeros(0), "at least one sample"),
        (np.array(0.5), "shape"),
        (np.array([0.0, np.nan]), "NaN"),
        (np.array([0.0, -np.inf]), "infinite"),
        (np.array([1e300]), "too large"),
        ("tone.wav", "the path tone.wav; lt.read_audio reads it"),
    ],
)
def test_what_is_not_audio_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        audio.check_audio(given)
