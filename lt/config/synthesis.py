"""Synthesis: how symbols and latents become sound, and paths through the latent space."""

from __future__ import annotations

from dataclasses import dataclass

from lt.config.fields import constant, short_repr


@dataclass(frozen=True)
class SynthesisConfig:
    """How symbols and latents become sound (`lt.inference.synthesis`, `lt.audio.phase`).

    The first four fields are choices of the caller; the others are constants of the method,
    hand-set and checked by `bench/synthesis.py` where their origin says nothing else.

    Attributes:
        n_iter: iterations of phase reconstruction; None: as many as pay off, `random_iter` from
            random phases, from propagated ones `recording_iter` or `note_iter`.
        seed: of latent noise and initial phases.
        sample: sample the latents; False takes posterior means.
        phase_start: first phases of the iterations: `propagated` along the partials of the
            magnitudes, or `random`.
        random_iter: iterations from random phases.
        recording_iter, note_iter: iterations from propagated phases of a recording or a path, and
            of a note.
        spread: standard deviation of the latent noise.
        drift_seconds: correlation time of the part of the noise that changes within a note.
        drift_fraction: variance of that part; the rest is constant over a piece.
        lowest_db: magnitudes below are none.
        loudest_dbfs: peak of the loudest learnt note, played alone for loudest_seconds.
        loudest_age, n_loudest: at which the levels of the learnt notes are compared, and how many
            of the loudest are played to find the highest peak.
        attack_seconds, fade_seconds: raised-cosine ends of a sound.
        n_takes: renderings of notes alike in symbol and length, which take turns.
        gap_seconds: silence between notes whose phases are reconstructed together.
        deconvolution_iter: iterations towards the level envelope of a note.
        window_seconds: how far a note is seen before and after it sounds.
        highest_gain: limit of the correction of a note's level, up or down.
        longest_seconds: longest piece.
        chunk_seconds: of sound whose phases are reconstructed at once.
        chunk_margin_seconds: of its neighbours at both ends of a chunk.

    Example:
        >>> lt.SynthesisConfig(n_iter=60).sample
        True
    """

    __repr__ = short_repr

    n_iter: int | None = None
    seed: int = 0
    sample: bool = True
    phase_start: str = "propagated"
    random_iter: int = constant(30, "iterations", "hand-set; bench/phases.py compares")
    recording_iter: int = constant(
        2,
        "iterations",
        "flute, piano: log-spectral distance 1.62, 2.35 dB; after 1 iteration 1.68, 2.44, after 3 "
        "to 12 1.62 to 1.65, 2.35 to 2.36",
    )
    note_iter: int = constant(
        0,
        "iterations",
        "flute, piano, violin, trumpet: the level flutters by 1.4, 3.1, 1.1, 1.1 dB, after 2 "
        "iterations by 2.1, 3.4, 1.8, 1.2; distances to recorded notes are no less",
    )
    spread: float = constant(
        0.3, "posterior standard deviations", "largest at which levels still rise with dynamics"
    )
    drift_seconds: float = constant(0.3, "s", "hand-set")
    drift_fraction: float = constant(0.05, "fraction of the noise's variance", "hand-set")
    lowest_db: float = constant(-120.0, "dB re the loudest of the data", "below all ranges")
    loudest_dbfs: float = constant(-6.0, "dBFS", "headroom for two such notes at once")
    loudest_age: int = constant(3, "class of age", "0.1 s after the onset: attacks have risen")
    n_loudest: int = constant(8, "notes", "the loudest at that age, of which the peaks differ")
    loudest_seconds: float = constant(1.0, "s", "beyond the attack, where notes are loudest")
    attack_seconds: float = constant(0.002, "s", "no click at a note's start")
    n_takes: int = constant(
        2, "renderings", "least with which a repeated note is not one recording again and again"
    )
    gap_seconds: float = constant(0.13, "s", "the ringing of low bands")
    deconvolution_iter: int = constant(
        5, "iterations", "flute, piano: envelopes 2.25, 2.03 dB off; 3: 2.34, 2.01, 8: 2.18, 2.06"
    )
    window_seconds: float = constant(0.26, "s", "low bands ring for a quarter of a second")
    highest_gain: float = constant(8.0, "ratio", "flute: envelopes 2.40 dB off at 2, 2.24 at 100")
    longest_seconds: float = constant(12 * 3600.0, "s", "a file that asks for more is damaged")
    chunk_seconds: float = constant(33.0, "s", "a quarter of a gigabyte of coefficients")
    chunk_margin_seconds: float = constant(0.26, "s", "low bands ring for a quarter of a second")
    fade_seconds: float = constant(0.01, "s", "no click at a note's end")


ITERATIONS_HELP = (
    f"{SynthesisConfig.random_iter} from random phases; from propagated ones "
    f"{SynthesisConfig.recording_iter}, for notes {SynthesisConfig.note_iter}"
)


@dataclass(frozen=True)
class TrajectoryConfig:
    """Constants of trajectories in the latent space (`lt.inference.latent_paths`)."""

    helix_turns: float = constant(4, "turns", "hand-set")
    radius: float = constant(
        0.8, "sqrt(dimensions)", "hand-set: inside the sphere near which a standard normal lies"
    )
    variance_fraction: float = constant(
        0.95, "of the variance of the data's latents", "hand-set: dimensions that the model uses"
    )
    n_symbols: int = constant(2000, "random symbols", "many times the latent dimensions")
