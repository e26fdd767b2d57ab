"""Train baselines on a run's data and score them beside it.

They get the run's own frames, features, mixtures and split. A baseline that does not apply (pYIN
tracks one pitch at a time) is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np
import torch
from torch import Tensor, nn

from lt.config import AnalysisConfig, SpectralConfig
from lt.data.dataset import DataSet
from lt.evaluation.context import EVALUATED_REST_SHARE, EvaluationContext
from lt.evaluation.results import Score, placed
from lt.evaluation.scoring import SymbolPrediction, symbol_scores
from lt.labels import SILENCE, LabelSpace, NoteLabels, octave_pitch_to_note_number
from lt.models.baselines import (
    CLASSIFIER_FILE,
    ConvClassifier,
    ConvSynth,
    Majority,
    PcaClassifier,
    TrainingData,
    fit,
    read_classifier,
)
from lt.models.runs import Run
from lt.progress import Progress, silent
from lt.seeds import seed_of

BATCH = 4096  # frames mixed at once
MAX_VALUES = 1 << 26  # numbers in all rounds of mixtures together
MAX_ROUNDS = 32  # of mixtures sampled for a baseline; epochs take them in turn
PYIN_WINDOW = 2048  # samples, where the lowest note allows it
PYIN_MARGIN = 2  # semitones beyond the instrument's range

Pair = tuple[Tensor, Tensor]  # inputs and targets of a baseline


@dataclass(frozen=True)
class Frames:
    """Frames of a part, in freshly sampled mixtures.

    Attributes:
        features: (frames, features) of the encoder.
        decoded: (frames, decoded features) that the decoder is to give.
        classes: (frames, groups).
    """

    features: Tensor
    decoded: Tensor
    classes: Tensor


# --- trained --------------------------------------------------------------------------------------


def train_classifier(
    context: EvaluationContext, config: AnalysisConfig, progress: Progress = silent
) -> PcaClassifier:
    """The article's baseline: as many principal components as the model has (top) latent
    dimensions, then an MLP.

    Args:
        config: `classifier_epochs`, `classifier_bs` and `seed` are used.

    Raises:
        ValueError: training diverged (the loss became NaN).
    """
    run = context.run
    n_components = run.model.dims[-1]
    classifier = PcaClassifier(run.scaler.n_features, n_components, run.space.group_sizes)
    _initialise(classifier, run.device, config.seed)
    classifier.fit_components(sample_frames(context, "train", config.seed, 0).features)
    data = _training_data(
        context,
        config.seed,
        n_components,
        lambda frames: (classifier.project(frames.features), frames.classes),
    )
    _fit(classifier.network, data, config, 0, progress)
    return classifier.eval()


def train_conv(
    kind: type[ConvClassifier] | type[ConvSynth],
    context: EvaluationContext,
    config: AnalysisConfig,
    progress: Progress = silent,
) -> ConvClassifier | ConvSynth:
    """Signal -> symbols, or symbols -> signal, by convolutions over frequency. Arguments as
    `train_classifier`.
    """
    run = context.run
    reads = kind is ConvClassifier
    width = run.scaler.n_features if reads else run.model.n_decoded
    network = kind(width, run.space.group_sizes)
    _initialise(network, run.device, config.seed)

    def arrange(frames: Frames) -> Pair:
        return (frames.features, frames.classes) if reads else (frames.classes, frames.decoded)

    data = _training_data(context, config.seed, width, arrange)
    return _fit(network, data, config, 1 if reads else 2, progress)


def stored_classifier(run: Run) -> PcaClassifier | None:
    """The classifier that was trained by lt_analyze.py and stored with the run, if there is one.

    Raises:
        ValueError: it is damaged, or of another run.
    """
    path = run.outputs / CLASSIFIER_FILE
    if not path.is_file():
        return None
    return read_classifier(path, run.space, run.settings.run_id, run.device)


def count_majority(context: EvaluationContext, seed: int) -> Majority:
    """The most frequent class of each label in the training part, with as many rests as in the
    evaluation: it knows nothing but frequencies.
    """
    classes = sample_frames(context, "train", seed, 0, EVALUATED_REST_SHARE).classes
    return Majority(classes, context.run.space.group_sizes).to(context.run.device).eval()


def _initialise(network: nn.Module, device: torch.device, seed: int) -> None:
    """Weights that depend on the seed alone; moves the network to the device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "baseline"))
        for module in network.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    network.to(device)


def _fit(
    network: nn.Module,
    data: TrainingData,
    config: AnalysisConfig,
    number: int,
    progress: Progress,
) -> nn.Module:
    """Train a network; `number` tells its random numbers from the other baselines'."""
    seed = seed_of(config.seed, "baseline", number)
    epochs = config.classifier_epochs
    with progress(total=epochs, desc=f"training {type(network).__name__}", unit="epoch") as bar:
        fit(network, data, epochs, config.classifier_bs, seed, bar.update)
    return network.eval()


