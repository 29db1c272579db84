"""The rules of the flag, one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.aggregate.correct import Correction
from smearscan.aggregate.triage import judge
from smearscan.records import Interval
from smearscan.settings import AggregateSettings

SETTINGS = AggregateSettings()


def _judge(raw: float, corrected: tuple[float, float, float], blank: float, *, shortfalls=(), failures=()) -> tuple:
    correction = Correction(Interval(*corrected), corrected[0])
    return judge(Interval(raw, 0.0, 1.0), correction, blank, shortfalls, failures, SETTINGS)


@pytest.mark.parametrize(
    ("raw", "corrected", "blank", "flag"),
    [
        (0.010, (0.005, 0.0, 0.020), 0.012, "clear"),
        (0.013, (0.005, 0.0, 0.020), 0.012, "review"),
        (0.010, (0.005, 0.0, 0.050), 0.012, "review"),
        (0.060, (0.050, 0.03, 0.080), 0.012, "work_up"),
        (0.060, (0.049, 0.03, 0.080), 0.012, "review"),
        (0.250, (0.200, 0.17, 0.240), 0.012, "acute_range"),
        (0.250, (0.240, 0.00, 0.300), 0.300, "review"),
    ],
)
def test_the_flag_at_each_line(raw: float, corrected: tuple, blank: float, flag: str) -> None:
    assert _judge(raw, corrected, blank)[0] == flag


def test_a_shortfall_comes_before_every_number() -> None:
    flag, reasons = _judge(0.9, (0.9, 0.8, 1.0), 0.01, shortfalls=["too few"], failures=["b failed"])
    assert flag == "insufficient"
    assert reasons == ["too few", "b failed"]


def test_moved_thresholds_move_the_flag_and_are_named() -> None:
    moved = AggregateSettings(work_up_fraction=0.1, acute_fraction=0.3)
    correction = Correction(Interval(0.12, 0.1, 0.14), 0.12)
    flag, reasons = judge(Interval(0.13, 0.1, 0.2), correction, 0.01, (), (), moved)
    assert flag == "work_up"
    assert "at or above 10%" in reasons[0]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_clear_only_within_blank_and_with_an_upper_limit_under_the_line(
    raw: float, blank: float, estimate: float, high: float
) -> None:
    flag, reasons = _judge(raw, (estimate, 0.0, max(high, estimate)), blank)
    assert reasons
    if flag == "clear":
        assert raw <= blank
        assert max(high, estimate) < 0.05
