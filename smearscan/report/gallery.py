"""Which cells a report shows: every blast it can, near misses, and some of every other class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from smearscan.classes import MONONUCLEAR, CellClass
from smearscan.records import PatientResult
from smearscan.report.identity import CellKey, NumberedCell, is_called_blast, number_cells
from smearscan.settings import ReportSettings

#: Cells of each class shown in any case, so that the reader can judge the whole differential.
_OF_EACH_CLASS = 6
#: A mononuclear cell called something else whose attention is drawn; these few in any case, likeliest first.
_NEAR_MISS, _FEWEST_MISSES = 0.1, 6


@dataclass(frozen=True, slots=True)
class GalleryChoice:
    """What the pipeline must cut for a report.

    Attributes
    ----------
    cells
        Shown in the gallery, highest blast probability first.
    attention
        Keys of those whose attention is drawn, most important first.
    n_candidates
        Cells there were to choose from.
    """

    cells: tuple[NumberedCell, ...]
    attention: tuple[CellKey, ...]
    n_candidates: int

    @property
    def images(self) -> tuple[tuple[str, str], ...]:
        """(slide_id, field name) of every image a shown cell lies on: the thumbnails needed."""
        return tuple(sorted({(c.slide_id, c.cell.field_name) for c in self.cells}))


def choose_gallery(patient: PatientResult, settings: ReportSettings) -> GalleryChoice:
    """Choose the cells a report shows, and those whose attention it draws.

    The cells of each class with the highest blast probability come first (they are the ones to
    check), then cells by blast probability until `max_gallery_cells`. Attention goes to the surest
    blasts, the least sure ones, and the nearest misses among mononuclear cells.
    """
    cells = sorted((c for slide in patient.slides for c in number_cells(slide)), key=_by_blast_probability)
    chosen = _of_each_class(cells, settings.max_gallery_cells)
    for cell in cells:
        if len(chosen) >= settings.max_gallery_cells:
            break
        chosen.setdefault(cell.key, cell)
    shown = sorted(chosen.values(), key=_by_blast_probability)
    return GalleryChoice(tuple(shown), _attention(shown, settings.max_attention_cells), len(cells))


def _by_blast_probability(cell: NumberedCell) -> tuple[float, str, int]:
    # Rounded as it is printed, so that the last bit of a float never reorders a gallery.
    return -round(cell.cell.blast_probability, 6), cell.slide_id, int(cell.cell_id)


def _of_each_class(cells: Sequence[NumberedCell], limit: int) -> dict[CellKey, NumberedCell]:
    by_class: dict[CellClass, list[NumberedCell]] = defaultdict(list)
    for cell in cells:
        by_class[cell.cell.cell_class].append(cell)
    first = [c for cell_class in CellClass for c in by_class[cell_class][:_OF_EACH_CLASS]]
    return {cell.key: cell for cell in first[:limit]}


def _attention(shown: Sequence[NumberedCell], limit: int) -> tuple[CellKey, ...]:
    blasts = [c.key for c in shown if is_called_blast(c.cell)]
    misses = [c for c in shown if not is_called_blast(c.cell) and c.cell.cell_class in MONONUCLEAR]
    others = [c.key for n, c in enumerate(misses) if n < _FEWEST_MISSES or c.cell.blast_probability >= _NEAR_MISS]
    surest = blasts[: max(limit // 2, limit - len(others))]
    doubtful = blasts[len(surest) :][::-1][: limit // 4]
    near = others[: limit - len(surest) - len(doubtful)]
    return tuple((surest + doubtful + near)[:limit])
