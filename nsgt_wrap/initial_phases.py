"""Phases that fit magnitudes: gradients of the phase, integrated along the ridges of a spectrogram.

Through a window that is Gaussian over frequency, with standard deviation s, the phase of a
coefficient c of the band at frequency f follows from its magnitude (phase gradient heap
integration, Prusa, Balazs and Sondergaard 2017, here with the bands of a constant-Q transform):

    d phase / dt = 2 pi (f + s^2 d log|c| / df),    d phase / df = -(d log|c| / dt) / (2 pi s^2).

Instead of a heap, the path of the integral is fixed: along time on the ridges, which are the local
maxima over the bands, and from each ridge to the bands around it along frequency. A partial thus
keeps its phase from coefficient to coefficient wherever it moves, and at an attack the partials'
bands are aligned in time. Bands that have no ridge, as those of smooth noise, get phases of white
noise.

Names: `magnitudes, phases: (bins, coefficients)`, in a block transposed: `(coefficients, bins)`;
the owner of a band is the band of its ridge. Frequencies are in FFT bins of a slice.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nsgt_wrap.design import NSGTDesign
    from nsgt_wrap.transform import NSGT

_HANN_VARIANCE = 1 / 3 - 2 / math.pi**2  # of the window cos^2(pi x / 2), x in (-1, 1)
_FLOOR = 1e-6  # of the largest magnitude: below it, nothing is known of the phase
# A ridge is a partial's where the nearest band that sees nothing of a sinusoid has less than this
# part of its magnitude. Hand-set between 0 and 1, the ratios of a sinusoid and of smooth noise.
_SHARPNESS = 0.7
# Change of log-magnitude in a window's own time that makes a transient, whose bands are coherent
# without a ridge. Hand-set: 0.1 to 1 differ by less than 0.2 dB of log-spectral distance.
_TRANSIENT = 0.3
# Coefficients of a cell: 8 ms at the default design, the subframes of which most magnitudes are
# made. Cells of one coefficient take three times as long and differ by 0.01 dB.
_STEP = 4
_NOISE_HALVES = 8  # of noise before it repeats, 16 s at the default design; an even number


@torch.no_grad()
def propagated_phases(
    nsgt: NSGT,
    magnitudes: torch.Tensor,
    rng: torch.Generator | None = None,
    step: int = _STEP,
    strides: Sequence[tuple[slice, int]] = ((slice(None), 1),),
) -> list[torch.Tensor]:
    """Phases in radians for `magnitudes: (bins, coefficients)` on the hop grid, by half slices, so
    that beside input and result the memory is bounded.

    Args:
        rng: of the white noise, whose phases are those of the first coefficients and of bands
            without ridges.
        step: coefficients of a cell: the phase is integrated from the first of a cell to that of
            the next, and goes on within the cell with the frequency at the first.
        strides: runs of bands, of which every n-th coefficient is wanted, n a power of two.
    Returns:
        phases (bins, coefficients) of each run.
    """
    n_coefficients, width = magnitudes.shape[1], nsgt.slices.half // nsgt.design.hop
    step = math.gcd(width, step)
    bands = _Gradients(nsgt.design, magnitudes, step)
    phases = [magnitudes.new_empty(magnitudes[own, ::n].shape) for own, n in strides]
    noises = _noise_phases(nsgt, magnitudes, rng)
    ridges = None
    # from half slice to half slice, a band turns by a multiple of half a turn
    turnings = bands.turning(0, width), bands.turning(width, width)
    for number, start in enumerate(range(0, n_coefficients, width)):
        length = min(width, n_coefficients - start)
        noise, turning = noises[number % len(noises)], turnings[number % 2]
        firsts = torch.arange(0, length, step, device=magnitudes.device)
        own = (noise.index_select(1, firsts) + turning.index_select(1, firsts)).T
        *cells, ridges = bands.integrate(magnitudes, start + firsts, own, ridges)
        for result, (run, n) in zip(phases, strides, strict=True):
            # of every cell some coefficients, or the first of some cells
            parts = (part[:: max(n // step, 1), run].T.unsqueeze(2) for part in cells)
            at_first, frequencies, coherent = parts
            offsets = torch.arange(0, step, n, device=magnitudes.device).to(magnitudes)
            block = result[:, start // n :][:, : -(-length // n)]
            ahead = (at_first + frequencies * offsets).flatten(1)[:, : block.shape[1]]
            keeps = coherent.expand(-1, -1, len(offsets)).flatten(1)[:, : block.shape[1]]
            ahead -= turning[run, :length:n]
            torch.where(keeps, ahead, noise[run, :length:n], out=block)
    return phases


def _noise_phases(
    nsgt: NSGT, like: torch.Tensor, rng: torch.Generator | None
) -> list[torch.Tensor]:
    """Phases (bins, coefficients) of white noise for the half slices of `like: (bins,
    coefficients)`, or for the first ones, which then follow the last.
    """
    half, width = nsgt.slices.half, nsgt.slices.half // nsgt.design.hop
    device = rng.device if rng else like.device
    n_halves = min(-(-like.shape[1] // width), _NOISE_HALVES)
    noise = (torch.randn(half, generator=rng, device=device).to(like) for _ in range(n_halves))
    return [coefficients.angle() for coefficients in nsgt.stream(noise)]


class _Gradients:
    """The gradients of the phase in one signal.

    Attributes:
        unit: radians per coefficient that one FFT bin makes.
        positions, centres, radii: (bins,) centres of the bands, as integers and as floating-point
            numbers, and half the lengths of their windows.
        deviations: (bins,) standard deviations of the Gaussians in place of the windows.
        step: coefficients of a cell.
        below, above: (bins,) the next bands that see nothing of a sinusoid in the band's centre; at
            the ends of the scale both are on one side.
    """

    def __init__(self, design: NSGTDesign, magnitudes: torch.Tensor, step: int = 1) -> None:
        self.n_coefficients, self.step = design.n_coefficients, step
        self.unit = 2 * math.pi / design.n_coefficients
        positions = design.frame.positions
        radii = np.array([len(window) / 2 for window in design.frame.windows])
        below = np.searchsorted(positions, positions - 2 * radii, side="right") - 1
        above = np.searchsorted(positions, positions + 2 * radii)
        outermost = len(positions) - 1
        below, above = (
            np.where(below < 0, above, below).clip(0, outermost),
            np.where(above > outermost, below, above).clip(0, outermost),
        )
        device = magnitudes.device
        self.below, self.above = (torch.as_tensor(side).to(device) for side in (below, above))
        self.positions = torch.as_tensor(positions.copy()).to(device)
        self.centres, self.radii = (
            torch.as_tensor(values).to(magnitudes) for values in (positions.copy(), radii)
        )
        self.deviations = self.radii * math.sqrt(_HANN_VARIANCE)
        self.bins = torch.arange(len(positions), device=device)
        self.floor = float(magnitudes.max()) * _FLOOR or 1.0

    def turning(self, start: int, width: int) -> torch.Tensor:
        """Phases (bins, width) of the bands' centres from coefficient `start` on, by which the
        transform turns its coefficients back.
        """
        times = torch.arange(start, start + width, device=self.positions.device)
        turns = self.positions[:, None] * times % self.n_coefficients
        return turns.to(self.radii) * self.unit

    def integrate(
        self,
        magnitudes: torch.Tensor,
        firsts: torch.Tensor,
        noise_phases: torch.Tensor,
        before: np.ndarray | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, np.ndarray]:
        """One block of cells, whose `firsts: (cells,)` are coefficients of `magnitudes: (bins,
        coefficients)`: phases (cells, bins) there, not turned back, frequencies (cells, bins) in
        radians per coefficient, whether they are coherent (cells, bins), and the phases of
        `_along_time` after the block.
        """
        block = magnitudes.index_select(1, firsts).T.contiguous()
        growth = self._growth(magnitudes, firsts)
        owners = self._owners(block)
        coherent = self._coherent(block, growth, owners)
        frequencies = self.unit * self._frequencies(block)
        ridges, last = _along_time(
            owners.cpu().numpy(),
            (self.step * frequencies.gather(1, owners)).cpu().numpy(),
            coherent.cpu().numpy(),
            noise_phases.cpu().numpy(),
            before,
        )
        along_frequency = self._along_frequency(growth)
        delays = along_frequency - along_frequency.gather(1, owners)
        # turns are taken away in double precision
        phases = torch.from_numpy(np.remainder(ridges, 2 * math.pi)).to(delays) + delays
        return phases, frequencies, coherent, last

    def _growth(self, magnitudes: torch.Tensor, firsts: torch.Tensor) -> torch.Tensor:
        """d log|c| / dt (cells, bins) at the cells' firsts, in units of 1 / (2 pi s)."""
        before, after = (firsts - 1).clamp_min(0), (firsts + 1).clamp_max(magnitudes.shape[1] - 1)
        earlier, later = (
            magnitudes.index_select(1, at).T.clamp_min(self.floor).log() for at in (before, after)
        )
        distance = (after - before).clamp_min(1)[:, None]
        return (later - earlier) / (distance * self.unit * self.deviations)

    def _along_frequency(self, growth: torch.Tensor) -> torch.Tensor:
        """The integral (coefficients, bins) of d phase / df from the first band on."""
        slope = -growth / self.deviations
        steps = 0.5 * (slope[:, 1:] + slope[:, :-1]) * self.positions.diff()
        return torch.nn.functional.pad(steps.cumsum(1), (1, 0))

    def _owners(self, block: torch.Tensor) -> torch.Tensor:
        """(coefficients, bins): the local maximum to which the magnitudes of a band rise."""
        left = torch.nn.functional.pad(block[:, :-1], (1, 0), value=-1.0)
        right = torch.nn.functional.pad(block[:, 1:], (0, 1), value=-1.0)
        is_peak = (block > left) & (block >= right)
        last = len(self.bins) - 1
        # products, since `where` with a scalar takes ten times as long
        before = (is_peak * self.bins).cummax(1).values
        after = last - (is_peak * (last - self.bins)).flip(1).cummax(1).values.flip(1)
        return torch.where(~is_peak & (right > block), after, before)

    def _coherent(
        self, block: torch.Tensor, growth: torch.Tensor, owners: torch.Tensor
    ) -> torch.Tensor:
        """(coefficients, bins): whether a band belongs to a partial or to a transient."""
        lowest = torch.minimum(block.index_select(1, self.below), block.index_select(1, self.above))
        is_transient = growth.abs() > _TRANSIENT
        has_ridge = (is_transient | (lowest < _SHARPNESS * block)).gather(1, owners)
        distance = (self.centres - self.centres.take(owners)).abs()
        return has_ridge & (is_transient | (distance <= 2 * self.radii))

    def _frequencies(self, block: torch.Tensor) -> torch.Tensor:
        """Frequencies (coefficients, bins) of sinusoids with their maxima in each band.

        Two neighbouring Hann windows have the ratio (cos(u - d) / cos u)^2 at the frequency of a
        sinusoid, with u its distance from the first and d that of their centres, in units of pi /
        2 radii. The estimates from both neighbours are weighted with their magnitudes.
        """
        radius = self.radii[1:] + self.radii[:-1]
        distance = math.pi * self.positions.diff() / radius
        roots = block.clamp_min(torch.finfo(block.dtype).tiny).sqrt()
        ratio = roots[:, 1:] / roots[:, :-1]
        offset = torch.atan((ratio - distance.cos()) / distance.sin()) * (radius / math.pi)
        above, below = block[:, 1:], block[:, :-1]
        # both estimates are offsets from the band itself
        moments = torch.nn.functional.pad(offset * above, (0, 1))
        moments[:, 1:] += (offset - self.positions.diff()) * below
        weights = torch.nn.functional.pad(above, (0, 1))
        weights[:, 1:] += below
        return self.positions + moments / weights.clamp_min(torch.finfo(block.dtype).tiny)


def _along_time(
    owners: np.ndarray,
    frequencies: np.ndarray,
    coherent: np.ndarray,
    noise_phases: np.ndarray,
    before: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Phases (coefficients, bins) of the owners, by the trapezoidal rule; all arrays are
    (coefficients, bins), frequencies in radians per coefficient. `before`, and the second result,
    are phases (bins,) half a coefficient after the block before, and after this one.
    """
    result, half_steps = noise_phases.astype(np.float64), 0.5 * frequencies.astype(np.float64)
    if before is None:
        before = noise_phases[0] - 0.5 * frequencies[0]
    for phases, owner, half_step, keeps in zip(result, owners, half_steps, coherent, strict=True):
        np.copyto(phases, before.take(owner) + half_step, where=keeps)
        before = phases + half_step
    return result, before
