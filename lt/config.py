"""Settings: frozen dataclasses whose fields carry the defaults and describe the scripts' flags.

A default is written here and nowhere else: a field made by `flag` becomes a command-line flag of
the same name (`lt.cli.options`), and a run stores its settings in `config.json`. Constants of a
method are fields made by `constant`, with unit and origin. Imports nothing heavy, so `--help` is
fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

DEFAULT_DATA_SET = "data/lt_set.npz"
LABELS = ("octave", "pitch", "dynamics")  # their classes: `lt.labels`
LARGEST = 1e12  # bound on every number in settings, so that they can be stored and read back

Settings = TypeVar("Settings")


# --- fields ---------------------------------------------------------------------------------------


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
            field.
        short: short form, such as "-n".
        at_least, at_most: for tuples, the number of values.
        default_text: shown in the help instead of the default.
        resumable: whether the value may change when a run is continued.
        objective: whether it changes what the loss measures, so that losses before and after a
            change cannot be compared.
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


def scalar_type(hint: Any) -> type:
    """`int`, `float` or `str` of a field's type: that of the entries of a tuple, of an optional."""
    return (get_args(hint) or (hint,))[0]


def settings_from_dict(kind: type[Settings], values: dict[str, object]) -> Settings:
    """A settings dataclass from plain JSON values (lists become tuples), checked against the types
    of its fields. Fields that are missing get their defaults: settings that a later version added
    have defaults that change nothing.

    Raises:
        ValueError: a field that this version does not have, or a value of another type.
        TypeError: a field without a default is missing.
    """
    hints = get_type_hints(kind)
    unknown = sorted(values.keys() - hints.keys())
    if unknown:
        raise ValueError(f"settings of another version: {', '.join(unknown)}")
    converted = {}
    for name, value in values.items():
        several = get_origin(hints[name]) is tuple
        entries = value if isinstance(value, list) else [value]
        if several != isinstance(value, list) or not all(
            _is_a(scalar_type(hints[name]), entry) for entry in entries
        ):
            raise ValueError(f"{name} cannot be {str(value)[:40]}")
        converted[name] = tuple(entries) if several else value
    return kind(**converted)


def _is_a(kind: type, value: object) -> bool:
    """Whether a JSON value is of a field's type; numbers must be finite and below `LARGEST`."""
    if kind is str or isinstance(value, (str, bool)):
        return kind is str and isinstance(value, str)
    return isinstance(value, (int, kind)) and abs(value) < LARGEST


