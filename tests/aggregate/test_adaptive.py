"""Counting until the threshold is cleared."""

from __future__ import annotations

import numpy as np
import pytest

from smearscan.aggregate.adaptive import StoppingPoint, count_until_clear, more_cells_would_tell, side_of
from smearscan.aggregate.differential import Tally
from smearscan.aggregate.validation import Validation
from smearscan.records import Interval
from smearscan.settings import AggregateSettings

SETTINGS = AggregateSettings()


def _shuffled(cells: tuple) -> list:
    return [cells[i] for i in np.random.default_rng(3).permutation(len(cells))]


@pytest.mark.parametrize(
    ("low", "high", "side"), [(0.0, 0.049, "below"), (0.05, 0.2, "above"), (0.04, 0.05, "open"), (0.0, 1.0, "open")]
)
def test_an_interval_lies_below_above_or_across_a_threshold(low: float, high: float, side: str) -> None:
    assert side_of(Interval(low, low, high), 0.05) == side


def test_a_clear_case_stops_at_the_minimum(make_cells, good: Validation) -> None:
    none = count_until_clear(make_cells(neutrophil=3000, lymphocyte=2000), good, SETTINGS)
    assert none == StoppingPoint(200, 200, "below", 0.975)
    many = count_until_clear(_shuffled(make_cells(neutrophil=1000, blast=1000)), good, SETTINGS)
    assert (many.n_leukocytes, many.side) == (200, "above")


def test_a_case_near_the_threshold_is_counted_on(make_cells, good: Validation) -> None:
    stop = count_until_clear(_shuffled(make_cells(neutrophil=5640, lymphocyte=1800, blast=160)), good, SETTINGS)
    assert stop.n_leukocytes in (400, 800, 1600, 3200)
    assert stop.side == "below"


def test_an_exhausted_smear_says_that_the_question_is_open(make_cells, good: Validation) -> None:
    cells = _shuffled(make_cells(neutrophil=240, lymphocyte=40, blast=15))
    assert count_until_clear(cells, good, SETTINGS) == StoppingPoint(295, 295, "open", 0.975)


def test_cells_outside_the_denominator_are_passed_over(make_cells, good: Validation) -> None:
    cells = make_cells(erythroblast=50, neutrophil=900)
    assert count_until_clear(cells, good, SETTINGS) == StoppingPoint(250, 200, "below", 0.975)


def test_too_few_cells_are_all_counted(make_cells, good: Validation) -> None:
    stop = count_until_clear(make_cells(neutrophil=30), good, SETTINGS)
    assert (stop.n_cells, stop.n_leukocytes) == (30, 30)


def test_looking_often_decides_wrongly_no_more_than_the_interval_may(make_cells, perfect: Validation) -> None:
    """At exactly the threshold any decision is wrong, and the interval misses it; many looks must not add up."""
    cells = make_cells(neutrophil=19 * 400, blast=400)
    rng = np.random.default_rng(7)
    n_trials, n_wrong = 400, 0
    for _ in range(n_trials):
        order = rng.permutation(len(cells))[:3000]
        n_wrong += count_until_clear([cells[i] for i in order], perfect, SETTINGS).side != "open"
    assert 0 < n_wrong / n_trials <= 0.05


def test_the_last_look_has_what_the_earlier_ones_left(make_cells, good: Validation) -> None:
    cells = make_cells(neutrophil=760, blast=40)
    assert count_until_clear(_shuffled(cells)[:150], good, SETTINGS).confidence == pytest.approx(0.95)
    assert count_until_clear(_shuffled(cells), good, SETTINGS).confidence == pytest.approx(1 - 0.05 / 4)


def test_more_cells_tell_where_counting_is_what_is_open(good: Validation, weak: Validation) -> None:
    assert more_cells_would_tell(Tally(300, 60, 5), good, SETTINGS)
    assert not more_cells_would_tell(Tally(300, 200, 50), weak, SETTINGS)
