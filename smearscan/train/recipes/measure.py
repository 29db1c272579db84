"""What trained models do on their test images: the files of `smearscan evaluate`, of the very rows they were held from.

`evaluate` cuts and scales single cells first, as they are judged live; here images are resized as a whole, as the
papers do and as these models were trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smearscan.datasets.samples import SampleSet
from smearscan.evaluate.models import Model
from smearscan.evaluate.outcome import Outcome, pool, write_outcome
from smearscan.evaluate.pairing import Fold
from smearscan.evaluate.predict import Predictions
from smearscan.models.infer import probabilities
from smearscan.models.packages import Package
from smearscan.train.recipes.division import Division
from smearscan.train.recipes.export import raw_outputs


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """One model on its test images, and on those that are only predicted."""

    division: Division
    package: Package
    predictions: Predictions


def judge(package: Package, sample_set: SampleSet, division: Division, device: str = "auto") -> Tested:
    """Predict test images and submission.

    Raises
    ------
    UnreadableSlideError
        If an image cannot be read.
    """
    rows = (*division.test, *division.submission)
    raw = raw_outputs(package, sample_set, rows, device)
    shares = probabilities(raw, package.card)
    samples = tuple(row.sample for row in rows)
    labels = tuple(sample.label for sample in samples)
    found = Predictions(samples, labels, sample_set.classes, shares, ("",) * len(rows))
    return Tested(division, package, found)


def write_results(folder: Path, sample_set: SampleSet, tested: Sequence[Tested]) -> None:
    """Write predictions, tables with intervals, figures and, of C-NMC's phase III, the submission.

    Raises
    ------
    OutputError
        If the files cannot be written.
    """
    name, split = tested[0].package.name, tested[0].division.split
    folds = tuple(
        (Fold(Model(name, one.package, one.package.card.sha256), one.division.split), one.predictions) for one in tested
    )
    notes = [*dict.fromkeys(one.division.split.note for one in tested if one.division.split.note), *sample_set.notes]
    unit = "subjects" if sample_set.has_subjects else "blocks of neighbouring files"
    notes.append(f"intervals: 95 %, {unit} drawn anew 1,000 times; blank where a class has fewer than two")
    pooled = pool([one.predictions for one in tested])
    write_outcome(
        folder,
        Outcome(name, sample_set.name, split.protocol, folds, pooled, sample_set.has_subjects, tuple(notes)),
    )
