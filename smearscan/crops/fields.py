"""Windows of a whole field around cells: what a network that takes images, not cells, is shown."""

from __future__ import annotations

from collections.abc import Sequence

from smearscan.geometry import Box, Point, Size
from smearscan.records import Scale

#: Centres nearer than this share of a window show the same field.
_APART = 0.7
#: An image up to this many windows wide and high is a field that a person chose: it is taken as a whole.
_WHOLE = 1.5


def field_windows(centres: Sequence[Point], image: Size, scale: Scale, window_um: float, limit: int) -> list[Box]:
    """Windows around cells, in their order, those of one field once.

    Parameters
    ----------
    centres
        Of the cells, level-0 pixels; the first are the ones that matter most.
    image
        Of the scan or field they lie on.
    scale
        Its µm per pixel.
    window_um
        Side of a window, µm.
    limit
        Windows at most.

    Returns
    -------
    list of Box
        Inside the image, moved where a cell lies near its edge; the image itself where it is hardly larger.
    """
    width, height = max(1, round(window_um / scale.mpp.x)), max(1, round(window_um / scale.mpp.y))
    if image.width <= _WHOLE * width and image.height <= _WHOLE * height:
        return [Box(0, 0, image.width, image.height)][: limit if centres else 0]
    size = Size(min(width, image.width), min(height, image.height))
    out: list[Box] = []
    for centre in centres:
        box = _inside(Box.around(centre, size), image)
        if len(out) < limit and not any(_is_near(box, other) for other in out):
            out.append(box)
    return out


def _inside(box: Box, image: Size) -> Box:
    x = min(max(0, box.x), image.width - box.width)
    y = min(max(0, box.y), image.height - box.height)
    return Box(x, y, box.width, box.height)


def _is_near(box: Box, other: Box) -> bool:
    return abs(box.x - other.x) < _APART * box.width and abs(box.y - other.y) < _APART * box.height
