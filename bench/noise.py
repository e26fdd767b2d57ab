#!/usr/bin/env python3
"""What models transcribe of noise: alone, in the rests of melodies, and beneath soft notes.

    python3 bench/noise.py saves/flute__Flute saves/piano__Piano --kinds white hum50

Twelve kinds of noise, made from formulas. Melodies of each model's instrument are rendered from the
embedded font; noise lies beneath them and in 2 s of rest before and after, so many decibels below
the RMS of the sounding samples. A row for each model and kind:

    alone       notes transcribed of noise by itself, and the share of the time in which they sound
    false 30    share of the rests in which a note sounds, from 0.2 s after each note-off on, with
                noise 30 dB below the melody
    f1 30       note F1 (onsets within 50 ms), relative to that of the melody without noise
    soft        the same of a melody of loud and soft notes, noise 10 dB below the soft ones
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from scipy.signal import butter, lfilter, oaconvolve

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lt import cli
from lt.audio.io import SAMPLE_RATE
from lt.audio.soundfont import SoundFont, embedded_font
from lt.evaluation.metrics import note_scores
from lt.inference.note_decoding import posteriors_to_notes
from lt.inference.posteriors import analyse_audio
from lt.midi import INSTRUMENTS, Note
from lt.models.runs import Run, load_run

ALONE_SECONDS, ALONE_DB = 8.0, -30.0  # of noise by itself, and its RMS relative to full scale
LEVELS_DB = (40, 30, 20)  # of noise below the melody
SOFT_DB = 10  # of noise below the soft notes
REST_SECONDS = 2.0  # before and after a melody
N_NOTES, N_MELODIES = 16, 2
NOTE_SECONDS, PAUSE_SECONDS = (0.2, 0.6), (0.05, 1.2)
VELOCITIES = {"even": (64, 90, 115), "soft": (90, 39)}  # of the notes of a melody, in turn
PEAK = 0.5
RELEASE_SECONDS = 0.2  # after a note-off, in which a rest may still sound
TICK = 0.01  # s, of the figures of rests


# --- kinds of noise -------------------------------------------------------------------------------


def coloured(n_samples: int, slope_db: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise (n_samples,) whose power changes by `slope_db` an octave, from 20 Hz up."""
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    hertz = np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE)
    octaves = np.log2(np.maximum(hertz, 20.0) / 20.0)
    return np.fft.irfft(spectrum * 10 ** (slope_db * octaves / 20) * (hertz >= 20.0), n_samples)


