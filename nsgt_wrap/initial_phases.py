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
    from collections.abc import Iterator

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


@torch.no_grad()
def propagated_phases(
    nsgt: NSGT, magnitudes: torch.Tensor, rng: torch.Generator | None = None
) -> torch.Tensor:
    """Phases (bins, coefficients) in radians for `magnitudes: (bins, coefficients)` on the hop
    grid, by half slices, so that beside input and result the memory is bounded.

    Args:
        rng: of the white noise, whose phases are those of the first coefficients and of bands
            without ridges.
    """
    bands = _Gradients(nsgt.design, magnitudes)
    width = nsgt.slices.half // nsgt.design.hop
    phases = torch.empty_like(magnitudes)
    noises = nsgt.stream(_white_noise(nsgt, magnitudes, rng))
    ridges = None
    # from half slice to half slice, a band turns by a multiple of half a turn
    turnings = bands.turning(0, width), bands.turning(width, width)
    for number, noise in enumerate(noises):
        start, turning = number * width, turnings[number % 2]
        noise_phases = noise.angle().T + turning
        block, ridges = bands.integrate(magnitudes, start, noise_phases, ridges)
        phases[:, start : start + width] = (block - turning[: len(block)]).remainder(2 * math.pi).T
    return phases


def _white_noise(
    nsgt: NSGT, like: torch.Tensor, rng: torch.Generator | None
) -> Iterator[torch.Tensor]:
    """Halves of a slice, as many as the coefficients of `like: (bins, coefficients)` need."""
    half = nsgt.slices.half
    device = rng.device if rng else like.device
    for _ in range(-(-like.shape[1] * nsgt.design.hop // half)):
        yield torch.randn(half, generator=rng, device=device).to(like)


class _Gradients:
    """The gradients of the phase in one signal.

    Attributes:
        unit: radians per coefficient that one FFT bin makes.
        positions, centres, radii: (bins,) centres of the bands, as integers and as floating-point
            numbers, and half the lengths of their windows.
        deviations: (bins,) standard deviations of the Gaussians in place of the windows.
        below, above: (bins,) the next bands that see nothing of a sinusoid in the band's centre; at
            the ends of the scale both are on one side.
    """

    def __init__(self, design: NSGTDesign, magnitudes: torch.Tensor) -> None:
        self.n_coefficients = design.n_coefficients
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
        """Phases (width, bins) of the bands' centres from coefficient `start` on, by which the
        transform turns its coefficients back.
        """
        times = torch.arange(start, start + width, device=self.positions.device)
        turns = times[:, None] * self.positions % self.n_coefficients
        return turns.to(self.radii) * self.unit

    def integrate(
        self,
        magnitudes: torch.Tensor,
        start: int,
        noise_phases: torch.Tensor,
        before: np.ndarray | None,
    ) -> tuple[torch.Tensor, np.ndarray]:
        """Phases (coefficients, bins) of one block, not turned back, and those of `_along_time`
        after it.
        """
        first = max(start - 1, 0)
        around = magnitudes[:, first : start + len(noise_phases) + 1].T
        growth = self._growth(around.contiguous())[start - first :][: len(noise_phases)]
        block = around[start - first :][: len(noise_phases)].contiguous()
        noise_phases = noise_phases[: len(block)]
        owners = self._owners(block)
        coherent = self._coherent(block, growth, owners)
        frequencies = self.unit * self._frequencies(block).gather(1, owners)
        ridges, last = _along_time(
            owners.cpu().numpy(),
            frequencies.cpu().numpy(),
            coherent.cpu().numpy(),
            noise_phases.cpu().numpy(),
            before,
        )
        along_frequency = self._along_frequency(growth)
        delays = along_frequency - along_frequency.gather(1, owners)
        phases = torch.from_numpy(ridges).to(delays) + delays
        return torch.where(coherent, phases, noise_phases), last

    def _growth(self, block: torch.Tensor) -> torch.Tensor:
        """d log|c| / dt (coefficients, bins), in units of 1 / (2 pi s)."""
        if len(block) < 2:
            return torch.zeros_like(block)
        (slope,) = torch.gradient(block.clamp_min(self.floor).log(), dim=0)
        return slope / (self.unit * self.deviations)

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
