"""Generation: notes sound when and at what pitch and level they are asked for, join smoothly, and
repeat by seed.
"""

import numpy as np
import pytest
import torch
from playing_helpers import RATE, SCALER, level_db, organ, strongest_number

import lt.audio.phase as rendering
import lt.inference.synthesis as generation
from lt.audio.phase import frames_to_sound, parts
from lt.inference.latent_paths import REGION_CLASSES, TRAJECTORIES, Region, occupied_region
from lt.inference.synthesis import (
    SPREAD,
    Event,
    Rendering,
    classes_to_events,
    decode_path,
    draw_slowly,
    envelope,
    event_labels,
    event_path,
    events_to_audio,
    is_silent,
    joined,
    notes_to_events,
    synthesise,
    to_magnitudes,
)
from lt.labels import LabelSpace, parse_symbols
from lt.midi import Note
from lt.seeds import numpy_rng

QUICK = Rendering(n_iter=8, sample=False)
RUN = organ()


@pytest.mark.parametrize("name, number", [("C4", 60), ("A4", 69), ("F#5", 78), ("C7", 96)])
def test_a_note_sounds_at_its_pitch(name, number):
    audio = synthesise(RUN, f"{name}:f", 0.7, QUICK)
    assert abs(strongest_number(audio[2000:14000], number - 10, number + 6) - number) < 0.25


def test_levels_rise_with_dynamics_by_what_the_model_says():
    audio = synthesise(RUN, "A4:pp A4:p A4:mf A4:f A4:ff", 0.6, QUICK)
    levels = [level_db(one[2000:11000]) for one in np.array_split(audio[: round(3 * RATE)], 5)]
    np.testing.assert_allclose(np.diff(levels), 5, atol=0.8)


def test_notes_begin_and_end_where_they_should_and_rests_are_silent():
    audio = events_to_audio(
        RUN, notes_to_events([Note(0.5, 1.0, 69, 90), Note(1.6, 2.0, 72, 90)], RUN.space), QUICK
    )
    silent = [(0, 0.5), (1.0 + generation.RELEASE_SECONDS + 0.001, 1.6)]
    assert all(
        np.abs(audio[round(start * RATE) : round(end * RATE)]).max() == 0 for start, end in silent
    )
    loud = level_db(audio[round(0.6 * RATE) : round(0.9 * RATE)])
    for start in (0.5, 1.6):  # within the attack the level is there
        assert (
            level_db(audio[round((start + 0.02) * RATE) : round((start + 0.06) * RATE)]) > loud - 6
        )
    assert len(audio) == round((2.0 + generation.RELEASE_SECONDS) * RATE) + 1


def test_a_rest_among_symbols_is_exact_silence():
    audio = synthesise(RUN, "A4 rest A4", 0.5, QUICK)
    assert np.abs(audio[round((0.5 + generation.RELEASE_SECONDS + 0.001) * RATE) : RATE]).max() == 0


def test_consecutive_notes_join_without_clicks():
    audio = synthesise(RUN, "C4:ff G4:ff C5:ff C5:ff E4:ff", 0.4, QUICK)
    jumps = np.abs(np.diff(audio.astype(np.float64), 2))
    for border in range(1, 5):
        at = round(border * 0.4 * RATE)
        inside = jumps[at + 1000 : at + 4000].max(), jumps[at - 4000 : at - 1000].max()
        assert jumps[at - 300 : at + 300].max() < 2 * max(inside)


def test_any_number_of_notes_may_sound_at_once():
    notes = [Note(0.0, 1.0, number, 90) for number in (60, 64, 67)]
    audio = events_to_audio(RUN, notes_to_events(notes, RUN.space), QUICK)[4000:20000]
    for note in notes:
        assert (
            abs(
                strongest_number(audio, note.note_number - 1.5, note.note_number + 1.5)
                - note.note_number
            )
            < 0.3
        )


def test_portions_change_neither_length_nor_what_is_told(monkeypatch):
    events = classes_to_events(parse_symbols("C4 E4 G4 C5".split(), RUN.space), 0.3)
    told = []
    whole = events_to_audio(RUN, events, QUICK, lambda: told.append(1))
    monkeypatch.setattr(generation, "TAPE_FRAMES", 10)
    split = events_to_audio(RUN, events, QUICK, lambda: told.append(1))
    assert len(told) == 8 and split.shape == whole.shape
    np.testing.assert_allclose(
        [level_db(one) for one in np.array_split(split, 4)],
        [level_db(one) for one in np.array_split(whole, 4)],
        atol=1.0,
    )


