"""Pictures of bench/spectrograms.py."""

import numpy as np
from matplotlib.image import imread

from bench import spectrograms
from bench.compared_notes import NoteSound
from bench.sound_measures import RATE
from bench.spectrograms import HOP, NotePair


def sound(seconds):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)
    return NoteSound(tone.astype(np.float32), seconds, True)


def test_a_panel_shows_the_sound_and_the_rest_after_it():
    levels = spectrograms.decibels(sound(0.5), 1.0).max(axis=0)
    assert len(levels) == RATE // HOP + 1
    assert np.ptp(levels[4 : len(levels) // 2 - 5]) < 1
    assert levels[len(levels) // 2 + 5 :].max() < levels[4] - 60


def test_a_row_a_pair(tmp_path):
    pairs = [NotePair(f"Flute {name}", sound(0.3), sound(0.2)) for name in "ab"]
    for count in (1, 2):
        spectrograms.draw(pairs[:count], tmp_path / f"{count}.png")
    one, two = (imread(tmp_path / f"{count}.png") for count in (1, 2))
    assert two.shape[0] == 2 * one.shape[0] and two.shape[1] == one.shape[1]
