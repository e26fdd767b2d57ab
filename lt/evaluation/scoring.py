"""Analysis: a run judged on a part of its data, next to the baselines, as plain nested results.

A pass judges every frame of the part once, in freshly drawn mixtures. Accuracies and spectral
distances take the posterior's mean, log-likelihoods one latent sample a pass. Weights of the
sources are drawn by `--random_mode`, and no silence on top of the frames' own: `--rest_share` and
`--silence_share` are a matter of training.

Two ways for each modality: `reconstruction` through its own latent, `transfer` through the other's.
The results are what `results.json` holds: see `evaluate`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from lt.data.mixing import Batch, Mixer
from lt.evaluation import metrics
from lt.evaluation.context import Subject
from lt.labels import N_CLASSES, SILENCE, LabelSpace, number_to_note_name
from lt.models.baselines import ConvSynth
from lt.models.networks import Symbols
from lt.models.runs import Run
from lt.models.vae import draw_noise
from lt.rows import Rows
from lt.seeds import torch_rng

BATCH = 1024  # frames judged at once
MODALITIES = ("signal", "symbol")
SPECTRAL = ("log_likelihood", "isd", "log_spectral_distance_db")
Results = dict[str, Any]


@dataclass(frozen=True)
class SymbolGuess:
    """What was read from a frame: most probable classes, and log-probability of the true ones where
    it is known.

    Attributes:
        classes: (frames, instruments, labels). log_prob: the same shape, or None.
    """

    classes: np.ndarray
    log_prob: np.ndarray | None


@dataclass(frozen=True)
class Judged:
    """Frames as the model and the baselines saw them.

    Attributes:
        classes: the truth (frames, instruments, labels).
        spectra: way -> (frames, 3) in the order of SPECTRAL.
        symbols: way -> SymbolGuess.
        means: modality -> posterior means (frames, latent).
    """

    classes: np.ndarray
    spectra: dict[str, np.ndarray]
    symbols: dict[str, SymbolGuess]
    means: dict[str, np.ndarray]


# --- judging frames -------------------------------------------------------------------------------


def evaluate(
    subject: Subject,
    part: str,
    n_passes: int,
    seed: int,
    baselines: Mapping[str, nn.Module],
    on_pass: Callable[[], None] = lambda: None,
) -> tuple[Results, Judged]:
    """Judge the run and its baselines on a part.

    Returns:
        {"overall", "instruments", "baselines", "latent"} as in results.json, averaged over the
        passes with standard deviations `<name>_sd` where there are several (confusion matrices are
        added up); and the first pass, for figures.
    """
    mixer, passes, first = subject.mixer(part), [], None
    for index in range(n_passes):
        judged = judge(subject.run, mixer, baselines, seed, index)
        passes.append(judged_results(subject.run.space, judged))
        first = first or judged
        on_pass()
    return averaged(passes), first


@torch.no_grad()
def judge(
    run: Run, mixer: Mixer, baselines: Mapping[str, nn.Module], seed: int, index: int
) -> Judged:
    """One pass over a mixer's frames."""
    pieces = []
    for number, positions in enumerate(mixer.order(seed, index).split(BATCH)):
        batch = mixer.batch(positions, seed, index, number, stream="analysis")
        noise = [
            draw_noise(
                run.model.dims,
                len(positions),
                torch_rng(seed, "latent", half, index, number, device=run.device),
            )
            for half in range(2)
        ]
        pieces.append(judge_batch(run, batch, noise, baselines))
    return joined(pieces)


