"""Nuclei and the rest, described apart, so that a slide's stain does not depend on what is on it.

Means over all stained pixels say how many leukocytes there are as much as how they are stained: a leukaemic
smear is bluer than a healthy one under the same stain. So the pixels are parted in two strata, nuclear
(azure, dense in green light but not in blue) and the rest (red cells and cytoplasm), and both weigh the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: The smaller stratum needs this many pixels of the sample, and this share, to be described.
_MIN_PIXELS, _MIN_SHARE = 50, 0.002
#: Nuclei absorb green, next to no blue; haemoglobin absorbs blue as much as red, whatever colour a camera gives it.
_AZURE = np.array([0.15, 1.0, -0.8], dtype=np.float32)
#: Rounds of the threshold; it settles in less than ten.
_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class StainStatistics:
    """Mean and spread of optical density per channel over both strata, each weighing half.

    Attributes
    ----------
    mean, sd
        Three floats each, RGB.
    nuclear, rest
        Medians of the strata, three floats each.
    nuclear_share
        Share of the pixels that is nuclear.
    """

    mean: tuple[float, float, float]
    sd: tuple[float, float, float]
    nuclear: tuple[float, float, float]
    rest: tuple[float, float, float]
    nuclear_share: float


def find_nuclear(density: np.ndarray) -> np.ndarray:
    """(N,) bool: which pixels of (N, 3) optical density are nuclear.

    The threshold lies midway between the medians of the two sides (Ridler & Calvard 1978,
    doi:10.1109/TSMC.1978.4310039), which unlike Otsu's does not lean towards the larger side.
    """
    azure = density @ _AZURE
    ordered = np.sort(azure)  # once, and the median of either side is read off in every round
    low, high = np.quantile(ordered, [0.05, 0.999])
    threshold = (low + high) / 2
    for _ in range(_ROUNDS):
        n_below = int(np.searchsorted(ordered, threshold, side="right"))
        if n_below in (0, len(ordered)):
            break
        settled = (_middle(ordered[n_below:]) + _middle(ordered[:n_below])) / 2
        if abs(settled - threshold) < 1e-4:
            break
        threshold = settled
    return azure > threshold


def _middle(ordered: np.ndarray) -> float:
    """Median of values in their order."""
    n = len(ordered)
    return ordered[(n - 1) // 2 : n // 2 + 1].mean()


def describe_stain(density: np.ndarray) -> StainStatistics | None:
    """Describe (N, 3) float optical densities of stained pixels; None where one stratum is missing."""
    if len(density) < 2 * _MIN_PIXELS:
        return None
    is_nuclear = find_nuclear(density)
    n_smaller = min(is_nuclear.sum(), (~is_nuclear).sum())
    if n_smaller < max(_MIN_PIXELS, _MIN_SHARE * len(density)):
        return None
    parts = [density[is_nuclear].astype(np.float64), density[~is_nuclear].astype(np.float64)]
    mean = (parts[0].mean(axis=0) + parts[1].mean(axis=0)) / 2
    variance = sum(((part - mean) ** 2).mean(axis=0) for part in parts) / 2
    nuclear, rest = (np.median(part, axis=0) for part in parts)
    return StainStatistics(
        _three(mean), _three(np.sqrt(variance)), _three(nuclear), _three(rest), float(is_nuclear.mean())
    )


def _three(values: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)
    return red, green, blue
