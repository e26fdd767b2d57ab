"""Synthesis: onsets, pitches, levels and courses of notes are those of the events and the model,
notes join smoothly, and the seed determines the sound.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from playing_helpers import (
    HARP_AGES,
    RATE,
    SCALER,
    harp,
    level_db,
    make_run,
    mirror,
    organ,
    strongest_number,
)
from tqdm import tqdm

from lt.audio import phase
from lt.config import SynthesisConfig
from lt.inference.decoding import features_to_magnitudes, reconstruct_magnitudes, slow_noise
from lt.inference.note_courses import at_running_age, symbol_courses
from lt.inference.synthesis import (
    Event,
    _until_repeated,
    classes_to_events,
    event_probabilities,
    event_spectra,
    events_to_audio,
    fade_ends,
    is_silent,
    playing_gain,
    reconstruct,
    shared_takes,
    synthesise,
    tracks_to_events,
)
from lt.labels import LabelSpace, NoteLabels, parse_symbols
from lt.midi import Note, Track
from lt.models.runs import load_run

QUICK = SynthesisConfig(n_iter=8, sample=False)
RUN = organ()


def notes_to_events(notes, space=RUN.space):
    """Events of one instrument's notes."""
    return tracks_to_events([Track("Flute", 73, tuple(notes))], space)


@pytest.mark.parametrize("name, number", [("C4", 60), ("A4", 69), ("F#5", 78), ("C7", 96)])
@pytest.mark.parametrize("n_iter, tolerance", [(0, 0.05), (8, 0.5)])
def test_a_note_sounds_at_its_pitch(name, number, n_iter, tolerance):
    audio = synthesise(RUN, f"{name}:f", 0.7, replace(QUICK, n_iter=n_iter))
    assert abs(strongest_number(audio[2000:14000], number - 10, number + 6) - number) < tolerance


def test_levels_rise_with_dynamics_by_what_the_model_says():
    audio = synthesise(RUN, "A4:pp A4:p A4:mf A4:f A4:ff", 0.6, QUICK)
    levels = [level_db(part[2000:11000]) for part in np.array_split(audio[: round(3 * RATE)], 5)]
    np.testing.assert_allclose(np.diff(levels), 5, atol=0.8)


def test_notes_begin_and_end_where_they_should_and_rests_are_silent():
    audio = events_to_audio(
        RUN, notes_to_events([Note(0.5, 1.0, 69, 90), Note(1.6, 2.0, 72, 90)]), QUICK
    )
    frame = RUN.front_end.frame_seconds
    silent = [(0, 0.5), (1.0 + frame / 2, 1.6)]
    assert all(
        np.abs(audio[round(start * RATE) : round(end * RATE)]).max() == 0 for start, end in silent
    )
    loud = level_db(audio[round(0.6 * RATE) : round(0.9 * RATE)])
    for start in (0.5, 1.6):  # within the attack the level is there
        assert (
            level_db(audio[round((start + 0.02) * RATE) : round((start + 0.06) * RATE)]) > loud - 6
        )
    assert abs(len(audio) / RATE - 2.0) <= frame / 2


def test_a_rest_among_symbols_is_exact_silence():
    audio = synthesise(RUN, "A4 rest A4", 0.5, QUICK)
    assert np.abs(audio[round((0.5 + RUN.front_end.frame_seconds) * RATE) : RATE]).max() == 0


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
    split = events_to_audio(RUN, events, replace(QUICK, chunk_seconds=0.01), progress)
    assert [(bar.n, bar.total) for bar in bars] == [(4, 4)] * 2 and split.shape == whole.shape
    np.testing.assert_allclose(
        [level_db(part) for part in np.array_split(split[: round(1.2 * RATE)], 4)],
        [level_db(part) for part in np.array_split(whole[: round(1.2 * RATE)], 4)],
        atol=1.0,
    )


def test_alike_notes_share_takes_in_turn_and_others_share_none():
    step = RUN.front_end.frame_seconds
    named = "A4 A4 C5 A4 A4 A4".split()
    events = classes_to_events(parse_symbols(named, RUN.space), 0.3)
    assert shared_takes(events, step, 2) == [[0, 3, 5], [1, 4], [2]]
    assert shared_takes(events, step, 9) == [[number] for number in range(6)]
    longer = [replace(event, seconds=0.3 + number) for number, event in enumerate(events)]
    assert shared_takes(longer, step, 1) == [[number] for number in range(6)]
    within = [
        replace(event, seconds=0.3 + number * step / 99) for number, event in enumerate(events)
    ]
    assert shared_takes(within, step, 1) == [[0, 1, 3, 4, 5], [2]]


