"""Find leukocytes on an image whose scale nobody knows: try several, keep the one that makes most sense."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from smearscan.detect.base import Detector, FloatBox

#: Scales tried where nothing is known, µm/px: every camera on every objective from 10× to 100×.
_SCALES = tuple(0.04 * 1.3**step for step in range(13))
#: Diameter of the usual leukocyte on a dried film, µm, and the spread of its logarithm over kinds.
_USUAL_UM, _LOG_SD = 13.0, 0.30
#: A score from which on a detection speaks for the scale it was made at.
_DOUBTFUL = 0.6


def detect_image(
    rgb: np.ndarray, detector: Detector, um_per_px: float | None = None, relative_sd: float = 0.0
) -> list[tuple[FloatBox, float]]:
    """Leukocytes of one image, whether or not its scale is known; it never refuses.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8 RGB.
    um_per_px
        Its scale, None where unknown.
    relative_sd
        How unsure that is. From 0.1 on other scales are tried as well; less takes it as it is.

    Returns
    -------
    Boxes in px of `rgb` with scores, sorted by top, then left. Of the scales tried it is that whose detections are
    surest and have the sizes of leukocytes; of equal ones the middle one.
    """
    if um_per_px is not None and relative_sd < 0.1:
        return detector.detect(rgb, um_per_px)
    tried = [(scale, detector.detect(rgb, scale)) for scale in _candidates(um_per_px, relative_sd)]
    return max(tried, key=lambda pair: plausibility(pair[1], pair[0]))[1]


def _candidates(um_per_px: float | None, relative_sd: float) -> Sequence[float]:
    if um_per_px is None:
        return _SCALES
    reach = min(2 * relative_sd, 0.7)
    # Few red cells may all be something else: the whole ladder is tried behind the scale they gave.
    return [*(um_per_px * math.exp(reach * step) for step in (0.0, -0.5, 0.5, -1.0, 1.0)), *_SCALES]


def plausibility(found: Sequence[tuple[FloatBox, float]], um_per_px: float) -> float:
    """Sum of what scores exceed `_DOUBTFUL` by, each weighed by how usual its size would be at this scale.

    What is doubtful counts against a scale: at a wrong one, red cells are found in numbers, none of them surely.
    """
    total = 0.0
    for box, score in found:
        diameter = math.sqrt(box.width * box.height) * um_per_px
        total += (score - _DOUBTFUL) * math.exp(-0.5 * (math.log(max(diameter, 0.1) / _USUAL_UM) / _LOG_SD) ** 2)
    return total
