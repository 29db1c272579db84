"""One scale for many pictures of cells that came without any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from smearscan.common_scale import LEAST_PICTURES, MEDIAN_CELL_UM, find_common_scales
from smearscan.crops.mask import CellSegmenter


@pytest.fixture
def unused() -> CellSegmenter:
    """Pictures on black are measured without the mask network: it must not be asked."""
    return Mock(spec_set=[])


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., list[Path]]:
    """draw(200, [60, 70]): pictures on black of this side with cells of these diameters, px."""

    def make(side: int, diameters: list[int], name: str = "cell") -> list[Path]:
        paths = []
        for i, diameter in enumerate(diameters):
            image = np.zeros((side, side, 3), np.uint8)
            cv2.circle(image, (side // 2, side // 2), diameter // 2, (150, 70, 110), -1)
            paths.append(tmp_path / f"{name}_{side}_{i:02d}.png")
            cv2.imwrite(str(paths[-1]), image)
        return paths

    return make


def test_the_median_cell_is_given_a_typical_size_and_small_ones_stay_small(draw, unused) -> None:
    diameters = [60 + 4 * i for i in range(LEAST_PICTURES + 1)]
    paths = draw(200, diameters)
    found = find_common_scales(paths, unused)
    assert set(found) == set(paths)
    assert len({scale.um_per_px for scale in found.values()}) == 1
    median_um = float(np.median(diameters)) * found[paths[0]].um_per_px
    assert median_um == pytest.approx(MEDIAN_CELL_UM, rel=0.03)
    assert f"{LEAST_PICTURES + 1} pictures" in found[paths[0]].note


def test_sizes_that_differ_are_not_taken_for_one_microscope(draw, unused) -> None:
    small, large = draw(200, [80] * LEAST_PICTURES), draw(300, [80] * LEAST_PICTURES)
    few = draw(400, [80] * (LEAST_PICTURES - 1))
    found = find_common_scales(small + large + few, unused)
    assert set(found) == set(small + large)


def test_the_order_of_the_pictures_changes_nothing(draw, unused) -> None:
    paths = draw(200, [60 + 3 * i for i in range(LEAST_PICTURES)])
    ahead, back = find_common_scales(paths, unused), find_common_scales(paths[::-1], unused)
    assert ahead == back


def test_pictures_of_known_scale_and_unreadable_ones_have_none(draw, unused, tmp_path: Path) -> None:
    known = draw(450, [200] * LEAST_PICTURES)
    text = tmp_path / "text.png"
    text.write_text("no picture", "utf-8")
    assert find_common_scales([*known, text], unused) == {}
