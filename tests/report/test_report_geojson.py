"""Cells for QuPath: every cell once, where it is, with its class."""

from __future__ import annotations

import json
from pathlib import Path

from fake_results import COUNTS, fake_cell, fake_slide

from smearscan.classes import CellClass
from smearscan.report.geojson import slide_features, write_geojson


def test_every_cell_is_a_closed_rectangle_in_pixels_of_the_full_image(tmp_path: Path) -> None:
    write_geojson(tmp_path / "s.geojson", fake_slide(cells=[fake_cell(x=100, y=200)]))
    (feature,) = json.loads((tmp_path / "s.geojson").read_text("utf-8"))["features"]
    (ring,) = feature["geometry"]["coordinates"]
    assert ring == [[100, 200], [220, 200], [220, 318], [100, 318], [100, 200]]
    assert feature["properties"]["classification"]["name"] == "Blast"
    assert feature["properties"]["measurements"]["Blast probability"] == 0.9
    assert feature["properties"]["measurements"]["cell_diameter_um"] == 12.3


def test_a_slide_of_fields_gives_each_field_its_own_cells() -> None:
    slide = fake_slide(fields=("a.jpg", "b.jpg"))
    counts = [len(slide_features(slide, name)["features"]) for name in ("a.jpg", "b.jpg", "")]
    assert counts[2] == 0 and sum(counts) == sum(COUNTS.values()) and min(counts[:2]) > 0


def test_every_class_has_a_colour_of_its_own() -> None:
    cells = [fake_cell(c, x=n) for n, c in enumerate(CellClass)]
    features = slide_features(fake_slide(cells=cells))["features"]
    colours = {tuple(f["properties"]["classification"]["color"]) for f in features}
    assert len(colours) == len(CellClass)
