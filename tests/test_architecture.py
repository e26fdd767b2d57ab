"""Packages import one way only, light modules stay light, and nothing unpickles."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INTERFACE = (ROOT / "lt" / "__init__.py").read_text("utf-8")
# Package -> those that it may import, from the table in the docstring of `lt` (there, `root`)
ALLOWED = {
    package: set(others.split())
    for package, others in re.findall(r"^ +(\w+) +<-((?: \w+)*) {2,}", INTERFACE, re.MULTILINE)
}
BUILD_FROM_TRAINING = {"lt.training.launch"}
COMMANDS = {"lt.builders", "lt.convert_lt_set", "lt.gallery"}  # names that users type
LIGHT = ("config", "config.fields", "files", "labels", "midi", "cli", "devices", "audio.io")
HEAVY = {"torch", "librosa", "sklearn", "matplotlib", "pretty_midi", "nsgt", "nsgt_wrap"}

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "lt").rglob("*.py"))
}
SCRIPTS = sorted(ROOT.glob("lt_*.py"))
OURS = [
    *MODULES.values(),
    *SCRIPTS,
    *(
        path
        for name in ("nsgt_wrap", "tests", "bench", "docs")
        for path in (ROOT / name).rglob("*.py")
    ),
    ROOT / "demo.py",
]


@cache
def imports_of(path, top_level=False):
    """Names of the modules that a file imports; with `top_level`, only those that importing it
    brings in.
    """
    tree = ast.parse(path.read_text("utf-8"))
    found = set()
    for node in run_at_import(tree.body) if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return found


def run_at_import(statements):
    """Statements that run when a module is imported, those under `if TYPE_CHECKING` left out."""
    for statement in statements:
        if isinstance(statement, ast.If) and getattr(statement.test, "id", "") == "TYPE_CHECKING":
            continue
        yield statement
        for name in ("body", "orelse", "handlers", "finalbody"):
            if not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                yield from run_at_import(getattr(statement, name, []))


def package_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ALLOWED else "root"


def ours_in(path):
    return {name for name in imports_of(path) if name in MODULES}


@pytest.mark.parametrize("module", sorted(MODULES.keys() - COMMANDS - {"lt"}))
def test_a_package_imports_only_those_before_it(module):
    own = package_of(module)
    others = {package_of(name) for name in ours_in(MODULES[module])} - {own}
    alone = {"build"} if module not in BUILD_FROM_TRAINING and own == "training" else set()
    assert others <= ALLOWED[own] - alone


def test_modules_import_without_a_cycle():
    above = {name: ours_in(path) - {name, "lt"} for name, path in MODULES.items() if name != "lt"}
    while above:
        free = {name for name, needs in above.items() if not needs & above.keys()}
        assert free, f"a cycle among {sorted(above)}"
        above = {name: needs for name, needs in above.items() if name not in free}


def test_every_package_is_described_where_it_begins():
    packages = {path.parent.name for path in (ROOT / "lt").glob("*/__init__.py")}
    assert packages == ALLOWED.keys() - {"root"}
    for package in packages:
        assert ast.get_docstring(
            ast.parse((ROOT / "lt" / package / "__init__.py").read_text("utf-8"))
        )


def test_the_table_of_packages_has_one_direction():
    before = set()
    for package, others in ALLOWED.items():
        assert others <= before
        before.add(package)


def test_the_transform_imports_nothing_of_lt():
    for path in (ROOT / "nsgt_wrap").rglob("*.py"):
        assert not [name for name in imports_of(path) if name.split(".")[0] == "lt"], path.name


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_import_nothing_heavy(name):
    imports = imports_of(MODULES[f"lt.{name}"], top_level=True)
    assert {module.split(".")[0] for module in imports} & HEAVY == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_import_no_other_script(script):
    others = {other.stem for other in SCRIPTS} - {script.stem}
    assert imports_of(script) & others == set()


@pytest.mark.parametrize(
    "command", [path.stem for path in SCRIPTS] + sorted(COMMANDS) + ["lt.build.__main__"]
)
def test_commands_import_nothing_heavy_before_they_run(command):
    code = (
        f"import sys; sys.argv = ['command']; import {command}; "
        f"sys.exit(bool({HEAVY!r} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_nothing_of_ours_unpickles():
    for path in OURS:
        # it admits arrays only; its tests make harm
        if path.stem not in ("published_set", "test_published_set"):
            unpicklers = {"pickle", "cPickle", "dill", "cloudpickle", "joblib"}
            assert not imports_of(path) & unpicklers, path.name
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
                setting = (node.arg, node.value.value)
                unsafe = (("allow_pickle", True), ("weights_only", False))
                assert setting not in unsafe, path.name
            name = getattr(node.func, "attr", "") if isinstance(node, ast.Call) else ""
            if name == "load" and ast.unparse(node.func) == "torch.load":
                assert "weights_only" in {keyword.arg for keyword in node.keywords}, path.name
