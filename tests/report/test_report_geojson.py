"""Cells for QuPath: every cell once, where it is, with its class."""

from __future__ import annotations

import json
from pathlib import Path

from fake_results import COUNTS, fake_cell, fake_slide

from smearscan.classes import CellClass
from smearscan.report.geojson import slide_features, write_geojson, write_slide


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


def test_a_scan_is_one_file_and_a_slide_of_fields_a_folder_of_them(tmp_path: Path) -> None:
    assert write_slide(tmp_path, "S", fake_slide()) == [tmp_path / "S.geojson"]
    fields = fake_slide(fields=("a.jpg", "../b.jpg"))
    paths = write_slide(tmp_path, "F", fields)
    assert len(paths) == 2 and {path.parent for path in paths} == {tmp_path / "F"}
    found = [json.loads(path.read_text("utf-8"))["features"] for path in paths]
    assert sum(map(len, found)) == len(fields.cells)


def test_an_image_without_cells_has_a_file_without_features(tmp_path: Path) -> None:
    (path,) = write_slide(tmp_path, "S", fake_slide(cells=[]))
    assert json.loads(path.read_text("utf-8")) == {"type": "FeatureCollection", "features": []}


def test_what_is_written_is_geojson_and_what_qupath_asks_beyond_it(tmp_path: Path) -> None:
    """RFC 7946: closed rings of four places or more; QuPath: an object type it knows, numbers alone as measurements."""
    (path,) = write_slide(tmp_path, "S", fake_slide())
    for feature in json.loads(path.read_text("utf-8"))["features"]:
        assert feature["type"] == "Feature" and feature["geometry"]["type"] == "Polygon"
        (ring,) = feature["geometry"]["coordinates"]
        assert len(ring) >= 4 and ring[0] == ring[-1]
        properties = feature["properties"]
        assert properties["objectType"] == "detection"
        assert all(0 <= channel <= 255 for channel in properties["classification"]["color"])
        assert all(isinstance(value, int | float) for value in properties["measurements"].values())
