"""The command line: variadic flags, one-line errors, exit codes, several inputs."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner

from lt import cli, devices
from lt.config import flag

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Config:
    dims: tuple[int, ...] = flag((32, 16), "dimensions", kind="[1, inf)", at_least=1)
    frames: tuple[int, ...] = flag((), "frames", kind="[0, inf)", at_most=2)
    epochs: int = flag(3000, "epochs", "Training", "[1, inf)")
    beta: float = flag(1.0, "weight", kind="[0, 2)")
    kind: str = flag("a", "kind", kind=("a", "b"))
    plot: int = flag(1, "figures", kind="switch")
    name: str = flag("x", "name", kind="name")
    dynamics: int | None = flag(None, "index", short="-d")
    seed: int = flag(0, "seed", kind="[0, inf)")
    not_a_flag: int = 5


OUT_OF_MEMORY = (
    "this takes more memory than there is: smaller sizes, batches or inputs take less "
    "(LT_DEBUG=1 shows where)"
)
EXAMPLE = "python3 tool.py --models 'a b' \\\n    --dims 64 16   # two layers"


def tool(work):
    """A command with a flag of each kind; `work` gets the context and the values."""

    @cli.command("Do things.", example=EXAMPLE)
    @cli.options(Config)
    @cli.option("-m", "--models", help="folders", type=cli.PATH, required=True, at_least=1)
    @cli.option("-i", "--input", help="inputs", at_least=0, default_text="nothing")
    @cli.cuda_option("-c")
    @click.pass_context
    def command(ctx, **values):
        work(ctx, values)

    return command


def run(arguments, work=lambda ctx, values: None):
    """The result of a command line given as a string or a list."""
    arguments = arguments.split() if isinstance(arguments, str) else arguments
    return CliRunner().invoke(tool(work), arguments)


def parsed(arguments):
    """Values, and the names of the flags given, of a command line that is right."""
    seen = []
    result = run(arguments, lambda ctx, values: seen.extend([values, cli.given(ctx)]))
    assert result.exit_code == 0, result.stderr
    return seen


@pytest.mark.parametrize(
    "arguments, name, value",
    [
        ("--dims 64 16", "dims", (64, 16)),
        ("--dims=64", "dims", (64,)),
        ("", "dims", (32, 16)),
        ("--dims 1 2 --dims 3", "dims", (3,)),
        ("--frames", "frames", ()),
        ("--frames 1 2 --frames", "frames", ()),
        ("--frames 10 25", "frames", (10, 25)),
        ("-i a.wav b.wav", "input", ("a.wav", "b.wav")),
        ("-i 4 -9 -.5 5", "input", ("4", "-9", "-.5", "5")),
        ("-ia.wav", "input", ("a.wav",)),
        ("-i", "input", ()),
        ("-i - --plot 0", "input", ("-",)),
        ("--input=a=b", "input", ("a=b",)),
        ("--name --dims", "name", "--dims"),
        ("-c -1", "cuda", -1),
        ("--cuda=-1", "cuda", -1),
        ("--cuda 2", "cuda", 2),
        ("--cuda cuda:1", "cuda", 1),
        ("--cuda cuda", "cuda", 0),
        ("--cuda cpu", "cuda", -1),
        ("-d 0", "dynamics", 0),
        ("-d -1", "dynamics", -1),
        ("", "dynamics", None),
        ("--plot 0", "plot", 0),
        ("--beta 0", "beta", 0.0),
        ("--epochs 2", "epochs", 2),
        ("--seed 7", "seed", 7),
    ],
)
@pytest.mark.parametrize("models_first", [True, False])
def test_values(arguments, name, value, models_first):
    line = f"-m a b {arguments}" if models_first else f"{arguments} -m a b"
    values, given = parsed(line)
    assert values[name] == value
    assert values["models"] == (Path("a"), Path("b"))
    assert given == {"models"} | ({name} if arguments else set()) | (
        {"plot"} if "--plot" in line else set()
    )


def test_names_with_spaces_and_odd_letters_are_values():
    values, _ = parsed(["-m", "a b", "ü#1", "-i", "x y.wav"])
    assert values["models"] == (Path("a b"), Path("ü#1")) and values["input"] == ("x y.wav",)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("", "--models"),
        ("-m", "at least 1"),
        ("-m a --dims", "at least 1"),
        ("-m a --frames 1 2 3", "at most 2"),
        ("-m a --dims 0", "0 is not"),
        ("-m a --dims x", "'x'"),
        ("-m a --frames -1", "-1"),
        ("-m a --plot 2", "2 is not"),
        ("-m a --plot", "--plot"),
        ("-m a --kind c", "'c'"),
        ("-m a --beta nan", "nan is not in [0, 2)"),
        ("-m a --beta -1", "-1"),
        ("-m a --beta 2", "2 is not in [0, 2)"),
        ("-m a --epochs 1000000000000", "too large"),
        ("-m a -d inf", "not a whole number"),
        ("-m a --name a/b", "plain file name"),
        ("-m a --name ..", "plain file name"),
        ("-m a --cuda x", "device"),
        ("-m a --cuda -2", "device"),
        ("-m a --seed -1", "-1"),
        ("-m a --bogus 1", "--bogus"),
        ("-m a --plot 1 b", "b"),
        ("-m a --dims=1 2", "2"),
    ],
)
def test_what_the_line_alone_shows_is_one_line_and_code_2(arguments, words):
    result = run(arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.fullmatch(r"command: error: [^\n]*See command --help\.\n", result.stderr)
    assert words in result.stderr


def test_flags_without_meaning_are_refused():
    def work(ctx, values):
        cli.refuse_given(ctx, ("dynamics", "dims"), "the mode audio")

    assert run("-m a", work).exit_code == 0
    result = run("-m a -d 0", work)
    assert result.exit_code == 2 and "--dynamics has no meaning in the mode audio" in result.stderr


@pytest.mark.parametrize(
    "error, line",
    [
        (ValueError("a\n  b"), "a b"),
        (FileNotFoundError(2, "No such file or directory", "x"), "x: No such file or directory"),
        (FileNotFoundError("the file x does not exist"), "the file x does not exist"),
        (ImportError("no nsgt"), "no nsgt"),
        (click.ClickException("odd"), "odd"),
        (KeyError("a"), "unexpected KeyError: 'a' (LT_DEBUG=1 shows where)"),
        (MemoryError(), OUT_OF_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), OUT_OF_MEMORY),
        (
            RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 47999999952"
            ),
            OUT_OF_MEMORY,
        ),
        (ValueError(), "unexpected ValueError:  (LT_DEBUG=1 shows where)"),
        (
            RuntimeError("out of\nmemory"),
            "unexpected RuntimeError: out of memory (LT_DEBUG=1 shows where)",
        ),
    ],
)
def test_what_had_to_be_looked_at_is_one_line_and_code_1(error, line, monkeypatch):
    def work(ctx, values):
        raise error

    monkeypatch.delenv("LT_DEBUG", raising=False)
    result = run("-m a", work)
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr == f"command: error: {' '.join(line.split())}\n"
    if not isinstance(error, click.ClickException):
        monkeypatch.setenv("LT_DEBUG", "1")
        assert run("-m a", work).exception is error


@pytest.mark.fault("kill")
def test_interruption_is_one_line_and_code_130():
    def work(ctx, values):
        raise KeyboardInterrupt

    result = run("-m a", work)
    assert (result.exit_code, result.stderr) == (130, "command: error: interrupted\n")


def long_default_help():
    @cli.command("Wrap.", example="")
    @cli.option("--long", help="words " * 20, default=tuple(range(1, 9)), at_least=0)
    def command(long):
        pass

    return CliRunner().invoke(command, ["-h"]).stdout


def test_help_shows_defaults_groups_and_the_example_as_written():
    assert "[default: 1 2 3 4 5 6 7 8]" in " ".join(long_default_help().split())
    for name in ("-h", "--help"):
        result = run(name)
        assert result.exit_code == 0 and result.stderr == ""
    text = " ".join(result.stdout.split())
    for part in (
        "--dims N ... dimensions [default: 32 16]",
        "--frames N ... frames [default: none]",
        "-m, --models PATH ... folders [required]",
        "-i, --input TEXT ... inputs [default: nothing]",
        "--kind [a|b] kind [default: a]",
        "--plot 0|1 figures [default: 1]",
        "--beta X weight [default: 1.0]",
        "Training: --epochs N epochs [default: 3000]",
        "[default: -1]",
        "--seed N",
    ):
        assert part in text
    assert result.stdout.endswith(
        "\n  Example:\n" + "".join(f"  {line}\n" for line in EXAMPLE.split("\n"))
    )


# --- several inputs -------------------------------------------------------------------------------


def over(inputs, work, seen=None):
    def body(ctx, values):
        results = cli.for_each(inputs, work)
        if seen is not None:
            seen.extend(results)
        print("done")

    return run("-m a", body)


def test_a_bad_input_is_skipped_and_the_rest_are_done():
    seen = []
    result = over(["1", "x", "3"], int, seen)
    assert seen == [1, 3] and result.stdout == "done\n" and result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 2 and "'x'" in lines[0] and lines[-1] == "2 ok, 1 failed"


def test_all_good_or_single_or_none():
    result = over(["1", "2"], int)
    assert (result.exit_code, result.stderr) == (0, "2 ok, 0 failed\n")
    assert (over(["1"], int).exit_code, over(["1"], int).stderr) == (0, "")
    result = over(["x"], int)
    assert result.exit_code == 1 and result.stdout == "" and result.stderr.count("\n") == 1
    assert over([], int).exit_code == 0


def test_the_count_is_the_last_line_even_after_a_later_error():
    def body(ctx, values):
        cli.for_each(["x", "y"], int)
        raise ValueError("nothing left to score")

    result = run("-m a", body)
    assert result.exit_code == 1 and result.stderr.splitlines()[-2:] == [
        "command: error: nothing left to score",
        "0 ok, 2 failed",
    ]


def test_inner_inputs_are_counted_in_place_of_outer_ones():
    def model(name):
        cli.for_each(["1", "x", "3"] if name == "a" else ["4"], int)
        if name == "c":
            raise ValueError("no model")

    assert over(["a", "b", "c"], model).stderr.splitlines()[-1] == "3 ok, 2 failed"


def test_mistakes_on_the_line_and_odd_errors_in_the_work():
    def usage(item):
        raise click.UsageError("no")

    assert over(["a", "b"], usage).exit_code == 2
    result = over(["a", "b"], lambda item: {}[item])
    assert (
        result.exit_code == 1 and "KeyError" in result.stderr and "0 ok, 2 failed" in result.stderr
    )


# --- as a process ---------------------------------------------------------------------------------

SCRIPT = """
import logging
from lt import cli
import click
@cli.command("Print.", example="print")
@click.argument("what")
def main(what):
    logging.getLogger("lt.tool").info("a note")
    with cli.progress(total=3, desc="bar") as bar:
        bar.update()
    for number in range(100_000):
        print(what, number)
