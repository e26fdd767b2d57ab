"""The report: one HTML file with tables, pictures and sounds in it, that needs nothing else and
asks for nothing.

Pictures and sounds are data URIs; there is no script, and the page's own policy forbids every
request. It follows the reader's light or dark setting, fits a phone, and everything that can be
used can be reached by keyboard.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Mapping, Sequence

from lt.evaluation.results import Table
from lt.files import write_text

MEDIA_TYPES = {".png": "image/png", ".wav": "audio/wav"}
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #57606a; --paper: #fff; --card: #f4f6f8; --line: #d0d7de;
  --link: #0858b8 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a0a8b2; --paper: #14171a; --card: #1e2328;
  --line: #3a424b; --link: #79b8ff } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 68rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper) }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; margin: .5rem 0 } h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem }
h3 { font-size: 1rem; margin: 0 0 .3rem }
p { max-width: 46rem } .soft { color: var(--soft) }
a { color: var(--link) } nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: 0; list-style: none }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; width: 100% }
caption { text-align: left; padding: .5rem .7rem; font-weight: 600 }
th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap; border-top: 1px solid var(--line) }
th:first-child { text-align: left; font-weight: 400 } thead th { font-weight: 600; background: var(--card) }
figure { margin: 1rem 0 } figcaption { color: var(--soft); font-size: .9rem }
img { max-width: 100%; height: auto; background: #fff; border-radius: .5rem; border: 1px solid var(--line) }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 0 1rem;
  align-items: start }
.example { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: 1rem 0 }
.players { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: .6rem 1rem;
  margin: .6rem 0 }
.players span { font-size: .9rem } audio { width: 100%; display: block }
dt { font-weight: 600 } dd { margin: 0 0 .5rem 1rem; max-width: 46rem }
@media (max-width: 40rem) { th:first-child { white-space: normal; min-width: 7.5rem } th, td { padding: .25rem .45rem }
  table { font-size: .8rem } }
summary { cursor: pointer; padding: .3rem 0 }
"""


@dataclass(frozen=True)
class Picture:
    """A picture file and what it shows."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Player:
    """A sound file and what is heard."""

    path: Path
    label: str


@dataclass(frozen=True)
class Listening:
    """An example: its title, a sentence, its sounds and perhaps its picture."""

    title: str
    text: str
    players: Sequence[Player]
    picture: Picture | None


def write_report(
    path: Path | str,
    title: str,
    headline: str,
    tables: Sequence[Table],
    pictures: Sequence[Picture],
    examples: Sequence[Listening],
    explanations: Mapping[str, str],
) -> None:
    """Write the page.

    Args:
        headline: a line below the title. tables: those called `confusion ...` are folded away.
        explanations: of the words in the tables.
    Raises:
        OSError: a picture or sound cannot be read, or the page not be written.
    """
    open_tables = [table for table in tables if not table.title.startswith("confusion")]
    folded = [table for table in tables if table.title.startswith("confusion")]
    figures = "".join(_figure(picture) for picture in pictures)
    sections = {
        "Figures": "".join(map(_table, open_tables))
        + _folded("Confusion matrices in numbers", folded)
        + _explained(explanations),
        "Sounds": "".join(_listening(number, one) for number, one in enumerate(examples)),
        "Pictures": figures and f'<div class="pictures">{figures}</div>',
    }
    write_text(
        path, _page(title, headline, {name: body for name, body in sections.items() if body})
    )


def data_uri(path: Path) -> str:
    """The file's content as a URI."""
    return f"data:{MEDIA_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _page(title: str, headline: str, sections: dict[str, str]) -> str:
    links = "".join(f'<li><a href="#{name.lower()}">{name}</a></li>' for name in sections)
    body = "".join(
        f'<section id="{name.lower()}"><h2>{name}</h2>{content}</section>\n'
        for name, content in sections.items()
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="soft">{escape(headline)}</p>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main>
{body}</main>
</body>
</html>
"""


def _table(table: Table) -> str:
    """A table that scrolls within itself; reachable by keyboard, so that it can be scrolled without
    a mouse.
    """
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in table.rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}"><table>'
        f"<caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>\n"
    )


def _folded(title: str, tables: Sequence[Table]) -> str:
    inner = "".join(map(_table, tables))
    return f"<details><summary>{escape(title)}</summary>{inner}</details>\n" if tables else ""


def _explained(explanations: Mapping[str, str]) -> str:
    entries = "".join(
        f"<dt>{escape(word)}</dt><dd>{escape(meaning)}</dd>"
        for word, meaning in explanations.items()
    )
    return (
        f"<details><summary>What the figures mean</summary><dl>{entries}</dl></details>\n"
        if entries
        else ""
    )


def _figure(picture: Picture) -> str:
    caption = escape(picture.caption)
    return (
        f'<figure><img src="{data_uri(picture.path)}" alt="{caption}" loading="lazy">'
        f"<figcaption>{caption}</figcaption></figure>\n"
    )


def _listening(number: int, example: Listening) -> str:
    players = "".join(
        f'<div><span id="sound-{number}-{index}">{escape(player.label)}</span><audio controls '
        'preload="metadata" '
        f'aria-labelledby="sound-{number}-{index}" src="{data_uri(player.path)}"></audio></div>'
        for index, player in enumerate(example.players)
    )
    picture = _figure(example.picture) if example.picture else ""
    return (
        f'<article class="example"><h3>{escape(example.title)}</h3><p '
        f'class="soft">{escape(example.text)}</p>'
        f'<div class="players">{players}</div>{picture}</article>\n'
    )
