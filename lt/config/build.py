"""Building data sets: the flags of `python3 -m lt.build`, and constants of trimming and of the
times of notes.
"""

from __future__ import annotations

from dataclasses import dataclass

from lt.config.fields import PEDAL_HELP, constant, flag, short_repr
from lt.config.front_end import SpectralConfig


@dataclass(frozen=True)
class BuildConfig:
    """What a data set is built from and how; `python3 -m lt.build` has a flag for each field.

    Example:
        >>> lt.BuildConfig(instruments=("Flute",)).front_end.n_bins
        410
    """

    __repr__ = short_repr

    kind: str = flag(
        "auto",
        "of the sources: auto font set csv sfz tinysol orchideasol philharmonia layers "
        "notes good-sounds midi, or mirdata:LOADER",
        kind="source kind",
    )
    instruments: tuple[str, ...] = flag(
        (),
        "to keep; fonts: NAME or NAME:PROGRAM:LOWEST-HIGHEST (Marimba:12:C3-C6)",
        kind="instrument",
        default_text="all; fonts: the five of the embedded set",
    )
    lowest: str = flag("C0", "lowest note to keep, by name or MIDI number", kind="note")
    highest: str = flag("B8", "highest note to keep", kind="note")
    dynamics: tuple[str, ...] = flag(
        ("pp", "p", "mf", "f", "ff"), "dynamics to keep", kind="dynamics", at_least=1
    )
    bank: int = flag(
        0, "fonts: bank of the programs; 128: drum kits, whose keys are no pitches", kind="[0, 128]"
    )
    stretch: float = flag(
        12.0,
        "SFZ: most semitones between a key and the recorded one that it is made from; 0: recorded "
        "keys only",
        kind="[0, 127]",
    )
    note_seconds: float = flag(2.0, "fonts: how long notes are held", kind="[0.1, 60]")
    release_seconds: float = flag(
        2.0, "longest release after a note-off; it ends where it is silent", kind="[0, 60]"
    )
    brightness: float = flag(
        1.0, "fonts: how much velocity changes brightness; 0: the level alone", kind="[0, 1]"
    )
    instrument: str = flag("", "of recordings whose source names none", kind="instrument")
    default_dynamics: str = flag("", "of recordings whose source names none", kind="dynamics")
    midiroot: str = flag("", "folder of aligned MIDI", default_text="the folder of the recordings")
    pedal: int = flag(1, PEDAL_HELP, kind="switch")
    max_detuning: float = flag(
        0.0, "leave out notes further from their label, in cents; 0: none", kind="[0, inf)"
    )
    rumble: float = flag(
        SpectralConfig.rumble, "cutoff of the high-pass filter in hertz; 0: none", kind="[0, 1000]"
    )

    @property
    def front_end(self) -> SpectralConfig:
        """Settings of the spectra."""
        return SpectralConfig(rumble=self.rumble)


@dataclass(frozen=True)
class TrimConfig:
    """Constants for trimming the silence around a note (`lt.audio.trim`)."""

    block: int = constant(128, unit="samples a level", origin="6 ms: shorter than an attack")
    silence_db: float = constant(
        -50.0, unit="dB relative to the loudest block", origin="set by hand on recorded notes"
    )
    floor_percentile: float = constant(
        5.0, unit="percent of the blocks, by level", origin="noise in the pauses around a note"
    )
    floor_margin_db: float = constant(
        6.0, unit="dB above the noise floor", origin="set by hand: twice the noise's amplitude"
    )
    loudest_floor_db: float = constant(
        -30.0,
        unit="dB relative to the loudest block",
        origin="set by hand: quiet blocks louder than this are music",
    )
    lead_frames: int = constant(
        8,
        unit="model frames before the onset",
        origin="0.26 s: windows of the transform's bands up to C4 reach it from there",
    )
    pad_seconds: float = constant(
        0.15, unit="s of silence kept on either side", origin="set by hand: five model frames"
    )
    shortest_seconds: float = constant(0.1, unit="s", origin="set by hand: three model frames")
    attack_seconds: float = constant(
        0.3,
        unit="s from the first sound on",
        origin="in 120 flute notes, breath to a quarter of the peak: 23 to 256 ms (5 to 95 %)",
    )
    attack_db: float = constant(
        -20.0,
        unit="dB relative to the loudest block of the attack",
        origin="in the same, 4 to 58 ms before a quarter of the peak",
    )
    release_db: float = constant(
        -60.0,
        unit="dB relative to the loudest block",
        origin="where a release is over: the level of silent frames",
    )
    silent_peak: float = constant(1e-4, unit="of full scale", origin="-80 dBFS, below 16-bit noise")


@dataclass(frozen=True)
class NoteTimesConfig:
    """Constants for estimating when a note is released (`lt.data.note_times`)."""

    segments: int = constant(4, unit="lines at most", origin="attack, held part, release, room")
    shortest: int = constant(2, unit="frames of a line", origin="fewer have no slope")
    longest: int = constant(
        512, unit="levels; longer envelopes are averaged", origin="the time of a fit: 16 s"
    )
    least_variance: float = constant(
        0.1, unit="dB^2", origin="no fit gets better: levels are known to some tenths of a dB"
    )
