"""Rumble: what rooms and microphones add below the lowest notes, cut before a sound is looked at.
Cut at 40 Hz, nothing is left below 25 and nothing lost above 55.

It is hardly heard, but soft notes lie beneath it: where the loudest band of a frame is rumble (5 to
30 Hz, in many recordings of single soft notes), what is told from the frame's shape and level is
told from the rumble.

The filter is an ideal high-pass under a Blackman window (linear phase, no delay), by overlap-add.
Names: `blocks: (samples,)` float32 each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from lt.audio.io import stream_audio
from lt.config import SpectralConfig

WIDTH_HZ = 30.0  # from what is cut by 74 dB to what is left as it is, the cut in the middle
HELD = 10  # half-lengths of the kernel at each end from which is told how rumble goes on
STEP, ORDER = (
    64,
    16,
)  # samples to a mean of what is slow, and means from which the next is predicted
BLACKMAN_WIDTH = 5.5  # of that transition, times the kernel's duration (Harris 1978)


def cut_rumble(blocks: Iterable[np.ndarray], config: SpectralConfig) -> Iterator[np.ndarray]:
    """A sound in blocks -> the same without what lies below `config.rumble` hertz, as long as it
    was and in bounded memory; where that is 0, the blocks as they are.
    """
    if not config.rumble:
        yield from blocks
        return
    half, size, response = _high_pass(config.rumble, config.sample_rate)
    rest, ahead = (
        np.zeros(2 * half, np.float32),
        2 * half,
    )  # ahead: what the filter gives before the sound begins
    for piece in _pieces(_extended(blocks, half), size - 2 * half):
        sound = np.fft.irfft(np.fft.rfft(piece, size) * response, size)[: len(piece) + 2 * half]
        sound[: 2 * half] += rest
        ready, rest = sound[min(ahead, len(piece)) : len(piece)], sound[len(piece) :]
        ahead = max(0, ahead - len(piece))
        if len(ready):
            yield ready


def without_rumble(audio: np.ndarray, config: SpectralConfig) -> np.ndarray:
    """A whole sound (samples,) -> `cut_rumble` of it."""
    return np.concatenate(list(cut_rumble([audio], config)))


def read_without_rumble(path: Path, config: SpectralConfig) -> np.ndarray:
    """A sound file whole -> (samples,) at the front end's rate, cut as it is read. Raises as
    `lt.audio.io.read_audio`.
    """
    return np.concatenate(list(cut_rumble(stream_audio(path, config.sample_rate), config)))


def _extended(blocks: Iterable[np.ndarray], n_more: int) -> Iterator[np.ndarray]:
    """A sound and so many samples more before and after it, in which its rumble goes on: if that
    began and ended with the recording, it would begin and end with a click.
    """
    n_held = HELD * n_more  # from which is told how it goes on
    held, begun = np.zeros(0, np.float32), False
    for block in blocks:
        held = np.concatenate([held, block])
        if len(held) > 2 * n_held:
            if not begun:
                yield _continued(held[:n_held][::-1], n_more)[::-1]
            begun, ready, held = True, held[:-n_held], held[-n_held:]
            yield ready
    if len(held):
        if not begun:
            yield _continued(held[:n_held][::-1], n_more)[::-1]
        yield held
        yield _continued(held[-n_held:], n_more)


def _continued(audio: np.ndarray, n_more: int) -> np.ndarray:
    """(n_more,) samples after a sound: what is slow in it as linear prediction has it, the rest
    mirrored.
    """
    means = audio[len(audio) % STEP :].reshape(-1, STEP).mean(axis=1, dtype=np.float64)
    order = min(ORDER, len(means) // 3)
    filled = np.concatenate([means, np.zeros(-(-n_more // STEP) + 1)])
    coefficients = _prediction(means, order)
    for index in range(len(means), len(filled)):
        filled[index] = coefficients @ filled[index - order : index]
    centres, n_known = (
        STEP * (np.arange(len(filled)) - len(means) + 0.5),
        min(n_more + 1, len(audio)),
    )
    slow = np.interp(np.arange(-n_known, n_more) + 0.5, centres, filled)
    quick = np.pad(audio[-n_known:] - slow[:n_known], (0, n_more), "reflect", reflect_type="odd")
    return (quick + slow)[n_known:].astype(np.float32)


def _prediction(x: np.ndarray, order: int) -> np.ndarray:
    """Weights (order,) of the last samples, the latest last, by which the next is predicted (Burg
    1967: stable).
    """
    forward, backward, filter_ = x[1:], x[:-1], np.ones(1)
    for _ in range(order):
        energy = forward @ forward + backward @ backward
        reflection = -2 * (forward @ backward) / energy if energy > 0 else 0.0
        filter_ = np.append(filter_, 0.0) + reflection * np.append(filter_, 0.0)[::-1]
        forward, backward = (
            (forward + reflection * backward)[1:],
            (backward + reflection * forward)[:-1],
        )
    return -filter_[:0:-1]


def _pieces(blocks: Iterable[np.ndarray], longest: int) -> Iterator[np.ndarray]:
    """The blocks in pieces that are not longer."""
    for block in blocks:
        yield from np.split(block, range(longest, len(block), longest))


@lru_cache(maxsize=2)
def _high_pass(hertz: float, sample_rate: int) -> tuple[int, int, np.ndarray]:
    """Samples on either side of the kernel's middle, a sensible size of FFTs, and the response
    (frequencies,).
    """
    half = round(BLACKMAN_WIDTH / 2 * sample_rate / WIDTH_HZ)
    size = 1 << (8 * half).bit_length()
    low = np.sinc(2 * hertz / sample_rate * np.arange(-half, half + 1)) * np.blackman(2 * half + 1)
    kernel = -low / low.sum()
    kernel[half] += 1
    return half, size, np.fft.rfft(kernel, size).astype(np.complex64)
