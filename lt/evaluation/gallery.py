"""A gallery of what trained models hear and play, as one HTML page, in the manner of the page of
sounds that accompanies an article.

Chapters: held-out notes and their reconstructions, symbols to sound, transcriptions beside the
truth, morphings, trajectories, mixtures, chords, and a map of each model's latent space. Without
recordings, notes and tunes are those of the data set and of the embedded sound font; with
recordings, they are of these, and no data set is needed.

Names: `runs` are models; of `singles`, each knows one instrument that plays one note at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from lt.audio.features import audio_to_magnitudes
from lt.audio.io import read_audio
from lt.audio.soundfont import SoundFont, embedded_font
from lt.config import AnalysisConfig, GalleryConfig, MapConfig, SynthesisConfig
from lt.data.pairs import Folder, midi_pairs
from lt.evaluation.context import EvaluationContext, open_context
from lt.evaluation.examples import Example, make_examples
from lt.evaluation.figures import Rolls, plot_comparison, plot_example
from lt.evaluation.latent_map import LatentMap, data_notes, latent_map, recorded_notes
from lt.evaluation.metrics import note_scores, unmatched_notes
from lt.evaluation.page import Media, SoundExample, picture, sound, write_page
from lt.evaluation.results import Table
from lt.files import check_folder
from lt.inference.choice import misfit
from lt.inference.decoding import decode_magnitudes, reconstruct_magnitudes
from lt.inference.figures import plot_sound
from lt.inference.latent_paths import TRAJECTORIES, occupied_region
from lt.inference.morphing import SymbolPoint, morph
from lt.inference.note_decoding import posteriors_to_tracks
from lt.inference.posteriors import RecordingAnalysis, analyse_audio, audio_spectra
from lt.inference.synthesis import (
    events_to_audio,
    playing_gain,
    subframes_to_audio,
    tracks_to_events,
)
from lt.labels import SEMITONES, NoteLabels, number_to_note_name
from lt.messages import counted
from lt.midi import INSTRUMENTS, Note, Track, read_midi
from lt.models.pretrained import read_card
from lt.models.runs import Run
from lt.progress import Progress, silent

TEMPLATE = "gallery.html.j2"
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


@dataclass(frozen=True)
class Recording:
    """A recording and what a run makes of it.

    Attributes:
        audio: (samples,) at the run's rate. reference: its notes, None where they are not known.
        tracks: the transcription.
    """

    name: str
    run: Run
    audio: np.ndarray
    reference: Sequence[Note] | None
    analysis: RecordingAnalysis
    tracks: Sequence[Track]


def write_gallery(
    path: Path | str,
    runs: Sequence[Run],
    dbroot: Path | None = None,
    recordings: Path | None = None,
    config: GalleryConfig = GalleryConfig(),
    progress: Progress = silent,
) -> None:
    """Write the page.

    Args:
        runs: the models that are shown.
        dbroot: their data set, if it was moved since training.
        recordings: a folder of sound files, with aligned MIDI where there is some (`STEM.mid` or
            `STEM-lined.mid` beside `STEM.wav`), instead of the data set.
    Raises:
        FileNotFoundError, ValueError: a data set is gone or is another one; there is no recording.
        OSError: the page cannot be written.
    """
    check_folder(Path(path).parent)  # before minutes of work
    chapters = [_models(runs)]
    with progress(total=None, desc="gallery", unit="chapter") as bar:
        for chapter in (
            _from_recordings(runs, recordings, config, progress)
            if recordings
            else _from_data_sets(_open_contexts(runs, dbroot), config, progress)
        ):
            chapters.append(chapter)
            bar.update()
    names = ", ".join(run.folder.path.name for run in runs)
    content = {"title": "Latent transcription", "headline": f"Models: {names}"}
    has_maps = any(chapter.maps for chapter in chapters)
    write_page(path, TEMPLATE, {**content, "chapters": chapters}, script=has_maps)


def _open_contexts(runs: Sequence[Run], dbroot: Path | None) -> list[EvaluationContext]:
    """The runs with their data sets, each of which is read once."""
    opened: dict[Path, EvaluationContext] = {}
    contexts = []
    for run in runs:
        path = Path(dbroot or run.settings.data["path"])
        known = opened.get(path)
        contexts.append(open_context(run, known.data if known else path))
        opened[path] = contexts[-1]
    return contexts


def _models(runs: Sequence[Run]) -> Chapter:
    """The models and what is known of them."""
    cards = [read_card(run.folder.path).get("figures", {}) for run in runs]
    measures = list(dict.fromkeys(name for card in cards for name in card))
    rows = [
        (
            run.folder.path.name,
            ", ".join(run.config.instruments),
            *(str(card.get(name, "-")) for name in measures),
        )
        for run, card in zip(runs, cards)
    ]
    return Chapter(
        "models",
        "Models",
        "Each model has two variational auto-encoders whose latent spaces are made to match: one "
        "of constant-Q spectra, one of symbols (octave, pitch, dynamics, age). Accuracies are of "
        "frames of held-out notes.",
        tables=[Table("Models", ("", "instruments", *measures), rows)],
    )


def _from_data_sets(
    contexts: Sequence[EvaluationContext], config: GalleryConfig, progress: Progress
) -> Iterator[Chapter]:
    """The chapters of notes of the data sets and tunes of the embedded font."""
    singles = [own for own in contexts if _is_single(own.run)]
    if singles:
        yield Chapter(
            "instruments",
            "Notes and reconstructions",
            "Notes that the models were not trained on: as recorded, through the signal VAE, and "
            "from their symbols alone.",
            [example for own in singles for example in _held_out(own, config, progress)],
        )
        yield from _played([own.run for own in singles], config)
        tunes = [_rendered(own.run) for own in singles]
        yield _transcriptions(
            [own for own in tunes if own],
            config,
            "A tune rendered from the sound font that the models' notes are from, its "
            "reconstruction, and what is read from it, played again.",
        )
        yield from _paths([own.run for own in singles], config)
    yield from _of_several(contexts, config, progress)
    if config.map_notes:
        yield _maps(
            [
                latent_map(
                    own.run,
                    data_notes(
                        own, np.concatenate(list(own.split.notes.values())), config.map_notes
                    ),
                    f"Notes of {', '.join(own.run.config.instruments)}",
                    config.seed,
                    progress=progress,
                )
                for own in contexts
            ]
        )


def _from_recordings(
    runs: Sequence[Run], folder: Path, config: GalleryConfig, progress: Progress
) -> Iterator[Chapter]:
    """The chapters of a folder of recordings, each with the run that fits it best."""
    recordings = list(_read_recordings(runs, folder, config))
    yield _transcriptions(
        recordings,
        config,
        "Recordings, each by the model whose reconstruction is nearest: its reconstruction, and "
        "what is read from it, played again.",
    )
    used = list({id(own.run): own.run for own in recordings}.values())
    singles = [run for run in used if _is_single(run)]
    if singles:
        yield from _played(singles, config)
        yield from _paths(singles, config)
    if config.map_notes:
        maps = []
        for run in used:
            notes = [
                note
                for own in recordings
                if own.run is run
                for note in recorded_notes(
                    run, own.name, own.analysis.spectra, own.tracks, MapConfig()
                )
            ][: config.map_notes]
            if notes:
                title = f"Notes of the recordings, by {run.folder.path.name}"
                maps.append(latent_map(run, notes, title, config.seed, progress=progress))
        yield _maps(maps)


def _is_single(run: Run) -> bool:
    return len(run.space.instruments) == 1


# --- notes and mixtures ---------------------------------------------------------------------------


def _held_out(
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
        example.reading,
        [sound(audio, rate, example.captions[name]) for name, audio in example.sounds.items()],
        picture(
            plot_example(example.spectra, run.front_end, example.title, None),
            f"Spectra of {example.title}.",
        ),
    )


def _of_several(
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
        [example for own in mixtures for example in _held_out(own, config, progress)],
    )
    examples = []
    for own in chordal:
        examples += [] if own in mixtures else _held_out(own, config, progress)
        chords = _rendered_chords(own.run)
        examples += [_recording_example(chords, config)] if chords else []
    yield Chapter(
        "chords",
        "Chords",
        "Several notes at once of one instrument: a note of each voice, and a progression of "
        "chords that is read and played again."
        if chordal
        else "Left out: no model of several voices was given (--models).",
        examples,
    )


# --- symbols --------------------------------------------------------------------------------------


def _played(runs: Sequence[Run], config: GalleryConfig) -> Iterator[Chapter]:
    """A melody played from its symbols by each run."""
    examples = []
    for run in runs:
        track = Track(run.space.instruments[0], 0, _melody(run))
        audio = _play(run, [track], config)
        magnitudes = audio_to_magnitudes(torch.from_numpy(audio), run.front_end).numpy()
        title = f"{run.space.instruments[0]}, played from symbols"
        axes = plot_sound(None, {title: magnitudes}, run.front_end, [track])
        caption = "Its spectra, and the notes that were given."
        played = sound(audio, run.front_end.sample_rate, "from symbols alone")
        text = " ".join(number_to_note_name(note.note_number) for note in track.notes)
        examples.append(SoundExample(title, text, [played], picture(axes, caption)))
    yield Chapter(
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


def _play(run: Run, tracks: Sequence[Track], config: GalleryConfig) -> np.ndarray:
    """Tracks as a run plays them; half a second of silence where there are no notes."""
    if not any(track.notes for track in tracks):
        return np.zeros(run.front_end.sample_rate // 2, np.float32)
    events = tracks_to_events(tracks, run.space)
    return events_to_audio(run, events, SynthesisConfig(seed=config.seed))


# --- recordings -----------------------------------------------------------------------------------


def _rendered(run: Run) -> Recording | None:
    """The melody rendered from the embedded font; None without the synthesiser, or where the font
    has no such instrument.
    """
    name = run.space.parts[0].name
    return _render(run, f"{name}, a rendered tune", name, _melody(run))


def _rendered_chords(run: Run) -> Recording | None:
    """A progression of chords rendered from the embedded font; None as `_rendered`."""
    part = run.space.chordal[0]
    shift = _octaves_into_range(run, [number for chord in CHORDS for number in chord])
    notes = [
        Note(0.5 + 2 * index * BEAT, 0.5 + (2 * index + 1.8) * BEAT, number + shift, 90)
        for index, chord in enumerate(CHORDS)
        for number in chord[: part.n_voices]
    ]
    return _render(run, f"{part.name}, rendered chords", part.name, notes)


def _render(run: Run, title: str, instrument: str, notes: Sequence[Note]) -> Recording | None:
    if instrument not in INSTRUMENTS:
        return None
    font = SoundFont(embedded_font(), run.front_end.sample_rate)
    try:
        audio = font.render_tune(notes, INSTRUMENTS[instrument].program)
    except ImportError:
        return None
    return _analysed(title, run, audio, notes)


def _read_recordings(
    runs: Sequence[Run], folder: Path, config: GalleryConfig
) -> Iterator[Recording]:
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
                reference = _notes_until(folder / pairs[file], len(audio) / rate)
        except (OSError, ValueError) as error:
            logger.warning("%s, left out", error)
            continue
        run = min(runs, key=lambda run: misfit(run, audio_spectra(run, audio)))
        yield _analysed(Path(file).stem, run, audio, reference)
        n_read += 1
    if not n_read:
        raise FileNotFoundError(
            f"{folder} holds no sound files that can be read (wav, flac, mp3, ogg, aiff)"
        )


def _notes_until(path: Path, seconds: float) -> list[Note]:
    """The notes of a MIDI file that begin before a time, cut there."""
    notes = [note for track in read_midi(path) for note in track.notes]
    return sorted(
        replace(note, offset=min(note.offset, seconds)) for note in notes if note.onset < seconds
    )


def _analysed(
    name: str, run: Run, audio: np.ndarray, reference: Sequence[Note] | None
) -> Recording:
    analysis = analyse_audio(run, [audio])
    tracks = posteriors_to_tracks(analysis.posteriors)
    return Recording(name, run, audio, reference, analysis, tracks)


def _transcriptions(recordings: Sequence[Recording], config: GalleryConfig, text: str) -> Chapter:
    if not recordings:
        text = (
            "Left out: rendering tunes needs tinysoundfont (pip install --no-deps tinysoundfont)."
        )
    return Chapter(
        "transcriptions",
        "Transcriptions",
        text,
        [_recording_example(own, config) for own in recordings],
    )


def _recording_example(recording: Recording, config: GalleryConfig) -> SoundExample:
    """A recording, its reconstruction and its transcription played again, above the notes."""
    run, spectra = recording.run, recording.analysis.spectra
    rate, front_end = run.front_end.sample_rate, run.front_end
    notes = sorted(note for track in recording.tracks for note in track.notes)
    reconstruction = reconstruct_magnitudes(run, spectra.magnitudes, spectra.tuning)
    panels = {
        "recording": spectra.magnitudes.numpy(),
        "reconstruction": reconstruction.mean(dim=1).numpy(),
    }
    text = f"{counted(len(notes), 'note')} read by the model {run.folder.path.name}"
    if recording.reference:
        scores = note_scores(recording.reference, notes)
        text += f" of {len(recording.reference)}: note F1 {scores.f1:.2f} (onsets within 50 ms)"
        rolls = Rolls(recording.reference, notes, *unmatched_notes(recording.reference, notes))
        seconds = len(spectra.magnitudes) * front_end.frame_seconds
        axes = plot_comparison(panels, rolls, front_end, seconds, recording.name, None)
    else:
        axes = plot_sound(None, panels, front_end, recording.tracks)
    audio = subframes_to_audio(run, reconstruction, SynthesisConfig(seed=config.seed))
    sounds = [
        sound(recording.audio, rate, "recording"),
        sound(audio, rate, "reconstruction"),
        sound(_play(run, recording.tracks, config), rate, "played from its transcription"),
    ]
    caption = "Spectra above the notes" + (": played and read." if recording.reference else ".")
    return SoundExample(recording.name, f"{text}.", sounds, picture(axes, caption))


# --- paths ----------------------------------------------------------------------------------------


def _paths(runs: Sequence[Run], config: GalleryConfig) -> Iterator[Chapter]:
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
    return SoundExample(title, text, sounds, picture(axes, "Their spectra."))


# --- maps -----------------------------------------------------------------------------------------


def _maps(maps: Sequence[LatentMap]) -> Chapter:
    return Chapter(
        "maps",
        "Maps of the latent space",
        "Each point is a note where the signal VAE encodes it, and sounds as it is decoded. Click "
        "or touch one, or draw a path.",
        maps=maps,
    )
