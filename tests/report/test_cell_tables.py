"""cells.csv and cells.parquet grow with a run; the memory that writes them does not."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest
from fake_results import fake_cell, fake_slide

from smearscan.records import SlideResult
from smearscan.report import cell_tables
from smearscan.report.tables import write_slide_tables


def _slides(n: int) -> Iterator[SlideResult]:
    for number in range(n):
        yield fake_slide(f"S{number}", cells=[fake_cell(x=x) for x in range(300)])


def _peak(folder: Path, n: int) -> int:
    folder.mkdir()
    tracemalloc.start()
    try:
        write_slide_tables(folder, _slides(n))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_cells_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_tables, "ROWS_IN_GROUP", 500)
    _peak(tmp_path / "imports", 1)
    few, many = _peak(tmp_path / "few", 4), _peak(tmp_path / "many", 40)
    assert many < 1.5 * few
    lines = (tmp_path / "many" / "cells.csv").read_text("utf-8").splitlines()
    table = pyarrow.parquet.read_table(tmp_path / "many" / "cells.parquet")
    assert len(lines) == 1 + table.num_rows == 1 + 40 * 300
    assert [line.split(",")[2] for line in lines[1:]] == [str(x) for x in table["x_px"].to_pylist()]
    assert len((tmp_path / "many" / "slides.csv").read_text("utf-8").splitlines()) == 41


def test_a_run_that_fits_one_group_is_one(tmp_path: Path) -> None:
    write_slide_tables(tmp_path, _slides(3))
    assert pyarrow.parquet.ParquetFile(tmp_path / "cells.parquet").metadata.num_row_groups == 1


def test_a_slide_that_cannot_be_read_leaves_no_half_table(tmp_path: Path) -> None:
    def broken() -> Iterator[SlideResult]:
        yield from _slides(1)
        raise ValueError("gone")

    with pytest.raises(ValueError, match="gone"):
        write_slide_tables(tmp_path, broken())
    assert list(tmp_path.iterdir()) == []
