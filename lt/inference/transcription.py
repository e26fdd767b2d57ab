"""Transcription of a sound file by a run, by the name of a model, or by the one that fits best."""

from __future__ import annotations

from pathlib import Path

from lt.config import DecoderConfig
from lt.inference import note_decoding
from lt.inference.choice import choose_model
from lt.midi import Track
from lt.models.runs import Run, load_run
from lt.progress import Progress, silent


def transcribe(
    run: Run | Path | str,
    path: Path | str | None = None,
    config: DecoderConfig = DecoderConfig(),
    progress: Progress = silent,
) -> list[Track]:
    """Transcribe a sound file -> one track per instrument of the run.

    Args:
        run: a run, its folder, or the name of a model that comes with the package; may be left out:
            `transcribe(path)` takes the one that fits best.
        path: of the sound file.
        config: thresholds of note decoding.
        progress: like `tqdm.tqdm`; total in frames.

    Raises:
        FileNotFoundError, ValueError: as `lt.load_run` and `lt.audio.io.stream_audio`.

    Example:
        >>> run = lt.load_run("saves/flute__Flute")
        >>> [track.name for track in lt.transcribe(run, "recording.wav")]
        ['Flute']
    """
    if path is None:
        run, path = choose_model(run).run, run
    return note_decoding.transcribe(
        run if isinstance(run, Run) else load_run(run), path, config, progress
    )
