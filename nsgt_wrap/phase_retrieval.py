"""Phase retrieval: audio whose coefficients have given magnitudes.

Accelerated Griffin-Lim on the NSGT (Perraudin, Balazs and Sondergaard 2013), and magnitudes on the
hop grid from frames of mean magnitudes. The coefficients of a narrow band change slowly, so the
iterations need only every 2nd, 4th, 8th... of them: at least twice as many as the band's window is
long, which its squared magnitude takes.

Names: `magnitudes: (..., bins, coefficients)` on the hop grid, `frames: (frames, bins)`; a tier is
a run of bands with the same spacing of coefficients; a state `(halves, flat)` has the coefficients
of all tiers for each half slice, side by side; known are samples at the start that must not change.
"""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import torch

from nsgt_wrap.bands import Bands
from nsgt_wrap.initial_phases import propagated_phases
from nsgt_wrap.slices import FFTS_AT_ONCE, overlaps, to_rings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nsgt_wrap.design import NSGTDesign
    from nsgt_wrap.transform import NSGT

STARTS = ("random", "propagated")
_SEGMENT_HALVES = 32  # of a long signal: 65 s at the default design
_OVERLAP_HALVES = 4  # two are known from the segment before, two are computed again
_OVERSAMPLING = 2
_MEAN_CORRECTIONS = 2
_SLOPE = -0.75  # of the cubic at one frame's distance; Keys' -0.5 errs by half a decibel more


def griffin_lim(
    nsgt: NSGT,
    magnitudes: torch.Tensor,
    n_samples: int,
    n_iter: int,
    momentum: float = 0.99,
    rng: torch.Generator | None = None,
    start: str = "random",
) -> torch.Tensor:
    """Audio (..., n_samples) whose coefficients are near `magnitudes: (..., bins, coefficients)`,
    from phases that are `random` or, in a `propagated` start, fit the magnitudes
    (`nsgt_wrap.initial_phases`).

    c <- magnitudes * phase(t_n + momentum (t_n - t_n-1)), t_n = forward(inverse(c)) (fast
    Griffin-Lim; momentum 0 is Griffin and Lim's own). A signal of more than 32 half slices is
    computed in overlapping segments that keep the audio of the one before, so the working memory
    does not grow with it. Not differentiable.

    Raises:
        ValueError: wrong shapes, negative or not finite magnitudes, n_iter or momentum below 0, an
            unknown start.
    """
    nsgt.check_coefficients(magnitudes, n_samples)
    if not _are_magnitudes(magnitudes):
        raise ValueError("expected magnitudes that are finite and not negative")
    if n_iter < 0 or momentum < 0:
        raise ValueError(f"expected n_iter >= 0 and momentum >= 0, got {n_iter} and {momentum:g}")
    if start not in STARTS:
        raise ValueError(f"unknown start '{start}'; known: {', '.join(STARTS)}")
    search = _Search(nsgt, n_iter, momentum, rng, start)
    rows = magnitudes.detach().reshape(-1, *magnitudes.shape[-2:])
    audio = torch.stack([search.audio(row, n_samples) for row in rows])
    return audio.reshape(*magnitudes.shape[:-2], n_samples)


