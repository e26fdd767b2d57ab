"""Results: one nested dictionary of plain values, shown as tables and written as JSON and CSV with
equal numbers.

Its shape is `results.json`'s: `overall`, `instruments`, `files` and `baselines` hold `signal`,
`symbol` and `notes`; below those come the way (`reconstruction`, `transfer`), the label, and the
measures. `settled` rounds every number once; after that all three forms show the same digits.
`<measure>_sd` stands beside its measure as `mean ± sd`.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

from lt.files import plain, write_json, write_text
from lt.labels import CLASS_NAMES, LABELS

DIGITS = 4  # behind the point, in every form
WAYS = ("reconstruction", "transfer")
NOTE = "note"  # octave and pitch together
MEASURES = {
    "log_likelihood": "log-likelihood (nats/frame)",
    "isd": "Itakura-Saito divergence",
    "log_spectral_distance_db": "log-spectral distance (dB)",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "accuracy_permutation_invariant": "accuracy, any order",
    "accuracy_sounding": "accuracy where it sounds",
    "octave_errors": "octave errors",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "f1_with_offsets": "F1 with offsets",
    "frame_note": "frames: note",
    "frame_pitch_class": "frames: pitch class",
    "frame_false_alarm": "frames: false alarms",
    "frames": "frames judged",
}
EXPLANATIONS = {
    "reconstruction, transfer": "Through the modality's own latent, and through the other's: "
    "signal to symbols, "
    "symbols to signal.",
    "log-likelihood": "Natural logarithm of p(x|z), one latent sample a pass; summed over bins "
    "(of the scaled "
    "log-magnitudes) or classes, averaged over frames. Higher is better.",
    "Itakura-Saito divergence": "Mean over bins of P/Q - ln(P/Q) - 1, P the true and Q the "
    "model's power spectrum, "
    "both floored 40 dB below the true frame's loudest bin. Lower is better.",
    "log-spectral distance": "Root mean square over bins of the difference in decibels, floored "
    "likewise. Lower is "
    "better.",
    "accuracy": "Share of frames whose most probable class, by the posterior's mean, is the true "
    "one; silence is a "
    "class where the model has it.",
    "balanced accuracy": "Mean of the accuracies of the classes that occur.",
    "accuracy, any order": "Mixtures: in the best assignment of what was read to the instruments.",
    "note": "Octave and pitch both right. Octave errors are sounding frames with the right pitch "
    "class in another "
    "octave.",
    "classifier": "Principal components, as many as the latent has dimensions, and a multilayer "
    "perceptron.",
    "majority": "Always the class that is commonest in the training part.",
    "pyin": "pYIN on the notes' own sound, rounded to the nearest note; silence where it hears no "
    "voice.",
    "active": "Latent units whose posterior mean varies over frames by more than 0.01 (variance).",
}
CSV_COLUMNS = ("scope", "name", "modality", "way", "label", "measure", "value")
Results = dict[str, Any]
Keys = tuple[str, ...]


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
        widths = [max(len(line[index]) for line in lines) for index in range(len(self.columns))]
        aligned = [
            "  ".join(
                [
                    line[0].ljust(widths[0]),
                    *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:])),
                ]
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.title, *(f"  {line}" for line in aligned)])


# --- numbers --------------------------------------------------------------------------------------


def settled(results: Results) -> Results:
    """The same with plain values, every number rounded to DIGITS, NaN and infinities as None."""

    def settle(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: settle(one) for name, one in value.items()}
        if isinstance(value, list):
            return [settle(one) for one in value]
        return (
            round(value, DIGITS) + 0.0 if isinstance(value, float) else value
        )  # + 0.0: no minus zero

    return settle(plain(results))


def shown(value: Any) -> str:
    """A settled value as tables and CSV show it."""
    if value is None:
        return "-"
    return f"{value:.{DIGITS}f}" if isinstance(value, float) else str(value)


def leaves(results: Mapping[str, Any], path: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Every value with its path; entries of a confusion matrix as `confusion_<truth>_<estimate>`."""
    for name, value in results.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, name))
        elif name == "confusion":
            for true_class, row in enumerate(value):
                for estimated_class, count in enumerate(row):
                    yield (*path, f"confusion_{true_class}_{estimated_class}"), count
        else:
            yield (*path, name), value


def csv_row(path: Keys, value: Any) -> tuple[str, ...]:
    """A leaf in CSV_COLUMNS; what a value has no place for stays empty."""
    *above, measure = path
    scope = above.pop(0) if above else "run"
    name = above.pop(0) if above and scope not in ("overall", "latent", "run") else ""
    modality, way, label = (above + ["", "", ""])[:3]
    return scope, name, modality, way, label, measure, "" if value is None else shown(value)


# --- tables ---------------------------------------------------------------------------------------


def headline(results: Results) -> str:
    """One line that says what was judged."""
    parts = [f"{results['partition']} part"] if "partition" in results else []
    parts += [f"split by {results['split']}"] if "split" in results else []
    parts += [f"{name} {results[name]}" for name in ("seed", "epoch") if name in results]
    parts += [f"{name} {results[name]}" for name in ("passes", "frames") if name in results]
    return f"{results['model']}: {', '.join(parts)}" if parts else results["model"]


