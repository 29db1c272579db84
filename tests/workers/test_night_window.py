"""The hours of routine work."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.errors import SettingsError
from workers.window import Window


@pytest.mark.parametrize(
    ("text", "hour", "is_open"),
    [
        ("22:00-06:00", 23, True),
        ("22:00–06:00", 5, True),
        ("22:00-06:00", 6, False),
        ("22:00-06:00", 12, False),
        ("08:00-17:00", 12, True),
        ("08:00-17:00", 17, False),
    ],
)
def test_a_window_may_span_midnight(text: str, hour: int, is_open: bool) -> None:
    assert Window.parse(text).is_open(datetime(2026, 1, 1, hour)) == is_open


@given(st.datetimes())
def test_no_window_is_always_open(now: datetime) -> None:
    assert Window.parse(None).is_open(now) and Window.parse("").is_open(now)


@given(st.datetimes(), st.times(), st.times())
def test_a_window_and_the_rest_of_the_day_never_overlap(now: datetime, a, b) -> None:  # type: ignore[no-untyped-def]
    a, b = a.replace(second=0, microsecond=0), b.replace(second=0, microsecond=0)
    if a != b:
        assert Window(a, b).is_open(now) != Window(b, a).is_open(now)


@pytest.mark.parametrize("text", ["22", "22:00", "25:00-06:00", "22:00-06:61", "at night", "00:00-00:00"])
def test_what_is_no_window_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(SettingsError, match="22:00-06:00"):
        Window.parse(text)
