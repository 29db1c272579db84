"""Cut the image of every detected cell: a square of a fixed size in µm on a fixed number of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from smearscan.geometry import Box, Point, Size
from smearscan.records import Crop, Detection, Scale, SlideInfo

#: C-NMC's window and picture: the size of every crop unless a card asks for another.
WINDOW_UM = 29.0
SIZE_PX = 450


class ReadsRegions(Protocol):
    """What the cutter needs of a slide."""

    @property
    def info(self) -> SlideInfo: ...

    def read(self, box: Box, size: Size | None = None) -> np.ndarray: ...


def crop_window(centre: Point, scale: Scale, window_um: float = WINDOW_UM) -> Box:
    """The level-0 pixels nearest to `window_um` × `window_um` around a point; not square where mpp.x ≠ mpp.y.

    Raises
    ------
    ValueError
        If the window is smaller than a pixel.
    """
    size = Size(round(window_um / scale.mpp.x), round(window_um / scale.mpp.y))
    if size.width < 1 or size.height < 1:
        raise ValueError(f"a window of {window_um} µm is smaller than a pixel of {scale.mpp.mean} µm")
    return Box.around(centre, size)


def sides_um(detections: Sequence[Detection], scale: Scale) -> list[float]:
    """Longer side of each detection's box, µm."""
    boxes = (detection.box for detection in detections)
    return [max(box.width * scale.mpp.x, box.height * scale.mpp.y) for box in boxes]


def cut_crops(
    slide: ReadsRegions,
    detections: Sequence[Detection],
    scale: Scale,
    window_um: float = WINDOW_UM,
    size_px: int = SIZE_PX,
) -> list[Crop]:
    """One crop for each detection, in their order, centred on its box.

    Parts of a window outside the slide are white, as `Slide.read` fills them, and the crop says `is_padded`.
    `um_per_px` is what the window, rounded to whole level-0 pixels, comes to (mean of x and y).

    Returns
    -------
    list of Crop
        Pixels (size_px, size_px, 3) uint8 RGB.
    """
    return [_cut(slide, detection.box.centre, scale, window_um, Size(size_px, size_px)) for detection in detections]


def _cut(slide: ReadsRegions, centre: Point, scale: Scale, window_um: float, size: Size) -> Crop:
    window = crop_window(centre, scale, window_um)
    pixels = slide.read(window, size)
    covered_um = (window.width * scale.mpp.x + window.height * scale.mpp.y) / 2
    return Crop(pixels, window, covered_um / size.width, _sticks_out(window, slide.info.size))


def _sticks_out(window: Box, slide: Size) -> bool:
    return window.x < 0 or window.y < 0 or window.right > slide.width or window.bottom > slide.height
