"""Results of an evaluation: one flat list of scores; tables, results.json and results.csv follow
from it.

A `Score` is one number and what it was measured on, a row of results.csv. results.json nests the
scores by scope, name, modality, path, label and measure. Numbers are rounded to DIGITS as they
leave this module, so that all three forms show the same digits; `<measure>_sd`, the standard
deviation over passes, is shown as `mean ± sd`.

Names: `modality` is signal, symbol or notes; `path` is reconstruction (through the modality's own
latent) or transfer (through the other's); `label` is octave, pitch, dynamics, dynamics_of_notes or
note (octave and pitch together).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence

from lt.files import write_csv, write_json
from lt.html import html_table
from lt.labels import CLASS_NAMES, LABELS, NOTE
from lt.messages import counted

MOST_VOICES = 6  # of `--voices`
DIGITS = 4  # behind the point, in every form
MOST_PRINTED = 16  # columns of a printed confusion matrix: all pitches and silence fit a terminal
PATHS = ("reconstruction", "transfer")
NOTE_DYNAMICS = "dynamics_of_notes"  # of whole notes, from their level and colour
CHORD = "chord"  # the set of notes of a frame
MEASURES = {
    "log_likelihood": "log-likelihood (nats/frame)",
    "isd": "Itakura-Saito divergence",
    "log_spectral_distance_db": "log-spectral distance (dB)",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "mean_class_error": "mean class error",
    "accuracy_permutation_invariant": "accuracy, any order",
    "accuracy_sounding": "accuracy where it sounds",
    "octave_errors": "octave errors",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    **{f"f1_of_{count}": f"F1, {count} at once" for count in range(1, MOST_VOICES + 1)},
    "f1_with_offsets": "F1 with offsets",
    "frame_note": "frames: note",
    "frame_pitch_class": "frames: pitch class",
    "frame_false_alarm": "frames: false alarms",
    "velocity_error": "velocity: error",
    "velocity_constant": "of a constant",
}
EXPLANATIONS = {
    "reconstruction, transfer": "Through the modality's own latent, and through the other's: "
    "signal to symbols, symbols to signal.",
    "log-likelihood": "Natural logarithm of p(x|z), one latent sample a pass; summed over bins "
    "(of the scaled log-magnitudes) or classes, averaged over frames. Higher is better.",
    "Itakura-Saito divergence": "Mean over bins of P/Q - ln(P/Q) - 1, P the true and Q the "
    "model's power spectrum, both floored 40 dB below the true frame's loudest bin. Lower is "
    "better.",
    "log-spectral distance": "Root mean square over bins of the difference in decibels, floored "
    "likewise. Lower is better.",
    "accuracy": "Fraction of frames whose most probable class, by the posterior's mean, is the "
    "true one; silence is a class where the model has it.",
    "balanced accuracy": "Mean of the accuracies of the classes that occur.",
    "mean class error": "Dynamics: mean distance of the predicted from the true class, of frames "
    "that sound in both.",
    "accuracy, any order": "Mixtures: in the best assignment of the predictions to the "
    "instruments.",
    "note": "Octave and pitch both right. Octave errors are sounding frames with the right pitch "
    "class in another octave.",
    "chord": "Several voices: the notes that are held in a frame, as the keys tell them, over all "
    "frames and by how many notes there are.",
    "velocity": "Mean absolute error over the matched notes of all files, and that of the best "
    "constant, the median of their true velocities.",
    "classifier": "Principal components, as many as the latent has dimensions, and a multilayer "
    "perceptron.",
    NOTE_DYNAMICS: "Of whole notes: the dynamics at which the model decodes level and colour. "
    "Baseline forest: a random forest on (level, spectral centroid, key) of the training notes.",
    "majority": "Always the class that is commonest in the training part.",
    "pyin": "pYIN on the notes' own sound, rounded to the nearest note; silence where it finds no "
    "pitch.",
    "active": "Latent units whose posterior mean varies over frames by more than 0.01 (variance).",
}
CSV_COLUMNS = ("scope", "name", "modality", "way", "label", "measure", "value")  # way: the path
ORDER = {  # of the rows of a table
    "modality": ("signal", "symbol", "notes"),
    "path": PATHS,
    "label": (*LABELS, NOTE_DYNAMICS, NOTE, CHORD),
    "measure": tuple(MEASURES),
}
Value = float | int | list[list[int]]


@dataclass(frozen=True)
class Score:
    """One measured value and what it was measured on.

    Attributes:
        measure: a key of MEASURES, `confusion`, or a count.
        value: a number, or the counts of a confusion matrix, a list a true class.
        label: empty for spectra and for transcriptions. modality: empty for counts.
        path: of one recording's scores also the name of a baseline.
        scope: overall, instruments, baselines, latent or files. name: of the instrument, baseline
            or file; empty for the others.
        sd: standard deviation over passes (n - 1); None for a single pass.
    """

    measure: str
    value: Value
    label: str = ""
    modality: str = ""
    path: str = ""
    scope: str = "overall"
    name: str = ""
    sd: float | None = None

    def __str__(self) -> str:
        """As a cell of a table."""
        return shown(self.value) if self.sd is None else f"{shown(self.value)} ± {shown(self.sd)}"


@dataclass(frozen=True)
class Results:
    """All that is known of one model.

    Attributes:
        about: what was evaluated: model, seed, partition, ... scores: all of them.
        remarks: what is odd about a recording, by its stem.
        settings: constants that were used, by kind (`decoder`, `synthesis`); in results.json alone.

    Example:
        >>> score = Score("accuracy", 0.5, "pitch", "symbol", "transfer")
        >>> results = Results({"model": "m"}, [score])
        >>> results.value("accuracy", label="pitch", path="transfer")
        0.5
        >>> results.to_dict()["overall"]["symbol"]["transfer"]["pitch"]
        {'accuracy': 0.5}
    """

    about: Mapping[str, str | int]
    scores: Sequence[Score]
    remarks: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Results({self.about.get('model', '')}: {counted(len(self.scores), 'score')})"

    def _repr_html_(self) -> str:
        """For notebooks: the tables."""
        shown = [table for table in tables(self) if not table.folded]
        return "".join(html_table(table.title, table.rows, table.columns) for table in shown)

    def value(self, measure: str, scope: str = "overall", **fields: str) -> Value:
        """The value of the first score with these fields. Raises LookupError if there is none."""
        found = select(self.scores, measure=measure, scope=scope, **fields)
        if not found:
            raise LookupError(f"no {measure} of {scope} {fields}")
        return found[0].value

    def to_dict(self) -> dict[str, Any]:
        """The scores as in results.json: nested, every number rounded to DIGITS, NaN as None."""
        tree: dict[str, Any] = dict(self.about)
        for score in self.scores:
            if score.scope == "latent":
                tree.setdefault("baselines", {})  # there, if empty, beside a model's own scores
            place = tree
            for key in (score.scope, score.name, score.modality, score.path, score.label):
                place = place.setdefault(key, {}) if key else place
            place[score.measure] = rounded(score.value)
            if score.sd is not None:
                place[f"{score.measure}_sd"] = rounded(score.sd)
        for stem, remark in self.remarks.items():
            tree.setdefault("files", {}).setdefault(stem, {})["remarks"] = remark
        return tree


def select(scores: Iterable[Score], **fields: str) -> list[Score]:
    """The scores whose fields have these values."""
    return [s for s in scores if all(getattr(s, name) == fields[name] for name in fields)]


def placed(scores: Iterable[Score], **fields: str) -> list[Score]:
    """The same scores with other fields, such as `scope` and `name`."""
    return [replace(score, **fields) for score in scores]


# --- numbers --------------------------------------------------------------------------------------


def rounded(value: Any) -> Any:
    """A float rounded to DIGITS, None if it is NaN or infinite; anything else as it is."""
    if not isinstance(value, float):
        return value
    return round(float(value), DIGITS) + 0.0 if math.isfinite(value) else None  # no minus zero


def shown(value: Any) -> str:
    """A value as tables and CSV show it."""
    value = rounded(value)
    if value is None:
        return "-"
    return f"{value:.{DIGITS}f}" if isinstance(value, float) else str(value)


# --- tables ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A titled table of text: `rows` have a cell a column, the first column names the row;
    `folded` tables are collapsed in the report.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False

    def __str__(self) -> str:
        """Aligned, columns at least two spaces apart, numbers to the right."""
        lines = [self.columns, *self.rows]
        first, *others = [max(map(len, cells)) for cells in zip(*lines)]
        aligned = [
            "  ".join([name.ljust(first), *map(str.rjust, cells, others)]).rstrip()
            for name, *cells in lines
        ]
        return "\n".join([self.title, *(f"  {line}" for line in aligned)])


def pivot(
    title: str,
    scores: Sequence[Score],
    row: Callable[[Score], str],
    column: Callable[[Score], str],
    columns: Sequence[str] = (),
) -> Table:
    """A table of scores; rows and columns in order of appearance, or the `columns` given."""
    cells = {(row(score), column(score)): str(score) for score in scores}
    columns = columns or list(dict.fromkeys(column for _, column in cells))
    rows = [
        (name, *(cells.get((name, column), "-") for column in columns))
        for name in dict.fromkeys(row for row, _ in cells)
    ]
    return Table(title, ("", *columns), tuple(rows))


def tables(results: Results) -> list[Table]:
    """Signal, symbols (the baselines beside the model), notes, files, remarks, latent units,
    confusions: those for which there are scores.
    """
    scores = in_order(results.scores)
    compared = [score for score in scores if score.scope in ("overall", "baselines")]
    groups = {
        "signal": select(compared, modality="signal"),
        "symbols": select(compared, modality="symbol"),
    }
    per_instrument = select(scores, scope="instruments", modality="symbol")
    instruments = dict.fromkeys(score.name for score in per_instrument)
    if len(instruments) > 1:
        for name in instruments:
            groups[f"symbols of {name}"] = select(per_instrument, name=name)
    found = [
        pivot(
            title,
            group,
            lambda score: _joined(": ", score.label, MEASURES[score.measure]),
            lambda score: score.name if score.scope == "baselines" else score.path,
        )
        for title, group in groups.items()
    ]
    found += [
        _notes(results),
        pivot(
            "accuracy of the symbols transcribed from the signal",
            select(scores, scope="files", path="transfer", measure="accuracy"),
            lambda score: score.name,
            lambda score: score.label,
        ),
        Table("remarks", ("",), tuple((": ".join(item),) for item in results.remarks.items())),
        pivot(
            "latent units",
            select(results.scores, scope="latent"),
            lambda score: score.measure.replace("_", " "),
            lambda score: "number",
        ),
    ]
    return [table for table in found if table.rows] + _confusions(results)


def in_order(scores: Iterable[Score]) -> list[Score]:
    """Scores with a measure of MEASURES, sorted by ORDER."""

    def position(score: Score) -> list[int]:
        keys = [(getattr(score, name), values) for name, values in ORDER.items()]
        return [values.index(key) if key in values else len(values) for key, values in keys]

    return sorted((score for score in scores if score.measure in MEASURES), key=position)


def _joined(separator: str, *words: str) -> str:
    return separator.join(filter(None, words))


def _notes(results: Results) -> Table:
    """Transcriptions: a row for all files, for each baseline and for each file."""
    scores = [
        score
        for scope in ("overall", "baselines", "files")
        for score in select(results.scores, scope=scope, modality="notes")
    ]
    return pivot("notes", scores, lambda s: s.name or s.scope, lambda s: MEASURES[s.measure])


def _confusions(results: Results) -> list[Table]:
    """Confusion matrices of the symbols transcribed from the signal."""
    found = []
    for score in select(results.scores, scope="overall", path="transfer", measure="confusion"):
        names = (*CLASS_NAMES[score.label], "silence")[: len(score.value)]
        rows = tuple((name, *map(str, counts)) for name, counts in zip(names, score.value))
        title = f"confusion of {score.label} (frames; truth down, transfer across)"
        found.append(Table(title, ("", *names), rows, folded=True))
    return found


# --- text and files -------------------------------------------------------------------------------


def headline(results: Results) -> str:
    """One line that says what was evaluated."""
    words = {"partition": "{} part", "split": "split by {}"}
    words |= {name: f"{name} {{}}" for name in ("seed", "epoch", "passes", "frames")}
    about = results.about
    parts = [template.format(about[name]) for name, template in words.items() if name in about]
    return f"{about['model']}: {', '.join(parts)}" if parts else about["model"]


def text(results: Results) -> str:
    """The results as one readable text, without confusion matrices of many classes."""
    printed = [own for own in tables(results) if not own.folded or len(own.columns) <= MOST_PRINTED]
    return "\n\n".join([headline(results), *map(str, printed)])


def write_results(folder: Path | str, results: Results) -> None:
    """Write results.json and results.csv. Raises OSError where they cannot be written."""
    content = results.to_dict()
    settings = {"settings": results.settings} if results.settings else {}
    write_json(Path(folder) / "results.json", content | settings)
    rows = (csv_row(*leaf) for leaf in leaves(content))
    write_csv(Path(folder) / "results.csv", [CSV_COLUMNS, *rows])


def leaves(tree: Mapping[str, Any], keys: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """(keys, value) of every value of a nested dict; the counts of a confusion matrix are
    `confusion_<truth>_<estimate>`.
    """
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, (*keys, name))
        elif isinstance(value, list):
            for truth, counts in enumerate(value):
                for estimate, count in enumerate(counts):
                    yield (*keys, f"{name}_{truth}_{estimate}"), count
        else:
            yield (*keys, name), value


def csv_row(keys: tuple[str, ...], value: Any) -> tuple[str, ...]:
    """A leaf in CSV_COLUMNS; columns that a value does not have stay empty."""
    *above, measure = keys
    scope = above.pop(0) if above else "run"
    name = above.pop(0) if above and scope not in ("overall", "latent") else ""
    modality, path, label = (*above, "", "", "")[:3]
    return scope, name, modality, path, label, measure, "" if value is None else shown(value)
