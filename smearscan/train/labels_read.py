"""Cell types that were read by eye from contact sheets (`labels_by_eye.tsv`), by picture and place."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EyeLabel:
    """What a reader called a cell, and in which reading (from 1): cells of one reading are split among themselves."""

    cell_class: str = ""
    reading: int = 0


@cache
def labels_read() -> dict[tuple[str, int, int], EyeLabel]:
    """Every label under the picture's path below the data and the middle of the cell, px, rounded."""
    with Path(__file__).with_name("labels_by_eye.tsv").open(encoding="utf-8") as lines:
        rows = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t")
        return {
            (row["path"], int(row["x_px"]), int(row["y_px"])): EyeLabel(row["cell_class"], int(row["reading"]))
            for row in rows
        }


def label_at(name: str, x: float, y: float) -> EyeLabel:
    """The label of the cell whose middle this is; an empty one where nobody read it."""
    return labels_read().get((name, round(x), round(y)), EyeLabel())
