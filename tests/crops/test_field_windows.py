"""Windows of a field around cells lie inside the image, apart from each other, and take a small image whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.crops.fields import field_windows
from smearscan.geometry import Box, Mpp, Point, Size
from smearscan.records import Scale


def _scale(mpp: float = 0.5) -> Scale:
    return Scale(Mpp(mpp, mpp), "given", 0.0)


@given(
    st.lists(st.tuples(st.floats(0, 4000), st.floats(0, 3000)), max_size=30),
    st.sampled_from([0.25, 0.5, 1.0]),
    st.integers(0, 12),
)
def test_windows_lie_inside_and_no_two_show_the_same_field(
    places: list[tuple[float, float]], mpp: float, limit: int
) -> None:
    windows = field_windows([Point(x, y) for x, y in places], Size(4000, 3000), _scale(mpp), 106.0, limit)
    side = round(106 / mpp)
    assert len(windows) <= limit
    assert all(min(w.x, w.y) >= 0 and w.right <= 4000 and w.bottom <= 3000 for w in windows)
    assert all((w.width, w.height) == (side, side) for w in windows)
    apart = [max(abs(a.x - b.x), abs(a.y - b.y)) >= 0.7 * side for i, a in enumerate(windows) for b in windows[:i]]
    assert all(apart)
    assert bool(windows) == bool(places and limit)


@pytest.mark.parametrize("size", [Size(224, 224), Size(300, 200), Size(40, 40)])
def test_an_image_hardly_larger_than_a_field_is_taken_whole_and_once(size: Size) -> None:
    places = [Point(5, 5), Point(200, 190)]
    assert field_windows(places, size, _scale(), 106.0, 12) == [Box(0, 0, size.width, size.height)]


def test_without_suspect_cells_or_without_room_for_one_there_is_no_window() -> None:
    assert field_windows([], Size(200, 200), _scale(), 106.0, 12) == []
    assert field_windows([Point(1, 1)], Size(200, 200), _scale(), 106.0, 0) == []
