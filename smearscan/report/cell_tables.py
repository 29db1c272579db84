"""cells.csv and cells.parquet, written side by side as slides come in: memory does not grow with the cells of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from smearscan.records import SlideResult
from smearscan.report.atomic import writing
from smearscan.report.csv_text import MICRONS, PROBABILITY, Value, columns, csv_header, csv_line, rounded, utf8
from smearscan.report.identity import NumberedCell, number_cells

CELL_COLUMNS = columns(
    "slide_id,cell_id,x_px,y_px,width_px,height_px,detection_score,cell_class,class_probability,blast_probability,"
    "counted,field,spread,in_focus,cell_diameter_um,nucleus_to_cytoplasm,patient_id"
)

#: Rows of one row group of cells.parquet; a run with fewer cells is one group.
ROWS_IN_GROUP = 32_768


class CellTables:
    """The two tables while they are written; made by `cell_tables`."""

    def __init__(self, csv_file: BinaryIO, parquet_file: BinaryIO) -> None:
        import pyarrow
        import pyarrow.parquet

        self._csv, self._schema = csv_file, _schema()
        # Fixed codec, no pandas metadata: the same rows give the same bytes.
        self._parquet = pyarrow.parquet.ParquetWriter(parquet_file, self._schema, compression="snappy")
        self._waiting: list[list[Value]] = []
        self._csv.write(csv_header(CELL_COLUMNS))

    def add(self, slide: SlideResult) -> None:
        """Write a slide's cells, by number."""
        for numbered in number_cells(slide):
            row = _cell_row(numbered, slide.source.patient_id)
            self._csv.write(csv_line(CELL_COLUMNS, row))
            self._waiting.append([_parquet_value(row[name]) for name in CELL_COLUMNS])
            if len(self._waiting) == ROWS_IN_GROUP:
                self._write_group()

    @contextmanager
    def until_the_end(self) -> Iterator[CellTables]:
        """Write what is left at the end, and Parquet's own end in any case."""
        with self._parquet:
            yield self
            if self._waiting:
                self._write_group()

    def _write_group(self) -> None:
        import pyarrow

        arrays = [
            pyarrow.array(values, type=kind.type)
            for values, kind in zip(zip(*self._waiting, strict=True), self._schema, strict=True)
        ]
        table = pyarrow.Table.from_arrays(arrays, schema=self._schema)
        self._parquet.write_table(table, row_group_size=ROWS_IN_GROUP)
        self._waiting = []


@contextmanager
def cell_tables(csv_path: Path, parquet_path: Path) -> Iterator[CellTables]:
    """Both tables, in their place once all is written.

    Raises
    ------
    OutputError, TransientError
        If a file cannot be written.
    """
    with (
        writing(csv_path) as csv_file,
        writing(parquet_path) as parquet_file,
        CellTables(csv_file, parquet_file).until_the_end() as tables,
    ):
        yield tables


def _cell_row(numbered: NumberedCell, patient_id: str) -> dict[str, Value]:
    cell, box = numbered.cell, numbered.cell.detection.box
    return {
        "slide_id": numbered.slide_id,
        "cell_id": numbered.cell_id,
        "x_px": box.x,
        "y_px": box.y,
        "width_px": box.width,
        "height_px": box.height,
        "detection_score": rounded(cell.detection.score, PROBABILITY),
        "cell_class": cell.cell_class.value,
        "class_probability": rounded(cell.class_probability, PROBABILITY),
        "blast_probability": rounded(cell.blast_probability, PROBABILITY),
        "counted": cell.is_counted,
        "field": cell.field_name,
        "spread": rounded(cell.spread, PROBABILITY),
        "in_focus": cell.is_in_focus,
        "cell_diameter_um": rounded(cell.measures.get("cell_diameter_um"), MICRONS),
        "nucleus_to_cytoplasm": rounded(cell.measures.get("nucleus_to_cytoplasm"), MICRONS),
        "patient_id": patient_id,
    }


def _schema() -> Any:
    import pyarrow

    types: dict[str, Any] = dict.fromkeys(CELL_COLUMNS, pyarrow.string())
    types |= dict.fromkeys(("x_px", "y_px", "width_px", "height_px"), pyarrow.int64())
    types |= dict.fromkeys(("counted", "in_focus"), pyarrow.bool_())
    types |= dict.fromkeys(
        ("detection_score", "class_probability", "blast_probability", "spread"), pyarrow.float64()
    ) | dict.fromkeys(("cell_diameter_um", "nucleus_to_cytoplasm"), pyarrow.float64())
    return pyarrow.schema([(name, types[name]) for name in CELL_COLUMNS])


def _parquet_value(value: Value) -> Value:
    return utf8(value).decode("utf-8") if isinstance(value, str) else value
