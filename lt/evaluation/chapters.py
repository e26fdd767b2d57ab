"""Chapters of the gallery: examples of what trained models transcribe and play.

Names: `run` is a model, `part` an instrument of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lt.audio.features import audio_to_magnitudes
from lt.audio.io import read_audio
from lt.audio.soundfont import SoundFont, embedded_font
from lt.config import AnalysisConfig, GalleryConfig, SynthesisConfig
from lt.data.folders import Folder, midi_pairs
from lt.evaluation.context import EvaluationContext
from lt.evaluation.examples import Example, make_examples
from lt.evaluation.figures import plot_example
from lt.evaluation.latent_map import LatentMap
from lt.evaluation.page import Media, SoundExample, picture, sound
from lt.evaluation.piece import Piece, analysed_piece, notes_until, piece_example, play_tracks
from lt.evaluation.results import Table
from lt.inference.choice import misfit
from lt.inference.decoding import decode_magnitudes
from lt.inference.figures import plot_sound
from lt.inference.latent_paths import TRAJECTORIES, occupied_region
from lt.inference.morphing import SymbolPoint, morph
from lt.inference.posteriors import audio_spectra
from lt.inference.synthesis import playing_gain, subframes_to_audio
from lt.labels import SEMITONES, NoteLabels, number_to_note_name
from lt.midi import INSTRUMENTS, Note, Track, read_midi
from lt.models.runs import Run
from lt.progress import Progress

BEAT = 0.45  # seconds
# Note number and beats (None: a rest), moved by octaves into the range of an instrument
MELODY = (
    *((67, 1), (72, 1), (74, 0.5), (76, 0.5), (77, 1), (76, 1), (None, 1), (79, 1.5), (77, 0.5)),
    *((76, 0.5), (74, 0.5), (72, 1), (69, 1), (67, 2), (None, 0.5), (72, 0.5), (72, 0.5), (72, 2)),
)
CHORDS = ((60, 64, 67), (60, 65, 69), (59, 62, 67), (60, 64, 67))
VELOCITIES = (39, 64, 90, 115, 90, 64)  # in turn
MORPHED = ((0.2, 1), (0.5, 3), (0.35, 2), (0.8, 4))  # place in the range, dynamics class
ORDERS = {0: "held", 1: "linear", 3: "cubic"}
PATH_SECONDS = 5.0  # of a morphing and a trajectory

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chapter:
    """A chapter of the page; `name` is its anchor."""

    name: str
    title: str
    text: str
    examples: Sequence[SoundExample] = ()
    tables: Sequence[Table] = ()
    maps: Sequence[LatentMap] = ()


# --- notes and mixtures ---------------------------------------------------------------------------


def held_out_examples(
    context: EvaluationContext, config: GalleryConfig, progress: Progress
) -> list[SoundExample]:
    """Examples of held-out notes, one of each instrument or voice together."""
    analysis = AnalysisConfig(generate_audio=config.n_examples, n_samples=1, seed=config.seed)
    examples = make_examples(context, analysis, progress)
    return [_example(context.run, example) for example in examples]


def _example(run: Run, example: Example) -> SoundExample:
    rate = run.front_end.sample_rate
    return SoundExample(
        example.title,
        example.summary,
        [sound(audio, rate, example.captions[name]) for name, audio in example.sounds.items()],
        picture(
            plot_example(example.spectra, run.front_end, example.title, None),
            f"Spectrograms of {example.title}.",
        ),
    )


def mixture_chapters(
    contexts: Sequence[EvaluationContext], config: GalleryConfig, progress: Progress
) -> Iterator[Chapter]:
    """Mixtures of instruments, and chords; a sentence where no model is given for them."""
    mixtures = [own for own in contexts if len(own.run.space.parts) > 1]
    chordal = [own for own in contexts if own.run.space.chordal]
    yield Chapter(
        "mixtures",
        "Mixtures",
        "A note of each instrument at once, through one model of them all."
        if mixtures
        else "Left out: no model of several instruments was given (--models).",
        [example for own in mixtures for example in held_out_examples(own, config, progress)],
    )
    examples = []
    for own in chordal:
        examples += [] if own in mixtures else held_out_examples(own, config, progress)
        chords = _rendered_chords(own.run)
        examples += [piece_example(chords, SynthesisConfig(seed=config.seed))] if chords else []
    yield Chapter(
        "chords",
        "Chords",
        "Several notes at once of one instrument: a note of each voice, and a progression of "
        "chords, its transcription, and that played again."
        if chordal
        else "Left out: no model of several voices was given (--models).",
        examples,
    )


# --- symbols --------------------------------------------------------------------------------------


def symbol_chapter(runs: Sequence[Run], config: GalleryConfig) -> Chapter:
    """A melody played from its symbols by each run."""
    examples = []
    for run in runs:
        track = Track(run.space.instruments[0], 0, _melody(run))
        audio = play_tracks(run, [track], SynthesisConfig(seed=config.seed))
        magnitudes = audio_to_magnitudes(torch.from_numpy(audio), run.front_end).numpy()
        title = f"{run.space.instruments[0]}, played from symbols"
        axes = plot_sound(None, {title: magnitudes}, run.front_end, [track])
        caption = "Its spectrogram, and the notes."
        played = sound(audio, run.front_end.sample_rate, "from symbols alone")
        text = " ".join(number_to_note_name(note.note_number) for note in track.notes)
        examples.append(SoundExample(title, text, [played], picture(axes, caption)))
    return Chapter(
        "symbols",
        "Symbols to sound",
        "A melody as symbols, encoded by the symbol VAE and decoded by the signal VAE: no sound "
        "goes in.",
        examples,
    )


def _melody(run: Run) -> tuple[Note, ...]:
    """MELODY within the notes that a run learnt."""
    shift = _octaves_into_range(run, [number for number, _ in MELODY if number])
    notes, beat = [], 0.5
    for index, (number, beats) in enumerate(MELODY):
        if number is not None:
            onset, offset = beat * BEAT, (beat + beats) * BEAT - 0.06
            velocity = VELOCITIES[index % len(VELOCITIES)]
            notes.append(Note(onset, offset, number + shift, velocity))
        beat += beats
    return tuple(notes)


def _octaves_into_range(run: Run, numbers: Sequence[int]) -> int:
    """Semitones, whole octaves, that bring the middle of notes nearest to that of the learnt."""
    learnt = list(run.settings.learnt[run.config.instruments[0]])
    distance = (min(learnt) + max(learnt) - min(numbers) - max(numbers)) / 2
    return SEMITONES * round(distance / SEMITONES)


# --- recordings -----------------------------------------------------------------------------------


def rendered_tune(run: Run) -> Piece | None:
    """The melody rendered from the embedded font; None without the synthesiser, or where the font
    has no such instrument.
    """
    name = run.space.parts[0].name
    return _render(run, f"{name}, a rendered tune", name, _melody(run))


def _rendered_chords(run: Run) -> Piece | None:
    """A progression of chords rendered from the embedded font; None as `rendered_tune`."""
    part = run.space.chordal[0]
    shift = _octaves_into_range(run, [number for chord in CHORDS for number in chord])
    notes = [
        Note(0.5 + 2 * index * BEAT, 0.5 + (2 * index + 1.8) * BEAT, number + shift, 90)
        for index, chord in enumerate(CHORDS)
        for number in chord[: part.n_voices]
    ]
    return _render(run, f"{part.name}, rendered chords", part.name, notes)


def _render(run: Run, title: str, instrument: str, notes: Sequence[Note]) -> Piece | None:
    if instrument not in INSTRUMENTS:
        return None
    font = SoundFont(embedded_font(), run.front_end.sample_rate)
    try:
        audio = font.render_tune(notes, INSTRUMENTS[instrument].program)
    except ImportError:
        return None
    return analysed_piece(title, run, audio, notes)


def read_recordings(runs: Sequence[Run], folder: Path, config: GalleryConfig) -> Iterator[Piece]:
    """The recordings in a folder, with their notes where there is MIDI, each by the run whose
    reconstruction is nearest. Those that cannot be read are logged and left out.

    Raises:
        FileNotFoundError: there is none.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder that can be read; check the path")
    files = Folder.of(folder, folder.name)
    pairs = midi_pairs(files, files)
    n_read, rate = 0, runs[0].front_end.sample_rate
    for file in files.sounds():
        try:
            audio = read_audio(folder / file, rate)[: round(config.recording_seconds * rate)]
            reference = None
            if file in pairs:
                tracks = read_midi(folder / pairs[file])
                notes = sorted(note for track in tracks for note in track.notes)
                reference = notes_until(notes, len(audio) / rate)
        except (OSError, ValueError) as error:
            logger.warning("%s, left out", error)
            continue
        run = min(runs, key=lambda run: misfit(run, audio_spectra(run, audio)))
        yield analysed_piece(Path(file).stem, run, audio, reference)
        n_read += 1
    if not n_read:
        raise FileNotFoundError(
            f"{folder} holds no sound files that can be read (wav, flac, mp3, ogg, aiff)"
        )


