"""Playing and transcribing: the flags of `lt_play.py`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lt.config.fields import (
    COUNT,
    NOT_NEGATIVE,
    PEDAL_HELP,
    SEED_HELP,
    TUNING_HELP,
    constant,
    flag,
    short_repr,
)
from lt.config.synthesis import ITERATIONS_HELP, SynthesisConfig

FRAMES_PER_SYMBOL, FRAMES_PER_PATH = 50, 500  # of a sequence; of a morphing or trajectory


SYMBOL_MODES = ("midi", "sequence", "morphing")


SOUND_MODES = (*SYMBOL_MODES, "audio", "trajectory")


@dataclass(frozen=True)
class PlayOptions:
    """How `lt_play.py` plays: its flags."""

    __repr__ = short_repr

    transposition: int = flag(0, "semitones", short="-t", modes=SYMBOL_MODES)
    latent_sample: int = flag(
        1,
        "1: sample the latent; 0: take its mean",
        kind="switch",
        short="-s",
        modes=(*SYMBOL_MODES, "audio"),
    )
    graphs: int = flag(1, "1: draw figures", kind="switch", short="-g", modes=SOUND_MODES)
    dynamics: int | None = flag(
        None,
        "pp p mf f ff, or 0-4: replaces all dynamics",
        kind="dynamics",
        short="-d",
        modes=SYMBOL_MODES,
    )
    n_steps: int | None = flag(
        None,
        "frames",
        kind=COUNT,
        default_text=f"{FRAMES_PER_PATH} in all; sequence: {FRAMES_PER_SYMBOL} per label; morphing "
        "with recordings: as many as the longest; --points: one per point",
        modes=("sequence", "morphing", "trajectory"),
    )
    n_generations: int = flag(1, "trajectories of each type", kind=COUNT, modes=("trajectory",))
    griffinlim_iters: int | None = flag(
        None,
        "iterations of phase retrieval",
        kind=NOT_NEGATIVE,
        default_text=ITERATIONS_HELP,
        modes=SOUND_MODES,
    )
    phase: str = flag(
        SynthesisConfig.phase_start,
        "first phases: propagated along the partials, or random",
        kind=("propagated", "random"),
        modes=SOUND_MODES,
    )
    interp_order: int = flag(
        1,
        "spline between labels or --points: 0 hold, 1 linear, 2, 3 cubic",
        kind="[0, 3]",
        modes=("morphing", "trajectory"),
    )
    glide: int = flag(
        0,
        "0: cross-fade, one sound fades into the next; 1: glide, the pitch passes through the "
        "notes between",
        kind="switch",
        modes=("morphing",),
    )
    traj: tuple[str, ...] = flag(
        ("line",),
        "any of line circle helix",
        kind=("line", "circle", "helix"),
        at_least=1,
        modes=("trajectory",),
    )
    points: Path | None = flag(
        None,
        "FILE.npy with latent points (points, latent) to move through, instead of --traj",
        kind="path",
        modes=("trajectory",),
    )
    latents: int = flag(
        0,
        "1: also write STEM_latents.npy, which trajectory --points plays",
        kind="switch",
        modes=("audio",),
    )
    tempo: float = flag(
        120.0, "of the MIDI, quarter notes a minute", kind="[10, 1000]", modes=("audio",)
    )
    quantise: int = flag(
        0,
        "notes of the MIDI begin and end on a grid of N to a whole note (16: sixteenths, 12: "
        "triplets of eighths) at --tempo, the first on a beat; 0: as they were played",
        kind="[0, 192]",
        modes=("audio",),
    )
    tuning: float | None = flag(
        None,
        TUNING_HELP,
        kind="tuning",
        default_text="auto, the nearest semitone",
        modes=("audio",),
    )
    pedal: int = flag(1, PEDAL_HELP, kind="switch", modes=("midi",))
    out_of_range: str = flag(
        "octave",
        "notes outside C0-B8: transposed by octaves, or left out",
        kind=("octave", "skip"),
        modes=("midi",),
    )
    format: str = flag("wav", "of the sound", kind=("wav", "flac"), modes=SOUND_MODES)
    seed: int = flag(0, SEED_HELP, kind=NOT_NEGATIVE, modes=("info", *SOUND_MODES))


@dataclass(frozen=True)
class ChoiceConfig:
    """Constants of the choice of a model for a recording (`lt.inference.choice`)."""

    __repr__ = short_repr

    seconds: float = constant(30.0, unit="s from the beginning", origin="set by hand: time to read")
    quiet_db: float = constant(
        -30.0,
        unit="dB below the loudest frame",
        origin="set by hand: softer frames are rests and rooms",
    )
    floors_db: tuple[float, ...] = constant(
        (-40.0, -60.0),
        unit="dB below a frame's loudest band",
        origin="the higher compares strong partials, the lower noise and the spectrum's end too",
    )
    weights: tuple[float, ...] = constant(
        (1.0, 0.4),
        unit="of the misfits above each floor",
        origin="14 of 16 recordings of four instruments are given theirs (0.3 to 0.5: as many; the "
        "higher floor alone 13, the lower 12)",
    )
