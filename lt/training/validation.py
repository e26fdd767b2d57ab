"""Losses, accuracies and examples on the validation part, always with the same random numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lt.data.mixing import Batch, Mixer
from lt.labels import NOTE, LabelSpace
from lt.models.checkpoints import MODALITIES
from lt.models.critic import Critic
from lt.models.losses import TERMS, LossTerms, prior_kl
from lt.models.runs import RunSettings
from lt.models.vae import CrossModalVAE
from lt.seeds import torch_rng
from lt.training.distributed import Workers
from lt.training.step import LossModule, StepInputs

VALID_FRAMES = 20_000  # at most so many validation frames are used
SMALLEST_BATCH = 512  # without gradients, batches can be larger
ACCURACY = "valid_accuracy_"  # begins columns of history.csv
EXAMPLE_FRAMES = 128  # in the figure of reconstructions


@dataclass(frozen=True)
class Evaluation:
    """Losses and accuracies on the validation part.

    Attributes:
        terms: means over the frames.
        latent_kl: KL to the prior of each latent dimension by its column of the history
            ("signal_kl_0_3": layer 0, dimension 3), in nats per frame.
        accuracy: of the symbols predicted from the signal, at the posterior mean: fraction of right
            classes of each label over frames and instruments; "note": octave and pitch both right.
    """

    terms: LossTerms
    latent_kl: dict[str, float]
    accuracy: dict[str, float]


@dataclass(frozen=True)
class Examples:
    """Validation frames with their reconstructions and transfers, for figures.

    Attributes:
        original, reconstruction, transfer: magnitudes (frames, bins); the last two are decoded
            means, the transfer from the latent of the symbols.
        classes: (frames, groups).
        reconstructed, transferred: class probabilities (frames, classes) of each group, the
            transferred ones from the latent of the signal.
    """

    original: Tensor
    reconstruction: Tensor
    transfer: Tensor
    classes: Tensor
    reconstructed: tuple[Tensor, ...]
    transferred: tuple[Tensor, ...]


@torch.no_grad()
def evaluate(
    loss: LossModule,
    critic: Critic | None,
    mixer: Mixer,
    settings: RunSettings,
    workers: Workers,
) -> Evaluation:
    """Losses and accuracies on a sample of the validation part, divided among the workers."""
    config = settings.config
    loss.eval()
    names = [
        f"{modality}_kl_{layer}_{dimension}"
        for modality in MODALITIES
        for layer, n_dimensions in enumerate(loss.model.dims)
        for dimension in range(n_dimensions)
    ]
    accuracies = accuracy_names(settings.space)
    sizes = (len(TERMS), len(names), len(accuracies))
    order = mixer.order(config.seed, 0)[:VALID_FRAMES]
    sums = torch.zeros(sum(sizes), device=mixer.device)
    for step, positions in enumerate(order.split(max(config.batch_size, SMALLEST_BATCH))):
        rows = workers.rows(len(positions))
        if rows.stop == rows.start:
            continue
        batch = mixer.batch(positions, config.seed, step, stream="valid")[rows]
        rng = torch_rng(config.seed, "noise", 0, step, device=mixer.device)
        noise = loss.sample_noise(len(positions), rows, rng)
        inputs = step_inputs(settings, batch)
        output = loss.model(inputs.encoder_input, inputs.classes, noise.signal, noise.symbol)
        terms = loss.losses(output, inputs.targets, noise, critic).terms
        kl = [kl.sum(dim=0) for vae in (output.signal, output.symbol) for kl in prior_kl(vae)]
        right = right_frames(loss.model, inputs)
        sums += torch.cat([terms * (rows.stop - rows.start), *kl, right])
    means = (workers.sum(sums) / len(order)).split(sizes)
    terms, latent_kl, accuracy = (values.tolist() for values in means)
    return Evaluation(
        LossTerms(*terms), dict(zip(names, latent_kl)), dict(zip(accuracies, accuracy))
    )


def accuracy_names(space: LabelSpace) -> tuple[str, ...]:
    """The labels, and "note" where octave and pitch are among them."""
    return (*space.labels, NOTE) if len(space.note_columns) == 2 else space.labels


def right_frames(model: CrossModalVAE, inputs: StepInputs) -> Tensor:
    """Number of frames with the right class, (accuracy_names,), means over the instruments."""
    groups = model.signal_to_symbol(inputs.encoder_input).probabilities()
    predicted = torch.stack([group.argmax(dim=1) for group in groups], dim=1)
    right = predicted.view(inputs.classes.shape) == inputs.classes
    if len(columns := model.space.note_columns) == 2:
        right = torch.cat([right, right[..., columns].all(dim=2, keepdim=True)], dim=2)
    return right.float().mean(dim=1).sum(dim=0)


def step_inputs(settings: RunSettings, batch: Batch) -> StepInputs:
    """Features and classes of a batch."""
    return StepInputs(
        settings.scaler.apply(batch.encoder_input),
        settings.decoder_scaler.apply_to_subframes(batch.target),
        batch.classes,
    )


@torch.no_grad()
def examples(model: CrossModalVAE, mixer: Mixer, settings: RunSettings) -> Examples:
    """Reconstructions and transfers of some validation frames, in order of pitch."""
    model.eval()
    seed = settings.config.seed
    order = mixer.order(seed, 0)[:EXAMPLE_FRAMES]
    batch = mixer.batch(order, seed, 0, stream="valid")
    by_pitch = torch.argsort(mixer.note_numbers(order), stable=True)
    inputs = StepInputs(*(t[by_pitch] for t in step_inputs(settings, batch)[:3]))
    classes = inputs.classes
    output = model(inputs.encoder_input, classes)
    magnitudes = [
        settings.decoder_scaler.invert_to_subframes(features).mean(dim=1).cpu()
        for features in (inputs.target, output.signal.px.mean, output.signal_from_symbol.mean)
    ]
    return Examples(
        *magnitudes,
        classes.flatten(1).cpu(),
        tuple(group.cpu() for group in output.symbol.px.probabilities()),
        tuple(group.cpu() for group in output.symbol_from_signal.probabilities()),
    )
