#!/usr/bin/env python3
"""How far sounds are from themselves after their phases were found anew.

    python3 bench/phases.py RECORDING ... --frame_hops 176 352 704
    python3 bench/phases.py --font Flute Piano

Each sound becomes constant-Q magnitudes averaged over frames of so many samples (176: 8 ms), and
those sound again, by so many iterations from random or propagated phases. The first 3 s of each
recording; of the embedded font notes of four keys, held for 1.2 s. Prints distances to the sound
(`bench/sound_measures.py`), means over sounds, and the time relative to 30 iterations from random
phases in frames of the same length.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import click
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import bench.compared_notes as notes_of
from bench.sound_measures import RATE
from lt import cli
from lt.audio.features import nsgt
from lt.audio.filters import high_pass
from lt.audio.io import read_audio
from lt.audio.soundfont import SoundFont, embedded_font
from lt.config import SpectralConfig, SynthesisConfig
from lt.midi import INSTRUMENTS

SECONDS = 3.0  # of a recording
HELD, RELEASE = 1.2, 0.5  # s of a font's note
KEYS = np.array([0.2, 0.4, 0.6, 0.8])  # of an instrument's range
VELOCITIES = (64, 90, 39, 115)
TODAY = ("random", 30)  # what times are relative to


def recording(path: Path) -> np.ndarray:
    """The first seconds of a recording: (samples,)."""
    audio = read_audio(path)[: round(SECONDS * RATE)]
    return high_pass(audio, SpectralConfig())


def font_notes(instrument: str) -> Iterator[np.ndarray]:
    """Four notes of an instrument of the embedded font: (samples,)."""
    font, about = SoundFont(embedded_font()), INSTRUMENTS[instrument]
    keys = about.lowest + np.round(KEYS * (about.highest - about.lowest)).astype(int)
    for key, velocity in zip(keys, VELOCITIES):
        yield font.render_note(about.program, int(key), velocity, HELD, RELEASE)


def rows(
    sounds: Sequence[np.ndarray],
    front_end: SpectralConfig,
    starts: Sequence[str],
    iterations: Sequence[int],
) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Start, iterations, and mean distances with the time in seconds, `TODAY` first."""
    nsgt(front_end)  # made before times are taken
    settings = [TODAY, *(pair for pair in product(starts, iterations) if pair != TODAY)]
    for start, n_iter in settings:
        config = SynthesisConfig(n_iter=n_iter, phase_start=start)
        found, seconds = [], 0.0
        for audio in sounds:
            length = len(audio) / RATE
            sound = notes_of.NoteSound(audio, length, False)
            started = time.perf_counter()
            again = notes_of.find_phases(sound, front_end, config)
            seconds += time.perf_counter() - started
            found.append(notes_of.distances(sound, again, length))
        means = {name: float(np.mean([values[name] for values in found])) for name in found[0]}
        yield start, n_iter, means | {"seconds": seconds}


@cli.command(
    "How far sounds are from themselves after their phases were found anew.",
    example="python3 bench/phases.py recordings/*.wav --iterations 0 8 30 100",
)
@click.argument("recordings", nargs=-1, type=cli.PATH)
@cli.option("--font", help="instruments of the embedded font", default=(), at_least=0)
@cli.option(
    "--frame_hops",
    help="samples of a frame",
    default=(176, 352, 704),
    type=cli.interval("[44, 704]"),
    at_least=1,
)
@cli.option(
    "--starts",
    help="of the phases",
    default=("random", "propagated"),
    type=click.Choice(("random", "propagated")),
    at_least=1,
)
@cli.option(
    "--iterations", default=(0, 8), help="numbers", type=cli.interval("[0, 1000]"), at_least=1
)
def main(
    recordings: tuple[Path, ...],
    font: tuple[str, ...],
    frame_hops: tuple[int, ...],
    starts: tuple[str, ...],
    iterations: tuple[int, ...],
) -> None:
    if unknown := sorted(set(font) - INSTRUMENTS.keys()):
        raise click.UsageError(f"no instrument {unknown[0]} (known: {', '.join(INSTRUMENTS)})")
    torch.set_num_threads(1)
    sounds = [recording(path) for path in recordings]
    sounds += [audio for name in font for audio in font_notes(name)]
    if not sounds:
        raise click.UsageError("name recordings, or instruments of the font: --font")
    for frame_hop in frame_hops:
        front_end = replace(SpectralConfig(), hop=44, frame_hop=frame_hop, subframes=1)
        today = None
        for start, n_iter, values in rows(sounds, front_end, starts, iterations):
            today = today or values["seconds"]
            cells = "  ".join(f"{name} {values[name]:.2f}" for name in notes_of.DISTANCES)
            click.echo(
                f"{1000 * frame_hop / RATE:4.0f} ms  {start:<10} {n_iter:4d}  {cells}  "
                f"time x{values['seconds'] / today:.2f}"
            )


if __name__ == "__main__":
    main()
