"""`smearscan data`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from smearscan.cli.given import GivenPath
from smearscan.cli.progress import Progress


@click.group("data")
def command() -> None:
    """Labelled sets of images on disk."""


@command.command("list")
def list_all() -> None:
    """List the sets that are known by name."""
    from smearscan.datasets import list_sets
    from smearscan.datasets.registry import about_set

    for name in list_sets():
        click.echo(f"{name:12} {about_set(name)}")


@command.command("check")
@click.argument("name")
@click.argument("path", type=GivenPath())
@click.option("--quick", is_flag=True, help="Names and sizes only: nothing is decoded or hashed.")
@click.option("--duplicates/--no-duplicates", default=True, help="Look for images that show the same.")
def check(name: str, path: Path, quick: bool, duplicates: bool) -> None:
    """Check that the set NAME at PATH is whole; exit 1 and name what is missing, altered, corrupt or empty."""
    from smearscan.datasets.check import check_set

    with Progress("checking") as progress:
        report = check_set(name, path, quick=quick, duplicates=duplicates and not quick, progress=progress.update)
    for title, counts in report.counts.items():
        click.echo(f"{title}:")
        for key, n in counts.items():
            click.echo(f"  {key or '(none)'}  {n}")
    for note in report.notes:
        click.echo(f"note: {note}")
    for problem in report.problems:
        click.echo(f"refused: {problem}", err=True)
    click.echo(f"{path}: {report.n_samples} images, {len(report.problems)} problems")
    sys.exit(1 if report.problems else 0)
