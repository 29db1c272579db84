"""A set listed in a CSV: `path,label` and, where they are known, `subject` and `part`."""

from __future__ import annotations

import csv
from pathlib import Path

from smearscan.classes import blasts_last
from smearscan.datasets.files import natural_key
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import DatasetError

_NEEDED = ("path", "label")


def load_csv(path: Path) -> SampleSet:
    """Samples of a CSV; its paths are relative to the folder it lies in, or absolute.

    Without a column `subject`, or where it is empty, blocks of 50 lines of a class stand in. An empty label is
    one that is kept back.

    Raises
    ------
    DatasetError
        If the file is no such table, a line lacks a path, a path is listed twice, or no line has a label.
    """
    rows = _read(path)
    has_subjects = all(row.get("subject") for row in rows)
    samples = [_sample(path, row, has_subjects, place) for place, row in enumerate(rows)]
    seen: set[str] = set()
    for sample in samples:
        if sample.path in seen:
            raise DatasetError(f"{path}: {sample.path} is listed twice", "remove one of its lines")
        seen.add(sample.path)
    classes = blasts_last(sorted({sample.label for sample in samples} - {""}, key=natural_key))
    if not classes:
        raise DatasetError(f"{path}: no line has a label", "fill the column label")
    notes = () if has_subjects else ("no subjects: blocks of 50 lines stand in",)
    samples.sort(key=lambda sample: natural_key(sample.path))
    return SampleSet("csv", path.parent, classes, tuple(samples), has_subjects, notes)


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            table = csv.DictReader(lines, strict=True)
            rows = [{key: (value or "").strip() for key, value in row.items() if isinstance(key, str)} for row in table]
            absent = [name for name in _NEEDED if name not in (table.fieldnames or ())]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"{path} cannot be read as CSV: {error}", "give a table with the columns path,label"
        ) from error
    if absent:
        raise DatasetError(f"{path} has no column {', '.join(absent)}", "its first line must name path,label[,subject]")
    return rows


def _sample(table: Path, row: dict[str, str], has_subjects: bool, place: int) -> Sample:
    if not row["path"]:
        raise DatasetError(f"{table}, line {place + 2}: no path", "fill it or remove the line")
    subject = row["subject"] if has_subjects else f"{row['label']}:{place // 50 * 50:04d}"
    return Sample(row["path"].replace("\\", "/"), row["label"], subject, row.get("part", ""))
