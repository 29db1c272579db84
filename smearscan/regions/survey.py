"""The survey of a scan: histograms of every tile at a few µm per pixel, read row by row.

Nothing is decided here. Histograms are kept instead of the image, so that a scan of any size needs the
memory of its tiles' statistics, and white, film and stain can be judged once the whole scan is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smearscan.geometry import Box, Mpp, Size
from smearscan.records import Tile
from smearscan.slide.base import Slide

#: Pixels as bright or as dark as this in all channels were not scanned, but filled in by the scanner.
_FILLED_WHITE, _FILLED_BLACK = 254, 3

#: Distance over which brightness is compared, µm: from a red cell into the gap beside it.
_CONTRAST_UM = 8.0

#: Values of the joint histogram are counted in steps of this: 32 for each channel.
JOINT_STEP = 8

#: Side of a block, µm: two red cells, so that in a monolayer a gap shows in nearly every one.
_BLOCK_UM = 16.0


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What the survey saw of each tile, in the order of `tiles`.

    Attributes
    ----------
    histograms : ndarray
        (tiles, 3, 256) int64, pixels by value for R, G, B; filled-in pixels are left out.
    joint : ndarray
        (tiles, 32, 32) int64, pixels by value of green and of blue, in steps of `JOINT_STEP`.
    contrast : ndarray
        (tiles, 256) int64, pairs of pixels 8 µm apart by their difference in green.
    brightest, darkest : ndarray
        (tiles, 256) int64, blocks of 16 µm by the largest and by the smallest green in them.
    n_px : ndarray
        (tiles,) int64, pixels of the tile, filled-in ones too.
    px_um2 : float
        Area of a survey pixel, µm².
    max_colour : int
        Largest difference between two channels of one pixel anywhere.
    """

    tiles: tuple[Tile, ...]
    histograms: np.ndarray
    joint: np.ndarray
    contrast: np.ndarray
    brightest: np.ndarray
    darkest: np.ndarray
    n_px: np.ndarray
    px_um2: float
    max_colour: int


def survey_slide(slide: Slide, rows: Sequence[Sequence[Tile]], mpp: Mpp, um_per_px: float) -> Survey:
    """Read the whole scan at `um_per_px` (or its own scale, if that is coarser), one row of tiles at a time."""
    um = max(um_per_px, mpp.x, mpp.y)
    seen = []
    for row in rows:
        first = row[0].core
        band = Box(0, first.y, slide.info.size.width, first.height)
        size = Size(max(1, round(band.width * mpp.x / um)), max(1, round(band.height * mpp.y / um)))
        pixels = slide.read(band, size)
        factor = size.width / band.width
        for tile in row:
            left, right = round(tile.core.x * factor), round(tile.core.right * factor)
            seen.append(_measure(pixels[:, left : max(right, left + 1)], um))
    *arrays, n_px, colour = zip(*seen, strict=True)
    tiles = tuple(tile for row in rows for tile in row)
    histograms, joint, contrast, brightest, darkest = (np.stack(array) for array in arrays)
    return Survey(
        tiles, histograms, joint, contrast, brightest, darkest, np.array(n_px), px_um2=um * um, max_colour=max(colour)
    )


def _measure(pixels: np.ndarray, um: float) -> tuple[Any, ...]:
    """One tile's row of a `Survey`, in the order of its fields."""
    red, green, blue = np.moveaxis(pixels, -1, 0)  # along the rows of three it would take several times as long
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    is_filled = (low >= _FILLED_WHITE) | (high <= _FILLED_BLACK)
    kept = pixels[~is_filled]
    histograms = np.stack([_histogram(kept[:, channel]) for channel in range(3)])
    pairs = kept[:, 1].astype(np.intp) // JOINT_STEP * 32 + kept[:, 2] // JOINT_STEP
    joint = np.bincount(pairs, minlength=32 * 32).reshape(32, 32)
    lag = max(1, round(_CONTRAST_UM / um))
    ahead, behind = green[:, lag:], green[:, :-lag]
    steps = (np.maximum(ahead, behind) - np.minimum(ahead, behind))[~(is_filled[:, lag:] | is_filled[:, :-lag])]
    blocks = _blocks(green, max(1, round(_BLOCK_UM / um)))
    brightest, darkest = _histogram(blocks.max(axis=(1, 3))), _histogram(blocks.min(axis=(1, 3)))
    return histograms, joint, _histogram(steps), brightest, darkest, high.size, int((high - low).max())


def _histogram(values: np.ndarray) -> np.ndarray:
    return np.bincount(values.ravel(), minlength=256)


def _blocks(channel: np.ndarray, side: int) -> np.ndarray:
    """Whole blocks of a channel, (rows, side, columns, side); what is left at the far edges is dropped."""
    rows, columns = channel.shape[0] // side, channel.shape[1] // side
    return channel[: rows * side, : columns * side].reshape(rows, side, columns, side)
