"""Features: audio to frames of constant-Q magnitudes and back, and the scaled features for the
models.

A model frame is the mean magnitude of `frame_hop // hop` NSGT coefficients; frame n starts at
sample n * frame_hop. `Scaler` turns magnitudes into features: `absolute` is the scaled
log-magnitude of the article; `relative` splits a frame into its shape (decibels below its own peak)
and its level (the peak), so that the level of a recording does not change the shape. Both are
invertible.

Names: `audio: (samples,)`, `magnitudes: (frames, bins)`, `features: (frames, features)`; names of
decibels end in `_db`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from lt.config import SpectralConfig
from lt.labels import SEMITONES
from nsgt_wrap import NSGT, NSGTDesign, frames_to_coefficients, griffin_lim

FEATURES = ("absolute", "relative")
SHAPE_RANGE = 4.0  # features that the range of a shape spans
SILENT_LEVEL_DB = -100.0  # the level of digital silence, relative to the scaler's reference


# --- audio and magnitudes -------------------------------------------------------------------------


@lru_cache(maxsize=4)
def nsgt(config: SpectralConfig, device: torch.device | str = "cpu") -> NSGT:
    """The transform of a front end, made once a device."""
    design = NSGTDesign(
        config.sample_rate,
        config.fmin,
        config.fmax,
        config.bins_per_octave,
        config.slice_length,
        config.hop,
    )
    return NSGT(design).to(device)


def audio_to_magnitudes(
    audio: torch.Tensor, config: SpectralConfig = SpectralConfig()
) -> torch.Tensor:
    """Mono audio (samples,) -> magnitudes (ceil(samples / frame_hop), bins) on the audio's device.

    Example:
        >>> audio_to_magnitudes(torch.zeros(22050)).shape
        torch.Size([32, 410])
    """
    transform = nsgt(config, audio.device)
    return transform.magnitude_frames(audio.to(torch.float32), config.frame_hop)


def retrieve_phase(
    magnitudes: torch.Tensor,
    config: SpectralConfig,
    n_iter: int,
    rng: torch.Generator,
    start: str,
) -> torch.Tensor:
    """Magnitudes (frames, bins) -> audio (frames * frame_hop,) by `n_iter` Griffin-Lim iterations
    from phases that are `random`, or `propagated` along the partials of the magnitudes.
    """
    coefficients = frames_to_coefficients(magnitudes, config.frame_hop // config.hop)
    n_samples = len(magnitudes) * config.frame_hop
    transform = nsgt(config, magnitudes.device)
    return griffin_lim(transform, coefficients, n_samples, n_iter, rng=rng, start=start)


# --- magnitudes and features ----------------------------------------------------------------------


def amplitude_to_db(amplitude: torch.Tensor) -> torch.Tensor:
    """20 log10 of positive values."""
    return 20.0 * torch.log10(amplitude)


def db_to_amplitude(db: torch.Tensor) -> torch.Tensor:
    """The inverse of `amplitude_to_db`."""
    return torch.pow(10.0, db / 20.0)


def semitone_bands(magnitudes: torch.Tensor, config: SpectralConfig) -> torch.Tensor:
    """Magnitudes (..., bins) -> (..., bands): the root of the power within each semitone from
    `fmin` up; bins of a semitone that is not whole are left out.
    """
    width = config.bins_per_octave // SEMITONES
    whole = magnitudes[..., : magnitudes.shape[-1] // width * width]
    return whole.unflatten(-1, (-1, width)).square().sum(dim=-1).sqrt()


@dataclass(frozen=True)
class Scaler:
    """Magnitudes <-> features of about zero mean and unit variance, exactly invertible.

    With f = 10^(-range_db/20), `absolute` scales 20 log10(m / reference + f); `relative` scales 20
    log10(m / peak + f), where peak is the frame's own largest magnitude, and adds one feature, the
    level 20 log10(peak / reference), not below -100 dB.

    Attributes:
        kind: `absolute` (bins features) or `relative` (bins + 1, the level last).
        n_bins: bands of a frame.
        range_db: range of the features below the reference (absolute) or the peak (relative).
        reference: magnitude of 0 dB, the largest of the data that the scaler was fitted on.
        mean_db, std_db: of the log-magnitudes.
        level_mean_db, level_std_db: of the levels.
    """

    kind: str
    n_bins: int
    range_db: float
    reference: float
    mean_db: float
    std_db: float
    level_mean_db: float = 0.0
    level_std_db: float = 1.0

    @classmethod
    def fit(cls, magnitudes: torch.Tensor, kind: str, range_db: float) -> Scaler:
        """Fit on magnitudes (frames, bins).

        Raises:
            ValueError: an unknown kind, or frames that are all silent.
        """
        if kind not in FEATURES:
            raise ValueError(f"unknown features '{kind}'; known: {', '.join(FEATURES)}")
        reference = float(magnitudes.max()) if magnitudes.numel() else 0.0
        if not reference > 0:
            raise ValueError("the frames to fit the scaler on are all silent")
        unit = cls(kind, magnitudes.shape[-1], range_db, reference, mean_db=0.0, std_db=1.0)
        features = unit.apply(magnitudes).double()
        shape, level = features[:, : unit.n_bins], features[:, unit.n_bins :]
        scaler = replace(unit, mean_db=float(shape.mean()), std_db=float(shape.std()) or 1.0)
        if kind == "absolute":
            return scaler
        # Most bins of a shape are at its floor and silence is far below all other levels, so their
        # spreads are no good units. That of the level is wide: the level has little weight beside
        # the shape, since the pitch must not be guessed from it.
        return replace(
            scaler,
            std_db=range_db / SHAPE_RANGE,
            level_mean_db=float(level.mean()),
            level_std_db=range_db,
        )

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return self.n_bins + (self.kind == "relative")

    @property
    def floor_db(self) -> float:
        """Lowest magnitude in decibels that features represent: the end of their range, or of that
        of the levels of `relative` features.
        """
        lowest = -self.range_db if self.kind == "absolute" else SILENT_LEVEL_DB
        return 20 * math.log10(self.reference) + lowest

    @property
    def _floor(self) -> float:
        return 10.0 ** (-self.range_db / 20.0)

    def apply(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Magnitudes (..., bins) -> features (..., features).

        Raises:
            ValueError: another number of bins.
        """
        if magnitudes.shape[-1] != self.n_bins:
            raise ValueError(f"expected {self.n_bins} bins, got {magnitudes.shape[-1]}")
        if self.kind == "absolute":
            return self._scaled(magnitudes / self.reference)
        lowest = self.reference * 10.0 ** (SILENT_LEVEL_DB / 20.0)
        peak = magnitudes.amax(dim=-1, keepdim=True).clamp_min(lowest)
        level = (amplitude_to_db(peak / self.reference) - self.level_mean_db) / self.level_std_db
        return torch.cat([self._scaled(magnitudes / peak), level], dim=-1)

    def apply_to_subframes(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Magnitudes (batch, subframes, bins) -> features (batch, features) of all subframes."""
        return self.apply(magnitudes).flatten(1)

    def invert_to_subframes(self, features: torch.Tensor) -> torch.Tensor:
        """The inverse of `apply_to_subframes`."""
        return self.invert(features.unflatten(1, (-1, self.n_features)))

    def _scaled(self, ratios: torch.Tensor) -> torch.Tensor:
        return (amplitude_to_db(ratios + self._floor) - self.mean_db) / self.std_db

    def invert(self, features: torch.Tensor) -> torch.Tensor:
        """Features (..., features) -> magnitudes (..., bins), not below zero."""
        shape = features[..., : self.n_bins] * self.std_db + self.mean_db
        magnitudes = (db_to_amplitude(shape) - self._floor).clamp_min(0.0)
        if self.kind == "relative":
            level = features[..., self.n_bins :] * self.level_std_db + self.level_mean_db
            magnitudes = magnitudes * db_to_amplitude(level)
        return magnitudes * self.reference
