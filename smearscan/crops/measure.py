"""What a mask measures, in µm: figures that mean the same in every hospital."""

from __future__ import annotations

import math

import cv2
import numpy as np

from smearscan.records import CellMask

#: A lobe stands alone once the nucleus is eroded by this part of its largest inner radius.
_LOBE_DEPTH = 0.55
#: Shapes are measured at this, µm/px: finer pixels take nine times as long and tell the same.
_FINEST_UM = 0.13
#: Smaller remains than this are no lobes, µm².
_LEAST_LOBE_UM2 = 0.4

MEASURES = (
    "cell_diameter_um",
    "nucleus_diameter_um",
    "nucleus_to_cytoplasm",
    "nucleus_solidity",
    "nucleus_eccentricity",
    "n_lobes",
)


def measure_cell(mask: CellMask, um_per_px: float) -> dict[str, float]:
    """Measure one mask; every key of `MEASURES`, all 0 where there is nothing to measure.

    Parameters
    ----------
    um_per_px
        Scale of the mask's pixels.

    Returns
    -------
    dict
        `cell_diameter_um` and `nucleus_diameter_um` of the circle of equal area, µm; `nucleus_to_cytoplasm` as area
        of nucleus by area of the whole cell, 0 to 1; `nucleus_solidity` as area by area of the convex hull;
        `nucleus_eccentricity` of the ellipse of equal moments, 0 (round) to 1; `n_lobes`, pieces of the nucleus
        once its bridges are eroded away.
    """
    measures = dict.fromkeys(MEASURES, 0.0)
    measures["cell_diameter_um"] = 2 * math.sqrt(mask.area_um2 / math.pi)
    if mask.nucleus_area_um2 == 0:
        return measures
    measures["nucleus_diameter_um"] = 2 * math.sqrt(mask.nucleus_area_um2 / math.pi)
    measures["nucleus_to_cytoplasm"] = mask.nucleus_area_um2 / mask.area_um2
    step = max(1, round(_FINEST_UM / um_per_px))
    um_per_px *= step
    nucleus = _framed(np.ascontiguousarray(mask.nucleus[step // 2 :: step, step // 2 :: step]))
    if not nucleus.any():
        return measures
    measures["nucleus_solidity"] = _solidity(nucleus)
    measures["nucleus_eccentricity"] = _eccentricity(nucleus)
    measures["n_lobes"] = float(_count_lobes(nucleus, um_per_px))
    return measures


def _framed(mask: np.ndarray) -> np.ndarray:
    """The mask's bounding rectangle with a border of two, uint8: all that the measures need."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    inside = mask[y : y + height, x : x + width].view(np.uint8)
    return cv2.copyMakeBorder(inside, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)


def _solidity(mask: np.ndarray) -> float:
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(np.concatenate(outlines))
    # The hull runs through the middles of the outermost pixels: half a pixel all around is missing.
    area = cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1
    return min(1.0, cv2.countNonZero(mask) / area)


def _eccentricity(mask: np.ndarray) -> float:
    moments = cv2.moments(mask, binaryImage=True)
    spread, skew = (moments["mu20"] + moments["mu02"]) / 2, (moments["mu20"] - moments["mu02"]) / 2
    reach = math.hypot(skew, moments["mu11"])
    long, short = spread + reach, spread - reach
    return math.sqrt(max(0.0, 1 - short / long)) if long > 0 else 0.0


def _count_lobes(mask: np.ndarray, um_per_px: float) -> int:
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    _, cores = cv2.threshold(depth, _LOBE_DEPTH * float(depth.max()), 1, cv2.THRESH_BINARY)
    outlines, _ = cv2.findContours(cores.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = [cv2.contourArea(outline) * um_per_px**2 for outline in outlines]
    return max(1, sum(area >= _LEAST_LOBE_UM2 for area in areas))