def test_the_seed_names_the_sound():
    run = organ(scale=0.1)
    first, again, other = (synthesise(run, "A4 C5", 0.3, Rendering(4, seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert np.isfinite(first).all()


def test_a_piece_shares_its_draw_and_each_note_drifts():
    run = organ(scale=1.0)
    event = Event(0.0, 1.0, parse_symbols(["A4"], run.space)[0])
    mean = event_path(run, event, QUICK, 0)
    first, second = (event_path(run, event, Rendering(), index) - mean for index in (0, 1))
    assert np.abs(np.diff(first.numpy(), axis=0)).max() < 0.1  # slow
    assert not torch.allclose(first, second)
    together = torch.stack(
        [
            (event_path(run, event, Rendering(seed=seed), index) - mean).mean(dim=0)
            for seed in range(30)
            for index in (0, 1)
        ]
    ).view(30, 2, -1)
    within, between = together.std(dim=1).mean(), together.mean(dim=1).std(dim=0).mean()
    assert between > 2 * within


def test_draws_have_the_stated_spread():
    noise = torch.cat([draw_slowly(20, 8, RUN, seed, 0, 0) for seed in range(200)])
    assert abs(float(noise.std()) / SPREAD - 1) < 0.05 and abs(float(noise.mean())) < 0.05


def test_the_envelope_is_smooth_and_ends_at_nothing():
    for n_samples in (1, 10, 5000):
        shape = envelope(n_samples, 1000, RATE)
        assert shape[0] <= 1 and shape[-1] < 1e-3 and shape.max() <= 1
        assert len(shape) == n_samples + 1000
    assert np.abs(np.diff(envelope(5000, 1000, RATE))).max() < 0.01


def test_a_release_is_over_when_the_next_note_begins_but_never_a_click():
    notes = [
        Note(0.0, 1.0, 60, 64),
        Note(1.0, 2.0, 60, 64),
        Note(2.05, 3.0, 60, 64),
        Note(3.5, 4.0, 60, 64),
    ]
    releases = [event.release for event in joined(notes_to_events(notes, RUN.space))]
    np.testing.assert_allclose(
        releases,
        [generation.JOIN_SECONDS, 0.05, generation.RELEASE_SECONDS, generation.RELEASE_SECONDS],
    )


def test_a_loud_note_does_not_drown_the_soft_one_after_it():
    audio = synthesise(RUN, "A4:ff A4:pp A4:ff", 0.6, QUICK)
    soft, inside = (
        audio[round(0.6 * RATE) : round(1.2 * RATE)],
        audio[round(0.7 * RATE) : round(1.1 * RATE)],
    )
    assert level_db(soft) < level_db(inside) + 4


def test_expansion_keeps_partials_and_sinks_the_floor():
    magnitudes = torch.full((1, SCALER.n_bins), 1.2 * 10 ** (-45 / 20))
    magnitudes[0, [100, 148, 200]] = torch.tensor([1.0, 0.3, 0.1])
    found = to_magnitudes(RUN, SCALER.apply(magnitudes))
    changed = 20 * torch.log10(found / magnitudes)[0]
    assert changed[[100, 148]].abs().max() < 0.02 and changed[200].abs() < 0.2
    assert changed[300] < -4
    assert torch.isfinite(to_magnitudes(RUN, SCALER.apply(torch.zeros(2, SCALER.n_bins)))).all()


def test_decoded_labels_follow_the_events():
    events = classes_to_events(parse_symbols("A4:mf C5:f".split(), RUN.space), 20 * 704 / RATE)
    octave, pitch, dynamics = (group.argmax(axis=1) for group in event_labels(RUN, events, QUICK))
    np.testing.assert_array_equal(octave, [4] * 20 + [5] * 20)
    np.testing.assert_array_equal(pitch, [9] * 20 + [0] * 20)
    np.testing.assert_array_equal(dynamics, [2] * 20 + [3] * 20)


@pytest.mark.parametrize(
    "labels, row, silent",
    [
        (("octave", "pitch", "dynamics"), [9, 12, 5], True),
        (("octave", "pitch", "dynamics"), [9, 12, 2], False),
        (("pitch",), [12], True),
        (("octave", "dynamics"), [4, 2], False),
    ],
)
def test_silence_is_what_every_label_says(labels, row, silent):
    assert is_silent(np.array([row]), LabelSpace(labels=labels, instruments=("Flute",))) is silent


def test_mixtures_without_silence_cannot_play_one_alone():
    with pytest.raises(ValueError, match="silence"):
        notes_to_events(
            [Note(0, 1, 60, 64)], LabelSpace(instruments=("Piano", "Violin"), silence=False)
        )


def test_a_damaged_length_is_refused_before_memory_is_taken():
    with pytest.raises(ValueError, match="hours"):
        events_to_audio(RUN, notes_to_events([Note(1e7, 1e7 + 1, 60, 64)], RUN.space), QUICK)


# --- whole recordings and paths -------------------------------------------------------------------


def test_parts_cover_all_frames_and_meet_where_it_is_quiet(monkeypatch):
    monkeypatch.setattr(rendering, "PART_FRAMES", 100)
    magnitudes = torch.ones(450, 4)
    magnitudes[80] = magnitudes[160] = 0.1
    for blocks in ([magnitudes], magnitudes.split(7)):
        found = list(parts(blocks))
        own = [part.magnitudes[part.before : len(part.magnitudes) - part.after] for part in found]
        assert torch.equal(torch.cat(own), magnitudes) and max(map(len, own)) <= 100
        assert [len(one) for one in own[:2]] == [81, 80]
        assert [part.before for part in found] == [0] + [8] * (len(found) - 1)
        assert [part.after for part in found] == [8] * (len(found) - 1) + [0]


def test_parts_meet_without_a_seam(monkeypatch):
    z = torch.tensor([[4.0, 9.0, 4.0]]).expand(150, 3)
    magnitudes, _ = decode_path(RUN, z)
    monkeypatch.setattr(rendering, "PART_FRAMES", 64)
    audio = frames_to_sound(RUN.front_end, magnitudes.split(13), 8, 0, RUN.device).astype(
        np.float64
    )
    jumps = np.abs(np.diff(audio, 2))[704:-704]
    assert jumps.max() < 3 * np.percentile(jumps, 99)
    assert len(audio) == 150 * 704 and abs(audio[0]) == 0 and abs(audio[-1]) < 1e-3


# --- the region that sounds occupy ----------------------------------------------------------------


def test_a_region_is_where_its_points_are():
    chosen = np.random.default_rng(0)
    points = chosen.standard_normal((4000, 2)) @ np.array([[3, 0, 0, 0], [0, 0.5, 0.5, 0]]) + [
        1,
        2,
        3,
        4,
    ]
    region = Region.around(points)
    np.testing.assert_allclose(region.mean, [1, 2, 3, 4], atol=0.2)
    assert region.dimensions in (1, 2)
    np.testing.assert_allclose(np.linalg.norm(region.axes[0]), 3, rtol=0.1)
    outside = region.to_latent(chosen.standard_normal((100, region.dimensions)))[:, 3]
    np.testing.assert_allclose(outside, 4, atol=1e-6)


def test_a_region_of_equal_points_is_a_point():
    region = Region.around(np.ones((10, 3)))
    np.testing.assert_allclose(region.to_latent(np.ones((2, region.dimensions))), 1, atol=1e-6)


@pytest.mark.parametrize("kind", TRAJECTORIES)
def test_trajectories_sound_like_notes_that_the_model_has(kind):
    model = organ()
    model.model.signal_to_symbol = lambda features: KnownNotes()
    region = occupied_region(model)
    path = region.to_latent(TRAJECTORIES[kind](100, region.dimensions, 0, 0))
    octaves = path[:, 0]
    assert 2.0 < octaves.min() and octaves.max() < 7.0


class KnownNotes:
    """A listener that hears nothing but octaves 4 and 5, by saying something else of all others."""

    def probabilities(self):
        chosen = numpy_rng(0, "latent", 2)
        drawn = torch.from_numpy(chosen.integers(0, (9, 12, 5), (REGION_CLASSES, 3)))
        known = (drawn[:, 0] >= 4) & (drawn[:, 0] <= 5)
        heard = torch.where(known[:, None], drawn, (drawn + 1) % torch.tensor((9, 12, 5)))
        return tuple(
            torch.nn.functional.one_hot(heard[:, column], size + 1).float()
            for column, size in enumerate((9, 12, 5))
        )
