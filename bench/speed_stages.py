"""The stages that `bench/speed.py` measures: each gives rows for a model."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from bench import speed_peers
from bench.nsgt_library import DESIGN, Library, melody
from bench.speed import ROOT, Ratios, Row, run_process, seconds
from bench.speed_training import cuda, growth, training
from lt.audio.features import audio_to_magnitudes
from lt.audio.features import nsgt as transform_of
from lt.audio.io import SAMPLE_RATE, read_audio, write_audio
from lt.audio.phase import magnitudes_to_audio
from lt.config import SpectralConfig, SynthesisConfig
from lt.midi import Note, Track, write_midi

MINUTE, TEN_MINUTES, HOUR = 60, 600, 3600
N_ITER = 30
N_NOTES = 1000  # of a data set that is built
LIBRARY_NOTES = 20  # of them, for the library's time
DENSE_NOTES, DENSE_SECONDS = 5000, 290
FLOOR_DB = 70.0  # of log-spectral distances, below the loudest
DYNAMICS = ("pianissimo", "piano", "mezzo-forte", "forte", "fortissimo")
LENGTHS = ("025", "05", "1", "15", "long")  # takes of a note, by the names of the Philharmonia set


@contextmanager
def one_thread() -> Iterator[None]:
    """torch with one thread, as the peers have."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@lru_cache(maxsize=1)
