"""Evaluate one recording against its aligned MIDI.

    transcriptions/STEM.mid .csv   the notes, and the class probabilities of every model frame
    reconstructions/STEM.wav       the recording through the signal VAE
    transfers/STEM.wav             sound made from the MIDI's symbols
    plots/STEM.png                 spectra and notes on one time axis

The latent is the posterior's mean throughout, except for log-likelihoods.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Sequence

import numpy as np
import torch

from lt.audio.io import stream_audio, to_peak, write_audio
from lt.audio.tuning import tune
from lt.config import CrossConfig, DecoderConfig, SynthesisConfig
from lt.data.mixing import Batch
from lt.evaluation.alignment import Fit, find_fit
from lt.evaluation.figures import Rolls, plot_comparison
from lt.evaluation.ground_truth import Pair, Reference, compare_lengths, read_reference
from lt.evaluation.metrics import (
    FrameCounts,
    NoteScores,
    frame_counts,
    matched_velocities,
    note_scores,
    unmatched_notes,
)
from lt.evaluation.page import SoundExample
from lt.evaluation.piece import Piece, piece_example
from lt.evaluation.scoring import MODALITIES, FramePredictions, concatenated, predict_batch
from lt.inference.decoding import features_to_magnitudes, reconstruct_magnitudes
from lt.inference.note_decoding import posteriors_to_tracks
from lt.inference.posteriors import (
    BLOCK_FRAMES,
    RecordingSpectra,
    analyse_recording,
    write_labels_csv,
)
from lt.inference.synthesis import events_to_audio, subframes_to_audio, tracks_to_events
from lt.messages import counted
from lt.midi import Note, Track, read_midi, write_midi
from lt.models.baselines import PcaClassifier
from lt.models.runs import Run
from lt.plotting import thin_out
from lt.seeds import torch_rng

OUTPUTS = (
    "transcriptions/{}.mid",
    "transcriptions/{}.csv",
    "reconstructions/{}.wav",
    "transfers/{}.wav",
    "plots/{}.png",
)
EQUAL_VELOCITIES = "dynamics are not scored: all velocities of its MIDI are equal"
NO_FRAMES = (
    "frames are not scored: the model knows no silence, and in none do all of its instruments sound"
)

JOINED_BATCHES = 64  # small arrays, kept for long among large ones, would leave gaps in the heap


@dataclass(frozen=True)
class NoteResult:
    """Scores of transcribed notes; `velocities: (matches, 2)` of reference and estimate."""

    scores: NoteScores
    counts: FrameCounts
    velocities: np.ndarray

    @classmethod
    def of(cls, reference: Sequence[Note], estimated: Sequence[Note]) -> NoteResult:
        """Compare estimated notes with the reference."""
        return cls(
            note_scores(reference, estimated),
            frame_counts(reference, estimated),
            matched_velocities(reference, estimated),
        )


@dataclass(frozen=True)
class RecordingResult:
    """The evaluation of one recording; plain arrays, so that it can cross to another process.

    Attributes:
        predictions: of its frames; None where no frame has true classes (see `Reference.classes`).
        notes: of the whole transcription; instruments: of each. None, and empty, for a model
            without pitch.
        remarks: what is odd, a sentence each.
        example: for the report; None where it is not shown, and for a model without pitch.
    """

    predictions: FramePredictions | None
    notes: NoteResult | None
    instruments: tuple[NoteResult, ...]
    remarks: tuple[str, ...]
    example: SoundExample | None = None


def evaluate_recording(
    run: Run,
    classifier: PcaClassifier | None,
    pair: Pair,
    folder: Path,
    config: CrossConfig,
    decoder: DecoderConfig = DecoderConfig(),
    shown: bool = False,
) -> RecordingResult:
    """Transcribe a recording, compare it with its MIDI, and write the files that `config` asks for.

    Args:
        classifier: the baseline to be scored beside the model.
        shown: make an example for the report.

    Raises:
        FileNotFoundError, ValueError: the recording or the MIDI cannot be read. OSError: a file
        cannot be written.
    """
    reference = read_reference(pair.midi, run.space, bool(config.pedal))
    tracks, spectra = _transcribe(run, pair, folder / "transcriptions", config, decoder)
    seconds = len(spectra.magnitudes) * run.front_end.frame_seconds
    notes = tuple(sorted(note for track in tracks for note in track.notes))
    reference, alignment = _aligned(reference, notes, config)
    remarks = [*reference.remarks, *alignment, *compare_lengths(reference, seconds)]
    predictions = _predict(run, classifier, pair.stem, spectra, reference, config.seed)
    if config.resynthesize:
        _write_reconstruction(run, spectra, config, folder / f"reconstructions/{pair.stem}.wav")
        path = folder / f"transfers/{pair.stem}.wav"
        remarks += _write_transfer(run, reference, seconds, config, path)
    if config.plot:
        _plot(run, pair, spectra, reference, notes, folder / f"plots/{pair.stem}.png")
    if predictions is None:
        remarks.append(NO_FRAMES)
    elif "dynamics" in run.space.labels and not reference.velocities_differ:
        remarks.append(EQUAL_VELOCITIES)
    return RecordingResult(
        predictions,
        NoteResult.of(reference.notes, notes) if tracks else None,
        tuple(NoteResult.of(r.notes, e.notes) for r, e in zip(reference.tracks, tracks)),
        tuple(remarks),
        _example(run, pair, spectra, reference, tracks, config) if shown and tracks else None,
    )


def _aligned(
    reference: Reference, notes: Sequence[Note], config: CrossConfig
) -> tuple[Reference, list[str]]:
    """A reference shifted as `config.align` says, and remarks on how it fits the notes of the
    transcription better than as it is.
    """
    fit = find_fit(reference.notes, notes)
    if fit is None:
        return reference, []
    if not (fit.same_tempo and fit.shift):
        return reference, [f"the MIDI fits the recording {fit}"]
    if not config.align:
        return reference, [f"the MIDI fits the recording {fit} (--align 1 shifts it)"]
    moved = reference.moved(Fit(fit.shift))
    n_before = len(reference.notes) - len(moved.notes)
    left_out = f"; {counted(n_before, 'note')} before it left out" * (n_before > 0)
    return moved, [f"the MIDI is shifted, as it fits the recording {fit}{left_out}"]


def _transcribe(
    run: Run, pair: Pair, folder: Path, config: CrossConfig, decoder: DecoderConfig
) -> tuple[list[Track], RecordingSpectra]:
    """Analyse a recording, write its labels and notes, and return the notes and spectra alone:
    levels and bands of an hour are 0.2 GB.

    The notes are read again from their MIDI file, so that the file is what is scored: a track an
    instrument, with or without notes; none for a model without pitch.
    """
    analysis = analyse_recording(run, pair.audio, tuning=config.tuning)
    probabilities, step = analysis.posteriors.probabilities, run.front_end.frame_seconds
    write_labels_csv(folder / f"{pair.stem}.csv", probabilities, run.space, step)
    if "pitch" not in run.space.labels:
        return [], analysis.spectra
    path = folder / f"{pair.stem}.mid"
    write_midi(path, posteriors_to_tracks(analysis.posteriors, decoder))
    written = {track.name: track for track in read_midi(path)}
    names = [part.name for part in run.space.parts]
    tracks = [written.get(name, Track(name, 0, ())) for name in names]
    return tracks, analysis.spectra


@torch.no_grad()
def _predict(
    run: Run,
    classifier: PcaClassifier | None,
    stem: str,
    spectra: RecordingSpectra,
    reference: Reference,
    seed: int,
) -> FramePredictions | None:
    """Predict the frames whose true classes are known, block by block. Random numbers are named by
    the stem, so that they do not depend on the other recordings.
    """
    n_frames = len(spectra.magnitudes)
    classes, known = reference.classes(run.space, n_frames, run.front_end.frame_seconds)
    baselines = {"classifier": classifier} if classifier else {}
    place = zlib.crc32(stem.encode())
    batches = []
    for number, start in enumerate(range(0, n_frames, BLOCK_FRAMES)):
        frames = start + np.flatnonzero(known[start : start + BLOCK_FRAMES])
        if len(frames) == 0:
            continue
        rngs = [
            torch_rng(seed, "recording", place, number, modality, device=run.device)
            for modality in range(len(MODALITIES))
        ]
        magnitudes = tune(spectra.magnitudes[frames], -spectra.tuning, run.front_end)
        magnitudes = magnitudes.to(run.device)
        true_classes = torch.from_numpy(classes[frames]).to(run.device)
        weights = torch.ones(true_classes.shape[:2], device=run.device)
        # all subframes of a recorded frame are its mean
        subframes = magnitudes[:, None].expand(-1, run.settings.subframes, -1)
        batch = Batch(subframes, magnitudes, true_classes, weights)
        batches.append(predict_batch(run, batch, rngs, baselines))
        if len(batches) == JOINED_BATCHES:
            batches = [concatenated(batches)]
    if not batches:
        return None
    dynamics_known = np.full(known.sum(), reference.velocities_differ)
    return replace(concatenated(batches), dynamics_known=dynamics_known)


# --- sound and pictures ---------------------------------------------------------------------------


def synthesis_config(config: CrossConfig) -> SynthesisConfig:
    """The synthesis of reconstructions and transfers."""
    return SynthesisConfig(config.griffinlim_iters, config.seed, sample=False)


def _example(
    run: Run,
    pair: Pair,
    spectra: RecordingSpectra,
    reference: Reference,
    tracks: Sequence[Track],
    config: CrossConfig,
) -> SoundExample:
    """The beginning of a recording, `config.report_seconds`, for the report."""
    rate, n_samples, blocks = run.front_end.sample_rate, 0, []
    for block in stream_audio(pair.audio, rate):
        blocks.append(block)
        n_samples += len(block)
        if n_samples >= config.report_seconds * rate:
            break
    audio = np.concatenate(blocks)
    piece = Piece(pair.stem, run, audio, reference.notes, spectra, tracks)
    return piece_example(
        piece.until(min(config.report_seconds, len(audio) / rate)),
        synthesis_config(config),
        bool(config.plot),
        bool(config.resynthesize),
    )


@torch.no_grad()
def _write_reconstruction(
    run: Run, spectra: RecordingSpectra, config: CrossConfig, path: Path
) -> None:
    """Write the recording through the signal VAE."""
    magnitudes = reconstruct_magnitudes(run, spectra.magnitudes, spectra.tuning)
    audio = subframes_to_audio(run, magnitudes, synthesis_config(config))
    write_audio(path, to_peak(audio), run.front_end.sample_rate)


def _write_transfer(
    run: Run, reference: Reference, seconds: float, config: CrossConfig, path: Path
) -> list[str]:
    """Write `seconds` of the MIDI as the model plays it; or a remark why there is no such sound."""
    try:
        events = [
            replace(event, seconds=min(event.seconds, seconds - event.onset))
            for event in tracks_to_events(reference.tracks, run.space)
            if event.onset < seconds
        ]
        if not events:
            return ["no transfer: no note that the model can play"]
        audio = events_to_audio(run, events, synthesis_config(config))
    except ValueError as reason:  # a model of mixtures without silence, or a MIDI of days
        return [f"no transfer: {reason}"]
    write_audio(path, to_peak(audio), run.front_end.sample_rate)
    return []


@torch.no_grad()
def _plot(
    run: Run,
    pair: Pair,
    recorded: RecordingSpectra,
    reference: Reference,
    notes: Sequence[Note],
    path: Path,
) -> None:
    """Spectra of the recording, its reconstruction and transfer, above the notes; of long
    recordings every n-th frame.
    """
    n_frames = len(recorded.magnitudes)
    original, front_end = thin_out(recorded.magnitudes, run.front_end)
    every = front_end.frame_hop // run.front_end.frame_hop
    classes, known = reference.classes(run.space, n_frames, run.front_end.frame_seconds)
    symbols = torch.from_numpy(classes[::every]).to(run.device)
    transfer = features_to_magnitudes(run, run.model.symbol_to_signal(symbols).mean)
    reconstruction = reconstruct_magnitudes(run, original, recorded.tuning)
    spectra = {
        "original": original.numpy(),
        "reconstruction": reconstruction.mean(dim=1).numpy(),
        "transfer: made from the MIDI's symbols": transfer.mean(dim=1).cpu().numpy()
        * known[::every, None],
    }
    rolls = Rolls(reference.notes, notes, *unmatched_notes(reference.notes, notes))
    seconds = n_frames * run.front_end.frame_seconds
    plot_comparison(spectra, rolls, front_end, seconds, pair.audio.name, path)
