"""What is measured of predictions: one function from confusion counts, so that a figure and its interval agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: In the order of the tables. With two classes the last one is the positive; with more, means over the classes.
METRICS = (
    "accuracy",
    "sensitivity",
    "specificity",
    "precision",
    "f1",
    "weighted_f1",
    "macro_f1",
    "auroc",
    "ece",
)
#: Bins of the reliability diagram, of equal width.
N_BINS = 15


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Predictions with their truth.

    Attributes
    ----------
    labels
        (N,) int, columns of `classes`.
    probabilities
        (N, C) float, rows sum to 1.
    subjects
        (N,) names: what is resampled for intervals.
    classes
        C names.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    subjects: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        n, c = self.probabilities.shape
        if self.labels.shape != (n,) or self.subjects.shape != (n,) or c != len(self.classes):
            raise ValueError("labels, probabilities, subjects and classes do not belong together")
        if n and (self.labels.min() < 0 or self.labels.max() >= c):
            raise ValueError("a label is no column of the probabilities")

    @property
    def predicted(self) -> np.ndarray:
        """(N,) int: the most probable class, the first of equals."""
        return np.asarray(self.probabilities.argmax(axis=1))

    def only(self, keep: np.ndarray) -> Scored:
        """The rows where `keep` (N,) bool holds."""
        return Scored(self.labels[keep], self.probabilities[keep], self.subjects[keep], self.classes)


def confusion(scored: Scored) -> np.ndarray:
    """(C, C) int: rows the truth, columns what was predicted."""
    n_classes = len(scored.classes)
    pairs = scored.labels * n_classes + scored.predicted
    return np.bincount(pairs, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def from_confusion(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of confusion counts (…, C, C), each of the leading shape; NaN where a class that counts has no image.

    Means over classes leave out classes that the truth does not hold.
    """
    counts = counts.astype(np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    truth, called, total = counts.sum(-1), counts.sum(-2), counts.sum((-1, -2))
    has = truth > 0
    recall = _ratio(hits, truth)
    precision = np.where(called > 0, _ratio(hits, called), 0.0)
    f1 = _ratio(2 * hits, truth + called)
    specificity = _ratio(total[..., None] - truth - called + hits, total[..., None] - truth)
    if counts.shape[-1] == 2:
        one = {"sensitivity": recall[..., 1], "specificity": specificity[..., 1], "precision": precision[..., 1]}
        one["f1"] = np.where(has[..., 1], f1[..., 1], np.nan)
    else:
        one = {"sensitivity": _mean(recall, has), "specificity": _mean(specificity, has)}
        one |= {"precision": _mean(precision, has), "f1": _mean(f1, has)}
    weighted = _ratio(np.where(has, f1 * truth, 0.0).sum(-1), total)
    return {"accuracy": _ratio(hits.sum(-1), total), **one, "weighted_f1": weighted, "macro_f1": _mean(f1, has)}


def by_class(scored: Scored) -> list[dict[str, float | int | str]]:
    """One row a class as Sajon et al. print them: accuracy (one against the rest), precision, recall, F1, support."""
    counts = confusion(scored).astype(np.float64)
    total = counts.sum()
    rows: list[dict[str, float | int | str]] = []
    for i, name in enumerate(scored.classes):
        hits, truth, called = counts[i, i], counts[i].sum(), counts[:, i].sum()
        rows.append(
            {
                "class": name,
                "accuracy": float(_ratio(total - truth - called + 2 * hits, total)),
                "precision": float(_ratio(hits, called)) if called else 0.0,
                "recall": float(_ratio(hits, truth)),
                "f1": float(_ratio(2 * hits, truth + called)),
                "support": int(truth),
            }
        )
    return rows


def auroc(scored: Scored) -> float:
    """Area under the ROC of the last of two classes; with more, the mean of each class against the rest.

    Classes that the truth does not hold are left out; NaN if fewer than two are left.
    """
    from sklearn.metrics import roc_auc_score

    present = [i for i in range(len(scored.classes)) if (scored.labels == i).any()]
    if len(present) < 2:
        return float("nan")
    columns = [1] if len(scored.classes) == 2 else present
    return float(np.mean([roc_auc_score(scored.labels == i, scored.probabilities[:, i]) for i in columns]))


def reliability(scored: Scored) -> np.ndarray:
    """(N_BINS, 3) float: images, summed confidence and hits of each bin of the winning class's probability."""
    confidence = scored.probabilities.max(axis=1)
    hit = (scored.predicted == scored.labels).astype(np.float64)
    at = confidence_bin(confidence)
    return np.stack([np.bincount(at, values, minlength=N_BINS) for values in (np.ones_like(hit), confidence, hit)], 1)


def confidence_bin(confidence: np.ndarray) -> np.ndarray:
    """Bin of each probability, int in 0 to N_BINS - 1."""
    return np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)


def ece(bins: np.ndarray) -> np.ndarray:
    """Expected calibration error of bins (…, N_BINS, 3): mean distance of confidence from hits, weighted by images."""
    total = bins[..., 0].sum(-1)
    return _ratio(np.abs(bins[..., 1] - bins[..., 2]).sum(-1), total)


def measure(scored: Scored) -> dict[str, float]:
    """All `METRICS`; NaN where one cannot be had."""
    if len(scored.labels) == 0:
        return dict.fromkeys(METRICS, float("nan"))
    out = {name: float(value) for name, value in from_confusion(confusion(scored)).items()}
    return {**out, "auroc": auroc(scored), "ece": float(ece(reliability(scored)))}


def class_names(classes: Sequence[str]) -> str:
    """The classes for a caption; of two, which one is the positive."""
    return f"{classes[1]} against {classes[0]}" if len(classes) == 2 else ", ".join(classes)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    whole = np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)


def _mean(values: np.ndarray, has: np.ndarray) -> np.ndarray:
    return _ratio(np.where(has, values, 0.0).sum(-1), has.sum(-1))