class _Search:
    """Griffin-Lim on one signal after the other."""

    def __init__(
        self,
        nsgt: NSGT,
        n_iter: int,
        momentum: float,
        rng: torch.Generator | None,
        start: str,
    ) -> None:
        self.nsgt, self.slices, self.design, self.start = nsgt, nsgt.slices, nsgt.design, start
        self.n_iter, self.momentum, self.rng = n_iter, momentum, rng
        hann = self.slices.hann
        self.tiers = [tier.to(hann.device) for tier in _tiers(self.design, hann.dtype)]
        self.scratches = [tier.scratch() for tier in self.tiers]
        self.sizes = [tier.n_bins * tier.n_coefficients // 2 for tier in self.tiers]
        ends = [0, *accumulate(tier.n_bins for tier in self.tiers)]
        self.strides = [
            (slice(*own), self.design.n_coefficients // tier.n_coefficients)
            for own, tier in zip(pairwise(ends), self.tiers, strict=True)
        ]
        weights = [hann[:: self.design.slice_length // tier.n_coefficients] for tier in self.tiers]
        self.weights = [weight.repeat_interleave(2).view(2, -1, 2) for weight in weights]

    def audio(self, magnitudes: torch.Tensor, n_samples: int) -> torch.Tensor:
        """Audio (n_samples,) for `magnitudes: (bins, coefficients)`, segment by segment."""
        half, step = self.slices.half, _SEGMENT_HALVES - _OVERLAP_HALVES
        n_halves = -(-n_samples // half)
        result = magnitudes.new_zeros(n_halves, half)
        wanted = [magnitudes[run, ::stride] for run, stride in self.strides]
        phases = None
        if self.start == "propagated":
            # of the whole signal, so that the segments' phases fit each other
            phases = propagated_phases(self.nsgt, magnitudes, self.rng, strides=self.strides)
        for start in range(0, max(n_halves - _OVERLAP_HALVES, 1), step):
            stop = min(start + _SEGMENT_HALVES, n_halves)
            known = result[start : start + (_OVERLAP_HALVES // 2 if start else 0)]
            samples = min(n_samples - start * half, (stop - start) * half)
            targets = self.state_of(wanted, start, stop)
            if phases is None:
                state = self.random(targets)
            else:
                state = torch.polar(targets, self.state_of(phases, start, stop))
            result[start:stop] = self.segment(state, targets, samples, known)
        return result.view(-1)[:n_samples]

    def state_of(self, parts: Sequence[torch.Tensor], start: int, stop: int) -> torch.Tensor:
        """The state (halves, flat) of the halves from `start` to `stop` of values (bins,
        coefficients) of each tier, zero after their end.
        """
        states = []
        for tier, part in zip(self.tiers, parts, strict=True):
            width = tier.n_coefficients // 2
            part = part[:, start * width : stop * width]
            missing = (stop - start) * width - part.shape[1]
            part = torch.nn.functional.pad(part, (0, missing)) if missing else part
            states.append(part.unflatten(1, (-1, width)).transpose(0, 1).flatten(1))
        return torch.cat(states, 1)

    def random(self, targets: torch.Tensor) -> torch.Tensor:
        """A state with the magnitudes `targets: (halves, flat)`."""
        device = self.rng.device if self.rng else targets.device
        turns = torch.rand(targets.shape, generator=self.rng, device=device)
        return torch.polar(targets, (turns * (2 * torch.pi)).to(targets))

    def segment(
        self, state: torch.Tensor, targets: torch.Tensor, n_samples: int, known: torch.Tensor
    ) -> torch.Tensor:
        """Audio (halves, half) of one segment, from its first `state: (halves, flat)`, which is
        changed, its magnitudes `targets: (halves, flat)` and its `known: (halves, half)` start.
        """
        projected = torch.zeros_like(state)
        for _ in range(self.n_iter):
            audio = self.synthesise(state, n_samples, known)
            for number, new in enumerate(self.analyse(audio)):
                # new + momentum (new - old) up to a factor, which does not change the phase
                ahead = new.add(projected[number], alpha=-self.momentum / (1 + self.momentum))
                projected[number] = new
                torch.mul(ahead, _scales(ahead, targets[number]), out=state[number])
        return self.synthesise(state, n_samples, known)

    def synthesise(self, state: torch.Tensor, n_samples: int, known: torch.Tensor) -> torch.Tensor:
        """Audio (halves, half) of `state: (halves, flat)`: `known` at its start, silent from
        n_samples on.
        """
        audio = state.new_empty(len(state), self.slices.half, dtype=state.real.dtype)
        for number, (before, after) in enumerate(overlaps(self._rings(state))):
            torch.add(before, after, out=audio[number])
        audio.view(-1)[n_samples:] = 0
        audio[: len(known)] = known
        return audio

    def _rings(self, state: torch.Tensor) -> Iterator[torch.Tensor]:
        for first in range(0, len(state) + 1, FFTS_AT_ONCE):
            some = range(first, min(first + FFTS_AT_ONCE, len(state) + 1))
            spectra = state.new_zeros(len(some), self.slices.half + 1)
            for number, spectrum in zip(some, spectra, strict=True):
                self._add_slice(state, number, spectrum)
            yield from to_rings(spectra)

    def _add_slice(self, state: torch.Tensor, number: int, spectrum: torch.Tensor) -> None:
        """Add the spectrum of slice `number`: the halves number - 1 and number under Hann."""
        silence = state.new_zeros(1).expand(state.shape[1])
        earlier = (state[number - 1] if number > 0 else silence).split(self.sizes)
        later = (state[number] if number < len(state) else silence).split(self.sizes)
        for index, (tier, (rise, fall)) in enumerate(zip(self.tiers, self.weights, strict=True)):
            grid = spectrum.new_empty(tier.n_bins, 2, tier.n_coefficients // 2)
            places = torch.view_as_real(grid)
            for part, place, weight in ((earlier, number - 1, rise), (later, number, fall)):
                half = torch.view_as_real(part[index].view(tier.n_bins, -1))
                torch.mul(half, weight, out=places[:, place % 2])
            tier.synthesise(grid.view(tier.n_bins, -1), spectrum)

    def analyse(self, audio: torch.Tensor) -> Iterator[torch.Tensor]:
        """The state (flat,) of each half of `audio: (halves, half)`."""
        slices = self._grids(self.slices.rings(audio))
        before = next(slices)
        for number, after in enumerate(slices):
            yield self._sum(before, after, number % 2)
            before = after

    def _grids(self, rings: Iterator[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
        """For each slice, the tiers' grids as (bins, places, coefficients)."""
        for batch in rings:
            for spectrum in torch.fft.rfft(batch):
                yield [
                    tier.analyse(spectrum, scratch).view(tier.n_bins, 2, -1)
                    for tier, scratch in zip(self.tiers, self.scratches, strict=True)
                ]

    def _sum(
        self, before: list[torch.Tensor], after: list[torch.Tensor], place: int
    ) -> torch.Tensor:
        result = before[0].new_empty(sum(self.sizes))
        for early, late, out in zip(before, after, result.split(self.sizes), strict=True):
            torch.add(early[:, place], late[:, place], out=out.view(len(early), -1))
        return result


def _scales(values: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Factors that give complex `values` the magnitudes `targets`; zeros stay zeros."""
    squares = torch.view_as_real(values).square()
    return (squares[..., 0] + squares[..., 1]).clamp_min_(1e-30).rsqrt_().mul_(targets)


def _tiers(design: NSGTDesign, dtype: torch.dtype) -> list[Bands]:
    """Runs of neighbouring bands, each with the fewest coefficients that its windows allow."""
    fewest = [_fewest(design, len(window)) for window in design.frame.windows]
    starts = [band for band, number in enumerate(fewest) if fewest[band - 1 : band] != [number]]
    return [
        Bands(design, dtype, slice(first, last), fewest[first])
        for first, last in pairwise([*starts, None])
    ]


def _fewest(design: NSGTDesign, length: int) -> int:
    """The fewest coefficients for a window of `length`: the design's, halved while even."""
    fewest = design.n_coefficients
    while fewest % 4 == 0 and fewest // 2 >= max(
        _OVERSAMPLING * length, design.n_coefficients // 16
    ):
        fewest //= 2
    return fewest


def frames_to_coefficients(frames: torch.Tensor, factor: int) -> torch.Tensor:
    """Magnitudes (bins, frames * factor) on the hop grid from `frames: (frames, bins)`, the means
    of `factor` of them each.

    Cubic convolution (Keys 1981) between the frames' centres, of values corrected so that the means
    of the result are the frames again. On recordings of a flute its error is -31 dB, that of linear
    interpolation -25 dB, of steps -20 dB.

    Raises:
        ValueError: there are no frames, or they are negative or not finite.
    """
    if frames.ndim != 2 or len(frames) < 1 or factor < 1:
        raise ValueError(
            f"expected (frames, bins) and a factor of at least 1, got {tuple(frames.shape)} and "
            f"{factor}"
        )
    if not _are_magnitudes(frames):
        raise ValueError("expected frames that are finite and not negative")
    kernel = _cubic_kernel(factor).to(frames)
    frames = frames.T.contiguous()  # each band's frames side by side in memory: half the time
    values = frames
    for _ in range(_MEAN_CORRECTIONS):
        values = values + frames - _weighted(values, kernel.mean(1))
    result = torch.stack([_weighted(values, weights) for weights in kernel.T], dim=-1)
    return result.flatten(1).clamp_min_(0)


def _are_magnitudes(values: torch.Tensor) -> bool:
    """Whether all are finite and not negative; the extremes of values with a NaN are NaN."""
    lowest, highest = values.aminmax()
    return bool(lowest >= 0) and bool(highest < math.inf)


def _weighted(frames: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(bins, frames): sums of each of `frames: (bins, frames)` and two on either side, the ends
    repeated, with `weights: (5,)`.
    """
    padded = torch.cat((frames[:, :1], frames[:, :1], frames, frames[:, -1:], frames[:, -1:]), 1)
    first, *others = padded.unfold(1, frames.shape[1], 1).unbind(1)
    result = first * weights[0]
    for shifted, weight in zip(others, weights[1:].tolist(), strict=True):
        result.add_(shifted, alpha=weight)
    return result


def _cubic_kernel(factor: int) -> torch.Tensor:
    """(5, factor): weights of the frames from two before to two after in each coefficient."""
    offsets = (torch.arange(factor, dtype=torch.float64) - (factor - 1) / 2) / factor
    distance = (torch.arange(-2, 3, dtype=torch.float64)[:, None] - offsets).abs()
    near = (_SLOPE + 2) * distance**3 - (_SLOPE + 3) * distance**2 + 1
    far = _SLOPE * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return torch.where(distance < 1, near, torch.where(distance < 2, far, torch.zeros_like(far)))
