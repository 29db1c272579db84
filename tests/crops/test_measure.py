"""Measures are those of geometry, and the same at any scale."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from drawn_cells import disc
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.crops.mask import make_mask
from smearscan.crops.measure import MEASURES, measure_cell


def test_discs_measure_what_they_were_drawn() -> None:
    """A round cell of 12 µm with a round nucleus of 9 µm."""
    um_per_px = 0.1
    mask = make_mask(disc(300, 120), disc(300, 90), um_per_px)
    found = measure_cell(mask, um_per_px)
    assert set(found) == set(MEASURES)
    assert found["cell_diameter_um"] == pytest.approx(12, rel=0.01)
    assert found["nucleus_diameter_um"] == pytest.approx(9, rel=0.01)
    assert found["nucleus_to_cytoplasm"] == pytest.approx((9 / 12) ** 2, rel=0.02)
    assert found["nucleus_solidity"] > 0.97
    assert found["nucleus_eccentricity"] < 0.1
    assert found["n_lobes"] == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4))
def test_lobes_joined_by_bridges_are_counted(n: int) -> None:
    """As in a segmented neutrophil."""
    canvas = np.zeros((300, 300), np.uint8)
    places = [(150 + round(60 * np.cos(a)), 150 + round(60 * np.sin(a))) for a in np.arange(n) * np.pi / 2]
    for place in places:
        cv2.circle(canvas, place, 28, 1, -1)
    for one, two in itertools.pairwise(places):
        cv2.line(canvas, one, two, 1, 8)
    assert measure_cell(make_mask(disc(300, 260), canvas > 0, 0.064), 0.064)["n_lobes"] == n


def test_an_ellipse_has_its_eccentricity_and_a_crescent_little_solidity() -> None:
    """√(1 − (b/a)²) for half axes a and b."""
    ellipse = cv2.ellipse(np.zeros((300, 300), np.uint8), (150, 150), (80, 48), 30, 0, 360, 1, -1) > 0
    found = measure_cell(make_mask(disc(300, 280), ellipse, 0.1), 0.1)
    assert found["nucleus_eccentricity"] == pytest.approx(0.8, abs=0.02)
    crescent = disc(300, 120) & ~np.roll(disc(300, 110), 35, axis=1)
    assert measure_cell(make_mask(disc(300, 280), crescent, 0.1), 0.1)["nucleus_solidity"] < 0.8


@settings(max_examples=20, deadline=None)
@given(st.floats(0.04, 0.25))
def test_measures_do_not_depend_on_the_pixel_size(um_per_px: float) -> None:
    """The same cell on a finer or coarser grid."""
    side = round(29 / um_per_px)
    found = measure_cell(make_mask(disc(side, 14 / um_per_px), disc(side, 10 / um_per_px), um_per_px), um_per_px)
    assert found["cell_diameter_um"] == pytest.approx(14, rel=0.02)
    assert found["nucleus_to_cytoplasm"] == pytest.approx((10 / 14) ** 2, rel=0.04)
    assert found["nucleus_solidity"] > 0.95


def test_an_empty_mask_measures_zero_everywhere() -> None:
    """No cell, no division by zero."""
    empty = np.zeros((50, 50), bool)
    assert set(measure_cell(make_mask(empty, empty, 0.1), 0.1).values()) == {0.0}
    bare = measure_cell(make_mask(disc(50, 30), empty, 0.1), 0.1)
    assert bare["cell_diameter_um"] == pytest.approx(3, rel=0.05)
    assert bare["nucleus_to_cytoplasm"] == 0