def transcription_chapter(recordings: Sequence[Piece], config: GalleryConfig, text: str) -> Chapter:
    if not recordings:
        text = (
            "Left out: rendering tunes needs tinysoundfont (pip install --no-deps tinysoundfont)."
        )
    return Chapter(
        "transcriptions",
        "Transcriptions",
        text,
        [piece_example(own, SynthesisConfig(seed=config.seed)) for own in recordings],
    )


# --- paths ----------------------------------------------------------------------------------------


def path_chapters(runs: Sequence[Run], config: GalleryConfig) -> Iterator[Chapter]:
    """Morphings and trajectories of each run."""
    synthesis = SynthesisConfig(seed=config.seed)
    yield Chapter(
        "morphings",
        "Morphings",
        "From note to note through the latent space, along splines of order 0 (each is held), 1 "
        "(linear) and 3 (cubic), and as a glide, in which the pitch moves through the notes "
        "between.",
        [_morphings(run, synthesis) for run in runs],
    )
    yield Chapter(
        "trajectories",
        "Trajectories",
        "Along a line, a circle and a helix through the region of the latent space that sounds "
        "occupy.",
        [_trajectories(run, config, synthesis) for run in runs],
    )


def _morphings(run: Run, config: SynthesisConfig) -> SoundExample:
    numbers = sorted(run.settings.learnt[run.config.instruments[0]])
    chosen = [(numbers[int(place * (len(numbers) - 1))], level) for place, level in MORPHED]
    labels = NoteLabels.from_notes(*np.array(chosen).T)
    points = [SymbolPoint(classes) for classes in run.space.to_classes([labels])]
    n_frames = round(PATH_SECONDS * run.front_end.frame_rate)
    paths = {
        f"order {order}, {name}": morph(run, points, n_frames, order, False, config).magnitudes
        for order, name in ORDERS.items()
    }
    paths["glide"] = morph(run, points, n_frames, 1, True, config).magnitudes
    names = ", ".join(number_to_note_name(number) for number, _ in chosen)
    return _path_example(run, run.space.instruments[0], f"Through {names}.", paths, config)


