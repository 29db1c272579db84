"""Predictions over a set: files read, made the network's input, judged in batches; what cannot be read has a reason."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smearscan.datasets.files import read_sample
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import DatasetError, SlideError
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
    network_s
        Seconds inside the network.
    """

    samples: tuple[Sample, ...]
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    probabilities: np.ndarray
    reasons: tuple[str, ...]
    network_s: float = 0.0

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

    def of(self, samples: Sequence[Sample]) -> Predictions:
        """The rows of these samples."""
        row = {sample: i for i, sample in enumerate(self.samples)}
        at = [row[sample] for sample in samples]
        labels, reasons = tuple(self.labels[i] for i in at), tuple(self.reasons[i] for i in at)
        return Predictions(tuple(samples), labels, self.classes, self.probabilities[at], reasons, self.network_s)


def predict(
    model: Model,
    sample_set: SampleSet,
    samples: Sequence[Sample],
    agreement: Agreement,
    *,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Judge samples.

    Parameters
    ----------
    agreement
        From `reconcile(sample_set.classes, model.card.classes)`.
    progress
        Called with images done and images in all.
    """
    parts, reasons, seconds = [], [], 0.0
    for first in range(0, len(samples), _AT_A_TIME):
        part = samples[first : first + _AT_A_TIME]
        inputs = _inputs(model, sample_set, part)
        good = [one for one in inputs if isinstance(one, np.ndarray)]
        start = time.perf_counter()
        judged = model.probabilities(np.stack(good), device) if good else np.zeros((0, len(model.card.classes)))
        seconds += time.perf_counter() - start
        rows = np.full((len(part), len(agreement.classes)), np.nan, np.float32)
        rows[[isinstance(one, np.ndarray) for one in inputs]] = agreement.merged(judged, model.card.classes)
        parts.append(rows)
        reasons += ["" if isinstance(one, np.ndarray) else str(one) for one in inputs]
        if progress:
            progress(first + len(part), len(samples))
    labels = tuple(agreement.label_of[sample.label] if sample.label else "" for sample in samples)
    rows = np.concatenate(parts) if parts else np.zeros((0, len(agreement.classes)), np.float32)
    return Predictions(tuple(samples), labels, agreement.classes, rows, tuple(reasons), seconds)


def _inputs(model: Model, sample_set: SampleSet, samples: Sequence[Sample]) -> list[np.ndarray | SlideError]:
    read: list[np.ndarray | SlideError] = []
    for sample in samples:
        try:
            read.append(read_sample(sample_set, sample))
        except SlideError as error:
            read.append(error)
    good = [(rgb, sample.path) for rgb, sample in zip(read, samples, strict=True) if isinstance(rgb, np.ndarray)]
    made = iter(model.inputs([rgb for rgb, _ in good], [name for _, name in good]) if good else [])
    return [next(made) if isinstance(one, np.ndarray) else one for one in read]


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
