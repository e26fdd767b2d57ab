"""Slices: a signal cut into overlapping rings, and the rings merged again.

The transform of rows of any length and its inverse, slice by slice, with exact derivatives. Slice k
covers the halves k - 1 and k of the signal (a half is slice_length / 2 samples) under a Hann
window; outside the signal there is silence. Half k is at place k % 2 of the slice's ring, whichever
of the slice's two halves it is: so all slices share one clock and their coefficients add in phase,
without modulation.

Names: earlier and later are the two halves of a slice, even and odd the two places of a ring.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from nsgt_wrap.bands import Bands

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nsgt_wrap.design import NSGTDesign

# A batch of one takes torch's FFT on a CPU seven times as long a slice as a batch of many. Even,
# see `rings`.
FFTS_AT_ONCE = 8


class Slices(nn.Module):
    """The frame of a design on signals of any length.

    The same two loops make two analyses and two syntheses. Plain ones (`dual` False) use the
    windows, with Hann on the samples; dual ones use the duals, with Hann on the coefficients. The
    transform is the plain analysis, its inverse the dual synthesis; each pair is adjoint up to a
    factor of slice_length / 2.
    """

    def __init__(self, design: NSGTDesign, dtype: torch.dtype) -> None:
        super().__init__()
        self.half, self.hop = design.slice_length // 2, design.hop
        self.bands = Bands(design, dtype)
        hann = 0.5 - 0.5 * np.cos(np.pi * np.arange(design.slice_length) / self.half)
        self.register_buffer("hann", torch.as_tensor(hann).to(dtype), persistent=False)

    def analyse(self, audio: torch.Tensor, *, dual: bool = False) -> torch.Tensor:
        """Coefficients (rows, bins, coefficients) of `audio: (rows, samples)`."""
        width = -(-audio.shape[1] // self.hop)
        result = _empty((len(audio), self.bands.n_bins, width), self.bands.windows)
        for samples, row in zip(audio, result, strict=True):
            rings = self.rings(samples.split(self.half), hann=not dual)
            grids = self.grids(rings, dual=dual)
            parts = overlaps(self._weighted(grids) if dual else grids)
            for number, (before, after) in enumerate(parts):
                part = row[:, number * before.shape[-1] :][:, : before.shape[-1]]
                torch.add(before[:, : part.shape[1]], after[:, : part.shape[1]], out=part)
        return result

    def synthesise(
        self, coefficients: torch.Tensor, n_samples: int, *, dual: bool = True
    ) -> torch.Tensor:
        """Audio (rows, n_samples) from `coefficients: (rows, bins, coefficients)`."""
        n_halves = -(-n_samples // self.half)
        result = self.hann.new_empty(len(coefficients), n_halves, self.half)
        for row, audio in zip(coefficients, result, strict=True):
            rings = self.ungrid(self._cut(row, n_halves, hann=dual), dual=dual)
            rings = rings if dual else self._weighted(rings)
            for number, (before, after) in enumerate(overlaps(rings)):
                torch.add(before, after, out=audio[number])
        return result.view(len(coefficients), -1)[:, :n_samples]

    def rings(self, halves: Iterable[torch.Tensor], *, hann: bool = True) -> Iterator[torch.Tensor]:
        """The rings of all slices of a signal in `halves: (half,)`, of which the last may be
        shorter, in batches (slices, slice_length).
        """
        earlier = self.hann.new_zeros(self.half)
        filled = (torch.nn.functional.pad(piece, (0, self.half - len(piece))) for piece in halves)
        later = chain(filled, [earlier])
        while some := list(islice(later, FFTS_AT_ONCE)):
            # an even number of slices a batch, so that each batch begins with an even slice
            yield self._lay(torch.stack((earlier, *some)), hann=hann)
            earlier = some[-1]

    def _lay(self, halves: torch.Tensor, *, hann: bool) -> torch.Tensor:
        """Rings (slices, slice_length) of `halves: (slices + 1, half)`, the first one odd."""
        weights = self.hann if hann else torch.ones_like(self.hann)
        rise, fall = weights.view(2, self.half)
        rings = halves.new_empty(len(halves) - 1, 2, self.half)
        for parity in (0, 1):
            torch.mul(halves[1:][parity::2], fall, out=rings[parity::2, parity])
            torch.mul(halves[:-1][parity::2], rise, out=rings[parity::2, 1 - parity])
        return rings.view(-1, 2 * self.half)

    def grids(self, rings: Iterable[torch.Tensor], *, dual: bool = False) -> Iterator[torch.Tensor]:
        """The grid (bins, coefficients) of each ring in the batches `rings: (slices,
        slice_length)`.
        """
        scratch = self.bands.scratch()
        for batch in rings:
            for spectrum in torch.fft.rfft(batch):
                yield self.bands.analyse(spectrum, scratch, dual=dual)

    def ungrid(self, grids: Iterable[torch.Tensor], *, dual: bool = True) -> Iterator[torch.Tensor]:
        """The ring (slice_length,) of each grid of `grids: (bins, coefficients)`."""
        grids = iter(grids)
        while some := list(islice(grids, FFTS_AT_ONCE)):
            spectra = self.bands.windows.new_zeros(len(some), self.half + 1)
            for grid, spectrum in zip(some, spectra, strict=True):
                self.bands.synthesise(grid, spectrum, dual=dual)
            yield from to_rings(spectra)

    def _cut(self, row: torch.Tensor, n_halves: int, *, hann: bool) -> Iterator[torch.Tensor]:
        """The grid of each slice of `row: (bins, coefficients)`, before the slices were merged."""
        half = self.half // self.hop
        weights = self.hann[:: self.hop] if hann else torch.ones_like(self.hann[:: self.hop])
        rise, fall = weights.repeat_interleave(2).view(2, half, 2)
        source = torch.view_as_real(row)
        for number in range(n_halves + 1):
            grid = source.new_zeros(len(row), 2 * half, 2)
            for place, weight in ((number - 1, rise), (number, fall)):
                part = source[:, max(place, 0) * half : (place + 1) * half]
                start, width = place % 2 * half, part.shape[1]
                torch.mul(part, weight[:width], out=grid[:, start : start + width])
            yield torch.view_as_complex(grid)

    def _weighted(self, slices: Iterator[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Each of `slices: (..., length)`, samples or coefficients, under the Hann window."""
        for number, values in enumerate(slices):
            weights = self.hann[:: 2 * self.half // values.shape[-1]]
            yield values * (weights if number % 2 else weights.roll(len(weights) // 2))


def _empty(shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    """torch.empty of the type and on the device of `like`.

    On a CPU it is numpy's memory: numpy asks Linux for huge pages, and first accesses to as many
    small ones would take a quarter of the transform's time.
    """
    if like.device.type != "cpu":
        return like.new_empty(shape)
    return torch.from_numpy(np.empty(shape, np.dtype(str(like.dtype).removeprefix("torch."))))


def to_rings(spectra: torch.Tensor) -> torch.Tensor:
    """Rings (slices, samples) of the summed `spectra: (slices, frequencies)`, changed in place.

    x = 2 Re ifft(S): irfft adds the mirror image of all but f = 0 and Nyquist, doubled here.
    """
    spectra[:, 0] *= 2
    spectra[:, -1] *= 2
    return torch.fft.irfft(spectra, n=2 * (spectra.shape[1] - 1))


def overlaps(slices: Iterator[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """For each half of the signal its two parts (..., half): from the slice that it ends and from
    the one that it begins.
    """
    before = next(slices)
    half = before.shape[-1] // 2
    for number, after in enumerate(slices):
        place = slice(number % 2 * half, (number % 2 + 1) * half)
        yield before[..., place], after[..., place]
        before = after


class Analysis(torch.autograd.Function):
    """`Slices.analyse` of (rows, samples), with its adjoint as derivative."""

    @staticmethod
    def forward(ctx: Any, audio: torch.Tensor, slices: Slices, dual: bool) -> torch.Tensor:
        ctx.slices, ctx.dual, ctx.n_samples = slices, dual, audio.shape[-1]
        return slices.analyse(audio, dual=dual)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        audio = Synthesis.apply(gradient, ctx.slices, ctx.n_samples, ctx.dual)
        return audio * ctx.slices.half, None, None


class Synthesis(torch.autograd.Function):
    """`Slices.synthesise` of (rows, bins, coefficients), with its adjoint as derivative."""

    @staticmethod
    def forward(
        ctx: Any, coefficients: torch.Tensor, slices: Slices, n_samples: int, dual: bool
    ) -> torch.Tensor:
        ctx.slices, ctx.dual = slices, dual
        return slices.synthesise(coefficients.resolve_conj().contiguous(), n_samples, dual=dual)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        coefficients = Analysis.apply(gradient, ctx.slices, ctx.dual)
        return coefficients / ctx.slices.half, None, None, None
