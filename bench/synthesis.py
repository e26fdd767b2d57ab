#!/usr/bin/env python3
"""What models play, measured beside the notes that they were not shown.

    python3 bench/synthesis.py saves/results_0__Flute saves/results_1__Flute
    python3 bench/synthesis.py saves/real__Flute --sources FLUTE_NOTES --recordings SET_DIR

For each run of one instrument, on notes of the test part of its stored split: the course of a note
(attack, slope, flutter, release), its colour and level, and its distance to the recorded note, each
beside the same of the note itself, of a sampler, and of the note's own frames with phases found
anew (`bench/compared_notes.py`, `bench/sound_measures.py`); the distance between two takes of one
symbol, where the set has several; the range of levels from the softest to the loudest dynamics; a
tune played, its clicks, and how the model hears it again; with `--recordings`, how silent the rests
of reconstructions are. Medians over notes.

Runs that differ by their seed alone share a table of means. OUTPUT.json and OUTPUT.csv hold every
row, the JSON also those of single notes.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import click
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import bench.compared_notes as notes_of
from bench.results import current_commit
from bench.sound_measures import (
    CENTS,
    RATE,
    clicks,
    contrast_db,
    is_in_tune,
    level_db,
    loudest_db,
)
from demo import note_f1, tune
from lt import cli
from lt.audio.io import read_audio
from lt.audio.soundfont import SoundFont, embedded_font
from lt.config import PlayOptions, SynthesisConfig
from lt.data.dataset import DataSet, read_data_set
from lt.evaluation.ground_truth import find_pairs
from lt.files import write_csv, write_json
from lt.inference.decoding import decode_probabilities
from lt.inference.morphing import SymbolPoint, morph
from lt.inference.play import play_audio, play_midi
from lt.inference.synthesis import classes_to_events, events_to_audio, reconstruct
from lt.labels import ANY_AGE, DYNAMICS_NAMES, number_to_note_name, parse_symbols
from lt.midi import INSTRUMENTS, Note, Track, dynamics_to_velocity, read_midi, write_midi
from lt.models.runs import Run, load_run

LOWEST, HIGHEST = 60, 96
DYNAMICS = (0, 2, 4)
NOTE_SECONDS = 1.0
N_KEYS = 6  # whose range of levels is measured
COUNT = cli.interval("[1, inf)")
SOURCES = ("recorded", "played", "ceiling", "sampler", "takes")


@dataclass(frozen=True)
class Row:
    """One measure of one run.

    Attributes:
        model, instrument, seed, split, data: the run and the name of its data set.
        measure: with its unit.
        source: whose: `recorded`, `played`, `ceiling`, `sampler`, or `takes` (two of one symbol).
        value: median over notes where there are several; peak_dbfs: the loudest note's.
        n: notes, or files, that it is of.
    """

    model: str
    instrument: str
    seed: int
    split: str
    data: str
    measure: str
    source: str
    value: float
    n: int


@dataclass(frozen=True)
class NoteMeasures:
    """The measures of one held-out note: source -> measure -> value."""

    symbol: str
    seconds: float
    values: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Subject:
    """A run, its data set, and the folders of the data set's sources."""

    run: Run
    data: DataSet
    folders: tuple[Path, ...] = ()

    @property
    def instrument(self) -> str:
        """The run's only one."""
        return self.run.space.instruments[0]

    @property
    def split(self) -> dict:
        """The stored split."""
        return self.run.settings.split

    @property
    def training(self) -> np.ndarray:
        """Notes of the training part."""
        return np.intersect1d(self.split["notes"]["train"], self.data.notes_of(self.instrument))

    def row(self, measure: str, source: str, value: float, n: int) -> Row:
        """A row about this run."""
        folder, config = self.run.folder.path, self.run.config
        stored = self.split["kind"], self.data.path.stem
        return Row(
            str(folder), self.instrument, config.seed, *stored, measure, source, float(value), n
        )


