"""Small TIFFs and fields drawn on the spot."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """(300, 420, 3) uint8: smooth in colour with a few hard edges, so that every pixel has its place."""
    y, x = np.mgrid[0:300, 0:420]
    image = np.stack([x * 255 // 419, y * 255 // 299, (x + y) % 256], axis=-1).astype(np.uint8)
    image[100:130, 200:260] = (90, 30, 140)
    return image
