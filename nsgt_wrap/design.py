"""The frame of the transform: its bands, their windows and their dual windows.

The nsgt library (Thomas Grill) makes the constant-Q frame of one slice; where it is not installed,
`nsgt_wrap.windows` makes the same. A window or a dual is real, on the FFT bins of the slice, by
rising frequency; the window of band b covers the bins
`positions[b] - len // 2 + (0, 1, ..., len - 1)`. Duals are for `n_coefficients` coefficients.

Names: a band (of the frame) and a bin (of the axis of the spectrogram) are the same; `hop` is
samples per coefficient.
"""

from __future__ import annotations

import math
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from nsgt_wrap.windows import dual_windows, windows_and_centres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_PATCH_LOCK = threading.Lock()


@dataclass(frozen=True)
class Frame:
    """Windows and duals, one array a band, and the bands' centres in FFT bins of the slice."""

    windows: tuple[np.ndarray, ...]
    duals: tuple[np.ndarray, ...]
    positions: np.ndarray


@dataclass(frozen=True)
class NSGTDesign:
    """Settings of the transform: a constant-Q scale on slices of a signal.

    Attributes:
        sample_rate, fmin, fmax: in hertz.
        bins_per_octave: bands of the scale.
        slice_length: samples of a slice, a multiple of two hops.
        hop: samples between coefficients.
        all_bands: with the DC and the Nyquist band, without which the inverse is not exact.
    Raises:
        ValueError: the numbers cannot make a frame.
    """

    sample_rate: int
    fmin: float
    fmax: float
    bins_per_octave: int
    slice_length: int
    hop: int
    all_bands: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.fmin < self.fmax < self.sample_rate / 2:
            raise ValueError(
                "expected 0 < fmin < fmax < sample_rate / 2, got "
                f"fmin {self.fmin:g}, fmax {self.fmax:g} at {self.sample_rate} Hz"
            )
        if self.bins_per_octave < 1 or self.hop < 1:
            raise ValueError(
                f"expected bins_per_octave and hop of at least 1, got {self.bins_per_octave} and "
                f"{self.hop}"
            )
        if self.slice_length < 1 or self.slice_length % (2 * self.hop):
            raise ValueError(
                f"expected a slice_length that is a multiple of {2 * self.hop} (two hops), "
                f"got {self.slice_length}"
            )

    @property
    def n_scale_bins(self) -> int:
        """Bands of the scale itself, without DC and Nyquist."""
        return math.ceil(float(np.log2(self.fmax) - np.log2(self.fmin)) * self.bins_per_octave) + 1

    @property
    def n_bins(self) -> int:
        """Bands of the transform: the size of its bins axis."""
        return self.n_scale_bins + 2 * self.all_bands

    @property
    def n_coefficients(self) -> int:
        """Coefficients of each band on one slice."""
        return self.slice_length // self.hop

    @property
    def frequencies(self) -> np.ndarray:
        """(bins,) nominal band frequencies in hertz, evenly spaced on a log axis but for DC and
        Nyquist.

        The library rounds them to the slice's FFT bins and moves the last band half-way to Nyquist:
        the actual centres are `frame.positions * sample_rate / slice_length`.
        """
        scale = np.geomspace(self.fmin, self.fmax, self.n_scale_bins)
        return np.concatenate(([0.0], scale, [self.sample_rate / 2])) if self.all_bands else scale

    @property
    def frame(self) -> Frame:
        """Windows, duals and positions, computed once a design.

        Raises:
            ValueError: a window needs more coefficients than the hop gives.
        """
        return _frame(self)


@lru_cache(maxsize=8)
def _frame(design: NSGTDesign) -> Frame:
    """The constant-Q frame of one slice, from the nsgt library where it is installed."""
    try:
        windows, duals, centres = _library_bands(import_nsgt(), design)
    except ImportError:
        windows, duals, centres = _own_bands(design)
    first = 0 if design.all_bands else 1
    bands = slice(first, first + design.n_bins)
    longest = max(map(len, windows[bands]))
    if longest > design.n_coefficients:  # the duals hold in the painless case only
        raise ValueError(
            f"a hop of {design.hop} gives {design.n_coefficients} coefficients a slice, the "
            f"widest band needs {longest}: use a hop of at most {design.slice_length // longest}"
        )
    return Frame(
        windows=tuple(map(_frozen, windows[bands])),
        duals=tuple(map(_frozen, duals[bands])),
        positions=_frozen(np.array(centres[bands], dtype=np.int64)),
    )


def _own_bands(design: NSGTDesign) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Windows, duals and centres of all bands."""
    scale = replace(design, all_bands=False).frequencies
    windows, centres = windows_and_centres(scale, design.sample_rate, design.slice_length)
    duals = dual_windows(windows, centres, design.slice_length, design.n_coefficients)
    return windows, duals, centres


def _library_bands(
    nsgt: ModuleType, design: NSGTDesign
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """As `_own_bands`, from the library."""
    scale = nsgt.OctScale(design.fmin, design.fmax, design.bins_per_octave)
    with numpy_shim(nsgt):
        # dowarn: on any slice of practical length the lowest bands are wider than asked for
        windows, centres, _ = nsgt.cq.nsgfwin(
            *scale(), design.sample_rate, design.slice_length, sliced=False, dowarn=False
        )
    places, length = nsgt.cq.calcwinrange(windows, centres, design.slice_length)
    duals = nsgt.cq.nsdual(windows, places, length, design.n_coefficients)
    return [np.fft.fftshift(w) for w in windows], [np.fft.fftshift(d) for d in duals], centres


def _frozen(array: np.ndarray) -> np.ndarray:
    """The array made read-only: the cache returns it to many callers."""
    array.flags.writeable = False
    return array


def import_nsgt() -> ModuleType:
    """The nsgt library, without its warnings about modules that are not used here.

    Raises:
        ImportError: it is not installed.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="nsgt")
        try:
            import nsgt
        except ImportError as error:
            raise ImportError(
                "the nsgt library is not installed: run `make setup`, or `pip install "
                "--no-build-isolation nsgt`"
            ) from error
    return nsgt


@contextmanager
def numpy_shim(nsgt: ModuleType) -> Iterator[None]:
    """Make the library's window module work on any NumPy within the block.

    nsgt 0.19 clips an integer array in place with numpy.inf as the upper bound, which NumPy >= 1.25
    refuses, because the result would be float. Here an infinite upper bound is None: no bound.
    """
    module = nsgt.nsgfwin_sl
    with _PATCH_LOCK:
        original = module.np
        module.np = SimpleNamespace(**{**vars(np), "clip": _clip})
        try:
            yield
        finally:
            module.np = original


def _clip(values: np.ndarray, lowest: float, highest: float, out: np.ndarray) -> np.ndarray:
    return np.clip(values, lowest, None if np.isposinf(highest) else highest, out=out)
