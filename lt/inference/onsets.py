"""Onset and offset detection for the notes of one instrument.

A recording is divided into segments at spectral changes, level dips and silences
(`OnsetDetector.segment_starts`). Within a segment there is one note, one chord or silence, so its
frames can be classified together; frames near a change, in which two notes overlap, get little
weight. Once the notes of the segments are known, the onset of each is searched in the level of the
sound, or, where the previous note masks it, in the bands that are new (`OnsetDetector.onset`). Its
offset is where it is released, which is told from the sound of a room by how far the level falls in
the recording (`OnsetDetector.offset`).
Bands of low notes ring for up to a quarter of a second, equally before and after an onset: a band
passes half of its later magnitude when its note begins.

In a mixture the level of the recording belongs to all instruments. The level of one instrument's
note is then measured in bands that hold its partials (`OnsetDetector.level_db`): only in those
above `lowest_partial_hz`, which ring shortly, and in none that a simultaneous note of another
instrument also excites. Its onset is where they rise most (`steepest_rise`).

Thresholds are fields of `lt.config.DecoderConfig`. Frames are those of the fine grid of
`lt.inference.posteriors`. Names: `bands: (frames, bands)` magnitudes of semitone-wide bands,
`level_db: (frames,)`; intervals [start, end) in frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy

from lt.config import DecoderConfig
from lt.inference.posteriors import Posteriors
from lt.labels import SEMITONES, SILENCE, note_number_to_hz

TINY = 1e-6  # magnitude below all levels
BLOCK_FRAMES = 1 << 15  # of novelty at once; an hour at once needs a gigabyte


@dataclass(frozen=True)
class Region:
    """Frames [start, end) with one note."""

    note_number: int
    start: int
    end: int


@dataclass(frozen=True)
class OnsetDetector:
    """Finds segments, onsets, repeated notes and offsets of one instrument.

    Attributes:
        posteriors: of the recording.
        instrument: index of the instrument.
        others: (frames,) most probable note numbers of each other instrument, `SILENCE` in rests.
        noise_db, clear_noise_db: level of the noise in rests, as recorded and above the rumble;
            none by default.
    """

    posteriors: Posteriors
    instrument: int = 0
    others: Sequence[np.ndarray] = ()
    config: DecoderConfig = DecoderConfig()
    noise_db: float = -np.inf
    clear_noise_db: float = -np.inf

    @property
    def onset_db(self) -> float:
        """The level relative to a note's peak that defines its onset."""
        return self.config.onset_db_in_mixture if self.others else self.config.onset_db

    def onset_level(self, peak_db: float) -> float:
        """The level at which a note with this peak begins: above the noise, if that is louder."""
        return max(peak_db + self.onset_db, min(self.noise_db, peak_db - self.config.noise_margin))

    @cached_property
    def is_struck(self) -> bool:
        """Whether the instrument's notes decay while they are held, as the model learnt them: where
        their level rises, they are struck. Those of others may swell or tremble by themselves.
        """
        symbols = self.posteriors.symbols
        return bool(symbols) and symbols[self.instrument].decay_db >= self.config.decay_db

    @cached_property
    def spectra(self) -> np.ndarray:
        """(frames, features) whose direction changes with the note: semitone bands; in a mixture,
        where loud instruments mask the changes of soft ones, the instrument's own posteriors.
        """
        if not self.others:
            return self.posteriors.bands
        groups = self.posteriors.groups(self.instrument).values()
        return self.posteriors.interpolation @ np.concatenate(list(groups), axis=1)

    def frames(self, seconds: float) -> int:
        """Seconds as a number of frames, at least one."""
        return max(1, round(seconds / self.posteriors.step))

    # --- segments ---------------------------------------------------------------------------------

    def novelty(self) -> np.ndarray:
        """(frames,) 1 - cosine similarity of the spectra `novelty_lag` before and after: 0 in a
        steady sound, at most 1.
        """
        lag, last = self.frames(self.config.novelty_lag), len(self.spectra) - 1
        similarity = []
        for frames in np.split(np.arange(last + 1), range(BLOCK_FRAMES, last + 1, BLOCK_FRAMES)):
            before = _unit_rows(self.spectra[np.maximum(frames - lag, 0)])
            after = _unit_rows(self.spectra[np.minimum(frames + lag, last)])
            similarity.append((before * after).sum(axis=1))
        return 1 - np.concatenate(similarity)

    def segment_starts(self, novelty: np.ndarray, sounding: np.ndarray) -> list[int]:
        """First frames of all segments, 0 first: at novelty peaks, level dips, and where `sounding:
        (frames,)` changes.
        """
        config = self.config
        changes, _ = scipy.signal.find_peaks(
            novelty * sounding, height=config.novelty_height, prominence=config.novelty_prominence
        )
        edges = np.flatnonzero(np.diff(sounding)) + 1
        starts = [0]
        for start in np.unique(
            np.concatenate([changes, self._dips(self.posteriors.clear_db)[0], edges])
        ):
            if start - starts[-1] >= self.frames(config.shortest_segment):
                starts.append(int(start))
        return starts

    def _dips(self, level_db: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames at the bottom of deep dips of the level, and the last of each bottom; what is not
        above the noise is all alike.
        """
        peak, depth = level_db.max(), self.config.dip_prominence
        floor = max(peak - self.config.level_range, min(self.clear_noise_db, peak - depth))
        dips, about = scipy.signal.find_peaks(
            -np.maximum(level_db, floor), prominence=depth, plateau_size=1
        )
        return dips, about["right_edges"]

    def strokes(self, level_db: np.ndarray) -> list[int]:
        """Frames at which the note of level_db begins, 0 as a rule, and is repeated: the level
        rises out of a deep dip, or quickly where the instrument is struck, and near to its peak.
        That of a tremolo rises less, and that of an echo. What is quieter before is not the note
        yet.
        """
        config = self.config
        within, attack = self.frames(config.stroke), self.frames(config.attack)
        shortest, near = self.frames(config.shortest_repeat), level_db.max() - config.near_db
        rises = level_db[within:] - level_db[:-within]
        lowest = config.stroke_db if self.is_struck else np.inf
        strokes = scipy.signal.find_peaks(rises, height=lowest, distance=shortest)[0]
        rise = self.frames(config.rise)
        deep = [
            dip
            for dip in self._dips(level_db)[1]
            if level_db[dip : dip + rise].max() >= level_db[dip] + config.rise_db
        ]
        found = [0]
        for start in np.union1d(strokes, deep).astype(int).tolist():
            late = min(start - found[-1], len(level_db) - start) >= shortest
            if not late or level_db[start : start + attack].max() < near:
                continue
            if level_db[found[-1] : start].max() >= near:
                found.append(start)
            elif start < attack:
                found = [start]
        return found

    # --- onsets and offsets -----------------------------------------------------------------------

    def onset(self, region: Region, previous: Region) -> int:
        """The first frame of a region's note.

        Args:
            region: the note's frames.
            previous: the region before; an empty one at frame 0 if there is none.
        """
        if self.others:
            return self._onset_in_mixture(region, previous)
        config, end = self.config, region.end
        level_db = self.level_db(region)
        start = self._above_noise(level_db, region)
        peak = self._attack_peak(level_db, start, end)
        lead = max(previous.end, start - self.frames(config.quiet))
        quiet = np.flatnonzero(level_db[lead:start] <= peak - config.quiet_db)
        if len(quiet):
            return self.attack(level_db, lead + int(quiet[-1]), end)
        dip = self._dip(level_db, start)
        if dip is not None and end - dip > 1:
            return self.attack(level_db, dip, end)
        back = max(0, start - self.frames(config.search_before))
        if back == start or level_db[back:start].max() < peak - config.rest_db:
            first = max(0, start - self.frames(config.search_before / 2))
            return first + _first(level_db[first:end] >= self.onset_level(peak))
        before = previous.end if previous.end < start else previous.start
        onset = self.attack(level_db, self._new_bands(start, end, before), end)
        return self._stroke(level_db, onset, start, end) if self.is_struck else onset

    def _above_noise(self, level_db: np.ndarray, region: Region) -> int:
        """The first frame of the region; where it begins in noise, the first that is near its peak:
        low bands ring before a note, which may be heard there.
        """
        own = level_db[region.start : region.end]
        near = own.max() - self.config.near_db
        noise = self.noise_db + self.config.noise_margin
        if self._attack_peak(level_db, region.start, region.end) >= min(noise, near):
            return region.start
        return region.start + _first(own >= near)

    def _onset_in_mixture(self, region: Region, previous: Region) -> int:
        """Where the magnitude rises most in bands of the note that neither other instruments nor
        the note before excite.
        """
        config = self.config
        begin = max(previous.start + 1, region.start - self.frames(config.search_before), 0)
        until = min(region.end, region.start + self.frames(config.search_before))
        bands = self._partial_bands(region.note_number, config.n_partials, config.lowest_onset_hz)
        bands = self.free_bands(bands, Region(region.note_number, begin, until))
        rings = begin - previous.end < self.frames(config.overlap)
        if rings and previous.note_number not in (SILENCE, region.note_number):
            free = np.setdiff1d(bands, self._excited_bands(previous.note_number))
            bands = free if len(free) else bands
        magnitudes = np.sqrt(self._power(slice(begin, max(until, begin + 1)), bands))
        rise, attack = self.frames(config.rise), self.frames(config.attack)
        found = steepest_rise(magnitudes, rise, attack, config.half_rise)
        return region.start if found is None else begin + found[0]

    def _stroke(self, level_db: np.ndarray, onset: int, start: int, end: int) -> int:
        """The frame after the `onset` of a note's bands at which the level rises quickly to the
        note's, if it does: low bands ring before a stroke as after it.
        """
        stroke = self.frames(self.config.stroke)
        first = max(0, onset - stroke)
        last = max(onset, start) + self.frames(self.config.search_after)
        around = level_db[first : min(end, last)]
        around = np.maximum(around, self._attack_peak(level_db, start, end) + self.config.offset_db)
        rises = around[stroke:] - around[:-stroke]
        if not len(rises) or rises.max() < self.config.struck_db:
            return onset
        at = int(rises.argmax())
        return first + at + int(np.diff(around[at : at + stroke + 1]).argmax()) + 1

    def attack(self, level_db: np.ndarray, start: int, end: int) -> int:
        """The first frame in [start, end) at the onset's level of the attack's peak."""
        peak = self._attack_peak(level_db, start, end)
        return start + _first(level_db[start:end] >= self.onset_level(peak))

    def offset(self, level_db: np.ndarray, start: int, end: int) -> int:
        """One past the last frame of the note that begins at `start`, at most `end`.

        A note ends where it is released: where its level leaves the line on which it went on, held
        or decaying by itself, for good. What follows is the release or the room. A note that is not
        released ends `faded_db` below its peak, if nothing begins before.
        """
        config = self.config
        before_next = level_db[max(start, end - self.frames(config.search_before)) : end]
        rise = _first(before_next[::-1] <= before_next.min() + config.struck_db)
        own = level_db[start : end - rise]  # without the rise to the next note
        own = np.maximum(own, own.max() + config.faded_db + config.offset_db)
        audible = len(own) - _first(own[::-1] >= own.max() + config.faded_db)
        attack_peak = own[: self.frames(config.attack)].max()
        begin = _first(own >= self.onset_level(attack_peak))
        released = begin + self._release(own[begin:])
        near = own[-self.frames(config.search_before) :]
        dipped = len(own) - _first(near[::-1] >= near.max() - config.onset_dip_db)
        last = min(audible, released, dipped)
        return end if last == len(own) else start + last

    def _release(self, level_db: np.ndarray) -> int:
        """The frame at which a note with `level_db: (frames,)` is released, `len(level_db)` if it
        is not.
        """
        value, slope = _trailing_lines(level_db, self.frames(self.config.release_fit))
        loudest_after = np.maximum.accumulate(level_db[::-1])[::-1]
        for within, fall in self.release_falls.items():
            line = (value + slope * within)[:-within]
            fallen = loudest_after[within:] <= line - fall
            fallen[: min(self.release_falls)] = False
            if fallen.any():
                last = _first(fallen)
                line = value[last] + slope[last] * np.arange(within)
                own = level_db[last : last + within] >= line - fall
                return last + within - _first(own[::-1])
        return len(level_db)

    @cached_property
    def release_falls(self) -> dict[int, float]:
        """Frames -> dB by which a released note falls within them: half of the largest such fall of
        the recording. In a room no note falls further than to the room's own sound, and its tail
        is not a note; elsewhere the convention of references holds.
        """
        config, level_db = self.config, self.posteriors.level_db
        level_db = np.maximum(level_db, level_db.max() - config.level_range)
        falls = {}
        for frames in map(self.frames, config.release_times):
            largest = (level_db[:-frames] - level_db[frames:]).max(initial=0.0)
            falls[frames] = float(np.clip(largest / 2, config.onset_dip_db, -config.offset_db))
        return falls

    def _attack_peak(self, level_db: np.ndarray, start: int, end: int) -> float:
        return float(level_db[start : min(end, start + self.frames(self.config.attack))].max())

    def _dip(self, level_db: np.ndarray, start: int) -> int | None:
        """The quietest frame near `start`, if the level dips there: the notes are detached."""
        reach = self.frames(self.config.search_before)
        first = max(0, start - reach)
        around = level_db[first : start + reach]
        quietest = int(around.argmin())
        sides = min(around[: quietest + 1].max(), around[quietest:].max())
        deep = sides - around[quietest] >= self.config.onset_dip_db
        return first + quietest if deep else None

    def _new_bands(self, start: int, end: int, before: int) -> int:
        """The frame at which bands that are new in [start, end) reach `half_rise` of their later
        magnitude, or `onset_db` if the attack is slow. The note that began at `before` may have
        masked them until `start`.
        """
        config = self.config
        ring = self.frames(config.novelty_lag)
        if start + ring >= len(self.spectra):  # the sound ends before the new bands have risen
            return start
        overlap = max(start - self.frames(config.overlap), before + ring)
        first = max(before, min(start - 4 * ring, overlap))
        after = self._rows(start + ring, max(start + ring + 1, min(end, start + 4 * ring)))
        after = after.mean(axis=0)
        earlier = self._rows(first, max(first + 1, start - ring))
        earlier = np.percentile(earlier, config.earlier_percentile, axis=0)
        new = np.where(after > config.new_ratio * earlier, after, 0.0)
        if new.sum() <= config.new_fraction * after.sum():
            return start
        rising = self._rows(first, min(end, start + self.frames(config.attack))) @ new
        slow = 10 ** (self.onset_db / 20) * rising[start - first :].max()
        threshold = max(config.half_rise * (new @ after), slow)
        searched = rising[: start - first + self.frames(config.search_after)]
        below = np.flatnonzero(searched < threshold)
        return min(end - 1, first + int(below[-1]) + 1) if len(below) else first

    def _rows(self, start: int, end: int) -> np.ndarray:
        return self.spectra[start:end].astype(np.float32)

    def without_echoes(self, notes: Sequence[Region]) -> list[Region]:
        """Notes without those that are `quiet_db` softer than the one shortly before: what a room,
        or the instrument itself, sounds on with.
        """
        reach = self.frames(self.config.overlap)
        kept: list[Region] = []
        for note in notes:
            before = kept[-1] if kept and note.start - kept[-1].end <= reach else note
            if self._peak(note) > self._peak(before) - self.config.quiet_db:
                kept.append(note)
        return kept

    def _peak(self, note: Region) -> float:
        return float(self.posteriors.clear_db[note.start : note.end].max(initial=-np.inf))

    # --- the level of a note ----------------------------------------------------------------------

    def level_db(self, region: Region) -> np.ndarray:
        """(frames,) level of a region's note: the recording's; in a mixture measured in the region
        and for `quiet` seconds around it, `floor_db` elsewhere.
        """
        if not self.others:
            return self.posteriors.level_db
        floor_db, reach = self.config.floor_db, self.frames(self.config.quiet)
        level_db = np.full(len(self.posteriors), floor_db)
        around = slice(max(0, region.start - reach), region.end + reach)
        power = self._power(around, self._own_bands(region))
        level_db[around] = 10 * np.log10(power + 10 ** (floor_db / 10))
        return level_db

    def join_decays(self, regions: Iterable[Region]) -> list[Region]:
        """Join each note with its decay, where that was classified as a lower octave.

        Beneath another instrument the upper partials of a decaying note vanish first, and what is
        left looks like the note an octave or two below. A new note there would bring bands that the
        upper note does not have.
        """
        joined: list[Region] = []
        for region in regions:
            if joined and joined[-1].end == region.start and self._is_decay(joined[-1], region):
                joined[-1] = replace(joined[-1], end=region.end)
            else:
                joined.append(region)
        return joined

    def _is_decay(self, upper: Region, lower: Region) -> bool:
        octaves = upper.note_number - lower.note_number in (SEMITONES, 2 * SEMITONES)
        if not (self.others and octaves):
            return False
        known = self._excited_bands(upper.note_number)
        new = np.setdiff1d(self._partial_bands(lower.note_number), known)
        start, reach = lower.start, self.frames(self.config.search_before)
        earlier = self._power(slice(max(0, start - reach), start), new).max()
        later = self._power(slice(start, min(lower.end, start + reach)), new).max()
        return bool(later <= earlier * 10 ** (self.config.decay_rise_db / 10))

    def _power(self, frames: slice, bands: np.ndarray) -> np.ndarray:
        return np.square(self.posteriors.bands[frames, bands].astype(np.float32)).sum(axis=1)

    def _own_bands(self, region: Region) -> np.ndarray:
        """Bands of the note's partials that no other instrument excites."""
        config = self.config
        own = self._partial_bands(region.note_number, config.n_partials, config.lowest_partial_hz)
        return self.free_bands(own, region)

    def free_bands(self, bands: np.ndarray, region: Region) -> np.ndarray:
        """Those of `bands: (n,)` that no note of another instrument excites during the region; all
        if there are none such.
        """
        config, free = self.config, bands
        first = max(0, region.start - self.frames(config.search_before))
        for numbers in self.others:
            present, counts = np.unique(numbers[first : region.end], return_counts=True)
            long_enough = counts >= self.frames(config.shortest_other)
            for number in present[long_enough & (present != SILENCE)]:
                free = np.setdiff1d(free, self._excited_bands(number))
        return free if len(free) else bands

    def free_of_others(self, frames: slice) -> np.ndarray:
        """(frames, bands) whether no most probable note of another instrument excites the band."""
        free = np.ones(self.posteriors.bands[frames].shape, bool)
        for numbers in self.others:
            own = numbers[frames]
            for number in np.setdiff1d(own, SILENCE):
                bands = np.unique(self._excited_bands(int(number)))
                free[np.ix_(own == number, bands)] = False
        return free

    def explained_bands(self, note_number: int) -> np.ndarray:
        """Bands of a note's partials, and those beside its fundamental, to which it spreads."""
        bands = self._partial_bands(note_number)
        beside = bands[:1, None] + (-1, 0, 1)
        return np.union1d(bands, beside.clip(0, self.posteriors.bands.shape[1] - 1))

    def _excited_bands(self, note_number: int) -> np.ndarray:
        """Bands of a note's partials, and the bands beside them, to which partials spread."""
        bands = self._partial_bands(note_number)[:, None] + (-1, 0, 1)
        return bands.clip(0, self.posteriors.bands.shape[1] - 1)

    def _partial_bands(
        self, note_number: int, n_partials: int | None = None, lowest_hz: float = 0.0
    ) -> np.ndarray:
        n_partials = n_partials or self.config.n_partials_of_others
        n_bands = self.posteriors.bands.shape[1]
        return partial_bands(note_number, self.posteriors.fmin, n_bands, n_partials, lowest_hz)


def partial_bands(
    note_number: int, fmin: float, n_bands: int, n_partials: int, lowest_hz: float = 0.0
) -> np.ndarray:
    """Indices of the semitone bands from `fmin` hertz up that hold a note's first partials.

    Partials below `lowest_hz` are left out; of a note with hardly any above, the uppermost stay.
    """
    partials = note_number_to_hz(note_number) * np.arange(1, n_partials + 1)
    partials = partials[partials >= min(lowest_hz, 0.6 * partials[-1])]
    indices = np.floor(SEMITONES * np.log2(partials / fmin)).astype(int)
    return np.unique(indices[(indices >= 0) & (indices < n_bands)])


def steepest_rise(
    magnitudes: np.ndarray, rise: int, attack: int, half_rise: float
) -> tuple[int, float] | None:
    """The frame at which a note begins in its own bands, and by how many decibels they rise there;
    None if there are too few frames.

    Args:
        magnitudes: (frames,) of the bands.
        rise: frames in which they rise most. attack: frames from there to the peak.
        half_rise: of the whole rise that is reached at the onset: bands ring before it.
    """
    if len(magnitudes) <= rise:
        return None
    steepest = int((magnitudes[rise:] - magnitudes[:-rise]).argmax())
    after = magnitudes[steepest : steepest + rise + attack].max()
    low = magnitudes[max(0, steepest - rise) : steepest + 1].min()
    above = magnitudes[steepest:] >= low + half_rise * (after - low)
    level_db = 20 * np.log10(np.maximum(magnitudes[[steepest, steepest + rise]], TINY))
    return steepest + _first(above), float(level_db[1] - level_db[0])


def _trailing_lines(values: np.ndarray, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Lines fitted to the last `n_frames` up to each frame, those that rise as constants: their
    values there and their slopes, (frames,) each.
    """
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(0, ends - n_frames)
    x, y = np.arange(len(values)) - len(values) / 2, values
    sums = [np.concatenate([[0.0], np.cumsum(term)]) for term in (x, y, x * x, x * y)]
    count = ends - begins
    sx, sy, sxx, sxy = (total[ends] - total[begins] for total in sums)
    variance = np.maximum(sxx - sx * sx / count, 1e-9)
    slope = np.minimum((sxy - sx * sy / count) / variance, 0.0)
    slope[count < 4] = 0.0
    return sy / count + slope * (x - sx / count), slope


def _first(mask: np.ndarray) -> int:
    """Index of the first True, 0 if there is none."""
    return int(mask.argmax())


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows (frames, features) scaled to length 1; zeros stay."""
    rows = rows.astype(np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
