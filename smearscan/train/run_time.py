"""Pictures exactly as the judge makes them of a crop, from the cell table: what is measured is what will run."""

from __future__ import annotations

import numpy as np

from smearscan.crops.mask import make_mask
from smearscan.cut_cells import network_pictures
from smearscan.geometry import Box
from smearscan.models.cards import InputCard
from smearscan.records import Crop
from smearscan.train.cells import CellTable
from smearscan.train.windows import FINE_UM, WINDOW_PX

#: Cells held in memory at a time.
_AT_A_TIME = 256


def run_time_pictures(table: CellTable, rows: np.ndarray, card: InputCard) -> np.ndarray:
    """Network pictures (N, S, S, 3) uint8 of rows of the table."""
    out = np.empty((len(rows), card.side_px, card.side_px, 3), np.uint8)
    box = Box(0, 0, WINDOW_PX, WINDOW_PX)
    for first in range(0, len(rows), _AT_A_TIME):
        part = rows[first : first + _AT_A_TIME]
        crops = [Crop(np.ascontiguousarray(table.windows[row]), box, FINE_UM, False) for row in part]
        masks = [make_mask(table.masks[row] > 0, table.masks[row] == 2, FINE_UM) for row in part]
        (out[first : first + len(part)],) = network_pictures([card], crops, masks, name="the table").values()
    return out
