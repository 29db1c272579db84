"""How the differential fares on coarse slides, beside the sharp ones that it is mostly trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smearscan.crops.mask import CellSegmenter
from smearscan.models.infer import logits
from smearscan.models.packages import Package
from smearscan.train.cells import CellTable
from smearscan.train.measure_scores import macro_f1
from smearscan.train.run_time import run_time_pictures
from smearscan.train.windows import degraded, outline

#: Of the coarse pictures' draws.
_SEED = 7


def measure_coarse(
    package: Package, table: CellTable, rows: np.ndarray, labels: np.ndarray, segmenter: CellSegmenter
) -> dict[str, float | int | str]:
    """Accuracy and macro F1, PBC's and the others', of cells as a camera of 0.45–0.54 µm/px keeps them.

    The cells are outlined anew on the coarse pictures, as they would be on a slide.
    """
    part = cells_at(table, rows)
    windows = degraded(part.windows, _SEED)
    coarse = replace(part, windows=windows, masks=outline(windows, segmenter))
    called = logits(package, run_time_pictures(coarse, np.arange(len(rows)), package.card.input)).argmax(1)
    figures: dict[str, float | int | str] = {}
    for name, chosen in (("pbc", part.is_from("pbc")), ("others", ~part.is_from("pbc"))):
        figures[f"{name}_coarse_n"] = int(chosen.sum())
        figures[f"{name}_coarse_accuracy"] = round(float((labels == called)[chosen].mean()), 4)
        figures[f"{name}_coarse_macro_f1"] = round(macro_f1(labels[chosen], called[chosen]), 4)
    return figures


def cells_at(table: CellTable, rows: np.ndarray) -> CellTable:
    """The table of these rows alone."""
    return CellTable(**{name: np.asarray(getattr(table, name)[rows]) for name in CellTable.__slots__})
