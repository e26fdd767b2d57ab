"""Settings: every fact has one place, and flags are the fields that carry their defaults."""

import ast
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from lt import config as settings
from lt.config import (
    PRESETS,
    AnalysisConfig,
    BuildConfig,
    CrossConfig,
    GalleryConfig,
    PlayOptions,
    RunConfig,
    SpectralConfig,
    front_end_from_dict,
    with_preset,
)

ROOT = Path(__file__).parent.parent
CONFIG = "lt/config/"
MODULES = [*(ROOT / "lt").rglob("*.py"), *ROOT.glob("lt_*.py")]
# The label `octave` is named where octave and pitch are one note number, or are worded for users.
OCTAVE = {
    "lt/config/play.py",
    "lt/config/training.py",
    "lt/labels.py",
    "lt/build/annotations.py",
    "lt/build/published_set.py",
    "lt/build/summary.py",
    "lt/data/mixing.py",
    "lt/evaluation/analyze.py",
    "lt/evaluation/corpus.py",
    "lt/evaluation/examples.py",
    "lt/evaluation/figures.py",
    "lt/evaluation/scoring.py",
    "lt/inference/morphing.py",
    "lt/inference/evidence.py",
    "lt/inference/play.py",
    "lt/models/vae.py",  # the fundamentals of a harmonic decoder
}


@cache
def texts_and_names(path):
    """Strings of a module, and its names, attributes and keywords."""
    texts, names = set(), set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant):
            texts.add(node.value)
        else:
            names |= {getattr(node, part, None) for part in ("id", "attr", "arg")}
    return texts, names


def modules_that_name(word, as_text=False):
    found = {path.relative_to(ROOT).as_posix(): texts_and_names(path) for path in MODULES}
    return {
        name
        for name, (texts, names) in found.items()
        if word in texts or not as_text and word in names
    }


@pytest.mark.parametrize(
    "flag", ["tilt", "equalise", "patience", "steps_per_epoch", "out_of_range"]
)
def test_a_flag_is_named_in_the_config_and_where_it_takes_effect(flag):
    found = modules_that_name(flag)
    assert len(found) == 2 and any(name.startswith(CONFIG) for name in found), found


@pytest.mark.parametrize("weight", ["symbol_weight", "cross_1", "cross_2", "transfer_1"])
def test_a_loss_term_is_named_in_three_modules_at_most(weight):
    found = modules_that_name(weight)
    assert len(found) <= 3 and any(name.startswith(CONFIG) for name in found), found


def test_a_label_is_named_only_where_it_has_a_meaning_of_its_own():
    assert modules_that_name("octave", as_text=True) <= OCTAVE


@pytest.mark.parametrize(
    "script, config",
    [
        ("lt_train", RunConfig),
        ("lt_analyze", AnalysisConfig),
        ("lt_midi", CrossConfig),
        ("lt_play", PlayOptions),
        ("lt.build.__main__", BuildConfig),
        ("lt.gallery", GalleryConfig),
    ],
)
def test_every_setting_is_a_flag_with_its_default(script, config):
    options = {option.name: option for option in import_module(script).main.params}
    for entry in fields(config):
        assert options[entry.name].default == entry.default, entry.name
        assert f"--{entry.name}" in options[entry.name].opts


def test_constants_have_a_unit_and_an_origin():
    classes = [entry for entry in vars(settings).values() if is_dataclass(entry)]
    assert len(classes) > 8
    for entry in (entry for config in classes for entry in fields(config)):
        if "unit" in entry.metadata:
            assert entry.metadata["unit"] and entry.metadata["origin"], entry.name


def test_what_a_flag_needs_is_another_flag():
    names = {entry.name for entry in fields(RunConfig)}
    needs = [entry.metadata["needs"] for entry in fields(RunConfig) if entry.metadata["needs"]]
    assert needs and {name for name, _ in needs} <= names


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"frames": (25, 10)}, "no frame"),
        ({"fold": 5}, "folds count from 0"),
        ({"instruments": ("Piano", "Piano")}, "given twice"),
        ({"hidden_dims_2": (8, 8)}, "1 latent layers"),
        ({"savedir": ""}, "need a path"),
    ],
)
def test_settings_that_contradict_each_other(wrong, words):
    with pytest.raises(ValueError, match=words):
        replace(RunConfig(), **wrong)


def test_given_settings_win_over_presets_and_presets_over_defaults():
    assert with_preset({}, "article") == RunConfig()
    config = with_preset({"instruments": ("Flute",), "epochs": 3}, "robust")
    assert config.epochs == 3 and config.preset == "robust"
    assert config.tilt == PRESETS["robust"]["tilt"] and config.beta_1 == RunConfig.beta_1
    mixtures = with_preset({"instruments": ("Flute", "Violin"), "epochs": 3}, "robust")
    assert (mixtures.random_mode, mixtures.epochs) == ("bernoulli", 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 1.5},
        {"epochs": -1},
        {"split": "foo"},
        {"instruments": "Flute"},
        {"dims": [3]},
        {"dims": 3},
        {"batch_size": 0},
        {"save_epochs": "9"},
        {"learning_rate": None},
        {"learning_rate": float("nan")},
        {"augment": 2},
        {"name": "a/b"},
    ],
)
def test_values_that_a_flag_does_not_take_are_refused_from_python_too(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} cannot be"):
        RunConfig(**wrong)


def test_a_part_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="partition cannot be 'foo'"):
        AnalysisConfig(partition="foo")


def test_subframes_are_whole_numbers_of_coefficients():
    fine = SpectralConfig(hop=44, subframes=4)
    assert fine.subframe_hop == 176 and fine.frame_seconds == SpectralConfig().frame_seconds
    assert SpectralConfig(subframes=1).subframe_hop == SpectralConfig.frame_hop
    with pytest.raises(ValueError, match="multiple of hop"):
        SpectralConfig(hop=64, subframes=4)


def test_a_preset_that_is_not_applied_is_not_recorded():
    with pytest.raises(ValueError, match="lt.with_preset"):
        RunConfig(preset="robust")
    own = with_preset({"epochs": 3}, "robust")
    assert replace(own, seed=1).preset == "robust" and RunConfig(**vars(own)) == own


def test_settings_show_what_differs_from_their_defaults():
    assert repr(RunConfig()) == "RunConfig()"
    assert repr(RunConfig(epochs=3, dims=(4,))) == "RunConfig(dims=(4,), epochs=3)"


def test_a_front_end_without_subframes_has_one():
    stored = asdict(SpectralConfig(hop=64, subframes=1))
    del stored["subframes"]
    assert front_end_from_dict(stored) == SpectralConfig(hop=64, subframes=1)
    assert front_end_from_dict({**stored, "hop": 44, "subframes": 4}).subframes == 4
