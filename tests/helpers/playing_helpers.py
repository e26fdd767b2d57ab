"""Helpers of tests of inference: runs without training, a model that follows a rule, and measures
of sound.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.distributions import Normal

from lt.audio.features import Scaler
from lt.config import RunConfig, SpectralConfig
from lt.models.checkpoints import Checkpoint, RunFolder
from lt.models.runs import Run, RunSettings, build_model
from lt.models.vae import Posterior

RATE = 22050
SCALER = Scaler("relative", SpectralConfig().n_bins, 40.0, 1.0, -30.0, 10.0, -20.0, 10.0)
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


def settings_of(config):
    """The config.json of a run that was never trained."""
    return RunSettings(
        "0123456789abcdef",
        config,
        SpectralConfig(),
        SCALER,
        {"kind": "note", "frames": {"train": 10, "valid": 2, "test": 2}},
        {"path": "data/none.npz", "fingerprint": "f" * 64},
        {},
    )


def make_run(path, **changes) -> Path:
    """A run folder with freshly initialised networks, such as lt_train.py writes, in a tenth of a
    second.
    """
    settings = settings_of(replace(SMALL, **changes))
    folder = RunFolder(path, settings.config.name)
    folder.make_writable()
    folder.write_settings(settings.to_dict())
    torch.manual_seed(0)
    model = build_model(settings.config, settings.space, SCALER, settings.front_end)
    states = {name: {"model": getattr(model, name).state_dict()} for name in ("signal", "symbol")}
    folder.save("best", Checkpoint(settings.run_id, 1, 0, **states))
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


def organ(scale=0.0, **changes) -> Run:
    """A run whose model is an organ."""
    settings = settings_of(replace(SMALL, **changes))
    return Run(RunFolder("organ", "organ"), settings, OrganWithSymbols(settings.space, scale), 1)


def level_db(audio):
    """Root mean square, dB relative to full scale."""
    return 10 * np.log10(np.mean(np.asarray(audio, np.float64) ** 2) + 1e-20)


def strongest_number(audio, low, high):
    """MIDI number (a fraction) of the strongest partial between two numbers."""
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 4 * len(audio))) ** 2
    numbers = 69 + 12 * np.log2(np.maximum(np.fft.rfftfreq(4 * len(audio), 1 / RATE), 1) / 440)
    inside = (numbers > low) & (numbers < high)
    return float(numbers[inside][power[inside].argmax()])
