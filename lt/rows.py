"""Rows that come in blocks, gathered in one array.

A list of blocks that is concatenated in the end takes their memory twice, and leaves the pieces
strewn over the heap, which the next large array cannot use. An array that grows in place does
neither: beyond some megabytes the system moves its pages, not its content.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

SPARE = 16  # an array that is full grows by a sixteenth


class Rows:
    """An array (rows, ...) in the making; the first block says of what type and shape its rows are."""

    def __init__(self, blocks: Iterable[np.ndarray] = ()) -> None:
        self._array, self._n_rows = np.zeros(0, np.float32), 0
        for block in blocks:
            self.add(block)

    def __len__(self) -> int:
        return self._n_rows

    def add(self, block: np.ndarray) -> None:
        """Append rows (rows, ...)."""
        if not self._n_rows:
            self._array = np.empty(block.shape, block.dtype)
        n_rows = self._n_rows + len(block)
        if n_rows > len(self._array):
            self._array.resize((n_rows + n_rows // SPARE, *block.shape[1:]), refcheck=False)
        self._array[self._n_rows : n_rows] = block
        self._n_rows = n_rows

    def array(self) -> np.ndarray:
        """All rows, in the array that they were gathered in: nothing may be added any more."""
        self._array.resize((self._n_rows, *self._array.shape[1:]), refcheck=False)
        return self._array