@pytest.mark.parametrize("sample", [False, True])
def test_notes_of_shared_takes_are_those_rendered_by_themselves(sample):
    """Equal to each note by itself until a take is used again; then that take, to the sample."""
    run = organ(scale=0.1)
    config = replace(QUICK, n_iter=2, sample=sample)
    events = classes_to_events(parse_symbols("A4 C5 A4 A4 A4".split(), run.space), 0.3)
    plain = events_to_audio(run, events, replace(config, n_takes=len(events)))
    np.testing.assert_array_equal(events_to_audio(run, events, replace(config, n_takes=9)), plain)
    shared = events_to_audio(run, events, replace(config, n_takes=2))
    n_samples = round(0.3 * RATE)
    parts = [shared[n * n_samples :][: n_samples - 1000] for n in range(5)]
    np.testing.assert_array_equal(parts[3], parts[0])
    np.testing.assert_array_equal(parts[4], parts[2])
    assert not np.allclose(parts[2], parts[0])
    levels = [
        [level_db(audio[n * n_samples :][:n_samples]) for n in range(5)]
        for audio in (plain, shared)
    ]
    np.testing.assert_allclose(*levels, atol=0.5)


def test_the_seed_names_the_sound():
    run = organ(scale=0.1)
    first, again, other = (
        synthesise(run, "A4 C5", 0.3, SynthesisConfig(4, seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert np.isfinite(first).all()


def test_a_piece_shares_its_draw_and_each_note_drifts():
    first, second = (slow_noise(RUN, 31, SynthesisConfig(), index)[0] for index in (0, 1))
    assert np.abs(np.diff(first.numpy(), axis=0)).max() < 0.1  # slow
    assert not torch.allclose(first, second)
    together = torch.stack(
        [
            slow_noise(RUN, 31, SynthesisConfig(seed=seed), index)[0].mean(dim=0)
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
def test_a_reconstruction_does_not_depend_on_the_blocks(tmp_path, monkeypatch, sample, tuning):
    run = load_run(make_run(tmp_path / "run"))
    magnitudes = torch.rand(50, SCALER.n_bins)
    config = SynthesisConfig(sample=sample)
    whole = reconstruct_magnitudes(run, magnitudes, tuning, config)
    monkeypatch.setattr("lt.inference.decoding.BLOCK_FRAMES", 7)
    split = reconstruct_magnitudes(run, magnitudes, tuning, config)
    assert whole.shape == (50, 1, SCALER.n_bins) and torch.allclose(whole, split, atol=1e-6)
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
    assert torch.allclose(shifted[..., 4:], plain[..., :-4], atol=1e-6)


def test_the_ends_of_a_sound_are_faded():
    for n_samples in (1, 10, 5000):
        shape = fade_ends(np.ones(n_samples, np.float32), RUN.front_end)
        assert len(shape) == n_samples and shape.min() >= 0 and shape.max() <= 1
    assert shape[0] < 0.01 and shape[-1] < 0.01 and np.abs(np.diff(shape)).max() < 0.05
    assert (shape[round(0.003 * RATE) : -round(0.011 * RATE)] == 1).all(), "and nothing between"


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
    found = features_to_magnitudes(RUN, SCALER.apply(magnitudes))[:, 0]
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


@pytest.mark.fault("malformed input")
def test_a_damaged_length_is_refused_before_memory_is_taken():
    with pytest.raises(ValueError, match="hours"):
        events_to_audio(RUN, notes_to_events([Note(1e7, 1e7 + 1, 60, 64)]), QUICK)


# --- models with ages ---------------------------------------------------------------------------


def test_a_lead_moves_no_onset():
    run = harp()
    ages = {"Flute": replace(HARP_AGES, lead=(-0.048, -0.016))}
    leading = replace(run, settings=replace(run.settings, ages=ages))
    events = [event_of(run, "A4:f", 0.5)]
    event = replace(events[0], onset=0.3)
    audio, plain = (
        events_to_audio(each, [event], QUICK) / playing_gain(each) for each in (leading, run)
    )
    assert len(audio) == len(plain) and not audio[: round(0.3 * RATE)].any()
    assert event_spectra(leading, [event], QUICK)[0][1] == 2
    assert level_db(audio[round(0.35 * RATE) : round(0.7 * RATE)]) == pytest.approx(
        level_db(plain[round(0.35 * RATE) : round(0.7 * RATE)]), abs=2
    )


def level_of(spectra):
    """dB (frames,)."""
    return 10 * torch.log10(spectra.square().sum(dim=1))


def event_of(run, symbol, seconds):
    return Event(0.0, seconds, parse_symbols([symbol], run.space)[0])


def test_a_model_without_age_plays_one_spectrum_and_no_release():
    [(spectra, n_lead)] = event_spectra(RUN, [event_of(RUN, "A4:f", 1.0)], QUICK)
    assert n_lead == 0 and len(spectra) == 31 and (spectra == spectra[0]).all()


@pytest.mark.parametrize("subframes", [1, 2, 4])
def test_a_model_with_age_plays_the_learnt_course(subframes):
    run = harp(fall_db=30.0, subframes=subframes)
    step = run.front_end.frame_seconds / subframes
    held, long = (
        level_of(event_spectra(run, [event_of(run, "A4:f", s)], QUICK)[0][0]) for s in (0.5, 1.5)
    )
    times = (torch.arange(round(1.5 / step)) + 0.5) * step
    inside = (times > 0.05) & (times < 0.9)
    # two decibels: classes are wider than the learnt times, subframes of a class equal
    expected = -30 * (times - 0.3) + long[int(0.3 / step)]
    assert (long[: len(times)] - expected)[inside].abs().max() < 2
    n_held = round(0.5 / step)
    torch.testing.assert_close(held[:n_held], long[:n_held])
    since_off = (len(held) - n_held) * step
    assert 0.05 < since_off < 0.3, "about 40 dB, at 200 dB a second"
    assert float(held[n_held + round(0.1 / step)] - held[n_held - 1]) == pytest.approx(-20, abs=4)


def test_an_age_that_is_given_is_that_moment_throughout():
    run = harp()
    for age in (3, 17):
        event = event_of(run, f"A4:f:age={age}", 0.5)
        [(spectra, _)] = event_spectra(run, [event], QUICK)
        assert len(spectra) == 16 and (spectra == spectra[0]).all()
        assert len(symbol_courses(run, [event.classes], QUICK)[0].held_times) == 1
        assert (at_running_age(run, event.classes, 9)[:, 0, 3] == age).all()
    early, late = (
        level_of(event_spectra(run, [event_of(run, f"A4:f:age={age}", 0.1)], QUICK)[0][0])
        for age in (0, 8)
    )
    fall = 20 * (HARP_AGES.held[8] - HARP_AGES.held[0])
    assert float(early[0] - late[0]) == pytest.approx(fall, abs=0.5)


@pytest.mark.parametrize("symbol", ["A4:f:age=31", "A4:f:age=-1", "A4:f:age=old"])
def test_ages_that_are_none_are_errors(symbol):
    with pytest.raises(ValueError, match="no class 0-30 .0-15 since the onset, 16-26 since"):
        synthesise(harp(), symbol)
    with pytest.raises(ValueError, match="no label age"):
        synthesise(RUN, "A4:f:age=3")
    outside = NoteLabels(*(np.array([value]) for value in (4, 9, 3, 31)))
    with pytest.raises(ValueError, match="age 0-30"):
        harp().space.to_classes([outside])


def test_a_running_age_stops_at_the_last_that_was_learnt():
    run = harp()
    ages = at_running_age(run, parse_symbols(["A4"], run.space)[0], 200)[:, 0, 3]
    assert ages[0] == 0 and (np.diff(ages) >= 0).all()
    assert ages[-1] == len(HARP_AGES.held) - 1


@pytest.mark.parametrize(
    "make, seconds", [(organ, 0.005), (harp, 0.005), pytest.param(harp, 70.0, id="two segments")]
)
def test_notes_of_any_length(make, seconds):
    run = make()
    config = replace(QUICK, n_iter=0)
    audio = events_to_audio(run, [event_of(run, "A4:f", seconds)], config)
    assert np.isfinite(audio).all() and np.abs(audio).max() > 1e-3
    assert seconds - 0.02 < len(audio) / RATE < seconds + 0.5
    assert np.abs(audio).max() < 1


def test_a_long_note_that_decays_is_silent_at_its_end():
    config = replace(QUICK, n_iter=0)
    audio = events_to_audio(harp(), [event_of(harp(), "A4:ff", 20.0)], config)
    assert level_db(audio[-RATE:]) < level_db(audio[:RATE]) - 70


# --- level ----------------------------------------------------------------------------------------


def peak_dbfs(audio):
    return 20 * np.log10(np.abs(audio).max())


@pytest.mark.parametrize("make", [organ, harp])
def test_the_loudest_learnt_note_peaks_at_6_db_below_full_scale(make):
    run = make(learnt={"Flute": {69: (0, 3), 72: (1,)}})
    played = synthesise(run, "A4:f", 1.0, SynthesisConfig(sample=False))
    assert peak_dbfs(played) == pytest.approx(-6, abs=0.5)
    for softer in ("A4:pp", "C5:p"):
        assert peak_dbfs(synthesise(run, softer, 1.0, QUICK)) < -10
    assert peak_dbfs(synthesise(run, "A4:ff", 1.0, QUICK)) > -5, "was never learnt"


def test_one_gain_for_all_that_a_run_plays():
    alone = synthesise(RUN, "A4:pp", 0.5, QUICK)
    after = synthesise(RUN, "C5:ff rest A4:pp", 0.5, QUICK)[RATE:]
    assert level_db(after[2000:10000]) == pytest.approx(level_db(alone[2000:10000]), abs=0.5)


@pytest.mark.parametrize("gain", [2.0**-6, 0.1, 4.0])
def test_a_reconstruction_scales_with_its_input(tmp_path, gain):
    run = load_run(make_run(tmp_path / "run"))
    magnitudes = torch.rand(50, SCALER.n_bins, generator=torch.Generator().manual_seed(0))
    plain, scaled = (reconstruct_magnitudes(run, x) for x in (magnitudes, gain * magnitudes))
    torch.testing.assert_close(scaled, gain * plain, rtol=1e-4, atol=1e-7)
    if np.log2(gain) % 1 == 0:
        assert torch.equal(scaled, gain * plain)


def test_rests_of_a_recording_stay_silent():
    tone = (0.1 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
    audio = np.concatenate([tone, np.zeros_like(tone), tone])
    found = reconstruct(mirror(), audio, QUICK)
    notes = [level_db(found[at + 2000 : at + 20000]) for at in (0, 2 * RATE)]
    rest = level_db(found[RATE + 6000 : 2 * RATE - 6000])
    assert rest < min(notes) - 40
    np.testing.assert_allclose(notes, level_db(tone), atol=1.5)


def test_silence_is_reconstructed_as_silence(tmp_path):
    run = load_run(make_run(tmp_path / "run"))
    found = reconstruct_magnitudes(run, torch.zeros(5, SCALER.n_bins))
    assert float(found.max()) < 1e-6


def test_a_repeated_note_ends_the_release_of_the_one_before():
    run = harp(fall_db=0.0)
    first, other = (event_of(run, name, 0.3) for name in ("A4:f", "C5:f"))
    louder = replace(event_of(run, "A4:pp", 0.3), onset=0.35)
    assert _until_repeated([louder, first], run.space) == [np.inf, 0.35]
    assert _until_repeated([first, replace(other, onset=0.35)], run.space) == [np.inf, np.inf]
    ringing = events_to_audio(run, [first], QUICK)
    end = round(0.35 * RATE)
    assert np.abs(ringing[end : end + 200]).max() > 1e-3
    silent = replace(louder, seconds=1e-4)
    ended = events_to_audio(run, [first, silent], QUICK)
    assert np.abs(ended[end - 3 : end]).max() < 1e-3


@pytest.mark.parametrize("n_iter, taken", [(None, 0), (3, 3)])
def test_notes_take_no_iterations_unless_some_are_asked_for(monkeypatch, n_iter, taken):
    numbers, retrieve = [], phase.retrieve_phase

    def noted(magnitudes, front_end, n_iter, *others):
        numbers.append(n_iter)
        return retrieve(magnitudes, front_end, n_iter, *others)

    monkeypatch.setattr(phase, "retrieve_phase", noted)
    events_to_audio(RUN, [event_of(RUN, "A4:f", 0.1)], SynthesisConfig(n_iter))
    assert numbers[0] == taken
