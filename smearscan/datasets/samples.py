"""What a labelled set of images is to training and evaluation, whatever folder it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smearscan.geometry import Box


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image.

    Attributes
    ----------
    path
        Relative to the set's root, with forward slashes: the same on every machine.
    label
        One of the set's classes; "" where the set keeps it back (C-NMC's phase III).
    subject
        Whom it is of. Where a set has no subjects, a block of neighbouring file numbers stands in ("Pro:0400").
    part
        Part of the set as its makers divided it (`train_fold_0`, `phase2`, …); "" where it is undivided.
    box
        The part of the picture that is meant, px, in sets whose labels are boxes; None for the whole picture.
    """

    path: str
    label: str
    subject: str
    part: str = ""
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class SampleSet:
    """A set of labelled images on disk; its samples in the order of their paths.

    Attributes
    ----------
    name
        Registry name, such as `cnmc` or `taleqani`.
    root
        Folder that the samples' paths are relative to.
    classes
        Names of the classes, in column order.
    has_subjects
        Whether `Sample.subject` is a person (True) or a block that stands in for one.
    notes
        What was merged, left out or could not be checked; shown beside every figure.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    has_subjects: bool
    notes: tuple[str, ...] = ()

    def file(self, sample: Sample) -> Path:
        """Where the sample's image lies."""
        return self.root / sample.path

    def labels(self, samples: Sequence[Sample]) -> list[int]:
        """Columns of the samples' classes; a kept-back label is -1."""
        column = {name: index for index, name in enumerate(self.classes)}
        return [column.get(sample.label, -1) for sample in samples]
