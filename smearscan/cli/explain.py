"""`smearscan explain`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from smearscan.cli.given import GivenPath


@click.command("explain")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--data", required=True, type=GivenPath(), help="Folder of the set, or a CSV.")
@click.option("--out", required=True, type=GivenPath(), help="Folder for the pictures.")
@click.option(
    "--set", "set_name", help="Name of the set (smearscan data list). [default: folder of class folders, CSV]"
)
@click.option(
    "--images", "per_class", type=click.IntRange(1), default=3, show_default=True, help="Images of each class."
)
@click.option(
    "--map", "on_map", type=click.IntRange(0), default=600, show_default=True, help="Images on the map; 0: no map."
)
@click.option("--seed", default=0, show_default=True, help="Of the map.")
def command(
    models: tuple[str, ...], data: Path, out: Path, set_name: str | None, per_class: int, on_map: int, seed: int
) -> None:
    """Draw where trained models look.

    Grad-CAM of every network; WT-DFN's attention with its crop and erase boxes; maps of the first and second block,
    before and after their attention; the map of embeddings by openTSNE. MODEL is what evaluate takes.
    """
    from smearscan.evaluate.explain import explain

    drawn = explain(models, data, out, set_name=set_name, per_class=per_class, on_map=on_map, seed=seed)
    for one in drawn:
        click.echo(f"{out / one.name}: {', '.join(one.files)}")
        for note in one.notes:
            click.echo(f"note: {note}")
        for failed in one.failed:
            click.echo(f"failed: {failed}", err=True)
    sys.exit(1 if any(one.failed for one in drawn) else 0)
