"""A split on disk, beside the model that was trained on it: which images it saw is then never guessed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from smearscan.datasets.samples import Sample, SampleSet
from smearscan.datasets.splits import LEAKY_NOTE, Split
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
    """The split of a file, of the samples that the set has; leaky, and told so, if it parts a subject.

    Raises
    ------
    DatasetError
        If the file is no split, has an image on two sides, or none of its test images is in the set.
    """
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        side_of: dict[str, str] = {}
        for row in rows:
            if side_of.setdefault(row["path"], row["side"]) != row["side"]:
                raise DatasetError(f"{path}: {row['path']} stands on two sides", "train again, or name a --protocol")
        first = rows[0]
        protocol, name, is_leaky = first["protocol"], first["fold"], first["is_leaky"] == "1"
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, IndexError) as error:
        raise DatasetError(f"{path} is no split: {error}", "train again, or name a --protocol") from error
    train, validation, test, left_out = (_side(sample_set.samples, side_of, side) for side in _SIDES)
    if not test:
        raise DatasetError(f"{path}: none of its test images is in {sample_set.root}", "give the set it was trained on")
    note = f"as recorded in {path.name}"
    known = {sample.subject for sample in (*train, *validation)}
    if sample_set.has_subjects and not is_leaky and (parted := sorted({sample.subject for sample in test} & known)):
        is_leaky, note = True, f"{LEAKY_NOTE}: {', '.join(parted)}; {note}"
    return Split(protocol, name, train, validation, test, left_out, is_leaky, note)


def _side(samples: Sequence[Sample], side_of: dict[str, str], side: str) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples if side_of.get(sample.path) == side)
