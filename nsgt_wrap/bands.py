"""One slice in the frequency domain: from its half spectrum to the coefficients of its bands, and
back.

Purpose: the two sums at the heart of the transform, over all bands at once, each the other's
    adjoint up to a factor.
Conventions: `spectrum: (slice_length // 2 + 1,)` as from rfft, `grid: (bins, coefficients)`, both
    complex. One slice at a time: its coefficients (4.6 MB) about fit a CPU's cache, and are enough
    work for a GPU. Coefficients are in baseband, as the nsgt library has them: coefficient m of a
    band at position p is what the band passes at that time, turned back by exp(-2 pi i p m /
    coefficients).
Names: an entry is one number of one band's window; the entries of all bands lie one after the other
    in a flat array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from nsgt_wrap.design import NSGTDesign


class Bands(nn.Module):
    """Bands `first` to `last` (excluded) of a design, with `n_coefficients` coefficients each on a
    slice.

    Args: n_coefficients: at least the longest window's length; the design's own number unless
        given. The size of the coefficients does not change with it (the nsgt library's scales with
        1 / n_coefficients).
    """

    def __init__(
        self,
        design: NSGTDesign,
        dtype: torch.dtype,
        first: int = 0,
        last: int | None = None,
        n_coefficients: int | None = None,
    ) -> None:
        super().__init__()
        chosen = slice(first, design.n_bins if last is None else last)
        windows, positions = design.windows[chosen], design.frame.positions[chosen]
        self.n_bins, self.n_coefficients = len(windows), n_coefficients or design.n_coefficients
        offsets = [np.arange(len(window)) - len(window) // 2 for window in windows]
        length, half = design.slice_length, design.slice_length // 2
        on_circle = np.concatenate(
            [p + offset for p, offset in zip(positions, offsets, strict=True)]
        )
        on_circle = (on_circle + half) % length - half
        slots = [
            band * self.n_coefficients + o % self.n_coefficients for band, o in enumerate(offsets)
        ]
        self._keep("places", np.abs(on_circle), torch.int64)
        self._keep("slots", np.concatenate(slots), torch.int64)
        # A real signal's spectrum at -f is the conjugate of that at f, so only f >= 0 is ever
        # computed.
        self._keep("mirrored", np.flatnonzero(on_circle < 0), torch.int64)
        # Complex, because a product of complex with real numbers makes the real ones complex each
        # time.
        self._keep("windows", np.concatenate(windows) / design.n_coefficients, dtype.to_complex())
        gain = design.n_coefficients**2 / self.n_coefficients
        self._keep(
            "duals", gain * np.concatenate(_duals_of_real(design)[chosen]), dtype.to_complex()
        )

    def _keep(self, name: str, values: np.ndarray, dtype: torch.dtype) -> None:
        self.register_buffer(name, torch.as_tensor(values).to(dtype), persistent=False)

    def scratch(self) -> torch.Tensor:
        """A zeroed workspace (bins, coefficients) for `analyse`, to be used again and again."""
        return self.windows.new_zeros(self.n_bins, self.n_coefficients)

    def analyse(
        self, spectrum: torch.Tensor, scratch: torch.Tensor, *, dual: bool = False
    ) -> torch.Tensor:
        """The grid of `spectrum: (frequencies,)` through the windows, or through the duals.

        c[b, m] = sum_j X[p_b + j] windows_b[j] exp(2 pi i j m / M), windows being the design's over
        its M.
        """
        entries = spectrum.index_select(0, self.places).mul_(self.duals if dual else self.windows)
        self._conjugate_mirrored(entries)
        # Only these slots are ever written, so what lies between the bands' entries stays zero.
        scratch.view(-1).scatter_(0, self.slots, entries)
        return torch.fft.ifft(scratch, norm="forward")

    def synthesise(self, grid: torch.Tensor, spectrum: torch.Tensor, *, dual: bool = True) -> None:
        """Add to `spectrum: (frequencies,)` what `grid: (bins, coefficients)` gives through the
        duals, or the windows.

        S[p_b + j] += duals_b[j] sum_m c[b, m] exp(-2 pi i j m / M), folded to f >= 0 by
        conjugation; at f = 0 and at Nyquist, their own mirror images, it is left to the caller to
        double the sum.
        """
        entries = torch.fft.fft(grid).view(-1).index_select(0, self.slots)
        entries.mul_(self.duals if dual else self.windows)
        self._conjugate_mirrored(entries)
        spectrum.index_add_(0, self.places, entries)

    def _conjugate_mirrored(self, entries: torch.Tensor) -> None:
        if len(self.mirrored):
            entries[self.mirrored] = entries[self.mirrored].conj()


def _duals_of_real(design: NSGTDesign) -> list[np.ndarray]:
    """The duals for a sum over bands and their mirror images, in which DC and Nyquist would count
    twice.
    """
    duals = list(design.duals)
    if design.all_bands:
        duals[0], duals[-1] = duals[0] / 2, duals[-1] / 2
    return duals
