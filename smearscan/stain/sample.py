"""Pixels of a slide that its stain is fitted on: stained ones, from tiles all over the film.

Every tile gives the same number of pixels at fixed places, so the same slide gives the same fit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from smearscan.stain.density import background_white, is_stained


@dataclass(frozen=True, slots=True, eq=False)
class StainSample:
    """What `fit_normaliser` asks for.

    Attributes
    ----------
    foreground
        (N, 3) uint8 RGB, stained pixels.
    background
        (3,) float64 RGB of the glass.
    """

    foreground: np.ndarray
    background: np.ndarray


def sample_stain(tiles: Iterable[np.ndarray], max_px: int = 500_000, px_per_tile: int = 20_000) -> StainSample:
    """Draw stained pixels and the white of the glass from images of one slide.

    Parameters
    ----------
    tiles
        (H, W, 3) uint8 RGB each, any size and number; read one at a time.
    max_px
        At most this many foreground pixels come back.
    px_per_tile
        Pixels looked at in each tile, evenly spaced.

    Returns
    -------
    StainSample
        Without tiles, or with nothing stained on them, its foreground is empty.
    """
    taken = [evenly(tile.reshape(-1, 3), px_per_tile) for tile in tiles]
    pixels = np.concatenate(taken) if taken else np.empty((0, 3), np.uint8)
    white = background_white(pixels)
    foreground = pixels[is_stained(pixels, white)]
    return StainSample(evenly(foreground, max_px), white)


def evenly(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many rows, evenly spaced, in their order.

    The step is a fraction, not a whole number that may fall in with a tile's width.
    """
    if len(rows) <= most:
        return rows
    return rows[(np.arange(most) * (len(rows) / most)).astype(np.int64)]
