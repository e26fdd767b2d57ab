"""The modes of `lt_play.py`: what each needs, which flags mean something in it, and how it is run
over its inputs.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Sequence

from lt import cli
from lt.config import PlayOptions
from lt.files import check_folder, refuse_overwriting_inputs, unique_names, unique_stems

if TYPE_CHECKING:
    from lt.inference.play import PlayedFile
    from lt.models.runs import Run


# mode -> what it needs; flags name their modes in `lt.config.PlayOptions`
MODES = {
    "info": "info: no input. Prints the run's settings, networks and, after lt_analyze.py, its "
    "scores.",
    "midi": "midi: -i FILE.mid ... Plays MIDI files; for mixtures, one track per instrument, "
    "matched by name or program.",
    "audio": "audio: -i FILE.wav ... Reconstructs recordings and transcribes them to MIDI and CSV.",
    "sequence": "sequence: -i LABELS, flat, one group per note in the model's label order (4 9 2 5 "
    "0 3), or note names (A4:mf C5:f rest). Plays them one after another.",
    "morphing": "morphing: -i LABELS as for sequence, at least --interp_order + 1 groups. Moves "
    "through their latent distributions.",
    "trajectory": "trajectory: no input. Moves through the latent space along --traj line, circle "
    "or helix.",
}
FOLDERS = {
    "midi": "midi_reconstructions",
    "audio": "audio_reconstructions",
    "sequence": "sequences",
    "morphing": "morphings",
    "trajectory": "trajectories",
}


def play(
    mode: str,
    models: Sequence[Path],
    inputs: Sequence[str],
    output: Path | None,
    cuda: int | str,
    options: PlayOptions,
) -> None:
    """Run a mode over every model and input; a bad one is reported and the rest are done.

    Raises:
        ValueError: no such device.
    """
    from lt.devices import device
    from lt.models.runs import load_run

    logger = logging.getLogger("lt")
    logger.handlers = [_LogToStderr()]
    logger.setLevel(logging.INFO)
    found = device(cuda)
    names = unique_names(model.resolve().name for model in models)

    def play_model(numbered: tuple[Path, str]) -> None:
        model, name = numbered
        if mode == "info":
            from lt.models.runs import describe

            cli.echo(describe(load_run(model, device=found)))
            return
        folder = output / name if output and len(models) > 1 else output or model / FOLDERS[mode]
        check_folder(folder)
        _play_inputs(mode, load_run(model, device=found), inputs, folder, options)

    cli.for_each(list(zip(models, names)), play_model)


def _play_inputs(
    mode: str, run: Run, inputs: Sequence[str], folder: Path, options: PlayOptions
) -> None:
    from lt.inference import play as playing
    from lt.labels import parse_symbols

    if mode in ("sequence", "morphing"):
        classes = parse_symbols(inputs, run.space)
        work = playing.play_sequence if mode == "sequence" else playing.play_morphing
        _say_written(work(run, classes, folder, options))
    elif mode == "trajectory":
        paths = [
            (kind, number)
            for kind in dict.fromkeys(options.traj)
            for number in range(options.n_generations)
        ]
        with cli.progress(len(paths), mode, unit="path") as bar:
            for kind, number in paths:
                _say_written(playing.play_trajectory(run, kind, number, folder, options))
                bar.update()
    else:
        _play_files(mode, run, [Path(path) for path in inputs], folder, options)


def _play_files(
    mode: str, run: Run, paths: Sequence[Path], folder: Path, options: PlayOptions
) -> None:
    from lt.inference import play as playing

    suffixes = (f".{options.format}", *playing.SUFFIXES[mode])
    work = playing.play_midi if mode == "midi" else playing.play_audio
    with cli.progress(len(paths), mode, unit="file") as bar:

        def play_file(numbered: tuple[Path, str]) -> None:
            path, stem = numbered
            try:
                refuse_overwriting_inputs(
                    [playing.beside(folder / stem, suffix) for suffix in suffixes], paths
                )
                _say_written(work(run, path, folder / stem, options))
            finally:
                bar.update()

        cli.for_each(list(zip(paths, unique_stems(paths))), play_file)


def _say_written(files: PlayedFile) -> None:
    cli.note(f"{files.sound} and what belongs to it: written")


class _LogToStderr(logging.Handler):
    """Writes log messages as the command line writes notes."""

    def emit(self, record: logging.LogRecord) -> None:
        cli.note(record.getMessage())
