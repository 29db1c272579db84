"""`smearscan classify`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from smearscan.cli.given import GivenPath, UmPerPx
from smearscan.cli.progress import Progress


@click.command("classify")
@click.argument("crops", nargs=-1, required=True, type=GivenPath(readable=False))
@click.option("--out", required=True, type=GivenPath(), help="CSV: path,cell_class,blast_probability,…")
@click.option("--mpp", type=UmPerPx(), help="µm per pixel of the images.")
@click.option(
    "--cell-um",
    type=click.FloatRange(3, 60),
    help="Diameter of their cells, µm. Without either, red cells around the cells are the ruler: a dozen pictures or "
    "more of one size share a scale. Where they are too few, the median cell, or each, is taken as typical.",
)
@click.option("--preset", default="default", show_default=True, help="Name of a preset, or a TOML file.")
def command(crops: tuple[Path, ...], out: Path, mpp: float | None, cell_um: float | None, preset: str) -> None:
    """Judge images of single cells, on black or with background; CROPS are images, or folders of images."""
    from smearscan.cli.table import expect_place, write_rows
    from smearscan.ready_made import CropVerdict, classify_pictures
    from smearscan.settings import load_settings, preset_path
    from smearscan.submission import list_inputs

    if mpp is not None and cell_um is not None:
        raise click.UsageError("--mpp and --cell-um both give the scale: use one")
    paths = list_inputs(crops)
    expect_place(out, [*paths, preset_path(preset)])
    settings, rows = load_settings(preset), []
    with Progress("classifying") as progress:
        for row in classify_pictures(paths, settings, mpp, cell_um):
            rows.append(row)
            progress.update(len(rows), len(paths))
            if row.reason:
                progress.line(f"failed: {row.reason}")
    write_rows(out, CropVerdict, rows)
    n_failed = sum(bool(row.reason) for row in rows)
    click.echo(f"{out}: {len(rows)} images, {n_failed} failed")
    sys.exit(1 if n_failed else 0)
