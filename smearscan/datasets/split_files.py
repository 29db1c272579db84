"""A split on disk, beside the model that was trained on it: which images it saw is then never guessed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from smearscan.datasets.samples import Sample, SampleSet
from smearscan.datasets.splits import Split
from smearscan.errors import DatasetError

SPLIT_NAME = "split.csv"
_COLUMNS = ["path", "label", "subject", "side", "protocol", "fold", "is_leaky"]
_SIDES = ("train", "validation", "test", "left_out")


def split_text(split: Split) -> str:
    """The split as CSV, one line a sample, in the order of sides and samples."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    rest = [split.protocol, split.name, int(split.is_leaky)]
    for side in _SIDES:
        table.writerows([s.path, s.label, s.subject, side, *rest] for s in getattr(split, side))
    return text.getvalue()


def read_split(path: Path, sample_set: SampleSet) -> Split:
    """The split of a file, of the samples that the set has.

    Raises
    ------
    DatasetError
        If the file is no split, or none of its test images is in the set.
    """
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        side_of = {row["path"]: row["side"] for row in rows}
        first = rows[0]
        protocol, name, is_leaky = first["protocol"], first["fold"], first["is_leaky"] == "1"
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, IndexError) as error:
        raise DatasetError(f"{path} is no split: {error}", "train again, or name a --protocol") from error
    train, validation, test, left_out = (_side(sample_set.samples, side_of, side) for side in _SIDES)
    if not test:
        raise DatasetError(f"{path}: none of its test images is in {sample_set.root}", "give the set it was trained on")
    return Split(protocol, name, train, validation, test, left_out, is_leaky, f"as recorded in {path.name}")


def _side(samples: Sequence[Sample], side_of: dict[str, str], side: str) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples if side_of.get(sample.path) == side)
