"""One slice in the frequency domain: from its half spectrum to the coefficients of its bands, and
back.

`analyse` and `synthesise` are the two sums of the transform over all bands at once, adjoint up to a
factor. `spectrum: (slice_length // 2 + 1,)` is as from rfft, `grid: (bins, coefficients)`; both are
complex. A slice at a time: its coefficients (4.6 MB) about fit a CPU's cache, and are enough work
for a GPU. Coefficients are in baseband, as those of the nsgt library: coefficient m of a band at
position p is what the band passes at that time, turned back by exp(-2 pi i p m / coefficients).

Names: an entry is one number of one band's window; the entries of all bands are one flat array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from nsgt_wrap.design import NSGTDesign


class Bands(nn.Module):
    """Neighbouring bands of a design.

    Args:
        chosen: which bands, all by default.
        n_coefficients: of each band on a slice, at least the length of the longest window; by
            default the design's. The coefficients' magnitudes do not depend on it (those of the
            nsgt library are proportional to 1 / n_coefficients).
    """

    def __init__(
        self,
        design: NSGTDesign,
        dtype: torch.dtype,
        chosen: slice = slice(None),
        n_coefficients: int | None = None,
    ) -> None:
        super().__init__()
        windows, positions = design.frame.windows[chosen], design.frame.positions[chosen]
        duals = list(design.frame.duals)
        if design.all_bands:  # DC and Nyquist are their own mirror images, so they count twice
            duals[0], duals[-1] = duals[0] / 2, duals[-1] / 2
        self.n_bins, self.n_coefficients = len(windows), n_coefficients or design.n_coefficients
        offsets = [np.arange(len(window)) - len(window) // 2 for window in windows]
        half = design.slice_length // 2
        on_circle = np.concatenate(
            [position + offset for position, offset in zip(positions, offsets, strict=True)]
        )
        on_circle = (on_circle + half) % design.slice_length - half
        slots = [
            band * self.n_coefficients + offset % self.n_coefficients
            for band, offset in enumerate(offsets)
        ]
        self._keep("places", np.abs(on_circle), torch.int64)
        self._keep("slots", np.concatenate(slots), torch.int64)
        # the spectrum of a real signal at -f is the conjugate of that at f: only f >= 0 is computed
        self._keep("mirrored", np.flatnonzero(on_circle < 0), torch.int64)
        # complex, since each product of complex with real numbers converts the real ones
        self._keep("windows", np.concatenate(windows) / design.n_coefficients, dtype.to_complex())
        gain = design.n_coefficients**2 / self.n_coefficients
        self._keep("duals", gain * np.concatenate(duals[chosen]), dtype.to_complex())

    def _keep(self, name: str, values: np.ndarray, dtype: torch.dtype) -> None:
        self.register_buffer(name, torch.as_tensor(values).to(dtype), persistent=False)

    def scratch(self) -> torch.Tensor:
        """A zeroed workspace (bins, coefficients) for `analyse`, which may be used repeatedly."""
        return self.windows.new_zeros(self.n_bins, self.n_coefficients)

    def analyse(
        self, spectrum: torch.Tensor, scratch: torch.Tensor, *, dual: bool = False
    ) -> torch.Tensor:
        """The grid of `spectrum: (frequencies,)` through the windows, or through the duals.

        c[b, m] = sum_j X[p_b + j] windows_b[j] exp(2 pi i j m / M), with the windows of the design
        divided by its M.
        """
        entries = spectrum.index_select(0, self.places).mul_(self.duals if dual else self.windows)
        self._conjugate_mirrored(entries)
        # only these slots are ever written: the others stay zero
        scratch.view(-1).scatter_(0, self.slots, entries)
        return torch.fft.ifft(scratch, norm="forward")

    def synthesise(self, grid: torch.Tensor, spectrum: torch.Tensor, *, dual: bool = True) -> None:
        """Add `grid: (bins, coefficients)` through the duals, or through the windows, to
        `spectrum: (frequencies,)`.

        S[p_b + j] += duals_b[j] sum_m c[b, m] exp(-2 pi i j m / M), folded to f >= 0 by
        conjugation; the caller doubles the sum at f = 0 and at Nyquist, their own mirror images.
        """
        entries = torch.fft.fft(grid).view(-1).index_select(0, self.slots)
        entries.mul_(self.duals if dual else self.windows)
        self._conjugate_mirrored(entries)
        spectrum.index_add_(0, self.places, entries)

    def _conjugate_mirrored(self, entries: torch.Tensor) -> None:
        if len(self.mirrored):
            entries[self.mirrored] = entries[self.mirrored].conj()
