"""Notes against noise: how much of the sound is the note's own.

Noise of any colour spreads over the spectrum, a note is in the bands of its partials. The share of
the power, from the fundamental up, that lies in these bands,

    share(t) = sum_{b of the partials} max(P_b(t) - c N_b, 0) / sum_{b >= fundamental} P_b(t)

is near 1 while a note sounds, also while it dies away, and about 0.4 in noise without notes. N_b is
the noise floor, the minimum over the recording of a band's smoothed power (minimum statistics,
Martin 2001): what sounds from the first frame to the last, such as hum, is no note. Below the
fundamental noise may be louder than the note.

Of a single instrument only: in a mixture the rest of the sound is other instruments.

Names: `share: (frames,)` on the fine grid; a note is masked where its share is too low.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import binary_opening, grey_opening, uniform_filter1d

from lt.config import DecoderConfig
from lt.inference.onsets import BLOCK_FRAMES, OnsetDetector, Region
from lt.inference.posteriors import Posteriors

SILENT = 1e-15  # power of silence


def noise_floor(posteriors: Posteriors, config: DecoderConfig) -> np.ndarray:
    """(bands,) the least power of each band in the recording, over `floor_seconds` each; 0 in a
    recording that is so short that it may be one held note.
    """
    n_bands = posteriors.bands.shape[1]
    if len(posteriors) * posteriors.step < config.longest_steady:
        return np.zeros(n_bands)
    n_frames = max(1, round(config.floor_seconds / posteriors.step))
    least = np.full(n_bands, np.inf)
    for start in range(0, len(posteriors), BLOCK_FRAMES):
        power = np.square(posteriors.bands[start : start + BLOCK_FRAMES].astype(np.float32))
        least = np.minimum(least, uniform_filter1d(power, n_frames, axis=0).min(axis=0))
    return least


def note_share(
    bands: np.ndarray, own: np.ndarray, floor: np.ndarray, floor_ratio: float
) -> np.ndarray:
    """Share (frames,) of the power, from the note's lowest band up, that it stands out with.

    Args:
        bands: (frames, bands) magnitudes. own: indices of the note's. floor: (bands,) power of
            noise.
    """
    power = np.square(bands.astype(np.float32))
    standing = np.maximum(power[:, own] - floor_ratio * floor[own], 0.0).sum(axis=1)
    return standing / np.maximum(power[:, own[0] :].sum(axis=1), SILENT)


def without_clicks(posteriors: Posteriors, config: DecoderConfig) -> Posteriors:
    """Posteriors whose levels lack peaks that are shorter than `click_seconds` and rise by
    `click_db` above what surrounds them.
    """
    size = max(1, round(config.click_seconds / posteriors.step))

    def smooth(level_db: np.ndarray) -> np.ndarray:
        opened = grey_opening(level_db, size)
        return np.where(level_db - opened > config.click_db, opened, level_db)

    levels = smooth(posteriors.level_db), smooth(posteriors.clear_db)
    return replace(posteriors, level_db=levels[0], clear_db=levels[1])


def rest_level(regions: Sequence[Region], detector: OnsetDetector) -> float:
    """Level of the noise in the rests between regions, in dB; of none without rests."""
    config, posteriors = detector.config, detector.posteriors
    rest = np.ones(len(posteriors), bool)
    after, before = detector.frames(config.rest_seconds), detector.frames(config.search_before)
    for region in regions:
        rest[max(0, region.start - before) : region.end + after] = False
    if detector.others or not rest.any():
        return -np.inf
    return float(np.percentile(posteriors.level_db[rest], config.rest_percentile))


def standing_out(regions: Sequence[Region], detector: OnsetDetector) -> list[Region]:
    """Regions without those whose notes stand out of the noise in no frame."""
    if detector.others:
        return list(regions)
    floor, least = noise_floor(detector.posteriors, detector.config), detector.config.least_share
    return [region for region in regions if _share(region, detector, floor).max() >= least]


def until_masked(notes: Sequence[Region], detector: OnsetDetector) -> list[Region]:
    """Notes, each ended where noise masks it: where its share falls below `least_share` of what it
    was. What the note before rings on with is no noise.
    """
    if detector.others:
        return list(notes)
    config, floor = detector.config, noise_floor(detector.posteriors, detector.config)
    pause = detector.frames(config.masked_seconds)
    ended = []
    for before, note in zip([None, *notes], notes):
        rings = before and note.start - before.end <= detector.frames(config.overlap)
        ringing = detector.explained_bands(before.note_number) if rings else ()
        share = _share(note, detector, floor, ringing)
        heard = share >= config.least_share * share.max(initial=0.0)
        begin = int(heard.argmax())
        masked = binary_opening(~heard[begin:], np.ones(pause))
        last = begin + int(masked.argmax()) if masked.any() else len(heard)
        ended.append(replace(note, end=note.start + last))
    return ended


def _share(
    region: Region, detector: OnsetDetector, floor: np.ndarray, ringing: Sequence[int] = ()
) -> np.ndarray:
    """(frames,) share of a region's note; the bands `ringing` do not count if they are not its."""
    own = detector.explained_bands(region.note_number)
    bands = detector.posteriors.bands[region.start : max(region.end, region.start + 1)].copy()
    bands[:, np.setdiff1d(ringing, own).astype(int)] = 0
    return note_share(bands, own, floor, detector.config.floor_ratio)
