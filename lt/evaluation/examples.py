"""Sound examples: whole notes as recorded, reconstructed by the model, and synthesised from their
symbols.

The original comes from the note's source; if that is gone it is made from the note's spectra. A
transfer samples its latent once a note, so that the timbre is steady, and is silent where the note
is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from lt.audio.io import to_peak
from lt.audio.phase import magnitudes_to_audio_batch
from lt.config import AnalysisConfig, SynthesisConfig
from lt.data.dataset import DataSet
from lt.evaluation.context import EvaluationContext
from lt.inference.decoding import features_to_magnitudes, reconstruct_magnitudes
from lt.labels import (
    DYNAMICS_NAMES,
    FIRST_NOTE_NUMBER,
    SILENCE,
    LabelSpace,
    NoteLabels,
    number_to_note_name,
)
from lt.models.runs import Run
from lt.models.vae import sample_noise
from lt.progress import Progress, silent
from lt.seeds import numpy_rng, torch_rng

FADE_SECONDS = 0.01


@dataclass(frozen=True)
class Example:
    """One note of each instrument, sounding together.

    Attributes:
        title: the notes. transcription: the symbols that most of their frames are transcribed to.
        sounds: audio (samples,) of the original `orig`, the reconstruction `reco` and the transfers
            `tf_0`, ... captions: of the sounds, by the same names.
        spectra: title -> magnitudes (frames, bins) of original, reconstruction and first transfer.
    """

    title: str
    transcription: str
    sounds: dict[str, np.ndarray]
    captions: dict[str, str]
    spectra: dict[str, np.ndarray]

    @property
    def summary(self) -> str:
        """A sentence about the transcription."""
        return f"Transcription of most frames of the original: {self.transcription}."


def synthesis_config(config: AnalysisConfig) -> SynthesisConfig:
    """The phase reconstruction of whole notes without margins: low bands ring for a quarter of a
    second.
    """
    return SynthesisConfig(gap_seconds=0.26, seed=config.seed)


def make_examples(
    context: EvaluationContext, config: AnalysisConfig, progress: Progress = silent
) -> list[Example]:
    """`config.generate_audio` examples of notes of `config.partition`, spread over its range; fewer
    if it has fewer notes. Each has `config.n_samples` transfers.
    """
    examples = []
    notes_of = choose_notes(context, config.partition, config.generate_audio, config.seed)
    with progress(total=len(notes_of), desc="sound examples", unit="note") as bar:
        for index, notes in enumerate(notes_of):
            examples.append(make_example(context, notes, config, index))
            bar.update()
    return examples


def choose_notes(
    context: EvaluationContext, part: str, n_examples: int, seed: int
) -> list[tuple[int, ...]]:
    """A note of each instrument, or of each of its voices, for each example: one from each stretch
    of the instrument's range, rising for the first, in random order for the others. Voices have
    different keys where the stretch has as many.
    """
    space, labels = context.run.space, context.data.notes.labels
    examples: list[list[int]] = [[] for _ in range(n_examples)]
    for index, voice in enumerate(space.instruments):
        rng = numpy_rng(seed, "analysis", index)
        notes = context.data.notes_of(space.instrument_of(voice))
        own = np.intersect1d(context.split.notes[part], notes)
        rising = own[np.lexsort(labels[own].T[2::-1])]
        examples = examples[: len(own)]
        stretches = np.array_split(rising, len(examples) or 1)
        order = rng.permutation(len(examples)) if index else np.arange(len(examples))
        for chosen, stretch in zip(examples, order):
            keys = labels[stretches[stretch], :2]
            taken = (keys[:, None] == labels[np.intersect1d(chosen, notes).astype(int), :2]).all(-1)
            free = stretches[stretch][~taken.any(axis=1)]
            chosen.append(int(rng.choice(free if len(free) else stretches[stretch])))
    return [tuple(chosen) for chosen in examples]


@torch.no_grad()
def make_example(
    context: EvaluationContext, notes: Sequence[int], config: AnalysisConfig, index: int
) -> Example:
    """One example of a note of each instrument; `index` names its random numbers."""
    run, data = context.run, context.data
    n_frames = int(data.lengths[list(notes)].max())
    power = sum(np.square(_padded(data.frames(data.rows(note)), n_frames)) for note in notes)
    mixture = torch.from_numpy(np.sqrt(power)).to(run.device)
    sounding = [_padded(data.sounding[data.rows(note), None], n_frames) for note in notes]
    labels = [
        np.where(own | (not run.space.silence), _labels(data, note, n_frames), SILENCE)
        for own, note in zip(sounding, notes)
    ]
    classes = run.space.to_classes([NoteLabels.from_table(table) for table in labels])
    classes = run.space.in_voice_order(classes)
    sounding = np.any(sounding, axis=(0, 2))
    reconstruction = reconstruct_magnitudes(run, mixture)
    transfers = [
        _transfer(run, classes, sounding, config.seed, index, sample)
        for sample in range(config.n_samples)
    ]
    recording = note_sounds(context, notes)
    title = _describe(run.space, data, notes)
    captions = {"orig": "original", "reco": "reconstruction"}
    magnitudes = {"reco": reconstruction}
    for sample, transfer in enumerate(transfers):
        captions[f"tf_{sample}"] = "from its symbols"
        if len(transfers) > 1:
            captions[f"tf_{sample}"] += f", sample {sample}"
        magnitudes[f"tf_{sample}"] = transfer
    if recording is None:
        captions["orig"] += ", made from its spectra (source gone)"
        magnitudes["orig"] = mixture[:, None].expand_as(reconstruction)
    synthesis = synthesis_config(config)
    audio = magnitudes_to_audio_batch(
        [subframes.flatten(0, 1) for subframes in magnitudes.values()],
        run.front_end.finer(run.settings.subframes),
        synthesis,
        index,
    )
    sounds = {"orig": recording, **dict(zip(magnitudes, audio))}
    spectra = {"original": mixture, "reconstruction": reconstruction.mean(dim=1)}
    if transfers:
        spectra["from its symbols"] = transfers[0].mean(dim=1)
    return Example(
        title,
        _transcription(run, run.scaler.apply(mixture), sounding),
        {name: finished(sound, run) for name, sound in sounds.items()},
        captions,
        {title: tensor.cpu().numpy() for title, tensor in spectra.items()},
    )


def finished(audio: np.ndarray, run: Run) -> np.ndarray:
    """Audio (samples,) with its ends faded over 10 ms, turned down where it would pass -1 dBFS."""
    n_fade = min(round(FADE_SECONDS * run.front_end.sample_rate), len(audio) // 2)
    shape = np.ones(len(audio), np.float32)
    shape[:n_fade] = 0.5 - 0.5 * np.cos(np.pi * np.arange(n_fade) / n_fade)
    shape[len(audio) - n_fade :] = shape[:n_fade][::-1]
    return to_peak(audio * shape)


def note_sounds(context: EvaluationContext, notes: Sequence[int]) -> np.ndarray | None:
    """The sum of the notes' recordings (samples,); None if one is gone."""
    recordings = [context.note_audio(note) for note in notes]
    if any(audio is None for audio in recordings):
        return None
    longest = max(map(len, recordings))
    return sum(np.pad(audio, (0, longest - len(audio))) for audio in recordings)


