"""One scale for images that came together, where they agree on one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.settings import ScaleSettings
from smearscan.slide.shared_scale import LEAST_CELLS, LEAST_IMAGES, Reading, agrees, share_scale

SETTINGS = ScaleSettings()


def _readings(*mpps: float, n: int = 20) -> list[Reading]:
    return [Reading(mpp, 0.04, n) for mpp in mpps]


def test_the_middle_of_many_is_taken_and_surer_than_any() -> None:
    shared = share_scale(_readings(0.095, 0.1, 0.1, 0.105, 0.1), SETTINGS)
    assert shared is not None
    assert shared.mpp == pytest.approx(0.1) and shared.relative_sd < 0.04
    assert (shared.n_images, shared.n_red_cells) == (5, 100)
    assert "100 red cells of 5 images" in shared.note


def test_two_magnifications_share_nothing() -> None:
    assert share_scale(_readings(0.1, 0.1, 0.1, 0.2, 0.2, 0.2), SETTINGS) is None


def test_too_few_images_or_too_few_red_cells_share_nothing() -> None:
    assert share_scale(_readings(*[0.1] * (LEAST_IMAGES - 1)), SETTINGS) is None
    assert share_scale(_readings(*[0.1] * 40, n=LEAST_CELLS - 1), SETTINGS) is None
    assert share_scale(_readings(*[0.1] * 10, n=LEAST_CELLS), SETTINGS) is None


def test_many_close_views_of_a_few_red_cells_do_as_well_as_a_few_wide_ones() -> None:
    close = share_scale(_readings(*[0.1] * 11, n=LEAST_CELLS), SETTINGS)
    wide = share_scale(_readings(*[0.1] * LEAST_IMAGES, n=SETTINGS.min_red_cells), SETTINGS)
    assert close is not None and wide is not None
    assert close.mpp == pytest.approx(wide.mpp)


def test_an_image_weighs_as_many_red_cells_as_it_shows() -> None:
    readings = [*_readings(0.1, 0.101, 0.102, n=20), *_readings(0.11, 0.11, 0.11, 0.11, n=3)]
    shared = share_scale(readings, SETTINGS)
    assert shared is not None
    assert shared.mpp == pytest.approx(0.101, rel=0.01)


def test_an_image_of_another_magnification_keeps_its_own_scale() -> None:
    shared = share_scale(_readings(*[0.1] * 6), SETTINGS)
    assert shared is not None
    assert agrees(shared, Reading(0.108, 0.04, 12), SETTINGS)
    assert not agrees(shared, Reading(0.2, 0.04, 12), SETTINGS)


@given(st.lists(st.floats(-0.1, 0.1), min_size=LEAST_IMAGES, max_size=30), st.floats(0.05, 0.6))
def test_the_shared_scale_lies_among_the_readings_whatever_the_zoom(errors: list[float], mpp: float) -> None:
    shared = share_scale(_readings(*[mpp * math.exp(error) for error in errors]), SETTINGS)
    if shared is not None:
        assert mpp * math.exp(min(errors)) * 0.999 <= shared.mpp <= mpp * math.exp(max(errors)) * 1.001
