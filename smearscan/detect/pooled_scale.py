"""One scale for images of one size that came together, by the leukocytes on them.

For images without usable red cells. A lone image's scale is a guess among fifteen; what several say of each scale is
multiplied, as one camera on one objective most often took them, and the peak is read between the steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smearscan.detect.ladder import SCALES, STEP

#: Images that can share anything, and how much likelier one scale must make them than a scale of each (natural log.).
LEAST_IMAGES = 3
_LEAST_EVIDENCE = math.log(10)
#: An image speaks against a scale where that and its neighbours have less than this chance by itself; of those asked,
#: this share may.
_AGAINST, _MOST_AGAINST = 0.1, 0.25
#: Relative error of the scale that one image's leukocytes give, where it is about right at all.
_ERROR = 0.15


@dataclass(frozen=True, slots=True)
class PooledScale:
    """The scale, µm/px, at which the leukocytes of some images of one size look most as leukocytes do; its error."""

    mpp: float
    relative_sd: float
    n_images: int

    @property
    def note(self) -> str:
        """What is to be told with the result."""
        return f"no scale and few red cells: guessed from the leukocytes of {self.n_images} images of this size"


def pool_scale(looks: Sequence[np.ndarray]) -> PooledScale | None:
    """The scale that images agree on; None where they are too few, say too little or disagree.

    Parameters
    ----------
    looks
        For each image the logarithm of the probability of each of `SCALES`, (15,) float64, all scales being equally
        likely before. The order does not matter.

    Notes
    -----
    Whether they share a scale is judged by the Bayes factor of one scale for all against one for each.
    """
    if len(looks) < LEAST_IMAGES:
        return None
    table = np.array(sorted(look.tolist() for look in looks))  # sums of floats depend on their order
    table -= np.log(np.exp(table).sum(1, keepdims=True))
    total = table.sum(0)
    best = int(total.argmax())
    evidence = float(np.logaddexp.reduce(total)) + (len(table) - 1) * math.log(len(SCALES))
    near = np.exp(table[:, max(0, best - 1) : best + 2]).sum(1)
    if evidence < _LEAST_EVIDENCE or (near < _AGAINST).mean() > _MOST_AGAINST:
        return None
    return PooledScale(SCALES[best] * STEP ** _peak(total, best), _ERROR / math.sqrt(len(table)), len(table))


def _peak(total: np.ndarray, best: int) -> float:
    """Where between the steps the summit lies, steps from the best one, by the parabola through three."""
    if not 0 < best < len(total) - 1:
        return 0.0
    below, here, above = total[best - 1 : best + 2]
    bend = below - 2 * here + above
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (below - above) / bend, -0.5, 0.5))
