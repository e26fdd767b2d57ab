"""What the four scripts share on the command line, built with click.

A script is a function of its flags::

    @cli.command("Train a pair of VAEs.", example="python3 lt_train.py --instruments Piano")
    @cli.option("--epochs", of=RunConfig, help="training epochs", type=cli.POSITIVE)
    @cli.option("--dims", of=RunConfig, help="latent dimensions", type=cli.POSITIVE, at_least=1)
    def main(epochs, dims): ...

Conventions: results go to stdout, everything else to stderr (`note`, `progress`, errors). Rooms
raise ValueError, OSError and the like with one sentence; here it becomes one line and exit code 1.
What the command line alone shows to be wrong is a `click.UsageError` and exit code 2. `LT_DEBUG=1`
lets the traceback through. How a flag is declared stands in `lt.cli`. Imports nothing heavy:
`--help` has one second.

Flags: the kinds of values they take, and how one is declared. Scripts reach all of it through
`lt.cli`.

Conventions: a default lives in the dataclass that it configures and the flag refers to it
(`of=RunConfig`); every line of the help ends in the default. A variadic flag takes the values up to
the next flag, as a tuple; a token that starts like a negative number is a value; the last
occurrence wins. Imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from tqdm import tqdm


__all__ = [
    "CUDA",
    "NOT_NEGATIVE",
    "PATH",
    "PLAIN_NAME",
    "POSITIVE",
    "SWITCH",
    "Command",
    "Number",
    "command",
    "cuda_option",
    "echo",
    "for_each",
    "given",
    "note",
    "one_line",
    "option",
    "progress",
    "refuse_given",
    "seed_option",
]

Item = TypeVar("Item")
Result = TypeVar("Result")

EXPECTED = (ValueError, OSError, ImportError)  # their messages are written for the user
INTERRUPTED = 130  # the shell's code for Ctrl-C: 128 + SIGINT
_TALLY = "lt.cli.tally"  # ctx.meta: the tally of for_each


@dataclasses.dataclass
class Tally:
    """How many of several inputs went well, and how many did not."""

    ok: int = 0
    failed: int = 0


class Command(click.Command):
    """A click command with variadic options, grouped help, and errors on one line. Made by
    `command`.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the variadic options and their values out of `args`, leave the rest to click."""
        options = {flag: one for one in self.params if isinstance(one, Option) for flag in one.opts}
        rest, ctx.meta[GATHERED] = gather(options, list(args))
        return super().parse_args(ctx, rest)

    def get_help(self, ctx: click.Context) -> str:
        """The help, its defaults on one line each."""
        return super().get_help(ctx).replace(NO_BREAK, " ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options under the headings of their groups, in order of declaration."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record:
                groups.setdefault(getattr(parameter, "group", "Options"), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example, line by line as it was written."""
        formatter.write("\nExample:\n")
        for line in (self.epilog or "").splitlines():
            formatter.write(f"  {line}\n")

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        standalone_mode: bool = True,
    ) -> object:
        """Run and exit with the code of the contract (see the module); not standalone: as click
        does.
        """
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False)
        for stream in (sys.stdout, sys.stderr):  # names of files may be no text
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        name, tally = prog_name or Path(sys.argv[0]).name, Tally()
        code = self._exit_code(name, list(sys.argv[1:] if args is None else args), tally)
        if tally.ok + tally.failed:
            note(f"{tally.ok} ok, {tally.failed} failed")
        sys.exit(code or int(tally.failed > 0))

    def _exit_code(self, name: str, args: list[str], tally: Tally) -> int:
        """Run; every way to end becomes a code, and one line on stderr where something went wrong."""
        try:
            with self.make_context(name, args) as ctx:
                ctx.meta[_TALLY] = tally
                self.invoke(ctx)
                sys.stdout.flush()
            return 0
        except click.exceptions.Exit as end:
            return end.exit_code
        except click.ClickException as error:
            _report(
                name, one_line(error) + (f" See {name} --help." if error.exit_code == 2 else "")
            )
            return error.exit_code
        except (KeyboardInterrupt, click.Abort):
            _report(name, "interrupted")
            return INTERRUPTED
        except BrokenPipeError:  # the reader of stdout (`| head`) has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except Exception as error:  # the last door: a traceback is for developers
            if _debugging():
                raise
            _report(name, one_line(error))
            return 1


def command(help: str, example: str) -> Callable[[Callable], Command]:
    """Make a function a script's command; the example stands in its help as written."""
    return click.command(
        cls=Command,
        help=help,
        epilog=example,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )


# --- what is said, and where ----------------------------------------------------------------------


