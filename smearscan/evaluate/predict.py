"""Predictions over a set: files read, made the network's input, judged in batches; what cannot be read has a reason."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smearscan.cut_cells import picture_key
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import DatasetError
from smearscan.evaluate.inputs import Made, make_inputs
from smearscan.evaluate.metrics import Scored
from smearscan.evaluate.models import Model
from smearscan.evaluate.reconcile import Agreement
from smearscan.report.atomic import write_bytes

#: Pictures in memory at a time.
_AT_A_TIME = 128
_DECIMALS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Predictions of samples, one row each, in their order.

    Attributes
    ----------
    labels
        Names among `classes`, "" where kept back.
    probabilities
        (N, C) float32; NaN where the file could not be read.
    reasons
        Why there is no prediction; "" where there is one.
    """

    samples: tuple[Sample, ...]
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    probabilities: np.ndarray
    reasons: tuple[str, ...]

    @property
    def n_failed(self) -> int:
        """Files that could not be read."""
        return sum(bool(reason) for reason in self.reasons)

    def scored(self) -> Scored:
        """What can be scored: read, and with a label that is not kept back."""
        keep = [i for i, (label, why) in enumerate(zip(self.labels, self.reasons, strict=True)) if label and not why]
        column = {name: i for i, name in enumerate(self.classes)}
        labels = np.array([column[self.labels[i]] for i in keep], np.int64)
        subjects = np.array([self.samples[i].subject for i in keep], np.str_)
        return Scored(labels, self.probabilities[keep].astype(np.float64), subjects, self.classes)


def predict(
    models: Sequence[tuple[Model, Agreement]],
    sample_set: SampleSet,
    samples: Sequence[Sample],
    *,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> list[Predictions]:
    """Judge samples by several models, which share the reading of the files.

    Parameters
    ----------
    models
        Each with its `reconcile(sample_set.classes, model.card.classes)`.
    progress
        Called with images done and images in all.

    Returns
    -------
    list
        Predictions of each model.
    """
    parts: list[list[np.ndarray]] = [[] for _ in models]
    reasons: list[list[str]] = [[] for _ in models]
    for first in range(0, len(samples), _AT_A_TIME):
        part = samples[first : first + _AT_A_TIME]
        made = make_inputs([model.card.input for model, _ in models], sample_set, part)
        for i, (model, agreement) in enumerate(models):
            inputs = made[picture_key(model.card.input)]
            rows = _judged(model, agreement, inputs, device)
            parts[i].append(rows)
            reasons[i] += [_reason(one, row) for one, row in zip(inputs, rows, strict=True)]
        if progress:
            progress(first + len(part), len(samples))
    return [
        Predictions(
            tuple(samples),
            tuple(agreement.label_of[sample.label] if sample.label else "" for sample in samples),
            agreement.classes,
            np.concatenate([np.zeros((0, len(agreement.classes)), np.float32), *parts[i]]),
            tuple(reasons[i]),
        )
        for i, (_, agreement) in enumerate(models)
    ]


def _judged(model: Model, agreement: Agreement, inputs: Sequence[Made], device: str) -> np.ndarray:
    """Probabilities (N, C) float32 of the agreed classes, NaN where there is no input."""
    good = [one for one in inputs if isinstance(one, np.ndarray)]
    judged = model.probabilities(np.stack(good), device) if good else np.zeros((0, len(model.card.classes)))
    rows = np.full((len(inputs), len(agreement.classes)), np.nan, np.float32)
    rows[[isinstance(one, np.ndarray) for one in inputs]] = agreement.merged(judged, model.card.classes)
    return rows


def _reason(made: Made, row: np.ndarray) -> str:
    """Why there is no prediction, "" where there is one."""
    if not isinstance(made, np.ndarray):
        return str(made)
    return "" if np.isfinite(row).all() else "the network gave no number"


def write_predictions(path: Path, predictions: Predictions, prefix: str = "") -> None:
    """Write `path,label,predicted` and one probability a class; a column `reason` where a file could not be read.

    Parameters
    ----------
    prefix
        Put before the paths where the set's root lies below the folder that was given.
    """
    failed = predictions.n_failed > 0
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "label", "predicted", *predictions.classes, *(["reason"] if failed else [])])
    for i, sample in enumerate(predictions.samples):
        row, why = predictions.probabilities[i], predictions.reasons[i]
        called = "" if why else predictions.classes[int(row.argmax())]
        shares = ["" if why else round(float(p), _DECIMALS) for p in row]
        table.writerow(
            [prefix + sample_name(sample), predictions.labels[i], called, *shares, *([why] if failed else [])]
        )
    write_bytes(path, text.getvalue().encode("utf-8", "backslashreplace"))


def sample_name(sample: Sample) -> str:
    """Its path; of a box, the path with its place."""
    box = sample.box
    return sample.path if box is None else f"{sample.path}#{box.x},{box.y},{box.width},{box.height}"


def read_predictions(path: Path) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Classes and rows of a `predictions.csv`.

    Raises
    ------
    DatasetError
        If it is none.
    """
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            table = csv.DictReader(lines)
            rows = list(table)
            columns = tuple(table.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {error}", "give a predictions.csv of smearscan evaluate") from error
    if columns[:3] != ("path", "label", "predicted"):
        raise DatasetError(
            f"{path} has no columns path,label,predicted", "give a predictions.csv of smearscan evaluate"
        )
    return tuple(name for name in columns[3:] if name != "reason"), rows
