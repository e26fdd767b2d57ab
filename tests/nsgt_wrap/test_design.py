"""Laws of the frame: what the nsgt library gives, through a shim that leaves no trace."""

import sys

import numpy as np
import pytest

from nsgt_wrap.design import NSGTDesign, import_nsgt, numpy_shim

SMALL = NSGTDesign(
    sample_rate=8000, fmin=100.0, fmax=3900.0, bins_per_octave=12, slice_length=4096, hop=4
)


def test_the_default_design_has_410_bins_and_1408_coefficients():
    design = NSGTDesign()
    assert (design.n_bins, design.n_coefficients) == (410, 1408)
    assert NSGTDesign(all_bands=True).n_bins == 412
    assert len(design.windows) == len(design.duals) == len(design.frequencies) == 410


@pytest.mark.parametrize("design", [SMALL, NSGTDesign(), NSGTDesign(all_bands=True)])
def test_counts_and_frequencies_are_the_librarys_own(design):
    frequencies, _ = import_nsgt().OctScale(design.fmin, design.fmax, design.bins_per_octave)()
    ours = design.frequencies[1:-1] if design.all_bands else design.frequencies
    np.testing.assert_allclose(ours, frequencies, rtol=1e-12)
    assert len(design.windows) == design.n_bins


def test_centres_are_within_half_a_bin_of_the_scale_but_for_the_last_band():
    design = NSGTDesign()
    centres = design.frame.positions * design.sample_rate / design.slice_length
    resolution = design.sample_rate / design.slice_length
    assert np.abs(centres - design.frequencies)[:-1].max() <= resolution / 2 + 1e-9
    assert centres[-1] == pytest.approx(10933.73, abs=0.01)


def test_windows_times_duals_sum_to_one_when_all_bands_are_there():
    design = NSGTDesign(all_bands=True)
    total = np.zeros(design.slice_length)
    frame = design.frame
    bands = zip(frame.windows, frame.duals, frame.positions, strict=True)
    for band, (window, dual, position) in enumerate(bands):
        places = position + np.arange(len(window)) - len(window) // 2
        total[places % design.slice_length] += window * dual * design.n_coefficients
        if 0 < band < design.n_bins - 1:
            total[-places % design.slice_length] += window * dual * design.n_coefficients
    np.testing.assert_allclose(total, 1, atol=1e-12)


def test_a_design_is_made_once_and_cannot_be_written_to():
    assert NSGTDesign().frame is NSGTDesign().frame
    with pytest.raises(ValueError, match="read-only"):
        NSGTDesign().windows[0][0] = 1


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
        NSGTDesign(**settings)


def test_a_hop_too_long_for_the_windows_is_refused_with_one_that_is_not():
    with pytest.raises(ValueError, match="use a hop of at most 70"):
        _ = NSGTDesign(hop=128).frame


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


def test_a_missing_library_is_named_with_the_command_that_mends_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "nsgt", None)
    with pytest.raises(ImportError, match="make setup"):
        _ = NSGTDesign(fmin=31.0).frame
