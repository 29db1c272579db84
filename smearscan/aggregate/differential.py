"""Counts over a named denominator, with everything that was not counted beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from smearscan.classes import COUNTED, MONONUCLEAR, NOT_COUNTED, CellClass
from smearscan.records import CellPrediction, Differential


@dataclass(frozen=True, slots=True)
class Tally:
    """The three counts every interval is made from.

    Attributes
    ----------
    n_leukocytes
        Counted leukocytes: the denominator.
    n_mononuclear
        Those among them that the blast network judged.
    n_blasts
        Those among these that it called blast.

    Raises
    ------
    ValueError
        If they are not nested: 0 ≤ blasts ≤ mononuclear ≤ leukocytes.
    """

    n_leukocytes: int
    n_mononuclear: int
    n_blasts: int

    def __post_init__(self) -> None:
        if not 0 <= self.n_blasts <= self.n_mononuclear <= self.n_leukocytes:
            raise ValueError(f"counts are not nested: {self.n_blasts}, {self.n_mononuclear}, {self.n_leukocytes}")

    def times(self, factor: int) -> Tally:
        """The same fractions seen on `factor` times as many cells."""
        return Tally(self.n_leukocytes * factor, self.n_mononuclear * factor, self.n_blasts * factor)


def is_counted(cell_class: CellClass, is_in_focus: bool = True) -> bool:
    """Whether a cell belongs to the denominator: a leukocyte, and sharp enough to be judged."""
    return cell_class in COUNTED and is_in_focus


def count_cells(cells: Iterable[CellPrediction]) -> Differential:
    """Count cells of every class.

    Leukocytes that were not counted (out of focus) are left out of their class and come back from
    `list_beside`; classes outside the denominator keep their counts, whatever their focus.
    Classes that were not seen are listed with 0, so that two tables have the same rows.
    """
    seen = Counter(c.cell_class for c in cells if c.is_counted or c.cell_class in NOT_COUNTED)
    return Differential({cell_class: seen[cell_class] for cell_class in CellClass})


def list_beside(cells: Iterable[CellPrediction]) -> dict[str, int]:
    """What stands beside the differential: classes that are not leukocytes, and cells left out.

    Returns
    -------
    dict
        Name to count; `out_of_focus` and `left_out` are leukocytes that were not counted.
    """
    beside = {cell_class.value: 0 for cell_class in CellClass if cell_class in NOT_COUNTED}
    beside |= {"out_of_focus": 0, "left_out": 0}
    for cell in cells:
        if cell.cell_class in NOT_COUNTED:
            beside[cell.cell_class.value] += 1
        elif not cell.is_counted:
            beside["left_out" if cell.is_in_focus else "out_of_focus"] += 1
    return beside


def tally(differential: Differential) -> Tally:
    """Leukocytes, mononuclear cells and blasts of a differential."""
    n_mononuclear = sum(n for cell_class, n in differential.counts.items() if cell_class in MONONUCLEAR)
    return Tally(differential.n_leukocytes, n_mononuclear, differential.n_blasts)
