#!/usr/bin/env python3
"""Train a signal VAE and a symbol VAE whose latent spaces match."""

from __future__ import annotations

import logging
from dataclasses import fields
from pathlib import Path

import click

from lt import cli
from lt.config import RunConfig, with_preset

logger = logging.getLogger("lt.train")
SIGNAL_EXIT = 128  # the shell's code of a process ended by a signal: 128 + its number

EXAMPLE = """python3 lt_train.py --instruments Piano --dims 32
python3 lt_train.py --instruments Flute --preset robust --name flute
python3 lt_train.py --load saves/flute__Flute --load_epoch last --epochs 200"""


@cli.command(
    "Train a signal VAE and a symbol VAE whose latent spaces match. Writes "
    "SAVEDIR/NAME__INSTRUMENTS/.",
    example=EXAMPLE,
)
@cli.options(RunConfig)
@cli.option(
    "--load",
    help="continue the run in that folder; flags not given are the run's own",
    type=cli.PATH,
)
@cli.option(
    "--load_epoch",
    help="from best, last or an epoch",
    default="best",
    type=cli.KINDS["checkpoint"],
)
@click.pass_context
def main(ctx: click.Context, load: Path | None, load_epoch: str | int, **flags: object) -> None:
    given = {name: flags[name] for name in cli.given(ctx) & flags.keys()}
    if load is None:
        cli.refuse_given(ctx, ["load_epoch"], "a run that begins (no --load)")
        try:
            config = with_preset(given, str(flags["preset"]))
        except ValueError as error:
            raise click.UsageError(f"{error}.") from error
        log_flags_without_effect(given, config)
    else:
        if load.name in ("", ".."):  # `.` in the folder of the run
            load = load.resolve()
        if Path(str(given.pop("savedir", load.parent))).resolve() != load.resolve().parent:
            raise click.UsageError(
                f"--savedir has no meaning with --load: the run goes on in {load}."
            )
    from lt.training.launch import TrainingStopped, WriterFailed, resume, train

    try:
        if load is None:
            train(config, cli.progress)
        else:
            resume(load, load_epoch, given, cli.progress)
    except TrainingStopped as stop:
        ctx.exit(SIGNAL_EXIT + stop.signal_number)
    except WriterFailed:  # another worker of torchrun reports the error
        ctx.exit(1)


def log_flags_without_effect(given: dict[str, object], config: RunConfig) -> None:
    """A note on each flag that was given and needs another one to have an effect."""
    for entry in fields(RunConfig):
        if entry.name in given and entry.metadata["needs"]:
            switch, on = entry.metadata["needs"]
            if getattr(config, switch) != on:
                logger.info("--%s: no effect without --%s %s", entry.name, switch, on)


if __name__ == "__main__":
    main()
