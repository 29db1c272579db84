"""Whether the slides of one patient agree: if not, counting error is not the whole error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import chdtrc

from smearscan.aggregate.differential import Tally

#: Below this expected count the chi-square distribution is not to be trusted (Cochran 1954).
_MIN_EXPECTED = 5.0
_N_DRAWS = 9_999


def heterogeneity(slides: Sequence[Tally]) -> float | None:
    """P value of "all slides have the same fraction of blasts".

    Two slides: Fisher's exact test. More: chi-square, or where a cell of the table expects fewer than 5,
    the same statistic against tables drawn with these margins (fixed seed, the same answer each time).

    Returns
    -------
    float or None
        None where fewer than two slides have leukocytes.
    """
    rows = sorted((s.n_blasts, s.n_leukocytes) for s in slides if s.n_leukocytes)
    if len(rows) < 2:
        return None
    blasts, totals = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    if not 0 < blasts.sum() < totals.sum():
        return 1.0
    if len(rows) == 2:
        from scipy.stats import fisher_exact  # half a second of imports, which few patients need

        return float(fisher_exact(np.stack([blasts, totals - blasts])).pvalue)
    statistic, least = _chi_square(blasts[None, :], totals)
    if least >= _MIN_EXPECTED:
        return float(chdtrc(len(rows) - 1, statistic[0]))
    draws = np.random.default_rng(0).multivariate_hypergeometric(totals, int(blasts.sum()), size=_N_DRAWS)
    drawn, _ = _chi_square(draws, totals)
    return float((np.count_nonzero(drawn >= statistic[0] - 1e-9) + 1) / (_N_DRAWS + 1))


def _chi_square(blasts: np.ndarray, totals: np.ndarray) -> tuple[np.ndarray, float]:
    """Pearson's statistic of each row of (D, S) blast counts, and the smallest expected count."""
    fraction = blasts[0].sum() / totals.sum()
    expected = np.stack([totals * fraction, totals * (1 - fraction)])
    difference = blasts - expected[0]
    return (difference**2 * (1 / expected).sum(axis=0)).sum(axis=1), float(expected.min())
