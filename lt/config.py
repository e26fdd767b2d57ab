"""Settings: the frozen dataclasses that carry the flags' defaults. Imports nothing heavy, so
`--help` is fast.

A default lives here and nowhere else: the flags refer to these fields, a run stores them in
`config.json`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

DEFAULT_DATA_SET = "data/lt_set.npz"
LARGEST = 1e12  # number that a setting can be

Settings = TypeVar("Settings")


def constant(default: Any, unit: str, origin: str) -> Any:
    """A dataclass field for a constant of a method: its unit and where its value comes from.

    Both are in the field's metadata. Example: ``onset_tolerance: float = constant(0.05, unit="s",
    origin="MIREX")``.
    """
    return field(default=default, metadata={"unit": unit, "origin": origin})


def flag(
    default: Any,
    help: str,
    group: str = "Options",
    kind: str | tuple[str, ...] = "",
    *,
    short: str = "",
    at_least: int | None = None,
    at_most: int | None = None,
    default_text: str | None = None,
    resumable: bool = False,
    objective: bool = False,
    identity: bool = True,
    needs: tuple[str, object] | None = None,
    modes: tuple[str, ...] = (),
) -> Any:
    """A dataclass field that is also a command-line flag of the same name (see `lt.cli.options`).

    Args:
        default: of the field and of the flag.
        help: one line, without the default.
        group: heading in the help.
        kind: allowed values: a tuple of choices; an interval such as "[0, 1]", "[1, inf)" or
            "(0, inf)"; a name among `lt.cli.KINDS` ("switch", "name", "path"); "": the type of the
            default.
        short: short form, such as "-n".
        at_least, at_most: for tuples, the number of values.
        default_text: shown in the help instead of the default.
        resumable: whether the value may change when a run is continued.
        objective: whether it changes what the loss measures.
        identity: whether it is part of what identifies a run (paths and schedules of saving are
            not).
        needs: (flag, value) without which this flag has no effect.
        modes: modes of `lt_play.py` in which the flag has a meaning.
    """
    return field(
        default=default,
        metadata={
            "help": help,
            "group": group,
            "kind": kind,
            "short": short,
            "at_least": at_least,
            "at_most": at_most,
            "default_text": default_text,
            "resumable": resumable,
            "objective": objective,
            "identity": identity,
            "needs": needs,
            "modes": modes,
        },
    )


def fields_with(config: type, key: str) -> tuple[str, ...]:
    """Names of the fields of a dataclass whose metadata `key` is true."""
    return tuple(entry.name for entry in fields(config) if entry.metadata.get(key))


@dataclass(frozen=True)
class SpectralConfig:
    """The front end: a constant-Q NSGT and the grid of model frames. Frequencies in hertz, lengths
    in samples.

    Attributes:
        sample_rate: samples a second.
        fmin, fmax, bins_per_octave: the constant-Q scale.
        slice_length, hop: samples of a slice, and between its coefficients.
        frame_hop: samples a model frame; a whole number of hops.
        rumble: what lies below is cut from a sound first; 0: nothing is.
    """

    sample_rate: int = 22050
    fmin: float = 30.0
    fmax: float = 11000.0
    bins_per_octave: int = 48
    slice_length: int = 90112
    hop: int = 64
    frame_hop: int = 704
    rumble: float = 40.0

    def __post_init__(self) -> None:
        lowest = min(value for name, value in vars(self).items() if name != "rumble")
        if not (lowest > 0 and 0 <= self.rumble < self.fmax):
            raise ValueError(
                f"a front end's numbers must be above 0, and its rumble from 0 to fmax: {self}"
            )

    @property
    def n_bins(self) -> int:
        """Bands of the scale: 410 at the defaults."""
        return int(math.log2(self.fmax / self.fmin) * self.bins_per_octave) + 2

    @property
    def frame_seconds(self) -> float:
        """Duration of a model frame; frame n starts at n * frame_seconds."""
        return self.frame_hop / self.sample_rate

    @property
    def frame_rate(self) -> float:
        """Model frames a second."""
        return self.sample_rate / self.frame_hop


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
    noise_grain_db: float = constant(
        3.0, unit="dB, standard deviation of noise from bin to bin", origin="set by hand"
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
    silent: float = constant(
        1e-12, unit="magnitude", origin="numerical: smaller ones are silence, never a divisor"
    )


@dataclass(frozen=True)
class RunConfig:
    """Every setting of a training run, a field a flag of `lt_train.py`."""

    dbroot: str = DEFAULT_DATA_SET
    savedir: str = "saves"
    name: str = "scan_multi"
    # what is learnt from
    frames: tuple[int, ...] = (10, 25)
    labels: tuple[str, ...] = ("octave", "pitch", "dynamics")
    instruments: tuple[str, ...] = ("Piano", "Alto-Sax")
    random_mode: str = "constant"
    rest_share: float = 0.5
    zero_extra_class: int = 1
    silence_share: float = 0.05
    split: str = "note"
    fold: int = -1
    n_folds: int = 5
    # what is heard: augmentation of the encoder's input, and the features themselves
    features: str = "absolute"
    range_db: float = 80.0
    retune: int = 0
    augment: int = 0
    transpose: int = 0
    detune: float = 0.0
    equalise: float = 0.0
    tilt: float = 0.0
    noise_floor: float = 0.0
    ring: float = 0.0
    gain: float = 0.0
    # networks
    encoder: str = "plain"
    dims: tuple[int, ...] = (32,)
    hidden_dims_1: tuple[int, ...] = (5000,)
    hidden_num_1: tuple[int, ...] = (2,)
    hidden_dims_2: tuple[int, ...] = (800,)
    hidden_num_2: tuple[int, ...] = (2,)
    label_type: str = "categorical"
    signal_scale: str = "frame"
    # losses
    regularization_type: str = "kld"
    beta_1: float = 1.0
    beta_2: float = 1.0
    cross_1: float = 10.0
    cross_2: float = 0.0
    transfer_1: float = 0.0
    transfer_2: float = 0.0
    adversarial: int = 0
    adv_dim: int = 500
    adv_num: int = 2
    adv_lr: float = 1e-5
    # training
    epochs: int = 3000
    save_epochs: int = 500
    plot_epochs: int = 100
    save_seconds: float = 60.0
    batch_size: int = 64
    steps_per_epoch: int = 0
    learning_rate: float = 1e-3
    lr_decay: float = 1.0
    patience: int = 50
    precision: str = "fp32"
    tensorboard: int = 0
    seed: int = 0
    cuda: int = -1
    preset: str = "article"


# What may change when a run is continued; everything else makes it another run.
CHANGEABLE = (
    "dbroot",
    "savedir",
    "random_mode",
    "rest_share",
    "silence_share",
    "augment",
    "transpose",
    "detune",
    "equalise",
    "tilt",
    "noise_floor",
    "ring",
    "gain",
    "regularization_type",
    "beta_1",
    "beta_2",
    "cross_1",
    "cross_2",
    "transfer_1",
    "transfer_2",
    "adv_lr",
    "epochs",
    "save_epochs",
    "plot_epochs",
    "save_seconds",
    "batch_size",
    "steps_per_epoch",
    "learning_rate",
    "lr_decay",
    "patience",
    "precision",
    "tensorboard",
    "cuda",
)

PRESETS: dict[str, dict[str, object]] = {
    "article": {},
    "robust": {
        "frames": (),
        "features": "relative",
        "range_db": 30.0,
        "retune": 1,
        "augment": 1,
        "transpose": 5,
        "detune": 0.45,
        "equalise": 8.0,
        "tilt": 24.0,
        "noise_floor": 0.5,
        "gain": 3.0,
        "hidden_dims_1": (512,),
        "hidden_dims_2": (256,),
        "signal_scale": "bin",
        "silence_share": 0.1,
        "transfer_1": 1.0,
        "transfer_2": 200.0,
        "learning_rate": 2e-3,
        "lr_decay": 0.96,
        "epochs": 60,
        "save_epochs": 20,
        "plot_epochs": 20,
        "batch_size": 256,
        "patience": 10,
    },
}
# What a preset changes where mixtures are heard: instruments rest while others play, but seldom
# while they are learnt, since hearing them together is what is hard; the softer one may lie 50 dB
# below the louder, so features must reach as far down, and noise, or upper partials weakened all
# together, would hide it; what rings of its notes before and after would change its octave.
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
        "tilt": 0.0,
        "noise_floor": 0.0,
        "epochs": 80,
        "lr_decay": 0.97,
    },
}


def with_preset(given: dict[str, object], preset: str) -> RunConfig:
    """The run's settings: flags that were given, the preset's values for the rest, the defaults
    below both.
    """
    values = dict(PRESETS[preset])
    if len(given.get("instruments", RunConfig.instruments)) > 1:
        values |= PRESETS_OF_MIXTURES[preset]
    return replace(RunConfig(), **{**values, **given, "preset": preset})


_KINDS = {
    "int": int,
    "float": (int, float),
    "str": str,
    "tuple[int, ...]": int,
    "tuple[str, ...]": str,
}


def settings_from_dict(kind: type[Settings], values: dict[str, object]) -> Settings:
    """A settings dataclass from plain JSON values (lists become tuples), each of the type that its
    field asks for. Settings that came later than the values have their defaults: each new one
    leaves what was there before as it was.

    Raises:
        ValueError: a field that this version does not know, or a value that cannot be its.
        TypeError: one is missing.
    """
    known = {field.name: str(field.type) for field in fields(kind)}
    odd = sorted(set(values) - set(known))
    if odd:
        raise ValueError(f"settings of another version: {', '.join(odd)}")
    for name, value in values.items():
        several = known[name].startswith("tuple")
        entries = value if several and isinstance(value, list) else [value]
        if several != isinstance(value, list) or not all(
            _fits(entry, known[name]) for entry in entries
        ):
            raise ValueError(f"{name} cannot be {str(value)[:40]}")
    return kind(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
    )


def _fits(value: object, kind: str) -> bool:
    """Whether a JSON value is of a field's kind, and finite and of sane size if a number."""
    if isinstance(value, bool) or not isinstance(value, _KINDS[kind]):
        return False
    return isinstance(value, str) or abs(value) < LARGEST


