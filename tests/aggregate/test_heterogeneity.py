"""Whether slides of one patient agree."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, fisher_exact, multivariate_hypergeom

from smearscan.aggregate.differential import Tally
from smearscan.aggregate.heterogeneity import heterogeneity


def _slides(*counts: tuple[int, int]) -> list[Tally]:
    return [Tally(n, n, k) for k, n in counts]


def _exact_p(counts: list[tuple[int, int]]) -> float:
    """Every table with these margins, its probability, and whether its chi-square is as large."""
    totals = np.array([n for _, n in counts])
    n_blasts = sum(k for k, _ in counts)
    tables = [t for t in itertools.product(range(n_blasts + 1), repeat=len(counts)) if sum(t) == n_blasts]
    expected = totals * n_blasts / totals.sum()
    statistics = [float(((np.array(t) - expected) ** 2 / expected).sum()) for t in tables]
    seen = float(((np.array([k for k, _ in counts]) - expected) ** 2 / expected).sum())
    law = multivariate_hypergeom(totals, n_blasts)
    return sum(float(law.pmf(t)) for t, s in zip(tables, statistics, strict=True) if s >= seen - 1e-9)


def test_one_slide_or_none_cannot_disagree() -> None:
    assert heterogeneity([]) is None
    assert heterogeneity(_slides((5, 100))) is None
    assert heterogeneity(_slides((5, 100), (0, 0))) is None


def test_two_slides_are_compared_by_fishers_exact_test() -> None:
    assert heterogeneity(_slides((2, 200), (9, 180))) == pytest.approx(fisher_exact([[2, 198], [9, 171]]).pvalue)


def test_many_cells_on_three_slides_are_compared_by_chi_square() -> None:
    table = np.array([[50, 60, 90], [950, 940, 910]])
    expected = chi2_contingency(table, correction=False).pvalue
    assert heterogeneity(_slides((50, 1000), (60, 1000), (90, 1000))) == pytest.approx(expected)


def test_few_blasts_on_three_slides_are_drawn_and_always_the_same() -> None:
    slides = _slides((0, 200), (1, 150), (6, 100))
    p = heterogeneity(slides)
    assert p == heterogeneity(slides[::-1])
    assert p == pytest.approx(_exact_p([(0, 200), (1, 150), (6, 100)]), abs=1e-3)
    milder = [(0, 200), (2, 150), (3, 100)]
    assert heterogeneity(_slides(*milder)) == pytest.approx(_exact_p(milder), abs=0.01)


def test_slides_without_a_blast_agree() -> None:
    assert heterogeneity(_slides((0, 200), (0, 300))) == 1.0


@given(
    st.lists(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=2, max_size=5)
)
def test_the_order_of_slides_does_not_matter_and_p_is_a_probability(counts: list[tuple[int, int]]) -> None:
    p = heterogeneity(_slides(*counts))
    assert p is not None
    assert 0 < p <= 1 + 1e-9
    assert p == heterogeneity(_slides(*reversed(counts)))
