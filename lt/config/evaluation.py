"""Evaluation: the flags of `lt_analyze.py` and `lt_midi.py`."""

from __future__ import annotations

from dataclasses import dataclass

from lt.config.fields import (
    COUNT,
    NOT_NEGATIVE,
    PEDAL_HELP,
    POSITIVE,
    SEED_HELP,
    TUNING_HELP,
    check_flags,
    constant,
    flag,
    short_repr,
)
from lt.config.synthesis import ITERATIONS_HELP


@dataclass(frozen=True)
class AnalysisConfig:
    """What `lt_analyze.py` does with a model: its flags.

    Example:
        >>> lt.AnalysisConfig(nb_passes=2).partition
        'test'

    Raises:
        ValueError: a value that the flag does not take.
    """

    __repr__ = short_repr

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
    map_notes: int = flag(
        60,
        "notes on the report's map of the latent space, which has their sounds; 0, or no sound "
        "examples: no map",
        "Steps",
        NOT_NEGATIVE,
    )
    seed: int = flag(0, SEED_HELP, kind=NOT_NEGATIVE)

    def __post_init__(self) -> None:
        check_flags(self)


@dataclass(frozen=True)
class GalleryConfig:
    """What a gallery holds (`python3 -m lt.gallery`): its flags."""

    __repr__ = short_repr

    n_examples: int = flag(2, "held-out notes, or chords of them, of each model", kind=NOT_NEGATIVE)
    map_notes: int = flag(
        240, "notes at most on each map of a latent space; 0: no maps", kind=NOT_NEGATIVE
    )
    recording_seconds: float = flag(
        20.0, "seconds of each recording, from its beginning", kind=POSITIVE
    )
    seed: int = flag(0, SEED_HELP, kind=NOT_NEGATIVE)

    def __post_init__(self) -> None:
        check_flags(self)


@dataclass(frozen=True)
class MapConfig:
    """Constants of the maps of latent spaces (`lt.evaluation.latent_map`)."""

    seconds: float = constant(
        1.2, "s", "set by hand: attack and course of a note; pages grow with it, 6 kB a second"
    )
    perplexity: float = constant(
        20.0,
        "notes",
        "set by hand: a pitch has 5 dynamics, an octave 60 notes; 10 to 40 show the same groups",
    )
    peak_dbfs: float = constant(-3.0, "dBFS", "set by hand: two notes fade into one another")


@dataclass(frozen=True)
class CrossConfig:
    """What `lt_midi.py` does with recordings and their MIDI: its flags."""

    __repr__ = short_repr

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
    tuning: float | None = flag(
        None, TUNING_HELP, kind="tuning", default_text="auto, the nearest semitone"
    )
    pedal: int = flag(1, PEDAL_HELP, kind="switch")
    align: int = flag(
        0, "1: shift each MIDI to where it fits its recording; 0: say by how much", kind="switch"
    )
    report: int = flag(
        1,
        "recordings in report.html, the first ones, with spectra, notes and sounds; 0: no report",
        kind=NOT_NEGATIVE,
    )
    report_seconds: float = flag(
        30.0, "seconds of each recording in the report, from its beginning", kind=POSITIVE
    )
    griffinlim_iters: int | None = flag(
        None, "iterations of phase retrieval", kind=NOT_NEGATIVE, default_text=ITERATIONS_HELP
    )
    jobs: int = flag(
        0, "recordings processed at once; 0: as many as there are cores", kind=NOT_NEGATIVE
    )
    seed: int = flag(0, SEED_HELP, kind=NOT_NEGATIVE)


@dataclass(frozen=True)
class AlignmentConfig:
    """Constants of how a reference fits its recording: remarks (`lt.evaluation.ground_truth`), and
    the search for a shift, transposition or tempo (`lt.evaluation.alignment`).
    """

    least_gain: float = constant(0.1, "note F1", "set by hand: more than tunes of one model differ")
    least_f1: float = constant(
        0.5, "note F1", "set by hand: 100 pairs of random melodies reach 0.36"
    )
    simplicity: float = constant(0.05, "note F1 that a simpler change may lack", "set by hand")
    least_notes: int = constant(5, "notes", "set by hand: fewer fit each other by chance")
    tolerance: float = constant(0.05, "s", "MIREX: onsets so close match")
    longest_pause: float = constant(  # after the last note that needs no remark
        5.0, "s", "set by hand: silence at the end of a recording"
    )
    longest_shift: float = constant(60.0, "s", "set by hand: longer than a count-in or applause")
    most_semitones: int = constant(24, "semitones", "set by hand: two octaves, errors of the model")
    most_stretch: float = constant(1.5, "ratio of tempi", "set by hand")
    first_notes: int = constant(
        48, "notes", "set by hand: so many of the reference show the tempo, refined over all"
    )
    most_notes: int = constant(2000, "notes", "memory of their pairs: 4 MB")