def band(noise: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """Noise within a band, of second-order slopes."""
    edges = (low_hz, high_hz)
    return lfilter(*butter(2, edges, "bandpass", fs=SAMPLE_RATE), noise)


def hum(n_samples: int, hertz: float, rng: np.random.Generator) -> np.ndarray:
    """A mains frequency and its harmonics, odd ones twice as strong, over faint hiss."""
    time = np.arange(n_samples) / SAMPLE_RATE
    phases = rng.uniform(0, 2 * np.pi, 20)
    sound = sum(
        (1 + k % 2) / k * np.sin(2 * np.pi * hertz * k * time + phase)
        for k, phase in enumerate(phases, start=1)
    )
    return sound + 0.01 * rng.standard_normal(n_samples)


def fan(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Air noise, and the tone of its blades that wavers."""
    time = np.arange(n_samples) / SAMPLE_RATE
    phase = 2 * np.pi * (112 * time + 0.1 * np.sin(2 * np.pi * 0.7 * time))
    blades = sum(np.sin(k * phase) / k for k in (1, 2, 3))
    air = band(rng.standard_normal(n_samples), 80, 1500)
    return air / air.std() + 0.3 * blades


def street(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Cars that pass, one every 2 s, over distant rumble."""
    time = np.arange(n_samples) / SAMPLE_RATE
    passing = np.zeros(n_samples)
    for at in rng.uniform(0, time[-1], max(1, round(time[-1] / 2))):
        passing += np.exp(-0.5 * ((time - at) / rng.uniform(0.2, 0.8)) ** 2)
    return (0.1 + passing) * coloured(n_samples, -4.5, rng)


def breath(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Breathing in and out, every 3 s, with the two formants of an open mouth."""
    time = np.arange(n_samples) / SAMPLE_RATE
    white = rng.standard_normal(n_samples)
    air = band(white, 500, 900) + 0.7 * band(white, 1400, 2600)
    return air * (0.02 + np.sin(np.pi * time / 1.5 + rng.uniform(0, np.pi)) ** 2)


def applause(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Two hundred claps a second, of 5 ms each."""
    claps = _impulses(n_samples, 200, rng)
    clap = np.exp(-np.arange(round(0.03 * SAMPLE_RATE)) / (0.005 * SAMPLE_RATE))
    return band(rng.standard_normal(n_samples) * oaconvolve(claps, clap)[:n_samples], 600, 4000)


def clicks(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Eight clicks of a vinyl record a second, over its surface noise."""
    click = np.exp(-np.arange(round(0.01 * SAMPLE_RATE)) / (0.001 * SAMPLE_RATE))
    dust = oaconvolve(_impulses(n_samples, 8, rng) * rng.choice((-1, 1), n_samples), click)
    return dust[:n_samples] + 0.01 * coloured(n_samples, -3, rng)


def tail(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """What a room of 1.5 s keeps of tones that are struck every 2 s, without these."""
    n_tail = round(1.5 * SAMPLE_RATE)
    response = rng.standard_normal(n_tail) * 10 ** (-3 * np.arange(n_tail) / n_tail)
    struck = np.zeros(n_samples + n_tail)
    for start in range(0, n_samples, 2 * SAMPLE_RATE):
        time = np.arange(round(0.2 * SAMPLE_RATE)) / SAMPLE_RATE
        tones = sum(np.sin(2 * np.pi * f * time) for f in 110 * 2 ** rng.uniform(0, 4, 12))
        struck[start : start + len(time)] += tones[: len(struck) - start]
    return oaconvolve(struck, response)[round(0.2 * SAMPLE_RATE) :][:n_samples]


def babble(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Thirty sines of any pitch, each of which comes and goes as syllables do."""
    time = np.arange(n_samples) / SAMPLE_RATE
    sound = np.zeros(n_samples)
    for hertz in 100 * 2 ** rng.uniform(0, 4.5, 30):
        rate, phase = rng.uniform(1.5, 5), rng.uniform(0, 2 * np.pi, 2)
        syllables = np.maximum(np.sin(2 * np.pi * rate * time + phase[0]), 0)
        drift = 2 * np.sin(2 * np.pi * rate / 3 * time)
        sound += syllables * np.sin(2 * np.pi * hertz * time + drift + phase[1]) * 300 / hertz
    return sound


def _impulses(n_samples: int, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Impulses (n_samples,) of random size, `rate` a second."""
    return (rng.random(n_samples) < rate / SAMPLE_RATE) * rng.exponential(size=n_samples)


KINDS = {
    "white": lambda n, rng: rng.standard_normal(n),
    "pink": lambda n, rng: coloured(n, -3, rng),
    "brown": lambda n, rng: coloured(n, -6, rng),
    "hum50": lambda n, rng: hum(n, 50, rng),
    "hum60": lambda n, rng: hum(n, 60, rng),
    "fan": fan,
    "street": street,
    "breath": breath,
    "applause": applause,
    "clicks": clicks,
    "tail": tail,
    "babble": babble,
}


def make_noise(kind: str, n_samples: int, rms: float, seed: int = 0) -> np.ndarray:
    """Noise of a kind: (n_samples,) float32."""
    noise = KINDS[kind](n_samples, np.random.default_rng((seed, list(KINDS).index(kind))))
    return (noise * (rms / np.sqrt(np.square(noise).mean()))).astype(np.float32)


# --- melodies -------------------------------------------------------------------------------------


def make_melody(
    instrument: str, velocities: Sequence[int], rng: np.random.Generator
) -> tuple[np.ndarray, list[Note]]:
    """A melody with pauses: audio (samples,), and its notes."""
    about = INSTRUMENTS[instrument]
    low = max(about.lowest, min(55, about.highest - 24))
    number, onset, notes = int(rng.integers(low, low + 25)), REST_SECONDS, []
    for index in range(N_NOTES):
        offset = onset + rng.uniform(*NOTE_SECONDS)
        notes.append(Note(onset, offset, number, velocities[index % len(velocities)]))
        onset = offset + rng.uniform(*PAUSE_SECONDS)
        number = int(np.clip(number + rng.integers(-7, 8), low, low + 24))
    audio = SoundFont(embedded_font()).render_tune(notes, about.program, REST_SECONDS)
    return audio * np.float32(PEAK / np.abs(audio).max()), notes


def sounding_rms(audio: np.ndarray, notes: Sequence[Note]) -> float:
    """RMS of the samples in which notes are held."""
    parts = [audio[round(n.onset * SAMPLE_RATE) : round(n.offset * SAMPLE_RATE)] for n in notes]
    return float(np.sqrt(np.square(np.concatenate(parts)).mean()))


def false_alarms(notes: Sequence[Note], transcribed: Sequence[Note], seconds: float) -> float:
    """Share of the rests, from `RELEASE_SECONDS` after each note-off on, in which a note sounds."""
    ticks = np.arange(0, seconds, TICK)

    def sounding(heard: Sequence[Note], release: float) -> np.ndarray:
        held = [(note.onset <= ticks) & (ticks < note.offset + release) for note in heard]
        return np.any(held, axis=0) if held else np.zeros(len(ticks), bool)

    rests = ~sounding(notes, RELEASE_SECONDS)
    return float(sounding(transcribed, 0.0)[rests].mean())


# --- measures -------------------------------------------------------------------------------------


def transcribe(run: Run, audio: np.ndarray) -> list[Note]:
    return posteriors_to_notes(analyse_audio(run, [audio]).posteriors)


def noise_figures(run: Run, kind: str, melodies: dict[str, list]) -> dict[str, float]:
    """The figures of one kind of noise.

    Args:
        melodies: "even" and "soft" -> (audio, notes, note F1 without noise) of each.
    """
    n_alone = round(ALONE_SECONDS * SAMPLE_RATE)
    heard = transcribe(run, make_noise(kind, n_alone, 10 ** (ALONE_DB / 20)))
    figures = {"notes": len(heard), "alone": false_alarms([], heard, ALONE_SECONDS)}
    for level_db in LEVELS_DB:
        alarms, ratios = [], []
        for seed, (audio, notes, clean) in enumerate(melodies["even"]):
            rms = sounding_rms(audio, notes) * 10 ** (-level_db / 20)
            heard = transcribe(run, audio + make_noise(kind, len(audio), rms, seed))
            alarms.append(false_alarms(notes, heard, len(audio) / SAMPLE_RATE))
            ratios.append(note_scores(notes, heard).f1 / clean)
        figures |= {f"false {level_db}": np.mean(alarms), f"f1 {level_db}": np.mean(ratios)}
    ratios = []
    for seed, (audio, notes, clean) in enumerate(melodies["soft"]):
        soft = [note for note in notes if note.velocity == min(VELOCITIES["soft"])]
        rms = sounding_rms(audio, soft) * 10 ** (-SOFT_DB / 20)
        heard = transcribe(run, audio + make_noise(kind, len(audio), rms, seed))
        ratios.append(note_scores(notes, heard).f1 / clean)
    return figures | {"soft": np.mean(ratios)}


def analysed_melodies(run: Run) -> dict[str, list]:
    """ "even" and "soft" -> (audio, notes, note F1) of melodies of the run's instrument."""
    found: dict[str, list] = {}
    for name, velocities in VELOCITIES.items():
        rng = np.random.default_rng(0)
        made = [make_melody(run.space.instruments[0], velocities, rng) for _ in range(N_MELODIES)]
        found[name] = [
            (audio, notes, note_scores(notes, transcribe(run, audio)).f1) for audio, notes in made
        ]
    return found


@cli.command(__doc__.splitlines()[0], example="python3 bench/noise.py saves/flute__Flute")
@click.argument("models", type=cli.PATH, nargs=-1, required=True)
@cli.option(
    "--kinds", help="of noise", default=tuple(KINDS), type=click.Choice(list(KINDS)), at_least=1
)
def main(models: tuple[Path, ...], kinds: tuple[str, ...]) -> None:
    runs = [load_run(path) for path in models]
    for path, run in zip(models, runs):
        if len(run.space.instruments) > 1 or run.space.instruments[0] not in INSTRUMENTS:
            raise ValueError(f"{path} is not of one instrument that the embedded font has")
    for index, (path, run) in enumerate(zip(models, runs)):
        melodies = analysed_melodies(run)
        for kind in kinds:
            figures = noise_figures(run, kind, melodies)
            if index == 0 and kind == kinds[0]:
                click.echo(",".join(["model", "kind", *figures]))
            click.echo(",".join([path.name, kind, *(f"{value:.3f}" for value in figures.values())]))


if __name__ == "__main__":
    main()
