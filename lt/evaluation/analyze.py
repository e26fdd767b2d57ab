"""An inspection: from a run's folder to its analysis folder, with notes and bars on stderr.

results.json results.csv        the figures
confusion_<label>.png ...       pictures
audio/ ex_<i>.png               examples
report.html                     all of it on one page
MODEL/test_classifier.t7        the baseline that lt_midi.py reads
"""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import torch
from torch import nn

from lt import cli
from lt.audio.io import write_audio
from lt.config import AnalysisConfig
from lt.evaluation import metrics
from lt.evaluation.baselines import (
    find_majority,
    pyin_scores,
    train_classifier,
    train_conv_classifier,
    train_conv_synth,
)
from lt.evaluation.context import Subject, open_subject
from lt.evaluation.examples import Example, make_examples
from lt.evaluation.figures import plot_confusion, plot_example, plot_latent, plot_units
from lt.evaluation.report import Picture, Player, Report, SoundExample, write_report
from lt.evaluation.results import EXPLANATIONS, headline, settled, tables, write_results
from lt.evaluation.scoring import Judged, Results, evaluate, note_confusion
from lt.files import atomic_path
from lt.models.baselines import CLASSIFIER_FILE, read_classifier, write_classifier
from lt.models.runs import Run, load_run


def inspect(
    path: Path,
    output: Path | None,
    dbroot: Path | None,
    sources: Sequence[Path],
    config: AnalysisConfig,
    device: torch.device,
) -> Results:
    """Analyse one run; returns its settled results.

    Args:
        output: folder; None: MODEL/analysis. dbroot: None: the set it was trained on, where it lay.
        sources: folders where the notes' recordings or fonts lie.

    Raises:
        FileNotFoundError, ValueError: no run at `path`, or its data set has gone or changed.
        OSError: a file cannot be written.
    """
    run = load_run(path, device=device)
    subject = open_subject(run, dbroot, sources)
    folder = output or path / "analysis"
    with atomic_path(
        folder / ".lt-probe"
    ) as probe:  # that it cannot be written is better known now than in an hour
        probe.write_bytes(b"")
    (folder / ".lt-probe").unlink()
    results, judged = judge(subject, config)
    results = settled(describe(run, path, subject, config) | results)
    write_results(folder, results)
    pictures = draw(run, judged, results, folder) if config.make_figures else []
    write_report(
        folder / "report.html",
        Report(
            path.resolve().name,
            headline(results),
            tables(results),
            pictures,
            play(subject, config, folder),
            EXPLANATIONS,
        ),
    )
    return results


def describe(run: Run, path: Path, subject: Subject, config: AnalysisConfig) -> Results:
    """The head of results.json: which model was judged on what."""
    frames = max(len(own) for own in subject.split.frames[config.partition])
    return {
        "model": str(path),
        "seed": config.seed,
        "split": run.config.split,
        "partition": config.partition,
        "epoch": run.epoch,
        "passes": config.nb_passes,
        "frames": frames,
    }


def judge(subject: Subject, config: AnalysisConfig) -> tuple[Results, Judged]:
    """The figures of the model and its baselines, as far as they are asked for."""
    networks = baselines(subject, config)
    with cli.progress(config.nb_passes, "judging", unit="pass") as bar:
        results, judged = evaluate(
            subject, config.partition, config.nb_passes, config.seed, networks, bar.update
        )
    if not config.make_losses:
        results = {"baselines": results["baselines"]}
    if config.evaluate_classifier:
        with cli.progress(len(subject.split.notes[config.partition]), "pYIN", unit="note") as bar:
            scores = pyin_scores(subject, config.partition, bar.update)
        if scores is None:
            cli.note(
                f"{subject.run.folder.path}: no pYIN baseline (it hears single instruments, in "
                "notes whose source "
                "can be read again)"
            )
        else:
            results["baselines"]["pyin"] = scores
    return results, judged


