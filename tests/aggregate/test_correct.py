"""The corrected fraction and its interval."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.aggregate.correct import correct_fraction, predictive_interval
from smearscan.aggregate.differential import Tally
from smearscan.aggregate.intervals import clopper_pearson
from smearscan.aggregate.rates import fit_rate
from smearscan.aggregate.validation import Validation, ValidationGroup


def _groups(called_of_blasts: tuple[int, ...], called_of_others: tuple[int, ...]) -> Validation:
    """Groups of a hundred cells each."""
    blasts = tuple(ValidationGroup(f"b{i}", 100, n, 0, 0) for i, n in enumerate(called_of_blasts))
    return Validation(blasts + tuple(ValidationGroup(f"o{i}", 0, 0, 100, n) for i, n in enumerate(called_of_others)))


#: Groups none of which is without error, as a laboratory's own may be.
ALARMING = _groups((95, 94, 96, 95, 93, 97, 95, 96, 94, 95), (20, 18, 22, 21, 19, 20, 23, 17, 20, 20))
DEAF = _groups((85, 88, 90, 86, 91, 89, 87, 90, 88, 92), (1, 2, 4, 3, 2, 1, 2, 3, 2, 2))
VALIDATION = Validation(
    tuple(ValidationGroup(f"b{i}", 200, 200 - 3 * i, 0, 0) for i in range(12))
    + tuple(ValidationGroup(f"o{i}", 0, 0, 200, 2 * i) for i in range(12))
)
NESTED = (
    st.integers(1, 3000)
    .flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
    .flatmap(lambda nm: st.tuples(st.just(nm[0]), st.just(nm[1]), st.integers(0, nm[1])))
)


def test_a_healthy_patient_read_by_a_false_alarm_machine_is_corrected_to_none(weak: Validation) -> None:
    correction = correct_fraction(Tally(1000, 500, 100), weak)
    assert correction.interval.estimate < 0.01
    assert correction.interval.low == 0


def test_the_correction_is_made_among_mononuclear_cells_and_rescaled(weak: Validation) -> None:
    # 400 of 1000 were judged, 120 called: 30 % of the judged; (0.30 - 0.20) / 0.75 of them, times 0.4.
    correction = correct_fraction(Tally(1000, 400, 120), weak)
    assert correction.unclipped == pytest.approx(0.4 * (0.30 - 0.20) / 0.75, abs=0.002)


def test_the_estimate_without_bias_is_kept_below_zero_and_the_printed_one_is_not(weak: Validation) -> None:
    correction = correct_fraction(Tally(1000, 500, 20), weak)
    assert correction.unclipped < -0.05
    assert correction.interval.estimate == 0


@pytest.mark.parametrize(("n", "k"), [(200, 0), (1000, 0), (1000, 50), (500, 100)])
def test_a_perfect_classifier_leaves_the_counting_interval(perfect: Validation, n: int, k: int) -> None:
    corrected, counted = correct_fraction(Tally(n, n, k), perfect).interval, clopper_pearson(k, n)
    assert corrected.estimate == pytest.approx(counted.estimate, abs=1e-4)
    assert corrected.low == pytest.approx(counted.low, abs=2e-3)
    assert corrected.high == pytest.approx(counted.high, rel=0.02)


@pytest.mark.parametrize("n", [200, 1000, 3000])
@pytest.mark.parametrize("validation", [ALARMING, DEAF, VALIDATION])
def test_no_blasts_in_n_cells_say_about_what_n_cells_can_and_never_more(validation: Validation, n: int) -> None:
    high, counted = correct_fraction(Tally(n, n // 2, 0), validation).interval.high, clopper_pearson(0, n).high
    assert counted <= high < 1.5 * counted


@pytest.mark.parametrize("validation", [ALARMING, DEAF, VALIDATION])
def test_a_reading_that_contradicts_the_validation_is_no_reason_to_know_nothing(validation: Validation) -> None:
    for n in (200, 2000):
        assert correct_fraction(Tally(n, n, n // 100), validation).interval.high < 0.08
        assert correct_fraction(Tally(n, n, n), validation).interval.low > 0.9


@pytest.mark.parametrize("validation", [ALARMING, DEAF])
@pytest.mark.parametrize(("n", "judged"), [(200, 200), (500, 250), (2000, 2000)])
def test_limits_rise_with_the_reading_where_no_group_was_without_error(
    validation: Validation, n: int, judged: int
) -> None:
    step = max(1, judged // 25)
    found = [correct_fraction(Tally(n, judged, k), validation).interval for k in range(0, judged + 1, step)]
    for fewer, more in itertools.pairwise(found):
        assert more.low >= fewer.low - 0.002
        assert more.high >= fewer.high - 0.002


def test_groups_that_differ_widen_the_interval_although_their_cells_are_as_many() -> None:
    same = tuple(ValidationGroup(f"o{i}", 0, 0, 100, 5) for i in range(20))
    differ = tuple(ValidationGroup(f"o{i}", 0, 0, 100, 10 * (i % 2)) for i in range(20))
    blasts = tuple(ValidationGroup(f"b{i}", 100, 95, 0, 0) for i in range(20))
    widths = []
    for others in (same, differ):
        interval = correct_fraction(Tally(1000, 600, 100), Validation(blasts + others)).interval
        widths.append(interval.high - interval.low)
    assert widths[1] > 1.3 * widths[0]


def test_blasts_are_never_held_to_be_many_more_than_mononuclear_cells() -> None:
    assert correct_fraction(Tally(1000, 50, 50), VALIDATION).interval.high < 0.08


def test_no_mononuclear_cells_give_none_and_leave_open_what_so_many_cells_leave_open() -> None:
    correction = correct_fraction(Tally(300, 0, 0), VALIDATION)
    assert correction.interval.estimate == 0
    assert 0 < correction.interval.high < 0.03


def test_all_blasts_reach_one() -> None:
    interval = correct_fraction(Tally(300, 300, 300), VALIDATION).interval
    assert interval.high == 1
    assert interval.estimate == 1
    assert interval.low > 0.9


USELESS = Validation((ValidationGroup("b", 100, 20, 0, 0), ValidationGroup("o", 0, 0, 100, 40)))
NO_BLASTS = Validation((ValidationGroup("o", 0, 0, 100, 4),))
NO_OTHERS = Validation((ValidationGroup("b", 100, 90, 0, 0),))


@pytest.mark.parametrize(
    ("validation", "why"),
    [
        (None, "not measured"),
        (Validation(), "not measured"),
        (USELESS, "no more often"),
        (NO_BLASTS, "sensitivity is unknown"),
        (NO_OTHERS, "specificity is unknown"),
    ],
)
def test_where_no_correction_is_possible_everything_is_open_and_said(validation: Validation | None, why: str) -> None:
    correction = correct_fraction(Tally(400, 200, 40), validation)
    assert (correction.interval.low, correction.interval.high) == (0.0, 1.0)
    assert correction.interval.estimate == pytest.approx(0.1)
    assert not correction.is_possible
    assert why in correction.why_not


def test_no_cells_leave_everything_open() -> None:
    correction = correct_fraction(Tally(0, 0, 0), VALIDATION)
    assert (correction.interval.low, correction.interval.high) == (0.0, 1.0)
    assert not correction.is_possible


@settings(max_examples=60, deadline=None)
@given(NESTED)
def test_the_interval_contains_its_estimate_and_stays_a_fraction(counts: tuple[int, int, int]) -> None:
    interval = correct_fraction(Tally(*counts), VALIDATION).interval
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1


@settings(max_examples=60, deadline=None)
@given(NESTED.filter(lambda counts: counts[2] < counts[1]))
def test_one_more_blast_never_lowers_the_estimate_or_a_limit(counts: tuple[int, int, int]) -> None:
    n, judged, k = counts
    fewer = correct_fraction(Tally(n, judged, k), VALIDATION)
    more = correct_fraction(Tally(n, judged, k + 1), VALIDATION)
    assert more.unclipped > fewer.unclipped
    assert more.interval.low >= fewer.interval.low - 1e-6
    assert more.interval.high >= fewer.interval.high - 1e-6


def test_a_limit_is_no_lower_than_that_of_a_lower_reading_that_contradicts_nothing_at_the_far_end() -> None:
    # So few calls among so many cells that only the end of the scale is left to a reading of 29; that of 697 itself
    # ends near 0.02.
    sensitivity, false_alarms = (
        fit_rate(tuple((called, 200) for called in of)) for of in ((197, 155, 194), (22, 2, 19, 13))
    )
    few, more = (predictive_interval(Tally(60_000, 15_110, k), sensitivity, false_alarms, 0.95)[1] for k in (29, 697))
    assert few > 0.25
    assert more >= few


@settings(max_examples=30, deadline=None)
@given(NESTED, st.integers(2, 20))
def test_more_cells_of_the_same_fractions_never_widen_the_interval(counts: tuple[int, int, int], times: int) -> None:
    few, many = Tally(*counts), Tally(*counts).times(times)
    wide, narrow = correct_fraction(few, VALIDATION).interval, correct_fraction(many, VALIDATION).interval
    assert narrow.high - narrow.low <= wide.high - wide.low + 1e-6


@settings(max_examples=30, deadline=None)
@given(NESTED)
def test_the_same_counts_give_the_same_bytes(counts: tuple[int, int, int]) -> None:
    shuffled = Validation(VALIDATION.groups[::-1])
    assert correct_fraction(Tally(*counts), VALIDATION) == correct_fraction(Tally(*counts), shuffled)
