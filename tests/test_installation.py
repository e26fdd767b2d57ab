"""`pip install .` alone suffices to transcribe, play and train on recordings."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from analysis_helpers import RATE, harmonic
from training_helpers import TINY

ROOT = Path(__file__).parent.parent
TRAIN = f"--instruments Flute --epochs 1 {' '.join(TINY)}"
COMMANDS = [  # module of a command, its flags, its exit code
    ("lt_play", "audio -i a4.wav -g 0 --griffinlim_iters 1", 0),
    ("lt_play", "sequence -m flute -i A4 --n_steps 2 -g 0 --griffinlim_iters 1", 0),
    ("lt_train", f"--dbroot set.npz {TRAIN}", 0),
    ("lt_train", TRAIN, 1),  # the embedded data set is rendered from a sound font
]
RUN_ALL = f"""
import sys
from importlib import import_module
sys.modules["nsgt"] = sys.modules["tinysoundfont"] = None
for module, flags, _ in {COMMANDS}:
    try:
        import_module(module).main(flags.split())
    except SystemExit as end:
        print(end.code)
import lt
print(lt.__file__)
"""


@pytest.fixture
def site(tmp_path):
    """The package, installed into a folder of its own."""
    source, site = tmp_path / "source", tmp_path / "site"
    for name in ("lt", "nsgt_wrap"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, source)
    for path in ROOT.glob("lt_*.py"):
        shutil.copy(path, source)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", site)
    subprocess.run([sys.executable, "-m", "pip", "install", *options, source], check=True)
    return site


@pytest.mark.long
def test_the_package_is_whole_and_works_without_nsgt_and_tinysoundfont(site, tiny_set, tmp_path):
    place = tmp_path / "work"
    place.mkdir()
    soundfile.write(place / "a4.wav", harmonic(69, 0.5), RATE)
    shutil.copy(tiny_set, place / "set.npz")
    result = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    *codes, file = result.stdout.split()
    assert codes == [str(code) for _, _, code in COMMANDS], result.stderr
    assert Path(file).is_relative_to(site)
    assert list(place.glob("saves/*/audio_reconstructions/a4.mid"))
    assert "pip install --no-deps tinysoundfont" in result.stderr.splitlines()[-1]
