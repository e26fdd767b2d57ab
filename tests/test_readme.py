"""README: its commands run as they are written, its files and make targets exist."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import soundfile
from analysis_helpers import RATE, harmonic
from click.testing import CliRunner
from playing_helpers import make_run
from training_helpers import tiny_notes, write_tiny_set

import demo
from lt.midi import Note, Track, write_midi
from lt.models import pretrained
from lt.training import launch

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
LINES = [line for kind, block in BLOCKS if not kind for line in block.splitlines()]
INLINE = re.findall(r"`(python3 -m [^`]+)`", README)
COMMANDS = [line for line in [*LINES, *INLINE] if re.match(r"python3 (lt_\w+\.py|-m lt\.)", line)]
# Lines that other tests run, or that need a network
ELSEWHERE = {
    "make test": "what runs this",
    "pip install .": "tests/test_installation.py",
    "pip install --no-deps tinysoundfont": "tests/test_installation.py sees it named",
}
SMALL = {
    "epochs": 1,
    "frames": (),  # the notes of the small data set have six
    "steps_per_epoch": 1,
    "batch_size": 16,
    "hidden_dims_1": (12,),
    "hidden_num_1": (1,),
    "hidden_dims_2": (8,),
    "hidden_num_2": (1,),
}
SHORT_TRAINING = """import runpy, sys
sys.path[:0] = [{tests!r}, {helpers!r}, {root!r}]
from test_readme import shorten
shorten(setattr)
runpy.run_path({script!r}, run_name="__main__")
"""


def without_comment(line):
    return re.sub(r"\s+#.*", "", line)


def module_and_arguments(line):
    """A command as its module, its arguments, and where its standard output goes."""
    words = [os.path.expandvars(os.path.expanduser(word)) for word in shlex.split(line, True)]
    words, _, output = (
        (words[: words.index(">")], ">", words[-1]) if ">" in words else (words, "", "")
    )
    module, arguments = words[1].removesuffix(".py"), words[2:]
    if module == "-m":
        module, *arguments = arguments
        module = {"lt.builders": "lt.build.__main__"}.get(module, f"{module}.__main__")
    return import_module(module), arguments, output


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_understood(line, monkeypatch):
    for name in re.findall(r"\$\{(\w+)\}", line):
        monkeypatch.setenv(name, "x")
    module, arguments, _ = module_and_arguments(line)
    module.main.make_context(module.__name__, arguments)


def shorten(patch):
    """Training takes one step of small networks, and draws nothing."""
    train, resume = launch.train, launch.resume
    small = SMALL | {"save_seconds": 0.0}

    def short_resume(path, tag, changes, progress):
        assert changes.pop("epochs") > 2
        return resume(path, tag, changes | {"epochs": 2}, progress)

    patch(launch, "train", lambda config, progress: train(replace(config, **small), progress))
    patch(launch, "resume", short_resume)
    for name in ("plot_losses", "plot_reconstructions"):
        patch(import_module("lt.training.callbacks"), name, lambda *arguments: None)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with what README's commands name: models, recordings, MIDI, data sets."""
    monkeypatch.chdir(tmp_path)
    tunes = "sets/flute-audio-labelled-database-AMT/Recordings"
    midi = "sets/flute-audio-labelled-database-AMT/Aligned_files/mid_files"
    for folder in ("data", "recordings/cello", tunes, midi):
        Path(folder).mkdir(parents=True)
    notes = tiny_notes(("Flute", "Piano", "Violin", "Trumpet-C"))
    write_tiny_set("data/lt_set.npz", notes=notes)
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "package")
    packaged = {"flute": {}, "piano-chords": {"instruments": ("Piano",), "voices": (4,)}}
    card = {"figures": {"note accuracy": 0.5}, "licence": ""}
    for name, settings in packaged.items():
        pretrained.write_card(make_run(tmp_path / "package" / name, **settings), card)
    for name, number in (("recording", 69), ("other", 72), (f"{tunes}/tune", 69)):
        soundfile.write(f"{name}.wav", harmonic(number, 0.5), RATE)
    for key in range(6):
        soundfile.write(f"recordings/cello/{'CDEFGA'[key]}3.wav", harmonic(48 + key, 0.4), RATE)
    for name in ("tune", f"{midi}/tune-lined"):
        write_midi(Path(f"{name}.mid"), [Track("Flute", 73, (Note(0.0, 0.5, 69, 64),))])
    np.save("points.npy", np.zeros((10, 3), np.float32))
    paths = {"tests": Path(__file__).parent, "helpers": ROOT / "tests/helpers", "root": ROOT}
    paths = {name: str(path) for name, path in paths.items()} | {"script": f"{ROOT}/lt_train.py"}
    Path("lt_train.py").write_text(SHORT_TRAINING.format(**paths))  # what torchrun starts
    for name, value in {
        "HOME": str(tmp_path),
        "DBROOT": "data/lt_set.npz",
        "MODEL": "saves/flute__Flute",
        "DATASET_PATH": "sets",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    shorten(monkeypatch.setattr)
    monkeypatch.setattr(demo, "run", lambda command: run(f"python3 {command}"))
    return tmp_path


def run(line):
    """Run one line of a block, as it is written."""
    if line.startswith("python3"):
        module, arguments, output = module_and_arguments(line)
        result = CliRunner().invoke(module.main, arguments)
        assert result.exit_code == 0, f"{line}: {result.stderr}"
        if output:
            Path(output).write_text(result.stdout)
    elif line.startswith("make"):
        dry = ["make", "-C", str(ROOT), "-n", line.split()[1]]
        assert (
            line.split()[1]
            in subprocess.run(dry, check=True, capture_output=True, text=True).stdout
        )
        if line == "make demo":
            demo.main()
    else:
        subprocess.run(["bash", "-c", line], check=True)


@pytest.mark.long
def test_everything_runs_from_top_to_bottom(place):
    for kind, block in BLOCKS:
        if kind == "python":
            exec(block, {})
        for line in block.splitlines() if not kind else ():
            if line and (command := without_comment(line)) not in ELSEWHERE:
                run(command)
    for line in INLINE:
        run(line)
    assert Path("results.txt").read_text() and Path("data/my_set.npz").is_file()


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
