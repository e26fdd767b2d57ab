"""Sound fonts: notes rendered to audio by tinysoundfont, without a system library.

pretty_midi carries a General MIDI font, TimGM6mb.sf2: the embedded one. In such fonts velocity
often changes the level alone, while players also change the brightness. So each note passes a
first-order low-pass filter whose cutoff rises with velocity (`brightness`; 0 switches it off).
Filters that a font itself opens with velocity are fully open (`lt.audio.soundfont_modulators`).

Names: `program` counts from 0, `velocity` 1-127, `audio: (samples,)` float32, mono.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from lt.audio.io import mix_channels
from lt.audio.soundfont_file import find_presets
from lt.audio.soundfont_modulators import at_full_velocity
from lt.config import SpectralConfig
from lt.labels import note_number_to_hz
from lt.midi import Note

GAIN_DB = -6.0  # of the synthesiser: keeps the loudest notes of the embedded font below full scale
BRIGHTNESS_OCTAVES = 4.0  # by which the cutoff rises from velocity 0 to 127 at brightness 1
DARKEST_CUTOFF = 2.0  # cutoff at velocity 0, in multiples of the fundamental frequency
FADE_OUT_SECONDS = 0.1  # the synthesiser takes some hundredths of a second to silence a voice
WHEEL_CENTRE = 8192  # MIDI pitch wheel
WHEEL_SEMITONES = 2


def embedded_font() -> Path:
    """Path of the sound font that pretty_midi carries.

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


def import_tinysoundfont() -> ModuleType:
    """The library that renders fonts.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import tinysoundfont
    except ImportError as error:
        raise ImportError(
            "sound fonts need tinysoundfont; install it: pip install --no-deps tinysoundfont"
        ) from error
    return tinysoundfont


def check_font(path: Path, bank: int, program: int) -> None:
    """Check that a preset of an unknown font can be rendered, in another process: the synthesiser
    follows damaged tables wherever they point.

    Raises:
        ValueError: it crashed. Other faults of a font are reported when it is rendered.
    """
    code = (
        "import sys; from pathlib import Path; from lt.audio.soundfont import SoundFont; "
        "font, bank, program = Path(sys.argv[1]), *map(int, sys.argv[2:]); "
        "SoundFont(font, bank=bank).render_note(program, 60, 100, 0.1)"
    )
    command = [sys.executable, "-c", code, str(path.absolute()), str(bank), str(program)]
    process = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True)
    if process.returncode < 0:
        raise ValueError(f"{path} is damaged: loading it crashes the synthesiser")


@dataclass(frozen=True)
class SoundFont:
    """A font that renders notes.

    Attributes:
        path: an .sf2 or .sf3 file.
        sample_rate: of the rendered audio, in hertz.
        brightness: how much velocity changes the brightness, 0-1.
        bank: of its presets, 0-128 (128: drum kits).
    """

    path: Path
    sample_rate: int = SpectralConfig.sample_rate
    brightness: float = 1.0
    bank: int = 0

    @cached_property
    def _synthesiser(self) -> tuple[Any, int]:
        """The synthesiser and the font's number in it. Raises as `render_note`."""
        tinysoundfont = import_tinysoundfont()
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
        """Render one note, held for `seconds`, and its release.

        Where the font has a gap (the embedded one has no E4 on the alto saxophone), a neighbouring
        note is bent to the pitch.

        Returns:
            audio: (samples,), brighter with velocity.
        Raises:
            ImportError: tinysoundfont is not installed.
            FileNotFoundError, ValueError: no font at `path`, or no such program in it.
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
        """Press and release a key, bent by `bend` semitones."""
        synthesiser, font = self._synthesiser
        synthesiser.sounds_off()
        self._generate(FADE_OUT_SECONDS)  # whatever sounded before
        if synthesiser.sfpreset_name(font, self.bank, program) is None:
            find_presets(self.path, self.bank, {program: "asked for"})
        synthesiser.program_select(0, font, self.bank, program)
        synthesiser.pitchbend(0, WHEEL_CENTRE + round(bend * WHEEL_CENTRE / WHEEL_SEMITONES))
        synthesiser.noteon(0, key, velocity)
        held = self._generate(seconds)
        synthesiser.noteoff(0, key)
        return mix_channels(np.concatenate([held, self._generate(release_seconds)]))

    def _generate(self, seconds: float) -> np.ndarray:
        """The synthesiser's next samples (samples, 2)."""
        n_samples = round(seconds * self.sample_rate)
        if not n_samples:
            return np.zeros((0, 2), np.float32)
        synthesiser, _ = self._synthesiser
        stereo = np.frombuffer(bytes(synthesiser.generate_simple(n_samples)), dtype=np.float32)
        return stereo.reshape(-1, 2)

    def _darken(self, audio: np.ndarray, note_number: int, velocity: int) -> np.ndarray:
        """First-order low-pass whose cutoff rises with velocity."""
        from scipy.signal import butter, lfilter

        octaves = BRIGHTNESS_OCTAVES * (1 - self.brightness * (1 - velocity / 127))
        cutoff = DARKEST_CUTOFF * note_number_to_hz(note_number) * 2**octaves
        if not self.brightness or cutoff >= 0.45 * self.sample_rate:
            return audio
        return lfilter(*butter(1, cutoff, fs=self.sample_rate), audio).astype(np.float32)

    def render_tune(
        self, notes: Sequence[Note], program: int, release_seconds: float = 0.5
    ) -> np.ndarray:
        """Render notes at their times: audio (samples,) until the end of the last release."""
        end = max(note.offset for note in notes) + release_seconds
        audio = np.zeros(round(end * self.sample_rate) + 1, np.float32)
        for note in notes:
            rendered = self.render_note(
                program, note.note_number, note.velocity, note.offset - note.onset, release_seconds
            )
            start = round(note.onset * self.sample_rate)
            audio[start : start + len(rendered)] += rendered[: len(audio) - start]
        return audio


@lru_cache(maxsize=2)
def open_font(path: Path, sample_rate: int, brightness: float, bank: int = 0) -> SoundFont:
    """A font, loaded once for all who render it."""
    return SoundFont(path, sample_rate, brightness, bank)
