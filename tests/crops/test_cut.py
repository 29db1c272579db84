"""A crop is centred on its cell, covers the window in µm, and says where it left the slide."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_cells import MemorySlide, scale_of
from hypothesis import given
from hypothesis import strategies as st

from smearscan.crops.cut import crop_window, cut_crops, sides_um
from smearscan.geometry import Box, Point
from smearscan.records import Detection


def _spot(width: int, height: int, x: int, y: int) -> np.ndarray:
    pixels = np.full((height, width, 3), 200, np.uint8)
    pixels[y - 3 : y + 3, x - 3 : x + 3] = 10
    return pixels


def test_the_cell_lies_in_the_middle_of_its_crop() -> None:
    """The box's centre is the crop's centre."""
    slide = MemorySlide(_spot(400, 300, 150, 120))
    (crop,) = cut_crops(slide, [Detection(Box(140, 110, 20, 20), 0.9)], scale_of(0.25))
    ys, xs = np.nonzero(crop.pixels[..., 0] < 60)
    assert crop.pixels.shape == (450, 450, 3)
    assert crop.pixels.dtype == np.uint8
    assert abs(xs.mean() - 224.5) < 3
    assert abs(ys.mean() - 224.5) < 3
    assert not crop.is_padded


def test_crops_come_in_the_order_of_the_detections() -> None:
    """Neither sorted nor grouped."""
    slide = MemorySlide(_spot(800, 300, 150, 120))
    boxes = [Box(600, 110, 20, 20), Box(140, 110, 20, 20), Box(300, 150, 30, 10)]
    crops = cut_crops(slide, [Detection(box, 0.5) for box in boxes], scale_of(0.25))
    assert [crop.window.centre.x for crop in crops] == [box.centre.x for box in boxes]


def test_pixels_that_are_not_square_become_a_square_crop() -> None:
    """With twice the µm per pixel along y, the window has half as many rows."""
    slide = MemorySlide(_spot(400, 300, 150, 120))
    (crop,) = cut_crops(slide, [Detection(Box(140, 115, 20, 10), 0.9)], scale_of(0.25, 0.5))
    assert (crop.window.width, crop.window.height) == (116, 58)
    ys, xs = np.nonzero(crop.pixels[..., 0] < 60)
    assert np.ptp(ys) == pytest.approx(2 * np.ptp(xs), rel=0.25)


def test_a_window_beyond_the_slide_is_white_and_says_so() -> None:
    """Padding is explicit."""
    slide = MemorySlide(np.full((200, 200, 3), 90, np.uint8))
    (crop,) = cut_crops(slide, [Detection(Box(0, 80, 10, 10), 0.9)], scale_of(0.25))
    assert crop.is_padded
    assert (crop.pixels[:, :150] == 255).all()
    assert (crop.pixels[200, 300] == 90).all()


@given(
    st.floats(0.05, 1.0),
    st.floats(0.05, 1.0),
    st.floats(10, 60),
    st.floats(-50, 5000),
    st.floats(-50, 5000),
)
def test_a_window_is_within_a_pixel_of_what_was_asked(mx: float, my: float, window: float, x: float, y: float) -> None:
    """Both its size in µm and its centre."""
    box = crop_window(Point(x, y), scale_of(mx, my), window)
    assert abs(box.width * mx - window) <= mx
    assert abs(box.height * my - window) <= my
    assert abs(box.centre.x - x) <= 1
    assert abs(box.centre.y - y) <= 1


def test_um_per_px_is_that_of_the_rounded_window() -> None:
    """58 px of 0.499 µm are 28.9 µm, not 29."""
    slide = MemorySlide(np.full((200, 200, 3), 90, np.uint8))
    (crop,) = cut_crops(slide, [Detection(Box(90, 90, 20, 20), 0.9)], scale_of(0.499))
    assert crop.um_per_px * 450 == pytest.approx(58 * 0.499)


def test_the_longer_side_of_a_box_is_told_in_um() -> None:
    """Where pixels are not square, the side that is longer in µm, not in pixels."""
    boxes = [Detection(Box(0, 0, 100, 80), 1.0), Detection(Box(5, 5, 40, 60), 1.0)]
    assert sides_um(boxes, scale_of(0.1, 0.2)) == pytest.approx([16.0, 12.0])


def test_a_window_smaller_than_a_pixel_is_refused() -> None:
    """A scale in the wrong unit does not yield empty crops."""
    with pytest.raises(ValueError, match="smaller than a pixel"):
        crop_window(Point(5, 5), scale_of(250.0))
