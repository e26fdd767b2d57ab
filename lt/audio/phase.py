"""Phase reconstruction: constant-Q magnitudes to audio.

Magnitudes have no phase. It is estimated by Griffin-Lim iterations (`nsgt_wrap.phase_retrieval`)
from phases that fit the magnitudes (`nsgt_wrap.initial_phases`) or from random ones, which depend
on the seed alone. Long sounds are reconstructed in chunks
with a crossfade, short ones together, since one long reconstruction is much faster than many short
ones.

Names: `magnitudes: (frames, bins)` of model frames, or of subframes with the front end
`SpectralConfig.of_subframes`; `audio: (samples,)` float32, with `frame_hop` samples per frame.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from lt.audio.features import retrieve_phase
from lt.config import SpectralConfig, SynthesisConfig
from lt.seeds import torch_rng
from lt.threads import side_by_side


def magnitudes_to_audio(
    magnitudes: Tensor,
    front_end: SpectralConfig,
    config: SynthesisConfig = SynthesisConfig(),
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Reconstruct a recording or a path of any length, faded at both ends, from propagated phases
    by `config.recording_iter` iterations where `config.n_iter` says nothing else.

    Chunks of at most `config.chunk_seconds` bound the memory beyond input and result. They meet
    where the sound is quietest, with a crossfade of one frame.

    Args:
        magnitudes: (frames, bins), on any device.
        device: where phases are reconstructed.
    Returns:
        audio: (frames * frame_hop,) float32.
    """
    hop = front_end.frame_hop
    margin = round(config.chunk_margin_seconds / front_end.frame_seconds)
    chunk_frames = round(config.chunk_seconds / front_end.frame_seconds)
    spans = list(pairwise(chunk_borders(magnitudes, chunk_frames)))

    def chunk(index: int) -> np.ndarray:
        start, stop = spans[index]
        frames = magnitudes[max(0, start - margin) : stop + margin].to(device)
        return _griffin_lim(frames, front_end, config, index)

    audio = np.empty(len(magnitudes) * hop, np.float32)
    fade_in = np.linspace(0, 1, hop, endpoint=False, dtype=np.float32)
    for (start, stop), own in zip(spans, side_by_side(chunk, range(len(spans)), device)):
        begin = min(start, margin) * hop
        if start:
            frame_before = audio[(start - 1) * hop : start * hop]
            frame_before *= 1 - fade_in
            frame_before += own[begin - hop : begin] * fade_in
        audio[start * hop : stop * hop] = own[begin : begin + (stop - start) * hop]
    return _fade_ends(audio, round(config.fade_seconds * front_end.sample_rate))


def magnitudes_to_audio_batch(
    sounds: Sequence[Tensor],
    front_end: SpectralConfig,
    config: SynthesisConfig = SynthesisConfig(),
    *key: int,
) -> list[np.ndarray]:
    """Reconstruct several short sounds together, with `config.gap_seconds` of silence between them,
    by as many iterations as a recording.

    Args:
        sounds: magnitudes (frames, bins) of each, on one device.
        key: position among other batches, for the initial phases.
    Returns:
        audio (frames * frame_hop,) float32 of each, not faded.
    """
    gap = round(config.gap_seconds / front_end.frame_seconds)
    with_gaps = [pad(sound, (0, 0, 0, gap)) for sound in sounds]
    audio = _griffin_lim(torch.cat(with_gaps), front_end, config, *key)
    ends = front_end.frame_hop * np.cumsum([len(sound) for sound in with_gaps])
    parts = np.split(audio, ends[:-1])
    return [part[: len(sound) * front_end.frame_hop] for part, sound in zip(parts, sounds)]


def chunk_borders(magnitudes: Tensor, chunk_frames: int) -> list[int]:
    """Borders 0 ... frames of chunks of at most `chunk_frames`, each after the quietest frame in
    the second half of its chunk.
    """
    borders = [0]
    while len(magnitudes) - borders[-1] > chunk_frames:
        half = borders[-1] + chunk_frames // 2
        peaks = magnitudes[half : borders[-1] + chunk_frames - 1].amax(dim=1)
        borders.append(half + 1 + int(peaks.argmin()))
    return [*borders, len(magnitudes)]


def _griffin_lim(
    magnitudes: Tensor, front_end: SpectralConfig, config: SynthesisConfig, *key: int
) -> np.ndarray:
    """Magnitudes (frames, bins) -> audio (frames * frame_hop,)."""
    n_iter = config.n_iter
    if n_iter is None:
        is_random = config.phase_start == "random"
        n_iter = config.random_iter if is_random else config.recording_iter
    rng = torch_rng(config.seed, "phase", *key, device=magnitudes.device)
    audio = retrieve_phase(magnitudes, front_end, n_iter, rng, config.phase_start)
    return audio.cpu().numpy()


def _fade_ends(audio: np.ndarray, n_fade: int) -> np.ndarray:
    """Linear fades over n_fade samples at both ends, in place."""
    n_fade = min(n_fade, len(audio) // 2)
    fade_in = np.linspace(0, 1, n_fade, endpoint=False, dtype=np.float32)
    audio[:n_fade] *= fade_in
    audio[len(audio) - n_fade :] *= fade_in[::-1]
    return audio
