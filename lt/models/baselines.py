"""Baselines for the VAEs: two classifiers and a synthesiser, each for one direction only.

`PcaClassifier` is the article's: principal components, as many as the model's latent has
dimensions, and an MLP from them to the symbols. `ConvClassifier` reads the spectrum with
convolutions over frequency, `ConvSynth` maps symbols to the spectrum. All are trained on the same
frames, features and split as the model; the epoch with the least validation loss is kept.
`Majority` is the floor: the class frequencies.

Axes: `batch, features, components, groups`; classes are (batch, groups).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from lt.files import atomic_path
from lt.labels import LabelSpace
from lt.models.losses import mean_nll
from lt.models.networks import MIN_SCALE, CategoricalSymbols, SymbolNetwork, mlp, one_hot

FORMAT, VERSION = "latent-transcription classifier", 1
CLASSIFIER_FILE = "test_classifier.t7"
WIDTH, N_HIDDEN = 256, 2  # of the MLPs
CHANNELS = (16, 32, 64)  # of the convolutions, each of stride 2
LEARNING_RATE = 1e-3
VALIDATIONS = 100  # at most so many validations in a training
PATIENCE = 0.2  # fraction of the epochs without a better validation loss that ends the training


class PcaClassifier(nn.Module):
    """Features (batch, features) -> principal components of unit variance -> MLP -> symbols."""

    def __init__(self, n_features: int, n_components: int, group_sizes: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("components", torch.zeros(n_features, n_components))
        self.network = SymbolNetwork(
            n_components, WIDTH, N_HIDDEN, tuple(group_sizes), "categorical"
        )

    def fit_components(self, features: Tensor) -> None:
        """Fit the principal components to features (frames, features)."""
        features = features.double()
        self.mean.copy_(features.mean(dim=0))
        centred = features - features.mean(dim=0)
        variances, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
        n_components = self.components.shape[1]
        scales = variances[-n_components:].clamp_min(1e-8).rsqrt()
        self.components.copy_((axes[:, -n_components:] * scales).flip(1))

    def project(self, features: Tensor) -> Tensor:
        """Features (batch, features) -> (batch, components)."""
        return (features - self.mean) @ self.components

    def forward(self, features: Tensor) -> CategoricalSymbols:
        return self.network(self.project(features))


class ConvClassifier(nn.Module):
    """Features (batch, features) -> three convolutions over frequency -> symbols."""

    def __init__(self, n_features: int, group_sizes: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in zip((1, *CHANNELS), CHANNELS):
            layers += [nn.Conv1d(n_in, n_out, kernel_size=9, stride=2, padding=4), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.network = SymbolNetwork(
            CHANNELS[-1] * _after_strides(n_features), WIDTH, 1, tuple(group_sizes), "categorical"
        )

    def forward(self, features: Tensor) -> CategoricalSymbols:
        return self.network(self.convolutions(features[:, None]).flatten(1))


class ConvSynth(nn.Module):
    """Classes (batch, groups) -> three transposed convolutions -> Normal over (batch, features)."""

    def __init__(self, n_features: int, group_sizes: Sequence[int]) -> None:
        super().__init__()
        self.group_sizes = tuple(group_sizes)
        self.n_features = n_features
        self.n_low = _after_strides(n_features)
        self.hidden = nn.Sequential(
            mlp(sum(group_sizes), WIDTH, N_HIDDEN), nn.Linear(WIDTH, CHANNELS[-1] * self.n_low)
        )
        layers: list[nn.Module] = []
        for n_in, n_out in zip(CHANNELS[::-1], (*CHANNELS[-2::-1], 2)):
            layers.append(nn.ReLU())
            layers.append(nn.ConvTranspose1d(n_in, n_out, kernel_size=8, stride=2, padding=3))
        self.convolutions = nn.Sequential(*layers)

    def forward(self, classes: Tensor) -> Normal:
        low = self.hidden(one_hot(classes, self.group_sizes))
        low = low.unflatten(1, (CHANNELS[-1], self.n_low))
        mean, scale = self.convolutions(low)[:, :, : self.n_features].unbind(dim=1)
        return Normal(mean, nn.functional.softplus(scale) + MIN_SCALE, validate_args=False)


class Majority(nn.Module):
    """The class frequencies of symbols (frames, groups), whatever the input.

    One is added to every count, so that no class is impossible.
    """

    def __init__(self, classes: Tensor, group_sizes: Sequence[int]) -> None:
        super().__init__()
        counts = one_hot(classes, tuple(group_sizes)).sum(dim=0) + 1
        self.group_sizes = list(group_sizes)
        frequencies = [group / group.sum() for group in counts.split(self.group_sizes)]
        self.register_buffer("logits", torch.cat(frequencies).log())

    def forward(self, features: Tensor) -> CategoricalSymbols:
        logits = self.logits.expand(len(features), -1)
        return CategoricalSymbols(logits.split(self.group_sizes, dim=-1))


def _after_strides(length: int) -> int:
    """Length of an axis after the convolutions, each of which halves it, rounded up."""
    return -(-length // 2 ** len(CHANNELS))


# --- training -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainingData:
    """Training data of a baseline.

    Attributes:
        rounds: (inputs, targets) for an epoch each, used in turn.
        valid: (inputs, targets) for validation.
    """

    rounds: Sequence[tuple[Tensor, Tensor]]
    valid: tuple[Tensor, Tensor]


def fit(
    network: nn.Module,
    data: TrainingData,
    epochs: int,
    batch_size: int,
    seed: int,
    on_epoch: Callable[[], object] = lambda: None,
) -> None:
    """Maximise log p(target|input) by Adam; keep the weights with the least validation loss.

    Args:
        network: maps inputs to a distribution over targets; changed in place.
        data: see there.
        epochs: at most; training ends early after a fifth of them without improvement.
        batch_size: frames.
        seed: of the order of the frames.
        on_epoch: called after each epoch.
    Raises:
        ValueError: the loss became NaN or infinite.
    """
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE, fused=True)
    rng = torch.Generator().manual_seed(seed)
    best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), math.inf, 0
    every = max(1, epochs // VALIDATIONS)
    for epoch in range(epochs):
        inputs, targets = data.rounds[epoch % len(data.rounds)]
        order = torch.randperm(len(inputs), generator=rng).to(inputs.device)
        for rows in order.split(batch_size):
            loss = mean_nll(network(inputs[rows]), targets[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        if (epoch + 1) % every == 0 or epoch + 1 == epochs:
            valid_loss = validation_loss(network, data)
            if valid_loss < best_loss:
                best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), valid_loss, epoch
        on_epoch()
        if epoch - best_epoch >= max(1, PATIENCE * epochs):
            break
    if epochs and not math.isfinite(best_loss):
        raise ValueError(
            f"the baseline {type(network).__name__} did not learn: its loss became {valid_loss:g}"
        )
    network.load_state_dict(best)


@torch.no_grad()
def validation_loss(network: nn.Module, data: TrainingData) -> float:
    """-log p(target|input) on the validation data, in nats per frame."""
    inputs, targets = data.valid
    return float(mean_nll(network(inputs), targets))


# --- the classifier's file ------------------------------------------------------------------------


def write_classifier(
    path: Path | str, classifier: PcaClassifier, space: LabelSpace, run_id: str
) -> None:
    """Write a trained classifier: tensors and plain values only.

    Raises:
        OSError: it cannot be written.
    """
    n_features, n_components = classifier.components.shape
    content = {
        "format": FORMAT,
        "version": VERSION,
        "run_id": run_id,
        "n_features": n_features,
        "n_components": n_components,
        **_plain_space(space),
        "state": {name: tensor.cpu() for name, tensor in classifier.state_dict().items()},
    }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def read_classifier(
    path: Path | str, space: LabelSpace, run_id: str, device: torch.device | str = "cpu"
) -> PcaClassifier:
    """Read the classifier that lt_analyze.py left with a run.

    Args:
        path: of the file.
        space, run_id: of the run.
        device: for the classifier, which takes the run's features and returns `Symbols`.
    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or of another run.
    """
    again = "with lt_analyze.py --make_classifier 1"
    if not Path(path).is_file():
        raise FileNotFoundError(f"no classifier at {path} (train one {again})")
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        if content["format"] != FORMAT or content["version"] != VERSION:
            raise ValueError("another format")
        own = {name: content[name] for name in ("run_id", *_plain_space(space))}
        same_run = own == {"run_id": run_id, **_plain_space(space)}
        sizes = (content["n_features"], content["n_components"])
        classifier = PcaClassifier(*sizes, space.group_sizes).to(device)
        if same_run:
            classifier.load_state_dict(content["state"])
    except Exception as error:  # a damaged archive can make torch raise anything
        raise ValueError(
            f"{path} is damaged or no classifier of this project; make it again {again}"
        ) from error
    if not same_run:
        raise ValueError(f"{path} belongs to another model; make it again {again}")
    return classifier.eval()


def _plain_space(space: LabelSpace) -> dict[str, Any]:
    """The fields of a label space as plain values."""
    return {
        "labels": list(space.labels),
        "instruments": list(space.instruments),
        "silence": space.silence,
    }
