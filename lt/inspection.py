"""An inspection: from a run's folder to its analysis folder, with notes and bars on stderr.

    results.json results.csv        the figures
    confusion_<label>.png ...       pictures
    audio/ ex_<i>.png               examples
    report.html                     all of it on one page
    MODEL/test_classifier.t7        the baseline that lt_midi.py reads
"""
from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from lt import cli
from lt.analysis import Judged, Results, evaluate
from lt.baselines import CLASSIFIER_FILE, read_classifier, write_classifier
from lt.config import AnalysisConfig
from lt.files import atomic_path
from lt.results import settled, write_results
from lt.rivals import find_majority, pyin_scores, train_classifier, train_conv_classifier, train_conv_synth
from lt.runs import Run, load_run
from lt.subjects import Subject, open_subject


def inspect(path: Path, output: Path | None, dbroot: Path | None, config: AnalysisConfig, device: torch.device) -> Results:
    """Analyse one run; returns its settled results.

    Raises:
        FileNotFoundError, ValueError: no run at `path`, or its data set has gone or changed.
        OSError: a file cannot be written.
    """
    run = load_run(path, device=device)
    subject = open_subject(run, dbroot)
    folder = output or path / "analysis"
    with atomic_path(folder / ".lt-probe") as probe:  # that it cannot be written is better known now than in an hour
        probe.write_bytes(b"")
    (folder / ".lt-probe").unlink()
    results, judged = judge(subject, config)
    results = settled(describe(run, path, subject, config) | results)
    write_results(folder, results)
    return results


def describe(run: Run, path: Path, subject: Subject, config: AnalysisConfig) -> Results:
    """The head of results.json: which model was judged on what."""
    frames = max(len(own) for own in subject.split.frames[config.partition])
    return {"model": str(path), "seed": config.seed, "split": run.config.split, "partition": config.partition,
            "epoch": run.epoch, "passes": config.nb_passes, "frames": frames}


def judge(subject: Subject, config: AnalysisConfig) -> tuple[Results, Judged]:
    """The figures of the model and its baselines, as far as they are asked for."""
    networks = baselines(subject, config)
    with cli.progress(config.nb_passes, "judging", unit="pass") as bar:
        results, judged = evaluate(subject, config.partition, config.nb_passes, config.seed, networks, bar.update)
    if not config.make_losses:
        results = {"baselines": results["baselines"]}
    if config.evaluate_classifier:
        with cli.progress(len(subject.split.notes[config.partition]), "pYIN", unit="note") as bar:
            scores = pyin_scores(subject, config.partition, bar.update)
        if scores is None:
            cli.note(f"{subject.run.folder.path}: no pYIN baseline (it hears single instruments, in notes whose source "
                     "can be read again)")
        else:
            results["baselines"]["pyin"] = scores
    return results, judged


def baselines(subject: Subject, config: AnalysisConfig) -> dict[str, nn.Module]:
    """The trained baselines that shall be judged, by name; the classifier is kept with the run."""
    run = subject.run
    networks: dict[str, nn.Module] = {}
    training = {"classifier": (config.make_classifier, train_classifier),
                "conv_classifier": (config.conv_classifier, train_conv_classifier),
                "conv_synth": (config.conv_synth, train_conv_synth)}
    for name, (wanted, train) in training.items():
        if wanted:
            with cli.progress(config.classifier_epochs, f"training {name}", unit="epoch") as bar:
                networks[name] = train(subject, config.classifier_epochs, config.classifier_bs, config.seed, bar.update)
    path = run.folder.path / CLASSIFIER_FILE
    if config.make_classifier:
        write_classifier(path, networks["classifier"], run.space, run.settings.run_id)
    elif config.evaluate_classifier and path.is_file():
        networks["classifier"] = read_classifier(path, run.space, run.settings.run_id, run.device)
    elif config.evaluate_classifier:
        cli.note(f"{path} is not there, so the classifier is not judged (--make_classifier 1 trains it)")
    if not config.evaluate_classifier:
        networks.pop("classifier", None)
    return {**networks, "majority": find_majority(subject, config.seed)}
