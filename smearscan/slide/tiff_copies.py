"""Whether a page of a TIFF shows what a larger one shows: a level that is not marked as one, or another image."""

from __future__ import annotations

import numpy as np

from smearscan.errors import SlideError
from smearscan.geometry import Box, Size
from smearscan.slide.tiff_page import TiffPage, segments, slices

#: Pixels that the sides of a level may lack or have too many: each halving rounds.
_ROUNDED_PX = 2
#: Segments of the larger page looked at, and of these the number compared, those with most to see.
_N_LOOKED_AT, _N_COMPARED = 9, 3
#: Side to which both are shrunk: half a pixel more or less, and how it was averaged, then make no difference.
_SIDE_PX = 32
#: Grey levels by which what is compared must vary to say anything; blank glass is like any other.
_LEAST_SPREAD = 4.0
#: Correlation of two pages that show the same, at least; of two fields it is near 0, of a picture and its copy near 1.
_SAME = 0.5


def is_shrunken(page: TiffPage, whole: TiffPage) -> bool:
    """Whether a page is a smaller copy of another one: by its shape, then by a few pieces of both.

    A page that cannot be read is none; one whose pieces are blank is taken for one if its shape is right.
    """
    if not _has_shape(page.size, whole.size):
        return False
    try:
        pairs = [(_small(whole, box), _small(page, _scaled(box, whole.size, page.size))) for box in _structured(whole)]
    except SlideError:
        return False
    first, second = (np.concatenate([pair[k].ravel() for pair in pairs]) for k in (0, 1))
    if first.std() < _LEAST_SPREAD and second.std() < _LEAST_SPREAD:
        return True
    spread = first.std() * second.std()
    return bool(spread > 0 and ((first - first.mean()) * (second - second.mean())).mean() >= _SAME * spread)


def _has_shape(size: Size, whole: Size) -> bool:
    factor = max(whole.width / size.width, whole.height / size.height)
    other = min(whole.width / size.width, whole.height / size.height)
    return min(abs(whole.width / f - size.width) + abs(whole.height / f - size.height) for f in (factor, other)) <= (
        _ROUNDED_PX
    )


def _structured(page: TiffPage) -> list[Box]:
    rows, columns = page.grid
    # From the middle of equal shares: the corners of a scan are glass.
    n = min(_N_LOOKED_AT, rows * columns)
    places = [divmod((2 * k + 1) * rows * columns // (2 * n), columns) for k in range(n)]
    best = sorted(places, key=lambda place: (-float(page.decode(*place).std()), place))[:_N_COMPARED]
    return [page.box(*place) for place in best]


def _scaled(box: Box, whole: Size, size: Size) -> Box:
    x, right = (round(edge * size.width / whole.width) for edge in (box.x, box.right))
    y, bottom = (round(edge * size.height / whole.height) for edge in (box.y, box.bottom))
    x, y = min(x, size.width - 1), min(y, size.height - 1)
    return Box(x, y, max(1, right - x), max(1, bottom - y))


def _small(page: TiffPage, box: Box) -> np.ndarray:
    """Green of a part of a page, (32, 32) float32."""
    import cv2

    green = np.empty((box.height, box.width), np.uint8)
    for row, column in segments(page, box):
        where = page.box(row, column)
        part = where.intersection(box)
        if part is not None:
            green[slices(part, box)] = page.decode(row, column)[slices(part, where)][..., 1]
    return cv2.resize(green.astype(np.float32), (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
