#!/usr/bin/env python3
"""Train a signal VAE and a symbol VAE whose latent spaces match."""

from __future__ import annotations

from pathlib import Path

import click

from lt import cli
from lt.config import LARGEST, PRESETS, RunConfig, with_preset
from lt.labels import LABELS

EXAMPLE = """python3 lt_train.py --instruments Piano --dims 32
python3 lt_train.py --instruments Flute --preset robust --name flute
python3 lt_train.py --load saves/flute__Flute --load_epoch last --epochs 200"""

COUNT, WEIGHT = cli.POSITIVE, cli.Number(min=0)
DECIBELS = cli.Number(min=0, max=60)
SIZE, LAYERS = (
    click.IntRange(1, 10**8),
    click.IntRange(1, 1000),
)  # more is a slip of the finger, and no machine's
# flags that do nothing unless another is set: said, so that nobody waits for their effect
IDLE_WITHOUT = {
    ("augment", 1): ("transpose", "detune", "equalise", "tilt", "noise_floor", "ring", "gain"),
    ("adversarial", 1): ("adv_dim", "adv_num", "adv_lr"),
    ("zero_extra_class", 1): ("silence_share",),
    ("random_mode", "bernoulli"): ("rest_share",),
}


def flag(
    name: str,
    help: str,
    type=None,
    group: str = "Training",
    at_least: int | None = None,
    at_most: int | None = None,
):
    """A flag whose default is RunConfig's field of that name."""
    return cli.option(
        f"--{name}",
        of=RunConfig,
        help=help,
        type=type,
        group=group,
        at_least=at_least,
        at_most=at_most,
    )


def choice(*values: str) -> click.Choice:
    """One of a few words."""
    return click.Choice(values)


class Tag(click.ParamType):
    """A checkpoint: best, last, or the number of an epoch."""

    name = "best|last|N"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | int:
        if value in ("best", "last") or isinstance(value, int):
            return value
        if not str(value).isdecimal():
            self.fail(f"'{value}' is neither best, last nor an epoch.", param, ctx)
        return int(str(value))


