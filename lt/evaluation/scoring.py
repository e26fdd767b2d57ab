"""Frame predictions of a run and of its baselines, and their scores.

A pass predicts every frame of a partition once, in freshly sampled mixtures. Accuracies and
spectral distances use the posterior's mean, log-likelihoods one latent sample a pass. The weights
of the sources follow `--random_mode`, without silence on top of the frames' own: `--rest_share` and
`--silence_share` belong to training.

Names: a `path` is reconstruction (through the modality's own latent) or transfer (through the
other's); the predictions of a baseline are stored under its name. Axes: `frames, instruments,
labels`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Mapping, Sequence, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from lt.config import AnalysisConfig
from lt.data.mixing import Batch, Mixer
from lt.evaluation import metrics
from lt.evaluation.context import EvaluationContext, open_context
from lt.evaluation.results import CHORD, PATHS, Results, Score, Value, placed
from lt.labels import N_CLASSES, NOTE, SILENCE, LabelSpace, number_to_note_name
from lt.models.baselines import ConvSynth
from lt.models.networks import Symbols
from lt.models.runs import Run
from lt.models.vae import sample_noise
from lt.progress import Progress, silent
from lt.seeds import torch_rng

BATCH = 1024  # frames predicted at once
MODALITIES = ("signal", "symbol")

Record = TypeVar("Record")


@dataclass(frozen=True)
class SpectralScores:
    """How near a predicted spectrum is to the true one, per frame: (frames,) each, as in
    `lt.evaluation.metrics`.
    """

    log_likelihood: np.ndarray
    isd: np.ndarray
    log_spectral_distance_db: np.ndarray


@dataclass(frozen=True)
class SymbolPrediction:
    """Predicted symbols.

    Attributes:
        classes: (frames, instruments, labels), the most probable ones.
        log_prob: of the true classes, the same shape; None if it is not known.
        keys: (frames, chordal instruments, keys) bool, which keys sound; None where each instrument
            has one voice.
    """

    classes: np.ndarray
    log_prob: np.ndarray | None
    keys: np.ndarray | None = None


@dataclass(frozen=True)
class FramePredictions:
    """What the model and the baselines predict for some frames.

    Attributes:
        classes: the truth (frames, instruments, labels).
        dynamics_known: (frames,) bool; elsewhere the true dynamics mean nothing and are not scored.
        signal, symbol: predictions by path or baseline.
        means: modality -> posterior means (frames, latent).
        keys: the true ones, as `SymbolPrediction.keys`.
    """

    classes: np.ndarray
    dynamics_known: np.ndarray
    signal: dict[str, SpectralScores]
    symbol: dict[str, SymbolPrediction]
    means: dict[str, np.ndarray]
    keys: np.ndarray | None = None


@dataclass(frozen=True)
class Evaluation:
    """Scores averaged over the passes, and the predictions of the first pass."""

    scores: list[Score]
    predictions: FramePredictions


def evaluate(
    run: Run,
    dbroot: Path | None = None,
    config: AnalysisConfig = AnalysisConfig(),
    progress: Progress = silent,
) -> Results:
    """Score a run on a partition of the data set that it was trained on.

    Args:
        dbroot: the data set, if it was moved since.
        config: `partition`, `nb_passes` and `seed` are used.

    Returns:
        Scores of both modalities, overall and by instrument: of the reconstruction (through the
        modality's own latent) and of the transfer (through the other's).

    Raises:
        FileNotFoundError: the data set is gone. ValueError: it is another one.

    Example:
        >>> results = lt.evaluate(lt.load_run("saves/flute__Flute"))
        >>> 0 <= results.value("accuracy", label="pitch", path="transfer") <= 1
        True
    """
    context = open_context(run, dbroot)
    evaluation = evaluate_partition(context, config, progress=progress)
    return Results(about(context, config), evaluation.scores)


def about(context: EvaluationContext, config: AnalysisConfig) -> dict[str, str | int]:
    """The head of results.json: which model was evaluated on what."""
    run = context.run
    return {
        "model": str(run.outputs),
        "seed": config.seed,
        "split": run.config.split,
        "partition": config.partition,
        "epoch": run.epoch,
        "passes": config.nb_passes,
        "frames": max(map(len, context.split.frames[config.partition])),
    }


def evaluate_partition(
    context: EvaluationContext,
    config: AnalysisConfig,
    baselines: Mapping[str, nn.Module] | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Score a run and trained baselines on `config.partition`, over `config.nb_passes` passes."""
    mixer = context.mixer(config.partition)
    passes: list[list[Score]] = []
    first: FramePredictions | None = None
    with progress(total=config.nb_passes, desc="evaluating", unit="pass") as bar:
        for index in range(config.nb_passes):
            predictions = predict(context.run, mixer, baselines or {}, config.seed, index)
            passes.append(score_frames(context.run.space, predictions))
            first = first or predictions
            bar.update()
    return Evaluation(averaged(passes), first)


