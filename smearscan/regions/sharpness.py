"""Which tiles are out of focus: judged on a sample, and wherever the sample is blurred on all around it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from smearscan.geometry import Box, Mpp, Point, Size
from smearscan.records import Tile
from smearscan.slide.base import Slide
from smearscan.slide.focus import judge_focus

#: Scale at which tiles are read for it, µm/px, and the side of the part that is read, µm.
_UM_PER_PX = 0.5
_WINDOW_UM = 128.0

#: With less film than this the middle of a tile may be glass: all of it is read.
_SPARSE_FILM = 0.3

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sharpness:
    """`focus` is the median of the sample, 0 to 1; `blurred` are the places of tiles to leave out."""

    focus: float
    blurred: frozenset[Place]


def grade_tiles(
    slide: Slide, tiles: Mapping[Place, tuple[Tile, float]], mpp: Mpp, n_samples: int, min_focus: float
) -> Sharpness:
    """Judge focus on evenly spread tiles, then spread from the blurred ones to their neighbours.

    A slide that is blurred as a whole (more than half of the sample) keeps its tiles: its low focus says
    so, and makes the patient's number insufficient; a searched slide tells more than an empty row.

    Parameters
    ----------
    tiles
        Tile and film fraction by (row, column) in the grid.
    """
    places = sorted(tiles)
    sample = places[:: max(1, -(-len(places) // n_samples))]
    judged = {place: judge_tile(slide, *tiles[place], mpp) for place in sample}
    scores = [score for score in judged.values() if score is not None]
    if not scores:
        return Sharpness(0.0, frozenset())
    focus = float(np.median(scores))
    if focus < min_focus:
        return Sharpness(focus, frozenset())
    queue = deque(place for place, score in judged.items() if score is not None and score < min_focus)
    blurred = set(queue)
    while queue:
        for place in _around(queue.popleft()):
            if place not in tiles or place in judged:
                continue
            judged[place] = score = judge_tile(slide, *tiles[place], mpp)
            if score is not None and score < min_focus:
                blurred.add(place)
                queue.append(place)
    return Sharpness(focus, frozenset(blurred))


def judge_tile(slide: Slide, tile: Tile, film_fraction: float, mpp: Mpp) -> float | None:
    """Focus of a tile's middle, 0 to 1; None where there is nothing to judge it by."""
    core = tile.core
    if film_fraction >= _SPARSE_FILM:
        side = Size(min(core.width, round(_WINDOW_UM / mpp.x)), min(core.height, round(_WINDOW_UM / mpp.y)))
        core = Box.around(Point(*core.centre), side)
    um = max(_UM_PER_PX, mpp.mean)
    size = Size(max(1, round(core.width * mpp.x / um)), max(1, round(core.height * mpp.y / um)))
    return judge_focus(slide.read(core, size), um)


def _around(place: Place) -> list[Place]:
    row, column = place
    return [(row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
