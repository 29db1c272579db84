"""Which images an epoch shows, and how often: classes of unlike size made alike by copies.

DERS, difference enhancement and random sampling, is Jiang et al. 2021 (https://doi.org/10.1155/2021/7529893): fixed
turns and flips multiply the smaller class more, then as many are drawn of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smearscan.datasets.samples import Sample
from smearscan.errors import SettingsError
from smearscan.train.recipes.recipe import BalancePart
from smearscan.train.recipes.seeds import COPIES, generator

#: Jiang's copies in the paper's order, by the number of copies made: 4 of a cancer cell, 7 of a healthy one.
_DERS = {
    4: ("as_is", "flip_lr", "rot90", "transpose"),
    7: ("as_is", "flip_lr", "flip_ud", "rot90", "rot180", "rot270", "transpose"),
}
#: Without a scheme of its own a class takes the first of these.
_ALL = (*_DERS[7], "antitranspose")


@dataclass(frozen=True, slots=True)
class Row:
    """One image of an epoch: of which sample, and as which fixed copy of it."""

    sample: Sample
    copy: str = "as_is"


def rows_of(samples: Sequence[Sample], classes: Sequence[str], part: BalancePart, seed: int) -> list[Row]:
    """Rows of an epoch.

    Parameters
    ----------
    samples
        Labelled.
    classes
        Names, in column order.
    part
        How to balance.
    seed
        Of what DERS draws.

    Raises
    ------
    SettingsError
        If copies are given for a class that the set does not have.
    """
    if unknown := sorted(set(part.copies) - set(classes)):
        raise SettingsError(f"balance.copies names {', '.join(unknown)}", f"the classes are {', '.join(classes)}")
    if part.kind == "none":
        return [Row(sample) for sample in samples]
    if part.kind == "copies":
        return [Row(sample) for sample in samples for _ in range(part.copies.get(sample.label, 1))]
    return _ders(samples, classes, part, seed)


def _ders(samples: Sequence[Sample], classes: Sequence[str], part: BalancePart, seed: int) -> list[Row]:
    made: dict[str, list[Row]] = {name: [] for name in classes}
    for sample in samples:
        n = part.copies.get(sample.label, 1)
        made[sample.label] += [Row(sample, copy) for copy in _DERS.get(n, _ALL[:n])]
    # Fewer of a class than are to be drawn: then as many of each as the smallest has, which is what balances.
    n_each = min([part.draw, *(len(rows) for rows in made.values() if rows)])
    out = []
    for column, rows in enumerate(made.values()):
        if rows:
            drawn = generator(seed, COPIES, column).choice(len(rows), n_each, replace=False)
            out += [rows[i] for i in np.sort(drawn)]
    return out


def copied(rgb: np.ndarray, copy: str) -> np.ndarray:
    """A fixed copy of a square image (S, S, 3)."""
    if copy == "as_is":
        return rgb
    if copy.startswith("flip"):
        return rgb[:, ::-1] if copy == "flip_lr" else rgb[::-1]
    if copy.startswith("rot"):
        return np.rot90(rgb, int(copy.removeprefix("rot")) // 90)
    turned = rgb.transpose(1, 0, 2)
    return turned if copy == "transpose" else turned[::-1, ::-1]