main()
"""


def process(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_a_reader_that_stops_early_is_no_error_message():
    child = process("x")
    assert child.stdout.readline() == "x 0\n"
    child.stdout.close()
    assert child.stderr.read() == "a note\n"  # no bar either: stderr is not a terminal
    child.stderr.close()
    child.wait()


def test_help_is_quick():
    def seconds():
        start = time.monotonic()
        out, _ = process("--help").communicate()
        assert "Usage" in out
        return time.monotonic() - start

    assert min(seconds() for _ in range(3)) < 1.0


# --- devices --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [-1, "-1", "cpu"])
def test_the_cpu_by_all_its_names(name):
    assert devices.device(name).type == "cpu"


def test_the_memory_of_the_cpu_is_the_machines():
    assert 2**28 < devices.memory(torch.device("cpu")) < 2**50


@pytest.mark.parametrize("name", [64, "64", "cuda:64"])
def test_an_absent_device_is_an_error(name):
    with pytest.raises(ValueError, match="no CUDA device 64.*-1 or cpu"):
        devices.device(name)


def test_no_device_of_that_name():
    with pytest.raises(ValueError, match="not a device"):
        devices.device("tpu")


def test_cuda_devices_by_their_names(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    found = [str(devices.device(name)) for name in (0, "cuda", 1, "cuda:1")]
    assert found == ["cuda:0", "cuda:0", "cuda:1", "cuda:1"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--name", "x", "-m", ""], "'-m' / '--models': a path is missing, there is nothing"),
        ("-m --name x", "it takes at least 1, got 0 (is a shell variable not set?)"),
    ],
)
def test_an_empty_shell_variable_is_named_by_its_flag(arguments, words):
    result = run(arguments)
    assert result.exit_code == 2 and words in result.stderr


@pytest.mark.parametrize("text", ["", "--dims", "-m"])
def test_a_path_is_neither_empty_nor_the_next_flag(text):
    with pytest.raises(ValueError, match="is a shell variable not set"):
        cli.KINDS["place"].parse(text)


def test_the_shell_completes_flags_and_choices(monkeypatch):
    words = {"--ep": "--epochs", "--models a --ki": "--kind", "-m a b --kind ": "b"}
    for typed, expected in words.items():
        line = f"tool {typed}"
        monkeypatch.setenv("_TOOL_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        result = CliRunner().invoke(tool(lambda ctx, values: None), [], prog_name="tool")
        assert f"plain,{expected}" in result.stdout.split()
