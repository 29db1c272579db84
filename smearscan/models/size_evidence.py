"""What a cell's size alone says of blast or lymphocyte: the one feature that means the same in every laboratory.

Log-odds that grow with the diameter of the whole cell. Small lymphocytes are 8 to 11 µm across on a dried film,
lymphoblasts 11 to 16 µm. It is no classifier: monocytes and granulocytes are as large as blasts, and are told
apart by the networks. So being small speaks against a blast more than being large speaks for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Smaller cells say no more than one this many spreads under the midpoint.
_FLOOR = -3.0


@dataclass(frozen=True, slots=True)
class SizeEvidence:
    """How much size weighs beside the networks, and where it turns.

    Attributes
    ----------
    weight
        On the scale of the members' weights; 0 leaves size out.
    midpoint_um, spread_um
        Diameter at which size says nothing, and diameters to one unit of log-odds.
    ceiling
        Larger cells say no more than one this many spreads above the midpoint.
    """

    weight: float
    midpoint_um: float
    spread_um: float
    ceiling: float = 1.0

    def log_odds(self, areas_um2: Sequence[float] | np.ndarray) -> np.ndarray:
        """(N,) float64, weighted, of areas in µm²; 0 where no cell was measured (area 0)."""
        areas = np.asarray(areas_um2, np.float64)
        diameters = 2 * np.sqrt(areas / np.pi)
        spreads = ((diameters - self.midpoint_um) / self.spread_um).clip(_FLOOR, self.ceiling)
        return np.where(areas > 0, self.weight * spreads, 0.0)
