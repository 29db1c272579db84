"""What a healthy smear reads, and the least that shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from smearscan.aggregate.differential import Tally
from smearscan.aggregate.limits import limit_of_blank, limit_of_detection
from smearscan.aggregate.rates import fit_rate
from smearscan.aggregate.validation import Validation, ValidationGroup


def test_groups_alike_give_the_binomial_limit_of_blank(weak: Validation) -> None:
    expected = binom.ppf(0.95, 500, 0.20) / 1000
    assert limit_of_blank(Tally(1000, 500, 0), weak) == pytest.approx(expected, rel=0.2)


def test_groups_that_differ_raise_the_limit_of_blank() -> None:
    same = Validation(tuple(ValidationGroup(f"o{i}", 0, 0, 100, 4) for i in range(20)))
    differ = Validation(tuple(ValidationGroup(f"o{i}", 0, 0, 100, 8 * (i % 2)) for i in range(20)))
    counts = Tally(2000, 2000, 0)
    assert limit_of_blank(counts, differ) > 1.5 * limit_of_blank(counts, same)


def test_only_blast_free_groups_are_blank_where_there_are_any() -> None:
    blank = tuple(ValidationGroup(f"o{i}", 0, 0, 100, 1) for i in range(20))
    mixed = tuple(ValidationGroup(f"b{i}", 50, 45, 50, 25) for i in range(20))
    counts = Tally(1000, 1000, 0)
    assert limit_of_blank(counts, Validation(blank + mixed)) == limit_of_blank(counts, Validation(blank))
    assert limit_of_blank(counts, Validation(mixed)) > 0.4


def test_a_perfect_classifier_sees_what_so_many_cells_can_show(perfect: Validation) -> None:
    # One cell is then a finding; 95 % of patients show one at -ln(0.05) / n.
    counts = Tally(1000, 1000, 0)
    assert limit_of_blank(counts, perfect) == 0
    assert limit_of_detection(counts, perfect) == pytest.approx(0.003, rel=0.05)


def test_more_cells_show_less(good: Validation) -> None:
    limits = [limit_of_detection(Tally(n, n // 2, 0), good) for n in (100, 200, 1000, 5000)]
    assert limits == sorted(limits, reverse=True)
    assert limits[0] > 2 * limits[-1]


@pytest.mark.parametrize("validation", [None, Validation()])
def test_nothing_measured_tells_nothing_from_blank(validation: Validation | None) -> None:
    counts = Tally(500, 200, 3)
    assert limit_of_blank(counts, validation) == 1.0
    assert limit_of_detection(counts, validation) == 1.0


def test_no_cells_tell_nothing_from_blank(good: Validation) -> None:
    assert limit_of_blank(Tally(0, 0, 0), good) == 1.0
    assert limit_of_detection(Tally(0, 0, 0), good) == 1.0


def test_one_group_of_blasts_detects_nothing_reliably() -> None:
    validation = Validation((ValidationGroup("b", 20, 12, 0, 0), ValidationGroup("o", 0, 0, 20, 8)))
    assert limit_of_detection(Tally(300, 150, 0), validation) == 1.0


@pytest.mark.parametrize("n_mononuclear", [150, 500, 1000])
def test_ninety_five_patients_of_a_hundred_at_the_limit_of_detection_read_above_blank(n_mononuclear: int) -> None:
    groups = tuple(ValidationGroup(f"{i}", 100 + i, 95, 0, 0) for i in range(10))
    groups += tuple(ValidationGroup(f"{i}", 0, 0, 200, 2 + i) for i in range(10))
    validation, counts = Validation(groups), Tally(1000, n_mononuclear, 0)
    fraction = limit_of_detection(counts, validation)
    rng, n = np.random.default_rng(5), 200_000
    rates = [fit_rate(c) for c in (validation.called_of_blasts, validation.called_of_others)]
    s, f = (rng.choice(rate.nodes, n, p=rate.weights) for rate in rates)
    reads = rng.binomial(1000, fraction * s + (n_mononuclear / 1000 - fraction) * f) / 1000
    assert np.mean(reads > limit_of_blank(counts, validation)) == pytest.approx(0.95, abs=0.005)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_both_limits_are_fractions_and_nothing_is_seen_in_fewer_cells_than_show_it(counts: tuple[int, int]) -> None:
    groups = tuple(ValidationGroup(f"{i}", 100 + i, 95, 200, 2 + i) for i in range(10))
    n, judged = counts
    blank = limit_of_blank(Tally(n, judged, 0), Validation(groups))
    seen = limit_of_detection(Tally(n, judged, 0), Validation(groups))
    assert 0 <= blank <= judged / n
    assert min(1.0, 1 / n) <= seen <= 1
