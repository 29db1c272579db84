"""Intervals: subjects are drawn anew, with all their images, since images of one person are alike.

Subjects are drawn within the class that most of their images have, so that hardly a draw lacks a class.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from smearscan.evaluate.metrics import METRICS, N_BINS, Scored, confidence_bin, ece, from_confusion

N_DRAWS = 1000
#: Fewer subjects with a class say nothing of how subjects differ.
MIN_SUBJECTS = 2
_AT_A_TIME = 50


def intervals(
    scored: Scored, *, confidence: float = 0.95, seed: int = 0, n_draws: int = N_DRAWS
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of all metrics; (NaN, NaN) where there are too few subjects to draw.

    Parameters
    ----------
    scored
        Predictions of the test images.
    confidence
        Of each interval.
    seed, n_draws
        Of the draws.
    """
    nothing = dict.fromkeys(METRICS, (float("nan"), float("nan")))
    if len(scored.labels) == 0:
        return nothing
    names, at = np.unique(scored.subjects, return_inverse=True)
    votes = np.zeros((len(names), len(scored.classes)))
    np.add.at(votes, (at, scored.labels), 1)
    holders = (votes > 0).sum(0)
    if holders[holders > 0].min() < MIN_SUBJECTS:
        return nothing
    strata = _strata(votes)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in METRICS}
    for weights in _draws(strata, n_draws, np.random.default_rng(seed)):
        for name, values in _measured(scored, at, weights).items():
            drawn[name].append(values)
    tail = (1 - confidence) / 2
    return {name: _percentiles(np.concatenate(values), tail) for name, values in drawn.items()}


def _strata(votes: np.ndarray) -> np.ndarray:
    """Class that most images of each subject have; a subject alone in its class joins the largest stratum."""
    strata = votes.argmax(1)
    sizes = np.bincount(strata, minlength=votes.shape[1])
    return np.where(sizes[strata] < MIN_SUBJECTS, sizes.argmax(), strata)


def _percentiles(values: np.ndarray, tail: float) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _draws(strata: np.ndarray, n_draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Weights (B, subjects): how often each was drawn."""
    done = 0
    while done < n_draws:
        n = min(_AT_A_TIME, n_draws - done)
        weights = np.zeros((n, len(strata)))
        for stratum in np.unique(strata):
            members = np.flatnonzero(strata == stratum)
            weights[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=n)
        done += n
        yield weights


def _measured(scored: Scored, at: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    n_classes, n_subjects = len(scored.classes), weights.shape[1]
    counts = np.zeros((n_subjects, n_classes, n_classes))
    np.add.at(counts, (at, scored.labels, scored.predicted), 1)
    bins = np.zeros((n_subjects, N_BINS, 3))
    sure = scored.probabilities.max(1)
    hit = (scored.predicted == scored.labels).astype(np.float64)
    np.add.at(bins, (at, confidence_bin(sure)), np.stack([np.ones_like(sure), sure, hit], 1))
    out = from_confusion(np.tensordot(weights, counts, 1))
    return {**out, "auroc": _aurocs(scored, weights[:, at]), "ece": ece(np.tensordot(weights, bins, 1))}


def _aurocs(scored: Scored, weights: np.ndarray) -> np.ndarray:
    """AUROC (B,) under image weights (B, N), as `auroc` defines it."""
    present = [i for i in range(len(scored.classes)) if (scored.labels == i).any()]
    if len(present) < 2:
        return np.full(len(weights), np.nan)
    columns = [1] if len(scored.classes) == 2 else present
    areas = [weighted_auroc(scored.labels == i, scored.probabilities[:, i], weights) for i in columns]
    return np.asarray(np.mean(areas, axis=0))


def weighted_auroc(is_positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC for each row of weights (B, N), ties counted half; NaN where a side weighs nothing."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
    positive = np.add.reduceat(np.where(is_positive, weights, 0)[:, order], starts, axis=1)
    negative = np.add.reduceat(np.where(is_positive, 0, weights)[:, order], starts, axis=1)
    below = np.cumsum(negative, 1) - negative
    pairs = positive.sum(1) * negative.sum(1)
    won = (positive * (below + negative / 2)).sum(1)
    return np.divide(won, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
