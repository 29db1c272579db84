"""The classical detector's parts: the line between red cells and nuclei, parting what touches, joining lobes."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_film import draw_film
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.detect.azure import azure_density, nuclear_threshold, white_point
from smearscan.detect.nuclei import find_nuclei

UM_PER_PX = 0.5


def _azure(discs_um: list[tuple[float, float, float]]) -> np.ndarray:
    """Density 1 in discs (x, y, diameter in µm) on a field of 60 × 40 µm."""
    v, u = np.mgrid[:80, :120] * UM_PER_PX
    field = np.zeros((80, 120), np.float32)
    for x, y, diameter in discs_um:
        field[np.hypot(u - x, v - y) <= diameter / 2] = 1
    return field


def test_two_touching_nuclei_are_two() -> None:
    nuclei = find_nuclei(_azure([(20, 20, 10), (29.5, 20, 10)]), 0.5, UM_PER_PX)
    assert [n.n_lobes for n in nuclei] == [1, 1]


def test_three_lobes_of_a_neutrophil_are_one() -> None:
    nuclei = find_nuclei(_azure([(20, 18, 4.5), (25, 19, 4.5), (23, 24, 4.5)]), 0.5, UM_PER_PX)
    assert len(nuclei) == 1
    assert nuclei[0].n_lobes >= 2 or nuclei[0].area_um2 > 40


def test_platelets_are_too_small() -> None:
    assert find_nuclei(_azure([(20, 20, 3), (40, 20, 2.5)]), 0.5, UM_PER_PX) == []


@given(st.floats(0.55, 1.0), st.floats(0.6, 1.6), st.tuples(*[st.floats(0.8, 1.0)] * 3))
@settings(max_examples=30, deadline=None)
def test_the_line_follows_exposure_stain_strength_and_white_balance(exposure, strength, balance) -> None:
    rgb, boxes = draw_film(90, 60, [(30.0, 30.0), (65.0, 30.0)], UM_PER_PX)
    light = (rgb / 255.0) ** strength * exposure * np.array(balance)
    other = np.clip(light * 255 + 0.5, 0, 255).astype(np.uint8)
    azure = azure_density(other, white_point(other))
    line = nuclear_threshold(azure)
    assert line is not None
    assert len(find_nuclei(azure, line, UM_PER_PX)) == len(boxes)


@pytest.mark.parametrize("value", [0, 90, 255])
def test_no_line_is_drawn_where_nothing_is_stained(value: int) -> None:
    even = np.full((60, 60, 3), value, np.uint8)
    assert nuclear_threshold(azure_density(even, white_point(even))) is None
