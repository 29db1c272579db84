"""Red cells around single cells as a ruler: one picture shows a few, many pictures of one microscope show enough."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from smearscan.slide.ruler import RedCellMeasure, cells_at_best_zoom, pooled

#: Red cells that are plenty: what is known no better by more.
_PLENTY = 60


def measure_red_cells_around(pictures: Iterable[np.ndarray]) -> RedCellMeasure | None:
    """Median diameter of the red cells on pictures of one scale; None where there is nothing round at all.

    Pictures are taken from the first on until plenty of red cells were seen.

    Parameters
    ----------
    pictures
        (H, W, 3) uint8 RGB each, a leukocyte with what lies around it.
    """
    found, n_cells = [], 0
    for rgb in pictures:
        cells = cells_at_best_zoom(rgb)
        found.append(cells)
        n_cells += len(cells)
        if n_cells >= _PLENTY:
            break
    return pooled(found)
