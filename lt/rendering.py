"""Rendering: magnitudes made into audio, in memory that does not grow with the length but for the result.

Names: `magnitudes: (frames, bins)`, `audio: (samples,)` float32, a part is a half-open range of frames whose phases
are found together.
"""
from __future__ import annotations

import numpy as np
from torch import Tensor

from lt.runs import Run
from lt.seeds import generator
from lt.spectra import Spectra, spectra_to_audio

FADE_SECONDS = 0.01  # at both ends
PART_FRAMES = 4096  # 131 s
MEETING_FRAMES = 8  # beyond a part's borders, so that phase retrieval has no edge there


def magnitudes_to_audio(run: Run, magnitudes: Tensor, n_iter: int, seed: int, *where: int) -> np.ndarray:
    """Magnitudes (frames, bins) -> audio (frames * frame_hop,), its phase named by the seed and the place."""
    chosen = generator(seed, "phase", *where, device=magnitudes.device)
    return spectra_to_audio(Spectra(magnitudes, run.front_end), n_iter, chosen).cpu().numpy()


def frames_to_sound(run: Run, magnitudes: Tensor, n_iter: int, seed: int) -> np.ndarray:
    """Magnitudes (frames, bins) of a whole recording or path -> audio (samples,), faded at both ends.

    Phases are found for up to PART_FRAMES at once, which bounds the memory; parts meet where it is quietest.
    """
    hop = run.front_end.frame_hop
    audio = np.zeros(len(magnitudes) * hop, np.float32)
    for number, (start, end) in enumerate(parts(magnitudes)):
        first, last = max(start - MEETING_FRAMES, 0), min(end + MEETING_FRAMES, len(magnitudes))
        part = magnitudes_to_audio(run, magnitudes[first:last].to(run.device), n_iter, seed, number)
        begin, stop = start * hop, end * hop
        if start:  # the frame before the border is faded from part to part
            begin -= hop
            rise = np.linspace(0, 1, hop, endpoint=False, dtype=np.float32)
            audio[begin:begin + hop] *= 1 - rise
            part[begin - first * hop:begin - first * hop + hop] *= rise
        audio[begin:stop] += part[begin - first * hop:stop - first * hop]
    return _faded(audio, round(FADE_SECONDS * run.front_end.sample_rate))


def parts(magnitudes: Tensor) -> list[tuple[int, int]]:
    """Half-open ranges of frames, each at most PART_FRAMES long, that meet at quiet frames."""
    level, found, start = magnitudes.amax(dim=1), [], 0
    while len(magnitudes) - start > PART_FRAMES:
        half = start + PART_FRAMES // 2
        end = half + 1 + int(level[half:start + PART_FRAMES - 1].argmin())
        found.append((start, end))
        start = end
    return [*found, (start, len(magnitudes))]


def _faded(audio: np.ndarray, n_fade: int) -> np.ndarray:
    """Audio (samples,) with linear fades over n_fade samples at both ends, in place."""
    n_fade = min(n_fade, len(audio) // 2)
    fade = np.linspace(0, 1, n_fade, endpoint=False, dtype=np.float32)
    audio[:n_fade] *= fade
    audio[len(audio) - n_fade:] *= fade[::-1]
    return audio
