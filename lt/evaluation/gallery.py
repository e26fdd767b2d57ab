"""A gallery of what trained models transcribe and play, as one HTML page like those of sounds
that accompany articles.

Chapters: held-out notes and their reconstructions, symbols to sound, transcriptions beside the
truth, morphings, trajectories, mixtures, chords, and a map of each model's latent space. Without
recordings, notes and tunes are those of the data set and of the embedded sound font; with
recordings, they are of these, and no data set is needed.

Names: `runs` are models; of `singles`, each knows one instrument that plays one note at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lt.config import GalleryConfig, MapConfig
from lt.evaluation.chapters import (
    Chapter,
    held_out_examples,
    map_chapter,
    mixture_chapters,
    path_chapters,
    read_recordings,
    rendered_tune,
    symbol_chapter,
    transcription_chapter,
)
from lt.evaluation.context import EvaluationContext, open_context
from lt.evaluation.latent_map import data_notes, latent_map, recorded_notes
from lt.evaluation.page import write_page
from lt.evaluation.results import Table
from lt.files import check_folder
from lt.models.pretrained import read_card
from lt.models.runs import Run
from lt.progress import Progress, silent

TEMPLATE = "gallery.html.j2"

logger = logging.getLogger(__name__)


def write_gallery(
    path: Path | str,
    runs: Sequence[Run],
    dbroot: Path | None = None,
    recordings: Path | None = None,
    config: GalleryConfig = GalleryConfig(),
    progress: Progress = silent,
) -> None:
    """Write the page.

    Args:
        runs: the models that are shown.
        dbroot: their data set, if it was moved since training.
        recordings: a folder of sound files, with aligned MIDI where there is some (`STEM.mid` or
            `STEM-lined.mid` beside `STEM.wav`), instead of the data set.
    Raises:
        FileNotFoundError, ValueError: a data set is gone or is another one; there is no recording.
        OSError: the page cannot be written.
    """
    check_folder(Path(path).parent)  # before minutes of work
    chapters = [_models(runs)]
    with progress(total=None, desc="gallery", unit="chapter") as bar:
        for chapter in (
            _from_recordings(runs, recordings, config, progress)
            if recordings
            else _from_data_sets(_open_contexts(runs, dbroot), config, progress)
        ):
            chapters.append(chapter)
            logger.info("%s: done", chapter.title)
            bar.update()
    names = ", ".join(run.folder.path.name for run in runs)
    content = {"title": "Latent transcription", "headline": f"Models: {names}"}
    has_maps = any(chapter.maps for chapter in chapters)
    write_page(path, TEMPLATE, {**content, "chapters": chapters}, script=has_maps)


def _open_contexts(runs: Sequence[Run], dbroot: Path | None) -> list[EvaluationContext]:
    """The runs with their data sets, each of which is read once."""
    opened: dict[Path, EvaluationContext] = {}
    contexts = []
    for run in runs:
        path = Path(dbroot or run.settings.data["path"])
        known = opened.get(path)
        contexts.append(open_context(run, known.data if known else path))
        opened[path] = contexts[-1]
    return contexts


def _models(runs: Sequence[Run]) -> Chapter:
    """The models and what is known of them."""
    cards = [read_card(run.folder.path).get("figures", {}) for run in runs]
    measures = list(dict.fromkeys(name for card in cards for name in card))
    rows = [
        (
            run.folder.path.name,
            ", ".join(run.config.instruments),
            *(f"{card[name]:.3f}" if name in card else "" for name in measures),
        )
        for run, card in zip(runs, cards)
    ]
    columns = ("", "", *(name.removesuffix(" accuracy") for name in measures))
    return Chapter(
        "models",
        "Models",
        "Each model has two variational auto-encoders whose latent spaces are made to match: one "
        "of constant-Q spectra, one of symbols: octave, pitch, dynamics, and age, the time since "
        "the onset or the note-off.",
        tables=[Table("Accuracy in frames of held-out notes", columns, rows)],
    )


def _from_data_sets(
    contexts: Sequence[EvaluationContext], config: GalleryConfig, progress: Progress
) -> Iterator[Chapter]:
    """The chapters of notes of the data sets and tunes of the embedded font."""
    singles = [own for own in contexts if _is_single(own.run)]
    if singles:
        yield Chapter(
            "instruments",
            "Notes and reconstructions",
            "Notes that the models were not trained on: as recorded, through the signal VAE, and "
            "from their symbols alone.",
            [example for own in singles for example in held_out_examples(own, config, progress)],
        )
        yield symbol_chapter([own.run for own in singles], config)
        tunes = [rendered_tune(own.run) for own in singles]
        yield transcription_chapter(
            [own for own in tunes if own],
            config,
            "A tune rendered from the sound font that the models' notes are from, its "
            "reconstruction, and its transcription, played again.",
        )
        yield from path_chapters([own.run for own in singles], config)
    yield from mixture_chapters(contexts, config, progress)
    if config.map_notes:
        yield map_chapter(
            [
                latent_map(
                    own.run,
                    data_notes(
                        own, np.concatenate(list(own.split.notes.values())), config.map_notes
                    ),
                    f"Notes of {', '.join(own.run.config.instruments)}, model "
                    f"{own.run.folder.path.name}",
                    config.seed,
                    progress=progress,
                )
                for own in contexts
            ]
        )


def _from_recordings(
    runs: Sequence[Run], folder: Path, config: GalleryConfig, progress: Progress
) -> Iterator[Chapter]:
    """The chapters of a folder of recordings, each with the run that fits it best."""
    recordings = list(read_recordings(runs, folder, config))
    yield transcription_chapter(
        recordings,
        config,
        "Recordings, each by the model whose reconstruction is nearest: its reconstruction, and "
        "its transcription, played again.",
    )
    used = list({id(own.run): own.run for own in recordings}.values())
    singles = [run for run in used if _is_single(run)]
    if singles:
        yield symbol_chapter(singles, config)
        yield from path_chapters(singles, config)
    if config.map_notes:
        maps = []
        for run in used:
            notes = [
                note
                for own in recordings
                if own.run is run
                for note in recorded_notes(run, own.name, own.spectra, own.tracks, MapConfig())
            ][: config.map_notes]
            if notes:
                title = f"Notes of the recordings, by {run.folder.path.name}"
                maps.append(latent_map(run, notes, title, config.seed, progress=progress))
        yield map_chapter(maps)


def _is_single(run: Run) -> bool:
    return len(run.space.instruments) == 1