def baselines(subject: Subject, config: AnalysisConfig) -> dict[str, nn.Module]:
    """The trained baselines that shall be judged, by name; the classifier is kept with the run."""
    run = subject.run
    networks: dict[str, nn.Module] = {}
    training = {
        "classifier": (config.make_classifier, train_classifier),
        "conv_classifier": (config.conv_classifier, train_conv_classifier),
        "conv_synth": (config.conv_synth, train_conv_synth),
    }
    for name, (wanted, train) in training.items():
        if wanted:
            with cli.progress(config.classifier_epochs, f"training {name}", unit="epoch") as bar:
                networks[name] = train(
                    subject, config.classifier_epochs, config.classifier_bs, config.seed, bar.update
                )
    path = run.folder.path / CLASSIFIER_FILE
    if config.make_classifier:
        write_classifier(path, networks["classifier"], run.space, run.settings.run_id)
    elif config.evaluate_classifier and path.is_file():
        networks["classifier"] = read_classifier(path, run.space, run.settings.run_id, run.device)
    elif config.evaluate_classifier:
        cli.note(
            f"{path} is not there, so the classifier is not judged (--make_classifier 1 trains it)"
        )
    if not config.evaluate_classifier:
        networks.pop("classifier", None)
    return {**networks, "majority": find_majority(subject, config.seed)}


# --- pictures and sounds --------------------------------------------------------------------------


def draw(run: Run, judged: Judged, results: Results, folder: Path) -> list[Picture]:
    """The pictures of an analysis."""
    pictures = []
    estimated = judged.symbols["transfer"].classes
    for index, label in enumerate(run.space.labels):
        counts = metrics.confusion(
            judged.classes[:, :, index], estimated[:, :, index], run.space.sizes[index]
        )
        path = folder / f"confusion_{label}.png"
        plot_confusion(counts, run.space.class_names(label), f"{label}, read from the signal", path)
        pictures.append(
            Picture(
                path, f"Confusion of {label}: how often each true class (rows) is read as which."
            )
        )
    if {"octave", "pitch"} <= set(run.space.labels):
        path = folder / "confusion_note.png"
        plot_confusion(
            *note_confusion(run.space, judged.classes, estimated),
            "notes, read from the signal",
            path,
        )
        pictures.append(Picture(path, "Confusion of notes, octave and pitch together."))
    plot_latent(judged.means, judged.classes, run.space, folder / "latent.png")
    plot_units(judged.means, folder / "latent_units.png")
    return [
        *pictures,
        Picture(
            folder / "latent.png",
            "The latent space: posterior means of both modalities on their "
            "common principal axes. Where the two clouds agree, symbols and sounds mean the same.",
        ),
        Picture(folder / "latent_units.png", "Latent units in use."),
    ]


def play(subject: Subject, config: AnalysisConfig, folder: Path) -> list[SoundExample]:
    """Write the sound examples and their pictures."""
    with cli.progress(config.generate_audio, "sound examples", unit="note") as bar:
        examples = make_examples(
            subject,
            config.partition,
            config.generate_audio,
            config.n_samples,
            config.seed,
            bar.update,
        )
    return [
        _write_example(example, index, subject.run, folder, config)
        for index, example in enumerate(examples)
    ]


def _write_example(
    example: Example, index: int, run: Run, folder: Path, config: AnalysisConfig
) -> SoundExample:
    stem = folder / "audio" / f"ex_{index}"
    origin = "original" if example.from_source else "original, made from its spectra (source gone)"
    sounds = {
        "orig": (origin, example.original),
        "reco": ("reconstruction", example.reconstruction),
    }
    sounds |= {
        f"tf_{sample}": (f"from the symbols {example.title}, sample {sample}", audio)
        for sample, audio in enumerate(example.transfers)
    }
    players = []
    for name, (label, audio) in sounds.items():
        players.append(Player(stem.with_name(f"{stem.name}_{name}.wav"), label))
        write_audio(players[-1].path, audio, run.front_end.sample_rate)
    picture = None
    if config.make_figures:
        picture = Picture(folder / f"{stem.name}.png", f"Spectra of {example.title}.")
        plot_example(example.spectra, run.front_end, example.title, picture.path)
    return SoundExample(
        example.title, f"From the original the model reads: {example.read}.", players, picture
    )
