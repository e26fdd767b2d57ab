#!/usr/bin/env python3
"""Make sound and symbols with trained models."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click

from lt import cli
from lt.config import PlayOptions
from lt.inference.modes import MODES

EXAMPLE = """python3 lt_play.py audio -m saves/flute__Flute -i recording.wav
python3 lt_play.py sequence -m saves/flute__Flute -i A4:mf C5:f rest E5:ff
python3 lt_play.py morphing -m saves/flute__Flute -i 4 9 2 5 0 3 --interp_order 1"""


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
    "-i", "--input", help="midi, audio: files; sequence, morphing: a list of labels", at_least=1
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
    idle = [entry.name for entry in fields(PlayOptions) if mode not in entry.metadata["modes"]]
    if mode in ("info", "trajectory"):
        idle.append("input")
    elif not input:
        raise click.UsageError(f"the mode {mode} needs --input: {MODES[mode]}")
    if mode == "info":
        idle.append("output")
    cli.refuse_given(ctx, idle, f"the mode {mode}")
    from lt.inference.modes import play

    play(mode, models, input, output, cuda, PlayOptions(**flags))


if __name__ == "__main__":
    main()
