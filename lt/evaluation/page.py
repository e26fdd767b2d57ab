"""HTML pages of tables, pictures and sounds, each one file that needs no other and no network.

Templates beside this module are filled in by jinja2 with autoescape on: `page.html.j2` is what all
pages share, `elements.html.j2` has a macro for each kind of content, `report.html.j2` and
`gallery.html.j2` are the pages. Pictures and sounds become data URIs. The only script is
`latent_map.js`, in pages with a map; the page's policy names its hash and forbids every request.
What holds of a page (no request, keyboard, phone, dark mode) is tested in a browser by
`tests/evaluation/test_report.py` and `test_gallery.py`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from lt.audio.io import to_mp3, to_peak
from lt.files import write_text
from lt.plotting import figure_png

TEMPLATES = Path(__file__).parent
SCRIPT = "latent_map.js"
MEDIA_TYPES = {".png": "image/png", ".wav": "audio/wav", ".mp3": "audio/mpeg"}


@dataclass(frozen=True)
class Media:
    """A picture or sound and its caption; `source` is a PNG, WAV or MP3 file, or a data URI."""

    source: Path | str
    caption: str

    @property
    def uri(self) -> str:
        """The content as a `data:` URI. Raises OSError where the file cannot be read."""
        if isinstance(self.source, str):
            return self.source
        return data_uri(self.source.read_bytes(), self.source.suffix)


@dataclass(frozen=True)
class SoundExample:
    """A title, a sentence, sounds with players, and a picture if there is one."""

    title: str
    text: str
    sounds: Sequence[Media]
    picture: Media | None = None


def data_uri(content: bytes, suffix: str) -> str:
    """The content of a file with that suffix as a `data:` URI."""
    return f"data:{MEDIA_TYPES[suffix]};base64,{base64.b64encode(content).decode('ascii')}"


def sound(audio: np.ndarray, sample_rate: int, caption: str) -> Media:
    """Audio (samples,) as MP3 within the page, turned down where it would pass -1 dBFS."""
    return Media(data_uri(to_mp3(to_peak(audio.copy()), sample_rate), ".mp3"), caption)


def picture(axes: Sequence[Axes], caption: str) -> Media:
    """The figure of some axes as PNG within the page."""
    return Media(data_uri(figure_png(axes), ".png"), caption)


def write_page(path: Path | str, template: str, content: dict[str, Any], script: bool) -> None:
    """Fill in a template.

    Args:
        script: whether the page has a map, which needs the script.
    Raises:
        OSError: a picture or sound cannot be read, or the page cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    code = (TEMPLATES / SCRIPT).read_text("utf-8") if script else ""
    digest = base64.b64encode(hashlib.sha256(code.encode("utf-8")).digest()).decode("ascii")
    page = environment.get_template(template).render(
        content, script=Markup(code), script_digest=Markup(digest)
    )
    write_text(path, page)