# --- front end ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SpectralConfig:
    """The front end: a constant-Q NSGT and the grid of model frames. Frequencies in hertz, lengths
    in samples.

    Attributes:
        sample_rate: samples per second.
        fmin, fmax, bins_per_octave: the constant-Q scale.
        slice_length, hop: length of a slice of the transform, and distance of its coefficients.
        frame_hop: distance of model frames; a multiple of `hop`.
        rumble: cutoff of the high-pass filter before the transform; 0: no filter.

    Example:
        >>> config = lt.SpectralConfig()
        >>> config.n_bins, round(config.frame_rate, 1)
        (410, 31.3)
        >>> lt.SpectralConfig(bins_per_octave=24).n_bins
        206

    Raises:
        ValueError: a number that is not positive, or a cutoff beyond fmax.
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
        """Model frames per second."""
        return self.sample_rate / self.frame_hop


# --- building data sets ---------------------------------------------------------------------------


@dataclass(frozen=True)
class BuildConfig:
    """What a data set is built from and how; `python3 -m lt.build` has a flag for each field.

    Example:
        >>> lt.BuildConfig(instruments=("Flute",)).front_end.n_bins
        410
    """

    kind: str = flag(
        "auto",
        "of the sources: auto font set csv tinysol orchideasol philharmonia good-sounds midi, or "
        "mirdata:LOADER",
        kind="source kind",
    )
    instruments: tuple[str, ...] = flag(
        (),
        "to keep; fonts: NAME or NAME:PROGRAM:LOWEST-HIGHEST (Marimba:12:C3-C6)",
        kind="instrument",
        default_text="all; fonts: the five of the embedded set",
    )
    lowest: str = flag("C0", "lowest note to keep, by name or MIDI number", kind="note")
    highest: str = flag("B8", "highest note to keep", kind="note")
    dynamics: tuple[str, ...] = flag(
        ("pp", "p", "mf", "f", "ff"), "dynamics to keep", kind="dynamics", at_least=1
    )
    note_seconds: float = flag(1.5, "fonts: how long notes are held", kind="[0.1, 60]")
    release_seconds: float = flag(0.5, "fonts: duration of the release", kind="[0, 60]")
    brightness: float = flag(
        1.0, "fonts: how much velocity changes brightness; 0: the level alone", kind="[0, 1]"
    )
    instrument: str = flag("", "of recordings whose source names none", kind="instrument")
    default_dynamics: str = flag("", "of recordings whose source names none", kind="dynamics")
    midiroot: str = flag("", "folder of aligned MIDI", default_text="the folder of the recordings")
    max_detuning: float = flag(
        0.0, "leave out notes further from their label, in cents; 0: none", kind="[0, inf)"
    )
    rumble: float = flag(
        SpectralConfig.rumble, "cutoff of the high-pass filter in hertz; 0: none", kind="[0, 1000]"
    )

    @property
    def front_end(self) -> SpectralConfig:
        """Settings of the spectra."""
        return SpectralConfig(rumble=self.rumble)


# --- training -------------------------------------------------------------------------------------

COUNT = "[1, inf)"
NOT_NEGATIVE = "[0, inf)"
POSITIVE = "(0, inf)"
FRACTION = "[0, 1]"
DECIBELS = "[0, 60]"
SIZE = "[1, 1e8]"  # more is a typing error: no machine has the memory
LAYERS = "[1, 1000]"
AUGMENTED = ("augment", 1)
CRITIC = ("adversarial", 1)
SEED_HELP = "fixes initialisation, split, mixtures, sampling and phase"
CUDA_HELP = "-1 or cpu: the CPU; N or cuda:N: CUDA device N; cuda: the first"


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
class SynthesisConfig:
    """How symbols and latents become sound (`lt.inference.synthesis`, `lt.audio.phase`).

    The first three fields are choices of the caller; the others are constants of the method,
    hand-set and checked by `bench/synthesis.py` where their origin says nothing else.

    Attributes:
        n_iter: iterations of phase reconstruction.
        seed: of latent noise and initial phases.
        sample: sample the latents; False takes posterior means.
        spread: standard deviation of the latent noise.
        drift_seconds: correlation time of the part of the noise that changes within a note.
        drift_fraction: variance of that part; the rest is constant over a piece.
        attack_seconds, release_seconds: raised-cosine ends of a note; the release follows its end.
        join_seconds: shortest release, before a note that follows at once.
        margin_frames: decoded beyond both ends of a note, at least 1.
        gap_frames: silence between notes whose phases are reconstructed together.
        highest_gain: limit of the correction of a note's level, up or down.
        longest_seconds: longest piece.
        chunk_frames: frames whose phases are reconstructed at once.
        chunk_margin_frames: frames of its neighbours at both ends of a chunk.
        fade_seconds: linear fade at both ends of a path or recording.

    Example:
        >>> lt.SynthesisConfig(n_iter=60).sample
        True
    """

    n_iter: int = 30
    seed: int = 0
    sample: bool = True
    spread: float = constant(
        0.3, "posterior standard deviations", "largest at which levels still rise with dynamics"
    )
    drift_seconds: float = constant(0.3, "s", "hand-set")
    drift_fraction: float = constant(0.05, "fraction of the noise's variance", "hand-set")
    attack_seconds: float = constant(0.015, "s", "hand-set: no click at a note's start")
    release_seconds: float = constant(0.08, "s", "hand-set")
    join_seconds: float = constant(
        0.01, "s", "no click; a longer rest of an ff note masks a pp note after it"
    )
    margin_frames: int = constant(1, "frames", "phase reconstruction is inexact at an edge")
    gap_frames: int = constant(2, "frames", "with the margins, the ringing of low bands")
    highest_gain: float = constant(2.0, "ratio", "phases that do not fit cost a decibel or two")
    longest_seconds: float = constant(12 * 3600.0, "s", "a file that asks for more is damaged")
    chunk_frames: int = constant(4096, "frames", "131 s: about a gigabyte of coefficients")
    chunk_margin_frames: int = constant(8, "frames", "low bands ring for a quarter of a second")
    fade_seconds: float = constant(0.01, "s", "hand-set: no click")


@dataclass(frozen=True)
class TrajectoryConfig:
    """Constants of trajectories in the latent space (`lt.inference.latent_paths`)."""

    helix_turns: float = constant(4, "turns", "hand-set")
    radius: float = constant(
        0.8, "sqrt(dimensions)", "hand-set: inside the sphere near which a standard normal lies"
    )
    variance_fraction: float = constant(
        0.95, "of the variance of the data's latents", "hand-set: dimensions that the model uses"
    )
    n_symbols: int = constant(2000, "random symbols", "many times the latent dimensions")


@dataclass(frozen=True)
class TrimConfig:
    """Constants for trimming the silence around a note (`lt.audio.trim`)."""

    block: int = constant(128, unit="samples a level", origin="6 ms: shorter than an attack")
    silence_db: float = constant(
        -50.0, unit="dB relative to the loudest block", origin="set by hand on recorded notes"
    )
    floor_percentile: float = constant(
        5.0, unit="percent of the blocks, by level", origin="noise in the pauses around a note"
    )
    floor_margin_db: float = constant(
        6.0, unit="dB above the noise floor", origin="set by hand: twice the noise's amplitude"
    )
    loudest_floor_db: float = constant(
        -30.0,
        unit="dB relative to the loudest block",
        origin="set by hand: quiet blocks louder than this are music",
    )
    pad_seconds: float = constant(
        0.15, unit="s of silence kept on either side", origin="set by hand: five model frames"
    )
    shortest_seconds: float = constant(0.1, unit="s", origin="set by hand: three model frames")
    silent_peak: float = constant(1e-4, unit="of full scale", origin="-80 dBFS, below 16-bit noise")


@dataclass(frozen=True)
class RunConfig:
    """Settings of a training run: the flags of `lt_train.py`.

    Raises:
        ValueError: settings that contradict each other.

    Example:
        >>> lt.RunConfig(instruments=("Flute",), epochs=10).dims
        (32,)
    """

    dbroot: str = flag(
        DEFAULT_DATA_SET,
        "data set; absent at the default path, it is built there first",
        "Data",
        resumable=True,
        identity=False,
    )
    savedir: str = flag("saves", "output directory", "Data", resumable=True, identity=False)
    name: str = flag("scan_multi", "name of the run", "Data", "name")
    frames: tuple[int, ...] = flag(
        (10, 25),
        "none: all frames of each note; one: that frame; two: a half-open range",
        "Data",
        NOT_NEGATIVE,
        at_most=2,
    )
    labels: tuple[str, ...] = flag(LABELS, "conditioning labels", "Data", LABELS, at_least=1)
    instruments: tuple[str, ...] = flag(
        ("Piano", "Alto-Sax"),
        "instruments of the data set; two or more: the model learns their mixtures",
        "Data",
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

    regularization_type: str = flag(
        "kld",
        "divergence between the two posteriors",
        "Losses",
        ("kld", "l2"),
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
        if not self.savedir or not self.dbroot:
            raise ValueError("--savedir and --dbroot need a path")
        if len(self.frames) == 2 and self.frames[0] >= self.frames[1]:
            raise ValueError(f"--frames {self.frames[0]} {self.frames[1]} holds no frame")
        if self.fold >= self.n_folds:
            raise ValueError(f"--fold {self.fold} of {self.n_folds} folds: folds count from 0")
        for name in ("labels", "instruments"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"--{name} {' '.join(values)}: a name is given twice")
        for name in ("hidden_dims_1", "hidden_num_1", "hidden_dims_2", "hidden_num_2"):
            n_values = len(getattr(self, name))
            if n_values > len(self.dims):
                raise ValueError(
                    f"--{name} has {n_values} values for {len(self.dims)} latent layers (--dims)"
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
# What a preset changes for mixtures. Sources are seldom silent in training, since separating them
# is the hard part. The softer of two sources may be 50 dB below the louder, so the features' range
# must be large, and noise or a spectral tilt would hide it. The resonance of other notes would
# change its octave.
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
    """Settings of a run: the flags given, then the preset's values, then the defaults.

    Raises:
        ValueError: settings that contradict each other.
    """
    values = dict(PRESETS[preset])
    if len(given.get("instruments", RunConfig.instruments)) > 1:
        values |= PRESETS_OF_MIXTURES[preset]
    return replace(RunConfig(), **{**values, **given, "preset": preset})


# --- evaluation and playing -----------------------------------------------------------------------


_SWEPT = "chosen by hand; one step either way gains at most 0.005 note F1 (bench/thresholds.py)"
_BY_HAND = "chosen by hand on recorded and rendered melodies"
_CONVENTION = "convention of references: from a quarter of the peak amplitude to a tenth"


@dataclass(frozen=True)
class DecoderConfig:
    """Constants of note decoding (`lt.inference.note_decoding`), each with its unit and origin in
    the field's metadata. `bench/thresholds.py` sweeps them.

    Example:
        >>> lt.DecoderConfig(onset_db=-10.0).offset_db
        -20.0
    """

    # Segments: divided at novelty peaks, level dips, and where the sound is silent.
    novelty_lag: float = constant(  # spectra so long before and after a frame are compared
        0.035, "s", "chosen by hand; 0.026 gains 0.010 note F1 (bench/thresholds.py)"
    )
    novelty_height: float = constant(0.04, "1 - cosine", _SWEPT)
    novelty_prominence: float = constant(0.03, "1 - cosine", _SWEPT)
    shortest_segment: float = constant(0.035, "s", _SWEPT)
    dip_prominence: float = constant(15.0, "dB", _SWEPT)
    level_range: float = constant(40.0, "dB", _SWEPT)  # below the peak all is alike
    quietest_db: float = constant(-60.0, "dB", _SWEPT)  # relative to the recording's peak
    silent_db: float = constant(-96.0, "dBFS", "the last of 16 bits")
    # Hidden Markov model: notes and silence.
    change_odds: float = constant(0.1, "odds per segment", _SWEPT)  # lower ones merge trills
    change_odds_in_mixture: float = constant(
        1e-4, "odds per segment", f"{_BY_HAND}; changes of other instruments make segments many"
    )
    least_probability: float = constant(0.003, "1", _SWEPT)  # no frame can rule a note out
    full_novelty: float = constant(0.3, "1 - cosine", _SWEPT)  # frames there have least_weight,
    least_weight: float = constant(0.05, "1", _SWEPT)  # since two notes overlap in them
    beam: float = constant(20.0, "nats", "states this improbable are not searched; only speed")
    shortest_note: float = constant(0.06, "s", _SWEPT)
    # Onsets and offsets.
    onset_db: float = constant(-12.0, "dB", _CONVENTION)
    onset_db_in_mixture: float = constant(
        -6.0, "dB", "the same for a level measured in bands, which ring before and after alike"
    )
    offset_db: float = constant(-20.0, "dB", _CONVENTION)
    attack: float = constant(0.3, "s", _SWEPT)  # in which a note reaches its peak
    rest_db: float = constant(14.0, "dB", _SWEPT)  # below the attack: there was a rest before
    quiet_db: float = constant(30.0, "dB", _SWEPT)  # below the attack: all that follows is attack
    quiet: float = constant(0.2, "s", _SWEPT)  # before a region, in which that is searched
    onset_dip_db: float = constant(7.0, "dB", _SWEPT)  # of a dip between detached notes
    search_before: float = constant(0.12, "s", _SWEPT)  # an onset is searched so long before
    search_after: float = constant(0.07, "s", _SWEPT)  # and after the start of a region
    overlap: float = constant(0.4, "s", _SWEPT)  # for which the previous note may mask it
    earlier_percentile: float = constant(20.0, "%", _SWEPT)  # of a band's earlier magnitudes
    new_ratio: float = constant(2.0, "1", _SWEPT)  # of later to earlier in a band that is new
    new_fraction: float = constant(0.1, "1", _SWEPT)  # of the magnitude that is in new bands
    half_rise: float = constant(  # of its later magnitude that a ringing band has at the onset
        0.45, "1", "chosen by hand; 0.56 gains 0.014 note F1 (bench/thresholds.py)"
    )
    # Repeated notes.
    rise_db: float = constant(8.0, "dB", _SWEPT)
    rise: float = constant(0.08, "s", _SWEPT)  # in which the level rises by rise_db
    near_db: float = constant(12.0, "dB", _SWEPT)  # below the note's peak; less is an echo
    shortest_repeat: float = constant(0.08, "s", _SWEPT)
    # Level of one instrument in a mixture.
    n_partials: int = constant(8, "partials", _BY_HAND)  # in which a note's level is measured
    n_partials_of_others: int = constant(16, "partials", _BY_HAND)
    lowest_partial_hz: float = constant(600.0, "Hz", "bands below ring for 0.1 s and longer")
    shortest_other: float = constant(0.03, "s", _BY_HAND)  # another note that is taken for present
    decay_rise_db: float = constant(3.0, "dB", _BY_HAND)  # an octave below: more is a new note
    floor_db: float = constant(-120.0, "dB", "below all levels")  # where none is measured


@dataclass(frozen=True)
class AnalysisConfig:
    """What `lt_analyze.py` does with a model: its flags.

    Example:
        >>> lt.AnalysisConfig(nb_passes=2).partition
        'test'
    """

    partition: str = flag(
        "test", "part of the data that is evaluated", "Steps", ("train", "valid", "test")
    )
    nb_passes: int = flag(
        1, "passes over it, with fresh mixtures and samples", "Steps", COUNT, short="-n"
    )
    make_losses: int = flag(1, "1: evaluate the model", "Steps", "switch")
    make_figures: int = flag(1, "1: draw figures", "Steps", "switch")
    make_classifier: int = flag(
        1,
        "1: train the baseline classifier (PCA and MLP), kept in MODEL/test_classifier.t7",
        "Steps",
        "switch",
    )
    evaluate_classifier: int = flag(
        1, "1: evaluate the baselines: classifier, pYIN", "Steps", "switch"
    )
    conv_classifier: int = flag(
        0,
        "1: also train and evaluate a convolutional baseline, signal to symbols",
        "Steps",
        "switch",
    )
    conv_synth: int = flag(
        0,
        "1: also train and evaluate a convolutional baseline, symbols to signal",
        "Steps",
        "switch",
    )
    generate_audio: int = flag(4, "number of sound examples", "Steps", NOT_NEGATIVE)
    n_samples: int = flag(4, "latent samples per example", "Steps", NOT_NEGATIVE)
    classifier_epochs: int = flag(1000, "training epochs of the baselines", "Baselines", COUNT)
    classifier_bs: int = flag(64, "batch size of the baselines", "Baselines", COUNT)
    seed: int = flag(0, SEED_HELP, kind=NOT_NEGATIVE)


@dataclass(frozen=True)
class CrossConfig:
    """What `lt_midi.py` does with recordings and their MIDI: its flags."""

    plot: int = flag(1, "1: draw figures", kind="switch")
    losses: int = flag(1, "1: evaluate the model: table, results.json, results.csv", kind="switch")
    resynthesize: int = flag(
        1, "1: write reconstructions, and sound synthesised from the MIDI", kind="switch"
    )
    classifier: int = flag(
        1,
        "1: evaluate the baseline in MODEL/test_classifier.t7, trained by lt_analyze.py",
        kind="switch",
    )
    griffinlim_iters: int = flag(
        SynthesisConfig.n_iter, "iterations of phase retrieval", kind=NOT_NEGATIVE
    )
    jobs: int = flag(
        0, "recordings processed at once; 0: as many as there are cores", kind=NOT_NEGATIVE
    )
    seed: int = flag(0, SEED_HELP, kind=NOT_NEGATIVE)


FRAMES_PER_SYMBOL, FRAMES_PER_PATH = 50, 500  # of a sequence; of a morphing or trajectory
SYMBOL_MODES = ("midi", "sequence", "morphing")
SOUND_MODES = (*SYMBOL_MODES, "audio", "trajectory")


@dataclass(frozen=True)
class PlayOptions:
    """How `lt_play.py` plays: its flags."""

    transposition: int = flag(0, "semitones", short="-t", modes=SYMBOL_MODES)
    latent_sample: int = flag(
        1,
        "1: sample the latent; 0: take its mean",
        kind="switch",
        short="-s",
        modes=(*SYMBOL_MODES, "audio"),
    )
    graphs: int = flag(1, "1: draw figures", kind="switch", short="-g", modes=SOUND_MODES)
    dynamics: int | None = flag(
        None,
        "0-4 (pp p mf f ff): replaces all dynamics",
        kind="[0, 4]",
        short="-d",
        modes=SYMBOL_MODES,
    )
    n_steps: int | None = flag(
        None,
        "frames",
        kind=COUNT,
        default_text=f"{FRAMES_PER_PATH} in all; sequence: {FRAMES_PER_SYMBOL} per label",
        modes=("sequence", "morphing", "trajectory"),
    )
    n_generations: int = flag(10, "trajectories of each type", kind=COUNT, modes=("trajectory",))
    griffinlim_iters: int = flag(
        SynthesisConfig.n_iter, "iterations of phase retrieval", kind=COUNT, modes=SOUND_MODES
    )
    interp_order: int = flag(
        1,
        "spline between labels: 0 hold, 1 linear, 2, 3 cubic",
        kind="[0, 3]",
        modes=("morphing",),
    )
    traj: tuple[str, ...] = flag(
        ("line",),
        "any of line circle helix",
        kind=("line", "circle", "helix"),
        at_least=1,
        modes=("trajectory",),
    )
    out_of_range: str = flag(
        "octave",
        "notes outside C0-B8: transposed by octaves, or left out",
        kind=("octave", "skip"),
        modes=("midi",),
    )
    format: str = flag("wav", "of the sound", kind=("wav", "flac"), modes=SOUND_MODES)
    seed: int = flag(0, SEED_HELP, kind=NOT_NEGATIVE, modes=("info", *SOUND_MODES))
