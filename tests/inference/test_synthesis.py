"""Synthesis: onsets, pitches and levels of notes are those of the events, notes join smoothly, and
the seed determines the sound.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from playing_helpers import RATE, SCALER, level_db, make_run, organ, strongest_number
from tqdm import tqdm

from lt.config import SynthesisConfig
from lt.inference.synthesis import (
    Event,
    classes_to_events,
    envelope,
    event_latents,
    event_probabilities,
    events_to_audio,
    features_to_magnitudes,
    is_silent,
    reconstruct,
    reconstruct_magnitudes,
    set_releases,
    slow_noise,
    synthesise,
    tracks_to_events,
)
from lt.labels import LabelSpace, parse_symbols
from lt.midi import Note, Track
from lt.models.runs import load_run

QUICK = SynthesisConfig(n_iter=8, sample=False)
RUN = organ()


def notes_to_events(notes, space=RUN.space):
    """Events of one instrument's notes."""
    return tracks_to_events([Track("Flute", 73, tuple(notes))], space)


@pytest.mark.parametrize("name, number", [("C4", 60), ("A4", 69), ("F#5", 78), ("C7", 96)])
def test_a_note_sounds_at_its_pitch(name, number):
    audio = synthesise(RUN, f"{name}:f", 0.7, QUICK)
    assert abs(strongest_number(audio[2000:14000], number - 10, number + 6) - number) < 0.25


def test_levels_rise_with_dynamics_by_what_the_model_says():
    audio = synthesise(RUN, "A4:pp A4:p A4:mf A4:f A4:ff", 0.6, QUICK)
    levels = [level_db(part[2000:11000]) for part in np.array_split(audio[: round(3 * RATE)], 5)]
    np.testing.assert_allclose(np.diff(levels), 5, atol=0.8)


def test_notes_begin_and_end_where_they_should_and_rests_are_silent():
    audio = events_to_audio(
        RUN, notes_to_events([Note(0.5, 1.0, 69, 90), Note(1.6, 2.0, 72, 90)]), QUICK
    )
    silent = [(0, 0.5), (1.0 + QUICK.release_seconds + 0.001, 1.6)]
    assert all(
        np.abs(audio[round(start * RATE) : round(end * RATE)]).max() == 0 for start, end in silent
    )
    loud = level_db(audio[round(0.6 * RATE) : round(0.9 * RATE)])
    for start in (0.5, 1.6):  # within the attack the level is there
        assert (
            level_db(audio[round((start + 0.02) * RATE) : round((start + 0.06) * RATE)]) > loud - 6
        )
    assert len(audio) == round((2.0 + QUICK.release_seconds) * RATE) + 1


def test_a_rest_among_symbols_is_exact_silence():
    audio = synthesise(RUN, "A4 rest A4", 0.5, QUICK)
    assert np.abs(audio[round((0.5 + QUICK.release_seconds + 0.001) * RATE) : RATE]).max() == 0


def test_consecutive_notes_join_without_clicks():
    audio = synthesise(RUN, "C4:ff G4:ff C5:ff C5:ff E4:ff", 0.4, QUICK)
    jumps = np.abs(np.diff(audio.astype(np.float64), 2))
    for border in range(1, 5):
        at = round(border * 0.4 * RATE)
        inside = jumps[at + 1000 : at + 4000].max(), jumps[at - 4000 : at - 1000].max()
        assert jumps[at - 300 : at + 300].max() < 2 * max(inside)


def test_any_number_of_notes_may_sound_at_once():
    notes = [Note(0.0, 1.0, number, 90) for number in (60, 64, 67)]
    audio = events_to_audio(RUN, notes_to_events(notes), QUICK)[4000:20000]
    for note in notes:
        assert (
            abs(
                strongest_number(audio, note.note_number - 1.5, note.note_number + 1.5)
                - note.note_number
            )
            < 0.3
        )


def test_batches_change_neither_length_nor_progress():
    events = classes_to_events(parse_symbols("C4 E4 G4 C5 rest".split(), RUN.space), 0.3)
    bars = []

    def progress(**given):
        bars.append(tqdm(**given, disable=True))
        bars[-1].update = lambda n, bar=bars[-1]: setattr(bar, "n", bar.n + n)
        return bars[-1]

    whole = events_to_audio(RUN, events, QUICK, progress)
    split = events_to_audio(RUN, events, replace(QUICK, chunk_frames=10), progress)
    assert [(bar.n, bar.total) for bar in bars] == [(4, 4)] * 2 and split.shape == whole.shape
    np.testing.assert_allclose(
        [level_db(part) for part in np.array_split(split[: round(1.2 * RATE)], 4)],
        [level_db(part) for part in np.array_split(whole[: round(1.2 * RATE)], 4)],
        atol=1.0,
    )


