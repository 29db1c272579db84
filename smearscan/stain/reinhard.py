"""Reinhard's colour transfer in optical density: mean and spread of each channel brought to the reference.

Reinhard et al. 2001, doi:10.1109/38.946629, match mean and standard deviation in a decorrelated colour space over
all pixels. Here it is done channel by channel in optical density, over nuclei and the rest with equal weight
(`strata`), and glass is kept glass: below the paler stratum the line runs through the origin. The map
is one table of 256 values a channel, increasing, so that it is fast and never turns dark and light around.
"""

from __future__ import annotations

import numpy as np

from smearscan.stain.density import density_table
from smearscan.stain.reference import REFERENCE, WHITE, StainReference
from smearscan.stain.strata import StainStatistics

#: Least density of the knot between glass and the paler stratum.
_MIN_KNOT = 0.02


def reinhard_gains(found: StainStatistics, target: StainReference = REFERENCE) -> np.ndarray:
    """By how much each channel's density must be stretched: (3,) float64."""
    return np.array(target.sd) / np.maximum(found.sd, 1e-6)


def reinhard_table(found: StainStatistics, white: np.ndarray, target: StainReference = REFERENCE) -> np.ndarray:
    """The map of every value in every channel: (256, 3) uint8; 0 stays 0, so that a mask stays black."""
    density = density_table(white).astype(np.float64)
    gains = reinhard_gains(found, target)
    columns = []
    for c in range(3):
        knot = max(found.mean[c] - found.sd[c], _MIN_KNOT)
        knot_to = max(target.mean[c] - target.sd[c], _MIN_KNOT)
        line = knot_to + (density[:, c] - knot) * gains[c]
        columns.append(np.where(density[:, c] >= knot, line, density[:, c] * knot_to / knot))
    table = np.rint(WHITE * 10.0 ** -np.stack(columns, axis=1)).clip(0, 255).astype(np.uint8)
    table[0] = 0
    return table
