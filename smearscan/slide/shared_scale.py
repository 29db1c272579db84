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
#: Red cells of an image that is asked at all: one or two that look round and single are often neither.
LEAST_CELLS = 3
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


def least_cells(settings: ScaleSettings) -> int:
    """Red cells that must have been measured on all images together."""
    return LEAST_IMAGES * settings.min_red_cells


def share_scale(readings: Sequence[Reading], settings: ScaleSettings) -> SharedScale | None:
    """The scale that images of one size agree on; None where too few can be measured or they lie apart.

    An image weighs as many red cells as it shows, so that thirty close views of a few cells each do as well as four
    wide ones.
    """
    good = [reading for reading in readings if reading.n_red_cells >= LEAST_CELLS]
    counts = np.array([reading.n_red_cells for reading in good])
    if len(good) < LEAST_IMAGES or counts.sum() < least_cells(settings):
        return None
    logs = np.log([reading.mpp for reading in good])
    middle = _weighted_median(logs, counts)
    spread = 1.4826 * _weighted_median(np.abs(logs - middle), counts)
    if spread > _MOST_APART:
        return None
    error = math.hypot(spread, float(np.median([reading.relative_sd for reading in good])))
    return SharedScale(math.exp(middle), error / math.sqrt(len(good)), spread, len(good), int(counts.sum()))


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    passed = np.cumsum(weights[order])
    low, high = (np.searchsorted(passed, passed[-1] / 2, side=side) for side in ("left", "right"))
    return float(values[order[[low, min(high, len(values) - 1)]]].mean())
