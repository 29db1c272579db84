"""A field that a person chose is searched whole, however dense, pale or small it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from smearscan.geometry import Box, Mpp
from smearscan.records import Scale
from smearscan.regions import find_regions
from smearscan.settings import RegionSettings
from smearscan.slide import open_slide

SETTINGS = RegionSettings()
#: Folder and approximate µm per pixel.
SOURCES = {
    "taleqani/Benign": 0.5,
    "taleqani/Early": 0.5,
    "taleqani/Pre": 0.5,
    "taleqani/Pro": 0.5,
    "txl_pbc/images/val": 0.08,
    "pbc/lymphocyte": 0.1,
    "pbc/platelet": 0.1,
}


@pytest.mark.parametrize("stain", [0.03, 0.12, 0.4])
def test_a_field_is_one_tile_with_its_film_and_focus(stain: float, film: Callable) -> None:
    slide = film(300, 220).red_cells(0, 0, 300, 220).slide(stain)
    regions = find_regions(slide, slide.scale, SETTINGS)
    assert [tile.core for tile in regions.tiles] == [Box(0, 0, 300, 220)]
    assert regions.film_mm2 == regions.searched_mm2 == pytest.approx((1 - np.exp(-0.4)) * 0.066, rel=0.3)
    assert regions.focus > 0.3


def test_a_field_crowded_with_nuclei_or_thick_or_blurred_is_searched(film: Callable) -> None:
    crowded = film(300, 220).nuclei(0, 0, 300, 220, spacing_um=9)
    thick = film(300, 220).red_cells(0, 0, 300, 220, 60_000)
    blurred = film(300, 220).red_cells(0, 0, 300, 220).blurred(0, 300, 4.0)
    for drawn in (crowded, thick, blurred):
        slide = drawn.slide(0.2)
        assert len(find_regions(slide, slide.scale, SETTINGS).tiles) == 1


def test_a_lone_pale_cell_is_not_taken_for_glass(film: Callable) -> None:
    slide = film(220, 220).nuclei(100, 100, 14, 14).slide(0.03)
    assert len(find_regions(slide, slide.scale, SETTINGS).tiles) == 1


def test_a_large_field_is_cut_into_equal_tiles(film: Callable) -> None:
    slide = film(1200, 800).red_cells(0, 0, 400, 300).slide()
    cores = [tile.core for tile in find_regions(slide, slide.scale, SETTINGS).tiles]
    assert len(cores) == 8
    assert {(core.width, core.height) for core in cores} == {(300, 400)}


def test_every_tenth_shared_field_is_searched_whole_and_sharp(shared_data: Path) -> None:
    for folder, um in SOURCES.items():
        files = sorted((shared_data / folder).iterdir())
        focus = []
        for path in files[:: max(1, len(files) // 20)]:
            with open_slide(path) as slide:
                regions = find_regions(slide, Scale(Mpp(um, um), "given"), SETTINGS)
                assert [tile.core for tile in regions.tiles] == [Box(0, 0, *slide.info.size)], path
                assert 0.1 * slide.info.size.width * slide.info.size.height * um * um < regions.film_mm2 * 1e6
            focus.append(regions.focus)
        assert min(focus) > SETTINGS.min_focus
        assert np.median(focus) > 0.7
