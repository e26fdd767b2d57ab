#!/usr/bin/env python3
"""Make sound and symbols with trained models."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lt import cli
from lt.config import PlayOptions

if TYPE_CHECKING:
    import torch

    from lt.inference.play import PlayedFile
    from lt.models.runs import Run

logger = logging.getLogger("lt.play")

EXAMPLE = """python3 lt_play.py audio -m flute -i recording.wav
python3 lt_play.py sequence -m flute -i A4:mf C5:f rest E5:ff
python3 lt_play.py morphing -m saves/mine__Flute -i recording.wav C5:f --glide 1"""

# mode -> what it needs; which flags have a meaning in it: `lt.config.PlayOptions`
MODES = {
    "info": "info: no input. Prints the run's settings, networks and, after lt_analyze.py, its "
    "scores.",
    "midi": "midi: -i FILE.mid ... Plays MIDI files; for mixtures, one track per instrument, "
    "matched by name or program.",
    "audio": "audio: -i FILE.wav ... Reconstructs recordings and transcribes them to MIDI and CSV.",
    "sequence": "sequence: -i LABELS, flat, one group per note in the model's label order (4 9 2 5 "
    "0 3), or note names (A4:mf C5:f rest; C4:f+E4:mf is a chord, for models of several voices). "
    "Plays them one after another; with the label age, "
    "notes begin, go on and end by themselves (A4:mf:age=3 holds a moment: classes 0-15 since the "
    "onset, 16-26 since note-off, 27-30 before the onset).",
    "morphing": "morphing: -i LABELS as for sequence, or sound files (a.wav b.wav), or both, at "
    "least --interp_order + 1. Recordings keep their course, the shorter ones stretched to the "
    "longest. Cross-fades from one to the next, or with --glide 1 moves the pitch through the "
    "notes between.",
    "trajectory": "trajectory: no input. Moves through the latent space along --traj line, circle "
    "or helix, or through your own --points FILE.npy.",
}
FOLDERS = {
    "midi": "midi_reconstructions",
    "audio": "audio_reconstructions",
    "sequence": "sequences",
    "morphing": "morphings",
    "trajectory": "trajectories",
}


@cli.command(
    "Make sound and symbols with trained models. MODE is one of: " + " ".join(MODES) + ".",
    example=EXAMPLE,
)
@click.argument("mode", metavar="MODE", type=click.Choice([*MODES, "free_navigation"]))
@cli.option(
    "-m",
    "--models",
    help="folders that lt_train.py wrote, or names of models that come with the package",
    type=cli.PATH,
    at_least=1,
    default=(),
    default_text="audio: of those in the package, the one that fits each recording best",
)
@cli.option(
    "-i",
    "--input",
    help="midi, audio: files; sequence: a list of labels; morphing: labels, sound files or both",
    at_least=1,
)
@cli.option(
    "-o",
    "--output",
    help="output folder",
    type=cli.PATH,
    default_text="in the model's folder, by mode",
)
@cli.options(PlayOptions)
@cli.option("--info", help="1: say what the mode needs, and stop", type=cli.SWITCH, default=0)
@cli.cuda_option("-c", default="cpu")
@click.pass_context
def main(
    ctx: click.Context,
    mode: str,
    models: tuple[Path, ...],
    input: tuple[str, ...],
    output: Path | None,
    info: int,
    cuda: int,
    **flags: object,
) -> None:
    mode = "trajectory" if mode == "free_navigation" else mode
    if info:
        click.echo(MODES[mode])
        return
    if not models and mode != "audio":
        raise click.UsageError(
            f"the mode {mode} needs --models: a folder that lt_train.py wrote, or a name of "
            "python3 -m lt.pretrained list."
        )
    idle = [entry.name for entry in fields(PlayOptions) if mode not in entry.metadata["modes"]]
    if mode in ("info", "trajectory"):
        idle.append("input")
    elif not input:
        raise click.UsageError(f"the mode {mode} needs --input: {MODES[mode]}")
    if mode == "info":
        idle.append("output")
    cli.refuse_given(ctx, idle, f"the mode {mode}")
    if mode == "trajectory" and flags["points"]:
        cli.refuse_given(ctx, ["traj", "n_generations"], "a trajectory through --points")
    elif mode == "trajectory":
        cli.refuse_given(ctx, ["interp_order"], "a trajectory without --points")
    from lt.devices import device
    from lt.files import check_folder, unique_names
    from lt.models.describe import describe
    from lt.models.pretrained import output_path, run_path
    from lt.models.runs import load_run

    options = PlayOptions(**flags)
    found = device(cuda)
    paths = [run_path(model) for model in models]
    names = unique_names(path.resolve().name for path in paths)

    def play_model(index: int) -> None:
        if mode == "info":
            click.echo(describe(load_run(paths[index], device=found)))
            return
        run = load_run(paths[index], device=found)
        folder = output or output_path(paths[index]) / FOLDERS[mode]
        if output and len(models) > 1:
            folder = output / names[index]
        check_folder(folder)
        play(mode, run, input, folder, options)

    if models:
        cli.for_each(range(len(models)), play_model)
    else:
        play_unnamed([Path(path) for path in input], output, options, found)


def play(mode: str, run: Run, inputs: Sequence[str], folder: Path, options: PlayOptions) -> None:
    """Run a mode with one model."""
    from lt.inference.play import play_morphing, play_points, play_sequence, split_lists
    from lt.labels import parse_symbols

    if mode == "sequence":
        classes = parse_symbols(split_lists(inputs), run.space)
        log_written(play_sequence(run, classes, folder, options))
    elif mode == "morphing":
        log_written(play_morphing(run, inputs, folder, options))
    elif mode == "trajectory" and options.points:
        log_written(play_points(run, options.points, folder, options))
    elif mode == "trajectory":
        play_trajectories(run, folder, options)
    else:
        play_files(mode, lambda path: run, [Path(path) for path in inputs], folder, options)


def play_trajectories(run: Run, folder: Path, options: PlayOptions) -> None:
    """Play `n_generations` trajectories of each type."""
    from lt.inference.play import play_trajectory

    types = list(dict.fromkeys(options.traj))
    n_paths = len(types) * options.n_generations
    with cli.progress(total=n_paths, desc="trajectory", unit="path") as bar:
        for kind in types:
            for number in range(options.n_generations):
                log_written(play_trajectory(run, kind, number, folder, options))
                bar.update()


def play_unnamed(
    paths: Sequence[Path], output: Path | None, options: PlayOptions, device: torch.device
) -> None:
    """Play each recording with the model of the package that fits it best."""
    from lt.inference.choice import choose_model

    def choose(path: Path) -> Run:
        choice = choose_model(path, device)
        logger.info("%s: %s", path.name, choice)
        return choice.run

    play_files("audio", choose, paths, output, options)


def play_files(
    mode: str,
    run_for: Callable[[Path], Run],
    paths: Sequence[Path],
    output: Path | None,
    options: PlayOptions,
) -> None:
    """Play MIDI files or recordings, each with the run for it; the failure of one leaves the others
    unaffected.
    """
    from lt.files import refuse_overwriting_inputs, unique_stems
    from lt.inference.play import SUFFIXES, beside, play_audio, play_midi

    suffixes = (f".{options.format}", *SUFFIXES[mode])
    play_one = play_midi if mode == "midi" else play_audio
    stems = unique_stems(paths)
    with cli.progress(total=len(paths), desc=mode, unit="file") as bar:

        def play_file(index: int) -> None:
            try:
                run = run_for(paths[index])
                base = (output or run.outputs / FOLDERS[mode]) / stems[index]
                refuse_overwriting_inputs([beside(base, suffix) for suffix in suffixes], paths)
                log_written(play_one(run, paths[index], base, options))
            finally:
                bar.update()

        cli.for_each(range(len(paths)), play_file)


def log_written(files: PlayedFile) -> None:
    """Log the name of the sound file; the other files are beside it."""
    logger.info("wrote %s", files.sound)


if __name__ == "__main__":
    main()
