"""One scale for many pictures of cells that came without any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from smearscan import ready_made
from smearscan.common_scale import (
    LEAST_PICTURES,
    MEDIAN_CELL_UM,
    CommonScale,
    find_common_scales,
    scale_by_red_cells,
)
from smearscan.crops import readymade
from smearscan.crops.mask import CellSegmenter, load_segmenter
from smearscan.crops.readymade import ReadyMade
from smearscan.errors import SlideError
from smearscan.ready_made import make_pictures, read_picture
from smearscan.settings import ScaleSettings

#: Scale of the drawn fields, µm per pixel, and the width of the red cells on them, µm.
UM_PER_PX, RED_CELL_UM = 0.2, 7.2


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


def test_crops_of_a_known_scale_keep_it_beside_others_of_their_size(draw, unused) -> None:
    known = draw(450, [200] * LEAST_PICTURES, "known")
    others = draw(448, [100] * LEAST_PICTURES, "other")
    assert set(find_common_scales([*known, *others], unused)) == set(others)


@pytest.fixture
def draw_field(tmp_path: Path) -> Callable[..., Path]:
    """draw_field(9.0): a picture 34 µm wide, red cells around a leukocyte of this diameter."""

    def make(cell_um: float, name: str = "field", has_red_cells: bool = True) -> Path:
        rng = np.random.default_rng(round(10 * cell_um))
        image = np.full((170, 170, 3), (226, 232, 238), np.uint8)
        for x, y in ((28, 30), (85, 24), (140, 34), (26, 88), (146, 95), (34, 142), (90, 148), (143, 147)):
            if has_red_cells:
                place = (x + int(rng.integers(-3, 4)), y + int(rng.integers(-3, 4)))
                cv2.circle(image, place, round(RED_CELL_UM / 2 / UM_PER_PX), (160, 168, 214), -1, cv2.LINE_AA)
        cv2.circle(image, (85, 85), round(cell_um / 2 / UM_PER_PX), (214, 172, 176), -1, cv2.LINE_AA)
        cv2.circle(image, (85, 85), round(cell_um / 2.5 / UM_PER_PX), (142, 52, 92), -1, cv2.LINE_AA)
        noisy = cv2.GaussianBlur(image, (0, 0), 0.7) + rng.normal(0, 3, image.shape)
        path = tmp_path / f"{name}_{cell_um:g}.png"
        cv2.imwrite(str(path), noisy.clip(0, 255).astype(np.uint8))
        return path

    return make


@pytest.mark.parametrize("least_um", [8.8, 14.5])
def test_red_cells_around_the_cells_are_the_ruler_whatever_cells_a_folder_holds(draw_field, least_um: float) -> None:
    """A folder of lymphocytes is no folder of large cells seen from afar, one of monocytes none seen from near."""
    paths = [draw_field(least_um + 0.1 * i) for i in range(LEAST_PICTURES)]
    found = find_common_scales(paths, load_segmenter())
    assert set(found) == set(paths)
    scale = found[paths[0]]
    assert scale.um_per_px == pytest.approx(UM_PER_PX * 7.5 / RED_CELL_UM, rel=0.06)
    assert f"{scale.n_red_cells} red cells on pictures of this size are taken as 7.5 µm wide" in scale.note
    assert find_common_scales(paths[::-1], load_segmenter()) == found


def test_without_red_cells_the_median_cell_is_the_ruler(draw_field) -> None:
    paths = [draw_field(11.0 + 0.1 * i, has_red_cells=False) for i in range(LEAST_PICTURES)]
    scale = find_common_scales(paths, load_segmenter())[paths[0]]
    assert scale.n_red_cells == 0
    assert scale.um_per_px * 11.55 / UM_PER_PX == pytest.approx(MEDIAN_CELL_UM, rel=0.08)


def made(*paths: Path) -> list[ReadyMade | SlideError]:
    return make_pictures(read_picture(path, {}) for path in paths)


def test_a_picture_that_is_alone_is_measured_by_its_own_red_cells_and_says_so(draw_field) -> None:
    small, large = made(draw_field(9.0), draw_field(15.0))
    assert isinstance(small, ReadyMade) and isinstance(large, ReadyMade)
    assert large.mask.area_um2 / small.mask.area_um2 == pytest.approx((15 / 9) ** 2, rel=0.25)
    assert not small.has_scale and "red cells around it are taken as 7.5 µm wide" in small.notes[0]
    (bare,) = made(draw_field(9.0, "bare", has_red_cells=False))
    assert isinstance(bare, ReadyMade) and bare.notes == ("no scale: the cell is taken as 12 µm wide",)


def test_each_picture_keeps_its_place_whichever_are_measured_by_their_red_cells(draw_field, monkeypatch) -> None:
    """Between pictures without red cells; those whose red cells would make a giant of the cell are judged by it."""
    bare = [draw_field(11.0 + i, "bare", has_red_cells=False) for i in range(2)]
    paths = [bare[0], draw_field(9.0), bare[1], draw_field(15.0)]
    found = made(*paths)
    assert all(isinstance(one, ReadyMade) and one.mask.area_um2 > 0 for one in found)
    assert ["red cells around it" in one.notes[0] for one in found] == [False, True, False, True]
    assert found[3].mask.area_um2 > 2 * found[1].mask.area_um2
    assert [made(path)[0].mask.area_um2 for path in paths] == [one.mask.area_um2 for one in found]
    giants = CommonScale(2.0, 1, 8, 7.5)  # of 45 px and more: no leukocyte
    monkeypatch.setattr(ready_made, "scale_by_red_cells", lambda rgb, settings: giants)
    assert [one.notes[0] for one in made(*paths)] == ["no scale: the cell is taken as 12 µm wide"] * 4


def test_what_is_said_of_the_cells_is_not_overruled_by_red_cells(draw_field, monkeypatch) -> None:
    """Not even where no cell could be measured."""
    picture = read_picture(draw_field(12.0), {})
    monkeypatch.setattr(readymade, "measure_diameter_px", lambda rgb, segmenter: None)
    (told,) = make_pictures([picture], cell_um=12.0)
    assert told.notes[0] == "no cell to measure: taken as 29 µm wide"
    (untold,) = make_pictures([picture])
    assert "red cells around it" in untold.notes[0]


def test_red_cells_by_which_no_leukocyte_is_so_large_are_none(draw_field) -> None:
    rgb = cv2.imread(str(draw_field(12.0)))[..., ::-1].copy()
    scale = scale_by_red_cells(rgb, ScaleSettings())
    assert scale is not None
    assert scale.makes_a_leukocyte(12 / UM_PER_PX)
    assert not scale.makes_a_leukocyte(4 / UM_PER_PX)
    assert not scale.makes_a_leukocyte(30 / UM_PER_PX)
