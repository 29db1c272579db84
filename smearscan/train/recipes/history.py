"""A run's log: one row an epoch as CSV, and its curves as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smearscan.report.atomic import write_bytes

COLUMNS = ("stage", "epoch", "rate", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


def write_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write the log. It holds no times, so that the same run gives the same file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in history:
        writer.writerow([f"{row[name]:.6g}" for name in COLUMNS])
    write_bytes(path, text.getvalue().encode())


def draw_curves(path: Path, history: Sequence[Mapping[str, Any]], title: str) -> None:
    """Loss and accuracy over epochs, of training and validation, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    at = list(range(1, len(history) + 1))
    for axes, what in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for side, style in (("train", "--"), ("validation", "-")):
            axes.plot(at, [row[f"{side}_{what}"] for row in history], style, marker=".", label=side)
        axes.set_xlabel("epoch")
        axes.set_ylabel(what)
        axes.legend(frameon=False)
    figure.suptitle(title, fontsize=10)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120, metadata={"Software": None})
    write_bytes(path, file.getvalue())
