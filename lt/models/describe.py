"""A run as text for a terminal: settings, data, networks, losses and scores."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict

from lt.models.checkpoints import MODALITIES
from lt.models.learnt import describe_learnt
from lt.models.losses import loss_weights
from lt.models.pretrained import read_card
from lt.models.runs import Run

WIDTH = 100  # characters


def describe(run: Run) -> str:
    """Settings, data, learnt notes, networks, losses at the checkpoint, scores of `lt_analyze.py`.

    Raises:
        OSError, ValueError: a file of the run cannot be read.
    """
    title = f"{run.folder.path} (epoch {run.epoch}, run {run.settings.run_id})"
    data, split = run.settings.data, run.settings.split
    frames = ", ".join(f"{part} {count} frames" for part, count in split["frames"].items())
    return "\n".join(
        [
            title,
            "=" * min(len(title), WIDTH),
            "Settings",
            *_settings(run),
            "",
            "Data",
            f"  {data['path']} (fingerprint {data['fingerprint'][:16]})",
            f"  split by {split['kind']}: {frames}",
            "",
            *_learnt(run),
            "",
            "Networks",
            *_networks(run),
            "",
            *_losses(run),
            "",
            *_scores(run),
            *_card(run),
        ]
    )


def _settings(run: Run) -> list[str]:
    """Every flag, as many to a line as fit."""
    lines = [""]
    for name, value in asdict(run.config).items():
        entry = f"{name} {_shown(value)}"
        if len(lines[-1]) + len(entry) + 2 > WIDTH:
            lines.append("")
        lines[-1] += ("; " if lines[-1] else "") + entry
    return [f"  {line}" for line in lines]


def _shown(value: object) -> str:
    """The value of a flag as typed; no `--frames` are all of them."""
    return (" ".join(map(str, value)) or "all") if isinstance(value, tuple) else str(value)


def _learnt(run: Run) -> list[str]:
    """The notes of the training part, by instrument and dynamic."""
    transposed = run.config.transpose
    also = f" (and transposed by up to {transposed} semitones)" if transposed else ""
    lines = describe_learnt(run.settings.learnt)
    wrapped = (
        textwrap.wrap(
            line,
            WIDTH,
            initial_indent="  ",
            subsequent_indent=" " * 8,
            break_on_hyphens=False,
        )
        for line in lines
    )
    return [f"Learnt notes{also}", *(part for parts in wrapped for part in parts)]


def _networks(run: Run) -> list[str]:
    """Layers and numbers of parameters of both VAEs."""
    latent = " -> ".join(map(str, run.model.dims))
    sizes = ", ".join(f"{label} {size}" for label, size in zip(run.space.labels, run.space.sizes))
    lines = []
    for modality, width in zip(MODALITIES, (run.scaler.n_features, run.space.width)):
        vae = getattr(run.model, modality)
        count = sum(parameter.numel() for parameter in vae.parameters())
        lines.append(f"  {modality}: {width} -> latent {latent}, {count:,} parameters")
    return [*lines, f"  classes: {sizes} for {', '.join(run.space.instruments)}"]


def _losses(run: Run) -> list[str]:
    """The row of the history for the epoch of the checkpoint, without terms of weight 0."""
    rows = [row for row in run.folder.history(run.epoch).rows if row["epoch"] == run.epoch]
    if not rows:
        return ["Losses", "  no history for this epoch"]
    lines = ["Losses at this epoch", f"  {'term':<12} {'train':>12} {'valid':>12}"]
    unused = {term for term, weight in loss_weights(run.config)._asdict().items() if not weight}
    for name, valid in rows[0].items():
        term = name.removeprefix("valid_")
        if name.startswith("valid_") and f"train_{term}" in rows[0] and term not in unused:
            lines.append(f"  {term:<12} {rows[0][f'train_{term}']:>12.3f} {valid:>12.3f}")
    return lines


def _scores(run: Run) -> list[str]:
    """Accuracies from analysis/results.json."""
    path = run.outputs / "analysis" / "results.json"
    if not path.is_file():
        return ["Scores", "  not analysed yet (lt_analyze.py -m MODEL)"]
    results = json.loads(path.read_text(encoding="utf-8"))
    transfer = results.get("overall", {}).get("symbol", {}).get("transfer", {})
    title = f"Scores on the {results.get('partition')} part, split by {results.get('split')}"
    return [f"{title} (signal to symbol)"] + [
        f"  {label:<9} accuracy {scores['accuracy']:.4f}"
        for label, scores in transfer.items()
        if isinstance(scores, dict) and "accuracy" in scores
    ]


def _card(run: Run) -> list[str]:
    """What the card of a model that comes with the package says of it."""
    card = read_card(run.folder.path)
    if not card:
        return []
    figures = [f"  {name} {value}" for name, value in card["figures"].items()]
    return ["", "Comes with the package", *figures, *textwrap.wrap(card["licence"], WIDTH)]
