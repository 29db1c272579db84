"""When to stop counting, and whether counting on would decide anything.

The whole smear is counted by default: 200 cells show no blast at all in 13 % of patients with 1 %
(0.99²⁰⁰). Where counting costs, it stops once the corrected interval clears the threshold.
Looking again and again would spend the 5 % many times over, so look j gets 5 % / 2^j of it, and the
last one what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from smearscan.aggregate.correct import correct_fraction
from smearscan.aggregate.differential import Tally, count_cells, tally
from smearscan.aggregate.validation import Validation
from smearscan.records import CellPrediction, Interval
from smearscan.settings import AggregateSettings

Side = Literal["below", "above", "open"]

#: "Many more cells": counting error is then a tenth of what it is.
_MANY = 100


@dataclass(frozen=True, slots=True)
class StoppingPoint:
    """Where counting stopped: the first `n_cells` of the cells given, `n_leukocytes` of them counted.

    `side` of the threshold on which the interval lies; `open` means that the smear was exhausted. `confidence` is that
    of the look which decided: the interval to print.
    """

    n_cells: int
    n_leukocytes: int
    side: Side
    confidence: float


def side_of(interval: Interval, threshold: float) -> Side:
    """On which side of a threshold an interval lies, if on one."""
    if interval.high < threshold:
        return "below"
    return "above" if interval.low >= threshold else "open"


def count_until_clear(
    cells: Sequence[CellPrediction], validation: Validation | None, settings: AggregateSettings
) -> StoppingPoint:
    """Count cells in the order given until the corrected interval clears the work-up threshold.

    Looks after `min_leukocytes` counted leukocytes, then at each doubling. The order must not follow
    the film: cells of one edge are alike.
    """
    places = [place for place, cell in enumerate(cells, 1) if cell.is_counted]
    look, spent = settings.min_leukocytes, 1 - settings.confidence
    while look < len(places):
        spent /= 2
        counts = tally(count_cells(cells[: places[look - 1]]))
        side = side_of(correct_fraction(counts, validation, 1 - spent).interval, settings.work_up_fraction)
        if side != "open":
            return StoppingPoint(places[look - 1], look, side, 1 - spent)
        look *= 2
    counts = tally(count_cells(cells))
    interval = correct_fraction(counts, validation, 1 - spent).interval
    return StoppingPoint(len(cells), len(places), side_of(interval, settings.work_up_fraction), 1 - spent)


def more_cells_would_tell(counts: Tally, validation: Validation | None, settings: AggregateSettings) -> bool:
    """Whether many more cells of the same fractions would put the interval on one side of the threshold.

    If not, it is the classifier's errors that leave the question open: another smear will not help,
    a person at the microscope will.
    """
    many = correct_fraction(counts.times(_MANY), validation, settings.confidence).interval
    return side_of(many, settings.work_up_fraction) != "open"