def judge_batch(
    run: Run, batch: Batch, noise: Sequence[tuple[Tensor, ...]], baselines: Mapping[str, nn.Module]
) -> Judged:
    """Judge a batch: the model by its means and by one sample (`noise`: a draw a modality), the
    baselines by what they say.
    """
    features, groups, truth = (
        run.scaler.apply(batch.mixture),
        batch.classes.flatten(1),
        batch.mixture.cpu().numpy(),
    )
    mean, sample = run.model(features, batch.classes), run.model(features, batch.classes, *noise)

    def spectral(likely: Normal, shown: Normal) -> np.ndarray:
        estimated = run.scaler.invert(shown.mean).cpu().numpy()
        return np.stack(
            [
                metrics.log_likelihood(likely, features).cpu().numpy(),
                metrics.itakura_saito(truth, estimated),
                metrics.log_spectral_distance_db(truth, estimated),
            ],
            axis=1,
        )

    def symbolic(likely: Symbols, shown: Symbols) -> SymbolGuess:
        best = torch.stack([group.argmax(dim=-1) for group in shown.probabilities()], dim=1)
        return SymbolGuess(
            best.view_as(batch.classes).cpu().numpy(),
            likely.log_prob(groups).view_as(batch.classes).cpu().numpy(),
        )

    spectra = {
        "reconstruction": spectral(sample.signal.px, mean.signal.px),
        "transfer": spectral(sample.signal_from_symbol, mean.signal_from_symbol),
    }
    symbols = {
        "reconstruction": symbolic(sample.symbol.px, mean.symbol.px),
        "transfer": symbolic(sample.symbol_from_signal, mean.symbol_from_signal),
    }
    for name, network in baselines.items():
        if isinstance(network, ConvSynth):
            spectra[name] = spectral(network(groups), network(groups))
        else:
            symbols[name] = symbolic(network(features), network(features))
    means = {half: getattr(mean, half).posterior.top.mean.cpu().numpy() for half in MODALITIES}
    return Judged(batch.classes.cpu().numpy(), spectra, symbols, means)


class JudgedRows:
    """Batches of judged frames, gathered one after another."""

    def __init__(self, pieces: Iterable[Judged] = ()) -> None:
        self._rows: dict[tuple[str, ...], Rows] = {}
        for piece in pieces:
            self.add(piece)

    def __len__(self) -> int:
        return len(self._rows[("classes",)]) if self._rows else 0

    def add(self, piece: Judged) -> None:
        """Append a batch."""
        arrays = {("classes",): piece.classes}
        arrays |= {("spectra", way): figures for way, figures in piece.spectra.items()}
        arrays |= {("guess", way): guess.classes for way, guess in piece.symbols.items()}
        arrays |= {("log_prob", way): guess.log_prob for way, guess in piece.symbols.items()}
        arrays |= {("means", half): means for half, means in piece.means.items()}
        for key, array in arrays.items():
            self._rows.setdefault(key, Rows()).add(array)

    def judged(self) -> Judged:
        """All of them; nothing may be added any more."""

        def of(kind: str) -> dict[str, np.ndarray]:
            return {key[1]: rows.array() for key, rows in self._rows.items() if key[0] == kind}

        log_prob = of("log_prob")
        symbols = {way: SymbolGuess(classes, log_prob[way]) for way, classes in of("guess").items()}
        return Judged(self._rows[("classes",)].array(), of("spectra"), symbols, of("means"))


def joined(pieces: Iterable[Judged]) -> Judged:
    """Batches, one after another."""
    return JudgedRows(pieces).judged()


# --- frames to results ----------------------------------------------------------------------------


def judged_results(space: LabelSpace, judged: Judged) -> Results:
    """Judged frames as nested results: {"overall", "instruments", "baselines", "latent"}."""
    ways = ("reconstruction", "transfer")
    spectra = {way: spectral_scores(figures) for way, figures in judged.spectra.items()}
    symbols = {
        way: symbol_scores(space, judged.classes, guess) for way, guess in judged.symbols.items()
    }
    overall = {
        "signal": {way: spectra[way] for way in ways},
        "symbol": {way: symbols[way] for way in ways},
    }
    instruments = {space.instruments[0]: overall}
    if len(space.instruments) > 1:  # the signal is one: it cannot be judged by instrument
        instruments = {
            name: {
                "symbol": {way: symbol_scores(*_only(space, judged, way, index)) for way in ways}
            }
            for index, name in enumerate(space.instruments)
        }
    baselines = {
        name: {"signal": {"transfer": scores}}
        for name, scores in spectra.items()
        if name not in ways
    }
    baselines |= {
        name: {"symbol": {"transfer": scores}}
        for name, scores in symbols.items()
        if name not in ways
    }
    latent = {"dimensions": judged.means["signal"].shape[1]}
    latent |= {f"active_{half}": metrics.active_units(judged.means[half]) for half in MODALITIES}
    return {
        "overall": overall,
        "instruments": instruments,
        "baselines": baselines,
        "latent": latent,
    }


