"""Whole groups dealt out to folds so that the folds' counts come as near as they can to what is asked for."""

from __future__ import annotations

from itertools import combinations

import numpy as np

#: A subject too many counts as much as this share of a fold's images: images matter more.
_SUBJECT_SHARE = 0.01
_RESTARTS = 12
#: Beyond this many groups only single moves are tried: many small groups need no swaps.
_MOST_FOR_SWAPS = 150


def deal(
    counts: np.ndarray,
    targets: np.ndarray,
    subjects: np.ndarray | None = None,
    wanted: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Fold of each group.

    Parameters
    ----------
    counts
        (G, C) images of each class in each group.
    targets
        (K, C) images of each class wanted in each fold; scaled here to what there is.
    subjects, wanted
        (G, C) and (K, C): the same for subjects; None leaves their number free.
    seed
        Of the starting points that are tried beside the greedy one.

    Returns
    -------
    np.ndarray
        (G,) int in 0 to K - 1; the same for the same input.
    """
    counts = np.asarray(counts, np.float64)
    goal = _scaled(targets, counts)
    unit = np.maximum(goal.mean(axis=0), 1e-9)
    columns, aims = [counts / unit], [goal / unit]
    if subjects is not None and wanted is not None:
        columns.append(np.asarray(subjects, np.float64) * _SUBJECT_SHARE)
        aims.append(_scaled(wanted, subjects) * _SUBJECT_SHARE)
    values, aim = np.hstack(columns), np.hstack(aims)
    rng = np.random.default_rng(seed)
    order = np.argsort(-values.sum(1), kind="stable")
    starts = [order, *(rng.permutation(len(values)) for _ in range(_RESTARTS))]
    tried = [_improved(values, aim, _greedy(values, aim, start)) for start in starts]
    return min(tried, key=lambda folds: _cost(values, aim, folds))


def _scaled(targets: np.ndarray, counts: np.ndarray) -> np.ndarray:
    targets = np.asarray(targets, np.float64)
    return targets * (np.sum(counts, axis=0) / np.maximum(targets.sum(axis=0), 1e-9))


def _sums(values: np.ndarray, n_folds: int, folds: np.ndarray) -> np.ndarray:
    sums = np.zeros((n_folds, values.shape[1]))
    np.add.at(sums, folds, values)
    return sums


def _cost(values: np.ndarray, aim: np.ndarray, folds: np.ndarray) -> float:
    return float(((_sums(values, len(aim), folds) - aim) ** 2).sum())


def _greedy(values: np.ndarray, aim: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Each group to the fold that it brings nearest to its aim."""
    folds = np.zeros(len(values), np.int64)
    missing = aim.copy()
    for group in order:
        gain = ((missing - values[group]) ** 2 - missing**2).sum(1)
        folds[group] = int(np.argmin(gain))
        missing[folds[group]] -= values[group]
    return folds


def _improved(values: np.ndarray, aim: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The folds after every single move and swap that helps."""
    folds = folds.copy()
    pairs = np.array(list(combinations(range(len(values)), 2)) if len(values) <= _MOST_FOR_SWAPS else [], int)
    while _move(values, aim, folds) or (len(pairs) > 0 and _swap(values, aim, folds, pairs)):
        pass
    return folds


def _move(values: np.ndarray, aim: np.ndarray, folds: np.ndarray) -> bool:
    over = _sums(values, len(aim), folds) - aim
    left = ((over[folds] - values) ** 2 - over[folds] ** 2).sum(1)
    reached = ((over[None] + values[:, None]) ** 2 - over[None] ** 2).sum(2)
    change = left[:, None] + reached
    change[np.arange(len(values)), folds] = 0
    group, fold = np.unravel_index(int(np.argmin(change)), change.shape)
    if change[group, fold] > -1e-12:
        return False
    folds[group] = fold
    return True


def _swap(values: np.ndarray, aim: np.ndarray, folds: np.ndarray, pairs: np.ndarray) -> bool:
    over = _sums(values, len(aim), folds) - aim
    a, b = pairs[:, 0], pairs[:, 1]
    step = values[b] - values[a]
    change = (over[folds[a]] + step) ** 2 - over[folds[a]] ** 2 + (over[folds[b]] - step) ** 2 - over[folds[b]] ** 2
    total = np.where(folds[a] == folds[b], 0.0, change.sum(1))
    best = int(np.argmin(total))
    if total[best] > -1e-12:
        return False
    folds[a[best]], folds[b[best]] = folds[b[best]], folds[a[best]]
    return True