@dataclass(frozen=True)
class AnalysisConfig:
    """What `lt_analyze.py` does with a model, a field a flag.

    Attributes:
        partition: train, valid or test. nb_passes: over its frames, in fresh mixtures and latent
            samples. make_losses ... conv_synth: 1 does it, 0 leaves it out. generate_audio: number
            of examples; n_samples: transfers of each.
    """

    partition: str = "test"
    nb_passes: int = 1
    classifier_epochs: int = 1000
    classifier_bs: int = 64
    make_losses: int = 1
    make_figures: int = 1
    make_classifier: int = 1
    evaluate_classifier: int = 1
    conv_classifier: int = 0
    conv_synth: int = 0
    generate_audio: int = 4
    n_samples: int = 4
    seed: int = 0


@dataclass(frozen=True)
class CrossConfig:
    """What `lt_midi.py` does with recordings and their MIDI, a field a flag.

    Attributes:
        plot ... classifier: 1 does it, 0 leaves it out. griffinlim_iters: of phase retrieval. jobs:
        recordings worked on at once; 0: as many as there are cores.
    """

    plot: int = 1
    losses: int = 1
    resynthesize: int = 1
    classifier: int = 1
    griffinlim_iters: int = 30
    jobs: int = 0
    seed: int = 0


@dataclass(frozen=True)
class PlayOptions:
    """How to play: the flags of `lt_play.py` with their defaults.

    Attributes:
        transposition: semitones. latent_sample: draw the latent, else take its mean. graphs: write
            pictures.
        dynamics: an index that replaces all dynamics. n_steps: frames; None is the mode's own
            number.
        griffinlim_iters: of phase retrieval. out_of_range: `octave` or `skip`. format: wav or flac.
    """

    transposition: int = 0
    latent_sample: int = 1
    graphs: int = 1
    dynamics: int | None = None
    n_steps: int | None = None
    n_generations: int = 10
    griffinlim_iters: int = 30
    interp_order: int = 1
    traj: tuple[str, ...] = ("line",)
    out_of_range: str = "octave"
    format: str = "wav"
    seed: int = 0
