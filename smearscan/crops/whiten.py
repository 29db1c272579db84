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

_DENSITY = (-np.log10(np.maximum(np.arange(256), 1) / 255)).astype(np.float32)


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
    inside = _interior(image)
    n_px = np.count_nonzero(inside)
    if n_px < _LEAST_PX:
        return np.zeros_like(image)
    density = _DENSITY[image]
    within = density[inside]
    centre = within.mean(axis=0)
    spread = float(np.sqrt(((within - centre) ** 2).mean())) + LEAST_SD
    scaled = np.clip((density - centre) * (LEVELS_PER_SD / spread), -3 * LEVELS_PER_SD, 3 * LEVELS_PER_SD) + 128.5
    return np.where(inside[..., None], scaled, 0).astype(np.uint8)


def _interior(image: np.ndarray) -> np.ndarray:
    lit = (image.max(axis=2) >= _LIT).astype(np.uint8)
    return cv2.erode(lit, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
