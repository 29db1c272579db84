"""How likely a scale is, by the cells that a detector finds at it.

At an image's own scale leukocytes are found surely, at sizes that leukocytes have, and are found again at the scales
beside it. Where an image is enlarged too much, red cells take their place: more of them, none as sure, and each scale
finds others. What a cell says by its score and its size was fitted as a conditional logit model (McFadden 1974) by
`smearscan.train.scale_evidence`: sums are logarithms of likelihoods, and those of several images may be added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from smearscan.detect.base import FloatBox

Found = Sequence[tuple[FloatBox, float]]

#: The usual leukocyte on a dried film, µm, and the score that says nothing of a scale: less speaks against it.
_USUAL_UM, _DOUBTFUL = 13.0, 0.6
#: Sizes further off than this, natural logarithm, say no more than it.
_FAR = 1.2
#: Weights of u, u², x, x², ux, ux², where u is the score beyond `_DOUBTFUL` and x the logarithm of the size over
#: `_USUAL_UM`; `python -m smearscan.train.scale_evidence` prints them.
WEIGHTS = (4.12, 8.57, -0.5, -3.14, 3.52, -3.3)
#: Boxes at two scales that overlap more are one cell.
_SAME_IOU = 0.5


def again(found: Found, beside: Found) -> np.ndarray:
    """Score with which each of `found` is found at another scale, (N,) float64; 0 where it is not."""
    if not found or not beside:
        return np.zeros(len(found))
    one, other = _corners(found), _corners(beside)
    low, high = np.maximum(one[:, None, :2], other[None, :, :2]), np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(2)
    area, other_area = ((c[:, 2:] - c[:, :2]).prod(1) for c in (one, other))
    iou = common / np.maximum(area[:, None] + other_area - common, 1e-9)
    scores = np.array([score for _, score in beside])
    return np.where(iou.max(1) >= _SAME_IOU, scores[iou.argmax(1)], 0.0)


def _corners(found: Found) -> np.ndarray:
    return np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b, _ in found], np.float64)


def terms(found: Found, um_per_px: float, neighbours: Sequence[Found]) -> np.ndarray:
    """What the cells of one scale have of each term that `WEIGHTS` weighs, (6,) float64.

    Parameters
    ----------
    found
        Boxes in px of the image, with scores.
    neighbours
        What was found at the scales beside this one, one or two of them.

    Notes
    -----
    The sum over cells is divided by the root of their number: cells of one image share its stain and its blur, so that
    twenty of them say more than one, but not twenty times as much.
    """
    if not found:
        return np.zeros(len(WEIGHTS))
    own = np.array([score for _, score in found])
    beside = np.mean([again(found, other) for other in neighbours], axis=0) if neighbours else own
    u = (own + 2 * beside) / 3 - _DOUBTFUL
    diameters = np.array([math.sqrt(max(box.width * box.height, 1e-9)) for box, _ in found]) * um_per_px
    x = np.clip(np.log(diameters / _USUAL_UM), -_FAR, _FAR)
    table = np.column_stack([u, u * u, x, x * x, u * x, u * x * x])
    return table.sum(0) / math.sqrt(len(found))


def log_likelihood(found: Found, um_per_px: float, neighbours: Sequence[Found]) -> float:
    """Logarithm of a scale's likelihood by what was found at it; 0 where nothing was. See `terms`."""
    return float(terms(found, um_per_px, neighbours) @ np.array(WEIGHTS))
