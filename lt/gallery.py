"""`python3 -m lt.gallery`: write the gallery of trained models (`lt.evaluation.gallery`).

Imports nothing heavy before it runs, so that `--help` is fast.
"""

from __future__ import annotations

import logging
from pathlib import Path

import click

from lt import cli
from lt.config import DEFAULT_DATA_SET, GalleryConfig

EXAMPLE = """python3 -m lt.gallery
python3 -m lt.gallery --recordings ~/recordings
python3 -m lt.gallery --models flute saves/duo__Piano_Violin --output duo.html"""

logger = logging.getLogger("lt.gallery")


@cli.command(
    "Write one HTML page to listen to: reconstructions, symbols to sound, transcriptions beside "
    "the truth, morphings, trajectories, mixtures, chords, and maps of the latent spaces that can "
    "be played.",
    example=EXAMPLE,
)
@cli.option(
    "-m",
    "--models",
    help="folders that lt_train.py wrote, or names of models that come with the package",
    type=cli.PATH,
    at_least=1,
    default=(),
    default_text="all that come with the package",
)
@cli.option(
    "--recordings",
    help="folder of sound files, with aligned MIDI where there is some, instead of the data set",
    type=cli.PATH,
)
@cli.option("-d", "--dbroot", help="data set, if it was moved", type=cli.PATH)
@cli.option("-o", "--output", help="the page", type=cli.PATH, default=Path("saves/gallery.html"))
@cli.options(GalleryConfig)
@cli.cuda_option("-c")
@click.pass_context
def main(
    ctx: click.Context,
    models: tuple[Path, ...],
    recordings: Path | None,
    dbroot: Path | None,
    output: Path,
    cuda: int,
    **flags: object,
) -> None:
    if recordings:
        cli.refuse_given(ctx, ["dbroot"], "--recordings")
    from lt.devices import device
    from lt.evaluation.gallery import write_gallery
    from lt.models.pretrained import pretrained_names, run_path
    from lt.models.runs import load_run

    found = device(cuda)
    paths = [run_path(model) for model in models or pretrained_names()]
    if not paths:
        raise FileNotFoundError(
            "no trained model comes with this installation: name one (--models FOLDER)"
        )
    runs = [load_run(path, device=found) for path in paths]
    embedded = Path(DEFAULT_DATA_SET)
    if not (recordings or dbroot or embedded.exists()) and any(
        Path(run.settings.data["path"]) == embedded for run in runs
    ):
        from lt.build.builder import build_embedded_set

        logger.info("%s is not there: building it from the font of pretty_midi", embedded)
        build_embedded_set(embedded, cli.progress)
    write_gallery(output, runs, dbroot, recordings, GalleryConfig(**flags), cli.progress)
    logger.info("wrote %s (%.1f MB)", output, output.stat().st_size / 1e6)


if __name__ == "__main__":
    main(prog_name="python3 -m lt.gallery")
