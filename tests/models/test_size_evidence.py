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
    """The curve only rises."""
    small, large = _SIZE.probability([min(a, b), max(a, b)])
    assert 0 <= small <= large <= 1


def test_a_cell_of_the_midpoint_or_none_at_all_says_nothing() -> None:
    """One half, so that it pulls towards undecided."""
    assert _SIZE.probability([np.pi * 36, 0.0]) == pytest.approx([0.5, 0.5])


@given(p=st.floats(0, 1), area=st.floats(0, 600))
def test_the_mixture_lies_between_its_parts(p: float, area: float) -> None:
    """A weighted mean of the networks and of size."""
    mixed = float(_SIZE.mixed(np.array([p], np.float32), 2.0, [area])[0])
    parts = (p, float(_SIZE.probability([area])[0]))
    assert min(parts) - 1e-6 <= mixed <= max(parts) + 1e-6


def test_without_weight_the_networks_stand_alone() -> None:
    """Zero leaves size out altogether."""
    blast = np.array([0.2, 0.9], np.float32)
    assert SizeEvidence(0.0, 12.0, 1.2).mixed(blast, 1.0, [10.0, 300.0]) is blast
