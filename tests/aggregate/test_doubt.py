"""A second, lower line guards against *clear* where blasts may hide under the threshold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smearscan.aggregate import Validation, aggregate_patient
from smearscan.aggregate.doubt import list_doubts
from smearscan.aggregate.validation import ValidationGroup
from smearscan.classes import CellClass
from smearscan.records import SlideResult
from smearscan.settings import AggregateSettings


@pytest.fixture
def guarded(good: Validation) -> Validation:
    """The good validation, whose blast-free groups have 2 % of suspect cells."""
    groups = tuple(replace(g, n_suspect_of_others=g.n_others // 50) if g.n_others else g for g in good.groups)
    return replace(good, groups=groups, suspect_from=0.3)


def _raised(slide: SlideResult, kind: CellClass, to: float) -> SlideResult:
    cells = tuple(replace(c, blast_probability=to) if c.cell_class is kind else c for c in slide.cells)
    return replace(slide, cells=cells)


def test_a_healthy_smear_raises_no_doubt(make_slide, guarded: Validation) -> None:
    patient = aggregate_patient("p", [make_slide(neutrophil=700, lymphocyte=300)], AggregateSettings(), guarded)
    assert patient.flag == "clear"


def test_cells_that_pile_up_under_the_threshold_forbid_clear(make_slide, guarded: Validation) -> None:
    slide = _raised(make_slide(neutrophil=700, lymphocyte=300), CellClass.LYMPHOCYTE, 0.4)
    patient = aggregate_patient("p", [slide], AggregateSettings(), guarded)
    assert patient.flag == "review"
    assert any("300 of 300 mononuclear cells" in reason for reason in patient.reasons)


def test_granulocytes_and_cells_out_of_focus_raise_no_doubt(make_cells, guarded: Validation) -> None:
    cells = make_cells(neutrophil=100, lymphocyte=100) + make_cells(is_in_focus=False, lymphocyte=100)
    raised = [
        replace(c, blast_probability=0.9) if c.cell_class is CellClass.NEUTROPHIL or not c.is_in_focus else c
        for c in cells
    ]
    assert list_doubts(raised, guarded) == []


def test_a_card_that_counted_no_suspects_gives_no_doubt(make_cells, good: Validation) -> None:
    raised = [replace(c, blast_probability=0.4) for c in make_cells(lymphocyte=100)]
    assert list_doubts(raised, good) == []
    assert list_doubts(raised, None) == []


def test_no_more_cells_are_suspect_than_there_are() -> None:
    with pytest.raises(ValueError, match="suspect"):
        ValidationGroup("o", 0, 0, 10, 1, 11)
