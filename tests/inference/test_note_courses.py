"""Courses of notes beyond, between and after the moments that were decoded."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from playing_helpers import make_run

from lt.config import LABELS
from lt.inference.note_courses import Course, above_floor, within_reach
from lt.labels import NoteLabels
from lt.models.runs import load_run

STEP = 0.01
TIMES = torch.linspace(0.05, 1.0, 20)


def course(held_db, released_db=(), note_off=1.0):
    """Of held_db: (moments, bins) at TIMES, and released_db: (moments, bins) every 50 ms."""
    released = torch.tensor(released_db).reshape(len(released_db), held_db.shape[1])
    times = 0.05 * torch.arange(1, len(released) + 1)
    return Course(TIMES, held_db, times, released, note_off)


def in_db(spectra):
    return 20 * torch.log10(spectra)


def test_what_decays_goes_on_decaying_beyond_what_was_learnt():
    rates = torch.tensor([-10.0, -40.0])
    held = in_db(course(TIMES[:, None] * rates).spectra(3.0, STEP))
    times = (torch.arange(300) + 0.5) * STEP
    torch.testing.assert_close(held[10:], times[10:, None] * rates, atol=0.01, rtol=1e-4)


def test_what_rises_or_stays_does_not_rise_beyond_what_was_learnt():
    held = in_db(course(TIMES[:, None] * torch.tensor([12.0, 0.0])).spectra(3.0, STEP))
    assert (held[50] - held[10])[0] > 4
    torch.testing.assert_close(held[100:], torch.tensor([[12.0, 0.0]]).expand(200, -1))


def test_a_trend_is_that_of_the_second_half():
    """An attack that falls at once is none: what comes after it goes on."""
    falling = torch.where(TIMES < 0.3, -100 * TIMES, -30 - 5 * (TIMES - 0.3))[:, None]
    held = in_db(course(falling).spectra(2.0, STEP))
    assert float(held[199] - held[99]) == pytest.approx(-5, abs=0.1)


def test_a_short_note_is_damped_from_the_level_that_it_has_reached():
    rising = 20 * TIMES[:, None] - 20  # 0 dB at note-off after a second
    whole = course(rising, [[-20.0], [-40.0]])
    for seconds in (0.2, 1.0):
        spectra = in_db(whole.spectra(seconds, STEP))[:, 0]
        n_held = round(seconds / STEP)
        end = 20 * seconds - 20
        assert float(spectra[n_held - 1]) == pytest.approx(end, abs=0.2)
        for since, fall in ((0.05, -20), (0.075, -30), (0.1, -40)):
            at = n_held + since / STEP - 0.5
            below, above = spectra[int(at)], spectra[int(at + 0.5)]
            assert float(below + above) / 2 == pytest.approx(end + fall, abs=2.1)


def test_a_release_never_rises_and_damps_what_had_died_away_before():
    held = torch.stack([torch.zeros(20), torch.full((20,), -100.0)], dim=1)
    released = [[-10.0, -100.0], [-50.0, -60.0]]  # the second bin is noise of the training notes
    spectra = in_db(course(held, released).spectra(1.0, STEP))
    assert (spectra[100:] <= spectra[99] + 1e-4).all()
    fall = spectra[100:110] - spectra[99]
    assert (fall[:, 1] <= fall[:, 0].max()).all() and float(fall[9, 1]) < -30


def test_a_decay_goes_on_through_the_floor_of_what_is_decoded():
    times = 0.1 * torch.arange(1, 11)
    spectra_db = torch.maximum(-100 * times, torch.tensor(-75.0))[:, None] + torch.zeros(1, 10)
    kept = above_floor(times, spectra_db, floor_db=-72.0)
    torch.testing.assert_close(kept, (times[:7], spectra_db[:7]))
    released = course(torch.zeros(20, 10), spectra_db.tolist())
    cut = replace(released, released_times=kept[0], released_db=kept[1])
    fall = in_db(cut.spectra(1.0, STEP))[100 + 80 : 100 + 110].diff(dim=0)
    torch.testing.assert_close(fall, torch.full_like(fall, -1.0), atol=0.01, rtol=0)
    silent = above_floor(times, spectra_db - 100, floor_db=-72.0)
    assert len(silent[0]) == 2, "the least that a trend needs"


def test_without_a_learnt_release_a_note_ends_at_note_off():
    held = course(-10 * TIMES[:, None])
    assert len(held.spectra(0.4, STEP)) == 40
    assert len(held.spectra(0.0, STEP)) == 1, "one frame at least"
    assert len(course(-10 * TIMES[:, None], [[-60.0]]).spectra(0.001, STEP)) == 1 + 10


def test_what_the_windows_reach_before_the_onset_leads_in():
    lead, at_onset = (
        Course(
            torch.tensor([-0.1, -0.05, 0.05, 1.0]),
            torch.tensor([[-60.0], [-40.0], [0.0], [0.0]]),
            torch.zeros(0),
            torch.zeros(0, 1),
            1.0,
        ),
        course(torch.zeros(20, 1)),
    )
    assert lead.n_lead(STEP) == 10 and at_onset.n_lead(STEP) == 0
    spectra = in_db(lead.spectra(0.5, STEP))[:, 0]
    assert len(spectra) == 10 + 50
    torch.testing.assert_close(spectra[[0, 4]], torch.tensor([-58.0, -42.0]))
    assert (spectra[15:] == 0).all() and (spectra.diff() >= 0).all()


def test_a_single_moment_is_a_constant():
    one = Course(torch.tensor([0.016]), torch.rand(1, 5), torch.zeros(0), torch.zeros(0, 5), 0.0)
    spectra = one.spectra(0.5, STEP)
    assert one.n_lead(STEP) == 0 and spectra.shape == (50, 5) and (spectra == spectra[0]).all()


@pytest.mark.parametrize("transpose, expected", [(0, [60, 60, 64, 64]), (2, [58, 61, 64, 66])])
def test_a_key_out_of_reach_is_encoded_as_the_nearest_learnt(tmp_path, transpose, expected):
    harmonic = {"decoder": "harmonic", "decoder_range_db": 100.0, "labels": LABELS}
    learnt = {"Flute": {60: (1, 2), 64: (2,)}}
    changes = harmonic | {"augment": 1, "transpose": transpose}
    run = load_run(make_run(tmp_path / "run", learnt, **changes))
    asked = NoteLabels.from_notes(np.array([12, 61, 64, 119]), np.array([3, 3, 3, 3]))
    classes = torch.from_numpy(run.space.to_classes([asked]))
    near = within_reach(run, classes)
    numbers = 12 * (near[:, 0, 0] + 1) + near[:, 0, 1]
    assert numbers.tolist() == expected
    torch.testing.assert_close(near[:, :, 2:], classes[:, :, 2:])
    silence = torch.from_numpy(run.space.to_classes([NoteLabels.of_silence(1)]))
    assert torch.equal(within_reach(run, silence), silence)
    plain = load_run(make_run(tmp_path / "plain", learnt))
    assert torch.equal(within_reach(plain, classes[:, :, :3]), classes[:, :, :3])
