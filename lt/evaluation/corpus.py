"""A crossing: from a run's folder and recordings with their MIDI to a folder of results, with notes
and a bar on stderr. Several recordings are worked on at once, each by a process of its own on one
core.

    results.json results.csv       the figures
    transcriptions/ ...            what `lt.evaluation.recordings` writes for each recording

Findings about several recordings as one nested result, and a model's whole evaluation on them.

Frames are pooled over the recordings, note scores are means over them. Where all velocities of a
MIDI file are equal it says nothing about dynamics: its frames are left out of their scores, and a
remark says so.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Callable, Iterator, Mapping, Sequence

import torch

from lt import cli
from lt.audio.io import audio_seconds
from lt.config import CrossConfig
from lt.evaluation.ground_truth import Pair, count_converted
from lt.evaluation.metrics import pooled_note_figures
from lt.evaluation.recordings import FOLDERS, SUFFIXES, Findings, NoteFigures, work_through
from lt.evaluation.results import Results, settled, write_results
from lt.evaluation.scoring import joined, judged_results
from lt.files import refuse_overwriting_inputs
from lt.labels import LabelSpace
from lt.models.baselines import CLASSIFIER_FILE, PcaClassifier, read_classifier
from lt.models.runs import Run, load_run

LONG_SECONDS = 1200.0  # recordings of this length fill the memory one at a time
Ask = Callable[[], Findings]


def cross(
    path: Path, pairs: Sequence[Pair], folder: Path, config: CrossConfig, device: torch.device
) -> Results:
    """Hear recordings with one run; returns its settled results, empty where none were asked for or
    no recording could be judged. A bad recording is reported and the rest are done.

    Raises:
        FileNotFoundError, ValueError: no run at `path`, a damaged classifier, or an output that is
        an input. OSError: a file cannot be written.
    """
    run = load_run(path, device=device)
    classifier = _classifier(run, config)
    outputs = [
        folder / name / f"{pair.stem}{suffix}"
        for pair in pairs
        for name in FOLDERS
        for suffix in SUFFIXES[name]
    ]
    refuse_overwriting_inputs(outputs, [file for pair in pairs for file in (pair.audio, pair.midi)])
    _say_beforehand(run, path, pairs)
    findings: dict[str, Findings] = {}
    with (
        cli.progress(len(pairs), path.name, unit="file") as bar,
        _asked(run, classifier, pairs, folder, config) as asks,
    ):

        def receive(numbered: tuple[Pair, Ask]) -> None:
            pair, ask = numbered
            try:
                findings[pair.stem] = ask()
            finally:
                bar.update()
            for remark in remarks_on(findings[pair.stem], run.space):
                cli.note(f"{pair.stem}: {remark}")

        cli.for_each(list(zip(pairs, asks)), receive)
    return _write(run, path, findings, folder, config)


def _write(
    run: Run, path: Path, findings: dict[str, Findings], folder: Path, config: CrossConfig
) -> Results:
    """Settle and write the results that were asked for."""
    if not findings or not (config.losses or config.classifier):
        return {}
    results = pooled_results(run.space, findings)
    if not config.losses:
        results = {"baselines": results["baselines"]} if results.get("baselines") else {}
    if not results:
        return {}
    head = {
        "model": str(path),
        "seed": config.seed,
        "epoch": run.epoch,
        "frames": sum(
            len(one.judged.classes) for one in findings.values() if one.judged is not None
        ),
    }
    results = settled(head | results)
    write_results(folder, results)
    return results


def _classifier(run: Run, config: CrossConfig) -> PcaClassifier | None:
    """The baseline that lt_analyze.py left with the run, if it is wanted and there."""
    path = run.folder.path / CLASSIFIER_FILE
    if not config.classifier:
        return None
    if not path.is_file():
        cli.note(
            f"{path} is not there, so no classifier is judged (lt_analyze.py --make_classifier 1 "
            "trains it)"
        )
        return None
    return read_classifier(path, run.space, run.settings.run_id, run.device)


def _say_beforehand(run: Run, path: Path, pairs: Sequence[Pair]) -> None:
    """What holds for all recordings, once."""
    converted = count_converted(pairs, run.front_end.sample_rate)
    if converted:
        cli.note(
            f"{converted} of {len(pairs)} recordings are resampled to {run.front_end.sample_rate} "
            "Hz or mixed "
            "down to one channel"
        )
    if "pitch" not in run.space.labels:
        cli.note(f"{path}: a model without the label pitch writes no MIDI")
    elif "octave" not in run.space.labels:
        cli.note(f"{path}: a model without the label octave writes every note in octave 4")


# --- several at once ------------------------------------------------------------------------------


@contextmanager
def _asked(
    run: Run,
    classifier: PcaClassifier | None,
    pairs: Sequence[Pair],
    folder: Path,
    config: CrossConfig,
) -> Iterator[list[Ask]]:
    """A call for each pair that gives its findings: they are worked out here, or in processes that
    have begun.
    """
    n_jobs = _n_jobs(run, pairs, config)
    if n_jobs == 1:
        yield [partial(work_through, run, classifier, pair, folder, config) for pair in pairs]
        return
    executor = ProcessPoolExecutor(n_jobs, multiprocessing.get_context("spawn"))
    try:
        futures: list[Future[Findings]] = [
            executor.submit(_work_alone, run.folder.path, pair, folder, config) for pair in pairs
        ]
        yield [future.result for future in futures]
    finally:
        executor.shutdown(cancel_futures=True)


def _n_jobs(run: Run, pairs: Sequence[Pair], config: CrossConfig) -> int:
    """How many recordings are worked on at once; one on a GPU, and where recordings are long."""
    if run.device.type != "cpu" or any(_seconds(pair.audio) > LONG_SECONDS for pair in pairs):
        return 1
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(config.jobs or cores, len(pairs)))


def _seconds(path: Path) -> float:
    """Duration of a recording; 0 of one that cannot be read, which is reported later."""
    try:
        return audio_seconds(path)
    except (OSError, ValueError):
        return 0.0


def _work_alone(path: Path, pair: Pair, folder: Path, config: CrossConfig) -> Findings:
    """Work through a recording in a process of its own, on one core."""
    torch.set_num_threads(1)
    run, classifier = _loaded(path, config)
    return work_through(run, classifier, pair, folder, config)


@lru_cache(maxsize=1)
def _loaded(path: Path, config: CrossConfig) -> tuple[Run, PcaClassifier | None]:
    """The run and its classifier, loaded once a process."""
    run = load_run(path)
    known = config.classifier and (path / CLASSIFIER_FILE).is_file()
    return run, read_classifier(
        path / CLASSIFIER_FILE, run.space, run.settings.run_id
    ) if known else None


DYNAMICS, CLASSIFIER = "dynamics", "classifier"
EQUAL_VELOCITIES = "dynamics are not scored: all velocities of its MIDI are equal"
NO_FRAMES = (
    "frames are not scored: the model knows no silence, and in none do all of its instruments sound"
)


def pooled_results(space: LabelSpace, findings: Mapping[str, Findings]) -> Results:
    """Findings by stem -> {"overall", "instruments", "baselines", "latent", "files"} as in
    results.json; the classifier of a single file stands beside its `reconstruction` and `transfer`.
    """
    found = list(findings.values())
    results = _frame_results(space, found)
    notes = _pooled([one.notes for one in found])
    if notes:
        results.setdefault("overall", {})["notes"] = notes
        for index, name in enumerate(space.instruments):
            own = results.setdefault("instruments", {}).setdefault(name, {})
            own["notes"] = _pooled([one.instruments[index] for one in found])
    return results | {"files": {stem: _file_results(space, one) for stem, one in findings.items()}}


def remarks_on(one: Findings, space: LabelSpace) -> list[str]:
    """Everything odd about a recording and its scores, a sentence each."""
    remarks = list(one.remarks)
    if one.judged is None:
        remarks.append(NO_FRAMES)
    elif DYNAMICS in space.labels and not one.velocities_differ:
        remarks.append(EQUAL_VELOCITIES)
    return remarks


def _file_results(space: LabelSpace, one: Findings) -> Results:
    """One recording's scores, laid out as `overall`."""
    results = _frame_results(space, [one])
    scores = results.get("overall", {})
    for name, baseline in results.get("baselines", {}).items():
        scores["symbol"][name] = baseline["symbol"]["transfer"]
    if one.notes:
        scores["notes"] = _pooled([one.notes])
    remarks = remarks_on(one, space)
    return scores | ({"remarks": "; ".join(remarks)} if remarks else {})


def _frame_results(space: LabelSpace, found: Sequence[Findings]) -> Results:
    """Scores of all frames together; dynamics only of recordings whose MIDI says something about
    them.
    """
    judged = [one.judged for one in found if one.judged is not None]
    if not judged:
        return {}
    results = judged_results(space, joined(judged))
    if DYNAMICS not in space.labels:
        return results
    spoken = [one.judged for one in found if one.judged is not None and one.velocities_differ]
    return _with_dynamics(results, judged_results(space, joined(spoken)) if spoken else None)


def _with_dynamics(results: Results, spoken: Results | None) -> Results:
    """The same results with the dynamics of others; without them where there are none."""
    mixed = {}
    for name, value in results.items():
        other = None if spoken is None else spoken[name]
        if name == DYNAMICS and isinstance(value, dict):
            if other is not None:
                mixed[name] = other
        else:
            mixed[name] = _with_dynamics(value, other) if isinstance(value, dict) else value
    return mixed


def _pooled(figures: Sequence[NoteFigures | None]) -> Results:
    known = [one for one in figures if one is not None]
    return (
        pooled_note_figures([one.scores for one in known], [one.counts for one in known])
        if known
        else {}
    )
