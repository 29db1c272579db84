"""`smearscan export`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from smearscan.cli.given import GivenPath
from smearscan.cli.state import open_given, state_option


@click.command("export")
@click.argument("run", default="last")
@click.option("--out", required=True, type=GivenPath(), help="Folder for the report and the tables.")
@click.option("--geojson", is_flag=True, help="Write the cells of each slide for QuPath too, into OUT/geojson.")
@state_option
def command(run: str, out: Path, geojson: bool, state: str | None) -> None:
    """Write the files of a run, the same as `smearscan screen` writes: RUN is its name, or `last`."""
    from smearscan.stages.export import write_run
    from smearscan.stages.qupath import write_cells_for_qupath
    from smearscan.store.runs import find_run

    opened = open_given(state)
    found = opened.database.read(find_run, run)
    written = write_run(opened, found.id, out)
    if geojson:
        write_cells_for_qupath(opened, found.id, out)
    if found.state == "open":
        click.echo(f"run {found.name} is not done: slides that were not screened yet stand as failed", err=True)
    if written.remark:
        click.echo(written.remark, err=True)
    click.echo(f"report: {written.index}")
    sys.exit(1 if written.n_failed or found.state != "done" else 0)
