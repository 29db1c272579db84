"""Tiles: a cell on a border, or on a corner of four tiles, is found once; never dropped, never doubled."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from drawn_film import draw_film
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.detect import create_detector, find_leukocytes, merge_detections
from smearscan.detect.base import FloatBox
from smearscan.geometry import Box, Mpp, Size
from smearscan.records import Scale, Tile
from smearscan.settings import DetectSettings

UM_PER_PX = 0.5
HALO_PX = 48
WIDTH, HEIGHT = 400, 300


class FilmSlide:
    """An image as a slide: white outside."""

    def __init__(self, rgb: np.ndarray) -> None:
        self._rgb = cv2.copyMakeBorder(rgb, 100, 100, 100, 100, cv2.BORDER_CONSTANT, value=(255, 255, 255))

    def read(self, box: Box, size: Size | None = None) -> np.ndarray:
        part = self._rgb[box.y + 100 : box.bottom + 100, box.x + 100 : box.right + 100]
        return part if size is None else cv2.resize(part, size, interpolation=cv2.INTER_AREA)


class Marker:
    """A stand-in detector that finds drawn squares and, like a network, places them a pixel off now and then."""

    name = "marker"

    def detect(self, rgb: np.ndarray, um_per_px: float) -> list[tuple[FloatBox, float]]:
        n, _, stats, _ = cv2.connectedComponentsWithStats((rgb[..., 0] < 128).astype(np.uint8))
        found = []
        for x, y, width, height, _ in stats[1:n].tolist():
            shift = 1.0 if (x + 3 * y + rgb.shape[1]) % 3 == 0 else 0.0
            found.append((FloatBox(x + shift, float(y), float(width), float(height)), 0.5 + width / 1000))
        return found


def _tiles(xs: list[int], ys: list[int]) -> list[Tile]:
    xs, ys = sorted({0, WIDTH, *xs}), sorted({0, HEIGHT, *ys})
    cores = [Box(x0, y0, x1 - x0, y1 - y0) for y0, y1 in pairwise(ys) for x0, x1 in pairwise(xs)]
    return [Tile(core, core.grown(HALO_PX)) for core in cores]


places = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 6)), unique=True, min_size=1, max_size=12)
cuts = st.lists(st.integers(1, 299), max_size=3)


@given(places, cuts, cuts, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_however_a_film_is_tiled_and_shared_out_each_cell_is_found_once(squares, xs, ys, random) -> None:
    film = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    for x, y in squares:
        film[42 * y + 8 : 42 * y + 36, 43 * x + 8 : 43 * x + 36] = 0
    slide, scale, knobs = FilmSlide(film), Scale(Mpp(UM_PER_PX, UM_PER_PX), "given"), DetectSettings()
    tiles = _tiles(xs, ys)
    random.shuffle(tiles)
    split = random.randrange(len(tiles) + 1)
    parts = [find_leukocytes(slide, part, scale, Marker(), knobs) for part in (tiles[:split], tiles[split:])]  # type: ignore[arg-type]
    merged = merge_detections([d for part in parts for d in part], knobs.merge_iou)
    assert len(merged) == len(squares)
    for x, y in squares:
        assert max(Box(43 * x + 8, 42 * y + 8, 28, 28).iou(d.box) for d in merged) > 0.8


@pytest.mark.parametrize("name", ["classical", "yolo"])
@pytest.mark.parametrize("offset_um", [-2.0, 0.0, 1.0, 5.0])
def test_a_leukocyte_on_the_corner_of_four_tiles_is_found_once(name: str, offset_um: float) -> None:
    cells = [(100.0, 75.0), (40.0, 40.0), (160.0, 110.0)]
    rgb, _ = draw_film(200, 150, cells, UM_PER_PX)
    cut = [round((100 + offset_um) / UM_PER_PX)], [round((75 - offset_um) / UM_PER_PX)]
    scale, knobs = Scale(Mpp(UM_PER_PX, UM_PER_PX), "given"), DetectSettings()
    detector = create_detector(name, knobs)
    parts = [find_leukocytes(FilmSlide(rgb), [tile], scale, detector, knobs) for tile in _tiles(*cut)]  # type: ignore[arg-type]
    merged = merge_detections([d for part in parts for d in part], knobs.merge_iou)
    assert len(merged) == 3
    centres = sorted((d.box.centre.x * UM_PER_PX, d.box.centre.y * UM_PER_PX) for d in merged)
    for (x, y), (true_x, true_y) in zip(centres, sorted(cells), strict=True):
        assert abs(x - true_x) < 2.5 and abs(y - true_y) < 2.5


def test_pixels_that_are_not_square_are_searched_as_they_lie_on_the_film() -> None:
    rgb, _ = draw_film(150, 100, [(60.0, 50.0)], 0.25)
    squeezed = cv2.resize(rgb, (300, 400), interpolation=cv2.INTER_AREA)  # 0.5 µm/px across, 0.25 down
    knobs = DetectSettings()
    tile = Tile(Box(0, 0, 300, 400), Box(0, 0, 300, 400))
    scale = Scale(Mpp(0.5, 0.25), "given")
    found = find_leukocytes(FilmSlide(squeezed), [tile], scale, create_detector("classical", knobs), knobs)  # type: ignore[arg-type]
    assert len(found) == 1
    assert found[0].box.iou(Box(108, 176, 24, 48)) > 0.5
