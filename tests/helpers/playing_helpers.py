"""Helpers of tests of inference: runs without training, a model that follows a rule, and measures
of sound.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.distributions import Normal

from lt.audio.features import Scaler
from lt.config import LABELS, RunConfig, SpectralConfig
from lt.labels import FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER, ONSET_AGES, AgeTimes
from lt.models.checkpoints import Checkpoint, RunFolder
from lt.models.runs import Run, RunSettings, build_model
from lt.models.vae import Posterior

RATE = 22050
SCALER = Scaler("relative", SpectralConfig().n_bins, 40.0, 1.0, -30.0, 10.0, -20.0, 10.0)
ALL_NOTES = {number: (0, 1, 2, 3, 4) for number in range(FIRST_NOTE_NUMBER, LAST_NOTE_NUMBER + 1)}
AGES = AgeTimes((0.016, 0.048, 0.08, 0.112, 0.16, 0.224), (0.016, 0.048, 0.08), note_off=0.25)
# those of notes that are held for half a second
HARP_AGES = AgeTimes(
    (0.016, 0.048, 0.08, 0.112, 0.16, 0.224, 0.304, 0.415, 0.49),
    (0.016, 0.048, 0.08, 0.112),
    note_off=0.5,
)
SMALL = RunConfig(
    name="tiny",
    instruments=("Flute",),
    frames=(),
    dims=(3,),
    hidden_dims_1=(8,),
    hidden_num_1=(1,),
    hidden_dims_2=(8,),
    hidden_num_2=(1,),
)


def settings_of(config, learnt=None, front_end=SpectralConfig()):
    """The config.json of a run that was never trained."""
    return RunSettings(
        "0123456789abcdef",
        config,
        front_end,
        SCALER,
        SCALER,
        {"kind": "note", "frames": {"train": 10, "valid": 2, "test": 2}},
        {"path": "data/none.npz", "fingerprint": "f" * 64},
        {},
        learnt or dict.fromkeys(config.instruments, ALL_NOTES),
        dict.fromkeys(config.instruments, AGES) if "age" in config.labels else {},
    )


def make_run(path, learnt=None, **changes) -> Path:
    """A run folder with freshly initialised networks, such as lt_train.py writes, in a tenth of a
    second.
    """
    settings = settings_of(replace(SMALL, **changes), learnt)
    folder = RunFolder(path, settings.config.name)
    folder.make_writable()
    folder.write_settings(settings.to_dict())
    torch.manual_seed(0)
    model = build_model(settings)
    states = {name: {"model": getattr(model, name).state_dict()} for name in ("signal", "symbol")}
    folder.save(Checkpoint(settings.run_id, 1, 0, **states), "best")
    return Path(path)


class Organ(torch.nn.Module):
    """A model without training: z = (octave, pitch, dynamics) is decoded to six harmonics whose
    level rises 5 dB per dynamic. With the scale 0 the posterior's samples are its mean.
    """

    dims = (3,)

    def __init__(self, space, scale=0.0):
        super().__init__()
        self.space, self.scale = space, scale
        self.anything = torch.nn.Parameter(torch.zeros(1))
        self.signal = self.symbol = self  # `decode` is the decoder of both

    def encode_symbol(self, classes, noise=None):
        mean = classes.flatten(1).float()[:, :3]
        spread = torch.full_like(mean, max(self.scale, 1e-9))
        return Posterior(
            (Normal(mean, spread),), (mean if noise is None else mean + spread * noise[0],)
        )

    def decode(self, z):
        config = SpectralConfig()
        number = 12 * (z[:, :1] + 1) + z[:, 1:2]
        ground = config.bins_per_octave * torch.log2(440 * 2 ** ((number - 69) / 12) / config.fmin)
        bins = torch.arange(config.n_bins)
        spectrum = sum(
            torch.exp(
                -0.5 * ((bins - ground - config.bins_per_octave * np.log2(harmonic)) / 1.2) ** 2
            )
            / harmonic
            for harmonic in range(1, 7)
        )
        features = SCALER.apply(spectrum * 10 ** ((z[:, 2:3] * 5 - 30) / 20))
        return Normal(features, torch.ones_like(features))

    def decode_signal(self, z, classes=None, noise=None):
        return self.decode(z)

    def signal_output(self, z_bottom, z_top, classes=None):
        return self.decode(z_bottom)

    def encode_signal(self, features, noise=None):
        """The latents of features, whose loudest partial is the ground: pitch within a cent."""
        number = peak_number(SCALER.invert(features))
        octave = (number / 12).floor() - 1
        mean = torch.stack([octave, number - 12 * (octave + 1), torch.full_like(octave, 2)], dim=1)
        return Posterior((Normal(mean, torch.full_like(mean, 1e-9)),), (mean,))

    def signal_to_symbol(self, features):
        """The symbols of features."""
        return self.symbol.decode(self.encode_signal(features).top.mean)


class OrganWithSymbols(Organ):
    """An organ with a symbol decoder: the classes nearest to the latent."""

    def __init__(self, space, scale=0.0):
        super().__init__(space, scale)
        self.symbol = Keys(space)


class Keys(torch.nn.Module):
    """The symbol decoder of an organ."""

    def __init__(self, space):
        super().__init__()
        self.space, self.z = space, None

    def decode(self, z):
        keys = Keys(self.space)
        keys.z = z
        return keys

    def probabilities(self):
        groups = []
        for column, size in enumerate(self.space.group_sizes):
            distance = (torch.arange(size) - self.z[:, column : column + 1]) ** 2
            groups.append(torch.softmax(-4 * distance, dim=1))
        return tuple(groups)


class Harp(Organ):
    """An organ whose notes fall by `fall_db` a second from their onset, and by 200 dB a second from
    note-off: z = (octave, pitch, dynamics, age). Every frame has `subframes` equal spectra.
    """

    dims = (4,)

    def __init__(self, space, fall_db, subframes):
        super().__init__(space)
        self.fall_db, self.subframes = fall_db, subframes

    def encode_symbol(self, classes, noise=None):
        mean = classes.flatten(1).float()[:, :4]
        spread = torch.full_like(mean, 1e-9)
        return Posterior((Normal(mean, spread),), (mean,))

    def decode(self, z):
        age = z[:, 3].round().long()
        held, released = (torch.tensor(times) for times in (HARP_AGES.held, HARP_AGES.released))
        off = (age - len(ONSET_AGES)).clamp(0, len(released) - 1)
        is_off = age >= len(ONSET_AGES)
        seconds = torch.where(is_off, HARP_AGES.note_off, held[age.clamp(max=len(held) - 1)])
        fall = self.fall_db * seconds + torch.where(is_off, 200 * released[off], 0.0)
        magnitudes = SCALER.invert(super().decode(z[:, :3]).mean) * 10 ** (-fall[:, None] / 20)
        features = SCALER.apply(magnitudes).repeat(1, self.subframes)
        return Normal(features, torch.ones_like(features))


class Mirror(Organ):
    """A signal VAE that gives back what it is given."""

    dims = (SCALER.n_features,)

    def encode_signal(self, features, noise=None):
        return Posterior((Normal(features, torch.full_like(features, 1e-9)),), (features,))

    def decode(self, z):
        return Normal(z, torch.ones_like(z))


def harp(fall_db=20.0, subframes=1, learnt=None) -> Run:
    """A run with the label age whose model is a harp."""
    config = replace(SMALL, dims=(4,), labels=LABELS, decoder_range_db=40.0)
    front_end = replace(SpectralConfig(), hop=44, subframes=subframes)
    settings = settings_of(config, learnt, front_end)
    settings = replace(settings, ages={"Flute": HARP_AGES})
    return Run(RunFolder("harp", "harp"), settings, Harp(settings.space, fall_db, subframes), 1)


def mirror() -> Run:
    """A run whose signal VAE is the identity."""
    settings = settings_of(SMALL)
    return Run(RunFolder("mirror", "mirror"), settings, Mirror(settings.space), 1)


def organ(scale=0.0, learnt=None, **changes) -> Run:
    """A run whose model is an organ."""
    settings = settings_of(replace(SMALL, **changes), learnt)
    return Run(RunFolder("organ", "organ"), settings, OrganWithSymbols(settings.space, scale), 1)


def peak_number(magnitudes):
    """MIDI number (a fraction) of the loudest bin of each row (frames, bins), by a parabola."""
    config = SpectralConfig()
    bins = magnitudes.argmax(dim=1).clamp(1, config.n_bins - 2)
    rows = torch.arange(len(bins))
    before, peak, after = (
        magnitudes[rows, bins + step].clamp_min(1e-12).log() for step in (-1, 0, 1)
    )
    offset = 0.5 * (before - after) / (before - 2 * peak + after).clamp_max(-1e-9)
    hertz = config.fmin * 2 ** ((bins + offset.clamp(-0.5, 0.5)) / config.bins_per_octave)
    return 69 + 12 * torch.log2(hertz / 440)


def level_db(audio):
    """Root mean square, dB relative to full scale."""
    return 10 * np.log10(np.mean(np.asarray(audio, np.float64) ** 2) + 1e-20)


def strongest_number(audio, low, high):
    """MIDI number (a fraction) of the strongest partial between two numbers."""
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 4 * len(audio))) ** 2
    numbers = 69 + 12 * np.log2(np.maximum(np.fft.rfftfreq(4 * len(audio), 1 / RATE), 1) / 440)
    inside = (numbers > low) & (numbers < high)
    return float(numbers[inside][power[inside].argmax()])
