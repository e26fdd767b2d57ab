"""Sound fonts: notes rendered to audio by tinysoundfont, without a system library.

pretty_midi carries a General MIDI font, TimGM6mb.sf2, which is the embedded one. In such fonts
velocity often changes the level alone, where players also change brightness; so each note passes a
gentle low-pass filter whose cutoff rises with velocity (`brightness`, 0 switches it off). Filters
that a font itself opens with velocity stand as at the greatest (`lt.audio.sf2`).

Names: `program` counts from 0, `velocity` 1-127, audio is mono (samples,) float32 at `sample_rate`
hertz.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from lt.audio.sf2 import at_full_velocity
from lt.config import SpectralConfig
from lt.labels import note_number_to_hz
from lt.midi import Note

GAIN_DB = -6.0  # of the synthesiser: the loudest notes of the embedded font stay below full scale
BRIGHTNESS_OCTAVES = 4.0  # by which the cutoff rises from velocity 0 to 127 at brightness 1
DARKEST_CUTOFF = 2.0  # cutoff at velocity 0, in multiples of the note's frequency
FADE_OUT_SECONDS = 0.1  # the synthesiser silences a voice over some hundredths of a second
WHEEL_CENTRE, WHEEL_SEMITONES = 8192, 2  # of MIDI's pitch wheel
EMBEDDED = ("Flute", "Piano", "Alto-Sax", "Trumpet-C", "Violin")


def embedded_font() -> Path:
    """The sound font that pretty_midi carries.

    Raises:
        FileNotFoundError: pretty_midi is not installed, or without its font.
    """
    from importlib.util import find_spec  # importing pretty_midi itself would take a second

    package = find_spec("pretty_midi")
    font = Path(package.origin).parent / "TimGM6mb.sf2" if package else None
    if font is None or not font.is_file():
        raise FileNotFoundError(
            "the sound font of pretty_midi is missing; install it again: pip install pretty_midi"
        )
    return font


def check_font(path: Path) -> None:
    """See to it that a stranger's font can be loaded: another process tries first, since the
    synthesiser follows damaged tables wherever they point.

    Raises:
        ValueError: it ended that process. Whatever else is wrong with a font, rendering it will
        say.
    """
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from lt.audio.soundfont import load; "
        "load(sys.argv[2])"
    )
    home = Path(__file__).resolve().parent.parent
    if (
        subprocess.run(
            [sys.executable, "-c", code, str(home), str(path)], capture_output=True
        ).returncode
        < 0
    ):
        raise ValueError(f"{path} is damaged: loading it crashes the synthesiser")


def load(path: str) -> None:
    """Load a font and play a note of it."""
    SoundFont(Path(path)).render_note(0, 60, 100, 0.1)


@dataclass(frozen=True)
class SoundFont:
    """A font that renders notes.

    Attributes:
        path: an .sf2 or .sf3 file. sample_rate: of what it renders. brightness: see the module.
    """

    path: Path
    sample_rate: int = SpectralConfig.sample_rate
    brightness: float = 1.0

    @cached_property
    def _synthesiser(self) -> tuple[Any, int]:
        """The synthesiser and the font's number in it.

        Raises:
            ImportError: tinysoundfont is not installed. FileNotFoundError, ValueError: no font at
            `path`.
        """
        try:
            import tinysoundfont
        except ImportError as error:
            raise ImportError(
                "sound fonts need tinysoundfont; install it: pip install --no-deps tinysoundfont "
                "(or make setup)"
            ) from error
        if not self.path.is_file():
            raise FileNotFoundError(f"no sound font at {self.path}")
        synthesiser = tinysoundfont.Synth(gain=GAIN_DB, samplerate=self.sample_rate)
        try:
            return synthesiser, synthesiser.sfload(at_full_velocity(self.path.read_bytes()))
        except Exception as error:  # the library raises its own kind for anything it cannot read
            raise ValueError(
                f"{self.path} is not a sound font that can be read ({error})"
            ) from error

    def render_note(
        self,
        program: int,
        note_number: int,
        velocity: int,
        seconds: float,
        release_seconds: float = 0.5,
    ) -> np.ndarray:
        """One note held for `seconds` and its release: (samples,).

        Where the font has a gap (the embedded one has no E4 on the alto saxophone), its neighbour
        is bent there.

        Raises:
            ImportError, FileNotFoundError, ValueError: the font cannot be used, or has no such
            program.
        """
        for bend in (0, -1, 1):
            audio = self._play(
                program, note_number - bend, bend, velocity, seconds, release_seconds
            )
            if audio.any():
                break
        return self._darken(audio, note_number, velocity)

    def _play(
        self,
        program: int,
        key: int,
        bend: int,
        velocity: int,
        seconds: float,
        release_seconds: float,
    ) -> np.ndarray:
        """A key pressed and released, sounding `bend` semitones away from itself."""
        synthesiser, font = self._synthesiser
        synthesiser.sounds_off()
        self._generate(
            round(FADE_OUT_SECONDS * self.sample_rate)
        )  # whatever sounded before leaves no trace
        if synthesiser.program_select(0, font, 0, program) is False:
            raise ValueError(f"{self.path}: no program {program}")
        synthesiser.pitchbend(0, WHEEL_CENTRE + round(bend * WHEEL_CENTRE / WHEEL_SEMITONES))
        synthesiser.noteon(0, key, velocity)
        held = self._generate(round(seconds * self.sample_rate))
        synthesiser.noteoff(0, key)
        return np.concatenate([held, self._generate(round(release_seconds * self.sample_rate))])

    def render_tune(
        self, notes: Sequence[Note], program: int, release_seconds: float = 0.5
    ) -> np.ndarray:
        """Notes at their times, each with its release: (samples,) until the last release."""
        end = max(note.offset for note in notes) + release_seconds
        audio = np.zeros(round(end * self.sample_rate) + 1, np.float32)
        for note in notes:
            one = self.render_note(
                program, note.note_number, note.velocity, note.offset - note.onset, release_seconds
            )
            start = round(note.onset * self.sample_rate)
            audio[start : start + len(one)] += one[: len(audio) - start]
        return audio

    def _generate(self, n_samples: int) -> np.ndarray:
        """The synthesiser's next samples, both channels averaged."""
        synthesiser, _ = self._synthesiser
        if not n_samples:
            return np.zeros(0, np.float32)
        stereo = np.frombuffer(bytes(synthesiser.generate_simple(n_samples)), dtype=np.float32)
        return stereo.reshape(-1, 2).mean(axis=1)

    def _darken(self, audio: np.ndarray, note_number: int, velocity: int) -> np.ndarray:
        """A first-order low-pass whose cutoff rises with velocity."""
        if not self.brightness:
            return audio
        from scipy.signal import butter, lfilter

        frequency = note_number_to_hz(note_number)
        octaves = BRIGHTNESS_OCTAVES * (1 - self.brightness * (1 - velocity / 127))
        cutoff = DARKEST_CUTOFF * frequency * 2**octaves
        if cutoff >= 0.45 * self.sample_rate:
            return audio
        return lfilter(*butter(1, cutoff, fs=self.sample_rate), audio).astype(np.float32)


@lru_cache(maxsize=2)
def open_font(path: Path, sample_rate: int, brightness: float) -> SoundFont:
    """A font, loaded once for all who render it."""
    return SoundFont(path, sample_rate, brightness)
