"""Constants of the augmentation of the encoder's input."""

from __future__ import annotations

from dataclasses import dataclass

from lt.config.fields import constant


@dataclass(frozen=True)
class AugmentationConfig:
    """Constants of the augmentation (`lt.data.augment`); its strengths are flags of `RunConfig`."""

    n_waves: int = constant(
        20,
        unit="half periods over the frequency axis",
        origin="set by hand: the finest waves are as narrow as the distance of two partials",
    )
    brighter: float = constant(
        0.25, unit="of the tilt", origin="set by hand: recordings are more often dull than bright"
    )
    room_noise_db: tuple[float, float] = constant(
        (-110.0, -55.0),
        unit="dB relative to the largest magnitude of the data",
        origin="set by hand: from a quiet studio to a noisy room",
    )
    breath_noise_db: tuple[float, float] = constant(
        (-60.0, -5.0),
        unit="dB relative to the peak of the frame",
        origin="set by hand: from a clean tone to an attack",
    )
    noise_colour_db: float = constant(
        12.0, unit="dB, standard deviation of the smooth colour of noise", origin="set by hand"
    )
    neighbour_seconds: tuple[float, float] = constant(
        (0.08, 0.48),
        unit="s from a frame to the end of the note before or the onset of the next",
        origin="set by hand: nearer, both notes are labelled; farther, nothing is left",
    )
    ringing_cycles: float = constant(
        29.4,
        unit="periods, standard deviation of a band's response in time",
        origin="the bands' windows: 0.11 s at C4, -6 dB after 0.13 s",
    )
    reverb_db: tuple[float, float] = constant(
        (-50.0, -6.0),
        unit="dB relative to the peak of the frame",
        origin="set by hand: a dry room, and a church in which the note before was as loud",
    )
    reverb_colour_db: float = constant(
        5.6,
        unit="dB, standard deviation of the smooth response of a room",
        origin="of the Rayleigh distributed magnitudes of a diffuse field",
    )
    silent: float = constant(
        1e-12, unit="magnitude", origin="numerical: smaller ones are silence, never a divisor"
    )
