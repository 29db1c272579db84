"""What a trained model does on its test images: predictions, tables with intervals, figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import softmax

from smearscan.datasets.samples import SampleSet
from smearscan.evaluate.bootstrap import intervals
from smearscan.evaluate.figures import draw_confusion, draw_reliability, draw_roc
from smearscan.evaluate.metrics import METRICS, Scored, measure
from smearscan.evaluate.predict import Predictions, write_predictions
from smearscan.evaluate.tables import Cell, with_interval, write_table
from smearscan.models.packages import Package
from smearscan.train.recipes.balance import Row
from smearscan.train.recipes.division import Division
from smearscan.train.recipes.export import raw_outputs


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """One model on its test images."""

    division: Division
    scored: Scored


def test_model(package: Package, sample_set: SampleSet, division: Division, folder: Path) -> Tested:
    """Predict test images and submission, and write `predictions.csv`, tables and figures of this model.

    Raises
    ------
    UnreadableSlideError
        If an image cannot be read.
    OutputError
        If the files cannot be written.
    """
    predictions = _predictions(package, sample_set, division.test)
    write_predictions(folder / "predictions.csv", predictions)
    if division.submission:
        write_predictions(folder / "submission.csv", _predictions(package, sample_set, division.submission))
    tested = Tested(division, predictions.scored())
    title = f"{package.name}, {division.protocol} {division.name}, {len(division.test)} images"
    draw_roc(folder / "roc.svg", {division.name: tested.scored}, title)
    draw_confusion(folder / "confusion.svg", tested.scored, title)
    draw_reliability(folder / "reliability.svg", tested.scored, title)
    return tested


def write_results(folder: Path, name: str, tested: Sequence[Tested], notes: Sequence[str]) -> None:
    """Write `results.csv` and `results.md`: a row a model, and over several models their mean and deviation."""
    header = ["model", "protocol", "images", "subjects", *METRICS]
    rows: list[list[Cell]] = []
    values = []
    for one in tested:
        found, spans = measure(one.scored), intervals(one.scored)
        values.append([found[metric] for metric in METRICS])
        n_subjects = len(np.unique(one.scored.subjects))
        shown = [with_interval(found[metric], *spans[metric]) for metric in METRICS]
        rows.append([f"{name} {one.division.name}", one.division.protocol, len(one.scored.labels), n_subjects, *shown])
    if len(tested) > 1:
        mean, sd = np.mean(values, 0), np.std(values, 0, ddof=1)
        n = sum(len(one.scored.labels) for one in tested)
        spread = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean, sd, strict=True)]
        rows.append([f"{name}, mean of {len(tested)}", tested[0].division.protocol, n, None, *spread])
    said = list(dict.fromkeys(filter(None, [*notes, *(one.division.note for one in tested)])))
    said.append("intervals: 95 %, subjects (or the blocks that stand in for them) drawn anew")
    write_table(folder, "results", header, rows, f"{name} on its test images", said)


def _predictions(package: Package, sample_set: SampleSet, rows: Sequence[Row]) -> Predictions:
    shares = softmax(raw_outputs(package, sample_set, rows).astype(np.float64) / package.card.temperature, axis=1)
    samples = tuple(row.sample for row in rows)
    labels = tuple(sample.label for sample in samples)
    return Predictions(samples, labels, sample_set.classes, shares.astype(np.float32), ("",) * len(rows))
