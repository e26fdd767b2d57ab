"""The baselines at work on a run's data: trained on its training part, or listening to the notes
themselves.

They get the run's own frames, features, mixtures and split. What a baseline cannot do (pYIN hears
one note at a time) is left out, never made up.
"""

from __future__ import annotations

from typing import Callable

import numpy as np
import torch
from torch import Tensor, nn

from lt.data.dataset import DataSet
from lt.evaluation.context import JUDGED_REST_SHARE, Subject
from lt.evaluation.scoring import Results, SymbolGuess, symbol_scores
from lt.labels import SILENCE, LabelSpace, NoteLabels, octave_pitch_to_note_number
from lt.models.baselines import ConvClassifier, ConvSynth, Lessons, Majority, PcaClassifier, fit
from lt.seeds import seed_of

BATCH = 4096  # frames mixed at once
LESSON_VALUES = 1 << 26  # numbers that the rounds of mixtures may hold in all
MOST_ROUNDS = 32  # of mixtures drawn for a baseline; epochs take them in turn
PYIN_WINDOW = 2048  # samples, where the lowest note allows it
PYIN_MARGIN = 2  # semitones beyond the instrument's range

Report = Callable[[], None]


# --- trained --------------------------------------------------------------------------------------


def train_classifier(
    subject: Subject, epochs: int, batch_size: int, seed: int, on_epoch: Report = lambda: None
) -> PcaClassifier:
    """The article's baseline: as many principal components as the model has (top) latent
    dimensions, then an MLP.

    Raises:
        ValueError: it did not learn (the loss became NaN).
    """
    run = subject.run
    classifier = _fresh(
        PcaClassifier(run.scaler.n_features, run.model.dims[-1], run.space.group_sizes),
        subject,
        seed,
    )
    classifier.fit_components(draw_frames(subject, "train", seed, 0)[0])

    def projected(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return classifier.project(pair[0]), pair[1]

    lessons = _lessons(subject, seed, run.model.dims[-1], projected)
    fit(classifier.network, lessons, epochs, batch_size, seed_of(seed, "baseline", 0), on_epoch)
    return classifier.eval()


def train_conv_classifier(
    subject: Subject, epochs: int, batch_size: int, seed: int, on_epoch: Report = lambda: None
) -> ConvClassifier:
    """Signal -> symbols by convolutions over frequency. Raises as `train_classifier`."""
    run = subject.run
    network = _fresh(ConvClassifier(run.scaler.n_features, run.space.group_sizes), subject, seed)
    lessons = _lessons(subject, seed, run.scaler.n_features, lambda pair: pair)
    fit(network, lessons, epochs, batch_size, seed_of(seed, "baseline", 1), on_epoch)
    return network.eval()


def train_conv_synth(
    subject: Subject, epochs: int, batch_size: int, seed: int, on_epoch: Report = lambda: None
) -> ConvSynth:
    """Symbols -> signal by transposed convolutions over frequency. Raises as `train_classifier`."""
    run = subject.run
    network = _fresh(ConvSynth(run.scaler.n_features, run.space.group_sizes), subject, seed)
    lessons = _lessons(subject, seed, run.scaler.n_features, lambda pair: (pair[1], pair[0]))
    fit(network, lessons, epochs, batch_size, seed_of(seed, "baseline", 2), on_epoch)
    return network.eval()


def find_majority(subject: Subject, seed: int) -> Majority:
    """The commonest class of each label in the training part, with rests as it will be judged: it
    only knows shares.
    """
    run = subject.run
    judged = draw_frames(subject, "train", seed, 0, JUDGED_REST_SHARE)[1]
    return Majority(judged, run.space.group_sizes).to(run.device).eval()


def _fresh(network: nn.Module, subject: Subject, seed: int) -> nn.Module:
    """The network with weights that depend on the seed alone, on the run's device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "baseline"))
        for module in network.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return network.to(subject.run.device)


def _lessons(
    subject: Subject,
    seed: int,
    width: int,
    shaped: Callable[[tuple[Tensor, Tensor]], tuple[Tensor, Tensor]],
) -> Lessons:
    """Rounds of the training part's mixtures, as many as LESSON_VALUES allows, and one of the
    validation part's.
    """
    mixer = subject.mixer("train", subject.run.config.silence_share, subject.run.config.rest_share)
    changing = (
        len(mixer.sources) > 1
        or mixer.config.random_mode != "constant"
        or (mixer.space.silence and mixer.config.silence_share > 0)
    )
    n_rounds = (
        min(max(1, LESSON_VALUES // (mixer.n_frames * width)), MOST_ROUNDS) if changing else 1
    )
    rounds = [shaped(draw_frames(subject, "train", seed, index)) for index in range(n_rounds)]
    return Lessons(rounds, shaped(draw_frames(subject, "valid", seed, 0)))


@torch.no_grad()
def draw_frames(
    subject: Subject, part: str, seed: int, index: int, rest_share: float | None = None
) -> tuple[Tensor, Tensor]:
    """Every frame of a part in freshly drawn mixtures, with silence and, unless given, rests as in
    training: features (frames, features) and classes (frames, groups).
    """
    config = subject.run.config
    mixer = subject.mixer(
        part, config.silence_share, config.rest_share if rest_share is None else rest_share
    )
    pieces = []
    for number, positions in enumerate(mixer.order(seed, index).split(BATCH)):
        batch = mixer.batch(positions, seed, index, number, stream="baseline")
        pieces.append((subject.run.scaler.apply(batch.mixture), batch.classes.flatten(1)))
    features, classes = zip(*pieces)
    return torch.cat(features), torch.cat(classes)


# --- pYIN -----------------------------------------------------------------------------------------


def pyin_scores(subject: Subject, part: str, on_note: Report = lambda: None) -> Results | None:
    """pYIN (Mauch & Dixon 2014; librosa's), rounded to the nearest note, on the part's own frames.

    Where it hears no voice it says silence, if the model has a class for that, else the note that
    it thinks likeliest. Its range is the instrument's with two semitones to spare. Notes whose
    source is gone are left out.

    Returns:
        {"symbol": {"transfer": ...}, "frames": those judged}; None for mixtures, models without
        pitch, or where no note's source is left.
    """
    run, data = subject.run, subject.data
    labels = tuple(label for label in run.space.labels if label != "dynamics")
    if len(run.space.instruments) > 1 or "pitch" not in labels:
        return None
    space = LabelSpace(labels, run.space.instruments, run.space.silence)
    frames = subject.split.frames[part][0]
    low, high = note_range(data, run.config.instruments[0])
    truth, heard = [], []
    for note in np.unique(data.note_of_frame[frames]):
        audio = subject.note_audio(int(note))
        on_note()
        if audio is None:
            continue
        own = frames[data.note_of_frame[frames] == note]
        numbers = pyin_notes(
            audio,
            int(data.lengths[note]),
            data.config.sample_rate,
            data.config.frame_hop,
            low,
            high,
            voiced_only=space.silence,
        )[own - data.starts[note]]
        heard.append(NoteLabels.from_notes(numbers, np.zeros(len(numbers), np.int64)))
        table = np.repeat(data.notes.labels[note][None], len(own), axis=0)
        truth.append(NoteLabels.from_table(np.where(data.sounding[own][:, None], table, SILENCE)))
    if not truth:
        return None
    classes = np.concatenate([space.to_classes([labels]) for labels in truth])
    guess = SymbolGuess(np.concatenate([space.to_classes([labels]) for labels in heard]), None)
    return {"symbol": {"transfer": symbol_scores(space, classes, guess)}, "frames": len(classes)}


def note_range(data: DataSet, instrument: str) -> tuple[int, int]:
    """The lowest and the highest note number of an instrument in a data set."""
    own = data.notes.labels[data.notes_of(instrument)]
    numbers = octave_pitch_to_note_number(own[:, 0], own[:, 1])
    return int(numbers.min()), int(numbers.max())


def pyin_notes(
    audio: np.ndarray,
    n_frames: int,
    sample_rate: int,
    frame_hop: int,
    lowest: int,
    highest: int,
    voiced_only: bool,
) -> np.ndarray:
    """The note number that pYIN hears at the centre of each model frame: (n_frames,), SILENCE where
    unvoiced.

    Args:
        audio: (samples,). lowest, highest: the instrument's range. voiced_only: else its best guess
            everywhere.
    """
    from librosa import hz_to_midi, midi_to_hz, pyin

    low, high = (
        midi_to_hz(lowest - PYIN_MARGIN),
        min(midi_to_hz(highest + PYIN_MARGIN), 0.45 * sample_rate),
    )
    window = PYIN_WINDOW
    while window < 4 * sample_rate / low:  # two periods fit in half a window
        window *= 2
    frequency, voiced, _ = pyin(
        audio,
        fmin=low,
        fmax=high,
        sr=sample_rate,
        frame_length=window,
        hop_length=frame_hop // 2,
        fill_na=None,
    )
    numbers = np.rint(hz_to_midi(frequency)).astype(np.int64)
    if voiced_only:
        numbers = np.where(voiced, numbers, SILENCE)
    centres = np.minimum(2 * np.arange(n_frames) + 1, len(numbers) - 1)
    return numbers[centres]
