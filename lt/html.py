"""HTML of objects in notebooks (`_repr_html_`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(title: str, rows: Iterable[Sequence[object]], columns: Sequence[str] = ()) -> str:
    """A table with a title; the first cell of a row names it."""
    head = f"<tr>{_cells(columns, 'th')}</tr>" if columns else ""
    body = "".join(f"<tr>{_cells(row[:1], 'th')}{_cells(row[1:], 'td')}</tr>" for row in rows)
    return f"<table><caption>{escape(title)}</caption>{head}{body}</table>"


def _cells(values: Sequence[object], tag: str) -> str:
    return "".join(f"<{tag}>{escape(str(value))}</{tag}>" for value in values)
