#!/usr/bin/env python3
"""Measure the README's figures again, into docs/results.json.

    make results SETS="Flute=DIR Violin=DIR"
    python3 bench/results.py --set Flute=DIR --set Violin=DIR --seeds "0 1 2"

Trains `--preset robust` on the embedded data set for each instrument and seed, then measures:
held-out notes (`lt_analyze.py`), the demo's tune, pitch and level of what the model plays
(`bench/synthesis.py`), and note and frame scores on each set of recordings (`lt_midi.py`). DIR has
Recordings/ and Aligned_files/mid_files/, as the
Cantos flute set; a row covers all recordings, another those whose name ends in an even number
(settings are chosen on the odd ones).

Each row names its commit and that of its model, and is stored as soon as it is there: a run that
was stopped goes on. Rows of other commits are measured again; models of other commits are trained
again unless `--keep_models`. What differs from the committed file is printed.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import lt.config
from lt.evaluation.metrics import frame_counts, note_scores, pooled_note_figures
from lt.files import write_json
from lt.midi import Note, read_midi

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results.json"
SAVES = ROOT / "saves"
TOLERANCE = 0.01  # a mean over seeds that is worse by more is marked
LOWER_IS_BETTER = "frame_false_alarm"


@dataclass(frozen=True)
class Row:
    """One measurement: `values` by name, at `commit`, of a model trained at `model_commit`."""

    measure: str
    instrument: str
    seed: int
    values: dict[str, float]
    commit: str
    model_commit: str
    machine: str

    @property
    def key(self) -> tuple[str, str, int]:
        return self.measure, self.instrument, self.seed


class Results:
    """The rows of docs/results.json; written after each new one."""

    def __init__(self, commit: str) -> None:
        self.commit = commit
        self.machine = f"{platform.machine()}, Python {platform.python_version()}"
        stored = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"rows": []}
        self.rows = {row.key: row for row in (Row(**values) for values in stored["rows"])}

    def measure(
        self,
        work: Callable[..., dict[str, float]],
        *arguments: Path,
        row: tuple[str, str, int],
        model_commit: str,
    ) -> None:
        """Store the values that `work(*arguments)` returns, unless they are there for this commit
        and model.
        """
        known = self.rows.get(row)
        if known and (known.commit, known.model_commit) == (self.commit, model_commit):
            return
        click.echo(f"{' '.join(map(str, row))} ...", err=True)
        values = {name: round(value, 4) for name, value in work(*arguments).items()}
        self.rows[row] = Row(*row, values, self.commit, model_commit, self.machine)
        rows = [asdict(self.rows[key]) for key in sorted(self.rows)]
        write_json(RESULTS, {"commit": self.commit, "machine": self.machine, "rows": rows})


def git(*arguments: str) -> str:
    """Output of a git command; empty outside a repository."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def current_commit() -> str:
    """Short hash of HEAD, with `-dirty` where tracked files but the results differ from it."""
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def call(script: str, *arguments: object) -> str:
    """Run a script of the repository -> its stdout; its failure ends the measurement."""
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


# --- measures -------------------------------------------------------------------------------------


def trained(model: Path, instrument: str, seed: int, commit: str, keep: bool) -> str:
    """Train the preset unless that was done at this commit, or at any with `keep` -> the model's
    commit.
    """
    stamp = model / "commit.txt"
    known = stamp.read_text().strip() if stamp.is_file() else ""
    if known == commit or (known and keep):
        return known
    click.echo(f"training {model.name} ...", err=True)
    name = model.name.removesuffix(f"__{instrument}")
    flags = ("--instruments", instrument, "--preset", "robust", "--seed", seed)
    call("lt_train.py", *flags, "--name", name, "--savedir", model.parent)
    stamp.write_text(commit + "\n")
    return commit


def held_out(model: Path) -> dict[str, float]:
    """Octave and pitch both right, and dynamics, over frames of held-out notes."""
    off = ("--make_classifier", 0, "--evaluate_classifier", 0, "--make_figures", 0)
    call("lt_analyze.py", "-m", model, *off, "--generate_audio", 0)
    results = json.loads((model / "analysis" / "results.json").read_text())
    transfer = results["overall"]["symbol"]["transfer"]
    return {name: transfer[name]["accuracy"] for name in ("note", "dynamics")}


def demo_tune(model: Path) -> dict[str, float]:
    """Note F1 on the demo's tune, rendered from the font that the model learnt."""
    import demo

    demo.write_tune()
    sound = (SAVES / "demo_tune.wav").resolve()
    call("lt_play.py", "audio", "-m", model, "-i", sound, "--graphs", 0)
    estimated = model / "audio_reconstructions" / "demo_tune.mid"
    return {"f1": demo.note_f1(SAVES / "demo_tune.mid", estimated)}


def synthesis(model: Path) -> dict[str, float]:
    """Fraction of notes from C4 to C7 in tune, and of those whose level rises with the dynamics;
    note F1 of the demo's tune after MIDI -> sound -> MIDI.
    """
    from bench.synthesis import play_tune, score_pitches
    from demo import note_f1
    from lt.inference.play import play_audio

    run = lt.load_run(model)
    options = lt.config.PlayOptions(graphs=0)
    scores = score_pitches(run, lt.SynthesisConfig(), "Flute")
    with tempfile.TemporaryDirectory() as name:
        played = play_tune(run, "Flute", Path(name), options)
        transcription = play_audio(run, played.sound, Path(name) / "transcribed", options).midi
        f1 = note_f1(Path(name) / "tune.mid", transcription)
    return {
        "in_tune": scores.n_right / scores.n_readable,
        "rising": scores.rising,
        "round_trip_f1": f1,
    }


