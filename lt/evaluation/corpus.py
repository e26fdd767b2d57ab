"""Evaluate a run on a corpus of recordings with aligned MIDI (`lt_midi.py`).

    results.json results.csv       the scores
    report.html                    the scores, and pictures and sounds of the first recordings
    transcriptions/ ...            what `lt.evaluation.recordings` writes for each recording

Frames and velocities are pooled over the recordings, note scores are means over them. Several
recordings are evaluated at once, each by a process on one core.
"""

from __future__ import annotations

import logging
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Callable, Iterable, Iterator, Mapping, Sequence

import torch

from lt.audio.io import audio_seconds
from lt.config import CrossConfig, DecoderConfig
from lt.devices import cpu_count
from lt.evaluation.baselines import stored_classifier
from lt.evaluation.ground_truth import Pair, count_converted
from lt.evaluation.metrics import pooled_note_figures, velocity_figures
from lt.evaluation.page import SoundExample
from lt.evaluation.recordings import (
    OUTPUTS,
    NoteResult,
    RecordingResult,
    evaluate_recording,
    synthesis_config,
)
from lt.evaluation.report import Report, write_report
from lt.evaluation.results import (
    EXPLANATIONS,
    Results,
    Score,
    headline,
    placed,
    select,
    tables,
    write_results,
)
from lt.evaluation.scoring import concatenated, score_frames
from lt.files import check_folder, refuse_overwriting_inputs
from lt.labels import LabelSpace
from lt.models.baselines import CLASSIFIER_FILE, PcaClassifier
from lt.models.runs import Run, load_run
from lt.progress import Progress, silent

LONG_SECONDS = 1200.0  # longer recordings are evaluated one at a time, for the sake of memory

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CorpusResult:
    """The evaluation of a corpus.

    Attributes:
        results: None if no scores were asked for, or no recording could be evaluated.
        failures: by stem, why a recording could not be evaluated.
    """

    results: Results | None
    failures: Mapping[str, Exception]


def evaluate_corpus(
    run: Run,
    pairs: Sequence[Pair],
    folder: Path,
    config: CrossConfig = CrossConfig(),
    decoder: DecoderConfig = DecoderConfig(),
    progress: Progress = silent,
) -> CorpusResult:
    """Transcribe recordings, compare them with their MIDI, and write the files listed above. The
    failure of one recording leaves the others unaffected.

    Args:
        decoder: constants of note decoding; results.json records them.

    Raises:
        ValueError: a damaged classifier, or an output would overwrite an input. OSError: `folder`
        cannot be made or written.
    """
    check_folder(folder)
    classifier = stored_classifier(run) if config.classifier else None
    outputs = [folder / name.format(pair.stem) for pair in pairs for name in OUTPUTS]
    refuse_overwriting_inputs(outputs, [file for pair in pairs for file in (pair.audio, pair.midi)])
    _log_conditions(run, pairs, config.classifier and classifier is None)
    recordings: dict[str, RecordingResult] = {}
    failures: dict[str, Exception] = {}
    work = partial(evaluate_recording, folder=folder, config=config, decoder=decoder)
    with (
        progress(total=len(pairs), desc=run.folder.path.name, unit="file") as bar,
        _evaluations(run, classifier, pairs, work, config) as evaluations,
    ):
        for pair, evaluation in zip(pairs, evaluations):
            try:
                recordings[pair.stem] = evaluation()
            except Exception as error:  # of any kind: the other recordings do not depend on it
                failures[pair.stem] = error
            else:
                for remark in recordings[pair.stem].remarks:
                    logger.info("%s: %s", pair.stem, remark)
            bar.update()
    results = _results(run, recordings, config, decoder)
    if results:
        write_results(folder, results)
    examples = [own.example for own in recordings.values() if own.example]
    if config.report and (results or examples):
        _write_report(run, folder, results, examples)
    return CorpusResult(results, failures)


def _write_report(
    run: Run, folder: Path, results: Results | None, examples: Sequence[SoundExample]
) -> None:
    """Write the scores, where there are some, and the examples as one page."""
    report = Report(
        run.folder.path.resolve().name,
        headline(results) if results else str(run.outputs),
        tables(results) if results else [],
        [],
        examples,
        EXPLANATIONS if results else {},
    )
    write_report(folder / "report.html", report)


def _log_conditions(run: Run, pairs: Sequence[Pair], no_classifier: bool) -> None:
    """Log what holds for all recordings."""
    path, rate = run.outputs, run.front_end.sample_rate
    if no_classifier:
        logger.info(
            "%s is not there, so no classifier is scored (lt_analyze.py --make_classifier 1 trains "
            "it)",
            path / CLASSIFIER_FILE,
        )
    converted = count_converted(pairs, rate)
    if converted:
        logger.info(
            "%d of %d recordings are resampled to %d Hz or mixed down to one channel",
            converted,
            len(pairs),
            rate,
        )
    if "pitch" not in run.space.labels:
        logger.info("%s: a model without the label pitch writes no MIDI", path)
    elif "octave" not in run.space.labels:
        logger.info("%s: a model without the label octave writes every note in octave 4", path)


