"""The exact interval is the Rümke table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from smearscan.aggregate.intervals import clopper_pearson

RUEMKE = [
    (5, 100, 1.6, 11.3),
    (10, 200, 2.4, 9.0),
    (25, 500, 3.3, 7.3),
    (50, 1000, 3.7, 6.5),
    (20, 100, 12.7, 29.2),
    (40, 200, 14.7, 26.2),
    (100, 500, 16.6, 23.8),
    (200, 1000, 17.6, 22.6),
]


@pytest.mark.parametrize(("n_blasts", "n", "low", "high"), RUEMKE)
def test_it_prints_what_the_ruemke_table_prints(n_blasts: int, n: int, low: float, high: float) -> None:
    interval = clopper_pearson(n_blasts, n)
    assert round(100 * interval.low, 1) == low
    assert round(100 * interval.high, 1) == high


@pytest.mark.parametrize(("n", "high"), [(200, 1.83), (1000, 0.37), (3000, 0.12)])
def test_no_blasts_in_so_many_cells_leave_this_much_open(n: int, high: float) -> None:
    interval = clopper_pearson(0, n)
    assert interval.low == 0
    assert round(100 * interval.high, 2) == high


def test_no_cells_say_nothing() -> None:
    interval = clopper_pearson(0, 0)
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_all_blasts_reach_up_to_one_and_mirror_none() -> None:
    none, everything = clopper_pearson(0, 50), clopper_pearson(50, 50)
    assert everything.high == 1.0
    assert everything.low == pytest.approx(1 - none.high, abs=1e-12)


@pytest.mark.parametrize(("k", "n"), [(3, 1_000_000), (500_000, 1_000_000), (999_998, 1_000_000)])
def test_a_million_cells_keep_the_tails_exact(k: int, n: int) -> None:
    interval = clopper_pearson(k, n)
    assert binom.sf(k - 1, n, interval.low) == pytest.approx(0.025, rel=1e-6)
    assert binom.cdf(k, n, interval.high) == pytest.approx(0.025, rel=1e-6)


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a fraction"):
        clopper_pearson(k, n)


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_the_interval_contains_the_fraction_and_grows_with_confidence(counts: tuple[int, int], level: float) -> None:
    narrow, wide = clopper_pearson(*counts, level), clopper_pearson(*counts, (1 + level) / 2)
    assert 0 <= wide.low <= narrow.low <= narrow.estimate <= narrow.high <= wide.high <= 1


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_one_more_blast_raises_both_limits(counts: tuple[int, int]) -> None:
    k, n = counts
    fewer, more = clopper_pearson(k, n), clopper_pearson(k + 1, n)
    assert fewer.low < more.low
    assert fewer.high <= more.high