def note(message: str) -> None:
    """Say something on stderr, above a progress bar where there is one."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(message, file=sys.stderr)
    else:
        click.echo(message, err=True)


def echo(result: str) -> None:
    """Print a result on stdout."""
    click.echo(result)


def progress(total: int | None, description: str, unit: str = "it") -> tqdm:
    """A progress bar on stderr, shown only on a terminal; use it in a `with` and call its `update`."""
    from tqdm import tqdm

    return tqdm(
        total=total,
        desc=description,
        unit=unit,
        file=sys.stderr,
        disable=not sys.stderr.isatty(),
        dynamic_ncols=True,
    )


def one_line(error: BaseException) -> str:
    """What an error says, on one line; an unexpected kind is named, with the way to its traceback."""
    if isinstance(error, click.ClickException):
        text = error.format_message()
    elif isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{os.fsdecode(error.filename)}: {error.strerror}"
    elif isinstance(error, EXPECTED) and str(error):
        text = str(error)
    elif _is_out_of_memory(error):
        text = (
            "this takes more memory than there is: smaller sizes, batches or inputs take less "
            "(LT_DEBUG=1 shows where)"
        )
    else:
        text = f"unexpected {type(error).__name__}: {error} (LT_DEBUG=1 shows where)"
    return " ".join(text.split())


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed; torch has an error of its own for CUDA, and for the CPU only
    words.
    """
    kind = type(error).__name__
    return (
        isinstance(error, MemoryError)
        or kind == "OutOfMemoryError"
        or kind == "RuntimeError"
        and "can't allocate memory" in str(error)
    )


def _report(name: str, message: str) -> None:
    note(f"{name}: error: {message}")


def _debugging() -> bool:
    return os.environ.get("LT_DEBUG", "0") not in ("", "0")


# --- several inputs -------------------------------------------------------------------------------


def for_each(inputs: Sequence[Item], work: Callable[[Item], Result]) -> list[Result]:
    """Do `work` on every input; of several, a bad one is reported and skipped, and the rest are
    done.

    Returns the results of those that went well. The command then ends with `N ok, K failed` as the
    last line on stderr, and with exit code 1 if any failed. A call within another's work is counted
    in its place.

    Raises:
        whatever `work` raises, for a single input, or under LT_DEBUG=1.
    """
    if len(inputs) == 1:
        return [work(inputs[0])]
    ctx = click.get_current_context()
    tally = ctx.meta.setdefault(_TALLY, Tally())
    results = []
    for item in inputs:
        before = dataclasses.replace(tally)
        try:
            results.append(work(item))
            tally.ok += tally == before
        except (click.UsageError, click.exceptions.Exit, BrokenPipeError):
            raise
        except (
            Exception
        ) as error:  # whatever one file brings about, the others are still to be done
            if _debugging():
                raise
            _report(ctx.find_root().info_name, one_line(error))
            tally.failed += 1
    return results


GATHERED = "lt.cli.gathered"  # ctx.meta: the values of the variadic flags
NO_BREAK = "\xa0"  # keeps a default on one line of the help; `Command` prints it as a space
_NEGATIVE_NUMBER = re.compile(r"-\.?\d")


# --- kinds of values ------------------------------------------------------------------------------


class _Switch(click.ParamType):
    name = "0|1"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if str(value) not in ("0", "1"):
            self.fail(f"'{value}' is neither 0 nor 1.", param, ctx)
        return int(str(value))


