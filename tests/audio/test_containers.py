"""Sound files as people have them: pipes, lengths that are missing or wrong, containers."""

import logging
import os
import shlex
import shutil
import stat
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from lt.audio import containers
from lt.audio.io import audio_seconds, read_audio, stream_audio

RATE = 22050
SAMPLES = (0.5 * np.sin(np.arange(RATE) * 0.1) * 32767).astype("<i2")
CONTENT = SAMPLES.tobytes()
N_BYTES = len(CONTENT)
POSIX = pytest.mark.skipif(os.name != "posix", reason="no named pipes there")


def wav(riff=36 + N_BYTES, data=N_BYTES, before=b"", content=CONTENT):
    """A 16-bit mono WAV whose header says what it is told."""
    form = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    return b"".join(
        (
            b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<I", 16) + form,
            before + b"data" + struct.pack("<I", data) + content,
        )
    )


def written(path, content):
    path.write_bytes(content)
    return path


def messages(caplog):
    return [record.getMessage() for record in caplog.records]


# --- lengths --------------------------------------------------------------------------------------

NOTE = b"JUNK" + struct.pack("<I", 10) + bytes(10)


@pytest.mark.fault("odd input")
@pytest.mark.parametrize(
    "content",
    [
        wav(),
        wav(0, 0),
        wav(36 + N_BYTES, 0, NOTE),
        wav(0xFFFFFFFF, 0xFFFFFFFF, NOTE),
        wav(0x7FFFF024, 0x7FFFF000),
        wav(0x80000024, 0x80000000),
        wav(0, N_BYTES),
        wav(36 + N_BYTES, N_BYTES, b"", CONTENT + NOTE),
    ],
)
def test_a_wav_without_lengths_is_read_to_its_end(tmp_path, caplog, content):
    path = written(tmp_path / "x.wav", content)
    with caplog.at_level(logging.INFO, "lt"):
        np.testing.assert_array_equal(read_audio(path), np.float32(SAMPLES) / 32768)
    assert audio_seconds(path) == 1 and not messages(caplog)


@pytest.mark.parametrize("content", [wav(36, 0, b"", b""), wav(54, 0, b"", NOTE)])
def test_a_wav_without_samples_stays_empty(tmp_path, content):
    with pytest.raises(ValueError, match="no samples"):
        read_audio(written(tmp_path / "x.wav", content))


