#!/usr/bin/env python3
"""Build the data sets that `bench/synthesis.py` is run on, beside the embedded one.

    python3 bench/measuring_sets.py --output data/measuring
    python3 bench/measuring_sets.py --real FLUTE_NOTES VIOLIN_NOTES --piano PIANO_NOTES

From the embedded font: Marimba, Accordion, and the piano's notes reversed in time, which swell and
stop at once. From folders of recordings that `python3 -m lt.builders` understands by their file
names: a set each, named after the folder. From a folder of piano notes named by note and velocity
layer (`D#4v8.mp3`, layers 1 to 16 as the Salamander grand piano's): links to them with a CSV that
names note and dynamics, and a set of these. Sets that exist are left as they are.

Train on a set with `lt_train.py --dbroot SET.npz`; OUTPUT is the folder to name as `--sources` of
`bench/synthesis.py` for the piano's sets, the folder of recordings for the others.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lt import cli
from lt.audio.io import write_audio
from lt.audio.soundfont import SoundFont, embedded_font
from lt.build.builder import build_data_set, build_embedded_set
from lt.config import DEFAULT_DATA_SET, BuildConfig
from lt.files import make_folder, write_csv
from lt.labels import DYNAMICS_NAMES, number_to_note_name
from lt.midi import DYNAMICS_VELOCITIES, INSTRUMENTS, velocity_to_dynamics

FROM_FONT = {"marimba": "Marimba:12:C3-C7", "accordion": "Accordion"}
PIANO = INSTRUMENTS["Piano"]
HELD = 1.5  # s of a note that is reversed
LAYERS = 16  # of velocity, evenly spaced
LAYERED_NAME = re.compile(r"([A-G][#b]?\d)v(\d+)")
INDEX = "labels.csv"
COLUMNS = ("file", "instrument", "note", "dynamics")


def write_reversed_piano(
    folder: Path,
    keys: range = range(PIANO.lowest, PIANO.highest + 1),
    velocities: tuple[int, ...] = DYNAMICS_VELOCITIES,
) -> None:
    """Write the embedded piano's notes, held for 1.5 s and reversed in time, and their CSV."""
    font = SoundFont(embedded_font())
    rows = [COLUMNS]
    make_folder(folder)
    for key in keys:
        for velocity in velocities:
            audio = font.render_note(PIANO.program, key, velocity, HELD, 0.0)
            note, dynamics = number_to_note_name(key), _dynamics_name(velocity)
            rows.append((f"{note}_{dynamics}.wav", "Reversed-Piano", note, dynamics))
            write_audio(folder / rows[-1][0], np.ascontiguousarray(audio[::-1]))
    write_csv(folder / INDEX, rows)


def link_layered_piano(recordings: Path, folder: Path) -> None:
    """Link to the recordings of a folder that are named by note and velocity layer, and write their
    CSV.

    Raises:
        FileNotFoundError: none is named so.
    """
    rows = [COLUMNS]
    make_folder(folder)
    for path in sorted(recordings.iterdir()):
        if match := LAYERED_NAME.fullmatch(path.stem):
            note, layer = match.groups()
            dynamics = _dynamics_name(127 * int(layer) / LAYERS)
            rows.append((path.name, "Piano", note, dynamics))
            link = folder / path.name
            link.unlink(missing_ok=True)
            link.symlink_to(path.resolve())
    if len(rows) == 1:
        raise FileNotFoundError(f"{recordings} holds no recording named like D#4v8.mp3")
    write_csv(folder / INDEX, rows)


def _dynamics_name(velocity: float) -> str:
    return DYNAMICS_NAMES[int(velocity_to_dynamics(np.asarray(velocity)))]


def build(source: Path, path: Path, config: BuildConfig = BuildConfig()) -> None:  # noqa: B008
    """Build a set unless it exists; what was used and skipped is said."""
    if path.is_file():
        cli.logger.info(f"{path} exists")
        return
    summary = build_data_set([source], path, config, progress=cli.progress)
    cli.logger.info(f"{path}: {len(summary.used)} notes of {summary.n_files} files")


@cli.command(
    "Build the data sets that bench/synthesis.py is run on, beside the embedded one.",
    example="python3 bench/measuring_sets.py --real FLUTE_NOTES VIOLIN_NOTES --piano PIANO_NOTES",
)
@cli.option("--output", help="folder", default=Path("data/measuring"), type=cli.PATH)
@cli.option("--real", help="folders of recorded notes", default=(), type=cli.PATH, at_least=0)
@cli.option("--piano", help="folder of piano notes named by note and layer", type=cli.PATH)
def main(output: Path, real: tuple[Path, ...], piano: Path | None) -> None:
    make_folder(output)
    if not Path(DEFAULT_DATA_SET).is_file():
        build_embedded_set(DEFAULT_DATA_SET, cli.progress)
    for name, instrument in FROM_FONT.items():
        config = BuildConfig(kind="font", instruments=(instrument,))
        build(embedded_font(), output / f"{name}.npz", config)
    backwards = output / "reversed_piano"
    if not (backwards / INDEX).is_file():
        write_reversed_piano(backwards)
    build(backwards, output / "reversed_piano.npz")
    for folder in real:
        build(folder, output / f"{folder.resolve().name}.npz")
    if piano:
        link_layered_piano(piano, output / "layered_piano")
        build(output / "layered_piano", output / "layered_piano.npz")


if __name__ == "__main__":
    main()