def _trajectories(run: Run, config: GalleryConfig, synthesis: SynthesisConfig) -> SoundExample:
    region, n_frames = occupied_region(run), round(PATH_SECONDS * run.front_end.frame_rate)
    paths = {}
    for kind, trajectory in TRAJECTORIES.items():
        path = trajectory(n_frames, len(region.axes), config.seed, 0)
        z = torch.from_numpy(region.to_latent(path)).float()
        paths[kind] = decode_magnitudes(run, z)
    text = f"{len(region.axes)} principal axes hold most of the variance."
    return _path_example(run, run.space.instruments[0], text, paths, synthesis)


def _path_example(
    run: Run, title: str, text: str, paths: dict[str, torch.Tensor], config: SynthesisConfig
) -> SoundExample:
    """Paths as magnitudes (frames, bins) by name."""
    gain, rate = np.float32(playing_gain(run)), run.front_end.sample_rate
    sounds: list[Media] = []
    for name, magnitudes in paths.items():
        audio = subframes_to_audio(run, magnitudes[:, None], config) * gain
        sounds.append(sound(audio, rate, name))
    spectra = {name: magnitudes.cpu().numpy() for name, magnitudes in paths.items()}
    axes = plot_example(spectra, run.front_end, title, None)
    return SoundExample(title, text, sounds, picture(axes, "Their spectrograms."))


# --- maps -----------------------------------------------------------------------------------------


def map_chapter(maps: Sequence[LatentMap]) -> Chapter:
    return Chapter(
        "maps",
        "Maps of the latent space",
        "Each point is a note where the signal VAE encodes it, and sounds as it is decoded. Click "
        "or touch one, or draw a path.",
        maps=maps,
    )
