"""Training with subframes, ages and combinations: what a run stores, what it reads, and how it is
played.
"""

import json

import numpy as np
import pytest
import torch
from training_helpers import TINY, as_version_2, write_ageing_set, write_tiny_set

from lt.config import LABELS, SynthesisConfig
from lt.data.dataset import read_data_set
from lt.data.mixing import FramePool
from lt.data.splits import Split
from lt.inference.synthesis import synthesise
from lt.labels import ONSET_AGES
from lt.models.runs import load_run, read_settings
from lt.training import trainer

FINE = (
    "--labels octave pitch dynamics age --decoder_range_db 100 --combine 1 --transfer_1 1 "
    "--epochs 2"
).split()


@pytest.fixture(scope="module")
def ageing_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return write_ageing_set(folder / "ageing.npz", numbers=range(60, 66))


@pytest.fixture
def train(lt_train, tmp_path, no_figures):
    """Train a tiny model of a data set -> its folder."""

    def run(data, *flags, name="run"):
        flags = [*TINY, "--dbroot", data, "--instruments", "Flute", *flags, "--name", name]
        result = lt_train([*flags, "--savedir", tmp_path], base=())
        assert result.exit_code == 0, result.output
        return tmp_path / f"{name}__Flute"

    return run


@pytest.mark.parametrize("decoder", ["plain", "harmonic"])
def test_a_run_of_subframes_is_stored_loaded_and_played(train, ageing_set, decoder):
    path = train(ageing_set, *FINE, "--decoder", decoder)
    run, data = load_run(path), read_data_set(ageing_set)
    assert run.settings.subframes == 2 and run.decoder_scaler.range_db == 100
    assert run.decoder_scaler.kind == "absolute" and run.scaler.range_db == run.config.range_db
    px = run.model.symbol_to_signal(torch.zeros(1, 1, 4, dtype=torch.long))
    assert px.mean.shape == (1, 2 * data.config.n_bins)
    times = run.settings.ages["Flute"]
    held = np.unique(data.age[:14])
    assert len(times.held) == len(held) and times.note_off == pytest.approx(
        14 * data.config.frame_seconds - 0.004, abs=1e-3
    )
    assert len(times.released) == 11, "it died away: all later ages are learnt, silent"
    assert (np.diff(times.held) > 0).all() and (np.diff(times.released) > 0).all()
    audio = synthesise(run, "C4:f rest", 0.3, SynthesisConfig(n_iter=1))
    assert np.isfinite(audio).all() and np.abs(audio).max() > 0
    stored = json.loads((path / "config.json").read_text())
    assert json.loads(json.dumps(read_settings(path).to_dict())) == stored


def test_equal_seeds_give_equal_runs_and_going_on_is_the_same(train, lt_train, ageing_set):
    one = train(ageing_set, *FINE, "--decoder", "harmonic", "--save_epochs", "1")
    other = train(ageing_set, *FINE, "--decoder", "harmonic", "--save_epochs", "1", name="other")
    first, second = (
        {
            key: value
            for key, value in json.loads((path / "config.json").read_text()).items()
            if key in ("learnt", "ages", "scaler", "decoder_scaler")
        }
        for path in (one, other)
    )
    assert first == second
    assert lt_train(f"--load {other} --load_epoch 1 --epochs 2").exit_code == 0
    weights = [
        torch.load(next((path / "vae_1").glob("*_last.t7")), weights_only=True)["state"]["model"]
        for path in (one, other)
    ]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.parametrize("split", ["note", "pitch", "frame"])
def test_training_reads_no_frame_of_the_other_parts(train, ageing_set, monkeypatch, split):
    pools = []

    class Recorded(FramePool):
        def __init__(self, data, used, *others):
            pools.append(used)
            super().__init__(data, used, *others)

    monkeypatch.setattr(trainer, "FramePool", Recorded)
    path = train(ageing_set, *FINE, "--split", split)
    (used,) = pools
    run = read_settings(path)
    parts = Split.from_stored(read_data_set(ageing_set), run.config, run.split)
    assert np.isin(parts.frames["train"][0], used).all()
    for part in ("valid", "test"):
        assert not np.isin(parts.frames[part][0], used).any()
    between = len(np.unique(used)) - len(parts.frames["train"][0])
    assert (between > 0) == (split != "frame"), "frames between sounding and silent"


@pytest.mark.parametrize("flags", [[], ["--labels", *LABELS]], ids=["article", "with ages"])
def test_without_a_range_of_its_own_a_decoder_gives_model_frames(train, ageing_set, flags):
    run = load_run(train(ageing_set, "--epochs", 1, *flags))
    assert run.settings.subframes == 1 and run.decoder_scaler == run.scaler
    assert run.model.n_decoded == run.scaler.n_features
    assert len(synthesise(run, "C4", 0.1, SynthesisConfig(n_iter=0)))


def test_sets_of_version_2_train_by_the_robust_preset(train, tmp_path):
    source = write_tiny_set(tmp_path / "new.npz", subframes=1)
    data = as_version_2(tmp_path / "old.npz", source)
    assert json.loads(str(np.load(data)["settings"]))["version"] == 2
    run = load_run(train(data, "--preset", "robust", "--epochs", 1))
    assert run.settings.subframes == 1 and run.space.labels == LABELS
    assert run.settings.ages["Flute"].held
    assert len(ONSET_AGES) >= len(run.settings.ages["Flute"].held)
    assert np.isfinite(synthesise(run, "C4:p", 0.2, SynthesisConfig(n_iter=0))).all()


@pytest.mark.parametrize("missing", ["decoder_scaler", "learnt", "ages"])
def test_runs_of_earlier_versions_are_refused_in_a_line(train, lt_train, ageing_set, missing):
    path = train(ageing_set, "--epochs", 1)
    settings = json.loads((path / "config.json").read_text())
    del settings[missing]
    (path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="damaged or of another version"):
        load_run(path)
    result = lt_train(f"--load {path}")
    lines = result.stderr.strip().splitlines()
    assert result.exit_code == 1 and len(lines) == 1 and "another version" in lines[0]
