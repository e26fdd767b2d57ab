"""A recording and its transcription as an example of a page: spectrograms above the notes that
were played and those transcribed; the recording, its reconstruction, and its transcription played.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from lt.config import SynthesisConfig
from lt.evaluation.figures import Rolls, plot_comparison
from lt.evaluation.metrics import note_scores, unmatched_notes
from lt.evaluation.page import SoundExample, picture, sound
from lt.inference.decoding import reconstruct_magnitudes
from lt.inference.figures import plot_sound
from lt.inference.note_decoding import posteriors_to_tracks
from lt.inference.posteriors import RecordingSpectra, analyse_audio
from lt.inference.synthesis import events_to_audio, subframes_to_audio, tracks_to_events
from lt.messages import counted
from lt.midi import Note, Track
from lt.models.runs import Run
from lt.plotting import thin_out


@dataclass(frozen=True)
class Piece:
    """A recording and its transcription by a run.

    Attributes:
        audio: (samples,) at the run's rate.
        reference: the notes that were played, sorted; None where they are not known.
        tracks: the transcription.
    """

    name: str
    run: Run
    audio: np.ndarray
    reference: Sequence[Note] | None
    spectra: RecordingSpectra
    tracks: Sequence[Track]

    def until(self, seconds: float) -> Piece:
        """The piece up to a time; notes that sound there end there."""
        front_end = self.run.front_end
        n_frames = round(seconds * front_end.frame_rate)
        return replace(
            self,
            audio=self.audio[: n_frames * front_end.frame_hop],
            reference=None if self.reference is None else notes_until(self.reference, seconds),
            spectra=replace(self.spectra, magnitudes=self.spectra.magnitudes[:n_frames]),
            tracks=[
                replace(track, notes=tuple(notes_until(track.notes, seconds)))
                for track in self.tracks
            ],
        )


def notes_until(notes: Sequence[Note], seconds: float) -> list[Note]:
    """The notes that begin before a time, cut there."""
    return [
        replace(note, offset=min(note.offset, seconds)) for note in notes if note.onset < seconds
    ]


def analysed_piece(
    name: str, run: Run, audio: np.ndarray, reference: Sequence[Note] | None
) -> Piece:
    """A recording transcribed by a run."""
    analysis = analyse_audio(run, [audio])
    tracks = posteriors_to_tracks(analysis.posteriors)
    return Piece(name, run, audio, reference, analysis.spectra, tracks)


@torch.no_grad()
def piece_example(
    piece: Piece, config: SynthesisConfig, plot: bool = True, resynthesize: bool = True
) -> SoundExample:
    """A piece for a page.

    Args:
        config: of the synthesis.
        plot: with the picture. resynthesize: with what the model plays.
    """
    run, spectra = piece.run, piece.spectra
    rate, front_end = run.front_end.sample_rate, run.front_end
    notes = sorted(note for track in piece.tracks for note in track.notes)
    text = f"{counted(len(notes), 'note')} transcribed by the model {run.folder.path.name}"
    if piece.reference:
        scores = note_scores(piece.reference, notes)
        text += f", {len(piece.reference)} played: note F1 {scores.f1:.2f} (onsets within 50 ms)"
    reconstruction = reconstruct_magnitudes(run, spectra.magnitudes, spectra.tuning)
    sounds = [sound(piece.audio, rate, "recording")]
    if resynthesize:
        audio = subframes_to_audio(run, reconstruction, config)
        sounds.append(sound(audio, rate, "reconstruction"))
        try:
            audio = play_tracks(run, piece.tracks, config)
            sounds.append(sound(audio, rate, "played from its transcription"))
        except ValueError as reason:  # a model of mixtures without silence
            text += f"; not played: {reason}"
    if not plot:
        return SoundExample(piece.name, f"{text}.", sounds)
    original, grid = thin_out(spectra.magnitudes.numpy(), front_end)
    decoded, _ = thin_out(reconstruction.mean(dim=1).numpy(), front_end)
    panels = {"recording": original, "reconstruction": decoded}
    if piece.reference:
        rolls = Rolls(piece.reference, notes, *unmatched_notes(piece.reference, notes))
        seconds = len(spectra.magnitudes) * front_end.frame_seconds
        axes = plot_comparison(panels, rolls, grid, seconds, piece.name, None)
    else:
        axes = plot_sound(None, panels, grid, piece.tracks)
    caption = "Spectrograms, and the notes" + (
        ": played and transcribed." if piece.reference else " transcribed."
    )
    return SoundExample(piece.name, f"{text}.", sounds, picture(axes, caption))


def play_tracks(run: Run, tracks: Sequence[Track], config: SynthesisConfig) -> np.ndarray:
    """Tracks as a run plays them (samples,); half a second of silence where there are no notes."""
    if not any(track.notes for track in tracks):
        return np.zeros(run.front_end.sample_rate // 2, np.float32)
    return events_to_audio(run, tracks_to_events(tracks, run.space), config)
