"""How the differential fares: laboratory by laboratory, on those left out, and on coarse slides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from smearscan.crops.mask import CellSegmenter
from smearscan.cut_cells import picture_key
from smearscan.models.ensemble import weighted_sum
from smearscan.models.infer import infer
from smearscan.models.packages import Package
from smearscan.train.cells import CellTable, is_outlined
from smearscan.train.measure_scores import macro_f1
from smearscan.train.run_time import run_time_pictures
from smearscan.train.typed_cells import CLASSES, TypedCells
from smearscan.train.windows import degraded, outline

#: Of the coarse pictures' draws.
_SEED = 7


def measure(table: CellTable, cells: TypedCells, chances: np.ndarray) -> dict[str, float | int | str]:
    """Accuracy and macro F1 on the outlined cells of each laboratory's test split, with their number.

    `chances` are the probabilities of all cells (N, C).
    A cell without an outline is a black picture like any other: what a network says of it is no skill.
    """
    figures: dict[str, float | int | str] = {}
    # Smudges come from one laboratory and were picked by a rule.
    leukocyte = ~np.isin(cells.labels, [CLASSES.index(name) for name in ("artefact", "smudge")])
    leukocyte &= is_outlined(table, cells.rows)
    for name in ("pbc", "raabin", "bccd", "seg1", "seg2", "taleqani"):
        sources = ("Benign", "Early", "Pre", "Pro") if name == "taleqani" else (name,)
        chosen = (cells.split == 2) & table.is_from(*sources)[cells.rows] & leukocyte
        truth, called = cells.labels[chosen], chances[chosen].argmax(1)
        figures[f"{name}_test_n"] = len(truth)
        figures[f"{name}_test_accuracy"] = round(float((truth == called).mean()), 4)
        figures[f"{name}_test_macro_f1"] = round(macro_f1(truth, called), 4)
    return figures


def measure_left_out(
    table: CellTable, cells: TypedCells, chances: np.ndarray, left_out: tuple[str, ...]
) -> dict[str, float | int | str]:
    """The same on all leukocytes of laboratories that were trained without."""
    figures: dict[str, float | int | str] = {}
    leukocyte = ~np.isin(cells.labels, [CLASSES.index(name) for name in ("artefact", "platelet")])
    for name in left_out:
        chosen = table.is_from(name)[cells.rows] & leukocyte
        truth, called = cells.labels[chosen], chances[chosen].argmax(1)
        figures[f"{name}_left_out_n"] = len(truth)
        figures[f"{name}_left_out_accuracy"] = round(float((truth == called).mean()), 4)
        figures[f"{name}_left_out_macro_f1"] = round(macro_f1(truth, called), 4)
    return figures


def type_chances(
    packages: Sequence[Package], table: CellTable, rows: np.ndarray, weights: Sequence[float] | None = None
) -> np.ndarray:
    """(N, C) float32: what the judge takes for the type, the mean of the members' probabilities, from the cell table.

    Members that are shown the same pictures are shown them once.
    """
    pictures: dict[str, np.ndarray] = {}
    members = []
    for package in packages:
        key = picture_key(package.card.input)
        if key not in pictures:
            pictures[key] = run_time_pictures(table, rows, package.card.input)
        members.append(infer(package, pictures[key]))
    return weighted_sum(np.stack(members), weights)


def measure_coarse(
    packages: Sequence[Package],
    table: CellTable,
    rows: np.ndarray,
    labels: np.ndarray,
    segmenter: CellSegmenter,
    weights: Sequence[float] | None = None,
) -> dict[str, float | int | str]:
    """Accuracy and macro F1, PBC's and the others', of cells as a camera of 0.45–0.54 µm/px keeps them.

    The cells are outlined anew on the coarse pictures, as they would be on a slide.
    """
    part = cells_at(table, rows)
    windows = degraded(part.windows, _SEED)
    coarse = replace(part, windows=windows, masks=outline(windows, segmenter))
    called = type_chances(packages, coarse, np.arange(len(rows)), weights).argmax(1)
    figures: dict[str, float | int | str] = {}
    for name, chosen in (("pbc", part.is_from("pbc")), ("others", ~part.is_from("pbc"))):
        figures[f"{name}_coarse_n"] = int(chosen.sum())
        figures[f"{name}_coarse_accuracy"] = round(float((labels == called)[chosen].mean()), 4)
        figures[f"{name}_coarse_macro_f1"] = round(macro_f1(labels[chosen], called[chosen]), 4)
    return figures


def cells_at(table: CellTable, rows: np.ndarray) -> CellTable:
    """The table of these rows alone."""
    return CellTable(**{name: np.asarray(getattr(table, name)[rows]) for name in CellTable.__slots__})