def _labels(data: DataSet, note: int, n_frames: int) -> np.ndarray:
    """(n_frames, labels) in the order of `LABELS`; after its frames a note keeps its last age."""
    age = np.pad(data.age[data.rows(note)], (0, n_frames - data.lengths[note]), "edge")
    columns = [np.tile(data.notes.labels[note], (n_frames, 1)), age[:, None]]
    return np.concatenate(columns, axis=1)


def _padded(frames: np.ndarray, n_frames: int) -> np.ndarray:
    """A note's frames (frames, ...), continued by zeros: (n_frames, ...)."""
    return np.pad(frames, [(0, n_frames - len(frames))] + [(0, 0)] * (frames.ndim - 1))


def _transfer(run: Run, classes: np.ndarray, sounding: np.ndarray, seed: int, *key: int) -> Tensor:
    """Magnitudes (frames, subframes, bins) decoded from the symbols' latent, sampled once for all
    frames; silent frames are zero.
    """
    sample = sample_noise(run.model.dims, 1, torch_rng(seed, "latent", *key))
    noise = tuple(layer.expand(len(classes), -1).to(run.device) for layer in sample)
    symbols = torch.from_numpy(classes).to(run.device)
    magnitudes = features_to_magnitudes(run, run.model.symbol_to_signal(symbols, noise).mean)
    return magnitudes * torch.from_numpy(sounding[:, None, None]).to(run.device)


# --- text -----------------------------------------------------------------------------------------


def _describe(space: LabelSpace, data: DataSet, notes: Sequence[int]) -> str:
    """`Piano A4 mf + Violin C5 f`."""
    rows = [data.notes.labels[note] for note in notes]
    return " + ".join(
        f"{space.instrument_of(voice)} {number_to_note_name(12 * (octave + 1) + pitch)} "
        f"{DYNAMICS_NAMES[dynamics]}"
        for voice, (octave, pitch, dynamics) in zip(space.instruments, rows)
    )


def _transcription(run: Run, features: Tensor, sounding: np.ndarray) -> str:
    """What is predicted most often in sounding frames, and how often: the symbols of an instrument,
    `Piano A4 mf (93 %)`, or the keys of one with several voices, `Piano C4 E4 (60 %)`.
    """
    symbols = run.model.signal_to_symbol(features)
    classes = torch.stack([own.argmax(dim=-1) for own in symbols.probabilities()], dim=1)
    chosen = torch.from_numpy(sounding if sounding.any() else ~sounding).to(classes.device)
    by_instrument = (
        classes[chosen].cpu().numpy().reshape(-1, len(run.space.instruments), len(run.space.labels))
    )
    words = []
    for part in run.space.parts:
        if part in run.space.chordal:
            keys = symbols.key_logits[chosen, run.space.chordal.index(part)] > 0
            read = [_chord_name(np.flatnonzero(frame)) for frame in keys.cpu().numpy()]
        else:
            read = [_symbol_name(run.space, own) for own in by_instrument[:, part.voices.start]]
        name, count = Counter(read).most_common(1)[0]
        words.append(f"{part.name} {name} ({100 * count / len(read):.0f} %)")
    return " + ".join(words)


def _symbol_name(space: LabelSpace, classes: np.ndarray) -> str:
    """`A4 mf` of classes (labels,)."""
    names = {label: space.class_names(label)[value] for label, value in zip(space.labels, classes)}
    pitch = names.get("pitch", "")
    note = pitch if pitch == "silence" else pitch + names.get("octave", "")
    return " ".join(dict.fromkeys(filter(None, (note, names.get("dynamics")))))


def _chord_name(keys: np.ndarray) -> str:
    """`C4 E4` of keys from C0 on."""
    return " ".join(number_to_note_name(FIRST_NOTE_NUMBER + key) for key in keys) or "silence"