def open_subject(model: str, dbroot: Path | None, folders: Sequence[Path]) -> Subject:
    """Load a run with its data set.

    Raises:
        FileNotFoundError, ValueError: as `load_run` and `read_data_set`; a run of several
            instruments or one whose split does not list its notes; another data set than its own.
    """
    run = load_run(model)
    if len(run.space.instruments) > 1 or "notes" not in run.settings.split:
        raise ValueError(f"{model}: expected a run of one instrument, split by note or pitch")
    data = read_data_set(dbroot or run.settings.data["path"])
    if data.fingerprint != run.settings.data["fingerprint"]:
        raise ValueError(f"{model} was not trained on {data.path}; name its own: --dbroot")
    return Subject(run, data, tuple(folders))


# --- held-out notes -------------------------------------------------------------------------------


def measure_note(subject: Subject, note: int) -> NoteMeasures:
    """All measures of a held-out note."""
    data, run = subject.data, subject.run
    symbol = notes_of.symbol_of(data, note)
    recorded = notes_of.recorded_note(data, note, subject.folders)
    length = notes_of.own_length(recorded)
    sounds = {
        "recorded": recorded,
        "played": notes_of.play_note(run, symbol, recorded.held),
        "ceiling": notes_of.find_phases(recorded, run.front_end),
        "sampler": notes_of.sample_note(
            data, subject.training, symbol, recorded.held, subject.folders
        ),
    }
    values = {}
    for source, sound in sounds.items():
        values[source] = notes_of.course(sound, length)
        if source in ("recorded", "played"):
            audio = sound.during(sound.held)
            values[source]["in_tune"] = float(is_in_tune(audio, symbol.note_number))
        if source != "recorded":
            values[source] |= notes_of.distances(recorded, sound, length)
    if not values["recorded"]["in_tune"]:  # pYIN misreads the note itself
        values["played"]["in_tune"] = values["recorded"]["in_tune"] = float("nan")
    return NoteMeasures(str(symbol), length, values)


def note_rows(subject: Subject, measured: Sequence[NoteMeasures]) -> Iterator[Row]:
    """Medians over notes of every measure; the largest peak, the mean of `in_tune`."""
    for source in SOURCES:
        of_source = [note.values[source] for note in measured if source in note.values]
        for measure in dict.fromkeys(name for values in of_source for name in values):
            values = np.array([values[measure] for values in of_source])
            values = values[~np.isnan(values)]
            if len(values):
                summarise = {"peak_dbfs": np.max, "in_tune": np.mean}.get(measure, np.median)
                yield subject.row(measure, source, summarise(values), len(values))


def take_rows(subject: Subject, count: int) -> Iterator[Row]:
    """Median distances between two takes of one symbol."""
    found: dict[str, list[float]] = {}
    for pair in notes_of.takes_of_one_symbol(subject.data, subject.instrument, count):
        first, second = (
            notes_of.recorded_note(subject.data, note, subject.folders) for note in pair
        )
        length = min(notes_of.own_length(first), notes_of.own_length(second))
        for measure, value in notes_of.distances(first, second, length).items():
            found.setdefault(measure, []).append(value)
    for measure, values in found.items():
        yield subject.row(measure, "takes", float(np.median(values)), len(values))


def velocity_rows(subject: Subject, notes: Sequence[int]) -> Iterator[Row]:
    """Level of the loudest minus level of the softest dynamics that the data have at a key: median
    over the keys of `notes`, played and recorded.
    """
    data = subject.data
    every = {note: notes_of.symbol_of(data, note) for note in data.notes_of(subject.instrument)}
    ranges: dict[str, list[float]] = {"recorded": [], "played": []}
    keys = sorted({notes_of.symbol_of(data, note).note_number for note in notes})
    for key in notes_of.evenly(keys, N_KEYS):
        of_key = sorted(
            (note for note in every if every[note].note_number == key),
            key=lambda note: every[note].dynamics,
        )
        softest, loudest = of_key[0], of_key[-1]
        if every[softest] == every[loudest]:
            continue
        levels = {"recorded": [], "played": []}
        for note in (softest, loudest):
            recorded = notes_of.recorded_note(data, note, subject.folders)
            played = notes_of.play_note(subject.run, every[note], recorded.held)
            levels["recorded"].append(loudest_db(recorded.audio))
            levels["played"].append(loudest_db(played.audio))
        for source, pair in levels.items():
            ranges[source].append(pair[1] - pair[0])
    for source, values in ranges.items():
        if values:
            yield subject.row("velocity_range_db", source, float(np.median(values)), len(values))


