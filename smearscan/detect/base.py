"""What every detector is: an image of known scale in, boxes with scores out."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np


class FloatBox(NamedTuple):
    """Left, top, width and height in px of the image searched, not rounded."""

    x: float
    y: float
    width: float
    height: float


class Detector(Protocol):
    """Finds leukocytes on one image."""

    name: str

    def detect(self, rgb: np.ndarray, um_per_px: float) -> list[tuple[FloatBox, float]]:
        """Boxes of whole leukocytes in px of `rgb`, (H, W, 3) uint8, with scores 0–1, sorted by top, then left."""
        ...


def resize_to_scale(rgb: np.ndarray, um_per_px: float, wanted: float) -> tuple[np.ndarray, tuple[float, float]]:
    """Resample an image to the scale a detector works at.

    Returns
    -------
    The image (H', W', 3) uint8 and what its px are wide and high in px of `rgb`.
    """
    import cv2

    height, width = rgb.shape[:2]
    factor = um_per_px / wanted
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size == (width, height):
        return rgb, (1.0, 1.0)
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(rgb, size, interpolation=method), (width / size[0], height / size[1])
