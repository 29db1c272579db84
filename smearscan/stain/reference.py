"""The neutral stain every slide is mapped onto, and how far stains of different laboratories lie apart.

The numbers are medians over five public sources of Romanowsky films (Barcelona's PBC, Taleqani, TXL-PBC, and
the two sets of segmentation_WBC: 200 slides or fields), each weighing the same, so that no laboratory is the
standard. `benchmarks/stain_reference.py` measures them and prints what stands here; no pixel of those images
is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smearscan.stain.strata import StainStatistics

#: Glass after normalisation: (3,) RGB.
WHITE = np.full(3, 255.0)

#: Densities below this are noise; logarithms are taken above it.
_FLOOR = 0.01


@dataclass(frozen=True, slots=True)
class StainReference:
    """Where normalised slides shall be: optical densities (RGB) and Macenko's vectors.

    Attributes
    ----------
    mean, sd
        Of optical density per channel, both strata weighing half.
    azure, eosin
        Vectors of the stains in optical density, of length 1 to the digits given.
    strength
        99th percentile of the amounts of azure and eosin.
    """

    mean: tuple[float, float, float]
    sd: tuple[float, float, float]
    azure: tuple[float, float, float]
    eosin: tuple[float, float, float]
    strength: tuple[float, float]


REFERENCE = StainReference(
    mean=(0.265, 0.473, 0.128),
    sd=(0.174, 0.329, 0.051),
    azure=(0.385, 0.919, 0.082),
    eosin=(0.605, 0.630, 0.487),
    strength=(1.047, 0.367),
)
#: Spread between slides of those sources of log mean (3) and log sd (3).
SPREAD = (0.39, 0.61, 0.75, 0.55, 0.71, 0.38)


def stain_distance(found: StainStatistics) -> float:
    """How far a slide's stain lies from the reference, in spreads between laboratories; the largest of six.

    Mean and spread of density in each channel are compared as logarithms: half the stain and twice the
    stain are equally far. All 200 slides of the shared sources lie within 3.5.
    """
    pairs = zip((*found.mean, *found.sd), (*REFERENCE.mean, *REFERENCE.sd), SPREAD, strict=True)
    return max(abs(float(np.log(max(a, _FLOOR) / max(b, _FLOOR)))) / spread for a, b, spread in pairs)
