"""`smearscan detect`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from smearscan.cli.given import GivenPath, UmPerPx
from smearscan.cli.progress import Progress


@click.command("detect")
@click.argument("inputs", nargs=-1, required=True, type=GivenPath(readable=False))
@click.option("--out", required=True, type=GivenPath(), help="CSV: path,x_px,y_px,width_px,height_px,score")
@click.option("--mpp", type=UmPerPx(), help="µm per pixel; else the file's, else measured.")
@click.option("--detector", type=click.Choice(["yolo", "classical"]), default=None, help="The preset's unless said.")
@click.option("--preset", default="default", show_default=True, help="Name of a preset, or a TOML file.")
def command(inputs: tuple[Path, ...], out: Path, mpp: float | None, detector: str | None, preset: str) -> None:
    """Find leukocytes: INPUTS are files, or folders of files; boxes are in pixels of level 0."""
    from smearscan.cli.table import expect_place, write_rows
    from smearscan.errors import SlideError
    from smearscan.settings import load_settings, preset_path
    from smearscan.spotting import Spot, agreed_scales, spot_leukocytes
    from smearscan.submission import list_inputs

    paths = list_inputs(inputs)
    expect_place(out, [*paths, preset_path(preset)])
    settings, rows, n_failed = load_settings(preset), [], 0
    if detector is not None:
        settings = settings.model_copy(update={"detect": settings.detect.model_copy(update={"detector": detector})})
    with Progress("detecting") as progress:
        shared = {} if mpp else agreed_scales(paths, settings)
        for size, scale in shared.items():
            progress.line(f"{size.width}×{size.height}: {scale.note}, {scale.mpp:.3g} µm per pixel")
        for done, path in enumerate(paths, 1):
            try:
                rows += spot_leukocytes(path, settings, mpp, shared)
            except SlideError as error:
                n_failed += 1
                progress.line(f"failed: {error}")
            progress.update(done, len(paths), f"{len(rows):,} leukocytes")
    write_rows(out, Spot, rows)
    click.echo(f"{out}: {len(rows)} leukocytes on {len(paths)} images, {n_failed} failed")
    sys.exit(1 if n_failed else 0)
