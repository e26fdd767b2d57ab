"""Sound examples of notes."""

import numpy as np

from lt.config import AnalysisConfig
from lt.evaluation.context import open_context
from lt.evaluation.examples import make_examples
from lt.models.runs import load_run


def test_a_transfer_is_silent_where_its_note_is(tiny_runs):
    run = load_run(tiny_runs / "scan_multi__Flute")
    context = open_context(run)
    context.data.sounding[:] = np.arange(len(context.data.sounding)) % 6 > 1  # notes of six frames
    (example,) = make_examples(context, AnalysisConfig(generate_audio=1, n_samples=1))
    levels = example.spectra["from its symbols"].max(axis=1)
    np.testing.assert_array_equal(levels > 0, [False, False, True, True, True, True])
