"""Limit of blank and limit of detection: what a healthy smear reads, and the least that shows.

References
----------
CLSI EP17-A2 defines both at 95 %: the blank is exceeded by 5 % of blank samples, and a sample at the limit
of detection stays below it in 5 %. Here a sample is a patient with rates of their own (`rates`).
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, betaincc

from smearscan.aggregate.correct import reading, root_or_end
from smearscan.aggregate.differential import Tally
from smearscan.aggregate.rates import RateModel, fit_rate
from smearscan.aggregate.validation import Validation

#: Both limits are one-sided at this level (EP17).
_LEVEL = 0.95


def limit_of_blank(counts: Tally, validation: Validation | None) -> float:
    """The raw fraction that 95 % of blast-free patients with this many cells stay within.

    Measured on the validation's blast-free groups, or where it has none on its other cells.
    1.0 where nothing was measured or counted: nothing can then be told from blank.
    """
    rate = _blank_rate(validation)
    if rate is None or not counts.n_leukocytes:
        return 1.0
    return blank_calls(counts.n_mononuclear, rate) / counts.n_leukocytes


def limit_of_detection(counts: Tally, validation: Validation | None) -> float:
    """The least fraction of blasts that 95 % of patients with this many cells read above blank.

    1.0 where not even blasts alone would be read so reliably.
    """
    rate = _blank_rate(validation)
    if rate is None or validation is None or not counts.n_leukocytes or not validation.called_of_blasts:
        return 1.0
    n, blank = counts.n_leukocytes, blank_calls(counts.n_mononuclear, rate)
    if blank >= n:
        return 1.0
    sensitivity = fit_rate(validation.called_of_blasts)
    reads = reading(counts.n_mononuclear / n, sensitivity, rate)
    weights = np.outer(sensitivity.weights, rate.weights)

    def seen(fraction: float) -> float:
        return float((weights * betainc(blank + 1, n - blank, reads(fraction))).sum()) - _LEVEL

    return root_or_end(seen, 0.0, 1.0)


def blank_calls(n_mononuclear: int, rate: RateModel) -> int:
    """The number of cells called blast that 95 % of blast-free patients do not exceed."""
    low, high = 0, n_mononuclear
    while low < high:
        middle = (low + high) // 2
        at_most = betaincc(middle + 1, n_mononuclear - middle, rate.nodes)
        if float(rate.weights @ at_most) >= _LEVEL:
            high = middle
        else:
            low = middle + 1
    return low


def _blank_rate(validation: Validation | None) -> RateModel | None:
    if validation is None:
        return None
    counts = validation.called_of_blanks or validation.called_of_others
    return fit_rate(counts) if counts else None
