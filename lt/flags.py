"""Flags: the kinds of values they take, and how one is declared. Scripts reach all of it through `lt.cli`.

Conventions: a default lives in the dataclass that it configures and the flag refers to it (`of=RunConfig`);
every line of the help ends in the default. A variadic flag takes the values up to the next flag, as a tuple;
a token that starts like a negative number is a value; the last occurrence wins. Imports nothing heavy.
"""
from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click
from click.core import ParameterSource

GATHERED = "lt.flags.gathered"  # ctx.meta: the values of the variadic flags
NO_BREAK = "\xa0"  # keeps a default on one line of the help; `Command` prints it as a space
_NEGATIVE_NUMBER = re.compile(r"-\.?\d")


# --- kinds of values --------------------------------------------------------------------------------------

class _Switch(click.ParamType):
    name = "0|1"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if str(value) not in ("0", "1"):
            self.fail(f"'{value}' is neither 0 nor 1.", param, ctx)
        return int(str(value))


class Number(click.FloatRange):
    """A finite float, optionally within `min` and `max`."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"'{value}' is not a finite number.", param, ctx)
        return number


class _PlainName(click.ParamType):
    name = "name"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in ("", ".", "..") or set("/\\\0") & set(str(value)):
            self.fail(f"'{value}' is not a plain file name.", param, ctx)
        return str(value)


class _Cuda(click.ParamType):
    name = "device"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if not re.fullmatch(r"-1|\d+|cpu|cuda|cuda:\d+", str(value)):
            self.fail(f"'{value}' is not a device; use -1 or cpu, N or cuda:N, or cuda.", param, ctx)
        return str(value) if str(value).startswith("c") else int(str(value))


SWITCH, PLAIN_NAME, CUDA = _Switch(), _PlainName(), _Cuda()
PATH = click.Path(path_type=Path, readable=False)  # what is there is not for the command line to know: exit code 1
POSITIVE = click.IntRange(min=1)
NOT_NEGATIVE = click.IntRange(min=0)


# --- options ----------------------------------------------------------------------------------------------

class Option(click.Option):
    """An option with its place in the help and, where `at_least` is a number, any number of values.

    `default_text` is what the help shows; `required` options have no default.
    """

    def __init__(self, flags: Sequence[str], help: str, type: click.ParamType | type | None, default: object,
                 default_text: str, required: bool, group: str, at_least: int | None,
                 at_most: int | None) -> None:
        default_or_none = {} if required else {"default": default}
        super().__init__(flags, help=help, type=type, required=required, multiple=at_least is not None,
                         **default_or_none)
        self.default_text, self.group, self.at_least, self.at_most = default_text, group, at_least, at_most

    def handle_parse_result(self, ctx: click.Context, opts: dict[str, object],
                            args: list[str]) -> tuple[object, list[str]]:
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


def option(*flags: str, help: str, of: type | None = None, default: object = None,
           default_text: str | None = None, type: click.ParamType | type | None = None,
           required: bool = False, group: str = "Options", at_least: int | None = None,
           at_most: int | None = None) -> Callable[[Callable], Callable]:
    """Declare a flag whose line in the help ends in its default.

    Arguments:
        of: a dataclass with a field of the flag's name, which then carries the default.
        default_text: what the help shows where the default itself says little ("MODEL/analysis").
        type: as in click; without it, that of the default.
        group: the heading in the help.
        at_least, at_most: make the flag variadic and bound its number of values (`at_least=0`: it may stand
            alone). A tuple as default makes it variadic by itself.
    """
    if of is not None:
        name = max(flags, key=len).lstrip("-")
        default = next(field.default for field in dataclasses.fields(of) if field.name == name)
    if isinstance(default, tuple):
        at_least = at_least or 0
        type = type or (default[0].__class__ if default else str)
    return click.option(*flags, cls=Option, help=help, type=type, default=default, required=required,
                        default_text=_shown(default) if default_text is None else default_text,
                        group=group, at_least=at_least, at_most=at_most)


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
    return option("--seed", default=0, type=NOT_NEGATIVE,
                  help="fixes initialisation, split, mixtures, sampling and phase")


def cuda_option(*short: str, default: int | str = -1) -> Callable[[Callable], Callable]:
    """`--cuda`, for every script; `lt.devices.device` turns its value into a device."""
    return option(*short, "--cuda", default=default, type=CUDA,
                  help="-1 or cpu: the CPU; N or cuda:N: CUDA device N; cuda: the first")


def given(ctx: click.Context) -> set[str]:
    """Names of the parameters that stand on the command line, whatever their values."""
    return {name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}


def refuse_given(ctx: click.Context, names: Iterable[str], where: str) -> None:
    """Make sure that none of the flags `names` was given: they have no meaning in `where` ("the mode audio").

    Raises:
        click.UsageError: some were.
    """
    idle = [f"--{name}" for name in names if name in given(ctx)]
    if idle:
        raise click.UsageError(f"{', '.join(idle)} has no meaning in {where}; leave it out.", ctx)


# --- variadic values ----------------------------------------------------------------------------------------

def gather(options: dict[str, Option], args: list[str]) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Split `args` into those for click and the values of each variadic option; its last occurrence wins."""
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
