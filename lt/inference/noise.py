"""Noise of a recording: what never stops, clicks, and the level of rests.

Noise is told from notes by `lt.inference.evidence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy

from lt.config import DecoderConfig
from lt.inference.onsets import BLOCK_FRAMES, OnsetDetector, Region
from lt.inference.posteriors import Posteriors


def noise_floor(posteriors: Posteriors, config: DecoderConfig) -> np.ndarray:
    """(bands,) the least power of each band in the recording, over `floor_seconds` each (minimum
    statistics, Martin 2001): what sounds from the first frame to the last. 0 in a recording that is
    so short that it may be one held note.
    """
    n_bands = posteriors.bands.shape[1]
    if len(posteriors) * posteriors.step < config.longest_steady:
        return np.zeros(n_bands)
    n_frames = max(1, round(config.floor_seconds / posteriors.step))
    least = np.full(n_bands, np.inf)
    for start in range(0, len(posteriors), BLOCK_FRAMES):
        power = np.square(posteriors.bands[start : start + BLOCK_FRAMES].astype(np.float32))
        least = np.minimum(
            least, scipy.ndimage.uniform_filter1d(power, n_frames, axis=0).min(axis=0)
        )
    return least


def without_clicks(posteriors: Posteriors, config: DecoderConfig) -> Posteriors:
    """Posteriors whose levels lack peaks that are shorter than `click_seconds` and rise by
    `click_db` above what surrounds them.
    """
    size = max(1, round(config.click_seconds / posteriors.step))

    def smooth(level_db: np.ndarray) -> np.ndarray:
        opened = scipy.ndimage.grey_opening(level_db, size)
        return np.where(level_db - opened > config.click_db, opened, level_db)

    levels = smooth(posteriors.level_db), smooth(posteriors.clear_db)
    return replace(posteriors, level_db=levels[0], clear_db=levels[1])


def rest_level(regions: Sequence[Region], detector: OnsetDetector, level_db: np.ndarray) -> float:
    """Level of the noise in the rests between regions, in dB of `level_db: (frames,)`; of none
    without rests.
    """
    config, posteriors = detector.config, detector.posteriors
    rest = np.ones(len(posteriors), bool)
    after, before = detector.frames(config.rest_seconds), detector.frames(config.search_before)
    for region in regions:
        rest[max(0, region.start - before) : region.end + after] = False
    if detector.others or not rest.any():
        return -np.inf
    return float(np.percentile(level_db[rest], config.rest_percentile))
