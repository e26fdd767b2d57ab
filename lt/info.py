"""A run at a glance, as text that fits a terminal."""
from __future__ import annotations

import json
from dataclasses import asdict

from lt.runs import Run

WIDTH = 100  # characters


def describe(run: Run) -> str:
    """Settings, data, networks, the last losses, and the scores of `lt_analyze.py` where they exist."""
    parts = [_heading(f"{run.folder.path} (epoch {run.epoch}, run {run.settings.run_id})"),
             *_settings(run), "", *_networks(run), "", *_losses(run), *_scores(run)]
    return "\n".join(parts)


def _heading(text: str) -> str:
    return f"{text}\n{'=' * min(len(text), WIDTH)}"


def _settings(run: Run) -> list[str]:
    """Every flag, a few to a line."""
    words = [f"{name} {_shown(value)}" for name, value in asdict(run.config).items()]
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) + 2 > WIDTH:
            lines.append("")
        lines[-1] += ("; " if lines[-1] else "") + word
    split = run.settings.split
    data = run.settings.data
    return ["Settings", *(f"  {line}" for line in lines), "",
            "Data", f"  {data['path']} (fingerprint {data['fingerprint'][:16]})",
            f"  split by {split['kind']}: "
            + ", ".join(f"{part} {count} frames" for part, count in split["frames"].items())]


def _shown(value: object) -> str:
    """A flag's value as one would type it; no frames named are all of them."""
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "all"
    return str(value)


def _networks(run: Run) -> list[str]:
    """Layers and numbers of parameters of both VAEs."""
    lines = ["Networks"]
    for half in ("signal", "symbol"):
        vae = getattr(run.model, half)
        count = sum(parameter.numel() for parameter in vae.parameters())
        width = run.scaler.n_features if half == "signal" else run.space.width
        lines.append(f"  {half}: {width} -> latent {' -> '.join(map(str, vae.dims))}, {count:,} parameters")
    sizes = ", ".join(f"{label} {size}" for label, size in zip(run.space.labels, run.space.sizes))
    lines.append(f"  classes: {sizes} for {', '.join(run.space.instruments)}")
    return lines


def _losses(run: Run) -> list[str]:
    """The row of the history that the checkpoint belongs to."""
    rows = [row for row in run.folder.history(run.epoch).rows if row["epoch"] == run.epoch]
    if not rows:
        return ["Losses", "  no history for this epoch", ""]
    terms = [name.removeprefix("valid_") for name in rows[0] if name.startswith("valid_") and "_kl_" not in name]
    lines = ["Losses at this epoch", f"  {'term':<12} {'train':>12} {'valid':>12}"]
    lines += [f"  {term:<12} {rows[0][f'train_{term}']:>12.3f} {rows[0][f'valid_{term}']:>12.3f}" for term in terms]
    return [*lines, ""]


def _scores(run: Run) -> list[str]:
    """Accuracies from analysis/results.json."""
    path = run.folder.path / "analysis" / "results.json"
    if not path.is_file():
        return ["Scores", "  not analysed yet (lt_analyze.py -m MODEL)"]
    results = json.loads(path.read_text(encoding="utf-8"))
    transfer = results.get("overall", {}).get("symbol", {}).get("transfer", {})
    lines = [f"Scores on the {results.get('partition')} part, split by {results.get('split')} (signal to symbol)"]
    return lines + [f"  {label:<9} accuracy {scores['accuracy']:.4f}" for label, scores in transfer.items()
                    if isinstance(scores, dict) and "accuracy" in scores]