@cli.command(
    "Train a signal VAE and a symbol VAE whose latent spaces match. Writes "
    "SAVEDIR/NAME__INSTRUMENTS/.",
    example=EXAMPLE,
)
@flag("dbroot", "data set; absent at the default path, it is built there first", str, "Data")
@flag("savedir", "output directory", str, "Data")
@flag(
    "frames",
    "none: all frames of each note; one: that frame; two: a half-open range",
    cli.NOT_NEGATIVE,
    "Data",
    0,
    2,
)
@flag("labels", "conditioning labels", choice(*LABELS), "Data", 1)
@flag(
    "instruments",
    "instruments of the data set; two or more: their mixtures are heard",
    str,
    "Data",
    1,
)
@flag("random_mode", "weights of the sources in a mixture", choice("constant", "bernoulli"), "Data")
@flag(
    "rest_share",
    "with bernoulli: share of draws in which a source rests; in lt_analyze.py it is half",
    cli.Number(min=0, max=1),
    "Data",
)
@flag(
    "zero_extra_class", "each label has one more class, the last, for silence", cli.SWITCH, "Data"
)
@flag(
    "silence_share",
    "with it: share of drawn frames that are silent",
    cli.Number(min=0, max=1),
    "Data",
)
@flag(
    "split",
    "what is kept together: a note's takes, a pitch, or nothing",
    choice("note", "pitch", "frame"),
    "Data",
)
@flag(
    "fold",
    "cross-validation: the fold that tests (-1: one split of 80/10/10)",
    click.IntRange(min=-1),
    "Data",
)
@flag("n_folds", "number of folds", click.IntRange(min=3), "Data")
@flag(
    "features",
    "scaled log-magnitudes, or shape and level apart",
    choice("absolute", "relative"),
    "Hearing",
)
@flag(
    "range_db", "dB below the loudest that features resolve", cli.Number(min=6, max=140), "Hearing"
)
@flag(
    "retune",
    "notes are brought into tune, and recordings that are heard as a whole",
    cli.SWITCH,
    "Hearing",
)
@flag(
    "augment",
    "1: the encoder hears what the flags below do; its target stays clean",
    cli.SWITCH,
    "Hearing",
)
@flag(
    "transpose",
    "up to so many semitones up or down, labels moved along",
    cli.NOT_NEGATIVE,
    "Hearing",
)
@flag("detune", "up to so many semitones, labels kept", cli.Number(min=0, max=0.5), "Hearing")
@flag(
    "equalise", "random smooth gain over frequency, standard deviation in dB", DECIBELS, "Hearing"
)
@flag(
    "tilt",
    "dB an octave by which partials above the loudest are weakened, at most",
    DECIBELS,
    "Hearing",
)
@flag("noise_floor", "share of frames that get a noise floor", cli.Number(min=0, max=1), "Hearing")
@flag(
    "ring",
    "share of sources that ring of a note before or after",
    cli.Number(min=0, max=1),
    "Hearing",
)
@flag("gain", "random level, standard deviation in dB", DECIBELS, "Hearing")
@flag(
    "encoder",
    "the signal's: a plain perceptron, or one that also judges every semitone's harmonics alike",
    choice("plain", "harmonic"),
    "Networks",
)
@flag("dims", "latent dimensions, one a stochastic layer, bottom first", SIZE, "Networks", 1)
@flag("hidden_dims_1", "signal VAE: hidden width of each layer", SIZE, "Networks", 1)
@flag("hidden_num_1", "signal VAE: hidden layers of each layer", LAYERS, "Networks", 1)
@flag("hidden_dims_2", "symbol VAE: hidden width of each layer", SIZE, "Networks", 1)
@flag("hidden_num_2", "symbol VAE: hidden layers of each layer", LAYERS, "Networks", 1)
@flag("label_type", "distribution of the symbols", choice("categorical", "binary"), "Networks")
@flag(
    "signal_scale",
    "scale of the decoded spectrum: each frame's own, or one a bin",
    choice("frame", "bin"),
    "Networks",
)
@flag("regularization_type", "what pulls the posteriors together", choice("kld", "l2"), "Losses")
@flag("beta_1", "weight of the signal's prior KL", WEIGHT, "Losses")
@flag("beta_2", "weight of the symbols' prior KL", WEIGHT, "Losses")
@flag("cross_1", "weight of D(q_signal, q_symbol)", WEIGHT, "Losses")
@flag("cross_2", "weight of D(q_symbol, q_signal)", WEIGHT, "Losses")
@flag("transfer_1", "weight of -log p(signal|z_symbol)", WEIGHT, "Losses")
@flag("transfer_2", "weight of -log p(symbol|z_signal)", WEIGHT, "Losses")
@flag(
    "adversarial",
    "1: a critic on spectra whose judgement reaches the signal decoder",
    cli.SWITCH,
    "Losses",
)
@flag("adv_dim", "critic: hidden width", SIZE, "Losses")
@flag("adv_num", "critic: hidden layers", LAYERS, "Losses")
@flag("adv_lr", "critic: learning rate", WEIGHT, "Losses")
@flag("epochs", "training epochs in all, counted from 1", COUNT)
@flag("save_epochs", "save at the first epoch, every multiple of this, and the last", COUNT)
@flag("plot_epochs", "plot likewise", COUNT)
@flag("save_seconds", "refresh best and last at most this often", WEIGHT)
@flag("batch_size", "the global batch", COUNT)
@flag("steps_per_epoch", "0: all frames once an epoch; N: N steps at most", cli.NOT_NEGATIVE)
@flag(
    "learning_rate",
    "of Adam; halved at plateaus of the validation loss",
    cli.Number(min=0, min_open=True),
)
@flag(
    "lr_decay",
    "the learning rate is multiplied by this after each epoch",
    cli.Number(min=0, min_open=True, max=1),
)
@flag("patience", "epochs without a better validation loss that make a plateau", cli.NOT_NEGATIVE)
@flag("precision", "of matrix products", choice("fp32", "bf16"))
@flag("tensorboard", "1: also log to RUN/tensorboard, where tensorboard is installed", cli.SWITCH)
@flag("name", "name of the run", cli.PLAIN_NAME)
@cli.option(
    "--load",
    help="continue the run in that folder; flags not given are the run's own",
    type=cli.PATH,
)
@cli.option("--load_epoch", help="from best, last or an epoch", default="best", type=Tag())
@flag(
    "preset",
    "values for every flag not given: this table's, or those for hearing other recordings",
    choice(*PRESETS),
)
@cli.seed_option()
@cli.cuda_option()
@click.pass_context
def main(ctx: click.Context, load: Path | None, load_epoch: str | int, **flags: object) -> None:
    chosen = {name: flags[name] for name in cli.given(ctx) if name in flags}
    check_numbers(chosen)
    if load is None:
        cli.refuse_given(ctx, ["load_epoch"], "a run that begins (no --load)")
        check_usage(config := with_preset(chosen, str(flags["preset"])))
        speak_of_idle(chosen, config)
        from lt.training.launch import begin

        session = begin(config)
    else:
        load = (
            load if load.name not in ("", "..") else load.resolve()
        )  # `.` from within the run's folder
        if Path(str(chosen.pop("savedir", load.parent))).resolve() != load.resolve().parent:
            raise click.UsageError(
                f"--savedir has no meaning with --load: the run goes on in {load}."
            )
        from lt.training.launch import go_on

        session = go_on(load, load_epoch, chosen)
    session.train()


def speak_of_idle(chosen: dict[str, object], config: RunConfig) -> None:
    """A note on flags that were given and do nothing."""
    for (switch, on), names in IDLE_WITHOUT.items():
        idle = [f"--{name}" for name in names if name in chosen]
        if idle and getattr(config, switch) != on:
            cli.note(f"{', '.join(idle)}: no effect without --{switch} {on}")


def check_numbers(chosen: dict[str, object]) -> None:
    """Numbers that no run could be read back with.

    Raises:
        click.UsageError: there is one.
    """
    for name, value in chosen.items():
        for entry in value if isinstance(value, tuple) else (value,):
            if isinstance(entry, (int, float)) and entry >= LARGEST:
                raise click.UsageError(
                    f"--{name} {entry} is too large: numbers here are below {LARGEST:g}."
                )


def check_usage(config: RunConfig) -> None:
    """What the command line alone shows to be wrong.

    Raises:
        click.UsageError: contradictory flags.
    """
    if not config.savedir or not config.dbroot:
        raise click.UsageError("--savedir and --dbroot need a path.")
    if len(config.frames) == 2 and config.frames[0] >= config.frames[1]:
        raise click.UsageError(f"--frames {config.frames[0]} {config.frames[1]} holds no frame.")
    if config.fold >= config.n_folds:
        raise click.UsageError(
            f"--fold {config.fold} of {config.n_folds} folds: folds count from 0."
        )
    for name in ("labels", "instruments"):
        values = getattr(config, name)
        if len(set(values)) < len(values):
            raise click.UsageError(f"--{name} {' '.join(values)}: one is given twice.")
    for name in ("hidden_dims_1", "hidden_num_1", "hidden_dims_2", "hidden_num_2"):
        if len(getattr(config, name)) > len(config.dims):
            raise click.UsageError(
                f"--{name} has {len(getattr(config, name))} values for {len(config.dims)} "
                "latent layers (--dims)."
            )


if __name__ == "__main__":
    main()
