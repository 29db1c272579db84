"""Slides drawn from two stains in known amounts before a known white."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from stain_slides import draw


@pytest.fixture
def draw_slide() -> Callable[..., np.ndarray]:
    """draw_slide(strength=0.7, white=(255, 255, 200), nuclear_share=0.3): pixels of one slide."""
    return draw