# --- predictions ----------------------------------------------------------------------------------


def predict(
    run: Run, mixer: Mixer, baselines: Mapping[str, nn.Module], seed: int, index: int
) -> FramePredictions:
    """Predict all of a mixer's frames once; `index` is the number of the pass."""
    batches = []
    for number, positions in enumerate(mixer.order(seed, index).split(BATCH)):
        batch = mixer.batch(positions, seed, index, number, stream="analysis")
        rngs = [
            torch_rng(seed, "latent", modality, index, number, device=run.device)
            for modality in range(len(MODALITIES))
        ]
        batches.append(predict_batch(run, batch, rngs, baselines))
    return concatenated(batches)


@torch.no_grad()
def predict_batch(
    run: Run, batch: Batch, rngs: Sequence[torch.Generator], baselines: Mapping[str, nn.Module]
) -> FramePredictions:
    """Predict a batch, by the model and by the baselines.

    Args:
        rngs: of the latent sample from which log-likelihoods are computed, one a modality.
    """
    features = run.scaler.apply(batch.encoder_input)
    noise = [sample_noise(run.model.dims, len(features), rng) for rng in rngs]
    mean = run.model(features, batch.classes)
    sample = run.model(features, batch.classes, *noise)
    signal = {
        "reconstruction": (sample.signal.px, mean.signal.px),
        "transfer": (sample.signal_from_symbol, mean.signal_from_symbol),
    }
    symbol = {
        "reconstruction": (sample.symbol.px, mean.symbol.px),
        "transfer": (sample.symbol_from_signal, mean.symbol_from_signal),
    }
    for name, network in baselines.items():
        reads = not isinstance(network, ConvSynth)
        output = network(features if reads else batch.classes.flatten(1))
        (symbol if reads else signal)[name] = output, output
    return FramePredictions(
        batch.classes.cpu().numpy(),
        np.ones(len(features), bool),
        {name: _compare(run, batch.target, *pair) for name, pair in signal.items()},
        {name: _read(batch.classes, *pair) for name, pair in symbol.items()},
        {name: getattr(mean, name).posterior.top.mean.cpu().numpy() for name in MODALITIES},
        _sounding(run.model.sounding_keys(batch.classes)),
    )


def _compare(run: Run, target: Tensor, likely: Normal, shown: Normal) -> SpectralScores:
    """Compare magnitudes (frames, subframes, bins) with the likelihood at a latent sample, and
    those of model frames with the mean at the posterior's mean.
    """
    scaler = run.decoder_scaler
    truth = target.mean(dim=1).cpu().numpy()
    estimated = scaler.invert_to_subframes(shown.mean).mean(dim=1).cpu().numpy()
    log_likelihood = metrics.log_likelihood(likely, scaler.apply_to_subframes(target))
    return SpectralScores(
        (log_likelihood / target.shape[1]).double().cpu().numpy(),
        metrics.itakura_saito(truth, estimated),
        metrics.log_spectral_distance_db(truth, estimated),
    )


def _read(classes: Tensor, likely: Symbols, shown: Symbols) -> SymbolPrediction:
    """The most probable classes at the posterior's mean; the log-probabilities of the true classes
    (frames, instruments, labels) at a latent sample.
    """
    best = torch.stack([group.argmax(dim=-1) for group in shown.probabilities()], dim=1)
    log_prob = likely.log_prob(classes.flatten(1))
    return SymbolPrediction(
        best.view_as(classes).cpu().numpy(),
        log_prob.view_as(classes).cpu().numpy(),
        _sounding(shown.key_logits),
    )


