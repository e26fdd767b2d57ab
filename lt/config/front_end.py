"""The front end: the constant-Q transform and the grid of model frames."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lt.config.fields import constant, settings_from_dict


@dataclass(frozen=True)
class SpectralConfig:
    """The front end: a constant-Q NSGT and the grid of model frames. Frequencies in hertz, lengths
    in samples.

    Attributes:
        sample_rate: samples per second.
        fmin, fmax, bins_per_octave: the constant-Q scale.
        slice_length, hop: length of a slice of the transform, and distance of its coefficients.
        frame_hop: distance of model frames; a multiple of `hop * subframes`.
        subframes: equal parts of a model frame whose magnitudes a data set stores. A model frame is
            the mean of its subframes.
        rumble: cutoff of the high-pass filter before the transform; 0: no filter.

    Example:
        >>> config = lt.SpectralConfig()
        >>> config.n_bins, round(config.frame_rate, 1)
        (410, 31.3)
        >>> lt.SpectralConfig(bins_per_octave=24).n_bins
        206

    Raises:
        ValueError: a number that is not positive, a cutoff beyond fmax, or subframes that are not
            whole numbers of coefficients.
    """

    sample_rate: int = 22050
    fmin: float = 30.0
    fmax: float = 11000.0
    bins_per_octave: int = 48
    slice_length: int = 90112
    hop: int = 44
    frame_hop: int = 704
    rumble: float = 40.0
    subframes: int = 4

    def __post_init__(self) -> None:
        lowest = min(value for name, value in vars(self).items() if name != "rumble")
        if not (lowest > 0 and 0 <= self.rumble < self.fmax):
            raise ValueError(
                f"a front end's numbers must be above 0, and its rumble from 0 to fmax: {self}"
            )
        if self.frame_hop % (self.hop * self.subframes):
            raise ValueError(
                f"a frame_hop must be a multiple of hop * subframes: {self.frame_hop} is none of "
                f"{self.hop} * {self.subframes}"
            )

    @property
    def n_bins(self) -> int:
        """Bands of the scale: 410 at the defaults."""
        return int(math.log2(self.fmax / self.fmin) * self.bins_per_octave) + 2

    @property
    def subframe_hop(self) -> int:
        """Distance of subframes in samples."""
        return self.frame_hop // self.subframes

    def finer(self, n: int) -> SpectralConfig:
        """The same transform with frames one n-th as long, such as subframes."""
        return replace(self, frame_hop=self.frame_hop // n, subframes=1)

    @property
    def of_subframes(self) -> SpectralConfig:
        """The same front end with the subframes as its frames."""
        return self.finer(self.subframes)

    @property
    def frame_seconds(self) -> float:
        """Duration of a model frame; frame n starts at n * frame_seconds."""
        return self.frame_hop / self.sample_rate

    @property
    def frame_rate(self) -> float:
        """Model frames per second."""
        return self.sample_rate / self.frame_hop


def front_end_from_dict(values: dict[str, object]) -> SpectralConfig:
    """The front end of a data set or a run that was stored as JSON; those made before there were
    subframes have one, whatever new ones have. Raises as `lt.config.settings_from_dict`.
    """
    return settings_from_dict(SpectralConfig, {"subframes": 1} | values)


@dataclass(frozen=True)
class SoundFileConfig:
    """Constants of reading sound files (`lt.audio.io`)."""

    cancelled_db: float = constant(
        -12.0,
        unit="dB, power of the channels' average relative to the channels' own",
        origin="the least of 50 real stereo notes is -8.4 dB (spaced microphones); channels that "
        "are inverted are below -40 dB. From -15 to -9 dB nothing of these changes",
    )
    compared_seconds: float = constant(
        60.0,
        unit="s of sound in which channels are compared",
        origin="set by hand: a microphone is inverted from the first note on",
    )
    least_cut_off: float = constant(
        0.05,
        unit="s that a file is shorter than its header says, before it is said",
        origin="headers of compressed files are wrong by up to two of their frames",
    )
    decoding_seconds: float = constant(
        600.0,
        unit="s that ffmpeg may take",
        origin="set by hand: ten hours of sound at 60 times real time",
    )
    largest_bytes: int = constant(
        8 * 2**30,
        unit="bytes of a temporary file, of what comes through a pipe or ffmpeg",
        origin="set by hand: six hours of stereo at 48 kHz in 32 bits",
    )
