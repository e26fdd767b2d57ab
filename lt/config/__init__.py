"""Settings: frozen dataclasses whose fields carry the defaults and describe the scripts' flags.

A default is written here and nowhere else: a field made by `flag` becomes a command-line flag of
the same name (`lt.cli.options`), and a run stores its settings in `config.json`. Constants of a
method are fields made by `constant`, with unit and origin. Imports nothing heavy, so `--help` is
fast.

    fields        `flag` and `constant`
    front_end     SpectralConfig, SoundFileConfig
    build         BuildConfig, TrimConfig, NoteTimesConfig
    augmentation  AugmentationConfig
    training      RunConfig and its presets
    decoder       DecoderConfig: the thresholds of note decoding
    chords        ChordConfig: those of chords
    synthesis     SynthesisConfig, TrajectoryConfig
    evaluation    AnalysisConfig, CrossConfig, AlignmentConfig, GalleryConfig, MapConfig
    play          PlayOptions, ChoiceConfig
"""

from lt.config.augmentation import AugmentationConfig
from lt.config.build import BuildConfig, NoteTimesConfig, TrimConfig
from lt.config.chords import ChordConfig
from lt.config.decoder import DecoderConfig
from lt.config.evaluation import (
    AlignmentConfig,
    AnalysisConfig,
    CrossConfig,
    GalleryConfig,
    MapConfig,
)
from lt.config.fields import (
    COUNT,
    CUDA_HELP,
    DECIBELS,
    FRACTION,
    LARGEST,
    LAYERS,
    NOT_NEGATIVE,
    POSITIVE,
    SEED_HELP,
    SIZE,
    Settings,
    constant,
    fields_with,
    flag,
    scalar_type,
    settings_from_dict,
)
from lt.config.front_end import SoundFileConfig, SpectralConfig, front_end_from_dict
from lt.config.play import (
    FRAMES_PER_PATH,
    FRAMES_PER_SYMBOL,
    SOUND_MODES,
    SYMBOL_MODES,
    ChoiceConfig,
    PlayOptions,
)
from lt.config.synthesis import SynthesisConfig, TrajectoryConfig
from lt.config.training import (
    AUGMENTED,
    CRITIC,
    DEFAULT_DATA_SET,
    LABELS,
    NOTE_LABELS,
    PRESETS,
    PRESETS_OF_MIXTURES,
    PRESETS_OF_VOICES,
    RunConfig,
    with_preset,
)

__all__ = [
    "AUGMENTED",
    "AlignmentConfig",
    "AnalysisConfig",
    "AugmentationConfig",
    "BuildConfig",
    "COUNT",
    "ChoiceConfig",
    "CRITIC",
    "CUDA_HELP",
    "CrossConfig",
    "DECIBELS",
    "DEFAULT_DATA_SET",
    "ChordConfig",
    "DecoderConfig",
    "FRACTION",
    "FRAMES_PER_PATH",
    "FRAMES_PER_SYMBOL",
    "GalleryConfig",
    "LABELS",
    "NOTE_LABELS",
    "LARGEST",
    "LAYERS",
    "MapConfig",
    "NOT_NEGATIVE",
    "NoteTimesConfig",
    "POSITIVE",
    "PRESETS",
    "PRESETS_OF_MIXTURES",
    "PRESETS_OF_VOICES",
    "PlayOptions",
    "RunConfig",
    "SEED_HELP",
    "SIZE",
    "SOUND_MODES",
    "SYMBOL_MODES",
    "Settings",
    "SoundFileConfig",
    "SpectralConfig",
    "SynthesisConfig",
    "TrajectoryConfig",
    "TrimConfig",
    "constant",
    "fields_with",
    "flag",
    "front_end_from_dict",
    "scalar_type",
    "settings_from_dict",
    "with_preset",
]