def _sounding(keys: Tensor | None) -> np.ndarray | None:
    """Which keys sound, where their log-odds or 0 and 1 are above 0."""
    return None if keys is None else (keys > 0).cpu().numpy()


def concatenated(batches: Sequence[Record]) -> Record:
    """Arrays, or records and dicts of arrays, joined along their first axis."""
    first = batches[0]
    if first is None:
        return None
    if isinstance(first, np.ndarray):
        return np.concatenate(batches)
    if isinstance(first, dict):
        return {key: concatenated([batch[key] for batch in batches]) for key in first}
    names = [field.name for field in fields(first)]
    return type(first)(*(concatenated([getattr(b, name) for b in batches]) for name in names))


# --- scores ---------------------------------------------------------------------------------------


def score_frames(space: LabelSpace, predictions: FramePredictions) -> list[Score]:
    """Scores over all frames: overall, by instrument, of the baselines; and latent units in use.

    The signal of a mixture is not scored by instrument.
    """
    scores = []
    for name, spectra in predictions.signal.items():
        scores += placed(spectral_scores(spectra), path=name)
    for name, symbols in predictions.symbol.items():
        own = symbol_scores(space, predictions.classes, symbols, predictions.dynamics_known)
        if symbols.keys is not None:
            own += chord_scores(predictions.keys, symbols.keys)
        scores += placed(own, path=name)
    overall = [score for score in scores if score.path in PATHS]
    baselines = [
        replace(score, scope="baselines", name=score.path, path="transfer")
        for score in scores
        if score.path not in PATHS
    ]
    instruments = placed(overall, scope="instruments", name=space.instruments[0])
    if len(space.instruments) > 1:
        names = enumerate(space.instruments)
        instruments = chain(*(_instrument_scores(space, predictions, *item) for item in names))
    return [*overall, *instruments, *baselines, *latent_scores(predictions.means)]


def _instrument_scores(
    space: LabelSpace, predictions: FramePredictions, index: int, name: str
) -> list[Score]:
    """The scores of one instrument's symbols in mixtures."""
    scores = []
    for path in PATHS:
        symbols = predictions.symbol[path]
        classes, predicted, log_prob = (
            array[:, index : index + 1]
            for array in (predictions.classes, symbols.classes, symbols.log_prob)
        )
        scores += placed(
            symbol_scores(
                replace(space, instruments=(name,), voices=()),
                classes,
                SymbolPrediction(predicted, log_prob),
                predictions.dynamics_known,
            ),
            path=path,
            scope="instruments",
            name=name,
        )
    return scores


def latent_scores(means: Mapping[str, np.ndarray]) -> list[Score]:
    """Latent dimensions, and how many of them each modality uses; means are (frames, latent)."""
    counts = {"dimensions": means["signal"].shape[1]}
    counts |= {f"active_{modality}": metrics.active_units(means[modality]) for modality in means}
    return [Score(measure, count, scope="latent") for measure, count in counts.items()]


def spectral_scores(spectra: SpectralScores) -> list[Score]:
    """Means over frames."""
    means = {measure: float(values.mean()) for measure, values in vars(spectra).items()}
    return [Score(measure, mean, modality="signal") for measure, mean in means.items()]


