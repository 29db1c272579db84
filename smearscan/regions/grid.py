"""The grid of tiles: cores partition the image, halos overlap so that no cell is cut."""

from __future__ import annotations

from itertools import pairwise

from smearscan.geometry import Box, Mpp, Size
from smearscan.records import Tile


def make_grid(size: Size, mpp: Mpp, tile_um: float, halo_um: float) -> list[list[Tile]]:
    """Rows of tiles, top to bottom and left to right.

    Parameters
    ----------
    size
        Of the image, level-0 pixels.
    tile_um
        Wanted side of a core in µm. The image is cut into equal cores as near to it as whole numbers
        allow, so that none is a sliver; an image no larger than 1.5 tiles is one tile.
    halo_um
        Added on each side, in µm, and clipped to the image.
    """
    columns = _edges(size.width, mpp.x, tile_um)
    rows = _edges(size.height, mpp.y, tile_um)
    margin = (round(halo_um / mpp.x), round(halo_um / mpp.y))
    return [
        [_tile(Box(left, top, right - left, bottom - top), margin, size) for left, right in columns]
        for top, bottom in rows
    ]


def _edges(length: int, um_per_px: float, tile_um: float) -> list[tuple[int, int]]:
    n = max(1, min(length, round(length * um_per_px / tile_um)))
    edges = [round(i * length / n) for i in range(n + 1)]
    return list(pairwise(edges))


def _tile(core: Box, margin: tuple[int, int], size: Size) -> Tile:
    left, top = max(0, core.x - margin[0]), max(0, core.y - margin[1])
    right, bottom = min(size.width, core.right + margin[0]), min(size.height, core.bottom + margin[1])
    return Tile(core, Box(left, top, right - left, bottom - top))
