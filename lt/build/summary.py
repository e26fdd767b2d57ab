"""Accounts: what became of every file that a data set was built from, as tables and as a CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from lt.build.notes import Skipped, Survey, Take
from lt.files import write_text
from lt.labels import DYNAMICS_NAMES, number_to_note_name

OFF_CENTS = 50.0  # half a semitone: nearer to another note than to its label
N_LISTED = 20  # of a kind, on the screen; the CSV has all
N_EXAMPLES = 3


@dataclass(frozen=True)
class Outcome:
    """What became of a take: `n_frames`, `cents` from its label (NaN: not measured), or the reason
    why nothing.
    """

    take: Take
    n_frames: int
    cents: float
    reason: str = ""


@dataclass(frozen=True)
class Account:
    """Everything that the sources hold."""

    outcomes: tuple[Outcome, ...]
    skipped: tuple[Skipped, ...]
    indexes: tuple[str, ...]

    @classmethod
    def foreseen(cls, survey: Survey) -> Account:
        """Of a survey alone, before any sound is read."""
        return cls(
            tuple(Outcome(take, 0, float("nan")) for take in survey.takes),
            survey.skipped,
            survey.indexes,
        )

    @property
    def used(self) -> list[Outcome]:
        """The takes that became notes."""
        return [outcome for outcome in self.outcomes if not outcome.reason]

    @property
    def reasons(self) -> dict[str, list[str]]:
        """Reason -> what was skipped for it, the most frequent first."""
        by_reason = defaultdict(list)
        for skip in self.skipped:
            by_reason[skip.reason].append(skip.file)
        for outcome in self.outcomes:
            if outcome.reason:
                by_reason[outcome.reason].append(outcome.take.source)
        return dict(sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0])))

    @property
    def main_reason(self) -> str:
        """The most frequent reason, with its number; of what was chosen, where that came to
        nothing.
        """
        reasons = Account(self.outcomes, (), ()).reasons or self.reasons
        return next(
            (f"{len(files)} x {reason}" for reason, files in reasons.items()), "there are no files"
        )

    @property
    def n_files(self) -> int:
        """Different files, those read for labels among them."""
        return len({row[0] for row in self.rows()})

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """(file, status, note, cents, reason) of every take, skipped file and index, sorted by
        file.
        """
        rows = [
            (
                one.take.file,
                "skipped" if one.reason else "used",
                one.take.words,
                "" if np.isnan(one.cents) else f"{one.cents:.1f}",
                one.reason,
            )
            for one in self.outcomes
        ]
        rows += [(skip.file, "skipped", skip.words, "", skip.reason) for skip in self.skipped]
        rows += [(index, "index", "", "", "") for index in self.indexes]
        return sorted(rows)


def write_account(path: Path, account: Account) -> None:
    """The account as CSV, a row a note or skipped file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("file", "status", "note", "cents", "reason"), *account.rows()])
    write_text(path, text.getvalue())


def print_account(account: Account) -> None:
    """The tables on stdout: notes by instrument, octave and dynamics; tuning; what was skipped and
    why.
    """
    used = account.used
    for instrument in dict.fromkeys(outcome.take.instrument for outcome in used):
        _print_table(
            instrument, [outcome for outcome in used if outcome.take.instrument == instrument]
        )
    _print_off(used)
    for reason, files in account.reasons.items():
        names = list(dict.fromkeys(files))
        examples = ", ".join(names[:N_EXAMPLES]) + (", ..." if len(names) > N_EXAMPLES else "")
        click.echo(f"skipped {len(files)}: {reason} ({examples})")
    n_files = len({outcome.take.file for outcome in used})
    n_skipped = account.n_files - n_files - len(set(account.indexes))
    n_frames = sum(outcome.n_frames for outcome in used)
    click.echo(
        f"{account.n_files} files: {n_files} used ({len(used)} notes, {n_frames} frames), "
        f"{n_skipped} skipped, "
        f"{len(set(account.indexes))} read for labels"
    )


def _print_table(instrument: str, outcomes: list[Outcome]) -> None:
    """Notes of one instrument by octave and dynamics, with the tuning."""
    cents = np.array([outcome.cents for outcome in outcomes])
    cents = cents[~np.isnan(cents)]
    tuning = f", tuning {np.median(cents):+.1f} cents (median)" if len(cents) else ""
    click.echo(f"{instrument}: {len(outcomes)} notes{tuning}")
    counts = Counter(
        (outcome.take.note_number // 12 - 1, outcome.take.dynamics) for outcome in outcomes
    )
    click.echo("".join(f"{word:>8}" for word in ("octave", *DYNAMICS_NAMES, "all")))
    for octave in sorted({octave for octave, _ in counts}):
        row = [counts[octave, dynamics] for dynamics in range(len(DYNAMICS_NAMES))]
        click.echo("".join(f"{number:8d}" for number in (octave, *row, sum(row))))


def _print_off(used: list[Outcome]) -> None:
    """Notes nearer to another note than to their label."""
    off = sorted(
        (one for one in used if abs(one.cents) > OFF_CENTS), key=lambda one: -abs(one.cents)
    )
    if off:
        click.echo(
            f"off by more than half a semitone: {len(off)} (--max_detuning {OFF_CENTS:g} leaves "
            "them out)"
        )
    for one in off[:N_LISTED]:
        click.echo(
            f"  {one.take.source}: {one.cents:+.0f} cents from "
            f"{number_to_note_name(one.take.note_number)}"
        )
    if len(off) > N_LISTED:
        click.echo(f"  ... and {len(off) - N_LISTED} more")
