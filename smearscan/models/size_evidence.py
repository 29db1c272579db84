"""What a cell's size alone says of blast or lymphocyte: the one feature that means the same in every laboratory.

A logistic curve over the diameter of the whole cell. Small lymphocytes are 8 to 11 µm across on a dried film,
lymphoblasts 11 to 16 µm. It is no classifier: monocytes and granulocytes are as large as blasts, and are told
apart by the networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class SizeEvidence:
    """How much size weighs beside the networks, and where the curve lies.

    Attributes
    ----------
    weight
        On the scale of the members' weights; 0 leaves size out.
    midpoint_um, spread_um
        Diameter at which size says nothing, and the scale of the logistic curve.
    """

    weight: float
    midpoint_um: float
    spread_um: float

    def probability(self, areas_um2: Sequence[float] | np.ndarray) -> np.ndarray:
        """(N,) float32, 0 to 1, of areas in µm²; one half where no cell was measured (area 0)."""
        areas = np.asarray(areas_um2, np.float64)
        diameters = 2 * np.sqrt(areas / np.pi)
        curve = 1 / (1 + np.exp(-(diameters - self.midpoint_um) / self.spread_um))
        return np.where(areas > 0, curve, 0.5).astype(np.float32)

    def mixed(self, blast: np.ndarray, total_weight: float, areas_um2: Sequence[float] | np.ndarray) -> np.ndarray:
        """The networks' weighted mean with size counted as one more member of `weight`; (N,) float32.

        Parameters
        ----------
        blast
            (N,) weighted mean of the networks' probabilities of blast.
        total_weight
            Sum of their weights.
        """
        if self.weight == 0:
            return blast
        whole = blast * total_weight + self.probability(areas_um2) * self.weight
        return np.asarray(whole / (total_weight + self.weight), np.float32)
