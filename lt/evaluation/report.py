"""The report of an analysis as one HTML page (`lt.evaluation.page`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lt.evaluation.latent_map import LatentMap
from lt.evaluation.page import Media, SoundExample, write_page
from lt.evaluation.results import Table

TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class Report:
    """The content of a page.

    Attributes:
        headline: a line below the title. tables: those with `folded` set are collapsed at first.
        explanations: term -> meaning, for the terms in the tables.
        latent_map: of the notes evaluated.
    """

    title: str
    headline: str
    tables: Sequence[Table]
    pictures: Sequence[Media]
    examples: Sequence[SoundExample]
    explanations: Mapping[str, str]
    latent_map: LatentMap | None = None


def write_report(path: Path | str, report: Report) -> None:
    """Write the page.

    Raises:
        OSError: a picture or sound cannot be read, or the page cannot be written.
    """
    write_page(path, TEMPLATE, vars(report), script=report.latent_map is not None)
