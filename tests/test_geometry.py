"""Boxes and scale."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.geometry import Box, Mpp, Point, Size

boxes = st.builds(Box, st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 60), st.integers(1, 60))


@given(boxes, boxes)
def test_overlap_is_symmetric_and_at_most_one(a: Box, b: Box) -> None:
    assert a.iou(b) == b.iou(a)
    assert 0 <= a.iou(b) <= 1
    assert (a.iou(b) == 1) == (a == b)


@given(boxes, boxes)
def test_an_intersection_lies_in_both(a: Box, b: Box) -> None:
    common = a.intersection(b)
    if common is not None:
        assert common.intersection(a) == common.intersection(b) == common


@given(st.integers(1, 30), st.integers(1, 30), st.floats(0, 99.99), st.floats(0, 99.99))
def test_boxes_that_partition_claim_each_point_once(width: int, height: int, x: float, y: float) -> None:
    grid = [Box(i, j, width, height) for i in range(0, 100, width) for j in range(0, 100, height)]
    assert sum(box.contains(Point(x, y)) for box in grid) == 1


@given(boxes)
def test_a_box_around_its_own_centre_is_itself_within_half_a_pixel(box: Box) -> None:
    again = Box.around(box.centre, Size(box.width, box.height))
    assert abs(again.x - box.x) <= 1 and abs(again.y - box.y) <= 1


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_must_be_positive_and_finite(value: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Mpp(value, 0.25)


def test_a_box_must_have_an_area() -> None:
    with pytest.raises(ValueError, match="positive"):
        Box(0, 0, 0, 5)
