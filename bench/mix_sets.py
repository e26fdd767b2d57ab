#!/usr/bin/env python3
"""Add recordings of several instruments to mixtures, with the MIDI of all of them.

    python3 bench/mix_sets.py PIANO_SET VIOLIN_SET --output SET_DIR

A set is a folder of recordings with aligned MIDI, as `lt_midi.py` reads it. Recordings whose names
end in the same number are added at equal RMS, the shorter ones ending in silence; a number that a
set lacks is left out. Each instrument keeps its own tracks. `lt_midi.py` with a model of these
instruments measures how well each is transcribed beside the others.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lt import cli
from lt.audio.io import read_audio, write_audio
from lt.evaluation.ground_truth import Pair, find_pairs
from lt.midi import read_midi, write_midi

PEAK = 0.5


def by_number(folder: Path) -> dict[int, Pair]:
    """The recordings of a set by the number that ends their names.

    Raises:
        ValueError: names that end in no number, or in the same one.
    """
    numbered: dict[int, Pair] = {}
    for pair in find_pairs(folder, folder):
        number = re.search(r"\d+$", pair.stem)
        if not number or int(number[0]) in numbered:
            raise ValueError(f"{pair.audio}: its name does not end in a number of its own")
        numbered[int(number[0])] = pair
    return numbered


def mixed(recordings: list[np.ndarray]) -> np.ndarray:
    """Recordings (samples,) of any length -> their sum (samples,) at equal RMS, peak 0.5.

    Raises:
        ValueError: a recording is silent.
    """
    total = np.zeros(max(map(len, recordings)))
    for audio in recordings:
        if not (rms := np.sqrt(np.mean(np.square(audio, dtype=np.float64)))):
            raise ValueError("a silent recording cannot be mixed")
        total[: len(audio)] += audio / rms
    return (PEAK / np.abs(total).max() * total).astype(np.float32)


@cli.command(
    "Add the recordings of SETS whose names end in the same number, with their MIDI.",
    example="python3 bench/mix_sets.py PIANO_SET VIOLIN_SET --output SET_DIR",
)
@click.argument("sets", nargs=-1, type=cli.PATH, required=True)
@cli.option(
    "--output", help="folder that the mixtures are written to", type=cli.PATH, required=True
)
def main(sets: tuple[Path, ...], output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(f"{output} is there already; choose another --output")
    numbered = [by_number(folder) for folder in sets]
    common = sorted(set.intersection(*map(set, numbered)))
    if not common:
        raise ValueError("no number ends the name of a recording in every set")
    recordings, midi = output / "Recordings", output / "Aligned_files" / "mid_files"
    for folder in (recordings, midi):
        folder.mkdir(parents=True, exist_ok=True)
    for number in common:
        pairs = [own[number] for own in numbered]
        write_audio(recordings / f"{number}.wav", mixed([read_audio(pair.audio) for pair in pairs]))
        tracks = [track for pair in pairs for track in read_midi(pair.midi)]
        write_midi(midi / f"{number}-lined.mid", tracks)
        cli.logger.info(f"{number}: {', '.join(pair.stem for pair in pairs)}")


if __name__ == "__main__":
    main()
