"""Latent transcription: one latent space for sounds and their symbols.

    import lt

    tracks = lt.transcribe("recording.wav")
    run = lt.load_run("flute")
    audio = lt.synthesise(run, "A4:mf C5:f rest E5:ff")

The names below are imported when they are first used, so that `import lt` takes no time.

Packages, each with those that it may import (tests/test_architecture.py reads this table,
docs/imports.svg draws the imports):

    config      <-                                          every default and threshold
    root        <- config                                   labels, MIDI, files, random generators
    audio       <- config root                              sound <-> features
    data        <- config root audio                        data sets, splits, batches for training
    models      <- config root audio                        networks, losses, checkpoints, runs
    build       <- config root audio data                   recordings and fonts -> a data set
    training    <- config root audio data models build      a config -> checkpoints
    inference   <- config root audio models                 a run -> transcriptions and sound
    evaluation  <- config root audio data models inference  a run -> scores, baselines, reports
    pretrained  <- config root audio data models build training inference evaluation  trained models

Of training, the module `launch` alone imports build, for the embedded data set. `nsgt_wrap`, beside
this package, holds the transform itself and imports nothing of it.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "config": (
        "RunConfig",
        "with_preset",
        "BuildConfig",
        "AnalysisConfig",
        "SpectralConfig",
        "DecoderConfig",
        "SynthesisConfig",
    ),
    "labels": ("LabelSpace", "NoteLabels"),
    "midi": ("Note", "Track", "read_midi", "write_midi"),
    "audio.io": ("read_audio", "write_audio"),
    "data.dataset": ("read_data_set",),
    "build.builder": ("build_data_set",),
    "training.launch": ("train", "resume", "TrainingStopped", "WriterFailed"),
    "models.runs": ("load_run",),
    "inference.posteriors": ("encode", "analyse_recording"),
    "inference.transcription": ("transcribe",),
    "inference.synthesis": ("synthesise", "morph", "reconstruct"),
    "evaluation.scoring": ("evaluate",),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}
__all__ = ["__version__", *_MODULE_OF]


def __getattr__(name: str) -> Any:
    """Import a public name from its module (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'lt' has no attribute '{name}'")
    value = getattr(import_module(f"lt.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
