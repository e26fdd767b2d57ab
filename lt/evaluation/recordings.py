"""One recording and its aligned MIDI, worked through: what a run hears, how right it is, what it
makes of both.

    transcriptions/STEM.mid .csv   notes heard, and the class probabilities of every model frame
    reconstructions/STEM.wav       the recording through the signal VAE
    transfers/STEM.wav             sound made from the MIDI's symbols
    plots/STEM.png                 spectra and notes on one time axis

Sound passes by in blocks, so that an hour needs little more memory than a minute. What comes back
(`Findings`) is plain arrays, which may cross to another process. All of it takes the posterior's
mean, but for log-likelihoods.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from lt.audio.io import to_peak, write_audio
from lt.audio.phase import magnitudes_to_audio
from lt.audio.tuning import tune
from lt.config import CrossConfig, SynthesisConfig
from lt.data.mixing import Batch
from lt.evaluation.figures import MOST_FRAMES, Rolls, plot_comparison
from lt.evaluation.ground_truth import Pair, Reference, compare_lengths, read_reference
from lt.evaluation.metrics import (
    FrameCounts,
    NoteScores,
    frame_counts,
    note_scores,
    unmatched_notes,
)
from lt.evaluation.scoring import FramePredictions, concatenated, predict_batch
from lt.inference.note_decoding import posteriors_to_tracks
from lt.inference.posteriors import (
    BLOCK_FRAMES,
    Posteriors,
    RecordingAnalysis,
    analyse_recording,
    write_labels_csv,
)
from lt.inference.synthesis import (
    events_to_audio,
    features_to_magnitudes,
    reconstruct_magnitudes,
    tracks_to_events,
)
from lt.midi import Note, Track, read_midi, write_midi
from lt.models.baselines import PcaClassifier
from lt.models.runs import Run
from lt.rows import Rows
from lt.seeds import torch_rng

FOLDERS = ("transcriptions", "reconstructions", "transfers", "plots")
SUFFIXES = {
    "transcriptions": (".mid", ".csv"),
    "reconstructions": (".wav",),
    "transfers": (".wav",),
    "plots": (".png",),
}
EQUAL_VELOCITIES = "dynamics are not scored: all velocities of its MIDI are equal"
NO_FRAMES = (
    "frames are not scored: the model knows no silence, and in none do all of its instruments sound"
)
TITLES = ("original", "reconstruction", "transfer: made from the MIDI's symbols")  # of pictures


@dataclass(frozen=True)
class NoteResult:
    """Scores of a transcription."""

    scores: NoteScores
    counts: FrameCounts


@dataclass(frozen=True)
class RecordingResult:
    """The evaluation of one recording; plain arrays, so that it can cross to another process.

    Attributes:
        predictions: of its frames; None where no frame has true classes (see `Reference.classes`).
        notes: of the whole transcription; instruments: of each. None, and empty, for a model
            without pitch.
        remarks: what is odd, a sentence each.
    """

    predictions: FramePredictions | None
    notes: NoteResult | None
    instruments: tuple[NoteResult, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Frames:
    """A recording's model frames, one after another; pictures are thinned out.

    Attributes:
        pictures: title -> magnitudes of every `every`-th frame.
    """

    predictions: FramePredictions | None
    pictures: dict[str, np.ndarray]
    every: int


# --- a recording ----------------------------------------------------------------------------------


def evaluate_recording(
    run: Run, classifier: PcaClassifier | None, pair: Pair, folder: Path, config: CrossConfig
) -> RecordingResult:
    """Hear one recording, compare it with its MIDI, and write what was asked for.

    Raises:
        FileNotFoundError, ValueError: the recording or the MIDI cannot be read. OSError: a file
        cannot be written.
    """
    reference = read_reference(pair.midi, run.space)
    analysis = analyse_recording(run, pair.audio)
    posteriors = analysis.posteriors
    heard = _transcribe(run, posteriors, folder / f"transcriptions/{pair.stem}.mid")
    frames = _frames(run, classifier, pair, analysis, reference, config.seed)
    seconds = len(analysis.magnitudes) * run.front_end.frame_seconds
    write_labels_csv(
        folder / f"transcriptions/{pair.stem}.csv",
        posteriors.probabilities,
        run.space,
        run.front_end.frame_seconds,
    )
    remarks = [*reference.remarks, *compare_lengths(reference, seconds)]
    if config.resynthesize:
        remarks += _resynthesise(run, reference, pair, analysis, seconds, folder, config)
    if config.plot:
        plot_comparison(
            frames.pictures,
            _rolls(reference.notes, _merged(heard or ())),
            run.front_end,
            frames.every,
            seconds,
            folder / f"plots/{pair.stem}.png",
            pair.audio.name,
        )
    if frames.predictions is None:
        remarks.append(NO_FRAMES)
    elif "dynamics" in run.space.labels and not reference.velocities_differ:
        remarks.append(EQUAL_VELOCITIES)
    return RecordingResult(
        frames.predictions, *_note_figures(reference, heard, run), tuple(remarks)
    )


def _transcribe(run: Run, posteriors: Posteriors, path: Path) -> list[Track] | None:
    """Write the notes heard, and read them again as any program would; None for a model without
    pitch.

    Returns a track an instrument; a track without notes is one all the same.
    """
    if "pitch" not in run.space.labels:
        return None
    write_midi(path, posteriors_to_tracks(posteriors))
    written = {track.name: track for track in read_midi(path)}
    return [written.get(name, Track(name, 0, ())) for name in run.space.instruments]


def _note_figures(
    reference: Reference, heard: Sequence[Track] | None, run: Run
) -> tuple[NoteResult | None, tuple[NoteResult, ...]]:
    """Figures of all notes, and of each instrument's."""
    if heard is None:
        return None, ()

    def figures(truth: Sequence[Note], estimated: Sequence[Note]) -> NoteResult:
        return NoteResult(note_scores(truth, estimated), frame_counts(truth, estimated))

    own = tuple(figures(track.notes, other.notes) for track, other in zip(reference.tracks, heard))
    return figures(reference.notes, _merged(heard)), own


