"""Rendering: magnitudes made into audio, in memory that does not grow with the length but for the
result.

Names: `magnitudes: (frames, bins)`, `audio: (samples,)` float32, a part is a stretch of frames
whose phases are found together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from lt.audio.features import Spectra, spectra_to_audio
from lt.config import SpectralConfig
from lt.rows import Rows
from lt.seeds import torch_rng

FADE_SECONDS = 0.01  # at both ends
PART_FRAMES = 4096  # 131 s
MEETING_FRAMES = 8  # beyond a part's borders, so that phase retrieval has no edge there


@dataclass(frozen=True)
class Part:
    """Magnitudes of a part, and of `before` and `after` frames of its neighbours."""

    magnitudes: Tensor
    before: int
    after: int


def magnitudes_to_audio(
    config: SpectralConfig, magnitudes: Tensor, n_iter: int, seed: int, *where: int
) -> np.ndarray:
    """Magnitudes (frames, bins) -> audio (frames * frame_hop,), its phase named by the seed and the
    place.
    """
    chosen = torch_rng(seed, "phase", *where, device=magnitudes.device)
    return spectra_to_audio(Spectra(magnitudes, config), n_iter, chosen).cpu().numpy()


def frames_to_sound(
    config: SpectralConfig, blocks: Iterable[Tensor], n_iter: int, seed: int, device: torch.device
) -> np.ndarray:
    """Magnitudes of a whole recording or path, in blocks (frames, bins) -> audio (samples,), faded
    at both ends.

    Phases are found for up to PART_FRAMES at once, which bounds the memory; parts meet where it is
    quietest, and the frame before a border is faded from part to part.
    """
    hop, audio, ending = config.frame_hop, Rows(), np.zeros(0, np.float32)
    rise = np.linspace(0, 1, hop, endpoint=False, dtype=np.float32)
    for number, part in enumerate(parts(blocks)):
        sound = magnitudes_to_audio(config, part.magnitudes.to(device), n_iter, seed, number)
        begin, end = part.before * hop, len(sound) - part.after * hop
        if number:
            audio.add(ending * (1 - rise) + sound[begin - hop : begin] * rise)
        if part.after:  # another part comes
            end -= hop
            ending = sound[end : end + hop]
        audio.add(sound[begin:end])
    return _faded(audio.array(), round(FADE_SECONDS * config.sample_rate))


def parts(blocks: Iterable[Tensor]) -> Iterator[Part]:
    """Blocks (frames, bins) in parts of at most PART_FRAMES that meet at quiet frames."""
    blocks, waiting, before = (
        (piece for block in blocks for piece in block.split(PART_FRAMES)),
        [],
        0,
    )
    while True:
        while sum(map(len, waiting)) <= before + PART_FRAMES + MEETING_FRAMES:
            block = next(blocks, None)
            if block is None:
                break
            waiting.append(block)
        frames = torch.cat(waiting)
        border = len(frames)
        if border - before > PART_FRAMES:
            border = before + _quietest(frames[before : before + PART_FRAMES])
        after = min(MEETING_FRAMES, len(frames) - border)
        yield Part(frames[: border + after], before, after)
        if border == len(frames):
            return
        before = MEETING_FRAMES
        waiting = [frames[border - before :]]


def _quietest(magnitudes: Tensor) -> int:
    """Where a part should end: after the quietest frame of its second half."""
    half = len(magnitudes) // 2
    return half + 1 + int(magnitudes[half:-1].amax(dim=1).argmin())


def _faded(audio: np.ndarray, n_fade: int) -> np.ndarray:
    """Audio (samples,) with linear fades over n_fade samples at both ends, in place."""
    n_fade = min(n_fade, len(audio) // 2)
    fade = np.linspace(0, 1, n_fade, endpoint=False, dtype=np.float32)
    audio[:n_fade] *= fade
    audio[len(audio) - n_fade :] *= fade[::-1]
    return audio
