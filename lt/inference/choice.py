"""Which of the models that come with the package fits a recording best.

A model reconstructs best what sounds like its training notes. Its misfit is the mean over frames of
the root-mean-square difference between the levels in semitone bands of the recording and of its
reconstruction; levels below a floor, relative to the frame's loudest band, count as the floor. It
is averaged over two floors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lt.audio.features import semitone_bands
from lt.audio.io import stream_audio
from lt.config import ChoiceConfig, SpectralConfig
from lt.inference.decoding import SILENT, reconstruct_magnitudes
from lt.inference.posteriors import RecordingSpectra, audio_spectra
from lt.models.pretrained import pretrained_names
from lt.models.runs import Run, load_run


@dataclass(frozen=True)
class Choice:
    """The model that fits a recording best.

    Attributes:
        run: the model.
        misfits: name -> misfit in dB of each that comes with the package, the least first.
    """

    run: Run
    misfits: Mapping[str, float]

    def __str__(self) -> str:
        (name, least), *others = self.misfits.items()
        rest = ", ".join(f"{other} {misfit:.1f}" for other, misfit in others)
        return (
            f"taken for {name}, whose reconstruction is nearest ({least:.1f} dB"
            + (f"; {rest})" if rest else ")")
            + "; -m names another"
        )


def choose_model(
    path: Path | str, device: torch.device | str = "cpu", config: ChoiceConfig = ChoiceConfig()
) -> Choice:
    """The model of the package that fits a sound file best.

    Raises:
        FileNotFoundError: no model comes with this installation, or there is no such file.
        ValueError: as `lt.audio.io.stream_audio`.
    """
    names = pretrained_names()
    if not names:
        raise FileNotFoundError(
            "no trained model comes with this installation: name one (-m FOLDER), or make them "
            "with python3 -m lt.pretrained build"
        )
    runs = {name: _load(name, str(device)) for name in names}
    beginning = _beginning(path, config.seconds, next(iter(runs.values())).front_end)
    misfits = {
        name: misfit(run, audio_spectra(run, beginning), config) for name, run in runs.items()
    }
    ordered = dict(sorted(misfits.items(), key=lambda item: item[1]))
    return Choice(runs[next(iter(ordered))], ordered)


@lru_cache(maxsize=None)
def _load(name: str, device: str) -> Run:
    return load_run(name, device=device)


def _beginning(path: Path | str, seconds: float, front_end: SpectralConfig) -> np.ndarray:
    """The first seconds of a sound file, (samples,)."""
    blocks = stream_audio(path, front_end.sample_rate, block_seconds=seconds)
    return np.concatenate(list(islice(blocks, 1)))


def misfit(run: Run, spectra: RecordingSpectra, config: ChoiceConfig = ChoiceConfig()) -> float:
    """How far a run's reconstruction of a recording is from it, in dB (see the module)."""
    magnitudes = spectra.magnitudes
    peaks = magnitudes.amax(dim=1)
    loud = peaks >= peaks.max() * 10 ** (config.quiet_db / 20)
    reconstruction = reconstruct_magnitudes(run, magnitudes, spectra.tuning).mean(dim=1)
    recorded, reconstructed = (
        semitone_bands(own[loud], run.front_end) for own in (magnitudes, reconstruction)
    )
    loudest = recorded.amax(dim=1, keepdim=True).clamp_min(SILENT)
    misfits = [
        _rms_db(recorded / loudest, reconstructed / loudest, floor) for floor in config.floors_db
    ]
    return float(np.average(misfits, weights=config.weights))


def _rms_db(one: Tensor, other: Tensor, floor_db: float) -> float:
    """Root-mean-square difference of two levels (frames, bands) above a floor, mean over frames."""
    levels = [20 * own.clamp_min(10 ** (floor_db / 20)).log10() for own in (one, other)]
    return float((levels[0] - levels[1]).square().mean(dim=1).sqrt().mean())
