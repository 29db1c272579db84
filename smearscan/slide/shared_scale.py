"""One scale for images of one size that came together: most often one camera on one objective took them.

A single field shows a dozen red cells or fewer, and one patient's are larger than another's; the median over a handful
of fields is steadier than any of them. Where the fields disagree among themselves there is nothing to share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smearscan.records import SharedScale
from smearscan.settings import ScaleSettings

#: Images that must have been measured, and how far they may lie apart (relative, robust standard deviation).
LEAST_IMAGES = 4
_MOST_APART = 0.12
#: An image of its own scale is one this many standard deviations off.
_FAR = 3.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What the red cells of one image say: µm per pixel, its relative error by the measurement alone, cells."""

    mpp: float
    relative_sd: float
    n_red_cells: int


def agrees(shared: SharedScale, own: Reading, settings: ScaleSettings) -> bool:
    """Whether an image's own reading is one of those that share a scale, as far as one can tell."""
    error = math.hypot(math.hypot(own.relative_sd, shared.spread), settings.between_patient_sd)
    return abs(math.log(own.mpp / shared.mpp)) <= _FAR * error


def share_scale(readings: Sequence[Reading], settings: ScaleSettings) -> SharedScale | None:
    """The scale that images of one size agree on; None where too few can be measured or they lie apart."""
    good = [reading for reading in readings if reading.n_red_cells >= settings.min_red_cells]
    if len(good) < LEAST_IMAGES:
        return None
    logs = np.log([reading.mpp for reading in good])
    middle = float(np.median(logs))
    spread = 1.4826 * float(np.median(np.abs(logs - middle)))
    if spread > _MOST_APART:
        return None
    error = math.hypot(spread, float(np.median([reading.relative_sd for reading in good])))
    n_cells = sum(reading.n_red_cells for reading in good)
    return SharedScale(math.exp(middle), error / math.sqrt(len(good)), spread, len(good), n_cells)
