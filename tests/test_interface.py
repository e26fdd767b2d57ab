"""`import lt`: its names are imported when first used, and the example of each runs as written."""

import ast
import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from analysis_helpers import RATE, harmonic
from training_helpers import write_tiny_set

import lt
import nsgt_wrap.transform
from lt.audio import features
from lt.evaluation import results
from lt.evaluation.figures import plot_example

ROOT = Path(__file__).parent.parent
EXCEPTIONS = ("TrainingStopped", "WriterFailed")
NAMES = [name for name in lt.__all__ if name not in ("__version__", *EXCEPTIONS)]
OTHERS = (features.audio_to_magnitudes, results.Results, nsgt_wrap.transform.NSGT)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with the files that the examples name."""
    folder = tmp_path_factory.mktemp("workplace")
    for name in ("data", "notes"):
        (folder / name).mkdir()
    write_tiny_set(folder / "data" / "lt_set.npz")
    soundfile.write(folder / "recording.wav", harmonic(69, 1.0), RATE)
    soundfile.write(folder / "notes" / "A4.wav", harmonic(69, 1.0), RATE)
    (folder / "notes" / "index.csv").write_text("file,instrument,note,dynamics\nA4.wav,,A4,\n")
    lt.write_midi(folder / "tune.mid", [lt.Track("Flute", 73, (lt.Note(0.5, 1.0, 69, 64),))])
    config = lt.RunConfig(
        dbroot=str(folder / "data" / "lt_set.npz"),
        savedir=str(folder / "saves"),
        name="flute",
        instruments=("Flute",),
        frames=(),
        dims=(3,),
        hidden_dims_1=(12,),
        hidden_dims_2=(8,),
        epochs=2,
        plot_epochs=10,
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("plot_losses", "plot_reconstructions"):
            patch.setattr(f"lt.training.callbacks.{name}", lambda *arguments: None)
        lt.train(config)
    return folder


def run_examples(item, name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    known = {"lt": lt, "np": np, "torch": torch} | vars(inspect.getmodule(item))
    found = doctest.DocTestFinder(recurse=False).find(item, name, globs=known)
    assert sum(len(example.examples) for example in found) > 0, f"{name} has no example"
    for example in found:
        assert doctest.DocTestRunner().run(example).failed == 0, name


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_name(name, workplace, monkeypatch, no_figures):
    run_examples(getattr(lt, name), f"lt.{name}", workplace, monkeypatch)


@pytest.mark.parametrize("item", OTHERS, ids=lambda item: item.__name__)
def test_other_examples(item, workplace, monkeypatch):
    run_examples(item, item.__name__, workplace, monkeypatch)


def test_objects_are_short_and_have_a_view_in_notebooks(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    run = lt.load_run("saves/flute__Flute")
    analysis = lt.analyse_recording(run, "recording.wav")
    shown = (
        (run, "Run(saves/flute__Flute: Flute, epoch", "latent dimensions"),
        (lt.read_data_set("data/lt_set.npz"), "60 notes of Flute, Violin", "C4 to A4"),
        (analysis.posteriors, "Posteriors(Flute: 32 frames, 1.0 s)", "data:image/png"),
        (lt.evaluate(run), "scores)", "<caption>symbols</caption>"),
    )
    for item, text, html in shown:
        assert text in repr(item) and len(repr(item)) < 120
        assert html in item._repr_html_()
    assert (
        "<th>A4</th><td>0.500</td>"
        in lt.Track("Flute", 73, (lt.Note(0.5, 1, 69, 64),))._repr_html_()
    )
    assert repr(analysis.spectra) == "RecordingSpectra(32 frames, tuning +0.00 semitones)"


def test_plot_functions_return_their_axes(tmp_path):
    spectra = {"one": np.ones((4, 410)), "other": np.ones((4, 410))}
    for path in (None, tmp_path / "x.png"):
        axes = plot_example(spectra, lt.SpectralConfig(), "notes", path)
        assert [own.get_title(loc="left") for own in axes] == ["one", "other"]
    assert (tmp_path / "x.png").is_file()


def test_public_names_are_about_twenty_and_documented():
    assert 18 <= len(NAMES) <= 28
    for name in NAMES:
        assert inspect.getdoc(getattr(lt, name)), name
    assert set(NAMES) <= set(dir(lt))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lt.nothing  # noqa: B018


def test_the_exceptions_of_training_are_public():
    for name in EXCEPTIONS:
        assert issubclass(getattr(lt, name), Exception) and inspect.getdoc(getattr(lt, name))
        assert f"lt.{name}" in inspect.getdoc(lt.train)


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_a_short_signature(name):
    if inspect.isfunction(getattr(lt, name)):
        assert len(str(inspect.signature(getattr(lt, name)))) < 400


def test_importing_lt_imports_nothing_else():
    code = "import sys; import lt; print([name for name in sys.modules if name.startswith('lt.')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ast.literal_eval(done.stdout) == []
