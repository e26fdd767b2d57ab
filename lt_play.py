#!/usr/bin/env python3
"""Make sound and symbols with trained models."""

from __future__ import annotations

from pathlib import Path

import click

from lt import cli
from lt.config import PlayOptions
from lt.inference.modes import FLAGS_OF, MODES, NEEDS

EXAMPLE = """python3 lt_play.py audio -m saves/flute__Flute -i recording.wav
python3 lt_play.py sequence -m saves/flute__Flute -i A4:mf C5:f rest E5:ff
python3 lt_play.py morphing -m saves/flute__Flute -i 4 9 2 5 0 3 --interp_order 1"""


def flag(
    *names: str, help: str, type=None, at_least: int | None = None, default_text: str | None = None
):
    """A flag whose default is PlayOptions' field of that name."""
    return cli.option(
        *names, of=PlayOptions, help=help, type=type, at_least=at_least, default_text=default_text
    )


@cli.command(
    "Make sound and symbols with trained models. MODE is one of: " + " ".join(MODES) + ".",
    example=EXAMPLE,
)
@click.argument("mode", metavar="MODE", type=click.Choice([*MODES, "free_navigation"]))
@cli.option(
    "-m",
    "--models",
    help="folders that lt_train.py wrote",
    type=cli.PATH,
    required=True,
    at_least=1,
)
@cli.option(
    "-i",
    "--input",
    help="midi, audio: files; sequence, morphing: a list of labels",
    type=str,
    at_least=1,
)
@cli.option(
    "-o",
    "--output",
    help="output folder",
    type=cli.PATH,
    default_text="in the model's folder, by mode",
)
@flag("-t", "--transposition", help="semitones", type=int)
@flag("-s", "--latent_sample", help="1: sample the latent; 0: take its mean", type=cli.SWITCH)
@flag("-g", "--graphs", help="write pictures", type=cli.SWITCH)
@flag(
    "-d", "--dynamics", help="0-4 (pp p mf f ff): replaces all dynamics", type=click.IntRange(0, 4)
)
@flag(
    "--n_steps", help="frames", type=cli.POSITIVE, default_text="500 in all; sequence: 50 a label"
)
@flag("--n_generations", help="trajectories of each type", type=cli.POSITIVE)
@flag("--griffinlim_iters", help="iterations of phase retrieval", type=cli.POSITIVE)
@flag(
    "--interp_order",
    help="spline between labels: 0 hold, 1 linear, 2, 3 cubic",
    type=click.IntRange(0, 3),
)
@flag(
    "--traj",
    help="any of line circle helix",
    type=click.Choice(("line", "circle", "helix")),
    at_least=1,
)
@flag(
    "--out_of_range",
    help="notes outside C0-B8: moved by octaves, or left out",
    type=click.Choice(("octave", "skip")),
)
@flag("--format", help="of the sound", type=click.Choice(("wav", "flac")))
@cli.option("--info", help="1: say what the mode needs, and stop", type=cli.SWITCH, default=0)
@cli.seed_option()
@cli.cuda_option("-c", default="cpu")
@click.pass_context
def main(
    ctx: click.Context,
    mode: str,
    models: tuple[Path, ...],
    input: tuple[str, ...],
    output: Path | None,
    info: int,
    cuda: int | str,
    **options: object,
) -> None:
    mode = "trajectory" if mode == "free_navigation" else mode
    if info:
        click.echo(NEEDS[mode])
        return
    cli.refuse_given(ctx, set(options) - {"seed"} - set(FLAGS_OF[mode]), f"the mode {mode}")
    if mode in ("info", "trajectory"):
        cli.refuse_given(ctx, ["input"], f"the mode {mode}")
    elif not input:
        raise click.UsageError(f"the mode {mode} needs --input: {NEEDS[mode]}")
    if mode == "info":
        cli.refuse_given(ctx, ["output"], "the mode info")
    from lt.inference.modes import play

    play(mode, models, input, output, cuda, PlayOptions(**options))


if __name__ == "__main__":
    main()
