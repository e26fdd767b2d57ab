"""The command line of the scripts, built with click.

A script is a function of its flags; those of a settings class are made from its fields::

    @cli.command("Train a pair of VAEs.", example="python3 lt_train.py --instruments Piano")
    @cli.options(RunConfig)
    @cli.option("--load", help="folder of the run to continue", type=cli.PATH)
    def main(load, **flags): ...

Conventions: results go to stdout; log records of `lt`, progress bars and errors go to stderr.
Library functions raise ValueError, OSError and the like with one sentence, which becomes one line
and exit code 1; what the command line alone shows to be wrong is a `click.UsageError` and exit
code 2. `LT_DEBUG=1` shows tracebacks. A variadic flag takes the values up to the next flag, as a
tuple; a token that starts like a negative number is a value; the last occurrence of a flag counts.
Imports nothing heavy, so `--help` is fast.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import click
from click.core import ParameterSource

from lt.config.fields import CUDA_HELP, LARGEST, in_interval, scalar_type
from lt.devices import cuda_index

logger = logging.getLogger("lt")

EXPECTED = (ValueError, OSError, ImportError)  # their messages are written for the user
UNSET = "(is a shell variable not set?)"
INTERRUPTED = 130  # the shell's code for Ctrl-C: 128 + SIGINT
GATHERED, TALLY = "lt.cli.gathered", "lt.cli.tally"  # keys of click's ctx.meta


# --- kinds of values ------------------------------------------------------------------------------


class Value(click.ParamType):
    """A kind of value: `parse` converts its text, or raises ValueError with the reason."""

    def __init__(self, name: str, parse: Callable[[Any], Any]) -> None:
        self.name, self.parse = name, parse

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        try:
            return self.parse(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def interval(bounds: str, number: type = int) -> Value:
    """Numbers in an interval such as "[0, 1]" or "(0, inf)"."""

    def parse(text: object) -> int | float:
        try:
            value = number(text)
        except ValueError:
            what = "a whole number" if number is int else "a number"
            raise ValueError(f"'{text}' is not {what}") from None
        if value >= LARGEST:
            raise ValueError(f"{text} is too large: numbers here are below {LARGEST:g}")
        if not in_interval(value, bounds):
            raise ValueError(f"{text} is not in {bounds}")
        return value

    return Value("N" if number is int else "X", parse)


def _plain_name(text: str) -> str:
    if text in ("", ".", "..") or set("/\\\0") & set(text):
        raise ValueError(f"'{text}' is not a plain file name")
    return text


def _checkpoint(text: str) -> int | str:
    if text in ("best", "last"):
        return text
    if not text.isdecimal():
        raise ValueError(f"'{text}' is neither best, last nor an epoch")
    return int(text)


def _place(value: object) -> object:
    """A path that is there: not empty, nor the flag that follows it on the command line."""
    if str(value) == "" or _is_flag(str(value)):
        what = f"the flag {value}" if value else "nothing"
        raise ValueError(f"a path is missing, there is {what} {UNSET}")
    return value


def _dynamics(text: object) -> int:
    from lt.labels import dynamics_class  # a tenth of a second, too long for --help

    return dynamics_class(str(text))


def _tuning(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        return interval("[220, 880]", float).parse(text)
    except ValueError as error:
        raise ValueError(f"{error}; give hertz of A4, or auto") from None


class FilePath(click.Path):
    """A path; a missing file is exit code 1, not 2, an empty path is 2."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        try:
            return super().convert(_place(value), param, ctx)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


PATH = FilePath(path_type=Path, readable=False)
SWITCH = Value("0|1", interval("[0, 1]").parse)
KINDS: dict[str, click.ParamType] = {
    "switch": SWITCH,
    "name": Value("name", _plain_name),
    "dynamics": Value("0-4|pp-ff", _dynamics),
    "device": Value("device", cuda_index),
    "tuning": Value("auto|HZ", _tuning),
    "checkpoint": Value("best|last|N", _checkpoint),
    "path": PATH,
    "place": Value("path", _place),  # kept as text
    "text": click.STRING,
}


def value_type(
    kind: str | tuple[str, ...],
    scalar: type = str,
    kinds: Mapping[str, click.ParamType] = KINDS,
) -> click.ParamType:
    """The click type of a flag's `kind` (see `lt.config.flag`); `scalar` is the field's type."""
    if isinstance(kind, tuple):
        return click.Choice(kind)
    if kind in kinds or scalar is str:
        return kinds[kind or "text"]
    return interval(kind or "(-inf, inf)", scalar)


# --- flags ----------------------------------------------------------------------------------------


