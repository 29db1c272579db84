"""ROC, confusion and reliability as SVG, the same bytes for the same predictions."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smearscan.evaluate.metrics import N_BINS, Scored, auroc, confusion, ece, reliability
from smearscan.report.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDE_IN = 4.2
#: Readable by everybody, in print too (Okabe and Ito).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")


def draw_roc(path: Path, folds: Mapping[str, Scored], title: str) -> None:
    """ROC of the last of two classes for each fold; with more classes, of each against the rest in the first fold."""
    from sklearn.metrics import roc_curve

    figure, axes = _square(title)
    for i, (name, score, truth) in enumerate(_curves(folds)):
        if truth.any() and not truth.all():
            false_rate, true_rate, _ = roc_curve(truth, score)
            axes.plot(false_rate, true_rate, color=_COLOURS[i % len(_COLOURS)], label=name, lw=1.4)
    axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls=":")
    axes.set(xlabel="1 − specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", fontsize=7, frameon=False)
    _save(figure, path)


def _curves(folds: Mapping[str, Scored]) -> list[tuple[str, np.ndarray, np.ndarray]]:
    first = next(iter(folds.values()))
    if len(first.classes) == 2:
        return [
            (f"{name} (AUROC {auroc(one):.3f})", one.probabilities[:, 1], one.labels == 1)
            for name, one in folds.items()
        ]
    return [(name, first.probabilities[:, i], first.labels == i) for i, name in enumerate(first.classes)]


def draw_confusion(path: Path, scored: Scored, title: str) -> None:
    """Confusion matrix: counts, shaded by the share of their row."""
    counts = confusion(scored)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axes = _square(title)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = 9 if len(counts) <= 6 else 6
    for y, x in np.ndindex(*counts.shape):
        axes.text(x, y, str(counts[y, x]), ha="center", va="center", fontsize=size,
                  color="white" if shares[y, x] > 0.55 else "black")  # fmt: skip
    ticks = range(len(scored.classes))
    axes.set_xticks(ticks, scored.classes, rotation=30 if len(counts) <= 4 else 60, ha="right", fontsize=size)
    axes.set_yticks(ticks, scored.classes, fontsize=size)
    axes.set(xlabel="predicted", ylabel="label")
    _save(figure, path)


def draw_reliability(path: Path, scored: Scored, title: str) -> None:
    """Hits against confidence by bin, a perfect model on the diagonal, and how many images each bin holds."""
    bins = reliability(scored)
    held = bins[:, 0] > 0
    figure, axes = _square(f"{title}\nexpected calibration error {float(ece(bins)):.3f}")
    axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls=":")
    axes.bar((np.arange(N_BINS) + 0.5) / N_BINS, bins[:, 0] / max(bins[:, 0].sum(), 1), 1 / N_BINS,
             color="0.85", label="share of images")  # fmt: skip
    axes.plot(bins[held, 1] / bins[held, 0], bins[held, 2] / bins[held, 0], "o-", color=_COLOURS[0], ms=4, label="hits")
    axes.set(xlabel="probability of the class that was called", ylabel="share that was right", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left", fontsize=7, frameon=False)
    _save(figure, path)


def _square(title: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    # Not through pyplot: it keeps every figure and picks a window system.
    figure = Figure(figsize=(_SIDE_IN, _SIDE_IN), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=8)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    import matplotlib as mpl

    picture = io.BytesIO()
    # Ids are salted and the date left out, or no two runs would write the same bytes.
    with mpl.rc_context({"svg.hashsalt": "smearscan", "svg.fonttype": "none"}):
        figure.savefig(picture, format="svg", metadata={"Date": None})
    write_bytes(path, picture.getvalue())
