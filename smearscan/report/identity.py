"""The number each cell carries in tables, report and exports: stable per slide."""

from __future__ import annotations

from dataclasses import dataclass

from smearscan.records import CellPrediction, SlideResult

#: (slide_id, cell_id): what names one cell of a run.
CellKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class NumberedCell:
    """A cell with its name: `cell_id` counts from "1" within the slide."""

    slide_id: str
    cell_id: str
    cell: CellPrediction

    @property
    def key(self) -> CellKey:
        """(slide_id, cell_id)."""
        return self.slide_id, self.cell_id


def _place(cell: CellPrediction) -> tuple[str, int, int, int, int, float]:
    box = cell.detection.box
    # Score last, so that even two boxes at one place are numbered the same way in every run.
    return cell.field_name, box.y, box.x, box.height, box.width, -cell.detection.score


def number_cells(slide: SlideResult) -> tuple[NumberedCell, ...]:
    """Number a slide's cells from "1" in the order (field, y, x), whatever order they came in."""
    ordered = sorted(slide.cells, key=_place)
    return tuple(NumberedCell(slide.source.slide_id, str(n), cell) for n, cell in enumerate(ordered, 1))


def is_called_blast(cell: CellPrediction) -> bool:
    """Whether a cell is counted as a blast: of that class, and counted."""
    from smearscan.classes import CellClass

    return cell.is_counted and cell.cell_class is CellClass.BLAST