class Option(click.Option):
    """A click option with a heading in the help; with `at_least`, it takes several values."""

    def __init__(
        self,
        flags: Sequence[str],
        group: str,
        at_least: int | None,
        at_most: int | None,
        **settings: Any,
    ) -> None:
        super().__init__(flags, multiple=at_least is not None, **settings)
        self.group = group
        self.at_least = at_least
        self.at_most = math.inf if at_most is None else at_most

    def make_metavar(self, *args: Any, **settings: Any) -> str:
        """`N`, or `N ...` for a variadic flag."""
        return super().make_metavar(*args, **settings) + (" ..." if self.multiple else "")

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Add the values that `Command.parse_args` gathered, then continue as click does."""
        if self.name in ctx.meta[GATHERED]:
            values = ctx.meta[GATHERED][self.name]
            fits = self.at_least <= len(values) <= self.at_most
            if not fits and not ctx.resilient_parsing:
                few = len(values) < self.at_least
                bound = f"at least {self.at_least}" if few else f"at most {self.at_most}"
                got = f"{len(values)}" if values else f"0 {UNSET}"
                raise click.BadParameter(f"it takes {bound}, got {got}.", ctx, self)
            opts = {**opts, self.name: values}
        return super().handle_parse_result(ctx, opts, args)


def option(
    *flags: str,
    help: str,
    type: click.ParamType = click.STRING,
    default: object = None,
    default_text: str | None = None,
    required: bool = False,
    group: str = "Options",
    at_least: int | None = None,
    at_most: int | None = None,
) -> Callable[[Callable], Callable]:
    """A flag that belongs to no settings class; its help ends in the default.

    Args:
        flags: `--name`, and a short form if any.
        help, default, default_text, group, at_least, at_most: as in `lt.config.flag`.
        type: see `value_type`.
        required: whether there is no default.
    """
    settings: dict[str, Any] = {"required": True} if required else {"default": default}
    if not required:
        text = _as_typed(default) if default_text is None else default_text
        help += f"  [default: {text}]"
    return click.option(
        *flags,
        cls=Option,
        help=help,
        type=type,
        group=group,
        at_least=at_least,
        at_most=at_most,
        **settings,
    )


def options(
    config: type, kinds: Mapping[str, click.ParamType] = KINDS
) -> Callable[[Callable], Callable]:
    """A flag for each field of a settings class that was made by `lt.config.flag`.

    Args:
        config: the class.
        kinds: the click types that the fields' `kind` may name.
    """
    hints = get_type_hints(config)

    def decorate(function: Callable) -> Callable:
        flags = [entry for entry in dataclasses.fields(config) if "help" in entry.metadata]
        for entry in reversed(flags):
            hint = hints[entry.name]
            about = dict(entry.metadata)
            short = about.pop("short")
            if get_origin(hint) is tuple and about["at_least"] is None:
                about["at_least"] = 0
            shown = ("help", "default_text", "group", "at_least", "at_most")
            function = option(
                *([short] if short else []),
                f"--{entry.name}",
                type=value_type(about["kind"], scalar_type(hint), kinds),
                default=entry.default,
                **{name: about[name] for name in shown},
            )(function)
        return function

    return decorate


def _as_typed(default: object) -> str:
    """A default as one would type it."""
    if default is None or default == () or default == "":
        return "none"
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def cuda_option(*short: str, default: int | str = -1) -> Callable[[Callable], Callable]:
    """`--cuda`: its value is the number of a CUDA device, or -1 (see `lt.devices.device`)."""
    return option(*short, "--cuda", help=CUDA_HELP, type=KINDS["device"], default=default)


def given(ctx: click.Context) -> set[str]:
    """Names of the parameters that are on the command line, whatever their values."""
    return {
        name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }


def refuse_given(ctx: click.Context, names: Iterable[str], context: str) -> None:
    """Check that none of the flags `names`, which have no meaning in `context`, was given.

    Raises:
        click.UsageError: some were.
    """
    idle = [f"--{name}" for name in names if name in given(ctx)]
    if idle:
        raise click.UsageError(f"{', '.join(idle)} has no meaning in {context}; leave it out.", ctx)


def gather(
    options: Mapping[str, Option], args: list[str]
) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Split `args` into those for click and the values of each variadic option."""
    rest: list[str] = []
    gathered: dict[str, tuple[str, ...]] = {}
    while args:
        token = args.pop(0)
        if token == "--":
            return [*rest, token, *args], gathered
        flag, attached, value = token.partition("=")
        if token[:2] in options and len(token) > 2 and not token.startswith("--"):  # -i4
            flag, attached, value = token[:2], token[:2], token[2:]
        found = options.get(flag)
        if found is None or not found.multiple:
            rest.append(token)
            if found is not None and not attached and args:
                rest.append(args.pop(0))
            continue
        values = [value] if attached else []
        while not attached and args and not _is_flag(args[0]):
            values.append(args.pop(0))
        gathered[found.name] = tuple(values)
    return rest, gathered


def _is_flag(token: str) -> bool:
    """Whether a token ends the values of a variadic option; negative numbers and `-` do not."""
    return token.startswith("-") and token != "-" and not re.match(r"-\.?\d", token)


# --- commands -------------------------------------------------------------------------------------


@dataclasses.dataclass
class Tally:
    """Numbers of inputs that succeeded and failed."""

    ok: int = 0
    failed: int = 0


