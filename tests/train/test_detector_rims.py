"""Fields mirrored at their sides: every box lies on a cell, and every cell that is seen has one."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from skimage.measure import label, regionprops

from smearscan.train.detector_rims import mirrored

SIDE, RIM = 64, 16


@given(st.integers(-8, SIDE - 5), st.integers(-8, SIDE - 5), st.integers(13, 30), st.integers(13, 30))
def test_a_mirrored_field_has_a_box_for_every_cell_that_is_seen_and_a_cell_for_every_box(
    left: int, top: int, width: int, height: int
) -> None:
    corners = np.array([[left, top, left + width, top + height]], np.float32).clip(0, SIDE)
    # A cell one pixel from a side is taken for a cut one: its box reaches over the gap to its mirror image.
    assume(1 not in (left, top, SIDE - left - width, SIDE - top - height))
    field = np.full((SIDE, SIDE, 3), 230, np.uint8)
    x0, y0, x1, y1 = corners[0].astype(int)
    field[y0:y1, x0:x1] = 60
    framed, boxes = mirrored(field, corners, RIM)
    assert framed.shape == (SIDE + 2 * RIM, SIDE + 2 * RIM, 3)
    cells = [region.bbox for region in regionprops(label(framed[..., 0] < 128))]
    seen = {(float(left), float(top), float(right), float(bottom)) for top, left, bottom, right in cells}
    asked = {tuple(box) for box in boxes.tolist()}
    assert asked <= seen
    slivers = {box for box in seen if min(box[2] - box[0], box[3] - box[1]) < 0.3 * 30}
    assert seen - slivers <= asked


def test_a_cell_cut_at_a_corner_is_one_with_its_three_mirror_images() -> None:
    field = np.full((SIDE, SIDE, 3), 230, np.uint8)
    _, boxes = mirrored(field, np.array([[0, 0, 10, 12]], np.float32), RIM)
    assert boxes.tolist() == [[RIM - 10, RIM - 12, RIM + 10, RIM + 12]]


def test_a_field_without_cells_has_none_when_mirrored() -> None:
    framed, boxes = mirrored(np.zeros((20, 30, 3), np.uint8), np.zeros((0, 4), np.float32), RIM)
    assert framed.shape == (52, 62, 3) and boxes.shape == (0, 4)
