"""Spectra: audio to frames of constant-Q magnitudes and back, and the scaled features that models
see.

A model frame is the mean magnitude of `frame_hop // hop` NSGT coefficients; frame n starts at
sample n * frame_hop. `Scaler` turns magnitudes into features: `absolute` is the article's scaled
log-magnitude, `relative` splits a frame into its shape (decibels below its own peak) and its level
(the peak), so that a recording's level cannot disturb what is read from the shape. Both are exactly
invertible.

Names: `magnitudes: (frames, bins)`, `features: (frames, features)`, decibels end in `_db`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Iterable, Iterator

import torch

from lt.config import SpectralConfig
from nsgt_wrap import NSGT, NSGTDesign, frames_to_coefficients, griffin_lim

FEATURES = ("absolute", "relative")
SHAPE_UNITS = 4.0  # a shape's range in units of its feature
SILENT_LEVEL_DB = -100.0  # the level of digital silence, relative to the scaler's reference


@dataclass(frozen=True)
class Spectra:
    """Magnitudes of model frames.

    Attributes:
        magnitudes: (frames, bins) float32.
        config: the front end they came from.
    """

    magnitudes: torch.Tensor
    config: SpectralConfig

    def __len__(self) -> int:
        return self.magnitudes.shape[0]

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self) * self.config.frame_seconds


# --- audio and magnitudes -------------------------------------------------------------------------


@lru_cache(maxsize=4)
def nsgt(config: SpectralConfig, device: torch.device | str = "cpu") -> NSGT:
    """The transform of a front end, built once a device."""
    design = NSGTDesign(
        config.sample_rate,
        config.fmin,
        config.fmax,
        config.bins_per_octave,
        config.slice_length,
        config.hop,
    )
    return NSGT(design).to(device)


def audio_to_spectra(audio: torch.Tensor, config: SpectralConfig = SpectralConfig()) -> Spectra:
    """Mono audio (samples,) -> Spectra of ceil(samples / frame_hop) frames, on the audio's device."""
    transform = nsgt(config, audio.device)
    return Spectra(transform.magnitude_frames(audio.to(torch.float32), config.frame_hop), config)


def stream_spectra(
    blocks: Iterable[torch.Tensor],
    config: SpectralConfig = SpectralConfig(),
    device: torch.device | str = "cpu",
) -> Iterator[Spectra]:
    """Blocks of audio (samples,) -> blocks of Spectra with the values of the whole, in bounded
    memory.
    """
    transform = nsgt(config, device)
    for frames in transform.stream_magnitude_frames(blocks, config.frame_hop):
        yield Spectra(frames, config)


def spectra_to_audio(
    spectra: Spectra, n_iter: int = 30, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Spectra -> audio (frames * frame_hop samples,) by phase retrieval, seeded by `generator`."""
    config = spectra.config
    magnitudes = frames_to_coefficients(spectra.magnitudes, config.frame_hop // config.hop)
    n_samples = len(spectra) * config.frame_hop
    return griffin_lim(
        nsgt(config, spectra.magnitudes.device),
        magnitudes,
        n_samples,
        n_iter=n_iter,
        generator=generator,
    )


# --- magnitudes and features ----------------------------------------------------------------------


def amplitude_to_db(amplitude: torch.Tensor) -> torch.Tensor:
    """20 log10; the argument must be positive."""
    return 20.0 * torch.log10(amplitude)


def db_to_amplitude(db: torch.Tensor) -> torch.Tensor:
    """The inverse of `amplitude_to_db`."""
    return torch.pow(10.0, db / 20.0)


@dataclass(frozen=True)
class Scaler:
    """Magnitudes <-> features of about zero mean and unit variance, exactly invertible.

    With f = 10^(-range_db/20), `absolute` scales 20 log10(m / reference + f); `relative` scales 20
    log10(m / peak + f), where peak is the frame's own largest magnitude, and adds one feature, the
    level 20 log10(peak / reference), not below -100 dB.

    Attributes:
        kind: `absolute` (bins features) or `relative` (bins + 1, the level last).
        n_bins: bands of a frame.
        range_db: the range below the reference (absolute) or the peak (relative) that features
            resolve.
        reference: magnitude of 0 dB; the largest of the data the scaler was fitted on.
        mean_db, std_db: of the log-magnitudes; level_mean_db, level_std_db: of the levels.
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
            raise ValueError("the frames to learn from are all silent")
        unit = cls(kind, magnitudes.shape[-1], range_db, reference, 0.0, 1.0)
        features = unit.apply(magnitudes).double()
        shape, level = features[:, : unit.n_bins], features[:, unit.n_bins :]
        if kind == "absolute":
            return cls(
                kind,
                unit.n_bins,
                range_db,
                reference,
                float(shape.mean()),
                float(shape.std()) or 1.0,
            )
        # Most bins of a shape lie on its floor, and silence far below all levels: neither spread is
        # a good unit. The level's is wide, so that it weighs little beside the shape: a pitch must
        # not be guessed from it.
        return cls(
            kind,
            unit.n_bins,
            range_db,
            reference,
            float(shape.mean()),
            range_db / SHAPE_UNITS,
            float(level.mean()),
            range_db,
        )

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return self.n_bins + (self.kind == "relative")

    @property
    def _floor(self) -> float:
        return 10.0 ** (-self.range_db / 20.0)

    def apply(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Magnitudes (..., bins) -> features (..., features)."""
        if magnitudes.shape[-1] != self.n_bins:
            raise ValueError(f"expected {self.n_bins} bins, got {magnitudes.shape[-1]}")
        if self.kind == "absolute":
            return (
                amplitude_to_db(magnitudes / self.reference + self._floor) - self.mean_db
            ) / self.std_db
        lowest = self.reference * 10.0 ** (SILENT_LEVEL_DB / 20.0)
        peak = magnitudes.amax(dim=-1, keepdim=True).clamp_min(lowest)
        shape = (amplitude_to_db(magnitudes / peak + self._floor) - self.mean_db) / self.std_db
        level = (amplitude_to_db(peak / self.reference) - self.level_mean_db) / self.level_std_db
        return torch.cat([shape, level], dim=-1)

    def invert(self, features: torch.Tensor) -> torch.Tensor:
        """Features (..., features) -> magnitudes (..., bins), not below zero."""
        shape = features[..., : self.n_bins] * self.std_db + self.mean_db
        magnitudes = (db_to_amplitude(shape) - self._floor).clamp_min(0.0)
        if self.kind == "absolute":
            return magnitudes * self.reference
        level = features[..., self.n_bins :] * self.level_std_db + self.level_mean_db
        return magnitudes * db_to_amplitude(level) * self.reference

    def to_dict(self) -> dict[str, object]:
        """Plain values, for `config.json` and checkpoints."""
        return asdict(self)
