"""Building data sets from sound fonts and recordings.

    import lt

    summary = lt.build_data_set(["recordings/flute"], "data/flute.npz")
    print(summary)

Sources are indexed (`lt.build.discover`), their notes selected (`lt.build.notes`), their features
extracted (`lt.build.extract`, `lt.build.pool`) and the data set is written whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from lt.audio.soundfont import check_font, embedded_font, import_tinysoundfont
from lt.build.discover import index_font, index_sources
from lt.build.extract import ExtractedNote
from lt.build.notes import FontNote, Manifest, select
from lt.build.pool import Job, cache_folder, make_jobs, read_magnitudes, run_jobs
from lt.build.summary import BuildSummary
from lt.config import NOTE_LABELS, BuildConfig, SpectralConfig
from lt.data.dataset import SUMMARY_SUFFIX, NoteTable, write_data_set
from lt.files import fsync_path, refuse_overwriting_inputs
from lt.labels import NoteLabels
from lt.progress import Progress, silent


def build_data_set(
    sources: Path | str | Sequence[Path | str],
    output: Path | str,
    config: BuildConfig = BuildConfig(),  # noqa: B008
    processes: int = 0,
    progress: Progress = silent,
) -> BuildSummary:
    """Build a data set from sound fonts, folders of recordings or other data sets.

    Writes `output` (see `lt.data.dataset`: spectra (frames, subframes, bins) float32 of whole
    notes, their labels, times and tuning) and beside it NAME.files.csv, a row for every file of
    the sources. Equal sources give equal bytes, whatever the number of processes. A build that was
    killed continues where it stopped when it is called again.

    Args:
        sources: one or several sound fonts (.sf2, .sf3), folders, CSV files, data sets (.npz).
        output: ends in .npz.
        config: which notes are kept, and how they are rendered and filtered.
        processes: 0: one per core.
        progress: shows the notes as they are extracted.
    Returns:
        What happened to every file; `print` shows it as tables.
    Raises:
        FileNotFoundError: a source is missing.
        ValueError: a source or a value of the config is not understood, no note can be used, or an
            output would replace an input.
        OSError: an output cannot be written; BlockingIOError: another process builds it.
        ImportError: a library that a source needs is not installed.

    Example:
        >>> config = lt.BuildConfig(instrument="Flute", default_dynamics="mf")
        >>> summary = lt.build_data_set(["notes"], "data/my_set.npz", config)
        >>> len(summary.used), lt.read_data_set("data/my_set.npz").notes.instruments
        (1, ('Flute',))
    """
    if isinstance(sources, (str, Path)):
        sources = [sources]
    manifest = select(index_sources([Path(source) for source in sources], config), config)
    summary = build_from_manifest(manifest, Path(output), config, processes, progress)
    summary.write_csv(Path(output).with_suffix(SUMMARY_SUFFIX))
    return summary


def build_from_manifest(
    manifest: Manifest,
    output: Path,
    config: BuildConfig,
    processes: int = 0,
    progress: Progress = silent,
) -> BuildSummary:
    """Build a data set from the notes of a manifest; see `build_data_set`."""
    _check_outputs(manifest, output)
    fonts = {n.location.path: n.location for n in manifest.notes if type(n.location) is FontNote}
    if fonts:
        import_tinysoundfont()  # else found missing in another process, after a while
    fonts.pop(embedded_font(), None)
    for font, note in fonts.items():
        check_font(font, note.bank, note.program)
    front_end = config.front_end
    with cache_folder(output) as folder:
        jobs = make_jobs(manifest.notes, folder, front_end)
        extracted = run_jobs(jobs, front_end, processes or _n_cores(), progress)
        extracted = {path: _checked(notes, config) for path, notes in extracted.items()}
        notes = tuple(note for job in jobs for note in extracted[job.path])
        summary = BuildSummary(notes, manifest.skipped, manifest.index_files)
        if summary.used:
            whole = folder / f"whole-{output.name}"  # if killed now, it goes with the cache
            starts = np.cumsum([0, *(note.n_frames for note in summary.used)])
            magnitudes = _magnitudes(jobs, extracted, front_end)
            settings = _settings(manifest, config)
            write_data_set(
                whole, magnitudes, starts, make_note_table(summary.used), front_end, settings
            )
            os.replace(whole, output)
            fsync_path(output.parent)
    if not summary.used:
        raise ValueError(
            f"none of the {summary.n_files} files gives a note ({summary.main_reason})"
        )
    return summary


def _check_outputs(manifest: Manifest, output: Path) -> None:
    """Find out before the long work whether the outputs can be written."""
    outputs = output, output.with_suffix(SUMMARY_SUFFIX)
    inputs = {*manifest.inputs, *(note.location.path for note in manifest.notes)}
    refuse_overwriting_inputs(outputs, inputs)
    for path in outputs:
        if path.is_dir():
            raise IsADirectoryError(
                f"{path} is a folder, not a file that can be replaced; choose another output"
            )


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _checked(notes: Sequence[ExtractedNote], config: BuildConfig) -> tuple[ExtractedNote, ...]:
    """Notes, those too far from their label left out."""
    limit = config.max_detuning or np.inf
    return tuple(
        replace(note, reason=f"off by {note.cents:+.0f} cents (max_detuning {limit:g})")
        if abs(note.cents) > limit
        else note
        for note in notes
    )


def _magnitudes(
    jobs: Sequence[Job],
    extracted: Mapping[Path, Sequence[ExtractedNote]],
    front_end: SpectralConfig,
) -> Iterator[np.ndarray]:
    """(frames, subframes, bins) of each note that is used; one cache file in memory at a time."""
    for job in jobs:
        notes = extracted[job.path]
        if any(not note.reason for note in notes):
            magnitudes = read_magnitudes(job, front_end)
            ends = np.cumsum([note.n_frames for note in notes])
            blocks = np.split(magnitudes, ends[:-1])
            yield from (block for block, note in zip(blocks, notes, strict=True) if not note.reason)


def make_note_table(notes: Sequence[ExtractedNote]) -> NoteTable:
    """Labels, instruments, groups, folds, sources, tuning and times of notes, a row each."""
    sources = [note.source for note in notes]
    instruments = tuple(dict.fromkeys(source.instrument for source in sources))
    groups = list(dict.fromkeys(source.group for source in sources))
    group_index = {group: index for index, group in enumerate(groups)}
    labels = NoteLabels.from_notes(
        np.array([source.note_number for source in sources]),
        np.array([source.dynamics for source in sources]),
    )
    return NoteTable(
        labels.table(NOTE_LABELS),
        np.array([instruments.index(source.instrument) for source in sources]),
        instruments,
        np.array([group_index[source.group] for source in sources]),
        np.array([source.fold for source in sources]),
        np.array([source.source for source in sources]),
        *(
            np.array([getattr(note, name) for note in notes])
            for name in ("cents", "onset", "release")
        ),
    )


def _settings(manifest: Manifest, config: BuildConfig) -> dict[str, object]:
    """What the data set stores about the build: no folders, dates or machines, so that equal sets
    have equal bytes.
    """
    lists = {name: list(v) for name, v in asdict(config).items() if isinstance(v, tuple)}
    midiroot = Path(config.midiroot).name
    return {**asdict(config), **lists, "midiroot": midiroot, "sources": list(manifest.sources)}


# --- the embedded set -----------------------------------------------------------------------------


def font_manifest(instruments: Sequence[str] = ()) -> Manifest:
    """Manifest of the embedded font: every note of its five instruments, or of others."""
    manifest = index_font(embedded_font(), BuildConfig(instruments=tuple(instruments)))
    return replace(manifest, sources=(embedded_font().name,))


def build_embedded_set(path: Path | str, progress: Progress = silent) -> BuildSummary:
    """Build the default data set of `lt_train.py` from the sound font that pretty_midi carries.

    Its five instruments are `lt.build.embedded_set.EMBEDDED`, each over its range at five dynamics.
    """
    config = BuildConfig(kind="font")
    return build_from_manifest(font_manifest(), Path(path), config, progress=progress)
