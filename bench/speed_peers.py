"""Transcribers that `bench/speed.py` compares with, in an environment of their own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bench.speed import ROOT, run_python

ENVIRONMENT = ROOT / ".venv-bench"
INSTALLING = 600  # s at most

# Each times its second call, of which the first loads what it needs; paths: a short file, the file.
BASIC_PITCH = """
import sys, time
from pathlib import Path
import basic_pitch
from basic_pitch.inference import Model, predict
model = Model(next(Path(basic_pitch.__file__).parent.rglob("nmp.onnx")))
predict(sys.argv[1], model)
started = time.perf_counter()
predict(sys.argv[2], model)
print("\\n", time.perf_counter() - started)
"""
# torchaudio, which only reads files in it, is replaced by an empty module
PESTO = """
import importlib.machinery, sys, time, types
for name in ("torchaudio", "torchaudio.functional", "torchaudio.transforms"):
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    sys.modules.setdefault(name, module)
import pesto, soundfile, torch
def read(path):
    audio, rate = soundfile.read(path, dtype="float32")
    return torch.from_numpy(audio), rate
pesto.predict(*read(sys.argv[1]), step_size=10.0)
started = time.perf_counter()
pesto.predict(*read(sys.argv[2]), step_size=10.0)
print(time.perf_counter() - started)
"""
PYIN = """
import sys, time
import librosa
def track(path):
    audio, rate = librosa.load(path, sr=22050)
    librosa.pyin(audio, fmin=70, fmax=3200, sr=rate, hop_length=256)
track(sys.argv[1])
started = time.perf_counter()
track(sys.argv[2])
print(time.perf_counter() - started)
"""


@dataclass(frozen=True)
class Peer:
    """A transcriber.

    Attributes:
        code: its program.
        length: of its file in seconds.
        without_dependencies, requirements: what it needs from PyPI; without any, it runs here.
        torch: whether it uses the torch that is here.
    """

    code: str
    length: int
    without_dependencies: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    torch: bool = False

    def seconds(self, short: Path, path: Path) -> float:
        """Time for a file. Raises RuntimeError where it cannot be installed or run."""
        python, variables = sys.executable, {}
        if self.without_dependencies:
            python = str(environment())
            pip(python, *self.requirements)
            pip(python, "--no-deps", *self.without_dependencies)
        if self.torch:
            variables["PYTHONPATH"] = next(path for path in sys.path if "site-packages" in path)
        done = run_python(python, "-c", self.code, short, path, **variables)
        return float(done.output.split()[-1])


PEERS = {
    "basic-pitch": Peer(
        BASIC_PITCH,
        600,
        ("basic-pitch==0.4.0",),
        (
            "onnxruntime",
            "resampy",
            "librosa",
            "mir_eval",
            "pretty_midi",
            "scikit-learn",
            "numpy<2",
            "setuptools<80",
        ),
    ),
    "PESTO": Peer(PESTO, 60, ("pesto-pitch==2.0.1",), ("omegaconf",), torch=True),
    "pYIN": Peer(PYIN, 60),
}


@lru_cache(maxsize=1)
def environment() -> Path:
    """The interpreter of the peers' environment, which is made where there is none."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    return python


def pip(python: str, *packages: str) -> None:
    """Install packages where they are not installed.

    Raises:
        RuntimeError: they cannot be.
    """
    if not packages:
        return
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLING)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{packages[0]} was not installed within {INSTALLING} s") from None
    if done.returncode:
        reason = (done.stderr.strip() or "pip failed").splitlines()[-1]
        raise RuntimeError(f"{packages[0]} cannot be installed: {reason}")