# --- several at once ------------------------------------------------------------------------------


@contextmanager
def _evaluations(
    run: Run,
    classifier: PcaClassifier | None,
    pairs: Sequence[Pair],
    work: partial,
    config: CrossConfig,
) -> Iterator[list[Callable[[], RecordingResult]]]:
    """A call for each pair that returns its result: of this process, or of a worker at work."""
    n_jobs = _n_jobs(run, pairs, config.jobs)
    tasks = [(partial(work, shown=index < config.report), pair) for index, pair in enumerate(pairs)]
    if n_jobs == 1:
        yield [partial(own, run, classifier, pair) for own, pair in tasks]
        return
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(n_jobs, context, torch.set_num_threads, (1,))
    job = partial(_evaluate_in_worker, run.folder.path, classifier is not None)
    try:
        yield [executor.submit(job, own, pair).result for own, pair in tasks]
    finally:
        executor.shutdown(cancel_futures=True)


def _n_jobs(run: Run, pairs: Sequence[Pair], jobs: int) -> int:
    """How many recordings are evaluated at once: one on a GPU, and if some are long."""
    if run.device.type != "cpu" or any(_seconds(pair.audio) > LONG_SECONDS for pair in pairs):
        return 1
    return max(1, min(jobs or cpu_count(), len(pairs)))


def _seconds(path: Path) -> float:
    """Duration of a recording; 0 if it cannot be read, which is reported later."""
    with suppress(OSError, ValueError):
        return audio_seconds(path)
    return 0.0


def _evaluate_in_worker(
    path: Path, with_classifier: bool, work: partial, pair: Pair
) -> RecordingResult:
    run, classifier = _load(path)
    return work(run, classifier if with_classifier else None, pair)


@lru_cache(maxsize=1)
def _load(path: Path) -> tuple[Run, PcaClassifier | None]:
    """The run and its classifier, loaded once a process."""
    run = load_run(path)
    return run, stored_classifier(run)


# --- scores ---------------------------------------------------------------------------------------


def _results(
    run: Run,
    recordings: Mapping[str, RecordingResult],
    config: CrossConfig,
    decoder: DecoderConfig,
) -> Results | None:
    """The scores that were asked for; None if there are none."""
    if not recordings:
        return None
    scores = corpus_scores(run.space, recordings)
    remarks = {stem: "; ".join(own.remarks) for stem, own in recordings.items() if own.remarks}
    if not config.losses:
        scores, remarks = select(scores, scope="baselines"), {}
    if not (scores or remarks):
        return None
    evaluated = [own.predictions for own in recordings.values() if own.predictions]
    about = {
        "model": str(run.outputs),
        "seed": config.seed,
        "epoch": run.epoch,
        "frames": sum(len(predictions.classes) for predictions in evaluated),
    }
    settings = {"decoder": vars(decoder)}
    if config.resynthesize:
        settings["synthesis"] = vars(synthesis_config(config))
    return Results(about, scores, remarks, settings)


def corpus_scores(space: LabelSpace, recordings: Mapping[str, RecordingResult]) -> list[Score]:
    """Scores of all recordings together and of each, by stem; for a single file those of the
    classifier are beside its reconstruction and transfer.
    """
    results = list(recordings.values())
    scores = [*_frame_scores(space, results), *_note_scores(own.notes for own in results)]
    for index, part in enumerate(space.parts):
        notes = [own.instruments[index] for own in results if own.instruments]
        scores += placed(_note_scores(notes), scope="instruments", name=part.name)
    for stem, own in recordings.items():
        scores += placed(_file_scores(space, own), scope="files", name=stem)
    return scores


def _file_scores(space: LabelSpace, recording: RecordingResult) -> list[Score]:
    scores = _frame_scores(space, [recording])
    baselines = [replace(score, path=score.name) for score in select(scores, scope="baselines")]
    return [*select(scores, scope="overall"), *baselines, *_note_scores([recording.notes])]


def _frame_scores(space: LabelSpace, recordings: Sequence[RecordingResult]) -> list[Score]:
    """Scores of all frames together."""
    predictions = [own.predictions for own in recordings if own.predictions]
    return score_frames(space, concatenated(predictions)) if predictions else []


def _note_scores(results: Iterable[NoteResult | None]) -> list[Score]:
    """Scores of transcriptions; none where the model writes no notes."""
    known = [result for result in results if result]
    if not known:
        return []
    figures = pooled_note_figures([own.scores for own in known], [own.counts for own in known])
    figures |= velocity_figures(own.velocities for own in known)
    return [Score(measure, value, modality="notes") for measure, value in figures.items()]
