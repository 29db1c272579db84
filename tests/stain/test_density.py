"""Light to density and back, against the slide's own white."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smearscan.stain.density import background_white, colour_of_density, is_stained, optical_density

WHITES = st.tuples(*[st.floats(150, 255)] * 3).map(np.array)


@given(arrays(np.uint8, (7, 3)), WHITES)
def test_density_and_colour_undo_each_other_below_white(rgb: np.ndarray, white: np.ndarray) -> None:
    darker = np.minimum(np.maximum(rgb, 1), np.floor(white)).astype(np.uint8)
    assert np.array_equal(colour_of_density(optical_density(darker, white), white), darker)


@given(arrays(np.uint8, (5, 3)), WHITES)
def test_density_is_never_negative_and_glass_has_none(rgb: np.ndarray, white: np.ndarray) -> None:
    assert optical_density(rgb, white).min() >= 0
    assert optical_density(np.ceil(white).astype(np.uint8), white).max() == 0


def test_a_tenth_of_the_light_is_a_density_of_one() -> None:
    density = optical_density(np.array([20, 24, 25], np.uint8), np.array([200.0, 240.0, 250.0]))
    assert density == pytest.approx([1, 1, 1])
    assert density.dtype == np.float32


def test_the_white_of_a_yellow_lamp_is_found(draw_slide) -> None:
    assert background_white(draw_slide(white=(254, 250, 180))) == pytest.approx([254, 250, 180], abs=1)


def test_no_pixels_are_taken_for_white_light() -> None:
    assert background_white(np.empty((0, 3), np.uint8)).tolist() == [255, 255, 255]


def test_a_black_image_has_a_white_that_can_be_divided_by() -> None:
    white = background_white(np.zeros((10, 10, 3), np.uint8))
    assert np.isfinite(optical_density(np.zeros(3, np.uint8), white)).all()


def test_neither_glass_nor_black_is_stained() -> None:
    rgb = np.array([[250, 250, 250], [0, 0, 0], [120, 60, 160], [245, 246, 247]], np.uint8)
    assert is_stained(rgb, np.full(3, 250.0)).tolist() == [False, False, True, False]
    assert not is_stained(rgb[1:2], np.full(3, 250.0)).any()


def test_the_red_cells_of_a_faint_slide_are_stained_too(draw_slide) -> None:
    white = np.array([250.0, 240.0, 220.0])
    for strength in (0.4, 1.0, 1.5):
        assert is_stained(draw_slide(strength=strength), white).mean() == pytest.approx(2 / 3, abs=0.02)
