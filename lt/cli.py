"""What the four scripts share on the command line, built with click.

A script is a function of its flags::

    @cli.command("Train a pair of VAEs.", example="python3 lt_train.py --instruments Piano")
    @cli.option("--epochs", of=RunConfig, help="training epochs", type=cli.POSITIVE)
    @cli.option("--dims", of=RunConfig, help="latent dimensions", type=cli.POSITIVE, at_least=1)
    def main(epochs, dims): ...

Conventions: results go to stdout, everything else to stderr (`note`, `progress`, errors). Rooms raise
ValueError, OSError and the like with one sentence; here it becomes one line and exit code 1. What the command
line alone shows to be wrong is a `click.UsageError` and exit code 2. `LT_DEBUG=1` lets the traceback through.
How a flag is declared stands in `lt.flags`. Imports nothing heavy: `--help` has one second.
"""
from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from lt.flags import (CUDA, GATHERED, NO_BREAK, NOT_NEGATIVE, PATH, PLAIN_NAME, POSITIVE, SWITCH, Number,
                      Option, cuda_option, gather, given, option, refuse_given, seed_option)

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["CUDA", "NOT_NEGATIVE", "PATH", "PLAIN_NAME", "POSITIVE", "SWITCH", "Command", "Number", "command",
           "cuda_option", "echo", "for_each", "given", "note", "one_line", "option", "progress", "refuse_given",
           "seed_option"]

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
    """A click command with variadic options, grouped help, and errors on one line. Made by `command`."""

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

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None,
             standalone_mode: bool = True) -> object:
        """Run and exit with the code of the contract (see the module); not standalone: as click does."""
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
            _report(name, one_line(error) + (f" See {name} --help." if error.exit_code == 2 else ""))
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
    return click.command(cls=Command, help=help, epilog=example,
                         context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})


# --- what is said, and where ------------------------------------------------------------------------------

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
    return tqdm(total=total, desc=description, unit=unit, file=sys.stderr, disable=not sys.stderr.isatty(),
                dynamic_ncols=True)


def one_line(error: BaseException) -> str:
    """What an error says, on one line; an unexpected kind is named, with the way to its traceback."""
    if isinstance(error, click.ClickException):
        text = error.format_message()
    elif isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{os.fsdecode(error.filename)}: {error.strerror}"
    elif isinstance(error, EXPECTED) and str(error):
        text = str(error)
    elif _is_out_of_memory(error):
        text = "this takes more memory than there is: smaller sizes, batches or inputs take less " \
               "(LT_DEBUG=1 shows where)"
    else:
        text = f"unexpected {type(error).__name__}: {error} (LT_DEBUG=1 shows where)"
    return " ".join(text.split())


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed; torch has an error of its own for CUDA, and for the CPU only words."""
    kind = type(error).__name__
    return isinstance(error, MemoryError) or kind == "OutOfMemoryError" or \
        kind == "RuntimeError" and "can't allocate memory" in str(error)


def _report(name: str, message: str) -> None:
    note(f"{name}: error: {message}")


def _debugging() -> bool:
    return os.environ.get("LT_DEBUG", "0") not in ("", "0")


# --- several inputs ---------------------------------------------------------------------------------------

def for_each(inputs: Sequence[Item], work: Callable[[Item], Result]) -> list[Result]:
    """Do `work` on every input; of several, a bad one is reported and skipped, and the rest are done.

    Returns the results of those that went well. The command then ends with `N ok, K failed` as the last
    line on stderr, and with exit code 1 if any failed. A call within another's work is counted in its place.

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
        except Exception as error:  # whatever one file brings about, the others are still to be done
            if _debugging():
                raise
            _report(ctx.find_root().info_name, one_line(error))
            tally.failed += 1
    return results
