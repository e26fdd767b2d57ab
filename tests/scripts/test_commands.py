"""The commands that `pip install .` gives."""

from importlib import import_module
from pathlib import Path

import click
import pytest

tomllib = pytest.importorskip("tomllib")
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
COMMANDS = PROJECT["project"]["scripts"]


def test_commands_and_their_modules_are_installed():
    assert sorted(COMMANDS) == ["lt-analyze", "lt-build", "lt-midi", "lt-play", "lt-train"]
    modules = {target.partition(":")[0] for target in COMMANDS.values()}
    installed = set(PROJECT["tool"]["setuptools"]["py-modules"])
    assert {module for module in modules if not module.startswith("lt.")} == installed


@pytest.mark.parametrize("target", COMMANDS.values())
def test_a_command_is_one(target):
    module, _, name = target.partition(":")
    assert isinstance(getattr(import_module(module), name), click.Command)
