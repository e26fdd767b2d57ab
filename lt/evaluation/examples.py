"""Examples: whole notes as they were, as the model reconstructs them, and as it makes them from
their symbols.

The original comes from the note's source; where that is gone it is made from the note's spectra,
and says so. A transfer draws its latent once a note, so that the tone stands still; where the model
knows silence, its symbols shape the note's ends, and elsewhere the note's own silence does.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from lt.audio.io import to_peak
from lt.audio.phase import magnitudes_to_audio_batch
from lt.config import SynthesisConfig
from lt.data.dataset import DataSet
from lt.evaluation.context import Subject
from lt.inference.synthesis import features_to_magnitudes, reconstruct_magnitudes
from lt.labels import DYNAMICS_NAMES, SILENCE, LabelSpace, NoteLabels, number_to_note_name
from lt.models.runs import Run
from lt.models.vae import draw_noise
from lt.seeds import numpy_rng, torch_rng

FADE_SECONDS = 0.01
# whole notes without margins: low bands ring for a quarter of a second
SYNTHESIS = SynthesisConfig(n_iter=60, gap_frames=8)


@dataclass(frozen=True)
class Example:
    """One note of each instrument, sounding together.

    Attributes:
        title: what was played. read: what the model reads from it, for most of its frames.
        original, reconstruction: (samples,). transfers: one (samples,) a latent sample.
        from_source: whether `original` is the note's own sound, not made from its spectra.
        spectra: name -> magnitudes (frames, bins) of original, reconstruction and first transfer.
    """

    title: str
    read: str
    original: np.ndarray
    reconstruction: np.ndarray
    transfers: tuple[np.ndarray, ...]
    from_source: bool
    spectra: dict[str, np.ndarray]


def make_examples(
    subject: Subject,
    part: str,
    n_examples: int,
    n_samples: int,
    seed: int,
    on_example: Callable[[], None] = lambda: None,
) -> list[Example]:
    """Examples from notes of a part, spread over its range; fewer where it has fewer notes."""
    examples = []
    for index, notes in enumerate(choose_notes(subject, part, n_examples, seed)):
        examples.append(make_example(subject, notes, n_samples, seed, index))
        on_example()
    return examples


def choose_notes(subject: Subject, part: str, n_examples: int, seed: int) -> list[tuple[int, ...]]:
    """For each example a note of each instrument: one from each stretch of the instrument's range;
    the first rises, the others come in any order.
    """
    columns = []
    for index, instrument in enumerate(subject.run.config.instruments):
        chosen = numpy_rng(seed, "analysis", index)
        own = np.intersect1d(subject.split.notes[part], subject.data.notes_of(instrument))
        labels = subject.data.notes.labels[own]
        rising = own[np.lexsort((labels[:, 2], labels[:, 1], labels[:, 0]))]
        stretches = np.array_split(rising, min(n_examples, len(own)) or 1)
        column = [int(chosen.choice(stretch)) for stretch in stretches][:n_examples]
        columns.append(column if index == 0 else chosen.permutation(column).tolist())
    return list(zip(*columns))


@torch.no_grad()
def make_example(
    subject: Subject, notes: Sequence[int], n_samples: int, seed: int, index: int
) -> Example:
    """One example from a note of each instrument; `index` names its draws."""
    run, data = subject.run, subject.data
    n_frames = int(data.lengths[list(notes)].max())
    mixture = torch.from_numpy(_mixture(data, notes, n_frames)).to(run.device)
    features = run.scaler.apply(mixture)
    reconstruction = reconstruct_magnitudes(run, mixture)
    classes, sounds = _classes(run.space, data, notes, n_frames)
    transfers = [
        _transfer(run, classes, sounds, seed, index, sample) for sample in range(n_samples)
    ]
    audio = note_sounds(subject, notes)
    made = [reconstruction, *transfers] + ([mixture] if audio is None else [])
    synthesis = replace(SYNTHESIS, seed=seed)
    heard = magnitudes_to_audio_batch(made, run.front_end, synthesis, index)
    original = heard.pop() if audio is None else audio
    spectra = {"original": mixture, "reconstruction": reconstruction} | (
        {"transfer: made from the symbols": transfers[0]} if transfers else {}
    )
    return Example(
        _played(run.space, data, notes),
        _read(run, features, sounds),
        finished(original, run),
        finished(heard[0], run),
        tuple(finished(one, run) for one in heard[1:]),
        audio is not None,
        {name: magnitudes.cpu().numpy() for name, magnitudes in spectra.items()},
    )


def finished(audio: np.ndarray, run: Run) -> np.ndarray:
    """A sound (samples,) without clicks: its ends faded over 10 ms, turned down where it would pass
    -1 dBFS.
    """
    n_fade = min(round(FADE_SECONDS * run.front_end.sample_rate), len(audio) // 2)
    shape = np.ones(len(audio), np.float32)
    shape[:n_fade] = 0.5 - 0.5 * np.cos(np.pi * np.arange(n_fade) / n_fade)
    shape[len(audio) - n_fade :] = shape[:n_fade][::-1]
    return to_peak(audio * shape)


def note_sounds(subject: Subject, notes: Sequence[int]) -> np.ndarray | None:
    """The notes' own sounds added up (samples,); None where one is gone."""
    sounds = [subject.note_audio(note) for note in notes]
    if any(one is None for one in sounds):
        return None
    total = np.zeros(max(map(len, sounds)), np.float32)
    for one in sounds:
        total[: len(one)] += one
    return total


