"""Cells for QuPath: GeoJSON in level-0 pixels, one detection a cell with its class and measurements.

QuPath (0.4 and later) reads it by File → Import objects; coordinates are pixels of the full image, x to
the right and y down.

References
----------
RFC 7946 (the format; QuPath departs from it in using pixels). Bankhead et al. 2017, doi:10.1038/s41598-017-17204-5.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from smearscan.classes import CellClass
from smearscan.records import SlideResult
from smearscan.report.atomic import make_folder, write_bytes
from smearscan.report.csv_text import utf8
from smearscan.report.identity import NumberedCell, number_cells
from smearscan.report.names import report_names

#: RGB of each class, told apart on a purple film; blasts stand out.
_COLOURS = {
    CellClass.BLAST: (200, 16, 60),
    CellClass.NEUTROPHIL: (0, 114, 178),
    CellClass.IMMATURE_GRANULOCYTE: (86, 180, 233),
    CellClass.EOSINOPHIL: (213, 94, 0),
    CellClass.BASOPHIL: (60, 60, 160),
    CellClass.LYMPHOCYTE: (0, 158, 115),
    CellClass.MONOCYTE: (240, 228, 66),
    CellClass.UNIDENTIFIED: (230, 159, 0),
    CellClass.ERYTHROBLAST: (140, 86, 75),
    CellClass.PLATELET: (150, 150, 150),
    CellClass.SMUDGE: (100, 100, 100),
    CellClass.ARTEFACT: (60, 60, 60),
}


def write_slide(folder: Path, stem: str, slide: SlideResult) -> list[Path]:
    """Write `folder/stem.geojson` of a scan; of a slide made of fields `folder/stem/<field>.geojson`, one an image.

    Raises
    ------
    OutputError, TransientError
        If a file cannot be written.
    """
    fields = {field.name for field in slide.fields} - {""}
    named = report_names(fields)
    paths = {field: folder / stem / f"{named[field]}.geojson" for field in sorted(fields)}
    paths = paths or {"": folder / f"{stem}.geojson"}
    for field, path in paths.items():
        make_folder(path.parent)
        write_geojson(path, slide, field)
    return list(paths.values())


def write_geojson(path: Path, slide: SlideResult, field_name: str = "") -> None:
    """Write the cells of a scan, or of one field of a slide made of fields.

    Raises
    ------
    OutputError, TransientError
        If the file cannot be written.
    """
    text = json.dumps(slide_features(slide, field_name), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    write_bytes(path, text.encode("ascii") + b"\n")


def slide_features(slide: SlideResult, field_name: str = "") -> dict[str, Any]:
    """A FeatureCollection of the cells that lie on one image, in the order of their numbers."""
    cells = [cell for cell in number_cells(slide) if cell.cell.field_name == field_name]
    return {"type": "FeatureCollection", "features": [_feature(cell) for cell in cells]}


def _feature(numbered: NumberedCell) -> dict[str, Any]:
    cell, box = numbered.cell, numbered.cell.detection.box
    ring = [[box.x, box.y], [box.right, box.y], [box.right, box.bottom], [box.x, box.bottom], [box.x, box.y]]
    measures = {
        "Detection score": cell.detection.score,
        "Class probability": cell.class_probability,
        "Blast probability": cell.blast_probability,
        "Spread": cell.spread,
        "Counted": float(cell.is_counted),
        "In focus": float(cell.is_in_focus),
        **cell.measures,
    }
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "objectType": "detection",
            # As in cells.csv: a lone surrogate of a file name is no text to who reads JSON strictly.
            "name": utf8(f"{numbered.slide_id} cell {numbered.cell_id}").decode("utf-8"),
            "classification": {"name": cell.cell_class.title, "color": list(_COLOURS[cell.cell_class])},
            "measurements": {name: round(float(value), 6) for name, value in measures.items() if value == value},
        },
    }
