"""A whole picture made a network's input: what training and every later use of `takes = "image"` must share."""

from __future__ import annotations

import cv2
import numpy as np

from smearscan.models.cards import InputCard


def whole_image(rgb: np.ndarray, card: InputCard) -> np.ndarray:
    """The picture squeezed to the card's square, (S, S, 3) uint8 RGB, as the papers do.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8 RGB of any size. A picture that has the size already is handed back as it is.
    """
    side = card.side_px
    if rgb.shape[:2] == (side, side):
        return rgb
    # Averaging when shrinking: anything else aliases chromatin into noise that depends on the camera.
    method = cv2.INTER_AREA if min(rgb.shape[:2]) >= side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, (side, side), interpolation=method))