def _mixture(data: DataSet, notes: Sequence[int], n_frames: int) -> np.ndarray:
    """Magnitudes (n_frames, bins) of the notes together: their powers add."""
    power = np.zeros((n_frames, data.config.n_bins), np.float32)
    for note in notes:
        power[: data.lengths[note]] += np.square(
            data.magnitudes[data.starts[note] : data.starts[note + 1]]
        )
    return np.sqrt(power)


def _classes(
    space: LabelSpace, data: DataSet, notes: Sequence[int], n_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Classes (n_frames, instruments, labels), and whether anything sounds (n_frames,)."""
    labels, sounds = [], np.zeros(n_frames, bool)
    for note in notes:
        own = np.zeros(n_frames, bool)
        own[: data.lengths[note]] = data.sounding[data.starts[note] : data.starts[note + 1]]
        table = np.repeat(data.notes.labels[note][None], n_frames, axis=0)
        labels.append(
            NoteLabels.from_table(np.where((own | (not space.silence))[:, None], table, SILENCE))
        )
        sounds |= own
    return space.to_classes(labels), sounds


def _transfer(run: Run, classes: np.ndarray, sounds: np.ndarray, seed: int, *where: int) -> Tensor:
    """Magnitudes (frames, bins) decoded from the symbols' latent, drawn once for all frames."""
    once = draw_noise(run.model.dims, 1, torch_rng(seed, "latent", *where))
    noise = tuple(draw.expand(len(classes), -1).to(run.device) for draw in once)
    magnitudes = features_to_magnitudes(
        run, run.model.symbol_to_signal(torch.from_numpy(classes).to(run.device), noise).mean
    )
    return (
        magnitudes
        if run.space.silence
        else magnitudes * torch.from_numpy(sounds[:, None]).to(run.device)
    )


# --- words ----------------------------------------------------------------------------------------


def _played(space: LabelSpace, data: DataSet, notes: Sequence[int]) -> str:
    """`Piano A4 mf + Violin C5 f`."""
    rows = [data.notes.labels[note] for note in notes]
    return " + ".join(
        f"{instrument} {number_to_note_name(12 * (octave + 1) + pitch)} {DYNAMICS_NAMES[dynamics]}"
        for instrument, (octave, pitch, dynamics) in zip(space.instruments, rows)
    )


def _read(run: Run, features: Tensor, sounds: np.ndarray) -> str:
    """What the model reads from most frames, and from how many: `Piano A4 mf (93 %)`."""
    probabilities = run.model.signal_to_symbol(features).probabilities()
    classes = torch.stack([group.argmax(dim=-1) for group in probabilities], dim=1).cpu().numpy()
    per_instrument = classes.reshape(
        len(classes), len(run.space.instruments), len(run.space.labels)
    )
    per_instrument = per_instrument[sounds] if sounds.any() else per_instrument
    words = []
    for index, instrument in enumerate(run.space.instruments):
        rows = Counter(map(tuple, per_instrument[:, index].tolist()))
        row, count = rows.most_common(1)[0]
        names = {
            label: run.space.class_names(label)[value]
            for label, value in zip(run.space.labels, row)
        }
        note = names.get("pitch", "") + (
            names.get("octave", "") if names.get("pitch") != "silence" else ""
        )
        read = " ".join(dict.fromkeys(word for word in (note, names.get("dynamics", "")) if word))
        words.append(f"{instrument} {read} ({100 * count / len(per_instrument):.0f} %)")
    return " + ".join(words)
