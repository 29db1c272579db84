"""Size as one more voice in the blast ensemble."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.models.size_evidence import SizeEvidence

_SIZE = SizeEvidence(weight=0.5, midpoint_um=12.0, spread_um=1.2)


@given(a=st.floats(1, 600), b=st.floats(1, 600))
def test_a_larger_cell_is_never_less_of_a_blast(a: float, b: float) -> None:
    """The log-odds only rise."""
    small, large = _SIZE.log_odds([min(a, b), max(a, b)])
    assert small <= large


def test_a_cell_of_the_midpoint_or_none_at_all_says_nothing() -> None:
    """Zero, so that it moves nobody."""
    assert _SIZE.log_odds([np.pi * 36, 0.0]) == pytest.approx([0.0, 0.0])


def test_being_small_says_more_than_being_large() -> None:
    """Monocytes and granulocytes are as large as blasts; no blast is as small as a small lymphocyte."""
    small, large = _SIZE.log_odds([20.0, 600.0])
    assert small == pytest.approx(-1.5)
    assert large == pytest.approx(0.5)


def test_without_weight_size_is_left_out() -> None:
    """Zero for every area."""
    assert not SizeEvidence(0.0, 12.0, 1.2).log_odds([10.0, 300.0]).any()