@pytest.mark.fault("malformed input")
@pytest.mark.parametrize("format", ["WAV", "RF64", "AIFF", "AU"])
def test_a_file_that_was_cut_off_is_said_to_be(tmp_path, caplog, format):
    soundfile.write(tmp_path / "whole.wav", SAMPLES, RATE, format=format)
    content = (tmp_path / "whole.wav").read_bytes()
    path = written(tmp_path / "x.wav", content[: len(content) - N_BYTES // 2])
    with caplog.at_level(logging.INFO, "lt"):
        assert len(read_audio(path)) == pytest.approx(RATE / 2, abs=20)
    assert messages(caplog) == [f"{path} was cut off: 0.5 of 1.0 s are there"]


@pytest.mark.fault("malformed input")
def test_an_mp3_that_was_cut_off_is_said_to_be(tmp_path, caplog):
    soundfile.write(tmp_path / "whole.mp3", np.tile(SAMPLES, 4), RATE, format="MP3")
    content = (tmp_path / "whole.mp3").read_bytes()
    path = written(tmp_path / "x.mp3", content[: len(content) // 2])
    with caplog.at_level(logging.INFO, "lt"):
        read_audio(path)
    assert len(messages(caplog)) == 1 and "was cut off" in messages(caplog)[0]


# --- pipes ----------------------------------------------------------------------------------------


def filled(pipe, content):
    """Write to a pipe as another program would."""
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    return writer


@pytest.mark.fault("odd input")
@POSIX
@pytest.mark.parametrize("content", [wav(), wav(0, 0), wav(0xFFFFFFFF, 0xFFFFFFFF)])
def test_a_pipe_is_read_to_its_end_and_its_content_kept(tmp_path, content):
    writer = filled(tmp_path / "x", content)
    for _ in range(2):
        np.testing.assert_array_equal(read_audio(tmp_path / "x"), np.float32(SAMPLES) / 32768)
    assert audio_seconds(tmp_path / "x") == 1
    writer.join()
    assert os.listdir(tmp_path) == ["x"]


@POSIX
def test_standard_input_is_a_pipe(tmp_path):
    code = "import lt; print(len(lt.read_audio('/dev/stdin')))"
    command = [sys.executable, "-c", code]
    process = subprocess.run(command, input=wav(0, 0), capture_output=True, check=True)
    assert int(process.stdout) == RATE


@pytest.mark.fault("malformed input")
@POSIX
@pytest.mark.parametrize("content, words", [(b"", "empty"), (b"no sound", "not a sound file")])
def test_a_pipe_without_sound_is_one_sentence(tmp_path, content, words):
    writer = filled(tmp_path / "x", content)
    with pytest.raises(ValueError, match=words):
        read_audio(tmp_path / "x")
    writer.join()


@pytest.mark.fault("malformed input")
@POSIX
def test_a_pipe_that_never_ends_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "CONFIG", containers.SoundFileConfig(largest_bytes=1000))
    process = subprocess.Popen(["cat", "/dev/zero"], stdout=subprocess.PIPE)
    with process, pytest.raises(ValueError, match="more than 1000 bytes"):
        read_audio(f"/dev/fd/{process.stdout.fileno()}")
        process.stdout.close()
    process.kill()


# --- channels -------------------------------------------------------------------------------------


@pytest.mark.fault("odd input")
@pytest.mark.parametrize("gains", [(1, -1), (0.5, -0.55), (1, -1, 0, 0), (0.8, -0.4, -0.4)])
def test_channels_that_cancel_are_heard_from_the_loudest(tmp_path, caplog, gains):
    channels = SAMPLES[:, None] / 32768 * np.array(gains)
    path = tmp_path / "x.wav"
    soundfile.write(path, np.concatenate([np.zeros((RATE, len(gains))), channels]), RATE, "FLOAT")
    loudest = channels[:, np.argmax(np.abs(gains))]
    with caplog.at_level(logging.INFO, "lt"):
        audio = np.concatenate(list(stream_audio(path, block_seconds=0.3)))
    np.testing.assert_allclose(audio[RATE:], loudest, atol=1e-6)
    assert messages(caplog) == [f"{path}: its channels cancel one another; one is heard"]


@pytest.mark.parametrize("gains", [(1, 1), (1, 0), (1, -0.3), (0, 0)])
def test_other_channels_are_averaged(tmp_path, caplog, gains):
    channels = SAMPLES[:, None] / 32768 * np.array(gains)
    soundfile.write(tmp_path / "x.wav", channels, RATE, "FLOAT")
    with caplog.at_level(logging.INFO, "lt"):
        audio = read_audio(tmp_path / "x.wav")
    np.testing.assert_allclose(audio, channels.mean(axis=1), atol=1e-6)
    assert not messages(caplog)


# --- ffmpeg ---------------------------------------------------------------------------------------


def stand_in(folder, monkeypatch, lines):
    """A program called ffmpeg that runs `lines` of Python and keeps its arguments in `called`."""
    folder.mkdir()
    program, script = folder / "ffmpeg", folder / "ffmpeg.py"
    head = f"import sys, time\nopen({str(folder / 'called')!r}, 'a').write("
    script.write_text(head + "' '.join(sys.argv[1:]) + '\\n')\n" + lines)
    # not in the first line: there the path of an interpreter cannot have a space
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "{script}" "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder / "called"


CONTAINERS = {
    "x.m4a": b"\0\0\0\x1cftypM4A ",
    "x.webm": b"\x1aE\xdf\xa3\x9f",
    "x.aac": b"\xff\xf1\\@;\x9f",
    "misnamed.wav": b"\0\0\0\x18ftypmp42",
}


@pytest.mark.fault("odd input")
@POSIX
@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_are_read_through_ffmpeg_once(tmp_path, monkeypatch, name):
    sound = f"sys.stdout.buffer.write({wav(0xFFFFFFFF, 0xFFFFFFFF)!r})"
    called = stand_in(tmp_path / "bin", monkeypatch, sound)
    path = written(tmp_path / name, CONTAINERS[name] + bytes(100))
    assert audio_seconds(path) == 1
    np.testing.assert_array_equal(read_audio(path), np.float32(SAMPLES) / 32768)
    (arguments,) = called.read_text().splitlines()
    assert "-nostdin" in arguments and f"-i file:{path} " in arguments
    assert "-protocol_whitelist file,pipe " in arguments and "hls" not in arguments
    assert sorted(os.listdir(tmp_path)) == sorted([name, "bin"])


@POSIX
@pytest.mark.parametrize(
    "lines, words",
    [
        ("print('one\\nno audio here', file=sys.stderr); sys.exit(1)", "can read: no audio here"),
        ("", "can read: exit code 0"),
        ("time.sleep(60)", "more than 0.5 s"),
        ("sys.stdout.write('x' * 5000)", "more than 5000 bytes"),
    ],
)
def test_what_ffmpeg_cannot_read_is_one_sentence(tmp_path, monkeypatch, lines, words):
    limits = containers.SoundFileConfig(decoding_seconds=0.5, largest_bytes=5000)
    if "sleep" not in lines:
        limits = containers.SoundFileConfig(largest_bytes=5000)
    monkeypatch.setattr(containers, "CONFIG", limits)
    stand_in(tmp_path / "bin", monkeypatch, lines)
    with pytest.raises(ValueError, match=words) as error:
        read_audio(written(tmp_path / "x.m4a", CONTAINERS["x.m4a"]))
    assert "x.m4a" in str(error.value) and "\n" not in str(error.value)


def test_without_ffmpeg_the_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="x.m4a .* through ffmpeg, which is not installed"):
        read_audio(written(tmp_path / "x.m4a", CONTAINERS["x.m4a"]))


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
@pytest.mark.parametrize("suffix", ["m4a", "aac", "webm"])
@pytest.mark.parametrize("piped", [False, True])
def test_the_real_ffmpeg(tmp_path, suffix, piped):
    path = tmp_path / f"-a b#é.{suffix}"
    source = written(tmp_path / "whole.wav", wav())
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, f"file:{path}"], check=True)
    if piped:
        writer = filled(tmp_path / "pipe", path.read_bytes())
        path = tmp_path / "pipe"
    audio = read_audio(path)
    assert len(audio) == pytest.approx(RATE, abs=3000)
    assert np.abs(np.fft.rfft(audio[:16384])).argmax() == round(16384 * 0.1 / (2 * np.pi))
    if piped:
        writer.join()


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_a_playlist_in_disguise_opens_nothing(tmp_path):
    written(tmp_path / "secret.wav", wav())
    playlist = f"#EXTM3U\n#EXTINF:1,\nfile://{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n"
    with pytest.raises(ValueError, match="can read"):
        read_audio(written(tmp_path / "x.m4a", playlist.encode()))
