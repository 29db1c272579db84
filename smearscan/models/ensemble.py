"""Several networks' probabilities made one, and how far they disagree.

The weighted sum is Jiang et al. 2021 (https://doi.org/10.1155/2021/7529893), stacking Wolpert 1992
(https://doi.org/10.1016/S0893-6080(05)80023-1). Each member sees the input its own card asks for; what meets here are
probabilities over one list of classes. Weights and stacks are fitted on validation, never on test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax

#: Keeps logarithms finite where a member rules a class out.
_TINY = 1e-7


def merge_classes(probabilities: np.ndarray, classes: Sequence[str], groups: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Bring a member's classes to the ensemble's by adding up the columns of each group.

    Parameters
    ----------
    probabilities
        (N, C) float.
    classes
        The member's C classes, in column order.
    groups
        For each class of the ensemble, in order, the member's classes that make it, such as
        ``{"blast": ["Early", "Pre", "Pro"], "other": ["Benign"]}``.

    Returns
    -------
    np.ndarray
        (N, len(groups)) float32.

    Raises
    ------
    ValueError
        If a class of the member stands in no group or in two, a group is empty, or a name is unknown: then the
        columns would no longer sum to 1.
    """
    used = [name for names in groups.values() for name in names]
    if sorted(used) != sorted(classes) or any(not names for names in groups.values()):
        raise ValueError(f"the groups {dict(groups)} do not share out the classes {list(classes)} once each")
    place = {name: column for column, name in enumerate(classes)}
    merged = [probabilities[:, [place[n] for n in names]].sum(axis=1) for names in groups.values()]
    return np.stack(merged, axis=1).astype(np.float32)


def weighted_sum(members: np.ndarray, weights: Sequence[float] | None = None) -> np.ndarray:
    """Weighted mean of probabilities.

    Parameters
    ----------
    members
        (M, N, C) float, one (N, C) for each member.
    weights
        M numbers at least 0, scaled to sum 1; None is the plain mean.

    Returns
    -------
    np.ndarray
        (N, C) float32.

    Raises
    ------
    ValueError
        If there are not M weights, one is negative, or all are 0.
    """
    shares = np.ones(len(members)) if weights is None else np.asarray(weights, np.float64)
    if shares.shape != (len(members),) or shares.min() < 0 or shares.sum() <= 0:
        raise ValueError(f"{len(members)} members need as many weights at least 0, not {shares.tolist()}")
    return np.einsum("m,mnc->nc", shares / shares.sum(), members.astype(np.float64)).astype(np.float32)


def vote(members: np.ndarray) -> np.ndarray:
    """Plurality vote: mean probability of the members that chose the winner, (N, C) float32.

    A tie goes to the tied class with the larger summed probability.
    """
    n_classes = members.shape[2]
    chosen = members.argmax(2)[..., None] == np.arange(n_classes)
    # Summed probabilities are below M, so a M-th of a vote orders the tied without upsetting the vote.
    winner = (chosen.sum(0) + members.sum(0) / (len(members) + 1)).argmax(1)
    agrees = chosen[:, np.arange(members.shape[1]), winner].astype(np.float64)[..., None]
    return ((members * agrees).sum(0) / agrees.sum(0)).astype(np.float32)


def disagreement(members: np.ndarray) -> np.ndarray:
    """Standard deviation over members, (N, C) float32: 0 where all say the same, at most 0.5."""
    return members.astype(np.float64).std(axis=0).astype(np.float32)


def fit_weights(members: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights (M,) float64, sum 1, that give the smallest cross entropy of the weighted sum on validation.

    Parameters
    ----------
    members
        (M, N, C) float.
    labels
        (N,) int.
    """
    from scipy.optimize import minimize  # a quarter of a second of imports that only fitting needs

    _check(members, labels)
    right = members[:, np.arange(len(labels)), labels].astype(np.float64)

    def objective(free: np.ndarray) -> tuple[float, np.ndarray]:
        shares = softmax(free)
        mixed = np.maximum(shares @ right, _TINY)
        slope = -(right / mixed).mean(1)
        return float(-np.log(mixed).mean()), shares * (slope - shares @ slope)

    found = minimize(objective, np.zeros(len(members)), jac=True, method="L-BFGS-B", bounds=[(-10, 10)] * len(members))
    return softmax(found.x)


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """A logistic regression over the members' log-probabilities: `matrix` (M·C, C), `offset` (C,), float64."""

    matrix: np.ndarray
    offset: np.ndarray

    def __call__(self, members: np.ndarray) -> np.ndarray:
        """Probabilities (N, C) float32 of members (M, N, C)."""
        return softmax(_features(members) @ self.matrix + self.offset, axis=1).astype(np.float32)


def fit_stack(members: np.ndarray, labels: np.ndarray, penalty: float = 1e-2) -> Stack:
    """Fit a stack on validation.

    Parameters
    ----------
    members
        (M, N, C) float.
    labels
        (N,) int.
    penalty
        Of the squared distance from the plain mean of log-probabilities: with few cells the stack stays near it.
    """
    from scipy.optimize import minimize

    _check(members, labels)
    n_members, _, n_classes = members.shape
    x = _features(members)
    start = np.tile(np.eye(n_classes) / n_members, (n_members, 1))
    truth = np.eye(n_classes)[labels]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        matrix, offset = flat[n_classes:].reshape(start.shape), flat[:n_classes]
        log_p = log_softmax(x @ matrix + offset, axis=1)
        error = (np.exp(log_p) - truth) / len(x)
        away = matrix - start
        loss = -(truth * log_p).sum() / len(x) + penalty * (away**2).sum()
        return float(loss), np.concatenate([error.sum(0), (x.T @ error + 2 * penalty * away).ravel()])

    first = np.concatenate([np.zeros(n_classes), start.ravel()])
    found = minimize(objective, first, jac=True, method="L-BFGS-B")
    return Stack(found.x[n_classes:].reshape(start.shape), found.x[:n_classes])


def _features(members: np.ndarray) -> np.ndarray:
    log_p = np.log(np.maximum(members.astype(np.float64), _TINY))
    return log_p.transpose(1, 0, 2).reshape(members.shape[1], -1)


def _check(members: np.ndarray, labels: np.ndarray) -> None:
    if members.ndim != 3 or len(labels) == 0 or labels.shape != (members.shape[1],):
        raise ValueError(f"members {members.shape} and labels {labels.shape} do not belong together")