# --- every key ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PitchScores:
    """Notes played by the font and by the model, as pYIN reads them.

    Attributes:
        n_notes: all notes. n_readable: those read right in the font's rendering; n_right: of these,
            in the model's.
        missed, misread: names of notes read wrong in the model's, in the font's rendering.
        rising: fraction of pitches whose level rises with dynamics.
    """

    n_notes: int
    n_readable: int
    n_right: int
    missed: tuple[str, ...]
    misread: tuple[str, ...]
    rising: float


def score_pitches(run: Run, config: SynthesisConfig, instrument: str) -> PitchScores:
    """Every note from C4 to C7 at three dynamics."""
    notes = [(number, dynamics) for number in range(LOWEST, HIGHEST + 1) for dynamics in DYNAMICS]
    names = [
        f"{number_to_note_name(number)}:{DYNAMICS_NAMES[dynamics]}" for number, dynamics in notes
    ]
    events = classes_to_events(parse_symbols(names, run.space), NOTE_SECONDS)
    audio = events_to_audio(run, events, config)[: round(len(notes) * NOTE_SECONDS * RATE)]
    sounds = np.split(audio, len(notes))
    font = SoundFont(embedded_font())
    program = INSTRUMENTS[instrument].program
    missed, misread = [], []
    for (number, dynamics), name, sound in zip(notes, names, sounds):
        velocity = int(dynamics_to_velocity(dynamics))
        reference = font.render_note(program, number, velocity, NOTE_SECONDS, 0.0)
        if not is_in_tune(reference, number):
            misread.append(name)
        elif not is_in_tune(sound, number):
            missed.append(name)
    # joins to the neighbours are included
    levels = np.array([level_db(sound) for sound in sounds]).reshape(-1, len(DYNAMICS))
    return PitchScores(
        n_notes=len(notes),
        n_readable=len(notes) - len(misread),
        n_right=len(notes) - len(misread) - len(missed),
        missed=tuple(missed),
        misread=tuple(misread),
        rising=float((np.diff(levels, axis=1) > 0).all(axis=1).mean()),
    )


# --- morphing -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MorphingScores:
    """A linear morphing from one symbol to another.

    Attributes:
        largest_step: spectral distance between neighbouring frames, maximum over mean.
        notes_right, all_right: whether octave and pitch, or all labels, go from first to last.
    """

    largest_step: float
    notes_right: bool
    all_right: bool


@torch.no_grad()
def score_morphing(run: Run, first: str, last: str, n_frames: int = 500) -> MorphingScores:
    """Morph from symbol `first` to symbol `last`."""
    classes = parse_symbols([first, last], run.space)
    points = [SymbolPoint(group) for group in classes]
    path = morph(run, points, n_frames, config=SynthesisConfig(sample=False))
    magnitudes = path.magnitudes.cpu().numpy()
    decibels = 20 * np.log10(np.maximum(magnitudes / magnitudes.max(), 1e-3))
    steps = np.sqrt((np.diff(decibels, axis=0) ** 2).mean(axis=1))
    probabilities = decode_probabilities(run, path.z)
    predicted = np.stack([group.argmax(axis=1) for group in probabilities], axis=1)
    right = (predicted[[0, -1]] == classes.reshape(2, -1)) | (classes.reshape(2, -1) == ANY_AGE)
    return MorphingScores(
        float(steps.max() / steps.mean()), bool(right[:, :2].all()), bool(right.all())
    )


# --- a tune through the model ---------------------------------------------------------------------


@dataclass(frozen=True)
class PlayedTune:
    """The demo's tune synthesised from MIDI: sound file, notes, and seconds it took."""

    sound: Path
    notes: list[Note]
    seconds: float


def tune_within(lowest: int, highest: int) -> list[Note]:
    """The demo's tune, transposed by as little as brings it between two note numbers."""
    notes = tune()
    numbers = [note.note_number for note in notes]
    shift = max(lowest - min(numbers), min(0, highest - max(numbers)))
    return [replace(note, note_number=note.note_number + shift) for note in notes]