def _only(
    space: LabelSpace, judged: Judged, way: str, index: int
) -> tuple[LabelSpace, np.ndarray, SymbolGuess]:
    """One instrument's share of a mixture's symbols."""
    own, guess = slice(index, index + 1), judged.symbols[way]
    return (
        replace(space, instruments=(space.instruments[index],)),
        judged.classes[:, own],
        SymbolGuess(guess.classes[:, own], guess.log_prob[:, own]),
    )


def spectral_scores(figures: np.ndarray) -> Results:
    """Means over frames (frames, 3), in the order of SPECTRAL."""
    return dict(zip(SPECTRAL, figures.mean(axis=0).tolist()))


def symbol_scores(space: LabelSpace, classes: np.ndarray, guess: SymbolGuess) -> Results:
    """Scores of each label, and of octave and pitch together.

    Accuracies and confusions pool the instruments; `log_likelihood` is in nats a frame, summed over
    them.

    Args:
        space: its labels and instruments are those of classes (frames, instruments, labels).
    """
    scores: Results = {}
    for index, label in enumerate(space.labels):
        truth, estimated = classes[:, :, index], guess.classes[:, :, index]
        counts = metrics.confusion(truth, estimated, space.sizes[index])
        own: Results = {}
        if guess.log_prob is not None:
            own["log_likelihood"] = float(guess.log_prob[:, :, index].sum(axis=1).mean())
        own |= {
            "accuracy": metrics.accuracy(truth, estimated),
            "balanced_accuracy": metrics.balanced_accuracy(counts),
        }
        if len(space.instruments) > 1:
            own["accuracy_permutation_invariant"] = metrics.permutation_invariant_accuracy(
                truth[:, :, None], estimated[:, :, None]
            )
        scores[label] = own | {"confusion": counts.tolist()}
    if {"octave", "pitch"} <= set(space.labels):
        scores["note"] = _note_scores(space, classes, guess.classes)
    return scores


def _note_scores(space: LabelSpace, classes: np.ndarray, estimated: np.ndarray) -> Results:
    """Octave and pitch both right: over all frames, and over those that sound; and the shares of
    sounding frames whose pitch class is right but in another octave.
    """
    columns = [space.labels.index("octave"), space.labels.index("pitch")]
    truth, estimated = classes[:, :, columns], estimated[:, :, columns]
    right = (truth == estimated).all(axis=-1)
    sounds = truth[:, :, 1] < N_CLASSES["pitch"]
    slips = (truth == estimated)[:, :, 1] & ~right
    scores = {"accuracy": float(right.mean())}
    if sounds.any():
        scores |= {
            "accuracy_sounding": float(right[sounds].mean()),
            "octave_errors": float(slips[sounds].mean()),
        }
    if len(space.instruments) > 1:
        scores["accuracy_permutation_invariant"] = metrics.permutation_invariant_accuracy(
            truth, estimated
        )
    return scores


def note_confusion(
    space: LabelSpace, classes: np.ndarray, estimated: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Counts (notes, notes) of octave and pitch together, over the notes that occur, and their
    names.
    """

    def numbers(values: np.ndarray) -> np.ndarray:
        own = [labels.note_number for labels in space.to_labels(values)]
        return np.stack(own).ravel()

    truth, heard = numbers(classes), numbers(estimated)
    present, indices = np.unique(np.concatenate([truth, heard]), return_inverse=True)
    counts = metrics.confusion(indices[: len(truth)], indices[len(truth) :], len(present))
    return counts, [
        "silence" if number == SILENCE else number_to_note_name(number) for number in present
    ]


def averaged(passes: Sequence[Results]) -> Results:
    """Means of the numbers of several results of one shape, `<name>_sd` (n - 1) beside them where
    there are several; confusion matrices are added up.
    """
    result: Results = {}
    for name, value in passes[0].items():
        values = [one[name] for one in passes]
        if isinstance(value, dict):
            result[name] = averaged(values)
        elif isinstance(value, list):
            result[name] = np.sum(values, axis=0).tolist()
        else:
            result[name] = (
                float(np.mean(values))
                if isinstance(value, float)
                else round(float(np.mean(values)))
            )
            if len(values) > 1 and isinstance(value, float):
                result[f"{name}_sd"] = float(np.std(values, ddof=1))
    return result