def tables(results: Results) -> list[Table]:
    """Settled results as tables: signal, symbols (with the baselines beside the model), notes,
    latent, confusions.
    """
    overall, baselines = results.get("overall", {}), results.get("baselines", {})
    instruments = results.get("instruments", {}) if len(results.get("instruments", {})) > 1 else {}
    found = [
        _modality(overall, baselines, "signal", "signal"),
        _modality(overall, baselines, "symbol", "symbols"),
    ]
    found += [
        _modality(scores, {}, "symbol", f"symbols of {name}")
        for name, scores in instruments.items()
    ]
    found += [_notes(results), _files(results), _remarks(results), _latent(results)]
    return [table for table in found if table is not None] + _confusions(overall)


def _modality(scores: Results, baselines: Results, modality: str, title: str) -> Table | None:
    """Measures down, ways and baselines across."""
    columns = {way: scores[modality][way] for way in WAYS if way in scores.get(modality, {})}
    columns |= {
        name: one[modality]["transfer"] for name, one in baselines.items() if modality in one
    }
    if not columns:
        return None
    groups = (None,) if modality == "signal" else (*LABELS, NOTE)
    rows = []
    for group in groups:
        within = [column if group is None else column.get(group, {}) for column in columns.values()]
        for measure, words in MEASURES.items():
            if any(measure in one for one in within):
                rows.append(
                    (
                        words if group is None else f"{group}: {words}",
                        *(_cell(one, measure) for one in within),
                    )
                )
    return Table(title, ("", *columns), tuple(rows))


def _cell(scores: Mapping[str, Any], measure: str) -> str:
    sd = scores.get(f"{measure}_sd")
    return shown(scores.get(measure)) + (f" ± {shown(sd)}" if sd is not None else "")


def _notes(results: Results) -> Table | None:
    """Transcriptions: a row for all files, each baseline and each file."""
    rows = (
        {"overall": results.get("overall", {})}
        | results.get("baselines", {})
        | results.get("files", {})
    )
    rows = {name: scores["notes"] for name, scores in rows.items() if "notes" in scores}
    if not rows:
        return None
    measures = [
        measure for measure in MEASURES if any(measure in scores for scores in rows.values())
    ]
    return Table(
        "notes",
        ("", *(MEASURES[measure] for measure in measures)),
        tuple(
            (name, *(_cell(scores, measure) for measure in measures))
            for name, scores in rows.items()
        ),
    )


def _files(results: Results) -> Table | None:
    """A row a file: how often each label, and octave and pitch together, were read right from the
    signal.
    """
    read = {
        name: scores["symbol"]["transfer"]
        for name, scores in results.get("files", {}).items()
        if "symbol" in scores
    }
    labels = [
        label for label in (*LABELS, NOTE) if any(label in scores for scores in read.values())
    ]
    rows = tuple(
        (name, *(_cell(scores.get(label, {}), "accuracy") for label in labels))
        for name, scores in read.items()
    )
    return (
        Table("accuracy of the symbols read from the signal", ("", *labels), rows) if rows else None
    )


def _remarks(results: Results) -> Table | None:
    """What is odd about files, and why scores are missing."""
    rows = tuple(
        (f"{name}: {scores['remarks']}",)
        for name, scores in results.get("files", {}).items()
        if "remarks" in scores
    )
    return Table("remarks", ("",), rows) if rows else None


def _latent(results: Results) -> Table | None:
    latent = results.get("latent", {})
    rows = tuple((name.replace("_", " "), shown(value)) for name, value in latent.items())
    return Table("latent units", ("", "number"), rows) if rows else None


def _confusions(overall: Results) -> list[Table]:
    """Confusion matrices of the symbols read from the signal: truth down, estimates across."""
    found = []
    for label, scores in overall.get("symbol", {}).get("transfer", {}).items():
        if "confusion" in scores:
            names = (*CLASS_NAMES[label], "silence")[: len(scores["confusion"])]
            rows = tuple((name, *map(str, row)) for name, row in zip(names, scores["confusion"]))
            found.append(
                Table(
                    f"confusion of {label} (frames; truth down, transfer across)",
                    ("", *names),
                    rows,
                    folded=True,
                )
            )
    return found


def comparison(several: Sequence[Results], names: Sequence[str]) -> Table:
    """Several models side by side: what each scores overall; what one has no label for stays open."""
    rows = []
    for modality, way in ((modality, way) for modality in ("signal", "symbol") for way in WAYS):
        scores = [one.get("overall", {}).get(modality, {}).get(way, {}) for one in several]
        groups = (None,) if modality == "signal" else (*LABELS, NOTE)
        for group in groups:
            within = [score if group is None else score.get(group, {}) for score in scores]
            rows += [
                (
                    " ".join(filter(None, (modality, way, group, words))),
                    *(_cell(one, measure) for one in within),
                )
                for measure, words in MEASURES.items()
                if any(measure in one for one in within)
            ]
    notes = [one.get("overall", {}).get("notes", {}) for one in several]
    rows += [
        (f"notes {words}", *(_cell(one, measure) for one in notes))
        for measure, words in MEASURES.items()
        if any(measure in one for one in notes)
    ]
    return Table("comparison", ("", *names), tuple(rows))


def text(results: Results) -> str:
    """Settled results as one readable text."""
    return "\n\n".join([headline(results), *map(str, tables(results))])


# --- files ----------------------------------------------------------------------------------------


def write_results(folder: Path | str, results: Results) -> None:
    """Write settled results as results.json and results.csv. Raises OSError where they cannot be
    written.
    """
    write_json(Path(folder) / "results.json", results)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    writer.writerows(csv_row(path, value) for path, value in leaves(results))
    write_text(Path(folder) / "results.csv", stream.getvalue())
