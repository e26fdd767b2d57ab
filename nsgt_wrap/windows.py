"""The constant-Q frame of one slice (Velasco, Holighaus, Dörfler, Grill 2011), bit for bit as the
nsgt library makes it, for installations without that library.

Bands are those of a real signal's whole spectrum: DC, the scale, Nyquist, and the scale mirrored.
Names: `length` is that of the slice in samples; windows are centred, on FFT bins.
"""

from __future__ import annotations

import numpy as np

SHORTEST_WINDOW = 4  # FFT bins, the library's


def windows_and_centres(
    scale: np.ndarray, sample_rate: int, length: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Hann windows that each reach from the band below to the band above.

    Args:
        scale: (bands,) rising frequencies in hertz, between 0 and Nyquist.
    Returns:
        windows: one array a band; centres: (2 * bands + 2,) FFT bins.
    """
    nyquist, n_scale = sample_rate / 2, len(scale)
    half = np.concatenate(([0.0], scale, [nyquist]))
    centres = np.concatenate((half, sample_rate - half[-2:0:-1])) * (length / sample_rate)
    neighbours = np.concatenate(([-centres[1]], centres, [length]))
    widths = np.round(neighbours[2:] - neighbours[:-2]).astype(int)
    windows = [hann(width) for width in np.maximum(widths, SHORTEST_WINDOW)]
    centres[n_scale] = (centres[n_scale - 1] + centres[n_scale + 1]) / 2
    centres[n_scale + 2] = length - centres[n_scale]
    return windows, np.round(centres).astype(int)


def hann(width: int) -> np.ndarray:
    """(width,) periodic Hann window, its peak at `width // 2`."""
    return np.fft.fftshift((np.cos(np.arange(width) * (2 * np.pi / width)) + 1) * 0.5)


def dual_windows(
    windows: list[np.ndarray], centres: np.ndarray, length: int, n_coefficients: int
) -> list[np.ndarray]:
    """The canonical dual of a painless frame: windows over the diagonal of the frame operator."""
    diagonal = np.zeros(length)
    places = [
        (centre - len(window) // 2 + np.arange(len(window))) % length
        for window, centre in zip(windows, centres)
    ]
    for window, place in zip(windows, places):
        diagonal[place] += np.square(window) * n_coefficients
    return [window / diagonal[place] for window, place in zip(windows, places)]
