"""Take the laboratory out of one masked cell: every channel of optical density centred, all scaled as one.

What is left of the colour is what differs inside the cell (nucleus against cytoplasm, granules against both); how
strongly and in which hue the whole cell is stained is gone. It needs no slide, so that a single cell image on black and
a cell of a scan are treated alike.
"""

from __future__ import annotations

import cv2
import numpy as np

#: Grey levels for one standard deviation of optical density; ±3 of them fit into a byte.
LEVELS_PER_SD = 40.0
#: Keeps an unstained, even cell from being blown up to noise, optical density.
LEAST_SD = 0.02
#: Channel value (0 to 255) from which a pixel belongs to the cell: the mask leaves exactly 0 outside.
_LIT = 8
#: Fewer pixels are no cell.
_LEAST_PX = 12

#: Optical density of each byte, (256, 1) float32.
_DENSITY = (-np.log10(np.maximum(np.arange(256), 1) / 255)).astype(np.float32)[:, None]


def whiten_cell(image: np.ndarray) -> np.ndarray:
    """Per-cell whitening in optical density.

    The outermost pixels, where cell and black were averaged into one, are left out: they would read as dense stain.

    Parameters
    ----------
    image
        (S, S, 3) uint8 RGB, prepared for a network, all but the cell black.

    Returns
    -------
    np.ndarray
        (S, S, 3) uint8: 0 outside the cell, else 128 + 40 standard deviations from the cell's mean, 8 to 248; all 0
        where there is no cell.
    """
    whitened, inside = np.zeros_like(image), _interior(image)
    if cv2.countNonZero(inside) < _LEAST_PX:
        return whitened
    x, y, width, height = cv2.boundingRect(inside)
    place = slice(y, y + height), slice(x, x + width)
    cell, inside = image[place], inside[place]
    centre, deviation = cv2.meanStdDev(cv2.LUT(cell, _DENSITY), mask=inside)
    spread = float(np.sqrt((deviation**2).mean())) + LEAST_SD
    # A pixel's new value depends on its old one alone: three tables serve all pixels.
    scaled = (_DENSITY - centre.T.astype(np.float32)) * np.float32(LEVELS_PER_SD / spread)
    table = (np.clip(scaled, -3 * LEVELS_PER_SD, 3 * LEVELS_PER_SD) + 128.5).astype(np.uint8)
    cv2.copyTo(cv2.LUT(cell, table[None]), inside, whitened[place])
    return whitened


def _interior(image: np.ndarray) -> np.ndarray:
    """(S, S) uint8, 255 inside the cell and off its rim."""
    lit = cv2.bitwise_not(cv2.inRange(image, (0, 0, 0), (_LIT - 1,) * 3))
    return cv2.erode(lit, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