def on_recordings(model: Path, folder: Path, output: Path) -> dict[str, float]:
    """Note and frame scores on a set of recordings with aligned MIDI: all, and the even ones."""
    midi = folder / "Aligned_files" / "mid_files"
    off = ("--plot", 0, "--resynthesize", 0, "--classifier", 0, "--losses", 0)
    paths = ("--dataroot", folder / "Recordings", "--midiroot", midi, "--output", output)
    call("lt_midi.py", "--models", model, *paths, *off)
    pairs = {
        reference.stem.removesuffix("-lined"): (notes_of(reference), notes_of(estimated))
        for reference in sorted(midi.glob("*.mid"))
        if (estimated := transcription(output, reference)).is_file()
    }
    even = [pair for stem, pair in pairs.items() if int(stem.rpartition("-")[2]) % 2 == 0]
    return scores(list(pairs.values())) | {f"{k}_even": v for k, v in scores(even).items()}


def transcription(output: Path, reference: Path) -> Path:
    """The transcription that belongs to a reference."""
    return output / "transcriptions" / f"{reference.stem.removesuffix('-lined')}.mid"


def notes_of(path: Path) -> list[Note]:
    """All notes of a MIDI file, sorted."""
    return sorted(note for track in read_midi(path) for note in track.notes)


def scores(pairs: list[tuple[list[Note], list[Note]]]) -> dict[str, float]:
    """Note scores as means over files, frame figures pooled; of (reference, estimated) pairs."""
    figures = pooled_note_figures(
        [note_scores(*pair) for pair in pairs], [frame_counts(*pair) for pair in pairs]
    )
    names = ("f1", "f1_with_offsets", "frame_note", "frame_false_alarm")
    return {name: figures[name] for name in names}


# --- the table ------------------------------------------------------------------------------------


def summary(rows: dict[tuple[str, str, int], Row]) -> Iterator[tuple[str, float, float]]:
    """(name, mean over seeds, standard deviation) of every value of every measure."""
    values: dict[str, list[float]] = {}
    for (measure, instrument, _), row in sorted(rows.items()):
        for name, value in row.values.items():
            values.setdefault(" ".join(filter(None, (measure, instrument, name))), []).append(value)
    for name, found in values.items():
        yield name, mean(found), stdev(found) if len(found) > 1 else 0.0


def table(now: dict[tuple[str, str, int], Row], before: dict[tuple[str, str, int], Row]) -> str:
    """Every mean beside the one that was committed; a worse one is marked."""
    known = {name: value for name, value, _ in summary(before)}
    lines = []
    for name, value, deviation in summary(now):
        change = value - known.get(name, value)
        worse = change > TOLERANCE if LOWER_IS_BETTER in name else change < -TOLERANCE
        mark = "  WORSE" if worse else ""
        lines.append(f"{name:<44} {value:9.4f} ± {deviation:.4f}  {change:+.4f}{mark}")
    return "\n".join(lines)


def sets_of(arguments: tuple[str, ...]) -> list[tuple[str, Path]]:
    """`INSTRUMENT=DIR` -> pairs. Raises click.UsageError for anything else."""
    pairs = [argument.partition("=") for argument in arguments]
    for name, _, folder in pairs:
        if not name or not (Path(folder) / "Recordings").is_dir():
            raise click.UsageError(f"--set {name}={folder}: no folder {folder}/Recordings")
    return [(name, Path(folder).resolve()) for name, _, folder in pairs]


@click.command(help=__doc__.splitlines()[0])
@click.option("--set", "sets", multiple=True, help="INSTRUMENT=DIR; may be given several times")
@click.option("--seeds", default="0 1 2", show_default=True, help="separated by spaces")
@click.option("--keep_models", is_flag=True, help="use models that were trained at other commits")
def main(sets: tuple[str, ...], seeds: str, keep_models: bool) -> None:
    commit = current_commit()
    recordings = sets_of(sets)
    results = Results(commit)
    committed = json.loads(git("show", "HEAD:docs/results.json") or '{"rows": []}')
    before = {row.key: row for row in (Row(**values) for values in committed["rows"])}
    for seed in map(int, seeds.split()):
        for instrument in dict.fromkeys(["Flute", *(name for name, _ in recordings)]):
            model = SAVES / f"results_{seed}__{instrument}"
            model_commit = trained(model, instrument, seed, commit, keep_models)
            if instrument == "Flute":
                for work in (held_out, demo_tune, synthesis):
                    row = (work.__name__, instrument, seed)
                    results.measure(work, model, row=row, model_commit=model_commit)
            for folder in (folder for name, folder in recordings if name == instrument):
                row = (f"recordings {folder.name}", instrument, seed)
                output = model / "results" / folder.name
                results.measure(
                    on_recordings, model, folder, output, row=row, model_commit=model_commit
                )
    click.echo(table(results.rows, before))


if __name__ == "__main__":
    main()