def _training_data(
    context: EvaluationContext, seed: int, width: int, arrange: Callable[[Frames], Pair]
) -> TrainingData:
    """Rounds of the training part's mixtures, as many as MAX_VALUES allows at `width` numbers a
    frame, and one round of the validation part's; `arrange` makes inputs and targets of a round.
    """
    config, space = context.run.config, context.run.space
    mixer = context.mixer("train", config.silence_share, config.rest_share)
    random = (
        len(mixer.sources) > 1
        or config.random_mode != "constant"
        or (space.silence and config.silence_share > 0)
    )
    n_rounds = MAX_VALUES // (mixer.n_frames * width) if random else 1
    rounds = [
        arrange(sample_frames(context, "train", seed, index))
        for index in range(min(max(1, n_rounds), MAX_ROUNDS))
    ]
    return TrainingData(rounds, arrange(sample_frames(context, "valid", seed, 0)))


@torch.no_grad()
def sample_frames(
    context: EvaluationContext, part: str, seed: int, index: int, rest_share: float | None = None
) -> Frames:
    """Every frame of a part, with silence and, unless given, rests as in training."""
    settings, config = context.run.settings, context.run.config
    rest_share = config.rest_share if rest_share is None else rest_share
    mixer = context.mixer(part, config.silence_share, rest_share)
    features, decoded, classes = [], [], []
    for number, positions in enumerate(mixer.order(seed, index).split(BATCH)):
        batch = mixer.batch(positions, seed, index, number, stream="baseline")
        features.append(settings.scaler.apply(batch.encoder_input))
        decoded.append(settings.decoder_scaler.apply_to_subframes(batch.target))
        classes.append(batch.classes.flatten(1))
    return Frames(torch.cat(features), torch.cat(decoded), torch.cat(classes))


# --- pYIN -----------------------------------------------------------------------------------------


def pyin_scores(context: EvaluationContext, part: str, progress: Progress = silent) -> list[Score]:
    """pYIN (Mauch & Dixon 2014; librosa's), rounded to the nearest note, on the part's own frames.

    Where it finds no pitch it predicts silence if the model has a class for it, else the most
    probable note. Its range is the instrument's with two semitones to spare. Notes whose source is
    gone are left out.

    Returns:
        Scores of the baseline `pyin` and the number of frames; none for mixtures, for models
        without pitch, or where no note's source is left.
    """
    run, data = context.run, context.data
    labels = tuple(label for label in run.space.labels if label != "dynamics")
    if len(run.space.instruments) > 1 or "pitch" not in labels:
        return []
    space = LabelSpace(labels, run.space.instruments, run.space.silence)
    note_range = instrument_range(data, run.config.instruments[0])
    frames = context.split.frames[part][0]
    note_of_frame = data.note_of_frame[frames]
    numbers, known = np.full(len(frames), SILENCE), np.zeros(len(frames), bool)
    with progress(total=len(context.split.notes[part]), desc="pYIN", unit="note") as bar:
        for note in np.unique(note_of_frame):
            audio = context.note_audio(int(note))
            if audio is not None:
                own = note_of_frame == note
                n_frames = int(data.lengths[note])
                found = pyin_notes(audio, n_frames, data.config, note_range, space.silence)
                numbers[own] = found[frames[own] - data.starts[note]]
                known |= own
            bar.update()
    if not known.any():
        return []
    table = np.where(data.sounding[frames][:, None], data.notes.labels[note_of_frame], SILENCE)
    truth = space.to_classes([NoteLabels.from_table(table[known])])
    predicted = NoteLabels.from_notes(numbers[known], np.zeros(known.sum(), np.int64))
    prediction = SymbolPrediction(space.to_classes([predicted]), None)
    scores = [
        *placed(symbol_scores(space, truth, prediction), path="transfer"),
        Score("frames", len(truth)),
    ]
    return placed(scores, scope="baselines", name="pyin")


def instrument_range(data: DataSet, instrument: str) -> tuple[int, int]:
    """The lowest and the highest note number of an instrument in a data set."""
    own = data.notes.labels[data.notes_of(instrument)]
    numbers = octave_pitch_to_note_number(own[:, 0], own[:, 1])
    return int(numbers.min()), int(numbers.max())


def pyin_notes(
    audio: np.ndarray,
    n_frames: int,
    config: SpectralConfig,
    note_range: tuple[int, int],
    voiced_only: bool,
) -> np.ndarray:
    """The note number that pYIN finds at the centre of each model frame.

    Args:
        audio: (samples,). note_range: the instrument's lowest and highest note number.
        voiced_only: SILENCE where it finds no pitch; else its best guess everywhere.

    Returns:
        (n_frames,)
    """
    from librosa import hz_to_midi, midi_to_hz, pyin

    lowest, highest = note_range
    low = midi_to_hz(lowest - PYIN_MARGIN)
    high = min(midi_to_hz(highest + PYIN_MARGIN), 0.45 * config.sample_rate)
    window = PYIN_WINDOW
    while window < 4 * config.sample_rate / low:  # two periods fit in half a window
        window *= 2
    frequency, voiced, _ = pyin(
        audio,
        fmin=low,
        fmax=high,
        sr=config.sample_rate,
        frame_length=window,
        hop_length=config.frame_hop // 2,
        fill_na=None,
    )
    numbers = np.rint(hz_to_midi(frequency)).astype(np.int64)
    if voiced_only:
        numbers = np.where(voiced, numbers, SILENCE)
    centres = np.minimum(2 * np.arange(n_frames) + 1, len(numbers) - 1)
    return numbers[centres]
