"""Tiny models as they come with the package."""

import shutil

import pytest
import soundfile
from analysis_helpers import RATE, harmonic

from lt.models import pretrained
from lt.pretrained import build as building

SIZES = {
    "dims": (3,),
    "hidden_dims_1": (12,),
    "hidden_num_1": (1,),
    "hidden_dims_2": (8,),
    "hidden_num_2": (1,),
    "epochs": 1,
    "steps_per_epoch": 1,
    "batch_size": 16,
}


@pytest.fixture(scope="module")
def trained(tiny_set, tmp_path_factory):
    """Folders of tiny models of a flute and a violin, and of what was trained for them."""
    place = tmp_path_factory.mktemp("models")
    recipes = {name.casefold(): {"instruments": (name,), **SIZES} for name in ("Flute", "Violin")}
    settings = {"dbroot": str(tiny_set), "savedir": str(place / "saves")}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("plot_losses", "plot_reconstructions"):
            patch.setattr(f"lt.training.callbacks.{name}", lambda *arguments: None)
        patch.setattr(building, "RECIPES", recipes)
        building.build(settings=settings, folder=place / "package")
    return place


@pytest.fixture
def installed(trained, tmp_path, monkeypatch):
    """The models as they come with the package, in an empty working folder with a recording."""
    shutil.copytree(trained / "package", tmp_path / "package")
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "package")
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    soundfile.write("a4.wav", harmonic(69, 0.5), RATE)
    return place
