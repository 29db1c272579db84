"""Counts over a named denominator, and what stands beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.aggregate.differential import Tally, count_cells, is_counted, list_beside, tally
from smearscan.classes import COUNTED, MONONUCLEAR, NOT_COUNTED, CellClass


def test_red_cell_precursors_platelets_smudges_and_artefacts_are_not_in_the_denominator(make_cells) -> None:
    cells = make_cells(neutrophil=60, lymphocyte=30, blast=10, erythroblast=7, platelet=5, smudge=3, artefact=2)
    differential = count_cells(cells)
    assert differential.n_leukocytes == 100
    assert differential.n_blasts == 10
    assert differential.denominator == "counted leukocytes"


def test_what_is_not_counted_is_listed_beside_with_its_counts(make_cells) -> None:
    cells = make_cells(neutrophil=60, erythroblast=7, smudge=3) + make_cells(is_in_focus=False, lymphocyte=4)
    beside = list_beside(cells)
    assert beside == {
        "erythroblast": 7,
        "platelet": 0,
        "smudge": 3,
        "artefact": 0,
        "out_of_focus": 4,
        "left_out": 0,
    }
    assert count_cells(cells).counts[CellClass.LYMPHOCYTE] == 0


def test_an_unidentified_cell_is_a_leukocyte(make_cells) -> None:
    assert count_cells(make_cells(unidentified=5)).n_leukocytes == 5


def test_every_class_has_a_row_in_every_differential(make_cells) -> None:
    assert set(count_cells(make_cells(blast=1)).counts) == set(CellClass)


@pytest.mark.parametrize("cell_class", list(CellClass))
def test_a_cell_counts_if_it_is_a_leukocyte_in_focus(cell_class: CellClass) -> None:
    assert is_counted(cell_class) == (cell_class in COUNTED)
    assert not is_counted(cell_class, is_in_focus=False)


def test_blasts_are_judged_among_mononuclear_cells_only(make_cells) -> None:
    cells = make_cells(neutrophil=60, eosinophil=3, basophil=1, lymphocyte=20, monocyte=6, blast=10)
    assert tally(count_cells(cells)) == Tally(100, 36, 10)


def test_counts_that_are_not_nested_are_refused() -> None:
    with pytest.raises(ValueError, match="nested"):
        Tally(10, 5, 6)
    with pytest.raises(ValueError, match="nested"):
        Tally(10, 11, 6)


@given(st.dictionaries(st.sampled_from(list(CellClass)), st.integers(0, 20)))
def test_every_cell_is_found_once_in_the_differential_or_beside_it(counts: dict[CellClass, int]) -> None:
    from smearscan.geometry import Box
    from smearscan.records import CellPrediction, Detection

    where = Detection(Box(0, 0, 1, 1), 1.0)
    cells = [
        CellPrediction(where, kind, 1.0, 0.0, is_counted(kind, i % 3 > 0), is_in_focus=i % 3 > 0)
        for kind, n in counts.items()
        for i in range(n)
    ]
    differential = count_cells(cells)
    listed = list_beside(cells)
    assert differential.n_leukocytes + sum(listed.values()) == len(cells)
    assert tally(differential).n_mononuclear == sum(differential.counts[kind] for kind in MONONUCLEAR)
    assert all(differential.counts[kind] == listed[kind.value] for kind in NOT_COUNTED)
