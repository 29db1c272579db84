"""The survey of a scan: histograms of every tile at a few µm per pixel, read row by row.

Nothing is decided here. Histograms are kept instead of the image, so that a scan of any size needs the
memory of its tiles' statistics, and white, film and stain can be judged once the whole scan is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smearscan.geometry import Box, Mpp, Size
from smearscan.records import Tile
from smearscan.slide.base import Slide

#: Pixels as bright or as dark as this in all channels were not scanned, but filled in by the scanner.
_FILLED_WHITE, _FILLED_BLACK = 254, 3

#: Distance over which brightness is compared, µm: from a red cell into the gap beside it.
_CONTRAST_UM = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What the survey saw of each tile, in the order of `tiles`.

    Attributes
    ----------
    histograms : ndarray
        (tiles, 3, 256) int64, pixels by value for R, G, B; filled-in pixels are left out.
    contrast : ndarray
        (tiles, 256) int64, pairs of pixels 8 µm apart by their difference in green.
    n_px : ndarray
        (tiles,) int64, pixels of the tile, filled-in ones too.
    px_um2 : float
        Area of a survey pixel, µm².
    max_colour : int
        Largest difference between two channels of one pixel anywhere.
    """

    tiles: tuple[Tile, ...]
    histograms: np.ndarray
    contrast: np.ndarray
    n_px: np.ndarray
    px_um2: float
    max_colour: int


def survey_slide(slide: Slide, rows: Sequence[Sequence[Tile]], mpp: Mpp, um_per_px: float) -> Survey:
    """Read the whole scan at `um_per_px` (or its own scale, if that is coarser), one row of tiles at a time."""
    um = max(um_per_px, mpp.x, mpp.y)
    lag = max(1, round(_CONTRAST_UM / um))
    seen = []
    for row in rows:
        first = row[0].core
        band = Box(0, first.y, slide.info.size.width, first.height)
        size = Size(max(1, round(band.width * mpp.x / um)), max(1, round(band.height * mpp.y / um)))
        pixels = slide.read(band, size)
        factor = size.width / band.width
        for tile in row:
            left, right = round(tile.core.x * factor), round(tile.core.right * factor)
            seen.append(_measure(pixels[:, left : max(right, left + 1)], lag))
    histograms, contrast, n_px, colour = zip(*seen, strict=True)
    tiles = tuple(tile for row in rows for tile in row)
    return Survey(tiles, np.stack(histograms), np.stack(contrast), np.array(n_px), um * um, max(colour))


def _measure(pixels: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray, int, int]:
    brightest, darkest = pixels.max(axis=2), pixels.min(axis=2)
    is_filled = (darkest >= _FILLED_WHITE) | (brightest <= _FILLED_BLACK)
    kept = pixels[~is_filled]
    histograms = np.stack([np.bincount(kept[:, channel], minlength=256) for channel in range(3)])
    green = pixels[..., 1].astype(np.int16)
    steps = np.abs(green[:, lag:] - green[:, :-lag])[~(is_filled[:, lag:] | is_filled[:, :-lag])]
    colour = int((brightest - darkest).max())
    return histograms, np.bincount(steps, minlength=256), brightest.size, colour