def _rolls(reference: Sequence[Note], estimated: Sequence[Note]) -> Rolls:
    return Rolls(reference, estimated, *unmatched_notes(reference, estimated))


def _merged(tracks: Sequence[Track]) -> tuple[Note, ...]:
    return tuple(sorted(note for track in tracks for note in track.notes))


# --- frames ---------------------------------------------------------------------------------------


@torch.no_grad()
def _frames(
    run: Run,
    classifier: PcaClassifier | None,
    pair: Pair,
    analysis: RecordingAnalysis,
    reference: Reference,
    seed: int,
) -> Frames:
    """Judge every model frame of a recording, block by block."""
    place = zlib.crc32(
        pair.stem.encode()
    )  # draws do not depend on which other recordings there are
    n_frames, tuning = len(analysis.magnitudes), analysis.tuning
    classes, known = reference.classes(run.space, n_frames, run.front_end.frame_seconds)
    every = max(1, -(-n_frames // MOST_FRAMES))
    predictions, pictures, first = [], {title: Rows() for title in TITLES}, 0
    for number, magnitudes in enumerate(analysis.magnitudes.split(BLOCK_FRAMES)):
        rows = slice(first, first + len(magnitudes))
        own, judgeable = classes[rows], known[rows]
        tuned = tune(magnitudes, -tuning, run.front_end)
        if judgeable.any():
            predicted = _predict(
                run, classifier, tuned[judgeable], own[judgeable], seed, place, number
            )
            dynamics_known = np.full(len(predicted.classes), reference.velocities_differ)
            predictions.append(replace(predicted, dynamics_known=dynamics_known))
        thin = slice(-first % every, None, every)
        for title, shown in zip(
            TITLES,
            (
                magnitudes[thin],
                reconstruct_magnitudes(run, magnitudes[thin], tuning),
                _transfer(run, own[thin], judgeable[thin]),
            ),
        ):
            pictures[title].add(shown.numpy())
        first += len(magnitudes)
    return Frames(
        concatenated(predictions) if predictions else None,
        {title: rows.array() for title, rows in pictures.items()},
        every,
    )


def _predict(
    run: Run,
    classifier: PcaClassifier | None,
    magnitudes: Tensor,
    classes: np.ndarray,
    seed: int,
    *key: int,
) -> FramePredictions:
    """Predictions for frames whose classes are known; random numbers are named by seed and key."""
    magnitudes = magnitudes.to(run.device)
    rngs = [torch_rng(seed, "recording", *key, half, device=run.device) for half in range(2)]
    batch = Batch(
        magnitudes,
        magnitudes,
        torch.from_numpy(classes).to(run.device),
        torch.ones(classes.shape[:2], device=run.device),
    )
    return predict_batch(run, batch, rngs, {} if classifier is None else {"classifier": classifier})


def _transfer(run: Run, classes: np.ndarray, known: np.ndarray) -> Tensor:
    """What the symbols of frames (frames, instruments, labels) should sound like; nothing where
    none are known.
    """
    symbols = torch.from_numpy(np.ascontiguousarray(classes)).to(run.device)
    magnitudes = features_to_magnitudes(run, run.model.symbol_to_signal(symbols).mean).cpu()
    return magnitudes * torch.from_numpy(np.ascontiguousarray(known))[:, None]


# --- sound ----------------------------------------------------------------------------------------


def _resynthesise(
    run: Run,
    reference: Reference,
    pair: Pair,
    analysis: RecordingAnalysis,
    seconds: float,
    folder: Path,
    config: CrossConfig,
) -> list[str]:
    """Write the recording through the signal VAE, and the MIDI, for `seconds`, as the model plays
    it; remarks where it cannot.
    """
    rate = run.front_end.sample_rate
    synthesis = SynthesisConfig(config.griffinlim_iters, config.seed, sample=False)
    reconstruction = reconstruct_magnitudes(run, analysis.magnitudes, analysis.tuning)
    sound = magnitudes_to_audio(reconstruction, run.front_end, synthesis, run.device)
    write_audio(folder / f"reconstructions/{pair.stem}.wav", to_peak(sound), rate)
    del sound, reconstruction  # an hour is half a gigabyte
    try:
        events = [
            replace(event, seconds=min(event.seconds, seconds - event.onset))
            for event in tracks_to_events(reference.tracks, run.space)
            if event.onset < seconds
        ]
        if not events:
            return ["no transfer: no note that the model can play"]
        sound = events_to_audio(run, events, synthesis)
    except ValueError as reason:  # a model of mixtures without silence, or a MIDI of days
        return [f"no transfer: {reason}"]
    write_audio(folder / f"transfers/{pair.stem}.wav", to_peak(sound), rate)
    return []
