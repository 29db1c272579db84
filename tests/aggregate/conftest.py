"""Slides with so many cells of each kind, and validations with so many groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from smearscan.aggregate import Validation, ValidationGroup
from smearscan.classes import CellClass
from smearscan.geometry import Box, Mpp, Size
from smearscan.records import CellPrediction, Detection, Scale, SlideResult, SlideSource


def _cell(cell_class: CellClass, place: int, is_counted: bool, is_in_focus: bool) -> CellPrediction:
    detection = Detection(Box(place % 100 * 50, place // 100 * 50, 40, 40), 0.9)
    blast = 0.9 if cell_class is CellClass.BLAST else 0.1
    return CellPrediction(detection, cell_class, 0.9, blast, is_counted, is_in_focus=is_in_focus)


@pytest.fixture
def make_cells() -> Callable[..., tuple[CellPrediction, ...]]:
    """make_cells(blast=3, lymphocyte=50): cells by the name of their class; leukocytes count if in focus."""
    from smearscan.aggregate import is_counted

    def make(is_in_focus: bool = True, **counts: int) -> tuple[CellPrediction, ...]:
        kinds = [CellClass(name) for name, n in counts.items() for _ in range(n)]
        return tuple(_cell(kind, i, is_counted(kind, is_in_focus), is_in_focus) for i, kind in enumerate(kinds))

    return make


@pytest.fixture
def make_slide(make_cells: Callable[..., tuple[CellPrediction, ...]]) -> Callable[..., SlideResult]:
    """make_slide("a", blast=3, neutrophil=97): one slide that was done."""

    def make(slide_id: str = "a", wbc: float | None = None, quality: dict | None = None, **counts: int) -> SlideResult:
        source = SlideSource(slide_id, "p", f"{slide_id}.tif", (f"{slide_id}.tif",), wbc_10e9_per_l=wbc)
        scale = Scale(Mpp(0.25, 0.25), "metadata")
        cells = make_cells(**counts)
        return SlideResult(source, "done", scale=scale, size=Size(9, 9), cells=cells, quality=quality or {})

    return make


@pytest.fixture
def make_failed() -> Callable[..., SlideResult]:
    """make_failed("b", "b.tif is truncated"): one slide that failed."""

    def make(slide_id: str, reason: str, error_kind: str = "UnreadableSlideError") -> SlideResult:
        source = SlideSource(slide_id, "p", slide_id, (slide_id,))
        return SlideResult(source, "failed", reason=reason, error_kind=error_kind)

    return make


def groups_with(sensitivity: float, false_alarms: float, n_groups: int = 30, n_cells: int = 300) -> Validation:
    """A validation whose groups all have about these rates, spread a little as groups do."""
    spread = np.linspace(-0.3, 0.3, n_groups)
    groups = []
    for i, shift in enumerate(spread):
        called = round(n_cells * sensitivity * (1 + shift * (1 - sensitivity)))
        alarms = round(n_cells * false_alarms * (1 + shift * (1 - false_alarms)))
        groups.append(ValidationGroup(f"blasts {i}", n_cells, min(called, n_cells), 0, 0))
        groups.append(ValidationGroup(f"others {i}", 0, 0, n_cells, min(alarms, n_cells)))
    return Validation(tuple(groups))


@pytest.fixture
def good() -> Validation:
    """A classifier worth having: sensitivity 0.97, specificity 0.995, 30 groups of each."""
    return groups_with(0.97, 0.005)


@pytest.fixture
def weak() -> Validation:
    """The false-alarm machine: specificity 0.80."""
    return groups_with(0.95, 0.20)


@pytest.fixture
def perfect() -> Validation:
    """No error in very many cells and groups: the correction must then do nothing."""
    return groups_with(1.0, 0.0, n_groups=300, n_cells=100_000)
