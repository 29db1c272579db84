"""Pictures of cells on black, stored without the black: a third of the bytes to check, to write and to send."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class PackedPictures:
    """The rectangles of pictures that are not black, behind one another.

    Attributes
    ----------
    pixels
        (M, 3) uint8 RGB, row by row.
    rectangles
        (N, 4) int32: top, bottom, left, right of each picture's; four times 0 where all is black.
    side_px
        Side of the pictures.
    """

    pixels: np.ndarray
    rectangles: np.ndarray
    side_px: int


def pack(pictures: np.ndarray) -> PackedPictures:
    """(N, S, S, 3) uint8 without the black around; a picture on no black is kept whole."""
    side = pictures.shape[1]
    rectangles = [_lit(picture) for picture in pictures]
    places = zip(pictures, rectangles, strict=True)
    parts = [picture[top:bottom, left:right].reshape(-1, 3) for picture, (top, bottom, left, right) in places]
    whole = np.concatenate([np.zeros((0, 3), np.uint8), *parts])
    return PackedPictures(whole, np.array(rectangles, np.int32).reshape(-1, 4), side)


def unpack(packed: PackedPictures) -> np.ndarray:
    """The pictures that were packed, (N, S, S, 3) uint8.

    Raises
    ------
    ValueError
        If the pixels are not those of the rectangles, or a rectangle sticks out.
    """
    if packed.rectangles.size and not 0 <= packed.rectangles.min() <= packed.rectangles.max() <= packed.side_px:
        raise ValueError(f"a rectangle sticks out of a picture of {packed.side_px} px")
    pictures = np.zeros((len(packed.rectangles), packed.side_px, packed.side_px, 3), np.uint8)
    first = 0
    for picture, (top, bottom, left, right) in zip(pictures, packed.rectangles.tolist(), strict=True):
        last = first + (bottom - top) * (right - left)
        picture[top:bottom, left:right] = packed.pixels[first:last].reshape(bottom - top, right - left, 3)
        first = last
    if first != len(packed.pixels):
        raise ValueError(f"{len(packed.pixels)} pixels for rectangles of {first}")
    return pictures


def _lit(picture: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what is not black in a (S, S, 3) picture."""
    # Its three channels side by side: a third of a column belongs to the whole one.
    x, y, width, height = cv2.boundingRect(picture.reshape(len(picture), -1))
    return y, y + height, x // 3, -(-(x + width) // 3)
