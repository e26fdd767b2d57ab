"""One HTML file with tables, pictures and sounds in it, that needs no other file and no network.

The page is `report.html.j2`, filled in by jinja2 with autoescape on; pictures and sounds become
data URIs. What holds of the page (no script, no request, keyboard, phone, dark mode) is tested in a
browser by `tests/evaluation/test_report.py`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

import jinja2

from lt.evaluation.results import Table
from lt.files import write_text

TEMPLATE = "report.html.j2"  # beside this module
MEDIA_TYPES = {".png": "image/png", ".wav": "audio/wav"}


@dataclass(frozen=True)
class Media:
    """A PNG or WAV file and its caption."""

    path: Path
    caption: str


@dataclass(frozen=True)
class SoundExample:
    """A title, a sentence, sounds with players, and a picture if there is one."""

    title: str
    text: str
    sounds: Sequence[Media]
    picture: Media | None


@dataclass(frozen=True)
class Report:
    """The content of a page.

    Attributes:
        headline: a line below the title. tables: those with `folded` set are collapsed at first.
        explanations: term -> meaning, for the terms in the tables.
    """

    title: str
    headline: str
    tables: Sequence[Table]
    pictures: Sequence[Media]
    examples: Sequence[SoundExample]
    explanations: Mapping[str, str]


def write_report(path: Path | str, report: Report) -> None:
    """Write the page.

    Raises:
        OSError: a picture or sound cannot be read, or the page cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template(TEMPLATE).render(vars(report), data_uri=data_uri)
    write_text(path, page)


def data_uri(path: Path) -> str:
    """The file's content as a `data:` URI. Raises OSError where it cannot be read."""
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"data:{MEDIA_TYPES[path.suffix]};base64,{content}"
