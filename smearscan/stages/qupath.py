"""A run's cells for QuPath: a GeoJSON file for every image of every slide that is done."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from smearscan.report import geojson
from smearscan.report.names import report_names
from smearscan.stages.results import slide_results
from smearscan.store.schema import slides
from smearscan.store.state import State
from smearscan.store.text import storable


def write_cells_for_qupath(state: State, run_id: int, out: Path) -> list[Path]:
    """Write `out/geojson`, its files named by the slides.

    Raises
    ------
    OutputError
        If `out` cannot be written, or an artefact is gone.
    """
    with state.database.reading() as connection:
        named = report_names(connection.execute(select(slides.c.slide_id).where(slides.c.run_id == run_id)).scalars())
    written = []
    for _, slide in slide_results(state, run_id):
        if slide.status == "done":
            written += geojson.write_slide(out / "geojson", named[storable(slide.source.slide_id)], slide)
    return written
