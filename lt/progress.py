"""Progress of long functions, shown by the caller's choice of bar.

A long function takes `progress: Progress = silent` and runs its loop as::

    with progress(total=n_notes, desc="rendering", unit="note") as bar:
        for note in notes:
            ...
            bar.update()

Scripts pass `lt.cli.progress`, a notebook passes `tqdm.auto.tqdm`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

Progress = Callable[..., Any]  # called like `tqdm.tqdm`
silent: Progress = functools.partial(tqdm, disable=True)
