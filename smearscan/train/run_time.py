"""Pictures exactly as the judge makes them of a crop, from the cell table: what is measured is what will run."""

from __future__ import annotations

import numpy as np

from smearscan.crops.mask import make_mask
from smearscan.crops.prepare import CardInput, prepare_input
from smearscan.crops.whiten import whiten_cell
from smearscan.geometry import Box
from smearscan.models.cards import InputCard
from smearscan.records import Crop
from smearscan.train.cells import CellTable
from smearscan.train.windows import FINE_UM, WINDOW_PX


def run_time_pictures(table: CellTable, rows: np.ndarray, card: InputCard) -> np.ndarray:
    """Network pictures (N, S, S, 3) uint8 of rows of the table."""
    asked = CardInput.from_table(card.model_dump())
    box = Box(0, 0, WINDOW_PX, WINDOW_PX)
    out = np.empty((len(rows), card.side_px, card.side_px, 3), np.uint8)
    for i, row in enumerate(rows):
        mask = table.masks[row]
        crop = Crop(np.ascontiguousarray(table.windows[row]), box, FINE_UM, False)
        out[i] = prepare_input(crop, make_mask(mask > 0, mask == 2, FINE_UM), asked)
        if card.stain == "cell":
            out[i] = whiten_cell(out[i])
    return out
