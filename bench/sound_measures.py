"""Measures of single sounds, and distances between two sounds.

A note is held from sample 0 to its note-off at `held` seconds. Levels are root mean squares in
decibels relative to full scale. A measure that a sound is too short for is NaN; a release that the
sound does not finish is infinite.

Names: `audio: (samples,)` at `RATE`, full scale at 1; `reference`, `estimated`: two of them of
equal length; times in seconds.
"""

from __future__ import annotations

import librosa
import numpy as np
from scipy.ndimage import uniform_filter1d

from lt.audio.io import SAMPLE_RATE as RATE

CENTS = 50  # a note further from its label is out of tune
STEP = 0.01  # s: of the level envelope, and the window of attack and release
SMOOTH = 0.05  # s: window of the level that slope and flutter are read from
STEADY = (0.4, 1.2)  # s after the onset: where slope and flutter are read
ATTACK_ENDS = 0.3  # s after the onset: the latest peak of an attack
ENVELOPE_RANGE = 40.0  # dB below the peak: the floor of level envelopes, the end of a release
SPECTRUM_RANGE = 70.0  # dB below the reference's peak: the floor of spectra
NARROW_RANGE = 60.0  # the same, where what is weak shall count less
CONTRAST_RANGE = 60.0  # dB below the peak of a recording: the floor of its level in rests
REST_AFTER = 0.2  # s after every end: where rests begin
HIGH = 4000.0  # Hz
FFT_SIZE, HOP = 2048, 512  # samples: of the log-spectral distance
SCALES = (64, 128, 256, 512, 1024, 2048)  # samples: FFT sizes of the multi-scale distance
_SILENT = 1e-12  # power: -120 dBFS


# --- levels ---------------------------------------------------------------------------------------


def level_db(audio: np.ndarray) -> float:
    """Level of a whole sound."""
    return float(10 * np.log10(np.mean(audio.astype(np.float64) ** 2) + _SILENT))


def levels_db(audio: np.ndarray, window: float, step: float) -> np.ndarray:
    """(windows,) levels of the windows of `window` seconds that begin every `step` seconds and lie
    within the sound.
    """
    width, hop = round(window * RATE), step * RATE
    energy = np.concatenate([[0.0], np.cumsum(audio.astype(np.float64) ** 2)])
    n_windows = max(0, int((len(audio) - width) / hop + 1e-6) + 1)
    starts = np.round(np.arange(n_windows) * hop).astype(int)
    return 10 * np.log10((energy[starts + width] - energy[starts]) / width + _SILENT)


def loudest_db(audio: np.ndarray) -> float:
    """Level of the loudest 50 ms: the level of a note."""
    return float(levels_db(np.pad(audio, (0, round(SMOOTH * RATE))), SMOOTH, STEP).max())


def peak_dbfs(audio: np.ndarray) -> float:
    """Largest magnitude of a sample."""
    return float(20 * np.log10(np.abs(audio).max() + _SILENT))


def _running_power(audio: np.ndarray) -> np.ndarray:
    """(samples,) power averaged over the 10 ms around each sample; silence on either side."""
    power = uniform_filter1d(audio.astype(np.float64) ** 2, round(STEP * RATE), mode="constant")
    return np.maximum(power, 0.0)


def sounding_span(audio: np.ndarray) -> slice:
    """The samples from where the 10 ms level first is within 40 dB of its peak to where it last
    is.
    """
    power = _running_power(audio)
    sounding = np.flatnonzero(power >= power.max(initial=0.0) * 10 ** (-ENVELOPE_RANGE / 10))
    return slice(int(sounding[0]), int(sounding[-1]) + 1) if len(sounding) else slice(0, 0)


# --- the course of a note -------------------------------------------------------------------------


def peak_minus_end_db(audio: np.ndarray, held: float) -> float:
    """Highest 10 ms level of the first 0.3 s, minus the level of the last 50 ms before note-off."""
    attack = levels_db(audio[: round(min(ATTACK_ENDS, held) * RATE)], STEP, STEP)
    end = round(held * RATE)
    if not len(attack) or held < ATTACK_ENDS:
        return float("nan")
    return float(attack.max()) - level_db(audio[end - round(SMOOTH * RATE) : end])


