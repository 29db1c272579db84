"""Exact intervals of a fraction: what counting alone leaves open.

References
----------
Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404. Rümke 1985 printed the same numbers as the table
that hangs in every haematology laboratory.
"""

from __future__ import annotations

from smearscan.records import Interval


def clopper_pearson(n_successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Exact two-sided interval of a binomial fraction.

    Parameters
    ----------
    n_successes, n
        Cells of the kind, and all cells.
    confidence
        Of the interval; each tail gets half of the rest.

    Returns
    -------
    Interval
        With no cells at all nothing is known: 0, from 0 to 1.

    Raises
    ------
    ValueError
        If the counts are not 0 ≤ n_successes ≤ n.
    """
    from scipy.special import betaincinv

    if not 0 <= n_successes <= n:
        raise ValueError(f"{n_successes} of {n} is not a fraction")
    if n == 0:
        return Interval(0.0, 0.0, 1.0)
    tail = (1 - confidence) / 2
    low = float(betaincinv(n_successes, n - n_successes + 1, tail)) if n_successes else 0.0
    high = float(betaincinv(n_successes + 1, n - n_successes, 1 - tail)) if n_successes < n else 1.0
    return Interval(n_successes / n, low, high)
