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
        n_iter: iterations of phase reconstruction.
        seed: of latent noise and initial phases.
        sample: sample the latents; False takes posterior means.
        phase_start: first phases of the iterations: `propagated` along the partials of the
            magnitudes, or `random`.
        spread: standard deviation of the latent noise.
        drift_seconds: correlation time of the part of the noise that changes within a note.
        drift_fraction: variance of that part; the rest is constant over a piece.
        attack_seconds, release_seconds: raised-cosine ends of a note; the release follows its end.
        join_seconds: shortest release, before a note that follows at once.
        margin_frames: decoded beyond both ends of a note, at least 1.
        gap_frames: silence between notes whose phases are reconstructed together.
        highest_gain: limit of the correction of a note's level, up or down.
        longest_seconds: longest piece.
        chunk_frames: frames whose phases are reconstructed at once.
        chunk_margin_frames: frames of its neighbours at both ends of a chunk.
        fade_seconds: linear fade at both ends of a path or recording.

    Example:
        >>> lt.SynthesisConfig(n_iter=60).sample
        True
    """

    __repr__ = short_repr

    n_iter: int = 30
    seed: int = 0
    sample: bool = True
    phase_start: str = "propagated"
    spread: float = constant(
        0.3, "posterior standard deviations", "largest at which levels still rise with dynamics"
    )
    drift_seconds: float = constant(0.3, "s", "hand-set")
    drift_fraction: float = constant(0.05, "fraction of the noise's variance", "hand-set")
    attack_seconds: float = constant(0.015, "s", "hand-set: no click at a note's start")
    release_seconds: float = constant(0.08, "s", "hand-set")
    join_seconds: float = constant(
        0.01, "s", "no click; a longer rest of an ff note masks a pp note after it"
    )
    margin_frames: int = constant(1, "frames", "phase reconstruction is inexact at an edge")
    gap_frames: int = constant(2, "frames", "with the margins, the ringing of low bands")
    highest_gain: float = constant(2.0, "ratio", "phases that do not fit cost a decibel or two")
    longest_seconds: float = constant(12 * 3600.0, "s", "a file that asks for more is damaged")
    chunk_frames: int = constant(4096, "frames", "131 s: about a gigabyte of coefficients")
    chunk_margin_frames: int = constant(8, "frames", "low bands ring for a quarter of a second")
    fade_seconds: float = constant(0.01, "s", "hand-set: no click")


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
