"""The rooms keep their order, the light ones stay light, and nothing unpickles."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = {
    0: "config rows files labels spectra audio rumble midi cli flags devices seeds workers results symbols",
    1: "datasets datafiles splits mixtures augment modulators soundfonts networks sources latent tuning "
       "takes layouts indexes aligned surveys cutting parts preload accounts builders convert_lt_set",
    2: "vae critic baselines",
    3: "losses metrics objective",
    4: "checkpoints runs validation segments",
    5: "learner training decoding rendering generation hearing "
       "voices transcription arranging subjects analysis rivals examples",
    6: "plotting report sessions monitor plotting_analysis inspection plotting_sound playing modes info "
       "references plotting_crossdata crossdata crossscores crossing",
}
ROW_OF = {f"lt.{name}": row for row, names in ROWS.items() for name in names.split()} | {"lt": 0}
LIGHT = ("config", "rows", "files", "labels", "audio", "rumble", "midi", "cli", "flags", "devices")
HEAVY = {"torch", "librosa", "sklearn", "matplotlib", "pretty_midi", "nsgt", "nsgt_wrap"}

ROOMS = sorted(path for path in (ROOT / "lt").glob("*.py") if path.stem != "__init__")
SCRIPTS = sorted(ROOT.glob("lt_*.py"))
OURS = [*ROOMS, *SCRIPTS, *(path for folder in ("nsgt_wrap", "tests", "bench")
                            for path in sorted((ROOT / folder).rglob("*.py"))), *ROOT.glob("demo.py")]


def imports_of(path, top_level=False):
    """Names of the modules that a file imports; with `top_level`, only those that importing it brings in."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    if top_level:
        nodes = at_import(ast.parse(path.read_text("utf-8")).body)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            found |= {f"{node.module}.{alias.name}" if node.module in ("lt", "nsgt_wrap") else node.module
                      for alias in node.names}
    return found


def at_import(statements):
    """Statements that run when a module is imported, those under `if TYPE_CHECKING` left out."""
    for statement in statements:
        if isinstance(statement, ast.If) and getattr(statement.test, "id", "") == "TYPE_CHECKING":
            continue
        yield statement
        for name in ("body", "orelse", "handlers", "finalbody"):
            if not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                yield from at_import(getattr(statement, name, []))


def rooms_in(path):
    return {name for name in imports_of(path) if name in ROW_OF and name != "lt"}


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.stem)
def test_a_room_imports_from_rows_below_or_its_own(room):
    name = f"lt.{room.stem}"
    assert name in ROW_OF, f"{name} has no row yet: add it to ROWS and to the map in lt/__init__.py"
    assert {other for other in rooms_in(room) if ROW_OF[other] > ROW_OF[name]} == set()


def test_rooms_import_without_a_cycle():
    above = {f"lt.{room.stem}": rooms_in(room) - {f"lt.{room.stem}"} for room in ROOMS}
    while above:
        free = {name for name, needs in above.items() if not needs & above.keys()}
        assert free, f"a cycle among {sorted(above)}"
        above = {name: needs for name, needs in above.items() if name not in free}


def test_the_map_names_every_room():
    lines = (ROOT / "lt" / "__init__.py").read_text("utf-8").splitlines()
    entries = [line.split() for line in lines if line[:5].strip().isdigit()]
    named = {f"lt.{words[1]}": int(words[0]) for words in entries}
    assert named == {name: row for name, row in ROW_OF.items() if name != "lt"}


def test_the_transform_knows_nothing_of_lt():
    for path in (ROOT / "nsgt_wrap").rglob("*.py"):
        assert not [name for name in imports_of(path) if name == "lt" or name.startswith("lt.")], path.name


@pytest.mark.parametrize("name", LIGHT)
def test_light_rooms_import_nothing_heavy(name):
    imports = imports_of(ROOT / "lt" / f"{name}.py", top_level=True)
    assert {module.split(".")[0] for module in imports} & HEAVY == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_alone_and_their_help_is_quick(script):
    others = {other.stem for other in SCRIPTS} - {script.stem}
    assert imports_of(script) & others == set()
    code = (f"import sys; sys.argv = ['{script.name}']; import {script.stem}; "
            f"sys.exit(bool({HEAVY!r} & sys.modules.keys()))")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_nothing_of_ours_unpickles():
    for path in OURS:
        if path.stem not in ("convert_lt_set", "test_convert_lt_set"):  # it admits arrays only; its tests make harm
            assert not imports_of(path) & {"pickle", "cPickle", "dill", "cloudpickle", "joblib"}, path.name
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
                setting = (node.arg, node.value.value)
                assert setting not in (("allow_pickle", True), ("weights_only", False)), path.name
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert "weights_only" in {keyword.arg for keyword in node.keywords}, path.name
