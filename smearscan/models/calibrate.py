"""Temperature scaling: one number that makes a network's probabilities mean what they say.

Guo et al. 2017 (https://doi.org/10.48550/arXiv.1706.04599). Fitted on validation, never on test.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

#: Beyond these the validation cells do not tell the temperature: all right, or all wrong.
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0


def fit_temperature(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Temperature with the smallest cross entropy.

    Parameters
    ----------
    logits
        (N, C) float, from `smearscan.models.infer.logits`.
    labels
        (N,) int, columns of `logits`.
    weights
        (N,) float at least 0, such as one over the size of a cell's source; None counts all cells alike.

    Returns
    -------
    float
        In 0.05 to 20; divides the logits.

    Raises
    ------
    ValueError
        If nothing is given, shapes disagree, or a logit is not finite.
    """
    z, share = _checked(logits, labels, weights)

    def objective(log_t: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = z / np.exp(log_t[0])
        log_p = log_softmax(scaled, axis=1)
        right = np.take_along_axis(scaled, labels[:, None], 1)[:, 0]
        # d loss / d log T: what the scaled logits were expected to be less what the label's was, with sign
        slope = share @ (right - (np.exp(log_p) * scaled).sum(1))
        return float(-share @ np.take_along_axis(log_p, labels[:, None], 1)[:, 0]), np.array([slope])

    bounds = [(np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE))]
    found = minimize(objective, np.zeros(1), jac=True, method="L-BFGS-B", bounds=bounds)
    return float(np.exp(found.x[0]))


def _checked(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    z = np.asarray(logits, np.float64)
    share = np.ones(len(z)) if weights is None else np.asarray(weights, np.float64)
    if z.ndim != 2 or len(z) == 0 or labels.shape != (len(z),) or share.shape != (len(z),):
        raise ValueError(f"logits {z.shape}, labels {labels.shape} and weights {share.shape} do not belong together")
    if not np.isfinite(z).all():
        raise ValueError("a logit is not finite")
    if share.min() < 0 or share.sum() <= 0:
        raise ValueError("weights must be at least 0 and not all 0")
    return z, share / share.sum()
