"""The evaluation context: a run is evaluated, and continued, on the split stored with it."""

import json

import numpy as np
from analysis_helpers import set_of_recordings, train

from lt.data.splits import PARTS, split_data
from lt.evaluation.context import open_context
from lt.models.runs import load_run
from lt.training.launch import resume


def test_a_run_keeps_the_split_stored_in_its_config(tmp_path, monkeypatch):
    """As if an earlier version had assigned the notes otherwise."""
    set_of_recordings(tmp_path / "data")
    folder = train(tmp_path / "data" / "set.npz", tmp_path / "saves")
    settings = json.loads((folder / "config.json").read_text())
    notes = settings["split"]["notes"]
    notes["valid"], notes["test"] = notes["test"], notes["valid"]
    (folder / "config.json").write_text(json.dumps(settings))
    context = open_context(load_run(folder))
    assert {part: context.split.notes[part].tolist() for part in PARTS} == notes
    recomputed = split_data(context.data, context.run.config)
    assert recomputed.notes["test"].tolist() == notes["valid"]
    resumed = []
    fit = "lt.training.launch.fit_with_callbacks"
    monkeypatch.setattr(fit, lambda trainer, progress: resumed.append(trainer))
    resume(folder, "last", {"epochs": 1000})
    (trainer,) = resumed
    used = np.unique(np.concatenate(context.split.frames["valid"]))
    pool = trainer.valid_mixer.pool
    magnitudes = pool.read(pool.places(used))[:, 0]
    assert np.array_equal(magnitudes.numpy(), context.data.frames(used))
