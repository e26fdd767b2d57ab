"""README: its commands are understood as they are written, its files and make targets exist."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line for line in LINES if re.match(r"python3 (lt_\w+\.py|-m lt\.)", line)]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_understood(line):
    words = shlex.split(re.sub(r"\$\{\w+\}", "x", line), comments=True)
    words = words[: words.index(">")] if ">" in words else words
    module, arguments = words[1].removesuffix(".py"), words[2:]
    if module == "-m":
        module, *arguments = arguments
        module = {"lt.builders": "lt.build.__main__"}.get(module, f"{module}.__main__")
    import_module(module).main.make_context(module, arguments)


def test_commands_of_every_script_are_shown():
    assert len(COMMANDS) > 15
    for path in ROOT.glob("lt_*.py"):
        assert any(path.name in line for line in COMMANDS), path.name


def test_links_and_make_targets_exist():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).is_file(), link
    makefile = (ROOT / "Makefile").read_text("utf-8")
    shown = [line for line in LINES if line.startswith("make")]
    for target in re.findall(
        r"\bmake ([a-z-]+)\b", " ".join([*shown, *re.findall("`make[^`]*`", README)])
    ):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_it_is_short():
    assert README.count("\n") <= 200
