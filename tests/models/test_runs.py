"""Run folders as others left them: damaged values are named with their file, bit rot is found,
nothing is guessed.
"""

import json
import shutil
from pathlib import Path
from unittest import mock

import pytest
import torch
from training_helpers import TINY

from lt.config import RunConfig, SpectralConfig, settings_from_dict
from lt.models.checkpoints import BEST, MODALITIES
from lt.models.runs import load_run, read_settings
from lt_train import main


@pytest.fixture(scope="module")
def tiny_run(tiny_set, tmp_path_factory):
    """A tiny trained run."""
    saves = tmp_path_factory.mktemp("saves")
    flags = ["--dbroot", tiny_set, "--instruments", "Flute", "--epochs", 1, "--savedir", saves]
    with mock.patch.multiple(
        "lt.training.callbacks", plot_losses=mock.DEFAULT, plot_reconstructions=mock.DEFAULT
    ):
        main([*TINY, *map(str, flags)], standalone_mode=False)
    return saves / "scan_multi__Flute"


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of it that a test may spoil."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def spoil(run, section, name, value):
    settings = json.loads((run / "config.json").read_text())
    if name is None:
        settings[section] = value
    else:
        settings[section][name] = value
    (run / "config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(
    "section, name, value",
    [
        ("config", "dims", None),
        ("config", "dims", [[4]]),
        ("config", "dims", [10**30]),
        ("config", "dims", "4"),
        ("config", "hidden_dims_1", []),
        ("config", "labels", None),
        ("config", "labels", "../../x"),
        ("config", "instruments", 3),
        ("config", "label_type", "odd"),
        ("config", "zero_extra_class", None),
        ("config", "epochs", "../../x"),
        ("config", "batch_size", None),
        ("config", "name", "../x"),
        ("config", "signal_scale", "odd"),
        ("config", "encoder", "odd"),
        ("config", "unheard_of", 1),
        ("front_end", "hop", 0),
        ("front_end", "fmin", None),
        ("front_end", "rumble", -1.0),
        ("front_end", "rumble", 11025),
        ("scaler", "reference", 0.0),
        ("scaler", "std_db", float("nan")),
        ("scaler", "n_bins", "many"),
        ("scaler", "kind", 7),
        ("data", None, []),
        ("split", None, None),
    ],
)
def test_a_spoilt_setting_is_one_sentence_with_its_file(run, section, name, value):
    spoil(run, section, name, value)
    with pytest.raises(ValueError, match="config.json|no checkpoint"):
        load_run(run)


def test_a_run_whose_sound_was_not_cut_opens(run):
    spoil(run, "front_end", "rumble", 0.0)
    assert load_run(run).front_end == SpectralConfig(rumble=0.0)


@pytest.mark.fault("malformed input")
def test_nesting_without_end_is_a_damaged_file(run):
    (run / "config.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="config.json"):
        read_settings(run)


def test_settings_that_came_later_have_their_defaults(run):
    settings = json.loads((run / "config.json").read_text())
    del settings["config"]["signal_scale"]
    (run / "config.json").write_text(json.dumps(settings))
    assert load_run(run).config.signal_scale == RunConfig.signal_scale


def test_settings_go_there_and_back():
    assert settings_from_dict(SpectralConfig, {"hop": 22, "fmin": 55}) == SpectralConfig(
        hop=22, fmin=55
    )
    for odd in ({"hop": True}, {"hop": 1e30}, {"hop": 1.5}, {"fmin": "low"}, {"hops": 1}):
        with pytest.raises(ValueError):
            settings_from_dict(SpectralConfig, odd)


@pytest.mark.parametrize("half", MODALITIES)
def test_bit_rot_in_a_checkpoint_is_found(run, half):
    path = next((run / MODALITIES[half]).glob(f"*_{BEST}.t7"))
    content = bytearray(path.read_bytes())
    at = content.index(b"data/0") + 200  # within the first tensor
    content[at] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        load_run(run)


@pytest.mark.fault("malformed input")
def test_weights_that_are_not_finite_are_refused(run):
    path = next((run / "vae_1").glob(f"*_{BEST}.t7"))
    content = torch.load(path, weights_only=True)
    next(iter(content["state"]["model"].values())).fill_(float("nan"))
    torch.save(content, path)
    with pytest.raises(ValueError, match="not finite"):
        load_run(run)


@pytest.mark.parametrize("device", ["foo", "cuda:99"])
def test_a_device_that_is_absent_is_named(tiny_run, device):
    with pytest.raises(ValueError, match="device"):
        load_run(tiny_run, device=device)
