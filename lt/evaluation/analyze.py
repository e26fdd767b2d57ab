"""The whole analysis of one run (`lt_analyze.py`): scores, baselines, pictures, sounds, report.

results.json results.csv        the scores
confusion_<label>.png ...       pictures
audio/ ex_<i>.png               sound examples and their spectra
report.html                     all of it on one page
MODEL/test_classifier.t7        the baseline that lt_midi.py reads
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Sequence

from torch import nn

from lt.audio.io import write_audio
from lt.config import AnalysisConfig
from lt.evaluation import metrics
from lt.evaluation.baselines import (
    count_majority,
    pyin_scores,
    stored_classifier,
    train_classifier,
    train_conv,
)
from lt.evaluation.context import EvaluationContext, open_context
from lt.evaluation.examples import Example, make_examples, synthesis_config
from lt.evaluation.figures import plot_confusion, plot_example, plot_latent, plot_units
from lt.evaluation.latent_map import LatentMap, data_notes, latent_map
from lt.evaluation.note_dynamics import note_dynamics_scores
from lt.evaluation.page import Media, SoundExample
from lt.evaluation.report import Report, write_report
from lt.evaluation.results import EXPLANATIONS, Results, headline, select, tables, write_results
from lt.evaluation.scoring import (
    Evaluation,
    FramePredictions,
    about,
    evaluate_partition,
    note_confusion,
)
from lt.files import check_folder
from lt.labels import LabelSpace
from lt.models.baselines import (
    CLASSIFIER_FILE,
    ConvClassifier,
    ConvSynth,
    write_classifier,
)
from lt.models.runs import Run
from lt.progress import Progress, silent

logger = logging.getLogger(__name__)


def analyse_run(
    run: Run,
    folder: Path | None = None,
    dbroot: Path | None = None,
    sources: Sequence[Path] = (),
    config: AnalysisConfig = AnalysisConfig(),
    progress: Progress = silent,
) -> Results:
    """Evaluate a run and its baselines on its data set, and write the files listed above.

    Args:
        folder: for the files; None: `analysis` in the run's folder.
        dbroot: the data set, if it was moved since training.
        sources: folders with the recordings or sound fonts of the notes.

    Raises:
        FileNotFoundError, ValueError: the data set is gone, or is another one; a damaged
        classifier. OSError: a file cannot be written.
    """
    context = open_context(run, dbroot, sources)
    folder = folder or run.outputs / "analysis"
    check_folder(folder)  # before an hour of work
    if config.make_classifier:
        _check_model_folder(run.outputs)
    evaluation = evaluate_with_baselines(context, config, progress)
    settings = {"synthesis": vars(synthesis_config(config))} if config.generate_audio else {}
    results = Results(about(context, config), evaluation.scores, settings=settings)
    write_results(folder, results)
    pictures = draw(run.space, evaluation.predictions, folder) if config.make_figures else []
    examples = make_examples(context, config, progress)
    report = Report(
        run.folder.path.resolve().name,
        headline(results),
        tables(results),
        pictures,
        [_write_example(own, index, run, folder, config) for index, own in enumerate(examples)],
        EXPLANATIONS,
        map_of_part(context, config, progress),
    )
    write_report(folder / "report.html", report)
    return results


def _check_model_folder(folder: Path) -> None:
    """Check that the trained classifier can be stored.

    Raises:
        PermissionError: it cannot.
    """
    try:
        check_folder(folder)
    except PermissionError:
        raise PermissionError(
            f"the model folder {folder} may not be written, so the classifier cannot be stored "
            "there; train none (make_classifier 0), or copy the model folder"
        ) from None


def evaluate_with_baselines(
    context: EvaluationContext, config: AnalysisConfig, progress: Progress = silent
) -> Evaluation:
    """The scores of the model and its baselines that `config` asks for, and the predictions."""
    networks = trained_baselines(context, config, progress)
    evaluation = evaluate_partition(context, config, networks, progress)
    of_notes = note_dynamics_scores(context, config.partition, bool(config.evaluate_classifier))
    scores = evaluation.scores + of_notes
    if not config.make_losses:
        scores = select(scores, scope="baselines")
    if config.evaluate_classifier:
        pyin = pyin_scores(context, config.partition, progress)
        scores = scores + pyin
        if not pyin:
            logger.info(
                "%s: no pYIN baseline (it tracks the pitch of single instruments, in notes whose "
                "source can be read again)",
                context.run.folder.path,
            )
    return Evaluation(scores, evaluation.predictions)


def trained_baselines(
    context: EvaluationContext, config: AnalysisConfig, progress: Progress = silent
) -> dict[str, nn.Module]:
    """The networks to be scored beside the model, by name. A trained classifier is stored in the
    run's folder.
    """
    run = context.run
    path = run.outputs / CLASSIFIER_FILE
    networks: dict[str, nn.Module] = {}
    if config.make_classifier:
        classifier = train_classifier(context, config, progress)
        write_classifier(path, classifier, run.space, run.settings.run_id)
    if config.evaluate_classifier:
        classifier = stored_classifier(run)
        if classifier:
            networks["classifier"] = classifier
        else:
            logger.info(
                "%s is not there, so the classifier is not scored (make_classifier 1 trains it)",
                path,
            )
    if config.conv_classifier:
        networks["conv_classifier"] = train_conv(ConvClassifier, context, config, progress)
    if config.conv_synth:
        networks["conv_synth"] = train_conv(ConvSynth, context, config, progress)
    networks["majority"] = count_majority(context, config.seed)
    return networks


# --- pictures and sounds --------------------------------------------------------------------------


def draw(space: LabelSpace, predictions: FramePredictions, folder: Path) -> list[Media]:
    """Confusion matrices of the symbols transcribed from the signal, and the latent space."""
    truth, estimated = predictions.classes, predictions.symbol["transfer"].classes
    pictures = []
    for index, label in enumerate(space.labels):
        size = space.sizes[index]
        counts = metrics.confusion(truth[:, :, index], estimated[:, :, index], size)
        path = folder / f"confusion_{label}.png"
        plot_confusion(
            counts, space.class_names(label), f"{label}, transcribed from the signal", path
        )
        caption = f"Confusion of {label}: how often each true class (rows) is read as which."
        pictures.append(Media(path, caption))
    if {"octave", "pitch"} <= set(space.labels):
        path = folder / "confusion_note.png"
        counts, names = note_confusion(space, truth, estimated)
        plot_confusion(counts, names, "notes, transcribed from the signal", path)
        pictures.append(Media(path, "Confusion of notes, octave and pitch together."))
    plot_latent(predictions.means, truth, space, folder / "latent.png")
    plot_units(predictions.means, folder / "latent_units.png")
    return [
        *pictures,
        Media(
            folder / "latent.png",
            "The latent space: posterior means of both modalities on their common principal axes. "
            "Where the two clouds agree, symbols and sounds mean the same.",
        ),
        Media(folder / "latent_units.png", "Latent units in use."),
    ]


def map_of_part(
    context: EvaluationContext, config: AnalysisConfig, progress: Progress = silent
) -> LatentMap | None:
    """The map of the notes evaluated; None where no sounds or no map are asked for."""
    notes = context.split.notes[config.partition]
    if not (config.generate_audio and config.map_notes and len(notes)):
        return None
    chosen = data_notes(context, notes, config.map_notes)
    return latent_map(context.run, chosen, "Notes evaluated", config.seed, progress=progress)


def _write_example(
    example: Example, index: int, run: Run, folder: Path, config: AnalysisConfig
) -> SoundExample:
    sounds = []
    for name, audio in example.sounds.items():
        path = folder / "audio" / f"ex_{index}_{name}.wav"
        write_audio(path, audio, run.front_end.sample_rate)
        sounds.append(Media(path, example.captions[name]))
    picture = None
    if config.make_figures:
        path = folder / f"ex_{index}.png"
        plot_example(example.spectra, run.front_end, example.title, path)
        picture = Media(path, f"Spectrograms of {example.title}.")
    return SoundExample(example.title, example.summary, sounds, picture)
