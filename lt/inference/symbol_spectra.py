"""What a model expects a note to sound like: the spectra of its symbols in semitone bands.

The signal decoder gives the spectrum of any symbol. `symbol_spectra` decodes every key that a run
has learnt at each dynamic, from the onset on, so that notes of a recording can be compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch

from lt.audio.features import semitone_bands
from lt.inference.decoding import BLOCK_FRAMES, decode_subframes
from lt.labels import LabelSpace, NoteLabels, age_class
from lt.midi import dynamics_to_velocity
from lt.models.runs import Run


@dataclass(frozen=True)
class SymbolSpectra:
    """The spectra of an instrument's symbols.

    Attributes:
        note_numbers: (keys,) that the instrument learnt, rising.
        velocities: (dynamics,) of the dynamics that it learnt, rising; at least two.
        times: (moments,) seconds since the onset, rising.
        bands: (keys, dynamics, moments, bands) magnitudes of semitone-wide bands.
    """

    note_numbers: np.ndarray
    velocities: np.ndarray
    times: np.ndarray
    bands: np.ndarray

    @cached_property
    def decay_db(self) -> float:
        """Decibels by which a held note falls from its peak to the last moment; the median of all
        keys and dynamics.
        """
        power = np.square(self.bands.astype(np.float64)).sum(axis=-1)
        ratio = power.max(axis=-1) / np.maximum(power[:, :, -1], np.finfo(float).tiny)
        return float(np.median(10 * np.log10(np.maximum(ratio, 1.0))))


@lru_cache(maxsize=4)
def symbol_spectra(run: Run) -> tuple[SymbolSpectra, ...]:
    """The spectra of each instrument's symbols, decoded once a run.

    None for a run without the label pitch or dynamics, for one of several instruments that cannot
    be silent, and where an instrument learnt a single dynamic.
    """
    space = run.space
    alone = len(space.instruments) == 1 or space.silence
    if not (alone and {"pitch", "dynamics"} <= set(space.labels)):
        return ()
    learnt = [run.settings.learnt[part.name] for part in space.parts]
    if any(len(set().union(*table.values())) < 2 for table in learnt):
        return ()
    of_parts = [(_spectra(run, part.voices.start), part.n_voices) for part in space.parts]
    return tuple(spectra for spectra, n_voices in of_parts for _ in range(n_voices))


@torch.no_grad()
def _spectra(run: Run, instrument: int) -> SymbolSpectra:
    name = run.space.instrument_of(run.space.instruments[instrument])
    table = run.settings.learnt[name]
    numbers, dynamics = np.array(sorted(table)), np.array(sorted(set().union(*table.values())))
    times = np.array((run.settings.ages[name].held if run.space.age_column else ()) or (0.0,))
    grid = np.meshgrid(numbers, dynamics, age_class(times), indexing="ij")
    classes = torch.from_numpy(_classes(run.space, instrument, *map(np.ravel, grid)))
    blocks = []
    for block in classes.to(run.device).split(BLOCK_FRAMES):
        z = run.model.encode_symbol(block).z[-1]
        magnitudes = decode_subframes(run, z, block).mean(dim=1)
        blocks.append(semitone_bands(magnitudes, run.front_end).cpu())
    bands = torch.cat(blocks).view(*grid[0].shape, -1).numpy()
    return SymbolSpectra(numbers, dynamics_to_velocity(dynamics), times, bands)


def _classes(
    space: LabelSpace, instrument: int, numbers: np.ndarray, dynamics: np.ndarray, ages: np.ndarray
) -> np.ndarray:
    """Classes (symbols, instruments, labels) of one instrument's symbols, the others silent."""
    labels = [NoteLabels.of_silence(len(numbers)) for _ in space.instruments]
    labels[instrument] = replace(NoteLabels.from_notes(numbers, dynamics), age=ages)
    return space.to_classes(labels)