class Command(click.Command):
    """A click command with variadic options, grouped help, and errors on one line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the variadic options and their values out of `args`, leave the rest to click."""
        options = {
            flag: entry for entry in self.params if isinstance(entry, Option) for flag in entry.opts
        }
        rest, ctx.meta[GATHERED] = gather(options, [*args])
        left = super().parse_args(ctx, rest)
        if left and not ctx.resilient_parsing:
            raise click.UsageError(
                f"'{left[0]}' belongs to no flag; its flag comes before it, as in the example.", ctx
            )
        return left

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options by group, in order of declaration."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and record[1]:  # arguments are explained in the text above
                groups.setdefault(getattr(parameter, "group", "Options"), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        standalone_mode: bool = True,
    ) -> object:
        """Run and exit with the code of the contract (see the module); not standalone: as click."""
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False)
        for stream in (sys.stdout, sys.stderr):  # file names may be undecodable
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        name, tally = prog_name or Path(sys.argv[0]).name, Tally()
        self._complete(name)
        handler = StderrHandler()
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        try:
            code = self._exit_code(name, list(sys.argv[1:] if args is None else args), tally)
            if tally.ok + tally.failed:
                logger.info("%d ok, %d failed", tally.ok, tally.failed)
        finally:
            logger.removeHandler(handler)
        sys.exit(code or int(tally.failed > 0))

    def _complete(self, name: str) -> None:
        """Answer the shell that asks for completions, by the variable _NAME_COMPLETE, and exit."""
        variable = "_" + re.sub(r"[-.]", "_", name).upper() + "_COMPLETE"
        if instruction := os.environ.get(variable):
            from click.shell_completion import shell_complete

            sys.exit(shell_complete(self, {}, name, variable, instruction))

    def _exit_code(self, name: str, args: list[str], tally: Tally) -> int:
        """Run; an error becomes an exit code and one line on stderr."""
        try:
            with self.make_context(name, args) as ctx:
                ctx.meta[TALLY] = tally
                self.invoke(ctx)
                sys.stdout.flush()
            return 0
        except click.exceptions.Exit as end:
            return end.exit_code
        except click.ClickException as error:
            see = f" See {name} --help." if error.exit_code == 2 else ""
            logger.error("%s: error: %s%s", name, one_line(error), see)
            return error.exit_code
        except (KeyboardInterrupt, click.Abort):
            logger.error("%s: error: interrupted", name)
            return INTERRUPTED
        except BrokenPipeError:  # the reader of stdout (`| head`) has stopped
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except Exception as error:
            if _debugging():
                raise
            logger.error("%s: error: %s", name, one_line(error))
            return 1


def command(help: str, example: str) -> Callable[[Callable], Command]:
    """Make a function the command of a script; the example is shown in its help as written."""
    return click.command(
        cls=Command,
        help=help,
        epilog=f"\b\nExample:\n{example}",
        context_settings={
            "help_option_names": ["-h", "--help"],
            "max_content_width": 110,
            "allow_extra_args": True,  # `Command.parse_args` refuses them in words of its own
        },
    )


def for_each(inputs: Sequence, work: Callable[[Any], Any]) -> list:
    """Call `work` on every input. If there are several, a failure is reported and the rest go on.

    Returns the results of those that succeeded. The command then ends with `N ok, K failed` as the
    last line on stderr, and with exit code 1 if any failed. Inputs of a nested call are counted
    instead of the outer input.

    Raises:
        whatever `work` raises, for a single input, or under LT_DEBUG=1.
    """
    if len(inputs) == 1:
        return [work(inputs[0])]
    ctx = click.get_current_context()
    tally = ctx.meta[TALLY]
    results = []
    for item in inputs:
        before = dataclasses.replace(tally)
        try:
            results.append(work(item))
            tally.ok += tally == before
        except (click.UsageError, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:  # of any kind: the other inputs do not depend on this one
            if _debugging():
                raise
            logger.error("%s: error: %s", ctx.find_root().info_name, one_line(error))
            tally.failed += 1
    return results


# --- messages -------------------------------------------------------------------------------------


class StderrHandler(logging.Handler):
    """Writes log messages to stderr, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message, without its level."""
        from tqdm import tqdm  # a tenth of a second, too long for --help

        tqdm.write(self.format(record), file=sys.stderr)


def progress(total: int | None = None, desc: str = "", unit: str = "it") -> Any:
    """A progress bar on stderr, on a terminal only (see `lt.progress`)."""
    from tqdm import tqdm

    return tqdm(total=total, desc=desc, unit=unit, disable=None, dynamic_ncols=True)


def one_line(error: BaseException) -> str:
    """The message of an error on one line; unexpected kinds with their name."""
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
    """Whether an allocation failed; torch has a class for CUDA only, for the CPU a message."""
    name = type(error).__name__
    return name in ("MemoryError", "OutOfMemoryError") or (
        name == "RuntimeError" and "can't allocate memory" in str(error)
    )


def _debugging() -> bool:
    return os.environ.get("LT_DEBUG", "0") not in ("", "0")
