"""Training runs: the flags of `lt_train.py`, and the presets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lt.config.fields import (
    COUNT,
    CUDA_HELP,
    DECIBELS,
    FRACTION,
    LAYERS,
    NOT_NEGATIVE,
    POSITIVE,
    SEED_HELP,
    SIZE,
    check_flags,
    flag,
    short_repr,
)

DEFAULT_DATA_SET = "data/lt_set.npz"


LABELS = ("octave", "pitch", "dynamics", "age")  # their classes: `lt.labels`
NOTE_LABELS = LABELS[:3]  # of a note; `age` is the moment of it


AUGMENTED = ("augment", 1)


CRITIC = ("adversarial", 1)


@dataclass(frozen=True)
class RunConfig:
    """Settings of a training run: the flags of `lt_train.py`.

    `preset` records which preset the settings come from; `lt.with_preset` applies one.

    Raises:
        ValueError: a value that the flag does not take, settings that contradict each other, or a
            preset of which nothing is applied.

    Example:
        >>> lt.RunConfig(instruments=("Flute",), epochs=10).dims
        (32,)
    """

    __repr__ = short_repr

    dbroot: str = flag(
        DEFAULT_DATA_SET,
        "data set; absent at the default path, it is built there first",
        "Data",
        "place",
        resumable=True,
        identity=False,
    )
    savedir: str = flag(
        "saves", "output directory", "Data", "place", resumable=True, identity=False
    )
    name: str = flag("scan_multi", "name of the run", "Data", "name")
    frames: tuple[int, ...] = flag(
        (10, 25),
        "none: all frames of each note; one: that frame; two: a half-open range",
        "Data",
        NOT_NEGATIVE,
        at_most=2,
    )
    labels: tuple[str, ...] = flag(NOTE_LABELS, "conditioning labels", "Data", LABELS, at_least=1)
    instruments: tuple[str, ...] = flag(
        ("Piano", "Alto-Sax"),
        "instruments of the data set; two or more: the model learns their mixtures",
        "Data",
        at_least=1,
    )
    voices: tuple[int, ...] = flag(
        (1,),
        "notes at once of each instrument; one number holds for all",
        "Data",
        "[1, 6]",
        at_least=1,
    )
    random_mode: str = flag(
        "constant",
        "weights of the sources in a mixture",
        "Data",
        ("constant", "bernoulli"),
        resumable=True,
        objective=True,
    )
    rest_share: float = flag(
        0.5,
        "with bernoulli: probability that a source is silent; lt_analyze.py uses 0.5",
        "Data",
        FRACTION,
        resumable=True,
        objective=True,
        needs=("random_mode", "bernoulli"),
    )
    zero_extra_class: int = flag(
        1, "each label has one more class, the last, for silence", "Data", "switch"
    )
    silence_share: float = flag(
        0.05,
        "with the silence class: fraction of sampled frames that are silent",
        "Data",
        FRACTION,
        resumable=True,
        objective=True,
        needs=("zero_extra_class", 1),
    )
    split: str = flag(
        "note",
        "what stays in one part: all recordings of a note, of a pitch, or single frames",
        "Data",
        ("note", "pitch", "frame"),
    )
    fold: int = flag(
        -1, "cross-validation: the test fold (-1: one split of 80/10/10)", "Data", "[-1, inf)"
    )
    n_folds: int = flag(5, "number of folds", "Data", "[3, inf)")

    features: str = flag(
        "absolute",
        "scaled log-magnitudes, or spectral shape and level apart",
        "Features and augmentation",
        ("absolute", "relative"),
    )
    range_db: float = flag(
        80.0,
        "dynamic range of the features: dB below the loudest bin",
        "Features and augmentation",
        "[6, 140]",
    )
    decoder_range_db: float = flag(
        0.0,
        "0: the decoder's features are the encoder's; else log-magnitudes of every subframe, so "
        "many dB below the loudest bin, and symbols are decoded at every age of every note",
        "Features and augmentation",
        "[0, 140]",
    )
    retune: int = flag(
        0,
        "1: correct the tuning of each note, and of recordings as a whole",
        "Features and augmentation",
        "switch",
    )
    augment: int = flag(
        0,
        "1: augment the encoder's input as set below; the target stays clean",
        "Features and augmentation",
        "switch",
        resumable=True,
    )
    transpose: int = flag(
        0,
        "at most so many semitones up or down, labels transposed too",
        "Features and augmentation",
        NOT_NEGATIVE,
        resumable=True,
        needs=AUGMENTED,
    )
    detune: float = flag(
        0.0,
        "at most so many semitones, labels kept",
        "Features and augmentation",
        "[0, 0.5]",
        resumable=True,
        needs=AUGMENTED,
    )
    equalise: float = flag(
        0.0,
        "random smooth gain over frequency, standard deviation in dB",
        "Features and augmentation",
        DECIBELS,
        resumable=True,
        needs=AUGMENTED,
    )
    tilt: float = flag(
        0.0,
        "at most so many dB per octave off partials above the loudest",
        "Features and augmentation",
        DECIBELS,
        resumable=True,
        needs=AUGMENTED,
    )
    noise_floor: float = flag(
        0.0,
        "fraction of frames that get a noise floor",
        "Features and augmentation",
        FRACTION,
        resumable=True,
        needs=AUGMENTED,
    )
    ring: float = flag(
        0.0,
        "fraction of sources that get the resonance of a note before or after",
        "Features and augmentation",
        FRACTION,
        resumable=True,
        needs=AUGMENTED,
    )
    reverb: float = flag(
        0.0,
        "fraction of sources to which a room adds the tails of notes before",
        "Features and augmentation",
        FRACTION,
        resumable=True,
        needs=AUGMENTED,
    )
    gain: float = flag(
        0.0,
        "random level, standard deviation in dB",
        "Features and augmentation",
        DECIBELS,
        resumable=True,
        needs=AUGMENTED,
    )

    encoder: str = flag(
        "plain",
        "of the signal: a perceptron, or with harmonic filters shared by all semitones",
        "Networks",
        ("plain", "harmonic"),
    )
    decoder: str = flag(
        "plain",
        "of the signal: a perceptron, or one whose spectra are relative to the fundamental",
        "Networks",
        ("plain", "harmonic"),
    )
    dims: tuple[int, ...] = flag(
        (32,),
        "latent dimensions, one per stochastic layer, bottom first",
        "Networks",
        SIZE,
        at_least=1,
    )
    hidden_dims_1: tuple[int, ...] = flag(
        (5000,), "signal VAE: hidden width of each layer", "Networks", SIZE, at_least=1
    )
    hidden_num_1: tuple[int, ...] = flag(
        (2,), "signal VAE: hidden layers of each layer", "Networks", LAYERS, at_least=1
    )
    hidden_dims_2: tuple[int, ...] = flag(
        (800,), "symbol VAE: hidden width of each layer", "Networks", SIZE, at_least=1
    )
    hidden_num_2: tuple[int, ...] = flag(
        (2,), "symbol VAE: hidden layers of each layer", "Networks", LAYERS, at_least=1
    )
    label_type: str = flag(
        "categorical", "distribution of the symbols", "Networks", ("categorical", "binary")
    )
    signal_scale: str = flag(
        "frame",
        "scale of the decoded spectrum: predicted for each frame, or fixed for each bin",
        "Networks",
        ("frame", "bin"),
    )

    combine: int = flag(
        0,
        "1: the symbol VAE's own terms are of random combinations of labels, not of the batch's",
        "Losses",
        "switch",
        resumable=True,
        objective=True,
    )
    regularization_type: str = flag(
        "kld",
        "divergence between the two posteriors",
        "Losses",
        ("kld", "l2"),
        resumable=True,
        objective=True,
    )
    symbol_weight: float = flag(
        1.0,
        "weight of -log p(symbol|z_symbol)",
        "Losses",
        NOT_NEGATIVE,
        resumable=True,
        objective=True,
    )
    beta_1: float = flag(
        1.0,
        "weight of the signal's prior KL",
        "Losses",
        NOT_NEGATIVE,
        resumable=True,
        objective=True,
    )
    beta_2: float = flag(
        1.0,
        "weight of the symbols' prior KL",
        "Losses",
        NOT_NEGATIVE,
        resumable=True,
        objective=True,
    )
    cross_1: float = flag(
        10.0,
        "weight of D(q_signal, q_symbol)",
        "Losses",
        NOT_NEGATIVE,
        resumable=True,
        objective=True,
    )
    cross_2: float = flag(
        0.0,
        "weight of D(q_symbol, q_signal)",
        "Losses",
        NOT_NEGATIVE,
        resumable=True,
        objective=True,
    )
    transfer_1: float = flag(
        0.0,
        "weight of -log p(signal|z_symbol)",
        "Losses",
        NOT_NEGATIVE,
        resumable=True,
        objective=True,
    )
    transfer_2: float = flag(
        0.0,
        "weight of -log p(symbol|z_signal)",
        "Losses",
        NOT_NEGATIVE,
        resumable=True,
        objective=True,
    )
    age_weight: float = flag(
        1.0,
        "of the label age in -log p(symbol|z_signal): a frame says little about it",
        "Losses",
        NOT_NEGATIVE,
        resumable=True,
        objective=True,
    )
    key_weight: float = flag(
        1.0,
        "with several voices: of the keys in -log p(symbol|z_signal), beside the voices' labels",
        "Losses",
        NOT_NEGATIVE,
        resumable=True,
        objective=True,
    )
    adversarial: int = flag(
        0, "1: train the signal decoder against a critic on spectra too", "Losses", "switch"
    )
    adv_dim: int = flag(500, "critic: hidden width", "Losses", SIZE, needs=CRITIC)
    adv_num: int = flag(2, "critic: hidden layers", "Losses", LAYERS, needs=CRITIC)
    adv_lr: float = flag(
        1e-5, "critic: learning rate", "Losses", NOT_NEGATIVE, resumable=True, needs=CRITIC
    )

    epochs: int = flag(
        3000,
        "training epochs in all, counted from 1",
        "Training",
        COUNT,
        resumable=True,
        identity=False,
    )
    save_epochs: int = flag(
        500,
        "save at the first epoch, every multiple of this, and the last",
        "Training",
        COUNT,
        resumable=True,
        identity=False,
    )
    plot_epochs: int = flag(100, "plot likewise", "Training", COUNT, resumable=True, identity=False)
    save_seconds: float = flag(
        60.0,
        "refresh best and last at most this often",
        "Training",
        NOT_NEGATIVE,
        resumable=True,
        identity=False,
    )
    batch_size: int = flag(64, "the global batch", "Training", COUNT, resumable=True)
    steps_per_epoch: int = flag(
        0,
        "0: all frames once per epoch; N: at most N steps",
        "Training",
        NOT_NEGATIVE,
        resumable=True,
    )
    learning_rate: float = flag(
        1e-3,
        "of Adam; halved at plateaus of the validation loss",
        "Training",
        POSITIVE,
        resumable=True,
    )
    lr_decay: float = flag(
        1.0, "factor on the learning rate after each epoch", "Training", "(0, 1]", resumable=True
    )
    patience: int = flag(
        50,
        "epochs without a better validation loss that make a plateau",
        "Training",
        NOT_NEGATIVE,
        resumable=True,
    )
    precision: str = flag(
        "fp32", "of matrix products", "Training", ("fp32", "bf16"), resumable=True
    )
    tensorboard: int = flag(
        0,
        "1: also log to RUN/tensorboard, where tensorboard is installed",
        "Training",
        "switch",
        resumable=True,
        identity=False,
    )
    seed: int = flag(0, SEED_HELP, kind=NOT_NEGATIVE)
    cuda: int = flag(
        -1,
        CUDA_HELP,
        kind="device",
        resumable=True,
        identity=False,
    )
    preset: str = flag(
        "article",
        "values for every flag not given: this table's, or those for transcribing recordings",
        "Training",
        ("article", "robust"),
    )

    def __post_init__(self) -> None:
        check_flags(self)
        if self.name in ("", ".", "..") or set(self.name) & set("/\\\0"):
            raise ValueError(f"name cannot be '{self.name}': it is not a plain file name")
        if not self.savedir or not self.dbroot:
            raise ValueError("savedir and dbroot need a path")
        if len(self.frames) == 2 and self.frames[0] >= self.frames[1]:
            raise ValueError(
                f"frames {self.frames[0]} {self.frames[1]} holds no frame; the second is one past "
                "the last"
            )
        if self.decoder == "harmonic":
            if not {"octave", "pitch"} <= set(self.labels):
                raise ValueError("the decoder harmonic needs the labels octave and pitch")
            if not self.decoder_range_db:
                raise ValueError("the decoder harmonic needs a decoder_range_db above 0")
        self._check_voices()
        if self.fold >= self.n_folds:
            raise ValueError(f"fold {self.fold} of {self.n_folds} folds: folds count from 0")
        for name in ("labels", "instruments"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} {' '.join(values)}: a name is given twice")
        for name in ("hidden_dims_1", "hidden_num_1", "hidden_dims_2", "hidden_num_2"):
            n_values = len(getattr(self, name))
            if n_values > len(self.dims):
                raise ValueError(
                    f"{name} has {n_values} values for {len(self.dims)} latent layers (dims)"
                )
        applied = [getattr(self, name) != getattr(RunConfig, name) for name in PRESETS[self.preset]]
        if applied and not any(applied):
            raise ValueError(
                f"preset '{self.preset}' is a record and changes nothing by itself; apply it with "
                f"lt.with_preset({{...}}, '{self.preset}')"
            )

    def _check_voices(self) -> None:
        if len(self.voices) not in (1, len(self.instruments)):
            raise ValueError(
                f"voices {' '.join(map(str, self.voices))}: one number, or one for each of "
                f"{len(self.instruments)} instruments"
            )
        if max(self.voices) == 1:
            return
        if not {"octave", "pitch"} <= set(self.labels):
            raise ValueError("several voices need the labels octave and pitch")
        if not self.zero_extra_class:
            raise ValueError("several voices need zero_extra_class 1: a voice can be silent")

    @property
    def voices_of_each(self) -> tuple[int, ...]:
        """Number of voices of each instrument."""
        return self.voices * (len(self.instruments) if len(self.voices) == 1 else 1)


PRESETS: dict[str, dict[str, object]] = {
    "article": {},
    "robust": {
        "frames": (),
        "features": "relative",
        "labels": LABELS,
        "range_db": 30.0,
        "decoder_range_db": 100.0,
        "decoder": "harmonic",
        "combine": 1,
        "retune": 1,
        "augment": 1,
        "transpose": 5,
        "detune": 0.45,
        "equalise": 14.0,
        "tilt": 24.0,
        "noise_floor": 0.5,
        "reverb": 0.5,
        "hidden_dims_1": (512,),
        "hidden_dims_2": (256,),
        "signal_scale": "bin",
        "silence_share": 0.1,
        "symbol_weight": 2000.0,
        "transfer_1": 10.0,
        "transfer_2": 2000.0,
        "age_weight": 0.05,
        "learning_rate": 2e-3,
        "lr_decay": 0.96,
        "epochs": 60,
        "save_epochs": 20,
        "plot_epochs": 20,
        "batch_size": 256,
        "steps_per_epoch": 64,
    },
}


# What a preset changes for mixtures. Sources are seldom silent in training, since separating them
# is the hard part. The softer of two sources may be 50 dB below the louder, so the features' range
# must be large, and noise or a spectral tilt would hide it. The resonance of other notes would
# change its octave. The stronger equalisation was measured on single instruments alone.
PRESETS_OF_MIXTURES: dict[str, dict[str, object]] = {
    "article": {},
    "robust": {
        "random_mode": "bernoulli",
        "rest_share": 0.1,
        "encoder": "harmonic",
        "hidden_dims_1": (768,),
        "range_db": 80.0,
        "transpose": 2,
        "detune": 0.15,
        "ring": 0.5,
        "equalise": 8.0,
        "tilt": 0.0,
        "noise_floor": 0.0,
        "reverb": 0.0,
        "gain": 3.0,
        "steps_per_epoch": 0,
        "epochs": 80,
        "lr_decay": 0.97,
    },
}


# What a preset changes for several voices. A chord is wider than a note: its latent holds a
# coordinate for every key, and the encoder scores every semitone. Notes that decay beneath others
# are softer than 30 dB. At the end a smaller learning rate, or the validation loss, by which the
# best epoch is chosen, varies by more than what is still learnt.
PRESETS_OF_VOICES: dict[str, dict[str, object]] = {
    "article": {},
    "robust": {
        "encoder": "harmonic",
        "dims": (128,),
        "hidden_dims_1": (384,),
        "key_weight": 5.0,
        "range_db": 60.0,
        "transpose": 2,
        "detune": 0.3,
        "ring": 0.3,
        "tilt": 10.0,
        "noise_floor": 0.3,
        "reverb": 0.3,
        "batch_size": 128,
        "lr_decay": 0.93,
    },
}


def with_preset(given: dict[str, object], preset: str) -> RunConfig:
    """Settings of a run: the flags given, then the preset's values, then the defaults.

    Raises:
        ValueError: settings that contradict each other.

    Example:
        >>> lt.with_preset({"instruments": ("Flute",)}, "robust").features
        'relative'
    """
    values = dict(PRESETS[preset])
    if len(given.get("instruments", RunConfig.instruments)) > 1:
        values |= PRESETS_OF_MIXTURES[preset]
    if max(given.get("voices", RunConfig.voices), default=1) > 1:
        values |= PRESETS_OF_VOICES[preset]
    return replace(RunConfig(), **{**values, **given, "preset": preset})
