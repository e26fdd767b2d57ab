"""Trimming: a note without the silence around it, found by the level in short blocks.

The threshold is a level below the loudest block, or in a noisy recording one above the noise floor.
A little silence is kept on either side, so that models see onsets and ends; none in noise, which
the data set would label as the note. `librosa.effects.trim` has one threshold, below the peak: of
16 noisy recordings among 39 of flute notes it keeps 17 ms of noise on average, and the bytes of all
data sets would change.

Names: `audio: (samples,)`, full scale at 1.
"""

from __future__ import annotations

import numpy as np

from lt.config import TrimConfig


def trim(
    audio: np.ndarray, sample_rate: int, config: TrimConfig = TrimConfig()
) -> tuple[np.ndarray, str]:
    """The note in a recording (samples,) and "", or the recording and the reason why it has no
    note.
    """
    span, reason = find_note(audio, sample_rate, config)
    return audio[span], reason


def find_note(
    audio: np.ndarray, sample_rate: int, config: TrimConfig = TrimConfig()
) -> tuple[slice, str]:
    """The samples of the note in a recording (samples,) and "", or all samples and the reason why
    it has no note.
    """
    if np.abs(audio).max(initial=0.0) < config.silent_peak:
        return slice(None), "silent"
    levels = _levels_db(audio, config.block)
    floor = np.percentile(levels, config.floor_percentile) + config.floor_margin_db
    noisy = config.silence_db < floor < config.loudest_floor_db
    loud = np.flatnonzero(levels > (floor if noisy else config.silence_db))
    if not len(loud):  # a constant
        return slice(None), "silent"
    begin, end = loud[0] * config.block, min((loud[-1] + 1) * config.block, len(audio))
    if end - begin < config.shortest_seconds * sample_rate:
        return slice(None), f"shorter than {config.shortest_seconds} s"
    pad = 0 if noisy else round(config.pad_seconds * sample_rate)
    return slice(max(begin - pad, 0), end + pad), ""


def _levels_db(audio: np.ndarray, block: int) -> np.ndarray:
    """(blocks,) RMS in decibels below that of the loudest block."""
    centred = np.pad(audio - np.median(audio), (0, -len(audio) % block)).astype(np.float64)
    power = (centred.reshape(-1, block) ** 2).mean(axis=1)
    return 10 * np.log10(np.maximum(power / max(power.max(), 1e-20), 1e-12))