def play_tune(
    run: Run, instrument: str, folder: Path, options: PlayOptions, notes: Sequence[Note] = ()
) -> PlayedTune:
    """Write `tune.mid` and its synthesis in a folder; `notes` instead of the demo's tune."""
    notes, midi = list(notes) or tune(), folder / "tune.mid"
    program = INSTRUMENTS[instrument].program if instrument in INSTRUMENTS else 0
    write_midi(midi, [Track(instrument, program, tuple(notes))])
    started = time.perf_counter()
    sound = play_midi(run, midi, folder / "tune", options).sound
    return PlayedTune(sound, notes, time.perf_counter() - started)


def n_notes_in_tune(sound: Path, notes: list[Note]) -> int:
    """Number of notes that pYIN reads within 50 cents, each over its own time."""
    audio = read_audio(sound)
    return sum(
        is_in_tune(audio[round(note.onset * RATE) : round(note.offset * RATE)], note.note_number)
        for note in notes
    )


def tune_rows(subject: Subject) -> Iterator[Row]:
    """The demo's tune, within the keys that were learnt: MIDI -> sound -> MIDI note F1, clicks at
    its borders, and seconds of sound made in a second.
    """
    run, options = subject.run, PlayOptions(graphs=0)
    numbers = [
        notes_of.symbol_of(subject.data, note).note_number for note in subject.training.tolist()
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        notes = tune_within(min(numbers), max(numbers))
        played = play_tune(run, subject.instrument, folder, options, notes)
        audio = read_audio(played.sound)
        heard = play_audio(run, played.sound, folder / "heard", options).midi
        f1 = note_f1(folder / "tune.mid", heard) if heard else float("nan")
    borders = np.array([time * RATE for note in notes for time in (note.onset, note.offset)])
    yield subject.row("round_trip_f1", "played", f1, len(notes))
    yield subject.row("clicks_at_joins", "played", clicks(audio, borders), len(borders))
    yield subject.row("times_real_time", "played", len(audio) / RATE / played.seconds, 1)


# --- reconstructions ------------------------------------------------------------------------------


def contrast_rows(subject: Subject, recordings: Path, count: int) -> Iterator[Row]:
    """Median level in notes minus median level in rests: recordings, and their reconstructions; and
    what the reconstruction of a recording loses of it at most.
    """
    pairs = find_pairs(recordings / "Recordings", recordings / "Aligned_files" / "mid_files")
    found: dict[str, list[float]] = {"recorded": [], "played": []}
    for pair in notes_of.evenly(pairs, count):
        notes = [note for track in read_midi(pair.midi) for note in track.notes]
        spans = np.array([(note.onset, note.offset) for note in notes])
        audio = read_audio(pair.audio)
        found["recorded"].append(contrast_db(audio, spans))
        found["played"].append(contrast_db(reconstruct(subject.run, audio), spans))
    values = np.array([found["recorded"], found["played"]])
    values = values[:, ~np.isnan(values).any(axis=0)]
    if n_files := values.shape[1]:
        for source, of_source in zip(found, values):
            yield subject.row("contrast_db", source, float(np.median(of_source)), n_files)
        lost = float((values[0] - values[1]).max())
        yield subject.row("contrast_lost_at_most_db", "played", lost, n_files)


# --- tables and files -----------------------------------------------------------------------------


def measure(
    subject: Subject, count: int, recordings: Path | None
) -> tuple[list[Row], list[NoteMeasures]]:
    """All rows of a run, and the measures of its single notes."""
    notes = notes_of.held_out_notes(subject.data, subject.split, subject.instrument, count)
    measured = [measure_note(subject, note) for note in notes]
    rows = [*note_rows(subject, measured), *take_rows(subject, count)]
    rows += [*velocity_rows(subject, notes), *tune_rows(subject)]
    if recordings:
        rows += contrast_rows(subject, recordings, count)
    return rows, measured


def table(rows: Iterable[Row]) -> str:
    """Measures as lines, sources as columns: means over seeds, with their standard deviation where
    there are several.
    """
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        values.setdefault((row.measure, row.source), []).append(row.value)
    lines = [f"{'':<26}" + "".join(f"{source:>18}" for source in SOURCES)]
    for measure in dict.fromkeys(measure for measure, _ in values):
        cells = [_cell(values.get((measure, source), [])) for source in SOURCES]
        lines.append(f"{measure:<26}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 and np.isfinite(values).all() else ""
    return f"{mean(values):.2f}{spread}"


def tables(rows: Sequence[Row]) -> str:
    """A table for each instrument, data set and split."""
    by_group: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        by_group.setdefault((row.instrument, row.data, row.split), []).append(row)
    return "\n\n".join(
        f"{instrument}, {data}, split by {split}, seeds "
        f"{' '.join(map(str, sorted({row.seed for row in group})))}\n{table(group)}"
        for (instrument, data, split), group in by_group.items()
    )


def write_results(
    output: Path, rows: Sequence[Row], notes: Mapping[str, Sequence[NoteMeasures]]
) -> None:
    """Write OUTPUT.csv and OUTPUT.json; infinities are null in the JSON."""
    fields = list(Row.__dataclass_fields__)
    write_csv(
        output.with_suffix(".csv"),
        [fields, *([getattr(row, name) for name in fields] for row in rows)],
    )
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    content = {"commit": current_commit(), "machine": machine, "rows": rows, "notes": notes}
    write_json(output.with_suffix(".json"), content)


def print_scores(subject: Subject) -> None:
    """Print how pYIN reads every key of an instrument of the embedded font, and how evenly a
    morphing moves.
    """
    for sample in (True, False):
        scores = score_pitches(subject.run, SynthesisConfig(sample=sample), subject.instrument)
        click.echo(
            f"latent_sample {int(sample)}: {scores.n_right} of {scores.n_readable} notes within "
            f"{CENTS} cents = {scores.n_right / scores.n_readable:.3f} (misread in the font's own: "
            f"{' '.join(scores.misread) or 'none'}; missed: {' '.join(scores.missed) or 'none'}); "
            f"levels rise for {scores.rising:.3f} of the notes"
        )
    for pair in (("C4:mf", "G4:mf"), ("A4:pp", "A5:ff"), ("E5:f", "F5:f")):
        scores = score_morphing(subject.run, *pair)
        click.echo(
            f"morphing {' to '.join(pair)}: largest step {scores.largest_step:.1f} x the mean, "
            f"notes {'right' if scores.notes_right else 'WRONG'}, with dynamics "
            f"{'right' if scores.all_right else 'WRONG'}"
        )


@cli.command(
    "Measure what models play beside the notes that they were not shown.",
    example="python3 bench/synthesis.py saves/results_0__Flute --n_notes 18",
)
@click.argument("models", nargs=-1, required=True, type=cli.PATH)
@cli.option("--dbroot", help="data set of the models", default_text="each run's own", type=cli.PATH)
@cli.option(
    "--sources",
    help="folders of the data set's recordings or fonts",
    default=(),
    type=cli.PATH,
    at_least=0,
)
@cli.option("--recordings", help="set of recordings to reconstruct", type=cli.PATH)
@cli.option("--n_notes", help="held-out notes, pairs of takes, recordings", default=18, type=COUNT)
@cli.option("--every_key", help="1: read every key by pYIN as well", default=0, type=cli.SWITCH)
@cli.option("--output", help="without suffix", default=Path("saves/synthesis"), type=cli.PATH)
def main(
    models: tuple[Path, ...],
    dbroot: Path | None,
    sources: tuple[Path, ...],
    recordings: Path | None,
    n_notes: int,
    every_key: int,
    output: Path,
) -> None:
    rows: list[Row] = []
    notes: dict[str, list[NoteMeasures]] = {}
    for model in models:
        subject = open_subject(str(model), dbroot, sources)
        found, notes[str(model)] = measure(subject, n_notes, recordings)
        rows += found
        write_results(output, rows, notes)
        cli.logger.info(f"{model}: {len(found)} rows")
        if every_key:
            print_scores(subject)
    click.echo(tables(rows))


if __name__ == "__main__":
    main()