class Number(click.FloatRange):
    """A finite float, optionally within `min` and `max`."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"'{value}' is not a finite number.", param, ctx)
        return number


class _PlainName(click.ParamType):
    name = "name"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        if value in ("", ".", "..") or set("/\\\0") & set(str(value)):
            self.fail(f"'{value}' is not a plain file name.", param, ctx)
        return str(value)


class _Cuda(click.ParamType):
    name = "device"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if not re.fullmatch(r"-1|\d+|cpu|cuda|cuda:\d+", str(value)):
            self.fail(
                f"'{value}' is not a device; use -1 or cpu, N or cuda:N, or cuda.", param, ctx
            )
        return str(value) if str(value).startswith("c") else int(str(value))


SWITCH, PLAIN_NAME, CUDA = _Switch(), _PlainName(), _Cuda()
PATH = click.Path(
    path_type=Path, readable=False
)  # what is there is not for the command line to know: exit code 1
POSITIVE = click.IntRange(min=1)
NOT_NEGATIVE = click.IntRange(min=0)


# --- options --------------------------------------------------------------------------------------


class Option(click.Option):
    """An option with its place in the help and, where `at_least` is a number, any number of values.

    `default_text` is what the help shows; `required` options have no default.
    """

    def __init__(
        self,
        flags: Sequence[str],
        help: str,
        type: click.ParamType | type | None,
        default: object,
        default_text: str,
        required: bool,
        group: str,
        at_least: int | None,
        at_most: int | None,
    ) -> None:
        default_or_none = {} if required else {"default": default}
        super().__init__(
            flags,
            help=help,
            type=type,
            required=required,
            multiple=at_least is not None,
            **default_or_none,
        )
        self.default_text, self.group, self.at_least, self.at_most = (
            default_text,
            group,
            at_least,
            at_most,
        )

    def handle_parse_result(
        self, ctx: click.Context, opts: dict[str, object], args: list[str]
    ) -> tuple[object, list[str]]:
        """Put in what `Command.parse_args` gathered, then go on as click does."""
        gathered = ctx.meta.get(GATHERED, {})
        if self.name in gathered:
            self._check_count(ctx, len(gathered[self.name]))
            opts = {**opts, self.name: gathered[self.name]}
        return super().handle_parse_result(ctx, opts, args)

    def _check_count(self, ctx: click.Context, count: int) -> None:
        if count < self.at_least:
            raise click.BadParameter(f"it takes at least {self.at_least}, got {count}.", ctx, self)
        if self.at_most is not None and count > self.at_most:
            raise click.BadParameter(f"it takes at most {self.at_most}, got {count}.", ctx, self)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """`--dims N ...` and the help with the default."""
        dots = " ..." if self.at_least is not None else ""
        remark = "required" if self.required else f"default: {self.default_text}"
        unbroken = f"[{remark}]".replace(" ", NO_BREAK)
        return f"{', '.join(self.opts)} {_metavar(self.type)}{dots}", f"{self.help}  {unbroken}"


def option(
    *flags: str,
    help: str,
    of: type | None = None,
    default: object = None,
    default_text: str | None = None,
    type: click.ParamType | type | None = None,
    required: bool = False,
    group: str = "Options",
    at_least: int | None = None,
    at_most: int | None = None,
) -> Callable[[Callable], Callable]:
    """Declare a flag whose line in the help ends in its default.

    Arguments:
        of: a dataclass with a field of the flag's name, which then carries the default.
        default_text: what the help shows where the default itself says little ("MODEL/analysis").
        type: as in click; without it, that of the default.
        group: the heading in the help.
        at_least, at_most: make the flag variadic and bound its number of values (`at_least=0`: it
            may stand alone). A tuple as default makes it variadic by itself.
    """
    if of is not None:
        name = max(flags, key=len).lstrip("-")
        default = next(field.default for field in dataclasses.fields(of) if field.name == name)
    if isinstance(default, tuple):
        at_least = at_least or 0
        type = type or (default[0].__class__ if default else str)
    return click.option(
        *flags,
        cls=Option,
        help=help,
        type=type,
        default=default,
        required=required,
        default_text=_shown(default) if default_text is None else default_text,
        group=group,
        at_least=at_least,
        at_most=at_most,
    )


def _shown(default: object) -> str:
    """A default as one would type it."""
    if default is None or default == ():
        return "none"
    return " ".join(str(value) for value in default) if isinstance(default, tuple) else str(default)


def _metavar(type: click.ParamType) -> str:
    """What stands for a value in the help: the choices, or the kind of value."""
    if isinstance(type, click.Choice):
        return "[" + "|".join(str(choice) for choice in type.choices) + "]"
    if isinstance(type, _Switch):
        return type.name
    kinds = {"integer": "N", "integer range": "N", "float": "X", "float range": "X"}
    return kinds.get(type.name, type.name.upper())


def seed_option() -> Callable[[Callable], Callable]:
    """`--seed`, for every script."""
    return option(
        "--seed",
        default=0,
        type=NOT_NEGATIVE,
        help="fixes initialisation, split, mixtures, sampling and phase",
    )


def cuda_option(*short: str, default: int | str = -1) -> Callable[[Callable], Callable]:
    """`--cuda`, for every script; `lt.devices.device` turns its value into a device."""
    return option(
        *short,
        "--cuda",
        default=default,
        type=CUDA,
        help="-1 or cpu: the CPU; N or cuda:N: CUDA device N; cuda: the first",
    )


def given(ctx: click.Context) -> set[str]:
    """Names of the parameters that stand on the command line, whatever their values."""
    return {
        name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }


def refuse_given(ctx: click.Context, names: Iterable[str], where: str) -> None:
    """Make sure that none of the flags `names` was given: they have no meaning in `where` ("the
    mode audio").

    Raises:
        click.UsageError: some were.
    """
    idle = [f"--{name}" for name in names if name in given(ctx)]
    if idle:
        raise click.UsageError(f"{', '.join(idle)} has no meaning in {where}; leave it out.", ctx)


# --- variadic values ------------------------------------------------------------------------------


def gather(
    options: dict[str, Option], args: list[str]
) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Split `args` into those for click and the values of each variadic option; its last occurrence
    wins.
    """
    rest: list[str] = []
    gathered: dict[str, tuple[str, ...]] = {}
    while args:
        token = args.pop(0)
        if token == "--":
            return [*rest, token, *args], gathered
        flag, equals, attached = token.partition("=")
        if not token.startswith("--") and token[:2] in options and len(token) > 2:  # -i4
            flag, equals, attached = token[:2], "attached", token[2:]
        found = options.get(flag)
        if found is None or found.at_least is None:
            rest.append(token)
            if found is not None and not equals and args:
                rest.append(args.pop(0))
            continue
        values = [attached] if equals else []
        while not equals and args and not _is_flag(args[0]):
            values.append(args.pop(0))
        gathered[found.name] = tuple(values)
    return rest, gathered


def _is_flag(token: str) -> bool:
    """Whether a token ends the values of a variadic option; negative numbers and a lone `-` do not."""
    return token.startswith("-") and token != "-" and not _NEGATIVE_NUMBER.match(token)
