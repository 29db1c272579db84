"""The blast ensemble's answers and the cell's size, put together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit

from smearscan.models.blast_pool import BlastPool
from smearscan.models.size_evidence import SizeEvidence

_SIZE = SizeEvidence(weight=0.5, midpoint_um=12.0, spread_um=1.2)
_POOL = BlastPool((0.4, 0.6), _SIZE, home=1)
_SMALL_UM2, _LARGE_UM2 = 50.0, 180.0


@given(a=st.floats(0, 1), b=st.floats(0, 1), area=st.floats(0, 600))
def test_a_probability_comes_out_whatever_goes_in(a: float, b: float, area: float) -> None:
    """Members may say 0 and 1 outright."""
    (pooled,) = _POOL.probability(np.array([[a], [b]]), [area])
    assert 0 < pooled < 1


@given(a=st.floats(0.01, 0.98), area=st.floats(0, 600))
def test_a_member_that_says_more_never_makes_it_less(a: float, area: float) -> None:
    low, high = _POOL.probability(np.array([[a, a + 0.01], [0.5, 0.5]]), [area, area])
    assert low <= high


def test_a_silent_member_adds_nothing() -> None:
    """One half is no vote against the others; in a mean of probabilities it would be."""
    alone = BlastPool((0.4,), _SIZE)
    with_silent = BlastPool((0.4, 0.6), _SIZE, home=1)
    areas = [_SMALL_UM2, _LARGE_UM2]
    assert with_silent.probability(np.array([[0.9, 0.2], [0.5, 0.5]]), areas) == pytest.approx(
        alone.probability(np.array([[0.9, 0.2]]), areas)
    )


def test_size_is_asked_where_the_home_member_is_silent_and_not_where_it_is_sure() -> None:
    silent = _POOL.probability(np.array([[0.5, 0.5], [0.5, 0.5]]), [_SMALL_UM2, _LARGE_UM2])
    sure = _POOL.probability(np.array([[0.5, 0.5], [1.0, 1.0]]), [_SMALL_UM2, _LARGE_UM2])
    assert silent[1] - silent[0] > 0.2
    assert sure[1] - sure[0] < 1e-3


def test_where_the_home_member_is_silent_its_share_of_a_blast_is_made_up_for() -> None:
    """One threshold then asks as much of other laboratories' blasts; where it speaks nothing is added."""
    told = np.array([[0.7, 0.7], [0.5, 1.0]])
    areas = [np.pi * 36] * 2  # 12 µm: size says nothing
    silent, sure = _POOL.probability(told, areas)
    helped, as_sure = dataclasses.replace(_POOL, silent=1.1).probability(told, areas)
    assert logit(helped) - logit(silent) == pytest.approx(1.1, abs=1e-4)
    assert as_sure == pytest.approx(sure, abs=1e-6)
    alone = BlastPool((0.4,), _SIZE, silent=1.1)  # without a home member there is nothing to make up for
    assert alone.probability(told[:1], areas) == pytest.approx(BlastPool((0.4,), _SIZE).probability(told[:1], areas))


def test_weights_and_members_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="weights"):
        _POOL.probability(np.full((3, 1), 0.5), [0.0])