def attack_seconds(audio: np.ndarray) -> float:
    """Time until the 10 ms level is within 3 dB (half the power) of its peak."""
    power = _running_power(audio)
    return float(np.argmax(power >= power.max() / 2) / RATE)


def release_seconds(audio: np.ndarray, held: float) -> float:
    """Time after note-off from which the 10 ms level stays 40 dB below that of the last 50 ms
    before note-off; infinite where the sound ends earlier.
    """
    off = round(held * RATE)
    before = np.mean(audio[max(0, off - round(SMOOTH * RATE)) : off].astype(np.float64) ** 2)
    threshold = max(before * 10 ** (-ENVELOPE_RANGE / 10), _SILENT)
    above = np.flatnonzero(_running_power(audio)[off:] > threshold)
    if not len(above):
        return 0.0
    ended = above[-1] + 1 < len(audio) - off - round(STEP * RATE)
    return float((above[-1] + 1) / RATE) if ended else float("inf")


def _steady_levels_db(audio: np.ndarray, held: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and 50 ms levels every 10 ms from 0.4 to 1.2 s; empty for notes held shorter."""
    begin, end = STEADY
    if held < end - 1e-9:
        return np.zeros(0), np.zeros(0)
    levels = levels_db(audio[round(begin * RATE) : round(end * RATE)], SMOOTH, STEP)
    return np.arange(len(levels)) * STEP, levels


def slope_db_per_second(audio: np.ndarray, held: float) -> float:
    """Slope of the straight line fitted to the 50 ms level from 0.4 to 1.2 s."""
    times, levels = _steady_levels_db(audio, held)
    return float(np.polyfit(times, levels, 1)[0]) if len(times) else float("nan")


def flutter_db(audio: np.ndarray, held: float) -> float:
    """Peak to peak of the 50 ms level from 0.4 to 1.2 s, its straight line in dB removed."""
    times, levels = _steady_levels_db(audio, held)
    if not len(times):
        return float("nan")
    return float(np.ptp(levels - np.polyval(np.polyfit(times, levels, 1), times)))


# --- colour ---------------------------------------------------------------------------------------


def centroid_hz(audio: np.ndarray) -> float:
    """Spectral centroid of the magnitudes (STFT 2048/512) averaged over the sound."""
    spectrum = magnitudes(audio, FFT_SIZE, HOP).mean(axis=1)
    frequencies = librosa.fft_frequencies(sr=RATE, n_fft=FFT_SIZE)
    return float((frequencies * spectrum).sum() / max(spectrum.sum(), _SILENT))


def high_energy_db(audio: np.ndarray) -> float:
    """Energy above 4 kHz relative to all energy (STFT 2048/512)."""
    energy = (magnitudes(audio, FFT_SIZE, HOP) ** 2).sum(axis=1)
    high = energy[librosa.fft_frequencies(sr=RATE, n_fft=FFT_SIZE) > HIGH].sum()
    return float(10 * np.log10(high / max(energy.sum(), _SILENT) + _SILENT))


def magnitudes(audio: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """(bins, frames) magnitudes of a short-time Fourier transform, Hann window."""
    padded = np.pad(audio.astype(np.float64), (0, max(0, n_fft - len(audio))))
    return np.abs(librosa.stft(padded, n_fft=n_fft, hop_length=hop))


# --- distances ------------------------------------------------------------------------------------


def at_level_of(reference: np.ndarray, estimated: np.ndarray) -> np.ndarray:
    """`estimated` at the root mean square of `reference`."""
    return estimated * 10 ** ((level_db(reference) - level_db(estimated)) / 20)


def _floored(
    reference: np.ndarray,
    estimated: np.ndarray,
    n_fft: int,
    hop: int,
    range_db: float = SPECTRUM_RANGE,
) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes of two sounds, not below `range_db` under the reference's peak."""
    pair = [magnitudes(audio, n_fft, hop) for audio in (reference, estimated)]
    floor = max(pair[0].max() * 10 ** (-range_db / 20), _SILENT)
    return np.maximum(pair[0], floor), np.maximum(pair[1], floor)


def log_spectral_distance_db(
    reference: np.ndarray, estimated: np.ndarray, range_db: float = SPECTRUM_RANGE
) -> float:
    """STFT 2048/512, floor 70 dB below the reference's peak, levels matched; root mean square over
    bins, mean over frames (Gray & Markel 1976, "Distance measures for speech processing").
    """
    pair = _floored(reference, at_level_of(reference, estimated), FFT_SIZE, HOP, range_db)
    decibels = 20 * np.log10(pair[1] / pair[0])
    return float(np.sqrt((decibels**2).mean(axis=0)).mean())


def multi_scale_distance(reference: np.ndarray, estimated: np.ndarray) -> float:
    """FFT sizes 64 to 2048, hop a quarter, levels matched: the L1 norm of the difference of the
    magnitudes relative to that of the reference, plus the mean L1 of their natural logarithms
    (floor 70 dB below the reference's peak); mean over sizes (after Engel et al. 2020, "DDSP",
    equation 4).
    """
    estimated = at_level_of(reference, estimated)
    distances = []
    for n_fft in SCALES:
        a, b = (magnitudes(audio, n_fft, n_fft // 4) for audio in (reference, estimated))
        linear = np.abs(a - b).sum() / max(a.sum(), _SILENT)
        floored = _floored(reference, estimated, n_fft, n_fft // 4)
        distances.append(linear + np.abs(np.log(floored[0] / floored[1])).mean())
    return float(np.mean(distances))


def envelope_distance_db(reference: np.ndarray, estimated: np.ndarray) -> float:
    """Level in steps of 10 ms, each sound floored 40 dB below its own peak, the mean difference
    removed, root mean square.
    """
    pair = [levels_db(audio, STEP, STEP) for audio in (reference, estimated)]
    floored = [np.maximum(levels, levels.max() - ENVELOPE_RANGE) for levels in pair]
    return float(np.std(floored[0] - floored[1]))


# --- pitch, joins, rests --------------------------------------------------------------------------


def pyin_number(audio: np.ndarray, note_number: int) -> float:
    """Median pitch of `audio` (samples,) by pYIN as a fractional MIDI number; NaN if unvoiced."""
    low, high = librosa.midi_to_hz([note_number - 12, note_number + 3])
    periods = 2 ** int(np.ceil(np.log2(2.5 * RATE / low)))  # pYIN needs two of the longest
    pitch, voiced, _ = librosa.pyin(
        audio, fmin=low, fmax=high, sr=RATE, frame_length=max(2048, periods), hop_length=512
    )
    return float(librosa.hz_to_midi(np.median(pitch[voiced]))) if voiced.any() else float("nan")


def is_in_tune(audio: np.ndarray, note_number: int) -> bool:
    """Whether pYIN reads a note within 50 cents."""
    return abs(pyin_number(audio, note_number) - note_number) < CENTS / 100


def clicks(
    audio: np.ndarray, borders: np.ndarray, seconds: float = 0.005, excess: float = 4.0
) -> int:
    """Number of `borders` (samples) with a jump |x[n] - 2 x[n-1] + x[n-2]| beyond `excess` times
    the 99th percentile of jumps in the 20 ms before and after.
    """
    jumps = np.abs(np.diff(audio.astype(np.float64), 2))
    width, found = round(seconds * RATE), 0
    for border in np.asarray(borders, dtype=int):
        near = jumps[max(border - width, 0) : border + width]
        around = np.concatenate(
            [
                jumps[max(border - 5 * width, 0) : max(border - width, 0)],
                jumps[border + width : border + 5 * width],
            ]
        )
        if len(near) and len(around) and near.max() > excess * max(np.percentile(around, 99), 1e-5):
            found += 1
    return found


def contrast_db(audio: np.ndarray, spans: np.ndarray) -> float:
    """Median 10 ms level in notes minus that in rests, floored 60 dB below the loudest.

    Args:
        spans: (notes, 2) onset and end of each note. Rests are what lies outside all notes, at
            least 0.2 s after every end.
    Returns:
        NaN where there is no rest.
    """
    levels = levels_db(audio, STEP, STEP)
    levels = np.maximum(levels, levels.max() - CONTRAST_RANGE)
    centres = (np.arange(len(levels))[:, None] + 0.5) * STEP
    onsets, ends = spans.T
    in_note = ((centres >= onsets) & (centres < ends)).any(axis=1)
    near = ((centres >= onsets) & (centres < ends + REST_AFTER)).any(axis=1)
    if not in_note.any() or near.all():
        return float("nan")
    return float(np.median(levels[in_note]) - np.median(levels[~near]))
