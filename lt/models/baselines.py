"""What the VAEs are compared with: classifiers and a synthesiser that learn one direction only, and
do nothing else.

`PcaClassifier` is the article's: principal components, as many as the model's latent has
dimensions, and an MLP from them to the symbols. `ConvClassifier` reads the spectrum with
convolutions over frequency, `ConvSynth` goes from symbols to the spectrum. All see the same frames,
features and split as the model; of the epochs trained, the one that is best on the validation part
is kept.

Axes: `batch, features, components, groups`; classes are (batch, groups).
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from lt.files import atomic_path
from lt.labels import LabelSpace
from lt.models.networks import MIN_SCALE, CategoricalSymbols, SymbolNetwork, mlp, one_hot

FORMAT, VERSION = "latent-transcription classifier", 1
CLASSIFIER_FILE = "test_classifier.t7"
WIDTH, N_HIDDEN = 256, 2  # of the classifier's MLP
CHANNELS = (16, 32, 64)  # of the convolutions
LEARNING_RATE = 1e-3
VALIDATIONS = 100  # at most so often is the validation part looked at
# share of the epochs without a better validation loss, after which nothing more is to be hoped for
PATIENCE = 0.2

Loss = Callable[[Tensor, Tensor], Tensor]


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
        """Take the principal components of features (frames, features), each scaled to unit
        variance.
        """
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
        for before, after in zip((1, *CHANNELS), CHANNELS):
            layers += [nn.Conv1d(before, after, kernel_size=9, stride=2, padding=4), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.network = SymbolNetwork(
            CHANNELS[-1] * _halved(n_features, len(CHANNELS)),
            WIDTH,
            1,
            tuple(group_sizes),
            "categorical",
        )

    def forward(self, features: Tensor) -> CategoricalSymbols:
        return self.network(self.convolutions(features[:, None]).flatten(1))


class ConvSynth(nn.Module):
    """Classes (batch, groups) -> three transposed convolutions over frequency -> a normal over
    features.
    """

    def __init__(self, n_features: int, group_sizes: Sequence[int]) -> None:
        super().__init__()
        self.group_sizes, self.n_features = tuple(group_sizes), n_features
        self.n_low = _halved(n_features, len(CHANNELS))
        self.hidden = nn.Sequential(
            mlp(sum(group_sizes), WIDTH, N_HIDDEN), nn.Linear(WIDTH, CHANNELS[-1] * self.n_low)
        )
        layers: list[nn.Module] = []
        for before, after in zip(CHANNELS[::-1], (*CHANNELS[-2::-1], 2)):
            layers += [
                nn.ReLU(),
                nn.ConvTranspose1d(before, after, kernel_size=8, stride=2, padding=3),
            ]
        self.convolutions = nn.Sequential(*layers)

    def forward(self, classes: Tensor) -> Normal:
        low = self.hidden(one_hot(classes, self.group_sizes)).unflatten(
            1, (CHANNELS[-1], self.n_low)
        )
        mean, scale = self.convolutions(low)[:, :, : self.n_features].unbind(dim=1)
        return Normal(mean, nn.functional.softplus(scale) + MIN_SCALE, validate_args=False)


class Majority(nn.Module):
    """Whatever it is given, the shares of the classes among the symbols that it was made from
    (frames, groups).

    One is added to every count, so that no class is impossible.
    """

    def __init__(self, classes: Tensor, group_sizes: Sequence[int]) -> None:
        super().__init__()
        counts = one_hot(classes, tuple(group_sizes)).sum(dim=0) + 1
        self.group_sizes = list(group_sizes)
        shares = [group / group.sum() for group in counts.split(self.group_sizes)]
        self.register_buffer("logits", torch.cat(shares).log())

    def forward(self, features: Tensor) -> CategoricalSymbols:
        return CategoricalSymbols(
            self.logits.expand(len(features), -1).split(self.group_sizes, dim=-1)
        )


def _halved(length: int, times: int) -> int:
    """A length after so many halvings, each rounded up."""
    for _ in range(times):
        length = -(-length // 2)
    return length


# --- learning -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainingData:
    """What a baseline learns from: rounds of (inputs, targets), used in turn an epoch each, and a
    validation pair.
    """

    rounds: Sequence[tuple[Tensor, Tensor]]
    valid: tuple[Tensor, Tensor]


def fit(
    network: nn.Module,
    data: TrainingData,
    epochs: int,
    batch_size: int,
    seed: int,
    on_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Maximise log p(target|input) by Adam; leave the network as it was when best on the validation pair.

    Args:
        epochs: at most; the last fifth that brings nothing better is the end.

    Raises:
        ValueError: the loss became NaN or infinite.
    """
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE, fused=True)
    chosen = torch.Generator().manual_seed(seed)
    best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), math.inf, 0
    every = max(1, epochs // VALIDATIONS)
    for epoch in range(epochs):
        inputs, targets = data.rounds[epoch % len(data.rounds)]
        order = torch.randperm(len(inputs), generator=chosen).to(inputs.device)
        for rows in order.split(batch_size):
            loss = mean_nll(network, inputs[rows], targets[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        if (epoch + 1) % every == 0 or epoch + 1 == epochs:
            with torch.no_grad():
                valid_loss = float(mean_nll(network, *data.valid))
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


def mean_nll(network: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """-log p(target|input), summed over groups or features, averaged over the batch: a scalar."""
    return -network(inputs).log_prob(targets).sum(dim=-1).mean()


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
        "labels": list(space.labels),
        "instruments": list(space.instruments),
        "silence": space.silence,
        "state": {name: tensor.cpu() for name, tensor in classifier.state_dict().items()},
    }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def read_classifier(
    path: Path | str, space: LabelSpace, run_id: str, device: torch.device | str = "cpu"
) -> PcaClassifier:
    """The classifier that lt_analyze.py left with a run. Feed it the run's features; it returns
    `Symbols`.

    Raises:
        FileNotFoundError: there is none. ValueError: it is damaged, or of another run.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no classifier at {path} (lt_analyze.py --make_classifier 1 trains one)"
        )
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        if content["format"] != FORMAT or content["version"] != VERSION:
            raise ValueError("another format")
        classifier = PcaClassifier(
            content["n_features"], content["n_components"], space.group_sizes
        ).to(device)
        own = LabelSpace(
            tuple(content["labels"]), tuple(content["instruments"]), content["silence"]
        )
        if content["run_id"] == run_id and own == space:
            classifier.load_state_dict(content["state"])
    except Exception as error:  # a damaged archive can make torch raise anything
        raise ValueError(
            f"{path} is damaged or no classifier of this project; make it again with "
            "lt_analyze.py --make_classifier 1"
        ) from error
    if content["run_id"] != run_id or own != space:
        raise ValueError(
            f"{path} belongs to another model; make it again with lt_analyze.py --make_classifier 1"
        )
    return classifier.eval()
