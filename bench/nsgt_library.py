"""The sliced transform of `nsgt_wrap` by the nsgt library, one slice after the other: what the
bench compares with.

The library works on the same Hann slices, merged as ours; its number of coefficients is its own
(1279, a prime, for a hop of 64) or ours.
"""

from __future__ import annotations

import warnings

import numpy as np

from lt.audio.features import nsgt as transform_of
from lt.config import SpectralConfig
from nsgt_wrap.design import import_nsgt, numpy_shim

DESIGN = transform_of(SpectralConfig()).design
HALF = DESIGN.slice_length // 2
HANN = 0.5 - 0.5 * np.cos(np.pi * np.arange(DESIGN.slice_length) / HALF)


def melody(seconds: int) -> np.ndarray:
    """Notes of half a second, eight decaying partials each, over a little noise."""
    time_axis = np.arange(seconds * DESIGN.sample_rate) / DESIGN.sample_rate
    note = (time_axis * 2).astype(int)
    frequency = 440 * 2 ** (np.array([-9, -5, -2, 3, 2, -4])[note % 6] / 12)
    turns = np.cumsum(frequency) / DESIGN.sample_rate
    partials = sum(np.sin(2 * np.pi * n * turns) / n for n in range(1, 9))
    noise = np.random.default_rng(0).standard_normal(len(time_axis))
    return (0.2 * np.exp(-3 * (time_axis * 2 - note)) * partials + 1e-3 * noise).astype(np.float32)


class Library:
    """The same sliced transform by the library, one slice after the other."""

    def __init__(self, n_coefficients: int | None = None) -> None:
        nsgt = import_nsgt()
        scale = nsgt.OctScale(DESIGN.fmin, DESIGN.fmax, DESIGN.bins_per_octave)
        with numpy_shim(nsgt), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.nsgt = nsgt.NSGT(
                scale,
                DESIGN.sample_rate,
                DESIGN.slice_length,
                real=True,
                matrixform=True,
                reducedform=1,
            )
        if n_coefficients:
            self.nsgt.M[:] = n_coefficients
            self.nsgt.gd = nsgt.cq.nsdual(self.nsgt.g, self.nsgt.wins, self.nsgt.nn, self.nsgt.M)

    def slices(self, audio: np.ndarray) -> list[np.ndarray]:
        """The coefficients (bins, coefficients) of each slice."""
        n_halves = -(-len(audio) // HALF)
        padded = np.zeros((n_halves + 2) * HALF)
        padded[HALF : HALF + len(audio)] = audio
        starts = range(0, (n_halves + 1) * HALF, HALF)
        return [np.array(self.nsgt.forward(padded[s : s + 2 * HALF] * HANN)) for s in starts]

    def forward(self, audio: np.ndarray) -> np.ndarray:
        """(bins, coefficients): the sum of the slices on one clock (odd positions change sign)."""
        slices = self.slices(audio)
        half = slices[0].shape[1] // 2
        signs = 1 - 2 * (DESIGN.frame.positions % 2)[:, None]
        result = np.zeros((len(slices[0]), (len(slices) + 1) * half), complex)
        for number, grid in enumerate(slices):
            result[:, number * half : (number + 2) * half] += grid[:, : 2 * half] * signs ** (
                number + 1
            )
        return result[:, half:-half]

    def inverse(self, coefficients: np.ndarray, n_samples: int) -> np.ndarray:
        """(n_samples,): Hann slices of the coefficients through the library's inverse, added."""
        half = DESIGN.n_coefficients // 2
        padded = np.pad(coefficients, ((0, 0), (half, half)))
        n_slices = padded.shape[1] // half - 1
        signs = 1 - 2 * (DESIGN.frame.positions % 2)[:, None]
        result = np.zeros((n_slices + 1) * HALF)
        for number in range(n_slices):
            grid = (
                padded[:, number * half : (number + 2) * half]
                * signs ** (number + 1)
                * HANN[:: DESIGN.hop]
            )
            result[number * HALF : (number + 2) * HALF] += self.nsgt.backward(list(grid))
        return result[HALF : HALF + n_samples]