def folder() -> Path:
    """A folder of this run's sounds; removed at its end."""
    import atexit

    path = Path(tempfile.mkdtemp(prefix="lt-bench-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@lru_cache(maxsize=4)
def tune(length: int) -> Path:
    """A sound file of `length` seconds: the demo's tune, again and again."""
    import demo
    from lt.audio.io import to_peak
    from lt.audio.soundfont import SoundFont, embedded_font

    audio = SoundFont(embedded_font()).render_tune(demo.tune(), 73)
    n_samples = length * SAMPLE_RATE
    repeated = np.tile(to_peak(audio), -(-n_samples // len(audio)))[:n_samples]
    path = folder() / f"tune_{length}.wav"
    write_audio(path, repeated, SAMPLE_RATE)
    return path


# --- the front end --------------------------------------------------------------------------------


@torch.no_grad()
def front_end(model: Path) -> Iterator[Row]:
    """Transform and inverse of a minute, on one thread."""
    import librosa

    nsgt, audio = transform_of(SpectralConfig()), melody(MINUTE)
    tensor = torch.from_numpy(audio)
    own, same = Library(), Library(DESIGN.n_coefficients)
    stage = "NSGT of 60 s: magnitudes at the model's frame rate"

    def ours() -> object:
        return nsgt.magnitude_frames(tensor, SpectralConfig.frame_hop)

    def cqt() -> object:
        return np.abs(
            librosa.cqt(
                audio,
                sr=DESIGN.sample_rate,
                hop_length=DESIGN.hop * 4,
                fmin=DESIGN.fmin,
                n_bins=408,
                bins_per_octave=48,
            )
        )

    with one_thread():
        for library, against, asked in ((own, "its own", 20), (same, "our", 10)):
            ratios = Ratios.of(lambda lib=library: lib.slices(audio), ours, 3)
            yield Row(
                stage,
                f"nsgt library, {against} number of coefficients",
                ratios.value,
                asked,
                low=ratios.low,
                high=ratios.high,
                short=library is same,
            )
        ratios = Ratios.of(cqt, ours, 3)
        against = "librosa.cqt, four times the hop"
        yield Row(stage, against, ratios.value, 2, low=ratios.low, high=ratios.high)
        coefficients = nsgt(tensor)
        theirs = coefficients.numpy()
        ratios = Ratios.of(
            lambda: same.inverse(theirs, len(audio)),
            lambda: nsgt.inverse(coefficients, len(audio)),
            3,
        )
        yield Row(
            "inverse of 60 s", "nsgt library", ratios.value, 10, low=ratios.low, high=ratios.high
        )


def log_spectral_distance(reference: np.ndarray, estimated: np.ndarray) -> float:
    """Root mean square over frequencies of differences in dB, mean over frames of 2048 samples."""
    window = torch.hann_window(2048)
    first, second = (
        torch.stft(torch.from_numpy(audio), 2048, 512, window=window, return_complex=True)
        .abs()
        .square()
        for audio in (reference, estimated[: len(reference)])
    )
    floor = first.max() * 10 ** (-FLOOR_DB / 10)
    ratio = 10 * torch.log10(first.clamp_min(floor) / second.clamp_min(floor))
    return float(ratio.square().mean(dim=0).sqrt().mean())


@torch.no_grad()
def phase(model: Path) -> Iterator[Row]:
    """Audio from magnitudes of 10 s, 8 ms a frame, on one thread."""
    import librosa

    audio = read_audio(tune(12))[: 10 * SAMPLE_RATE]
    front_end = SpectralConfig(hop=44, frame_hop=176, subframes=1)
    magnitudes = audio_to_magnitudes(torch.from_numpy(audio), front_end)
    random = SynthesisConfig(n_iter=N_ITER, phase_start="random")

    def distance(config: SynthesisConfig) -> float:
        return log_spectral_distance(audio, magnitudes_to_audio(magnitudes, front_end, config))

    wanted = distance(random)
    settled = SynthesisConfig()
    configs = [SynthesisConfig(n_iter=n_iter) for n_iter in range(settled.recording_iter + 1)]
    few = next((config for config in configs if distance(config) <= wanted), configs[-1])
    settings = {"sr": SAMPLE_RATE, "fmin": DESIGN.fmin, "bins_per_octave": 48, "hop_length": 128}
    theirs = np.abs(librosa.cqt(audio, n_bins=408, **settings))
    results = []

    def griffinlim_cqt() -> None:
        made = librosa.griffinlim_cqt(theirs, n_iter=N_ITER, random_state=0, **settings)
        made = np.pad(made, (0, len(audio)))[: len(audio)]
        made *= np.linalg.norm(audio) / np.linalg.norm(made)
        results.append(log_spectral_distance(audio, made.astype(np.float32)))

    def ours(config: SynthesisConfig) -> object:
        return magnitudes_to_audio(magnitudes, front_end, config)

    stage = "audio from magnitudes, 10 s"
    with one_thread():
        ratios = Ratios.of(lambda: ours(random), lambda: ours(few), 3)
        yield Row(
            stage,
            f"{N_ITER} iterations from random phases: {wanted:.2f} dB of log-spectral distance; "
            f"ours {few.n_iter}: {distance(few):.2f} dB",
            ratios.value,
            5,
            low=ratios.low,
            high=ratios.high,
            short=True,
        )
        took = seconds(griffinlim_cqt)
        own = min(seconds(lambda: ours(few)) for _ in range(3))
        against = f"librosa.griffinlim_cqt, {results[0]:.2f} dB"
        yield Row(stage, against, took / own, 10, note="once")
        own = min(seconds(lambda: ours(settled)) for _ in range(3))
        against = f"real time, default settings, {distance(settled):.2f} dB"
        yield Row(stage, against, 10 / own)


# --- files ----------------------------------------------------------------------------------------

TRANSCRIBE = """
import sys, time, lt
model, short, path = sys.argv[1:]
run = lt.load_run(model)
lt.transcribe(run, short)
started = time.perf_counter()
lt.transcribe(run, path)
print(time.perf_counter() - started)
"""


def transcription(model: Path) -> Iterator[Row]:
    """Sound to notes beside its peers."""
    short = tune(12)
    ours = run_process("-c", TRANSCRIBE, model, short, tune(TEN_MINUTES))
    own = float(ours.output)
    stage = "ten minutes, sound to notes"
    yield Row(stage, "real time", TEN_MINUTES / own, short=True)
    missing = []
    for name, peer in speed_peers.PEERS.items():
        note = "" if peer.length == TEN_MINUTES else f", {peer.length} s scaled"
        try:
            took = peer.seconds(short, tune(peer.length)) * TEN_MINUTES / peer.length
            yield Row(stage, f"{name}{note}", took / own, 4)
        except RuntimeError as error:
            missing.append(f"{name}: {error}")
    if missing:
        raise RuntimeError("; ".join(missing))


def hour(model: Path) -> Iterator[Row]:
    """Memory and time of an hour."""
    short = tune(12)
    less = float(run_process("-c", TRANSCRIBE, model, short, tune(TEN_MINUTES)).output)
    more = run_process("-c", TRANSCRIBE, model, short, tune(HOUR))
    yield Row("an hour to notes, peak memory", "", more.peak / 1e9, 1.5, "GB", at_most=True)
    ratio = float(more.output) / less / (HOUR / TEN_MINUTES)
    yield Row("an hour to notes, time", "six times that of ten minutes", ratio, 1.1, at_most=True)


def write_line(path: Path) -> float:
    """The demo's tune five times, as MIDI -> its seconds."""
    import demo

    notes, length = demo.tune(), demo.tune()[-1].offset
    repeated = [
        Note(note.onset + n * length, note.offset + n * length, note.note_number, note.velocity)
        for n in range(5)
        for note in notes
    ]
    write_midi(path, [Track("Flute", 73, tuple(repeated))])
    return 5 * length


def write_dense(path: Path) -> float:
    """Thousands of notes of two octaves, three velocities and three lengths -> its seconds."""
    rng = np.random.default_rng(0)
    slot = 0.125
    slots = np.sort(rng.integers(0, DENSE_SECONDS / slot, DENSE_NOTES))
    numbers, velocities = rng.integers(60, 84, DENSE_NOTES), rng.choice([39, 64, 90], DENSE_NOTES)
    lengths = rng.choice([1, 2, 4], DENSE_NOTES)
    notes = {
        (int(at), int(key)): Note(at * slot, (at + length) * slot - 0.01, int(key), int(velocity))
        for at, length, key, velocity in zip(slots, lengths, numbers, velocities)
    }
    write_midi(path, [Track("Flute", 73, tuple(notes.values()))])
    return DENSE_SECONDS


def playing(model: Path) -> Iterator[Row]:
    """`lt_play.py` from its start to its end, all outputs."""
    output = folder() / "played"
    play = ("lt_play.py", "audio", "-m", model, "-o", output, "-i")
    run_process(*play, tune(12))
    done = run_process(*play, tune(TEN_MINUTES))
    stage = "lt_play.py audio, ten minutes, all outputs"
    against = f"real time; {done.processor:.0f} s of processors"
    yield Row(stage, against, TEN_MINUTES / done.seconds, 40)
    for name, write, asked in (
        ("one line", write_line, 40),
        (f"{DENSE_NOTES} notes in {DENSE_SECONDS} s", write_dense, 10),
    ):
        path = folder() / f"{write.__name__}.mid"
        length = write(path)
        done = run_process("lt_play.py", "midi", "-m", model, "-o", output, "-i", path)
        against = f"real time; {done.processor:.0f} s of processors"
        stage = f"lt_play.py midi, {name}"
        yield Row(stage, against, length / done.seconds, asked)


def starting(model: Path) -> Iterator[Row]:
    """Programs that do next to nothing, and the first transcription of a new environment."""
    for name, command, asked in (
        ("lt_play.py --help", ("lt_play.py", "--help"), 0.3),
        ("import lt", ("-c", "import lt"), 0.3),
        ("lt_play.py info", ("lt_play.py", "info", "-m", model), 4),
    ):
        took = sorted(run_process(*command).seconds for _ in range(5))
        yield Row(
            name, "", took[2], asked, "s", at_most=True, low=took[0], high=took[-1], note="of 5"
        )
    caches = folder() / "caches"
    new = {name: str(caches / name) for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR")}
    output = folder() / "played"
    command = ("lt_play.py", "audio", "-m", model, "-o", output, "-i", tune(12))
    first = run_process(*command, **new).seconds
    again = run_process(*command, **new).seconds
    yield Row(
        "first lt_play.py audio in a new environment, 12 s of sound",
        f"the next: {again:.1f} s",
        first,
        12,
        "s",
        at_most=True,
    )


# --- data sets and checkpoints --------------------------------------------------------------------


def write_notes(path: Path, n_notes: int) -> list[np.ndarray]:
    """A folder of notes of 2 s with the names of the Philharmonia set -> their audio."""
    from lt.labels import number_to_note_name

    path.mkdir(parents=True, exist_ok=True)
    time_axis = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    envelope = np.minimum(1, time_axis * 20) * np.exp(-time_axis)
    sounds = []
    for index in range(n_notes):
        key, kind = 59 + index // 25 % 40, index % 25
        frequency = 440 * 2 ** ((key - 69) / 12)
        partials = sum(np.sin(2 * np.pi * n * frequency * time_axis) / n for n in range(1, 5))
        level = 0.02 * 2 ** (kind % 5) * (1 + 0.01 * (kind // 5))  # no two files are equal
        audio = (level * envelope * partials).astype(np.float32)
        name = f"flute_{number_to_note_name(key).replace('#', 's')}_{LENGTHS[kind // 5]}"
        write_audio(path / f"{name}_{DYNAMICS[kind % 5]}_normal.wav", audio, SAMPLE_RATE)
        sounds.append(audio)
    return sounds


def building(model: Path) -> Iterator[Row]:
    """A data set of many notes, beside the same transforms by the library in one process."""
    notes = folder() / "notes"
    sounds = write_notes(notes, N_NOTES)
    library = Library(DESIGN.n_coefficients)
    width = SpectralConfig.frame_hop // DESIGN.hop

    def theirs() -> None:
        for audio in sounds[:: len(sounds) // LIBRARY_NOTES]:
            magnitudes = np.abs(library.forward(audio))
            n_frames = magnitudes.shape[1] // width
            magnitudes[:, : n_frames * width].reshape(len(magnitudes), n_frames, width).mean(2)

    with one_thread():
        theirs()
        took = seconds(theirs) * len(sounds) / LIBRARY_NOTES
    build = ("-m", "lt.builders", notes, "--output", folder() / "notes.npz")
    own = run_process(*build).seconds
    against = f"the nsgt library's transforms alone, one process, {LIBRARY_NOTES} notes scaled"
    yield Row(f"data set of {N_NOTES} notes of 2 s: {own:.1f} s", against, took / own, 10)


def checkpoints(model: Path) -> Iterator[Row]:
    """What two epochs at the default widths leave on the disk."""
    data = ROOT / "data" / "lt_set.npz"
    if not data.is_file():
        raise RuntimeError(f"no data set at {data}: make demo builds it")
    saves = folder() / "saves"
    flags = ("--instruments", "Piano", "--epochs", 2, "--steps_per_epoch", 1)
    run_process("lt_train.py", "--dbroot", data, "--savedir", saves, *flags)
    files = {path.stat().st_ino: path.stat().st_size for path in saves.rglob("*.t7")}
    stage = "checkpoints of two epochs at the default widths"
    yield Row(stage, "", sum(files.values()) / 1e9, 1.4, "GB", at_most=True)
    shutil.rmtree(saves)


STAGES = {
    "front_end": front_end,
    "phase": phase,
    "transcription": transcription,
    "hour": hour,
    "playing": playing,
    "starting": starting,
    "building": building,
    "checkpoints": checkpoints,
    "training": training,
    "growth": growth,
    "cuda": cuda,
}
