"""Silence around a note: found by the level in short blocks, and cut but for a little on either side."""

from __future__ import annotations

import numpy as np

BLOCK = 128  # samples of a level
SILENCE_DB, FLOOR_MARGIN_DB = -50.0, 6.0
LOUDEST_FLOOR_DB = -30.0  # above this the quietest blocks are music, not noise
PAD_SECONDS = 0.15
SHORTEST_SECONDS = 0.1
SILENT_PEAK = 1e-4  # of full scale


# --- silence --------------------------------------------------------------------------------------


def trim(audio: np.ndarray, sample_rate: int) -> tuple[np.ndarray, str]:
    """The note in a recording, with at most PAD_SECONDS of silence on either side; and the reason
    if there is none.
    """
    if not len(audio) or np.abs(audio).max() < SILENT_PEAK:
        return audio, "silent"
    levels = _levels_db(audio)
    floor = np.percentile(levels, 5) + FLOOR_MARGIN_DB
    noisy = SILENCE_DB < floor < LOUDEST_FLOOR_DB
    loud = np.flatnonzero(levels > (floor if noisy else SILENCE_DB))
    if not len(loud):  # a constant
        return audio, "silent"
    begin, end = loud[0] * BLOCK, min((loud[-1] + 1) * BLOCK, len(audio))
    if end - begin < SHORTEST_SECONDS * sample_rate:
        return audio, f"shorter than {SHORTEST_SECONDS} s"
    pad = 0 if noisy else round(PAD_SECONDS * sample_rate)
    return audio[max(begin - pad, 0) : end + pad], ""


def _levels_db(audio: np.ndarray) -> np.ndarray:
    """(blocks,) RMS in decibels below that of the loudest block."""
    blocks = (
        np.pad(audio - np.median(audio), (0, -len(audio) % BLOCK))
        .astype(np.float64)
        .reshape(-1, BLOCK)
    )
    power = (blocks**2).mean(axis=1)
    return 10 * np.log10(np.maximum(power / max(power.max(), 1e-20), 1e-12))
