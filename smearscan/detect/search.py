"""Search the tiles of a slide: each read at the detector's own scale, each cell claimed by one tile."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

from smearscan.detect.base import Detector, FloatBox
from smearscan.detect.boxes import whole_box
from smearscan.geometry import Point, Size
from smearscan.records import Detection, Scale, Tile
from smearscan.settings import DetectSettings
from smearscan.slide.base import Slide

#: A centre this far outside the core is still claimed, µm: two tiles place a cell a little differently, so one
#: on the border would else be claimed by neither. Claimed by both it is merged.
_SLACK_UM = 3.0


@lru_cache(maxsize=2)
def create_detector(name: Literal["yolo", "classical"], settings: DetectSettings) -> Detector:
    """A detector by name, loaded once a process.

    Raises
    ------
    WeightsError
        If its weights are absent or altered.
    """
    if name == "classical":
        from smearscan.detect.classical import ClassicalDetector

        return ClassicalDetector(settings.um_per_px, settings.min_score)
    from smearscan.detect.yolo import YoloDetector

    return YoloDetector(settings.um_per_px, settings.min_score)


def find_leukocytes(
    slide: Slide, tiles: Sequence[Tile], scale: Scale, detector: Detector, settings: DetectSettings
) -> list[Detection]:
    """Leukocytes whose centre lies in the core of one of these tiles, or just beside it, in level-0 pixels.

    A tile is read with its halo, so that a cell on a border is seen whole. What is found there by two tiles,
    of one chunk or of two, `merge_detections` makes one.

    Raises
    ------
    UnreadableSlideError
        If a tile's pixels are damaged.
    """
    found = []
    for tile in tiles:
        claimed = tile.core.grown(max(1, round(_SLACK_UM / scale.mpp.mean)))
        pixels, per_px = _read(slide, tile, scale, settings.um_per_px)
        for box, score in detector.detect(pixels, settings.um_per_px):
            placed = FloatBox(
                tile.halo.x + box.x * per_px[0],
                tile.halo.y + box.y * per_px[1],
                box.width * per_px[0],
                box.height * per_px[1],
            )
            if claimed.contains(Point(placed.x + placed.width / 2, placed.y + placed.height / 2)):
                right, bottom = placed.x + placed.width, placed.y + placed.height
                found.append(Detection(whole_box(placed.x, placed.y, right, bottom), score))
    return found


def _read(slide: Slide, tile: Tile, scale: Scale, um_per_px: float) -> tuple[np.ndarray, tuple[float, float]]:
    """A tile with its halo at the detector's scale, and what its pixels are in level-0 pixels."""
    width, height = tile.halo.width * scale.mpp.x / um_per_px, tile.halo.height * scale.mpp.y / um_per_px
    size = Size(max(1, round(width)), max(1, round(height)))
    return slide.read(tile.halo, size), (tile.halo.width / size.width, tile.halo.height / size.height)
