"""Summary of a build: what happened to every file, as tables and as a CSV."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lt.build.extract import ExtractedNote
from lt.build.notes import Manifest, Skipped
from lt.files import write_csv
from lt.labels import DYNAMICS_NAMES, number_to_note_name

FAR_CENTS = 50.0  # half a semitone: a note further from its label is nearer to another note
N_LISTED = 20  # such notes in the printed summary; the CSV has all
N_EXAMPLES = 3  # files named for each reason in the printed summary


class SummaryRow(NamedTuple):
    """A row of the CSV: status is `used`, `skipped` or `index`, `path` that of a used file."""

    file: str
    status: str
    note: str = ""
    cents: str = ""
    reason: str = ""
    path: str = ""


@dataclass(frozen=True)
class BuildSummary:
    """What happened to every file of the sources of a data set.

    Attributes:
        notes: every indexed note, with its number of frames or the reason why it is left out.
        skipped: files, and notes in them, that were not read.
        index_files: names of the files that labels were read from.
    """

    notes: tuple[ExtractedNote, ...]
    skipped: tuple[Skipped, ...]
    index_files: tuple[str, ...]

    @classmethod
    def expected(cls, manifest: Manifest) -> BuildSummary:
        """The summary of a build in which every indexed note can be used (a dry run)."""
        notes = tuple(ExtractedNote(note, 0, *3 * (float("nan"),)) for note in manifest.notes)
        return cls(notes, manifest.skipped, manifest.index_files)

    @property
    def used(self) -> list[ExtractedNote]:
        """The notes of the data set."""
        return [note for note in self.notes if not note.reason]

    @property
    def reasons(self) -> dict[str, list[str]]:
        """Reason -> the files or notes skipped for it, the most frequent first."""
        files = defaultdict(list)
        for skipped in self.skipped:
            files[skipped.reason].append(skipped.file)
        for note in self.notes:
            if note.reason:
                files[note.reason].append(note.source.source)
        return dict(sorted(files.items(), key=lambda item: (-len(item[1]), item[0])))

    @property
    def main_reason(self) -> str:
        """The most frequent reason and its count, of indexed notes where there are any."""
        reasons = BuildSummary(self.notes, (), ()).reasons or self.reasons
        counts = [f"{len(files)} x {reason}" for reason, files in reasons.items()]
        return counts[0] if counts else "there are no files"

    @property
    def n_files(self) -> int:
        """Number of different files, those read for labels included."""
        return len({row.file for row in self.rows()})

    def rows(self) -> list[SummaryRow]:
        """A row for every note, skipped file and index, sorted by file."""
        rows = [
            SummaryRow(
                note.source.file,
                "skipped" if note.reason else "used",
                note.source.text,
                "" if np.isnan(note.cents) else f"{note.cents:.1f}",
                note.reason,
                "" if note.reason else str(note.source.location.path.absolute()),
            )
            for note in self.notes
        ]
        rows += [SummaryRow(s.file, "skipped", s.note, reason=s.reason) for s in self.skipped]
        rows += [SummaryRow(file, "index") for file in self.index_files]
        return sorted(rows)

    def write_csv(self, path: Path) -> None:
        """Write `rows` as CSV."""
        write_csv(path, [SummaryRow._fields, *self.rows()])

    def __str__(self) -> str:
        """Tables of the notes by instrument, octave and dynamics; tuning; reasons of skipping."""
        used = self.used
        by_instrument = defaultdict(list)
        for note in used:
            by_instrument[note.source.instrument].append(note)
        lines = [line for item in by_instrument.items() for line in _instrument_table(*item)]
        lines += _far_from_label(used)
        for reason, files in self.reasons.items():
            names = list(dict.fromkeys(files))
            examples = ", ".join(names[:N_EXAMPLES]) + (", ..." if len(names) > N_EXAMPLES else "")
            lines.append(f"skipped {len(files)}: {reason} ({examples})")
        n_used = len({note.source.file for note in used})
        n_index = len(set(self.index_files))
        lines.append(
            f"{self.n_files} files: {n_used} used ({len(used)} notes, "
            f"{sum(note.n_frames for note in used)} frames), "
            f"{self.n_files - n_used - n_index} skipped, {n_index} read for labels"
        )
        return "\n".join(lines)


def _instrument_table(instrument: str, notes: Sequence[ExtractedNote]) -> list[str]:
    """Notes of one instrument by octave and dynamics, with the median tuning."""
    cents = [note.cents for note in notes if not np.isnan(note.cents)]
    tuning = f", tuning {np.median(cents):+.1f} cents (median)" if cents else ""
    counts = Counter((note.source.note_number // 12 - 1, note.source.dynamics) for note in notes)
    rows = [("octave", *DYNAMICS_NAMES, "all")]
    for octave in sorted({octave for octave, _ in counts}):
        row = [counts[octave, dynamics] for dynamics in range(len(DYNAMICS_NAMES))]
        rows.append((octave, *row, sum(row)))
    table = ["".join(f"{value:>8}" for value in row) for row in rows]
    return [f"{instrument}: {len(notes)} notes{tuning}", *table]


def _far_from_label(used: Sequence[ExtractedNote]) -> list[str]:
    """Notes that are nearer to another note than to their label, the furthest first."""
    far = [note for note in used if abs(note.cents) > FAR_CENTS]
    far.sort(key=lambda note: -abs(note.cents))
    if not far:
        return []
    lines = [
        f"off by more than half a semitone: {len(far)} (--max_detuning {FAR_CENTS:g} leaves "
        "them out)"
    ]
    for note in far[:N_LISTED]:
        label = number_to_note_name(note.source.note_number)
        lines.append(f"  {note.source.source}: {note.cents:+.0f} cents from {label}")
    return lines + [f"  ... and {len(far) - N_LISTED} more"] * (len(far) > N_LISTED)
