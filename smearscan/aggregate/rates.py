"""How a classifier's rate will turn out in a patient it has not seen.

Cells of one patient are alike: sensitivity and specificity differ between patients by more than
counting explains. A new patient brings rates of their own, so what matters is not how well the
mean rate is known but where the next group's rate may lie. The rates of groups are taken as
beta-distributed; mean and spread are unknown and integrated over (few groups: heavy tails), which
gives the predictive distribution of the next group's rate. Half of its weight goes to the groups as they
are, since the odd ones need not lie on any beta's tail. Quadrature, no random numbers.

References
----------
Kleinman 1973, doi:10.1080/01621459.1973.10481332 (weighted mean of proportions with extraneous
variance). Gelman et al., Bayesian Data Analysis, section 5.3 (the prior on the spread).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import betainc, betaln, expit

#: Probability bins of the predictive distribution, dense in both tails where the limits are decided.
_EDGES = expit(np.linspace(-6.5, 6.5, 34))
#: Rates at which its distribution function is evaluated: dense near 0 and 1.
_RATES = expit(np.linspace(-12.0, 12.0, 145))
_N_MEANS, _N_SPREADS = 64, 24
#: Left to a rate without any error, so that a reading unlike the whole validation still has a likelihood.
_UNHEARD_OF = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class RateModel:
    """What a validation says of one rate (of sensitivity, or of false alarms).

    Attributes
    ----------
    mean
        Mean over groups, weighted by what each group's size tells (Kleinman's estimator).
    variance
        Of that mean, from the spread between groups.
    nodes, weights
        (K,) float64 each: the predictive distribution of the next group's rate.
    n_groups, n_cells
        What it rests on.
    """

    mean: float
    variance: float
    nodes: np.ndarray
    weights: np.ndarray
    n_groups: int
    n_cells: int

    def allowing(self, rate: float) -> RateModel:
        """The same, were the next group's rate beyond all that was met this one: 1 of sensitivity, 0 of false alarms.

        Only these. Were a classifier allowed that calls no blast at all, or every cell, then any reading could be its
        errors, and an unlikely one would say nothing.
        """
        nodes, weights = np.append(self.nodes, rate), np.append(self.weights, _UNHEARD_OF)
        return replace(self, nodes=nodes, weights=weights / weights.sum())


@lru_cache(maxsize=64)
def fit_rate(counts: tuple[tuple[int, int], ...]) -> RateModel:
    """Fit the rates of groups.

    Parameters
    ----------
    counts
        (called, cells) of each group, cells ≥ 1.

    Raises
    ------
    ValueError
        If there is no group, or one without cells.
    """
    if not counts or min(n for _, n in counts) < 1:
        raise ValueError("a rate needs at least one group, and every group at least one cell")
    called, cells = (np.array(column, dtype=np.float64) for column in zip(*counts, strict=True))
    alpha, beta, weight = _hyper_posterior(called, cells)
    rho = float(weight @ (1 / (alpha + beta + 1)))
    mean, variance = _group_mean(called, cells, rho)
    nodes, weights = _predictive(*_with_groups(alpha, beta, weight, called, cells, rho))
    return RateModel(mean, variance, nodes, weights, len(counts), int(cells.sum()))


def _hyper_posterior(called: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Beta parameters on a grid and their posterior weights, each (M,) float64.

    Flat in √ρ, the spread in units of √(mean (1 − mean)), and arcsine (Jeffreys) in the mean.
    """
    mean = np.sin(_angles(called / cells)) ** 2
    rho = ((np.arange(_N_SPREADS) + 0.5) / _N_SPREADS) ** 2
    size = (1 / rho - 1)[None, :]
    alpha, beta = (mean[:, None] * size).ravel(), ((1 - mean)[:, None] * size).ravel()
    # Angles evenly spaced are the arcsine prior.
    log_likelihood = -len(called) * betaln(alpha, beta)
    for x, n in zip(called, cells, strict=True):
        log_likelihood += betaln(alpha + x, beta + n - x)
    weight = np.exp(log_likelihood - log_likelihood.max())
    kept = weight > 1e-3 * weight.max()
    return alpha[kept], beta[kept], weight[kept] / weight[kept].sum()


def _with_groups(
    alpha: np.ndarray, beta: np.ndarray, weight: np.ndarray, called: np.ndarray, cells: np.ndarray, rho: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half of the weight to the groups as they are: the next patient may be another like the odd one out.

    Each group's rate is drawn towards the mean by as much as the groups agree.
    """
    size, mean = 1 / rho - 1, (called.sum() + 0.5) / (cells.sum() + 1)
    share = np.full(len(called), 0.5 / len(called))
    return (
        np.concatenate([alpha, called + mean * size]),
        np.concatenate([beta, cells - called + (1 - mean) * size]),
        np.concatenate([weight / 2, share]),
    )


def _angles(rates: np.ndarray) -> np.ndarray:
    """Evenly spaced angles whose squared sines are the means worth trying: five standard errors around theirs."""
    angles = np.arcsin(np.sqrt(rates))
    n = len(angles)
    spread = max(float(angles.std(ddof=1)), 0.1) if n > 2 else np.pi
    reach = 5 * spread / np.sqrt(n) + 0.1
    low, high = max(0.0, float(angles.mean()) - reach), min(np.pi / 2, float(angles.mean()) + reach)
    return low + (high - low) * (np.arange(_N_MEANS) + 0.5) / _N_MEANS


def _group_mean(called: np.ndarray, cells: np.ndarray, rho: float) -> tuple[float, float]:
    """Weighted mean of the groups' rates and its variance (from the groups, not the cells)."""
    rates = called / cells
    weight = cells / (1 + (cells - 1) * rho)
    weight /= weight.sum()
    mean = float(weight @ rates)
    n = len(rates)
    if n == 1:
        return mean, rho * mean * (1 - mean)
    return mean, float(n / (n - 1) * (weight**2 @ (rates - mean) ** 2))


def _predictive(alpha: np.ndarray, beta: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the mixture of betas: one node in the middle of each probability bin."""
    cdf = weight @ betainc(alpha[:, None], beta[:, None], _RATES[None, :])
    # Mass may sit on 0 or 1 beyond the outermost rates; interpolating to the ends keeps it there.
    cdf, rates = np.concatenate(([0.0], cdf, [1.0])), np.concatenate(([0.0], _RATES, [1.0]))
    middles = (_EDGES[:-1] + _EDGES[1:]) / 2
    weights = np.diff(_EDGES)
    return np.interp(middles, cdf, rates), weights / weights.sum()
