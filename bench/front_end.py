"""Speed of the front end, compared with the nsgt library and librosa's CQT: run `python
bench/front_end.py`.

One thread each. Compare within one run only: the speed of a machine varies from run to run. The
library works on the same Hann slices, merged as ours, once with the number of coefficients that it
would choose (1279, a prime, for a hop of 64) and once with ours (2048).
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import librosa
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lt.audio.features import nsgt as transform_of
from lt.config import SpectralConfig
from nsgt_wrap import NSGT, griffin_lim
from nsgt_wrap.design import import_nsgt, numpy_shim
from nsgt_wrap.transform import magnitude

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 60
PHASE_SECONDS = 8
REPEATS = 5
N_ITER = 30
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

    def griffin_lim(
        self, magnitudes: np.ndarray, n_samples: int, n_iter: int = N_ITER
    ) -> np.ndarray:
        """The accelerated iteration over the library's transform, on all coefficients."""
        phases = np.random.default_rng(0).uniform(0, 2 * np.pi, magnitudes.shape)
        coefficients, before = magnitudes * np.exp(1j * phases), 0
        for _ in range(n_iter):
            projected = self.forward(self.inverse(coefficients, n_samples))
            ahead = projected + 0.99 * (projected - before)
            coefficients = magnitudes * ahead / np.maximum(np.abs(ahead), 1e-12)
            before = projected
        return self.inverse(coefficients, n_samples)


def best(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Seconds of the fastest of some runs after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def show(name: str, seconds: float, audio_seconds: float, ours: float, note: str = "") -> None:
    print(
        f"{name:34s} {seconds:8.3f} s {audio_seconds / seconds:8.1f} x real time "
        f"{seconds / ours:7.1f} x ours {note}"
    )


def forward_table(nsgt: NSGT) -> None:
    """Forward transform of a minute."""
    audio = melody(SECONDS)
    tensor = torch.as_tensor(audio)
    ours = best(lambda: nsgt(tensor))
    print(f"forward, {SECONDS} s of audio")
    show("ours", ours, SECONDS, ours)
    frames = best(lambda: nsgt.magnitude_frames(tensor, SpectralConfig.frame_hop))
    show("ours, frames of magnitudes", frames, SECONDS, ours)
    for name, library in (
        ("own number", Library()),
        ("our number", Library(DESIGN.n_coefficients)),
    ):
        show(f"nsgt library, {name}", best(lambda lib=library: lib.slices(audio), 2), SECONDS, ours)
    settings = {"sr": DESIGN.sample_rate, "fmin": DESIGN.fmin, "n_bins": 408, "bins_per_octave": 48}
    cqt = best(lambda: librosa.cqt(audio, hop_length=DESIGN.hop * 4, **settings), 1)
    show("librosa.cqt, a quarter of the hops", cqt, SECONDS, ours)


def phase_table(nsgt: NSGT) -> None:
    """Griffin-Lim with momentum: speed, and the spectral convergence that it reaches."""
    audio = melody(PHASE_SECONDS)
    n_samples = len(audio) // (2 * HALF) * (2 * HALF)
    audio = torch.as_tensor(audio[:n_samples])
    magnitudes = magnitude(nsgt(audio))
    seconds = n_samples / DESIGN.sample_rate
    library = Library(DESIGN.n_coefficients)

    def reached(result: torch.Tensor) -> str:
        error = magnitude(nsgt(result)) - magnitudes
        return f"{20 * torch.log10(error.norm() / magnitudes.norm()):6.1f} dB"

    def ours() -> torch.Tensor:
        return griffin_lim(
            nsgt, magnitudes, n_samples, N_ITER, rng=torch.Generator().manual_seed(0)
        )

    spent = best(ours)
    print(
        f"{N_ITER} Griffin-Lim iterations, {seconds:.1f} s of audio, and their spectral convergence"
    )
    show("ours", spent, seconds, spent, reached(ours()))
    start = time.perf_counter()
    theirs = library.griffin_lim(magnitudes.numpy(), n_samples)
    took = time.perf_counter() - start
    show(
        "loop over the nsgt library", took, seconds, spent, reached(torch.as_tensor(theirs).float())
    )


@click.command(help=__doc__.splitlines()[0])
def main() -> None:
    torch.set_num_threads(1)
    nsgt = transform_of(SpectralConfig())
    with torch.no_grad():
        forward_table(nsgt)
        phase_table(nsgt)


if __name__ == "__main__":
    main()
