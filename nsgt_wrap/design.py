"""The frame: which bands there are, their windows and their dual windows.

Purpose: ask the nsgt library (Thomas Grill) for the constant-Q frame of one slice and keep it as
    plain arrays.
Conventions: a window or a dual is real, lives on the slice's FFT bins and runs by rising frequency;
    the window of band b covers the bins `positions[b] - len // 2 + (0, 1, ..., len - 1)`. Duals are
    for `n_coefficients` coefficients.
Names: band (of the frame) and bin (of the spectrogram's axis) are the same thing; hop is samples
    per coefficient.
"""

from __future__ import annotations

import math
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_MISSING = (
    "the nsgt library is not installed: run `make setup`, or `pip install "
    "--no-build-isolation nsgt`"
)
_PATCH_LOCK = threading.Lock()


@dataclass(frozen=True)
class Frame:
    """Windows, duals (one array per band, rising frequency) and centre positions (in FFT bins of
    the slice).
    """

    windows: tuple[np.ndarray, ...]
    duals: tuple[np.ndarray, ...]
    positions: np.ndarray


@dataclass(frozen=True)
class NSGTDesign:
    """Settings of the transform: a constant-Q scale from `fmin` to `fmax` (Hz) on slices of
    `slice_length` samples.

    `hop` is the number of samples between coefficients, `all_bands` adds the DC and the Nyquist
    band.

    Raises: ValueError when the numbers cannot make a frame.
    """

    sample_rate: int = 22050
    fmin: float = 30.0
    fmax: float = 11000.0
    bins_per_octave: int = 48
    slice_length: int = 90112
    hop: int = 64
    all_bands: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.fmin < self.fmax < self.sample_rate / 2:
            raise ValueError(
                f"expected 0 < fmin < fmax < sample_rate / 2, got fmin {self.fmin:g}, fmax "
                f"{self.fmax:g}"
                f" at {self.sample_rate} Hz"
            )
        if self.bins_per_octave < 1 or self.hop < 1:
            raise ValueError(
                f"expected bins_per_octave and hop of at least 1, got {self.bins_per_octave} and "
                f"{self.hop}"
            )
        if self.slice_length < 1 or self.slice_length % (2 * self.hop):
            raise ValueError(
                f"expected a slice_length that is a multiple of {2 * self.hop} (two hops),"
                f" got {self.slice_length}"
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
        """(bins,) nominal band frequencies in Hz, evenly spaced on a log axis (but for DC and
        Nyquist).

        The library rounds a centre to the slice's FFT bins and moves the very last band half-way to
        Nyquist: `frame.positions * sample_rate / slice_length` are the centres in effect.
        """
        scale = np.geomspace(self.fmin, self.fmax, self.n_scale_bins)
        return np.concatenate(([0.0], scale, [self.sample_rate / 2])) if self.all_bands else scale

    @property
    def frame(self) -> Frame:
        """Windows, duals and positions from the nsgt library, computed once per design.

        Raises: ImportError when nsgt is missing; ValueError when a window needs more coefficients
            than the hop gives.
        """
        return _frame(self)

    @property
    def windows(self) -> tuple[np.ndarray, ...]:
        """One window per band, see `Frame`."""
        return self.frame.windows

    @property
    def duals(self) -> tuple[np.ndarray, ...]:
        """One dual window per band, see `Frame`."""
        return self.frame.duals


@lru_cache(maxsize=8)
def _frame(design: NSGTDesign) -> Frame:
    """The library's unsliced constant-Q frame (Velasco et al. 2011) with `n_coefficients` for every
    band.
    """
    nsgt = import_nsgt()
    scale = nsgt.OctScale(design.fmin, design.fmax, design.bins_per_octave)
    with numpy_shim(
        nsgt
    ):  # dowarn: the lowest bands are wider than asked on any slice of sensible length
        windows, centres, _ = nsgt.cq.nsgfwin(
            *scale(), design.sample_rate, design.slice_length, sliced=False, dowarn=False
        )
    places, length = nsgt.cq.calcwinrange(windows, centres, design.slice_length)
    if length != design.slice_length:
        raise ValueError(
            f"expected bands for {design.slice_length} samples, the nsgt library gave {length}"
        )
    duals = nsgt.cq.nsdual(windows, places, length, design.n_coefficients)
    first = 0 if design.all_bands else 1
    bands = range(first, first + design.n_bins)
    _check_painless(design, max(len(windows[band]) for band in bands))
    return Frame(
        windows=tuple(_frozen(np.fft.fftshift(windows[band])) for band in bands),
        duals=tuple(_frozen(np.fft.fftshift(duals[band])) for band in bands),
        positions=_frozen(np.asarray(centres[list(bands)], dtype=np.int64)),
    )


def _check_painless(design: NSGTDesign, longest: int) -> None:
    """The duals hold only where no window is longer than its number of coefficients (the painless
    case).
    """
    if longest > design.n_coefficients:
        raise ValueError(
            f"a hop of {design.hop} gives {design.n_coefficients} coefficients a slice, the "
            "widest band needs"
            f" {longest}: use a hop of at most {design.slice_length // longest}"
        )


def _frozen(array: np.ndarray) -> np.ndarray:
    """The cache hands one array to many callers, so none may write to it."""
    array.flags.writeable = False
    return array


def import_nsgt() -> ModuleType:
    """The nsgt library, without its warnings about audio and FFT modules that nothing here uses.

    Raises: ImportError with the command that installs it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="nsgt")
        try:
            import nsgt
        except ImportError as error:
            raise ImportError(_MISSING) from error
    return nsgt


class _NumpyWithOpenClip:
    """numpy as the library sees it while its windows are made: `clip` takes an infinite bound on
    integers.

    nsgt 0.19 clips an integer array in place with numpy.inf as the upper bound, which NumPy >= 1.25
    refuses because the result would be float. An infinite upper bound is no bound, and None says
    the same to any NumPy.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def clip(values: np.ndarray, lowest: float, highest: float, out: np.ndarray) -> np.ndarray:
        return np.clip(values, lowest, None if np.isposinf(highest) else highest, out=out)


@contextmanager
def numpy_shim(nsgt: ModuleType) -> Iterator[None]:
    """Within the block the library's window module works on any NumPy; afterwards it is as it was."""
    module = nsgt.nsgfwin_sl
    with _PATCH_LOCK:
        original = module.np
        module.np = _NumpyWithOpenClip()
        try:
            yield
        finally:
            module.np = original