def symbol_scores(
    space: LabelSpace,
    classes: np.ndarray,
    predicted: SymbolPrediction,
    dynamics_known: np.ndarray | None = None,
) -> list[Score]:
    """Scores of each label, and of octave and pitch together (`note`).

    Accuracies and confusions pool the instruments; `log_likelihood` is in nats a frame, summed over
    them.

    Args:
        space: its labels and instruments are those of classes (frames, instruments, labels).
        dynamics_known: (frames,) bool, where dynamics are scored; None: everywhere.
    """
    columns = {label: [index] for index, label in enumerate(space.labels)}
    if {"octave", "pitch"} <= columns.keys():
        columns[NOTE] = columns["octave"] + columns["pitch"]
    scores = []
    for label, own in columns.items():
        frames = np.ones(len(classes), bool)
        if label == "dynamics" and dynamics_known is not None:
            frames = dynamics_known
        if not frames.any():
            continue
        truth = classes[frames][:, :, own]
        estimated = predicted.classes[frames][:, :, own]
        values: dict[str, Value] = {}
        if label != NOTE and predicted.log_prob is not None:
            log_prob = predicted.log_prob[frames][:, :, own[0]]
            values["log_likelihood"] = float(log_prob.sum(axis=1).mean())
        values["accuracy"] = float((truth == estimated).all(axis=-1).mean())
        if label == NOTE:
            values |= _sounding_scores(truth, estimated)
        else:
            counts = metrics.confusion(truth, estimated, space.sizes[own[0]])
            values["balanced_accuracy"] = metrics.balanced_accuracy(counts)
        if label == "dynamics":  # ordered, where both sound
            sounding = counts[: N_CLASSES[label], : N_CLASSES[label]]
            if sounding.any():
                values["mean_class_error"] = metrics.mean_class_error(sounding)
        if len(space.instruments) > 1:
            accuracy = metrics.permutation_invariant_accuracy(truth, estimated)
            values["accuracy_permutation_invariant"] = accuracy
        if label != NOTE:
            values["confusion"] = counts.tolist()
        scores += [Score(measure, value, label, "symbol") for measure, value in values.items()]
    return scores


def chord_scores(truth: np.ndarray, estimated: np.ndarray) -> list[Score]:
    """Sets of keys (frames, chordal instruments, keys) that sound in a frame: precision, recall and
    F1 over all frames, F1 of frames by their number of notes, and the false keys by their distance
    to the nearest true one, from -12 to 12 semitones.
    """
    truth, estimated = (keys.reshape(-1, keys.shape[-1]) for keys in (truth, estimated))
    n_notes = truth.sum(axis=1)
    values: dict[str, Value] = metrics.set_figures(truth, estimated)
    for count in range(1, int(n_notes.max(initial=0)) + 1):
        own = n_notes == count
        if own.any():
            values[f"f1_of_{count}"] = metrics.set_figures(truth[own], estimated[own])["f1"]
    values["false_intervals"] = [metrics.false_intervals(truth, estimated).tolist()]
    return [Score(measure, value, CHORD, "symbol") for measure, value in values.items()]


def _sounding_scores(truth: np.ndarray, estimated: np.ndarray) -> dict[str, float]:
    """How often octave and pitch (frames, instruments, 2) are both right where the truth sounds,
    and how often the pitch class alone is.
    """
    sounds = truth[:, :, 1] < N_CLASSES["pitch"]
    if not sounds.any():
        return {}
    right = (truth == estimated)[sounds]
    both = right.all(axis=1)
    octave_errors = right[:, 1] & ~both
    return {"accuracy_sounding": float(both.mean()), "octave_errors": float(octave_errors.mean())}


def note_confusion(
    space: LabelSpace, classes: np.ndarray, estimated: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Counts (notes, notes) of octave and pitch together, truth by row, and the notes' names; of
    the notes that occur.
    """
    truth, read = (
        np.stack([labels.note_number for labels in space.to_labels(own)]).ravel()
        for own in (classes, estimated)
    )
    present, indices = np.unique(np.concatenate([truth, read]), return_inverse=True)
    counts = metrics.confusion(indices[: len(truth)], indices[len(truth) :], len(present))
    names = ["silence" if n == SILENCE else number_to_note_name(n) for n in present]
    return counts, names


def averaged(passes: Sequence[list[Score]]) -> list[Score]:
    """Means over passes, with their standard deviation (n - 1) where there are several; counts of
    confusion matrices are added up.
    """
    return [_mean(scores) for scores in zip(*passes, strict=True)]


def _mean(scores: Sequence[Score]) -> Score:
    """The mean of one score over passes."""
    values = [score.value for score in scores]
    if isinstance(values[0], list):
        return replace(scores[0], value=np.sum(values, axis=0).tolist())
    if isinstance(values[0], int):
        return replace(scores[0], value=round(float(np.mean(values))))
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return replace(scores[0], value=float(np.mean(values)), sd=sd)
