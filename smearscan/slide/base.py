"""What every reader offers: any rectangle of a slide at any size, without loading the slide."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np

from smearscan.geometry import Box, Size
from smearscan.records import SlideInfo

#: Pixels of one level decoded into one array at a time; larger requests are shrunk block by block,
#: so that a survey of a scan without pyramid needs no more memory than one of a field.
_MAX_BLOCK_PX = 16_000_000

#: A level counts as fine enough within this: level sizes are rounded to whole pixels.
_LEVEL_TOLERANCE = 1.01

#: An image that shrinks by less is interpolated: averaging areas takes eight times as long and gives nearly the same.
_INTERPOLATED_BELOW = 1.5

#: Outside a slide there is glass.
_GLASS = 255


class Slide(ABC):
    """A smear image opened for reading; a context manager, picklable by path.

    Attributes
    ----------
    info : SlideInfo
        Size, levels, scale: what is known without decoding.
    notes : tuple of str
        What the reader decided for this file (focal plane taken, scale ignored, bits scaled).
    pixels_decoded : int
        Pixels decoded so far, over all levels; for benchmarks.
    """

    info: SlideInfo
    notes: tuple[str, ...] = ()
    pixels_decoded: int = 0

    def read(self, box: Box, size: Size | None = None) -> np.ndarray:
        """Read a rectangle, resampled to a size.

        Parameters
        ----------
        box
            In level-0 pixels; may stick out of the slide, where it is filled with white.
        size
            Of the result in pixels; that of the box if left out. It is decoded from the smallest level
            that still has this resolution, then averaged down (area) or enlarged (cubic).

        Returns
        -------
        ndarray
            (height, width, 3) uint8 RGB.

        Raises
        ------
        UnreadableSlideError
            If the pixels are damaged.
        """
        size = size or Size(box.width, box.height)
        level = self._level_for(min(box.width / size.width, box.height / size.height))
        blocks = list(_blocks(box, size, self._downsample(level)))
        if len(blocks) == 1:
            return _resample(self._read_padded(level, blocks[0][1]), size)
        result = np.empty((size.height, size.width, 3), np.uint8)
        for out, source in blocks:
            pixels = self._read_padded(level, source)
            result[out.y : out.bottom, out.x : out.right] = _resample(pixels, Size(out.width, out.height))
        return result

    def thumbnail(self, max_side: int) -> np.ndarray:
        """The whole slide, its longer side at most `max_side` pixels; (H, W, 3) uint8 RGB."""
        width, height = self.info.size
        factor = max(1.0, max(width, height) / max_side)
        size = Size(max(1, round(width / factor)), max(1, round(height / factor)))
        return self.read(Box(0, 0, width, height), size)

    @abstractmethod
    def close(self) -> None:
        """Let go of the file and of decoded pixels."""

    @abstractmethod
    def _read_level(self, level: int, box: Box) -> np.ndarray:
        """Decode a box of level pixels that lies wholly inside the level; (H, W, 3) uint8 RGB."""

    def _downsample(self, level: int) -> tuple[float, float]:
        size, whole = self.info.levels[level], self.info.size
        return whole.width / size.width, whole.height / size.height

    def _level_for(self, factor: float) -> int:
        fine = [k for k in range(len(self.info.levels)) if max(self._downsample(k)) <= factor * _LEVEL_TOLERANCE]
        return max(fine, key=lambda k: self._downsample(k), default=0)

    def _read_padded(self, level: int, box: Box) -> np.ndarray:
        size = self.info.levels[level]
        inside = box.intersection(Box(0, 0, size.width, size.height))
        if inside == box:
            return self._read_level(level, box)
        canvas = np.full((box.height, box.width, 3), _GLASS, np.uint8)
        if inside is not None:
            y, x = inside.y - box.y, inside.x - box.x
            canvas[y : y + inside.height, x : x + inside.width] = self._read_level(level, inside)
        return canvas

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        # A worker process opens its own file handle.
        return type(self), (self.info.path,)


def _blocks(box: Box, size: Size, downsample: tuple[float, float]) -> Iterator[tuple[Box, Box]]:
    """Rectangles of the result with the level rectangles they come from; they partition both."""
    step_x, step_y = box.width / size.width / downsample[0], box.height / size.height / downsample[1]
    side = _MAX_BLOCK_PX**0.5
    whole = size.width * step_x * size.height * step_y <= _MAX_BLOCK_PX
    width = size.width if whole else max(1, int(side / step_x))
    height = size.height if whole else max(1, int(side / step_y))
    for y in range(0, size.height, height):
        for x in range(0, size.width, width):
            out = Box(x, y, min(width, size.width - x), min(height, size.height - y))
            left, right = (round(box.x / downsample[0] + edge * step_x) for edge in (out.x, out.right))
            top, bottom = (round(box.y / downsample[1] + edge * step_y) for edge in (out.y, out.bottom))
            yield out, Box(left, top, max(1, right - left), max(1, bottom - top))


def _resample(pixels: np.ndarray, size: Size) -> np.ndarray:
    height, width = pixels.shape[:2]
    if (width, height) == tuple(size):
        return np.ascontiguousarray(pixels)
    import cv2

    if width < size.width or height < size.height:
        return cv2.resize(pixels, tuple(size), interpolation=cv2.INTER_CUBIC)
    # INTER_AREA averages every source pixel: no aliasing of red-cell rims into false texture. By whole factors it is
    # several times faster, so that the rest of the factor, below one and a half, is interpolated, where neighbours get
    # nearly the weights of their areas: on fields the result is the same to a fifth of a grey level on average, on the
    # levels of a sharp scan to two thirds.
    columns, rows = width // size.width, height // size.height
    whole = (columns * size.width, rows * size.height)
    is_little = max(width / whole[0], height / whole[1]) < _INTERPOLATED_BELOW
    if whole != (width, height) and is_little:
        pixels = cv2.resize(pixels, whole, interpolation=cv2.INTER_LINEAR)
    if pixels.shape[1::-1] == tuple(size):
        return pixels
    return cv2.resize(pixels, tuple(size), interpolation=cv2.INTER_AREA)
