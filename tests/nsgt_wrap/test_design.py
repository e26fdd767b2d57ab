"""The frame: equal to the nsgt library's, which is left unchanged."""

import ast
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lt.audio.features import nsgt as transform_of
from lt.config import SpectralConfig
from nsgt_wrap.design import NSGTDesign, _frame, import_nsgt, numpy_shim

ROOT = Path(__file__).parent.parent.parent
DESIGN = transform_of(SpectralConfig(hop=64, subframes=1)).design
ALL_BANDS = replace(DESIGN, all_bands=True)
SMALL = NSGTDesign(
    sample_rate=8000, fmin=100.0, fmax=3900.0, bins_per_octave=12, slice_length=4096, hop=4
)


def test_the_articles_design_has_410_bins_and_1408_coefficients():
    assert (DESIGN.n_bins, DESIGN.n_coefficients) == (410, 1408)
    assert ALL_BANDS.n_bins == 412
    assert len(DESIGN.frame.windows) == len(DESIGN.frame.duals) == len(DESIGN.frequencies) == 410


@pytest.mark.parametrize("design", [SMALL, DESIGN, ALL_BANDS])
def test_counts_and_frequencies_are_the_librarys_own(design):
    frequencies, _ = import_nsgt().OctScale(design.fmin, design.fmax, design.bins_per_octave)()
    ours = design.frequencies[1:-1] if design.all_bands else design.frequencies
    np.testing.assert_allclose(ours, frequencies, rtol=1e-12)
    assert len(design.frame.windows) == design.n_bins


def test_centres_are_within_half_a_bin_of_the_scale_but_for_the_last_band():
    resolution = DESIGN.sample_rate / DESIGN.slice_length
    centres = DESIGN.frame.positions * resolution
    assert np.abs(centres - DESIGN.frequencies)[:-1].max() <= resolution / 2 + 1e-9
    assert centres[-1] == pytest.approx(10933.73, abs=0.01)


def test_windows_times_duals_sum_to_one_when_all_bands_are_there():
    design, frame = ALL_BANDS, ALL_BANDS.frame
    total = np.zeros(design.slice_length)
    bands = zip(frame.windows, frame.duals, frame.positions, strict=True)
    for band, (window, dual, position) in enumerate(bands):
        places = position + np.arange(len(window)) - len(window) // 2
        total[places % design.slice_length] += window * dual * design.n_coefficients
        if 0 < band < design.n_bins - 1:
            total[-places % design.slice_length] += window * dual * design.n_coefficients
    np.testing.assert_allclose(total, 1, atol=1e-12)


def test_a_design_is_made_once_and_cannot_be_written_to():
    assert DESIGN.frame is replace(DESIGN).frame
    with pytest.raises(ValueError, match="read-only"):
        DESIGN.frame.windows[0][0] = 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"fmin": 0.0}, "expected 0 < fmin < fmax"),
        ({"fmax": 20000.0}, "expected 0 < fmin < fmax"),
        ({"fmin": 500.0, "fmax": 400.0}, "expected 0 < fmin < fmax"),
        ({"slice_length": 90113}, "multiple of 128"),
        ({"slice_length": 0}, "multiple of 128"),
        ({"bins_per_octave": 0}, "at least 1"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(DESIGN, **settings)


def test_a_hop_too_long_for_the_windows_is_refused_with_one_that_is_not():
    with pytest.raises(ValueError, match="use a hop of at most 70"):
        _ = replace(DESIGN, hop=128).frame


def test_the_shim_is_gone_after_the_call_even_when_it_fails():
    nsgt = import_nsgt()
    assert nsgt.nsgfwin_sl.np is np
    with pytest.raises(RuntimeError), numpy_shim(nsgt):
        assert nsgt.nsgfwin_sl.np is not np
        raise RuntimeError
    assert nsgt.nsgfwin_sl.np is np


def test_the_shim_changes_clip_with_an_infinite_bound_and_nothing_else():
    nsgt = import_nsgt()
    values = np.array([1, 7, 3])
    with numpy_shim(nsgt):
        shimmed = nsgt.nsgfwin_sl.np
        shimmed.clip(values, 4, np.inf, out=values)
        assert shimmed.round is np.round
        np.testing.assert_array_equal(shimmed.clip(values, 0, 5, out=None), [4, 5, 4])
    np.testing.assert_array_equal(values, [4, 7, 4])


@pytest.mark.parametrize("design", [SMALL, DESIGN, replace(ALL_BANDS, fmin=31.0)])
def test_without_the_library_the_frame_is_the_same_bit_for_bit(design, monkeypatch):
    import_nsgt()
    reference = design.frame
    monkeypatch.setitem(sys.modules, "nsgt", None)
    own = _frame.__wrapped__(design)  # past the cache
    np.testing.assert_array_equal(own.positions, reference.positions)
    for name in ("windows", "duals"):
        pairs = zip(getattr(own, name), getattr(reference, name), strict=True)
        assert all(np.array_equal(one, other) for one, other in pairs), name


def test_the_numbers_of_the_front_end_are_written_in_the_config_alone():
    """Defaults such as the sample rate would otherwise differ sooner or later."""
    config = SpectralConfig()
    numbers = {config.sample_rate, config.slice_length, config.frame_hop}
    for path in [*(ROOT / "lt").rglob("*.py"), *(ROOT / "nsgt_wrap").rglob("*.py")]:
        if path != ROOT / "lt" / "config" / "front_end.py":
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                assert getattr(node, "value", None) not in numbers, f"{path.name}:{node.lineno}"
    for path in (ROOT / "nsgt_wrap").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.arguments):
                defaults = {getattr(value, "value", None) for value in node.defaults}
                assert not defaults & {config.frame_hop // config.hop, config.hop}, path.name
