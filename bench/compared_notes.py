"""Notes of a data set beside what a model plays for their symbols.

For a held-out note there are four sounds, all from its onset on:

    recorded    the note itself, read or rendered again from its source
    played      the library's synthesis of its symbol, held as long
    ceiling     the recorded note's own model frames, their phases found anew
    sampler     the training note of the nearest key, then nearest dynamics, then the longest,
                resampled to the pitch, cut to the length, at the median level of those dynamics

Onset and note-off of a recording are the data set's. Distances between two sounds cover the
recorded note's own length, at most 1.5 s. A note that is held longer is played for 1.5 s. A
rendered note is given 2 s after note-off, whatever its data set holds.

Names: `note` is an index into the data set's notes, `audio: (samples,)` at `RATE`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import librosa
import numpy as np
import torch

from bench import sound_measures
from bench.sound_measures import RATE
from lt.audio.features import audio_to_magnitudes
from lt.audio.filters import high_pass
from lt.audio.phase import magnitudes_to_audio
from lt.audio.soundfont import embedded_font, open_font
from lt.config import SpectralConfig, SynthesisConfig
from lt.data.dataset import DataSet
from lt.data.originals import note_audio
from lt.inference.synthesis import events_to_audio, tracks_to_events
from lt.labels import DYNAMICS_NAMES, number_to_note_name, octave_pitch_to_note_number
from lt.midi import Note, Track, dynamics_to_velocity
from lt.models.runs import Run

LONGEST = 1.5  # s of a note that are compared
FONT_RELEASE = 2.0  # s after note-off of a rendered note
CUT_FADE = 0.005  # s: where the sampler cuts a note
MARGIN_FRAMES = 4  # of silence around a note whose phases are found anew
DISTANCES = {
    "log_spectral_distance_db": sound_measures.log_spectral_distance_db,
    "log_spectral_distance_60_db": partial(
        sound_measures.log_spectral_distance_db, range_db=sound_measures.NARROW_RANGE
    ),
    "multi_scale_distance": sound_measures.multi_scale_distance,
    "envelope_distance_db": sound_measures.envelope_distance_db,
}


@dataclass(frozen=True)
class NoteSound:
    """A sound of a note, from its onset on.

    Attributes:
        audio: (samples,), at least as long as the note is held.
        held: seconds to the note-off.
        is_exact: whether the times are known, and the release is there to its end.
    """

    audio: np.ndarray
    held: float
    is_exact: bool

    def during(self, seconds: float) -> np.ndarray:
        """Audio (samples,) of the first seconds, followed by silence where it is shorter."""
        n_samples = round(seconds * RATE)
        return np.pad(self.audio[:n_samples], (0, max(0, n_samples - len(self.audio))))


@dataclass(frozen=True)
class Symbol:
    """What a note is played from. `dynamics`: 0-4 = pp p mf f ff."""

    note_number: int
    dynamics: int

    def __str__(self) -> str:
        return f"{number_to_note_name(self.note_number)}:{DYNAMICS_NAMES[self.dynamics]}"


def symbol_of(data: DataSet, note: int) -> Symbol:
    """The labels of a note."""
    octave, pitch, dynamics = data.notes.labels[note]
    return Symbol(int(octave_pitch_to_note_number(octave, pitch)), int(dynamics))


# --- recorded -------------------------------------------------------------------------------------


def recorded_note(data: DataSet, note: int, folders: Sequence[Path] = ()) -> NoteSound:
    """The note itself.

    Args:
        folders: where sources are searched first (see `lt.data.originals`).
    Raises:
        FileNotFoundError: its source is missing or has changed.
    """
    source = str(data.notes.sources[note])
    name, *numbers = source.rsplit(":", 3)
    if name.lower().endswith((".sf2", ".sf3")) and len(numbers) == 3:
        return _rendered(data, _font(name, folders), *map(int, numbers))
    audio = note_audio(data, note, folders)
    if audio is None:
        raise FileNotFoundError(
            f"the source {source} is in none of the folders, or has changed (name its folder: "
            "--sources)"
        )
    onset = float(data.notes.onset[note])
    release = min(float(data.notes.release[note]) - onset, LONGEST)
    audio = audio[round(onset * RATE) : round((onset + LONGEST + FONT_RELEASE) * RATE)]
    return NoteSound(audio, min(release, len(audio) / RATE), False)


def _font(name: str, folders: Sequence[Path]) -> Path:
    places = (embedded_font().parent, *folders, Path())
    for path in (folder / Path(name).name for folder in places):
        if path.is_file():
            return path
    raise FileNotFoundError(f"no sound font {name} in the folders (name its folder: --sources)")


def _rendered(
    data: DataSet, font: Path, program: int, note_number: int, velocity: int
) -> NoteSound:
    settings = data.settings["built_from"]
    held = min(float(settings["note_seconds"]), LONGEST)
    opened = open_font(font, data.config.sample_rate, float(settings["brightness"]))
    audio = opened.render_note(program, note_number, velocity, held, FONT_RELEASE)
    return NoteSound(high_pass(audio, data.config), held, True)


def own_length(sound: NoteSound) -> float:
    """Seconds until the level stays 40 dB below the note's peak, at most 1.5 s."""
    return min(sound_measures.sounding_span(sound.audio).stop / RATE, LONGEST)


# --- played ---------------------------------------------------------------------------------------


def play_note(
    run: Run, symbol: Symbol, seconds: float, config: SynthesisConfig = SynthesisConfig()
) -> NoteSound:
    """What a model plays for a symbol held for some seconds. All sounds of single notes in the
    bench come from here.
    """
    velocity = int(dynamics_to_velocity(symbol.dynamics))
    track = Track(run.space.instruments[0], 0, (Note(0.0, seconds, symbol.note_number, velocity),))
    audio = events_to_audio(run, tracks_to_events([track], run.space), config)
    return NoteSound(np.pad(audio, (0, RATE)), seconds, True)


