"""What a cell is called, from its type and the blast ensemble's answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.classes import LOOK_LIKE_BLASTS, MONONUCLEAR, NOT_COUNTED, CellClass
from smearscan.verdict import decide

CLASSES = tuple(c.value for c in CellClass if c not in (CellClass.BLAST, CellClass.UNIDENTIFIED))


def judged(cell_class: CellClass, sure: float, blast: float) -> CellClass:
    """The verdict on a cell whose type is `cell_class` with probability `sure`."""
    types = np.full(len(CLASSES), (1 - sure) / (len(CLASSES) - 1))
    types[CLASSES.index(cell_class.value)] = sure
    return decide(types, CLASSES, blast, 0.0, 0.45, 0.65).cell_class


@pytest.mark.parametrize("cell_class", sorted(MONONUCLEAR & {CellClass(c) for c in CLASSES} | LOOK_LIKE_BLASTS))
def test_a_cell_that_may_be_a_blast_is_one_from_the_threshold_on(cell_class: CellClass) -> None:
    """Also a basophil or a nucleated red cell: blasts of another stain are named so."""
    assert judged(cell_class, 0.9, 0.65) is CellClass.BLAST
    assert judged(cell_class, 0.9, 0.6499) is cell_class


@given(st.sampled_from(sorted({CellClass(c) for c in CLASSES} - MONONUCLEAR - LOOK_LIKE_BLASTS)), st.floats(0, 1))
def test_no_other_named_cell_is_ever_called_blast(cell_class: CellClass, blast: float) -> None:
    """A segmented neutrophil or a red cell is none, whatever the blast networks see in it."""
    assert judged(cell_class, 0.9, blast) is cell_class


@given(st.floats(0, 1))
def test_a_cell_whose_type_is_unsure_is_unidentified_or_blast(blast: float) -> None:
    """Never named by a guess."""
    expected = CellClass.BLAST if blast >= 0.65 else CellClass.UNIDENTIFIED
    assert judged(CellClass.NEUTROPHIL, 0.3, blast) is expected


def test_what_looks_like_a_blast_stays_outside_the_stratum_unless_called() -> None:
    """The classes are no mononuclear ones: a smear of basophils does not widen the stratum that is judged."""
    assert not LOOK_LIKE_BLASTS & MONONUCLEAR
    assert CellClass.ERYTHROBLAST in NOT_COUNTED
