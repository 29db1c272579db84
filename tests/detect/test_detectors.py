"""Both detectors on drawn films: every leukocyte once, at any scale; nothing where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_film import draw_film

from smearscan.detect import create_detector, detect_image
from smearscan.geometry import Box
from smearscan.settings import DetectSettings

CELLS_UM = [(30.0, 30.0), (80.0, 34.0), (52.0, 74.0), (94.0, 92.0), (107.0, 94.0)]
DETECTORS = ("classical", "yolo")


def _best_iou(boxes: np.ndarray, found) -> list[float]:
    def as_box(left: float, top: float, width: float, height: float) -> Box:
        return Box(round(left * 10), round(top * 10), round(width * 10), round(height * 10))

    return [
        max((as_box(x0, y0, x1 - x0, y1 - y0).iou(as_box(*box)) for box, _ in found), default=0.0)
        for x0, y0, x1, y1 in boxes
    ]


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("um_per_px", [0.11, 0.25, 0.5])
def test_every_leukocyte_is_found_once_at_any_scale(name: str, um_per_px: float) -> None:
    rgb, boxes = draw_film(130, 120, CELLS_UM, um_per_px)
    found = create_detector(name, DetectSettings()).detect(rgb, um_per_px)
    assert len(found) == len(boxes)
    assert min(_best_iou(boxes, found)) > 0.5
    assert all(0 <= score <= 1 for _, score in found)


@pytest.mark.parametrize("name", DETECTORS)
def test_red_cells_alone_are_no_leukocytes(name: str) -> None:
    rgb, _ = draw_film(120, 120, [], 0.4)
    assert create_detector(name, DetectSettings()).detect(rgb, 0.4) == []


def test_the_black_around_an_eyepiece_s_disc_holds_no_leukocyte_and_hides_none() -> None:
    rgb, boxes = draw_film(130, 120, [(60.0, 55.0), (80.0, 75.0)], 0.25)
    height, width = rgb.shape[:2]
    v, u = np.mgrid[:height, :width]
    rgb[np.hypot(v - height / 2, u - width / 2) > min(height, width) / 2] = 0
    found = create_detector("yolo", DetectSettings()).detect(rgb, 0.25)
    assert len(found) == len(boxes)
    assert min(_best_iou(boxes, found)) > 0.5


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_even_image_holds_nothing(name: str, value: int) -> None:
    assert create_detector(name, DetectSettings()).detect(np.full((90, 120, 3), value, np.uint8), 0.5) == []


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (3, 2, 3)])
def test_an_image_too_small_for_a_cell_is_searched_without_complaint(name: str, shape: tuple[int, ...]) -> None:
    assert create_detector(name, DetectSettings()).detect(np.full(shape, 200, np.uint8), 0.3) == []


@pytest.mark.parametrize("name", DETECTORS)
def test_the_same_image_gives_the_same_boxes(name: str) -> None:
    rgb, _ = draw_film(130, 120, CELLS_UM, 0.5)
    detector = create_detector(name, DetectSettings())
    first = detector.detect(rgb, 0.5)
    detector.detect(rgb[:70, :90], 0.5)  # something of another shape in between
    assert detector.detect(rgb, 0.5) == first


@pytest.mark.parametrize("name", DETECTORS)
def test_an_image_without_a_scale_is_searched_at_several(name: str) -> None:
    cells = [(20.0, 22.0), (52.0, 30.0), (33.0, 60.0)]
    rgb, boxes = draw_film(75, 75, cells, 0.2)
    found = detect_image(rgb, create_detector(name, DetectSettings()))
    assert sum(iou > 0.5 for iou in _best_iou(boxes, found)) == 3
    assert len(found) <= 4


def test_an_image_larger_than_the_network_s_window_gives_each_cell_once() -> None:
    cells = [(float(x), float(y)) for y in (25, 110) for x in range(20, 780, 45)]
    rgb, boxes = draw_film(800, 140, cells, 0.5)
    found = create_detector("yolo", DetectSettings()).detect(rgb, 0.5)
    assert len(found) == len(boxes)
    assert min(_best_iou(boxes, found)) > 0.5


def test_a_detector_is_loaded_once() -> None:
    assert create_detector("yolo", DetectSettings()) is create_detector("yolo", DetectSettings())
