"""`smearscan synth`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from smearscan.cli.given import GivenPath
from smearscan.cli.progress import Progress


@click.command("synth")
@click.option("--width", required=True, type=click.IntRange(min=64), help="Pixels.")
@click.option("--height", required=True, type=click.IntRange(min=64), help="Pixels.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--out", required=True, type=GivenPath(), help="Pyramidal tiled TIFF (or PNG, JPEG for a field).")
@click.option(
    "--laboratory",
    default=None,
    help="Whose stain and camera; drawn from the seed unless said. A name that is none lists them.",
)
@click.option("--blast-fraction", default=None, type=click.FloatRange(0, 1), help="Of the leukocytes.")
@click.option("--mpp", default=None, type=click.FloatRange(0.02, 5), help="µm per pixel; the laboratory's unless said.")
def command(
    width: int,
    height: int,
    seed: int,
    out: Path,
    laboratory: str | None,
    blast_fraction: float | None,
    mpp: float | None,
) -> None:
    """Draw a synthetic smear; its true cells are written beside it as CSV."""
    from smearscan.synth import write_smear
    from smearscan.synth.laboratories import find_laboratory

    if laboratory is not None:
        try:
            find_laboratory(laboratory)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--laboratory") from error
    given: dict[str, object] = {"laboratory": laboratory, "blast_fraction": blast_fraction, "mpp": mpp}
    options: Any = {name: value for name, value in given.items() if value is not None}
    with Progress("drawing") as progress:
        truth = write_smear(out, width, height, seed, progress=progress.update, **options)
    shown = ", ".join(f"{n} {cell_class.title.lower()}" for cell_class, n in truth.counts.items() if n)
    click.echo(f"{out}: {shown}; the truth is in {truth.truth_csv.name}")