def test_the_seed_names_the_sound():
    run = organ(scale=0.1)
    first, again, other = (
        synthesise(run, "A4 C5", 0.3, SynthesisConfig(4, seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert np.isfinite(first).all()


def test_a_piece_shares_its_draw_and_each_note_drifts():
    run = organ(scale=1.0)
    event = Event(0.0, 1.0, parse_symbols(["A4"], run.space)[0])
    mean = event_latents(run, event, QUICK, 0)
    first, second = (event_latents(run, event, SynthesisConfig(), index) - mean for index in (0, 1))
    assert np.abs(np.diff(first.numpy(), axis=0)).max() < 0.1  # slow
    assert not torch.allclose(first, second)
    together = torch.stack(
        [
            (event_latents(run, event, SynthesisConfig(seed=seed), index) - mean).mean(dim=0)
            for seed in range(30)
            for index in (0, 1)
        ]
    ).view(30, 2, -1)
    within, between = together.std(dim=1).mean(), together.mean(dim=1).std(dim=0).mean()
    assert between > 2 * within


def test_draws_have_the_stated_spread():
    noise = torch.cat([slow_noise(RUN, 20, SynthesisConfig(seed=seed))[0] for seed in range(600)])
    assert (
        abs(float(noise.std()) / SynthesisConfig().spread - 1) < 0.05
        and abs(float(noise.mean())) < 0.05
    )


def test_without_sampling_there_is_no_noise():
    assert slow_noise(RUN, 20, QUICK) is None


@pytest.mark.parametrize("sample", [True, False])
@pytest.mark.parametrize("tuning", [0.0, 0.3])
def test_a_reconstruction_does_not_depend_on_the_blocks(tmp_path, sample, tuning):
    run = load_run(make_run(tmp_path / "run"))
    magnitudes = torch.rand(50, SCALER.n_bins)
    config = SynthesisConfig(sample=sample)
    whole = reconstruct_magnitudes(run, magnitudes, tuning, config)
    split = reconstruct_magnitudes(run, magnitudes, tuning, replace(config, chunk_frames=7))
    assert whole.shape == magnitudes.shape and torch.allclose(whole, split, atol=1e-6)
    mean = reconstruct_magnitudes(run, magnitudes, tuning)
    assert torch.allclose(whole, mean, atol=1e-6) is not sample


def test_audio_is_reconstructed_at_its_length(tmp_path):
    run = load_run(make_run(tmp_path / "run"))
    audio = (0.1 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
    found = reconstruct(run, audio, QUICK)
    assert found.dtype == np.float32 and len(found) == -(-RATE // 704) * 704
    np.testing.assert_array_equal(found, reconstruct(run, audio, QUICK))
    with pytest.raises(ValueError, match="no samples|at least one sample"):
        reconstruct(run, np.zeros(0, np.float32), QUICK)


def test_a_reconstruction_follows_the_tuning(tmp_path):
    run = load_run(make_run(tmp_path / "run"))
    magnitudes = torch.zeros(4, SCALER.n_bins)
    magnitudes[:, 100] = 1.0
    higher = torch.roll(magnitudes, 4, dims=1)  # a semitone
    plain = reconstruct_magnitudes(run, magnitudes)
    shifted = reconstruct_magnitudes(run, higher, 1.0)
    assert torch.allclose(shifted[:, 4:], plain[:, :-4], atol=1e-6)


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
    releases = [event.release for event in set_releases(notes_to_events(notes), QUICK)]
    np.testing.assert_allclose(
        releases,
        [QUICK.join_seconds, 0.05, QUICK.release_seconds, QUICK.release_seconds],
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
    found = features_to_magnitudes(RUN, SCALER.apply(magnitudes))
    changed = 20 * torch.log10(found / magnitudes)[0]
    assert changed[[100, 148]].abs().max() < 0.02 and changed[200].abs() < 0.2
    assert changed[300] < -4
    assert torch.isfinite(
        features_to_magnitudes(RUN, SCALER.apply(torch.zeros(2, SCALER.n_bins)))
    ).all()


def test_decoded_labels_follow_the_events():
    events = classes_to_events(parse_symbols("A4:mf C5:f".split(), RUN.space), 20 * 704 / RATE)
    octave, pitch, dynamics = (
        group.argmax(axis=1) for group in event_probabilities(RUN, events, QUICK)
    )
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
        events_to_audio(RUN, notes_to_events([Note(1e7, 1e7 + 1, 60, 64)]), QUICK)