def find_phases(
    sound: NoteSound, front_end: SpectralConfig, config: SynthesisConfig = SynthesisConfig()
) -> NoteSound:
    """A note's own frames, or subframes where the front end has them, their phases found anew: the
    best that a model of these frames could play.
    """
    margin = MARGIN_FRAMES * front_end.frame_hop
    padded = np.pad(sound.audio.astype(np.float32), margin)
    fine = front_end.of_subframes
    frames = audio_to_magnitudes(torch.from_numpy(padded), fine)
    audio = magnitudes_to_audio(frames, fine, config)
    return NoteSound(audio[margin : margin + len(sound.audio)], sound.held, sound.is_exact)


# --- the sampler ----------------------------------------------------------------------------------


def note_levels(data: DataSet, notes: np.ndarray) -> np.ndarray:
    """(notes,) largest magnitude of each note's frames."""
    return np.maximum.reduceat(data.peaks, data.starts[:-1])[notes]


def nearest_training_note(data: DataSet, training: np.ndarray, symbol: Symbol) -> int:
    """The note of `training` of the nearest key, then of the nearest dynamics, then the longest."""

    def distance(note: int) -> tuple[int, int, int]:
        other = symbol_of(data, note)
        key = abs(other.note_number - symbol.note_number)
        return key, abs(other.dynamics - symbol.dynamics), -int(data.lengths[note])

    return int(min(training, key=distance))


def sample_note(
    data: DataSet,
    training: np.ndarray,
    symbol: Symbol,
    seconds: float,
    folders: Sequence[Path] = (),
) -> NoteSound:
    """What a sampler without any model plays for a symbol.

    Args:
        training: indices of the notes that it has.
    Raises:
        FileNotFoundError: as `recorded_note`.
    """
    nearest = nearest_training_note(data, training, symbol)
    taken = symbol_of(data, nearest)
    ratio = 2 ** ((symbol.note_number - taken.note_number) / 12)
    audio = recorded_note(data, nearest, folders).audio
    if ratio != 1:
        audio = librosa.resample(audio, orig_sr=RATE * ratio, target_sr=RATE)
    dynamics = data.notes.labels[training, 2]
    same = dynamics == dynamics[np.abs(dynamics - symbol.dynamics).argmin()]
    level = np.median(note_levels(data, training[same]))
    audio = audio[: round(seconds * RATE)] * (level / note_levels(data, np.array([nearest]))[0])
    fade = min(round(CUT_FADE * RATE), len(audio))
    audio[len(audio) - fade :] *= np.linspace(1, 0, fade)
    return NoteSound(np.pad(audio, (0, round(seconds * RATE) + RATE - len(audio))), seconds, True)


# --- measures -------------------------------------------------------------------------------------


def course(sound: NoteSound, length: float) -> dict[str, float]:
    """Measures of one sound, its course and colour over `length` seconds; NaN where the note is too
    short for one, or its times are estimated.
    """
    held = min(sound.held, length)
    audio = sound.during(max(length, held))
    release = float("nan")
    if sound.is_exact:
        release = sound_measures.release_seconds(sound.audio, sound.held)
    return {
        "peak_minus_end_db": sound_measures.peak_minus_end_db(audio, held),
        "slope_db_per_second": sound_measures.slope_db_per_second(audio, held),
        "release_ms": 1000 * release,
        "attack_ms": 1000 * sound_measures.attack_seconds(audio),
        "centroid_hz": sound_measures.centroid_hz(audio),
        "energy_above_4khz_db": sound_measures.high_energy_db(audio),
        "flutter_db": sound_measures.flutter_db(audio, held),
        "level_db": sound_measures.loudest_db(audio),
        "peak_dbfs": sound_measures.peak_dbfs(audio),
    }


def distances(reference: NoteSound, estimated: NoteSound, length: float) -> dict[str, float]:
    """Distances of two sounds over `length` seconds."""
    pair = reference.during(length), estimated.during(length)
    return {name: distance(*pair) for name, distance in DISTANCES.items()}


# --- which notes ----------------------------------------------------------------------------------


def evenly(items: Sequence, count: int) -> list:
    """`count` of the items, evenly spaced, the first and the last among them; all if there are
    fewer.
    """
    if len(items) <= count:
        return list(items)
    return [items[index] for index in np.linspace(0, len(items) - 1, count).round().astype(int)]


def held_out_notes(
    data: DataSet, stored_split: Mapping[str, object], instrument: str, count: int
) -> list[int]:
    """Notes of the test part of a run's stored split, evenly spaced by key and dynamics."""
    notes = np.intersect1d(stored_split["notes"]["test"], data.notes_of(instrument))
    symbols = {int(note): symbol_of(data, note) for note in notes}
    order = sorted(symbols, key=lambda note: (symbols[note].note_number, symbols[note].dynamics))
    return evenly(order, count)


def takes_of_one_symbol(data: DataSet, instrument: str, count: int) -> list[tuple[int, int]]:
    """The two notes of a symbol whose lengths differ least, for up to `count` symbols, evenly
    spaced; empty for sets with one note a symbol.
    """
    of_symbol: dict[tuple[int, ...], list[int]] = {}
    for note in data.notes_of(instrument):
        of_symbol.setdefault(tuple(data.notes.labels[note].tolist()), []).append(int(note))

    def difference(pair: tuple[int, int]) -> float:
        first, second = (float(data.lengths[note]) for note in pair)
        return abs(np.log(first / second))

    takes = (list(combinations(of_symbol[key], 2)) for key in sorted(of_symbol))
    return evenly([min(pairs, key=difference) for pairs in takes if pairs], count)
