#!/usr/bin/env python3
"""From nothing to a model that transcribes and plays, in a few minutes, with the scripts.

`make demo` runs this. It builds the embedded data set, trains a flute, has it transcribe a tune
rendered from the same sound font and play a sequence, and prints a table. The training and the tune
share one sound font, so the figures check the wiring only; transcription of other recordings is
measured in docs/results.md.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from lt.audio.io import to_peak, write_audio
from lt.audio.soundfont import SoundFont, embedded_font
from lt.midi import INSTRUMENTS, Note, Track, read_midi, write_midi

HERE = Path(__file__).resolve().parent
SAVES = Path("saves")
RUN = SAVES / "demo__Flute"
TUNE = SAVES / "demo_tune"
BEAT = 0.5  # seconds
# Note number and beats (None: a rest); dynamics swell and fade.
MELODY = (
    (67, 1),
    (72, 1),
    (74, 0.5),
    (76, 0.5),
    (77, 1),
    (76, 1),
    (None, 1),
    (79, 1.5),
    (77, 0.5),
    (76, 0.5),
    (74, 0.5),
    (72, 1),
    (None, 0.5),
    (72, 0.5),
    (72, 0.5),
    (74, 1),
    (69, 1),
    (67, 2),
    (None, 1),
    (84, 1),
    (83, 0.5),
    (81, 0.5),
    (79, 1),
    (88, 1),
    (86, 0.5),
    (84, 1.5),
)
VELOCITIES = (39, 64, 90, 115, 90, 64)


def tune() -> list[Note]:
    """The melody as notes, each ending a little before the next begins."""
    notes, beat = [], 0.5
    for index, (number, beats) in enumerate(MELODY):
        if number is not None:
            onset, offset = beat * BEAT, (beat + beats) * BEAT - 0.06
            notes.append(Note(onset, offset, number, VELOCITIES[index % len(VELOCITIES)]))
        beat += beats
    return notes


def write_tune() -> None:
    """Render the tune from the embedded font to TUNE.wav, with its notes in TUNE.mid."""
    notes = tune()
    write_midi(
        TUNE.with_suffix(".mid"), [Track("Flute", INSTRUMENTS["Flute"].program, tuple(notes))]
    )
    audio = SoundFont(embedded_font()).render_tune(notes, INSTRUMENTS["Flute"].program)
    write_audio(TUNE.with_suffix(".wav"), to_peak(audio))


def run(command: str) -> None:
    """Run one of the scripts as a user would, printing the command; its failure ends the demo."""
    print(f"\n$ python3 {command}", file=sys.stderr, flush=True)
    started = time.perf_counter()
    code = subprocess.run(
        [sys.executable, *shlex.split(command)], cwd=HERE, stdout=subprocess.DEVNULL
    ).returncode
    if code:
        sys.exit(f"demo: {command.split()[0]} ended with exit code {code}")
    print(f"  {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


def note_f1(reference: Path, estimated: Path) -> float:
    """Note F1 of two MIDI files (mir_eval: onset 50 ms, pitch 50 cents)."""
    import numpy as np
    from librosa import midi_to_hz
    from mir_eval.transcription import precision_recall_f1_overlap

    def arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
        notes = [note for track in read_midi(path) for note in track.notes]
        times = np.array([(note.onset, note.offset) for note in notes]).reshape(-1, 2)
        return times, midi_to_hz(np.array([note.note_number for note in notes]))

    return precision_recall_f1_overlap(*arrays(reference), *arrays(estimated), offset_ratio=None)[2]


def main() -> None:
    run(f"lt_train.py --instruments Flute --preset robust --name demo --savedir {SAVES}")
    run(
        f"lt_analyze.py -m {RUN} --make_classifier 0 --evaluate_classifier 0 --generate_audio 1 "
        "--n_samples 1"
    )
    write_tune()
    run(f"lt_play.py audio -m {RUN} -i {TUNE}.wav")
    run(f"lt_play.py sequence -m {RUN} -i C4:p E4:mf G4:f C5:ff rest C5:mf")
    transfer = json.loads((RUN / "analysis" / "results.json").read_text())["overall"]["symbol"][
        "transfer"
    ]
    f1 = note_f1(TUNE.with_suffix(".mid"), RUN / "audio_reconstructions" / f"{TUNE.name}.mid")
    print("\nlatent transcription, demo: embedded flute, split by note, seed 0")
    for label in ("octave", "pitch", "note"):
        print(
            f"  {label + (' (both)' if label == 'note' else ''):<24} accuracy on held-out notes  "
            f"{transfer[label]['accuracy']:.4f}"
        )
    print(f"  {'notes of the tune':<24} F1 (50 ms)                  {f1:.4f}")
    for what, where in (
        ("model", RUN),
        ("report", RUN / "analysis" / "report.html"),
        ("transcription, sound", RUN / "audio_reconstructions"),
        ("sequence", RUN / "sequences"),
        ("tune", f"{TUNE}.wav"),
    ):
        print(f"  {what:<24} {where}")


if __name__ == "__main__":
    main()
